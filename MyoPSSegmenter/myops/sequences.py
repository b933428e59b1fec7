"""The MR sequences: one row each, and the only place of what is said about them.

Everything else derives from this table: file names and DICOM words, options of the command line,
selectors and views of the panel, columns and words of the report, channels of the networks. To add
a sequence, add a row. The shipped networks go on seeing what they were trained on
(`NETWORK_SEQUENCES`); another sequence is read, shown and reported, and a warning says so.

The module stands on the ground floor: it imports nothing of this package and no array library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class MriSequence:
    """One sequence.

    Attributes:
        name: in code, files and options.
        title: in reports and views.
        long_title: in lists of files, where there is room.
        description: what the help of the command line says.
        article: "a" or "an", as the title is spoken.
        suffixes: what file names end in where data sets are named as MyoPS 2020 names them; the
            first is what we write.
        file_parts: words of a file name that tell it, in lower case.
        series_words: the same for descriptions of DICOM series, a regular expression of words.
        word_rank: descriptions are searched for the words of the lowest rank first.
        view: layout name of its slice view in Slicer.
        view_color: of that view's frame.
        outlines: structures that the report outlines on it, beside those that it shows.
        grid_rank: the present sequence of the lowest rank gives the grid; None: it never does.
        in_networks: whether the shipped networks have a channel for it.
    """

    name: str
    title: str
    long_title: str
    description: str
    article: str
    suffixes: tuple[str, ...]
    file_parts: tuple[str, ...]
    series_words: str
    word_rank: int
    view: str
    view_color: str
    outlines: tuple[str, ...] = ("lv_region", "myocardium")
    grid_rank: int | None = None
    in_networks: bool = False


# In the order of the networks' channels, and of the views from left to right. MyoPS 2020 writes C0
# for bSSFP and DE for LGE; the other words are in common use. "T2_prep_LGE" is an LGE and
# "t2p_ssfp" a T2-weighted image: hence the ranks.
_ROWS = (
    MriSequence(
        name="bssfp",
        title="bSSFP",
        long_title="bSSFP (cine)",
        description="bSSFP (cine)",
        article="a",
        suffixes=("C0",),
        file_parts=("c0", "bssfp", "ssfp", "cine"),
        series_words=r"cine|b?ssfp|trufi|trufisp|true[ _-]*fisp|fiesta|s?b?tfe|b-tfe|bffe|balanced"
        r"|c0",
        word_rank=2,
        view="MyoPSBssfp",
        view_color="#4A90C2",
        outlines=("right_ventricle", "lv_region", "myocardium"),
        grid_rank=1,
        in_networks=True,
    ),
    MriSequence(
        name="lge",
        title="LGE",
        long_title="LGE",
        description="Late gadolinium enhancement",
        article="an",
        suffixes=("DE", "LGE"),
        file_parts=("de", "lge", "psir"),
        series_words=r"(de)?lge|d?e?psir|delayed|late[ _-]*(gad\w*|gd|enh\w*)|viab\w*|mde|(?-i:DE)|"
        r"post[ _-]*(con\w*|gd|gad\w*)",
        word_rank=0,
        view="MyoPSLge",
        view_color="#D9A441",
        outlines=("myocardium",),
        grid_rank=0,
        in_networks=True,
    ),
    MriSequence(
        name="t2",
        title="T2",
        long_title="T2",
        description="T2-weighted",
        article="a",
        suffixes=("T2",),
        file_parts=("t2", "t2w", "stir"),
        series_words=r"t2|t2p|t2w|t2[ _-]*(stir|tirm|tse|fse|spair|blade|prep|weighted)|stir|tirm|"
        r"o?edema",
        word_rank=1,
        view="MyoPST2",
        view_color="#6FB07A",
        outlines=("lv_region", "myocardium", "scar"),
        in_networks=True,
    ),
)

SEQUENCES: Mapping[str, MriSequence] = {row.name: row for row in _ROWS}
SEQUENCE_TITLES: Mapping[str, str] = {row.name: row.title for row in _ROWS}
# What the networks see, in the order of their channels.
NETWORK_SEQUENCES = tuple(row.name for row in _ROWS if row.in_networks)
# The sequences that can give the grid, the first choice first.
GRID_SEQUENCES = tuple(
    row.name
    for row in sorted(
        (row for row in _ROWS if row.grid_rank is not None), key=lambda row: row.grid_rank or 0
    )
)
# In the order in which a user is asked for them: what gives the grid first.
ASKED_SEQUENCES = (*GRID_SEQUENCES, *(name for name in SEQUENCES if name not in GRID_SEQUENCES))


def channel(name: str) -> int:
    """Index of a sequence among the networks' channels."""
    return NETWORK_SEQUENCES.index(name)


def option(name: str) -> str:
    """The option of the command line that names a sequence's image."""
    return f"--{name.replace('_', '-')}"


# For messages: "--lge, --bssfp, --t2".
OPTIONS = ", ".join(option(name) for name in ASKED_SEQUENCES)
GRID_OPTIONS = " or ".join(option(name) for name in GRID_SEQUENCES)
# "an LGE or a bSSFP".
GRID_WORDS = " or ".join(f"{SEQUENCES[n].article} {SEQUENCES[n].title}" for n in GRID_SEQUENCES)
# "*_C0, *_DE or *_LGE, *_T2".
FILE_PATTERNS = ", ".join(
    " or ".join(f"*_{suffix}" for suffix in row.suffixes) for row in SEQUENCES.values()
)

"""Case, segmentation, measurements -> the content of a report, said once for page and PDF."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from myops import __version__
from myops.case import UNNAMED
from myops.coverage import hidden_tissues
from myops.io.number_text import number
from myops.report.colors import COLORS
from myops.report.document import (
    Block,
    Content,
    Legend,
    Line,
    Picture,
    Pictures,
    Section,
    Strip,
    Text,
)
from myops.report.figures import legend_names, shown_slices, strip, strips
from myops.report.lettering import shortened
from myops.report.montage import LINES
from myops.report.reader_section import reader_section
from myops.report.regional_section import regional_section
from myops.report.sections import (
    cards,
    conventional_section,
    definitions,
    how_made,
    masses,
    prompts,
    quality_section,
    slices,
)
from myops.report.wording import (
    reached_words,
    slice_caption,
    slice_order,
    status_sentence,
    summary_sentence,
)
from myops.sequences import SEQUENCE_TITLES
from myops.structures import ASSESSABLE, STRUCTURES

if TYPE_CHECKING:
    from myops.case import Case
    from myops.quantify.measurements import Measurements
    from myops.report.panels import TileStack
    from myops.report.review import Review
    from myops.segmentation import Segmentation

# A longer name would push the findings off the first page; the tables hold it whole.
MOST_LETTERS = 120
KIND = "Myocardial scar and edema"
FOOTER = f"MyoPS Segmenter {__version__}. Research use only. Not a medical device."


def make_content(
    case: Case,
    segmentation: Segmentation,
    measurements: Measurements,
    tiles: TileStack,
    review: Review | None = None,
    created: datetime | None = None,
) -> Content:
    """Everything that the report of one case says and shows.

    Nothing of the patient goes in but the case's name, which is neutral unless one was given: no
    paths, no header fields.

    Args:
        case: the images.
        segmentation: model checksums and timing come from here.
        measurements: every number shown.
        tiles: the pictures' source.
        review: what a reader changed; None for an automatic result.
        created: time shown, now if None.
    """
    when = created or datetime.now().astimezone()
    hidden = hidden_tissues(case)
    legend = _legend(tiles)
    sections = [
        masses(measurements, review, hidden, reached_words(case, segmentation.pack)),
        conventional_section(measurements, review, hidden),
        _every_slice(case, measurements, tiles, legend),
        slices(measurements, slice_order(case)),
        regional_section(case, segmentation, measurements),
        reader_section(measurements),
        quality_section(measurements),
        prompts(review),
        definitions(),
        how_made(case, segmentation, measurements, review),
    ]
    return Content(
        title="Unnamed case" if case.name == UNNAMED else shortened(case.name, MOST_LETTERS),
        kind=KIND,
        facts=(
            ("Report", f"{when:%Y-%m-%d %H:%M %Z}".strip()),
            ("Software", f"MyoPS Segmenter {__version__}"),
            ("Sequences", _sequences(case)),
        ),
        status=status_sentence(review),
        summary=summary_sentence(measurements),
        cards=cards(measurements),
        warnings=_warnings(measurements),
        first=(_key_slice(measurements, tiles), legend),
        sections=tuple(section for section in sections if section is not None),
        footer=FOOTER,
    )


def _sequences(case: Case) -> str:
    found = []
    for key, name in SEQUENCE_TITLES.items():
        role = " (reference)" if key == case.reference else ""
        found.append(name + (role if key in case.images else " absent"))
    return ", ".join(found)


def _warnings(measurements: Measurements) -> tuple[str, ...]:
    return tuple(f"{words[0].upper()}{words[1:]}" for words in measurements.all_warnings)


def _legend(tiles: TileStack) -> Legend:
    lines = tuple(
        Line(words, COLORS[name], LINES[name][1]) for name, words in legend_names(tiles).items()
    )
    clicks = any(column.marks for column in tiles.columns.values())
    return Legend(lines, "uncertainty" in tiles.columns, clicks)


def _key_slice(measurements: Measurements, tiles: TileStack) -> Pictures:
    """The slice with the most scar, else the most edema, else the most myocardium."""
    order = (*ASSESSABLE, "lv_myocardium")

    def amount(index: int) -> tuple[int, ...]:
        tissues = measurements.slices[index].tissues
        return tuple(tissues[name].voxels or 0 for name in order)

    index = max(range(tiles.slices), key=amount)
    found = [STRUCTURES[name].in_sentence for name, n in zip(ASSESSABLE, amount(index)) if n]
    why = f"most {found[0] if found else 'myocardium'}"
    names = ", ".join(column.title for column in tiles.columns.values())
    caption = f"Slice {index + 1} ({why}). {names}. All slices are below."
    picture = Picture(strip(tiles, index, tile_px=300), f"Slice {index + 1}: {names}")
    return Pictures((picture,), caption)


def _every_slice(
    case: Case, measurements: Measurements, tiles: TileStack, legend: Legend
) -> Section:
    shown = shown_slices(tiles.slices)
    blocks: list[Block] = [legend]
    if len(shown) < tiles.slices:
        blocks.insert(0, Text(f"{len(shown)} of {tiles.slices} slices, evenly spaced."))
    for index, png in zip(shown, strips(tiles, shown)):
        picture = Picture(png, f"Slice {index + 1}")
        lines = tuple(slice_caption(measurements.slices[index].tissues))
        blocks.append(Strip(f"Slice {index + 1}", lines, picture, len(tiles.columns)))
    blocks.append(Text(_about_pictures(case, measurements, tiles), "small"))
    return Section("Every slice", tuple(blocks), new_page=True)


def _about_pictures(case: Case, measurements: Measurements, tiles: TileStack) -> str:
    words = (
        f"{slice_order(case)} Each sequence is windowed to its own 1st to 99.5th percentile over "
        "the heart. "
    )
    words += (
        "The bar in the lower left is 20 mm."
        if tiles.spacing_known
        else "There is no scale: the voxel spacing is unknown."
    )
    if "uncertainty" not in tiles.columns:
        return words
    mean = number(measurements.mean_uncertainty, 2)
    return words + (
        " Uncertainty is 0 where the network is sure of its label and 1 where it is not; its mean "
        f"inside the myocardium is {mean}. It speaks of this network only, not of the truth: a "
        "confident error looks certain."
    )

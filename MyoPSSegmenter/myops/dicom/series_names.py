"""What the name of an image or DICOM series tells: sequence, view, and which of two is better."""

from __future__ import annotations

import re

from myops.sequences import SEQUENCES

# Pictures that hold one of the sequences' words and are something else.
OTHER_WORDS = (
    r"locali[sz]er\w*|loc|scout|survey|plan|t[12]?[ _-]*map\w*|maps?|mapping|molli|shmolli|perf\w*|"
    r"haste|flow|venc|pc|tagg\w*|t2\*|t2[ _-]*star|first[ _-]*pass|dynamic|angio\w*|report|"
    r"ti[ _-]*scout|look[ _-]*locker"
)
LONG_AXIS_WORDS = r"[234][ _-]*ch\w*|lax|la|long[ _-]*axis|hla|vla|lvot|rvot|aort\w*"
OTHER_VIEW_WORDS = r"tra|trans\w*|ax|axial|cor|coronal|sag|sagittal"
SHORT_AXIS_WORDS = r"sa|sax|short[ _-]*axis|ssax|kurze?[ _-]*achse"
MAGNITUDE_WORDS = r"mag|magn\w*"
PHASE_WORDS = r"pha|phase"


def _pattern(words: str) -> re.Pattern[str]:
    """Whole words: what stands beside them is no letter, and no digit before."""
    return re.compile(rf"(?<![a-z0-9])(?:{words})(?![a-z*])", re.IGNORECASE)


# Searched in this order.
_SEQUENCES = {
    row.name: _pattern(row.series_words)
    for row in sorted(SEQUENCES.values(), key=lambda row: row.word_rank)
}
_OTHER, _LONG, _OTHER_VIEW = map(_pattern, (OTHER_WORDS, LONG_AXIS_WORDS, OTHER_VIEW_WORDS))
_SHORT, _MAGNITUDE, _PHASE = map(_pattern, (SHORT_AXIS_WORDS, MAGNITUDE_WORDS, PHASE_WORDS))
_CINE = _pattern("cine")


def sequence_in(text: str) -> str | None:
    """The sequence that a description names; None for others, localizers and long-axis views."""
    return sequence_word(text)[0]


def sequence_word(text: str) -> tuple[str | None, str]:
    """The sequence that a description names, and the word that tells it or tells against it."""
    other = other_word(text)
    if other:
        return None, other
    for sequence, pattern in _SEQUENCES.items():
        found = pattern.search(text)
        if found:
            return sequence, found.group()
    return None, ""


def is_other(text: str) -> bool:
    """Whether a description names something that is not a short-axis stack to be segmented."""
    return bool(other_word(text))


def other_word(text: str) -> str:
    """The word that names something else than a short-axis stack to be segmented; "" if none."""
    found = _unclaimed(text) or _LONG.search(text)
    if found is None and not _SHORT.search(text):
        found = _OTHER_VIEW.search(text)
    return found.group() if found else ""


def _unclaimed(text: str) -> re.Match[str] | None:
    """The first word for something else, unless it belongs to a sequence's own words.

    A table with a row for T1 maps claims "T1 map", which otherwise tells against a series.
    """
    own = [one.span() for pattern in _SEQUENCES.values() for one in pattern.finditer(text)]
    for found in _OTHER.finditer(text):
        if not any(start <= found.start() and found.end() <= end for start, end in own):
            return found
    return None


def rank(text: str) -> int:
    """How well a description fits, to choose among series of one sequence; higher is better."""
    fits = [_SHORT.search(text), _CINE.search(text), _MAGNITUDE.search(text)]
    weights = (4, 2, 1)
    points = sum(weight for weight, fit in zip(weights, fits) if fit)
    return points - (8 if _PHASE.search(text) else 0)

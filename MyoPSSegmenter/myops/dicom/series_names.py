"""What the name of an image or DICOM series tells: sequence, view, and which of two is better."""

from __future__ import annotations

import re

# Searched in this order: "T2_prep_LGE" is an LGE, "t2p_ssfp" a T2-weighted image.
SEQUENCE_WORDS = {
    "lge": r"(de)?lge|d?e?psir|delayed|late[ _-]*(gad\w*|gd|enh\w*)|viab\w*|mde|(?-i:DE)|"
    r"post[ _-]*(con\w*|gd|gad\w*)",
    "t2": r"t2|t2p|t2w|t2[ _-]*(stir|tirm|tse|fse|spair|blade|prep|weighted)|stir|tirm|o?edema",
    "bssfp": r"cine|b?ssfp|trufi|trufisp|true[ _-]*fisp|fiesta|s?b?tfe|b-tfe|bffe|balanced|c0",
}
# Pictures that hold one of those words and are something else.
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


_SEQUENCES = {name: _pattern(words) for name, words in SEQUENCE_WORDS.items()}
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
    """Whether a description names something that is no short-axis stack to be segmented."""
    return bool(other_word(text))


def other_word(text: str) -> str:
    """The word that names something else than a short-axis stack to be segmented; "" if none."""
    found = _OTHER.search(text) or _LONG.search(text)
    if found is None and not _SHORT.search(text):
        found = _OTHER_VIEW.search(text)
    return found.group() if found else ""


def rank(text: str) -> int:
    """How well a description fits, to choose among series of one sequence; higher is better."""
    fits = [_SHORT.search(text), _CINE.search(text), _MAGNITUDE.search(text)]
    weights = (4, 2, 1)
    points = sum(weight for weight, fit in zip(weights, fits) if fit)
    return points - (8 if _PHASE.search(text) else 0)

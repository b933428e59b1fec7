"""What the user should know about a patient's images before they are segmented."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from myops.info import SHIFT_HINT_MM, SLICE_OFFSET_HINT_SHARE, TILT_HINT_DEGREES, describe
from myops.sequences import SEQUENCE_TITLES
from MyoPSSegmenterLib.Runtime.Translation import tr as _

if TYPE_CHECKING:
    from myops.case import Case

FULL_COVER_PERCENT = 100.0


@dataclass(frozen=True)
class ImageCheck:
    """One thing about one sequence.

    Attributes:
        sequence: its name, such as "lge"; empty for the patient as a whole.
        kind: "misalignment", "aligned", "moved", "grid", "resampled", "overlap", "tilt", "slices",
            "spacing", "files" or "image".
        text: one or two sentences for the user.
        resolvable: `PatientLogic.resolve` can do something about it.
        undoable: it tells of something that `PatientLogic.revert` takes back.
    """

    sequence: str
    kind: str
    text: str
    resolvable: bool = False
    undoable: bool = False

    @property
    def isWarning(self) -> bool:
        """Whether it can change results; the others are for information."""
        return self.kind not in ("aligned", "moved", "grid", "resampled")


def checksOfCase(case: Case) -> list[ImageCheck]:
    """Compare the sequences' grids and positions; takes some 100 ms a sequence, in any thread.

    Args:
        case: the images as they stand in the world, transforms applied.

    Returns:
        What differs between the sequences, and what the library warns of, worst first.
    """
    found: list[ImageCheck] = []
    if not case.spacing_known:
        found.append(ImageCheck(case.reference, "spacing", _spacingText(case)))
    described = describe(case)["sequences"]
    for sequence in case.sequences:
        if sequence != case.reference:
            found += _ofSequence(case, sequence, described[sequence])
    # Said better above.
    known = tuple(text for text in (case.spacing_reason, " grid") if text)
    told = {one.note for one in case.registrations}
    for warning in case.warnings:
        if warning not in told and not any(part in warning for part in known):
            found.append(ImageCheck(warning.split(":")[0], "image", titled(warning)))
    return found


def alignedCheck(sequence: str, movedMm: float) -> ImageCheck:
    """That a sequence was moved onto the reference."""
    text = _("{title} was moved by {moved:.1f} mm onto the reference.").format(
        title=SEQUENCE_TITLES[sequence], moved=movedMm
    )
    return ImageCheck(sequence, "aligned", text, undoable=True)


def movedCheck(sequence: str, rightMm: float, downMm: float) -> ImageCheck:
    """That a reader moved a sequence by hand."""
    text = _(
        "{title} was moved by hand: {across:.1f} mm to the {side}, {along:.1f} mm {way}. Look "
        "whether it lies better."
    ).format(
        title=SEQUENCE_TITLES[sequence],
        across=abs(rightMm),
        side=_("left") if rightMm < 0 else _("right"),
        along=abs(downMm),
        way=_("up") if downMm < 0 else _("down"),
    )
    return ImageCheck(sequence, "moved", text, undoable=True)


def resampledCheck(sequence: str) -> ImageCheck:
    """That a copy of a sequence on the reference's grid is used."""
    text = _("{title} is a copy resampled to the grid of the reference.").format(
        title=SEQUENCE_TITLES[sequence]
    )
    return ImageCheck(sequence, "resampled", text, undoable=True)


def shiftedMm(described: Mapping[str, Any]) -> float:
    """How far a sequence lies beside the reference, in mm, from `info.describe`.

    0 where nobody can say it: the spacing is unknown, or the two share too little.
    """
    return 0.0 if described["shift_mm"] is None else float(np.hypot(*described["shift_mm"]))


def _ofSequence(case: Case, sequence: str, described: Mapping[str, Any]) -> list[ImageCheck]:
    title, reference = SEQUENCE_TITLES[sequence], SEQUENCE_TITLES[case.reference]
    found = []
    shift = shiftedMm(described)
    if shift > SHIFT_HINT_MM:
        text = _(
            "{title} seems to lie about {shift:.0f} mm beside {reference}: the patient may "
            "have moved or breathed differently."
        ).format(title=title, shift=shift, reference=reference)
        # What a reader did by hand no search replaces: it is undone first.
        byHand = any(one.by_hand for one in case.registrations if one.sequence == sequence)
        found.append(ImageCheck(sequence, "misalignment", text, resolvable=not byHand))
    tilt = described["tilt_degrees"]
    if tilt > TILT_HINT_DEGREES:
        text = _(
            "The slices of {title} are tilted by {tilt:.0f} degrees against those of "
            "{reference}: both must be short-axis stacks."
        ).format(title=title, tilt=tilt, reference=reference)
        found.append(ImageCheck(sequence, "tilt", text))
    offset = described["slice_offset_mm"]
    if case.spacing_known and offset > SLICE_OFFSET_HINT_SHARE * case.geometry.spacing_mm[2]:
        text = _(
            "Slices of {title} lie up to {offset:.1f} mm from those of {reference}: values "
            "between them are interpolated."
        ).format(title=title, offset=offset, reference=reference)
        found.append(ImageCheck(sequence, "slices", text))
    covered = described["covered_percent"]
    if covered < FULL_COVER_PERCENT:
        found.append(ImageCheck(sequence, "overlap", _overlapText(case, sequence, covered)))
    if not described["same_grid"]:
        text = _(
            "{title} has another grid than {reference}; it is resampled by its position in "
            "the patient for segmentation, and shown as it is."
        ).format(title=title, reference=reference)
        # Outside its field a resampled volume would hold values that nobody measured.
        whole = covered >= FULL_COVER_PERCENT
        found.append(ImageCheck(sequence, "grid", text, resolvable=whole))
    return found


def _overlapText(case: Case, sequence: str, percent: float) -> str:
    title, reference = SEQUENCE_TITLES[sequence], SEQUENCE_TITLES[case.reference]
    empty = int(np.count_nonzero(~case.covered[sequence].any(axis=(1, 2))))
    slices = (
        _(" and none of {empty} of its {count} slices").format(
            empty=empty, count=case.geometry.size_xyz[2]
        )
        if empty
        else ""
    )
    return _(
        "{title} covers {percent:.0f} % of {reference}{slices}; outside it there is no "
        "information from {title}."
    ).format(title=title, percent=percent, reference=reference, slices=slices)


def _spacingText(case: Case) -> str:
    return _(
        "{title}: {reason}, so no mass can be given. Enter the true spacing in the Volumes module."
    ).format(title=SEQUENCE_TITLES[case.reference], reason=case.spacing_reason)


def titled(text: str) -> str:
    """A text of the library ("t2: ...") with the sequence's title in front, as a sentence."""
    sequence, _, rest = text.partition(":")
    text = f"{SEQUENCE_TITLES.get(sequence, sequence)}:{rest}"
    return text if text.endswith(".") else f"{text}."

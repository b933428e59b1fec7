"""Sequences that were moved in the slice plane: by how much, by whom, and by how much more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from myops.errors import InputError
from myops.slice_registration import moved_before
from MyoPSSegmenterLib.Runtime.Translation import tr as _
from MyoPSSegmenterLib.Scene.AlignmentNodes import (
    SAME_MM,
    alignedByMm,
    isByHand,
    isFound,
    moveInWorld,
    removeAlignment,
)

if TYPE_CHECKING:
    import slicer

    from myops.case import Case

# More than a heart is wide: the sequences are of other places then, not of other breath-holds.
MOST_MM = 50.0
# Of a copy on the reference's grid: how the volume that was copied had been moved.
COPIED_SHIFT = "MyoPS.copiedShift"


@dataclass(frozen=True)
class Shift:
    """How a sequence was moved in the slice plane.

    Attributes:
        rightMm, downMm: to the right and downwards as a view shows the slice.
        byHand: a reader did it, or changed what the search had found.
    """

    rightMm: float = 0.0
    downMm: float = 0.0
    byHand: bool = False

    @property
    def isNone(self) -> bool:
        """Whether it moves nothing."""
        return float(np.hypot(self.rightMm, self.downMm)) < SAME_MM


def shiftOf(node: slicer.vtkMRMLScalarVolumeNode, case: Case) -> Shift:
    """What the alignment above a volume does in the slice plane of a case."""
    moved = alignedByMm(node)
    if moved is None:
        return Shift()
    right, down = (float(moved @ axis) for axis in case.geometry.axes[:2])
    return Shift(right, down, isByHand(node))


def shiftTo(
    node: slicer.vtkMRMLScalarVolumeNode, sequence: str, case: Case, rightMm: float, downMm: float
) -> None:
    """Move a volume by hand to this shift from where its header places it.

    Where the search has found another place, a shift of nothing stays too, as the reader's word
    that the header is right; else it takes the alignment away.

    Raises:
        InputError: further than `MOST_MM`.
    """
    length = float(np.hypot(rightMm, downMm))
    if not length <= MOST_MM:  # nor anything that is no number
        raise InputError(
            _(
                "expected a shift of at most {most:.0f} mm, found {length:.0f} mm; check that both "
                "sequences are of one examination"
            ).format(most=MOST_MM, length=length)
        )
    now, (right, down) = shiftOf(node, case), case.geometry.axes[:2]
    moveInWorld(node, sequence, (rightMm - now.rightMm) * right + (downMm - now.downMm) * down)
    if shiftOf(node, case).isNone and not isFound(node):
        removeAlignment(node)


def noteOnCopy(copy: slicer.vtkMRMLScalarVolumeNode, shift: Shift) -> None:
    """A copy of the moved volume stands there without an alignment: keep how it came there."""
    text = None if shift.isNone else f"{shift.rightMm!r} {shift.downMm!r} {int(shift.byHand)}"
    copy.SetAttribute(COPIED_SHIFT, text)


def wholeShiftOf(node: slicer.vtkMRMLScalarVolumeNode, case: Case) -> Shift:
    """The shift of a volume, with that of the volume that it is a copy of."""
    own, copied = shiftOf(node, case), (node.GetAttribute(COPIED_SHIFT) or "").split()
    if not copied:
        return own
    right, down, byHand = (float(word) for word in copied)
    return Shift(own.rightMm + right, own.downMm + down, own.byHand or bool(byHand))


def withShifts(case: Case, volumes: Mapping[str, slicer.vtkMRMLScalarVolumeNode]) -> Case:
    """The case with what was done to its sequences as registrations and warnings."""
    done = tuple(
        moved_before(case, key, (shift.rightMm, shift.downMm), shift.byHand)
        for key, node in volumes.items()
        if not (shift := wholeShiftOf(node, case)).isNone
    )
    if not done:
        return case
    notes = (one.note for one in done)
    return replace(case, registrations=done, warnings=(*case.warnings, *notes))

"""Edits of a whole structure as steps of a session: threshold, expand, shrink, smooth."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from myops.errors import InputError
from myops.refine.prompts import STRUCTURES
from myops.refine.rules import REGIONS
from myops.structures import STRUCTURES as TABLE
from myops.structures import missing_image
from MyoPSSegmenterLib.Runtime.Translation import tr as _
from MyoPSSegmenterLib.Steps.PromptQueue import PromptQueue, QueuedStep

if TYPE_CHECKING:
    from myops.refine.session import Session
    from MyoPSSegmenterLib.Steps.PromptChoice import PromptChoice

Edit = Callable[["Session"], object]
# Values of a slider that follow each other so fast are one step to undo.
SAME_DRAG_S = 1.5


def structures(session: Session | None) -> list[tuple[str, str, str | None]]:
    """Id, title, and why it cannot be corrected here (None if it can) of each structure."""
    return [(name, TABLE[name].title, _whyNot(session, name)) for name in STRUCTURES]


def _whyNot(session: Session | None, structure: str) -> str | None:
    if session is None:
        return None
    missing = missing_image(structure, session.start.assessed)
    return (
        _("{title} cannot be seen without {missing}.").format(
            title=TABLE[structure].title, missing=missing
        )
        if missing
        else None
    )


class StructureEdits:
    """Edits of the chosen structure, each a step in its turn; all return as `PromptQueue.inTurn`.

    `allSlices` False edits the current slice alone.
    """

    def __init__(self, queue: PromptQueue, choice: PromptChoice) -> None:
        self._queue, self._choice = queue, choice
        self._thresholds = ThresholdEdits()

    def threshold(self, value: float, allSlices: bool) -> str:
        """Make the structure what is at least this probable to the networks."""
        slices = self._slices(allSlices)
        return self._queue.inTurn(
            QueuedStep(self._thresholds.edit(self._choice.structure, value, slices))
        )

    def thresholdQuestion(self, session: Session, startedByHand: bool) -> str | None:
        """What to ask before the threshold replaces what the reader did to the structure."""
        structure = self._choice.structure
        if not self._thresholds.replacesWork(session, structure, startedByHand):
            return None
        return _(
            "{title} was corrected by hand. Another certainty replaces it on all slices by "
            "what the networks found, with your corrections of it; Undo brings them back. "
            "Replace it?"
        ).format(title=TABLE[structure].title)

    def grow(self, mm: float, allSlices: bool) -> str:
        """Expand the structure within the slices (mm above 0), or shrink it."""
        edit = grownEdit(self._choice.structure, mm, self._slices(allSlices))
        return self._queue.inTurn(QueuedStep(edit))

    def smooth(self, mm: float, allSlices: bool) -> str:
        """Smooth the structure's border within the slices."""
        edit = smoothedEdit(self._choice.structure, mm, self._slices(allSlices))
        return self._queue.inTurn(QueuedStep(edit))

    def _slices(self, allSlices: bool) -> list[int] | None:
        return None if allSlices else [self._choice.currentSlice]


class ThresholdEdits:
    """Thresholds in a row: while the slider is dragged, each replaces the one before."""

    def __init__(self) -> None:
        self._lastAt = -SAME_DRAG_S
        self._lastSession: Session | None = None
        # Structure to the mask that its last threshold made, of `_lastSession`.
        self._made: dict[str, np.ndarray] = {}

    def replacesWork(self, session: Session, structure: str, startedByHand: bool) -> bool:
        """Whether the structure is other than the networks or the last threshold made it."""
        mask = REGIONS[structure](session.labels)
        made = self._made.get(structure) if session is self._lastSession else None
        if made is not None and np.array_equal(mask, made):
            return False
        return startedByHand or not np.array_equal(mask, REGIONS[structure](session.start.labels))

    def edit(self, structure: str, value: float, slices: Sequence[int] | None) -> Edit:
        """Make a structure what is at least this probable to the networks; see `at_threshold`."""

        def act(session: Session) -> None:
            title = f"{structure} threshold"
            isSame = session is self._lastSession and time.monotonic() - self._lastAt < SAME_DRAG_S
            joined = isSame and (session.history.undo_name or "").startswith(title)
            if joined:
                session.undo()
            try:
                self._apply(session, structure, value, slices, f"{title} {value:.2f}")
            except InputError:
                if joined:
                    session.redo()
                raise
            if session is not self._lastSession:
                self._made = {}
            self._lastAt, self._lastSession = time.monotonic(), session
            self._made[structure] = REGIONS[structure](session.labels)

        return act

    def _apply(
        self,
        session: Session,
        structure: str,
        value: float,
        slices: Sequence[int] | None,
        name: str,
    ) -> None:
        from myops.refine.edits import at_threshold

        labels = at_threshold(
            session.start, session.labels, structure, value, session.rules, slices
        )
        session.accept_labels(labels, name)


def grownEdit(structure: str, mm: float, slices: Sequence[int] | None) -> Edit:
    """Expand a structure (mm above 0), or shrink it; see `myops.refine.edits.grown`."""
    from myops.refine.edits import grown

    return _shaped(grown, structure, mm, slices, "expand" if mm > 0 else "shrink")


def smoothedEdit(structure: str, mm: float, slices: Sequence[int] | None) -> Edit:
    """Smooth a structure's border; see `myops.refine.edits.smoothed`."""
    from myops.refine.edits import smoothed

    return _shaped(smoothed, structure, mm, slices, "smooth")


def _shaped(
    function: Callable[..., np.ndarray],
    structure: str,
    mm: float,
    slices: Sequence[int] | None,
    verb: str,
) -> Edit:
    def act(session: Session) -> None:
        spacing_mm = session.case.geometry.spacing_mm
        chances = session.start.probabilities
        labels = function(session.labels, structure, mm, spacing_mm, session.rules, slices, chances)
        session.accept_labels(labels, f"{verb} {structure}")

    return act

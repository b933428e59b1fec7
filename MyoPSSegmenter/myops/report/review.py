"""What a reader did to an automatic result, as the report shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from myops.labels import scar
from myops.quantify.mass import dice
from myops.refine.label_compression import apply_changes
from myops.worklist.moments import reading_seconds

if TYPE_CHECKING:
    from myops.refine.session import Session, Step

# No label: where it is gone after an edit, the edit changed the voxel.
UNTOUCHED = np.uint16(65535)


@dataclass(frozen=True)
class Mark:
    """A click that was in force at the end, in pixels of a slice.

    Attributes:
        structure: that it belongs to, or does not.
        slice_index: z index on the Case's grid.
        row, column: in pixels.
        positive: "belongs to".
        open: whether its correction can still be changed; the session counts these clicks only.
    """

    structure: str
    slice_index: int
    row: float
    column: float
    positive: bool
    open: bool = True

    def moved(self, rows: int, columns: int) -> Mark:
        """The same click in a crop that starts at a row and a column."""
        return replace(self, row=self.row - rows, column=self.column - columns)


@dataclass(frozen=True)
class Review:
    """A reader's corrections.

    Attributes:
        automatic: uint16 (z, y, x), the label map of the networks.
        from_automatic: False when the session began with labels that were corrected before.
        steps: everything the reader did, in order.
        marks: the clicks in force at the end.
        refiner: name of the network that answered the clicks.
        refiner_sha256: checksum of its weights.
        refiner_terms: of its pack; empty where none are stated, or where it answered nothing.
        dice: of the automatic scar with the corrected one, 0..1; None when both are empty.
        timed: False when the times of the steps are not the reader's, as for prompts that were
            written by hand.
    """

    automatic: np.ndarray
    from_automatic: bool
    steps: tuple[Step, ...]
    marks: tuple[Mark, ...]
    refiner: str
    refiner_sha256: str
    dice: float | None
    timed: bool = True
    refiner_terms: Mapping[str, str] = field(default_factory=dict)

    @property
    def computing_seconds(self) -> float:
        """Time that the machine took to answer."""
        return sum(step.seconds for step in self.steps)

    @property
    def reading_seconds(self) -> float | None:
        """From the beginning of the first step to the end of the last; None when not known."""
        if not self.steps or not self.timed:
            return None
        try:
            return reading_seconds([step.time for step in self.steps], self.steps[0].seconds)
        except ValueError:  # the computer's clock was changed in between
            return None


def review_of(session: Session, automatic: np.ndarray | None = None, timed: bool = True) -> Review:
    """Take from a session what its report shows.

    Args:
        session: after its last step.
        automatic: uint16 (z, y, x), labels of the networks; where the session began if None.
        timed: whether the steps carry the reader's own times.
    """
    start, model = session.start.labels, session.refiner.model
    asked = any(step.confidence is not None for step in session.steps)
    automatic = start if automatic is None else automatic
    return Review(
        automatic=automatic,
        from_automatic=bool(np.array_equal(automatic, start)),
        steps=tuple(session.steps),
        marks=marks_in_force(session.steps, start.shape),
        refiner=model.name,
        refiner_sha256=model.checksum or "",
        dice=dice(scar(automatic), scar(session.labels)),
        timed=timed,
        # Networks that a user has added state none.
        refiner_terms=getattr(model, "terms", {}) if asked else {},
    )


def marks_in_force(steps: Sequence[Step], shape: tuple[int, ...]) -> tuple[Mark, ...]:
    """The clicks that no later step took back, in the order they were given.

    Args:
        steps: of a session.
        shape: of its label map (z, y, x).
    """
    past: list[tuple[Mark, ...]] = [()]
    undone: list[tuple[Mark, ...]] = []
    for step in steps:
        if step.action == "undo":
            undone.append(past.pop())
        elif step.action == "redo":
            past.append(undone.pop())
        elif step.action != "rules":  # no step of the history: undo passes over it
            past.append(_after(step, past[-1], shape))
            undone.clear()
    return past[-1]


def _after(step: Step, marks: tuple[Mark, ...], shape: tuple[int, ...]) -> tuple[Mark, ...]:
    arguments = step.arguments
    if step.action == "accept":
        before = np.full(shape, UNTOUCHED)
        changed = (apply_changes(before, arguments["changes"]) != UNTOUCHED).any(axis=(1, 2))
        return tuple(replace(m, open=m.open and not changed[m.slice_index]) for m in marks)
    if step.action == "wall":
        return marks
    index = arguments["slice_index"]
    if step.action == "prompt":
        structure = arguments["structure"]
        closed = tuple(
            replace(m, open=m.open and (m.slice_index != index or m.structure == structure))
            for m in marks
        )
        return closed + tuple(Mark(structure, index, *point) for point in arguments["points"])
    places = [place for place, m in enumerate(marks) if m.open and m.slice_index == index]
    place = places[arguments["index"]]
    return (*marks[:place], *_moved(marks[place], step.action, arguments), *marks[place + 1 :])


def _moved(mark: Mark, action: str, arguments: Any) -> tuple[Mark, ...]:
    if action == "delete":
        return ()
    return (replace(mark, row=arguments["row"], column=arguments["column"]),)

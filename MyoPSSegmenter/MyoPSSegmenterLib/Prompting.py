"""Prompts between the scene and the session: places, names, and waiting for the encoding."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from myops.refine.prompts import Box
from myops.worklist.timing import ClickRecord

from .ClickIds import ClickIds
from .PromptNodes import PromptNodes
from .SceneBridge import sliceNormal, voxelFromWorld, worldFromVoxel

if TYPE_CHECKING:
    from myops.case import Case

    from .CorrectionLogic import CorrectionLogic

DONE, QUEUED = "done", "queued"
Voxel = tuple[int, float, float]
# The view must show the slices: beyond this angle a click means a place between them.
LARGEST_VIEW_ANGLE_DEG = 30.0
# Waiting prompts are answered over several polls rather than in one long stop.
POLL_S = 0.06
CLOSED = "this click is closed: something else changed its slice"


@dataclass(frozen=True)
class Click:
    """A click that is to be answered.

    Attributes:
        clickId: its name.
        structure: what it is about.
        positive: whether the place belongs to the structure.
        voxel: slice index, row, column on the case's grid.
    """

    clickId: str
    structure: str
    positive: bool
    voxel: Voxel


@dataclass(frozen=True)
class Waiting:
    """Something the reader asked for, in its turn.

    Attributes:
        act: does it and returns the status.
        sliceIndex: that must be encoded first; None for what needs no network.
        click: the click that it is; None for anything else.
    """

    act: Callable[[], str]
    sliceIndex: int | None = None
    click: Click | None = None


class Prompting:
    """The prompts of a case: shown as markups, answered by the session of a `CorrectionLogic`.

    Attributes:
        nodes: the markups.
    """

    def __init__(self, scene: Any, correction: CorrectionLogic, case: Case) -> None:
        self._correction, self._case = correction, case
        self._ids = ClickIds()
        self._waiting: deque[Waiting] = deque()
        self.nodes = PromptNodes(scene, self._added, self._moved, self._removed, self._boxed)

    @property
    def count(self) -> int:
        """How much waits."""
        return len(self._waiting)

    def close(self, empty: bool = True) -> None:
        """End; the markups stay in the scene, without points if `empty`."""
        self._waiting.clear()
        if empty:
            self.nodes.show([])
            self.nodes.showBox(None)
        self.nodes.cleanup()

    # What the reader does

    def click(
        self,
        ras: Sequence[float],
        positive: bool,
        viewNormal: Sequence[float] | None = None,
        clickId: str | None = None,
    ) -> str:
        """Refine the structure by a click; see `CorrectionLogic.addClick`."""
        if viewNormal is not None and self._isOblique(viewNormal):
            return self._ignored("clicks count in the views that show the slices of the heart")
        voxel = self._voxel(ras)
        if voxel is None:
            return self._ignored("the click lies outside the images")
        name = self._ids.new() if clickId is None else clickId
        click = Click(name, self._correction.structure, positive, voxel)
        status = self.inTurn(self._waitingFor(click))
        if clickId is None and status == QUEUED:  # an answered one is shown by the change
            self.show()
        return status

    def box(
        self,
        ras0: Sequence[float],
        ras1: Sequence[float],
        viewNormal: Sequence[float] | None = None,
    ) -> str:
        """Refine the structure by a box around it."""
        first, second = self._voxel(ras0), self._voxel(ras1)
        if viewNormal is not None and self._isOblique(viewNormal):
            return self._ignored("a box counts in the views that show the slices of the heart")
        if first is None or second is None:
            return self._ignored("the box lies outside the images")
        if first[0] != second[0]:
            return self._ignored("the corners of the box lie in different slices")
        structure, k, corners = self._correction.structure, first[0], (*first[1:], *second[1:])
        record = ClickRecord(structure, k, kind="box")
        return self.inTurn(
            Waiting(
                lambda: self._correction.change(lambda s: s.box(structure, k, corners), record), k
            )
        )

    def move(self, clickId: str, ras: Sequence[float]) -> str:
        """Drag a click within its slice; it and the later ones act anew."""
        waiting, place, voxel = self._found(clickId), self._ids.place(clickId), self._voxel(ras)
        if waiting is None and place is None:
            return self._ignored(CLOSED)
        k = waiting.sliceIndex if waiting is not None else place[0]
        if voxel is None or voxel[0] != k:
            self.show()
            return self._ignored("a click can be moved within its slice only")
        if waiting is not None:
            click = waiting.click
            moved = Click(click.clickId, click.structure, click.positive, voxel)
            self._waiting[self._waiting.index(waiting)] = self._waitingFor(moved)
            return QUEUED
        return self.inTurn(Waiting(lambda: self._move(clickId, voxel), k))

    def delete(self, clickId: str) -> str:
        """Take a click away, and what it did."""
        waiting, place = self._found(clickId), self._ids.place(clickId)
        if waiting is not None:
            self._waiting.remove(waiting)
            self.show()
            return DONE
        if place is None:
            return self._ignored(CLOSED)
        return self.inTurn(Waiting(lambda: self._delete(clickId), place[0]))

    # Turns

    def inTurn(self, wanted: Waiting) -> str:
        """Do it now, or when its slice is encoded and everything before it is done."""
        correction = self._correction
        if wanted.sliceIndex is not None and correction.refinerState == "missing":
            return self._ignored(correction.refinerProblem)
        if self._waiting or not self._isReady(wanted):
            self._waiting.append(wanted)
            if wanted.sliceIndex is not None:
                correction.encodeNext(wanted.sliceIndex)
            correction.say("The prompt waits until its slice is prepared.")
            return QUEUED
        return wanted.act()

    def takeBackWaiting(self) -> None:
        """Forget what was asked for last and still waits."""
        self._waiting.pop()
        self.show()

    def answerReady(self) -> None:
        """Do what waited and can be done now, in order; called by every poll."""
        end = time.monotonic() + POLL_S
        while self._waiting and self._isReady(self._waiting[0]) and time.monotonic() < end:
            status = self._waiting.popleft().act()
            if status != DONE:  # refused after all: its point goes
                self.show()

    def giveBack(self) -> None:
        """Forget the prompts that wait for a network that will not come; the other steps follow."""
        kept = [one for one in self._waiting if one.sliceIndex is None]
        if len(kept) < len(self._waiting):
            self._waiting = deque(kept)
            self.show()

    # Markups

    def show(self) -> None:
        """Show the open clicks on the structure, those that wait, and the box of this slice."""
        session, structure = self._correction.session, self._correction.structure
        if session is None:
            return
        open_ = self._ids.follow(session.corrections, structure)
        shown = [(name, p.positive, (k, p.row, p.column)) for name, k, p in open_]
        clicks = [one.click for one in self._waiting if one.click is not None]
        shown += [(c.clickId, c.positive, c.voxel) for c in clicks if c.structure == structure]
        self.nodes.show(
            [(name, positive, worldFromVoxel(self._case, *v)) for name, positive, v in shown]
        )
        self.showBox()

    def showBox(self) -> None:
        """Show the box of the open correction in the current slice."""
        session, k = self._correction.session, self._correction.currentSlice
        correction = session.corrections.get(k) if session is not None else None
        box = None
        if correction is not None and correction.structure == self._correction.structure:
            box = correction.prompts.box
        self.nodes.showBox(None if box is None else self._corners(k, box))

    def _corners(self, k: int, box: Box) -> list[tuple[float, float, float]]:
        rows, columns = (box.row_0, box.row_1), (box.column_0, box.column_1)
        around = ((0, 0), (0, 1), (1, 1), (1, 0))
        return [worldFromVoxel(self._case, k, rows[r], columns[c]) for r, c in around]

    def _added(self, kind: str, clickId: str, ras: Sequence[float], viewNormal: Any = None) -> None:
        """The reader placed a point."""
        act = lambda: self.click(ras, kind == "positive", viewNormal, clickId)  # noqa: E731
        if self._correction.guarded(act) not in (DONE, QUEUED):
            self.nodes.remove(clickId)

    def _moved(self, kind: str, clickId: str, ras: Sequence[float]) -> None:
        self._correction.guarded(lambda: self.move(clickId, ras))

    def _removed(self, kind: str, clickId: str, ras: Sequence[float]) -> None:
        self._correction.guarded(lambda: self.delete(clickId))

    def _boxed(self, ras0: Sequence[float], ras1: Sequence[float], viewNormal: Any = None) -> None:
        self._correction.guarded(lambda: self.box(ras0, ras1, viewNormal))
        self._correction.boxDrawn()

    # Steps

    def _waitingFor(self, click: Click) -> Waiting:
        correction, (k, row, column) = self._correction, click.voxel
        record = ClickRecord(click.structure, k, click.positive)

        def name() -> None:
            self._ids.add(k, click.clickId, len(correction.session.corrections[k].points))

        def act() -> str:
            return correction.change(
                lambda session: session.click(click.structure, k, row, column, click.positive),
                record,
                name,
            )

        return Waiting(act, k, click)

    def _move(self, clickId: str, voxel: Voxel) -> str:
        place = self._ids.place(clickId)
        if place is None:  # closed by what was done while it waited
            return self._ignored(CLOSED)
        record = ClickRecord(self._structureAt(place[0]), place[0], kind="move")
        return self._correction.change(
            lambda session: session.move_click(*place, voxel[1], voxel[2]), record
        )

    def _delete(self, clickId: str) -> str:
        place = self._ids.place(clickId)
        if place is None:
            return self._ignored(CLOSED)
        record = ClickRecord(self._structureAt(place[0]), place[0], kind="delete")
        return self._correction.change(
            lambda session: session.delete_click(*place), record, lambda: self._ids.remove(*place)
        )

    # Small questions

    def _found(self, clickId: str) -> Waiting | None:
        found = (one for one in self._waiting if one.click and one.click.clickId == clickId)
        return next(found, None)

    def _structureAt(self, k: int) -> str:
        return self._correction.session.corrections[k].structure

    def _isReady(self, wanted: Waiting) -> bool:
        k = wanted.sliceIndex
        return k is None or k in self._correction.encodedSlices

    def _voxel(self, ras: Sequence[float]) -> Voxel | None:
        """Slice, row and column of a place; None outside the images."""
        place = voxelFromWorld(self._case, ras)
        shape = self._case.geometry.array_shape
        if not all(-0.5 <= value < size - 0.5 for value, size in zip(place, shape)):
            return None  # also where a coordinate is no number
        return int(np.floor(place[0] + 0.5)), float(place[1]), float(place[2])

    def _isOblique(self, viewNormal: Sequence[float]) -> bool:
        normal = np.asarray(viewNormal, float)
        along = abs(float(normal @ sliceNormal(self._case)))
        length = float(np.linalg.norm(normal))
        return along < np.cos(np.radians(LARGEST_VIEW_ANGLE_DEG)) * length

    def _ignored(self, reason: str) -> str:
        return self._correction.ignored(reason)

"""Prompts between the scene and the session: places, names, and what the session does with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from myops.errors import InputError
from myops.refine.prompts import Box
from myops.worklist.timing import ClickRecord
from MyoPSSegmenterLib.Runtime.Translation import tr as _
from MyoPSSegmenterLib.Scene.PromptNodes import PromptNodes
from MyoPSSegmenterLib.Scene.SceneBridge import sliceNormal, voxelFromWorld, worldFromVoxel
from MyoPSSegmenterLib.Steps.ClickIds import ClickIds
from MyoPSSegmenterLib.Steps.PromptQueue import QUEUED, PromptClick, PromptQueue, QueuedStep, Voxel
from MyoPSSegmenterLib.Steps.SessionEditor import DONE

if TYPE_CHECKING:
    from myops.case import Case
    from myops.refine.session import Session
    from MyoPSSegmenterLib.Steps.PromptChoice import PromptChoice
    from MyoPSSegmenterLib.Steps.SessionEditor import SessionEditor

# The view must show the slices: beyond this angle a click means a place between them.
LARGEST_VIEW_ANGLE_DEG = 30.0
NO_TOOL = _("points correct only while Add or Remove is in hand")
CLOSED = _("this click is closed: something else changed its slice")


class Prompting:
    """The prompts of a case: shown as markups, and asked of the session in their turn.

    Attributes:
        nodes: the markups.
    """

    def __init__(
        self,
        scene: Any,
        case: Case,
        editor: SessionEditor,
        queue: PromptQueue,
        choice: PromptChoice,
    ) -> None:
        """Take over the markups of a scene.

        Args:
            scene: where the markups are.
            case: gives the grid.
            editor: holds the session of this case.
            queue: takes the steps.
            choice: says what a prompt is about.
        """
        self._case, self._editor, self._queue, self._choice = case, editor, queue, choice
        self._ids = ClickIds()
        self.nodes = PromptNodes(scene, self._added, self._moved, self._removed, self._boxed)

    def close(self, empty: bool = True) -> None:
        """End; the markups stay in the scene, without points if `empty`."""
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
            return self._ignored(_("clicks count in the views that show the slices of the heart"))
        voxel = self._voxel(ras)
        if voxel is None:
            return self._ignored(_("the click lies outside the images"))
        name = self._ids.new() if clickId is None else clickId
        click = PromptClick(name, self._choice.structure, positive, voxel)
        status = self._queue.inTurn(self._clickStep(click))
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
            return self._ignored(_("a box counts in the views that show the slices of the heart"))
        if first is None or second is None:
            return self._ignored(_("the box lies outside the images"))
        if first[0] != second[0]:
            return self._ignored(_("the corners of the box lie in different slices"))
        structure, k, corners = self._choice.structure, first[0], (*first[1:], *second[1:])

        def drawBox(session: Session) -> None:
            session.box(structure, k, corners)

        return self._queue.inTurn(QueuedStep(drawBox, k, ClickRecord(structure, k, kind="box")))

    def move(self, clickId: str, ras: Sequence[float]) -> str:
        """Drag a click within its slice; it and the later ones act anew."""
        waiting, k, voxel = self._queue.find(clickId), self._sliceOf(clickId), self._voxel(ras)
        if k is None:
            return self._ignored(CLOSED)
        if voxel is None or voxel[0] != k:
            self.show()
            return self._ignored(_("a click can be moved within its slice only"))
        if waiting is not None:
            self._queue.replace(waiting, self._clickStep(replace(waiting, voxel=voxel)))
            return QUEUED

        def moveClick(session: Session) -> None:
            session.move_click(*self._openPlace(clickId), voxel[1], voxel[2])

        return self._queue.inTurn(QueuedStep(moveClick, k, self._record(k, "move")))

    def delete(self, clickId: str) -> str:
        """Take a click away, and what it did."""
        waiting, k = self._queue.find(clickId), self._sliceOf(clickId)
        if k is None:
            return self._ignored(CLOSED)
        if waiting is not None:
            self._queue.takeBack(waiting)
            return DONE

        def deleteClick(session: Session) -> None:
            found = self._openPlace(clickId)
            session.delete_click(*found)
            self._ids.remove(*found)

        return self._queue.inTurn(QueuedStep(deleteClick, k, self._record(k, "delete")))

    # Markups

    def show(self) -> None:
        """Show the open clicks on the structure, those that wait, and the box of this slice."""
        session, structure = self._editor.session, self._choice.structure
        if session is None:
            return
        open_ = self._ids.follow(session.corrections, structure)
        shown = [(name, p.positive, (k, p.row, p.column)) for name, k, p in open_]
        waiting = [click for click in self._queue.clicks if click.structure == structure]
        shown += [(click.clickId, click.positive, click.voxel) for click in waiting]
        self.nodes.show(
            [(name, positive, worldFromVoxel(self._case, *v)) for name, positive, v in shown]
        )
        self.showBox()

    def showBox(self) -> None:
        """Show the box of the open correction in the current slice."""
        session, k = self._editor.session, self._choice.currentSlice
        correction = session.corrections.get(k) if session is not None else None
        box = None
        if correction is not None and correction.structure == self._choice.structure:
            box = correction.prompts.box
        self.nodes.showBox(None if box is None else self._corners(k, box))

    def _corners(self, k: int, box: Box) -> list[tuple[float, float, float]]:
        rows, columns = (box.row_0, box.row_1), (box.column_0, box.column_1)
        around = ((0, 0), (0, 1), (1, 1), (1, 0))
        return [worldFromVoxel(self._case, k, rows[r], columns[c]) for r, c in around]

    # What the mouse did

    def _added(self, kind: str, clickId: str, ras: Sequence[float], viewNormal: Any = None) -> None:
        """The reader placed a point.

        What other tools of Slicer put into our list, in another module say, corrects nothing.
        """
        if self._choice.placing not in ("positive", "negative"):
            status = self._ignored(NO_TOOL)
        else:
            positive = kind == "positive"
            status = self._editor.guarded(lambda: self.click(ras, positive, viewNormal, clickId))
        if status not in (DONE, QUEUED):
            self.nodes.remove(clickId)

    def _moved(self, kind: str, clickId: str, ras: Sequence[float]) -> None:
        self._editor.guarded(lambda: self.move(clickId, ras))

    def _removed(self, kind: str, clickId: str, ras: Sequence[float]) -> None:
        self._editor.guarded(lambda: self.delete(clickId))

    def _boxed(self, ras0: Sequence[float], ras1: Sequence[float], viewNormal: Any = None) -> None:
        self._editor.guarded(lambda: self.box(ras0, ras1, viewNormal))
        self._choice.boxDrawn()

    # Small questions

    def _clickStep(self, click: PromptClick) -> QueuedStep:
        k, row, column = click.voxel

        def placeClick(session: Session) -> None:
            session.click(click.structure, k, row, column, click.positive)
            self._ids.add(k, click.clickId, len(session.corrections[k].points))

        return QueuedStep(placeClick, k, ClickRecord(click.structure, k, click.positive), click)

    def _sliceOf(self, clickId: str) -> int | None:
        """Slice of a click that waits or is open; None if it is closed."""
        waiting, place = self._queue.find(clickId), self._ids.place(clickId)
        if waiting is not None:
            return waiting.voxel[0]
        return None if place is None else place[0]

    def _openPlace(self, clickId: str) -> tuple[int, int]:
        """Slice and index of an open click, looked up when its step has its turn."""
        place = self._ids.place(clickId)
        if place is None:  # closed by what was done while the step waited
            raise InputError(CLOSED)
        return place

    def _record(self, k: int, kind: str) -> ClickRecord:
        session = self._editor.session
        assert session is not None, "an open click belongs to an open case"
        return ClickRecord(session.corrections[k].structure, k, kind=kind)

    def _voxel(self, ras: Sequence[float]) -> Voxel | None:
        """Slice, row and column of a place; None outside the images."""
        place = voxelFromWorld(self._case, ras)
        shape = self._case.geometry.array_shape
        if not all(-0.5 <= value < size - 0.5 for value, size in zip(place, shape)):
            return None  # also where a coordinate is not a number
        return int(np.floor(place[0] + 0.5)), float(place[1]), float(place[2])

    def _isOblique(self, viewNormal: Sequence[float]) -> bool:
        normal = np.asarray(viewNormal, float)
        along = abs(float(normal @ sliceNormal(self._case)))
        length = float(np.linalg.norm(normal))
        return along < np.cos(np.radians(LARGEST_VIEW_ANGLE_DEG)) * length

    def _ignored(self, reason: str) -> str:
        return self._editor.ignored(reason)

"""The steps that the reader asked for, in turn: some wait until their slice is encoded."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from MyoPSSegmenterLib.Runtime.Translation import tr as _
from MyoPSSegmenterLib.Steps.SessionEditor import DONE

if TYPE_CHECKING:
    from myops.refine.session import Session
    from myops.worklist.timing import ClickRecord
    from MyoPSSegmenterLib.Steps.RefinerLoader import RefinerLoader
    from MyoPSSegmenterLib.Steps.SessionEditor import SessionEditor

QUEUED = "queued"
Voxel = tuple[int, float, float]
# Waiting steps are done over several polls rather than in one long stop.
POLL_S = 0.06


@dataclass(frozen=True)
class PromptClick:
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
class QueuedStep:
    """One thing that the reader asked for.

    Attributes:
        act: what the session has to do.
        sliceIndex: that must be encoded first; None for what needs no network.
        record: gets the times, for a prompt.
        click: the click that it is; None for anything else.
    """

    act: Callable[[Session], object]
    sliceIndex: int | None = None
    record: ClickRecord | None = None
    click: PromptClick | None = None


class PromptQueue:
    """Does a step at once, or when its slice is encoded and everything before it is done."""

    def __init__(
        self, editor: SessionEditor, loader: RefinerLoader, redraw: Callable[[], object]
    ) -> None:
        """Begin with nothing that waits.

        Args:
            editor: does the steps.
            loader: says which slices are encoded.
            redraw: called when a prompt that is shown was refused or forgotten.
        """
        self._editor, self._loader, self._redraw = editor, loader, redraw
        self._waiting: deque[QueuedStep] = deque()

    @property
    def count(self) -> int:
        """How much waits."""
        return len(self._waiting)

    @property
    def clicks(self) -> list[PromptClick]:
        """The clicks that wait, in their order."""
        return [step.click for step in self._waiting if step.click is not None]

    def inTurn(self, step: QueuedStep) -> str:
        """Do it now, or in its turn.

        Returns:
            "done", "queued", or "ignored: " and why.
        """
        if step.sliceIndex is not None and self._loader.state == "missing":
            return self._editor.ignored(self._loader.problem)
        if not self._waiting and self._isReady(step):
            return self._do(step)
        self._waiting.append(step)
        if step.sliceIndex is not None:
            self._loader.look(step.sliceIndex, first=True)
        self._editor.say(_("The prompt waits until its slice is prepared."))
        if step.sliceIndex is not None:
            self._editor.tell("history")
        return QUEUED

    def answerReady(self) -> None:
        """Do what waited and can be done now, in order; called by every poll."""
        end = time.monotonic() + POLL_S
        while self._waiting and self._isReady(self._waiting[0]) and time.monotonic() < end:
            self._do(self._waiting.popleft())

    def find(self, clickId: str) -> PromptClick | None:
        """A click that waits; None if it does not."""
        return next((click for click in self.clicks if click.clickId == clickId), None)

    def replace(self, click: PromptClick, step: QueuedStep) -> None:
        """A step takes the place of a click that waits."""
        self._waiting[self._place(click)] = step

    def takeBack(self, click: PromptClick | None = None) -> None:
        """Forget a click that waits; the last step of any kind if None."""
        if click is None:
            self._waiting.pop()
        else:
            del self._waiting[self._place(click)]
        self._redraw()

    def giveBack(self) -> None:
        """Forget the prompts that wait for a network that will not come; the other steps follow."""
        kept = [step for step in self._waiting if step.sliceIndex is None]
        if len(kept) < len(self._waiting):
            self._waiting = deque(kept)
            self._redraw()

    def clear(self) -> None:
        """Forget all that waits."""
        self._waiting.clear()

    # Back and forth

    @property
    def undoName(self) -> str | None:
        """What `undo` would take back; None if nothing."""
        if self._waiting:
            return "waiting click"
        session = self._editor.session
        return None if session is None else session.history.undo_name

    @property
    def redoName(self) -> str | None:
        """What `redo` would bring back; None if nothing."""
        session = self._editor.session
        return None if session is None else session.history.redo_name

    def undo(self) -> str:
        """Take the last step back, in all slices; a waiting one first."""
        self._editor.adoptIfEdited()
        if self._waiting:
            self.takeBack()
            self._editor.status = ""
            self._editor.tell("prompts", "history")
            return DONE
        if self.undoName is None:
            return self._editor.ignored(_("there is nothing to undo"))
        return self.inTurn(QueuedStep(lambda session: session.undo()))

    def redo(self) -> str:
        """Bring the last undone step back."""
        self._editor.adoptIfEdited()
        if self.redoName is None:
            return self._editor.ignored(_("there is nothing to redo"))
        return self.inTurn(QueuedStep(lambda session: session.redo()))

    def _do(self, step: QueuedStep) -> str:
        status = self._editor.change(step.act, step.record)
        if status != DONE:  # its point goes, or goes back to where it was
            self._redraw()
        return status

    def _place(self, click: PromptClick) -> int:
        return [step.click for step in self._waiting].index(click)

    def _isReady(self, step: QueuedStep) -> bool:
        return step.sliceIndex is None or step.sliceIndex in self._loader.encoded

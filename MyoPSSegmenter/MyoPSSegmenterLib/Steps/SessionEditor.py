"""The session of the open case and the node that shows it: changed together, or not at all."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from myops.errors import InputError
from myops.refine.rules import FIRST_RULES, Rules
from MyoPSSegmenterLib.Runtime.BackgroundWork import inWords
from MyoPSSegmenterLib.Runtime.Translation import tr as _

if TYPE_CHECKING:
    from myops.case import Case
    from myops.refine.session import Session
    from myops.worklist.timing import ClickRecord
    from MyoPSSegmenterLib.Runtime.Events import Events
    from MyoPSSegmenterLib.Scene.LabelNode import LabelNode

DONE = "done"
logger = logging.getLogger(__name__)


class SessionEditor:
    """Lets the session do something; then the node, the listeners and the status line follow.

    Attributes:
        session, case, shown: the open case and the node that shows it; None while none is open.
        rules: what a correction may touch; kept from case to case.
        startedByHand: whether the case began with manual work.
        status: the last sentence about a prompt, for a status line; empty when all went well.
        lastTiming: "decode", "write", "measure" and "total" in ms of the last prompt.
        clickTimings: one `ClickRecord` for each prompt since the case was opened.
    """

    session: Session | None
    case: Case | None
    shown: LabelNode | None
    status: str
    startedByHand: bool
    lastTiming: dict[str, float]
    clickTimings: list[ClickRecord]

    def __init__(self, events: Events, follow: Callable[[], object]) -> None:
        """Begin without a case.

        Args:
            events: hear of every change.
            follow: called after each change, when the labels are told and before the prompts are.
        """
        self._events, self._followed = events, follow
        self.rules: Rules = FIRST_RULES
        self._forget()

    @property
    def labels(self) -> np.ndarray | None:
        """The present label map, uint16 (z, y, x), read-only; None without a case."""
        return None if self.session is None else self.session.labels

    @property
    def hasManualWork(self) -> bool:
        """Whether the reader changed something that another run would not give back."""
        if self.session is None:
            return False
        self.adoptIfEdited()
        changed = not np.array_equal(self.session.labels, self.session.start.labels)
        return changed or bool(self.session.corrections) or self.startedByHand

    def open(self, session: Session, case: Case, shown: LabelNode, byHand: bool) -> None:
        """Take a case whose labels the node shows already; see `CorrectionLogic.start`."""
        self._forget()
        self.session, self.case, self.shown = session, case, shown
        self.startedByHand, self.rules = byHand, session.rules

    def close(self) -> None:
        """Forget the case; its node stays as it is."""
        if self.shown is not None:
            self.shown.close()
        self._forget()

    def setRules(self, rules: Rules) -> None:
        """Choose what the next corrections may touch."""
        self.rules = rules
        if self.session is not None and self.session.rules != rules:
            self.session.rules = rules
            self.tell("prompts", "history")

    # Changes

    def change(self, act: Callable[[Session], object], record: ClickRecord | None = None) -> str:
        """Let the session do something; then everything that shows it follows.

        Args:
            act: what to do; where it is refused nothing changes.
            record: gets the times, for a prompt.

        Returns:
            "done", or "ignored: " and why.
        """
        session = self.session
        if session is None:
            return self.withoutCase()
        began = time.perf_counter()
        self.adoptIfEdited()
        before, times = session.labels, [time.perf_counter()]
        try:
            act(session)
        except Exception as error:  # a network can fail in many ways; the session is as it was
            if not isinstance(error, InputError):
                logger.error("A correction failed", exc_info=error)
            return self.ignored(inWords(error))
        times.append(time.perf_counter())
        self._write(session.labels, before)
        self.status = ""  # before any listener reads it
        self._follow(times)
        if record is not None:
            self._time(record, began, times)
        return DONE

    def adoptNodeEdits(self) -> bool:
        """Take over what another tool, such as the Segment Editor, did to the node.

        Returns:
            Whether it differs from the session.
        """
        if self.session is None or self.shown is None:
            return False
        labels = self.shown.read(self.session.labels)
        if np.array_equal(labels, self.session.labels):
            return False
        self.session.accept_labels(labels, "edit in the Segment Editor")
        self.status = ""
        self._follow()
        return True

    def adoptIfEdited(self) -> None:
        """What another tool painted comes before the next step, never under it."""
        if self.shown is not None and self.shown.isEdited:
            self.adoptNodeEdits()

    def adoptWhenAtRest(self) -> None:
        """Take an edit of another tool over once it is complete; called by every poll."""
        if self.shown is not None and self.shown.isAtRest:
            self.guarded(lambda: str(self.adoptNodeEdits()))

    # Words

    def guarded(self, function: Callable[[], str]) -> str:
        """Nothing is raised into VTK or a timer: what went wrong is said and logged."""
        try:
            return function()
        except Exception as error:
            logger.error("A correction failed", exc_info=error)
            return self.ignored(inWords(error))

    def ignored(self, reason: str) -> str:
        """Say why nothing was done."""
        self.say(reason[:1].upper() + reason[1:] + ("" if reason.endswith(".") else "."))
        return f"ignored: {reason}"

    def withoutCase(self) -> str:
        """Say that no case is open."""
        return self.ignored(_("there is no segmentation yet"))

    def say(self, text: str) -> None:
        """Show a sentence in the status line."""
        self.status = text
        self._events.message(text)
        self.tell("prompts")

    def tell(self, *topics: str) -> None:
        """Tell the listeners of these topics."""
        for topic in topics:
            values: dict[str, Any] = {"labels": self.labels} if topic == "labels" else {}
            self._events.emit(topic, **values)

    # What follows a change

    def _write(self, labels: np.ndarray, before: np.ndarray) -> None:
        if self.shown is not None:
            self.shown.write(labels, before)

    def _follow(self, times: list[float] | None = None) -> None:
        """Tell all who follow that the node shows other labels.

        Args:
            times: gets the moments after writing and after measuring.
        """
        moments = [] if times is None else times
        moments.append(time.perf_counter())
        self.tell("labels")
        moments.append(time.perf_counter())
        self._followed()
        self.tell("prompts", "history")

    def _time(self, record: ClickRecord, began: float, times: list[float]) -> None:
        spent = [1000 * (end - start) for start, end in pairwise(times)]
        record.decode_ms, record.write_ms, record.measure_ms = spent
        record.total_ms = 1000 * (time.perf_counter() - began)
        self.clickTimings.append(record)
        names = ("decode", "write", "measure", "total")
        self.lastTiming = dict(zip(names, (*spent, record.total_ms), strict=True))

    def _forget(self) -> None:
        self.session = self.case = self.shown = None
        self.startedByHand, self.status = False, ""
        self.lastTiming, self.clickTimings = {}, []

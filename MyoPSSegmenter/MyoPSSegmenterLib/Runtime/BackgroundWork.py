"""One thread for long work. What it finds is taken over by `poll` on the main thread.

The functions that run in the thread never touch the scene. Whoever owns the event loop calls `poll`
from a timer: it alone calls back, so nodes change on the main thread only.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from myops.errors import InputError
from myops.progress import Progress
from MyoPSSegmenterLib.Runtime.Translation import tr as _

if TYPE_CHECKING:
    from MyoPSSegmenterLib.Runtime.Events import Events

Function = Callable[[Progress, Callable[[], bool]], Any]

QUEUED, RUNNING, DONE, CANCELLED, FAILED = "queued", "running", "done", "cancelled", "failed"
# Below this fraction an estimate of the remaining time would jump about.
LEAST_FRACTION = 0.03
# How long `close` waits for the thread: a chunk of slices on a slow machine.
CLOSING_S = 5.0
# How often those who wait for a task look again.
WAIT_S = 0.01
logger = logging.getLogger(__name__)


def _nothing(progress: Progress, cancelled: Callable[[], bool]) -> None:
    """What a task that is over does."""


class Task:
    """Work that was submitted.

    Attributes:
        title: what is done, for the user.
        fraction: finished part, 0..1.
        stage: the step it is at, a word.
        result: what the function returned; None before it is done.
        error: why it failed; None otherwise.
    """

    def __init__(self, title: str, function: Function, replaces: str | None = None) -> None:
        self.title = title
        self.fraction = 0.0
        self.stage = ""
        self.result: Any = None
        self.error: Exception | None = None
        self._state = QUEUED
        self._function = function
        self._replaces = replaces
        self._done: Callable[[Any], object] | None = None
        self._failed: Callable[[Exception], object] | None = None
        self._cancelRequested = threading.Event()
        self._began = self._progressed = time.monotonic()

    @property
    def state(self) -> str:
        """One of "queued", "running", "done", "cancelled" and "failed".

        A task counts as running until `poll` has taken its result over; a canceled one stays so,
        whatever the thread is still doing.
        """
        if self._cancelRequested.is_set() and self._state not in (DONE, FAILED):
            return CANCELLED
        return self._state

    @property
    def isOver(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in (DONE, CANCELLED, FAILED)

    @property
    def remainingSeconds(self) -> float | None:
        """Estimate from the finished fraction; None while there is nothing to estimate from."""
        fraction = self.fraction
        if self.state != RUNNING or fraction < LEAST_FRACTION:
            return None
        needed = (self._progressed - self._began) * (1 - fraction) / fraction
        return max(0.0, needed - (time.monotonic() - self._progressed))

    def _begin(self) -> None:
        self._began = self._progressed = time.monotonic()
        self._state = RUNNING

    def _release(
        self,
    ) -> tuple[Callable[[Any], object] | None, Callable[[Exception], object] | None]:
        """Give the callbacks away: who keeps the task keeps no images and networks with it."""
        called = self._done, self._failed
        self._done = self._failed = None
        self._function = _nothing
        return called

    def _progress(self, fraction: float, stage: str) -> None:
        self.fraction, self.stage = min(max(float(fraction), 0.0), 1.0), stage
        self._progressed = time.monotonic()


class BackgroundWork:
    """A queue, one thread, and `poll`.

    All methods are for the main thread; only submitted functions run in the other one.
    """

    def __init__(self, events: Events | None = None) -> None:
        """Begin; the thread starts with the first task.

        Args:
            events: gets "work" whenever something changed, and "message" for a failure that nobody
                else handles.
        """
        self._events = events
        self._queue = _Queue()
        self._thread: threading.Thread | None = None
        self._polled: list[Callable[[], object]] = []
        self._shown: tuple[object, ...] = ()
        self._polling = False

    def submit(
        self,
        title: str,
        function: Function,
        done: Callable[[Any], object] | None = None,
        failed: Callable[[Exception], object] | None = None,
        replaces: str | None = None,
        first: bool = False,
    ) -> Task:
        """Run a function in the background.

        Args:
            title: what is done, for the user.
            function: called in the thread as function(progress, cancelled): progress(fraction,
                stage) tells how far it is, cancelled() whether to stop. It must not touch the
                scene.
            done: called by `poll` with what the function returned.
            failed: called by `poll` with its error; without it the error becomes a message.
            replaces: a task of this key that still waits is dropped: the newest wins.
            first: goes before what waits, for short work that the user waits for.

        Returns:
            The task.

        Raises:
            RuntimeError: after `close`.
        """
        task = Task(title, function, replaces)
        task._done, task._failed = done, failed
        for dropped in self._queue.put(task, first):
            dropped._cancelRequested.set()
        if self._thread is None:
            self._thread = threading.Thread(
                target=_run, args=(self._queue,), name="MyoPS background work", daemon=True
            )
            # A forgotten object still ends its thread.
            weakref.finalize(self, self._queue.close)
            self._thread.start()
        self._tell()
        return task

    @property
    def running(self) -> Task | None:
        """The task that is at work, or whose result waits for `poll`; None if there is none."""
        return self._queue.current

    @property
    def isBusy(self) -> bool:
        """Whether anything runs, waits, or waits to be taken over."""
        return self._queue.isBusy

    def whenPolled(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call a function at the end of every `poll`; returns the function that ends this."""
        self._polled.append(callback)

        def disconnect() -> None:
            if callback in self._polled:
                self._polled.remove(callback)

        return disconnect

    def whenEnded(self, callback: Callable[[], object]) -> None:
        """Call a function, in the other thread, when a task has ended and waits for `poll`.

        For a front end without a timer, which sleeps until then.
        """
        self._queue.whenEnded = callback

    def poll(self, giveMs: float = 0) -> None:
        """Take over what is finished; called by a timer.

        Args:
            giveMs: wait so long, or until a task ends, while work runs. In desktop Slicer the main
                thread keeps the interpreter to itself while its event loop is idle, and the other
                thread gets on only while something here waits.
        """
        if self._polling:  # a callback that polls, by a modal dialog say, must not nest
            return
        self._polling = True
        try:
            if giveMs > 0 and self._queue.isWorking:
                self._queue.waitForEnd(giveMs / 1000)
            errors = self._takeOver()
            for callback in tuple(self._polled):
                if callback in self._polled:  # not disconnected meanwhile
                    errors += _errorOf(callback)
            self._tell()
        finally:
            self._polling = False
        if errors:
            raise errors[0]

    def cancel(self, task: Task | None = None) -> None:
        """Give up a task, or all; nothing of it is published from now on.

        The function itself goes on until it asks `cancelled()`; its result is dropped.
        """
        tasks = self._queue.all() if task is None else [task]
        for one in tasks:
            if not one.isOver:
                one._cancelRequested.set()
                self._queue.drop(one)
        self._tell()

    def waitFor(self, task: Task, timeout_s: float = 60.0) -> Task:
        """Poll until a task is over; for scripts, tests, and short writing before a case is left.

        It may be called by a callback of another task.

        Raises:
            TimeoutError: it is not over by then.
        """
        end = time.monotonic() + timeout_s
        while not task.isOver:
            if time.monotonic() > end:
                raise TimeoutError(f"{task.title}: expected an end within {timeout_s} s")
            self._wait()
        return task

    def waitForAll(self, timeout_s: float = 60.0) -> None:
        """Poll until nothing runs or waits; for scripts and tests.

        Raises:
            TimeoutError: something is still at work by then.
        """
        end = time.monotonic() + timeout_s
        while self.isBusy:
            if time.monotonic() > end:
                raise TimeoutError(f"expected the work to end within {timeout_s} s")
            self._wait()
        if not self._polling:
            self.poll()

    def close(self) -> None:
        """Cancel everything and end the thread; no callback is called any more."""
        self.cancel()
        self._polled.clear()
        self._queue.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(CLOSING_S)
        while self._queue.takeEnded() is not None:
            pass

    def _takeOver(self) -> list[Exception]:
        """Call back for all that has ended; an error of one callback does not stop the others.

        One after another is taken from the queue, so that a callback which waits for another task
        finds it there.
        """
        errors = []
        while (ended := self._queue.takeEnded()) is not None:
            errors += _errorOf(partial(self._end, *ended))
        return errors

    def _wait(self) -> None:
        """Give the thread some time and take over what it finished, also inside a callback."""
        self._queue.waitForEnd(WAIT_S)
        if not self._polling:
            self.poll()
        elif errors := self._takeOver():
            raise errors[0]

    def _end(self, task: Task, result: Any, error: Exception | None) -> None:
        done, failed = task._release()
        if task.state == CANCELLED:
            return
        if error is None:
            try:
                task.result, task._state = result, DONE
                if done is not None:
                    done(result)
                return
            except Exception as found:
                error = found
        task.result, task.error, task._state = None, error, FAILED
        if not isinstance(error, InputError):
            logger.error("%s failed", task.title, exc_info=error)
        if failed is not None:
            failed(error)
        elif self._events is not None:
            self._events.message(
                _("{title}: {reason}").format(title=task.title, reason=inWords(error)), "error"
            )

    def _tell(self) -> None:
        """Emit "work" if a front end would show something else than before."""
        if self._events is None:
            return
        task = self.running
        shown = (
            task,
            task and task.state,
            task and task.fraction,
            task and task.stage,
            self.isBusy,
        )
        if shown != self._shown:
            self._shown = shown
            self._events.emit("work")


def inWords(error: Exception) -> str:
    """An error as a sentence for the user."""
    if isinstance(error, InputError):
        return str(error)
    return _("unexpected {kind}: {error}. The log holds the details.").format(
        kind=type(error).__name__, error=error
    )


def _errorOf(callback: Callable[[], object]) -> list[Exception]:
    try:
        callback()
    except Exception as error:
        return [error]
    return []


class _Queue:
    """What waits, what runs and what has ended; shared by the two threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[Task] = deque()
        self._current: Task | None = None
        self._ended: deque[tuple[Task, Any, Exception | None]] = deque()
        self._closed = False
        self.whenEnded: Callable[[], object] | None = None

    @property
    def current(self) -> Task | None:
        with self._changed:
            tasks = [*(task for task, _, _ in self._ended), self._current]
            return next((task for task in tasks if task is not None and not task.isOver), None)

    @property
    def isWorking(self) -> bool:
        with self._changed:
            return self._current is not None or bool(self._waiting)

    @property
    def isBusy(self) -> bool:
        with self._changed:
            return self._current is not None or bool(self._waiting) or bool(self._ended)

    def all(self) -> list[Task]:
        with self._changed:
            current = [] if self._current is None else [self._current]
            return [*(task for task, _, _ in self._ended), *current, *self._waiting]

    def put(self, task: Task, first: bool) -> list[Task]:
        """Add a task; returns those it replaces."""
        with self._changed:
            if self._closed:
                raise RuntimeError("expected work before close(), found it closed: make a new one")
            key = task._replaces
            dropped = [t for t in self._waiting if key is not None and t._replaces == key]
            for one in dropped:
                self._waiting.remove(one)
            if first:
                self._waiting.appendleft(task)
            else:
                self._waiting.append(task)
            self._changed.notify_all()
            return dropped

    def drop(self, task: Task) -> None:
        with self._changed:
            if task in self._waiting:
                self._waiting.remove(task)

    def take(self) -> Task | None:
        """The next task, for the thread; waits for one. None when closed."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            self._current = self._waiting.popleft()
            return self._current

    def end(self, task: Task, result: Any, error: Exception | None) -> None:
        with self._changed:
            self._current = None
            self._ended.append((task, result, error))
            self._changed.notify_all()
        if self.whenEnded is not None:
            self.whenEnded()

    def takeEnded(self) -> tuple[Task, Any, Exception | None] | None:
        """The task that ended first, with its result or error; None if all are taken over."""
        with self._changed:
            return self._ended.popleft() if self._ended else None

    def waitForEnd(self, seconds: float) -> None:
        with self._changed:
            if not self._ended:
                self._changed.wait_for(lambda: bool(self._ended), seconds)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()


def _run(queue: _Queue) -> None:
    """The thread: one task after the other. It holds the queue alone, so that its owner can die."""
    while (task := queue.take()) is not None:
        result, error = None, None
        if not task.isOver:
            task._begin()
            try:
                result = task._function(task._progress, task._cancelRequested.is_set)
            except Exception as found:
                error = found
        queue.end(task, result, error)
        del task, result, error  # nothing is kept alive while waiting

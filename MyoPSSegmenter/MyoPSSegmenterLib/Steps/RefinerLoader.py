"""The refiner of a case: loaded and encoded in the background, the slices looked at first."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from MyoPSSegmenterLib.Runtime.BackgroundWork import inWords
from MyoPSSegmenterLib.Runtime.Devices import hasTorch, usableDevice
from MyoPSSegmenterLib.Runtime.Translation import tr as _

if TYPE_CHECKING:
    from myops.case import Case
    from myops.refine.refiner import Refiner
    from myops.segmentation import Segmentation
    from MyoPSSegmenterLib.Runtime.BackgroundWork import BackgroundWork, Task
    from MyoPSSegmenterLib.Runtime.Events import Events

ENCODING = _("encoding")  # looked up once, not for each slice
NO_TORCH = _(
    "Clicks and boxes need PyTorch, which is not installed: press Install. Thresholds, the "
    "Segment Editor, undo and export work without it."
)
# A slice of a large network takes seconds: between portions other work gets its turn.
PORTION_S = 0.25


class RefinerLoader:
    """Loads a refiner, gives it a case, and encodes slice after slice.

    Attributes:
        state: "none" (no case), "loading", "ready" (slices may still be missing) or "missing".
        problem: why there is no refiner, as sentences; empty otherwise.
        refiner: at the case; None before it is ready.
    """

    def __init__(self, events: Events, work: BackgroundWork) -> None:
        self._events, self._work = events, work
        self.state = "none"
        self.problem = ""
        self.refiner: Refiner | None = None
        self._count = 0
        self._center = 0
        self._wanted: list[int] = []
        self._loaded: tuple[tuple[str, str], Any, str | None] | None = None
        self._task: Task | None = None
        self._ready: Callable[[Refiner], object] | None = None
        self._failed: Callable[[str], object] | None = None

    @property
    def encoded(self) -> frozenset[int]:
        """Slices in which a click is answered at once."""
        return frozenset() if self.refiner is None else self.refiner.encoded

    def begin(
        self,
        case: Case,
        segmentation: Segmentation,
        model: tuple[str, str],
        ready: Callable[[Refiner], object],
        failed: Callable[[str], object],
    ) -> None:
        """Load and encode; an earlier case is given up.

        Args:
            case: the images.
            segmentation: the automatic result, as for `Refiner.set_case`.
            model: device and name, as for `load_refiner`.
            ready: called on the main thread with the refiner at the case.
            failed: called on the main thread with the reason, as sentences.
        """
        self.end()
        self._ready, self._failed = ready, failed
        self._count = case.geometry.array_shape[0]
        if not hasTorch():
            self._giveUp(NO_TORCH)
            return
        self.state = "loading"
        loaded = self._loaded

        def load(progress: Any, cancelled: Any) -> Any:
            from myops.refine.refiner import Refiner, load_refiner

            found = loaded
            if found is None or found[0] != model:
                device, note = usableDevice(model[0])
                found = (model, load_refiner(device, model[1]), note)
            refiner = Refiner(found[1])
            refiner.set_case(case, segmentation)
            return found, refiner

        self._task = self._work.submit(
            _("Preparing corrections"), load, self._arrived, self._refused, first=True
        )

    def look(self, index: int, first: bool = False) -> None:
        """Encode the slices around this one next.

        Args:
            index: z index on the case's grid.
            first: a click waits there: before all others.
        """
        self._center = int(index)
        if first and index not in self._wanted:
            self._wanted.append(int(index))
        self._goOn()

    def end(self) -> None:
        """Give the case up; the loaded network is kept for the next one."""
        if self._task is not None:
            self._work.cancel(self._task)
        self._task, self.refiner, self._ready, self._failed = None, None, None, None
        self._wanted = []
        self.state, self.problem = "none", ""

    def _arrived(self, result: Any) -> None:
        news = self._loaded is not result[0]
        self._loaded, self.refiner = result
        self._task, self.state = None, "ready"
        if news and result[0][2] is not None:
            self._events.message(result[0][2], "warning")
        if self._ready is not None:
            self._ready(result[1])
        self._goOn()

    def _refused(self, error: Exception) -> None:
        self._task = None
        self._giveUp(NO_TORCH if isinstance(error, ImportError) else inWords(error))

    def _giveUp(self, reason: str) -> None:
        self.state, self.problem, self.refiner = "missing", reason, None
        if self._failed is not None:
            self._failed(reason)

    def _missing(self, refiner: Refiner) -> list[int]:
        """Slices to encode: those with waiting clicks, then outward from the current one.

        Also called in the other thread: it only reads.
        """
        wanted, encoded = self._wanted, refiner.encoded
        left = [index for index in range(self._count) if index not in encoded]
        return sorted(left, key=lambda k: (k not in wanted, abs(k - self._center)))

    def _goOn(self) -> None:
        refiner = self.refiner
        if refiner is None or (self._task is not None and not self._task.isOver):
            return
        missing = self._missing(refiner)
        if not missing:
            return

        def encode(progress: Any, cancelled: Any) -> None:
            end = time.monotonic() + PORTION_S
            while (left := self._missing(refiner)) and time.monotonic() < end:
                progress(1 - len(left) / self._count, ENCODING)
                refiner.encode(left[:1], cancelled=cancelled)

        urgent = missing[0] in self._wanted or len(missing) == self._count
        self._task = self._work.submit(
            _("Preparing corrections"), encode, self._portion, self._refused, first=urgent
        )

    def _portion(self, _: object) -> None:
        self._task = None
        self._goOn()

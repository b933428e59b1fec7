"""Where a reader's time goes: seconds by stage, without the time that nobody was there."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from myops.errors import InputError
from myops.io.json_fields import amount

# What a reading is divided into.
STAGES = ("load", "automatic", "correct", "review", "save")
# The machine works here: a reader who waits is not idle.
MACHINE_STAGES = frozenset({"automatic"})
IDLE_AFTER_S = 30.0


class StageClock:
    """Counts the seconds of each stage while a case is open.

    Time since the last sign of the reader counts up to `idle_after_s`; what goes beyond is idle
    time and belongs to no stage. The machine's own stages are never idle.
    """

    def __init__(
        self, now: Callable[[], float] = time.monotonic, idle_after_s: float = IDLE_AFTER_S
    ) -> None:
        """Begin with nothing counted and nothing running.

        Args:
            now: a clock in s that only goes forward.
            idle_after_s: how long a reader may think without a sign.
        """
        self._now, self._idle_after_s = now, idle_after_s
        self._seconds: dict[str, float] = {}
        self._idle = 0.0
        self._stage: str | None = None
        self._since = 0.0

    @property
    def stage(self) -> str | None:
        """The stage that is running; None while the clock is paused."""
        return self._stage

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of each stage so far, the running one included."""
        active, _ = self._running()
        found = dict(self._seconds)
        if self._stage is not None:
            found[self._stage] = found.get(self._stage, 0.0) + active
        return found

    @property
    def idle_seconds(self) -> float:
        """Seconds in which nobody was there."""
        return self._idle + self._running()[1]

    def start(self, stage: str) -> None:
        """Begin a stage and end the running one.

        Raises:
            ValueError: no such stage.
        """
        if stage not in STAGES:
            raise ValueError(f"expected a stage among {', '.join(STAGES)}, found {stage!r}")
        self.touch()
        self._stage, self._since = stage, self._now()

    def touch(self) -> None:
        """Note a sign of the reader: a click, a key, a moved mouse."""
        if self._stage is None:
            return
        active, idle = self._running()
        self._seconds[self._stage] = self._seconds.get(self._stage, 0.0) + active
        self._idle += idle
        self._since = self._now()

    def pause(self) -> None:
        """Count nothing until the next `start`: the case is closed, or the reader left."""
        self.touch()
        self._stage = None

    def stop(self) -> dict[str, float]:
        """Pause, and return the seconds of each stage."""
        self.pause()
        return self.seconds

    def to_dict(self) -> dict[str, Any]:
        """JSON values: seconds of each stage, idle seconds, and the limit."""
        return {
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "idle_seconds": round(self.idle_seconds, 3),
            "idle_after_s": self._idle_after_s,
        }

    @classmethod
    def from_dict(
        cls, values: Mapping[str, Any], now: Callable[[], float] = time.monotonic
    ) -> StageClock:
        """Go on counting where `to_dict` ended; nothing runs until `start`.

        Raises:
            InputError: seconds that are not numbers, negative or of an unknown stage.
        """
        try:
            clock = cls(now, amount(values.get("idle_after_s", IDLE_AFTER_S)))
            clock._idle = amount(values.get("idle_seconds", 0.0))
            clock._seconds = {n: amount(v) for n, v in dict(values["seconds"]).items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"expected seconds by stage, found damaged ones ({error})") from None
        if unknown := sorted(set(clock._seconds) - set(STAGES)):
            raise InputError(f"expected the stages {', '.join(STAGES)}, found {unknown}")
        return clock

    def _running(self) -> tuple[float, float]:
        """Active and idle seconds since the last sign."""
        if self._stage is None:
            return 0.0, 0.0
        passed = max(self._now() - self._since, 0.0)
        limit = math.inf if self._stage in MACHINE_STAGES else self._idle_after_s
        active = min(passed, limit)
        return active, passed - active


@dataclass
class ClickRecord:
    """One prompt and how long its answer took.

    Attributes:
        structure: what was corrected.
        slice_index: z index on the case's grid.
        positive: whether it added.
        kind: "click", "box", "move" or "delete".
        decode_ms: the network's answer.
        write_ms: writing it to the segmentation that is shown.
        measure_ms: the numbers.
        total_ms: from the click to the end of these.
    """

    structure: str
    slice_index: int
    positive: bool = True
    kind: str = "click"
    decode_ms: float = 0.0
    write_ms: float = 0.0
    measure_ms: float = 0.0
    total_ms: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON values; milliseconds to two decimals."""
        return {
            name: round(value, 2) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ClickRecord:
        """A click from the values of `to_dict`.

        Raises:
            InputError: a value is missing or of another kind.
        """
        try:
            times = {name: amount(values[name]) for name in TIMES_MS}
            return cls(
                str(values["structure"]),
                int(values["slice_index"]),
                values["positive"] is True,
                str(values["kind"]),
                **times,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"expected a click with its times, found {error!r}") from None


TIMES_MS = ("decode_ms", "write_ms", "measure_ms", "total_ms")

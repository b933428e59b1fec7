"""Times of the clock as files hold them, and how long a reading took by them.

The program stamps a step when it is done, in UTC. A file may have been edited, or written by
another program: without a time zone, out of order, across the change to summer time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timezone
from itertools import pairwise

# Clocks are put forward and back at night: until this hour a time without a zone may lie before it.
NIGHT_ENDS_H = 4
# A clock that follows a time server is moved by less than this, and seconds are rounded.
TOLERANCE_S = 1.0


def moment(text: str) -> datetime:
    """A time in ISO 8601; "Z" and any number of decimals too, which Python reads from 3.11 on only.

    Raises:
        TypeError, ValueError: no text, or no time.
    """
    if not isinstance(text, str):
        raise TypeError(f"no text: {text!r}")
    plain = re.sub(r"[.,](\d+)", lambda found: f".{found[1][:6]:0<6}", text.strip())
    return datetime.fromisoformat(re.sub("[zZ]$", "+00:00", plain))


def utc_moment(text: str) -> datetime:
    """The same of a time that is UTC where it names no zone, so that any two can be compared.

    Raises:
        TypeError, ValueError: no text, or no time.
    """
    found = moment(text)
    return found if found.utcoffset() is not None else found.replace(tzinfo=timezone.utc)


def is_moment(text: str) -> bool:
    """Whether a text is a time."""
    try:
        moment(text)
    except (TypeError, ValueError):
        return False
    return True


def reading_seconds(times: Sequence[str], first_s: float) -> float:
    """Seconds from the beginning of the first step to the end of the last one.

    Args:
        times: when each step was done, ISO 8601.
        first_s: what the first step took; it began that much earlier.

    Raises:
        ValueError: the times do not tell: "step 2: expected ..., found ...".
    """
    for number, text in enumerate(times, start=1):
        if not is_moment(text):
            raise ValueError(
                f"step {number}: expected a time such as 2026-01-31T10:00:00+00:00, found {text!r}"
            )
    moments = [moment(text) for text in times]
    if not moments:
        return first_s
    _check_zones(moments, times)
    for number, (before, after) in enumerate(pairwise(moments), start=2):
        if (after - before).total_seconds() < -TOLERANCE_S:
            raise ValueError(
                f"step {number}: expected a time after {times[number - 2]}, found "
                f"{times[number - 1]} (was the clock set back?)"
            )
    return max((moments[-1] - moments[0]).total_seconds(), 0.0) + first_s


def overlapping_step(times: Sequence[str], seconds: Sequence[float]) -> int | None:
    """The first step, from 1, that took longer than the time since the step before; None if none.

    Either the clock was set back while it ran, or its seconds are those of another computer.
    """
    moments = [moment(text) for text in times]
    for number, (before, after) in enumerate(pairwise(moments), start=2):
        if (after - before).total_seconds() < seconds[number - 1] - TOLERANCE_S:
            return number
    return None


def _check_zones(moments: Sequence[datetime], times: Sequence[str]) -> None:
    """Without a time zone the clock may have been put forward or back in between."""
    zoned = [found.utcoffset() is not None for found in moments]
    if all(zoned):
        return
    if any(zoned):
        number = zoned.index(False)
        raise ValueError(
            f"step {number + 1}: expected a time with a time zone, as other steps have one, found "
            f"{times[number]}"
        )
    first, last = min(moments), max(moments)
    if first.date() != last.date() or first.hour < NIGHT_ENDS_H:
        number = moments.index(last)
        raise ValueError(
            f"step {number + 1}: expected times with a time zone, for the clock may have been "
            f"changed in the night, found {times[0]} to {times[number]}"
        )

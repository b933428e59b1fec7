"""Values from a JSON file that may be damaged or foreign: each is what it should be, or an error.

Python takes true for 1 and lets a negative index count from the end, so the kinds are asked for.
All raise TypeError or ValueError, which the reader of the file turns into one sentence.
"""

from __future__ import annotations

import math
from typing import Any


def text(value: Any) -> str:
    """A text."""
    if not isinstance(value, str):
        raise TypeError(f"no text: {value!r}")
    return value


def flag(value: Any) -> bool:
    """True or false; "false" in quotes would count as true."""
    if not isinstance(value, bool):
        raise TypeError(f"neither true nor false: {value!r}")
    return value


def count(value: Any) -> int:
    """A whole number from 0 on."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"no whole number: {value!r}")
    if value < 0:
        raise ValueError(f"below 0: {value!r}")
    return value


def amount(value: Any) -> float:
    """A finite number that is not below 0, such as a duration or a mass."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"no number: {value!r}")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"not finite, or below 0: {value!r}")
    return float(value)

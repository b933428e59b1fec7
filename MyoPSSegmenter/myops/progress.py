"""What long work is given to tell how far it is."""

from __future__ import annotations

from collections.abc import Callable

# Takes the share that is done, 0..1, and what is being done, in words.
Progress = Callable[[float, str], None]
# Takes a line for the user.
Say = Callable[[str], None]


def clock_text(seconds: float) -> str:
    """Seconds as hours, minutes and seconds: 1:02:03."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"

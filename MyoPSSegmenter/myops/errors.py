"""What a caller may have to answer: input that is at fault, and work that was called off."""

from __future__ import annotations

from myops.io.readable import visible


class InputError(ValueError):
    """Input that cannot be used.

    The message is one line that every terminal can show: what was expected, what was found, and
    what to do. The command line prints it without a traceback and leaves with exit code 2.
    """

    def __init__(self, message: str) -> None:
        super().__init__(visible(" ".join(str(message).split())))


class Cancelled(Exception):  # noqa: N818 - the user's wish, not an error
    """The caller's `cancelled` answered True; nothing was produced."""

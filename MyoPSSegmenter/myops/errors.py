"""The one error that means: the input is at fault, not the program."""

from __future__ import annotations

from .readable import visible


class InputError(ValueError):
    """Input that cannot be used.

    The message is one line that every terminal can show: what was expected, what was found, and
    what to do. The command line prints it without a traceback and leaves with exit code 2.
    """

    def __init__(self, message: str) -> None:
        super().__init__(visible(" ".join(str(message).split())))

"""Imports that go on while the program reads files."""

from __future__ import annotations

import contextlib
import threading
from importlib import import_module


def import_in_background(*names: str) -> threading.Thread:
    """Begin to import modules, one after the other, in a thread of its own.

    A later `import` of one waits for the rest, and raises what the thread could not: its own errors
    are not shown. The interpreter waits for the thread before it ends, since to end while a library
    in C is being loaded can crash it.
    """

    def load() -> None:
        for name in names:
            with contextlib.suppress(Exception):
                import_module(name)

    thread = threading.Thread(target=load, name=f"import {names[0]}")
    thread.start()
    return thread

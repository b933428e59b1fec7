"""The process of one reading: messages in, news out, and an end with everything saved."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

# While something runs, and while nothing does: the second costs no measurable time.
BUSY_S, IDLE_S = 0.02, 1.0
END = b""
logger = logging.getLogger(__name__)


def run_reading(place: dict[str, Any], pipe: Connection) -> None:
    """Serve one reader until the pipe is closed, or an empty message comes.

    Args:
        place: keyword arguments of `Desk`, and `memory_gb`.
        pipe: JSON texts both ways; see `Desk.obey` and `Desk.news`.
    """
    _leave_terminal()
    _limit_memory(place.pop("memory_gb"))
    from myops_web.desk import Desk

    desk = Desk(Path(place.pop("folder")), Path(place.pop("results")), **place)
    try:
        with contextlib.suppress(EOFError, OSError):
            while True:
                _turn(desk, pipe)
    finally:
        desk.close()


def _leave_terminal() -> None:
    """Ctrl-C is the server's alone; and the networks of a reader do not take the server's share."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setsid"):
        with contextlib.suppress(OSError):
            os.setsid()


def _turn(desk: Any, pipe: Connection) -> None:
    if pipe.poll(BUSY_S if desk.is_busy else IDLE_S):
        message = pipe.recv_bytes()
        if message == END:
            raise EOFError
        desk.obey(json.loads(message))
    desk.poll()
    for news in desk.news():
        pipe.send_bytes(json.dumps(news, separators=(",", ":"), default=_plain).encode())


def _plain(value: Any) -> Any:
    """A number of NumPy's as Python's."""
    return value.item()


def _limit_memory(gigabytes: float) -> None:
    if sys.platform.startswith("linux"):
        import resource

        limit = int(gigabytes * 2**30)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

"""The process of one reading: messages in, news out, and an end with everything saved."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

END = b""
logger = logging.getLogger(__name__)


def run_reading(place: dict[str, Any], pipe: Connection) -> None:
    """Serve one reader until the pipe is closed, or an empty message comes.

    Args:
        place: keyword arguments of `Desk`, and `memory_gb`.
        pipe: JSON texts both ways; see `Desk.obey` and `Desk.news`.
    """
    _leave_terminal()
    limit_memory(place.pop("memory_gb"))
    from myops_web.desk import Desk

    desk = Desk(Path(place.pop("folder")), Path(place.pop("results")), **place)
    bell, ring = Pipe(duplex=False)
    desk.when_ended(lambda: ring.send_bytes(b"."))
    try:
        with contextlib.suppress(EOFError, OSError):
            while True:
                _turn(desk, pipe, bell)
    finally:
        desk.close()


def _leave_terminal() -> None:
    """Ctrl-C is the server's alone; and the networks of a reader do not take the server's share."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setsid"):
        with contextlib.suppress(OSError):
            os.setsid()


def _turn(desk: Any, pipe: Connection, bell: Connection) -> None:
    """Sleep until there is something to do, without a timer where nothing is; do it, and tell."""
    heard = wait([pipe, bell], desk.wait_s)
    if bell in heard:
        bell.recv_bytes()
    if pipe in heard:
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


def limit_memory(gigabytes: float) -> None:
    """Let this process allocate no more; on Linux only."""
    if sys.platform.startswith("linux"):
        import resource

        limit = int(gigabytes * 2**30)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

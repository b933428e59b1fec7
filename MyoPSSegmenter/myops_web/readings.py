"""The readings that are open: a process each, and the tab that is attached to it."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from myops.errors import InputError
from myops_web.process import END, run_reading
from myops_web.settings import Settings

# How long a process may take to save and end before it is ended.
ENDING_S = 30.0
Send = Callable[[str], Awaitable[object]]
BROKEN = (
    "This reading's process ended unexpectedly, perhaps for lack of memory. Every change up to the "
    "last seconds is saved: reload the page to go on."
)
TAKEN = "This reading was opened in another window. Reload this page to go on here."


def start_preloading() -> None:
    """Begin to import what every reading needs, in the process that they are forked from."""
    context = process_context()
    if context.get_start_method() == "forkserver":
        from multiprocessing import forkserver

        context.set_forkserver_preload(["myops_web.preload"])
        forkserver.ensure_running()


def process_context() -> Any:
    """How readers' processes are made: forked from one that has imported everything."""
    methods = multiprocessing.get_all_start_methods()
    return multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")


class ReaderProcess:
    """One reader's process, and at most one tab.

    Attributes:
        key: initials and number of the reading.
        exported: file name to path of what the open case's export wrote.
        is_over: whether the process has ended.
        is_closing: whether it was asked to end.
    """

    def __init__(self, settings: Settings, key: tuple[str, str]) -> None:
        """Start the process; must be called in the event loop.

        Args:
            settings: of the server.
            key: checked initials and number of the reading.
        """
        self.key = key
        self.exported: dict[str, str] = {}
        self.is_over = self.is_closing = False
        self._send: Send | None = None
        self._ending: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Queue[str | None] = asyncio.Queue()
        self._pipe, theirs = multiprocessing.Pipe()
        place = {
            "folder": str(settings.folder),
            "results": str(settings.results),
            "reader": key[0],
            "reading": key[1],
            "device": settings.device,
            "memory_gb": settings.memory_gb,
        }
        self._process = process_context().Process(
            target=run_reading, args=(place, theirs), daemon=True
        )
        self._process.start()
        theirs.close()
        threading.Thread(target=self._listen, args=(self._pipe,), daemon=True).start()
        self._forwarding = asyncio.ensure_future(self._forward())

    @property
    def pid(self) -> int | None:
        """The process, for measuring its memory."""
        return self._process.pid

    async def attach(self, send: Send) -> None:
        """A tab takes the reading; the one that had it is told so."""
        if self._send is not None:
            with suppress(ConnectionError, RuntimeError):
                await self._send(json.dumps({"ended": TAKEN}))
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        self._send = send
        self.tell({"do": "hello"})

    def detach(self, send: Send, linger_s: float) -> None:
        """A tab is gone: its process waits for it for a while."""
        if self._send is send:
            self._send = None
            self._ending = self._loop.call_later(linger_s, self.close)

    def tell(self, message: dict[str, Any]) -> None:
        """Hand a message of the page to the process."""
        with suppress(OSError):
            self._pipe.send_bytes(json.dumps(message).encode())

    def close(self) -> None:
        """Let the process save and end.

        An empty message asks for it: a pipe that another thread reads stays open when it is closed.
        """
        self.is_closing = True
        with suppress(OSError):
            self._pipe.send_bytes(END)

    def wait(self) -> None:
        """Wait until the process has saved; end it where it does not."""
        self._process.join(ENDING_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _listen(self, pipe: Connection) -> None:
        """In a thread: what the process says goes into the event loop."""
        try:
            while True:
                text = pipe.recv_bytes().decode()
                self._loop.call_soon_threadsafe(self._waiting.put_nowait, text)
        except (EOFError, OSError):
            with suppress(RuntimeError):  # the loop has ended before
                self._loop.call_soon_threadsafe(self._waiting.put_nowait, None)

    async def _forward(self) -> None:
        while (text := await self._waiting.get()) is not None:
            if text.startswith('{"exported"'):
                self.exported = json.loads(text)["exported"]
                text = json.dumps({"exported": sorted(self.exported)})
            await self._out(text)
        self.is_over = True
        if not self.is_closing:
            await self._out(json.dumps({"ended": BROKEN}))

    async def _out(self, text: str) -> None:
        if self._send is not None:
            with suppress(ConnectionError, RuntimeError):
                await self._send(text)


class Readings:
    """All readings of a server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: dict[tuple[str, str], ReaderProcess] = {}

    def get(self, key: tuple[str, str]) -> ReaderProcess | None:
        """The reading if it is open."""
        found = self._open.get(key)
        return None if found is None or found.is_over else found

    def enter(self, key: tuple[str, str]) -> ReaderProcess:
        """The reading, started if it is not open.

        Raises:
            InputError: all readers that are allowed are there, or the reading is being saved.
        """
        found = self.get(key)
        if found is not None and not found.is_closing:
            return found
        if found is not None:
            raise InputError(
                "expected a reading that is closed, found one that is still being saved; try again "
                "in a moment"
            )
        self._open = {k: one for k, one in self._open.items() if not one.is_over}
        if len(self._open) >= self._settings.readers:
            raise InputError(
                f"expected at most {self._settings.readers} readers at once, found one more; wait "
                "until another one has left, or start the server with a larger --readers"
            )
        self._open[key] = ReaderProcess(self._settings, key)
        return self._open[key]

    async def close(self) -> None:
        """End all processes; everything is saved."""
        for one in self._open.values():
            one.close()
        loop = asyncio.get_running_loop()
        for one in self._open.values():
            await loop.run_in_executor(None, one.wait)

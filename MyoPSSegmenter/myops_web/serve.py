"""Start the server, say where it is, and end it in order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import ssl
from collections.abc import Callable

from aiohttp import web

from myops.errors import InputError
from myops_web.app import make_app
from myops_web.readings import start_preloading
from myops_web.settings import Settings


def serve(settings: Settings, say: Callable[[str], object]) -> None:
    """Serve until Ctrl-C or a signal to end; every open case is saved then.

    Args:
        settings: checked.
        say: gets the address, once the server listens.

    Raises:
        InputError: the address cannot be used.
    """
    start_preloading()
    asyncio.run(_serve(settings, say))


async def _serve(settings: Settings, say: Callable[[str], object]) -> None:
    runner = web.AppRunner(make_app(settings), access_log=None, shutdown_timeout=2)
    await runner.setup()
    try:
        await _listen(runner, settings, say)
        await _until_told()
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, settings: Settings, say: Callable[[str], object]) -> None:
    site = web.TCPSite(runner, settings.host, settings.port, ssl_context=_tls(settings))
    try:
        await site.start()
    except OSError as error:
        raise InputError(
            f"expected a free address {settings.host}:{settings.port}, found that it cannot be "
            f"used ({error.strerror}); choose another one by --port"
        ) from None
    port = runner.addresses[0][1]
    scheme = "http" if settings.certificate is None else "https"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    say(f"{scheme}://{host}:{port}/?token={settings.token}")


async def _until_told() -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C raises
            loop.add_signal_handler(number, told.set)
    await told.wait()


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.certificate, settings.key)
    except OSError as error:  # ssl's own error is one, too
        raise InputError(
            f"expected a certificate and its key in PEM files, found none that can be used in "
            f"{settings.certificate} ({error.strerror or error}); check --certificate and --key"
        ) from None
    return context

"""The encrypted connection, with a certificate that is made here and that nobody else trusts."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

pytest.importorskip("aiohttp", reason='pip install "myops-segmenter[web]"')

import aiohttp
from aiohttp import web

from myops.errors import InputError
from myops_web.app import make_app
from myops_web.serve import _listen
from myops_web.settings import Settings

TOKEN = "a-token-for-tests-alone"  # noqa: S105
SUBJECT = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Give a self-signed certificate for this computer, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate: apt-get install openssl")
    folder = tmp_path_factory.mktemp("tls")
    made = folder / "server.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *SUBJECT]
    files = ["-out", str(made[0]), "-keyout", str(made[1])]
    subprocess.run([*command, *files], check=True, capture_output=True)
    return made


def asked(
    folder: Path,
    certificate: tuple[Path, Path | None],
    ask: Callable[[str, aiohttp.ClientSession], Awaitable[None]],
) -> None:
    """Run a conversation with a server that encrypts; the client trusts its certificate alone."""
    settings = Settings(
        folder,
        folder / "study",
        port=0,
        token=TOKEN,
        certificate=certificate[0],
        key=certificate[1],
    )

    async def talk() -> None:
        said: list[str] = []
        runner = web.AppRunner(make_app(settings), shutdown_timeout=1)
        await runner.setup()
        try:
            await _listen(runner, settings, said.append)
            trusted = ssl.create_default_context(cafile=str(certificate[0]))
            connector = aiohttp.TCPConnector(ssl=trusted)
            jar = aiohttp.CookieJar(unsafe=True)
            async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session:
                await ask(said[0], session)
        finally:
            await runner.cleanup()

    asyncio.run(talk())


def test_page_and_conversation_are_encrypted(tmp_path, certificate):
    async def ask(address: str, session: aiohttp.ClientSession) -> None:
        assert address.startswith("https://127.0.0.1:") and address.endswith(TOKEN)
        async with session.get(address, allow_redirects=False) as answer:
            assert answer.status == 303 and "Secure" in answer.headers["Set-Cookie"]
        place = address.split("/?")[0]
        async with session.get(f"{place}/page/app.js") as answer:
            assert answer.status == 200
        talk = session.ws_connect(f"{place.replace('https', 'wss')}/talk", origin=place)
        async with talk as socket:
            await socket.send_json({"reader": "no/initials", "reading": "1"})
            assert "expected a reader's initials" in (await socket.receive_json())["refused"]

    asked(tmp_path, certificate, ask)


def test_files_that_are_no_certificate_are_named_before_anything_is_served(tmp_path, certificate):
    other = tmp_path / "other.pem"
    other.write_text("no certificate", encoding="utf-8")

    async def ask(address: str, session: aiohttp.ClientSession) -> None:
        raise AssertionError("it was served")

    for pair in ((other, certificate[1]), (tmp_path / "none.pem", None), (certificate[0], other)):
        with pytest.raises(InputError, match="expected a certificate and its key in PEM files"):
            asked(tmp_path, pair, ask)


def test_an_open_connection_is_refused(tmp_path, certificate):
    async def ask(address: str, session: aiohttp.ClientSession) -> None:
        with pytest.raises(aiohttp.ClientError):
            await session.get(address.replace("https", "http"))

    asked(tmp_path, certificate, ask)


def test_a_client_that_does_not_trust_the_certificate_does_not_come_in(tmp_path, certificate):
    async def ask(address: str, session: aiohttp.ClientSession) -> None:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(address, ssl=ssl.create_default_context())

    asked(tmp_path, certificate, ask)

"""Addresses, tokens and paths: what the server refuses before anything of a patient is read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

pytest.importorskip("aiohttp", reason='pip install "myops-segmenter[web]"')

from aiohttp import WSServerHandshakeError, web
from aiohttp.test_utils import TestClient, TestServer

from myops.errors import InputError
from myops_web.app import make_app
from myops_web.inside import check_inside
from myops_web.settings import Settings, checked_results, checked_token

TOKEN = "a-token-for-tests-alone"  # noqa: S105
HOSTILE = (
    *("/page/../app.py", "/page/..%2fapp.py", "/page/%2e%2e%2fapp.py", "/page/..%252fapp.py"),
    *("/results/AB/1/..%2f..%2fcase.json", "/results/..%2f..%2fetc/1/passwd", "/results/AB/1/%00"),
    *("/page//etc/passwd", "/page/..%5capp.py", "/etc/passwd", "/page/index.html%00.js"),
)


def asked(
    tmp_path: Path, ask: Callable[[TestClient], Awaitable[None]], host: str = "127.0.0.1"
) -> None:
    """Run a conversation with a server that listens on loopback."""

    async def talk() -> None:
        settings = Settings(tmp_path, tmp_path / "study", host=host, token=TOKEN)
        client: TestClient = TestClient(TestServer(make_app(settings)))
        async with client:
            await ask(client)

    asyncio.run(talk())


async def comeIn(client: TestClient) -> None:
    answer = await client.get(f"/?token={TOKEN}")
    assert answer.status == 200 and "MyoPS Segmenter" in await answer.text()


def test_nobody_comes_in_without_the_token(tmp_path):
    async def ask(client: TestClient) -> None:
        for path in (
            "/",
            "/page/app.js",
            "/talk",
            "/results/AB/1/report.html",
            "/?token=wrong",
            "/?token=",
        ):
            answer = await client.get(path)
            assert answer.status == 401, path
            assert TOKEN not in await answer.text()

    asked(tmp_path, ask)


def test_the_token_becomes_a_cookie_that_no_script_can_read_and_leaves_the_address(tmp_path):
    async def ask(client: TestClient) -> None:
        answer = await client.get(f"/?token={TOKEN}", allow_redirects=False)
        cookie = answer.headers["Set-Cookie"]
        assert answer.status == 303 and answer.headers["Location"] == "/"
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie

    asked(tmp_path, ask)


def test_a_name_that_another_site_points_here_is_refused(tmp_path):
    async def ask(client: TestClient) -> None:
        answer = await client.get(f"/?token={TOKEN}", headers={"Host": "evil.example:8765"})
        assert answer.status == 403

    asked(tmp_path, ask)


def test_a_page_of_another_site_cannot_talk(tmp_path):
    async def ask(client: TestClient) -> None:
        await comeIn(client)
        with pytest.raises(WSServerHandshakeError, match="403"):
            await client.ws_connect("/talk", origin="http://evil.example")

    asked(tmp_path, ask)


def test_no_script_and_no_style_but_our_files_may_run(tmp_path):
    async def ask(client: TestClient) -> None:
        await comeIn(client)
        answer = await client.get("/")
        policy, text = answer.headers["Content-Security-Policy"], await answer.text()
        assert "default-src 'none'" in policy and "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert " style=" not in text and "<style" not in text and "onclick=" not in text

    asked(tmp_path, ask)


@pytest.mark.parametrize("path", HOSTILE)
def test_no_address_leads_to_another_file(tmp_path, path):
    from yarl import URL

    async def ask(client: TestClient) -> None:
        await comeIn(client)
        whole = client.make_url("/")
        answer = await client.session.get(
            URL(f"{whole.scheme}://{whole.authority}{path}", encoded=True)
        )
        assert answer.status in (400, 404), path

    asked(tmp_path, ask)


@pytest.mark.parametrize("reader", ["", "../AB", "AB/1", "<b>", "con", "x" * 13, "a\x00b"])
def test_a_reader_whose_initials_are_no_word_is_told_what_is_expected(tmp_path, reader):
    async def ask(client: TestClient) -> None:
        await comeIn(client)
        origin = str(client.make_url("/")).rstrip("/")
        async with client.ws_connect("/talk", origin=origin) as socket:
            await socket.send_json({"reader": reader, "reading": "1"})
            found = await socket.receive_json()
            assert "expected a reader's initials" in found["refused"]

    asked(tmp_path, ask)


def test_a_message_that_is_too_long_ends_the_conversation(tmp_path):
    async def ask(client: TestClient) -> None:
        await comeIn(client)
        origin = str(client.make_url("/")).rstrip("/")
        async with client.ws_connect("/talk", origin=origin) as socket:
            await socket.send_str("x" * 5000)
            assert (await socket.receive()).type in (web.WSMsgType.CLOSE, web.WSMsgType.CLOSED)

    asked(tmp_path, ask)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::", "ward.example"])  # noqa: S104
def test_another_address_needs_a_token_and_tls(host):
    with pytest.raises(InputError, match="expected a token for the address"):
        checked_token(host, "", behind_tls=True)
    with pytest.raises(InputError, match="expected an encrypted connection"):
        checked_token(host, TOKEN, behind_tls=False)
    assert checked_token(host, TOKEN, behind_tls=True) == TOKEN


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_this_computer_alone_gets_a_new_token_each_time(host):
    first, second = (checked_token(host, "", behind_tls=False) for _ in range(2))
    assert len(first) >= 32 and first != second


def test_a_short_token_is_refused():
    with pytest.raises(InputError, match="at least 16 characters, found 5"):
        checked_token("127.0.0.1", "short", behind_tls=False)


def test_results_may_not_be_a_link_that_leads_elsewhere(tmp_path):
    folder, elsewhere = tmp_path / "patients", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "myops-study").symlink_to(elsewhere)
    with pytest.raises(InputError, match="leads to"):
        checked_results(folder, None, "myops-study")
    assert checked_results(folder, elsewhere, "myops-study") == elsewhere


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="expected a folder of patients"):
        checked_results(tmp_path / "none", None, "myops-study")


def test_a_file_that_a_link_brings_from_outside_is_refused_without_its_place(tmp_path):
    inside, secret = tmp_path / "inside", tmp_path / "secret"
    inside.mkdir()
    secret.mkdir()
    (secret / "a.nii.gz").write_bytes(b"")
    (inside / "link.nii.gz").symlink_to(secret / "a.nii.gz")
    with pytest.raises(InputError, match=r"link\.nii\.gz leads out") as refused:
        check_inside([inside / "link.nii.gz"], inside)
    assert "secret" not in str(refused.value)
    check_inside([inside / "other.nii.gz"], inside)
    with pytest.raises(InputError):
        check_inside([inside / ".." / "secret" / "a.nii.gz"], inside)

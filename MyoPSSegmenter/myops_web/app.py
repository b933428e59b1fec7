"""The web server: who may come in, and what is handed out.

Every address is fixed: no path is made of what a browser sends. The page holds no inline script and
no inline style, and the browser is told to run none.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

from myops.errors import InputError
from myops.io.readable import visible
from myops.worklist.reader_ids import check_reader, check_session
from myops_web.readings import Readings
from myops_web.receive import receive_patient
from myops_web.settings import Settings, is_loopback
from myops_web.uploads import too_large

PAGE = Path(__file__).parent / "page"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
FILES = {path.name: path for path in PAGE.iterdir() if path.suffix in TYPES}
LARGEST_MESSAGE = 4096
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# A report carries its own style and pictures, and no script.
REPORT_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
LOCKED = (
    "<!doctype html><title>MyoPS Segmenter</title><p>This address needs its token: open the whole "
    "address that the server printed when it was started."
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SETTINGS = web.AppKey("settings", Settings)
READINGS = web.AppKey("readings", Readings)


def make_app(settings: Settings) -> web.Application:
    """The server for these settings, not yet listening."""
    app = web.Application(middlewares=[_headers, _gate])
    app[SETTINGS], app[READINGS] = settings, Readings(settings)
    app.add_routes(
        [
            web.get("/", _index),
            web.get("/page/{name}", _page),
            web.get("/talk", _talk),
            web.post("/patients/{reader}/{reading}", _add_patient),
            web.get("/results/{reader}/{reading}/{name}", _result),
        ]
    )
    app.on_shutdown.append(_close)
    return app


async def _close(app: web.Application) -> None:
    await app[READINGS].close()


@web.middleware
async def _headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    response = await handler(request)
    if not response.prepared:
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
    return response


@web.middleware
async def _gate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in who has the token; the first time it comes in the address and becomes a cookie."""
    settings = request.app[SETTINGS]
    host = urlsplit(f"//{request.host}").hostname or ""
    if settings.is_local and not is_loopback(host):  # a page elsewhere that renames itself to us
        return web.Response(status=403, text="This server answers this computer alone.")
    cookie = f"myops-{request.url.port}"
    given = request.query.get("token")
    if given is not None and request.path == "/" and _same(given, settings.token):
        answer = web.Response(status=303, headers={"Location": "/"})
        answer.set_cookie(
            cookie, given, httponly=True, samesite="Strict", secure=settings.certificate is not None
        )
        return answer
    if not _same(request.cookies.get(cookie, ""), settings.token):
        return web.Response(status=401, text=LOCKED, content_type="text/html")
    return await handler(request)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


async def _index(request: web.Request) -> web.StreamResponse:
    return _file("index.html")


async def _page(request: web.Request) -> web.StreamResponse:
    return _file(request.match_info["name"])


def _file(name: str) -> web.StreamResponse:
    path = FILES.get(name)
    if path is None:
        raise web.HTTPNotFound
    return web.Response(body=path.read_bytes(), content_type=TYPES[path.suffix], charset="utf-8")


async def _result(request: web.Request) -> web.StreamResponse:
    """A file that was exported: looked up by its name, never opened by it."""
    asked = request.match_info
    reading = request.app[READINGS].get((asked["reader"], asked["reading"]))
    found = None if reading is None else reading.exported.get(asked["name"])
    if found is None or not Path(found).is_file():
        raise web.HTTPNotFound
    response = web.FileResponse(found)
    if asked["name"].endswith(".html"):
        response.headers["Content-Security-Policy"] = REPORT_POLICY
    else:
        response.headers["Content-Disposition"] = "attachment"
    return response


async def _add_patient(request: web.Request) -> web.StreamResponse:
    """Files of a new patient, from a reader who is here; their list is then read again."""
    _check_origin(request)
    asked, settings = request.match_info, request.app[SETTINGS]
    reading = request.app[READINGS].get((asked["reader"], asked["reading"]))
    if reading is None or not settings.uploads:
        raise web.HTTPForbidden
    try:
        name, left_out = await receive_patient(request, settings)
    except InputError as error:
        return web.json_response({"refused": visible(str(error))}, status=400)
    reading.tell({"do": "listAgain", "added": name})
    return web.json_response({"added": name, "leftOut": left_out})


def _check_origin(request: web.Request) -> None:
    """Refuse a page elsewhere, in the same browser."""
    if urlsplit(request.headers.get("Origin", "")).netloc != request.host:
        raise web.HTTPForbidden


async def _talk(request: web.Request) -> web.StreamResponse:
    """The conversation with a tab: its first message says who reads."""
    _check_origin(request)
    socket = web.WebSocketResponse(max_msg_size=LARGEST_MESSAGE, heartbeat=30, compress=False)
    await socket.prepare(request)
    settings, readings = request.app[SETTINGS], request.app[READINGS]
    try:
        hello = await socket.receive_json(timeout=20)
        key = check_reader(str(hello["reader"])), check_session(str(hello["reading"]))
        reading = readings.enter(key)
    except InputError as error:
        await socket.send_str(json.dumps({"refused": str(error)}))
        await socket.close()
        return socket
    except (TypeError, ValueError, KeyError, TimeoutError):
        await socket.close()
        return socket
    await socket.send_str(json.dumps(_welcome(key, settings)))
    send = socket.send_str
    await reading.attach(send)
    try:
        async for message in socket:
            values = _read(message.data) if message.type == WSMsgType.TEXT else None
            if values is not None:
                reading.tell(values)
    finally:
        reading.detach(send, settings.linger_s)
    return socket


def _welcome(key: tuple[str, str], settings: Settings) -> dict[str, object]:
    """What a page must know at first: it refuses itself what would be too large to send.

    A request that is refused before all of it came breaks off, and no browser shows its answer.
    """
    limit = settings.upload_bytes
    largest = {"bytes": limit, "words": str(too_large(limit))}
    return {"welcome": key, "uploads": settings.uploads, "largest": largest}


def _read(text: str) -> dict[str, object] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None

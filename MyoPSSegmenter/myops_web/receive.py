"""An upload over HTTP: one request is one patient, streamed to the disk."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from aiohttp import BodyPartReader, web

from myops.errors import InputError
from myops_web import uploads
from myops_web.readings import process_context

if TYPE_CHECKING:
    from myops_web.settings import Settings

CHUNK = 2**18
# Of what a name may be, in bytes; the rest of a field is not read.
LONGEST_NAME = 4096
NO_FORM = "expected the files of a patient, found something else; reload the page and try again"


async def receive_patient(request: web.Request, settings: Settings) -> tuple[str, int]:
    """Take the files of a form as a new patient.

    Args:
        request: multipart/form-data: a field "name", then files.
        settings: of the server.

    Returns:
        The name of the new patient's folder, and how many files were left out as no images.

    Raises:
        InputError: what is refused, or no room for it; nothing of it is kept.
    """
    limit = settings.upload_bytes
    if (request.content_length or 0) > limit + LONGEST_NAME:
        raise uploads.too_large(limit)
    stage = None
    try:
        stage = uploads.new_stage(settings.folder, limit)
        name = await _store(request, stage)
        place = uploads.free_name(name, settings.folder, settings.results)
        stage.rename(place.name)
        loop = asyncio.get_running_loop()
        left_out = await loop.run_in_executor(
            None, uploads.checked, stage, settings.memory_gb, process_context()
        )
        _check_waiting(request)
        uploads.finish(stage, place)
        return place.name, left_out
    except OSError as error:
        raise InputError(uploads.no_room(error)) from None
    finally:
        if stage is not None:
            with contextlib.suppress(OSError):
                stage.remove()


def _check_waiting(request: web.Request) -> None:
    """Refuse what was canceled while it was checked: the server's work does not end with it."""
    if request.transport is None or request.transport.is_closing():
        raise InputError(
            "expected a page that waits for its patient, found that the upload was canceled; "
            "nothing was kept: send the images again if they are meant"
        )


async def _store(request: web.Request, stage: uploads.UploadStage) -> str:
    """Write the files to the stage; returns the name that was given."""
    if not request.content_type.startswith("multipart/"):
        raise InputError(NO_FORM)
    name, files = "", 0
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                raise InputError(NO_FORM)
            if part.name == "name" and part.filename is None:
                name = (await part.read_chunk(LONGEST_NAME)).decode("utf-8", "replace")
            elif part.filename is not None:
                files += 1
                await _write(part, stage)
    except InputError:
        raise
    except ValueError:  # no multipart after all
        raise InputError(NO_FORM) from None
    if files == 0:
        raise InputError("expected the images of a patient, found no file; choose some")
    return name


async def _write(part: BodyPartReader, stage: uploads.UploadStage) -> None:
    with stage.new_file(part.filename or "").open("wb") as out:
        while chunk := await part.read_chunk(CHUNK):
            stage.count(len(chunk))
            out.write(chunk)

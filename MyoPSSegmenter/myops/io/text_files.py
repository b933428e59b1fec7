"""Text and JSON files: UTF-8 out, and in whatever Windows and its editors make of UTF-8."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any

from myops.errors import InputError
from myops.io.atomic import write_bytes
from myops.io.readable import encoded

# UTF-32 begins with the mark of UTF-16, so it is asked for first.
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_text(path: str | Path) -> str:
    """Read a text file: UTF-8, or what its byte order mark says; lines end in a line feed.

    Raises:
        OSError: the file cannot be read.
        InputError: another encoding.
    """
    path = Path(path)
    content = path.read_bytes()
    marked = (name for mark, name in MARKS.items() if content.startswith(mark))
    try:
        text = content.decode(next(marked, "utf-8"))
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # no letter: UTF-16 without a mark, or no text at all
        raise InputError(
            f"{path.name}: expected text in UTF-8, found another encoding or no text; save it as "
            "UTF-8"
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file in UTF-8, with a byte order mark or without, or in UTF-16 or UTF-32.

    Raises:
        OSError: the file cannot be read.
        InputError: another encoding, or no JSON.
    """
    return parse_json(Path(path).read_bytes(), str(path))


def parse_json(content: bytes, name: str) -> Any:
    """The values of JSON in UTF-8, UTF-16 or UTF-32, as `json.detect_encoding` tells them apart.

    Args:
        content: bytes of a file.
        name: of the file, for the error.

    Raises:
        InputError: another encoding, or no JSON.
    """
    try:
        return json.loads(content.decode(json.detect_encoding(content)))
    except UnicodeDecodeError:
        raise InputError(
            f"{name}: expected JSON in UTF-8, found another encoding; save it as UTF-8"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{name}: expected JSON, found damaged text ({error}); correct it, or write it again"
        ) from None


def write_text(path: str | Path, text: str) -> Path:
    """Write text in UTF-8, in one step; raises InputError like `write_atomic`."""
    return write_bytes(path, encoded(text))

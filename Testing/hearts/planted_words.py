"""Looks for words in every byte of files: as they are, and in whatever is compressed there."""

from __future__ import annotations

import base64
import binascii
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

GZIP, ZIP = b"\x1f\x8b\x08", b"PK\x03\x04"
# Beginnings of zlib streams as PNG, PDF and others write them.
ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
BASE64 = re.compile(rb"base64,([A-Za-z0-9+/=\s]{16,})")
DEEPEST = 4


def files_with(folder: Path, words: Sequence[str]) -> dict[str, list[str]]:
    """Relative path of each file whose name or content holds any of the words -> those words."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        hit = words_in(
            path.relative_to(folder).as_posix().encode() + b"\n" + path.read_bytes(), words
        )
        if hit:
            found[path.relative_to(folder).as_posix()] = hit
    return found


def words_in(content: bytes, words: Sequence[str]) -> list[str]:
    """The words that bytes hold in UTF-8 or UTF-16, in any case of letters, compressed or not."""
    layers = [layer.lower() for layer in unpacked(content)]
    return [
        word
        for word in words
        if any(
            word.lower().encode(coding) in layer
            for layer in layers
            for coding in ("utf-8", "utf-16-le", "utf-16-be")
        )
    ]


def unpacked(content: bytes, depth: int = 0) -> Iterator[bytes]:
    """The bytes, and those of everything compressed in them."""
    yield content
    if depth == DEEPEST:
        return
    for inner in (*_streams(content), *_members(content), *_embedded(content)):
        yield from unpacked(inner, depth + 1)


def _streams(content: bytes) -> Iterator[bytes]:
    """What zlib and gzip streams hold that begin anywhere."""
    starts = [(match.start(), zlib.MAX_WBITS) for match in ZLIB.finditer(content)]
    starts += [(match.start(), 31) for match in re.finditer(re.escape(GZIP), content)]
    for start, bits in starts:
        try:
            held = zlib.decompressobj(bits).decompress(content[start:])
        except zlib.error:
            continue
        if len(held) > 16:
            yield held


def _members(content: bytes) -> Iterator[bytes]:
    if ZIP in content:
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                for name in archive.namelist():
                    yield name.encode() + b"\n" + archive.read(name)
        except zipfile.BadZipFile:
            return


def _embedded(content: bytes) -> Iterator[bytes]:
    for match in BASE64.finditer(content):
        try:
            yield base64.b64decode(match[1])
        except binascii.Error:
            continue

"""Text from outside, such as names of people and files, made fit to be shown and written.

A file name of an old disk or a name from a table may hold what no page, picture or terminal takes:
bytes that are not UTF-8 (Python keeps them as lone surrogates), line breaks, control characters,
and marks that turn the direction of writing.
"""

from __future__ import annotations

import re
import unicodedata

# Joiners that Persian, Indic scripts and emoji need; all other format characters only hide things.
JOINERS = "\u200c\u200d"
# How Python keeps a byte of a file name that is not UTF-8.
ESCAPED_BYTE = re.compile("[\udc80-\udcff]")
SURROGATE = re.compile("[\ud800-\udfff]")


def readable(text: str) -> str:
    """A name as one line of letters, the same for every way that Unicode can spell it.

    Line breaks and tabs become spaces, control characters and direction marks go. Bytes that are
    not UTF-8 are read as Windows-1252, the alphabet of the disks and ZIP files they come from.
    """
    if text.isascii() and text.isprintable():  # most texts by far: nothing to decode or to hide
        return " ".join(text.split())
    decoded = ESCAPED_BYTE.sub(lambda byte: _windows_letter(byte[0]), text)
    decoded = SURROGATE.sub("\ufffd", decoded)
    letters = "".join(c for c in decoded if c.isspace() or not _hides(c))
    return unicodedata.normalize("NFC", " ".join(letters.split()))


def visible(text: str) -> str:
    r"""A message in which nothing is hidden: what `readable` drops is shown as \xFC or \u202E."""
    return "".join(_code(c) if _hides(c) else c for c in text)


def is_utf8(name: str) -> bool:
    """Whether a file's name is text; libraries in C refuse any other, or end the program."""
    return SURROGATE.search(name) is None


def encoded(text: str) -> bytes:
    r"""UTF-8 bytes of any text; a lone surrogate becomes \udcfc, which JSON reads back."""
    return text.encode("utf-8", "backslashreplace")


def _hides(letter: str) -> bool:
    category = unicodedata.category(letter)
    return category in ("Cc", "Cs") or (category == "Cf" and letter not in JOINERS)


def _windows_letter(escaped: str) -> str:
    return bytes([ord(escaped) - 0xDC00]).decode("cp1252", "replace")


def _code(letter: str) -> str:
    number = ord(letter)
    if ESCAPED_BYTE.match(letter):
        number -= 0xDC00
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"

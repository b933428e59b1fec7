"""A TrueType font: how wide words are, and the part of it that a PDF needs.

Its tables are those of the OpenType specification: cmap format 12, hmtx, kern format 0, loca, glyf.
Reading them here takes milliseconds; a library that knows every table takes a second to import.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from myops.errors import InputError

FILES = {False: "DejaVuSans.ttf", True: "DejaVuSans-Bold.ttf"}
# Tables that a font inside a PDF needs; the PDF itself says which letter is which glyph.
KEPT = ("cvt ", "fpgm", "glyf", "head", "hhea", "hmtx", "loca", "maxp", "prep")
# Flags of a composite glyph's parts.
WORDS, MORE = 0x1, 0x20
# Flag -> bytes that a part's scales take.
SCALES = ((0x8, 2), (0x40, 4), (0x80, 8))


@dataclass(frozen=True)
class Typeface:
    """A font file that has been read.

    Attributes:
        name: of the font, as a PDF names it.
        tables: tag -> content.
        units: of the font's lengths in one em.
        glyphs: code of a letter -> number of its glyph.
        advances: (glyphs,), units from a glyph to the next.
        kerning: (left, right) numbers of glyphs -> units added between them.
    """

    name: str
    tables: Mapping[str, bytes]
    units: int
    glyphs: Mapping[int, int]
    advances: np.ndarray
    kerning: Mapping[tuple[int, int], int]

    def glyphs_of(self, text: str) -> list[int]:
        """Numbers of a text's glyphs; 0, a box, for a letter that the font lacks."""
        return [self.glyphs.get(ord(letter), 0) for letter in text]

    def gaps(self, glyphs: list[int]) -> list[int]:
        """Units added after each glyph but the last, so that "LV" has no hole."""
        return [self.kerning.get(pair, 0) for pair in pairwise(glyphs)]

    def width(self, text: str) -> float:
        """Width of one line, in em."""
        glyphs = self.glyphs_of(text)
        return float(self.advances[glyphs].sum() + sum(self.gaps(glyphs))) / self.units

    def subset(self, glyphs: Iterable[int]) -> bytes:
        """The font with the outlines of some glyphs alone, under their own numbers."""
        kept = self._with_parts({0, *glyphs})
        places = self._places()
        lengths = np.zeros(len(places), ">u4")
        outlines = []
        for glyph in sorted(kept):
            outlines.append(self.tables["glyf"][places[glyph] : places[glyph + 1]])
            lengths[glyph + 1] = len(outlines[-1])
        head = bytearray(self.tables["head"])
        struct.pack_into(">h", head, 50, 1)  # places of glyphs are stored in 4 bytes each
        tables = {tag: self.tables[tag] for tag in KEPT if tag in self.tables}
        loca = np.cumsum(lengths).astype(">u4").tobytes()
        return _font_file(tables | {"glyf": b"".join(outlines), "head": bytes(head), "loca": loca})

    def _with_parts(self, glyphs: set[int]) -> set[int]:
        """Glyphs and those that they are composed of."""
        places = self._places()
        found, new = set(glyphs), set(glyphs)
        while new:
            parts = set()
            for glyph in new:
                parts |= _parts(self.tables["glyf"][places[glyph] : places[glyph + 1]])
            new = parts - found
            found |= new
        return found

    def _places(self) -> list[int]:
        """Where each glyph's outline begins in its table, and where the last one ends."""
        wide = struct.unpack_from(">h", self.tables["head"], 50)[0]
        if wide:
            return np.frombuffer(self.tables["loca"], ">u4").tolist()
        return (2 * np.frombuffer(self.tables["loca"], ">u2").astype(int)).tolist()


@functools.cache
def typeface(bold: bool = False) -> Typeface:
    """The font of every report and picture, DejaVu Sans as matplotlib brings it.

    Raises:
        InputError: there is no such file.
    """
    return read_typeface(font_path(bold))


def font_path(bold: bool = False) -> Path:
    """Where the file of the font is."""
    from matplotlib import get_data_path

    return Path(get_data_path()) / "fonts" / "ttf" / FILES[bold]


def read_typeface(path: Path) -> Typeface:
    """Read a TrueType file.

    Raises:
        InputError: no file, or not a TrueType font with the tables named above.
    """
    try:
        data = path.read_bytes()
        tables = dict(_tables(data))
        units = struct.unpack_from(">H", tables["head"], 18)[0]
        measured = struct.unpack_from(">H", tables["hhea"], 34)[0]
        count = struct.unpack_from(">H", tables["maxp"], 4)[0]
        advances = np.frombuffer(tables["hmtx"], ">u2", 2 * measured)[::2].astype(int)
        advances = np.pad(advances, (0, count - measured), mode="edge")
        letters, kerning = _letters(tables["cmap"]), _kerning(tables.get("kern", b""))
        return Typeface(path.stem, tables, units, letters, advances, kerning)
    except (OSError, KeyError, ValueError, struct.error) as error:
        raise InputError(
            f"expected the font of the report, found none that can be read at {path} ({error}); "
            "install matplotlib again"
        ) from error


def _tables(data: bytes) -> Iterable[tuple[str, bytes]]:
    count = struct.unpack_from(">H", data, 4)[0]
    for place in range(12, 12 + 16 * count, 16):
        tag, _, start, length = struct.unpack_from(">4sLLL", data, place)
        yield tag.decode("ascii"), data[start : start + length]


def _letters(cmap: bytes) -> dict[int, int]:
    """Code of a letter -> number of its glyph, from the subtable that has every plane."""
    starts = [
        struct.unpack_from(">L", cmap, 4 + 8 * k + 4)[0]
        for k in range(struct.unpack_from(">H", cmap, 2)[0])
    ]
    formats = {struct.unpack_from(">H", cmap, start)[0]: start for start in starts}
    start = formats[12]
    groups = struct.unpack_from(">L", cmap, start + 12)[0]
    found: dict[int, int] = {}
    for place in range(start + 16, start + 16 + 12 * groups, 12):
        first, last, glyph = struct.unpack_from(">LLL", cmap, place)
        found |= zip(range(first, last + 1), range(glyph, glyph + last + 1 - first))
    return found


def _kerning(kern: bytes) -> dict[tuple[int, int], int]:
    """Units between pairs of glyphs, from the first subtable; none in a font without the table."""
    if len(kern) < 18 or struct.unpack_from(">B", kern, 8)[0] != 0:
        return {}
    pairs = struct.unpack_from(">H", kern, 10)[0]
    kind = [("left", ">u2"), ("right", ">u2"), ("units", ">i2")]
    rows = np.frombuffer(kern, kind, pairs, 18)
    return dict(zip(zip(rows["left"].tolist(), rows["right"].tolist()), rows["units"].tolist()))


def _parts(outline: bytes) -> set[int]:
    """Glyphs that a composite glyph consists of; none for a simple or empty one."""
    if len(outline) < 10 or struct.unpack_from(">h", outline)[0] >= 0:
        return set()
    found, place, flags = set(), 10, MORE
    while flags & MORE:
        flags, glyph = struct.unpack_from(">HH", outline, place)
        found.add(glyph)
        place += 8 if flags & WORDS else 6
        place += sum(length for flag, length in SCALES if flags & flag)
    return found


def _font_file(tables: Mapping[str, bytes]) -> bytes:
    """Tables as one file, with their checksums."""
    count = len(tables)
    power = count.bit_length() - 1
    search = 16 << power
    head = struct.pack(">LHHHH", 0x00010000, count, search, power, 16 * count - search)
    place, rows, bodies = 12 + 16 * count, [], []
    for tag, content in sorted(tables.items()):
        body = content + bytes(-len(content) % 4)
        checksum = int(np.frombuffer(body, ">u4").sum(dtype=np.uint64)) & 0xFFFFFFFF
        rows.append(struct.pack(">4sLLL", tag.encode("ascii"), checksum, place, len(content)))
        bodies.append(body)
        place += len(body)
    return head + b"".join(rows) + b"".join(bodies)

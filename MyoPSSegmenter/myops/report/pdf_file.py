"""A PDF file: pages of text, rectangles, lines and pictures -> bytes.

PDF 1.7 (ISO 32000-1) in its simplest form. A picture's PNG goes in as it is, since PDF knows
PNG's compression: nothing is decoded or compressed twice. Of the fonts only the letters that occur
go in, as TrueType, so that text can be selected and searched in every viewer.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from myops.report.raster import DASHES, PNG_START
from myops.report.typeface import Typeface, typeface
from myops.structures import rgb_of

# Color type of a PNG -> its channels; the others have a palette or transparency.
CHANNELS = {0: 1, 2: 3}
COLOR_SPACES = {1: "/DeviceGray", 3: "/DeviceRGB"}


@dataclass(frozen=True)
class PngData:
    """A PNG that a PDF can hold as it is: 8 bits, gray or RGB, not interlaced.

    Attributes:
        width, height: pixels.
        channels: 1 or 3.
        packed: the compressed pixels.
    """

    width: int
    height: int
    channels: int
    packed: bytes


@dataclass
class Sheet:
    """One page: what is drawn on it so far; lengths in points from the lower left corner."""

    operators: list[str] = field(default_factory=list)
    pictures: set[int] = field(default_factory=set)

    def box(self, x: float, y: float, width: float, height: float, color: str) -> None:
        """A filled rectangle."""
        self.operators.append(f"{_rgb(color)} rg {x:.2f} {y:.2f} {width:.2f} {height:.2f} re f")

    def line(self, x: float, y: float, length: float, color: str, style: str, width: float) -> None:
        """A horizontal line; of style "none" nothing is seen."""
        if style == "none":
            return
        dashes = " ".join(f"{width * share:.2f}" for share in DASHES.get(style, ()))
        self.operators.append(
            f"{_rgb(color)} RG {width:.2f} w [{dashes}] 0 d {x:.2f} {y:.2f} m "
            f"{x + length:.2f} {y:.2f} l S"
        )

    def picture(self, number: int, x: float, y: float, width: float, height: float) -> None:
        """A picture of the file, by its number, stretched to a rectangle."""
        self.pictures.add(number)
        self.operators.append(f"q {width:.3f} 0 0 {height:.3f} {x:.3f} {y:.3f} cm /P{number} Do Q")


class PdfFile:
    """Pages, pictures and two fonts, regular and bold.

    Example:
        >>> file = PdfFile(595, 842)
        >>> file.words(file.new_sheet(), "Scar 16.1 g", 40, 800, 9, "#000000", bold=False)
        >>> path.write_bytes(file.content({"Title": "Report"}))
    """

    def __init__(self, width: float, height: float) -> None:
        self._size = (width, height)
        self._sheets: list[Sheet] = []
        self._pictures: dict[bytes, int] = {}
        self._letters: dict[bool, dict[int, str]] = {False: {}, True: {}}

    def new_sheet(self) -> Sheet:
        """A new last page."""
        self._sheets.append(Sheet())
        return self._sheets[-1]

    def add_picture(self, png: bytes) -> int:
        """Take up a picture once; the number by which a sheet draws it."""
        return self._pictures.setdefault(png, len(self._pictures))

    def words(
        self, sheet: Sheet, text: str, x: float, y: float, size: float, color: str, bold: bool
    ) -> None:
        """One line of text from a baseline's left end on; its letters must be in the font."""
        face = typeface(bold)
        glyphs = face.glyphs_of(text)
        self._letters[bold] |= zip(glyphs, text)
        shown = "".join(
            f"{glyph:04x}" + (f"> {-1000 * gap / face.units:.0f} <" if gap else "")
            for glyph, gap in zip(glyphs, [*face.gaps(glyphs), 0])
        )
        sheet.operators.append(
            f"BT {_rgb(color)} rg /F{int(bold)} {size:g} Tf {x:.2f} {y:.2f} Td [<{shown}>] TJ ET"
        )

    def content(self, facts: Mapping[str, str]) -> bytes:
        """The whole file.

        Args:
            facts: of the document, such as Title and Creator.
        """
        objects = _Objects()
        pages = objects.reserve()
        fonts = [
            f"/F{int(bold)} {_font(objects, typeface(bold), letters)} 0 R"
            for bold, letters in self._letters.items()
            if letters
        ]
        drawn = {number: _picture(objects, png) for png, number in self._pictures.items()}
        width, height = self._size
        kids = []
        for sheet in self._sheets:
            content = objects.add_stream("", "\n".join(sheet.operators).encode("ascii"))
            named = [f"/P{number} {drawn[number]} 0 R" for number in sorted(sheet.pictures)]
            kids.append(
                objects.add(
                    f"<< /Type /Page /Parent {pages} 0 R /MediaBox [0 0 {width:g} {height:g}] "
                    f"/Contents {content} 0 R /Resources << /Font << {' '.join(fonts)} >> "
                    f"/XObject << {' '.join(named)} >> >> >>"
                )
            )
        listed = " ".join(f"{kid} 0 R" for kid in kids)
        objects.fill(pages, f"<< /Type /Pages /Kids [{listed}] /Count {len(kids)} >>")
        root = objects.add(f"<< /Type /Catalog /Pages {pages} 0 R >>")
        info = objects.add(
            "<< " + " ".join(f"/{key} {_string(value)}" for key, value in facts.items()) + " >>"
        )
        return objects.file(root, info)


class _Objects:
    """The numbered objects that a PDF consists of."""

    def __init__(self) -> None:
        self._bodies: list[bytes] = []

    def reserve(self) -> int:
        """The number of an object whose content follows later."""
        self._bodies.append(b"")
        return len(self._bodies)

    def fill(self, number: int, body: str) -> None:
        """Give a reserved object its content."""
        self._bodies[number - 1] = body.encode("ascii")

    def add(self, body: str) -> int:
        """A new object; its number."""
        number = self.reserve()
        self.fill(number, body)
        return number

    def add_stream(self, entries: str, content: bytes, packed: bool = False) -> int:
        """A new object with compressed bytes; they are compressed here unless they are already."""
        body = content if packed else zlib.compress(content)
        head = f"<< {entries} /Filter /FlateDecode /Length {len(body)} >>\nstream\n"
        self._bodies.append(head.encode("ascii") + body + b"\nendstream")
        return len(self._bodies)

    def file(self, root: int, info: int) -> bytes:
        """All objects, and the table of where they are."""
        parts, places, place = [b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"], [], 0
        for number, body in enumerate(self._bodies, 1):
            place += len(parts[-1])
            places.append(place)
            parts.append(b"%d 0 obj\n%b\nendobj\n" % (number, body))
        place += len(parts[-1])
        table = "".join(f"{at:010d} 00000 n \n" for at in places)
        size = len(places) + 1
        parts.append(
            (
                f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} "
                f"/Root {root} 0 R /Info {info} 0 R >>\nstartxref\n{place}\n%%EOF\n"
            ).encode("ascii")
        )
        return b"".join(parts)


def read_png(png: bytes) -> PngData:
    """Take the compressed pixels out of a PNG.

    Raises:
        ValueError: not a PNG, or of a kind that a PDF cannot hold as it is.
    """
    if not png.startswith(PNG_START):
        raise ValueError(f"expected a PNG, found {png[:8]!r}; encode the picture as PNG")
    chunks = list(_chunks(png))
    width, height, bits, color, *_, interlaced = struct.unpack(">LLBBBBB", chunks[0][1])
    if bits != 8 or color not in CHANNELS or interlaced:
        raise ValueError(
            f"expected a PNG of 8 bits in gray or RGB, found {bits} bits and color type {color}; "
            "write it without transparency, palette and interlacing"
        )
    packed = b"".join(content for kind, content in chunks if kind == b"IDAT")
    return PngData(width, height, CHANNELS[color], packed)


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(PNG_START)
    while place < len(png):
        length, kind = struct.unpack_from(">L4s", png, place)
        yield kind, png[place + 8 : place + 8 + length]
        place += 12 + length


def _picture(objects: _Objects, png: bytes) -> int:
    data = read_png(png)
    return objects.add_stream(
        f"/Type /XObject /Subtype /Image /Width {data.width} /Height {data.height} "
        f"/ColorSpace {COLOR_SPACES[data.channels]} /BitsPerComponent 8 /DecodeParms "
        f"<< /Predictor 15 /Colors {data.channels} /Columns {data.width} >>",
        data.packed,
        packed=True,
    )


def _font(objects: _Objects, face: Typeface, letters: Mapping[int, str]) -> int:
    """A font with the glyphs that occur, their widths, and which letters they are."""
    data = face.subset(letters)
    file = objects.add_stream(f"/Length1 {len(data)}", data)
    scale = 1000 / face.units
    box = np.array(struct.unpack_from(">4h", face.tables["head"], 36)) * scale
    ascent, descent = np.array(struct.unpack_from(">2h", face.tables["hhea"], 4)) * scale
    # Six letters before the name say that it is a part of a font.
    name = f"/MYOPSA+{face.name}"
    described = objects.add(
        f"<< /Type /FontDescriptor /FontName {name} /Flags 4 /ItalicAngle 0 /StemV 80 "
        f"/FontBBox [{' '.join(f'{v:.0f}' for v in box)}] /Ascent {ascent:.0f} "
        f"/Descent {descent:.0f} /CapHeight {ascent:.0f} /FontFile2 {file} 0 R >>"
    )
    widths = " ".join(f"{g} [{face.advances[g] * scale:.0f}]" for g in sorted(letters))
    inner = objects.add(
        f"<< /Type /Font /Subtype /CIDFontType2 /BaseFont {name} /CIDSystemInfo << /Registry "
        f"(Adobe) /Ordering (Identity) /Supplement 0 >> /FontDescriptor {described} 0 R "
        f"/CIDToGIDMap /Identity /DW 0 /W [{widths}] >>"
    )
    words = objects.add_stream("", _letter_map(letters))
    return objects.add(
        f"<< /Type /Font /Subtype /Type0 /BaseFont {name} /Encoding /Identity-H "
        f"/DescendantFonts [{inner} 0 R] /ToUnicode {words} 0 R >>"
    )


def _letter_map(letters: Mapping[int, str]) -> bytes:
    """Which letter a glyph is: what copying and searching read."""
    rows = [f"<{g:04x}> <{letters[g].encode('utf-16-be').hex()}>" for g in sorted(letters)]
    # A block holds 100 rows at most.
    blocks = [rows[first : first + 100] for first in range(0, len(rows), 100)]
    listed = "".join(
        f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar\n" for block in blocks
    )
    return (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n/CIDSystemInfo << "
        "/Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n/CMapName /Letters def\n"
        "/CMapType 2 def\n1 begincodespacerange\n<0000> <ffff>\nendcodespacerange\n"
        f"{listed}endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"
    ).encode("ascii")


def _rgb(color: str) -> str:
    return " ".join(f"{share:.3f}" for share in rgb_of(color))


def _string(text: str) -> str:
    return f"<feff{text.encode('utf-16-be').hex()}>"

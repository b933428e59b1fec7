"""A picture of pixels that slices, outlines and words are drawn into, without a figure around them.

matplotlib's rasterizer draws the lines; its figures, axes and ticks, which a picture of slices
has no use for, would take most of the time.
"""

from __future__ import annotations

import functools
import struct
import zlib
from typing import TYPE_CHECKING, Literal

import numpy as np

from myops.report.lettering import drawable, width_of
from myops.structures import rgb_of

if TYPE_CHECKING:
    from matplotlib.path import Path

DPI = 100
LineStyle = Literal["solid", "dashed", "dotted"]
# Lengths of strokes and gaps in line widths: matplotlib's own.
DASHES: dict[str, tuple[float, ...]] = {"dashed": (3.7, 1.6), "dotted": (1.0, 1.65)}
# Of zlib, 1 to 9. With the filter below 6 takes many times as long, for files a tenth smaller.
PNG_LEVEL = 1
PNG_START = b"\x89PNG\r\n\x1a\n"
# What a PNG calls its colors and its second filter.
RGB, UP = 2, 2


class Raster:
    """A picture being drawn: places in pixels from the upper left corner, lines in points.

    Attributes:
        width, height: pixels.
        dpi: pixels per inch, 72 points.
    """

    def __init__(self, width: int, height: int, background: str, dpi: int = DPI) -> None:
        from matplotlib.backends.backend_agg import RendererAgg

        self.width, self.height, self.dpi = width, height, dpi
        self._renderer = RendererAgg(width, height, dpi)
        self._pixels = np.asarray(self._renderer.buffer_rgba())
        self._pixels[:] = (*rgb_bytes(background), 255)

    @property
    def pixels(self) -> np.ndarray:
        """What is drawn so far: uint8 (height, width, 3)."""
        return self._pixels[..., :3]

    def px(self, points: float) -> float:
        """Points in pixels."""
        return points * self.dpi / 72

    def image(
        self,
        pixels: np.ndarray,
        left: int,
        top: int,
        width: int,
        height: int,
        smooth: bool = True,
    ) -> None:
        """A picture, stretched to a rectangle.

        Args:
            pixels: uint8 (h, w, 3).
            left: first column that it covers.
            top: first row.
            width: how many columns.
            height: how many rows.
            smooth: bilinear; squares of one color otherwise.
        """
        from PIL import Image

        between = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
        stretched = Image.fromarray(pixels).resize((width, height), between)
        self.pixels[top : top + height, left : left + width] = np.asarray(stretched)

    def line(
        self,
        places: np.ndarray,
        codes: np.ndarray | None,
        color: str,
        width: float,
        style: LineStyle = "solid",
        opacity: float = 1.0,
    ) -> None:
        """A line, or several at once.

        Args:
            places: float (n, 2), x and y.
            codes: (n,), of `matplotlib.path.Path`: where a line begins and is closed; None for one
                open line.
            color: as #rrggbb.
            width: points.
            style: how it is drawn.
            opacity: 0..1.
        """
        from matplotlib.path import Path

        self._draw(Path(places, codes), color, width, None, style, opacity=opacity)

    def box(self, left: float, top: float, right: float, bottom: float, color: str) -> None:
        """A filled rectangle."""
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        self.area(np.array(corners), color)

    def area(
        self,
        places: np.ndarray,
        color: str | None,
        rim: str = "#000000",
        width: float = 0.0,
        hatch: str | None = None,
    ) -> None:
        """A filled polygon.

        Args:
            places: float (n, 2), its corners.
            color: None for none.
            rim: color of the line around it and of the hatching.
            width: of that line, points; 0 for none.
            hatch: matplotlib's pattern, such as "//".
        """
        from matplotlib.path import Path

        closed = np.concatenate([places, places[:1]])
        self._draw(Path(closed, closed=True), rim, width, color, hatch=hatch)

    def disc(self, x: float, y: float, diameter: float, color: str, rim: str, width: float) -> None:
        """A filled circle with a rim; diameter and width of the rim in points."""
        from matplotlib.path import Path
        from matplotlib.transforms import Affine2D

        radius = self.px(diameter) / 2
        circle = Affine2D().scale(radius).translate(x, y).transform_path(Path.unit_circle())
        self._draw(circle, rim, width, color)

    def words(
        self,
        text: str,
        x: float,
        y: float,
        size: float,
        color: str,
        bold: bool = False,
        align: Literal["left", "center", "right"] = "left",
        rim: float = 0.0,
        turn: float = 0.0,
        rim_color: str = "#000000",
    ) -> None:
        """One line of text.

        Args:
            text: letters that the font lacks become boxes.
            x: of its left end, center or right end.
            y: of its baseline.
            size: of the letters, points.
            color: as #rrggbb.
            bold: whether the letters are.
            align: what `x` is.
            rim: width of a rim, points; a dark one makes white words readable on any image.
            turn: degrees counterclockwise around that place.
            rim_color: as #rrggbb.
        """
        from matplotlib.transforms import Affine2D

        letters = _outline(drawable(text), self.px(size), bold)
        if not np.size(letters.vertices):
            return
        share = {"left": 0.0, "center": 0.5, "right": 1.0}[align]
        moved = Affine2D().translate(-share * self.px(width_of(text, size, bold)), 0)
        placed = moved.rotate_deg(turn).scale(1, -1).translate(x, y).transform_path(letters)
        if rim:
            self._draw(placed, rim_color, rim, None)
        self._draw(placed, color, 0.0, color)

    def png(self) -> bytes:
        """The picture as PNG."""
        return encoded_png(self.pixels)

    def _draw(
        self,
        path: Path,
        color: str,
        width: float,
        fill: str | None,
        style: LineStyle = "solid",
        hatch: str | None = None,
        opacity: float = 1.0,
    ) -> None:
        from matplotlib.transforms import Affine2D

        context = self._renderer.new_gc()
        context.set_foreground(color)
        context.set_linewidth(width)
        context.set_joinstyle("round")
        context.set_alpha(opacity)
        if style in DASHES:
            context.set_dashes(0, [width * share for share in DASHES[style]])
        if hatch:
            context.set_hatch(hatch)
            context.set_hatch_color(rgb_of(color))
        # The renderer counts rows from the bottom.
        upright = Affine2D().scale(1, -1).translate(0, self.height)
        face = None if fill is None else rgb_of(fill)
        self._renderer.draw_path(context, path, upright, face)
        context.restore()


def encoded_png(pixels: np.ndarray) -> bytes:
    """Pixels as PNG without date or software name: the same numbers give the same bytes.

    Args:
        pixels: uint8 (h, w, 3).
    """
    height, width, _ = pixels.shape
    rows = pixels.reshape(height, 3 * width)
    # PNG's filter "Up", which the first byte of a row names: what is left after the row above.
    filtered = np.full((height, 1 + 3 * width), UP, np.uint8)
    filtered[:1, 1:] = rows[:1]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    head = struct.pack(">LLBBBBB", width, height, 8, RGB, 0, 0, 0)
    packed = zlib.compress(filtered.tobytes(), PNG_LEVEL)
    return PNG_START + _chunk(b"IHDR", head) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">L", len(content)) + kind + content + struct.pack(">L", checksum)


def rgb_bytes(color: str) -> tuple[int, int, int]:
    """Red, green and blue of #rrggbb, each 0..255."""
    red, green, blue = bytes.fromhex(color.lstrip("#"))
    return red, green, blue


@functools.lru_cache(maxsize=500)
def _outline(text: str, pixels: float, bold: bool) -> Path:
    """The outline of a line of text, y upward; the same labels stand in every picture."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.path import Path
    from matplotlib.textpath import text_to_path

    from myops.report.typeface import font_path

    font = FontProperties(fname=str(font_path(bold)))
    places, codes = text_to_path.get_text_path(font, text, ismath=False)
    scale = pixels / text_to_path.FONT_SCALE
    return Path(np.reshape(places, (-1, 2)) * scale, np.array(codes, np.uint8))

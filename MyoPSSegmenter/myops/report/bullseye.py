"""Bull's-eye of the 17 segments: base outside, apex in the middle, anterior wall on top.

The color scale always runs from 0 to 100 %, so that two patients' pictures can be compared.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from myops.report.canvas import DPI, INK, PAPER, SOFT_INK
from myops.report.plot_area import PlotArea
from myops.report.raster import Raster, rgb_bytes
from myops.structures import STRUCTURES

if TYPE_CHECKING:
    from myops.quantify.regional.analysis import Regional, Segment

Quantity = Literal["scar", "edema", "transmurality"]


@dataclass(frozen=True)
class SegmentQuantity:
    """What a bull's-eye can show.

    Attributes:
        title: above the picture.
        short: the same where titles are cut off, as in a chart of Slicer.
        needs: the structure that must have been assessed.
        ramp: colors from 0 to 100 %, from paper through the color of the structure to dark: light
            to dark also in gray print.
        value: of a segment, 0..100; None where there is no number.
    """

    title: str
    short: str
    needs: str
    ramp: tuple[str, ...]
    value: Callable[[Segment], float | None]


def _transmurality(segment: Segment) -> float | None:
    found = segment.wall.transmurality
    return None if found is None else found.mean_percent


QUANTITIES: Mapping[Quantity, SegmentQuantity] = {
    "scar": SegmentQuantity(
        "Scar, % of the segment's volume",
        "Scar, % of segment",
        "scar",
        ("#fff7f1", "#ffb38a", STRUCTURES["scar"].on_paper, "#b23a00", "#5a1a00"),
        lambda segment: segment.wall.scar_percent,
    ),
    "edema": SegmentQuantity(
        "Edema outside the scar, % of the segment's volume",
        "Edema outside scar, % of segment",
        "edema",
        ("#fffdf0", "#f7ee8f", STRUCTURES["edema"].on_paper, "#9a8400", "#4d4000"),
        lambda segment: segment.wall.edema_percent,
    ),
    "transmurality": SegmentQuantity(
        "Transmurality of scar, mean of the segment's chords in %",
        "Transmurality of scar, mean %",
        "scar",
        ("#f5f7fc", "#b9c7ff", "#6a86e0", "#2f4ba8", "#14205a"),
        _transmurality,
    ),
}
NOT_ASSESSED_COLOR = "#d5d9df"
# Radii of the rings, apex first.
RINGS = (0.25, 0.5, 0.75, 1.0)
# Of the picture, pixels.
SIZE = (702, 650)


def bullseye(regional: Regional, quantity: Quantity = "scar") -> bytes:
    """One bull's-eye as PNG.

    Segments without a number are gray and hatched: no wall there, no chord (the apex has no
    transmurality) or no image to assess them on. Without segments the picture says why.
    """
    raster = Raster(*SIZE, PAPER, DPI)
    one = QUANTITIES[quantity]
    raster.words(one.title, 0.45 * SIZE[0], 28, 10.5, INK, align="center")
    area = PlotArea(raster, 0, 39, 604, 643, (-1.2, 1.2), (-1.2, 1.2))
    if regional.segments:
        _draw(area, regional, quantity)
    else:
        for line, words in enumerate(textwrap.wrap(regional.segments_reason or "", 44)):
            raster.words(words, area.x(0), area.y(0) + 24 * line, 10, INK, align="center")
    return raster.png()


def segment_place(number: int) -> tuple[float, float, float, float]:
    """Where a segment is drawn: inner and outer radius, first and last angle in degrees.

    Angles run counterclockwise from the right: anterior 60-120.
    """
    if number == 17:
        return 0.0, RINGS[0], 0.0, 360.0
    if number >= 13:
        start = 45.0 + 90.0 * (number - 13)
        return RINGS[0], RINGS[1], start, start + 90.0
    ring = 2 if number <= 6 else 1
    start = 60.0 + 60.0 * ((number - 1) % 6)
    return RINGS[ring], RINGS[ring + 1], start, start + 60.0


def segment_value(segment: Segment, quantity: Quantity) -> float | None:
    """What the bull's-eye says of a segment, 0..100; None where there is no number."""
    return QUANTITIES[quantity].value(segment)


def ramp_color(quantity: Quantity, percent: float) -> str:
    """The color of a value 0..100 on a quantity's ramp."""
    colors = np.array([rgb_bytes(color) for color in QUANTITIES[quantity].ramp], float)
    places = np.linspace(0, 100, len(colors))
    mixed = [round(float(np.interp(percent, places, colors[:, k]))) for k in range(3)]
    return "#" + bytes(mixed).hex()


def ink_on(quantity: Quantity, percent: float | None) -> str:
    """`PAPER` or `INK`, whichever stands out more from a segment; `INK` where it has no number."""
    if percent is None:
        return INK
    ground = _luminance(ramp_color(quantity, percent))
    on_paper = (_luminance(PAPER) + 0.05) / (ground + 0.05)
    on_ink = (ground + 0.05) / (_luminance(INK) + 0.05)
    return PAPER if on_paper > on_ink else INK


def _luminance(color: str) -> float:
    """Relative luminance of a color, 0..1 (WCAG 2.1)."""
    shares = np.array(rgb_bytes(color), float) / 255
    linear = np.where(shares <= 0.03928, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def _draw(area: PlotArea, regional: Regional, quantity: Quantity) -> None:
    for segment in regional.segments:
        _draw_segment(area, segment, quantity)
    for x, y, words, turn in (
        (0, 1.065, "Anterior", 0),
        (-1.085, 0, "Septal", 90),
        (0, -1.1, "Inferior", 0),
        (1.085, 0, "Lateral", 270),
    ):
        place = area.x(x), area.y(y)
        area.raster.words(words, *place, 9, SOFT_INK, align="center", turn=turn)
    _color_bar(area.raster, quantity)


def _color_bar(raster: Raster, quantity: Quantity) -> None:
    left, top, right, bottom = 625, 163, 646, 520
    colors = [rgb_bytes(ramp_color(quantity, p)) for p in np.linspace(100, 0, bottom - top)]
    raster.image(np.array(colors, np.uint8)[:, None], left, top, right - left, bottom - top)
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    raster.area(np.array(corners) + 0.5, None, rim=INK, width=0.8)
    for percent in range(0, 101, 25):
        y = bottom - percent / 100 * (bottom - top) + 0.5
        raster.line(np.array([(right, y), (right + 6, y)]), None, INK, 0.8)
        raster.words(str(percent), right + 10, y + 5, 8, INK)
    raster.words("%", (left + right) / 2, top - 10, 8, INK, align="center")


def _draw_segment(area: PlotArea, segment: Segment, quantity: Quantity) -> None:
    """A wedge with the segment's number and its percentage, gray and hatched without one."""
    value = segment_value(segment, quantity)
    raster, (inner, outer, first, last) = area.raster, segment_place(segment.number)
    wedge = np.array([(area.x(x), area.y(y)) for x, y in _wedge(inner, outer, first, last)])
    fill = NOT_ASSESSED_COLOR if value is None else ramp_color(quantity, value)
    hatch = "////" if value is None else None
    raster.area(wedge, fill, rim=SOFT_INK, width=0.7, hatch=hatch)
    middle, radius = np.radians((first + last) / 2), 0.0 if inner == 0 else (inner + outer) / 2
    x, y = area.x(radius * np.cos(middle)), area.y(radius * np.sin(middle))
    ink = ink_on(quantity, value)
    rim = 3.0 if value is None else 0.0
    number = str(segment.number)
    raster.words(number, x, y + 18, 6.5, ink, align="center", rim=rim, rim_color=NOT_ASSESSED_COLOR)
    if value is not None:
        raster.words(f"{value:.0f} %", x, y - 4, 9, ink, align="center")


def _wedge(inner: float, outer: float, first: float, last: float) -> list[tuple[float, float]]:
    """Corners of a part of a ring, angles in degrees."""
    angles = np.radians(np.linspace(first, last, 1 + round((last - first) / 2)))
    outside = [(outer * np.cos(a), outer * np.sin(a)) for a in angles]
    inside = [(inner * np.cos(a), inner * np.sin(a)) for a in angles[::-1]] if inner else []
    # A whole disc has no corner in its middle.
    center = [(0.0, 0.0)] if not inner and last - first < 360 else []
    return [*outside, *inside, *center]

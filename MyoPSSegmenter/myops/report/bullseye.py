"""Bull's-eye of the 17 segments: base outside, apex in the middle, anterior wall on top.

The color scale always runs from 0 to 100 %, so that two patients' pictures can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from myops.report.canvas import INK, PAPER, SOFT_INK, new_chart, png
from myops.structures import STRUCTURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

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
WHITE_TEXT_ABOVE_PERCENT = 45.0


def bullseye(regional: Regional, quantity: Quantity = "scar") -> bytes:
    """One bull's-eye as PNG.

    Segments without a number are gray and hatched: no wall there, no chord (the apex has no
    transmurality) or no image to assess them on. Without segments the picture says why.
    """
    figure = new_chart(5.4, 5.0)
    figure.text(
        0.45, 0.965, QUANTITIES[quantity].title, color=INK, size=10.5, ha="center", va="center"
    )
    axes = figure.add_axes((0.0, 0.01, 0.86, 0.93))
    axes.set_axis_off()
    axes.set_xlim(-1.2, 1.2)
    axes.set_ylim(-1.2, 1.2)
    if regional.segments:
        _draw(figure, axes, regional, quantity)
    else:
        axes.text(0, 0, _folded(regional.segments_reason or ""), color=INK, ha="center", size=10)
    return png(figure)


def segment_place(number: int) -> tuple[float, float, float, float]:
    """Where a segment is drawn: inner and outer radius, first and last angle in degrees.

    Angles run counterclockwise from the right, as matplotlib draws them: anterior 60-120.
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


def _draw(figure: Figure, axes: Axes, regional: Regional, quantity: Quantity) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    colors = LinearSegmentedColormap.from_list(quantity, QUANTITIES[quantity].ramp)
    for segment in regional.segments:
        _draw_segment(axes, segment, segment_value(segment, quantity), colors)
    for x, y, words, turn in (
        (0, 1.08, "Anterior", 0),
        (-1.1, 0, "Septal", 90),
        (0, -1.08, "Inferior", 0),
        (1.1, 0, "Lateral", 270),
    ):
        axes.text(x, y, words, color=SOFT_INK, size=9, ha="center", va="center", rotation=turn)
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, 100), colors),
        cax=figure.add_axes((0.89, 0.2, 0.03, 0.55)),
        ticks=range(0, 101, 25),
    )
    bar.ax.tick_params(labelsize=8, colors=INK)
    bar.ax.set_title("%", fontsize=8, color=INK)


def _draw_segment(axes: Axes, segment: Segment, value: float | None, colors: Colormap) -> None:
    """A wedge with the segment's number and its percentage, gray and hatched without one."""
    from math import cos, radians, sin

    from matplotlib.patches import Wedge
    from matplotlib.patheffects import withStroke

    inner, outer, first, last = segment_place(segment.number)
    axes.add_patch(
        Wedge(
            (0, 0),
            outer,
            first,
            last,
            width=outer - inner,
            facecolor=NOT_ASSESSED_COLOR if value is None else colors(value / 100),
            edgecolor=SOFT_INK,
            hatch="////" if value is None else None,
            linewidth=0.7,
            gid=f"segment_{segment.number}",
        )
    )
    middle, radius = radians((first + last) / 2), 0.0 if inner == 0 else (inner + outer) / 2
    x, y = radius * cos(middle), radius * sin(middle)
    dark = value is not None and value > WHITE_TEXT_ABOVE_PERCENT
    text = axes.text(x, y - 0.055, str(segment.number), size=6.5, ha="center", va="center")
    text.set_color(PAPER if dark else INK)
    if value is None:
        text.set_path_effects([withStroke(linewidth=3, foreground=NOT_ASSESSED_COLOR)])
        return
    words = axes.text(x, y + 0.04, f"{value:.0f} %", size=9, ha="center", va="center")
    words.set_color(PAPER if dark else INK)


def _folded(words: str) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(words, 44))

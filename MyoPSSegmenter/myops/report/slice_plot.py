"""Scar, edema and transmurality by slice, base to the left."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import TYPE_CHECKING, Literal

import numpy as np

from myops.report.canvas import DPI, INK, PAPER, RULE, SOFT_INK
from myops.report.lettering import width_of
from myops.report.plot_area import PlotArea, round_steps
from myops.report.raster import LineStyle, Raster
from myops.structures import STRUCTURES

if TYPE_CHECKING:
    from myops.quantify.regional.analysis import Regional, RegionalSlice

# The tissues that the regional analysis measures by slice.
SHOWN = ("scar", "edema")
TRANSMURALITY_LINE = "#2f4ba8"
HIDDEN_HATCH = "#b4bcc8"
WIDTH, HEIGHT = 936, 572
LEFT, RIGHT = 94, 917
BAR_WIDTH = 0.7
LEGEND_SIZE = 8.0
SWATCH_PX = 28.0
Mark = Literal["disc", "square"]
# An entry of a legend: what draws its sample from a place on (None: no sample), and its words.
Entry = tuple[Callable[[float, float], None] | None, str]


def slice_plot(regional: Regional) -> bytes:
    """Bars of scar and edema per slice above the mean transmurality of its chords, as PNG.

    Bars are grams, or percent of the slice's wall when the spacing is unknown. What was not
    assessed is left out and named; where that holds for some slices only, these are hatched.
    Slices are numbered as in the tables and run from the base.
    """
    slices = list(regional.slices)
    if any(one.level in ("apical", "apex") for one in slices[: len(slices) // 2]):
        slices.reverse()
    raster = Raster(WIDTH, HEIGHT, PAPER, DPI)
    grams = any(one.wall.mass_g is not None for one in slices)
    heights = _heights(slices, grams)
    highest = max((sum(values) for values in zip(*heights.values())), default=0.0)
    margin = 0.05 * (len(slices) - 1 + BAR_WIDTH)
    reach = (-BAR_WIDTH / 2 - margin, len(slices) - 1 + BAR_WIDTH / 2 + margin)
    bars = PlotArea(raster, LEFT, 40, RIGHT, 303, reach, (0.0, 1.25 * highest or 1.0))
    depth = PlotArea(raster, LEFT, 338, RIGHT, 509, reach, (0.0, 100.0))
    values, digits = round_steps(bars.y_range[1])
    _frame(bars, values, digits)
    _frame(depth, (0, 50, 100), 0)
    bars.x_ticks([(place, "") for place in range(len(slices))])
    depth.x_ticks([(place, str(one.number)) for place, one in enumerate(slices)])
    bars.y_title(["Mass in g" if grams else "% of the wall"], 48)
    depth.y_title(["Transmurality", "in %"], 40)
    raster.words("Slice", (LEFT + RIGHT) / 2, 555, 9, INK, align="center")
    _bars(bars, slices, heights)
    _depth(depth, slices)
    _name_levels(bars, slices)
    return raster.png()


def _frame(area: PlotArea, values: list[float] | tuple[float, ...], digits: int) -> None:
    for value in values:
        area.across(area.y(value))
    area.down(area.left, width=0.8)
    area.across(area.bottom, width=0.8)
    area.y_ticks(values, digits)


def _heights(slices: list[RegionalSlice], grams: bool) -> dict[str, list[float]]:
    """Tissue -> height of its bar in each slice; only what was assessed in some."""
    found = {}
    for name in SHOWN:
        values = [getattr(one.wall, f"{name}_{'g' if grams else 'percent'}") for one in slices]
        if any(value is not None for value in values):
            found[name] = [value or 0.0 for value in values]
    return found


def _bars(area: PlotArea, slices: list[RegionalSlice], heights: dict[str, list[float]]) -> None:
    bottom = [0.0] * len(slices)
    entries: list[Entry] = []
    hidden = {
        name: [k for k, one in enumerate(slices) if name in one.wall.reasons] for name in heights
    }
    # Behind the bars of what was assessed there.
    for places in hidden.values():
        _hatch(area, places)
    for name in SHOWN:
        if name not in heights:
            entries.append((None, f"{name}: not assessed"))
            continue
        color = STRUCTURES[name].on_paper
        for place, height in enumerate(heights[name]):
            low, high = bottom[place], bottom[place] + height
            left, right = area.x(place - BAR_WIDTH / 2), area.x(place + BAR_WIDTH / 2)
            if height:
                area.raster.box(left, area.y(high), right, area.y(low), color)
            bottom[place] = high
        entries.append((_patch(area.raster, color), name))
        if hidden[name]:
            entries.append((_hatched_patch(area.raster), f"{name}: not assessed"))
    _legend(area, area.top + 22, entries)


def _hatch(area: PlotArea, places: list[int]) -> None:
    """Hatch the slices in which a tissue was not assessed: no bar there is not a bar of 0."""
    for place in places:
        left = max(area.left + 1, area.x(place - 0.5))
        right = min(area.right, area.x(place + 0.5))
        corners = [(left, area.top), (right, area.top), (right, area.bottom), (left, area.bottom)]
        area.raster.area(np.array(corners), None, rim=HIDDEN_HATCH, hatch="//")


def _depth(area: PlotArea, slices: list[RegionalSlice]) -> None:
    """Mean transmurality of all chords and of those with scar; a gap where there are none."""
    kinds: tuple[tuple[str, str, LineStyle, Mark], ...] = (
        ("mean_where_scar_percent", "chords with scar", "dotted", "square"),
        ("mean_percent", "all chords", "solid", "disc"),
    )
    entries: list[Entry] = []
    for quantity, words, style, mark in kinds:
        found = [getattr(one.wall.transmurality, quantity, None) for one in slices]
        points = [None if v is None else (area.x(k), area.y(v)) for k, v in enumerate(found)]
        for known, run in groupby(points, key=lambda point: point is not None):
            places = np.array(list(run), float) if known else np.empty((0, 2))
            if len(places) > 1:
                area.raster.line(places, None, TRANSMURALITY_LINE, 1.5, style)
            for x, y in places:
                _point(area.raster, x, y, mark)
        entries.append((_line_sample(area.raster, style, mark), words))
    _legend(area, area.top - 8, entries)


def _point(raster: Raster, x: float, y: float, mark: Mark) -> None:
    size = 4.0
    if mark == "disc":
        raster.disc(x, y, size, TRANSMURALITY_LINE, TRANSMURALITY_LINE, 1.0)
        return
    half = raster.px(size + 1.0) / 2
    raster.box(x - half, y - half, x + half, y + half, TRANSMURALITY_LINE)


def _patch(raster: Raster, color: str) -> Callable[[float, float], None]:
    return lambda x, y: raster.box(x, y - 10, x + SWATCH_PX, y, color)


def _hatched_patch(raster: Raster) -> Callable[[float, float], None]:
    def draw(x: float, y: float) -> None:
        corners = [(x, y - 10), (x + SWATCH_PX, y - 10), (x + SWATCH_PX, y), (x, y)]
        raster.area(np.array(corners), None, rim=HIDDEN_HATCH, hatch="//")

    return draw


def _line_sample(raster: Raster, style: LineStyle, mark: Mark) -> Callable[[float, float], None]:
    def draw(x: float, y: float) -> None:
        ends = np.array([(x, y - 5), (x + SWATCH_PX, y - 5)])
        raster.line(ends, None, TRANSMURALITY_LINE, 1.5, style)
        _point(raster, x + SWATCH_PX / 2, y - 5, mark)

    return draw


def _legend(area: PlotArea, baseline: float, entries: list[Entry]) -> None:
    """Entries in one row that ends at the right edge."""
    raster, x = area.raster, area.right - 12
    for sample, words in reversed(entries):
        x -= raster.px(width_of(words, LEGEND_SIZE))
        raster.words(words, x, baseline, LEGEND_SIZE, INK)
        if sample is not None:
            x -= SWATCH_PX + 11
            sample(x, baseline)
        x -= 28


def _name_levels(area: PlotArea, slices: list[RegionalSlice]) -> None:
    """The levels' names above the bars, with a line between levels."""
    first = 0
    for level, group in groupby(slices, key=lambda one: one.level):
        count = len(list(group))
        if first:
            area.down(area.x(first - 0.5), RULE, 1.0)
        if level:
            middle = area.x(first + (count - 1) / 2)
            area.raster.words(level, middle, area.top - 6, 9, SOFT_INK, align="center")
        first += count

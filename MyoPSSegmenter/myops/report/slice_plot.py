"""Scar, edema and transmurality by slice, base to the left."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from myops.report.canvas import INK, RULE, SOFT_INK, new_chart, png
from myops.structures import STRUCTURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from myops.quantify.regional.analysis import Regional, RegionalSlice

# The tissues that the regional analysis measures by slice.
SHOWN = ("scar", "edema")
TRANSMURALITY_LINE = "#2f4ba8"
HIDDEN_HATCH = "#b4bcc8"


def slice_plot(regional: Regional) -> bytes:
    """Bars of scar and edema per slice above the mean transmurality of its chords, as PNG.

    Bars are grams, or percent of the slice's wall when the spacing is unknown. What was not
    assessed is left out and named; where that holds for some slices only, these are hatched.
    Slices are numbered as in the tables and run from the base.
    """
    slices = list(regional.slices)
    if any(one.level in ("apical", "apex") for one in slices[: len(slices) // 2]):
        slices.reverse()
    figure = new_chart(7.2, 4.4)
    top = figure.add_axes((0.1, 0.47, 0.88, 0.46))
    bottom = figure.add_axes((0.1, 0.11, 0.88, 0.3), sharex=top)
    top.tick_params(labelbottom=False)
    grams = any(one.wall.mass_g is not None for one in slices)
    _bars(top, slices, grams)
    _depth(bottom, slices)
    for axes in (top, bottom):
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(RULE)
        axes.tick_params(colors=INK, labelsize=8)
        axes.yaxis.grid(True, color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
    bottom.set_xticks(range(len(slices)), [str(one.number) for one in slices])
    bottom.set_xlabel("Slice", color=INK, fontsize=9)
    _name_levels(top, slices)
    return png(figure)


def _bars(axes: Axes, slices: list[RegionalSlice], grams: bool) -> None:
    suffix = "g" if grams else "percent"
    places = range(len(slices))
    bottom = [0.0] * len(slices)
    for name in SHOWN:
        values = [getattr(one.wall, f"{name}_{suffix}") for one in slices]
        if all(value is None for value in values):
            axes.plot([], [], " ", label=f"{name}: not assessed")
            continue
        heights = [value or 0.0 for value in values]
        axes.bar(places, heights, 0.7, bottom, color=STRUCTURES[name].on_paper, label=name)
        bottom = [low + high for low, high in zip(bottom, heights)]
        _mark_hidden(axes, slices, name)
    axes.set_ylim(0, max(bottom) * 1.25 or 1.0)
    axes.set_ylabel("Mass in g" if grams else "% of the wall", color=INK, fontsize=9)
    axes.legend(loc="upper right", ncols=2, fontsize=8, frameon=False, labelcolor=INK)


def _mark_hidden(axes: Axes, slices: list[RegionalSlice], name: str) -> None:
    """Hatch the slices in which a tissue was not assessed: no bar there is not a bar of 0."""
    hidden = [place for place, one in enumerate(slices) if name in one.wall.reasons]
    for place in hidden:
        axes.axvspan(
            place - 0.5,
            place + 0.5,
            facecolor="none",
            edgecolor=HIDDEN_HATCH,
            hatch="//",
            linewidth=0,
            zorder=0,  # behind the bars of what was assessed there
            label=f"{name}: not assessed" if place == hidden[0] else None,
        )


def _depth(axes: Axes, slices: list[RegionalSlice]) -> None:
    """Mean transmurality of all chords and of those with scar; a gap where there are none."""
    for quantity, words, style in (
        ("mean_where_scar_percent", "chords with scar", "s:"),
        ("mean_percent", "all chords", "o-"),
    ):
        found = [getattr(one.wall.transmurality, quantity, None) for one in slices]
        depth = [float("nan") if value is None else value for value in found]
        axes.plot(
            range(len(slices)),
            depth,
            style,
            color=TRANSMURALITY_LINE,
            markersize=4,
            clip_on=False,
            label=words,
        )
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 0.95),
        ncols=2,
        fontsize=8,
        frameon=False,
        labelcolor=INK,
    )
    axes.set_ylim(0, 100)
    axes.set_yticks((0, 50, 100))
    axes.set_ylabel("Transmurality\nin %", color=INK, fontsize=9)


def _name_levels(axes: Axes, slices: list[RegionalSlice]) -> None:
    """The levels' names above the bars, with a line between levels."""
    first = 0
    for level, group in groupby(slices, key=lambda one: one.level):
        count = len(list(group))
        if first:
            axes.axvline(first - 0.5, color=RULE, linewidth=1)
        if level:
            middle = first + (count - 1) / 2
            axes.text(
                middle,
                1.02,
                level,
                color=SOFT_INK,
                size=9,
                ha="center",
                transform=axes.get_xaxis_transform(),
            )
        first += count

"""Pictures of a reproducibility study: Bland-Altman panels, CCC with intervals, times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from myops.io.number_text import signed
from myops.report.canvas import INK, RULE, new_chart, png
from myops.report.canvas import SOFT_INK as SOFT
from myops.report.lettering import drawable, fitted, shortened, width_of
from myops.study.reading import Reading
from myops.study.results import GroupAgreement, PairAgreement
from myops.study.statistics import BlandAltman

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, darkest first: readable on white with any color vision.
METHOD_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5c00")
WIDTH_IN = 10.5
# More panels than this in a row cannot be read; the tables have all pairs.
MOST_COLUMNS = 4
MOST_LETTERS = 32
PANEL_TITLE_SIZE = 8.5


def method_colors(methods: Sequence[str]) -> dict[str, str]:
    """A color for each method, in their order."""
    return {name: METHOD_COLORS[i % len(METHOD_COLORS)] for i, name in enumerate(methods)}


def shown_name(name: str) -> str:
    """A name in a picture: short, and without the underscores of our own rules' names."""
    return drawable(shortened(name.replace("_", " "), MOST_LETTERS))


def bland_altman_panels(
    rows: Sequence[tuple[str, Sequence[tuple[GroupAgreement, PairAgreement]]]],
    colors: dict[str, str],
) -> bytes:
    """Difference against mean, one row per method and one panel per pair, as PNG.

    Args:
        rows: method -> its pairs, each with its comparison; at most 4 pairs are drawn.
        colors: of the methods.
    """
    columns = min(MOST_COLUMNS, max(len(pairs) for _, pairs in rows))
    figure = _figure(2.5 * len(rows) + 0.45)
    width = 0.86 * WIDTH_IN * 72 / columns
    grid = figure.subplots(len(rows), columns, squeeze=False, sharex=True, sharey=True)
    for (method, pairs), axes_row in zip(rows, grid, strict=True):
        for axes in axes_row[len(pairs) :]:
            axes.set_visible(False)
        for (group, pair), axes in zip(pairs, axes_row, strict=False):
            _bland_altman(axes, pair, colors[method])
            words = f"{_panel_title(group, pair, width)}\n{_in_words(pair.difference)}"
            axes.set_title(words, fontsize=PANEL_TITLE_SIZE, color=INK)
        axes_row[0].set_ylabel(f"{shown_name(method)}\ndifference (g)", fontsize=8.5, color=INK)
    for axes in grid[-1]:
        axes.set_xlabel("mean of the two (g)", fontsize=8.5, color=INK)
    return png(figure)


def _bland_altman(axes: Axes, pair: PairAgreement, color: str) -> None:
    first, second = np.array(list(pair.masses.values())).reshape(-1, 2).T
    axes.axhline(0, color=RULE, linewidth=1, zorder=0)
    axes.plot((first + second) / 2, first - second, "o", color=color, markersize=4, alpha=0.75)
    difference = pair.difference
    for estimate in (difference.bias, difference.lower, difference.upper):
        if estimate.value is None or estimate.low is None or estimate.high is None:
            continue
        style = "-" if estimate is difference.bias else "--"
        axes.axhline(estimate.value, color=color, linewidth=1.1, linestyle=style)
        axes.axhspan(estimate.low, estimate.high, color=color, alpha=0.09, linewidth=0)
    _plain(axes)


def _in_words(difference: BlandAltman) -> str:
    """Bias and limits for a panel's title; why there are none."""
    bias, lower, upper = difference.bias.value, difference.lower.value, difference.upper.value
    if bias is None or lower is None or upper is None:
        return difference.bias.reason
    return f"{signed(bias)} g ({signed(lower)} to {signed(upper)})"


def concordance_plot(groups: Sequence[GroupAgreement], colors: dict[str, str]) -> bytes:
    """CCC with its 95 % interval, one line per pair, as PNG.

    Args:
        groups: inter- and intra-observer comparisons.
        colors: of the methods.
    """
    lines = [(group, pair) for group in groups for pair in group.pairs]
    figure = _figure(0.24 * len(lines) + 0.9)
    axes = figure.subplots()
    for place, (group, pair) in enumerate(lines):
        if pair.ccc.value is not None:
            axes.plot(pair.ccc.value, place, "o", color=colors[group.method], markersize=5)
        if pair.ccc.low is not None and pair.ccc.high is not None:
            axes.plot([pair.ccc.low, pair.ccc.high], [place] * 2, color=colors[group.method])
    names = [
        f"{shown_name(group.method)}: {' '.join(_title_parts(group, pair, shown_name))}"
        for group, pair in lines
    ]
    axes.set_yticks(range(len(lines)), names, fontsize=8)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.set_xlim(right=1.005)
    axes.axvline(1, color=RULE, zorder=0)
    axes.set_xlabel("CCC (1 = the same), 95 % interval", fontsize=8.5, color=INK)
    _plain(axes)
    return png(figure)


def pair_title(group: GroupAgreement, pair: PairAgreement) -> str:
    """Who is compared, in words."""
    return " ".join(_title_parts(group, pair, str))


def _title_parts(
    group: GroupAgreement, pair: PairAgreement, written: Callable[[str], str]
) -> tuple[str, str]:
    """The same in two parts, which may stand one below the other."""
    first, second = written(pair.first), written(pair.second)
    if group.kind == "intra-observer":
        return f"reader {written(group.of)},", f"{first} − {second}"
    return f"{first} −", second


def _panel_title(group: GroupAgreement, pair: PairAgreement, width: float) -> str:
    """Who is compared, in one line of at most so many points, or in two."""
    parts = _title_parts(group, pair, shown_name)
    line = " ".join(parts)
    if width_of(line, PANEL_TITLE_SIZE) <= width:
        return line
    return "\n".join(fitted(part, width, PANEL_TITLE_SIZE) for part in parts)


def time_plot(readings: Sequence[Reading], colors: dict[str, str]) -> bytes:
    """Seconds of each reading with the median, one row per method that has times, as PNG."""
    seconds_of = {
        method: np.array(
            [r.seconds for r in readings if r.method == method and r.seconds is not None]
        )
        for method in colors
    }
    shown = {method: seconds for method, seconds in seconds_of.items() if seconds.size}
    figure = _figure(0.55 * len(shown) + 0.75)
    axes = figure.subplots()
    for place, (method, seconds) in enumerate(shown.items()):
        # Spread by rank, not at random: the same data give the same picture.
        offsets = 0.24 * np.sin(np.arange(seconds.size) * 2.4)
        axes.plot(seconds, place + offsets, "o", color=colors[method], markersize=3.5, alpha=0.6)
        axes.plot([float(np.median(seconds))] * 2, [place - 0.36, place + 0.36], color=INK)
    axes.set_yticks(range(len(shown)), [shown_name(name) for name in shown], fontsize=8.5)
    axes.set_ylim(len(shown) - 0.45, -0.55)
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds per patient; the line is the median", fontsize=8.5, color=INK)
    _plain(axes)
    return png(figure)


def _figure(height_in: float) -> Figure:
    return new_chart(WIDTH_IN, height_in, layout="constrained")


def _plain(axes: Axes) -> None:
    axes.tick_params(labelsize=8, colors=SOFT)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(RULE)

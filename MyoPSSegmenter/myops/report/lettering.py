"""Words in pictures: every figure draws them as they are written, with the letters that it has.

matplotlib reads what stands between two "$" as TeX, and complains about a letter that its font
lacks. Names of patients, readers and methods may hold both.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from myops.io.readable import readable
from myops.report.typeface import typeface

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BOX, ELLIPSIS = "\u25a1", "…"


def plain_figure(**settings: Any) -> Figure:
    """A figure without TeX, whoever writes into it: the only way to make one in this library.

    Args:
        settings: those of `matplotlib.figure.Figure`.
    """
    return _figure_class()(**settings)


def drawable(text: str) -> str:
    """The text with a box for every letter that the font lacks."""
    known = _letters()
    return "".join(c if ord(c) in known or c == "\n" else BOX for c in text)


def shortened(text: str, most: int) -> str:
    """A name of at most so many letters, cut in the middle: names often differ at their ends."""
    if len(text) <= most:
        return text
    tail = (most - 1) // 3
    return text[: most - 1 - tail] + ELLIPSIS + text[len(text) - tail :]


def fitted(text: str, width: float, size: float, bold: bool = False) -> str:
    """A line of text, cut in the middle so that it is at most so wide.

    Args:
        text: becomes one line.
        width: points.
        size: of the letters, points.
        bold: whether they are.
    """
    text = readable(text)
    if width_of(text, size, bold) <= width:
        return text
    # Halving finds the longest part that fits: a letter more never makes a line narrower.
    fits, long = 1, len(text)
    while long - fits > 1:
        middle = (fits + long) // 2
        if width_of(shortened(text, middle), size, bold) <= width:
            fits = middle
        else:
            long = middle
    return shortened(text, fits)


@functools.lru_cache(maxsize=20_000)
def width_of(text: str, size: float, bold: bool = False) -> float:
    """Width of a line of text in points."""
    return typeface(bold).width(drawable(text)) * size


@functools.cache
def _figure_class() -> type[Figure]:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    class PlainFigure(Figure):
        """Sets every text to be drawn as it is, ticks and legends included, whenever it draws."""

        def draw(self, renderer: Any) -> None:
            for text in self.findobj(Text):
                text.set_parse_math(False)
                text.set_text(drawable(text.get_text()))
            super().draw(renderer)

    return PlainFigure


@functools.cache
def _letters() -> frozenset[int]:
    """The letters that the default font has, both as it is and bold."""
    return frozenset(typeface(bold=False).glyphs) & frozenset(typeface(bold=True).glyphs)

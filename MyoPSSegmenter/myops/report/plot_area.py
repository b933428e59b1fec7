"""Axes of a diagram: values to pixels, grid lines, ticks and their labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from myops.report.canvas import INK, RULE
from myops.report.raster import Raster

TICK_PX = 5.0
# Of labels at ticks and of titles beside the axes, points.
LABEL_SIZE, TITLE_SIZE = 8.0, 9.0
# Height of a digit of DejaVu Sans over its size.
DIGIT_HEIGHT = 0.73


@dataclass(frozen=True)
class PlotArea:
    """A rectangle of a picture in which values have places.

    Attributes:
        raster: the picture.
        left, top, right, bottom: the rectangle in pixels.
        x_range: values at its left and right edge.
        y_range: values at its lower and upper edge.
    """

    raster: Raster
    left: float
    top: float
    right: float
    bottom: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, value: float) -> float:
        """Where a value is, in pixels from the left."""
        first, last = self.x_range
        return self.left + (value - first) / (last - first) * (self.right - self.left)

    def y(self, value: float) -> float:
        """Where a value is, in pixels from above."""
        first, last = self.y_range
        return self.bottom - (value - first) / (last - first) * (self.bottom - self.top)

    def across(self, y: float, color: str = RULE, width: float = 0.6, opacity: float = 1.0) -> None:
        """A line from the left to the right edge; y in pixels."""
        self._line((self.left, y), (self.right, y), color, width, opacity)

    def down(self, x: float, color: str = RULE, width: float = 0.6, opacity: float = 1.0) -> None:
        """A line from the upper to the lower edge; x in pixels."""
        self._line((x, self.top), (x, self.bottom), color, width, opacity)

    def y_ticks(self, values: Iterable[float], digits: int = 0, size: float = LABEL_SIZE) -> None:
        """Numbers to the left of the area."""
        middle = self.raster.px(size) * DIGIT_HEIGHT / 2
        for value in values:
            y = self.y(value)
            self._line((self.left - TICK_PX, y), (self.left, y), INK, 0.8)
            words, x = f"{value:.{digits}f}", self.left - TICK_PX - 5
            self.raster.words(words, x, y + middle, size, INK, align="right")

    def x_ticks(
        self, labels: Iterable[tuple[float, str]], above: bool = False, size: float = LABEL_SIZE
    ) -> None:
        """Words below the area, or above it; an empty one leaves its tick alone."""
        edge, way = (self.top, -1) if above else (self.bottom, 1)
        for value, words in labels:
            x = self.x(value)
            self._line((x, edge), (x, edge + way * TICK_PX), INK, 0.8)
            height = 0 if above else self.raster.px(size) * DIGIT_HEIGHT
            baseline = edge + way * (TICK_PX + 5) + height
            self.raster.words(words, x, baseline, size, INK, align="center")

    def y_title(self, lines: Iterable[str], x: float) -> None:
        """Words that run upward beside the area, in lines that end at a column of pixels."""
        rows = list(lines)
        step = self.raster.px(TITLE_SIZE) * 1.25
        for row, words in enumerate(rows):
            place = x - step * (len(rows) - 1 - row)
            middle = (self.top + self.bottom) / 2
            self.raster.words(words, place, middle, TITLE_SIZE, INK, align="center", turn=90)

    def _line(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        color: str,
        width: float,
        opacity: float = 1.0,
    ) -> None:
        # On whole pixels a thin line is sharp.
        ends = np.floor(np.array([start, end])) + 0.5
        self.raster.line(ends, None, color, width, opacity=opacity)


def round_steps(highest: float, most: int = 8) -> tuple[list[float], int]:
    """Values from 0 to a highest one in steps of 1, 2, 2.5 or 5 times a power of ten.

    Args:
        highest: above 0.
        most: how many steps there may be.

    Returns:
        The values, and the digits that they need behind the point.
    """
    power = 10.0 ** np.floor(np.log10(highest / most))
    factors = (1.0, 2.0, 2.5, 5.0, 10.0, 20.0)
    step = next(factor * power for factor in factors if highest / (factor * power) <= most)
    digits = next(n for n in range(20) if abs(round(step, n) - step) < 1e-6 * step)
    return [step * k for k in range(int(highest / step + 1e-9) + 1)], digits

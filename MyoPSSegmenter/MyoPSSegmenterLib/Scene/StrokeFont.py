"""Digits drawn as strokes, for charts that can draw lines but no text at a place."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

# On a cell 0.6 wide and 1 high, from the lower left corner; each stroke a polyline.
WIDTH = 0.6
GAP = 0.25
_LOOP = (
    (0.15, 0.0),
    (0.45, 0.0),
    (0.6, 0.16),
    (0.6, 0.36),
    (0.45, 0.53),
    (0.15, 0.53),
    (0.0, 0.36),
)
_LOWER = (*_LOOP, (0.0, 0.16), (0.15, 0.0))
_UPPER = tuple((0.04 + 0.52 * x / 0.6, 0.53 + 0.47 * y / 0.53) for x, y in _LOWER)
_SIX = (_LOWER, ((0.0, 0.36), (0.06, 0.66), (0.22, 0.88), (0.48, 1.0)))
_DIGITS: dict[str, tuple[tuple[tuple[float, float], ...], ...]] = {
    "0": (
        (
            (0.15, 0.0),
            (0.45, 0.0),
            (0.6, 0.2),
            (0.6, 0.8),
            (0.45, 1.0),
            (0.15, 1.0),
            (0.0, 0.8),
            (0.0, 0.2),
            (0.15, 0.0),
        ),
    ),
    "1": (((0.08, 0.8), (0.34, 1.0), (0.34, 0.0)),),
    "2": (((0.0, 0.8), (0.15, 1.0), (0.45, 1.0), (0.6, 0.8), (0.58, 0.6), (0.0, 0.0), (0.6, 0.0)),),
    "3": (
        ((0.0, 0.86), (0.15, 1.0), (0.45, 1.0), (0.58, 0.86), (0.58, 0.67), (0.44, 0.53)),
        (
            (0.2, 0.53),
            (0.44, 0.53),
            (0.6, 0.37),
            (0.6, 0.16),
            (0.45, 0.0),
            (0.15, 0.0),
            (0.0, 0.14),
        ),
    ),
    "4": (((0.46, 0.0), (0.46, 1.0), (0.0, 0.32), (0.62, 0.32)),),
    "5": (
        (
            (0.54, 1.0),
            (0.09, 1.0),
            (0.04, 0.55),
            (0.18, 0.62),
            (0.42, 0.62),
            (0.6, 0.45),
            (0.6, 0.17),
            (0.44, 0.0),
            (0.15, 0.0),
            (0.0, 0.13),
        ),
    ),
    "6": _SIX,
    "7": (((0.0, 1.0), (0.6, 1.0), (0.22, 0.0)),),
    "8": (_LOWER, _UPPER),
    "9": tuple(tuple((WIDTH - x, 1.0 - y) for x, y in stroke) for stroke in _SIX),
    "–": (((0.05, 0.5), (0.55, 0.5)),),
}


def strokePoints(text: str, center: tuple[float, float], height: float, step: float) -> np.ndarray:
    """Points along the strokes of a text.

    Args:
        text: digits and dashes.
        center: x and y of its middle.
        height: of the digits, in the chart's units.
        step: at most this far apart, in the same units.

    Returns:
        Float (n, 2), x and y.

    Raises:
        KeyError: a character without strokes.
    """
    length = len(text) * WIDTH + (len(text) - 1) * GAP
    points = [np.zeros((0, 2))]
    for place, character in enumerate(text):
        left = place * (WIDTH + GAP) - length / 2
        for stroke in _DIGITS[character]:
            line = (np.array(stroke) + np.array([left, -0.5])) * height + center
            points += [_between(a, b, step) for a, b in pairwise(line)]
    return np.concatenate(points)


def _between(start: np.ndarray, end: np.ndarray, step: float) -> np.ndarray:
    count = max(2, int(np.ceil(np.hypot(*(end - start)) / step)) + 1)
    return np.linspace(start, end, count)

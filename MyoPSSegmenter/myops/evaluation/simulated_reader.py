"""A simulated reader: sees the truth, and clicks where the present mask is most wrong."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from myops.geometry.masks import bounding_box, largest_component
from myops.refine.prompts import Point

# A reader aims at the middle of an error but does not hit it: any place at least this deep,
# relative to the deepest, is as likely as any other.
SHALLOWEST = 0.5


def next_click(mask: np.ndarray, truth: np.ndarray, rng: np.random.Generator) -> Point | None:
    """Click into the largest error region of a slice, near its center but not at it.

    Args:
        mask: bool (y, x), the present mask.
        truth: bool (y, x), what the reader wants.
        rng: source of randomness.

    Returns:
        A positive click where something is missing, a negative one where something is too much;
        None where the mask is right.
    """
    errors = [(truth & ~mask, True), (mask & ~truth, False)]
    found = [(largest_component(error), positive) for error, positive in errors if error.any()]
    if not found:
        return None
    region, positive = max(found, key=lambda entry: np.count_nonzero(entry[0]))
    row, column = place_inside(region, rng)
    return Point(float(row), float(column), positive)


def place_inside(region: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    """A random pixel of a region (bool, not empty) that is not close to its border."""
    rows, columns = bounding_box(region)
    window = region[rows, columns]
    depth = ndimage.distance_transform_edt(np.pad(window, 1))[1:-1, 1:-1]
    deep_rows, deep_columns = np.nonzero(depth >= SHALLOWEST * depth.max())
    chosen = rng.integers(len(deep_rows))
    return rows.start + int(deep_rows[chosen]), columns.start + int(deep_columns[chosen])

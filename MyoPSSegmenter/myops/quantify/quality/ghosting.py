"""Ghosts: copies of the heart along the phase-encoding direction, which motion makes.

The heart's box is compared with the same box moved by every whole number of pixels, wrapped around
the image's edges as ghosts are. Of the edge images (second differences, so that slow shading counts
nothing) the share of the heart found in the moved box is <heart, moved> / <heart, heart>, all
slices together: a ghost of a tenth of the heart's signal gives 0.1 at its place. Phase encoding
runs along the rows or the columns, so ghosts lie there, and the shares in all other directions say
how large a copy chance makes of this anatomy. The ghost of brighter tissue beside the heart, such
as the chest wall, counts for more than its share.
"""

from __future__ import annotations

import numpy as np

from myops.geometry.masks import bounding_box

# Copies nearer than the heart's own size overlap with it.
LEAST_SHIFTS = 20


def ghosting_percent(lge: np.ndarray, lv_region: np.ndarray) -> float | None:
    """The strongest copy of the heart along rows or columns, in % of its signal, above chance.

    Args:
        lge: float (z, y, x).
        lv_region: bool (z, y, x), everything inside the epicardium.

    Returns:
        0 where no copy stands out from chance; None without LV, or where the image leaves no
        room beside the heart.
    """
    slices, rows, columns = bounding_box(lv_region)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    if not lv_region.any():
        return None
    share = copies(lge[slices], (rows, columns))
    total_rows, total_columns = share.shape
    down = np.arange(height, total_rows - height + 1)
    right = np.arange(width, total_columns - width + 1)
    along = np.abs(np.concatenate([share[down, 0], share[0, right]]))
    across = np.abs(share[np.ix_(down, right)]).ravel()
    if along.size < LEAST_SHIFTS or across.size < LEAST_SHIFTS:
        return None
    # As many chances as there are shifts along the axes: the largest one expected among them.
    chance = float(np.quantile(across, 1 - 1 / along.size))
    return 100.0 * max(0.0, float(along.max()) - chance)


def copies(lge: np.ndarray, box: tuple[slice, slice]) -> np.ndarray:
    """Share of the heart found at every shift.

    Args:
        lge: float (z, y, x), slices that hold LV.
        box: rows and columns of the heart.

    Returns:
        float (y, x): entry (dy, dx) is the share of the box moved by dy rows and dx columns, with
        wrap-around; 1 at (0, 0) where the image is not constant.
    """
    from scipy.fft import irfft2, rfft2

    edges = _edges(lge)
    heart = np.zeros_like(edges)
    heart[:, box[0], box[1]] = edges[:, box[0], box[1]]
    power = float(np.square(heart).sum())
    if power == 0:
        return np.zeros(lge.shape[1:], np.float32)
    spectrum = (np.conj(rfft2(heart)) * rfft2(edges)).sum(axis=0)
    return irfft2(spectrum, s=lge.shape[1:]) / power


def _edges(image: np.ndarray) -> np.ndarray:
    """Second differences in both directions (Laplacian), wrapped around the edges."""
    image = image.astype(np.float32)
    around = sum(np.roll(image, step, axis) for axis in (1, 2) for step in (1, -1))
    return 4 * image - around

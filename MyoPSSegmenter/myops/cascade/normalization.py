"""Intensity normalization robust to outliers, shared by training and inference."""

from __future__ import annotations

import numpy as np

# MR intensities have no unit: anything beyond this many half-ranges is an outlier, not tissue.
CLIP_HALF_RANGES = 4.0
# Exact zeros above this share of the volume are padding written by a scanner or a converter.
PADDING_SHARE = 0.05


def normalize(image: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Center an image on its median and scale it by half its 5-95 percentile range.

    Args:
        image: float array (z, y, x), any intensity unit; non-finite voxels become 0 in the result.
        mask: bool array of the same shape; statistics are taken inside it only. All voxels if None.

    Returns:
        float32 array of the same shape, clipped to [-4, 4]; zeros where the image is constant.
    """
    finite = np.isfinite(image)
    selected = finite if mask is None else finite & mask
    values = image[selected]
    if values.size == 0:
        return np.zeros(image.shape, np.float32)
    nonzero = values[values != 0]
    if 0 < nonzero.size < (1 - PADDING_SHARE) * values.size:
        values = nonzero
    low, center, high = np.percentile(values, (5, 50, 95))
    half_range = (high - low) / 2
    if half_range <= np.finfo(np.float32).eps * max(abs(center), 1.0):
        return np.zeros(image.shape, np.float32)
    scaled = (np.where(finite, image, center) - center) / half_range
    return np.clip(scaled, -CLIP_HALF_RANGES, CLIP_HALF_RANGES).astype(np.float32)

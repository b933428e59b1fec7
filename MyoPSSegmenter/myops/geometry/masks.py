"""Geometry of bool masks: connected components, the box around a mask, growing within slices.

Slices lie too far apart to be neighbors like pixels, so growing stays within the plane, and a
caller says which voxels count as connected.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

Neighbors = Literal["faces", "corners", "faces_in_plane", "corners_in_plane"]


def label_components(mask: np.ndarray, neighbors: Neighbors = "faces") -> tuple[np.ndarray, int]:
    """Number the connected components of a mask.

    Args:
        mask: bool (z, y, x) or (y, x).
        neighbors: which voxels are connected: those that share a face (in a slice: an edge), or a
            corner as well; "in_plane" never joins two slices.

    Returns:
        int32 of the same shape, 0 outside the mask and components from 1 on; and their number.
    """
    from scipy.ndimage import label

    parts = np.zeros(mask.shape, np.int32)
    box = bounding_box(mask)
    parts[box], count = label(mask[box], _structure(mask.ndim, neighbors))
    return parts, int(count)


def component_sizes(parts: np.ndarray, count: int) -> np.ndarray:
    """Voxels of each component, int (count + 1,); the first entry, outside of all, is 0."""
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    return sizes


def largest_component(mask: np.ndarray, neighbors: Neighbors = "faces") -> np.ndarray:
    """The largest component of a bool mask, the first of several; an empty mask stays empty."""
    parts, count = label_components(mask, neighbors)
    if count < 2:
        return mask
    return parts == component_sizes(parts, count).argmax()


def bounding_box(mask: np.ndarray, margin: int | Sequence[int] = 0) -> tuple[slice, ...]:
    """Slices of every axis around a mask; of nothing when it is empty.

    Args:
        mask: bool, of any dimensions.
        margin: voxels around it, for all axes or each, as far as the array goes.
    """
    margins = [margin] * mask.ndim if isinstance(margin, int) else margin
    box = []
    for axis, wider in enumerate(margins):
        found = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        if not found.size:
            return (slice(0, 0),) * mask.ndim
        first, last = int(found[0]), int(found[-1])
        box.append(slice(max(first - wider, 0), min(last + wider + 1, mask.shape[axis])))
    return tuple(box)


def grow_in_plane(mask: np.ndarray, pixels: int = 1) -> np.ndarray:
    """A mask with all pixels whose center is within so many pixels of one of its own, in the slice.

    Args:
        mask: bool (z, y, x) or (y, x).
        pixels: 0 gives the mask itself.
    """
    if pixels > 2:
        return _within(mask, pixels)
    for _ in range(pixels):  # up to 2 steps to edge neighbors reach a disc, and are faster
        mask = _one_wider(mask)
    return mask


def _structure(dimensions: int, neighbors: Neighbors) -> np.ndarray | None:
    """Which of the 3 x 3 (x 3) voxels around one are its neighbors; None means the faces."""
    if neighbors == "faces" or (neighbors == "faces_in_plane" and dimensions == 2):
        return None
    corners = np.ones((3,) * dimensions, bool)
    if neighbors == "corners" or dimensions == 2:
        return corners
    if neighbors == "faces_in_plane":
        corners[1] = [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    corners[[0, 2]] = False
    return corners


def _one_wider(mask: np.ndarray) -> np.ndarray:
    grown = mask.copy()
    grown[..., 1:, :] |= mask[..., :-1, :]
    grown[..., :-1, :] |= mask[..., 1:, :]
    grown[..., 1:] |= mask[..., :-1]
    grown[..., :-1] |= mask[..., 1:]
    return grown


def _within(mask: np.ndarray, pixels: int) -> np.ndarray:
    from scipy.ndimage import distance_transform_edt

    if mask.ndim == 3:
        return np.stack([_within(plane, pixels) for plane in mask])
    near: np.ndarray = distance_transform_edt(~mask) <= pixels if mask.any() else mask
    return near

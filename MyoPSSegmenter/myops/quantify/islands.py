"""What happens to a mask after its threshold: dark cores are filled in, small islands taken out.

Microvascular obstruction (MVO) is a dark core inside bright scar. It counts as infarct, so a
threshold's mask is filled in, slice by slice, and what was filled is reported apart:

- holes: parts of the myocardium below the threshold that bright scar and the endocardium enclose
  (4 neighbors), no larger than the scar of their slice. What reaches the epicardium is no hole, and
  what is larger is more often healthy muscle under a rim than the core of a scar;
- what the label map marks as MVO.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

FULL = np.ones((3, 3, 3), bool)
IN_PLANE = np.stack([np.zeros((3, 3), bool), np.ones((3, 3), bool), np.zeros((3, 3), bool)])
FACES_IN_PLANE = np.array([np.zeros((3, 3)), [[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.zeros((3, 3))])
MM3_PER_ML = 1e3


def label_stack(mask: np.ndarray, scope: Literal["volume", "slice"]) -> tuple[np.ndarray, int]:
    """Number the connected parts of a mask (8 neighbors per slice; 26 in the volume).

    Returns:
        int32 (z, y, x) with 0 outside the mask and parts from 1 on, and their number.
    """
    from scipy.ndimage import label

    box = bounding_box(mask)
    parts = np.zeros(mask.shape, np.int32)
    parts[box], count = label(mask[box], FULL if scope == "volume" else IN_PLANE)
    return parts, int(count)


def epicardial_border(myocardium: np.ndarray, blood_pool: np.ndarray) -> np.ndarray:
    """Myocardium beside what is neither wall nor cavity (4 neighbors), slice by slice.

    Args:
        myocardium: bool (z, y, x).
        blood_pool: bool (z, y, x); a closed ring of myocardium has its cavity even without one.
    """
    from scipy.ndimage import binary_dilation, binary_fill_holes

    border = np.zeros(myocardium.shape, bool)
    for index in np.flatnonzero(myocardium.any(axis=(1, 2))):
        outside = ~binary_fill_holes(myocardium[index] | blood_pool[index])
        # Beyond the image's edge lies the outside as well.
        border[index] = myocardium[index] & binary_dilation(outside, border_value=1)
    return border


def enclosed_holes(mask: np.ndarray, myocardium: np.ndarray, epicardium: np.ndarray) -> np.ndarray:
    """Dark parts of the myocardium that a mask and the endocardium enclose.

    Args:
        mask: bool (z, y, x), scar of a rule, inside the myocardium.
        myocardium: bool (z, y, x).
        epicardium: bool (z, y, x), from `epicardial_border`.

    Returns:
        bool (z, y, x), voxels of `myocardium` outside `mask`.
    """
    from scipy.ndimage import label

    dark = myocardium & ~mask
    parts, count = label(dark, FACES_IN_PLANE)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    slice_of = np.zeros(count + 1, int)
    slice_of[parts[dark]] = np.nonzero(dark)[0]
    enclosed = sizes <= mask.sum(axis=(1, 2))[slice_of]
    enclosed[parts[epicardium]] = False
    enclosed[0] = False
    return enclosed[parts]


def without_islands(
    mask: np.ndarray,
    spacing_mm: tuple[float, float, float],
    smallest_mm2: float | None = None,
    smallest_ml: float | None = None,
) -> np.ndarray:
    """Take out islands below a size.

    Args:
        mask: bool (z, y, x).
        spacing_mm: (x, y, z).
        smallest_mm2: least area of a part of a slice (8 neighbors) in mm²; None keeps all.
        smallest_ml: least volume of a part of the stack (26 neighbors) in mL; None keeps all.

    Returns:
        bool (z, y, x); areas are judged first, volumes after it.
    """
    x_mm, y_mm, z_mm = spacing_mm
    kept = mask
    if smallest_mm2 is not None:
        kept = _at_least(kept, "slice", smallest_mm2 / (x_mm * y_mm))
    if smallest_ml is not None:
        kept = _at_least(kept, "volume", smallest_ml * MM3_PER_ML / (x_mm * y_mm * z_mm))
    return kept


def bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """Slices of every axis around a mask; of nothing when it is empty."""
    box = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        found = np.flatnonzero(mask.any(axis=others))
        box.append(slice(int(found[0]), int(found[-1]) + 1) if found.size else slice(0, 0))
    return tuple(box)


def grown_box(plane: np.ndarray) -> tuple[slice, ...]:
    """The bounding box of a mask (y, x) and one pixel around it, as far as the image goes."""
    return tuple(slice(max(part.start - 1, 0), part.stop + 1) for part in bounding_box(plane))


def _at_least(mask: np.ndarray, scope: Literal["volume", "slice"], voxels: float) -> np.ndarray:
    parts, count = label_stack(mask, scope)
    # A size of exactly the limit stays, whatever the rounding of the division above.
    large = np.bincount(parts.ravel(), minlength=count + 1) >= voxels * (1 - 1e-9)
    large[0] = False
    return large[parts]

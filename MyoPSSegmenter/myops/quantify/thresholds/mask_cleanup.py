"""What happens to a mask after its threshold: dark cores are filled in, small islands taken out.

Microvascular obstruction (MVO) is a dark core inside bright scar. It counts as infarct, so a
threshold's mask is filled in, slice by slice, and what was filled is reported apart:

- holes: parts of the myocardium below the threshold that bright scar and the endocardium enclose
  (4 neighbors), no larger than the scar of their slice. What reaches the epicardium is no hole, and
  what is larger is more often healthy muscle under a rim than the core of a scar;
- what the label map marks as MVO.
"""

from __future__ import annotations

import numpy as np

from myops.geometry.masks import Neighbors, component_sizes, label_components

MM3_PER_ML = 1e3


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
    dark = myocardium & ~mask
    parts, count = label_components(dark, "faces_in_plane")
    sizes = component_sizes(parts, count)
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
        bool (z, y, x); areas are checked first, volumes after it.
    """
    x_mm, y_mm, z_mm = spacing_mm
    kept = mask
    if smallest_mm2 is not None:
        kept = _at_least(kept, "corners_in_plane", smallest_mm2 / (x_mm * y_mm))
    if smallest_ml is not None:
        kept = _at_least(kept, "corners", smallest_ml * MM3_PER_ML / (x_mm * y_mm * z_mm))
    return kept


def _at_least(mask: np.ndarray, neighbors: Neighbors, voxels: float) -> np.ndarray:
    parts, count = label_components(mask, neighbors)
    # A size of exactly the limit stays, whatever the rounding of the division above.
    large = component_sizes(parts, count) >= voxels * (1 - 1e-9)
    large[0] = False
    return large[parts]

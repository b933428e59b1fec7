"""The same place of the left ventricle in another slice, although the heart moves and tapers.

Every pixel of a slice has a place in the ventricle: its angle around the LV center, the part it
lies in (cavity, wall, or the rim outside), and its relative depth in that part. A mask is carried
to another slice by looking up each pixel's place there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from myops import labels as regions

# How far outside the epicardium places are known, in wall thicknesses.
RIM = 1.0


@dataclass(frozen=True)
class Ventricle:
    """Where every pixel of one slice lies in the left ventricle; all arrays (y, x).

    Attributes:
        angle: float, radians around the center of the LV region.
        depth: float: -1 deepest in the cavity, 0 endocardium, 1 epicardium, 2 the rim's outside.
        parts: bool masks of cavity, wall and rim.
        radius_mm: mean distance of the wall from the center.
        thickness_mm: mean thickness of the wall.
    """

    angle: np.ndarray
    depth: np.ndarray
    parts: tuple[np.ndarray, np.ndarray, np.ndarray]
    radius_mm: float
    thickness_mm: float


def locate(labels: np.ndarray, spacing_mm: tuple[float, float, float]) -> Ventricle | None:
    """Give every pixel of a slice its place in the left ventricle; None without myocardium.

    Args:
        labels: uint16 (y, x), MyoPS values.
        spacing_mm: voxel spacing (x, y, z).
    """
    wall, cavity = regions.myocardium(labels), regions.blood_pool(labels)
    if not wall.any():
        return None
    right_mm, down_mm = _around_center(wall | cavity, spacing_mm)
    distance_mm = np.hypot(right_mm, down_mm)
    to_wall, to_outside = _distance_mm(wall, spacing_mm), _distance_mm(~(wall | cavity), spacing_mm)
    # Near the apex there may be no cavity: its place is then the center.
    to_cavity = _distance_mm(cavity, spacing_mm) if cavity.any() else distance_mm
    thickness = to_cavity + to_outside
    thickness_mm = float(thickness[wall].mean())
    depth = 1 + to_wall / thickness_mm
    depth[wall] = (to_cavity / np.maximum(thickness, 1e-6))[wall]
    depth[cavity] = -(to_wall / max(to_wall[cavity].max(initial=0.0), 1e-6))[cavity]
    rim = ~(wall | cavity) & (depth <= 1 + RIM)
    angle = np.arctan2(down_mm, right_mm)
    radius_mm = float(distance_mm[wall].mean())
    return Ventricle(angle, depth, (cavity, wall, rim), radius_mm, thickness_mm)


def propagate_mask(mask: np.ndarray, source: Ventricle, target: Ventricle) -> np.ndarray:
    """Propagate a mask to another slice: each pixel there asks the pixel of its place here.

    Args:
        mask: bool (y, x) in the source's slice; what lies beyond the rim is not carried.
        source: the mask's slice.
        target: the slice to propagate it to.

    Returns:
        bool (y, x) in the target's slice.
    """
    from scipy.spatial import cKDTree

    carried = np.zeros(mask.shape, bool)
    for here, there in zip(source.parts, target.parts, strict=True):
        if here.any() and there.any():
            tree = cKDTree(_places(source, here, target))
            _, nearest = tree.query(_places(target, there, target))
            carried[there] = mask[here][nearest]
    return carried


def innermost(mask: np.ndarray, spacing_mm: tuple[float, float, float]) -> tuple[int, int]:
    """Row and column of the pixel of a mask (bool (y, x), not empty) farthest from its border."""
    depth_mm = _distance_mm(~np.pad(mask, 1), spacing_mm)[1:-1, 1:-1]
    row, column = np.unravel_index(depth_mm.argmax(), mask.shape)
    return int(row), int(column)


def _places(ventricle: Ventricle, part: np.ndarray, scale: Ventricle) -> np.ndarray:
    """(pixels, 3) in mm: angle as a place on a circle, so that 0 and 360 degrees meet; depth."""
    angle = ventricle.angle[part]
    circle = scale.radius_mm * np.stack([np.cos(angle), np.sin(angle)])
    return np.vstack([circle, scale.thickness_mm * ventricle.depth[part]]).T


def _around_center(
    region: np.ndarray, spacing_mm: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Distance to the right of and below the center of a region, in mm, for every pixel."""
    rows, columns = np.indices(region.shape, dtype=float)
    right_mm = (columns - columns[region].mean()) * spacing_mm[0]
    return right_mm, (rows - rows[region].mean()) * spacing_mm[1]


def _distance_mm(mask: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Distance in mm of every pixel to a mask (bool (y, x)), 0 inside; infinite if it is empty."""
    from scipy.ndimage import distance_transform_edt

    if not mask.any():
        return np.full(mask.shape, np.inf)
    return distance_transform_edt(~mask, sampling=spacing_mm[1::-1])

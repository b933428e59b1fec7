"""The left ventricle on rays from its center, slice by slice.

Center rays, not wall normals: a share of the wall along a ray is the same as along the normal where
the wall is as thick on both sides, and rays stay defined in thin, open and partial rings.
Angles turn counterclockwise as displayed (row 0 on top), 0 = image right, in millimeters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from myops import labels as regions
from myops.geometry.masks import component_sizes, label_components
from myops.labels import MYOPS

# Samples along a ray are this share of a pixel apart.
STEP_SHARE = 0.2
# How far rays go beyond the epicardium: the right ventricle is looked for there.
BEYOND_MM = 6.0
# A ring met by this share of the rays is closed; its own centroid is its center.
CLOSED_SHARE = 0.9
# Pieces of less than this share of a slice's largest one are specks, not wall.
SPECK_SHARE = 0.1
SEARCH_RAYS = 180


@dataclass(frozen=True)
class PolarStack:
    """A label map read along rays.

    Attributes:
        labels: uint16 (z, ray, radius), MyoPS values; 0 outside the image and in slices without LV.
        angles_deg: float (ray,).
        step_mm: distance between samples of a ray; the first one lies half a step from the center.
    """

    labels: np.ndarray
    angles_deg: np.ndarray
    step_mm: float

    @property
    def covered(self) -> np.ndarray:
        """Float (z,): share of a slice's rays that meet the wall, 0..1."""
        return regions.myocardium(self.labels).any(axis=2).mean(axis=1)


def clean_ventricle(labels: np.ndarray) -> np.ndarray:
    """Labels without specks of LV and with what a ring encloses counted as blood.

    Args:
        labels: uint16 (z, y, x), MyoPS values.

    Returns:
        The same shape; only for geometry, never for volumes.
    """
    from scipy import ndimage

    cleaned = labels.copy()
    for plane in cleaned:
        region = regions.lv_region(plane)
        if not region.any():
            continue
        pieces, count = label_components(region)
        sizes = component_sizes(pieces, count)
        plane[region & (sizes < SPECK_SHARE * sizes.max())[pieces]] = 0
        enclosed = ndimage.binary_fill_holes(regions.lv_region(plane)) & (plane == 0)
        plane[enclosed] = MYOPS["blood_pool"]
    return cleaned


def lv_centers(labels: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Center of the left ventricle in every slice.

    A closed ring has its own centroid. An open ring (outflow tract, cut base) has none that means
    anything, so it takes the center of the nearest closed one; so does a piece of wall without
    cavity, unless it lies around that center as the apical cap does.

    Args:
        labels: uint16 (z, y, x), from `clean_ventricle`.
        spacing_mm: (x, y, z).

    Returns:
        Float (z, 2): row and column; NaN in slices without LV.
    """
    region = regions.lv_region(labels)
    own = np.array([_centroid(plane) for plane in region])
    covered = sample(labels, own, spacing_mm, _turns(SEARCH_RAYS // 2)).covered
    cavity = np.asarray(regions.blood_pool(labels).any(axis=(1, 2)))
    rings = np.flatnonzero((covered >= CLOSED_SHARE) & cavity)
    if not rings.size:
        return own
    area_px = region.sum(axis=(1, 2))
    centers = own.copy()
    for index in np.flatnonzero(region.any(axis=(1, 2))):
        ring = rings[np.argmin(np.abs(rings - index))]
        radius_px = np.sqrt(area_px[ring] / np.pi)
        near = np.hypot(*(own[index] - own[ring])) < radius_px / 2
        solid = covered[index] >= CLOSED_SHARE and not cavity[index]
        if index != ring and not (solid and near):
            centers[index] = own[ring]
    return centers


def sample(
    labels: np.ndarray,
    centers: np.ndarray,
    spacing_mm: tuple[float, float, float],
    angles_deg: np.ndarray,
) -> PolarStack:
    """Read a label map along rays, nearest voxel, a fifth of a pixel apart.

    Args:
        labels: uint16 (z, y, x).
        centers: float (z, 2), row and column, NaN where a slice is to be skipped.
        spacing_mm: (x, y, z).
        angles_deg: float (ray,).
    """
    step = STEP_SHARE * min(spacing_mm[:2])
    reach = _reach_mm(labels, centers, spacing_mm)
    radii = np.arange(step / 2, reach + BEYOND_MM, step)
    turn = np.radians(angles_deg)[:, None]
    down_px = -np.sin(turn) * radii / spacing_mm[1]
    right_px = np.cos(turn) * radii / spacing_mm[0]
    found = np.zeros((labels.shape[0], len(angles_deg), len(radii)), labels.dtype)
    height, width = labels.shape[1:]
    for index in np.flatnonzero(np.isfinite(centers[:, 0])):
        rows = np.floor(down_px + centers[index, 0] + 0.5).astype(np.intp)
        columns = np.floor(right_px + centers[index, 1] + 0.5).astype(np.intp)
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
        found[index] = np.where(inside, labels[index, rows, columns], 0)
    return PolarStack(found, np.asarray(angles_deg, float), step)


def search_rays(
    labels: np.ndarray, centers: np.ndarray, spacing_mm: tuple[float, float, float]
) -> PolarStack:
    """Rays every two degrees, to find the rings and the right ventricle's insertions."""
    return sample(labels, centers, spacing_mm, _turns(SEARCH_RAYS))


def angle_deg(
    row: float, column: float, center: np.ndarray, spacing_mm: tuple[float, float, float]
) -> float:
    """Angle of a place around a slice's center, 0..360."""
    up_mm = (center[0] - row) * spacing_mm[1]
    right_mm = (column - center[1]) * spacing_mm[0]
    return float(np.degrees(np.arctan2(up_mm, right_mm)) % 360.0)


def _turns(count: int) -> np.ndarray:
    return np.arange(count) * (360.0 / count)


def _centroid(plane: np.ndarray) -> tuple[float, float]:
    rows, columns = np.nonzero(plane)
    return (rows.mean(), columns.mean()) if rows.size else (np.nan, np.nan)


def _reach_mm(
    labels: np.ndarray, centers: np.ndarray, spacing_mm: tuple[float, float, float]
) -> float:
    """Distance from a center to the farthest LV voxel of its slice."""
    reach = 0.0
    for plane, (row, column) in zip(regions.lv_region(labels), centers, strict=True):
        rows, columns = np.nonzero(plane)
        if rows.size and np.isfinite(row):
            away = np.hypot((rows - row) * spacing_mm[1], (columns - column) * spacing_mm[0])
            reach = max(reach, float(away.max()))
    return reach

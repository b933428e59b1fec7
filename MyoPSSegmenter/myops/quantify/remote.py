"""Automatic remote region: healthy myocardium that conventional thresholds refer to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SECTOR_WIDTH_DEG = 60
ANGLE_STEP_DEG = 5
BINS = 360 // ANGLE_STEP_DEG
# A sector whose myocardium is mostly scar, edema or their rim is not remote.
LEAST_CLEAR_SHARE = 0.5
LEAST_VOXELS = 20


@dataclass(frozen=True)
class RemoteRegion:
    """Myocardium taken as healthy, and its statistics in the units of the LGE image.

    Attributes:
        mask: bool (z, y, x).
        mean, sd: mean and standard deviation (1/n) of the LGE inside the mask.
        center_angle_deg: middle of the sector, counterclockwise as displayed, 0 = image right.
        width_deg: width of the sector.
        voxels: voxels in the mask.
        note: how it was chosen, in words.
    """

    mask: np.ndarray
    mean: float
    sd: float
    center_angle_deg: float
    width_deg: float
    voxels: int
    note: str

    @property
    def clock_hour(self) -> int:
        """The sector's middle on a clock face laid over the displayed slice, 1..12."""
        return round((90.0 - self.center_angle_deg) / 30.0) % 12 or 12


def find_remote(
    lge: np.ndarray,
    lv_region: np.ndarray,
    myocardium: np.ndarray,
    diseased: np.ndarray,
    spacing_mm: tuple[float, float, float],
) -> RemoteRegion | None:
    """Find the myocardial sector of lowest mean LGE signal away from scar and edema.

    The sector spans the whole stack and turns about each slice's LV center. Voxels on the wall's
    border (they are mixed with blood or fat) and within one voxel of diseased tissue are left out.

    Args:
        lge: float (z, y, x), raw intensities.
        lv_region: bool (z, y, x), everything inside the epicardium.
        myocardium: bool (z, y, x).
        diseased: bool (z, y, x), scar or edema.
        spacing_mm: (x, y, z).

    Returns:
        The remote region, or None when no sector has enough myocardium free of disease.
    """
    angle = lv_angles_deg(lv_region, spacing_mm)
    for wall, clear, note in _candidates(myocardium, diseased):
        center_deg = _darkest_sector(lge, angle, wall, clear)
        if center_deg is None:
            continue
        offset = _wrap(angle - center_deg)
        mask = clear & (offset >= -SECTOR_WIDTH_DEG / 2) & (offset < SECTOR_WIDTH_DEG / 2)
        values = lge[mask].astype(float)
        return RemoteRegion(
            mask=mask,
            mean=float(values.mean()),
            sd=float(values.std()),
            center_angle_deg=center_deg,
            width_deg=float(SECTOR_WIDTH_DEG),
            voxels=int(values.size),
            note=note,
        )
    return None


def lv_angles_deg(lv_region: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Angle of every voxel around its slice's LV center, in degrees 0..360.

    Counterclockwise on a slice displayed with row 0 on top; 0 points to the image's right. NaN in
    slices without LV.
    """
    angles = np.full(lv_region.shape, np.nan, np.float32)
    places: np.ndarray = np.indices(lv_region.shape[1:], dtype=np.float32)
    rows, columns = places[0], places[1]
    for index, region in enumerate(lv_region):
        if not region.any():
            continue
        right_mm = (columns - columns[region].mean()) * spacing_mm[0]
        up_mm = (rows[region].mean() - rows) * spacing_mm[1]
        angles[index] = np.degrees(np.arctan2(up_mm, right_mm)) % 360.0
    return angles


def _candidates(
    myocardium: np.ndarray, diseased: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray, str]]:
    """(wall, its healthy part, words): the strictest choice first, then what a thin wall leaves."""
    near_disease = _grow_in_plane(diseased)
    inner = myocardium & ~_grow_in_plane(~myocardium)
    return [
        (inner, inner & ~near_disease, "inner wall, one voxel away from scar and edema"),
        (myocardium, myocardium & ~near_disease, "whole wall, one voxel away from scar and edema"),
        (myocardium, myocardium & ~diseased, "whole wall outside scar and edema"),
    ]


def _grow_in_plane(mask: np.ndarray) -> np.ndarray:
    """Dilate by one voxel along rows and columns: slices are too far apart to be neighbors."""
    grown = mask.copy()
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    grown[:, :, 1:] |= mask[:, :, :-1]
    grown[:, :, :-1] |= mask[:, :, 1:]
    return grown


def _darkest_sector(
    lge: np.ndarray, angle: np.ndarray, wall: np.ndarray, clear: np.ndarray
) -> float | None:
    """Center angle of the sector of lowest mean among those that hold enough healthy wall."""
    count = _sector_sums(angle[clear])
    total = _sector_sums(angle[clear], lge[clear])
    enough = LEAST_CLEAR_SHARE * _sector_sums(angle[wall])
    usable = (count >= LEAST_VOXELS) & (count >= enough)
    if not usable.any():
        return None
    mean = np.where(usable, total / np.maximum(count, 1), np.inf)
    return float(np.argmin(mean) * ANGLE_STEP_DEG)


def _sector_sums(angle: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Sum of `weight` (or count) in the sector around each of the 72 center angles."""
    bins = (angle // ANGLE_STEP_DEG).astype(int) % BINS
    per_bin = np.bincount(bins, weights=weight, minlength=BINS).astype(float)
    half = SECTOR_WIDTH_DEG // ANGLE_STEP_DEG // 2
    return np.sum([np.roll(per_bin, -shift) for shift in range(-half, half)], axis=0)


def _wrap(angle_deg: np.ndarray) -> np.ndarray:
    """Bring angles into -180..180."""
    return (angle_deg + 180.0) % 360.0 - 180.0

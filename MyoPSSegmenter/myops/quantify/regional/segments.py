"""The 17 segments of the left ventricle.

Cerqueira et al., Circulation 2002;105:539: basal and mid rings in six sectors of 60 degrees, the
apical ring in four of 90 degrees, and the apex beyond the end of the cavity. The border between
anterior and anteroseptal is the anterior insertion of the right ventricle; the apical septal
sector has the same middle as the septum above it.
"""

from __future__ import annotations

import numpy as np

from myops import labels as regions

SEGMENT_NAMES: dict[int, str] = {
    1: "basal anterior",
    2: "basal anteroseptal",
    3: "basal inferoseptal",
    4: "basal inferior",
    5: "basal inferolateral",
    6: "basal anterolateral",
    7: "mid anterior",
    8: "mid anteroseptal",
    9: "mid inferoseptal",
    10: "mid inferior",
    11: "mid inferolateral",
    12: "mid anterolateral",
    13: "apical anterior",
    14: "apical septal",
    15: "apical inferior",
    16: "apical lateral",
    17: "apex",
}
# Levels of slices; 0 is a slice without LV.
BASAL, MID, APICAL, APEX = 1, 2, 3, 4
LEVEL_NAMES = {BASAL: "basal", MID: "mid", APICAL: "apical", APEX: "apex"}
LEAST_SLICES = 3
# Slices with less than half a ring lie on or above the valve and are not part of the LV's length
# (Schulz-Menger et al., J Cardiovasc Magn Reson 2020;22:19).
HALF_RING = 0.5
# In the order in which they follow the anterior insertion, septum first.
_SIX = np.array([2, 3, 4, 5, 6, 1], np.uint8)
_FOUR = np.array([14, 15, 16, 13], np.uint8)
_APICAL_OFFSET_DEG = 15.0


def slice_levels(labels: np.ndarray, covered: np.ndarray, apex_last: bool) -> np.ndarray | None:
    """Divide the stack into basal, mid, apical and apex.

    The cavity's length, from the first to the last slice that has a cavity and at least half a
    ring, is cut into thirds by slice centers. Slices beyond it are basal on the base's side and
    apex on the other.

    Args:
        labels: uint16 (z, y, x), MyoPS values.
        covered: float (z,), share of the circumference with wall.
        apex_last: whether the last slice is the apical one.

    Returns:
        uint8 (z,), 0 in slices without LV; None with fewer than three slices of cavity.
    """
    there = regions.lv_region(labels).any(axis=(1, 2))
    cavity = regions.blood_pool(labels).any(axis=(1, 2)) & (covered >= HALF_RING)
    places = np.flatnonzero(cavity if apex_last else cavity[::-1])
    if places.size < LEAST_SLICES:
        return None
    order = np.arange(len(labels)) if apex_last else np.arange(len(labels))[::-1]
    length = places[-1] - places[0] + 1
    third = np.floor(3 * (order - places[0] + 0.5) / length).astype(int)
    levels = np.clip(third + BASAL, BASAL, APEX).astype(np.uint8)
    return np.where(there, levels, 0).astype(np.uint8)


def segment_of(from_insertion_deg: np.ndarray, level: int) -> np.ndarray:
    """Segment numbers, uint8, of places in the wall.

    Args:
        from_insertion_deg: any shape; angle from the anterior insertion through the septum, 0..360.
        level: BASAL, MID, APICAL or APEX.
    """
    angle = np.asarray(from_insertion_deg, float) % 360.0
    if level == APEX:
        return np.full(angle.shape, 17, np.uint8)
    if level == APICAL:
        return _FOUR[((angle - _APICAL_OFFSET_DEG) % 360.0 // 90).astype(int) % 4]
    return _SIX[(angle // 60).astype(int) % 6] + np.uint8(6 * (level == MID))


def segment_map(
    labels: np.ndarray,
    centers: np.ndarray,
    levels: np.ndarray,
    anterior_deg: float,
    septum_turn: int,
    spacing_mm: tuple[float, float, float],
) -> np.ndarray:
    """Give every voxel of the wall its segment.

    Args:
        labels: uint16 (z, y, x), MyoPS values.
        centers: float (z, 2), row and column of the LV center.
        levels: uint8 (z,), from `slice_levels`.
        anterior_deg: anterior insertion, counterclockwise as displayed, 0 = image right.
        septum_turn: +1 when the septum follows it counterclockwise as displayed, else -1.
        spacing_mm: (x, y, z).

    Returns:
        uint8 (z, y, x): 1..17, 0 outside the wall.
    """
    segments = np.zeros(labels.shape, np.uint8)
    for index, plane in enumerate(regions.myocardium(labels)):
        rows, columns = np.nonzero(plane)
        if not rows.size:
            continue
        up_mm = (centers[index, 0] - rows) * spacing_mm[1]
        right_mm = (columns - centers[index, 1]) * spacing_mm[0]
        angle = np.degrees(np.arctan2(up_mm, right_mm))
        from_insertion = septum_turn * (angle - anterior_deg) % 360.0
        segments[index, rows, columns] = segment_of(from_insertion, int(levels[index]))
    return segments

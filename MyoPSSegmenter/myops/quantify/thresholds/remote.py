"""The remote region: healthy myocardium that conventional thresholds refer to.

Found automatically as the darkest sector away from disease, or given by the reader as a sector or
as a mask.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from myops.errors import InputError
from myops.geometry.masks import grow_in_plane

SECTOR_WIDTH_DEG = 60
ANGLE_STEP_DEG = 5
BINS = 360 // ANGLE_STEP_DEG
# A sector whose myocardium is mostly scar, edema or their rim is not remote.
LEAST_CLEAR_SHARE = 0.5
LEAST_VOXELS = 20
# More of a given region than this in labeled disease, and it is not healthy myocardium; less of it
# is what a brush takes along.
LARGEST_DISEASED_SHARE = 0.1
# Of the experts' normal myocardium up to an eighth is as bright as their scar (EMIDEC): so much is
# doubted, and refused where it is most of the region.
DOUBTED_BRIGHT_SHARE, LARGEST_BRIGHT_SHARE = 0.1, 0.5
# Most of a drawn region outside the wall: it was meant for something else.
LARGEST_OUTSIDE_SHARE = 0.5


@dataclass(frozen=True)
class Sector:
    """A sector of the left ventricle that a reader chose.

    Attributes:
        center_angle_deg: middle, counterclockwise as displayed, 0 = image right.
        width_deg: width, above 0 up to 360.
    """

    center_angle_deg: float
    width_deg: float = float(SECTOR_WIDTH_DEG)


@dataclass(frozen=True)
class RemoteRegion:
    """Myocardium taken as healthy, and its statistics in the units of the LGE image.

    Attributes:
        mask: bool (z, y, x).
        mean, sd: mean and standard deviation (1/n) of the LGE inside the mask.
        center_angle_deg: middle of the sector, counterclockwise as displayed, 0 = image right; for
            a drawn region the mean direction of its voxels.
        width_deg: width of the sector; for a drawn region 360, as it may be anywhere.
        voxels: voxels in the mask.
        note: how it was chosen, in words.
        given: True where the reader gave the region, False where it was found automatically.
        doubts: what is doubtful about a given region, in words.
    """

    mask: np.ndarray
    mean: float
    sd: float
    center_angle_deg: float
    width_deg: float
    voxels: int
    note: str
    given: bool = False
    doubts: tuple[str, ...] = ()

    @property
    def clock_hour(self) -> int:
        """The sector's middle on a clock face laid over the displayed slice, 1..12."""
        return round((90.0 - self.center_angle_deg) / 30.0) % 12 or 12


def automatic_remote(
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
        mask = clear & _in_sector(angle, center_deg, SECTOR_WIDTH_DEG)
        return _region(lge, mask, center_deg, SECTOR_WIDTH_DEG, note)
    return None


def manual_remote(
    given: np.ndarray | Sector,
    lge: np.ndarray,
    lv_region: np.ndarray,
    myocardium: np.ndarray,
    diseased: np.ndarray,
    spacing_mm: tuple[float, float, float],
) -> RemoteRegion:
    """The remote region that a reader gave, in place of the automatic one.

    A mask is taken as it is, but for voxels outside the myocardium and in labeled disease. A sector
    leaves out the wall's border and diseased tissue in the same way as the automatic one. A region
    that lies in scar would make every rule that refers to it call scar healthy, so it is refused.

    Args:
        given: bool (z, y, x), or a sector of every slice.
        lge: float (z, y, x), raw intensities.
        lv_region: bool (z, y, x), everything inside the epicardium.
        myocardium: bool (z, y, x).
        diseased: bool (z, y, x), scar or edema.
        spacing_mm: (x, y, z).

    Raises:
        InputError: another shape, a sector without width, values that are not finite, too little
            myocardium in it, or too much of it in scar, edema or tissue as bright as scar.
    """
    angle = lv_angles_deg(lv_region, spacing_mm)
    level = _scar_level(lge, myocardium, diseased)
    if isinstance(given, Sector):
        found = _given_sector(given, lge, angle, myocardium, diseased)
        return replace(found, doubts=_bright_warnings(lge[found.mask] > level))
    if given.shape != myocardium.shape:
        raise InputError(
            f"expected a remote region of {myocardium.shape} (z, y, x), found {given.shape}; "
            "draw it on the LGE image"
        )
    if not np.isfinite(given).all():
        raise InputError(
            f"expected a remote region of true and false voxels, found "
            f"{np.count_nonzero(~np.isfinite(given))} that are not finite; draw it again"
        )
    return _given_mask(given.astype(bool), lge, angle, myocardium, diseased, level)


def _given_mask(
    given: np.ndarray,
    lge: np.ndarray,
    angle: np.ndarray,
    myocardium: np.ndarray,
    diseased: np.ndarray,
    level: float,
) -> RemoteRegion:
    """What of a drawn region is healthy wall."""
    in_wall = given & myocardium
    _check_size(in_wall)
    _check_share(diseased[in_wall], LARGEST_DISEASED_SHARE, "inside labeled scar or edema")
    mask = in_wall & ~diseased
    _check_size(mask)
    doubts = _bright_warnings(lge[mask] > level)
    direction = np.exp(1j * np.radians(angle[mask].astype(float))).mean()
    drawn, kept = int(np.count_nonzero(given)), int(np.count_nonzero(in_wall))
    outside, sick = drawn - kept, kept - int(np.count_nonzero(mask))
    note = "drawn by the reader"
    note += f"; {outside} voxels outside the myocardium left out" if outside else ""
    note += f"; {sick} voxels of labeled scar or edema left out" if sick else ""
    if outside > LARGEST_OUTSIDE_SHARE * drawn:
        doubts += (
            f"{100 * outside / drawn:.0f} % of the drawn remote region lies outside the labeled "
            "myocardium and was left out: check that it was drawn on this image",
        )
    turn = float(np.degrees(np.angle(direction)) % 360)
    return replace(_region(lge, mask, turn, 360, note, True), doubts=doubts)


def _scar_level(lge: np.ndarray, myocardium: np.ndarray, diseased: np.ndarray) -> float:
    """Signal halfway between healthy wall and labeled disease; infinite where that is not bright.

    The upper half of what is labeled counts: edema, which LGE does not show, is labeled too.
    """
    healthy, sick = lge[myocardium & ~diseased], lge[myocardium & diseased]
    if min(healthy.size, sick.size) < LEAST_VOXELS:
        return np.inf
    low, high = float(np.median(healthy)), float(np.percentile(sick, 75))
    # Of the darker half: among the brighter one may be scar that nobody has labeled.
    spread = low - float(np.percentile(healthy, 16))
    level = low + (high - low) / 2
    return level if level > low + 2 * spread else np.inf


def _bright_warnings(bright: np.ndarray) -> tuple[str, ...]:
    """A sentence where much of a region is as bright as scar; bool (n,), one value a voxel.

    Raises:
        InputError: most of it is.
    """
    _check_share(bright, LARGEST_BRIGHT_SHARE, "as bright as labeled scar")
    share = np.count_nonzero(bright) / bright.size
    if share <= DOUBTED_BRIGHT_SHARE:
        return ()
    return (
        f"{100 * share:.0f} % of the remote region that was given is as bright as labeled scar: "
        "check that it lies in healthy myocardium",
    )


def _check_share(bad: np.ndarray, largest: float, words: str) -> None:
    """Refuse a region too much of which is not healthy; bad is bool (n,), one value a voxel."""
    found = int(np.count_nonzero(bad))
    if found > largest * bad.size:
        raise InputError(
            f"expected a remote region of healthy myocardium, found {100 * found / bad.size:.0f} % "
            f"of it ({found} of {bad.size} voxels) {words}; move it away from scar"
        )


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


def _given_sector(
    given: Sector, lge: np.ndarray, angle: np.ndarray, myocardium: np.ndarray, diseased: np.ndarray
) -> RemoteRegion:
    """The strictest choice of healthy wall in the sector that leaves enough voxels."""
    if not (np.isfinite(given.center_angle_deg) and 0 < given.width_deg <= 360):
        raise InputError(
            f"expected a sector with a width above 0 up to 360 degrees, found {given}; give both "
            "angles in degrees"
        )
    center_deg = given.center_angle_deg % 360.0
    inside = _in_sector(angle, center_deg, given.width_deg)
    candidates = [(clear & inside, note) for _, clear, note in _candidates(myocardium, diseased)]
    enough = [found for found in candidates if found[0].sum() >= LEAST_VOXELS]
    mask, note = (enough or candidates[-1:])[0]
    _check_size(mask)
    wall = myocardium & inside
    sick = int(np.count_nonzero(wall & diseased))
    if sick > (1 - LEAST_CLEAR_SHARE) * np.count_nonzero(wall):
        share = f"{100 * sick / wall.sum():.0f} % of it ({sick} of {wall.sum()} voxels)"
        raise InputError(
            f"expected a remote sector of healthy myocardium, found {share} labeled as scar or "
            "edema; turn it away"
        )
    note += f"; {sick} voxels of labeled scar or edema left out" if sick else ""
    return _region(lge, mask, center_deg, given.width_deg, f"sector given; {note}", True)


def _check_size(mask: np.ndarray) -> None:
    found = int(mask.sum())
    if found < LEAST_VOXELS:
        raise InputError(
            f"expected a remote region with {LEAST_VOXELS} voxels of healthy myocardium, found "
            f"{found}; draw it inside the wall, away from scar"
        )


def _region(
    lge: np.ndarray,
    mask: np.ndarray,
    center_deg: float,
    width_deg: float,
    note: str,
    given: bool = False,
) -> RemoteRegion:
    """A region with the statistics of its voxels."""
    values = lge[mask].astype(float)
    return RemoteRegion(
        mask=mask,
        mean=float(values.mean()),
        sd=float(values.std()),
        center_angle_deg=center_deg,
        width_deg=float(width_deg),
        voxels=int(values.size),
        note=note,
        given=given,
    )


def _in_sector(angle_deg: np.ndarray, center_deg: float, width_deg: float) -> np.ndarray:
    """True within half a width of the center; nowhere in slices without LV (NaN)."""
    offset = _wrap(angle_deg - center_deg)
    return (offset >= -width_deg / 2) & (offset < width_deg / 2)


def _candidates(
    myocardium: np.ndarray, diseased: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray, str]]:
    """(wall, its healthy part, words): the strictest choice first, then what a thin wall leaves."""
    near_disease = grow_in_plane(diseased)
    inner = myocardium & ~grow_in_plane(~myocardium)
    return [
        (inner, inner & ~near_disease, "inner wall, one voxel away from scar and edema"),
        (myocardium, myocardium & ~near_disease, "whole wall, one voxel away from scar and edema"),
        (myocardium, myocardium & ~diseased, "whole wall outside scar and edema"),
    ]


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

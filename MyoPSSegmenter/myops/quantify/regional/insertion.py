"""Where the right ventricle is attached to the left: the two ends of the septum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from myops import labels as regions
from myops.quantify.regional.polar import PolarStack

# The RV cavity lies on the septum; a coarse RV label may leave a gap of this width.
CONTACT_MM = 3.0
# Contact outside these limits is not a septum (specks of RV, or an RV label around the LV).
SEPTUM_DEG = (30.0, 200.0)
# At least this share of the slices with an RV must show a septum.
LEAST_SHARE = 0.5
# The slices' insertions agree within the first limit (standard deviation, degrees) in a sound label
# map; beyond the second one their median means nothing.
SPREAD_DEG = 20.0
LARGEST_SPREAD_DEG = 45.0


@dataclass(frozen=True)
class Septum:
    """The two insertion points, not yet told apart; angles in degrees as in `polar`.

    Attributes:
        start_deg, end_deg: counterclockwise from start to end runs the septum.
        slices: how many slices they were found in; the angles are medians over these.
        spread_deg: the larger standard deviation of the two over the slices.
    """

    start_deg: float
    end_deg: float
    slices: int
    spread_deg: float

    @property
    def width_deg(self) -> float:
        """Angle between the insertions across the septum, 0..360."""
        return (self.end_deg - self.start_deg) % 360.0

    @property
    def middle_deg(self) -> float:
        """Direction from the LV center to the middle of the septum."""
        return (self.start_deg + self.width_deg / 2) % 360.0


def find_septum(polar: PolarStack, usable: np.ndarray) -> Septum | None:
    """Find both insertions from the stretch where the RV label touches the epicardium.

    Args:
        polar: labels on equally spaced rays around the full turn.
        usable: bool (z,), slices to look at (basal and mid rings; the RV ends before the apex).

    Returns:
        None when there is no right ventricle, when too few slices show a septum with two ends, or
        when these lie elsewhere in every slice.
    """
    contact = _contact(polar)[usable]
    ends = [_ends(row, polar.angles_deg) for row in contact]
    found = np.array([pair for pair in ends if pair is not None])
    if len(found) < max(1.0, LEAST_SHARE * contact.any(axis=1).sum()):
        return None
    (start, start_spread), (end, end_spread) = (_median_deg(found[:, k]) for k in range(2))
    spread = max(start_spread, end_spread)
    return Septum(start, end, len(found), spread) if spread <= LARGEST_SPREAD_DEG else None


def _contact(polar: PolarStack) -> np.ndarray:
    """Bool (z, ray): the ray meets the right ventricle within 3 mm behind the epicardium."""
    ventricle = regions.lv_region(polar.labels)
    samples = ventricle.shape[2]
    epicardium = samples - 1 - np.argmax(ventricle[..., ::-1], axis=2)
    behind = np.arange(samples) - epicardium[..., None]
    near = (behind > 0) & (behind * polar.step_mm <= CONTACT_MM)
    right = regions.right_ventricle(polar.labels) & near
    return right.any(axis=2) & ventricle.any(axis=2)


def _ends(contact: np.ndarray, angles_deg: np.ndarray) -> tuple[float, float] | None:
    """First and last angle of the septum: all of the circle but the longest stretch free of RV.

    Trabeculae and a coarse label leave breaks in the contact; the free wall is longer than these.
    """
    if not contact.any():
        return None
    count = len(contact)
    ray_deg = 360.0 / count
    touching = np.flatnonzero(contact)
    free = np.diff(np.append(touching, touching[0] + count)) - 1
    longest = int(np.argmax(free))
    width_deg = (count - free[longest]) * ray_deg
    if not SEPTUM_DEG[0] <= width_deg <= SEPTUM_DEG[1]:
        return None
    start = float(angles_deg[touching[(longest + 1) % len(touching)]]) - ray_deg / 2
    return start % 360.0, (start + width_deg) % 360.0


def _median_deg(angles: np.ndarray) -> tuple[float, float]:
    """Median and standard deviation of angles, taken around their circular mean."""
    mean = np.degrees(np.angle(np.exp(1j * np.radians(angles)).mean()))
    around = wrap_deg(angles - mean)
    return float((mean + np.median(around)) % 360.0), float(around.std())


def wrap_deg(angle: np.ndarray | float) -> np.ndarray:
    """Bring angles into -180..180."""
    return (np.asarray(angle) + 180.0) % 360.0 - 180.0

"""Endocardial surface area of the infarct: infarcted endocardial length times slice distance.

The sum over slices of the endocardial length under scar, times the distance between slice centers,
as in the comparisons that the JACC Scientific Expert Panel reviews (Ibanez et al., J Am Coll
Cardiol 2019;74:238). The surface's slope toward the apex is left out, as in planimetry.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from myops.quantify.regional.transmurality import CHORDS, Chords

CM2_PER_MM2 = 1e-2
# The endocardium's distance is smoothed over neighboring chords (7.5 degrees), since the steps
# between voxels would count as length.
SMOOTHING_CHORDS = 2.0


@dataclass(frozen=True)
class EndocardialSurface:
    """Endocardial surface of the slices with a cavity.

    Attributes:
        infarct_cm2: under scar; None with a reason.
        total_cm2: all that was cut by chords.
        infarct_percent: infarct's share of it, 0..100; needs no slice spacing.
        reason: why a number is missing.
    """

    infarct_cm2: float | None
    total_cm2: float | None
    infarct_percent: float | None
    reason: str | None = None


def endocardial_lengths_mm(chords: Chords) -> tuple[np.ndarray, np.ndarray]:
    """Length of the endocardium (z,) in mm under scar, and in total.

    Each chord stands for the arc sqrt(r^2 + (dr/dtheta)^2) dtheta of the smoothed outline.
    """
    step = 2 * np.pi / CHORDS
    radius = _smooth(chords.endocardium_mm)
    slope = (np.roll(radius, -1, axis=1) - np.roll(radius, 1, axis=1)) / (2 * step)
    arc = np.hypot(radius, np.nan_to_num(slope)) * step
    arc = np.where(chords.assessed, arc, 0.0)
    return (arc * chords.scar_at_endocardium).sum(axis=1), arc.sum(axis=1)


def endocardial_surface(
    chords: Chords, slice_spacing_mm: float | None, scar_missing: str | None
) -> EndocardialSurface:
    """Add the slices up.

    Args:
        chords: of the whole stack.
        slice_spacing_mm: between slice centers; None when the header holds no spacing.
        scar_missing: why scar was not assessed, None when it was.
    """
    infarct, total = (float(lengths.sum()) for lengths in endocardial_lengths_mm(chords))
    if scar_missing:
        return EndocardialSurface(None, None, None, scar_missing)
    if total == 0:
        return EndocardialSurface(None, None, None, "no slice has wall around a cavity")
    percent = 100.0 * infarct / total
    if slice_spacing_mm is None:
        return EndocardialSurface(None, None, percent, "no area: the spacing is unknown")
    scale = slice_spacing_mm * CM2_PER_MM2
    return EndocardialSurface(infarct * scale, total * scale, percent)


def _smooth(radius: np.ndarray) -> np.ndarray:
    """Gaussian mean around the circle over the chords that exist; NaN where none is near."""
    known = np.isfinite(radius)
    values, weights = np.zeros(radius.shape), np.zeros(radius.shape)
    reach = int(3 * SMOOTHING_CHORDS)
    for shift in range(-reach, reach + 1):
        weight = np.exp(-0.5 * (shift / SMOOTHING_CHORDS) ** 2)
        values += weight * np.roll(np.where(known, radius, 0.0), shift, axis=1)
        weights += weight * np.roll(known, shift, axis=1)
    return np.divide(values, weights, out=np.full(radius.shape, np.nan), where=weights > 0)

"""Volume and mass of labeled tissue.

The volume of a voxel is the product of the image's spacings. Along z that is the distance between
slice centers, so the gap between slices counts as tissue; slice thickness alone would leave the gap
out and make every mass too small.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from myops.structures import MEASURED, STRUCTURES

if TYPE_CHECKING:
    from myops.case import Case

# Specific density of myocardium used for LV mass by the Society for Cardiovascular Magnetic
# Resonance: Schulz-Menger et al., J Cardiovasc Magn Reson 2020;22:19.
MYOCARDIAL_DENSITY_G_PER_ML = 1.05

NOT_ASSESSED = {name: row.not_assessed for name, row in STRUCTURES.items() if row.seen_on}
GIVE_SPACING = "give the true spacing to get volumes and masses"
UNKNOWN_SPACING = (
    f"refused: the image's header holds no spacing (1 x 1 x 1 mm at origin 0); {GIVE_SPACING}"
)
NOTHING_MISSING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class TissueMass:
    """One tissue: how much of it there is, or why that cannot be said.

    Attributes:
        voxels: voxels of the tissue; None when it was not assessed.
        volume_ml: volume in mL; None when not assessed or when the spacing is unknown.
        mass_g: volume times 1.05 g/mL; None where the volume is, and for blood.
        percent_of_lv_mass: share of the LV myocardium, 0..100; needs no spacing.
        reason: why a number is missing, in words; None when nothing is missing.
    """

    voxels: int | None
    volume_ml: float | None
    mass_g: float | None
    percent_of_lv_mass: float | None
    reason: str | None = None


def known_spacing_mm(case: Case) -> tuple[float, float, float] | None:
    """Voxel spacing (x, y, z) of a case; None when it is unknown."""
    return case.geometry.spacing_mm if case.spacing_known else None


def spacing_refusal(case: Case) -> str:
    """Why a case gives no mm, mL and g, in words for the user; empty when it gives them."""
    if case.spacing_known:
        return ""
    told = getattr(case, "spacing_reason", "")
    return f"refused: {told}; {GIVE_SPACING}" if told else UNKNOWN_SPACING


def tissue_mass(
    voxels: int | None,
    lv_voxels: int,
    voxel_ml: float | None,
    reason: str | None = None,
    no_spacing: str = UNKNOWN_SPACING,
) -> TissueMass:
    """Volume, mass and share of LV mass for a number of voxels.

    Args:
        voxels: voxels of the tissue, None if it was not assessed.
        lv_voxels: voxels of the LV myocardium (normal + edema + scar, MVO in it).
        voxel_ml: volume of one voxel in mL, None when the spacing is unknown.
        reason: why `voxels` is None.
        no_spacing: why `voxel_ml` is None, from `spacing_refusal`.
    """
    if voxels is None:
        return TissueMass(None, None, None, None, reason)
    percent = 100.0 * voxels / lv_voxels if lv_voxels else None
    if voxel_ml is None:
        return TissueMass(voxels, None, None, percent, no_spacing)
    volume = voxels * voxel_ml
    no_share = None if lv_voxels else "no share of LV mass: no myocardium was found"
    return TissueMass(voxels, volume, volume * MYOCARDIAL_DENSITY_G_PER_ML, percent, no_share)


def tissue_masses(
    labels: np.ndarray,
    assessed: frozenset[str],
    voxel_ml: float | None,
    missing: Mapping[str, str] = NOTHING_MISSING,
    no_spacing: str = UNKNOWN_SPACING,
) -> dict[str, TissueMass]:
    """Mass of every tissue of a MyoPS label map.

    LV mass is normal myocardium + edema + scar as labeled; scar includes microvascular obstruction
    (MVO). Papillary muscles and trabeculae count where the label map calls them myocardium; MyoPS
    labels put them in the blood pool, `papillary` moves them.

    Args:
        labels: uint16 (z, y, x) or one slice (y, x), MyoPS values.
        assessed: which of `structures.ASSESSABLE` the present sequences let one assess; "mvo"
            where the label map tells MVO from scar, which marked MVO shows by itself.
        voxel_ml: volume of one voxel in mL, None when the spacing is unknown.
        missing: tissues that cannot be assessed here although they are `assessed` elsewhere, with
            the reason, see `coverage`.
        no_spacing: why `voxel_ml` is None, from `spacing_refusal`.

    Returns:
        Name out of `structures.MEASURED` -> TissueMass.
    """
    counts = {key: int(np.count_nonzero(row.mask(labels))) for key, row in MEASURED.items()}
    known = assessed | {key for key, row in MEASURED.items() if row.optional and counts[key]}
    masses = {}
    for key, row in MEASURED.items():
        reason = missing.get(key)
        if row.seen_on and not known >= row.assessed_as:
            reason = row.not_assessed
        voxels = None if reason else counts[key]
        mass = tissue_mass(voxels, counts["lv_myocardium"], voxel_ml, reason, no_spacing)
        masses[key] = mass if row.within("myocardium") else _cavity(mass)
    return masses


def _cavity(blood: TissueMass) -> TissueMass:
    """Blood has a volume, not a myocardial mass."""
    reason = blood.reason if blood.volume_ml is None else "a cavity: volume only"
    return TissueMass(blood.voxels, blood.volume_ml, None, None, reason)


def dice(a: np.ndarray, b: np.ndarray) -> float | None:
    """Dice overlap of two bool masks, 0..1; None when both are empty (nothing to compare)."""
    total = int(a.sum()) + int(b.sum())
    return 2.0 * int((a & b).sum()) / total if total else None

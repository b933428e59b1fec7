"""Enhanced myocardium on both definitions of LV mass: without and with papillary muscles.

Programs and papers differ in whether papillary muscles count as LV mass and dark cores as scar; a
percentage says little without both. So all are given, each with its base.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from myops import labels as regions
from myops.errors import InputError
from myops.quantify.papillary import with_papillary_muscles
from myops.structures import STRUCTURES

if TYPE_CHECKING:
    from myops.case import Case
    from myops.quantify.scale import Scale

BASES = {
    "without_papillary_muscles": "LV wall as labeled",
    "with_papillary_muscles": "LV wall and papillary muscles",
}
NO_WALL = "no myocardium was found"


@dataclass(frozen=True)
class Enhanced:
    """Scar relative to one definition of LV mass. Missing numbers are None, `reason` says why.

    Attributes:
        base: out of `BASES`.
        lv_mass_g: LV mass of this definition.
        scar_percent: scar, dark cores (MVO) included, as a share of it, 0..100.
        scar_without_mvo_percent: scar without marked MVO; equal where the label map marks none.
        reason: why numbers are missing.
    """

    base: str
    lv_mass_g: float | None
    scar_percent: float | None
    scar_without_mvo_percent: float | None
    reason: str | None = None


def enhanced(case: Case, labels: np.ndarray, scale: Scale) -> tuple[Enhanced, ...]:
    """Both definitions for a label map (z, y, x) that counts papillary muscles as blood."""
    return tuple(_enhanced(base, case, labels, scale) for base in BASES)


def _enhanced(base: str, case: Case, labels: np.ndarray, scale: Scale) -> Enhanced:
    weighed = labels
    if base == "with_papillary_muscles":
        try:
            weighed = with_papillary_muscles(case.images, labels)
        except InputError as error:
            return Enhanced(base, None, None, None, str(error))
    voxels = int(regions.myocardium(weighed).sum())
    whole = scale.mass(voxels, voxels)
    missing = scale.lacking.get("scar")
    if "scar" not in scale.assessed:
        missing = STRUCTURES["scar"].not_assessed
    if missing or not voxels:
        return Enhanced(base, whole.mass_g, None, None, missing or NO_WALL)
    scar, mvo = (int(where(labels).sum()) for where in (regions.scar, regions.mvo))
    shares = (100.0 * scar / voxels, 100.0 * (scar - mvo) / voxels)
    return Enhanced(base, whole.mass_g, *shares, whole.reason)

"""Myocardial salvage from T2: how much of the area at risk was spared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from myops import labels as regions
from myops.quantify.mass import NOTHING_MISSING
from myops.structures import STRUCTURES

SALVAGE_WARNING = (
    "A 2019 consensus (Ibanez et al., J Am Coll Cardiol 2019;74:238) advises against edema on T2 "
    "as the area at risk and against a salvage index made from it: edema changes from day to day "
    "after reperfusion, and with the length of ischemia and the treatment. Not an endpoint."
)


@dataclass(frozen=True)
class Salvage:
    """Salvage index and what it is made of.

    Attributes:
        index: (area at risk - infarct) / area at risk, 0..1; None with a reason.
        area_at_risk_percent: scar or edema as share of the LV myocardium, 0..100.
        infarct_percent: scar, MVO included, as share of the LV myocardium, 0..100.
        reason: why there is no index.
        warning: to be shown wherever the index is shown.
    """

    index: float | None
    area_at_risk_percent: float | None
    infarct_percent: float | None
    reason: str | None
    warning: str = SALVAGE_WARNING


def salvage(
    labels: np.ndarray, assessed: frozenset[str], hidden: Mapping[str, str] = NOTHING_MISSING
) -> Salvage:
    """Salvage index of a label map; shares of voxels, so it needs no spacing.

    Args:
        labels: uint16 (z, y, x), MyoPS values.
        assessed: which of `structures.ASSESSABLE` the present sequences let one assess.
        hidden: those that they do not show in the whole LV, with the reason, see `coverage`.
    """
    union = STRUCTURES["scar_or_edema"]
    missing = [name for name in union.parts if name not in assessed]
    if missing:
        images = " and ".join(STRUCTURES[name].images for name in missing)
        return Salvage(None, None, None, f"not assessed: there is no {images} image")
    if union.name in hidden:
        return Salvage(None, None, None, hidden[union.name])
    wall = int(regions.myocardium(labels).sum())
    if not wall:
        return Salvage(None, None, None, "no myocardium was found")
    infarct = int(regions.scar(labels).sum())
    at_risk = int(regions.scar_or_edema(labels).sum())
    shares = 100.0 * at_risk / wall, 100.0 * infarct / wall
    if not at_risk:
        return Salvage(None, *shares, "no area at risk: there is neither edema nor scar")
    return Salvage((at_risk - infarct) / at_risk, *shares, None)

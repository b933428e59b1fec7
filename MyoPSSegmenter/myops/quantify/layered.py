"""Scar, edema, core and grey zone in the layers of the wall."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from myops import labels as regions
from myops.quantify.mass import TissueMass
from myops.quantify.regional.layers import LAYERS, Layer, Layers
from myops.structures import ASSESSABLE, STRUCTURES

if TYPE_CHECKING:
    from myops.quantify.scale import Scale
    from myops.quantify.thresholds.base import ThresholdResult

# As electrophysiologists divide scar: core from 60 %, grey zone from 40 % of the maximum.
RULE = "grey_zone_40_60"
NO_WALL = "no myocardium was found"


def layered(
    labels: np.ndarray, layer_labels: np.ndarray, zones: ThresholdResult | str, scale: Scale
) -> Layers:
    """Sum up the tissues by layer.

    Args:
        labels: uint16 (z, y, x), MyoPS values.
        layer_labels: uint8 (z, y, x), from `regional.layers.layer_map`.
        zones: core and grey zone of the LGE, or why there are none.
        scale: of the case.
    """
    wall = regions.myocardium(labels)
    voxels = int(wall.sum())
    if not voxels:
        return Layers((), RULE, NO_WALL, None)
    masks = _tissues(labels, zones, scale)
    layers = tuple(
        _layer(name, wall & (layer_labels == number), masks, scale, voxels)
        for number, name in LAYERS.items()
    )
    outside = int((wall & (layer_labels == 0)).sum())
    doubts = () if isinstance(zones, str) else zones.warnings
    return Layers(layers, RULE, None, 100.0 * outside / voxels, doubts)


def _tissues(
    labels: np.ndarray, zones: ThresholdResult | str, scale: Scale
) -> dict[str, np.ndarray | str]:
    """Each tissue's mask (z, y, x), or why it cannot be given."""
    found: dict[str, np.ndarray | str] = {}
    for name in ASSESSABLE:
        row = STRUCTURES[name]
        why = scale.lacking.get(name) or ("" if name in scale.assessed else row.not_assessed)
        found[name] = why or row.mask(labels)
    missing = zones if isinstance(zones, str) else zones.invalid or scale.lacking.get("scar")
    for name in ("core", "grey_zone"):
        # A rule of two parts that is not invalid has both.
        found[name] = missing or np.asarray(getattr(zones, name))
    return found


def _layer(
    name: str,
    here: np.ndarray,
    masks: Mapping[str, np.ndarray | str],
    scale: Scale,
    wall_voxels: int,
) -> Layer:
    own = int(here.sum())

    def mass(mask: np.ndarray | str) -> TissueMass:
        if isinstance(mask, str):
            return scale.mass(None, own, mask)
        return scale.mass(int((mask & here).sum()), own)

    tissues = {tissue: mass(mask) for tissue, mask in masks.items()}
    return Layer(name, scale.mass(own, wall_voxels), tissues)

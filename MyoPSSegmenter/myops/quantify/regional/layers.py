"""Layers of the wall from endocardium to epicardium, each a third of it.

The depth of a voxel is its place on the chord that runs through it (`transmurality`), 0 at the
endocardium and 1 at the epicardium; so a layer is a third of the wall's thickness at that place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from myops import labels as regions
from myops.quantify.mass import TissueMass
from myops.quantify.regional.transmurality import CHORD_DEG, CHORDS, Chords

LAYERS: Mapping[int, str] = {1: "inner third", 2: "middle third", 3: "outer third"}


@dataclass(frozen=True)
class Layer:
    """One layer of the whole wall.

    Attributes:
        name: out of `LAYERS`.
        wall: its mass, and its share of LV mass.
        tissues: "scar", "edema", "core", "grey_zone" to their mass in it, with their share of this
            layer in `percent_of_lv_mass`; a tissue that was not assessed has a reason.
    """

    name: str
    wall: TissueMass
    tissues: Mapping[str, TissueMass]


@dataclass(frozen=True)
class Layers:
    """The wall in layers.

    Attributes:
        layers: from endocardium to epicardium; empty with `reason`.
        rule: name of the conventional rule that tells core and grey zone.
        reason: why there are no layers.
        outside_percent: share of the wall that no chord runs through: the apical cap, an open ring,
            muscle inside the cavity. It is in no layer.
        doubts: what is doubtful about core and grey zone, in words.
    """

    layers: tuple[Layer, ...]
    rule: str
    reason: str | None
    outside_percent: float | None
    doubts: tuple[str, ...] = ()


def layer_map(
    labels: np.ndarray,
    chords: Chords,
    centers: np.ndarray,
    spacing_mm: tuple[float, float, float],
    reference_deg: float = 0.0,
    turn: int = 1,
) -> np.ndarray:
    """The layer of every voxel of the wall.

    Args:
        labels: uint16 (z, y, x), MyoPS values.
        chords: of the same heart, cut with the same centers, reference and turn.
        centers: float (z, 2), row and column of the LV center.
        spacing_mm: (x, y, z).
        reference_deg: where the chords are counted from.
        turn: which way they are counted, as in `find_chords`.

    Returns:
        uint8 (z, y, x): 1 inner, 2 middle, 3 outer third; 0 outside the wall, and where no chord
        runs.
    """
    found = np.zeros(labels.shape, np.uint8)
    pixel_mm = float(max(spacing_mm[:2]))
    z, rows, columns = np.nonzero(regions.myocardium(labels))
    up = (centers[z, 0] - rows) * spacing_mm[1]
    right = (columns - centers[z, 1]) * spacing_mm[0]
    angle = turn * (np.degrees(np.arctan2(up, right)) - reference_deg) % 360.0
    # A slice without a center has no chord either.
    ray = np.nan_to_num(angle // CHORD_DEG).astype(np.intp) % CHORDS
    inner, outer = chords.endocardium_mm[z, ray], chords.epicardium_mm[z, ray]
    radius = np.hypot(up, right)
    depth = (radius - inner) / (outer - inner)
    there = np.isfinite(depth) & (radius > inner - pixel_mm) & (radius < outer + pixel_mm)
    layer = np.clip(np.floor(3 * np.nan_to_num(depth)), 0, 2).astype(np.uint8) + 1
    found[z, rows, columns] = np.where(there, layer, 0)
    return found

"""What the cascade found in a Case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from myops.geometry.grid import Geometry


@dataclass(frozen=True)
class Segmentation:
    """Labels, probabilities and uncertainty on a Case's grid.

    Attributes:
        labels: uint16 (z, y, x), MyoPS values of `myops.labels`.
        geometry: the Case's grid.
        probabilities: float32 (z, y, x) in 0..1 for lv_region (everything inside the epicardium),
            blood_pool, normal_myocardium, edema, scar, right_ventricle. The right ventricle is
            coarse: it comes from the heart finder's 2.5 mm pixels.
        uncertainty: float32 (z, y, x) in 0..1, entropy of outside, blood pool, normal myocardium,
            edema and scar, relative to that of five equal chances.
        assessed: "scar" if there was an LGE, "edema" if there was a T2. What is not assessed has
            neither labels nor a mass, and must not be reported as 0.
        model: network name to the SHA-256 of its weights.
        seconds: stage name to its time in s.
        warnings: one sentence each, for the user; those of the Case are not repeated.
        machine: what else a number of the networks depends on: "precision", "device", "torch" (its
            version) and "threads"; empty where no network has run.
        pack: the weights' name and terms (`Pack.to_dict`), and "reached", their accuracy on these
            sequences; empty where none are known.
    """

    labels: np.ndarray
    geometry: Geometry
    probabilities: Mapping[str, np.ndarray]
    uncertainty: np.ndarray
    assessed: frozenset[str]
    model: Mapping[str, str]
    seconds: Mapping[str, float]
    warnings: tuple[str, ...] = ()
    machine: Mapping[str, str | int] = field(default_factory=dict)
    pack: Mapping[str, str] = field(default_factory=dict)

"""Tissues of the phantom and their relaxation times.

A patient draws around these native T1 and T2 at 1.5 T and gadolinium concentrations 15 minutes
after injection. T1 and T2 of muscle and blood and T1 of liver and lung are published values, which
Docs/explanation/phantom.md names; the others are our own choices, near what is published or not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

(
    AIR,
    MYOCARDIUM,
    LV_BLOOD,
    RV_BLOOD,
    SCAR,
    MVO,
    EDEMA,
    FAT,
    LUNG,
    LIVER,
    MUSCLE,
    VESSEL,
    BONE,
    STOMACH,
    SPLEEN,
    RV_WALL,
    PAPILLARY,
    FLUID,
    PERICARDIUM,
    ATRIUM,
    SCAR_CHRONIC,
) = range(21)
# Tissues without a name: random smooth label fields use them, so that a network cannot learn
# our drawn chest by heart.
RANDOM_TISSUES = tuple(range(21, 29))
TISSUE_COUNT = 29

# Drawn around, and published only in part (see above): in the literature fat has a T1 of 548 ms,
# liver a T2 of 71 ms, lung one of 87 ms, and after injection blood has 0.37 and scar 0.32 mM.
# tissue: (T1 ms, T2 ms, proton density relative to blood, [Gd] in mM 15 minutes after injection)
PUBLISHED = {
    AIR: (1000.0, 50.0, 0.0, 0.0),
    MYOCARDIUM: (979.0, 56.0, 0.80, 0.20),
    LV_BLOOD: (1411.0, 249.0, 0.95, 0.40),
    RV_BLOOD: (1411.0, 220.0, 0.95, 0.40),
    SCAR: (1150.0, 80.0, 0.85, 0.34),
    MVO: (1100.0, 66.0, 0.80, 0.05),
    EDEMA: (1133.0, 74.0, 0.85, 0.22),
    FAT: (300.0, 84.0, 0.95, 0.02),
    LUNG: (1112.0, 40.0, 0.12, 0.15),
    LIVER: (579.0, 60.0, 0.75, 0.20),
    MUSCLE: (950.0, 45.0, 0.75, 0.10),
    VESSEL: (1411.0, 200.0, 0.85, 0.40),
    BONE: (400.0, 60.0, 0.35, 0.05),
    STOMACH: (1300.0, 120.0, 0.60, 0.05),
    SPLEEN: (1050.0, 79.0, 0.80, 0.30),
    RV_WALL: (979.0, 56.0, 0.78, 0.20),
    PAPILLARY: (979.0, 56.0, 0.80, 0.20),
    FLUID: (2500.0, 300.0, 0.95, 0.03),
    PERICARDIUM: (900.0, 30.0, 0.25, 0.10),
    ATRIUM: (1411.0, 240.0, 0.95, 0.40),
    SCAR_CHRONIC: (1050.0, 56.0, 0.80, 0.36),
}
RELAXIVITY_R1 = 4.1  # L / mmol / s, gadolinium
RELAXIVITY_R2 = 4.6  # L / mmol / s


@dataclass(frozen=True)
class TissueProperties:
    """Relaxation of every tissue, arrays indexed by tissue number.

    Attributes:
        t1_ms, t2_ms: native relaxation times in ms.
        density: proton density relative to pure water.
        gadolinium_mm: contrast concentration in mmol/L at the time of the LGE images.
    """

    t1_ms: np.ndarray
    t2_ms: np.ndarray
    density: np.ndarray
    gadolinium_mm: np.ndarray

    def after_contrast(self) -> tuple[np.ndarray, np.ndarray]:
        """T1 and T2 in ms with contrast: 1/T = 1/T_native + r * [Gd]."""
        t1_ms = 1000 / (1000 / self.t1_ms + RELAXIVITY_R1 * self.gadolinium_mm)
        t2_ms = 1000 / (1000 / self.t2_ms + RELAXIVITY_R2 * self.gadolinium_mm)
        return t1_ms, t2_ms


def sample_tissues(rng: np.random.Generator) -> TissueProperties:
    """Draw one patient's tissues around the values of the table."""
    table = np.zeros((TISSUE_COUNT, 4))
    for tissue, values in PUBLISHED.items():
        table[tissue] = values
    count = len(RANDOM_TISSUES)
    table[list(RANDOM_TISSUES)] = np.stack(
        [
            rng.uniform(250, 1600, count),
            rng.uniform(30, 220, count),
            rng.uniform(0.05, 1.0, count),
            rng.uniform(0.0, 0.4, count),
        ],
        axis=1,
    )
    spread = rng.normal(1.0, (0.06, 0.07, 0.06, 0.12), table.shape).clip(0.7, 1.35)
    table *= spread
    table[:, 3] *= rng.uniform(0.75, 1.25)  # dose and time since injection
    blood = [LV_BLOOD, RV_BLOOD, ATRIUM, VESSEL]
    table[blood, 3] *= rng.uniform(0.7, 1.25)  # early images have more contrast in the blood
    # The same organ in two places is the same tissue: myocardium does not change its T1 at the RV.
    for copy, original in ((RV_WALL, MYOCARDIUM), (PAPILLARY, MYOCARDIUM), (ATRIUM, LV_BLOOD)):
        table[copy] = table[original] * rng.normal(1.0, 0.02, 4)
    table[SCAR, 1] = max(table[SCAR, 1], 1.12 * table[MYOCARDIUM, 1])
    table[EDEMA, 1] = table[MYOCARDIUM, 1] * rng.uniform(1.22, 1.6)
    table[SCAR_CHRONIC, 1] = table[MYOCARDIUM, 1] * rng.uniform(0.92, 1.08)
    for scar in (SCAR, SCAR_CHRONIC):
        table[scar, 3] = table[MYOCARDIUM, 3] * rng.uniform(1.5, 2.6)
    return TissueProperties(*(column.copy() for column in table.T))

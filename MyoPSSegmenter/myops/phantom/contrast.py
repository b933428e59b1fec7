"""Signal of every tissue in every sequence: physical protocols, or random contrasts."""

from __future__ import annotations

import numpy as np

from myops.phantom import signal
from myops.phantom.tissue import (
    ATRIUM,
    EDEMA,
    FAT,
    LV_BLOOD,
    MVO,
    MYOCARDIUM,
    PAPILLARY,
    RV_BLOOD,
    RV_WALL,
    SCAR,
    SCAR_CHRONIC,
    TISSUE_COUNT,
    VESSEL,
    TissueProperties,
)

BLOOD = (LV_BLOOD, RV_BLOOD, ATRIUM, VESSEL)


def bssfp_contrast(
    rng: np.random.Generator, tissues: TissueProperties, slices: int
) -> tuple[np.ndarray, bool]:
    """Cine bSSFP, before or after contrast; returns signal (slices, tissue) and signed=False."""
    after = rng.random() < 0.4
    t1_ms, t2_ms = tissues.after_contrast() if after else (tissues.t1_ms, tissues.t2_ms)
    tr_ms = rng.uniform(2.6, 4.0)
    table = signal.bssfp(tissues.density, t1_ms, t2_ms, tr_ms, tr_ms / 2, rng.uniform(35, 70))
    table[list(BLOOD)] *= rng.uniform(0.9, 1.5)  # unsaturated blood flows in
    return np.repeat(table[None], slices, 0), False


def lge_contrast(
    rng: np.random.Generator, tissues: TissueProperties, slices: int
) -> tuple[np.ndarray, bool]:
    """Inversion-recovery LGE, signed (PSIR) or magnitude; the inversion time drifts."""
    t1_ms, t2_ms = tissues.after_contrast()
    trr_ms = rng.uniform(700, 2200)
    start = signal.null_time_ms(t1_ms[MYOCARDIUM], trr_ms) * rng.uniform(
        0.95, 1.0 + rng.choice([0.2, 0.6])
    )
    drift = rng.uniform(-5, 25) * np.linspace(0, 1, slices)
    te_ms = rng.uniform(1.2, 4.5)
    table = np.stack(
        [
            signal.inversion_recovery(tissues.density, t1_ms, t2_ms, start + d, trr_ms, te_ms)
            for d in drift
        ]
    )
    table[:, FAT] *= rng.uniform(0.3, 1.0)  # partial fat suppression
    signed = bool(rng.random() < 0.55)
    return (table if signed else np.abs(table)), signed


def t2_contrast(
    rng: np.random.Generator, tissues: TissueProperties, slices: int
) -> tuple[np.ndarray, bool]:
    """T2-prepared bSSFP (bright blood) or STIR (black blood); signed=False."""
    if rng.random() < 0.5:
        tr_ms = rng.uniform(2.6, 4.0)
        table = signal.t2_prepared(
            tissues.density,
            tissues.t1_ms,
            tissues.t2_ms,
            rng.uniform(40, 75),
            tr_ms,
            tr_ms / 2,
            rng.uniform(30, 70),
        )
    else:
        table = signal.stir(
            tissues.density,
            tissues.t1_ms,
            tissues.t2_ms,
            rng.uniform(140, 190),
            rng.uniform(1500, 2500),
            rng.uniform(40, 90),
        )
        table[list(BLOOD)] *= rng.uniform(0.02, 0.45)  # double inversion blackens flowing blood
        table[FAT] *= rng.uniform(0.3, 1.0)
    return np.repeat(table[None], slices, 0), False


PHYSICAL = {"bssfp": bssfp_contrast, "lge": lge_contrast, "t2": t2_contrast}


def random_contrast(
    rng: np.random.Generator, sequence: str, slices: int
) -> tuple[np.ndarray, bool]:
    """Random gray value per tissue; only what defines a disease keeps its order.

    After SynthSeg (Billot et al., Medical Image Analysis 2023): contrasts far wider than reality
    make a network independent of the protocol. Scar stays brighter than muscle in LGE, edema
    brighter than muscle in T2: without that there would be nothing to learn.
    """
    table = rng.uniform(0, 1, TISSUE_COUNT)
    muscle = rng.uniform(0.0, 0.55)
    table[[MYOCARDIUM, RV_WALL, PAPILLARY, EDEMA, SCAR, SCAR_CHRONIC, MVO]] = muscle
    blood = muscle + rng.uniform(0.1, 0.8)
    if sequence == "lge":
        table[[SCAR, SCAR_CHRONIC]] = muscle + rng.uniform(0.25, 0.9)
        table[MVO] = muscle + rng.uniform(-0.1, 0.1)
    elif sequence == "t2":
        table[[EDEMA, SCAR]] = muscle + rng.uniform(0.15, 0.6)
        if rng.random() < 0.5:
            blood = rng.uniform(0.0, 0.3)
    table[list(BLOOD)] = blood * rng.uniform(0.92, 1.08, len(BLOOD))
    return np.repeat(table[None], slices, 0), False

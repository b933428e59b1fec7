"""Signal equations of the three sequences (sources and symbols in Docs/explanation/phantom.md)."""

from __future__ import annotations

import numpy as np


def bssfp(
    density: np.ndarray,
    t1_ms: np.ndarray,
    t2_ms: np.ndarray,
    tr_ms: float,
    te_ms: float,
    flip_deg: float,
) -> np.ndarray:
    """Balanced SSFP steady state: M0 sin(a)(1-E1)exp(-TE/T2) / (1-(E1-E2)cos(a)-E1 E2)."""
    alpha = np.deg2rad(flip_deg)
    e1, e2 = np.exp(-tr_ms / t1_ms), np.exp(-tr_ms / t2_ms)
    decay = np.exp(-te_ms / t2_ms)
    return density * np.sin(alpha) * (1 - e1) * decay / (1 - (e1 - e2) * np.cos(alpha) - e1 * e2)


def inversion_recovery(
    density: np.ndarray,
    t1_ms: np.ndarray,
    t2_ms: np.ndarray,
    ti_ms: float,
    trr_ms: float,
    te_ms: float,
) -> np.ndarray:
    """Signed LGE signal: M0 (1 - 2 exp(-TI/T1) + exp(-TRR/T1)) exp(-TE/T2)."""
    recovery = 1 - 2 * np.exp(-ti_ms / t1_ms) + np.exp(-trr_ms / t1_ms)
    return density * recovery * np.exp(-te_ms / t2_ms)


def null_time_ms(t1_ms: float, trr_ms: float) -> float:
    """Inversion time at which `inversion_recovery` is zero: T1 ln(2 / (1 + exp(-TRR/T1)))."""
    return float(t1_ms * np.log(2 / (1 + np.exp(-trr_ms / t1_ms))))


def t2_prepared(
    density: np.ndarray,
    t1_ms: np.ndarray,
    t2_ms: np.ndarray,
    prep_ms: float,
    tr_ms: float,
    te_ms: float,
    flip_deg: float,
) -> np.ndarray:
    """T2-prepared bSSFP: the steady-state signal times exp(-TEprep/T2)."""
    return bssfp(density, t1_ms, t2_ms, tr_ms, te_ms, flip_deg) * np.exp(-prep_ms / t2_ms)


def stir(
    density: np.ndarray,
    t1_ms: np.ndarray,
    t2_ms: np.ndarray,
    ti_ms: float,
    tr_ms: float,
    te_ms: float,
) -> np.ndarray:
    """Magnitude STIR: |M0 (1 - 2 exp(-TI/T1) + exp(-TR/T1))| exp(-TE/T2)."""
    recovery = 1 - 2 * np.exp(-ti_ms / t1_ms) + np.exp(-tr_ms / t1_ms)
    return np.abs(density * recovery) * np.exp(-te_ms / t2_ms)

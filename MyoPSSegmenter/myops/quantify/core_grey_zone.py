"""Infarct core and grey zone: dense scar, and the mixed tissue at its border.

- schmidt: core I >= 50 % of the maximum, grey zone above the highest remote signal and below the
  core (Schmidt et al., Circulation 2007;115:2006). The paper's maximum is that of the
  hyper-enhanced region; here it is that of the myocardium.
- yan: core above 3 SD of remote, grey zone above 2 SD (Yan et al., Circulation 2006;114:32).
- percent_40_60: core I >= 60 % of the maximum, grey zone from 40 % (Andreu et al., Circ Arrhythm
  Electrophysiol 2011;4:674).

Core and grey zone never overlap and make up the mask together. Shares of the maximum need
intensities that start at zero: schmidt and percent_40_60 are invalid on signed (PSIR) images.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .remote import RemoteRegion
from .threshold import (
    NO_REMOTE,
    Levels,
    Scope,
    ThresholdResult,
    above,
    invalid_result,
    judged_levels,
    lone_peak_doubt,
    no_contrast,
    offset_doubt,
    signed_data,
)
from .thresholds import standard_deviations

SCHMIDT_CORE_SHARE = 0.5
LOW_SHARE, HIGH_SHARE = 0.4, 0.6
YAN_DEVIATIONS = (2, 3)


def schmidt(
    lge: np.ndarray,
    myocardium: np.ndarray,
    scar: np.ndarray,
    remote: RemoteRegion | None,
    scope: Scope = "volume",
) -> ThresholdResult:
    """Core from half of the maximum, grey zone from the highest remote signal.

    Where remote myocardium reaches half of the maximum there is no grey zone.

    Args:
        lge: float (z, y, x), raw intensities.
        myocardium: bool (z, y, x).
        scar: bool (z, y, x), says which slices the per-slice variant judges.
        remote: remote region; without one the result is invalid.
        scope: one maximum for the volume, or one per slice; the remote peak is the volume's.
    """
    rule = "grey_zone_schmidt"
    invalid = no_contrast(lge, myocardium) or signed_data(lge, myocardium)
    invalid = invalid or (NO_REMOTE if remote is None else None)
    if invalid or remote is None:
        return invalid_result(rule, scope, lge.shape[0], invalid or "")
    peaks = judged_levels(lge, myocardium, scar, scope)
    cores = _share(peaks, SCHMIDT_CORE_SHARE)
    remote_peak = float(lge[remote.mask].max())
    lows = tuple(None if core is None else min(remote_peak, core) for core in cores)
    core = above(lge, myocardium, cores, inclusive=True)
    mask = core | above(lge, myocardium, lows, inclusive=False)
    doubts = lone_peak_doubt(lge, myocardium, remote) + offset_doubt(lge, myocardium, remote)
    if any(c is not None and remote_peak >= c for c in cores):
        doubts += (f"remote myocardium reaches the core's threshold ({remote_peak:.4g})",)
    return ThresholdResult(rule, scope, peaks, lows, mask, None, doubts, remote, cores, core)


def percent_40_60(
    lge: np.ndarray,
    myocardium: np.ndarray,
    scar: np.ndarray,
    remote: RemoteRegion | None,
    scope: Scope = "volume",
) -> ThresholdResult:
    """Core from 60 %, grey zone from 40 % of the maximum.

    Args: as `schmidt`; the remote region is used to warn only.
    """
    rule = "grey_zone_40_60"
    invalid = no_contrast(lge, myocardium) or signed_data(lge, myocardium)
    if invalid:
        return invalid_result(rule, scope, lge.shape[0], invalid)
    peaks = judged_levels(lge, myocardium, scar, scope)
    lows, cores = _share(peaks, LOW_SHARE), _share(peaks, HIGH_SHARE)
    mask, core = (above(lge, myocardium, levels, inclusive=True) for levels in (lows, cores))
    doubts = lone_peak_doubt(lge, myocardium, remote) + offset_doubt(lge, myocardium, remote)
    return ThresholdResult(
        rule, scope, peaks, lows, mask, warnings=doubts, core_thresholds=cores, core=core
    )


def yan(
    lge: np.ndarray,
    myocardium: np.ndarray,
    scar: np.ndarray,
    remote: RemoteRegion | None,
    scope: Scope = "volume",
) -> ThresholdResult:
    """Core above 3 SD, grey zone above 2 SD of remote myocardium; valid on signed images too.

    Args: as `schmidt`; the per-slice variant takes each slice's own remote statistics.
    """
    low, high = (
        standard_deviations(lge, myocardium, scar, remote, scope, deviations)
        for deviations in YAN_DEVIATIONS
    )
    return replace(
        low,
        rule="grey_zone_yan",
        core_thresholds=None if high.mask is None else high.thresholds,
        core=high.mask,
    )


def _share(peaks: Levels, share: float) -> Levels:
    return tuple(None if peak is None else share * peak for peak in peaks)

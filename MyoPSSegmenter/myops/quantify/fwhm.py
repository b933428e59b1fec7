"""Full width at half maximum: the rules that share this name, kept apart.

- half of maximum: I >= max / 2 (compared in Flett et al., JACC Cardiovasc Imaging 2011;4:150).
  It needs intensities that start at zero, so it is invalid on signed or offset (PSIR) images.
- between minimum and maximum: I >= min + (max - min) / 2. An offset of the image cancels; the
  minimum is that of one voxel, so noise in dark muscle moves it.
- remote-referenced: I > m_r + (max - m_r) / 2, m_r the mean of remote myocardium. An offset of
  the image cancels.

In all, min and max are those inside the myocardium, as in the literature: one voxel can set them.
The fourth, with a drawn region and region growing, is in `amado`.
"""

from __future__ import annotations

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
    no_myocardium,
    offset_doubt,
    signed_data,
)


def half_of_maximum(
    lge: np.ndarray,
    myocardium: np.ndarray,
    scar: np.ndarray,
    remote: RemoteRegion | None,
    scope: Scope = "volume",
) -> ThresholdResult:
    """FWHM as half of the maximum: I >= max / 2 inside the myocardium.

    Args:
        lge: float (z, y, x), raw intensities.
        myocardium: bool (z, y, x).
        scar: bool (z, y, x), says which slices the per-slice variant judges.
        remote: remote region, only to warn; may be None.
        scope: one peak for the volume, or one per slice.
    """
    invalid = no_contrast(lge, myocardium) or signed_data(lge, myocardium)
    if invalid:
        return invalid_result("half_of_maximum", scope, lge.shape[0], invalid)
    peaks = judged_levels(lge, myocardium, scar, scope)
    thresholds = tuple(None if p is None else p / 2 for p in peaks)
    mask = above(lge, myocardium, thresholds, inclusive=True)
    doubts = lone_peak_doubt(lge, myocardium, remote) + offset_doubt(lge, myocardium, remote)
    return ThresholdResult("half_of_maximum", scope, peaks, thresholds, mask, warnings=doubts)


def between_minimum_and_maximum(
    lge: np.ndarray,
    myocardium: np.ndarray,
    scar: np.ndarray,
    remote: RemoteRegion | None,
    scope: Scope = "volume",
) -> ThresholdResult:
    """FWHM halfway between the minimum and the maximum of the myocardium, both included.

    Args: as `half_of_maximum`; the remote region is used to warn only.
    """
    rule = "between_minimum_and_maximum"
    invalid = no_contrast(lge, myocardium)
    if invalid:
        return invalid_result(rule, scope, lge.shape[0], invalid)
    peaks = judged_levels(lge, myocardium, scar, scope)
    lows = judged_levels(lge, myocardium, scar, scope, lambda values: float(values.min()))
    thresholds = _halfway(lows, peaks)
    mask = above(lge, myocardium, thresholds, inclusive=True)
    doubts = lone_peak_doubt(lge, myocardium, remote)
    return ThresholdResult(rule, scope, peaks, thresholds, mask, warnings=doubts)


def remote_referenced(
    lge: np.ndarray,
    myocardium: np.ndarray,
    scar: np.ndarray,
    remote: RemoteRegion | None,
    scope: Scope = "volume",
) -> ThresholdResult:
    """FWHM between remote myocardium and the peak: I > m_r + (max - m_r) / 2.

    m_r is that of the whole remote region for both scopes.

    Args: as `half_of_maximum`; without a remote region the result is invalid.
    """
    rule = "remote_referenced"
    invalid = no_myocardium(myocardium) or (NO_REMOTE if remote is None else None)
    invalid = invalid or no_contrast(lge, myocardium)
    if invalid or remote is None:
        return invalid_result(rule, scope, lge.shape[0], invalid or "")
    peaks = judged_levels(lge, myocardium, scar, scope)
    thresholds = _halfway((remote.mean,) * len(peaks), peaks)
    mask = above(lge, myocardium, thresholds, inclusive=False)
    doubts = lone_peak_doubt(lge, myocardium, remote)
    return ThresholdResult(rule, scope, peaks, thresholds, mask, None, doubts, remote)


def _halfway(lows: Levels, peaks: Levels) -> Levels:
    return tuple(
        None if low is None or peak is None else low + (peak - low) / 2
        for low, peak in zip(lows, peaks, strict=True)
    )

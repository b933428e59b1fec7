"""Thresholds that are no half maximum: n standard deviations of remote, Otsu, a reader's own.

- n-SD: I > mean + n SD of remote myocardium, n = 2 to 6 (Bondarenko et al., J Cardiovasc Magn
  Reson 2005;7:481; compared in Flett et al., JACC Cardiovasc Imaging 2011;4:150). The volume
  variant takes mean and SD of the whole remote region, the per-slice variant those of its part in
  the slice: the inversion time of remote muscle drifts over a stack.
- Otsu: the threshold of largest variance between two classes inside the myocardium (Otsu, IEEE
  Trans Syst Man Cybern 1979;9:62), by SimpleITK on 256 bins.
- manual: I >= a value that the reader gives in the units of the image.

An offset of the image cancels in all three, so they hold for signed (PSIR) data as well.
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
    not_judged,
)

OTSU_BINS = 256
# Fewer remote voxels than this in a slice give no standard deviation worth multiplying by five.
LEAST_REMOTE_VOXELS_IN_SLICE = 10
# Below a signal-to-noise ratio of 3 magnitude noise is no longer Gaussian and its SD shrinks by up
# to a third (Gudbjartsson and Patz, Magn Reson Med 1995;34:910).
GAUSSIAN_LEAST_SNR = 3.0


def standard_deviations(
    lge: np.ndarray,
    myocardium: np.ndarray,
    scar: np.ndarray,
    remote: RemoteRegion | None,
    scope: Scope = "volume",
    deviations: int = 5,
) -> ThresholdResult:
    """Threshold n standard deviations above the mean of remote myocardium.

    Args:
        lge: float (z, y, x), raw intensities.
        myocardium: bool (z, y, x).
        scar: bool (z, y, x), says which slices the per-slice variant judges.
        remote: remote region; without one the result is invalid.
        scope: remote statistics of the volume, or of each slice.
        deviations: n.
    """
    rule = f"sd{deviations}"
    invalid = no_contrast(lge, myocardium) or (NO_REMOTE if remote is None else None)
    if invalid or remote is None:
        return invalid_result(rule, scope, lge.shape[0], invalid or "")
    judged = judged_levels(lge, myocardium, scar, scope)
    means, sds, unjudged = _remote_levels(lge, remote, judged, scope)
    if all(mean is None for mean in means) and any(peak is not None for peak in judged):
        reason = f"no judged slice holds {LEAST_REMOTE_VOXELS_IN_SLICE} voxels of remote myocardium"
        return invalid_result(rule, scope, lge.shape[0], reason)
    peaks = tuple(None if m is None else p for m, p in zip(means, judged, strict=True))
    thresholds = tuple(
        None if mean is None or sd is None else mean + deviations * sd
        for mean, sd in zip(means, sds, strict=True)
    )
    mask = above(lge, myocardium, thresholds, inclusive=False)
    doubts = unjudged + _magnitude_doubt(lge, remote)
    return ThresholdResult(rule, scope, peaks, thresholds, mask, None, doubts, remote)


def otsu(
    lge: np.ndarray,
    myocardium: np.ndarray,
    scar: np.ndarray,
    remote: RemoteRegion | None,
    scope: Scope = "volume",
) -> ThresholdResult:
    """Otsu's threshold of the myocardium's values; what lies above it is scar.

    Args: as `standard_deviations`; the remote region is used to warn only.
    """
    invalid = no_contrast(lge, myocardium)
    if invalid:
        return invalid_result("otsu", scope, lge.shape[0], invalid)
    peaks = judged_levels(lge, myocardium, scar, scope)
    thresholds = judged_levels(lge, myocardium, scar, scope, otsu_threshold)
    mask = above(lge, myocardium, thresholds, inclusive=False)
    doubts = lone_peak_doubt(lge, myocardium, remote)
    return ThresholdResult("otsu", scope, peaks, thresholds, mask, warnings=doubts)


def otsu_threshold(values: np.ndarray) -> float:
    """Otsu's threshold of values (1D) by SimpleITK; their value where all are the same."""
    import SimpleITK as sitk

    if values.min() == values.max():
        return float(values[0])
    otsu_filter = sitk.OtsuThresholdImageFilter()
    otsu_filter.SetNumberOfHistogramBins(OTSU_BINS)
    otsu_filter.Execute(sitk.GetImageFromArray(values.astype(np.float64)[None]))
    return float(otsu_filter.GetThreshold())


def manual(lge: np.ndarray, myocardium: np.ndarray, threshold: float) -> ThresholdResult:
    """A reader's own threshold for the volume: I >= threshold.

    Args:
        lge: float (z, y, x), raw intensities.
        myocardium: bool (z, y, x).
        threshold: in the units of the image.
    """
    slices = lge.shape[0]
    invalid = no_myocardium(myocardium)
    if invalid:
        return invalid_result("manual", "volume", slices, invalid)
    peaks = judged_levels(lge, myocardium, myocardium, "volume")
    thresholds = (float(threshold),) * slices
    mask = above(lge, myocardium, thresholds, inclusive=True)
    return ThresholdResult("manual", "volume", peaks, thresholds, mask)


def _remote_levels(
    lge: np.ndarray, remote: RemoteRegion, judged: Levels, scope: Scope
) -> tuple[Levels, Levels, tuple[str, ...]]:
    """Mean and SD of remote for each judged slice, and a word on slices that hold too little."""
    if scope == "volume":
        return (remote.mean,) * len(judged), (remote.sd,) * len(judged), ()
    means: list[float | None] = []
    sds: list[float | None] = []
    poor: list[int] = []
    for index, (image, region, peak) in enumerate(zip(lge, remote.mask, judged, strict=True)):
        values = image[region].astype(np.float64)
        enough = values.size >= LEAST_REMOTE_VOXELS_IN_SLICE
        if peak is not None and not enough:
            poor.append(index)
        used = peak is not None and enough
        means.append(float(values.mean()) if used else None)
        sds.append(float(values.std()) if used else None)
    return tuple(means), tuple(sds), not_judged(poor, "too little remote myocardium")


def _magnitude_doubt(lge: np.ndarray, remote: RemoteRegion) -> tuple[str, ...]:
    """Doubt about the SD of nulled muscle in a magnitude image."""
    if remote.sd == 0:
        return ("remote myocardium has no spread: every n gives the same threshold",)
    if (lge[remote.mask] < 0).any() or remote.mean >= GAUSSIAN_LEAST_SNR * remote.sd:
        return ()
    return (
        f"remote myocardium ({remote.mean:.4g}) is below 3 of its SD ({remote.sd:.4g}): noise in "
        "a magnitude image is not Gaussian there, and n SD reach less far than on PSIR",
    )

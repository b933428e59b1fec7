"""Thresholds other than a half maximum: n standard deviations of remote, Otsu, a reader's own.

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

from functools import partial

import numpy as np

from myops.quantify.thresholds.base import (
    Levels,
    each_level,
    isolated_peak_warning,
    warn_of_skipped,
)
from myops.quantify.thresholds.remote import RemoteRegion
from myops.quantify.thresholds.rule import NotApplicableError, Rule, RuleInput, Thresholds

DEVIATIONS = (2, 3, 4, 5, 6)
OTSU_BINS = 256
# Fewer remote voxels than this in a slice give no standard deviation worth multiplying by five.
LEAST_REMOTE_VOXELS_IN_SLICE = 10
# Below a signal-to-noise ratio of 3 magnitude noise is no longer Gaussian and its SD shrinks by up
# to a third (Gudbjartsson and Patz, Magn Reson Med 1995;34:910).
GAUSSIAN_LEAST_SNR = 3.0


def standard_deviations(given: RuleInput, deviations: float = 5) -> Thresholds:
    """A number of standard deviations above the mean of remote myocardium.

    Args:
        given: its scope decides whose remote statistics count, the volume's or each slice's.
        deviations: how many.
    """
    remote = given.remote_region
    peaks = given.peaks
    means, sds, poor = _remote_levels(given, remote, peaks)
    if all(mean is None for mean in means) and any(peak is not None for peak in peaks):
        raise NotApplicableError(
            f"no assessed slice holds {LEAST_REMOTE_VOXELS_IN_SLICE} voxels of remote myocardium"
        )
    return Thresholds(
        peaks=each_level(lambda _, peak: peak, means, peaks),
        levels=each_level(lambda mean, sd: mean + deviations * sd, means, sds),
        remote=remote,
        warnings=warn_of_skipped(poor, "too little remote myocardium")
        + _magnitude_warning(given.lge, remote),
    )


def otsu(given: RuleInput) -> Thresholds:
    """Otsu's threshold of the myocardium's values; what lies above it is scar."""
    return Thresholds(given.peaks, given.levels(otsu_threshold))


def otsu_threshold(values: np.ndarray) -> float:
    """Otsu's threshold of values (1D) by SimpleITK; their value where all are the same."""
    import SimpleITK as sitk

    if values.min() == values.max():
        return float(values[0])
    otsu_filter = sitk.OtsuThresholdImageFilter()
    otsu_filter.SetNumberOfHistogramBins(OTSU_BINS)
    otsu_filter.Execute(sitk.GetImageFromArray(values.astype(np.float64)[None]))
    return float(otsu_filter.GetThreshold())


def manual(given: RuleInput) -> Thresholds:
    """A reader's own threshold, itself included."""
    peaks = given.peaks
    level = None if given.threshold is None else float(given.threshold)
    return Thresholds(peaks, (level,) * len(peaks), inclusive=True)


def _remote_levels(
    given: RuleInput, remote: RemoteRegion, peaks: Levels
) -> tuple[Levels, Levels, list[int]]:
    """Mean and SD of remote for each assessed slice, and the slices that hold too little of it."""
    if given.scope == "volume":
        return (remote.mean,) * len(peaks), (remote.sd,) * len(peaks), []
    means: list[float | None] = []
    sds: list[float | None] = []
    poor: list[int] = []
    for index, (image, region, peak) in enumerate(zip(given.lge, remote.mask, peaks, strict=True)):
        values = image[region].astype(np.float64)
        enough = values.size >= LEAST_REMOTE_VOXELS_IN_SLICE
        if peak is not None and not enough:
            poor.append(index)
        used = peak is not None and enough
        means.append(float(values.mean()) if used else None)
        sds.append(float(values.std()) if used else None)
    return tuple(means), tuple(sds), poor


def _magnitude_warning(lge: np.ndarray, remote: RemoteRegion) -> tuple[str, ...]:
    """A warning about the SD of nulled muscle in a magnitude image."""
    if remote.sd == 0:
        return ("remote myocardium has no spread: every n gives the same threshold",)
    if (lge[remote.mask] < 0).any() or remote.mean >= GAUSSIAN_LEAST_SNR * remote.sd:
        return ()
    return (
        f"remote myocardium ({remote.mean:.4g}) is below 3 of its SD ({remote.sd:.4g}): noise in "
        "a magnitude image is not Gaussian there, and n SD reach less far than on PSIR",
    )


SD_RULES = tuple(
    Rule(
        name=f"sd{n}",
        title=f"{n} SD above remote",
        formula=f"I > mean + {n} SD of remote",
        source="Bondarenko et al., J Cardiovasc Magn Reson 2005;7:481",
        needs=frozenset({"contrast", "remote"}),
        compute=partial(standard_deviations, deviations=n),
        numbers=f"I > {{mean}} + {n} × {{sd}} = {{threshold}}",
    )
    for n in DEVIATIONS
)
OTSU = Rule(
    name="otsu",
    title="Otsu",
    formula="the cut with the largest variance between both sides, 256 bins",
    source="Otsu, IEEE Trans Syst Man Cybern 1979;9:62",
    needs=frozenset({"contrast"}),
    compute=otsu,
    numbers="I > {threshold}",
    warn=(isolated_peak_warning,),
)
MANUAL = Rule(
    name="manual",
    title="Manual threshold",
    formula="I ≥ `--manual-threshold`",
    source="",
    needs=frozenset({"threshold"}),
    compute=manual,
    numbers="I ≥ {threshold}",
    scopes=("volume",),
)
RULES = (*SD_RULES, OTSU)

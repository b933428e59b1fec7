"""Full width at half maximum: the rules that share this name, kept apart.

- half of maximum: I >= max / 2 (compared in Flett et al., JACC Cardiovasc Imaging 2011;4:150).
  It needs intensities that start at zero, so it is invalid on signed or offset (PSIR) images.
- between minimum and maximum: I >= min + (max - min) / 2. An offset of the image cancels; the
  minimum is that of one voxel, so noise in dark muscle moves it.
- remote-referenced: I > m_r + (max - m_r) / 2, m_r the mean of the whole remote region for both
  scopes. An offset of the image cancels.

In all, min and max are those inside the myocardium, as in the literature: one voxel can set them.
The fourth, with a drawn region and region growing, is in `amado`.
"""

from __future__ import annotations

from myops.quantify.thresholds.base import Levels, each_level, isolated_peak_warning, offset_warning
from myops.quantify.thresholds.rule import Rule, RuleInput, Thresholds


def half_of_maximum(given: RuleInput) -> Thresholds:
    """Half of the peak, itself included."""
    peaks = given.peaks
    return Thresholds(peaks, halves(peaks), inclusive=True)


def between_minimum_and_maximum(given: RuleInput) -> Thresholds:
    """Halfway between the minimum and the maximum, itself included."""
    peaks, lows = given.peaks, given.levels(lambda values: float(values.min()))
    return Thresholds(peaks, _halfway(lows, peaks), inclusive=True)


def remote_referenced(given: RuleInput) -> Thresholds:
    """Halfway between the mean of remote myocardium and the peak."""
    remote, peaks = given.remote_region, given.peaks
    return Thresholds(peaks, _halfway((remote.mean,) * len(peaks), peaks), remote=remote)


def halves(peaks: Levels) -> Levels:
    """Half of each peak."""
    return each_level(lambda peak: peak / 2, peaks)


def _halfway(lows: Levels, peaks: Levels) -> Levels:
    return each_level(lambda low, peak: low + (peak - low) / 2, lows, peaks)


HALF_OF_MAXIMUM = Rule(
    name="fwhm_half_of_maximum",
    title="FWHM, half of maximum",
    formula="I ≥ max / 2",
    source="compared in Flett et al., JACC Cardiovasc Imaging 2011;4:150",
    needs=frozenset({"contrast", "unsigned"}),
    compute=half_of_maximum,
    numbers="I ≥ {peak} / 2 = {threshold}",
    warn=(isolated_peak_warning, offset_warning),
    in_report=True,
)
BETWEEN_MINIMUM_AND_MAXIMUM = Rule(
    name="fwhm_between_minimum_and_maximum",
    title="FWHM, between minimum and maximum",
    formula="I ≥ min + (max − min) / 2",
    source="",
    needs=frozenset({"contrast"}),
    compute=between_minimum_and_maximum,
    numbers="I ≥ min + ({peak} − min) / 2 = {threshold}",
    warn=(isolated_peak_warning,),
)
REMOTE_REFERENCED = Rule(
    name="fwhm_remote_referenced",
    title="FWHM, remote-referenced",
    formula="I > m + (max − m) / 2, m = mean of remote",
    source="",
    needs=frozenset({"contrast", "remote"}),
    compute=remote_referenced,
    numbers="I > {mean} + ({peak} − {mean}) / 2 = {threshold}",
    warn=(isolated_peak_warning,),
    in_report=True,
)
RULES = (HALF_OF_MAXIMUM, BETWEEN_MINIMUM_AND_MAXIMUM, REMOTE_REFERENCED)

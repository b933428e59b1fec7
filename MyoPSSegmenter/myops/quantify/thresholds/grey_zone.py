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

from myops.quantify.thresholds.base import Levels, each_level, isolated_peak_warning, offset_warning
from myops.quantify.thresholds.rule import Rule, RuleInput, Thresholds
from myops.quantify.thresholds.statistical import standard_deviations

SCHMIDT_CORE_SHARE = 0.5
LOW_SHARE, HIGH_SHARE = 0.4, 0.6
YAN_DEVIATIONS = (2, 3)


def schmidt(given: RuleInput) -> Thresholds:
    """Core from half of the maximum, grey zone from the highest remote signal of the volume.

    Where remote myocardium reaches half of the maximum there is no grey zone.
    """
    remote, peaks = given.remote_region, given.peaks
    cores = _share(peaks, SCHMIDT_CORE_SHARE)
    remote_peak = float(given.lge[remote.mask].max())
    lows = each_level(lambda core: min(remote_peak, core), cores)
    warnings: tuple[str, ...] = ()
    if any(core is not None and remote_peak >= core for core in cores):
        warnings = (f"remote myocardium reaches the core's threshold ({remote_peak:.4g})",)
    return Thresholds(
        peaks, lows, core_levels=cores, core_inclusive=True, remote=remote, warnings=warnings
    )


def percent_40_60(given: RuleInput) -> Thresholds:
    """Core from 60 %, grey zone from 40 % of the maximum, both included."""
    peaks = given.peaks
    return Thresholds(
        peaks,
        _share(peaks, LOW_SHARE),
        inclusive=True,
        core_levels=_share(peaks, HIGH_SHARE),
        core_inclusive=True,
    )


def yan(given: RuleInput) -> Thresholds:
    """Core above 3 SD, grey zone above 2 SD of remote myocardium."""
    low, high = (standard_deviations(given, deviations) for deviations in YAN_DEVIATIONS)
    return replace(low, core_levels=high.levels)


def _share(peaks: Levels, share: float) -> Levels:
    return each_level(lambda peak: share * peak, peaks)


SCHMIDT = Rule(
    name="grey_zone_schmidt",
    title="Core + grey zone, Schmidt",
    formula="core I ≥ max / 2; grey zone above the highest remote signal",
    source="Schmidt et al., Circulation 2007;115:2006",
    needs=frozenset({"contrast", "unsigned", "remote"}),
    compute=schmidt,
    numbers="core I ≥ {peak} / 2 = {core}; grey zone I > {threshold}",
    warn=(isolated_peak_warning, offset_warning),
)
YAN = Rule(
    name="grey_zone_yan",
    title="Core + grey zone, Yan",
    formula="core above 3 SD, grey zone above 2 SD of remote",
    source="Yan et al., Circulation 2006;114:32",
    needs=frozenset({"contrast", "remote"}),
    compute=yan,
    numbers="core I > {mean} + 3 × {sd} = {core}; grey zone I > {mean} + 2 × {sd} = {threshold}",
)
PERCENT_40_60 = Rule(
    name="grey_zone_40_60",
    title="Core + grey zone, 40/60 %",
    formula="core I ≥ 0.6 max, grey zone from 0.4 max",
    source="Andreu et al., Circ Arrhythm Electrophysiol 2011;4:674",
    needs=frozenset({"contrast", "unsigned"}),
    compute=percent_40_60,
    numbers="core I ≥ 0.6 × {peak} = {core}; grey zone I ≥ 0.4 × {peak} = {threshold}",
    warn=(isolated_peak_warning, offset_warning),
)
RULES = (SCHMIDT, YAN, PERCENT_40_60)

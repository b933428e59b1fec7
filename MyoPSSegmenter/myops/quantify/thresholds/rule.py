"""A conventional rule as one row of facts, and the one way in which every rule is applied.

A row states what tables, reports, options and the documentation say about a rule, and the function
that finds its thresholds. `Rule.apply` does the rest alike for all of them: is the image fit for
the rule? -> peaks and thresholds -> mask -> warnings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from myops.quantify.thresholds.base import (
    NO_REMOTE,
    Levels,
    Scope,
    ThresholdResult,
    apply_thresholds,
    invalid_result,
    no_contrast,
    no_myocardium,
    reference_levels,
    signed_data,
)
from myops.quantify.thresholds.remote import RemoteRegion

SCOPES: tuple[Scope, ...] = ("volume", "slice")
Need = Literal["contrast", "unsigned", "remote", "threshold"]


class NotApplicableError(Exception):
    """Why a rule cannot be applied to this image, in words; `Rule.apply` turns it into a result."""


@dataclass(frozen=True)
class RuleInput:
    """What a rule sees.

    Attributes:
        lge: float (z, y, x), raw intensities.
        myocardium: bool (z, y, x).
        scar: bool (z, y, x), says which slices the per-slice variant assesses.
        remote: remote region; None where there is none.
        scope: one threshold for the volume, or one for each slice.
        hyperenhanced: bool (z, y, x), region drawn by a reader; None without one.
        labeled: bool (z, y, x), labeled scar, only to warn; `scar` if None.
        threshold: a reader's own, in the units of the image.
    """

    lge: np.ndarray
    myocardium: np.ndarray
    scar: np.ndarray
    remote: RemoteRegion | None
    scope: Scope = "volume"
    hyperenhanced: np.ndarray | None = None
    labeled: np.ndarray | None = None
    threshold: float | None = None

    def levels(self, level: Callable[[np.ndarray], float]) -> Levels:
        """A level from the myocardium's values for each slice, see `reference_levels`."""
        return reference_levels(self.lge, self.myocardium, self.scar, self.scope, level)

    @property
    def peaks(self) -> Levels:
        """The highest signal of the myocardium for each slice that is assessed."""
        return self.levels(lambda values: float(values.max()))

    @property
    def remote_region(self) -> RemoteRegion:
        """The remote region of a rule that needs one.

        Raises:
            NotApplicableError: there is none.
        """
        if self.remote is None:
            raise NotApplicableError(NO_REMOTE)
        return self.remote


@dataclass(frozen=True)
class Thresholds:
    """What a rule finds: where it cuts, and how.

    Attributes:
        peaks: highest signal the rule looked at, one per slice; None where none was assessed.
        levels: threshold, one per slice; None where the slice was not assessed.
        inclusive: whether a voxel at the threshold is scar.
        core_levels: threshold of the infarct core, one per slice; None for one-part rules.
        core_inclusive: whether a voxel at that threshold is core.
        remote: the remote region that the thresholds refer to, if any.
        mask: bool (z, y, x), where it is not simply the myocardium above the threshold.
        warnings: what this rule alone warns about, in words.
    """

    peaks: Levels
    levels: Levels
    inclusive: bool = False
    core_levels: Levels | None = None
    core_inclusive: bool = False
    remote: RemoteRegion | None = None
    mask: np.ndarray | None = None
    warnings: tuple[str, ...] = ()


Warn = Callable[[np.ndarray, np.ndarray, RemoteRegion | None], tuple[str, ...]]


@dataclass(frozen=True)
class Rule:
    """One conventional rule; no other place states any of these facts.

    Attributes:
        name: in tables, files and options, such as "sd5".
        title: for people, such as "5 SD above remote".
        formula: the rule in words, as documented.
        source: the paper it is from; empty where there is none.
        needs: what an image must have, or the rule is invalid on it: "contrast" (values that
            differ), "unsigned" (a magnitude image that starts at zero), "remote" (a remote
            region). Without the reader's "threshold" the rule is left out.
        compute: finds the thresholds.
        numbers: the formula with its numbers, for the report: may use {peak}, {threshold}, {core}
            and {mean} and {sd} of remote.
        warn: what else is doubted, each called with (lge, myocardium, remote).
        scopes: variants; a rule with one scope goes by its name alone.
        in_report: whether the report compares the scar with this rule.
    """

    name: str
    title: str
    formula: str
    source: str
    needs: frozenset[Need]
    compute: Callable[[RuleInput], Thresholds]
    numbers: str = "threshold {threshold}"
    warn: tuple[Warn, ...] = ()
    scopes: tuple[Scope, ...] = SCOPES
    in_report: bool = False

    def result_name(self, scope: Scope) -> str:
        """Name of a variant in tables and files: "sd5_slice", or "manual"."""
        return self.name if len(self.scopes) == 1 else f"{self.name}_{scope}"

    def apply(self, given: RuleInput) -> ThresholdResult:
        """The rule's thresholds and mask; where it cannot be applied, the result says why."""
        lge, wall = given.lge, given.myocardium
        try:
            self._check(given)
            found = self.compute(given)
        except NotApplicableError as reason:
            return invalid_result(self.name, given.scope, lge.shape[0], str(reason))
        core = None
        if found.core_levels is not None:
            core = apply_thresholds(lge, wall, found.core_levels, found.core_inclusive)
        mask = found.mask
        if mask is None:
            mask = apply_thresholds(lge, wall, found.levels, found.inclusive)
        return ThresholdResult(
            rule=self.name,
            scope=given.scope,
            peaks=found.peaks,
            thresholds=found.levels,
            mask=mask if core is None else mask | core,
            warnings=self._warnings(given) + found.warnings,
            remote=found.remote,
            core_thresholds=found.core_levels,
            core=core,
        )

    def with_numbers(self, result: ThresholdResult, number: Callable[[float], str]) -> str | None:
        """The formula with the numbers of a valid volume result of this rule; else None.

        Args:
            result: of this rule.
            number: writes a number.
        """
        limits, core, remote = result.threshold_range, result.core_threshold_range, result.remote
        if result.scope == "slice" or limits is None:
            return None
        values = {
            "peak": result.peak,
            "threshold": limits[0],
            "core": core[0] if core else None,
            "mean": remote.mean if remote else None,
            "sd": remote.sd if remote else None,
        }
        written = {name: number(value) for name, value in values.items() if value is not None}
        return self.numbers.format(**written)

    def _check(self, given: RuleInput) -> None:
        reason = no_myocardium(given.myocardium)
        for need, lacking in _LACKING.items():
            if reason is None and need in self.needs:
                reason = lacking(given)
        if reason is not None:
            raise NotApplicableError(reason)

    def _warnings(self, given: RuleInput) -> tuple[str, ...]:
        warnings = (warn(given.lge, given.myocardium, given.remote) for warn in self.warn)
        return tuple(text for found in warnings for text in found)


# Each need with the words for its lack, in the order in which they are asked.
_LACKING: Mapping[Need, Callable[[RuleInput], str | None]] = {
    "contrast": lambda given: no_contrast(given.lge, given.myocardium),
    "unsigned": lambda given: signed_data(given.lge, given.myocardium),
    "remote": lambda given: NO_REMOTE if given.remote is None else None,
    "threshold": lambda given: "no threshold was given" if given.threshold is None else None,
}

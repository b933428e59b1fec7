"""What every conventional rule has in common: peaks, a threshold per slice, a mask, warnings.

A rule measures a whole stack with one threshold ("volume") or each slice with its own ("slice"). It
never raises for an image that it does not fit: the result then says why it is invalid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from myops.quantify.thresholds.remote import RemoteRegion

Scope = Literal["volume", "slice"]
Levels = tuple[float | None, ...]

# A few negative voxels come from resampling; more of them than this mean a signed image.
SIGNED_SHARE = 0.01
# Air and nulled tissue of a magnitude image lie near zero, below this share of the peak.
OFFSET_SHARE = 0.25
# Healthy muscle this bright against the peak leaves a half-maximum rule nothing to separate.
FLAT_SHARE = 0.5
# The peak stands alone when it is this much above the 99th percentile of the myocardium.
ISOLATED_PEAK_RATIO = 1.5

NO_REMOTE = "no remote region: no sector has enough myocardium free of disease"
NO_SLICE_ASSESSABLE = "no slice was assessed: none holds labeled scar"


@dataclass(frozen=True)
class ThresholdResult:
    """One conventional rule applied to one LGE stack.

    Attributes:
        rule: name of the rule, such as "half_of_maximum" or "sd5".
        scope: "volume": one threshold for the stack; "slice": one for each assessed slice.
        peaks: highest signal the rule looked at, one per slice; None where none was assessed.
        thresholds: threshold applied, one per slice; None where the slice was not assessed.
        mask: bool (z, y, x), what the rule calls scar; None when the rule is invalid.
        invalid: why the rule could not be applied, in words; None when it could.
        warnings: about the result, in words.
        remote: the remote region that the threshold refers to; None for rules that use none.
        core_thresholds: threshold of the infarct core, one per slice; None for one-part rules.
        core: bool (z, y, x), infarct core; the grey zone is the rest of `mask`. None for one-part
            rules.
        filled: bool (z, y, x), dark voxels of `mask` that were filled in; None when nothing was.
        removed_voxels: voxels of the islands that were taken out of `mask`.
    """

    rule: str
    scope: Scope
    peaks: Levels
    thresholds: Levels
    mask: np.ndarray | None
    invalid: str | None = None
    warnings: tuple[str, ...] = ()
    remote: RemoteRegion | None = None
    core_thresholds: Levels | None = None
    core: np.ndarray | None = None
    filled: np.ndarray | None = None
    removed_voxels: int = 0

    @property
    def peak(self) -> float | None:
        """The stack's peak; the highest slice peak for the per-slice variant."""
        return max((p for p in self.peaks if p is not None), default=None)

    @property
    def threshold_range(self) -> tuple[float, float] | None:
        """Lowest and highest threshold used (equal for the volume variant)."""
        return level_range(self.thresholds)

    @property
    def core_threshold_range(self) -> tuple[float, float] | None:
        """The same for the infarct core."""
        return level_range(self.core_thresholds or ())

    @property
    def grey_zone(self) -> np.ndarray | None:
        """Bool (z, y, x), the mask outside the core; None for one-part rules."""
        return None if self.mask is None or self.core is None else self.mask & ~self.core


def level_range(levels: Levels) -> tuple[float, float] | None:
    """Lowest and highest of the levels that were used."""
    used = [level for level in levels if level is not None]
    return (min(used), max(used)) if used else None


def invalid_result(rule: str, scope: Scope, slices: int, reason: str) -> ThresholdResult:
    """A result without numbers, which says why."""
    return ThresholdResult(rule, scope, (None,) * slices, (None,) * slices, None, invalid=reason)


def no_myocardium(myocardium: np.ndarray) -> str | None:
    """Why no threshold can be set, if so."""
    return None if myocardium.any() else "no myocardium was found"


def no_contrast(lge: np.ndarray, myocardium: np.ndarray) -> str | None:
    """Why no threshold can be set: nothing to separate, or nothing to separate it in."""
    if not myocardium.any():
        return no_myocardium(myocardium)
    values = lge[myocardium]
    if values.min() == values.max():
        return f"the myocardium has the same value {values[0]:.4g} everywhere"
    return None


def signed_data(lge: np.ndarray, myocardium: np.ndarray) -> str | None:
    """Why a share of the maximum is meaningless on a signed image; None for a magnitude image."""
    share = float((lge < 0).mean())
    inside = int((lge[myocardium] < 0).sum())
    if inside == 0 and share <= SIGNED_SHARE:
        return None
    return (
        f"invalid on signed (PSIR) data: {100 * share:.1f} % of the image and {inside} voxels of "
        "the myocardium are negative, so half of the maximum has no meaning; "
        "use the remote-referenced rule"
    )


def reference_levels(
    lge: np.ndarray,
    myocardium: np.ndarray,
    scar: np.ndarray,
    scope: Scope,
    level: Callable[[np.ndarray], float] = lambda values: float(values.max()),
) -> Levels:
    """A level from the myocardium's values, one per slice.

    The volume variant pools the stack. The per-slice variant skips slices without scar, as a
    reader does: there every threshold would only mark the brightest healthy muscle.

    Args:
        lge: float (z, y, x).
        myocardium: bool (z, y, x).
        scar: bool (z, y, x), says which slices the per-slice variant assesses.
        scope: "volume" or "slice".
        level: takes the values (1D) of a slice's or the stack's myocardium; their maximum.
    """
    if scope == "volume":
        return (level(lge[myocardium]),) * lge.shape[0]
    return tuple(
        level(image[wall]) if wall.any() and lesion.any() else None
        for image, wall, lesion in zip(lge, myocardium, scar, strict=True)
    )


def each_level(level: Callable[..., float], *levels: Levels) -> Levels:
    """A level made of those of each slice; None where one of them is None."""
    return tuple(None if None in found else level(*found) for found in zip(*levels, strict=True))


def unassessed_slices(scar: np.ndarray, peaks: Levels) -> list[int]:
    """Indices of slices that a per-slice rule should have assessed (with scar) and did not."""
    return [k for k, peak in enumerate(peaks) if peak is None and scar[k].any()]


def warn_of_skipped(slices: Sequence[int], reason: str) -> tuple[str, ...]:
    """Name the slices (from 1) that a per-slice rule left out; nothing where there are none."""
    numbers = ", ".join(str(index + 1) for index in slices)
    return (f"slice {numbers} not assessed: {reason} there",) if slices else ()


def apply_thresholds(
    lge: np.ndarray, myocardium: np.ndarray, thresholds: Levels, inclusive: bool
) -> np.ndarray:
    """Myocardium at or above (inclusive), or above, the threshold of its slice."""
    # float64: a threshold rounded to the image's float32 could move the voxels that lie on it.
    levels = np.array([np.inf if t is None else t for t in thresholds], np.float64)
    inside = np.nonzero(myocardium)
    limits = levels[inside[0]]
    mask = np.zeros(myocardium.shape, bool)
    values = lge[inside]
    mask[inside] = (values >= limits) if inclusive else (values > limits)
    return mask


def isolated_peak_warning(
    lge: np.ndarray, myocardium: np.ndarray, remote: RemoteRegion | None
) -> tuple[str, ...]:
    """A warning about rules that hang on one peak."""
    values = lge[myocardium]
    peak, high = float(values.max()), float(np.percentile(values, 99))
    low = remote.mean if remote else float(np.median(values))
    if peak - low > ISOLATED_PEAK_RATIO * (high - low) > 0:
        return (
            f"the peak {peak:.4g} is set by few voxels: 99 % of the myocardium is below {high:.4g}",
        )
    return ()


def offset_warning(
    lge: np.ndarray, myocardium: np.ndarray, remote: RemoteRegion | None
) -> tuple[str, ...]:
    """A warning that the image starts at zero, which a share of the maximum needs."""
    peak = float(lge[myocardium].max())
    darkest = float(np.percentile(lge, 1))
    if peak > 0 and darkest > OFFSET_SHARE * peak:
        return (
            f"the darkest 1 % of the image ({darkest:.4g}) is not near zero against the peak "
            f"({peak:.4g}): the image looks offset (PSIR stored unsigned); "
            "prefer the remote-referenced rule",
        )
    if remote is not None and peak > 0 and remote.mean >= FLAT_SHARE * peak:
        return (
            f"remote myocardium ({remote.mean:.4g}) is above half of the peak ({peak:.4g}): "
            "not nulled, offset, or without enhancement; this rule then takes healthy muscle",
        )
    return ()

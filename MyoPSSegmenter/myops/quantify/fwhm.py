"""Full width at half maximum: two of the rules that share this name, kept apart.

- half of maximum: I >= max / 2 (compared in Flett et al., JACC Cardiovasc Imaging 2011;4:150).
  It needs intensities that start at zero, so it is invalid on signed or offset (PSIR) images.
- remote-referenced: I > m_r + (max - m_r) / 2, m_r the mean of remote myocardium. An offset of
  the image cancels.

In both, max is the maximum inside the myocardium, as in the literature: one voxel can set it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from .remote import RemoteRegion

Rule = Literal["half_of_maximum", "remote_referenced"]
Scope = Literal["volume", "slice"]

# A few negative voxels come from resampling; more of them than this mean a signed image.
SIGNED_SHARE = 0.01
# Air and nulled tissue of a magnitude image lie near zero, below this share of the peak.
OFFSET_SHARE = 0.25
# Healthy muscle this bright against the peak leaves a half-maximum rule nothing to separate.
FLAT_SHARE = 0.5
# The peak stands alone when it is this much above the 99th percentile of the myocardium.
LONE_PEAK_RATIO = 1.5


@dataclass(frozen=True)
class FwhmResult:
    """One FWHM rule applied to one LGE stack.

    Attributes:
        rule: "half_of_maximum" or "remote_referenced".
        scope: "volume": one peak for the stack; "slice": one for each slice that holds scar.
        peaks: maximum inside the myocardium, one per slice; None where the slice was not judged.
        thresholds: threshold applied, one per slice; None where the slice was not judged.
        mask: bool (z, y, x), myocardium above threshold; None when the rule is invalid.
        invalid: why the rule could not be applied, in words; None when it could.
        warnings: doubts about the result, in words.
    """

    rule: Rule
    scope: Scope
    peaks: tuple[float | None, ...]
    thresholds: tuple[float | None, ...]
    mask: np.ndarray | None
    invalid: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def peak(self) -> float | None:
        """The stack's peak; the highest slice peak for the per-slice variant."""
        return max((p for p in self.peaks if p is not None), default=None)

    @property
    def threshold_range(self) -> tuple[float, float] | None:
        """Lowest and highest threshold used (equal for the volume variant)."""
        used = [t for t in self.thresholds if t is not None]
        return (min(used), max(used)) if used else None


def half_of_maximum(
    lge: np.ndarray,
    myocardium: np.ndarray,
    scar: np.ndarray,
    remote: RemoteRegion | None,
    scope: Scope = "volume",
) -> FwhmResult:
    """FWHM as half of the maximum: I >= max / 2 inside the myocardium.

    Args:
        lge: float (z, y, x), raw intensities.
        myocardium: bool (z, y, x).
        scar: bool (z, y, x), automatic scar; says which slices the per-slice variant judges.
        remote: remote region, only to warn; may be None.
        scope: one peak for the volume, or one per slice.
    """
    invalid = no_myocardium(myocardium) or signed_data(lge, myocardium)
    if invalid:
        return _invalid("half_of_maximum", scope, lge.shape[0], invalid)
    peaks = _peaks(lge, myocardium, scar, scope)
    thresholds = tuple(None if p is None else p / 2 for p in peaks)
    mask = _above(lge, myocardium, thresholds, inclusive=True)
    doubts = _doubts(lge, myocardium, remote) + _offset_doubt(lge, myocardium, remote)
    return FwhmResult("half_of_maximum", scope, peaks, thresholds, mask, warnings=doubts)


def remote_referenced(
    lge: np.ndarray,
    myocardium: np.ndarray,
    scar: np.ndarray,
    remote: RemoteRegion | None,
    scope: Scope = "volume",
) -> FwhmResult:
    """FWHM between remote myocardium and the peak: I > m_r + (max - m_r) / 2.

    Args: as `half_of_maximum`; without a remote region the result is invalid.
    """
    invalid = no_myocardium(myocardium)
    if remote is None:
        invalid = invalid or "no remote region: no sector has enough myocardium free of disease"
    if invalid or remote is None:
        return _invalid("remote_referenced", scope, lge.shape[0], invalid or "")
    peaks = _peaks(lge, myocardium, scar, scope)
    thresholds = tuple(None if p is None else remote.mean + (p - remote.mean) / 2 for p in peaks)
    mask = _above(lge, myocardium, thresholds, inclusive=False)
    doubts = _doubts(lge, myocardium, remote)
    return FwhmResult("remote_referenced", scope, peaks, thresholds, mask, warnings=doubts)


def no_myocardium(myocardium: np.ndarray) -> str | None:
    """Why no threshold can be set, if so."""
    return None if myocardium.any() else "no myocardium was found"


def signed_data(lge: np.ndarray, myocardium: np.ndarray) -> str | None:
    """Why half of the maximum is meaningless on a signed image, or None for a magnitude image."""
    share = float((lge < 0).mean())
    inside = int((lge[myocardium] < 0).sum())
    if inside == 0 and share <= SIGNED_SHARE:
        return None
    return (
        f"invalid on signed (PSIR) data: {100 * share:.1f} % of the image and {inside} voxels of "
        "the myocardium are negative, so half of the maximum has no meaning; "
        "use the remote-referenced rule"
    )


def _invalid(rule: Rule, scope: Scope, slices: int, reason: str) -> FwhmResult:
    return FwhmResult(rule, scope, (None,) * slices, (None,) * slices, None, invalid=reason)


def _peaks(
    lge: np.ndarray, myocardium: np.ndarray, scar: np.ndarray, scope: Scope
) -> tuple[float | None, ...]:
    """Peak for each slice. The per-slice variant skips slices without scar, as a reader does."""
    if scope == "volume":
        return (float(lge[myocardium].max()),) * lge.shape[0]
    return tuple(
        float(image[wall].max()) if wall.any() and lesion.any() else None
        for image, wall, lesion in zip(lge, myocardium, scar, strict=True)
    )


def _above(
    lge: np.ndarray,
    myocardium: np.ndarray,
    thresholds: tuple[float | None, ...],
    inclusive: bool,
) -> np.ndarray:
    levels = np.array([np.inf if t is None else t for t in thresholds])[:, None, None]
    return myocardium & ((lge >= levels) if inclusive else (lge > levels))


def _doubts(
    lge: np.ndarray, myocardium: np.ndarray, remote: RemoteRegion | None
) -> tuple[str, ...]:
    """Doubts that hold for both rules."""
    values = lge[myocardium]
    peak, high = float(values.max()), float(np.percentile(values, 99))
    low = remote.mean if remote else float(np.median(values))
    if peak - low > LONE_PEAK_RATIO * (high - low) > 0:
        return (
            f"the peak {peak:.4g} is set by few voxels: 99 % of the myocardium is below {high:.4g}",
        )
    return ()


def _offset_doubt(
    lge: np.ndarray, myocardium: np.ndarray, remote: RemoteRegion | None
) -> tuple[str, ...]:
    """Doubt that the image starts at zero; only the half-of-maximum rule needs that."""
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

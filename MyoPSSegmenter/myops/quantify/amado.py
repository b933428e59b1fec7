"""FWHM after Amado et al. (J Am Coll Cardiol 2004;44:2383): half of a region's peak, then growing.

A hyper-enhanced region is pointed out, its highest signal is the peak, and everything connected
with the region at or above half of that peak is scar. A bright spot elsewhere, such as fat or blood
caught in the contour, sets no threshold and joins no scar.

The paper's reader draws the region. Where none is drawn, the automatic one is the largest connected
part of the myocardium above the remote-referenced half maximum: it asks nothing of the label map
but the wall and the remote region. A second infarct that does not touch it is left out, which the
result then says. Half of the maximum needs intensities that start at zero, so the
rule is invalid on signed or offset (PSIR) images.
"""

from __future__ import annotations

import numpy as np

from .fwhm import remote_referenced
from .islands import label_stack
from .remote import RemoteRegion
from .threshold import (
    Scope,
    ThresholdResult,
    above,
    invalid_result,
    judged_levels,
    no_contrast,
    not_judged,
    offset_doubt,
    signed_data,
    unjudged,
)

RULE = "amado"
NO_REGION_THERE = "no hyper-enhanced region"
# Fewer of the bright voxels of labeled scar outside the result are rim and noise.
LEAST_MISSED_SHARE = 0.05
NO_REGION = "no hyper-enhanced region: nothing was drawn, and there is no remote region to find one"


def amado(
    lge: np.ndarray,
    myocardium: np.ndarray,
    scar: np.ndarray,
    remote: RemoteRegion | None,
    scope: Scope = "volume",
    hyperenhanced: np.ndarray | None = None,
    labeled: np.ndarray | None = None,
) -> ThresholdResult:
    """Half of the maximum of a hyper-enhanced region, grown inside the myocardium.

    Growing goes to all 8 neighbors in a slice; the volume variant also to the 9 voxels of each
    neighboring slice.

    Args:
        lge: float (z, y, x), raw intensities.
        myocardium: bool (z, y, x).
        scar: bool (z, y, x), says which slices the per-slice variant judges.
        remote: remote region, for the automatic hyper-enhanced region.
        scope: one peak for the volume, or one per slice.
        hyperenhanced: bool (z, y, x), the region as drawn; found automatically if None.
        labeled: bool (z, y, x), labeled scar, to say how much of it the automatic region misses;
            `scar` if None.
    """
    slices = lge.shape[0]
    invalid = no_contrast(lge, myocardium) or signed_data(lge, myocardium)
    if invalid:
        return invalid_result(RULE, scope, slices, invalid)
    drawn = hyperenhanced is not None
    region = hyperenhanced & myocardium if hyperenhanced is not None else None
    if region is None and remote is not None:
        region = brightest_region(lge, myocardium, remote)
    if region is None or not region.any():
        reason = "the hyper-enhanced region lies outside the myocardium" if drawn else NO_REGION
        return invalid_result(RULE, scope, slices, reason)
    peaks = judged_levels(lge, region, region if drawn else scar, scope)
    skipped = unjudged(scar, peaks)
    if skipped and all(peak is None for peak in peaks):
        return invalid_result(RULE, scope, slices, f"{NO_REGION_THERE} in any judged slice")
    thresholds = tuple(None if p is None else p / 2 for p in peaks)
    mask = grow(region, above(lge, myocardium, thresholds, inclusive=True), scope)
    doubts = offset_doubt(lge, myocardium, remote) + not_judged(skipped, NO_REGION_THERE)
    if not drawn and remote is not None:
        doubts += _missed_doubt(lge, myocardium, scar if labeled is None else labeled, remote, mask)
    return ThresholdResult(
        RULE, scope, peaks, thresholds, mask, None, doubts, None if drawn else remote
    )


def _missed_doubt(
    lge: np.ndarray,
    myocardium: np.ndarray,
    labeled: np.ndarray,
    remote: RemoteRegion,
    mask: np.ndarray,
) -> tuple[str, ...]:
    """Doubt about an automatic region that leaves another infarct out."""
    bright = remote_referenced(lge, myocardium, myocardium, remote).mask
    if bright is None:
        return ()
    expected = int(np.count_nonzero(labeled & bright))
    missed = int(np.count_nonzero(labeled & bright & ~mask))
    if missed <= LEAST_MISSED_SHARE * expected:
        return ()
    return (
        f"{100 * missed / expected:.0f} % of the labeled scar that is bright ({missed} of "
        f"{expected} voxels) is not connected with the largest bright region and is left out; draw "
        "the region around every infarct",
    )


def brightest_region(
    lge: np.ndarray, myocardium: np.ndarray, remote: RemoteRegion
) -> np.ndarray | None:
    """The largest connected part of the myocardium above the remote-referenced half maximum."""
    bright = remote_referenced(lge, myocardium, myocardium, remote).mask
    if bright is None or not bright.any():
        return None
    parts, _ = label_stack(bright, "volume")
    return parts == np.bincount(parts[bright]).argmax()


def grow(region: np.ndarray, bright: np.ndarray, scope: Scope) -> np.ndarray:
    """The connected parts of `bright` that share a voxel with `region`, bool (z, y, x)."""
    parts, count = label_stack(bright, scope)
    reached = np.zeros(count + 1, bool)
    reached[parts[region & bright]] = True
    reached[0] = False
    return reached[parts]

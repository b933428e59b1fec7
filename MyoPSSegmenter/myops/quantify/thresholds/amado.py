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

from dataclasses import replace

import numpy as np

from myops.geometry.masks import Neighbors, label_components, largest_component
from myops.quantify.thresholds.base import (
    Scope,
    apply_thresholds,
    offset_warning,
    reference_levels,
    unassessed_slices,
    warn_of_skipped,
)
from myops.quantify.thresholds.fwhm import REMOTE_REFERENCED, halves
from myops.quantify.thresholds.rule import NotApplicableError, Rule, RuleInput, Thresholds

NO_REGION_THERE = "no hyper-enhanced region"
# Fewer of the bright voxels of labeled scar outside the result are rim and noise.
LEAST_MISSED_SHARE = 0.05
NO_REGION = "no hyper-enhanced region: nothing was drawn, and there is no remote region to find one"
OUTSIDE = "the hyper-enhanced region lies outside the myocardium"


def amado(given: RuleInput) -> Thresholds:
    """Half of the maximum of a hyper-enhanced region, grown inside the myocardium.

    Growing goes to all 8 neighbors in a slice; the volume variant also to the 9 voxels of each
    neighboring slice. The region is the drawn one, else found automatically.
    """
    drawn = given.hyperenhanced is not None
    region = hyperenhanced_region(given)
    peaks = reference_levels(given.lge, region, region if drawn else given.scar, given.scope)
    skipped = unassessed_slices(given.scar, peaks)
    if skipped and all(peak is None for peak in peaks):
        raise NotApplicableError(f"{NO_REGION_THERE} in any assessed slice")
    levels = halves(peaks)
    bright = apply_thresholds(given.lge, given.myocardium, levels, inclusive=True)
    mask = grow(region, bright, given.scope)
    warnings = warn_of_skipped(skipped, NO_REGION_THERE)
    if not drawn:
        warnings += _missed_warning(given, mask)
    remote = None if drawn else given.remote
    return Thresholds(peaks, levels, inclusive=True, remote=remote, mask=mask, warnings=warnings)


def hyperenhanced_region(given: RuleInput) -> np.ndarray:
    """The region as drawn, inside the wall, else the largest bright part: bool (z, y, x).

    Raises:
        NotApplicableError: there is none.
    """
    if given.hyperenhanced is not None:
        region = given.hyperenhanced & given.myocardium
        if not region.any():
            raise NotApplicableError(OUTSIDE)
        return region
    bright = _bright(given)
    if bright is None or not bright.any():
        raise NotApplicableError(NO_REGION)
    return largest_component(bright, "corners")


def grow(region: np.ndarray, bright: np.ndarray, scope: Scope) -> np.ndarray:
    """The connected parts of `bright` that share a voxel with `region`, bool (z, y, x)."""
    neighbors: Neighbors = "corners" if scope == "volume" else "corners_in_plane"
    parts, count = label_components(bright, neighbors)
    reached = np.zeros(count + 1, bool)
    reached[parts[region & bright]] = True
    reached[0] = False
    return reached[parts]


def _bright(given: RuleInput) -> np.ndarray | None:
    """The myocardium above the remote-referenced half maximum of the volume."""
    return REMOTE_REFERENCED.apply(replace(given, scar=given.myocardium, scope="volume")).mask


def _missed_warning(given: RuleInput, mask: np.ndarray) -> tuple[str, ...]:
    """A warning about an automatic region that leaves another infarct out."""
    labeled = given.scar if given.labeled is None else given.labeled
    bright = _bright(given)
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


AMADO = Rule(
    name="fwhm_amado",
    title="FWHM, Amado",
    formula="half of the peak of a hyper-enhanced region, and connected with it",
    source="Amado et al., J Am Coll Cardiol 2004;44:2383",
    needs=frozenset({"contrast", "unsigned"}),
    compute=amado,
    numbers="I ≥ {peak} / 2 = {threshold}, connected with the hyper-enhanced region",
    warn=(offset_warning,),
)

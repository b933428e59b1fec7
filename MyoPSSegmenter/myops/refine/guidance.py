"""Look here next: where a click is expected to change the scar mass most.

A voxel's label is wrong, as far as scar is concerned, with the probability p that the cascade gives
to the other answer: 1 - p(scar) where scar is labeled, p(scar) elsewhere. The cascade is far too
sure of itself, so p is softened by a temperature (Guo et al. 2017, arXiv 1706.04599). A click
corrects a connected doubtful region of one slice, so its expected change is the sum of p over the
region times the mass of a voxel. What the reader has settled is no longer in doubt.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from myops import labels as regions
from myops.geometry.masks import label_components
from myops.quantify.mass import MYOCARDIAL_DENSITY_G_PER_ML
from myops.refine.prompts import Prompts
from myops.refine.wall_coordinates import innermost

if TYPE_CHECKING:
    from myops.segmentation import Segmentation

# Divides the log odds. Measured on 16 synthetic patients (seeds 911000-911015): with 3 the expected
# number of wrong voxels (8701) meets the true one (8883); without it is 3838.
TEMPERATURE = 3.0
# Surer than this the cascade saw no heart at all: no temperature makes a doubt of it.
NO_DOUBT = 1e-6
# Voxels less likely to be wrong than this are taken as right: their region would be everything.
LEAST_DOUBT = 0.2
# Around a click the reader has seen what there is.
SETTLED_MM = 8.0
# In the rest of a slice errors are half as likely after every click: it was looked at. Without that
# the same slices are named again and again, see Docs/results.md.
SEEN_DISCOUNT = 0.5


@dataclass(frozen=True)
class Suggestion:
    """A place worth looking at.

    Attributes:
        slice_index: z index on the Case's grid.
        row, column: the most doubtful pixel of the region; of several, the innermost.
        positive: True where scar may be missing, False where it may be too much.
        expected_voxels: voxels whose label is expected to be wrong in the region.
        expected_change_g: their mass; None when the spacing is unknown.
    """

    slice_index: int
    row: int
    column: int
    positive: bool
    expected_voxels: float
    expected_change_g: float | None


@dataclass(frozen=True)
class Guidance:
    """Where to look next.

    Attributes:
        suggestions: the best places, the best one first; empty where scar was not assessed.
        doubt: float32 (z, y, x), softened probability 0..1 that the present scar label is wrong,
            0 where the reader has settled it; for display.
    """

    suggestions: tuple[Suggestion, ...]
    doubt: np.ndarray


def look_here_next(
    segmentation: Segmentation,
    labels: np.ndarray,
    prompts: Iterable[Prompts] = (),
    spacing_known: bool = True,
    count: int = 3,
) -> Guidance:
    """Find the places where a click is expected to change the scar mass most.

    Args:
        segmentation: the automatic result with its probabilities.
        labels: uint16 (z, y, x), the present label map. Scar that differs from the automatic one
            was settled by the reader.
        prompts: what the reader has clicked so far, on any structure.
        spacing_known: False when masses are refused.
        count: how many suggestions.
    """
    if "scar" not in segmentation.assessed:
        return Guidance((), np.zeros(labels.shape, np.float32))
    spacing_mm = segmentation.geometry.spacing_mm
    prompts = list(prompts)
    unsettled = _doubt(segmentation, labels, prompts)
    likelier = _unseen(prompts, len(labels))
    voxel_g = segmentation.geometry.voxel_volume_ml * MYOCARDIAL_DENSITY_G_PER_ML
    known_g = voxel_g if spacing_known else None
    found = [
        (math.fsum(plane[region].tolist()) * float(likelier[index]), index, region, positive)
        for index, plane in enumerate(unsettled)
        for region, positive in _regions(plane, regions.scar(labels[index]))
    ]
    # Finding a place within a region is slow, so only the best regions get one.
    best = sorted(found, key=lambda one: -one[0])[:count]
    suggestions = (
        _suggestion(unsettled[index], region, index, positive, expected, spacing_mm, known_g)
        for expected, index, region, positive in best
    )
    return Guidance(tuple(suggestions), unsettled * likelier[:, None, None])


def _unseen(prompts: list[Prompts], slices: int) -> np.ndarray:
    """Share of errors that the clicks have left in each slice, as assumed: float32 (z,)."""
    share = np.ones(slices, np.float32)
    for one in prompts:
        share[one.slice_index] *= SEEN_DISCOUNT ** max(len(one.points), 1)
    return share


def _doubt(segmentation: Segmentation, labels: np.ndarray, prompts: list[Prompts]) -> np.ndarray:
    """Probability that the scar label is wrong, float32 (z, y, x); 0 where it is settled."""
    scar = regions.scar(labels)
    chance = segmentation.probabilities["scar"]
    doubt = soften(np.where(scar, 1 - chance, chance))
    doubt[scar != regions.scar(segmentation.labels)] = 0
    for one in prompts:
        for point in one.points:
            far = _distance_mm(labels.shape, point.row, point.column, segmentation) > SETTLED_MM
            doubt[one.slice_index] *= far
    return doubt


def soften(chance: np.ndarray) -> np.ndarray:
    """Divide the log odds of probabilities by the temperature; float32, 0 where there is no doubt.

    Args:
        chance: float, 0..1, the network's probability.
    """
    kept = np.clip(chance.astype(np.float64), NO_DOUBT, 1 - NO_DOUBT)
    softened = 1 / (1 + ((1 - kept) / kept) ** (1 / TEMPERATURE))
    return np.where(chance > NO_DOUBT, softened, 0).astype(np.float32)


def _distance_mm(
    shape_zyx: tuple[int, ...], row: float, column: float, segmentation: Segmentation
) -> np.ndarray:
    x_mm, y_mm, _ = segmentation.geometry.spacing_mm
    rows, columns = np.ogrid[: shape_zyx[1], : shape_zyx[2]]
    return np.hypot((rows - row) * y_mm, (columns - column) * x_mm)


def _regions(doubt: np.ndarray, scar: np.ndarray) -> list[tuple[np.ndarray, bool]]:
    """Connected doubtful regions of a slice, bool (y, x), and whether scar may be missing there."""
    found = []
    for side, positive in ((~scar, True), (scar, False)):
        parts, count = label_components((doubt >= LEAST_DOUBT) & side)
        found += [(parts == number, positive) for number in range(1, count + 1)]
    return found


def _suggestion(
    doubt: np.ndarray,
    region: np.ndarray,
    slice_index: int,
    positive: bool,
    expected: float,
    spacing_mm: tuple[float, float, float],
    voxel_g: float | None,
) -> Suggestion:
    # The most doubtful pixel is more often truly wrong than the middle of the region.
    row, column = innermost(region & (doubt == doubt[region].max()), spacing_mm)
    mass_g = None if voxel_g is None else expected * voxel_g
    return Suggestion(slice_index, row, column, positive, expected, mass_g)

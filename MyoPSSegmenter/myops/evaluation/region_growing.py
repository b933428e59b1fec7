"""Region growing: what the same clicks achieve without a network, for comparison.

One rule for every structure. A click's own signal s is the mean of the 3x3 pixels around it, the
signal of the other side o is the median of the pixels it is told apart from; everything connected
with the click that lies on its side of the half-way threshold (s + o) / 2 goes with it. For scar
in LGE that is the half-maximum region growing of Amado et al. (JACC 2004;44:2383), with the click
as the peak. What is grown is added to the present mask (positive click) or taken from it (negative
click), so that the automatic mask is the start, as for the refiner.

- Positive: o is the median of the normal myocardium of the slice (for myocardium and blood pool:
  of all around the click that is not in the mask). Scar, edema and MVO grow inside the present
  wall and 3 mm beyond it.
- Negative: o is the median of the present mask, and growing stays inside it.
- No click reaches further than 12 mm, each holds a disc of 3 mm, and older clicks keep theirs.

The lengths and the half-way rule are the best of those tried on phantoms and on the very EMIDEC
hearts it is compared on, so the comparison favors it; SimpleITK's ConfidenceConnected (mean of
3x3 pixels, 1.5 to 3.5 SD) was worse on both. Boxes are not used.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from myops import labels as regions
from myops.case import Case
from myops.refine.prompts import Point, Prompts, check_prompts
from myops.refine.rules import REGIONS
from myops.segmentation import Segmentation
from myops.sequences import GRID_SEQUENCES
from myops.structures import CORRECTED, DISEASE, STRUCTURES

REACH_MM = 12.0
DISC_MM = 3.0
WALL_MARGIN_MM = 3.0
# Where a reader looks for the anatomy; disease has its own sequence.
ANATOMY_IN = ("bssfp", "lge")
# The sequences a reader looks at, the best one first.
SHOWN_IN = {
    name: tuple(dict.fromkeys((*STRUCTURES[name].seen_on, *GRID_SEQUENCES)))
    if name in DISEASE
    else ANATOMY_IN
    for name in CORRECTED
}


@dataclass(frozen=True)
class Grown:
    """The mask after the newest click: bool (y, x), and the threshold it was grown with.

    `threshold` is None where there was nothing to tell the click's signal from.
    """

    mask: np.ndarray
    threshold: float | None


class RegionGrowing:
    """Answers clicks as `refiner.Refiner` does, by region growing in one sequence."""

    def __init__(self) -> None:
        self._case: Case | None = None

    def set_case(self, case: Case, segmentation: Segmentation) -> None:
        """Take the patient's images; the segmentation is not needed."""
        self._case = case

    def encode(self, slices: Iterable[int] | None = None) -> None:
        """Do nothing: there is nothing to prepare."""

    def predict(self, prompts: Prompts, labels: np.ndarray) -> Grown:
        """Grow from the newest click; older ones have had their effect and keep their discs.

        Args:
            prompts: all clicks on one structure in one slice.
            labels: uint16 (z, y, x), the label map after the click before.

        Raises:
            InputError: see `check_prompts`.
            RuntimeError: before `set_case`.
        """
        if self._case is None:
            raise RuntimeError("expected set_case before predict")
        check_prompts(prompts, labels.shape)
        case, plane = self._case, labels[prompts.slice_index]
        present = REGIONS[prompts.structure](plane)
        if not prompts.points:
            return Grown(present, None)
        shown = next(name for name in SHOWN_IN[prompts.structure] if name in case.images)
        pixel_mm = (case.geometry.spacing_mm[1], case.geometry.spacing_mm[0])
        slice_ = _Slice(case.images[shown][prompts.slice_index], plane, present, pixel_mm)
        mask, threshold = _after_click(slice_, prompts.structure, prompts.points[-1])
        for point in prompts.points:
            mask[_disc(point, mask.shape, pixel_mm, DISC_MM)] = point.positive
        return Grown(mask, threshold)


@dataclass(frozen=True)
class _Slice:
    """One slice: image float32, labels uint16, the present mask bool, pixel size (y, x) in mm."""

    image: np.ndarray
    labels: np.ndarray
    present: np.ndarray
    pixel_mm: tuple[float, float]


def _after_click(slice_: _Slice, structure: str, point: Point) -> tuple[np.ndarray, float | None]:
    """The present mask with the grown region added or taken away, and the threshold."""
    near = _disc(point, slice_.present.shape, slice_.pixel_mm, REACH_MM)
    if point.positive:
        others, domain = _beyond(slice_, structure, near)
    else:
        others, domain = slice_.present, near & slice_.present
    grown, threshold = _grow(slice_.image, point, others, domain)
    mask = slice_.present | grown if point.positive else slice_.present & ~grown
    return mask, threshold


def _beyond(slice_: _Slice, structure: str, near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a positive click is told apart from, and where it may grow: both bool (y, x)."""
    if structure not in DISEASE:  # told from all around it, not from normal muscle
        return near & ~slice_.present, near
    from scipy.ndimage import distance_transform_edt

    wall = regions.myocardium(slice_.labels)
    if not wall.any():
        return wall, near
    close = distance_transform_edt(~wall, sampling=slice_.pixel_mm) <= WALL_MARGIN_MM
    normal = regions.normal_myocardium(slice_.labels)
    return (normal if normal.any() else wall), near & close


def _grow(
    image: np.ndarray, point: Point, others: np.ndarray, domain: np.ndarray
) -> tuple[np.ndarray, float | None]:
    """Pixels of the domain connected with the click, on its side of the half-way threshold."""
    import SimpleITK as sitk

    if not others.any():
        return np.zeros(image.shape, bool), None
    row, column = _pixel(point, image.shape)
    own = float(image[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].mean())
    other = float(np.median(image[others]))
    threshold = (own + other) / 2
    # Turned so that the click's side is the positive one; outside the domain nothing is.
    above = (image - threshold) * (1 if own >= other else -1)
    bounded = np.where(domain, above, -1).astype(np.float32)
    top = float(max(bounded.max(), 0))
    grown = sitk.ConnectedThreshold(
        sitk.GetImageFromArray(bounded), seedList=[(column, row)], lower=0.0, upper=top
    )
    return sitk.GetArrayFromImage(grown) > 0, threshold


def _pixel(point: Point, shape: tuple[int, ...]) -> tuple[int, int]:
    """The pixel (row, column) that a click lies in."""
    row, column = (int(np.floor(place + 0.5)) for place in (point.row, point.column))
    return min(row, shape[0] - 1), min(column, shape[1] - 1)


def _disc(
    point: Point, shape: tuple[int, ...], pixel_mm: tuple[float, float], radius_mm: float
) -> np.ndarray:
    """Pixels (bool (y, x)) whose centers lie within the radius of a click, and the click's own."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    off_mm = np.hypot((rows - point.row) * pixel_mm[0], (columns - point.column) * pixel_mm[1])
    disc = off_mm <= radius_mm
    disc[_pixel(point, shape)] = True
    return disc

"""Agreement of two label maps: overlap, surface distances in mm, and volumes.

Conventions, since public tools differ by more than 100 mm on the same pair (arXiv 2410.02630):
a surface is the voxels of a mask with a face neighbor outside it (outside the volume counts as
outside the mask); distances run between voxel centers with the true spacing; HD is the larger of
the two directed maxima, HD95 the larger of the two directed 95th percentiles. A measure that an
empty mask leaves undefined is None, with the reason, never NaN and never a made-up number. Without
a known spacing there are no mm, mL and g, while overlaps stay.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from myops.errors import InputError
from myops.geometry.canonical import canonical_grid, to_canonical
from myops.geometry.grid import ML_PER_MM3, Geometry
from myops.geometry.masks import bounding_box
from myops.label_maps import anatomy_warnings, on_grid, read_label_file
from myops.labels import DEFAULT_CONVENTION, lv_region
from myops.quantify.human_heart import warning_of_labels
from myops.quantify.mass import MYOCARDIAL_DENSITY_G_PER_ML, UNKNOWN_SPACING
from myops.structures import COMPARED, STRUCTURES

REGIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    name: STRUCTURES[name].mask for name in COMPARED
}
# Compared only where either label map has it: most label maps do not tell it apart.
OPTIONAL = frozenset(name for name in COMPARED if STRUCTURES[name].optional)
# In the whole image nearly everything is a true negative: specificity would always be 1.
WITHIN_HEART = frozenset(name for name in COMPARED if STRUCTURES[name].seen_on)
# Blood has a volume but no myocardial mass.
MUSCLE = frozenset(name for name in COMPARED if STRUCTURES[name].within("myocardium"))


@dataclass(frozen=True)
class Agreement:
    """How well one region agrees; None where a measure is undefined, with the reason.

    An empty mask leaves measures undefined, and an unknown spacing all that are in mm, mL and g.

    Attributes:
        dice: 0 to 1; 0 when only the prediction is empty, None when the truth is.
        hd_mm: symmetric Hausdorff distance between the surfaces.
        hd95_mm: larger of the two directed 95th percentiles.
        sensitivity: share of the truth that is found.
        specificity: share of the background left alone; for scar and edema the background within
            the left ventricle (predicted or true), else that of the whole image.
        precision: share of the prediction that is true.
        volume_prediction_ml: volume of the predicted region.
        volume_truth_ml: volume of the true region.
        volume_difference_ml: prediction minus truth.
        mass_difference_g: the same as mass, 1.05 g/mL; None for regions with blood.
        reason: why measures are None; empty when none is.
    """

    dice: float | None
    hd_mm: float | None
    hd95_mm: float | None
    sensitivity: float | None
    specificity: float | None
    precision: float | None
    volume_prediction_ml: float | None
    volume_truth_ml: float | None
    volume_difference_ml: float | None
    mass_difference_g: float | None
    reason: str = ""

    def to_dict(self) -> dict[str, float | str | None]:
        """The fields by name, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Summary:
    """Mean, sample standard deviation and median over `count` cases; `undefined` set apart."""

    mean: float | None
    sd: float | None
    median: float | None
    count: int
    undefined: int


def compare(
    prediction: np.ndarray,
    truth: np.ndarray,
    spacing_mm: tuple[float, float, float] | None,
    no_spacing: str = UNKNOWN_SPACING,
) -> dict[str, Agreement]:
    """Compare two label maps region by region.

    Args:
        prediction: MyoPS labels, uint16 (z, y, x).
        truth: MyoPS labels of the same shape.
        spacing_mm: voxel spacing (x, y, z), as in `Geometry.spacing_mm`; None when it is unknown.
        no_spacing: why it is unknown, see `mass.spacing_refusal`.

    Returns:
        lv_region, myocardium, blood_pool, scar (with the MVO inside it), edema and scar_or_edema
        to their agreement; mvo too where either label map has any.

    Raises:
        InputError: the shapes differ.

    Example:
        >>> found = myops.compare(labels, true_labels, case.geometry.spacing_mm)
        >>> found["scar"].dice, found["scar"].hd95_mm
        (0.89, 3.2)
    """
    if prediction.shape != truth.shape:
        raise InputError(
            f"expected two label maps of one shape, found {prediction.shape} and {truth.shape}; "
            "bring both to the same grid"
        )
    heart = lv_region(prediction) | lv_region(truth)
    everywhere = np.ones(truth.shape, bool)
    found = {}
    for name, region in REGIONS.items():
        predicted, true = region(prediction), region(truth)
        if name in OPTIONAL and not (predicted.any() or true.any()):
            continue
        domain = heart if name in WITHIN_HEART else everywhere
        density = MYOCARDIAL_DENSITY_G_PER_ML if name in MUSCLE else None
        found[name] = compare_masks(predicted, true, spacing_mm, domain, density, no_spacing)
    return found


@dataclass(frozen=True)
class LabelPair:
    """Two label maps on one grid, that of the truth's file.

    Attributes:
        prediction, truth: uint16 (z, y, x), MyoPS values.
        geometry: their grid.
        spacing_reason: why its spacing is not known: then there are no mm, mL and g; "" if it is.
        label_warnings: about where the labels lie and what they mean, a sentence each.
        names: of the two files.
    """

    prediction: np.ndarray
    truth: np.ndarray
    geometry: Geometry
    spacing_reason: str
    label_warnings: tuple[str, ...]
    names: tuple[str, str]

    @property
    def no_spacing(self) -> str:
        """Why there are no mm, mL and g, for a table; "" if there are."""
        return f"refused: {self.spacing_reason}" if self.spacing_reason else ""

    def compare(self) -> dict[str, Agreement]:
        """Region by region, see `compare`."""
        spacing_mm = None if self.spacing_reason else self.geometry.spacing_mm
        return compare(self.prediction, self.truth, spacing_mm, self.no_spacing)

    @property
    def warnings(self) -> tuple[str, ...]:
        """That the spacing is unknown, and which of the two is not a human heart."""
        original = canonical_grid(self.geometry)
        spacing_mm = None if self.spacing_reason else original.canonical_geometry.spacing_mm
        found = [f"mm, mL and g are {self.no_spacing}"] if self.spacing_reason else []
        found += self.label_warnings
        for name, stored in zip(self.names, (self.prediction, self.truth)):
            labels = to_canonical(stored, original)
            found += anatomy_warnings(labels, name)
            words = warning_of_labels(labels, spacing_mm)
            found += [f"{name}: {words}"] if words else []
        return tuple(found)


def compare_files(
    prediction_path: str | Path, truth_path: str | Path, convention: str = DEFAULT_CONVENTION
) -> dict[str, Agreement]:
    """Compare two label files on the same grid; raises InputError like `read_pair`."""
    return read_pair(prediction_path, truth_path, convention).compare()


def read_pair(
    prediction_path: str | Path,
    truth_path: str | Path,
    convention: str = DEFAULT_CONVENTION,
    truth_convention: str = "",
) -> LabelPair:
    """Read two label files whose voxels lie at the same places, in whatever order of axes.

    Args:
        prediction_path: label file.
        truth_path: label file; its grid is that of the comparison.
        convention: how the files number the structures, out of `labels.CONVENTIONS`.
        truth_convention: how the truth does, where it is another one.

    Raises:
        InputError: a file cannot be read, the grids differ, or a label is unknown.
    """
    truth = read_label_file(truth_path, truth_convention or convention)
    prediction = read_label_file(prediction_path, convention)
    placed = not truth.geometry.is_unset
    labels, warnings = on_grid(prediction, truth.geometry, placed, "truth")
    names = (prediction.name, truth.name)
    return LabelPair(labels, truth.labels, truth.geometry, truth.spacing_reason, warnings, names)


def compare_masks(
    prediction: np.ndarray,
    truth: np.ndarray,
    spacing_mm: tuple[float, float, float] | None,
    domain: np.ndarray | None = None,
    density_g_per_ml: float | None = None,
    no_spacing: str = UNKNOWN_SPACING,
) -> Agreement:
    """Compare two masks.

    Args:
        prediction: bool (z, y, x).
        truth: bool (z, y, x).
        spacing_mm: voxel spacing (x, y, z); None when it is unknown.
        domain: bool (z, y, x), where true negatives count for specificity; everywhere if None.
        density_g_per_ml: of the tissue; without one there is no mass difference.
        no_spacing: why the spacing is unknown.
    """
    inside = np.ones(truth.shape, bool) if domain is None else domain
    both = int(np.count_nonzero(prediction & truth))
    predicted, true = int(np.count_nonzero(prediction)), int(np.count_nonzero(truth))
    background = int(np.count_nonzero(inside & ~truth))
    false = int(np.count_nonzero(prediction & ~truth & inside))
    hd_mm = hd95_mm = excess_ml = voxel_ml = None
    if spacing_mm is not None:
        voxel_ml = math.prod(spacing_mm) * ML_PER_MM3
        excess_ml = (predicted - true) * voxel_ml
        if predicted and true:
            hd_mm, hd95_mm = surface_distances_mm(prediction, truth, spacing_mm)
    excess_g = None
    if excess_ml is not None and density_g_per_ml is not None:
        excess_g = excess_ml * density_g_per_ml
    return Agreement(
        dice=2 * both / (predicted + true) if true else None,
        hd_mm=hd_mm,
        hd95_mm=hd95_mm,
        sensitivity=both / true if true else None,
        specificity=(background - false) / background if background else None,
        precision=both / predicted if predicted else None,
        volume_prediction_ml=None if voxel_ml is None else predicted * voxel_ml,
        volume_truth_ml=None if voxel_ml is None else true * voxel_ml,
        volume_difference_ml=excess_ml,
        mass_difference_g=excess_g,
        reason=_reason(bool(predicted), bool(true), "" if spacing_mm is not None else no_spacing),
    )


def surface_distances_mm(
    first: np.ndarray, second: np.ndarray, spacing_mm: tuple[float, float, float]
) -> tuple[float, float]:
    """Symmetric Hausdorff distance and its 95th percentile between two non-empty masks, in mm.

    Args:
        first: bool (z, y, x).
        second: bool (z, y, x).
        spacing_mm: voxel spacing (x, y, z).

    Raises:
        ValueError: a mask is empty.
    """
    from scipy.ndimage import distance_transform_edt

    if not first.any() or not second.any():
        raise ValueError("expected two masks with voxels, found an empty one; count it apart")
    # The box around both masks holds every surface and every nearest neighbor.
    box = bounding_box(first | second)
    surfaces = [_surface(first[box]), _surface(second[box])]
    sampling = spacing_mm[::-1]
    distances = [distance_transform_edt(~surface, sampling=sampling) for surface in surfaces]
    directed = [distances[1][surfaces[0]], distances[0][surfaces[1]]]
    return (
        max(float(values.max()) for values in directed),
        max(float(np.percentile(values, 95)) for values in directed),
    )


def summarize(agreements: Sequence[Mapping[str, Agreement]]) -> dict[str, dict[str, Summary]]:
    """Summarize a cohort: region and measure to mean, sd and median, undefined cases set apart.

    A patient without an optional region (MVO) counts as undefined there.

    Args:
        agreements: one result of `compare` per patient, at least one.
    """
    measures = ("dice", "hd_mm", "hd95_mm", "sensitivity", "specificity", "precision")
    return {
        region: {
            measure: _summary(
                [getattr(patient.get(region), measure, None) for patient in agreements]
            )
            for measure in measures
        }
        for region in REGIONS
        if any(region in patient for patient in agreements)
    }


def _summary(values: Sequence[float | None]) -> Summary:
    known = np.array([value for value in values if value is not None], np.float64)
    undefined = len(values) - known.size
    if known.size == 0:
        return Summary(None, None, None, 0, undefined)
    sd = float(known.std(ddof=1)) if known.size > 1 else None
    return Summary(float(known.mean()), sd, float(np.median(known)), known.size, undefined)


def _reason(predicted: bool, true: bool, no_spacing: str) -> str:
    """Why measures are None."""
    empty = {
        (True, False): "the truth is empty",
        (False, True): "the prediction is empty",
        (False, False): "prediction and truth are empty",
    }
    spacing = f"mm, mL and g are {no_spacing}" if no_spacing else ""
    return "; ".join(words for words in (empty.get((predicted, true), ""), spacing) if words)


def _surface(mask: np.ndarray) -> np.ndarray:
    """Voxels of a mask with at least one face neighbor outside it."""
    from scipy.ndimage import binary_erosion

    return mask & ~binary_erosion(mask)

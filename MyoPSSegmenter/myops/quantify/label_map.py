"""A label map from a file -> Measurements: corrected, drawn by hand, or of another program.

Nothing is resampled: a label map belongs to the image it was drawn on. It may be stored with other
axes (flipped or in another order) as long as its voxels lie at the same places.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from myops.errors import InputError
from myops.label_maps import read_mask_on_case, read_on_case
from myops.labels import DEFAULT_CONVENTION
from myops.quantify.measure import Measurements, measure
from myops.quantify.thresholds.methods import RULES, ConventionalSettings
from myops.quantify.thresholds.remote import Sector
from myops.segmentation import Segmentation
from myops.structures import ASSESSABLE, STRUCTURES, assessed_by

if TYPE_CHECKING:
    from myops.case import Case
    from myops.quantify.regional.orientation import Landmarks


def measure_label_map(
    case: Case,
    path: Path,
    *,
    methods: Sequence[str] = (),
    convention: str = DEFAULT_CONVENTION,
    remote_mask: Path | None = None,
    remote_sector: tuple[float, float] | None = None,
    hyperenhanced: Path | None = None,
    manual_threshold: float | None = None,
    all_slices: bool = False,
    no_fill: bool = False,
    smallest_island_mm2: float | None = None,
    smallest_island_ml: float | None = None,
    papillary: bool = False,
    landmarks: Landmarks | None = None,
) -> Measurements:
    """Measure a label file as `myops quantify` does.

    Args:
        case: the images that the label map belongs to.
        path: label file.
        methods: names out of `conventional.RULES`; none, or "all", means all of them.
        convention: out of `labels.CONVENTIONS`.
        remote_mask: file of a drawn remote region.
        remote_sector: middle and width of a remote sector in degrees, see `Sector`.
        hyperenhanced: file of the Amado rule's drawn region.
        manual_threshold: a reader's own threshold in the units of the image.
        all_slices: per-slice variants assess every slice with myocardium.
        no_fill: leave dark cores out of thresholded scar.
        smallest_island_mm2: least area of an island in its slice.
        smallest_island_ml: least volume of an island in the stack.
        papillary: count papillary muscles in the cavity as LV mass.
        landmarks: what the reader says about the heart's orientation, for the segments.

    Raises:
        InputError: an unusable file, another grid, an unknown name, or two remote regions.
    """
    if remote_mask is not None and remote_sector is not None:
        raise InputError("expected one remote region, found a mask and a sector; leave one out")
    _check_threshold(methods, manual_threshold)
    settings = ConventionalSettings(
        methods=tuple(RULES if not methods or "all" in methods else dict.fromkeys(methods)),
        manual_threshold=manual_threshold,
        all_slices=all_slices,
        fill_dark_cores=not no_fill,
        smallest_island_mm2=smallest_island_mm2,
        smallest_island_ml=smallest_island_ml,
    )
    sector = None if remote_sector is None else Sector(*remote_sector)
    return measure(
        case,
        read_label_map(path, case, convention),
        settings,
        sector if remote_mask is None else read_mask(remote_mask, case),
        None if hyperenhanced is None else read_mask(hyperenhanced, case),
        papillary,
        landmarks,
    )


def read_label_map(
    path: str | Path, case: Case, convention: str = DEFAULT_CONVENTION
) -> Segmentation:
    """Read a label map drawn on a case's reference image.

    Scar is assessed where there is an LGE or labeled scar, edema where there is a T2 or labeled
    edema. There are no probabilities and no uncertainty.

    Args:
        path: label file of any format that images have.
        case: the images.
        convention: how it numbers the structures: "myops", "emidec", "acdc" or "mnms".

    Returns:
        MyoPS labels uint16 (z, y, x) on the case's grid; nothing is resampled.

    Raises:
        InputError: an unreadable file, unknown labels, or another grid than the reference's.

    Example:
        >>> drawn = myops.read_label_map("expert.nii.gz", case, convention="emidec")
        >>> numbers = myops.measure(case, drawn)
    """
    labels, warnings = read_on_case(path, case, convention)
    return Segmentation(
        labels=labels,
        geometry=case.geometry,
        probabilities={},
        uncertainty=np.zeros(labels.shape, np.float32),
        assessed=assessed_or_labeled(assessed_by(case.sequences), labels),
        model={},
        seconds={},
        warnings=warnings,
    )


def assessed_or_labeled(assessed: frozenset[str], labels: np.ndarray) -> frozenset[str]:
    """What the images let one assess, and what is labeled: whoever labeled scar has assessed it.

    Args:
        assessed: which of `structures.ASSESSABLE` the images show.
        labels: uint16 (z, y, x), MyoPS values.
    """
    unseen = (name for name in ASSESSABLE if name not in assessed)
    return assessed | {name for name in unseen if STRUCTURES[name].mask(labels).any()}


def read_mask(path: str | Path, case: Case) -> np.ndarray:
    """Read a mask drawn on a case's reference image: bool (z, y, x), True where not 0.

    Raises:
        InputError: an unreadable file, another grid, or an empty mask.
    """
    return read_mask_on_case(path, case)


def _check_threshold(methods: Sequence[str], threshold: float | None) -> None:
    if "manual" in methods and threshold is None:
        raise InputError("expected a threshold for the manual method, found none; give it")
    if threshold is not None and not np.isfinite(threshold):
        raise InputError(f"expected a finite manual threshold, found {threshold}; correct it")

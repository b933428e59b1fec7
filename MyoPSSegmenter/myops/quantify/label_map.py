"""A label map from a file -> Measurements: corrected, drawn by hand, or of another program.

Nothing is resampled: a label map belongs to the image it was drawn on. It may be stored with other
axes (flipped or in another order) as long as its voxels lie at the same places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import labels as regions
from ..canonical import canonical_grid, to_canonical
from ..errors import InputError
from ..geometry import Geometry, from_sitk
from ..io import has_unset_spacing, read_image
from ..segmentation import Segmentation
from .conventional import METHODS, ConventionalSettings
from .measure import Measurements, measure
from .remote import Sector

if TYPE_CHECKING:
    import SimpleITK as sitk

    from ..case import Case
    from .orientation import Landmarks

# Grids of the same image written by two programs differ by the rounding of their headers.
GRID_TOLERANCE_MM = 0.01
CONVENTIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "myops": regions.to_known_labels,
    "emidec": regions.from_emidec,
    "acdc": regions.from_acdc,
}


def measure_label_map(
    case: Case,
    path: Path,
    *,
    methods: Sequence[str] = (),
    convention: str = "myops",
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
        methods: names out of `conventional.METHODS`; none, or "all", means all of them.
        convention: "myops", "emidec" or "acdc".
        remote_mask: file of a drawn remote region.
        remote_sector: middle and width of a remote sector in degrees, see `Sector`.
        hyperenhanced: file of the Amado rule's drawn region.
        manual_threshold: a reader's own threshold in the units of the image.
        all_slices: per-slice variants judge every slice with myocardium.
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
        methods=METHODS if not methods or "all" in methods else tuple(dict.fromkeys(methods)),
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


def read_label_map(path: str | Path, case: Case, convention: str = "myops") -> Segmentation:
    """Read a label map drawn on a case's reference image.

    Scar is assessed where there is an LGE or labeled scar, edema where there is a T2 or labeled
    edema. There are no probabilities and no uncertainty.

    Args:
        path: label file of any format that images have.
        case: the images.
        convention: "myops", "emidec" or "acdc".

    Raises:
        InputError: an unreadable file, unknown labels, or another grid than the reference's.
    """
    path = Path(path)
    if convention not in CONVENTIONS:
        raise InputError(
            f"expected a convention out of {', '.join(CONVENTIONS)}, found {convention!r}; "
            "correct the name"
        )
    array = _array_on_grid(path, case)
    try:
        labels = CONVENTIONS[convention](array)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error
    imaged = {"scar": "lge" in case.images, "edema": "t2" in case.images}
    return Segmentation(
        labels=labels,
        geometry=case.geometry,
        probabilities={},
        uncertainty=np.zeros(labels.shape, np.float32),
        assessed=judged(frozenset(name for name, seen in imaged.items() if seen), labels),
        model={},
        seconds={},
    )


def judged(assessed: frozenset[str], labels: np.ndarray) -> frozenset[str]:
    """What the images allow to judge, and what is labeled: whoever labeled scar has judged it.

    Args:
        assessed: which of "scar", "edema" the images show.
        labels: uint16 (z, y, x), MyoPS values.
    """
    tissues = {"scar": regions.scar, "edema": regions.edema}
    drawn = {n for n, region in tissues.items() if n not in assessed and region(labels).any()}
    return assessed | drawn


def read_mask(path: str | Path, case: Case) -> np.ndarray:
    """Read a mask drawn on a case's reference image: bool (z, y, x), True where not 0.

    Raises:
        InputError: an unreadable file, another grid, or an empty mask.
    """
    path = Path(path)
    mask = _array_on_grid(path, case) != 0
    if not mask.any():
        raise InputError(f"{path.name}: expected a mask with voxels, found none; draw it again")
    return mask


def _check_threshold(methods: Sequence[str], threshold: float | None) -> None:
    if "manual" in methods and threshold is None:
        raise InputError("expected a threshold for the manual method, found none; give it")
    if threshold is not None and not np.isfinite(threshold):
        raise InputError(f"expected a finite manual threshold, found {threshold}; correct it")


def _array_on_grid(path: Path, case: Case) -> np.ndarray:
    """The file's voxels (z, y, x) in the order of the case's grid."""
    import SimpleITK as sitk

    image = read_image(path)
    found, array = from_sitk(image), sitk.GetArrayFromImage(image)
    own = canonical_grid(found)
    if own.canonical_geometry.is_same_grid(case.geometry, GRID_TOLERANCE_MM):
        return to_canonical(array, own)
    if _lost_its_header(image, found, case):
        return to_canonical(array, case.original)
    expected = case.original.geometry
    raise InputError(
        f"{path.name}: expected labels on the grid of the {case.reference} image "
        f"({_words(expected)}), found {_words(found)}; resample them to that image without "
        "interpolation, or draw them on it"
    )


def _lost_its_header(image: sitk.Image, found: Geometry, case: Case) -> bool:
    """True for a label map without any geometry beside an image of the same size."""
    return has_unset_spacing(image) and found.size_xyz == case.original.geometry.size_xyz


def _words(grid: Geometry) -> str:
    size = " x ".join(str(count) for count in grid.size_xyz)
    spacing = " x ".join(f"{value:.4g}" for value in grid.spacing_mm)
    origin = ", ".join(f"{value:.4g}" for value in grid.origin_mm)
    return f"{size} voxels of {spacing} mm from ({origin})"

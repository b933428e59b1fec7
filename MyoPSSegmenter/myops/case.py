"""One patient: up to three sequences on one grid, and the way back to the original grid."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .canonical import OriginalGrid, canonical_grid, from_canonical, to_canonical
from .errors import InputError
from .geometry import Geometry, from_sitk, to_sitk
from .io import SUFFIXES, check_grid, has_unset_spacing, read_image
from .labels import ALIASES, MYOPS
from .resampling import resample

if TYPE_CHECKING:
    import SimpleITK as sitk

SEQUENCES = ("bssfp", "lge", "t2")
# MyoPS 2020 writes C0 for bSSFP and DE for LGE; the rest are names in common use.
NAME_PARTS = {
    "bssfp": ("c0", "bssfp", "ssfp", "cine"),
    "lge": ("de", "lge", "psir"),
    "t2": ("t2", "t2w", "stir"),
}
LABEL_PARTS = {"gd", "gt", "seg", "label", "labels", "mask", "manual", "segmentation"}
# Beyond half, what is left of a volume is no longer an image of the heart.
MAX_NONFINITE_SHARE = 0.5
# An image of tissue has hundreds of gray levels, a label map a handful.
MAX_LABEL_VALUES = 8
MIN_OVERLAP_SHARE = 0.02
FULL_OVERLAP_SHARE = 0.95


@dataclass(frozen=True)
class Case:
    """The sequences of one patient on the canonical grid of the reference sequence.

    Attributes:
        name: the patient or study, for reports.
        images: sequence name to float32 (z, y, x), raw intensities; present sequences only.
        geometry: the canonical grid, which all images share.
        reference: the sequence that gives the grid, "lge" or "bssfp".
        original: the reference's grid in its file, and how the canonical one follows from it.
        warnings: one sentence each, for the user.
        covered: sequence name to bool (z, y, x), True inside its field of view.
        own_grids: sequence name to its grid as found in its file.
        spacing_known: False when the header holds no spacing: volumes and masses are then unknown.
    """

    name: str
    images: Mapping[str, np.ndarray]
    geometry: Geometry
    reference: str
    original: OriginalGrid
    warnings: tuple[str, ...] = ()
    covered: Mapping[str, np.ndarray] = field(default_factory=dict)
    own_grids: Mapping[str, Geometry] = field(default_factory=dict)
    spacing_known: bool = True

    @property
    def sequences(self) -> tuple[str, ...]:
        """The present sequences in the order bssfp, lge, t2."""
        return tuple(name for name in SEQUENCES if name in self.images)


def load_case(
    lge: str | Path | None = None,
    bssfp: str | Path | None = None,
    t2: str | Path | None = None,
    name: str | None = None,
    frame: int | None = None,
    spacing_mm: tuple[float, float, float] | None = None,
) -> Case:
    """Read a patient's sequences from files.

    Args:
        lge: late gadolinium enhancement; gives the grid when it is there.
        bssfp: balanced SSFP (cine); gives the grid when there is no LGE.
        t2: T2-weighted; only together with another sequence.
        name: the patient; the reference's file name if None.
        frame: frame of a 4D cine, counted from 0.
        spacing_mm: true spacing (x, y, z) where the reference's header holds none or a wrong one.

    Raises:
        InputError: see `read_image` and `case_from_images`.
    """
    paths = {"bssfp": bssfp, "lge": lge, "t2": t2}
    given = {key: Path(path) for key, path in paths.items() if path is not None}
    reference = _reference(given)
    images = {key: read_image(path, frame) for key, path in given.items()}
    return case_from_images(images, name or _stem(given[reference]), spacing_mm)


def load_case_folder(
    folder: str | Path,
    name: str | None = None,
    frame: int | None = None,
    spacing_mm: tuple[float, float, float] | None = None,
) -> Case:
    """Read the sequences in a folder, told apart by their file names (`*_C0`, `*_DE`, `*_T2`…).

    Raises:
        InputError: no folder, no known names, two files of one sequence, or see `load_case`.
    """
    folder = Path(folder)
    found = find_sequences(folder)
    paths = {key: paths[0] for key, paths in found.items()}
    return load_case(
        paths.get("lge"),
        paths.get("bssfp"),
        paths.get("t2"),
        name or folder.name,
        frame,
        spacing_mm,
    )


def find_sequences(folder: Path) -> dict[str, list[Path]]:
    """Map each sequence found in a folder to its one file.

    Raises:
        InputError: no folder, no file with a known name, or several files of one sequence.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of images, found none; check the path")
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        sequence = _sequence_of(path)
        if sequence is not None:
            found.setdefault(sequence, []).append(path)
    if not found:
        raise InputError(
            f"{folder}: expected images named *_C0, *_DE or *_LGE, *_T2 ({', '.join(SUFFIXES)}), "
            "found none; rename them or name each file with --lge, --bssfp, --t2"
        )
    for sequence, paths in found.items():
        if len(paths) > 1:
            names = ", ".join(path.name for path in paths)
            raise InputError(
                f"{folder}: expected one {sequence} image, found {names}; "
                f"name the right one with --{sequence}"
            )
    return found


def case_from_images(
    images: Mapping[str, sitk.Image],
    name: str = "case",
    spacing_mm: tuple[float, float, float] | None = None,
) -> Case:
    """Put sequences held in memory on one grid, with the same checks as for files.

    Args:
        images: sequence name ("bssfp", "lge", "t2") to a scalar 3D image.
        name: the patient.
        spacing_mm: true spacing (x, y, z) of the reference, and of each image on its grid.

    Raises:
        InputError: neither LGE nor bSSFP, an unknown sequence, an unusable grid, a constant image,
            a label map, mostly non-finite voxels, or sequences that do not meet in space.
    """
    reference = _reference(images)
    for sequence, image in images.items():
        check_grid(image, sequence)
    if spacing_mm is not None:
        images = _with_spacing(images, reference, spacing_mm)
    grids = {key: from_sitk(images[key]) for key in SEQUENCES if key in images}
    warnings = _grid_warnings(images, reference, spacing_mm is not None)
    original = canonical_grid(grids[reference])
    geometry = original.canonical_geometry
    on_grid: dict[str, np.ndarray] = {}
    covered: dict[str, np.ndarray] = {}
    for sequence, grid in grids.items():
        pixels, found = _pixels(images[sequence], sequence)
        own = canonical_grid(grid)
        on_grid[sequence], covered[sequence] = resample(
            to_canonical(pixels, own), own.canonical_geometry, geometry
        )
        warnings += found + _overlap_warnings(sequence, reference, covered[sequence])
    known = spacing_mm is not None or not has_unset_spacing(images[reference])
    return Case(
        name, on_grid, geometry, reference, original, tuple(warnings), covered, grids, known
    )


def restore(case: Case, array: np.ndarray) -> sitk.Image:
    """Put a result back on the reference's grid as it was in the file, voxel for voxel.

    Args:
        case: the case the result belongs to.
        array: (z, y, x) on the case's grid, any dtype; nothing is interpolated.

    Raises:
        ValueError: the array's shape is not the case's.
    """
    if array.shape != case.geometry.array_shape:
        raise ValueError(
            f"expected an array of {case.geometry.array_shape} (z, y, x), found {array.shape}"
        )
    return to_sitk(from_canonical(array, case.original), case.original.geometry)


def _reference(sequences: Mapping[str, object]) -> str:
    unknown = sorted(set(sequences) - set(SEQUENCES))
    if unknown:
        raise InputError(f"expected sequences out of {SEQUENCES}, found {unknown}; rename them")
    for sequence in ("lge", "bssfp"):
        if sequence in sequences:
            return sequence
    found = "T2 alone" if sequences else "no image"
    raise InputError(f"expected at least an LGE or a bSSFP image, found {found}; add one of them")


def _stem(path: Path) -> str:
    return re.sub(r"\.(nii|gz|nrrd|nhdr|mha|mhd)\b", "", path.name, flags=re.IGNORECASE)


def _sequence_of(path: Path) -> str | None:
    if not path.is_file() or not path.name.lower().endswith(SUFFIXES):
        return None
    parts = re.split(r"[^a-z0-9]+", _stem(path).lower())
    if path.name.startswith(".") or LABEL_PARTS & set(parts):
        return None
    # The sequence stands last in such names: "study_T2_patient_DE" is an LGE.
    for part in reversed(parts):
        for sequence, known in NAME_PARTS.items():
            if part in known:
                return sequence
    return None


def _with_spacing(
    images: Mapping[str, sitk.Image], reference: str, spacing_mm: tuple[float, float, float]
) -> dict[str, sitk.Image]:
    """Replace the spacing of the reference and of every image that shares its grid."""
    import SimpleITK as sitk

    if not all(np.isfinite(value) and value > 0 for value in spacing_mm):
        raise InputError(
            f"expected a spacing of three numbers above 0 mm, found {spacing_mm}; give x, y, z"
        )
    grid = from_sitk(images[reference])
    changed = dict(images)
    for sequence, image in images.items():
        if from_sitk(image).is_same_grid(grid):
            changed[sequence] = sitk.Image(image)
            changed[sequence].SetSpacing(spacing_mm)
    return changed


def _grid_warnings(
    images: Mapping[str, sitk.Image], reference: str, spacing_given: bool
) -> list[str]:
    warnings = []
    for sequence in (key for key in SEQUENCES if key in images):
        if has_unset_spacing(images[sequence]) and not (spacing_given and sequence == reference):
            warnings.append(
                f"{sequence}: the header holds no spacing (1 x 1 x 1 mm, origin 0): volumes and "
                "masses are refused unless the true spacing is given"
            )
        if 1 in images[sequence].GetSize():
            warnings.append(
                f"{sequence}: a single slice: volumes and masses are those of this slice alone"
            )
    return warnings


def _pixels(image: sitk.Image, sequence: str) -> tuple[np.ndarray, list[str]]:
    """Float32 (z, y, x) without non-finite voxels, and warnings; refuses what is no MR image."""
    import SimpleITK as sitk

    pixels = sitk.GetArrayFromImage(image).astype(np.float32)
    warnings: list[str] = []
    finite = np.isfinite(pixels)
    share = 1.0 - np.count_nonzero(finite) / pixels.size
    if share > MAX_NONFINITE_SHARE:
        raise InputError(
            f"{sequence}: expected finite intensities, found {share:.0%} NaN or infinite voxels; "
            "export the image again"
        )
    if share > 0:
        low, high = pixels[finite].min(), pixels[finite].max()
        pixels = np.nan_to_num(pixels, nan=low, posinf=high, neginf=low)
        count = pixels.size - np.count_nonzero(finite)
        warnings.append(f"{sequence}: {count} NaN or infinite voxels set to the image's limits")
    _refuse_flat_images(pixels, sequence)
    return pixels, warnings


def _refuse_flat_images(pixels: np.ndarray, sequence: str) -> None:
    """Refuse a constant image, and a label map given in place of an image."""
    # A sample settles it for nearly every image without sorting millions of voxels.
    if np.unique(pixels.ravel()[:: max(1, pixels.size // 4096)]).size > MAX_LABEL_VALUES:
        return
    values = np.unique(pixels)
    if values.size == 1:
        raise InputError(
            f"{sequence}: expected an image, found the same value {values[0]:g} in every voxel; "
            "check the export"
        )
    known = {0, 1, 2, 3, 4, *MYOPS.values(), *ALIASES}
    if values.size <= MAX_LABEL_VALUES or set(np.round(values).tolist()) <= known:
        listed = ", ".join(f"{value:g}" for value in values[:MAX_LABEL_VALUES])
        raise InputError(
            f"{sequence}: expected an image, found only the values {listed}: this looks like a "
            "label map; give the MR image itself"
        )


def _overlap_warnings(sequence: str, reference: str, covered: np.ndarray) -> list[str]:
    share = np.count_nonzero(covered) / covered.size
    if share < MIN_OVERLAP_SHARE:
        raise InputError(
            f"{sequence}: expected images of the same patient space, found {share:.1%} of the "
            f"{reference} grid inside the {sequence} field; check that both are from one study "
            "and that no header was lost"
        )
    empty = int(np.count_nonzero(~covered.any(axis=(1, 2))))
    if share >= FULL_OVERLAP_SHARE and not empty:
        return []
    slices = f", {empty} of {covered.shape[0]} slices not at all" if empty else ""
    return [
        f"{sequence}: covers {share:.0%} of the {reference} grid{slices}; outside it there is "
        "no information from this sequence"
    ]

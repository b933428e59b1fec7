"""One patient: up to three sequences on one grid, and the way back to the original grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .canonical import OriginalGrid, canonical_grid, from_canonical, to_canonical
from .errors import InputError
from .geometry import Geometry, from_sitk, to_sitk
from .io import check_grid, has_uneven_slices, has_unset_spacing, read_image
from .naming import find_sequences, stem
from .pixels import read_pixels
from .readable import readable
from .resampling import resample

if TYPE_CHECKING:
    import SimpleITK as sitk

SEQUENCES = ("bssfp", "lge", "t2")
# Name of a case that was given none.
UNNAMED = "case"
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", readable(self.name) or UNNAMED)

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
    return case_from_images(images, name or stem(given[reference]), spacing_mm)


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


def case_from_images(
    images: Mapping[str, sitk.Image],
    name: str = UNNAMED,
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
        pixels, found = read_pixels(images[sequence], sequence)
        own = canonical_grid(grid)
        stack = to_canonical(pixels, own)
        on_grid[sequence], covered[sequence] = resample(stack, own.canonical_geometry, geometry)
        found += _blank_slice_warnings(sequence, stack)
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
        if has_uneven_slices(images[sequence]):
            warnings.append(
                f"{sequence}: the slices are not evenly spaced: one is missing, twice there, or "
                "moved. Volumes and masses take the mean distance; check the series"
            )
        if 1 in images[sequence].GetSize():
            warnings.append(
                f"{sequence}: a single slice: volumes and masses are those of this slice alone"
            )
    return warnings


def _blank_slice_warnings(sequence: str, stack: np.ndarray) -> list[str]:
    """Name slices of one constant value between others: what exports leave for a missing slice."""
    held = np.flatnonzero(np.ptp(stack, axis=(1, 2)) > 0)
    blank = sorted(set(range(held[0], held[-1])) - set(held.tolist())) if held.size else []
    if not blank:
        return []
    numbers = ", ".join(str(index + 1) for index in blank)
    return [
        f"{sequence}: no signal in slice {numbers} between slices with signal: a slice is missing "
        "there, and nothing of it is in any volume or mass"
    ]


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

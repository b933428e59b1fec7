"""One patient: the sequences on one grid, and the way back to the original grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from myops.errors import InputError
from myops.geometry.canonical import (
    OriginalGrid,
    canonical_grid,
    check_stack_axis,
    from_canonical,
    to_canonical,
)
from myops.geometry.grid import Geometry, from_sitk, to_sitk
from myops.geometry.resampling import resample
from myops.io.checksum import array_sha256
from myops.io.file_names import find_sequences, stem
from myops.io.geometry_notes import (
    add_notes,
    differ,
    geometry_notes,
    listed,
    stored_notes,
    without_notes,
)
from myops.io.images import check_grid, read_image
from myops.io.pixels import read_pixels
from myops.io.readable import readable
from myops.sequences import GRID_SEQUENCES, GRID_WORDS, SEQUENCE_TITLES, SEQUENCES

if TYPE_CHECKING:
    import SimpleITK as sitk

    from myops.dicom.headers import Frame
    from myops.slice_registration import Registration

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
        reference: the sequence that gives the grid, one of `GRID_SEQUENCES`.
        original: the reference's grid in its file, and how the canonical one follows from it.
        warnings: one sentence each, for the user.
        covered: sequence name to bool (z, y, x), True inside its field of view.
        own_grids: sequence name to its grid as found in its file.
        spacing_reason: why the spacing is not known, so that no volume, mass or length is given;
            "" where it is known.
        placed: False where no header says where the images lie in the patient.
        registrations: what was done to lay sequences on the reference, where that was asked for.
        source_frames: sequence name to the DICOM picture of each slice, in the slices' order in its
            own grid; only images that were read from DICOM, see `output.dicom`.
    """

    name: str
    images: Mapping[str, np.ndarray]
    geometry: Geometry
    reference: str
    original: OriginalGrid
    warnings: tuple[str, ...] = ()
    covered: Mapping[str, np.ndarray] = field(default_factory=dict)
    own_grids: Mapping[str, Geometry] = field(default_factory=dict)
    spacing_reason: str = ""
    placed: bool = True
    registrations: tuple[Registration, ...] = ()
    source_frames: Mapping[str, tuple[Frame, ...]] = field(default_factory=dict)

    def covered_by(self, sequence: str) -> np.ndarray:
        """Bool (z, y, x), True inside a sequence's field of view; everywhere if none is known."""
        known = self.covered.get(sequence)
        return np.ones(self.geometry.array_shape, bool) if known is None else known

    @property
    def spacing_known(self) -> bool:
        """Whether volumes, masses and lengths can be computed."""
        return not self.spacing_reason

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", readable(self.name) or UNNAMED)

    @property
    def sequences(self) -> tuple[str, ...]:
        """The present sequences in the order of the table: bssfp, lge, t2."""
        return tuple(name for name in SEQUENCES if name in self.images)


def load_case(
    images: Mapping[str, str | Path | None] | None = None,
    *,
    name: str | None = None,
    frame: int | None = None,
    spacing_mm: tuple[float, float, float] | None = None,
    **named: str | Path | None,
) -> Case:
    """Read a patient's sequences from files: `load_case(lge="p_DE.nii.gz", t2="p_T2.nii.gz")`.

    The LGE gives the grid when it is there, else the bSSFP; other sequences only come together with
    one of them.

    Args:
        images: sequence name, out of `sequences.SEQUENCES`, to its file; None = not there.
        name: the patient; the reference's file name if None.
        frame: frame of a 4D cine, counted from 0.
        spacing_mm: true spacing (x, y, z) where the reference's header holds none or a wrong one.
        **named: the same as `images`, each sequence by its name: `lge`, `bssfp`, `t2`.

    Raises:
        InputError: see `read_image` and `case_from_images`.
    """
    paths = {**(images or {}), **named}
    given = {key: Path(path) for key, path in paths.items() if path is not None}
    reference = reference_of(given)
    read = {key: read_image(path, frame) for key, path in given.items()}
    if spacing_mm is None:
        refuse_conflict(read[reference], given[reference].name)
    return case_from_images(read, name or stem(given[reference]), spacing_mm)


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
    return load_case(paths, name=name or folder.name, frame=frame, spacing_mm=spacing_mm)


def case_from_images(
    images: Mapping[str, sitk.Image],
    name: str = UNNAMED,
    spacing_mm: tuple[float, float, float] | None = None,
) -> Case:
    """Put sequences held in memory on one grid, with the same checks as for files.

    Args:
        images: sequence name, out of `sequences.SEQUENCES`, to a scalar 3D image.
        name: the patient.
        spacing_mm: true spacing (x, y, z) of the reference, and of each image on its grid.

    Raises:
        InputError: neither LGE nor bSSFP, an unknown sequence, an unusable grid, a constant image,
            a label map, mostly non-finite voxels, or sequences that do not meet in space.
    """
    reference = reference_of(images)
    for sequence, image in images.items():
        check_grid(image, sequence)
    images, warnings = _on_known_places(images, reference)
    placed = not from_sitk(images[reference]).is_unset
    if spacing_mm is not None:
        images, told = _with_spacing(images, reference, spacing_mm)
        warnings += told
    grids = {key: from_sitk(images[key]) for key in SEQUENCES if key in images}
    for sequence, grid in grids.items():
        check_stack_axis(grid, sequence)
    warnings += _grid_warnings(images, reference)
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
    _refuse_one_image_twice(on_grid)
    reason = geometry_notes(images[reference]).unknown
    return Case(
        name,
        on_grid,
        geometry,
        reference,
        original,
        tuple(warnings),
        covered,
        grids,
        reason,
        placed,
    )


def images_sha256(case: Case) -> dict[str, str]:
    """Sequence name to the SHA-256 of its float32 voxels on the case's grid."""
    return {name: array_sha256(case.images[name]) for name in case.sequences}


def refuse_conflict(image: sitk.Image, name: str) -> None:
    """Refuse an image whose header states two spacings, before any number is made with one.

    Raises:
        InputError: naming both.
    """
    conflict = stored_notes(image).conflict
    if conflict:
        raise InputError(
            f"{name}: expected one spacing, found two: {conflict}; give the true one with "
            "--spacing X Y Z, or correct the header"
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


def reference_of(sequences: Mapping[str, object]) -> str:
    """The sequence that gives the grid: LGE, else bSSFP.

    Raises:
        InputError: neither of them, or an unknown sequence.
    """
    unknown = sorted(set(sequences) - set(SEQUENCES))
    if unknown:
        known = tuple(SEQUENCES)
        raise InputError(f"expected sequences out of {known}, found {unknown}; rename them")
    for sequence in GRID_SEQUENCES:
        if sequence in sequences:
            return sequence
    alone = " and ".join(SEQUENCE_TITLES[name] for name in SEQUENCES if name in sequences)
    found = f"{alone} alone" if sequences else "no image"
    raise InputError(f"expected at least {GRID_WORDS} image, found {found}; add one of them")


def _on_known_places(
    images: Mapping[str, sitk.Image], reference: str
) -> tuple[dict[str, sitk.Image], list[str]]:
    """Lay sequences of which one has lost its header on each other, where their sizes allow it.

    Raises:
        InputError: an image without any geometry that has another size than the reference, or the
            other way round: nothing tells where it lies.
    """
    lost = {key: from_sitk(image).is_unset for key, image in images.items()}
    placed, warnings = dict(images), []
    for key in (key for key in SEQUENCES if key in images and lost[key] != lost[reference]):
        empty = key if lost[key] else reference
        other = reference if lost[key] else key
        sizes = [images[one].GetSize() for one in (empty, other)]
        if sizes[0] != sizes[1]:
            raise InputError(
                f"{empty}: expected a header that places the image, found none (1 x 1 x 1 mm at "
                f"origin 0) and {_size(sizes[0])} voxels where {other} has {_size(sizes[1])}; "
                "export it again with its geometry, or leave it out"
            )
        # The warnings about the spacing of what is laid on another grid are no longer its own.
        placed[key] = _like(images[key], images[reference])
        warnings.append(
            f"{empty}: the header holds no geometry: taken to lie on {other} voxel by voxel, as "
            "it has the same size; check that it does"
        )
    return placed, warnings


def _like(image: sitk.Image, grid: sitk.Image) -> sitk.Image:
    """A copy of an image on the grid of another of its size, with that one's warnings."""
    copy = without_notes(image)
    copy.CopyInformation(grid)
    add_notes(copy, stored_notes(grid))
    return copy


def _size(size: tuple[int, ...]) -> str:
    return " x ".join(str(count) for count in size)


def _with_spacing(
    images: Mapping[str, sitk.Image], reference: str, spacing_mm: tuple[float, float, float]
) -> tuple[dict[str, sitk.Image], list[str]]:
    """Replace the spacing of the reference and of every image that shares its grid."""
    if not all(np.isfinite(value) and value > 0 for value in spacing_mm):
        raise InputError(
            f"expected a spacing of three numbers above 0 mm, found {spacing_mm}; give x, y, z"
        )
    grid = from_sitk(images[reference])
    known = not geometry_notes(images[reference]).unknown
    warnings = []
    if known and differ(spacing_mm, grid.spacing_mm):
        warnings.append(
            f"{reference}: the spacing given, {listed(spacing_mm)}, is used although the header "
            f"says {listed(grid.spacing_mm)}"
        )
    changed = dict(images)
    for sequence, image in images.items():
        if from_sitk(image).is_same_grid(grid):
            changed[sequence] = without_notes(image)
            changed[sequence].SetSpacing(spacing_mm)
    return changed, warnings


def _grid_warnings(images: Mapping[str, sitk.Image], reference: str) -> list[str]:
    warnings = []
    for sequence in (key for key in SEQUENCES if key in images):
        notes = geometry_notes(images[sequence])
        if notes.unknown and sequence == reference:
            warnings.append(
                f"{sequence}: {notes.unknown}: volumes and masses are refused unless the true "
                "spacing is given"
            )
        elif notes.unknown:
            warnings.append(
                f"{sequence}: {notes.unknown}: it may lie at another place than it should; masses "
                f"are those of the {reference} grid"
            )
        warnings += [f"{sequence}: {text}" for text in notes.warnings]
        if 1 in images[sequence].GetSize():
            warnings.append(
                f"{sequence}: a single slice: volumes and masses are those of this slice alone"
            )
    return warnings


def _refuse_one_image_twice(images: Mapping[str, np.ndarray]) -> None:
    """Refuse two sequences with the same voxels: one file was named twice, or copied.

    Raises:
        InputError: naming both sequences.
    """
    for first, second in combinations(images, 2):
        if np.array_equal(images[first], images[second]):
            raise InputError(
                f"expected different images as {first} and {second}, found the same image twice; "
                "name the right file of each, or leave one out"
            )


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

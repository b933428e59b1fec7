"""Labeled hearts of public data sets and of the phantom, for measuring; read one at a time.

Known by their file names, in the folder that is named or up to two folders below it:

- MyoPS 2020 and `myops phantom`: `*_gd` beside `*_C0`, `*_DE` or `*_LGE`, `*_T2`, or in a folder
  beside theirs, as the challenge hands them out (`train25/`, `train25_myops_gd/`)
- EMIDEC (Lalande et al. 2020): `*_LGE` beside `*_gt`
- ACDC (Bernard et al. 2018): `*_gt` beside the frame of the same name
- Sunnybrook (Radau et al. 2009): `dicom/` beside `contours/`, the end-diastolic phase
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from myops import labels as regions
from myops.errors import InputError
from myops.geometry.canonical import canonical_grid, to_canonical
from myops.geometry.grid import from_sitk
from myops.label_maps import LabelFile, anatomy_warnings, on_grid, read_label_file, read_mask_file
from myops.labels import DEFAULT_CONVENTION, MVO, MYOPS, check_convention
from myops.sequences import GRID_SEQUENCES, SEQUENCES
from myops.structures import ASSESSABLE

if TYPE_CHECKING:
    import SimpleITK as sitk

    from myops.case import Case

SUFFIX = ".nii.gz"
# How many folders below the named one are looked into.
DEPTHS = ("", "*/", "*/*/")
# Sunnybrook's cine has 20 phases; the phase (from 0) that has both contours is end-diastole.
PHASES, END_DIASTOLE = 20, 18
HEART = frozenset({"myocardium", "blood_pool"})


@dataclass(frozen=True)
class LabeledCase:
    """One heart and the truth about it.

    Attributes:
        dataset: "myops", "emidec", "acdc", "sunnybrook" or "phantom".
        name: of the patient, unique within its data set.
        images: sequence name to its image, ready for `case_from_images`.
        labels: uint16 MyoPS values (z, y, x) on the grid of `reference_image`, as in the file.
        labeled: bool (z,), slices that the expert has drawn; only they can be compared.
        structures: what the labels tell apart, names of `refine.prompts.STRUCTURES`.
        warnings: about where the labels lie, a sentence each.
    """

    dataset: str
    name: str
    images: Mapping[str, sitk.Image]
    labels: np.ndarray
    labeled: np.ndarray
    structures: frozenset[str]
    warnings: tuple[str, ...] = ()

    @property
    def sequence(self) -> str:
        """The sequence whose grid the labels share: LGE where there is one, as in `Case`."""
        return next(name for name in GRID_SEQUENCES if name in self.images)

    @property
    def reference_image(self) -> sitk.Image:
        """The image that the labels lie on."""
        return self.images[self.sequence]

    @cached_property
    def image_checksums(self) -> frozenset[str]:
        """What these images are, whatever they are called (`learned.image_checksums`)."""
        from myops.weights.learned import image_checksums

        return image_checksums(self.images)

    def to_case(self) -> Case:
        """The images on one grid.

        Raises:
            InputError: see `case_from_images`.
        """
        from myops.case import case_from_images

        case = case_from_images(self.images, self.name)
        return replace(case, warnings=(*self.warnings, *case.warnings))

    def truth_for(self, case: Case) -> tuple[np.ndarray, np.ndarray]:
        """The labels and the labeled slices (bool (z,)) on the grid of `to_case`'s result."""
        drawn = np.broadcast_to(self.labeled[:, None, None], self.labels.shape)
        in_slices = np.array([plane.any() for plane in to_canonical(drawn, case.original)])
        return to_canonical(self.labels, case.original), in_slices


CaseLoader = Callable[[], LabeledCase]


def find_cases(folder: Path, convention: str = "") -> Iterator[LabeledCase]:
    """All labeled hearts below a folder, one at a time; see `case_loaders`."""
    for read in case_loaders(folder, convention):
        yield read()


def case_loaders(folder: Path, convention: str = "") -> list[CaseLoader]:
    """Find the labeled hearts below a folder without reading them.

    Args:
        folder: of the hearts.
        convention: how the label files number the structures, out of `labels.CONVENTIONS`; "" = as
            the data set of their names does.

    Returns:
        One function per heart, which reads it; they can be sent to another process.

    Raises:
        InputError: no folder, an unknown convention, or nothing in it is known.
    """
    if convention:
        check_convention(convention)
    myops, emidec, acdc = (
        partial(read, convention=convention) if convention else read
        for read in (read_myops, read_emidec, read_acdc)
    )
    readers: list[CaseLoader] = [
        *(partial(myops, path) for path in _found(folder, f"*_gd{SUFFIX}", _has_images)),
        *(partial(emidec, path) for path in _found(folder, f"*_LGE{SUFFIX}", _has_emidec)),
        *(partial(acdc, path) for path in _found(folder, f"*_gt{SUFFIX}", _has_frame)),
        *(partial(read_sunnybrook, path.parent) for path in _found(folder, "dicom", _has_contours)),
    ]
    if not readers:
        raise InputError(
            f"{folder}: expected labeled hearts (MyoPS *_gd, EMIDEC *_LGE with *_gt, ACDC *_gt, "
            "Sunnybrook dicom/ with contours/), found none; check the folder"
        )
    return readers


def read_myops(path: Path, convention: str = DEFAULT_CONVENTION) -> LabeledCase:
    """A patient of MyoPS 2020 or of the phantom, by its `*_gd` file.

    The phantom's `*_mvo` mask, where it lies beside, marks microvascular obstruction.

    Raises:
        InputError: unreadable files, unknown labels, labels on another grid than the LGE, or of
            another convention.
    """
    name = _beside(path, "_gd", "").name.removesuffix(SUFFIX)
    images = {key: _read(file) for key, file in _myops_images(path).items()}
    found = _labeled("myops", name, images, path, convention, HEART.union(ASSESSABLE))
    obstruction = _beside(path, "_gd", "_mvo")
    if not obstruction.exists():
        return found
    inside = _on_image(read_mask_file(obstruction), found)[0] > 0
    labels = np.where(regions.scar(found.labels) & inside, MVO, found.labels).astype(np.uint16)
    return replace(found, labels=labels, structures=found.structures | {"mvo"})


def read_emidec(path: Path, convention: str = "emidec") -> LabeledCase:
    """An EMIDEC patient by its `*_LGE` file; raises InputError like `read_myops`."""
    truth, name = _beside(path, "_LGE", "_gt"), path.parent.name
    structures = HEART | {"scar", "mvo"}
    return _labeled("emidec", name, {"lge": _read(path)}, truth, convention, structures)


def read_acdc(path: Path, convention: str = "acdc") -> LabeledCase:
    """A frame of an ACDC patient by its `*_gt` file; raises InputError like `read_myops`."""
    frame = _beside(path, "_gt", "")
    name = frame.name.removesuffix(SUFFIX)
    return _labeled("acdc", name, {"bssfp": _read(frame)}, path, convention, HEART)


def read_sunnybrook(folder: Path) -> LabeledCase:
    """End-diastolic volume and labels from the manual contours (pixel coordinates as text)."""
    import SimpleITK as sitk

    count = len(list((folder / "dicom").glob("*.dcm")))
    numbers = range(END_DIASTOLE + 1, count + 1, PHASES)
    image = sitk.ReadImage([str(folder / "dicom" / f"{number}.dcm") for number in numbers])
    labels = np.zeros(image.GetSize()[::-1], np.uint16)
    labeled = np.zeros(len(labels), bool)
    for k, number in enumerate(numbers):
        outer, inner = (_contour(folder, number, kind) for kind in ("o", "i"))
        if outer.exists() and inner.exists():
            labels[k][_inside(outer, labels.shape[1:])] = MYOPS["normal_myocardium"]
            labels[k][_inside(inner, labels.shape[1:])] = MYOPS["blood_pool"]
            labeled[k] = True
    return LabeledCase("sunnybrook", f"{folder.name}_ED", {"bssfp": image}, labels, labeled, HEART)


def phantom_readers(first_seed: int, count: int) -> list[CaseLoader]:
    """One function per synthetic patient, as `case_loaders` gives for a folder."""
    return [partial(phantom_case, seed) for seed in range(first_seed, first_seed + count)]


def phantom_case(seed: int) -> LabeledCase:
    """A synthetic patient with all three sequences, written to files and read back."""
    import tempfile

    from myops.phantom.files import write_patient
    from myops.phantom.patient import PhantomConfig, generate_patient

    with tempfile.TemporaryDirectory() as folder:
        write_patient(generate_patient(seed, PhantomConfig(dropout=False)), Path(folder))
        (read,) = case_loaders(Path(folder))
        return replace(read(), dataset="phantom")


def _found(folder: Path, pattern: str, belongs: Callable[[Path], bool]) -> list[Path]:
    paths = {path for depth in DEPTHS for path in folder.glob(depth + pattern)}
    return sorted(path for path in paths if belongs(path))


def _has_images(path: Path) -> bool:
    return not _myops_images(path).keys().isdisjoint(GRID_SEQUENCES)


def _has_emidec(path: Path) -> bool:
    return _beside(path, "_LGE", "_gt").exists()


def _has_frame(path: Path) -> bool:
    return _beside(path, "_gt", "").exists()


def _has_contours(path: Path) -> bool:
    return (path.parent / "contours").is_dir()


def _beside(path: Path, old: str, new: str) -> Path:
    """The file of the same patient whose name ends in another way."""
    return path.with_name(path.name.removesuffix(old + SUFFIX) + new + SUFFIX)


def _myops_images(path: Path) -> dict[str, Path]:
    """Sequence to file of the patient of a `*_gd` file: beside it, else in a neighboring folder."""
    possible = [
        (sequence, _beside(path, "_gd", f"_{suffix}"))
        for sequence, row in SEQUENCES.items()
        for suffix in row.suffixes
    ]
    beside = {sequence: file for sequence, file in possible if file.exists()}
    if beside:
        return beside
    neighbors = [
        (sequence, list(path.parent.parent.glob(f"*/{glob.escape(file.name)}")))
        for sequence, file in possible
    ]
    # Two of one name would be two patients: neither is taken.
    return {sequence: files[0] for sequence, files in neighbors if len(files) == 1}


def _read(path: Path) -> sitk.Image:
    from myops.io.images import read_image

    return read_image(path)


def _labeled(
    dataset: str,
    name: str,
    images: Mapping[str, sitk.Image],
    truth: Path,
    convention: str,
    structures: frozenset[str],
) -> LabeledCase:
    """A heart whose label file covers all slices, brought to the image's places.

    Raises:
        InputError: see `read_myops`.
    """
    empty = np.zeros((1, 1, 1), np.uint16)
    case = LabeledCase(dataset, name, images, empty, np.ones(1, bool), structures)
    labels, warnings = _on_image(read_label_file(truth, convention), case)
    label_warnings = anatomy_warnings(_slices_first(labels, case), truth.name)
    if label_warnings:
        raise InputError(
            f"{dataset} {name}: expected labels whose blood pool lies inside the wall, found "
            f"another convention than {convention} ({label_warnings[0]}); name the right one"
        )
    drawn = np.ones(len(labels), bool)
    return replace(case, labels=labels, labeled=drawn, warnings=warnings)


def _on_image(found: LabelFile, case: LabeledCase) -> tuple[np.ndarray, tuple[str, ...]]:
    """A label file's voxels in the order of the image that they lie on, and warnings."""
    grid = from_sitk(case.reference_image)
    return on_grid(found, grid, not grid.is_unset, case.sequence)


def _slices_first(labels: np.ndarray, case: LabeledCase) -> np.ndarray:
    return to_canonical(labels, canonical_grid(from_sitk(case.reference_image)))


def _contour(folder: Path, number: int, kind: str) -> Path:
    name = f"IM-0001-{number:04d}-{kind}contour-manual.txt"
    return folder / "contours" / f"{kind}-contours" / name


def _inside(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Pixels whose centers lie inside a contour file's polygon."""
    from matplotlib.path import Path as Outline

    rows, columns = np.indices(shape)
    points = np.stack([columns.ravel(), rows.ravel()], axis=1)
    return Outline(np.loadtxt(path)).contains_points(points).reshape(shape)

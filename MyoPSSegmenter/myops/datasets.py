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
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from myops import labels as regions
from myops.errors import InputError
from myops.labels import MVO, MYOPS, from_acdc, from_emidec, to_known_labels

if TYPE_CHECKING:
    import SimpleITK as sitk

    from myops.case import Case

SUFFIX = ".nii.gz"
MYOPS_NAMES = {"bssfp": ("_C0",), "lge": ("_DE", "_LGE"), "t2": ("_T2",)}
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
    """

    dataset: str
    name: str
    images: Mapping[str, sitk.Image]
    labels: np.ndarray
    labeled: np.ndarray
    structures: frozenset[str]

    @property
    def sequence(self) -> str:
        """The sequence whose grid the labels share: LGE where there is one, as in `Case`."""
        return "lge" if "lge" in self.images else "bssfp"

    @property
    def reference_image(self) -> sitk.Image:
        """The image that the labels lie on."""
        return self.images[self.sequence]

    @cached_property
    def image_checksums(self) -> frozenset[str]:
        """What these images are, whatever they are called (`learned.image_checksums`)."""
        from myops.learned import image_checksums

        return image_checksums(self.images)

    def to_case(self) -> Case:
        """The images on one grid.

        Raises:
            InputError: see `case_from_images`.
        """
        from myops.case import case_from_images

        return case_from_images(self.images, self.name)

    def truth_for(self, case: Case) -> tuple[np.ndarray, np.ndarray]:
        """The labels and the labeled slices (bool (z,)) on the grid of `to_case`'s result."""
        from myops.canonical import to_canonical

        drawn = np.broadcast_to(self.labeled[:, None, None], self.labels.shape)
        in_slices = np.array([plane.any() for plane in to_canonical(drawn, case.original)])
        return to_canonical(self.labels, case.original), in_slices


CaseReader = Callable[[], LabeledCase]


def find_cases(folder: Path) -> Iterator[LabeledCase]:
    """All labeled hearts below a folder, one at a time; raises InputError like `case_readers`."""
    for read in case_readers(folder):
        yield read()


def case_readers(folder: Path) -> list[CaseReader]:
    """Find the labeled hearts below a folder without reading them.

    Returns:
        One function per heart, which reads it; they can be sent to another process.

    Raises:
        InputError: no folder, or nothing in it is known.
    """
    readers: list[CaseReader] = [
        *(partial(read_myops, path) for path in _found(folder, f"*_gd{SUFFIX}", _has_images)),
        *(partial(read_emidec, path) for path in _found(folder, f"*_LGE{SUFFIX}", _has_emidec)),
        *(partial(read_acdc, path) for path in _found(folder, f"*_gt{SUFFIX}", _has_frame)),
        *(partial(read_sunnybrook, path.parent) for path in _found(folder, "dicom", _has_contours)),
    ]
    if not readers:
        raise InputError(
            f"{folder}: expected labeled hearts (MyoPS *_gd, EMIDEC *_LGE with *_gt, ACDC *_gt, "
            "Sunnybrook dicom/ with contours/), found none; check the folder"
        )
    return readers


def read_myops(path: Path) -> LabeledCase:
    """A patient of MyoPS 2020 or of the phantom, by its `*_gd` file.

    The phantom's `*_mvo` mask, where it lies beside, marks microvascular obstruction.

    Raises:
        InputError: unreadable files, unknown labels, or labels on another grid than the LGE.
    """
    name = _beside(path, "_gd", "").name.removesuffix(SUFFIX)
    images = {key: _read(file) for key, file in _myops_images(path).items()}
    labels = to_known_labels(_array(path))
    structures = HEART | {"scar", "edema"}
    obstruction = _beside(path, "_gd", "_mvo")
    if obstruction.exists():
        labels = np.where(regions.scar(labels) & (_array(obstruction) > 0), MVO, labels)
        structures |= {"mvo"}
    return _all_slices("myops", name, images, labels, structures)


def read_emidec(path: Path) -> LabeledCase:
    """An EMIDEC patient by its `*_LGE` file; raises InputError like `read_myops`."""
    labels = from_emidec(_array(_beside(path, "_LGE", "_gt")))
    name = path.parent.name
    return _all_slices("emidec", name, {"lge": _read(path)}, labels, HEART | {"scar", "mvo"})


def read_acdc(path: Path) -> LabeledCase:
    """A frame of an ACDC patient by its `*_gt` file; raises InputError like `read_myops`."""
    frame = _beside(path, "_gt", "")
    name = frame.name.removesuffix(SUFFIX)
    return _all_slices("acdc", name, {"bssfp": _read(frame)}, from_acdc(_array(path)), HEART)


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


def phantom_readers(first_seed: int, count: int) -> list[CaseReader]:
    """One function per synthetic patient, as `case_readers` gives for a folder."""
    return [partial(phantom_case, seed) for seed in range(first_seed, first_seed + count)]


def phantom_case(seed: int) -> LabeledCase:
    """A synthetic patient with all three sequences, written to files and read back."""
    import tempfile
    from dataclasses import replace

    from myops.phantom.files import write_patient
    from myops.phantom.patient import PhantomConfig, generate_patient

    with tempfile.TemporaryDirectory() as folder:
        write_patient(generate_patient(seed, PhantomConfig(dropout=False)), Path(folder))
        (read,) = case_readers(Path(folder))
        return replace(read(), dataset="phantom")


def _found(folder: Path, pattern: str, belongs: Callable[[Path], bool]) -> list[Path]:
    paths = {path for depth in DEPTHS for path in folder.glob(depth + pattern)}
    return sorted(path for path in paths if belongs(path))


def _has_images(path: Path) -> bool:
    return bool({"lge", "bssfp"} & _myops_images(path).keys())


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
        (sequence, _beside(path, "_gd", name))
        for sequence, names in MYOPS_NAMES.items()
        for name in names
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
    from myops.io import read_image

    return read_image(path)


def _array(path: Path) -> np.ndarray:
    import SimpleITK as sitk

    return sitk.GetArrayFromImage(_read(path))


def _all_slices(
    dataset: str,
    name: str,
    images: Mapping[str, sitk.Image],
    labels: np.ndarray,
    structures: frozenset[str],
) -> LabeledCase:
    found = LabeledCase(dataset, name, images, labels, np.ones(len(labels), bool), structures)
    expected = found.reference_image.GetSize()[::-1]
    if labels.shape != expected:
        raise InputError(
            f"{dataset} {name}: expected labels of the image's shape {expected} (z, y, x), found "
            f"{labels.shape}; give labels drawn on the {found.sequence} image"
        )
    return found


def _contour(folder: Path, number: int, kind: str) -> Path:
    name = f"IM-0001-{number:04d}-{kind}contour-manual.txt"
    return folder / "contours" / f"{kind}-contours" / name


def _inside(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Pixels whose centers lie inside a contour file's polygon."""
    from matplotlib.path import Path as Outline

    rows, columns = np.indices(shape)
    points = np.stack([columns.ravel(), rows.ravel()], axis=1)
    return Outline(np.loadtxt(path)).contains_points(points).reshape(shape)

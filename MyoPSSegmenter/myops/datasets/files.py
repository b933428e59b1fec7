"""What data sets of NIfTI files have in common: names of files, and labels on their images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from myops.datasets.labeled_case import LabeledCase
from myops.errors import InputError
from myops.geometry.canonical import canonical_grid, to_canonical
from myops.geometry.grid import from_sitk
from myops.label_maps import LabelFile, anatomy_warnings, on_grid, read_label_file
from myops.labels import Convention
from myops.structures import ASSESSABLE, SHOWN_BY

if TYPE_CHECKING:
    import SimpleITK as sitk

SUFFIX = ".nii.gz"


def beside(path: Path, old: str, new: str) -> Path:
    """The file of the same patient whose name ends in another way."""
    return path.with_name(path.name.removesuffix(old + SUFFIX) + new + SUFFIX)


def read(path: Path) -> sitk.Image:
    """An image; SimpleITK is loaded only now."""
    from myops.io.images import read_image

    return read_image(path)


def labeled(
    dataset: str,
    name: str,
    images: Mapping[str, sitk.Image],
    truth: Path,
    convention: str | Convention,
    structures: frozenset[str],
) -> LabeledCase:
    """A heart whose label file covers all slices, brought to the image's places.

    Raises:
        InputError: unreadable or unknown labels, labels on another grid, or of another convention.
    """
    empty = np.zeros((1, 1, 1), np.uint16)
    case = LabeledCase(dataset, name, images, empty, np.ones(1, bool), structures)
    labels, warnings = on_image(read_label_file(truth, convention), case)
    label_warnings = anatomy_warnings(_slices_first(labels, case), truth.name)
    if label_warnings:
        raise InputError(
            f"{dataset} {name}: expected labels whose blood pool lies inside the wall, found "
            f"another convention than {_title(convention)} ({label_warnings[0]}); name the right "
            "one"
        )
    drawn = np.ones(len(labels), bool)
    return replace(case, labels=labels, labeled=drawn, warnings=warnings)


def without_disease(case: LabeledCase) -> LabeledCase:
    """The same case, noting which diseases its images show and its labels do not tell."""
    shown = (name for name in ASSESSABLE if SHOWN_BY[name] in case.images)
    return replace(case, untold=frozenset(shown) - case.structures)


def _title(convention: str | Convention) -> str:
    return convention if isinstance(convention, str) else convention.title


def on_image(found: LabelFile, case: LabeledCase) -> tuple[np.ndarray, tuple[str, ...]]:
    """A label file's voxels in the order of the image that they lie on, and warnings."""
    grid = from_sitk(case.reference_image)
    return on_grid(found, grid, not grid.is_unset, case.sequence)


def _slices_first(labels: np.ndarray, case: LabeledCase) -> np.ndarray:
    return to_canonical(labels, canonical_grid(from_sitk(case.reference_image)))

"""Sunnybrook (Radau et al. 2009): `dicom/` beside `contours/`, the end-diastolic phase."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from myops.datasets.labeled_case import HEART, LabeledCase
from myops.labels import MYOPS

PATTERN = "dicom"
# The cine has 20 phases; the phase (from 0) that has both contours is end-diastole.
PHASES, END_DIASTOLE = 20, 18


def is_labeled(path: Path) -> bool:
    """Whether a folder of DICOM files has contours."""
    return (path.parent / "contours").is_dir()


def read_sunnybrook(path: Path) -> LabeledCase:
    """End-diastolic volume and labels from the manual contours (pixel coordinates as text).

    Args:
        path: the folder `dicom`.
    """
    import SimpleITK as sitk

    folder = path.parent
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


def _contour(folder: Path, number: int, kind: str) -> Path:
    name = f"IM-0001-{number:04d}-{kind}contour-manual.txt"
    return folder / "contours" / f"{kind}-contours" / name


def _inside(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Pixels whose centers lie inside a contour file's polygon."""
    from matplotlib.path import Path as Outline

    rows, columns = np.indices(shape)
    points = np.stack([columns.ravel(), rows.ravel()], axis=1)
    return Outline(np.loadtxt(path)).contains_points(points).reshape(shape)

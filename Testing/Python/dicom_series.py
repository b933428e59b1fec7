"""DICOM files as scanners write them, made with SimpleITK."""

from __future__ import annotations

import locale
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk

STUDY = "1.2.826.0.1.3680043.2.1125.7"
SPACING_MM = (1.5, 1.25)
GAP_MM = 8.0
# Columns: along the rows, along the columns, through the stack.
OBLIQUE = np.array([[0.8, -0.36, 0.48], [0.6, 0.48, -0.64], [0.0, 0.8, 0.6]])
ORIGIN_MM = np.array([-30.0, 20.0, 45.0])


def write_series(
    folder: Path,
    description: str,
    array: np.ndarray | None = None,
    number: int = 1,
    tags: Mapping[str, str] | None = None,
    first_place: int = 0,
    study: str = STUDY,
    series: str | None = None,
) -> np.ndarray:
    """Write a stack (z, y, x) or a cine (t, z, y, x), one file a picture, in shuffled order.

    Returns:
        What was written, int16.
    """
    if array is None:
        array = np.random.default_rng(number).integers(0, 900, (5, 12, 10))
    array = array.astype(np.int16)
    cine = array if array.ndim == 4 else array[None]
    folder.mkdir(parents=True, exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    places = [(t, z) for t in range(cine.shape[0]) for z in range(cine.shape[1])]
    names = np.random.default_rng(7).permutation(len(places))
    for instance, ((t, z), name) in enumerate(zip(places, names, strict=True), start=1):
        picture = sitk.JoinSeries(sitk.GetImageFromArray(cine[t, z]))
        picture.SetSpacing((*SPACING_MM, GAP_MM))
        position = ORIGIN_MM + GAP_MM * (z + first_place) * OBLIQUE[:, 2]
        values = {
            "0008|0060": "MR",
            "0008|103e": description,
            "0020|000d": study,
            "0020|000e": series or f"{study}.{number}",
            "0020|0011": str(number),
            "0020|0013": str(instance),
            "0020|0032": "\\".join(f"{v:.6f}" for v in position),
            "0020|0037": "\\".join(f"{v:.6f}" for v in [*OBLIQUE[:, 0], *OBLIQUE[:, 1]]),
            "0018|1060": f"{30 * t + 10}",
            "0008|0008": "ORIGINAL\\PRIMARY\\M",
            "0010|0010": "Doe^Jane",
            "0010|0020": "4711",
            **(tags or {}),
        }
        for tag, value in values.items():
            picture.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{number:02d}_{name:04d}.dcm"))
        _execute(writer, picture)
    return array


def write_movie(path: Path, array: np.ndarray, tags: Mapping[str, str], place: int = 0) -> None:
    """Write one multi-frame file from an array (frames, y, x)."""
    image = sitk.GetImageFromArray(array.astype(np.int16))
    image.SetSpacing((*SPACING_MM, GAP_MM))
    image.SetOrigin((ORIGIN_MM + GAP_MM * place * OBLIQUE[:, 2]).tolist())
    image.SetDirection(OBLIQUE.ravel().tolist())
    for tag, value in {"0008|0060": "MR", "0020|000d": STUDY, **tags}.items():
        image.SetMetaData(tag, value)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetFileName(str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    _execute(writer, image)


def _execute(writer: sitk.ImageFileWriter, image: sitk.Image) -> None:
    """Write a file; GDCM's writer leaves the process in the C locale, and all tests after it."""
    before = locale.setlocale(locale.LC_ALL)
    writer.Execute(image)
    locale.setlocale(locale.LC_ALL, before)

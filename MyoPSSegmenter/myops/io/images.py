"""Reading images: every check of a header before voxels are read, each format by its best reader.

One place decides where an image lies: `nifti.py` for NIfTI, `text_headers.py` for what ITK's
readers of NRRD and MetaImage leave out, `myops.dicom` for DICOM. Doubts travel with the image
(`geometry_notes`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from myops.errors import InputError
from myops.io import text_headers
from myops.io.checks import (
    SUFFIXES,
    check_pixel_kind,
    check_right_angles,
    check_size,
    check_spacing,
    chosen_frame,
    sheared,
    truncated,
)
from myops.io.nifti import is_nifti, read_nifti

if TYPE_CHECKING:
    import SimpleITK as sitk


def read_image(path: str | Path, frame: int | None = None) -> sitk.Image:
    """Read a 3D volume, or one frame of a 4D file, after its header has passed every check.

    Args:
        path: NIfTI, NRRD, MetaImage or DICOM file (or anything else that SimpleITK reads).
        frame: frame of a 4D (cine) file, counted from 0; ignored for 3D files.

    Returns:
        A scalar 3D SimpleITK image; see `geometry_notes` for what is doubtful about its geometry.

    Raises:
        InputError: missing, empty, damaged or foreign file, not 3D, color or complex pixels, too
            many voxels, no usable spacing, or a 4D file without a valid frame.
    """
    path = Path(path)
    check_file(path)
    try:
        nifti = is_nifti(path)
    except OSError as error:
        raise truncated(path.name) from error
    if nifti:
        image = read_nifti(path, frame)
    elif _is_dicom(path):
        from myops.dicom.volume import read_file

        image = read_file(path, frame)
    else:
        image = _read_by_itk(path, frame)
    check_grid(image, path.name)
    return image


def check_grid(image: sitk.Image, name: str) -> None:
    """Refuse an image whose dimension, voxel count, spacing or directions cannot be used.

    Raises:
        InputError: naming `name`, with what was expected, found and what to do.
    """
    check_size(image.GetSize(), name)
    if len(image.GetSize()) != 3:
        raise InputError(f"{name}: expected a 3D volume, found 4D; extract one frame first")
    check_pixel_kind(False, image.GetNumberOfComponentsPerPixel(), name)
    check_spacing(image.GetSpacing(), name)
    if not np.isfinite(image.GetOrigin()).all():
        raise InputError(
            f"{name}: expected a finite origin, found {image.GetOrigin()}; repair the header"
        )
    check_right_angles(np.array(image.GetDirection()).reshape(3, 3), name)


def check_file(path: Path) -> None:
    """Refuse what is not a readable file with something in it.

    Raises:
        InputError: a folder, nothing there, no permission, or an empty file.
    """
    formats = ", ".join(SUFFIXES)
    if path.is_dir():
        raise InputError(f"{path}: expected an image file ({formats}), found a folder; name a file")
    if not path.exists():
        raise InputError(f"{path}: expected an image file, found nothing there; check the path")
    try:
        size_bytes = path.stat().st_size
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError(
            f"{path}: expected a readable file, found {error.strerror}; check its permissions"
        ) from error
    if size_bytes == 0:
        raise InputError(
            f"{path}: expected an image ({formats}), found an empty file; copy or export it again"
        )


@contextmanager
def quiet_simpleitk() -> Iterator[None]:
    """Hold back ITK's warnings, such as "unexpected scales in sform": users cannot act on them."""
    import SimpleITK as sitk

    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)


def check_name_for_itk(path: Path) -> None:
    """Refuse a path that SimpleITK cannot take: it ends the process at bytes that are not UTF-8.

    Raises:
        InputError: with the name as far as it can be shown.
    """
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        shown = str(path).encode("utf-8", "backslashreplace").decode("utf-8")
        raise InputError(
            f"{shown}: expected a path in UTF-8, found bytes of another encoding; rename the file "
            "or folder"
        ) from None


def _is_dicom(path: Path) -> bool:
    from myops.dicom.headers import is_dicom

    return is_dicom(path)


def _read_by_itk(path: Path, frame: int | None) -> sitk.Image:
    check_name_for_itk(path)
    with quiet_simpleitk():
        reader = _read_header(path)
        size = reader.GetSize()
        check_pixel_kind(_is_complex(reader), reader.GetNumberOfComponents(), path.name)
        check_size(size, path.name)
        text_headers.check_length(path, math.prod(size) * _bytes_per_voxel(reader))
        if len(size) == 4:
            chosen = chosen_frame(size[3], frame, path.name)
            reader.SetExtractSize([*size[:3], 0])
            reader.SetExtractIndex([0, 0, 0, chosen])
        try:
            image = reader.Execute()
        except RuntimeError as error:
            raise _unreadable(path, error) from error
    text_headers.apply_statements(image, path)
    return image


def _read_header(path: Path) -> sitk.ImageFileReader:
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _unreadable(path, error) from error
    return reader


def _unreadable(path: Path, error: RuntimeError) -> InputError:
    """Say in one line why SimpleITK gave up."""
    text = str(error)
    if "spacing" in text.lower():
        return InputError(
            f"{path.name}: expected voxel spacing above 0 mm on every axis, found zero or no "
            "number; repair the header"
        )
    if "orthonormal" in text:
        return sheared(path.name, "sheared or empty matrix")
    if "Unable to determine ImageIO" in text:
        return InputError(
            f"{path.name}: expected an image ({', '.join(SUFFIXES)}, or DICOM), found no image "
            "format that can be read; convert it to NIfTI"
        )
    return truncated(path.name)


def _is_complex(reader: sitk.ImageFileReader) -> bool:
    import SimpleITK as sitk

    return reader.GetPixelID() in (sitk.sitkComplexFloat32, sitk.sitkComplexFloat64)


def _bytes_per_voxel(reader: sitk.ImageFileReader) -> int:
    import SimpleITK as sitk

    return int(sitk.Image([1, 1], reader.GetPixelID()).GetSizeOfPixelComponent())

"""Files in and out: every check of a header before voxels are read, and atomic writing."""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError
from .integrity import check_integrity, check_spacing, truncated

if TYPE_CHECKING:
    import SimpleITK as sitk

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
# A 3D LGE of 400x400x120 has 19 million voxels. With three sequences of that size `myops segment`
# takes 3.1 GB and `info` 0.8; at this limit they take 5.8 and 1.8 GB (Testing/measure_memory.py).
MAX_VOXELS = 50_000_000
# Columns of the direction matrix further from right angles than 1 degree are a sheared grid.
MAX_AXIS_COSINE = math.sin(math.radians(1.0))

# Where ITK's series reader notes that slices do not lie on an even grid.
ITK_UNEVEN_SLICES = "ITK_non_uniform_sampling_deviation"


def read_image(path: str | Path, frame: int | None = None) -> sitk.Image:
    """Read a 3D volume, or one frame of a 4D file, after its header has passed every check.

    Args:
        path: NIfTI, NRRD or MetaImage file (anything SimpleITK reads).
        frame: frame of a 4D (cine) file, counted from 0; ignored for 3D files.

    Returns:
        A scalar 3D SimpleITK image in the file's own pixel type.

    Raises:
        InputError: missing, empty, damaged or foreign file, not 3D, color or complex pixels, too
            many voxels, no usable spacing, or a 4D file without a valid frame.
    """
    path = Path(path)
    _check_file(path)
    with quiet_simpleitk():
        reader = _read_header(path)
        size = reader.GetSize()
        _check_pixels(reader, path.name)
        _check_size(size, path.name)
        check_integrity(path, math.prod(size) * _bytes_per_voxel(reader))
        if len(size) == 4:
            chosen = _chosen_frame(size[3], frame, path.name)
            reader.SetExtractSize([*size[:3], 0])
            reader.SetExtractIndex([0, 0, 0, chosen])
        try:
            image = reader.Execute()
        except RuntimeError as error:
            raise _unreadable(path, error) from error
    check_grid(image, path.name)
    return image


def check_grid(image: sitk.Image, name: str) -> None:
    """Refuse an image whose dimension, voxel count, spacing or directions cannot be used.

    Raises:
        InputError: naming `name`, with what was expected, found and what to do.
    """
    _check_size(image.GetSize(), name)
    if len(image.GetSize()) != 3:
        raise InputError(f"{name}: expected a 3D volume, found 4D; extract one frame first")
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise _not_scalar(name, image.GetNumberOfComponentsPerPixel())
    check_spacing(image.GetSpacing(), name)
    if not np.isfinite(image.GetOrigin()).all():
        raise InputError(
            f"{name}: expected a finite origin, found {image.GetOrigin()}; repair the header"
        )
    axes = np.array(image.GetDirection()).reshape(3, 3)
    if not np.isfinite(axes).all() or np.abs(axes.T @ axes - np.eye(3)).max() > MAX_AXIS_COSINE:
        raise InputError(
            f"{name}: expected axes at right angles, found a sheared direction matrix; "
            "resample the volume to an orthogonal grid"
        )


def has_unset_spacing(image: sitk.Image) -> bool:
    """True for 1x1x1 mm with a zero origin: what a writer leaves when it knew no geometry."""
    return bool(
        np.allclose(image.GetSpacing(), 1.0, atol=1e-6)
        and np.allclose(image.GetOrigin(), 0.0, atol=1e-6)
    )


def has_uneven_slices(image: sitk.Image) -> bool:
    """True where ITK noted that a DICOM series has no even slice distance.

    Formats that hold one spacing only cannot tell: there a missing slice leaves no trace in the
    header.
    """
    return bool(image.HasMetaDataKey(ITK_UNEVEN_SLICES))


def write_atomic(path: str | Path, writer: Callable[[Path], object]) -> Path:
    """Let `writer` write a file beside `path`, then move it there in one step.

    Args:
        path: the final file; its folder is made when it is missing.
        writer: called with a temporary path of the same suffix.

    Returns:
        The final path. Nothing of it exists when the writer fails or is interrupted.

    Raises:
        InputError: the place cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{os.getpid()}-{threading.get_ident()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # SimpleITK hides the reason of a failed write, the operating system names it.
        temporary.touch()
        mode = temporary.stat().st_mode
        writer(temporary)
        temporary.chmod(mode)  # some writers replace the file by one only its owner may read
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"expected a place to write, found that {path} cannot be written ({reason}); "
            "choose another output folder or free its disk and permissions"
        ) from error
    finally:
        _remove_quietly(temporary)
    return path


def write_image(image: sitk.Image, path: str | Path) -> Path:
    """Write a SimpleITK image, compressed, in one step; raises InputError like `write_atomic`."""
    import SimpleITK as sitk

    return write_atomic(path, lambda beside: sitk.WriteImage(image, str(beside), True))


def write_json(path: str | Path, values: Mapping[str, Any]) -> Path:
    """Write JSON in UTF-8, in one step; raises InputError like `write_atomic`.

    Raises:
        ValueError: a number that JSON does not know (NaN, infinity).
    """
    text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return write_atomic(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def set_aside(path: str | Path) -> Path:
    """Rename a damaged file to `<name>.damaged`, so that it is kept and no longer in the way.

    Returns:
        Its new path; with a number where earlier ones are kept. The path itself if it could not be
        renamed.
    """
    path = Path(path)
    name, number = f"{path.name}.damaged", 1
    while path.with_name(name).exists():
        number += 1
        name = f"{path.name}.damaged{number}"
    try:
        return path.rename(path.with_name(name))
    except OSError:
        return path


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


def _check_file(path: Path) -> None:
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
        return InputError(
            f"{path.name}: expected axes at right angles, found a sheared or empty sform matrix; "
            "repair the header or resample to an orthogonal grid"
        )
    if "Unable to determine ImageIO" in text:
        return InputError(
            f"{path.name}: expected an image ({', '.join(SUFFIXES)}), found no image format that "
            "can be read; convert it to NIfTI"
        )
    return truncated(path.name)


def _check_pixels(reader: sitk.ImageFileReader, name: str) -> None:
    import SimpleITK as sitk

    if reader.GetPixelID() in (sitk.sitkComplexFloat32, sitk.sitkComplexFloat64):
        raise InputError(
            f"{name}: expected one real intensity per voxel, found complex numbers; "
            "export the magnitude"
        )
    if reader.GetNumberOfComponents() != 1:
        raise _not_scalar(name, reader.GetNumberOfComponents())


def _bytes_per_voxel(reader: sitk.ImageFileReader) -> int:
    import SimpleITK as sitk

    return int(sitk.Image([1, 1], reader.GetPixelID()).GetSizeOfPixelComponent())


def _not_scalar(name: str, components: int) -> InputError:
    return InputError(
        f"{name}: expected one intensity per voxel, found {components} (color or vector); "
        "export the gray-scale image"
    )


def _check_size(size: tuple[int, ...], name: str) -> None:
    shape = "x".join(str(count) for count in size)
    if len(size) < 3:
        raise InputError(
            f"{name}: expected a 3D stack of slices, found a 2D image ({shape}); join the slices "
            "to one volume, or save the slice as a volume of one slice with its spacing"
        )
    if len(size) > 4:
        raise InputError(
            f"{name}: expected a 3D volume or 4D cine, found {len(size)} dimensions ({shape}); "
            "export one volume"
        )
    if math.prod(size[:3]) > MAX_VOXELS:
        raise InputError(
            f"{name}: expected at most {MAX_VOXELS / 1e6:.0f} million voxels, found {shape} = "
            f"{math.prod(size[:3]) / 1e6:.0f} million; crop it around the heart or resample it"
        )


def _chosen_frame(count: int, frame: int | None, name: str) -> int:
    if count == 1:
        return 0
    if frame is None:
        raise InputError(
            f"{name}: expected a 3D volume, found a 4D cine of {count} frames; "
            f"choose one with --frame 0 to {count - 1} (end-diastole is most often 0)"
        )
    if not 0 <= frame < count:
        raise InputError(
            f"{name}: expected a frame from 0 to {count - 1}, found {frame}; give another --frame"
        )
    return frame


def _remove_quietly(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        # The folder itself may be unwritable: then nothing was made in it.
        return

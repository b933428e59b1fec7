"""A DICOM series as one volume: slices by their places, each with its own scaling, one phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from myops.dicom.headers import Frame, is_dicom, quiet_pydicom
from myops.dicom.series import DicomSeries, find_series
from myops.dicom.stack import normal_of
from myops.errors import InputError
from myops.io.checks import check_right_angles, check_size, chosen_frame
from myops.io.geometry_notes import add_notes

if TYPE_CHECKING:
    import SimpleITK as sitk

# Dark is written as high numbers.
INVERTED = "MONOCHROME1"


def read_series(series: DicomSeries, phase: int = 0) -> sitk.Image:
    """Read a series.

    Args:
        series: from `find_series`.
        phase: of a cine, in the order of trigger times, from 0; 0 is end-diastole most often.

    Returns:
        A scalar 3D image in LPS, with the scanner's rescaled values, and `geometry_notes`.

    Raises:
        InputError: a file is missing or damaged, no slice has such a phase, or its slices make no
            volume (`DicomSeries.problem`).
    """
    import SimpleITK as sitk

    frames = frames_of_phase(series, phase)
    check_size((*frames[0].size[::-1], len(frames)), series.name)
    image = sitk.GetImageFromArray(_voxels(frames, series))
    _set_geometry(image, series)
    notes = series.sorted_frames.notes
    add_notes(image, replace(notes, warnings=notes.warnings + series.beside))
    return image


def frames_of_phase(series: DicomSeries, phase: int = 0) -> tuple[Frame, ...]:
    """The picture of each slice at a phase of a cine, in the order of `read_series`.

    Raises:
        InputError: the slices make no volume, or no slice has such a phase.
    """
    if series.problem:
        raise InputError(
            f"{series.name}: expected slices of one volume, found that {series.problem}; choose "
            "another series, or export it again"
        )
    if not 0 <= phase < series.phases:
        raise InputError(
            f"{series.name}: expected a phase from 0 to {series.phases - 1}, found {phase}; give "
            "another one"
        )
    return tuple(place[min(phase, len(place) - 1)] for place in series.stack)


def source_frames(source: Path | DicomSeries, phase: int | None = None) -> tuple[Frame, ...]:
    """The DICOM pictures that an image is read from; none of a file of another format.

    Args:
        source: an image file, or a series.
        phase: of a cine, from 0; the first if None.

    Raises:
        InputError: see `read_series` and `read_file`.
    """
    if isinstance(source, Path):
        if not is_dicom(source):
            return ()
        source = _only_series(source)
    return frames_of_phase(source, (phase or 0) if source.phases > 1 else 0)


def read_file(path: Path, frame: int | None = None) -> sitk.Image:
    """Read one DICOM file: a single slice, or the volume or cine of a multi-frame file.

    Args:
        path: of the file.
        frame: phase of a cine, from 0.

    Raises:
        InputError: no MR image, several stacks in one file, a cine without `frame`, or see
            `read_series`.
    """
    series = _only_series(path)
    return read_series(series, chosen_frame(series.phases, frame, path.name))


def _only_series(path: Path) -> DicomSeries:
    """The stack of a DICOM file.

    Raises:
        InputError: none, or several.
    """
    found = find_series([path])
    if len(found) != 1:
        listed = f"{len(found)} stacks" if found else "no MR image that can be read"
        raise InputError(
            f"{path.name}: expected a DICOM file with one MR volume, found {listed}; export the "
            "short-axis stack alone"
        )
    return found[0]


def _voxels(frames: Sequence[Frame], series: DicomSeries) -> np.ndarray:
    """The pictures (z, y, x), rescaled; integers where nothing is scaled."""
    wanted: dict[Path, list[int]] = {}
    for k, frame in enumerate(frames):
        wanted.setdefault(frame.path, []).append(k)
    planes: list[Any] = [None] * len(frames)
    with quiet_pydicom() as pydicom:
        for path, places in wanted.items():
            try:
                dataset = pydicom.dcmread(path, force=True)
                for k in places:
                    planes[k] = _plane(pydicom, dataset, frames[k])
            # Decoders raise whatever their libraries do; the file is what the user can change.
            except Exception as error:
                raise _undecodable(series, path, error) from error
    return np.stack(planes)


def _plane(pydicom: Any, dataset: Any, frame: Frame) -> np.ndarray:
    from pydicom.pixels import pixel_array

    several = int(dataset.get("NumberOfFrames") or 1) > 1
    plane = pixel_array(dataset, index=frame.index if several else None)
    if plane.shape != frame.size:
        raise InputError(f"expected {frame.size} gray pixels, found {plane.shape}")
    if dataset.PhotometricInterpretation == INVERTED:
        signed = int(dataset.get("PixelRepresentation") or 0)
        plane = (-1 if signed else 2 ** int(dataset.BitsStored) - 1) - plane.astype(np.int32)
    if frame.slope == 1.0 and frame.intercept == 0.0:
        return np.asarray(plane)
    return (plane * frame.slope + frame.intercept).astype(np.float32)


def _undecodable(series: DicomSeries, path: Path, error: Exception) -> InputError:
    """Say which file it is, and whether a decoder is missing."""
    text = " ".join(str(error).split())
    if "missing dependencies" in text or "plugin" in text:
        return InputError(
            f"{series.name}: expected pixels that can be decoded, found a compression without a "
            "decoder here; run: pip install python-gdcm"
        )
    return InputError(
        f"{series.name}: expected {len(series.files)} DICOM files, found one that is missing or "
        f"damaged ({path.name}); copy or export the series again"
    )


def _set_geometry(image: sitk.Image, series: DicomSeries) -> None:
    """Spacing, place and directions of the stack; the identity where nothing is stated."""
    first = series.stack[0][0]
    row_mm, column_mm = first.pixel_mm or (1.0, 1.0)
    image.SetSpacing((column_mm, row_mm, series.sorted_frames.distance_mm or 1.0))
    normal = normal_of(first)
    if normal is None or first.orientation is None:
        return
    axes = np.array([first.orientation[:3], first.orientation[3:], normal])
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    check_right_angles(axes.T, series.name, "image orientation")
    image.SetDirection(axes.T.ravel().tolist())
    if first.position_mm is not None:
        image.SetOrigin(first.position_mm)

"""A DICOM series as one volume: the slices in order, one phase of a cine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..io import check_grid, quiet_simpleitk
from .dicom import DicomSeries

if TYPE_CHECKING:
    import SimpleITK as sitk


def read_series(series: DicomSeries, phase: int = 0) -> sitk.Image:
    """Read a series.

    Args:
        series: from `find_series`.
        phase: of a cine, in the order of trigger times, from 0; 0 is end-diastole most often.

    Returns:
        A scalar 3D image in LPS, with the scanner's rescaled values.

    Raises:
        InputError: a file is missing or damaged, or no slice has such a phase.
    """
    import SimpleITK as sitk

    with quiet_simpleitk():
        try:
            image = _volume(series, phase)
        except RuntimeError:
            raise InputError(
                f"{series.name}: expected {len(series.files)} DICOM files, found one that is "
                "missing or damaged; copy or export the series again"
            ) from None
    if image.GetNumberOfComponentsPerPixel() == 1 and image.GetPixelID() == sitk.sitkFloat64:
        image = sitk.Cast(image, sitk.sitkFloat32)  # what a rescale slope makes of short integers
    check_grid(image, series.name)
    return image


def _volume(series: DicomSeries, phase: int) -> sitk.Image:
    import SimpleITK as sitk

    if series.holds_volume:
        return sitk.ReadImage(str(series.files[0]), imageIO="GDCMImageIO")
    if not 0 <= phase < series.phases:
        raise InputError(
            f"{series.name}: expected a phase from 0 to {series.phases - 1}, found {phase}"
        )
    if any(part.frames > 1 for part in series.slices):
        return _joined_frames(series, phase)
    reader = sitk.ImageSeriesReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileNames([str(place[min(phase, len(place) - 1)].path) for place in series.stack])
    return reader.Execute()


def _joined_frames(series: DicomSeries, phase: int) -> sitk.Image:
    """One frame of each multi-frame file, each file being a slice over time."""
    import SimpleITK as sitk

    first: Any = None
    planes = []
    for place in series.stack:
        movie = sitk.ReadImage(str(place[0].path), imageIO="GDCMImageIO")
        first = movie if first is None else first
        planes.append(sitk.GetArrayFromImage(movie)[min(phase, movie.GetSize()[2] - 1)].copy())
    stack = sitk.GetImageFromArray(np.stack(planes))
    stack.SetOrigin(first.GetOrigin())
    stack.SetDirection(first.GetDirection())
    places_mm = [place[0].place_mm for place in series.stack]
    gap_mm = float(np.diff(places_mm).mean()) if len(places_mm) > 1 else first.GetSpacing()[2]
    stack.SetSpacing((*first.GetSpacing()[:2], gap_mm))
    return stack

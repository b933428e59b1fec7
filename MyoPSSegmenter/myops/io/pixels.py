"""Intensities of an image as float32, after the checks that they are those of an MR image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from myops.errors import InputError
from myops.labels import CONVENTIONS

if TYPE_CHECKING:
    import SimpleITK as sitk

# Beyond half, what is left of a volume is no longer an image of the heart.
MAX_NONFINITE_SHARE = 0.5
# An image of tissue has hundreds of gray levels, a label map a handful.
MAX_LABEL_VALUES = 8


def read_pixels(image: sitk.Image, sequence: str) -> tuple[np.ndarray, list[str]]:
    """Take the voxels of a 3D image for computing.

    Args:
        image: scalar 3D image.
        sequence: named in messages.

    Returns:
        float32 array (z, y, x) without non-finite voxels, and warnings.

    Raises:
        InputError: mostly non-finite voxels, a constant image or a label map.
    """
    import SimpleITK as sitk

    pixels = sitk.GetArrayFromImage(image).astype(np.float32)
    warnings: list[str] = []
    finite = np.isfinite(pixels)
    share = 1.0 - np.count_nonzero(finite) / pixels.size
    if share > MAX_NONFINITE_SHARE:
        raise InputError(
            f"{sequence}: expected finite intensities, found {share:.0%} NaN or infinite voxels; "
            "export the image again"
        )
    if share > 0:
        low, high = pixels[finite].min(), pixels[finite].max()
        pixels = np.nan_to_num(pixels, nan=low, posinf=high, neginf=low)
        count = pixels.size - np.count_nonzero(finite)
        warnings.append(f"{sequence}: {count} NaN or infinite voxels set to the image's limits")
    _refuse_flat_images(pixels, sequence)
    return pixels, warnings


def _refuse_flat_images(pixels: np.ndarray, sequence: str) -> None:
    """Refuse a constant image, and a label map given in place of an image."""
    # A sample settles it for nearly every image without sorting millions of voxels.
    # A set: np.unique loads numpy.ma, a twentieth of the time of `myops info`.
    if len(set(pixels.ravel()[:: max(1, pixels.size // 4096)].tolist())) > MAX_LABEL_VALUES:
        return
    values = np.unique(pixels)
    if values.size == 1:
        raise InputError(
            f"{sequence}: expected an image, found the same value {values[0]:g} in every voxel; "
            "check the export"
        )
    known = {value for convention in CONVENTIONS.values() for value in convention.values}
    if values.size <= MAX_LABEL_VALUES or set(np.round(values).tolist()) <= known:
        listed = ", ".join(f"{value:g}" for value in values[:MAX_LABEL_VALUES])
        raise InputError(
            f"{sequence}: expected an image, found only the values {listed}: this looks like a "
            "label map; give the MR image itself"
        )

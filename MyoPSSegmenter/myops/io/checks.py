"""Checks that readers of all formats share, and the errors that say what is wrong."""

from __future__ import annotations

import math

import numpy as np

from myops.errors import InputError

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
# A 3D LGE of 400x400x120 has 19 million voxels. At this limit, with three sequences, `myops info`
# takes 1.8 GB (Testing/Scripts/measure/memory.py); what `myops segment` needs beyond it is asked
# for before it begins (`cascade.segment.BYTES_PER_VOXEL`).
MAX_VOXELS = 50_000_000
# Columns of the direction matrix further from right angles than 1 degree are a sheared grid.
MAX_AXIS_COSINE = math.sin(math.radians(1.0))


def check_spacing(spacing_mm: tuple[float, ...], name: str) -> None:
    """Refuse a spacing (x, y, z) in mm with zero, negative or non-finite numbers."""
    if not all(math.isfinite(value) and value > 0 for value in spacing_mm):
        found = " x ".join(f"{value:g}" for value in spacing_mm)
        raise InputError(
            f"{name}: expected voxel spacing above 0 mm on every axis, found {found}; "
            "repair the header"
        )


def truncated(name: str) -> InputError:
    """The error for a file that ends too early or is damaged inside."""
    return InputError(
        f"{name}: expected a complete image, found a truncated or damaged file; "
        "copy or export it again"
    )


def check_size(size: tuple[int, ...], name: str) -> None:
    """Refuse 2D images, more than four dimensions, and more voxels than memory is planned for.

    Raises:
        InputError: naming the file and its size.
    """
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


def chosen_frame(count: int, frame: int | None, name: str) -> int:
    """The frame to read of a 4D file with `count` frames.

    Raises:
        InputError: several frames and none chosen, or one that is not there.
    """
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


def check_pixel_kind(is_complex: bool, components: int, name: str) -> None:
    """Refuse complex, color and vector voxels.

    Raises:
        InputError: naming the file.
    """
    if is_complex:
        raise InputError(
            f"{name}: expected one real intensity per voxel, found complex numbers; "
            "export the magnitude"
        )
    if components != 1:
        raise InputError(
            f"{name}: expected one intensity per voxel, found {components} (color or vector); "
            "export the gray-scale image"
        )


def check_right_angles(axes: np.ndarray, name: str, what: str = "direction matrix") -> None:
    """Refuse axes (3, 3), unit vectors in columns, that are not a rectangular grid.

    Raises:
        InputError: naming the file, and which statement of it is sheared.
    """
    if not np.isfinite(axes).all() or np.abs(axes.T @ axes - np.eye(3)).max() > MAX_AXIS_COSINE:
        raise sheared(name, f"sheared {what}")


def sheared(name: str, found: str) -> InputError:
    """The error for a grid that has no right angles."""
    return InputError(
        f"{name}: expected axes at right angles, found a {found}; repair the header or resample "
        "the volume to an orthogonal grid"
    )

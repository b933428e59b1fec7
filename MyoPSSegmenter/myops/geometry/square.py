"""Squares cut out of a stack, slice by slice, and put back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SquareBox:
    """A square in the slice plane of a stack, the same for all slices.

    Attributes:
        center_yx: center in pixel indices of the stack (0 = center of the first pixel).
        side_mm: length of the side.
        spacing_yx_mm: in-plane pixel spacing of the stack.
    """

    center_yx: tuple[float, float]
    side_mm: float
    spacing_yx_mm: tuple[float, float]


def crop_stack(array: np.ndarray, box: SquareBox, size: int, outside: float = 0.0) -> np.ndarray:
    """Resample a stack to size x size pixels inside the box.

    Args:
        array: (z, y, x). Floats are resampled linearly, averaging where pixels get coarser (no
            aliasing), and give float32; bool and integer arrays (labels) keep their dtype and take
            the nearest pixel.
        box: the square.
        size: pixels along its side.
        outside: value where the box leaves the image.

    Returns:
        (z, size, size).
    """
    step = [box.side_mm / size / spacing for spacing in box.spacing_yx_mm]
    first = [center - (size - 1) / 2 * s for center, s in zip(box.center_yx, step, strict=True)]
    return _resample(array, first, step, (size, size), outside)


def uncrop_stack(
    array: np.ndarray, box: SquareBox, shape_zyx: tuple[int, ...], outside: float = 0.0
) -> np.ndarray:
    """Resample a crop (z, size, size) back to the stack's grid (z, y, x); inverse of crop_stack."""
    size = array.shape[1]
    step = [spacing / (box.side_mm / size) for spacing in box.spacing_yx_mm]
    first = [(size - 1) / 2 - center * s for center, s in zip(box.center_yx, step, strict=True)]
    return _resample(array, first, step, tuple(shape_zyx[1:]), outside)


def _resample(
    array: np.ndarray, first: list[float], step: list[float], size: tuple[int, ...], outside: float
) -> np.ndarray:
    """Sample rows and columns at first + i * step, in pixel indices of the array."""
    linear = np.issubdtype(array.dtype, np.floating)
    shape, kind = (len(array), *size), np.float32 if linear else array.dtype
    # Zeros that nobody writes to take no memory: most of a large image lies outside the box.
    result = np.full(shape, outside, kind) if outside else np.zeros(shape, kind)
    # Only what lies inside the image is computed: most of the image lies outside the box.
    targets, sampled = [slice(None)], array
    for axis in (0, 1):
        positions = first[axis] + step[axis] * np.arange(size[axis])
        length = array.shape[axis + 1]
        start, stop = np.searchsorted(positions, (-0.5, length - 0.5))
        targets.append(slice(int(start), int(stop)))
        sample = _linear if linear else _nearest
        sampled = sample(sampled, positions[start:stop], step[axis], axis + 1)
    result[tuple(targets)] = sampled
    return result


def _nearest(array: np.ndarray, positions: np.ndarray, _: float, axis: int) -> np.ndarray:
    """Take the pixels nearest to the positions along an axis."""
    nearest = np.floor(positions + 0.5).astype(int)
    return array.take(np.clip(nearest, 0, array.shape[axis] - 1), axis)


def _linear(array: np.ndarray, positions: np.ndarray, step: float, axis: int) -> np.ndarray:
    """Interpolate linearly along an axis; where the step is above 1, average over a step.

    A sum over the few pixels (taps) that a position depends on. As a matrix product it would be
    no faster, and slow where a BLAS spreads such small matrices over busy cores.
    """
    width, length = max(1.0, step), array.shape[axis]
    inside = np.clip(positions, 0, length - 1)
    reach = int(np.ceil(width))
    taps = np.floor(inside).astype(int)[:, None] + np.arange(1 - reach, reach + 1)
    weights = np.maximum(0.0, 1.0 - np.abs(inside[:, None] - taps) / width)
    weights[(taps < 0) | (taps >= length)] = 0
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    taps = np.clip(taps, 0, length - 1)
    along = [1, -1, 1] if axis == 1 else [1, 1, -1]
    total = np.zeros(1, np.float32)
    for k in range(taps.shape[1]):
        total = total + weights[:, k].reshape(along) * array.take(taps[:, k], axis)
    return total

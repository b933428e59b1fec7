"""From a Case's grid to the networks' square grids and back, for training and inference alike.

Every network sees squares: the heart finder 128x128 pixels of 2.5 mm around the image center, the
others a square around the heart, one for the whole stack. All resampling is one separable linear
map, written as two small matrices, so that the way back is the same function.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from myops.case import SEQUENCES
from myops.errors import InputError
from myops.normalize import CLIP_HALF_RANGES, normalize

FINDER_SIZE = 128
FINDER_PIXEL_MM = 2.5
# The square around the heart: this many times the LV's largest in-plane extent, within limits
# that keep a wrong heart finder from asking for a fingertip or a thorax.
SIDE_PER_EXTENT = 1.9
SIDE_LIMITS_MM = (90.0, 220.0)
# Less than this is no left ventricle: the smallest adult LV regions hold more than 60 mL.
SMALLEST_HEART_ML = 3.0


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


def finder_box(shape_zyx: tuple[int, ...], spacing_mm: tuple[float, float, float]) -> SquareBox:
    """The heart finder's square: 320 mm around the image center; spacing_mm is (x, y, z)."""
    center = ((shape_zyx[1] - 1) / 2, (shape_zyx[2] - 1) / 2)
    return SquareBox(center, FINDER_SIZE * FINDER_PIXEL_MM, (spacing_mm[1], spacing_mm[0]))


def heart_box(probability: np.ndarray, spacing_mm: tuple[float, float, float]) -> SquareBox:
    """The square around the heart: centered on the LV, 1.9 times as wide as it.

    Args:
        probability: float (z, y, x) in 0..1, probability of the LV epicardial region on the
            stack's grid; a binary mask of the region does as well.
        spacing_mm: voxel spacing (x, y, z).

    Raises:
        InputError: where p > 0.5 no connected region reaches 3 mL.
    """
    component = largest_component(probability > 0.5)
    check_heart_size(component, spacing_mm)
    weights = np.where(component, probability, 0).sum(axis=0, dtype=np.float64)
    rows, columns = np.nonzero(component.any(axis=0))
    center = (
        float(weights.sum(axis=1) @ np.arange(weights.shape[0]) / weights.sum()),
        float(weights.sum(axis=0) @ np.arange(weights.shape[1]) / weights.sum()),
    )
    extent_mm = max(np.ptp(rows) * spacing_mm[1] + spacing_mm[1],
                    np.ptp(columns) * spacing_mm[0] + spacing_mm[0])  # fmt: skip
    side_mm = float(np.clip(SIDE_PER_EXTENT * extent_mm, *SIDE_LIMITS_MM))
    return SquareBox(center, side_mm, (spacing_mm[1], spacing_mm[0]))


def check_heart_size(region: np.ndarray, spacing_mm: tuple[float, float, float]) -> None:
    """Refuse an LV region (bool, spacing (x, y, z)) that is too small to be one.

    Raises:
        InputError: the region is smaller than 3 mL.
    """
    volume_ml = np.count_nonzero(region) * float(np.prod(spacing_mm)) / 1000
    if volume_ml < SMALLEST_HEART_ML:
        raise InputError(
            f"no heart found: expected a left ventricle of at least {SMALLEST_HEART_ML:g} mL, "
            f"found {volume_ml:.1f} mL; use a short-axis stack that shows the left ventricle"
        )


def largest_component(mask: np.ndarray) -> np.ndarray:
    """Keep the largest face-connected component of a bool array; empty stays empty."""
    from scipy import ndimage

    labels, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == sizes.argmax()


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
    positions = [f + s * np.arange(n) for f, s, n in zip(first, step, size, strict=True)]
    inside = [(p >= -0.5) & (p <= n - 0.5)
              for p, n in zip(positions, array.shape[1:], strict=True)]  # fmt: skip
    if np.issubdtype(array.dtype, np.floating):
        rows, columns = (
            _linear_weights(p, s, n)
            for p, s, n in zip(positions, step, array.shape[1:], strict=True)
        )
        result = rows @ array.astype(np.float32) @ columns.T
    else:
        rows, columns = (
            np.clip(np.floor(p + 0.5).astype(int), 0, n - 1)
            for p, n in zip(positions, array.shape[1:], strict=True)
        )
        result = array[:, rows[:, None], columns[None, :]]
    result[:, ~(inside[0][:, None] & inside[1][None, :])] = outside
    return result


def _linear_weights(positions: np.ndarray, step: float, length: int) -> np.ndarray:
    """Weights (positions, length) of linear interpolation, widened to the step when it is > 1."""
    width = max(1.0, step)
    distance = np.abs(np.clip(positions, 0, length - 1)[:, None] - np.arange(length)[None, :])
    weights = np.maximum(0.0, 1.0 - distance / width)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def present_flags(images: Mapping[str, np.ndarray]) -> np.ndarray:
    """float32 (3,): 1 for each of bssfp, lge, t2 that is among the images, else 0."""
    return np.array([name in images for name in SEQUENCES], np.float32)


def finder_input(
    images: Mapping[str, np.ndarray], spacing_mm: tuple[float, float, float]
) -> np.ndarray:
    """The heart finder's input: each sequence normalized over the volume, 128x128 at 2.5 mm.

    Args:
        images: sequence name to float (z, y, x), raw intensities, all on one grid.
        spacing_mm: voxel spacing (x, y, z).

    Returns:
        float32 (z, 3, 128, 128), channels bssfp, lge, t2; 0 for an absent sequence and outside.
    """
    shape = next(iter(images.values())).shape
    box = finder_box(shape, spacing_mm)
    crops = {name: crop_stack(normalize(image), box, FINDER_SIZE) for name, image in images.items()}
    return _channels(crops)


def crop_sequences(
    images: Mapping[str, np.ndarray], box: SquareBox, size: int = 128
) -> dict[str, np.ndarray]:
    """Each sequence, raw, inside the box: float32 (z, size, size), NaN outside the image."""
    return {
        name: crop_stack(image.astype(np.float32, copy=False), box, size, outside=np.nan)
        for name, image in images.items()
    }


def assn_input(crops: Mapping[str, np.ndarray]) -> np.ndarray:
    """ASSN's input: crops of `crop_sequences` normalized over the crop, float32 (z, 3, S, S)."""
    return _channels({name: normalize(crop) for name, crop in crops.items()})


def prsn_input(crops: Mapping[str, np.ndarray], region: np.ndarray) -> np.ndarray:
    """PRSN's input: the candidate images C_k = I_k (x) f(I) of the cascade paper.

    Left open by the paper: the scale of I_k. Here it is normalized over the region of the whole
    stack, then shifted to 0..2 with the median at 1, so that 0 means outside the region.

    Args:
        crops: raw crops of `crop_sequences`, (z, S, S) each.
        region: (z, S, S), f(I), the LV epicardial region as bool or as 0..1.

    Returns:
        float32 (z, 3, S, S), channels bssfp, lge, t2; 0 for an absent sequence, outside the
        region, and where a sequence shows nothing (NaN in its crop).
    """
    inside = region > 0.5
    candidates = {}
    for name, crop in crops.items():
        shown = (1 + normalize(crop, mask=inside) / CLIP_HALF_RANGES) * region
        candidates[name] = np.where(np.isfinite(crop), shown, 0)
    return _channels(candidates)


def _channels(images: Mapping[str, np.ndarray]) -> np.ndarray:
    """Stack the sequences in their fixed order, zeros where one is absent: (z, 3, S, S)."""
    shape = next(iter(images.values())).shape
    zeros = np.zeros(shape, np.float32)
    return np.stack([images.get(name, zeros) for name in SEQUENCES], axis=1).astype(np.float32)

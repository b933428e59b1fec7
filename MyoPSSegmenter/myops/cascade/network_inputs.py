"""From a Case's grid to the networks' square grids and back, for training and inference alike.

Every network sees squares: the heart finder 128x128 pixels of 2.5 mm around the image center, the
ASSN a square around the heart, the PRSN and the refiner a tight one around the LV region, each for
the whole stack. All resampling is separable, rows then columns, and the way back is the same
function.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from myops.cascade.normalization import CLIP_HALF_RANGES, normalize
from myops.coverage import empty_slices
from myops.errors import InputError
from myops.geometry.masks import bounding_box, largest_component
from myops.geometry.square import SquareBox, crop_stack
from myops.labels import lv_region
from myops.sequences import NETWORK_SEQUENCES, channel
from myops.structures import NETWORK_TISSUES

if TYPE_CHECKING:
    from myops.case import Case
    from myops.segmentation import Segmentation

FINDER_SIZE = 128
FINDER_PIXEL_MM = 2.5
# The square around the heart: this many times the LV's largest in-plane extent, within limits
# that keep a wrong heart finder from asking for a fingertip or a thorax.
SIDE_PER_EXTENT = 1.9
SIDE_LIMITS_MM = (90.0, 220.0)
# The square of the tissue classification: once ASSN has outlined the LV region, nothing outside it
# counts, so the square can be tight and the pixels few.
TISSUE_SIDE_PER_EXTENT = 1.3
TISSUE_SIDE_LIMITS_MM = (30.0, 220.0)
REFINER_SIDE_PER_EXTENT = 1.35
# The refiner's tissue planes in their order; scar includes MVO.
REFINER_TISSUES = NETWORK_TISSUES
# Less than this is not a left ventricle: the smallest adult LV regions hold more than 60 mL.
SMALLEST_HEART_ML = 3.0
# The same where the spacing is unknown: 3 mL in large voxels of 1.4 x 1.4 x 10 mm.
SMALLEST_HEART_VOXELS = 150


def finder_box(shape_zyx: tuple[int, ...], spacing_mm: tuple[float, float, float]) -> SquareBox:
    """The heart finder's square: 320 mm around the image center; spacing_mm is (x, y, z)."""
    center = ((shape_zyx[1] - 1) / 2, (shape_zyx[2] - 1) / 2)
    return SquareBox(center, FINDER_SIZE * FINDER_PIXEL_MM, (spacing_mm[1], spacing_mm[0]))


def tissue_box(
    region: np.ndarray, spacing_mm: tuple[float, float, float], spacing_known: bool = True
) -> SquareBox:
    """The tight square of the PRSN: centered on the LV region, 1.3 times as wide as it.

    Args:
        region: bool (z, y, x), the LV epicardial region on the stack's grid.
        spacing_mm: voxel spacing (x, y, z).
        spacing_known: see `check_heart_size`.

    Raises:
        InputError: no connected region reaches 3 mL.
    """
    shape = (TISSUE_SIDE_PER_EXTENT, TISSUE_SIDE_LIMITS_MM)
    return heart_box(region.astype(np.float32), spacing_mm, *shape, spacing_known)


def heart_box(
    probability: np.ndarray,
    spacing_mm: tuple[float, float, float],
    side_per_extent: float = SIDE_PER_EXTENT,
    side_limits_mm: tuple[float, float] = SIDE_LIMITS_MM,
    spacing_known: bool = True,
) -> SquareBox:
    """The square around the heart: centered on the LV, by default 1.9 times as wide as it.

    Args:
        probability: float (z, y, x) in 0..1, probability of the LV epicardial region on the
            stack's grid; a binary mask of the region does as well.
        spacing_mm: voxel spacing (x, y, z).
        side_per_extent: the square's side over the LV's largest in-plane extent.
        side_limits_mm: smallest and largest side.
        spacing_known: see `check_heart_size`.

    Raises:
        InputError: where p > 0.5 no connected region reaches 3 mL.
    """
    component = largest_component(probability > 0.5)
    check_heart_size(component, spacing_mm, spacing_known)
    weights = np.where(component, probability, 0).sum(axis=0, dtype=np.float64)
    _, rows, columns = bounding_box(component)
    center = (
        float(weights.sum(axis=1) @ np.arange(weights.shape[0]) / weights.sum()),
        float(weights.sum(axis=0) @ np.arange(weights.shape[1]) / weights.sum()),
    )
    height_mm, width_mm = (
        (side.stop - side.start) * spacing
        for side, spacing in ((rows, spacing_mm[1]), (columns, spacing_mm[0]))
    )
    side_mm = float(np.clip(side_per_extent * max(height_mm, width_mm), *side_limits_mm))
    return SquareBox(center, side_mm, (spacing_mm[1], spacing_mm[0]))


def check_heart_size(
    region: np.ndarray, spacing_mm: tuple[float, float, float], spacing_known: bool = True
) -> None:
    """Refuse an LV region that is too small to be one.

    Args:
        region: bool (z, y, x).
        spacing_mm: voxel spacing (x, y, z).
        spacing_known: False when the header holds none: voxels are counted then, for a volume
            would be made up.

    Raises:
        InputError: the region is smaller than 3 mL.
    """
    voxels = int(np.count_nonzero(region))
    volume_ml = voxels * float(np.prod(spacing_mm)) / 1000
    expected, found = f"{SMALLEST_HEART_ML:g} mL", f"{volume_ml:.1f} mL"
    if not spacing_known:
        expected, found = f"{SMALLEST_HEART_VOXELS} voxels", f"{voxels} voxels"
    if voxels < SMALLEST_HEART_VOXELS if not spacing_known else volume_ml < SMALLEST_HEART_ML:
        raise InputError(
            f"no heart found: expected a left ventricle of at least {expected}, found {found}; "
            "use a short-axis stack that shows the left ventricle"
        )


def present_flags(images: Mapping[str, np.ndarray]) -> np.ndarray:
    """float32 (3,): 1 for each of bssfp, lge, t2 that is among the images, else 0."""
    return np.array([name in images for name in NETWORK_SEQUENCES], np.float32)


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
    crops = {
        name: crop_stack(normalize(image), box, FINDER_SIZE)
        for name, image in images.items()
        if name in NETWORK_SEQUENCES
    }
    return _channels(crops)


def crop_sequences(
    images: Mapping[str, np.ndarray], box: SquareBox, size: int = 128
) -> dict[str, np.ndarray]:
    """What the networks see of a case, raw, inside the box: float32 (z, size, size).

    NaN outside the image; a sequence that the networks do not know is left out.
    """
    return {
        name: crop_stack(image.astype(np.float32, copy=False), box, size, outside=np.nan)
        for name, image in images.items()
        if name in NETWORK_SEQUENCES
    }


def crop_shown(
    images: Mapping[str, np.ndarray], covered: Mapping[str, np.ndarray], box: SquareBox, size: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Crops of what the sequences show, and in which slices they show anything.

    Args:
        images: sequence name to float (z, y, x), raw intensities, all on one grid.
        covered: sequence name to bool (z, y, x), its field of view, as in a `Case`; a sequence that
            is left out covers everything.
        box: the square.
        size: pixels along its side.

    Returns:
        float32 (z, size, size) per sequence, NaN outside the image, outside its field of view and
        in slices of one value; and float32 (z, 3), 1 for each of bssfp, lge, t2 that shows anything
        in a slice.
    """
    crops = crop_sequences(images, box, size)
    present = np.zeros((len(next(iter(images.values()))), len(NETWORK_SEQUENCES)), np.float32)
    for name, crop in crops.items():
        if name in covered:
            crop[~crop_stack(covered[name], box, size)] = np.nan
        crop[empty_slices(images[name])] = np.nan
        present[:, channel(name)] = np.isfinite(crop).any(axis=(1, 2))
    return crops, present


def assn_input(crops: Mapping[str, np.ndarray]) -> np.ndarray:
    """ASSN's input: crops of `crop_sequences` normalized over the crop, float32 (z, 3, S, S)."""
    return _channels({name: normalize(crop) for name, crop in crops.items()})


def candidate_image(normalized: Any, region: Any) -> Any:
    """C_k = I_k (x) f(I) with I_k brought from -4..4 to 0..2; NumPy arrays or tensors alike."""
    return (1 + normalized / CLIP_HALF_RANGES) * region


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
        shown = candidate_image(normalize(crop, mask=inside), region)
        candidates[name] = np.where(np.isfinite(crop), shown, 0)
    return _channels(candidates)


def with_neighbors(images: np.ndarray, planes: int) -> np.ndarray:
    """Each slice with those around it, channel by channel; the stack's ends are repeated.

    Args:
        images: (z, C, S, S).
        planes: odd count of slices seen at once; 1 changes nothing.

    Returns:
        (z, C * planes, S, S): all planes of the first channel, from the slice before to the one
        after, then those of the second.
    """
    if planes == 1:
        return images
    places = np.arange(len(images))[:, None] + np.arange(planes) - planes // 2
    found = images[np.clip(places, 0, len(images) - 1)]  # (z, planes, C, S, S)
    return np.ascontiguousarray(found.swapaxes(1, 2)).reshape(len(images), -1, *images.shape[2:])


def _channels(images: Mapping[str, np.ndarray]) -> np.ndarray:
    """Stack the sequences in their fixed order, zeros where one is absent: (z, 3, S, S)."""
    shape = next(iter(images.values())).shape
    zeros = np.zeros(shape, np.float32)
    return np.stack([images.get(name, zeros) for name in NETWORK_SEQUENCES], axis=1).astype(
        np.float32
    )


def refiner_box(segmentation: Segmentation, spacing_known: bool = True) -> SquareBox:
    """The refiner's square: a little wider than the PRSN's, so that the wall's far side can move.

    Args:
        segmentation: labels and probabilities.
        spacing_known: see `check_heart_size`.

    Raises:
        InputError: neither the labels nor the probabilities show a left ventricle.
    """
    region = lv_region(segmentation.labels)
    spacing_mm = segmentation.geometry.spacing_mm
    try:
        check_heart_size(region, spacing_mm, spacing_known)
    except InputError:  # nothing drawn yet: where the cascade suspects it
        region = segmentation.probabilities["lv_region"]
    shape = (REFINER_SIDE_PER_EXTENT, TISSUE_SIDE_LIMITS_MM)
    return heart_box(region.astype(np.float32), spacing_mm, *shape, spacing_known)


def refiner_input(
    case: Case, segmentation: Segmentation, box: SquareBox, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The refiner's input: what does not change while a reader corrects.

    Returns:
        images float32 (z, 3, S, S), bssfp, lge, t2 normalized over the LV region of the stack, 0
        where a sequence shows nothing; present float32 (z, 3); probabilities float32 (z, 4, S, S)
        of `REFINER_TISSUES`.
    """
    crops, present = crop_shown(case.images, case.covered, box, size)
    likely = crop_stack(segmentation.probabilities["lv_region"].astype(np.float32), box, size)
    inside = likely > 0.5
    if not inside.any():
        inside[:] = True
    images: dict[str, np.ndarray] = {}
    for name, crop in crops.items():
        images[name] = np.where(np.isfinite(crop), normalize(crop, mask=inside), 0)
    tissues = [
        crop_stack(segmentation.probabilities[name].astype(np.float32), box, size)
        for name in REFINER_TISSUES
    ]
    return _channels(images), present, np.stack(tissues, axis=1)

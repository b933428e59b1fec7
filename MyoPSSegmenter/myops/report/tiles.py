"""Tiles: one slice of one sequence as a color array, and the regions to outline on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .. import labels as regions
from .colors import SEQUENCE_NAMES, rgb

if TYPE_CHECKING:
    from ..case import Case
    from ..quantify.measure import Measurements
    from ..segmentation import Segmentation

MARGIN_MM = 18.0
LEAST_SIDE_MM = 80.0
# Intensities shown as black and white, percentiles over the heart: fat around it may saturate.
WINDOW_PERCENTILES = (1.0, 99.5)
# Share of a label's color kept where the image is black: hue says the tissue, light the signal.
LEAST_LIGHT = 0.6

# What is outlined where: only what the sequence shows, so that the image stays visible.
OUTLINES: Mapping[str, tuple[str, ...]] = {
    "bssfp": ("lv_region", "myocardium"),
    "lge": ("lv_region", "myocardium", "scar", "fwhm"),
    "t2": ("lv_region", "myocardium", "scar", "edema"),
    "segmentation": ("remote",),
    "uncertainty": ("lv_region",),
}
COLUMN_NAMES: Mapping[str, str] = {
    **SEQUENCE_NAMES,
    "segmentation": "Segmentation",
    "uncertainty": "Uncertainty",
}
FILLED = ("blood_pool", "right_ventricle", "myocardium", "edema", "scar")


@dataclass(frozen=True)
class TileStack:
    """Everything the pictures of one case are drawn from, cropped around the heart.

    Attributes:
        columns: names of the columns, in order: present sequences, "segmentation", "uncertainty".
        pictures: column -> float (z, h, w, 3), red green blue 0..1.
        masks: region -> bool (z, h, w), only regions that can be outlined.
        pixel_mm: (x, y) size of a pixel.
        fwhm_rule: name of the rule drawn as "fwhm", None without one.
    """

    columns: tuple[str, ...]
    pictures: Mapping[str, np.ndarray]
    masks: Mapping[str, np.ndarray]
    pixel_mm: tuple[float, float]
    fwhm_rule: str | None

    @property
    def slices(self) -> int:
        """Number of slices."""
        return int(next(iter(self.pictures.values())).shape[0])


def make_tiles(case: Case, segmentation: Segmentation, measurements: Measurements) -> TileStack:
    """Crop around the heart, window each sequence, and color the segmentation."""
    labels = segmentation.labels
    x_mm, y_mm, _ = case.geometry.spacing_mm
    rows, columns = heart_box(labels, (x_mm, y_mm))
    heart = np.any(labels[:, rows, columns] > 0, axis=0)
    gray = {
        name: window(case.images[name][:, rows, columns], heart)
        for name in SEQUENCE_NAMES
        if name in case.images
    }
    reference = gray[case.reference]
    cut = labels[:, rows, columns]
    rule, fwhm = drawn_rule(measurements)
    masks = {
        "lv_region": regions.lv_region(cut),
        "myocardium": regions.myocardium(cut),
        "scar": regions.scar(cut),
        "edema": regions.edema(cut),
    }
    if fwhm is not None:
        masks["fwhm"] = fwhm[:, rows, columns]
    if measurements.remote is not None:
        masks["remote"] = measurements.remote.mask[:, rows, columns]
    pictures = {name: np.repeat(image[..., None], 3, -1) for name, image in gray.items()}
    pictures["segmentation"] = colored_labels(cut, reference)
    pictures["uncertainty"] = colored_uncertainty(
        segmentation.uncertainty[:, rows, columns], reference
    )
    return TileStack(tuple(pictures), pictures, masks, (x_mm, y_mm), rule)


def heart_box(labels: np.ndarray, pixel_mm: tuple[float, float]) -> tuple[slice, slice]:
    """Rows and columns of a square in mm around all labels, clipped to the image."""
    seen = np.any(labels > 0, axis=0)
    if not seen.any():
        return slice(0, labels.shape[1]), slice(0, labels.shape[2])
    bounds = [np.flatnonzero(np.any(seen, axis=axis)) for axis in (1, 0)]
    size_mm = (pixel_mm[1], pixel_mm[0])
    extents = [(b[-1] - b[0] + 1) * mm for b, mm in zip(bounds, size_mm, strict=True)]
    side_mm = max(*extents, LEAST_SIDE_MM - 2 * MARGIN_MM) + 2 * MARGIN_MM
    box = []
    for bound, mm, length in zip(bounds, size_mm, labels.shape[1:], strict=True):
        count = min(round(side_mm / mm), length)
        start = int(np.clip(round((bound[0] + bound[-1] + 1 - count) / 2), 0, length - count))
        box.append(slice(start, start + count))
    return box[0], box[1]


def drawn_rule(measurements: Measurements) -> tuple[str | None, np.ndarray | None]:
    """The conventional rule to outline: remote-referenced where valid, it stands an offset."""
    for name in ("fwhm_remote_referenced_volume", "fwhm_half_of_maximum_volume"):
        scar = measurements.fwhm.get(name)
        if scar is not None and scar.result.mask is not None:
            return name, scar.result.mask
    return None, None


def window(image: np.ndarray, heart: np.ndarray) -> np.ndarray:
    """Scale intensities to 0..1 between two percentiles over the heart, one scale for the stack.

    Args:
        image: float (z, y, x).
        heart: bool (y, x), where any slice has a label; all of the image if there is none.
    """
    low, high = np.percentile(image[:, heart] if heart.any() else image, WINDOW_PERCENTILES)
    return np.clip((image - low) / max(high - low, 1e-6), 0.0, 1.0)


def colored_labels(labels: np.ndarray, gray: np.ndarray) -> np.ndarray:
    """Gray image (z, y, x) tinted by its labels -> (z, y, x, 3)."""
    picture = np.repeat(gray[..., None], 3, -1)
    light = LEAST_LIGHT + (1 - LEAST_LIGHT) * picture
    for name in FILLED:
        inside = getattr(regions, name)(labels)
        picture[inside] = light[inside] * np.asarray(rgb(name))
    return picture


def colored_uncertainty(uncertainty: np.ndarray, gray: np.ndarray) -> np.ndarray:
    """Dimmed gray image under an uncertainty map, 0 transparent to 1 bright yellow."""
    from matplotlib import colormaps

    shown = np.clip(uncertainty, 0.0, 1.0)
    color = colormaps["inferno"](0.25 + 0.75 * shown)[..., :3]
    opacity = np.clip(shown * 2.5, 0.0, 0.9)[..., None]
    return (1 - opacity) * 0.6 * np.repeat(gray[..., None], 3, -1) + opacity * color

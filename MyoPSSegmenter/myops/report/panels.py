"""Tiles: one slice of one column as a color array, and what is outlined on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from myops import labels as regions
from myops.geometry.masks import bounding_box
from myops.quantify.thresholds.methods import report_rules
from myops.report.review import Mark
from myops.sequences import SEQUENCE_TITLES, SEQUENCES
from myops.structures import SHOWN_BY, STRUCTURES

if TYPE_CHECKING:
    from myops.case import Case
    from myops.quantify.measurements import Measurements
    from myops.report.review import Review
    from myops.segmentation import Segmentation

MARGIN_MM = 18.0
LEAST_SIDE_MM = 80.0
# Intensities shown as black and white, percentiles over the heart: fat around it may saturate.
WINDOW_PERCENTILES = (1.0, 99.5)

# What is outlined where: what the table says, and only the disease that the sequence shows, so that
# the image stays visible.
OUTLINES: Mapping[str, tuple[str, ...]] = {
    key: (*row.outlines, *(name for name, shown in SHOWN_BY.items() if shown == key))
    for key, row in SEQUENCES.items()
}


@dataclass(frozen=True)
class Column:
    """One column of the pictures.

    Attributes:
        title: its name in words.
        picture: uint8 (z, h, w, 3), red green blue.
        outlines: region -> bool (z, h, w).
        marks: clicks to draw, in pixels of the cropped tile.
    """

    title: str
    picture: np.ndarray
    outlines: Mapping[str, np.ndarray] = field(default_factory=dict)
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class TileStack:
    """Everything the pictures of one case are drawn from, cropped around the heart.

    Attributes:
        columns: name -> column, from left to right: the present sequences, the LGE last of them;
            "automatic", "corrected" and "fwhm" on the LGE; "uncertainty".
        pixel_mm: (x, y) size of a pixel.
        fwhm_rule: name in `RULES` of the rule drawn as "fwhm", None without one.
        spacing_known: False when `pixel_mm` is made up: a bar of 20 mm would be too.
    """

    columns: Mapping[str, Column]
    pixel_mm: tuple[float, float]
    fwhm_rule: str | None
    spacing_known: bool = True

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of slices, height and width of a tile."""
        z, height, width, _ = next(iter(self.columns.values())).picture.shape
        return z, height, width

    @property
    def slices(self) -> int:
        """Number of slices."""
        return self.shape[0]


def make_tiles(
    case: Case,
    segmentation: Segmentation,
    measurements: Measurements,
    review: Review | None = None,
) -> TileStack:
    """Crop around the heart, window each sequence, and say what is outlined where.

    Args:
        case: the images.
        segmentation: the label map shown: corrected where there was a review.
        measurements: remote region and the conventional rule to outline.
        review: what a reader changed; its automatic labels get a column of their own.
    """
    x_mm, y_mm, _ = case.geometry.spacing_mm
    before = segmentation.labels if review is None else review.automatic
    rows, columns = heart_crop(np.maximum(segmentation.labels, before), (x_mm, y_mm))
    labels, before = segmentation.labels[:, rows, columns], before[:, rows, columns]
    heart = np.any(labels > 0, axis=0)
    gray = {name: window(case.images[name][:, rows, columns], heart) for name in case.sequences}
    shown = {name: np.repeat(_bytes(image)[..., None], 3, -1) for name, image in gray.items()}
    stack: dict[str, Column] = {}
    for name in (name for name in shown if name != "lge"):
        outlines = _outlines(name, labels, before)
        stack[name] = Column(SEQUENCE_TITLES[name], shown[name], outlines)
    rule, fwhm = drawn_rule(measurements)
    if "lge" in shown:
        stack["lge"] = Column(SEQUENCE_TITLES["lge"], shown["lge"])
        stack["automatic"] = Column("Automatic", shown["lge"], _cut(before, OUTLINES["lge"]))
        if review is not None:
            marks = tuple(mark.moved(rows.start, columns.start) for mark in review.marks)
            outlines = _cut(labels, OUTLINES["lge"])
            stack["corrected"] = Column("Corrected", shown["lge"], outlines, marks)
        if fwhm is not None:
            outlines = {"myocardium": regions.myocardium(labels), "fwhm": fwhm[:, rows, columns]}
            if measurements.remote is not None:
                outlines["remote"] = measurements.remote.mask[:, rows, columns]
            stack["fwhm"] = Column("FWHM", shown["lge"], outlines)
    if segmentation.probabilities:
        dimmed = colored_uncertainty(
            segmentation.uncertainty[:, rows, columns], gray[case.reference]
        )
        stack["uncertainty"] = Column("Uncertainty", _bytes(dimmed), _cut(labels, ("lv_region",)))
    return TileStack(stack, (x_mm, y_mm), rule, case.spacing_known)


def _bytes(shares: np.ndarray) -> np.ndarray:
    """Brightness 0..1 as 0..255."""
    return np.rint(255 * shares).astype(np.uint8)


def _cut(labels: np.ndarray, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    return {name: STRUCTURES[name].mask(labels) for name in names}


def _outlines(sequence: str, labels: np.ndarray, before: np.ndarray) -> dict[str, np.ndarray]:
    """What is outlined; the automatic edema beside the present one where a reader changed it."""
    outlines = _cut(labels, OUTLINES[sequence])
    automatic = regions.edema(before)
    if "edema" in outlines and not np.array_equal(automatic, outlines["edema"]):
        outlines["edema_automatic"] = automatic
    return outlines


def heart_crop(labels: np.ndarray, pixel_mm: tuple[float, float]) -> tuple[slice, slice]:
    """Rows and columns of a square in mm around all labels, clipped to the image."""
    seen = np.any(labels > 0, axis=0)
    if not seen.any():
        return slice(0, labels.shape[1]), slice(0, labels.shape[2])
    bounds = bounding_box(seen)
    size_mm = (pixel_mm[1], pixel_mm[0])
    extents = [(b.stop - b.start) * mm for b, mm in zip(bounds, size_mm, strict=True)]
    side_mm = max(*extents, LEAST_SIDE_MM - 2 * MARGIN_MM) + 2 * MARGIN_MM
    box = []
    for bound, mm, length in zip(bounds, size_mm, labels.shape[1:], strict=True):
        count = min(round(side_mm / mm), length)
        start = int(np.clip(round((bound.start + bound.stop - count) / 2), 0, length - count))
        box.append(slice(start, start + count))
    return box[0], box[1]


def drawn_rule(measurements: Measurements) -> tuple[str | None, np.ndarray | None]:
    """The report's rule to outline: the first valid one, those that an offset leaves alone first.

    Returns:
        Its name, and bool (z, y, x); None and None without one.
    """
    for rule in sorted(report_rules(), key=lambda rule: "unsigned" in rule.needs):
        scar = measurements.fwhm.get(rule.result_name("volume"))
        if scar is not None and scar.result.mask is not None:
            return rule.name, scar.result.mask
    return None, None


def window(image: np.ndarray, heart: np.ndarray) -> np.ndarray:
    """Scale intensities to 0..1 between two percentiles over the heart, one scale for the stack.

    Args:
        image: float (z, y, x).
        heart: bool (y, x), where any slice has a label; all of the image if there is none.
    """
    low, high = np.percentile(image[:, heart] if heart.any() else image, WINDOW_PERCENTILES)
    return np.clip((image - low) / max(high - low, 1e-6), 0.0, 1.0)


def colored_uncertainty(uncertainty: np.ndarray, gray: np.ndarray) -> np.ndarray:
    """Dimmed gray image under an uncertainty map, 0 transparent to 1 bright yellow."""
    from matplotlib import colormaps

    shown = np.clip(uncertainty, 0.0, 1.0)
    color = colormaps["inferno"](0.25 + 0.75 * shown)[..., :3]
    opacity = np.clip(shown * 2.5, 0.0, 0.9)[..., None]
    return (1 - opacity) * 0.6 * np.repeat(gray[..., None], 3, -1) + opacity * color

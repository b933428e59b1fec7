"""A slice with rulers in pixels, from which a place for the command line can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from myops import labels as regions
from myops.report.canvas import DPI, INK, PAPER
from myops.report.colors import COLORS
from myops.report.montage import outline
from myops.report.panels import heart_crop, window
from myops.report.plot_area import PlotArea
from myops.report.raster import Raster

if TYPE_CHECKING:
    from myops.case import Case

TICK_PIXELS = 10
# Of the picture, and of the slice in it at most; pixels.
SIDE = 650
LARGEST = (572, 559)


def ruler_picture(case: Case, labels: np.ndarray) -> tuple[int, bytes]:
    """The slice of the largest blood pool and its picture as PNG.

    Args:
        case: the images.
        labels: uint16 (z, y, x), MyoPS values, with some left ventricle.
    """
    area = regions.blood_pool(labels).sum(axis=(1, 2))
    index = int(np.argmax(area if area.any() else regions.myocardium(labels).sum(axis=(1, 2))))
    x_mm, y_mm, _ = case.geometry.spacing_mm
    rows, columns = heart_crop(labels, (x_mm, y_mm))
    image = case.images[case.reference][:, rows, columns]
    gray = window(image, np.any(labels[:, rows, columns] > 0, axis=0))[index]
    shown = np.repeat(np.rint(255 * gray).astype(np.uint8)[..., None], 3, -1)
    return index, _with_rulers(
        shown, regions.lv_region(labels[index, rows, columns]), rows, columns, y_mm / x_mm
    )


def _with_rulers(
    shown: np.ndarray, region: np.ndarray, rows: slice, columns: slice, ratio: float
) -> bytes:
    """A slice in squares of one color, with the region's outline and rulers; as PNG.

    Args:
        shown: uint8 (h, w, 3).
        region: bool (h, w).
        rows: of its image, where the slice was cut from.
        columns: the same.
        ratio: a pixel's height over its width, in mm.
    """
    raster = Raster(SIDE, SIDE, PAPER, DPI)
    tall, wide = shown.shape[0] * ratio, shown.shape[1]
    scale = min(LARGEST[0] / wide, LARGEST[1] / tall)
    width, height = round(wide * scale), round(tall * scale)
    left = 65 + (LARGEST[0] - width) // 2
    top = 65 + (LARGEST[1] - height) // 2
    raster.image(shown, left, top, width, height, smooth=False)
    x_range = (columns.start - 0.5, columns.stop - 0.5)
    y_range = (rows.stop - 0.5, rows.start - 0.5)
    area = PlotArea(raster, left, top, left + width, top + height, x_range, y_range)
    for column in _ticks(columns):
        area.down(area.x(column), opacity=0.3, width=0.5)
    for row in _ticks(rows):
        area.across(area.y(row), opacity=0.3, width=0.5)
    if region.any():
        places, codes = outline(region)
        places = (places + 0.5) * (width / shown.shape[1], height / shown.shape[0]) + (left, top)
        raster.line(places, codes, COLORS["lv_region"], 0.9)
    for edge in (area.left, area.right):
        area.down(edge, INK, 0.8)
    for edge in (area.top, area.bottom):
        area.across(edge, INK, 0.8)
    area.x_ticks([(column, str(column)) for column in _ticks(columns)], above=True, size=7)
    area.y_ticks(_ticks(rows), size=7)
    raster.words("Column", left + width / 2, top - 34, 9, INK, align="center")
    area.y_title(["Row"], left - 48)
    return raster.png()


def _ticks(pixels: slice) -> range:
    first = -(-pixels.start // TICK_PIXELS) * TICK_PIXELS
    return range(first, pixels.stop, TICK_PIXELS)

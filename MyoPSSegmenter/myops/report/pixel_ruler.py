"""A slice with rulers in pixels, from which a place for the command line can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from myops import labels as regions
from myops.report.canvas import INK, RULE, new_chart, png
from myops.report.colors import COLORS
from myops.report.panels import heart_crop, window

if TYPE_CHECKING:
    from myops.case import Case

TICK_PIXELS = 10


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
    figure = new_chart(5.0, 5.0)
    axes = figure.add_axes((0.1, 0.04, 0.88, 0.86))
    extent = (columns.start - 0.5, columns.stop - 0.5, rows.stop - 0.5, rows.start - 0.5)
    axes.imshow(gray, cmap="gray", vmin=0, vmax=1, extent=extent, aspect=y_mm / x_mm)
    axes.contour(
        np.arange(columns.start, columns.stop),
        np.arange(rows.start, rows.stop),
        regions.lv_region(labels[index, rows, columns]),
        levels=[0.5],
        colors=[COLORS["lv_region"]],
        linewidths=0.9,
    )
    axes.set_xticks(_ticks(columns))
    axes.set_yticks(_ticks(rows))
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("Column", color=INK, fontsize=9)
    axes.set_ylabel("Row", color=INK, fontsize=9)
    axes.tick_params(colors=INK, labelsize=7)
    axes.grid(color=RULE, alpha=0.3, linewidth=0.5)
    return index, png(figure)


def _ticks(pixels: slice) -> range:
    first = -(-pixels.start // TICK_PIXELS) * TICK_PIXELS
    return range(first, pixels.stop, TICK_PIXELS)

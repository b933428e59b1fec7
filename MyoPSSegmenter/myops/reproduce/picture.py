"""One test patient as every row sees it, beside the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from myops import labels as regions
from myops.geometry.masks import bounding_box
from myops.io.atomic import write_bytes
from myops.report.canvas import new_chart, png
from myops.report.lettering import shortened
from myops.reproduce.cohort import TestCase
from myops.reproduce.rows import PaperTable
from myops.structures import ASSESSABLE, STRUCTURES

COLUMNS = 4
MARGIN_MM = 15.0
COLORS = {name: STRUCTURES[name].color for name in ("lv_region", *ASSESSABLE)}


@dataclass(frozen=True)
class Answers:
    """A test patient and the label maps (uint16 (z, y, x)) of the rows by name."""

    test: TestCase
    labels: Mapping[str, np.ndarray]


def draw(path: Path, table: PaperTable, answers: Answers) -> Path:
    """Draw the slice with the largest scar: the truth first, then every row, as PNG.

    Args:
        path: the picture.
        table: names the rows' order.
        answers: what is drawn: LV outline, scar and edema in the colors of the table.
    """
    test = answers.test
    index = int(regions.scar(test.truth).sum(axis=(1, 2)).argmax())
    shown = [("truth", test.truth)]
    shown += [(row.name, answers.labels[row.name]) for row in table.rows if row.measures]
    lines = -(-len(shown) // COLUMNS)
    figure = new_chart(3 * COLUMNS, 3.3 * lines, layout="constrained")
    column_mm, row_mm, _ = test.case.geometry.spacing_mm
    margins = [round(MARGIN_MM / pixel_mm) for pixel_mm in (row_mm, column_mm)]
    window = bounding_box(regions.lv_region(test.truth)[index], margins)
    image = test.case.images["lge"][index][window]
    for place, (name, labels) in enumerate(shown, start=1):
        axis = figure.add_subplot(lines, COLUMNS, place)
        low, high = np.percentile(image, (1, 99))
        axis.imshow(image, cmap="gray", vmin=low, vmax=max(high, low + 1e-6))
        for region, color in COLORS.items():
            mask = STRUCTURES[region].mask(labels[index][window])
            if mask.any() and not mask.all():
                axis.contour(mask, levels=[0.5], colors=[color], linewidths=1.2)
        axis.set_title(name, fontsize=9)
        axis.set_axis_off()
    name = shortened(test.name, 40)
    figure.suptitle(f"{name}, LGE: left ventricle blue, edema yellow, scar orange", fontsize=9)
    return write_bytes(path, png(figure))

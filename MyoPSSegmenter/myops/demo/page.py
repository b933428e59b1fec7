"""Pictures of a correction by clicks: one PNG per click, and the page of the demonstration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from myops import __version__
from myops import labels as regions
from myops.demo.result import table
from myops.io.number_text import number, signed
from myops.io.readable import encoded
from myops.quantify.mass import dice
from myops.report.canvas import new_chart, png
from myops.report.colors import COLORS
from myops.report.figures import INK
from myops.report.montage import BACKGROUND
from myops.report.pages import embedded, page_template
from myops.report.panels import heart_crop, window
from myops.report.raster import DPI, LineStyle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from myops.demo.result import Demo, DemoStage

# Colors of tissues that these pictures do not show.
TRUTH, AUTOMATIC, PRESENT = COLORS["lv_region"], COLORS["edema"], COLORS["scar"]
PANEL_INCHES = 4.2
HEADER_INCHES, FOOTER_INCHES = 0.62, 0.42
TRUTH_ALPHA = 0.45
LINES: dict[str, tuple[str, LineStyle]] = {
    "Automatic": (AUTOMATIC, "dashed"),
    "Corrected": (PRESENT, "solid"),
}


def write_demo(folder: Path, demo: Demo) -> None:
    """Write `click_1.png` and so on, and `demo.html` with all of them and the numbers.

    Args:
        folder: exists; files of these names are replaced.
        demo: the corrected patient.
    """
    from myops.io.atomic import write_bytes

    pictures = [click_picture(demo, number) for number in range(1, len(demo.stages))]
    files = {f"click_{number}.png": picture for number, picture in enumerate(pictures, start=1)}
    files["demo.html"] = encoded(render_demo(demo, pictures))
    for name, content in files.items():
        write_bytes(folder / name, content)


def click_picture(demo: Demo, number: int) -> bytes:
    """One click: the LGE alone, the scar before it, and after it, as PNG.

    Args:
        demo: the corrected patient.
        number: of the click, counted from 1.
    """
    before, after = demo.stages[number - 1], demo.stages[number]
    index = after.slice_index
    assert index is not None
    figure, (plain, left, right) = _canvas()
    for axes in (plain, left, right):
        _show(axes, demo, index)
    _outline(left, demo, before, index)
    _outline(right, demo, after, index)
    _mark(left, demo, demo.stages[number : number + 1], index)
    _mark(right, demo, demo.stages[1 : number + 1], index)
    clicked = after.click is not None and after.click.positive
    names = (
        f"LGE, slice {index + 1}",
        f"Before click {number}" if number > 1 else "Automatic",
        f"After click {number} ({'+ adds' if clicked else '− removes'} scar)",
    )
    for axes, name, stage in zip((plain, left, right), names, (None, before, after)):
        overlap = "" if stage is None else f": Dice in this slice {_dice(demo, stage, index)}"
        axes.set_title(name + overlap, color=INK, size=11, pad=6)
    _legend(figure)
    figure.text(0.012, 0.955, f"Synthetic patient {demo.seed}", color=INK, size=12, weight="bold")
    return png(figure)


def render_demo(demo: Demo, pictures: list[bytes]) -> str:
    """Write the page: what was done, the numbers, the pictures inside it.

    Args:
        demo: the corrected patient.
        pictures: PNG of every click.
    """
    return page_template("demo.html.j2").render(
        seed=demo.seed,
        version=__version__,
        rows=table(demo),
        errors=[signed(stage.scar_mass_g - demo.true_mass_g) for stage in demo.stages],
        pictures=[embedded(picture) for picture in pictures],
    )


def _canvas() -> tuple[Figure, list[Axes]]:
    """Three square panels side by side on a dark ground."""
    width, height = 3 * PANEL_INCHES, PANEL_INCHES + HEADER_INCHES + FOOTER_INCHES
    figure = new_chart(width, height, DPI, BACKGROUND)
    tall = PANEL_INCHES / height
    panels = []
    for column in range(3):
        place = (column / 3 + 0.003, FOOTER_INCHES / height, 1 / 3 - 0.006, tall)
        panels.append(figure.add_axes(place))
        panels[-1].set_axis_off()
    return figure, panels


def _show(axes: Axes, demo: Demo, index: int) -> None:
    """The LGE of a slice around the left ventricle, in mm, row 0 on top."""
    rows, columns = _box(demo)
    x_mm, y_mm, _ = demo.case.geometry.spacing_mm
    cut, heart = (array[index, rows, columns] for array in (demo.case.images["lge"], demo.truth))
    gray = window(cut[None], heart > 0)[0]
    extent = (
        (columns.start - 0.5) * x_mm,
        (columns.stop - 0.5) * x_mm,
        (rows.stop - 0.5) * y_mm,
        (rows.start - 0.5) * y_mm,
    )
    axes.imshow(gray, cmap="gray", vmin=0, vmax=1, extent=extent, interpolation="bicubic")


def _box(demo: Demo) -> tuple[slice, slice]:
    """Rows and columns around the left ventricle of truth and automatic result."""
    x_mm, y_mm, _ = demo.case.geometry.spacing_mm
    seen = regions.lv_region(demo.truth) | regions.lv_region(demo.stages[0].labels)
    return heart_crop(seen, (x_mm, y_mm))


def _outline(axes: Axes, demo: Demo, stage: DemoStage, index: int) -> None:
    """Fill the true scar; outline the automatic one, and the present one if it was corrected."""
    automatic, present = (one.labels[index] for one in (demo.stages[0], stage))
    outlined = {"Automatic": automatic, "Corrected": present}
    if np.array_equal(automatic, present):
        del outlined["Corrected"]
    x_mm, y_mm, _ = demo.case.geometry.spacing_mm
    x, y = np.arange(present.shape[1]) * x_mm, np.arange(present.shape[0]) * y_mm
    limits = axes.get_xlim(), axes.get_ylim()
    axes.contourf(
        x, y, regions.scar(demo.truth[index]), levels=[0.5, 1.5], colors=[TRUTH], alpha=TRUTH_ALPHA
    )
    for name, labels in outlined.items():
        scar = regions.scar(labels)
        if scar.any():
            color, style = LINES[name]
            axes.contour(x, y, scar, levels=[0.5], colors=[color], linewidths=1.7, linestyles=style)
    # A contour widens the axes to the whole slice.
    axes.set(xlim=limits[0], ylim=limits[1])


def _mark(axes: Axes, demo: Demo, stages: tuple[DemoStage, ...], index: int) -> None:
    """The clicks of some stages that lie in this slice, as + and − in a circle."""
    x_mm, y_mm, _ = demo.case.geometry.spacing_mm
    for stage in stages:
        if stage.click is None or stage.slice_index != index:
            continue
        place = (stage.click.column * x_mm, stage.click.row * y_mm)
        color = "#1fa34a" if stage.click.positive else "#d62839"
        axes.plot(*place, "o", color=color, markersize=12, markeredgecolor="white", zorder=5)
        sign = "+" if stage.click.positive else "_"
        axes.plot(*place, sign, color="white", markersize=7, markeredgewidth=2, zorder=6)


def _dice(demo: Demo, stage: DemoStage, index: int) -> str:
    found = dice(regions.scar(stage.labels[index]), regions.scar(demo.truth[index]))
    return number(found, 2)


def _legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Line2D | Patch] = [Patch(color=TRUTH, alpha=TRUTH_ALPHA, label="True scar")]
    handles += [
        Line2D([], [], color=color, linewidth=1.7, linestyle=style, label=f"{name} scar")
        for name, (color, style) in LINES.items()
    ]
    figure.legend(
        handles=handles, loc="lower center", ncols=3, frameon=False, labelcolor=INK, fontsize=10
    )

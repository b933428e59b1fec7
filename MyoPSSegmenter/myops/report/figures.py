"""Pictures of a case: all slices in one overview, and one strip per slice for the report.

Figures are made without pyplot, which holds global state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from myops.quantify.thresholds.methods import RULES
from myops.report.canvas import new_chart, png
from myops.report.colors import COLORS, NAMES
from myops.report.lettering import fitted
from myops.report.montage import BACKGROUND, LINES, Cell, corner_mm, draw, mosaic_mm, tile_mm
from myops.report.panels import TileStack
from myops.structures import STRUCTURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#e8ecf2"
DPI = 100
SCALE_BAR_MM = 20
LEGEND_ENTRY_PX = 190
# Width at which a page shows a strip: its letters and lines grow with what is shrunk to it.
STRIP_SHOWN_PX = 1000
WIDTH_TO_HEIGHT = 1.5
# Beyond this a picture of every slice can no longer be read.
MOST_SLICES = 30


def overview(tiles: TileStack, title: str, tile_px: int = 220) -> bytes:
    """All slices (rows) by sequences and contours (columns), as PNG.

    Rows are folded into blocks side by side so that the picture is about as wide as a screen.
    Beyond 30 slices, 30 evenly spaced ones are shown and the title says so.
    """
    shown = {name: column for name, column in tiles.columns.items() if name != "uncertainty"}
    tiles, columns = replace(tiles, columns=shown), list(shown)
    slices = shown_slices(tiles.slices)
    if len(slices) < tiles.slices:
        title += f" ({len(slices)} of {tiles.slices} slices)"
    grid = _folded(slices, columns, _tile_ratio(tiles))
    figure, axes = _canvas(
        tiles, grid, tile_px, header_px=64, footer_px=_legend_px(tiles, grid, tile_px)
    )
    draw(axes, tiles, grid)
    _name_columns(axes, tiles, grid)
    _number_slices(axes, tiles, grid)
    _scale_bar(axes, tiles, len(grid))
    height_px = figure.get_figheight() * DPI
    title = fitted(title, 0.984 * figure.get_figwidth() * 72, 13, bold=True)
    figure.text(0.008, 1 - 20 / height_px, title, color=INK, size=13, weight="bold", va="center")
    _legend(figure, tiles)
    return png(figure)


def strip(tiles: TileStack, index: int, tile_px: int = 230) -> bytes:
    """One slice, every column with its name in the corner, as PNG."""
    grid: list[list[Cell]] = [[(index, name) for name in tiles.columns]]
    figure, axes = _canvas(tiles, grid, tile_px, header_px=0, footer_px=0)
    scale = max(1.0, tile_px * len(tiles.columns) / STRIP_SHOWN_PX)
    draw(axes, tiles, grid, scale)
    for column, name in enumerate(tiles.columns):
        left_mm, top_mm = corner_mm(tiles, 0, column)
        _label(axes, left_mm, top_mm, tiles.columns[name].title, scale)
    _scale_bar(axes, tiles, 1, scale)
    return png(figure)


def shown_slices(count: int) -> list[int]:
    """Indices of the slices a picture shows: all, or 30 evenly spaced."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, MOST_SLICES))})


def legend_names(tiles: TileStack) -> dict[str, str]:
    """Region -> words, for every outline that these pictures can show.

    What most label maps do not mark (microvascular obstruction) is named only where it occurs.
    """
    outlines = [item for column in tiles.columns.values() for item in column.outlines.items()]
    drawn = {region for region, mask in outlines if not _is_optional(region) or mask.any()}
    names = {region: NAMES[region] for region in LINES if region in drawn}
    if tiles.fwhm_rule is not None and "fwhm" in names:
        names["fwhm"] = RULES[tiles.fwhm_rule].title
    return names


def _is_optional(region: str) -> bool:
    return region in STRUCTURES and STRUCTURES[region].optional


def _folded(slices: Sequence[int], columns: Sequence[str], tile_ratio: float) -> list[list[Cell]]:
    """Rows of cells: slices run down, then into the next block to the right."""
    count = len(slices)

    def misfit(blocks: int) -> float:
        wide, tall = blocks * len(columns) * tile_ratio, -(-count // blocks)
        return abs(float(np.log(wide / tall / WIDTH_TO_HEIGHT)))

    blocks = min(range(1, count + 1), key=misfit)
    tall = -(-count // blocks)
    blocks = -(-count // tall)
    return [
        [
            (slices[row + block * tall], name) if row + block * tall < count else None
            for block in range(blocks)
            for name in columns
        ]
        for row in range(tall)
    ]


def _tile_ratio(tiles: TileStack) -> float:
    width_mm, height_mm = tile_mm(tiles)
    return width_mm / height_mm


def _canvas(
    tiles: TileStack, grid: list[list[Cell]], tile_px: int, header_px: int, footer_px: int
) -> tuple[Figure, Axes]:
    """A figure of exact pixel size with one axes in mm, row 0 on top."""
    right_mm, bottom_mm = mosaic_mm(tiles, grid)
    width_px = len(grid[0]) * tile_px
    body_px = width_px * bottom_mm / right_mm
    height_px = body_px + header_px + footer_px
    figure = new_chart(width_px / DPI, height_px / DPI, DPI, BACKGROUND)
    axes = figure.add_axes((0.0, footer_px / height_px, 1.0, body_px / height_px))
    axes.set_axis_off()
    return figure, axes


def _name_columns(axes: Axes, tiles: TileStack, grid: list[list[Cell]]) -> None:
    width_mm, _ = tile_mm(tiles)
    for column, cell in enumerate(grid[0]):
        if cell is not None:
            left_mm, _ = corner_mm(tiles, 0, column)
            center = (left_mm + width_mm / 2, -2.0)
            title = tiles.columns[cell[1]].title
            axes.text(*center, title, color=INK, size=10, ha="center", va="bottom")


def _number_slices(axes: Axes, tiles: TileStack, grid: list[list[Cell]]) -> None:
    """The slice's number in the first tile of each block."""
    first = next(iter(tiles.columns))
    for row, cells in enumerate(grid):
        for column, cell in enumerate(cells):
            if cell is not None and cell[1] == first:
                _label(axes, *corner_mm(tiles, row, column), str(cell[0] + 1))


def _label(axes: Axes, left_mm: float, top_mm: float, text: str, scale: float = 1.0) -> None:
    """White text with a dark rim in a tile's upper left corner: readable on any image."""
    from matplotlib.patheffects import withStroke

    axes.text(
        left_mm + 2.0,
        top_mm + 2.0,
        text,
        color="white",
        size=9 * scale,
        ha="left",
        va="top",
        path_effects=[withStroke(linewidth=2 * scale, foreground="black")],
    )


def _scale_bar(axes: Axes, tiles: TileStack, rows: int, scale: float = 1.0) -> None:
    """A bar of 20 mm in the lower left tile; all tiles have the same scale."""
    from matplotlib.patheffects import withStroke

    if not tiles.spacing_known:
        return
    _, height_mm = tile_mm(tiles)
    left_mm, top_mm = corner_mm(tiles, rows - 1, 0)
    bottom_mm = top_mm + height_mm - 4.0
    rim = [withStroke(linewidth=4 * scale, foreground="black")]
    axes.plot(
        [left_mm + 4.0, left_mm + 4.0 + SCALE_BAR_MM],
        [bottom_mm, bottom_mm],
        color="white",
        linewidth=2 * scale,
        solid_capstyle="butt",
        path_effects=rim,
    )
    axes.text(
        left_mm + 4.0,
        bottom_mm - 1.5,
        f"{SCALE_BAR_MM} mm",
        color="white",
        size=8 * scale,
        ha="left",
        va="bottom",
        path_effects=[withStroke(linewidth=2 * scale, foreground="black")],
    )


def _legend(figure: Figure, tiles: TileStack) -> None:
    """One line for every outline."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=COLORS[name], linestyle=LINES[name][1], linewidth=2, label=words)
        for name, words in legend_names(tiles).items()
    ]
    figure.legend(
        handles=handles,
        loc="lower center",
        ncols=_legend_columns(figure.get_figwidth() * DPI),
        frameon=False,
        labelcolor=INK,
        fontsize=9,
    )


def _legend_columns(width_px: float) -> int:
    return max(1, int(width_px // LEGEND_ENTRY_PX))


def _legend_px(tiles: TileStack, grid: list[list[Cell]], tile_px: int) -> int:
    """Height of the legend below the tiles: narrow pictures need more rows."""
    entries = len(legend_names(tiles))
    rows = -(-entries // _legend_columns(len(grid[0]) * tile_px))
    return 24 + 20 * rows

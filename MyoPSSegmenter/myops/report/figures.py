"""Pictures of a case: all slices in one overview, and one strip per slice for the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from myops.quantify.thresholds.methods import RULES
from myops.report.colors import COLORS, NAMES
from myops.report.lettering import fitted, width_of
from myops.report.montage import BACKGROUND, LINES, Cell, Mosaic, draw
from myops.report.panels import TileStack
from myops.report.raster import DPI, Raster, encoded_png
from myops.structures import STRUCTURES

INK, WHITE = "#e8ecf2", "#ffffff"
SCALE_BAR_MM = 20
LEGEND_ENTRY_PX = 190
HEADER_PX = 64
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
    mosaic = Mosaic(tiles, grid, len(grid[0]) * tile_px, HEADER_PX)
    above_legend = HEADER_PX + mosaic.height
    raster = Raster(mosaic.width, above_legend + _legend_px(tiles, mosaic.width), BACKGROUND)
    draw(raster, mosaic)
    _name_columns(raster, mosaic)
    _number_slices(raster, mosaic)
    _scale_bar(raster, mosaic, above_legend)
    title = fitted(title, 0.984 * mosaic.width * 72 / DPI, 13, bold=True)
    raster.words(title, 0.008 * mosaic.width, 26, 13, INK, bold=True)
    _legend(raster, tiles, above_legend)
    return raster.png()


def strip(tiles: TileStack, index: int, tile_px: int = 230) -> bytes:
    """One slice, every column with its name in the corner, as PNG."""
    return strips(tiles, [index], tile_px)[0]


def strips(tiles: TileStack, slices: Sequence[int], tile_px: int = 230) -> list[bytes]:
    """One PNG per slice: every column with its name in the corner.

    They are drawn below each other in one picture, which is then cut.
    """
    grid: list[list[Cell]] = [[(index, name) for name in tiles.columns] for index in slices]
    mosaic = Mosaic(tiles, grid, len(tiles.columns) * tile_px)
    scale = max(1.0, mosaic.width / STRIP_SHOWN_PX)
    raster = Raster(mosaic.width, mosaic.height, BACKGROUND)
    draw(raster, mosaic, scale)
    height = Mosaic(tiles, grid[:1], mosaic.width).height
    found = []
    for row in range(len(slices)):
        for column, name in enumerate(tiles.columns):
            _label(raster, mosaic.place(row, column), tiles.columns[name].title, mosaic, scale)
        top = min(round(mosaic.place(row, 0)[1]), mosaic.height - height)
        _scale_bar(raster, mosaic, top + height, scale)
        found.append(encoded_png(raster.pixels[top : top + height]))
    return found


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
    _, height, width = tiles.shape
    x_mm, y_mm = tiles.pixel_mm
    return (width * x_mm) / (height * y_mm)


def _name_columns(raster: Raster, mosaic: Mosaic) -> None:
    half_tile = mosaic.tiles.shape[2] / 2
    baseline = mosaic.top - 2.0 * mosaic.px_per_mm - _descent_px(10)
    for column, cell in enumerate(mosaic.grid[0]):
        if cell is not None:
            x, _ = mosaic.place(0, column, half_tile)
            title = mosaic.tiles.columns[cell[1]].title
            raster.words(title, x, baseline, 10, INK, align="center")


def _number_slices(raster: Raster, mosaic: Mosaic) -> None:
    """The slice's number in the first tile of each block."""
    first = next(iter(mosaic.tiles.columns))
    for row, cells in enumerate(mosaic.grid):
        for column, cell in enumerate(cells):
            if cell is not None and cell[1] == first:
                _label(raster, mosaic.place(row, column), str(cell[0] + 1), mosaic)


def _label(
    raster: Raster, corner: tuple[float, float], text: str, mosaic: Mosaic, scale: float = 1.0
) -> None:
    """White text with a dark rim in a tile's upper left corner: readable on any image."""
    inset = 2.0 * mosaic.px_per_mm
    x, baseline = corner[0] + inset, corner[1] + inset + _ascent_px(9 * scale)
    raster.words(text, x, baseline, 9 * scale, WHITE, rim=2 * scale)


def _scale_bar(raster: Raster, mosaic: Mosaic, bottom: int, scale: float = 1.0) -> None:
    """A bar of 20 mm in the left tile that ends at a row; all tiles have the same scale."""
    if not mosaic.tiles.spacing_known:
        return
    mm = mosaic.px_per_mm
    x, y = 4.0 * mm, bottom - 4.0 * mm
    ends = np.array([(x, y), (x + SCALE_BAR_MM * mm, y)])
    raster.line(ends, None, "#000000", 4 * scale)
    raster.line(ends, None, WHITE, 2 * scale)
    baseline = y - 1.5 * mm - _descent_px(8 * scale)
    raster.words(f"{SCALE_BAR_MM} mm", x, baseline, 8 * scale, WHITE, rim=2 * scale)


def _legend(raster: Raster, tiles: TileStack, top: int) -> None:
    """One line for every outline, in centered columns."""
    names = list(legend_names(tiles).items())
    columns = _legend_columns(raster.width)
    rows = [names[first : first + columns] for first in range(0, len(names), columns)]
    widest = max((width_of(words, 9) for _, words in names), default=0.0) * DPI / 72
    each = min(LEGEND_ENTRY_PX, 36 + widest + 24)
    left = (raster.width - each * min(columns, len(names))) / 2
    for row, entries in enumerate(rows):
        y = top + 22 + 20 * row
        for column, (name, words) in enumerate(entries):
            x = left + each * column
            ends = np.array([(x, y), (x + 26, y)])
            raster.line(ends, None, COLORS[name], 2, LINES[name][1])
            raster.words(words, x + 36, y + 4, 9, INK)


def _ascent_px(size: float) -> float:
    """From the top of a line of DejaVu Sans to its baseline."""
    return 0.76 * size * DPI / 72


def _descent_px(size: float) -> float:
    """From the baseline of a line of DejaVu Sans to its lower edge."""
    return 0.24 * size * DPI / 72


def _legend_columns(width_px: float) -> int:
    return max(1, int(width_px // LEGEND_ENTRY_PX))


def _legend_px(tiles: TileStack, width_px: int) -> int:
    """Height of the legend below the tiles: narrow pictures need more rows."""
    rows = -(-len(legend_names(tiles)) // _legend_columns(width_px))
    return 24 + 20 * rows

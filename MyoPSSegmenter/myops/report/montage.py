"""Many tiles in one array: one image and one outline per color for a whole picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from myops.geometry.masks import bounding_box
from myops.report.colors import COLORS
from myops.report.panels import TileStack
from myops.report.raster import LineStyle, Raster, rgb_bytes
from myops.structures import STRUCTURES

BACKGROUND = "#0c0f14"
GAP_MM = 2.0
# Line width in points and style; drawn in this order, the wide below the narrow.
LINES: dict[str, tuple[float, LineStyle]] = {
    "right_ventricle": (1.0, "solid"),
    "lv_region": (1.9, "solid"),
    "myocardium": (0.8, "solid"),
    "remote": (1.1, "dotted"),
    "edema_automatic": (1.1, "dashed"),
    "edema": (1.3, "solid"),
    "scar": (1.3, "solid"),
    "mvo": (0.9, "solid"),
    "fwhm": (1.2, "dashed"),
}
LINES |= {name: (1.1, "solid") for name in STRUCTURES if name not in LINES}

# Slice index and column name of a tile; None leaves its place empty.
Cell = tuple[int, str] | None


@dataclass(frozen=True)
class Mosaic:
    """Where the tiles of a grid lie in a picture.

    Attributes:
        tiles: what is drawn.
        grid: rows of tiles.
        width: of the picture in pixels; the tiles fill it.
        top: rows of the picture above the first tile.
    """

    tiles: TileStack
    grid: list[list[Cell]]
    width: int
    top: int = 0

    @property
    def gap(self) -> tuple[int, int]:
        """Voxels of background between tiles, across and down."""
        x_mm, y_mm = self.tiles.pixel_mm
        return max(1, round(GAP_MM / x_mm)), max(1, round(GAP_MM / y_mm))

    @property
    def size(self) -> tuple[int, int]:
        """Voxels of all tiles and gaps, across and down."""
        _, height, width = self.tiles.shape
        gap_x, gap_y = self.gap
        across, down = len(self.grid[0]), len(self.grid)
        return across * (width + gap_x) - gap_x, down * (height + gap_y) - gap_y

    @property
    def px_per_mm(self) -> float:
        """Pixels of the picture per mm."""
        return self.width / (self.size[0] * self.tiles.pixel_mm[0])

    @property
    def px_per_voxel(self) -> tuple[float, float]:
        """Pixels of the picture per voxel, across and down."""
        return self.width / self.size[0], self.height / self.size[1]

    @property
    def height(self) -> int:
        """Rows of the picture that the tiles take."""
        return max(1, round(self.size[1] * self.tiles.pixel_mm[1] * self.px_per_mm))

    def first_voxel(self, row: int, column: int) -> tuple[int, int]:
        """A tile's first voxel in the mosaic, x and y."""
        _, height, width = self.tiles.shape
        return column * (width + self.gap[0]), row * (height + self.gap[1])

    def place(self, row: int, column: int, x: float = 0.0, y: float = 0.0) -> tuple[float, float]:
        """Where a point of a tile is in the picture; x and y in voxels from its corner."""
        left, top = self.first_voxel(row, column)
        across, down = self.px_per_voxel
        return (left + x) * across, self.top + (top + y) * down


def _joined(mosaic: Mosaic, region: str | None = None) -> np.ndarray:
    """The tiles of a grid in one array: colors as uint8, or one region's outlines as bool."""
    tiles, (wide, tall) = mosaic.tiles, mosaic.size
    _, height, width = tiles.shape
    full = np.zeros((tall, wide), bool) if region else _background(tall, wide)
    for row, cells in enumerate(mosaic.grid):
        for place, cell in enumerate(cells):
            if cell is None:
                continue
            index, column = cell[0], tiles.columns[cell[1]]
            source = column.outlines.get(region) if region else column.picture
            if source is not None:
                left, top = mosaic.first_voxel(row, place)
                full[top : top + height, left : left + width] = source[index]
    return full


def _background(tall: int, wide: int) -> np.ndarray:
    return np.broadcast_to(np.array(rgb_bytes(BACKGROUND), np.uint8), (tall, wide, 3)).copy()


def draw(raster: Raster, mosaic: Mosaic, scale: float = 1.0) -> None:
    """The pictures, one outline per region, and the clicks; `scale` widens the lines."""
    raster.image(_joined(mosaic), 0, mosaic.top, mosaic.width, mosaic.height)
    for region, (width, style) in LINES.items():
        mask = _joined(mosaic, region)
        if mask.any():
            places, codes = outline(mask)
            places = (places + 0.5) * mosaic.px_per_voxel + (0, mosaic.top)
            raster.line(places, codes, COLORS[region], width * scale, style)
    for row, cells in enumerate(mosaic.grid):
        for column, cell in enumerate(cells):
            if cell is None:
                continue
            for mark in mosaic.tiles.columns[cell[1]].marks:
                if mark.slice_index == cell[0]:
                    place = mosaic.place(row, column, mark.column + 0.5, mark.row + 0.5)
                    _mark(raster, place, mark.positive, scale)


def outline(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The border between a mask and what is outside it, half way between their voxels.

    Args:
        mask: bool (h, w), with some voxel; it is not closed along the array's edge.

    Returns:
        float (n, 2), x and y in voxels, centers at whole numbers; and codes of
        `matplotlib.path.Path`.
    """
    from contourpy import contour_generator

    rows, columns = bounding_box(mask, margin=1)
    found = contour_generator(z=mask[rows, columns].astype(float), line_type="SeparateCode")
    # Of this line type a pair of lists: places (n, 2) and codes (n,) of every line.
    pair: Any = found.lines(0.5)
    lines, codes = pair
    if not lines:
        return np.empty((0, 2)), np.empty(0, np.uint8)
    corner = np.array([columns.start, rows.start])
    return np.concatenate(lines) + corner, np.concatenate(codes)


def _mark(raster: Raster, place: tuple[float, float], positive: bool, scale: float) -> None:
    """A disc with + or −."""
    x, y = place
    raster.disc(x, y, 6.5 * scale, "#000000", "#ffffff", 0.8 * scale)
    arm = raster.px(4.5 * scale) / 2
    ends = np.array([(x - arm, y), (x + arm, y)])
    raster.line(ends, None, "#ffffff", 1.2 * scale)
    if positive:
        raster.line(np.array([(x, y - arm), (x, y + arm)]), None, "#ffffff", 1.2 * scale)

"""Bodies whose volume, scar and transmurality follow from a formula, sampled on any grid.

The wall lies between two radii. Scar fills a sector of it from the endocardium outward:

- shell: between two spheres, whole inside the stack;
- cylinder: a tube of finite length, whole inside the stack, its axis along the stack;
- tilted: a tube longer than the stack, its axis at 20 degrees to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from oblique import DOWN, RIGHT
from scipy.special import ellipe

from myops.geometry.canonical import canonical_grid, to_canonical
from myops.geometry.grid import Geometry
from myops.labels import MYOPS

BOTH = frozenset({"scar", "edema"})
Kind = Literal["shell", "cylinder", "tilted"]
KINDS: tuple[Kind, ...] = ("shell", "cylinder", "tilted")


@dataclass(frozen=True)
class AnalyticHeart:
    """A body; lengths in mm, volumes in mL.

    Attributes:
        kind: see the module.
        inner_mm, outer_mm: endocardial and epicardial radius.
        length_mm: of the cylinder, and of the stack in "tilted".
        scar_deg: opening of the sector with scar.
        scar_depth: its share of the wall's thickness.
    """

    kind: Kind
    inner_mm: float = 20.0
    outer_mm: float = 30.0
    length_mm: float = 83.0
    scar_deg: float = 90.0
    scar_depth: float = 0.7

    @property
    def tilt(self) -> float:
        """Angle between the body's axis and the stack, in radians."""
        return np.radians(20.0) if self.kind == "tilted" else 0.0

    @property
    def scar_mm(self) -> float:
        """Radius that the scar reaches."""
        return self.inner_mm + self.scar_depth * (self.outer_mm - self.inner_mm)

    @property
    def lv_ml(self) -> float:
        return self._between_ml(self.outer_mm)

    @property
    def scar_ml(self) -> float:
        return self._between_ml(self.scar_mm) * self.scar_deg / 360

    def _between_ml(self, radius_mm: float) -> float:
        """Volume from the endocardium to a radius."""
        if self.kind == "shell":
            return 4 / 3 * np.pi * (radius_mm**3 - self.inner_mm**3) / 1000
        area_mm2 = np.pi * (radius_mm**2 - self.inner_mm**2) / np.cos(self.tilt)
        return area_mm2 * self.length_mm / 1000

    @cached_property
    def transmurality_percent(self) -> float:
        """Mean over the slices with a cavity of the scar's share of a chord that has scar.

        Along a ray from the center the distance to the axis grows evenly in a tube, tilted or not.
        In a slice through a shell, at height z, the radii are sqrt(r^2 - z^2).
        """
        if self.kind != "shell":
            return 100 * self.scar_depth
        edges = np.linspace(0, self.inner_mm, 100_001)
        z = (edges[:-1] + edges[1:]) / 2
        inner, scar, outer = (
            np.sqrt(radius**2 - z**2) for radius in (self.inner_mm, self.scar_mm, self.outer_mm)
        )
        return float(100 * ((scar - inner) / (outer - inner)).mean())

    @property
    def endocardium_cm2(self) -> float:
        """Endocardial length times slice distance: the integral over z of the slices' outlines."""
        if self.kind == "shell":
            return np.pi**2 * self.inner_mm**2 / 100
        long_mm = self.inner_mm / np.cos(self.tilt)
        outline_mm = 4 * long_mm * ellipe(1 - (self.inner_mm / long_mm) ** 2)
        return outline_mm * self.length_mm / 100

    def sampled(
        self, spacing_mm: tuple[float, float, float], rng: np.random.Generator
    ) -> tuple[np.ndarray, Geometry]:
        """Labels at the voxel centers of an oblique stack, placed and turned at random.

        Args:
            spacing_mm: (x, y, z).
            rng: gives the turn of the image and where the body lies between the voxels.

        Returns:
            uint16 (z, y, x) and the grid, both canonical as in a `Case`. In "tilted" the length of
            the stack is a whole number of slices: take `length_mm` as a multiple of the distance.
        """
        grid = self._grid(spacing_mm, rng.uniform(0, 2 * np.pi))
        center = (np.array(grid.size_xyz) - 1) / 2 + rng.uniform(-0.5, 0.5, 3)
        indices = np.moveaxis(np.indices(grid.array_shape)[::-1], 0, -1)
        away = grid.position_mm(indices) - grid.position_mm(center)
        original = canonical_grid(grid)
        return to_canonical(self._labels(away), original), original.canonical_geometry

    def _grid(self, spacing_mm: tuple[float, float, float], turn: float) -> Geometry:
        right = np.cos(turn) * RIGHT + np.sin(turn) * DOWN
        down = -np.sin(turn) * RIGHT + np.cos(turn) * DOWN
        direction = np.stack([right, down, np.cross(right, down)], axis=1)
        across_mm = 2 * self.outer_mm + 15 + self.length_mm * np.sin(self.tilt)
        along_mm = self.length_mm if self.kind != "shell" else 2 * self.outer_mm
        x_mm, y_mm, z_mm = spacing_mm
        spare = 0 if self.kind == "tilted" else 3
        size = (round(across_mm / x_mm), round(across_mm / y_mm), round(along_mm / z_mm) + spare)
        return Geometry(size, spacing_mm, (12.0, -30.0, 55.0), tuple(direction.ravel().tolist()))

    def _labels(self, away_mm: np.ndarray) -> np.ndarray:
        """Labels of places (..., 3), LPS mm from the body's center."""
        normal = np.cross(RIGHT, DOWN)
        axis = np.cos(self.tilt) * normal + np.sin(self.tilt) * RIGHT
        first, second = DOWN, np.cross(axis, DOWN)
        along = away_mm @ axis
        x, y = away_mm @ first, away_mm @ second
        radius = np.sqrt(x**2 + y**2 + (along**2 if self.kind == "shell" else 0))
        outside = radius >= self.outer_mm
        if self.kind == "cylinder":
            outside |= np.abs(along) >= self.length_mm / 2
        angle = np.degrees(np.arctan2(y, x)) % 360
        scarred = (radius < self.scar_mm) & (angle < self.scar_deg)
        labels = np.where(scarred, MYOPS["scar"], MYOPS["normal_myocardium"])
        labels[radius < self.inner_mm] = MYOPS["blood_pool"]
        labels[outside] = 0
        return labels.astype(np.uint16)

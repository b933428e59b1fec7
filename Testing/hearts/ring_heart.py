"""Hearts made of concentric rings with sectors of scar: every regional number is known by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from oblique import DOWN, RIGHT

from myops.geometry.grid import Geometry
from myops.labels import MYOPS

TO_APEX = np.cross(DOWN, RIGHT)
BOTH = frozenset({"scar", "edema"})


@dataclass(frozen=True)
class Sector:
    """Diseased wall; angles from the anterior insertion through the septum, depths from inside.

    Attributes:
        angles_deg: first and last angle, 0..360.
        depths: first and last depth, 0 endocardium, 1 epicardium.
        slices: first and past-the-last slice, counted from the base.
        value: label.
    """

    angles_deg: tuple[float, float]
    depths: tuple[float, float] = (0.0, 1.0)
    slices: tuple[int, int] = (0, 99)
    value: int = MYOPS["scar"]


@dataclass(frozen=True)
class RingHeart:
    """A cylinder of wall around a cavity, the last slices solid; base first.

    Attributes:
        slices, solid: slices in all, and how many of them are apical cap.
        spacing_mm: (x, y, z).
        inner_mm, outer_mm: endocardial and epicardial radius.
        anterior_deg: anterior insertion as displayed; the septum follows over 120 degrees.
        mirrored: the septum follows clockwise instead of counterclockwise.
        septum: with a right ventricle.
        right_deg: first and last angle of the wall that its label touches.
        narrowing: how much smaller the radii are at the apex, as a share.
    """

    slices: int = 10
    solid: int = 1
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 8.0)
    inner_mm: float = 20.0
    outer_mm: float = 30.0
    anterior_deg: float = 120.0
    mirrored: bool = False
    septum: bool = True
    right_deg: tuple[float, float] = (0.0, 120.0)
    narrowing: float = 0.4

    def labels(self, *sectors: Sector) -> np.ndarray:
        """MyoPS labels, uint16 (z, y, x)."""
        across = 2 * self.outer_mm + 50.0
        shape = tuple(round(across / step) for step in self.spacing_mm[1::-1])
        rows, columns = np.indices(shape, dtype=float)
        up = ((shape[0] - 1) / 2 - rows) * self.spacing_mm[1]
        right = (columns - (shape[1] - 1) / 2) * self.spacing_mm[0]
        radius = np.hypot(up, right)
        turned = np.degrees(np.arctan2(up, right)) - self.anterior_deg
        angle = (-turned if self.mirrored else turned) % 360
        planes = [self._plane(index, radius, angle, sectors) for index in range(self.slices)]
        return np.stack(planes)

    def _plane(self, index, radius, angle, sectors) -> np.ndarray:
        scale = 1 - self.narrowing * index / max(self.slices - 1, 1)
        inner, outer = self.inner_mm * scale, self.outer_mm * scale
        if index >= self.slices - self.solid:
            inner = 0.0
        plane = np.zeros(radius.shape, np.uint16)
        if self.septum:
            first, last = self.right_deg
            touched = (angle - first) % 360 < last - first
            plane[(radius < outer + 15) & touched] = MYOPS["right_ventricle"]
        plane[radius < outer] = MYOPS["normal_myocardium"]
        depth = (radius - inner) / (outer - inner)
        for sector in sectors:
            (first, last), (shallow, deep) = sector.angles_deg, sector.depths
            inside = (angle - first) % 360 < last - first
            inside &= (depth >= shallow) & (depth < deep) & (radius < outer)
            if sector.slices[0] <= index < sector.slices[1]:
                plane[inside] = sector.value
        plane[radius < inner] = MYOPS["blood_pool"]
        return plane

    def geometry(self, turned_deg: float = 0.0) -> Geometry:
        """The stack in a patient.

        Image axes turned counterclockwise by an angle show the heart turned clockwise by it: a
        heart of `anterior_deg` 120 - angle is then the same heart in the same place.
        """
        height, width = self.labels().shape[1:]
        turn = np.radians(turned_deg)
        right = np.cos(turn) * RIGHT - np.sin(turn) * DOWN
        down = np.sin(turn) * RIGHT + np.cos(turn) * DOWN
        direction = np.stack([right, down, TO_APEX], axis=1)
        return Geometry(
            (width, height, self.slices),
            self.spacing_mm,
            (10.0, -20.0, 30.0),
            tuple(float(value) for value in direction.ravel()),
        )

    def without_directions(self) -> Geometry:
        """The stack as a file that lost its directions holds it."""
        height, width = self.labels().shape[1:]
        return Geometry((width, height, self.slices), self.spacing_mm)

    def insertion_click(self, which_deg: float = 0.0, index: int = 2) -> tuple[int, float, float]:
        """Slice, row and column on the epicardium at an angle from the anterior insertion."""
        height, width = self.labels().shape[1:]
        radius = self.outer_mm * (1 - self.narrowing * index / max(self.slices - 1, 1))
        turn = np.radians(self.anterior_deg + (-1 if self.mirrored else 1) * which_deg)
        row = (height - 1) / 2 - np.sin(turn) * radius / self.spacing_mm[1]
        column = (width - 1) / 2 + np.cos(turn) * radius / self.spacing_mm[0]
        return index, float(row), float(column)

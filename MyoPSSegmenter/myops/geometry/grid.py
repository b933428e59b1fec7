"""Where an array lies in the patient: size, spacing, origin and direction in LPS millimeters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import SimpleITK as sitk

ML_PER_MM3 = 1e-3
# Grids of the same image written by two programs differ by the rounding of their headers.
GRID_TOLERANCE_MM = 0.01


@dataclass(frozen=True)
class Geometry:
    """The grid of a volume, in SimpleITK's conventions.

    Attributes:
        size_xyz: number of voxels along x, y, z; the array has the shape (z, y, x).
        spacing_mm: distance between voxel centers along x, y, z.
        origin_mm: LPS position of the center of voxel (0, 0, 0).
        direction: 3x3 matrix, row-major; its columns are the LPS unit vectors of x, y, z.
    """

    size_xyz: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    @property
    def array_shape(self) -> tuple[int, int, int]:
        """Shape (z, y, x) of an array on this grid."""
        x, y, z = self.size_xyz
        return (z, y, x)

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in mL, from center-to-center distances."""
        return float(np.prod(self.spacing_mm)) * ML_PER_MM3

    @property
    def axes(self) -> np.ndarray:
        """Float64 (3, 3): row k is the LPS unit vector of index axis k (x, y, z)."""
        return np.array(self.direction, np.float64).reshape(3, 3).T

    def position_mm(self, index_xyz: np.ndarray) -> np.ndarray:
        """LPS positions (..., 3) in mm of voxel indices (..., 3) in x, y, z order."""
        steps = np.asarray(index_xyz, np.float64) * np.array(self.spacing_mm)
        return np.array(self.origin_mm) + steps @ self.axes

    def index_xyz(self, position_mm: np.ndarray) -> np.ndarray:
        """Continuous voxel indices (..., 3), x, y, z order, of LPS positions (..., 3) in mm."""
        offset = np.asarray(position_mm, np.float64) - np.array(self.origin_mm)
        return offset @ np.linalg.inv(self.axes) / np.array(self.spacing_mm)

    @property
    def is_unset(self) -> bool:
        """True for 1 x 1 x 1 mm at the origin with straight axes: what a lost header leaves."""
        straight = np.abs(np.reshape(self.direction, (3, 3)))
        return bool(
            np.allclose(self.spacing_mm, 1.0, atol=1e-6)
            and np.allclose(self.origin_mm, 0.0, atol=1e-6)
            and np.allclose(straight, np.eye(3), atol=1e-6)
        )

    @property
    def in_words(self) -> str:
        """For a message: size, spacing and origin."""
        size = " x ".join(str(count) for count in self.size_xyz)
        spacing = " x ".join(f"{value:.4g}" for value in self.spacing_mm)
        origin = ", ".join(f"{value:.4g}" for value in self.origin_mm)
        return f"{size} voxels of {spacing} mm from ({origin})"

    def is_same_grid(self, other: Geometry, tolerance_mm: float = 1e-3) -> bool:
        """True when both grids have equal sizes and their eight corners agree within mm."""
        if self.size_xyz != other.size_xyz:
            return False
        corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(self.size_xyz) - 1)
        apart = np.abs(self.position_mm(corners) - other.position_mm(corners)).max()
        # The corners say nothing about the spacing along an axis with a single voxel.
        spacing_apart = np.abs(np.subtract(self.spacing_mm, other.spacing_mm)).max()
        return bool(max(apart, spacing_apart) <= tolerance_mm)


def from_sitk(image: sitk.Image) -> Geometry:
    """Read the grid of a 3D SimpleITK image."""
    width, height, depth = image.GetSize()
    x_mm, y_mm, z_mm = image.GetSpacing()
    left, posterior, superior = image.GetOrigin()
    return Geometry(
        (width, height, depth),
        (x_mm, y_mm, z_mm),
        (left, posterior, superior),
        tuple(image.GetDirection()),
    )


def to_sitk(array: np.ndarray, geometry: Geometry) -> sitk.Image:
    """Make a SimpleITK image of an array (z, y, x) on its grid; bool becomes uint8.

    Raises:
        ValueError: the array's shape is not the grid's.
    """
    import SimpleITK as sitk

    if array.shape != geometry.array_shape:
        raise ValueError(f"expected an array of {geometry.array_shape}, found {array.shape}")
    pixels = array.astype(np.uint8) if array.dtype == bool else np.ascontiguousarray(array)
    image = sitk.GetImageFromArray(pixels)
    image.SetSpacing(geometry.spacing_mm)
    image.SetOrigin(geometry.origin_mm)
    image.SetDirection(geometry.direction)
    return image

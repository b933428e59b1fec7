"""Smooth surfaces of structures for the 3D view, in patient coordinates.

Slices lie 8 to 10 mm apart, pixels 1 to 2 mm: a surface of the voxels would be a staircase. Between
two slices the distance to the border is interpolated, as in Raya and Udupa, "Shape-based
interpolation of multidimensional objects", IEEE TMI 1990. For the eye: no number is measured here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, zoom

from myops.geometry.grid import Geometry

# Finer than this nobody sees, and every vertex travels to the page.
STEP_MM = 2.0
SMOOTHING_VOXELS = 0.6
MARGIN_PIXELS = 4
LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Surface:
    """A closed surface of triangles.

    Attributes:
        points: float64 (n, 3), mm, RAS.
        triangles: int64 (m, 3), indices of points, counterclockwise from outside.
    """

    points: np.ndarray
    triangles: np.ndarray


def surface_of(mask: np.ndarray, geometry: Geometry) -> Surface | None:
    """The surface of a mask; None where it is empty.

    Args:
        mask: bool (z, y, x) on the grid.
        geometry: of the grid.
    """
    if not mask.any():
        return None
    x_mm, y_mm, z_mm = geometry.spacing_mm
    first, part = _cut_out(mask)
    field = np.stack([_distances(plane, y_mm, x_mm, z_mm / 2) for plane in part])
    shape = [_count(n, mm) for n, mm in zip(field.shape, (z_mm, y_mm, x_mm))]
    factors = [new / old for new, old in zip(shape, field.shape)]
    fine = gaussian_filter(zoom(field, factors, order=1), SMOOTHING_VOXELS)
    points, triangles = _triangles(fine)
    if len(points) == 0:  # smaller than what the eye would see
        return None
    coarse = (np.array(field.shape) - 1) / (np.array(fine.shape) - 1)
    zyx = points * coarse + first
    placed = geometry.position_mm(zyx[:, ::-1]) * LPS_TO_RAS
    return Surface(placed, triangles if _is_right_handed(geometry) else triangles[:, ::-1])


def _cut_out(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of a mask that holds something, with an empty border, and where it begins."""
    border = np.array([1, MARGIN_PIXELS, MARGIN_PIXELS])
    places = np.argwhere(mask)
    low, high = places.min(0), places.max(0) + 1
    part = mask[tuple(slice(a, b) for a, b in zip(low, high))]
    return low - border, np.pad(part, [(n, n) for n in border])


def _distances(plane: np.ndarray, y_mm: float, x_mm: float, limit_mm: float) -> np.ndarray:
    """Distance to the border in mm, positive inside, up to a limit: half way to the next slice."""
    if not plane.any():
        return np.full(plane.shape, -limit_mm)
    half = min(y_mm, x_mm) / 2  # the border lies between the centers of two pixels
    inside = distance_transform_edt(plane, sampling=(y_mm, x_mm)) - half
    outside = distance_transform_edt(~plane, sampling=(y_mm, x_mm)) - half
    return np.clip(np.where(plane, inside, -outside), -limit_mm, limit_mm)


def _count(old: int, spacing_mm: float) -> int:
    return max(2, round((old - 1) * spacing_mm / STEP_MM) + 1)


def _triangles(field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a field (z, y, x) is 0: points (n, 3) as z, y, x indices, and triangles (m, 3)."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

    image = vtkImageData()
    image.SetDimensions(*field.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(field.ravel()))
    edges = vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, 0.0)
    edges.ComputeNormalsOff()
    edges.Update()
    found = edges.GetOutput()
    if found.GetNumberOfPoints() == 0:
        return np.zeros((0, 3)), np.zeros((0, 3), np.int64)
    points = vtk_to_numpy(found.GetPoints().GetData()).astype(np.float64)
    triangles = vtk_to_numpy(found.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    return points[:, ::-1], triangles.astype(np.int64)


def _is_right_handed(geometry: Geometry) -> bool:
    return bool(np.linalg.det(geometry.axes) > 0)

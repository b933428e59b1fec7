"""Bring one sequence onto the grid of another by their positions in the patient."""

from __future__ import annotations

import numpy as np

from myops.geometry.grid import Geometry

# Voxels of slack where a grid ends, so that rounding in a header cannot drop its last slice.
EDGE_SLACK = 1e-3


def resample(
    image: np.ndarray, source: Geometry, target: Geometry
) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate an image linearly on another grid.

    Slices have a thickness: half a voxel beyond the outermost centers still belongs to the source
    and takes its nearest value, so that an end slice between two grids is not lost. Everything
    further outside is filled with the minimum of the image.

    Args:
        image: float32 (z, y, x) on `source`.
        source: the grid of the image.
        target: the grid wanted.

    Returns:
        The image, float32 (z, y, x) on `target`, and a bool array of the same shape, True where
        the source covers it. Identical grids give the image itself.
    """
    if source.is_same_grid(target):
        return image, np.ones(target.array_shape, bool)
    from scipy.ndimage import affine_transform

    matrix, offset = _index_mapping(source, target)
    covered = _covered(matrix, offset, source, target)
    values = affine_transform(
        image,
        matrix[::-1, ::-1],
        offset[::-1],
        output_shape=target.array_shape,
        order=1,
        mode="nearest",
    )
    values[~covered] = image.min()
    return values, covered


def _index_mapping(source: Geometry, target: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """Matrix (3, 3) and offset (3,): source index = matrix @ target index + offset, x, y, z."""
    corner = source.index_xyz(target.position_mm(np.zeros(3)))
    columns = source.index_xyz(target.position_mm(np.eye(3))) - corner
    # Rounded far below a voxel: the same grids written in another axis order map alike.
    return np.round(columns.T, 9), np.round(corner, 6)


def _covered(
    matrix: np.ndarray, offset: np.ndarray, source: Geometry, target: Geometry
) -> np.ndarray:
    """Bool (z, y, x) on the target: inside the source, half a voxel beyond its centers included."""
    x, y, z = (np.arange(count, dtype=np.float32) for count in target.size_xyz)
    inside = np.ones(target.array_shape, bool)
    for row, start, count in zip(matrix, offset, source.size_xyz, strict=True):
        along = row[0] * x + start + (row[1] * y)[:, None] + (row[2] * z)[:, None, None]
        inside &= (along >= -0.5 - EDGE_SLACK) & (along <= count - 0.5 + EDGE_SLACK)
    return inside

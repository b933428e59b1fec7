"""One orientation for every volume, and the exact way back to the file's own grid.

Slices lie along array axis 0 and look as on a radiological display: the patient's left (or back)
is to the right, the feet (or back) are below. Short-axis stacks run from base to apex. The choice
depends on the physical directions only, so flips, axis permutations and obliqueness of the same
image give the same array.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from myops.errors import InputError
from myops.geometry.grid import Geometry

# Beyond this ratio the largest spacing is the slice spacing; below it the grid is close to
# isotropic and the axis with the fewest voxels is the slice axis.
ANISOTROPY = 1.5
# No stack of the heart is longer, and no image of it narrower.
LONGEST_STACK_MM = 300.0
NARROWEST_IMAGE_MM = 40.0
# LPS directions of the right and the lower edge on a radiological display. The posterior part
# decides for axial (below) and sagittal (right) slices and keeps short axes as they are read:
# septum left, inferior wall below.
DISPLAY_RIGHT = np.array([1.0, 0.5, 0.0])
DISPLAY_DOWN = np.array([0.0, 0.5, -1.0])
# The apex points left and forward: short axes count from the base, axial slices from the feet.
STACK_FORWARD = np.array([1.0, -1.0, 0.1])


@dataclass(frozen=True)
class OriginalGrid:
    """The grid as found in the file, and how the canonical one follows from it.

    Attributes:
        geometry: the file's own grid.
        order_xyz: canonical axis k runs along the original axis order_xyz[k].
        flipped_xyz: whether canonical axis k runs against that original axis.
    """

    geometry: Geometry
    order_xyz: tuple[int, int, int]
    flipped_xyz: tuple[bool, bool, bool]

    @property
    def canonical_geometry(self) -> Geometry:
        """The canonical grid: the same voxels, counted in another order."""
        found = self.geometry
        size = [found.size_xyz[axis] for axis in self.order_xyz]
        first = np.zeros(3)
        for axis, flipped in zip(self.order_xyz, self.flipped_xyz, strict=True):
            first[axis] = found.size_xyz[axis] - 1 if flipped else 0
        signs = np.where(self.flipped_xyz, -1.0, 1.0)
        rows = found.axes[list(self.order_xyz)] * signs[:, None] + 0.0
        origin = found.position_mm(first)
        return Geometry(
            (size[0], size[1], size[2]),
            tuple(found.spacing_mm[axis] for axis in self.order_xyz),  # type: ignore[arg-type]
            (float(origin[0]), float(origin[1]), float(origin[2])),
            tuple(float(value) for value in rows.T.ravel()),
        )


def canonical_grid(geometry: Geometry) -> OriginalGrid:
    """Choose the canonical axes of a grid from its physical directions."""
    slice_axis = through_plane_axis(geometry)
    in_plane = [axis for axis in range(3) if axis != slice_axis]
    axes = geometry.axes
    candidates = []
    for (right, down), signs in product(permutations(in_plane), product((1.0, -1.0), repeat=2)):
        u, v = signs[0] * axes[right], signs[1] * axes[down]
        score = u @ DISPLAY_RIGHT + v @ DISPLAY_DOWN
        # Rounded, so that noise in the header cannot decide between equally good choices.
        preference = tuple(np.round([score, *u, *v], 5).tolist())
        candidates.append((preference, right, down, signs))
    _, right, down, (sign_right, sign_down) = max(candidates)
    backward = round(float(axes[slice_axis] @ STACK_FORWARD), 5) < 0
    return OriginalGrid(
        geometry, (right, down, slice_axis), (sign_right < 0, sign_down < 0, backward)
    )


def through_plane_axis(geometry: Geometry) -> int:
    """Index (0 x, 1 y, 2 z) of the axis along which the slices are stacked."""
    counts, spacing = geometry.size_xyz, geometry.spacing_mm
    if counts.count(1) == 1:
        return counts.index(1)
    by_spacing = sorted(range(3), key=lambda axis: spacing[axis])
    if spacing[by_spacing[2]] > ANISOTROPY * spacing[by_spacing[1]]:
        return by_spacing[2]
    # Ties go to the axis nearest to head-feet, whatever the order of the axes in the file.
    upright = np.round(np.abs(geometry.axes[:, 2]), 5)
    return min(range(3), key=lambda axis: (counts[axis], -round(spacing[axis], 4), -upright[axis]))


def check_stack_axis(geometry: Geometry, name: str) -> None:
    """Refuse a grid whose axes seem to be in another order than its spacing.

    An array saved as (slices, rows, columns) has few voxels along its first axis, and the spacing
    between slices on another one.

    Raises:
        InputError: many "slices" of few pixels, longer than a chest or thinner than a heart.
    """
    counts, spacing = geometry.size_xyz, geometry.spacing_mm
    slices, few = through_plane_axis(geometry), int(np.argmin(counts))
    if counts[few] == counts[slices]:
        return
    length_mm, width_mm = counts[slices] * spacing[slices], counts[few] * spacing[few]
    if length_mm <= LONGEST_STACK_MM and width_mm >= NARROWEST_IMAGE_MM:
        return
    swapped = list(spacing)
    swapped[few], swapped[slices] = swapped[slices], swapped[few]
    pixels = " x ".join(str(count) for axis, count in enumerate(counts) if axis != slices)
    raise InputError(
        f"{name}: expected few slices of many pixels, found {counts[slices]} slices of {pixels} "
        f"pixels, {length_mm:.0f} mm long: the axes of the array seem to be in the order slices, "
        "rows, columns. Give the spacing in the file's own order of axes "
        f"(--spacing {' '.join(f'{value:g}' for value in swapped)}), or save the array transposed"
    )


def to_canonical(array: np.ndarray, original: OriginalGrid) -> np.ndarray:
    """Reorder an array (z, y, x) of the original grid to the canonical axes (contiguous copy)."""
    return np.ascontiguousarray(array.transpose(_array_axes(original))[_array_flips(original)])


def from_canonical(array: np.ndarray, original: OriginalGrid) -> np.ndarray:
    """Reorder a canonical array (z, y, x) back to the original grid, voxel for voxel."""
    back = np.argsort(_array_axes(original))
    return np.ascontiguousarray(array[_array_flips(original)].transpose(back))


def _array_axes(original: OriginalGrid) -> tuple[int, ...]:
    """Arrays count axes backwards: array axis n is image axis 2 - n."""
    return tuple(2 - axis for axis in reversed(original.order_xyz))


def _array_flips(original: OriginalGrid) -> tuple[slice, ...]:
    return tuple(slice(None, None, -1 if flip else 1) for flip in reversed(original.flipped_xyz))

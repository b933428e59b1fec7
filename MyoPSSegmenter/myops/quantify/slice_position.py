"""Where slices lie along the normal of the stack, as a reader finds them again in a viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from myops.case import Case


def slice_positions_mm(case: Case) -> tuple[float, ...] | None:
    """Position of each slice of the case's grid in mm; None where the header does not place it.

    It is the slice's LPS position along the normal of the image as it was in its file, which is how
    most scanners define DICOM's Slice Location (0020,1041).
    """
    if not case.placed or not case.spacing_known:
        return None
    normal = case.original.geometry.axes[case.original.order_xyz[2]]
    count = case.geometry.array_shape[0]
    centers = case.geometry.position_mm(np.array([(0, 0, k) for k in range(count)]))
    # To a micrometer: headers are stored with less, and Slicer's nodes hold them with less still.
    return tuple(round(float(height), 3) for height in centers @ normal)

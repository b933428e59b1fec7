"""Scar mass of a label file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from myops.errors import InputError
from myops.geometry.canonical import canonical_grid, to_canonical
from myops.label_maps import read_label_file, read_values
from myops.labels import DEFAULT_CONVENTION, scar
from myops.quantify.human_heart import warning_of_labels
from myops.quantify.mass import MYOCARDIAL_DENSITY_G_PER_ML


def warning_of_file(path: str | Path, convention: str = "") -> str:
    """Why the label map in a file is not a human heart; "" for a scar mask, which is not a heart's.

    Raises:
        InputError: see `scar_mass_g`.
    """
    values, geometry, _ = read_values(path)
    if not convention and np.isin(values, (0, 1)).all():
        return ""
    original = canonical_grid(geometry)
    labels = to_canonical(read_label_file(path, convention or DEFAULT_CONVENTION).labels, original)
    return warning_of_labels(labels, original.canonical_geometry.spacing_mm)


def scar_mass_g(path: str | Path, convention: str = "") -> float:
    """Scar mass in g: voxels x spacing (slices center to center) x 1.05 g/mL.

    Args:
        path: label file.
        convention: how it numbers the structures; "" = a file of only 0 and 1 is a scar mask, any
            other holds MyoPS labels. MVO counts as scar.

    Raises:
        InputError: the file cannot be read, has other values, or its spacing is not known.
    """
    values, geometry, reason = read_values(path)
    if reason:
        raise InputError(
            f"{Path(path).name}: expected the voxel spacing in the header, found that {reason}; "
            "write the true spacing, or give mass_g instead"
        )
    if not convention and np.isin(values, (0, 1)).all():
        mask = values == 1
    else:
        mask = scar(read_label_file(path, convention or DEFAULT_CONVENTION).labels)
    return int(np.count_nonzero(mask)) * geometry.voxel_volume_ml * MYOCARDIAL_DENSITY_G_PER_ML

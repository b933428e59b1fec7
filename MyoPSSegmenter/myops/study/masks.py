"""Scar mass of a label file."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..io import has_unset_spacing, read_image
from ..labels import scar, to_known_labels
from ..quantify.mass import MYOCARDIAL_DENSITY_G_PER_ML

ML_PER_MM3 = 1e-3


def scar_mass_g(path: str | Path) -> float:
    """Scar mass in g: voxels x spacing (slices center to center) x 1.05 g/mL.

    A file of only 0 and 1 is a scar mask; any other holds MyoPS labels, and MVO counts as scar.

    Raises:
        InputError: the file cannot be read, has other values, or has no spacing.
    """
    import SimpleITK as sitk

    image = read_image(path)
    if has_unset_spacing(image):
        raise InputError(
            f"{Path(path).name}: expected the voxel spacing in the header, found none "
            "(1 x 1 x 1 mm at origin 0); write the true spacing, or give mass_g instead"
        )
    values = sitk.GetArrayViewFromImage(image)
    binary = bool(np.isin(values, (0, 1)).all())
    mask = values == 1 if binary else scar(to_known_labels(values))
    voxel_ml = math.prod(image.GetSpacing()) * ML_PER_MM3
    return int(np.count_nonzero(mask)) * voxel_ml * MYOCARDIAL_DENSITY_G_PER_ML

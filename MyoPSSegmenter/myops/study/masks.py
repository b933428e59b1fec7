"""Scar mass of a label file."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from ..canonical import canonical_grid, to_canonical
from ..errors import InputError
from ..geometry import from_sitk
from ..io import has_unset_spacing, read_image
from ..labels import scar, to_known_labels
from ..quantify.human_heart import doubt_of_labels
from ..quantify.mass import MYOCARDIAL_DENSITY_G_PER_ML

ML_PER_MM3 = 1e-3


def doubt_of_file(path: str | Path) -> str:
    """Why the label map in a file is no human heart; "" for a scar mask, which is no heart's.

    Raises:
        InputError: see `scar_mass_g`.
    """
    import SimpleITK as sitk

    image = read_image(path)
    values = sitk.GetArrayFromImage(image)
    if np.isin(values, (0, 1)).all():
        return ""
    original = canonical_grid(from_sitk(image))
    labels = to_canonical(to_known_labels(values), original)
    return doubt_of_labels(labels, original.canonical_geometry.spacing_mm)


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

"""Papillary muscles and trabeculae: muscle inside the blood pool, told by its signal.

MyoPS labels count them as blood, and so does the default. For an LV mass with papillary muscles
they are the voxels of the blood pool that are darker than halfway between the median of the blood
pool and that of the normal myocardium, in the bSSFP image where there is one, else in the LGE. In
both, blood is bright against healthy muscle.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from myops import labels as regions
from myops.errors import InputError
from myops.labels import MYOPS

# Two bases for shares in one result: each place that shows one says which it is.
COUNTED_NOTE = "LV mass counts papillary muscles; regional numbers are of the wall without them"
# Muscle and blood whose medians are closer than this many SD of the blood cannot be told apart.
LEAST_CONTRAST_SD = 1.0


def papillary_muscles(images: Mapping[str, np.ndarray], labels: np.ndarray) -> np.ndarray:
    """Voxels of the blood pool that look like muscle.

    Args:
        images: sequence name to float (z, y, x); "bssfp" is used, else "lge".
        labels: uint16 (z, y, x), MyoPS values.

    Returns:
        bool (z, y, x).

    Raises:
        InputError: neither image, no blood pool or normal myocardium, or blood that is not
            clearly brighter than muscle.
    """
    sequence = next((name for name in ("bssfp", "lge") if name in images), None)
    blood, muscle = regions.blood_pool(labels), regions.normal_myocardium(labels)
    if sequence is None or not blood.any() or not muscle.any():
        raise InputError(
            "expected a bSSFP or LGE image with blood pool and normal myocardium to find papillary "
            "muscles, found none; count them as labeled"
        )
    image = images[sequence]
    bright, dark = (float(np.median(image[region])) for region in (blood, muscle))
    if bright - dark < LEAST_CONTRAST_SD * float(image[blood].std()) or bright == dark:
        raise InputError(
            f"expected blood that is brighter than muscle in the {sequence}, found medians "
            f"{bright:.4g} and {dark:.4g}; count papillary muscles as labeled"
        )
    return blood & (image < (bright + dark) / 2)


def with_papillary_muscles(images: Mapping[str, np.ndarray], labels: np.ndarray) -> np.ndarray:
    """The label map with papillary muscles as normal myocardium; see `papillary_muscles`."""
    changed = labels.copy()
    changed[papillary_muscles(images, labels)] = MYOPS["normal_myocardium"]
    return changed

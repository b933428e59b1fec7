"""From the networks' probabilities to labels, joint probabilities and uncertainty."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from myops.geometry.masks import component_sizes, label_components, largest_component
from myops.labels import MVO, MYOPS
from myops.structures import NETWORK_TISSUES

# PRSN's main branch: the order of its channels.
CLASSES = NETWORK_TISSUES
# A box of a stack (z, y, x) outside of which all tissue is 0.
Window = tuple[slice, slice, slice]
EVERYWHERE: Window = (slice(None), slice(None), slice(None))


def clean_region(mask: np.ndarray) -> np.ndarray:
    """Largest connected component of a bool stack (z, y, x), holes filled slice by slice."""
    from scipy import ndimage

    kept = largest_component(mask)
    return np.stack([ndimage.binary_fill_holes(plane) for plane in kept])


def mean_border(assn: np.ndarray, prsn: np.ndarray, weight: float) -> np.ndarray:
    """The LV region's probability from two networks: the weighted mean of their logits.

    Args:
        assn: float (z, y, x), ASSN's probability.
        prsn: float of the same shape, PRSN's; 0 beyond what it sees.
        weight: of PRSN's logit, that of ASSN's being 1.

    Returns:
        float32 (z, y, x).
    """
    from scipy.special import expit, logit

    # Cut off at 0.9999, so that a network that is sure does not outvote the other for good.
    both = [logit(np.clip(p, 1e-4, 1 - 1e-4)) for p in (assn, prsn)]
    mean: np.ndarray = expit((both[0] + weight * both[1]) / (1 + weight))
    return mean.astype(np.float32)


def rescale_odds(tissue: np.ndarray, odds: Mapping[str, float]) -> np.ndarray:
    """Multiply the odds of some tissues against all others, and make the sums 1 again.

    Args:
        tissue: float (z, 4, y, x), probabilities by `CLASSES`; a probability of 0 stays 0.
        odds: class name to its factor; 1 changes nothing.

    Returns:
        Float array of the same shape.
    """
    if all(factor == 1 for factor in odds.values()):
        return tissue
    factors = np.array([odds.get(name, 1.0) for name in CLASSES], np.float32)
    weighted = tissue * factors[:, None, None]
    return weighted / np.maximum(weighted.sum(axis=1, keepdims=True), np.float32(1e-12))


def make_labels(
    region: np.ndarray, tissue: np.ndarray, rv: np.ndarray, window: Window = EVERYWHERE
) -> np.ndarray:
    """MyoPS labels from probabilities.

    Args:
        region: bool (z, y, x), the LV epicardial region, cleaned.
        tissue: float (z, 4, h, w), probabilities of blood pool, normal myocardium, edema and scar
            given the region; 0 where they are unknown.
        rv: float (z, y, x), coarse probability of the right ventricle.
        window: where in the stack `tissue` lies; outside of it the region is blood pool.

    Returns:
        uint16 (z, y, x). The right ventricle is what lies outside the LV region.
    """
    values = np.array([MYOPS[name] for name in CLASSES], np.uint16)
    labels = np.where(region, values[0], 0).astype(np.uint16)
    labels[window] = np.where(region[window], values[tissue.argmax(axis=1)], 0)
    right = largest_component((rv > 0.5) & ~region)
    labels[right] = MYOPS["right_ventricle"]
    return labels


def remove_small_components(
    labels: np.ndarray, tissue: np.ndarray, voxel_volume_ml: float, smallest_ml: float
) -> np.ndarray:
    """Give islands of scar that are too small to believe to the next most probable tissue.

    Args:
        labels: uint16 (z, y, x), MyoPS values.
        tissue: float (z, 4, y, x), probabilities by `CLASSES` given the region.
        voxel_volume_ml: volume of a voxel.
        smallest_ml: the smallest island that stays; voxels that touch at a corner belong together.

    Returns:
        uint16 (z, y, x).
    """
    scar = labels == MYOPS["scar"]
    if smallest_ml <= 0 or not scar.any():
        return labels
    islands, count = label_components(scar, "corners")
    volumes_ml = component_sizes(islands, count) * voxel_volume_ml
    return _instead_of_scar(labels, tissue, scar & (volumes_ml < smallest_ml)[islands])


def remove_doubtful_scar(
    labels: np.ndarray, tissue: np.ndarray, voxel_volume_ml: float, least_ml: float
) -> tuple[np.ndarray, float, tuple[int, ...]]:
    """Take all scar of a heart that shows too little of it for the next most probable tissue.

    Args:
        labels: uint16 (z, y, x), MyoPS values.
        tissue: float (z, 4, y, x), probabilities by `CLASSES` given the region.
        voxel_volume_ml: volume of a voxel.
        least_ml: the least volume that all scar together must have to stay.

    Returns:
        uint16 (z, y, x), the volume that was taken away (mL), and the slices where it was, from 0.
    """
    scar = labels == MYOPS["scar"]
    volume_ml = float(np.count_nonzero(scar)) * voxel_volume_ml
    if not 0 < volume_ml < least_ml:
        return labels, 0.0, ()
    slices = tuple(int(k) for k in np.flatnonzero(scar.any(axis=(1, 2))))
    return _instead_of_scar(labels, tissue, scar), volume_ml, slices


def _instead_of_scar(labels: np.ndarray, tissue: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Labels with the next most probable tissue where scar is taken away, bool (z, y, x)."""
    others = [k for k, name in enumerate(CLASSES) if name != "scar"]
    values = np.array([MYOPS[CLASSES[k]] for k in others], np.uint16)
    result: np.ndarray = np.where(taken, values[tissue[:, others].argmax(axis=1)], labels)
    return result


def mark_obstruction(
    labels: np.ndarray, obstruction: np.ndarray, voxel_volume_ml: float, smallest_ml: float
) -> np.ndarray:
    """Label as microvascular obstruction what is more likely that than other scar.

    Args:
        labels: uint16 (z, y, x), MyoPS values.
        obstruction: float (z, y, x), probability of MVO given scar.
        voxel_volume_ml: volume of a voxel.
        smallest_ml: the smallest island that is marked; the others stay scar.

    Returns:
        uint16 (z, y, x).
    """
    dark = (labels == MYOPS["scar"]) & (obstruction > 0.5)
    islands, count = label_components(dark, "corners")
    large = component_sizes(islands, count) * voxel_volume_ml >= smallest_ml
    result: np.ndarray = np.where(dark & large[islands], np.uint16(MVO), labels)
    return result


def joint_probabilities(
    lv: np.ndarray, tissue: np.ndarray, rv: np.ndarray, window: Window = EVERYWHERE
) -> dict[str, np.ndarray]:
    """Probabilities by name; those of the tissues are joint: region and tissue.

    Args:
        lv: float (z, y, x), of the LV epicardial region.
        tissue: float (z, 4, h, w), by `CLASSES`, given the region.
        rv: float (z, y, x), of the right ventricle.
        window: where in the stack `tissue` lies.
    """
    joint = {}
    for k, name in enumerate(CLASSES):
        joint[name] = np.zeros(lv.shape, np.result_type(lv, tissue))
        joint[name][window] = lv[window] * tissue[:, k]
    return {"lv_region": lv, **joint, "right_ventricle": rv * (1 - lv)}


def uncertainty(lv: np.ndarray, tissue: np.ndarray, window: Window = EVERYWHERE) -> np.ndarray:
    """Entropy of {outside, tissues inside} over its largest value, float32 (z, y, x) in 0..1.

    By the chain rule H = H(region) + p(region) H(tissue | region); where the tissue is unknown
    (outside the region, and outside the window that it is given for) only the first term is left.
    """
    entropy = -_x_log_x(lv) - _x_log_x(1 - lv)
    entropy[window] -= lv[window] * _x_log_x(tissue).sum(axis=1)
    return np.clip(entropy / np.log(1 + len(CLASSES)), 0, 1).astype(np.float32)


def _x_log_x(p: np.ndarray) -> np.ndarray:
    return p * np.log(np.maximum(p, np.float32(1e-12)))

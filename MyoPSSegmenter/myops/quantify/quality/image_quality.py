"""Image quality of an LGE stack: contrast to noise, sharpness of the endocardium, ghosts.

Every measure refers to a label map, so a wrong contour worsens it. Each has its formula below; none
is a verdict on its own.

- Noise: 1.4826 x median absolute deviation of the blood pool from its slice's median, one voxel
  away from the wall. Blood is bright and even, so that magnitude noise is nearly Gaussian in it,
  which it is not in nulled muscle or air; the median leaves out papillary muscles.
- Contrast to noise: (mean scar - mean remote) / noise and (mean scar - mean blood) / noise, scar
  without marked MVO. Negative where scar is darker.
- Edge width: distance in mm over which the signal goes from 10 % to 90 % between muscle and blood
  across the endocardium; 2.56 SD for a Gaussian blur. See `edges`.
- Ghosting: the strongest copy of the heart along the rows or the columns of the image, in % of the
  heart's own signal, above what chance copies in other directions reach. See `ghosts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from myops import labels as regions
from myops.geometry.masks import bounding_box
from myops.quantify.quality.edge_sharpness import edge_width_mm
from myops.quantify.quality.ghosting import ghosting_percent
from myops.quantify.thresholds.remote import RemoteRegion

# A standard deviation from a median absolute deviation, for Gaussian noise.
SD_PER_MAD = 1.4826
LEAST_BLOOD_VOXELS = 50
QUALITY_UNITS: Mapping[str, str] = {
    "noise": "LGE signal",
    "contrast_scar_remote": "noise SD",
    "contrast_scar_blood": "noise SD",
    "edge_width_mm": "mm",
    "ghosting_percent": "%",
}


@dataclass(frozen=True)
class ImageQuality:
    """Image quality of one LGE stack; None where a measure is undefined, with its reason.

    Attributes:
        noise: standard deviation of noise in blood, units of the image.
        contrast_scar_remote: contrast to noise of scar against remote myocardium.
        contrast_scar_blood: contrast to noise of scar against the blood pool.
        edge_width_mm: 10 % to 90 % width of the endocardial border.
        ghosting_percent: signal of the strongest ghost against the heart's.
        reasons: name of a measure that is None -> why, in words.
    """

    noise: float | None
    contrast_scar_remote: float | None
    contrast_scar_blood: float | None
    edge_width_mm: float | None
    ghosting_percent: float | None
    reasons: Mapping[str, str] = field(default_factory=dict)


def image_quality(
    lge: np.ndarray,
    labels: np.ndarray,
    spacing_mm: tuple[float, float, float] | None,
    remote: RemoteRegion | None,
) -> ImageQuality:
    """Measure the image quality of an LGE stack.

    Args:
        lge: float (z, y, x), raw intensities, finite.
        labels: uint16 (z, y, x), MyoPS values.
        spacing_mm: (x, y, z); None when unknown.
        remote: remote region; None leaves its contrast undefined.
    """
    reasons: dict[str, str] = {}
    noise = blood_noise(lge, labels)
    if noise is None:
        reasons["noise"] = "too little blood pool, or no spread in it"
    scar = regions.scar(labels) & ~regions.mvo(labels)
    blood = float(lge[regions.blood_pool(labels)].mean()) if noise is not None else None
    contrasts = {
        "contrast_scar_remote": remote.mean if remote is not None else None,
        "contrast_scar_blood": blood,
    }
    found: dict[str, float | None] = {"noise": noise}
    for name, background in contrasts.items():
        found[name] = None
        if not scar.any():
            reasons[name] = "no scar"
        elif background is None or noise is None:
            reasons[name] = "no remote region" if background is None else reasons["noise"]
        else:
            found[name] = (float(lge[scar].mean()) - background) / noise
    found["edge_width_mm"] = edge_width_mm(lge, labels, spacing_mm) if spacing_mm else None
    if found["edge_width_mm"] is None:
        words = "no endocardium with contrast between muscle and blood"
        reasons["edge_width_mm"] = words if spacing_mm else "the voxel spacing is unknown"
    found["ghosting_percent"] = ghosting_percent(lge, regions.lv_region(labels))
    if found["ghosting_percent"] is None:
        reasons["ghosting_percent"] = "no LV, or an image too tight around it to hold a ghost"
    return ImageQuality(**found, reasons=reasons)


def blood_noise(lge: np.ndarray, labels: np.ndarray) -> float | None:
    """Standard deviation of noise in the blood pool; None where there is too little of it."""
    from scipy.ndimage import binary_erosion

    blood = regions.blood_pool(labels)
    box = bounding_box(blood)
    inner = binary_erosion(blood[box], np.ones((1, 3, 3), bool))
    rest = [
        plane[region] - np.median(plane[region])
        for plane, region in zip(lge[box], inner, strict=True)
        if region.any()
    ]
    values = np.concatenate(rest) if rest else np.empty(0)
    if values.size < LEAST_BLOOD_VOXELS:
        return None
    noise = SD_PER_MAD * float(np.median(np.abs(values)))
    return noise if noise > 0 else None

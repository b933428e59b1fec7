"""Does a result look like a heart? Warnings where a case lies outside what the networks know.

The networks answer any image. What no heart is found in is refused by `network_inputs.heart_box`;
what is taken for one is measured here, and each measure has limits that hearts keep and other
things break (Docs/results.md: which hearts and which things). A warning is not a proof, and its
absence is none either: a wrong contour in a plausible place passes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from myops import labels as regions
from myops.case import Case
from myops.geometry.masks import bounding_box

# A band of so many pixels stays away from a region's border, where tissues mix.
BORDER_PX = 1
LEAST_PIXELS = 30
# Of the box that is looked at around the ventricle: slices, rows, columns.
BOX_MARGIN = (0, 5, 5)


@dataclass(frozen=True)
class PlausibleRange:
    """What a measure keeps to in hearts.

    Attributes:
        low, high: smallest and largest value without a warning.
        words: what the measure is, for the user; `{value}` and the limits are filled in.
        advice: what to look at.
    """

    low: float
    high: float
    words: str
    advice: str


# The limits lie outside what synthetic and real hearts showed, with a margin for unusual hearts.
LIMITS = {
    "lv_volume_ml": PlausibleRange(
        40, 900, "volume of wall and cavity of the left ventricle, mL", "is this a heart?"
    ),
    "lv_length_mm": PlausibleRange(
        30, 150, "length of the outlined ventricle, mm", "does the stack hold the ventricle?"
    ),
    "lv_radius_mm": PlausibleRange(
        20, 60, "largest radius of the outlined ventricle, mm", "is the voxel spacing right?"
    ),
    "right_ventricle_ml": PlausibleRange(
        2, 500, "volume of the right ventricle, mL", "is this a short-axis stack of a heart?"
    ),
    "outline_certainty": PlausibleRange(
        0.90, 1, "mean probability of the outline's inside", "check the outline in every slice"
    ),
    "slice_overlap": PlausibleRange(
        0.80, 1, "Dice of the outlines of neighboring slices, median", "the outline may jump"
    ),
    "slice_shift_mm": PlausibleRange(
        0, 6, "shift of the outline from slice to slice, mm, median", "the outline may jump"
    ),
    "elongation": PlausibleRange(
        0.70, 1, "short over long axis of the outline, mean", "is this a short-axis stack?"
    ),
    "contrast": PlausibleRange(
        1.0, np.inf, "contrast of blood and muscle, SDs, in {sequence}", "check the endocardium"
    ),
    "roughness": PlausibleRange(
        0, 0.14, "signal change from pixel to pixel over the range, in {sequence}", "noisy image"
    ),
    "gray_levels": PlausibleRange(
        16, np.inf, "different gray values inside the ventricle, in {sequence}", "coarse image"
    ),
}
# Measures that each sequence has; T2 is left out of contrast: blood may be bright or black there.
OF_SEQUENCES = {"contrast": ("bssfp", "lge"), "roughness": None, "gray_levels": None}


def plausibility_warnings(case: Case, labels: np.ndarray, lv: np.ndarray) -> tuple[str, ...]:
    """Sentences for the user, one for each measure outside its limits.

    Args:
        case: the images.
        labels: uint16 (z, y, x), MyoPS values, the cascade's; not empty.
        lv: float (z, y, x) in 0..1, probability of the LV region.
    """
    found = []
    for (name, sequence), value in plausibility(case, labels, lv).items():
        limits = LIMITS[name]
        if not limits.low <= value <= limits.high:
            words = limits.words.format(sequence=sequence.upper())
            expected = (
                f"at least {limits.low:g}"
                if limits.high in (1, np.inf)
                else (
                    f"at most {limits.high:g}"
                    if limits.low == 0
                    else f"{limits.low:g} to {limits.high:g}"
                )
            )
            found.append(
                f"unlike the hearts the networks know: {words}: found {value:.3g}, "
                f"expected {expected}; {limits.advice}"
            )
    return tuple(found)


def plausibility(case: Case, labels: np.ndarray, lv: np.ndarray) -> dict[tuple[str, str], float]:
    """Every measure by (name, sequence); the sequence is "" for measures of the outline.

    Args and units as in `plausibility_warnings` and `LIMITS`. A stack of one slice has no measure
    of neighbors, a sequence that hardly covers the ventricle has none of its own, and without a
    known spacing there are none in mm and mL.
    """
    region = regions.lv_region(labels)
    box = bounding_box(region, BOX_MARGIN)
    found = {
        (name, ""): value
        for name, value in _outline(case, labels, lv, box).items()
        if case.spacing_known or not name.endswith(("_mm", "_ml"))
    }
    for sequence, image in case.images.items():
        shown = case.covered.get(sequence)
        inside = region[box] if shown is None else region[box] & shown[box]
        measured = _image(image[box].astype(np.float32), labels[box], inside)
        for name, value in measured.items():
            among = OF_SEQUENCES[name]
            if among is None or sequence in among:
                found[name, sequence] = value
    return found


def _outline(
    case: Case, labels: np.ndarray, lv: np.ndarray, box: tuple[slice, ...]
) -> dict[str, float]:
    x_mm, y_mm, z_mm = case.geometry.spacing_mm
    region = regions.lv_region(labels)[box]
    right = np.count_nonzero(regions.right_ventricle(labels))
    areas = region.sum(axis=(1, 2))
    found = {
        "lv_volume_ml": float(areas.sum()) * case.geometry.voxel_volume_ml,
        "lv_length_mm": float(np.count_nonzero(areas)) * z_mm,
        "lv_radius_mm": float(np.sqrt(areas.max() * x_mm * y_mm / np.pi)),
        "right_ventricle_ml": right * case.geometry.voxel_volume_ml,
        "outline_certainty": float(lv[box][region].mean()),
    }
    centers, elongations = zip(
        *(_ellipse(plane, y_mm, x_mm) for plane in region[areas > 0]), strict=True
    )
    weights = areas[areas > 0]
    found["elongation"] = float(np.average(elongations, weights=weights))
    pairs = [(k, k + 1) for k in range(len(areas) - 1) if areas[k] and areas[k + 1]]
    if pairs:
        shared = [np.count_nonzero(region[a] & region[b]) for a, b in pairs]
        overlaps = [2 * s / (areas[a] + areas[b]) for s, (a, b) in zip(shared, pairs, strict=True)]
        found["slice_overlap"] = float(np.median(overlaps))
        found["slice_shift_mm"] = float(
            np.median(np.linalg.norm(np.diff(np.array(centers), axis=0), axis=1))
        )
    return found


def _ellipse(plane: np.ndarray, y_mm: float, x_mm: float) -> tuple[tuple[float, float], float]:
    """Center in mm and short over long axis of the ellipse of the same moments."""
    places = np.argwhere(plane) * np.array([y_mm, x_mm])
    center = places.mean(axis=0)
    # A pixel is a square, not a point: its own second moment is 1/12 of its side squared.
    moments = (places - center).T @ (places - center) / len(places)
    moments += np.diag([y_mm**2, x_mm**2]) / 12
    short, long = np.sqrt(np.linalg.eigvalsh(moments))
    return (float(center[0]), float(center[1])), float(short / long)


def _image(image: np.ndarray, labels: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    """Contrast, roughness and gray levels of a sequence (z, y, x) inside the ventricle."""
    from scipy import ndimage

    if np.count_nonzero(inside) < LEAST_PIXELS:
        return {}
    values = image[inside]
    low, high = np.percentile(values, (5, 95))
    found = {"gray_levels": float(len(np.unique(values)))}
    if high > low:
        # Against its neighbors' mean over 3 pixels: edges of tissues hardly count, noise does.
        smooth = ndimage.gaussian_filter(image, (0, 1.5, 1.5))
        found["roughness"] = float(np.abs(image - smooth)[inside].mean() / (high - low))
    core = np.ones((1, 2 * BORDER_PX + 1, 2 * BORDER_PX + 1), bool)
    blood, muscle = (
        image[ndimage.binary_erosion(mask & inside, core)]
        for mask in (regions.blood_pool(labels), regions.normal_myocardium(labels))
    )
    if min(blood.size, muscle.size) >= LEAST_PIXELS:
        spread = float(np.sqrt((blood.var() + muscle.var()) / 2))
        difference = abs(float(np.median(blood) - np.median(muscle)))
        found["contrast"] = difference / spread if spread > 0 else np.inf
    return found

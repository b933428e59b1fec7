"""Can these be the numbers of a human heart? One sentence where they cannot.

A lost spacing, other units, a slice that is there twice or labels in another convention all give
numbers that look like any others. What gives them away is a heart that nobody has. The limits are
wide: a diseased heart, a child's and a stack that stops short keep to them. A number inside them is
no proof that it is right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from myops import labels as regions
from myops.quantify.mass import MYOCARDIAL_DENSITY_G_PER_ML

ML_PER_MM3 = 1e-3
PREFIX = "Unlike a human heart"
SPACING = "the voxel spacing was lost or is in other units"
MISSING, TWICE = "slices are missing", "slices are there twice"
CONVENTION = "the labels are in another convention"


@dataclass(frozen=True)
class HumanLimits:
    """What a number keeps to in human hearts.

    Attributes:
        low, high: the limits.
        words: the number in words.
        unit: of the value.
        below, above: what it most likely is when the limit is passed.
    """

    low: float
    high: float
    words: str
    unit: str
    below: tuple[str, ...]
    above: tuple[str, ...]


LIMITS: Mapping[str, HumanLimits] = {
    # Healthy women have 47 ± 7 g/m2, men with hypertrophic cardiomyopathy 104 ± 40 g/m2 (Olivotto
    # et al., J Am Coll Cardiol 2008;52:559): four SD above it, on 2.2 m2, are 580 g. 20 g leaves
    # room for children (Valsangiacomo Buechel et al., J Cardiovasc Magn Reson 2009;11:19).
    "lv_mass_g": HumanLimits(20, 600, "LV mass", "g", (SPACING, MISSING), (SPACING, TWICE)),
    # Mean at mid-cavity 5.3 ± 0.9 mm in women and 6.3 ± 1.1 mm in men (Kawel et al., Circ
    # Cardiovasc Imaging 2012;5:500). A wall that is above 30 mm at its thickest is rare even in
    # hypertrophic cardiomyopathy (Olivotto 2008), and here the mean is meant.
    "wall_mm": HumanLimits(2, 30, "mean wall thickness", "mm", (SPACING,), (SPACING, CONVENTION)),
    # No published range of what short-axis stacks hold: ours are 55 to 120 mm in 60 phantoms, 40 to
    # 100 mm in 98 labeled hearts of EMIDEC, ACDC and Sunnybrook.
    "lv_length_mm": HumanLimits(40, 160, "LV length", "mm", (SPACING, MISSING), (SPACING, TWICE)),
    # As above for a stack that ends within the ventricle, see `heart_numbers`.
    "cut_lv_length_mm": HumanLimits(20, 160, "LV length", "mm", (SPACING,), (SPACING, TWICE)),
    # Our largest scars: 52 % of 65 hearts of EMIDEC, and one of 240 phantoms above 60 %.
    "scar_percent": HumanLimits(
        0, 60, "scar", "% of the LV", (), (CONVENTION, "scar was drawn too large")
    ),
    # 60 % of 600 g.
    "scar_g": HumanLimits(0, 360, "scar", "g", (), (SPACING, "the number is in other units")),
}
# Fewer slices than this are a part of a heart, of which neither mass nor share of scar is known.
FEWEST_SLICES = 4
# Slices of a short-axis stack are further apart, but in 3D images, which hold the whole ventricle.
CLOSE_SLICES_MM = 4.0


def is_heart_warning(warning: str) -> bool:
    """Whether a sentence among other warnings is one of `heart_warning`."""
    return PREFIX in warning


def warning_of_many(warnings: Mapping[str, str], count: int) -> str:
    """One sentence for many readings: how many are doubted, and the first of them; or "".

    Args:
        warnings: where a reading comes from, to its `heart_warning`; empty ones are passed over.
        count: of all readings.
    """
    found = {place: words for place, words in warnings.items() if words}
    if not found:
        return ""
    place, words = next(iter(found.items()))
    return f"{len(found)} of {count} readings are doubtful, first {place}: {words}"


def heart_warning(numbers: Mapping[str, float | None]) -> str:
    """One sentence that names every number outside its limits and the likely causes; or "".

    Args:
        numbers: names in `LIMITS` to their values; None and absent ones are not checked.
    """
    found: list[str] = []
    causes: dict[str, None] = {}
    for name, limits in LIMITS.items():
        value = numbers.get(name)
        if value is None or limits.low <= value <= limits.high:
            continue
        limit = f"at least {limits.low:g}" if value < limits.low else f"at most {limits.high:g}"
        found.append(f"{limits.words} {value:.3g} {limits.unit} (expected {limit})")
        causes |= dict.fromkeys(limits.below if value < limits.low else limits.above)
    if not found:
        return ""
    return (
        f"{PREFIX}: {', '.join(found)}; most likely {' or '.join(causes)}: check the "
        "images and labels before using a number"
    )


def warning_of_labels(labels: np.ndarray, spacing_mm: tuple[float, float, float] | None) -> str:
    """`heart_warning` of a label map; "" where it holds no LV.

    Args:
        labels: uint16 (z, y, x), MyoPS values, z along the stack.
        spacing_mm: (x, y, z); None when unknown, which leaves the shares to be checked.
    """
    return heart_warning(heart_numbers(labels, spacing_mm))


def heart_numbers(
    labels: np.ndarray, spacing_mm: tuple[float, float, float] | None
) -> dict[str, float | None]:
    """The numbers of `LIMITS` that a label map has.

    A stack of fewer than four slices with LV is a part of a heart: too small a mass and too much
    scar say nothing there. One that ends within the ventricle may hold any length of it, but no
    short piece in slices that lie closer together than those of a short-axis stack do.

    Args:
        labels: uint16 (z, y, x), MyoPS values.
        spacing_mm: (x, y, z), or None.
    """
    wall, blood = regions.myocardium(labels), regions.blood_pool(labels)
    held = np.flatnonzero((wall | blood).any(axis=(1, 2)))
    muscle = int(np.count_nonzero(wall))
    if not muscle or not (blood.any() or regions.normal_myocardium(labels).any()):
        return {}
    many = held.size >= FEWEST_SLICES
    share = 100.0 * np.count_nonzero(regions.scar(labels)) / muscle if many else None
    if spacing_mm is None:
        return {"scar_percent": share}
    mass_g = muscle * float(np.prod(spacing_mm)) * ML_PER_MM3 * MYOCARDIAL_DENSITY_G_PER_ML
    too_heavy = mass_g > LIMITS["lv_mass_g"].high
    return {
        "scar_percent": share,
        "lv_mass_g": mass_g if many or too_heavy else None,
        "wall_mm": _wall_mm(wall, blood, spacing_mm),
        **_length(held, len(labels), spacing_mm[2]),
    }


def _length(held: np.ndarray, slices: int, distance_mm: float) -> dict[str, float | None]:
    """Length of the stack's part with LV, under the name of the limits that it keeps to."""
    length_mm = held.size * distance_mm
    cut = held[0] == 0 or held[-1] == slices - 1 or held.size < FEWEST_SLICES
    if not cut or length_mm > LIMITS["lv_length_mm"].high:
        return {"lv_length_mm": length_mm}
    close = held.size > 1 and distance_mm < CLOSE_SLICES_MM
    return {"cut_lv_length_mm": length_mm if close else None}


def _wall_mm(
    wall: np.ndarray, blood: np.ndarray, spacing_mm: tuple[float, float, float]
) -> float | None:
    """Mean wall thickness: the difference of the radii of circles of the same areas."""
    pixel_mm2 = spacing_mm[0] * spacing_mm[1]
    cavity = blood.sum(axis=(1, 2)) * pixel_mm2
    ventricle = cavity + wall.sum(axis=(1, 2)) * pixel_mm2
    ring = (cavity > 0) & (ventricle > cavity)
    if not ring.any():
        return None
    outer, inner = np.sqrt(ventricle[ring] / np.pi), np.sqrt(cavity[ring] / np.pi)
    return float(np.average(outer - inner, weights=outer + inner))

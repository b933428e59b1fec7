"""Edits of a whole structure: a decision threshold, a bit more or less, a smoother border.

Each gives a new label map for `Session.accept_labels`. The rules decide what may be taken, as for
a click; beyond them, edema takes nothing from the scar here: more edema is edema further outside,
and a scar is turned into edema by a click on it.

Every slice is edited by itself, since slices lie 5 to 13 mm apart. Distances are in the plane.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from myops import labels as regions
from myops.errors import InputError
from myops.geometry.masks import label_components
from myops.refine.prompts import STRUCTURES
from myops.refine.rules import REGIONS, Rules, apply_mask
from myops.structures import DISEASE, missing_image
from myops.structures import STRUCTURES as TABLE

if TYPE_CHECKING:
    from myops.segmentation import Segmentation

Probabilities = Mapping[str, np.ndarray]
# Below this chance of lying inside the ventricle, that of a tissue given the inside is noise.
LEAST_INSIDE = 0.05
# The sum of probabilities that each structure is.
PARTS = {
    "scar": ("scar",),
    "edema": ("edema",),
    "blood_pool": ("blood_pool",),
    "myocardium": ("normal_myocardium", "edema", "scar"),
}
# Rounding in distances and sums must not decide.
SLACK = 1e-6


def at_threshold(
    segmentation: Segmentation,
    labels: np.ndarray,
    structure: str,
    threshold: float,
    rules: Rules,
    slices: Iterable[int] | None = None,
) -> np.ndarray:
    """Make a structure what the networks gave at least this probability.

    Scar and edema: inside the present outline of the ventricle the probability is that of the
    tissue given the inside, p(structure) / p(lv_region), since the outline says that it is inside;
    outside (only reached when the rules allow it) it is the joint p(structure). At 0.5 scar and
    edema are those of the automatic result, less the voxels in which the most probable of the
    four tissues had less than half of the probability (Dice 0.981 to 0.999, three phantoms).

    Myocardium and blood pool: the joint probability of all that belongs to it. At 0.5 that is the
    automatic result but for its filled holes and voxels in which both were about equally probable.

    What a reader painted or clicked in these slices is replaced; MVO, which no network knows,
    stays and keeps its scar.

    Args:
        segmentation: the automatic result with its probabilities.
        labels: uint16 (z, y, x), the present label map.
        structure: "scar", "edema", "myocardium" or "blood_pool".
        threshold: 0 (excluded) to 1; smaller gives more of the structure.
        rules: what may be touched.
        slices: z indices to edit; None for all.

    Returns:
        A new uint16 label map (z, y, x).

    Raises:
        InputError: no stored probabilities, MVO, a structure that these images do not show, or a
            threshold outside 0 to 1.
    """
    _check_threshold(segmentation, structure, threshold)
    found = segmentation.probabilities

    def edited(plane: np.ndarray, here: Probabilities | None) -> np.ndarray:
        assert here is not None
        mask = _chance(plane, structure, here) >= threshold - SLACK
        if structure in DISEASE:
            return mask | regions.mvo(plane) if structure == "scar" else mask
        return _near_ventricle(mask, plane)

    return _slice_by_slice(labels, structure, rules, slices, found, edited)


def grown(
    labels: np.ndarray,
    structure: str,
    mm: float,
    spacing_mm: tuple[float, float, float],
    rules: Rules,
    slices: Iterable[int] | None = None,
    probabilities: Probabilities | None = None,
) -> np.ndarray:
    """Expand or shrink a structure in the plane.

    A pixel joins or leaves when its center is at most `mm` from the border, which runs between
    pixel centers; one ring of pixels always does, so that a millimeter has an effect on pixels of
    any size. Scar, edema and MVO shrink where they meet the rest of the wall (of the scar, for
    MVO), not at the endocardium and epicardium: a subendocardial scar stays subendocardial.

    Args:
        labels: uint16 (z, y, x), the present label map.
        structure: one of `prompts.STRUCTURES`.
        mm: above 0 expands, below 0 shrinks.
        spacing_mm: voxel spacing (x, y, z).
        rules: what may be touched.
        slices: z indices to edit; None for all.
        probabilities: of the automatic result, (z, y, x) by name: what a voxel becomes.

    Returns:
        A new uint16 label map (z, y, x).

    Raises:
        InputError: an unknown structure, or `mm` is not finite.
    """
    pixel_mm = _checked(structure, mm, spacing_mm)

    def edited(plane: np.ndarray, here: Probabilities | None) -> np.ndarray:
        present = REGIONS[structure](plane)
        if mm == 0 or not present.any():
            return present
        if mm > 0:
            return _within(present, mm, pixel_mm)
        others = _domain(structure, plane) & ~present
        return present & ~_within(others, -mm, pixel_mm)

    return _slice_by_slice(labels, structure, rules, slices, probabilities, edited)


def smoothed(
    labels: np.ndarray,
    structure: str,
    mm: float,
    spacing_mm: tuple[float, float, float],
    rules: Rules,
    slices: Iterable[int] | None = None,
    probabilities: Probabilities | None = None,
) -> np.ndarray:
    """Smooth a structure's border in the plane, and drop its crumbs.

    The mask is averaged with a Gaussian of `mm` standard deviation and cut at one half: spikes and
    gaps narrower than about `mm` go, straight borders stay. Scar, edema and MVO are averaged over
    the wall only (the scar, for MVO), so that they keep touching the endocardium. The myocardium
    keeps its thickness: its outline and its cavity are smoothed each by itself.

    Args:
        labels: uint16 (z, y, x), the present label map.
        structure: one of `prompts.STRUCTURES`.
        mm: standard deviation; 0 changes nothing.
        spacing_mm: voxel spacing (x, y, z).
        rules: what may be touched.
        slices: z indices to edit; None for all.
        probabilities: of the automatic result, (z, y, x) by name: what a voxel becomes.

    Returns:
        A new uint16 label map (z, y, x).

    Raises:
        InputError: an unknown structure, or `mm` is negative or not finite.
    """
    pixel_mm = _checked(structure, mm, spacing_mm)
    if mm < 0:
        raise InputError(f"expected 0 mm or more to smooth over, found {mm:g}; give a length")
    sigma = tuple(mm / length for length in pixel_mm)

    def edited(plane: np.ndarray, here: Probabilities | None) -> np.ndarray:
        present = REGIONS[structure](plane)
        if mm == 0 or not present.any():
            return present
        if structure == "myocardium":
            cavity = regions.blood_pool(plane)
            return _smooth(present | cavity, sigma) & ~_smooth(cavity, sigma)
        return _smooth(present, sigma, _domain(structure, plane))

    return _slice_by_slice(labels, structure, rules, slices, probabilities, edited)


def _slice_by_slice(
    labels: np.ndarray,
    structure: str,
    rules: Rules,
    slices: Iterable[int] | None,
    probabilities: Probabilities | None,
    edited: Callable[[np.ndarray, Probabilities | None], np.ndarray],
) -> np.ndarray:
    """Let `edited` give each slice's mask (bool (y, x)), as far as the rules allow."""
    result = labels.astype(np.uint16)
    for z in range(len(labels)) if slices is None else _checked_slices(slices, len(labels)):
        here = {name: stack[z] for name, stack in probabilities.items()} if probabilities else None
        mask = edited(labels[z], here)
        if structure == "edema":
            mask = mask & ~regions.scar(labels[z])
        result[z] = apply_mask(labels[z], mask, structure, rules, here)
    return result


def _chance(plane: np.ndarray, structure: str, here: Probabilities) -> np.ndarray:
    """The probability (y, x) that a threshold is compared with; see `at_threshold`."""
    joint = np.sum([here[name] for name in PARTS[structure]], axis=0, dtype=np.float32)
    if structure not in DISEASE:
        return np.asarray(joint)
    inside = here["lv_region"].astype(np.float32)
    given = np.where(inside >= LEAST_INSIDE, joint / np.maximum(inside, LEAST_INSIDE), 0)
    return np.where(regions.lv_region(plane), given, joint)


def _near_ventricle(mask: np.ndarray, plane: np.ndarray) -> np.ndarray:
    """The parts of a mask (bool (y, x)) that touch the present ventricle: the heart has one."""
    present = regions.lv_region(plane)
    if not present.any():
        return mask
    parts, _ = label_components(mask | present)
    return mask & np.isin(parts, np.unique(parts[present]))


def _domain(structure: str, plane: np.ndarray) -> np.ndarray:
    """Bool (y, x): the tissue that a structure shares with others, its own part included."""
    if structure == "mvo":
        return regions.scar(plane)
    if structure == "scar":
        return regions.myocardium(plane)
    if structure == "edema":
        return regions.myocardium(plane) & ~regions.scar(plane)
    return np.ones(plane.shape, bool)


def _within(mask: np.ndarray, mm: float, pixel_mm: tuple[float, float]) -> np.ndarray:
    """The mask (bool (y, x)) and all pixels with a center at most `mm` from its border."""
    from scipy.ndimage import distance_transform_edt

    if not mask.any():
        return mask
    border_mm = float(np.mean(pixel_mm)) / 2
    reach_mm = max(mm, float(max(pixel_mm)) - border_mm) + border_mm
    return np.asarray(distance_transform_edt(~mask, sampling=pixel_mm) <= reach_mm + SLACK)


def _smooth(
    mask: np.ndarray, sigma: tuple[float, ...], domain: np.ndarray | None = None
) -> np.ndarray:
    """Average a mask (bool (y, x)) over the domain and cut at one half; ties keep what was."""
    from scipy.ndimage import gaussian_filter

    mean = gaussian_filter(mask.astype(np.float32), sigma, mode="nearest")
    if domain is None:
        return np.asarray(mean + SLACK * np.where(mask, 1, -1) >= 0.5)
    weight = gaussian_filter(domain.astype(np.float32), sigma, mode="nearest")
    share = mean / np.maximum(weight, SLACK) + SLACK * np.where(mask, 1, -1)
    return np.asarray(domain & (share >= 0.5))


def _check_threshold(segmentation: Segmentation, structure: str, threshold: float) -> None:
    if structure not in PARTS:
        raise InputError(
            f"expected a structure that the networks know ({', '.join(PARTS)}), found "
            f"{structure!r}; mark it by clicks"
        )
    missing = {"lv_region", *PARTS[structure]} - set(segmentation.probabilities)
    if missing:
        raise InputError(
            "expected the probabilities of an automatic segmentation, found a label map; run the "
            "automatic segmentation to use a threshold"
        )
    if missing_image(structure, segmentation.assessed):
        raise InputError(
            f"expected a segmentation with {TABLE[structure].images} images, found one without; "
            f"{structure} is not seen there"
        )
    if not 0 < threshold <= 1:
        raise InputError(f"expected a threshold above 0 and up to 1, found {threshold:g}")


def _checked(
    structure: str, mm: float, spacing_mm: tuple[float, float, float]
) -> tuple[float, float]:
    """The pixel's size (y, x) in mm."""
    if structure not in STRUCTURES:
        raise InputError(
            f"expected one of {', '.join(STRUCTURES)}, found {structure!r}; choose one of them"
        )
    if not np.isfinite(mm):
        raise InputError(f"expected a length in mm, found {mm}; give a number")
    return spacing_mm[1], spacing_mm[0]


def _checked_slices(slices: Iterable[int], count: int) -> list[int]:
    chosen = [int(z) for z in slices]
    wrong = [z for z in chosen if not 0 <= z < count]
    if wrong:
        raise InputError(
            f"expected slices 0 to {count - 1}, found {wrong[0]}; name those there are"
        )
    return chosen

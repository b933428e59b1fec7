"""Which structure may take voxels from which, and what a voxel becomes when it is taken away.

    a mask of       takes voxels from                        a voxel it gives up becomes
    scar            normal myocardium, edema                 normal myocardium or edema *
    edema           normal myocardium, scar                  normal myocardium
    mvo             scar                                     scar
    myocardium      background, blood pool, right ventricle  blood pool or background **
                    (new voxels are normal myocardium)
    blood_pool      background, normal myocardium, edema,    normal myocardium
                    scar
    with `allow_blood_pool`, scar and edema also take from the blood pool and give back to it *
    without `keep_inside`, scar and edema also take from the background and give back to it *, and
    MVO also takes from normal myocardium and edema
    with `move_wall`, a click for scar takes the wall along to where the scar is (`wall.py`)

*  whichever the cascade found most probable; normal myocardium where its probabilities are unknown.
** blood pool if the connected part that is given up touches more blood than outside.

MVO is part of the scar: a scar mask leaves it alone. Only a reader marks it, so no other
structure takes it by spreading; it goes when the MVO, the scar or the myocardium there is removed.
Only the myocardium takes from the right ventricle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from myops.geometry.masks import grow_in_plane, label_components
from myops.labels import BACKGROUND, MYOPS
from myops.structures import ASSESSABLE, CORRECTED, STRUCTURES

NORMAL, BLOOD, RIGHT = MYOPS["normal_myocardium"], MYOPS["blood_pool"], MYOPS["right_ventricle"]
EDEMA, SCAR = MYOPS["edema"], MYOPS["scar"]

REGIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    name: STRUCTURES[name].mask for name in CORRECTED
}
# The label of a new voxel.
ADDED = {name: STRUCTURES[name].new_label for name in CORRECTED}
TAKES_FROM: dict[str, tuple[int, ...]] = {
    "scar": (NORMAL, EDEMA),
    "edema": (NORMAL, SCAR),
    "mvo": (SCAR,),
    "myocardium": (BACKGROUND, BLOOD, RIGHT),
    "blood_pool": (BACKGROUND, NORMAL, EDEMA, SCAR),
}
# The first label is the one without probabilities; the myocardium has its own rule.
GIVES_TO: dict[str, tuple[int, ...]] = {
    "scar": (NORMAL, EDEMA),
    "edema": (NORMAL,),
    "mvo": (SCAR,),
    "blood_pool": (NORMAL,),
}


@dataclass(frozen=True)
class Rules:
    """What a correction may touch.

    Attributes:
        allow_blood_pool: scar and edema may take voxels from the LV blood pool.
        keep_inside: scar, edema and MVO take nothing from outside the present myocardium, and
            MVO nothing from outside the scar.
        move_wall: a click for scar may move the wall to where its scar is, so that the scar lies
            inside it again.
    """

    allow_blood_pool: bool = False
    keep_inside: bool = True
    move_wall: bool = False


# What a reader begins with.
FIRST_RULES = Rules(move_wall=True)


def apply_mask(
    labels: np.ndarray,
    mask: np.ndarray,
    structure: str,
    rules: Rules,
    probabilities: Mapping[str, np.ndarray] | None = None,
) -> np.ndarray:
    """Make a structure equal to a mask, as far as the rules allow.

    Args:
        labels: uint16 (y, x) or (z, y, x), MyoPS labels.
        mask: bool of the same shape, what the structure shall be.
        structure: one of `prompts.STRUCTURES`.
        rules: what may be touched.
        probabilities: the cascade's joint probabilities by name, float of the same shape, as in
            `Segmentation.probabilities`; they choose what a removed voxel becomes.

    Returns:
        A new uint16 label map; voxels that the mask and the rules leave alone keep their value.

    Raises:
        ValueError: the shapes differ.
    """
    if mask.shape != labels.shape:
        raise ValueError(f"expected a mask of {labels.shape}, found {mask.shape}")
    present = REGIONS[structure](labels)
    changed = labels.astype(np.uint16)
    added = mask & ~present & np.isin(labels, _takes_from(structure, rules))
    changed[added] = ADDED[structure]
    removed = present & ~mask
    if structure == "myocardium":
        _remove_wall(changed, removed)
    else:
        changed[removed] = _given_to(_gives_to(structure, rules), removed, probabilities)
    return changed


def _takes_from(structure: str, rules: Rules) -> tuple[int, ...]:
    if structure == "mvo":
        return TAKES_FROM["mvo"] if rules.keep_inside else (SCAR, NORMAL, EDEMA)
    return TAKES_FROM[structure] + _beyond_the_wall(structure, rules)


def _gives_to(structure: str, rules: Rules) -> tuple[int, ...]:
    return GIVES_TO[structure] + _beyond_the_wall(structure, rules)


def _beyond_the_wall(structure: str, rules: Rules) -> tuple[int, ...]:
    if structure not in ASSESSABLE:
        return ()
    return (BLOOD,) * rules.allow_blood_pool + (BACKGROUND,) * (not rules.keep_inside)


def _given_to(
    candidates: tuple[int, ...],
    removed: np.ndarray,
    probabilities: Mapping[str, np.ndarray] | None,
) -> np.ndarray:
    """The label of every removed voxel, uint16 (n,); the first candidate wins a tie."""
    values = np.array(candidates, np.uint16)
    if probabilities is None or len(values) == 1:
        return np.full(np.count_nonzero(removed), values[0])
    names = {value: name for name, value in MYOPS.items()}
    chances = [
        1 - probabilities["lv_region"][removed]
        if value == BACKGROUND
        else probabilities[names[value]][removed]
        for value in candidates
    ]
    return values[np.argmax(chances, axis=0)]


def _remove_wall(labels: np.ndarray, removed: np.ndarray) -> None:
    """Turn removed myocardium to blood pool or background in place, part by part in each slice."""
    from scipy.ndimage import find_objects

    if labels.ndim == 3:  # slices are 8-10 mm apart: each is handled by itself
        for plane, gone in zip(labels, removed, strict=True):
            _remove_wall(plane, gone)
        return
    parts, _ = label_components(removed)
    for number, (rows, columns) in enumerate(find_objects(parts), start=1):
        around = (_one_wider(rows), _one_wider(columns))
        part = parts[around] == number
        ring = labels[around][grow_in_plane(part) & ~part]
        outside = np.isin(ring, (BACKGROUND, RIGHT))
        touches_blood = np.count_nonzero(ring == BLOOD) > np.count_nonzero(outside)
        labels[around][part] = BLOOD if touches_blood else BACKGROUND


def _one_wider(side: slice) -> slice:
    return slice(max(side.start - 1, 0), side.stop + 1)

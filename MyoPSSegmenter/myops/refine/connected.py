"""How much of a refiner's answer is taken: the connected change that holds the click.

A reader who clicks means the error that he clicks into. What the network would change elsewhere
in the slice was not asked for, and is wrong more often than not: on 12 infarcts a third of the
clicks that made a slice worse did so far from the click.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from myops.geometry.masks import label_components
from myops.refine.prompts import Box, Point, Prompts

# Between these the threshold of greatest expected Dice is looked for: below it a badly calibrated
# network would flood the wall, above one half a pixel more likely than not would be left out.
THRESHOLDS = tuple(np.linspace(0.25, 0.5, 26))
# Where nothing is marked yet there is nothing to flood: on real hearts a head that never saw any
# gives too small chances then, and the reader's first click would get a spot.
THRESHOLDS_FROM_NOTHING = tuple(np.linspace(0.1, 0.5, 41))


# How much surer than at the threshold of greatest expected Dice a head has to be to change a pixel
# against the click's sign. Why not more: Docs/explanation/refiner.md.
AGAINST_MARGIN = 0.2


# "whole": everything that the network changes, as up to version 0.2 and in sessions recorded then.
Taking = Literal["connected", "whole"]
TAKINGS: dict[str, Taking] = {"connected": "connected", "whole": "whole"}


def cut(
    probability: np.ndarray, present: np.ndarray, threshold: float, margin: np.ndarray | float
) -> np.ndarray:
    """What belongs to a structure: bool (y, x).

    Args:
        probability: float (y, x).
        present: bool (y, x), the present mask.
        threshold: of `best_threshold`.
        margin: how much surer a change has to be than the threshold says.
    """
    return np.asarray(probability > threshold + np.where(present, -1, 1) * margin)


def sign_margin(present: np.ndarray, positive: bool) -> np.ndarray:
    """How much surer than the threshold a change has to be: float (y, x).

    Args:
        present: bool (y, x), the present mask.
        positive: sign of the newest click.
    """
    return AGAINST_MARGIN * (present if positive else ~present)


def taken_change(
    present: np.ndarray, answer: np.ndarray, prompts: Prompts, taking: Taking = "connected"
) -> np.ndarray:
    """The present mask with that part of an answer which the newest prompt asked for.

    Args:
        present: bool (y, x), the mask that the reader sees.
        answer: bool (y, x), what the network makes of it.
        prompts: their newest click or box decides; a click takes the 8-connected change that holds
            its voxel, a box the change inside it, and without any the whole answer is taken.
        taking: "whole" takes the whole answer whatever was said.

    Returns:
        bool (y, x); the voxel of every click is as the click says.
    """
    newest = prompts.newest if taking == "connected" else None
    if isinstance(newest, Point):
        changed = connected_change(present != answer, voxel(newest))
    elif isinstance(newest, Box):
        changed = (present != answer) & _inside(newest, present.shape)
    else:
        changed = present != answer
    mask = np.where(changed, answer, present)
    for point in prompts.points:
        mask[voxel(point)] = point.positive
    return mask


def connected_change(changed: np.ndarray, place: tuple[int, int]) -> np.ndarray:
    """The 8-connected part of a change, bool (y, x), that holds a voxel or touches it."""
    held = changed.copy()
    held[place] = True
    parts, _ = label_components(held, "corners")
    return np.asarray(parts == parts[place])


def voxel(point: Point) -> tuple[int, int]:
    """Row and column of the voxel that a click lies in."""
    return int(np.floor(point.row + 0.5)), int(np.floor(point.column + 0.5))


def best_threshold(probability: np.ndarray, present: np.ndarray) -> float:
    """The threshold at which the expected Dice of a slice is greatest.

    It is looked for from 0.25 to 0.5, and from 0.1 on where the present mask is empty.

    With independent pixels of these probabilities the expected Dice of a mask is about twice the
    sum of the probabilities in it over its size plus the sum of all (Lipton et al. 2014,
    arXiv 1402.1892).

    Args:
        probability: float (y, x) in 0..1.
        present: bool (y, x), the present mask.

    Returns:
        The threshold; the smaller of equal ones.
    """
    thresholds = THRESHOLDS if present.any() else THRESHOLDS_FROM_NOTHING
    ordered = np.sort(probability, axis=None)[::-1].astype(np.float64)
    sums = np.concatenate(([0.0], np.cumsum(ordered)))
    counts = np.array([np.count_nonzero(ordered > t) for t in thresholds])
    total = sums[-1]
    scores = 2 * sums[counts] / np.maximum(counts + total, 1e-9)
    return float(thresholds[int(np.argmax(scores))])


def _inside(box: Box, shape: tuple[int, ...]) -> np.ndarray:
    """Bool (y, x): voxels whose centers lie inside a box."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    top, bottom = sorted((box.row_0, box.row_1))
    left, right = sorted((box.column_0, box.column_1))
    return (rows >= top) & (rows <= bottom) & (columns >= left) & (columns <= right)

"""Where a sequence shows anything, and hence where a tissue can be assessed.

A T2 stack often has fewer slices than the LGE, or a smaller field of view. Beyond it, and where a
program has filled up what was missing with one value, nobody can see edema: it is not assessed
there, which is not the same as none. The same holds for scar where there is no LGE.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from myops.sequences import SEQUENCE_TITLES
from myops.structures import SHOWN_BY, STRUCTURES

if TYPE_CHECKING:
    from myops.case import Case

# A part of the wall counts as shown when no more than this share of it is hidden: at the edge of a
# field of view rounding decides about single voxels.
SLACK_SHARE = 0.01

# Tissue to bool (z, y, x), True where the sequence that shows it shows nothing; a tissue that can
# be assessed everywhere is left out.
Hidden = Mapping[str, np.ndarray]
NOTHING_HIDDEN: Hidden = {}


def empty_slices(image: np.ndarray) -> np.ndarray:
    """Bool (z,): the slices of an image (z, y, x) that hold one value only."""
    empty: np.ndarray = np.ptp(image, axis=(1, 2)) == 0
    return empty


def shown(case: Case, sequence: str) -> np.ndarray:
    """Where a sequence shows anything, bool (z, y, x).

    That is its field of view without slices of one value, and without rows and columns of one value
    at the edge of a slice: resampling and exports leave these where they had nothing.
    """
    image = case.images[sequence]
    # Not "above 0": NaN is not a filling, and is refused elsewhere.
    rows, columns = np.ptp(image, axis=2) != 0, np.ptp(image, axis=1) != 0
    filled = _span(rows)[:, :, None] & _span(columns)[:, None, :]
    covered = case.covered.get(sequence)
    return filled if covered is None else filled & covered


def hidden_tissues(case: Case) -> dict[str, np.ndarray]:
    """Where each tissue cannot be assessed although the case has the sequence that shows it."""
    found: dict[str, np.ndarray] = {}
    for sequence in dict.fromkeys(SHOWN_BY.values()):
        if sequence in case.images and not (seen := shown(case, sequence)).all():
            found |= {name: ~seen for name, needed in SHOWN_BY.items() if needed == sequence}
    return found


def is_hidden(hidden: np.ndarray, wall: np.ndarray) -> bool:
    """Whether a part of the wall is hidden: all of a part without wall, or more than rounding.

    Args:
        hidden: bool, one array of `Hidden` or a part of it.
        wall: bool of the same shape, the LV myocardium.
    """
    voxels = int(np.count_nonzero(wall))
    if not voxels:
        return bool(hidden.all())
    return int(np.count_nonzero(hidden & wall)) > SLACK_SHARE * voxels


def hidden_slices(hidden: Hidden, tissue: str, wall: np.ndarray) -> np.ndarray:
    """Bool (z,): the slices in which a tissue cannot be assessed; wall is bool (z, y, x)."""
    if tissue not in hidden:
        return np.zeros(len(wall), bool)
    return np.array([is_hidden(*planes) for planes in zip(hidden[tissue], wall, strict=True)])


def reasons_here(hidden: Hidden, wall: np.ndarray) -> dict[str, str]:
    """Why tissues were not assessed in a slice or another part of the wall.

    Args:
        hidden: arrays of any one shape, such as (y, x).
        wall: bool of that shape.

    Returns:
        "scar", "mvo", "edema" and their union "scar_or_edema" to a reason; what was assessed is
        left out.
    """
    found = {}
    for name, where in hidden.items():
        if is_hidden(where, wall):
            title = SEQUENCE_TITLES[SHOWN_BY[name]]
            share = np.count_nonzero(wall & ~where) / max(int(np.count_nonzero(wall)), 1)
            words = f"{title} shows only {100 * share:.0f} % of the wall here" if share else ""
            found[name] = f"not assessed: {words or f'no {title} here'}"
    return _with_union(found)


def reasons_by_slice(hidden: Hidden, wall: np.ndarray) -> list[dict[str, str]]:
    """`reasons_here` of every slice; wall is bool (z, y, x)."""
    return [
        reasons_here({name: where[index] for name, where in hidden.items()}, plane)
        for index, plane in enumerate(wall)
    ]


def reasons_of_heart(hidden: Hidden, wall: np.ndarray) -> dict[str, str]:
    """Why tissues have no total: it would lack the slices that are named here.

    Args:
        hidden: arrays (z, y, x).
        wall: bool (z, y, x), the LV myocardium.

    Returns:
        As `reasons_here`.
    """
    held = wall.any(axis=(1, 2))
    found = {}
    for name in hidden:
        lacking = np.flatnonzero(hidden_slices(hidden, name, wall) & held)
        if lacking.size:
            found[name] = (
                f"not assessed: {STRUCTURES[name].images} does not show the whole LV (not slice "
                f"{slice_numbers(lacking)}), so there is no total; the other slices have their "
                "numbers"
            )
    return _with_union(found)


def _with_union(reasons: dict[str, str]) -> dict[str, str]:
    """A union, as that of scar and edema, lacks what any of its parts lacks."""
    found = dict(reasons)
    for name, row in STRUCTURES.items():
        if row.is_union:
            lacking = [reasons[part] for part in row.parts if part in reasons]
            found |= {name: lacking[0]} if lacking else {}
    return found


def slice_numbers(indices: np.ndarray) -> str:
    """Slices counted from 1, runs of three or more joined: "2, 8 to 14".

    Args:
        indices: int (n,), growing, counted from 0.
    """
    runs = np.split(indices + 1, np.flatnonzero(np.diff(indices) > 1) + 1)
    return ", ".join(
        f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs
    )


def _span(varied: np.ndarray) -> np.ndarray:
    """Bool (z, n): from the first to the last True of each row, both included."""
    from_start = np.maximum.accumulate(varied, axis=1)
    from_end = np.maximum.accumulate(varied[:, ::-1], axis=1)[:, ::-1]
    return from_start & from_end

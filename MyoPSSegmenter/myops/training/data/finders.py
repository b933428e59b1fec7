"""Regions as the ASSN really finds them, for PRSN to learn inside.

An ASSN finds the region of a case that it has learned from better than that of a new patient. So
each case is given to weights that have not learned from it (cross-fitting).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from myops.errors import InputError
from myops.weights.packs import FREE_PACK

if TYPE_CHECKING:
    import numpy as np

    from myops.case import Case
    from myops.weights.files import Models


def load_finders(names: str) -> tuple[Models, ...]:
    """The weights of a setting: "default" (the free pack), packs or folders, with commas between.

    None for "".

    Raises:
        InputError: see `weights.load_models`.
    """
    from myops.weights.files import load_models

    wanted = [name.strip() for name in names.split(",") if name.strip()]
    # Not on the graphics card: its memory is the training's.
    return tuple(load_models("cpu", FREE_PACK if name == "default" else name) for name in wanted)


def found_region(
    case: Case, checksums: frozenset[str], finders: Sequence[Models]
) -> np.ndarray | None:
    """The region that the first weights find that have not learned from a case.

    Args:
        case: the case's images.
        checksums: of them (`learned.image_checksums`).
        finders: weights to choose from.

    Returns:
        bool (z, y, x) on the case's grid; None where no heart is found, or without finders.

    Raises:
        InputError: all of the weights have learned from the case.
    """
    from myops.cascade.segment import find_region

    if not finders:
        return None
    fitting = [models for models in finders if not models.learned & checksums]
    if not fitting:
        raise InputError(
            f"{case.name}: expected finders of which one has not learned from this case, found "
            f"{len(finders)} that all have; name weights of another fold"
        )
    try:
        return find_region(case, fitting[0])
    except InputError:
        return None

"""What a reader tells the refiner about one structure in one slice: points and boxes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from myops.errors import InputError
from myops.structures import CORRECTED

# What can be corrected, in the order of the refiner's mask tokens.
STRUCTURES = CORRECTED


@dataclass(frozen=True)
class Point:
    """A click: "belongs to the structure" (positive) or "does not".

    Attributes:
        row, column: in pixels of the Case's slice (0 = center of the first pixel); fractions are
            allowed, since a reader clicks between pixel centers.
        positive: True to add, False to remove.
    """

    row: float
    column: float
    positive: bool = True


@dataclass(frozen=True)
class Box:
    """A rectangle around the structure, in pixels of the Case's slice; corners in any order."""

    row_0: float
    column_0: float
    row_1: float
    column_1: float


@dataclass(frozen=True)
class Prompts:
    """All prompts for one structure in one slice, in the order they were given.

    Attributes:
        structure: one of `STRUCTURES`.
        slice_index: z index on the Case's grid, counted from 0.
        points: clicks; the last one is the newest.
        box: at most one; a new box replaces the old one.
        box_is_newest: whether the box was drawn after the last click.
    """

    structure: str
    slice_index: int
    points: tuple[Point, ...] = ()
    box: Box | None = None
    box_is_newest: bool = False

    @property
    def newest(self) -> Point | Box | None:
        """What was said last; a click, where nobody knows whether the box came after it."""
        if self.points and not (self.box and self.box_is_newest):
            return self.points[-1]
        return self.box


def check_prompts(prompts: Prompts, shape_zyx: Sequence[int]) -> None:
    """Refuse prompts that do not lie in the image.

    Args:
        prompts: of one structure and slice.
        shape_zyx: array shape of the Case.

    Raises:
        InputError: unknown structure; a slice outside the stack; a coordinate that is not finite
            or lies outside the slice; two opposite clicks in one voxel.
    """
    if prompts.structure not in STRUCTURES:
        raise InputError(
            f"expected a structure among {', '.join(STRUCTURES)}, found {prompts.structure!r}"
        )
    if not 0 <= prompts.slice_index < shape_zyx[0]:
        raise InputError(
            f"expected a slice from 0 to {shape_zyx[0] - 1}, found {prompts.slice_index}: "
            "click in a slice of the image"
        )
    for point in prompts.points:
        _check_place(point.row, point.column, shape_zyx)
    if prompts.box is not None:
        _check_place(prompts.box.row_0, prompts.box.column_0, shape_zyx)
        _check_place(prompts.box.row_1, prompts.box.column_1, shape_zyx)
    _check_contradictions(prompts.points)


def _check_place(row: float, column: float, shape_zyx: Sequence[int]) -> None:
    inside = all(
        math.isfinite(place) and -0.5 <= place < size - 0.5  # these round to a pixel of the slice
        for place, size in ((row, shape_zyx[1]), (column, shape_zyx[2]))
    )
    if not inside:
        raise InputError(
            f"expected a place inside the slice of {shape_zyx[1]} rows and {shape_zyx[2]} columns, "
            f"found row {row:g}, column {column:g}: click inside the image"
        )


def _check_contradictions(points: Sequence[Point]) -> None:
    said: dict[tuple[int, int], bool] = {}
    for point in points:
        voxel = (math.floor(point.row + 0.5), math.floor(point.column + 0.5))
        if said.setdefault(voxel, point.positive) != point.positive:
            raise InputError(
                f"expected one answer per voxel, found + and - at row {voxel[0]}, column "
                f"{voxel[1]}: delete one of the two clicks"
            )


def to_dict(prompts: Prompts) -> dict[str, Any]:
    """JSON values of prompts."""
    return {
        "structure": prompts.structure,
        "slice_index": prompts.slice_index,
        "points": [[p.row, p.column, p.positive] for p in prompts.points],
        "box": None
        if prompts.box is None
        else [prompts.box.row_0, prompts.box.column_0, prompts.box.row_1, prompts.box.column_1],
    }


def from_dict(values: Mapping[str, Any]) -> Prompts:
    """Prompts from the JSON values of `to_dict`.

    Raises:
        InputError: a value is missing or of another kind.
    """
    try:
        points = tuple(Point(float(r), float(c), bool(plus)) for r, c, plus in values["points"])
        box = values.get("box")
        return Prompts(
            str(values["structure"]),
            int(values["slice_index"]),
            points,
            None if box is None else Box(*(float(v) for v in box)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"expected prompts with structure, slice and points, found {error}"
        ) from None

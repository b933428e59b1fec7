"""A session's history as tables of numbers, and back: each slice, prompt and correction once.

Snapshots share most slices and corrections. In memory they share the objects; in a file they share
the numbers of table rows:

    planes        packed slices
    strokes       prompt, and the number of the slice before it
    corrections   structure, slice index, numbers of its strokes
    snapshots     name, numbers of its slices, numbers of its open corrections
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from myops.errors import InputError
from myops.io.json_fields import count, flag
from myops.labels import BACKGROUND
from myops.refine.correction import Correction, Stroke
from myops.refine.history import Snapshot
from myops.refine.label_compression import LITTLE_ENDIAN_LABEL
from myops.refine.prompts import Box, Point, check_prompts
from myops.structures import LABEL_VALUES

Snapshots = tuple[Snapshot[Mapping[int, Correction]], ...]
KNOWN_LABELS = (BACKGROUND, *LABEL_VALUES.values())


@dataclass
class StateTables:
    """The tables.

    Attributes:
        planes: each packed slice once.
        values: the other tables, JSON values.
    """

    planes: list[bytes] = field(default_factory=list)
    values: dict[str, list[Any]] = field(default_factory=dict)


class _Rows:
    """Rows of a table, each content once; equal content gets the same number."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def number(self, key: Any, row: Any) -> int:
        if key not in self._numbers:
            self._numbers[key] = len(self.rows)
            self.rows.append(row)
        return self._numbers[key]


def to_tables(snapshots: Snapshots) -> StateTables:
    """Tables of a history."""
    planes, strokes, corrections = _Rows(), _Rows(), _Rows()

    def stroke_number(stroke: Stroke) -> int:
        before = planes.number(stroke.before, stroke.before)
        return strokes.number((stroke.prompt, before), [*_prompt_values(stroke.prompt), before])

    def correction_number(correction: Correction) -> int:
        numbers = tuple(stroke_number(stroke) for stroke in correction.strokes)
        key = (correction.structure, correction.slice_index, numbers)
        return corrections.number(key, [*key[:2], list(numbers)])

    rows = [
        [
            snapshot.name,
            [planes.number(packed, packed) for packed in snapshot.slices],
            [correction_number(correction) for correction in snapshot.companion.values()],
        ]
        for snapshot in snapshots
    ]
    return StateTables(
        planes.rows,
        {"strokes": strokes.rows, "corrections": corrections.rows, "snapshots": rows},
    )


def from_tables(tables: StateTables, shape_zyx: tuple[int, int, int]) -> Snapshots:
    """The history that `to_tables` wrote.

    Args:
        tables: as read from a file.
        shape_zyx: of the label map.

    Raises:
        InputError: a slice, prompt or number that cannot be.
    """
    for packed in tables.planes:
        _check_plane(packed, shape_zyx[1:])
    try:
        strokes = [_stroke(row, tables.planes) for row in tables.values["strokes"]]
        corrections = [_correction(row, strokes) for row in tables.values["corrections"]]
        for correction in corrections:
            check_prompts(correction.prompts, shape_zyx)
        return tuple(
            _snapshot(row, tables.planes, corrections, shape_zyx[0])
            for row in tables.values["snapshots"]
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(f"expected a saved history, found damaged tables ({error!r})") from None


def _prompt_values(prompt: Point | Box) -> list[Any]:
    if isinstance(prompt, Point):
        return ["point", [prompt.row, prompt.column, prompt.positive]]
    return ["box", [prompt.row_0, prompt.column_0, prompt.row_1, prompt.column_1]]


def _stroke(row: Sequence[Any], planes: Sequence[bytes]) -> Stroke:
    kind, values, before = row
    prompt: Point | Box
    if kind == "point":
        prompt = Point(float(values[0]), float(values[1]), flag(values[2]))
    elif kind == "box" and len(values) == 4:
        prompt = Box(*(float(value) for value in values))
    else:
        raise ValueError(f"no prompt: {kind!r}")
    return Stroke(prompt, planes[count(before)])


def _correction(row: Sequence[Any], strokes: Sequence[Stroke]) -> Correction:
    structure, slice_index, numbers = row
    return Correction(structure, count(slice_index), tuple(strokes[count(n)] for n in numbers))


def _snapshot(
    row: Sequence[Any], planes: Sequence[bytes], corrections: Sequence[Correction], depth: int
) -> Snapshot[Mapping[int, Correction]]:
    name, slices, opened = row
    if not isinstance(name, str) or len(slices) != depth:
        raise ValueError(f"no snapshot of {depth} slices")
    found = [corrections[count(number)] for number in opened]
    return Snapshot(
        name,
        tuple(planes[count(number)] for number in slices),
        {correction.slice_index: correction for correction in found},
    )


def _check_plane(packed: bytes, shape_yx: tuple[int, ...]) -> None:
    """Refuse a packed slice of another size, or with values that are no labels."""
    size = int(np.prod(shape_yx)) * LITTLE_ENDIAN_LABEL.itemsize
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(packed, size + 1)
    except zlib.error as error:
        raise InputError(f"expected a packed slice, found damaged data ({error})") from None
    if len(content) != size or not stream.eof:
        raise InputError(f"expected a packed slice of {size} bytes, found another size")
    if not _is_label()[np.frombuffer(content, LITTLE_ENDIAN_LABEL)].all():
        raise InputError("expected MyoPS labels in a packed slice, found other values")


def _is_label() -> np.ndarray:
    """Bool (65536,), True at the values that are labels: quicker than a search per voxel."""
    table = np.zeros(1 << 16, bool)
    table[list(KNOWN_LABELS)] = True
    return table

"""Numbers as people and spreadsheets write them: which marks are decimals, which thousands.

"1,010" is one thousand and ten in one country and about one in another. All numbers of a column are
looked at together, then the other columns of the table; what can still be read in two ways is
refused, never guessed.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from myops.errors import InputError

# Spaces and apostrophes part thousands and nothing else.
SPACES = "\u0020\u00a0\u2007\u2008\u2009\u202f"
APOSTROPHES = "'\u2019\u02bc\u2032"
# Decimal mark, and what may part thousands beside it.
WAYS = tuple(
    (decimal, group)
    for decimal, other in ((".", ","), (",", "."))
    for group in (other, SPACES, APOSTROPHES)
)


@dataclass(frozen=True)
class NumberColumn:
    """The numbers of a column.

    Attributes:
        name: of the column.
        cells: number of the row to its text; none of them empty.
        thousands: False where no number reaches a thousand, such as the mass of a scar in g.
    """

    name: str
    cells: Mapping[int, str]
    thousands: bool = True


@dataclass(frozen=True)
class _Reading:
    """What the numbers of a column may be.

    Attributes:
        values: number of the row to its number.
        decimals: the decimal marks with which they are that.
        grouped: whether a point or comma parts thousands.
    """

    values: Mapping[int, float]
    decimals: frozenset[str]
    grouped: bool


def read_numbers(
    columns: Sequence[NumberColumn], table: str, decimal: str | None = None
) -> dict[str, Mapping[int, float]]:
    """Read the numbers of all columns of a table.

    Args:
        columns: of numbers.
        table: its name, for errors.
        decimal: the mark of a table whose numbers do not tell it; None to refuse such a table.

    Returns:
        Name of the column to number of the row to its number, which may be negative or infinite.

    Raises:
        InputError: a cell that is not a number, or numbers to be read in two ways; both named.
    """
    found = {column.name: _readings(column, table) for column in columns}
    told = _told(found.values())
    if not told:
        told = _told([_plausible(column, found[column.name]) for column in columns])
    if not told and decimal is not None:
        told = {decimal}
    return {column.name: _only(column, found[column.name], told, table) for column in columns}


def is_number(text: str) -> bool:
    """Whether a cell is a number in one of the ways."""
    return any(_value(text, *way) is not None for way in WAYS)


def _readings(column: NumberColumn, table: str) -> list[_Reading]:
    """The different numbers that the whole column may hold."""
    left = list(WAYS)
    for row, text in column.cells.items():
        fitting = [way for way in left if _value(text, *way) is not None]
        if not fitting:
            raise _unreadable(column, row, table)
        left = fitting
    found: dict[tuple[float, ...], set[tuple[str, str]]] = {}
    for way in left:
        values = [_value(text, *way) for text in column.cells.values()]
        found.setdefault(tuple(v for v in values if v is not None), set()).add(way)
    return [
        _Reading(
            dict(zip(column.cells, values, strict=True)),
            frozenset(decimal for decimal, _ in ways),
            all(group in ".," for _, group in ways),
        )
        for values, ways in found.items()
    ]


def _value(text: str, decimal: str, group: str) -> float | None:
    """A number, or None where the text is none in this way."""
    if not _pattern(decimal, group).fullmatch(text):
        return None
    for mark in group:
        text = text.replace(mark, "")
    return float(text.replace(decimal, "."))


@functools.cache
def _pattern(decimal: str, group: str) -> re.Pattern[str]:
    mark, part = re.escape(decimal), f"[{re.escape(group)}]"
    whole = rf"(?:[1-9]\d{{0,2}}(?:{part}\d{{3}})+|\d+)"
    return re.compile(rf"[+-]?(?:{whole}(?:{mark}\d*)?|{mark}\d+)(?:[eE][+-]?\d+)?")


def _told(columns: Iterable[list[_Reading]]) -> set[str]:
    """The decimal marks of the columns that can be read in one way."""
    marks = [readings[0].decimals for readings in columns if len(readings) == 1]
    return {mark for only in marks if len(only) == 1 for mark in only}


def _plausible(column: NumberColumn, readings: list[_Reading]) -> list[_Reading]:
    return [r for r in readings if column.thousands or not r.grouped]


def _only(
    column: NumberColumn, readings: list[_Reading], told: set[str], table: str
) -> Mapping[int, float]:
    """The one reading of a column: by itself, or by the decimal mark of the other columns."""
    fitting = readings
    if len(readings) > 1 and len(told) == 1:
        fitting = [reading for reading in readings if reading.decimals & told]
    fitting = _plausible(column, fitting)
    if len(fitting) == 1:
        return fitting[0].values
    if len(readings) == 1:
        row = next(row for row, value in readings[0].values.items() if abs(value) >= 1000)
        raise InputError(
            f"{table}, row {row}: expected {column.name} as a number below 1000, found "
            f"{column.cells[row]!r}; write all numbers of the column with one decimal mark"
        )
    row = next(n for n in column.cells if len({reading.values[n] for reading in readings}) > 1)
    one, other = sorted({reading.values[row] for reading in readings})
    raise InputError(
        f"{table}, column {column.name}: expected numbers that can be read in one way, found "
        f"{column.cells[row]!r} in row {row}, which may be {one:g} or {other:.10g}; write it as "
        f"{other:.0f} without a mark between thousands, or as {one:.4f}"
    )


def _unreadable(column: NumberColumn, row: int, table: str) -> InputError:
    text = column.cells[row]
    for other, earlier in column.cells.items():
        if other == row or not is_number(text):
            break
        if not _share_a_way(text, earlier):
            return InputError(
                f"{table}, column {column.name}: expected all numbers written in one way, found "
                f"{earlier!r} in row {other} and {text!r} in row {row}; use one decimal mark"
            )
    return no_number(f"{table}, row {row}", column.name, text)


def _share_a_way(one: str, other: str) -> bool:
    return any(_value(one, *way) is not None and _value(other, *way) is not None for way in WAYS)


def no_number(place: str, column: str, text: str) -> InputError:
    """The error for a cell that is not a number from 0 on."""
    return InputError(
        f"{place}: expected {column} as a number not below 0, found {text!r}; "
        "leave the cell empty where there is none"
    )

"""Every CSV file that the program writes, and how its cells are read again.

A spreadsheet runs a cell that begins with = + - @, a tab or a carriage return as a formula, and
names come from other people's files. Such a text gets an apostrophe in front, which the reader
takes off again. Numbers stay as they are.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from myops.io.readable import readable

# An apostrophe of the text's own gets one more, so that reading takes off what writing put on.
FORMULA = re.compile("'*[=+\\-@\t\r＝＋－＠]")


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A table as the text of a CSV file; what a row does not hold, and None, are empty cells.

    Args:
        columns: names, in order.
        rows: column to its number, text or None.

    Raises:
        ValueError: a row holds a column that is not named.
    """
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writerow({name: to_cell(name) for name in columns})
    table.writerows({name: to_cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def csv_rows(text: str, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV text that are not empty, with the line that each ends in, from 1.

    Raises:
        ValueError: what no table has, such as a cell of more than 131072 letters.
    """
    table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for cells in table:
            if any(cell.strip() for cell in cells):
                yield table.line_num, [from_cell(cell) for cell in cells]
    except csv.Error as error:
        raise ValueError(f"row {table.line_num}: {error}") from None


def to_cell(value: Any) -> Any:
    """A value as it is written: one line, and never a formula."""
    if not isinstance(value, str):
        return value
    words = readable(value)
    return f"'{words}" if FORMULA.match(words) else words


def from_cell(cell: str) -> str:
    """The text that `to_cell` wrote."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell

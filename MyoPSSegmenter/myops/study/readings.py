"""The readings of a study, from a table.

A table is CSV (comma, semicolon or tab) with one row per reading:

    case, reader, session, method   names; a session is a reader's first, second ... reading
    mass_g or mask                  scar mass in g, or a label file (relative to the table)
    convention                      of the label file, out of labels.CONVENTIONS; MyoPS if empty
    seconds                         optional: the time it took
    seconds_<stage>                 optional: how that time is divided
    mass_g_<method>                 optional: scar mass by another method, a reading of its own
    quality                         optional: image quality of the case, a grade or a score
    reference_g                     optional: the true scar mass of the case in g
    note, data                      optional: why a mass is missing; "simulated" where it was

The work list's study.csv has further columns, such as status and clicks, which are for the eye. An
empty mass is a missing reading: its case is left out where it is needed, and named.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from myops.errors import InputError
from myops.io.csv_files import csv_rows
from myops.io.readable import readable
from myops.io.text_files import read_text
from myops.quantify.human_heart import heart_warning, warning_of_many
from myops.study.numbers import NumberColumn, is_number, no_number, read_numbers
from myops.study.reading import NAMES, TOTAL, Reading, Study

STAGE, OTHER_METHOD = "seconds_", "mass_g_"
KNOWN = (
    *NAMES,
    "mass_g",
    "mask",
    "convention",
    "seconds",
    "quality",
    "reference_g",
    "note",
    "data",
)
# What the work list notes beside a reading, see `worklist.study_table`.
WORK_LIST = (
    "status",
    "status_at",
    "idle_s",
    "clicks",
    "undos",
    "redos",
    "latency_ms_p50",
    "latency_ms_p95",
    "lv_mass_g",
    "edema_g",
    "mvo_g",
)
# How Excel is told what parts the cells; other programs write the line as a cell among others.
SEPARATOR = re.compile(r'"?sep=(\\t|[^"\r\n])"?[,;\t ]*', re.IGNORECASE)
NO_MASS = "the table holds no mass"
MISSING = frozenset({"", "na", "n/a", "nan", "none", "-", "–"})


def read_table(path: str | Path) -> Study:
    """Read a table of readings.

    Raises:
        InputError: no text, missing columns, a value that is not a number or may be two, a negative
            one, a mask that cannot be measured, the same reading twice, or two spellings of a name.
    """
    path = Path(path)
    header, rows, delimiter = table_cells(path)
    _check_header(path.name, header)
    # Where commas part the cells, a comma in a number is hardly a decimal mark.
    numbers = _numbers(path.name, rows, "." if delimiter == "," else None)
    readings: list[Reading] = []
    warned: dict[str, str] = {}
    for number, cells in rows:
        values = {column: known[number] for column, known in numbers.items() if number in known}
        row = _Row(cells, values, f"{path.name}, row {number}", path.parent)
        own = row.readings()
        warned[row.place] = row.warning(own[0].mass_g)
        readings += own
    used = {*KNOWN, *WORK_LIST, ""}
    unused = [n for n in header if n not in used and not n.startswith((STAGE, OTHER_METHOD))]
    warnings = tuple(
        filter(
            None,
            [
                f"columns not used: {', '.join(unused)}" if unused else "",
                warning_of_many(warned, len(rows)),
            ],
        )
    )
    simulated = any(row.get("data", "").lower() == "simulated" for _, row in rows)
    words = "The table says that its readings were simulated." if simulated else ""
    return Study(tuple(readings), path.name, words, warnings)


Rows = list[tuple[int, dict[str, str]]]


def table_cells(path: Path) -> tuple[list[str], Rows, str]:
    """Header, the rows with their number in the file, and what parts the cells."""
    text, delimiter = _text(path)
    rows: Rows = []
    header: list[str] = []
    try:
        for number, cells in csv_rows(text, delimiter):
            if not header:
                header = [_column(readable(name)) for name in cells]
                continue
            if len(cells) != len(header):
                raise InputError(f"row {number}: expected {len(header)} cells, found {len(cells)}")
            values = zip(header, (cell.strip() for cell in cells), strict=True)
            rows.append((number, dict(values)))
    except ValueError as error:
        raise InputError(f"{path.name}, {error}") from None
    return header, rows, delimiter


def _text(path: Path) -> tuple[str, str]:
    """The table's text and what parts its cells, as a first line such as "sep=;" may say."""
    try:
        text = read_text(path)
    except OSError as error:
        raise InputError(
            f"{path}: expected a table or a folder of readings, found {error.strerror}; "
            "check the path"
        ) from None
    except InputError:
        raise InputError(
            f"{path.name}: expected a text table, found other bytes; save it as CSV (UTF-8)"
        ) from None
    first, _, rest = text.partition("\n")
    if said := SEPARATOR.fullmatch(first):
        # An empty line in its place keeps the numbers of the rows.
        return f"\n{rest}", said[1].replace("\\t", "\t")
    return text, max(",;\t", key=first.count)


def _column(name: str) -> str:
    """A column's name: small letters, but for the name of a stage or method within it."""
    low = name.lower()
    prefix = next((part for part in (STAGE, OTHER_METHOD) if low.startswith(part)), "")
    return prefix + name[len(prefix) :] if prefix else low


def _numbers(table: str, rows: Rows, decimal: str | None) -> dict[str, Mapping[int, float]]:
    """The numbers of every column that holds some, none of them below 0."""
    columns = []
    for name in rows[0][1] if rows else ():
        cells = {n: row[name] for n, row in rows if row[name].lower() not in MISSING}
        mass = name in ("mass_g", "reference_g") or _is_part(name, OTHER_METHOD)
        time = name == "seconds" or _is_part(name, STAGE)
        score = name == "quality" and all(map(is_number, cells.values()))
        if mass or time or score:
            columns.append(NumberColumn(name, cells, thousands=not mass))
    found = read_numbers(columns, table, decimal)
    for column in columns:
        for row, value in found[column.name].items():
            if not math.isfinite(value) or (value < 0 and column.name != "quality"):
                raise no_number(f"{table}, row {row}", column.name, column.cells[row])
    return found


def _check_header(name: str, header: Sequence[str]) -> None:
    missing = [column for column in NAMES if column not in header]
    if "mass_g" not in header and "mask" not in header:
        missing.append("mass_g (or mask)")
    if missing:
        raise InputError(
            f"{name}: expected the columns {', '.join(NAMES)} and mass_g or mask, "
            f"found no {', '.join(missing)}; the first row names the columns"
        )
    low = [column.lower() for column in header]
    twice = sorted({column for column in low if column and low.count(column) > 1})
    if twice:
        raise InputError(f"{name}: expected each column once, found {', '.join(twice)} twice")
    if f"{STAGE}{TOTAL}" in low:
        raise InputError(
            f"{name}: expected the whole time in seconds, found {STAGE}{TOTAL}; rename the column"
        )


@dataclass(frozen=True)
class _Row:
    """One row of the table: its cells, its numbers by column, and its place in words."""

    cells: Mapping[str, str]
    numbers: Mapping[str, float]
    place: str
    folder: Path

    def readings(self) -> list[Reading]:
        """The row's own method, then the others; none of them where its own mass is missing."""
        mass_g, note = self._mass()
        own = Reading(
            self._name("case"),
            self._name("reader"),
            self._name("session"),
            self._name("method"),
            mass_g,
            self.numbers.get("seconds"),
            self._stages(),
            self._quality(),
            self.numbers.get("reference_g"),
            note,
        )
        others = [name for name in self.cells if _is_part(name, OTHER_METHOD)]
        return [own, *(self._other(own, name) for name in others if mass_g is not None)]

    def warning(self, mass_g: float | None) -> str:
        """Why the row's numbers, or its label map, are none of a human heart; or ""."""
        mask = self.cells.get("mask", "")
        if mask:
            from myops.study.masks import warning_of_file

            return warning_of_file(self.folder / mask, self.cells.get("convention", ""))
        lv_g = self.numbers.get("lv_mass_g")
        share = 100 * mass_g / lv_g if mass_g is not None and lv_g else None
        return heart_warning({"scar_g": mass_g, "lv_mass_g": lv_g, "scar_percent": share})

    def _other(self, own: Reading, column: str) -> Reading:
        """Another method's reading: the same case and session, measured without time."""
        mass_g = self.numbers.get(column)
        return replace(
            own,
            method=column.removeprefix(OTHER_METHOD),
            mass_g=mass_g,
            seconds=None,
            stages={},
            note="" if mass_g is not None else NO_MASS,
        )

    def _name(self, column: str) -> str:
        if not readable(self.cells[column]):
            raise InputError(f"{self.place}: expected a {column}, found an empty cell; name it")
        return self.cells[column]

    def _mass(self) -> tuple[float | None, str]:
        mass_g, mask = self.numbers.get("mass_g"), self.cells.get("mask", "")
        if mass_g is not None and mask:
            raise InputError(f"{self.place}: expected mass_g or mask, found both; leave one empty")
        if not mask:
            note = self.cells.get("note", "") or NO_MASS
            return mass_g, "" if mass_g is not None else note
        from myops.study.masks import scar_mass_g

        try:
            return scar_mass_g(self.folder / mask, self.cells.get("convention", "")), ""
        except (ValueError, OSError) as error:
            raise InputError(f"{self.place}: {error}") from error

    def _stages(self) -> dict[str, float]:
        return {
            name.removeprefix(STAGE): seconds
            for name, seconds in self.numbers.items()
            if _is_part(name, STAGE)
        }

    def _quality(self) -> str:
        """The grade or score; a number that a country writes in its own way, with a point."""
        text, value = self.cells.get("quality", ""), self.numbers.get("quality")
        if value is None:
            return text
        try:
            return text if float(text) == value else f"{value:g}"
        except ValueError:
            return f"{value:g}"


def _is_part(column: str, prefix: str) -> bool:
    return column.startswith(prefix) and len(column) > len(prefix)

"""The readings of a study, from a table.

A table is CSV (comma, semicolon or tab) with one row per reading:

    case, reader, session, method   names; a session is a reader's first, second ... reading
    mass_g or mask                  scar mass in g, or a label file (relative to the table)
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

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import InputError
from ..quantify.human_heart import doubt, doubt_of_many

NAMES = ("case", "reader", "session", "method")
STAGE, OTHER_METHOD = "seconds_", "mass_g_"
KNOWN = (*NAMES, "mass_g", "mask", "seconds", "quality", "reference_g", "note", "data")
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
NO_MASS = "the table holds no mass"
MISSING = frozenset({"", "na", "n/a", "nan", "none", "-", "–"})


@dataclass(frozen=True)
class Reading:
    """One scar mass, read once.

    Attributes:
        case: name of the patient or phantom.
        reader: who read it.
        session: the reader's first, second ... reading.
        method: how the scar was measured.
        mass_g: scar mass in g; None when the reading is missing, `note` says why.
        seconds: time of the whole reading in s; None when it was not taken.
        stages: stage name to its time in s.
        quality: image quality grade or score of the case; empty when none was given.
        reference_g: true scar mass of the case in g; None when it is not known.
        note: why the mass is missing.
    """

    case: str
    reader: str
    session: str
    method: str
    mass_g: float | None
    seconds: float | None = None
    stages: Mapping[str, float] = field(default_factory=dict)
    quality: str = ""
    reference_g: float | None = None
    note: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes a reading one of its kind: case, reader, session, method."""
        return self.case, self.reader, self.session, self.method


@dataclass(frozen=True)
class Study:
    """All readings, each of its kind once.

    Attributes:
        readings: in the order of the source.
        source: name of the table or folder, without its path.
        simulated: how the readings were simulated; empty for readings of people.
        warnings: what was not used, in words.
    """

    readings: tuple[Reading, ...]
    source: str
    simulated: str = ""
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.readings:
            raise InputError(f"{self.source}: expected readings, found none")
        _check_once(self)
        for name in ("quality", "reference_g"):
            _check_one_per_case(self, name)


def read_study(source: str | Path) -> Study:
    """Read a table of readings, or a folder of saved sessions.

    Raises:
        InputError: see `read_table` and `sessions.read_sessions`.
    """
    if Path(source).is_dir():
        from .sessions import read_sessions

        return read_sessions(source)
    return read_table(source)


def read_table(path: str | Path) -> Study:
    """Read a table of readings.

    Raises:
        InputError: no text, missing columns, a value that is no number, a negative one, a mask
            that cannot be measured, or the same reading twice.
    """
    path = Path(path)
    header, rows, decimal_comma = _cells(path)
    _check_header(path.name, header)
    readings: list[Reading] = []
    doubts: dict[str, str] = {}
    for number, cells in rows:
        row = _Row(cells, f"{path.name}, row {number}", path.parent, decimal_comma)
        own = row.readings()
        doubts[row.place] = row.doubt(own[0].mass_g)
        readings += own
    used = {*KNOWN, *WORK_LIST, ""}
    unused = [n for n in header if n not in used and not n.startswith((STAGE, OTHER_METHOD))]
    warnings = tuple(
        filter(
            None,
            [
                f"columns not used: {', '.join(unused)}" if unused else "",
                doubt_of_many(doubts, len(rows)),
            ],
        )
    )
    simulated = any(row.get("data", "").lower() == "simulated" for _, row in rows)
    words = "The table says that its readings were simulated." if simulated else ""
    return Study(tuple(readings), path.name, words, warnings)


def _cells(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]], bool]:
    """Header, the rows with their number in the file, and whether decimals may have a comma."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(
            f"{path}: expected a table or a folder of readings, found {error.strerror}; "
            "check the path"
        ) from None
    except UnicodeDecodeError:
        raise InputError(
            f"{path.name}: expected a text table, found other bytes; save it as CSV (UTF-8)"
        ) from None
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = [name.strip().lower() for name in next(table, [])]
    rows = []
    for cells in table:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise InputError(
                f"{path.name}, row {table.line_num}: expected {len(header)} cells, "
                f"found {len(cells)}"
            )
        values = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        rows.append((table.line_num, values))
    return header, rows, delimiter != ","


def _check_header(name: str, header: Sequence[str]) -> None:
    missing = [column for column in NAMES if column not in header]
    if "mass_g" not in header and "mask" not in header:
        missing.append("mass_g (or mask)")
    if missing:
        raise InputError(
            f"{name}: expected the columns {', '.join(NAMES)} and mass_g or mask, "
            f"found no {', '.join(missing)}; the first row names the columns"
        )
    twice = sorted({column for column in header if column and header.count(column) > 1})
    if twice:
        raise InputError(f"{name}: expected each column once, found {', '.join(twice)} twice")


@dataclass(frozen=True)
class _Row:
    """One row of the table: its cells, its place in words, and how they are read."""

    cells: Mapping[str, str]
    place: str
    folder: Path
    decimal_comma: bool

    def readings(self) -> list[Reading]:
        """The row's own method, then the others; none of them where its own mass is missing."""
        mass_g, note = self._mass()
        own = Reading(
            self._name("case"),
            self._name("reader"),
            self._name("session"),
            self._name("method"),
            mass_g,
            self._number("seconds"),
            self._stages(),
            self.cells.get("quality", ""),
            self._number("reference_g"),
            note,
        )
        others = [name for name in self.cells if _is_part(name, OTHER_METHOD)]
        return [own, *(self._other(own, name) for name in others if mass_g is not None)]

    def doubt(self, mass_g: float | None) -> str:
        """Why the row's numbers, or its label map, are none of a human heart; or ""."""
        mask = self.cells.get("mask", "")
        if mask:
            from .masks import doubt_of_file

            return doubt_of_file(self.folder / mask)
        lv_g = self._number("lv_mass_g")
        share = 100 * mass_g / lv_g if mass_g is not None and lv_g else None
        return doubt({"scar_g": mass_g, "lv_mass_g": lv_g, "scar_percent": share})

    def _other(self, own: Reading, column: str) -> Reading:
        """Another method's reading: the same case and session, measured without time."""
        mass_g = self._number(column)
        return replace(
            own,
            method=column.removeprefix(OTHER_METHOD),
            mass_g=mass_g,
            seconds=None,
            stages={},
            note="" if mass_g is not None else NO_MASS,
        )

    def _name(self, column: str) -> str:
        if not self.cells[column]:
            raise InputError(f"{self.place}: expected a {column}, found an empty cell; name it")
        return self.cells[column]

    def _mass(self) -> tuple[float | None, str]:
        mass_g, mask = self._number("mass_g"), self.cells.get("mask", "")
        if mass_g is not None and mask:
            raise InputError(f"{self.place}: expected mass_g or mask, found both; leave one empty")
        if not mask:
            note = self.cells.get("note", "") or NO_MASS
            return mass_g, "" if mass_g is not None else note
        from .masks import scar_mass_g

        try:
            return scar_mass_g(self.folder / mask), ""
        except (InputError, OSError) as error:
            raise InputError(f"{self.place}: {error}") from error

    def _stages(self) -> dict[str, float]:
        found = {
            name.removeprefix(STAGE): self._number(name)
            for name in self.cells
            if _is_part(name, STAGE)
        }
        return {stage: seconds for stage, seconds in found.items() if seconds is not None}

    def _number(self, column: str) -> float | None:
        text = self.cells.get(column, "")
        if text.lower() in MISSING:
            return None
        try:
            value = float(text.replace(",", ".") if self.decimal_comma else text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value < 0:
            raise InputError(
                f"{self.place}: expected {column} as a number not below 0, found {text!r}; "
                "leave the cell empty where there is none"
            )
        return value


def _is_part(column: str, prefix: str) -> bool:
    return column.startswith(prefix) and len(column) > len(prefix)


def _check_once(study: Study) -> None:
    seen: set[tuple[str, ...]] = set()
    for reading in study.readings:
        if reading.key in seen:
            what = ", ".join(f"{n} {v}" for n, v in zip(NAMES, reading.key, strict=True))
            raise InputError(
                f"{study.source}: expected each reading once, found {what} twice; "
                "delete one, or give it another session"
            )
        seen.add(reading.key)


def _check_one_per_case(study: Study, name: str) -> None:
    """Quality and reference belong to the case: its readings cannot disagree on them."""
    for case in in_order(reading.case for reading in study.readings):
        values = {getattr(r, name) for r in study.readings if r.case == case} - {None, ""}
        if len(values) > 1:
            raise InputError(
                f"{study.source}: expected one {name} for case {case}, "
                f"found {', '.join(sorted(map(str, values)))}; it belongs to the case"
            )


def in_order(names: Iterable[str]) -> list[str]:
    """Each name once, in the order of first appearance."""
    return list(dict.fromkeys(names))

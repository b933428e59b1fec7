"""The table that says which patient has which pseudonym, kept apart from the results.

A CSV file with the columns `patient` and `pseudonym`. Who is already in it keeps the pseudonym;
who is not gets the next free one, and a row is added. A patient is looked up by the patient ID or
the name in DICOM files (without both, by a checksum of the study UID), else by what the names of
image files begin with, else by their folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from errno import ENOENT
from pathlib import Path
from typing import TYPE_CHECKING

from myops.dicom.headers import is_dicom, read_identity
from myops.dicom.series import DicomSeries
from myops.dicom.series_names import sequence_in
from myops.errors import InputError
from myops.io.csv_files import csv_rows, csv_text
from myops.io.file_names import file_prefix, stem
from myops.io.text_files import read_text, write_text
from myops.output.overwriting import lies_in

if TYPE_CHECKING:
    from myops.patients.provenance import Inputs
    from myops.patients.sources import Source

COLUMNS = ("patient", "pseudonym")
PREFIX, DIGITS = "P", 4
# Several processes of a batch may ask at once; each holds the table for milliseconds.
LOCK_SUFFIX = ".lock"
LONGEST_WAIT_S = 20.0


def under_pseudonym(
    inputs: Inputs, table: Path, results: Path, keep_identity: bool = False
) -> Inputs:
    """A patient's images under a pseudonym, whose results note no paths.

    Args:
        inputs: what the user named.
        table: the CSV file; made if missing.
        results: the folder that results go to.
        keep_identity: whether the patient's name was asked for elsewhere, which contradicts it.

    Raises:
        InputError: a name was asked for at once, or see `pseudonym`.
    """
    if inputs.name is not None or keep_identity:
        option = "--keep-identity" if keep_identity else "--name"
        raise InputError(f"expected --pseudonyms or {option}, found both: leave one out")
    name = pseudonym(table, inputs.files, results)
    return replace(inputs, name=name, places_noted=False)


def pseudonym(table: Path, files: Mapping[str, Source], results: Path) -> str:
    """The pseudonym of a patient, which is added to the table where it holds none.

    Args:
        table: the CSV file; made if missing.
        files: sequence name to the patient's image file or DICOM series.
        results: the folder that results go to, which must not hold the table.

    Raises:
        InputError: the table lies with the results, cannot be read or written, or contradicts
            itself about this patient.
    """
    refuse_in_results(table, results)
    names = identities(files)
    with _locked(table):
        rows = _read(table)
        found = {rows[name] for name in names if name in rows}
        if len(found) > 1:
            raise InputError(
                f"{table}: expected one pseudonym for a patient, found "
                f"{' and '.join(sorted(found))} for two of the names that this one goes by; "
                "correct the table"
            )
        if found:
            return found.pop()
        rows[names[0]] = _next(rows.values())
        _write(table, rows)
    return rows[names[0]]


def refuse_in_results(table: Path, results: Path) -> None:
    """Refuse a table that would be passed on with the results.

    Raises:
        InputError: it lies in their folder.
    """
    if lies_in(table, results) or table.resolve().is_relative_to(results.resolve()):
        raise InputError(
            f"expected the table of pseudonyms outside of the results, found {table} in {results}: "
            "whoever gets them would get the key; name a table elsewhere"
        )


def identities(files: Mapping[str, Source]) -> tuple[str, ...]:
    """What a patient may be listed by, the surest first; at least one."""
    found: list[str] = []
    for source in files.values():
        path = source if isinstance(source, Path) else source.files[0]
        found += read_identity(path) if is_dicom(path) else ()
    if not found:  # images of files, or DICOM that names nobody
        found = [
            one.study if isinstance(one, DicomSeries) else _name(one) for one in files.values()
        ]
    return tuple(dict.fromkeys(found))


def _name(path: Path) -> str:
    """What a file's name begins with before its sequence, else its folder's name.

    A name that tells no sequence may be that of every patient's image: the folder comes first then.
    """
    folders = (folder.name for folder in path.absolute().parents)
    folder = next(name for name in folders if sequence_in(name) is None)
    prefix = file_prefix(path)
    return f"{folder}/{prefix}" if prefix == stem(path) else prefix or folder


def _read(table: Path) -> dict[str, str]:
    """Patient -> pseudonym.

    Raises:
        InputError: no such table, or one pseudonym for two patients.
    """
    if not table.exists():
        return {}
    try:
        lines = list(csv_rows(read_text(table)))
        head = tuple(cell.strip().lower() for cell in lines[0][1]) if lines else COLUMNS
        places = [head.index(name) for name in COLUMNS]
        found = [(line, [cells[k].strip() for k in places]) for line, cells in lines[1:]]
    except (OSError, ValueError, IndexError) as error:
        raise InputError(
            f"{table}: expected a CSV table with the columns patient and pseudonym, found none "
            f"({error}); correct it, or name a new file"
        ) from None
    rows: dict[str, str] = {}
    for line, (patient, name) in found:
        if not patient or not name or rows.get(patient, name) != name:
            raise InputError(
                f"{table}, line {line}: expected a patient with one pseudonym, found {patient!r} "
                f"with {name!r}; correct the table"
            )
        rows[patient] = name
    return rows


def _next(taken: Iterable[str]) -> str:
    """One more than the highest number of this program's own pseudonyms."""
    numbers = [int(m[1]) for name in taken if (m := re.fullmatch(rf"{PREFIX}(\d+)", name))]
    return f"{PREFIX}{max(numbers, default=0) + 1:0{DIGITS}d}"


def _write(table: Path, rows: Mapping[str, str]) -> None:
    lines = [dict(zip(COLUMNS, pair)) for pair in rows.items()]
    write_text(table, csv_text(COLUMNS, lines))


@contextmanager
def _locked(table: Path) -> Iterator[None]:
    """Keep other processes out of the table; the system ends the lock of a process that is killed.

    Raises:
        InputError: another one holds it for too long, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(table.with_name(table.name + LOCK_SUFFIX), timeout=LONGEST_WAIT_S)
    try:
        if not table.parent.is_dir():  # filelock would make it, wherever a typo points to
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT))
        lock.acquire()
    except Timeout:
        raise InputError(
            f"{table}: expected a table that no other program holds, found one that holds it for "
            f"{LONGEST_WAIT_S:.0f} s; wait until the other one has ended"
        ) from None
    except OSError as error:
        raise InputError(
            f"expected a table of pseudonyms that can be written, found {table} "
            f"({error.strerror}); name a file in a folder that exists and can be written"
        ) from None
    try:
        yield
    finally:
        lock.release()

"""A cohort named by a table: one row per patient, paths relative to the table.

patient                    the name in the results' table, and of the results' folder
folder, or lge, bssfp, t2  the patient's folder, or each image: file, DICOM folder, FOLDER@NUMBER
name                       optional: the patient's name for the report; none is shown without
frame                      optional: frame of a 4D cine, from 0
spacing                    optional: true voxel spacing "X Y Z" in mm where the file has none
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from myops.batch.jobs import Job
from myops.errors import InputError
from myops.sequences import SEQUENCES
from myops.study.readings import table_cells
from myops.worklist.reader_ids import folder_name

TABLE_SUFFIXES = (".csv", ".tsv", ".txt")
PATIENT, FOLDER = "patient", "folder"
OPTIONAL = ("name", "frame", "spacing")


def jobs_of_table(path: Path) -> list[Job]:
    """A job for each row; one whose cells cannot be used has a problem, and the rest is done.

    Raises:
        InputError: no text, no rows, or a table without the columns that it needs.
    """
    header, rows, _ = table_cells(path)
    places = [FOLDER, *SEQUENCES]
    if PATIENT not in header or not set(header) & set(places):
        raise InputError(
            f"{path.name}: expected the columns {PATIENT} and {', '.join(places[:-1])} or "
            f"{places[-1]}, found {', '.join(header) or 'no header'}; name the columns in row 1"
        )
    if not rows:
        raise InputError(f"{path.name}: expected a row for each patient, found none; add them")
    return [_job(cells, number, path) for number, cells in rows]


def _job(cells: Mapping[str, str], number: int, table: Path) -> Job:
    where = f"{table.name}, row {number}"
    job = Job(cells[PATIENT] or f"row {number}")
    try:
        folder_name(job.name)
        return _filled(job, cells, where, table.parent)
    except InputError as error:
        return replace(job, name=f"row {number}", problem=str(error))
    except ValueError as error:
        return replace(job, problem=f"{where}: {error}")


def _filled(job: Job, cells: Mapping[str, str], where: str, base: Path) -> Job:
    named = {key: base / cells[key] for key in SEQUENCES if cells.get(key)}
    folder = base / cells[FOLDER] if cells.get(FOLDER) else None
    if not cells[PATIENT]:
        raise InputError(f"{where}: expected a name in the column {PATIENT}, found none; add it")
    return replace(
        job,
        folder=folder,
        named=named,
        title=cells.get("name") or None,
        frame=_frame(cells.get("frame", "")),
        spacing_mm=_spacing(cells.get("spacing", "")),
    )


def _frame(text: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal():
        raise ValueError(f"expected a frame counted from 0, found {text!r}; correct the cell")
    return int(text)


def _spacing(text: str) -> tuple[float, float, float] | None:
    if not text:
        return None
    words = f'expected a spacing in mm such as "1.4 1.4 10", found {text!r}; correct the cell'
    try:
        x, y, z = map(float, text.split())
    except ValueError:
        raise ValueError(words) from None
    return x, y, z

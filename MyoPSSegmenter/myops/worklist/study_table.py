"""All readings of a study as one table, one row per case, reader and session.

`study.csv` is written whole from the case.json files after each change, so it never says anything
else than they do; `myops study STUDY/study.csv` reads it. "mass_g" is the scar of the label map,
"mass_g_<rule>" the scar of a conventional rule in the same myocardium.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from myops.errors import InputError
from myops.io.csv_files import csv_text
from myops.io.number_text import plain
from myops.io.text_files import write_text
from myops.study.reading import INTERACTIVE
from myops.study.readings import OTHER_METHOD, STAGE, WORK_LIST
from myops.worklist.casefile import CaseFile, find_case_files, read_case_file
from myops.worklist.timing import STAGES

STUDY_TABLE = "study.csv"
COLUMNS = (
    "case",
    "reader",
    "session",
    "method",
    "mass_g",
    "seconds",
    *(f"{STAGE}{stage}" for stage in STAGES),
    "note",
    *WORK_LIST,
)
NO_SCAR = "no scar mass: segment the case"


@dataclass(frozen=True)
class StudyTable:
    """What was written.

    Attributes:
        path: of the table.
        cases: in the order of its rows.
        problems: case files that could not be read, one sentence each.
    """

    path: Path
    cases: tuple[CaseFile, ...]
    problems: tuple[str, ...]


def write_study_table(study: str | Path) -> StudyTable:
    """Write STUDY/study.csv from all case.json files of the study.

    Raises:
        InputError: the place cannot be written; the earlier table stays.
    """
    cases: list[CaseFile] = []
    problems: list[str] = []
    for path in find_case_files(study):
        try:
            cases.append(read_case_file(path, keep_aside=False))
        except InputError as error:
            problems.append(str(error))
    text = table_text(cases)
    path = write_text(Path(study) / STUDY_TABLE, text)
    return StudyTable(path, tuple(cases), tuple(problems))


def table_text(cases: Iterable[CaseFile]) -> str:
    """The table as CSV text."""
    rows = [_row(case) for case in cases]
    methods = sorted({name for row in rows for name in row if name not in COLUMNS})
    return csv_text([*COLUMNS, *methods], rows)


def _row(case: CaseFile) -> dict[str, str]:
    seconds = case.seconds
    scar_g = case.masses_g.get("scar")
    latencies = sorted(click.total_ms for click in case.clicks)
    return {
        "case": case.case,
        "reader": case.reader,
        "session": case.session,
        "method": INTERACTIVE,
        "mass_g": plain(scar_g, 3, ""),
        "seconds": plain(sum(seconds.values()) if seconds else None, 1, ""),
        **{f"{STAGE}{stage}": plain(seconds.get(stage), 1, "") for stage in STAGES},
        "note": case.note or ("" if scar_g is not None else NO_SCAR),
        "status": case.status,
        "status_at": case.changes[-1].at if case.changes else "",
        "idle_s": plain(float(case.clock["idle_seconds"]), 1, ""),
        "clicks": str(len(case.clicks)),
        "undos": str(case.undos),
        "redos": str(case.redos),
        "latency_ms_p50": plain(median(latencies) if latencies else None, 1, ""),
        "latency_ms_p95": plain(_percentile_95(latencies), 1, ""),
        "lv_mass_g": plain(case.masses_g.get("lv_myocardium"), 3, ""),
        "edema_g": plain(case.masses_g.get("edema"), 3, ""),
        "mvo_g": plain(case.masses_g.get("mvo"), 3, ""),
        **_method_cells(case.methods_g),
    }


def _method_cells(methods_g: Mapping[str, float | None]) -> dict[str, str]:
    return {OTHER_METHOD + name: plain(grams, 3, "") for name, grams in methods_g.items()}


def _percentile_95(ordered: list[float]) -> float | None:
    """The nearest rank: a latency that did occur."""
    return ordered[-(-95 * len(ordered) // 100) - 1] if ordered else None

"""A whole cohort: what is asked for, what is done already, and one table and page of everything."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from myops.batch.archives import UNFINISHED, archives_in, is_archive, unpack
from myops.batch.jobs import Job, distinct, jobs_of_folder, without_twins
from myops.batch.page import render_cohort
from myops.batch.patient import (
    DONE,
    MARK,
    PATIENTS,
    STOPPED,
    WAITING,
    BatchOptions,
    Outcome,
    reason_to_stop,
)
from myops.batch.rows import as_csv, as_parquet
from myops.batch.tables import TABLE_SUFFIXES, jobs_of_table
from myops.errors import InputError
from myops.io.atomic import write_atomic, write_json
from myops.io.text_files import read_json, write_text
from myops.output.overwriting import OTHER_OUTPUT, lies_in, refuse_foreign
from myops.output.results import STAGE_PREFIX, check_writable
from myops.progress import Progress

UNPACKED, ERRORS = "unpacked", "errors"
TABLE, PARQUET, PAGE = "results.csv", "results.parquet", "overview.html"
OWN = (MARK, PATIENTS, UNPACKED, ERRORS, TABLE, PARQUET, PAGE, ".*")
# Does jobs somewhere, and gives what came of each when it ends.
Engine = Callable[[Sequence[Job]], Iterator[Outcome]]


@dataclass(frozen=True)
class Cohort:
    """What came of a cohort.

    Attributes:
        outcomes: one for each job, in the order of the jobs.
        stopped: why it could not go on; "" if it came to its end.
    """

    outcomes: tuple[Outcome, ...]
    stopped: str = ""

    @property
    def done(self) -> int:
        """How many patients have results."""
        return sum(one.status == DONE for one in self.outcomes)


def find_jobs(source: Path, output: Path, say: Callable[[str], None] | None = None) -> list[Job]:
    """The patients of a folder, an archive or a table.

    Args:
        source: a folder of patients and archives, one archive, or a table (CSV).
        output: of the cohort: archives are unpacked into it.
        say: called with what is searched.

    Raises:
        InputError: nothing there, or nothing of it is a patient.
    """
    if source.is_dir():
        archives = archives_in(source)
        jobs = _in_folder(source, bool(archives), say)
    elif is_archive(source):
        archives, jobs = [source], []
    elif source.is_file() and source.name.lower().endswith(TABLE_SUFFIXES):
        archives, jobs = [], jobs_of_table(source)
    else:
        raise InputError(
            f"{source}: expected a folder of patients, an archive, or a table "
            f"({', '.join(TABLE_SUFFIXES)}), found none; check the path"
        )
    jobs += [job for archive in archives for job in _in_archive(archive, output, say)]
    return without_twins(distinct(jobs))


def start_cohort(source: Path, output: Path, options: BatchOptions) -> None:
    """Make the folder of a cohort, or see that it is one with the same options.

    Raises:
        InputError: it cannot be written, holds other files, lies in the source, or belongs to a
            cohort that was segmented in another way.
    """
    check_writable(output)
    if lies_in(output, source):
        raise InputError(
            f"expected results outside of the images, found {output} in {source}; {OTHER_OUTPUT}"
        )
    if (output / MARK).exists():
        # Options that came later were not given then.
        earlier = asdict(BatchOptions()) | read_json(output / MARK).get("options", {})
        if earlier != asdict(options):
            raise InputError(
                f"{output}: expected a cohort that was begun with the same options, found "
                f"{_listed(earlier)} in place of {_listed(asdict(options))}; "
                "use those, or name another --output"
            )
    else:
        refuse_foreign(output, [".*"], OTHER_OUTPUT)
    remove_unfinished(output)
    notice = NOTICE_OF_PSEUDONYMS if options.pseudonyms else NOTICE
    write_json(output / MARK, {"notice": notice, "options": asdict(options)})


NOTICE = (
    "A cohort of myops batch. Names of folders and rows of the tables are those of the source: "
    "take care that they name no patient before you pass them on."
)
NOTICE_OF_PSEUDONYMS = (
    "A cohort of myops batch. Patients go by pseudonyms, whose table lies elsewhere."
)


def remove_unfinished(output: Path) -> None:
    """Remove what processes that were killed have begun to write."""
    for folder in (output, output / PATIENTS, output / UNPACKED):
        for prefix in (STAGE_PREFIX, UNFINISHED):
            for left in folder.glob(f"{prefix}*"):
                shutil.rmtree(left, ignore_errors=True)


def run_cohort(
    jobs: Sequence[Job],
    output: Path,
    engine: Engine,
    progress: Progress,
    say: Callable[[str], None],
) -> Cohort:
    """Do all jobs and write the tables and the page, also where it has to end early.

    Args:
        jobs: the patients.
        output: of the cohort.
        engine: does the jobs.
        progress: told after each patient.
        say: takes a line about each patient without results.

    Raises:
        InputError: the engine cannot work at all.
    """
    found: dict[str, Outcome] = {}
    stopped = ""
    try:
        for outcome in engine(jobs):
            found[outcome.name] = outcome
            if outcome.status == STOPPED:
                stopped = outcome.message
                break
            if outcome.status != DONE:
                say(f"{outcome.name}: {outcome.told or outcome.message}")
            progress(_share_done(found, len(jobs)), _standing(found, len(jobs)))
    except InputError as error:
        stopped = str(error)
    finally:
        cohort = Cohort(tuple(_outcome(job, found) for job in jobs), stopped)
        cohort = write_cohort(cohort, output)
    return cohort


def write_cohort(cohort: Cohort, output: Path) -> Cohort:
    """Write results.csv, results.parquet where pyarrow is installed, the page, and tracebacks.

    Returns:
        The same; stopped where the place cannot be written.
    """
    stop = reason_to_stop(output)
    if stop and not (output / MARK).is_file():  # a folder made anew would hide what is lost
        return replace(cohort, stopped=cohort.stopped or stop)
    rows = [_row(one) for one in cohort.outcomes]
    try:
        write_text(output / TABLE, as_csv(rows))
        if find_spec("pyarrow"):
            write_atomic(output / PARQUET, lambda path: as_parquet(rows, path))
        write_text(output / PAGE, render_cohort(cohort.outcomes, PATIENTS, cohort.stopped))
        _write_errors(cohort.outcomes, output / ERRORS)
    except InputError as error:
        return replace(cohort, stopped=cohort.stopped or str(error))
    return cohort


def _in_folder(source: Path, may_be_empty: bool, say: Callable[[str], None] | None) -> list[Job]:
    try:
        return jobs_of_folder(source, say)
    except InputError:
        if may_be_empty:
            return []
        raise


def _in_archive(archive: Path, output: Path, say: Callable[[str], None] | None) -> Iterator[Job]:
    """Its patients, named after it; one job with a problem where it cannot be unpacked."""
    if say is not None:
        say(archive.name)
    try:
        folder = unpack(archive, output / UNPACKED / archive.name)
        jobs = jobs_of_folder(folder)
    except (InputError, OSError) as error:
        yield Job(archive.name, problem=str(error))
        return
    for job in jobs:
        alone = len(jobs) == 1
        yield replace(job, name=archive.name if alone else f"{archive.name} {job.name}")


def _outcome(job: Job, found: Mapping[str, Outcome]) -> Outcome:
    return found.get(job.name, Outcome(job.name, WAITING, "the cohort ended before its turn"))


def _row(outcome: Outcome) -> dict[str, object]:
    return {
        "patient": outcome.name,
        "status": outcome.status,
        "problem": outcome.message,
        **outcome.row,
    }


def _share_done(found: Mapping[str, Outcome], count: int) -> float:
    """Of what this run has to do: results of an earlier one take no time, and tell none."""
    new = sum(not one.resumed for one in found.values())
    left = count - (len(found) - new)
    return new / left if left else 1.0


def _standing(found: Mapping[str, Outcome], count: int) -> str:
    without = sum(one.status != DONE for one in found.values())
    words = f"{len(found)} of {count} patients"
    return f"{words}, {without} without results" if without else words


def _write_errors(outcomes: Iterable[Outcome], folder: Path) -> None:
    """A traceback for each error that nobody expected; those of earlier runs go."""
    shutil.rmtree(folder, ignore_errors=True)
    for one in outcomes:
        if one.details:
            write_text(folder / f"{Job(one.name).place}.txt", one.details)


def _listed(options: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.items()) or "no options"

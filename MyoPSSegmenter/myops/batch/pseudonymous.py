"""A cohort under pseudonyms: jobs that name nobody, before any of them is begun.

Folders, rows, pages and the tasks of a cluster are named after jobs, so that nothing else has to
know of pseudonyms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from myops.batch.archives import archives_in, is_archive
from myops.batch.jobs import Job
from myops.errors import InputError
from myops.patients.pseudonyms import pseudonym, refuse_in_results

if TYPE_CHECKING:
    from myops.patients.sources import Source


def check_pseudonyms(source: Path, output: Path, table: Path, keep_identity: bool = False) -> None:
    """Refuse what contradicts pseudonyms, before patients are searched.

    Args:
        source: of the patients, as `find_jobs` takes it.
        output: of the cohort.
        table: the pseudonyms, which must lie elsewhere.
        keep_identity: whether names were asked for at once.

    Raises:
        InputError: names are asked for, the table lies with the results, or archives would be
            unpacked there.
    """
    if keep_identity:
        raise InputError("expected --pseudonyms or --keep-identity, found both: leave one out")
    refuse_in_results(table, output)
    archives = archives_in(source) if source.is_dir() else [source] * is_archive(source)
    if archives:
        raise InputError(
            f"expected patients in folders with --pseudonyms, found {archives[0].name}, whose "
            "images would be unpacked into the results; unpack it elsewhere"
        )


def under_pseudonyms(
    jobs: Sequence[Job], table: Path, output: Path, say: Callable[[str], None] = lambda _: None
) -> list[Job]:
    """The same jobs, named by pseudonyms; the table gets a row for each new patient.

    Several examinations of one patient are P0001, P0001 (2) ...; whoever cannot be identified is
    named by the place in the cohort and has no results.

    Args:
        jobs: patients with the names of their folders or rows.
        table: the pseudonyms.
        output: of the cohort.
        say: called with the name of each patient.

    Raises:
        InputError: a name for the reports is asked for at once, or the table cannot be used.
    """
    named = [job.name for job in jobs if job.title is not None]
    if named:
        raise InputError(
            f"expected --pseudonyms or a column name, found both (for {named[0]}): leave one out"
        )
    found = []
    for number, job in enumerate(jobs, start=1):
        say(job.name)
        found.append(_renamed(job, number, table, output))
    return list(_told_apart(found))


def _renamed(job: Job, number: int, table: Path, output: Path) -> Job:
    hidden = replace(job, anonymous=True, known_as=job.name)
    try:
        files = _files(job)
    except InputError as error:
        return replace(hidden, name=f"patient {number} of the source", problem=str(error))
    name = pseudonym(table, files, output)
    return replace(hidden, name=name, title=name)


def _files(job: Job) -> Mapping[str, Source]:
    """The images by which the patient is known.

    Raises:
        InputError: none can be used.
    """
    return job.sources or job.found or job.inputs().files


def _told_apart(jobs: Iterable[Job]) -> Iterator[Job]:
    counts: dict[str, int] = {}  # of places, which a disk may not tell apart by capitals
    for job in jobs:
        key = job.place.casefold()
        counts[key] = count = counts.get(key, 0) + 1
        yield job if count == 1 else replace(job, name=f"{job.name} ({count})")

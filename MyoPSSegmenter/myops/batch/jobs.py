"""The patients of a cohort, from a folder or a table: one job each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from myops.errors import InputError
from myops.patients.find import PatientFiles, find_patients
from myops.patients.folders import natural, walk
from myops.patients.provenance import Inputs, find_inputs, inputs_of
from myops.worklist.reader_ids import folder_name

if TYPE_CHECKING:
    from myops.patients.sources import Source


@dataclass(frozen=True)
class Job:
    """One patient to segment.

    Attributes:
        name: unique in the cohort, for the table and the results' folder; never in a report.
        folder: of the images, where it holds this patient alone; they are told apart when read.
        named: sequence to its file, DICOM folder or "FOLDER@NUMBER", as options would name them.
        sources: sequence to its file or DICOM series, where they are known already.
        title: the patient's name for the report; None = none is shown.
        frame: frame of a 4D file or phase of a cine, from 0.
        spacing_mm: true spacing (x, y, z) where the header holds none.
        problem: why the patient cannot be segmented, known before anything is read.
        found: sequence to its file or series as the search of the folder saw them.
        anonymous: whether nothing that is written may say where the images are.
        known_as: `name` before it became a pseudonym, for the terminal.
    """

    name: str
    folder: Path | None = None
    named: Mapping[str, Path] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    title: str | None = None
    frame: int | None = None
    spacing_mm: tuple[float, float, float] | None = None
    problem: str = ""
    found: Mapping[str, Source] = field(default_factory=dict)
    anonymous: bool = False
    known_as: str = ""

    @property
    def place(self) -> str:
        """Name of the folder of its results."""
        return folder_name(self.name)

    def inputs(self) -> Inputs:
        """The images, as `myops segment` finds them.

        Raises:
            InputError: `problem`, or see `find_inputs`.
        """
        if self.problem:
            raise InputError(self.problem)
        known = inputs_of(self.sources) if self.sources else None
        found = known or find_inputs(self.folder, self.named)
        return replace(
            found,
            name=self.title,
            frame=self.frame,
            spacing_mm=self.spacing_mm,
            places_noted=not self.anonymous,
        )


def jobs_of_folder(folder: Path, say: Callable[[str], None] | None = None) -> list[Job]:
    """A job for each patient in a folder and below it, and one for each folder without any.

    Args:
        folder: of patients, as `patients.find` tells them apart.
        say: called with the name of each folder before it is searched.

    Raises:
        InputError: no such folder, or nothing in it is an image.
    """
    patients = find_patients(folder, say)
    places = [patient.folder for patient in patients]
    jobs = [_job(patient, places) for patient in patients]
    jobs += _folders_without(folder.resolve(), places)
    return sorted(jobs, key=lambda job: natural(job.name))


def without_twins(jobs: Sequence[Job]) -> list[Job]:
    """The same jobs; one that shares an image file with an earlier one gets a problem."""
    from myops.io.checksum import file_sha256

    files = [(job, path) for job in jobs for path in _files(job)]
    sizes: dict[int, list[tuple[Job, Path]]] = {}
    for job, path in files:
        sizes.setdefault(path.stat().st_size, []).append((job, path))
    # Only files of one size can be copies: hardly any file is read here.
    first: dict[str, str] = {}
    twins: dict[str, str] = {}
    alike = [group for group in sizes.values() if len({job.name for job, _ in group}) > 1]
    order = {job.name: number for number, job in enumerate(jobs)}
    for job, path in sorted((pair for g in alike for pair in g), key=lambda p: order[p[0].name]):
        owner = first.setdefault(file_sha256(path), job.name)
        if owner != job.name and owner not in twins:
            twins.setdefault(job.name, _twin(path.name, owner))
    return [replace(j, problem=j.problem or twins.get(j.name, "")) for j in jobs]


def distinct(jobs: Iterable[Job]) -> list[Job]:
    """The same jobs; names that stand twice are told apart, and the later one has a problem."""
    found: dict[str, Job] = {}
    for job in jobs:
        key, number = job.place.casefold(), 2
        if key in found:
            while f"{key} ({number})" in found:
                number += 1
            words = (
                f"expected each patient once, found {job.name} a second time; give the second "
                "another name, or delete it"
            )
            job = replace(job, name=f"{job.name} ({number})", problem=job.problem or words)
            key = f"{key} ({number})"
        found[key] = job
    return list(found.values())


def _job(patient: PatientFiles, places: Sequence[Path]) -> Job:
    """By its folder, where `myops segment FOLDER` would find this patient alone in it."""
    inside = [one for one in places if one == patient.folder or patient.folder in one.parents]
    if len(inside) == 1:
        return Job(patient.name, patient.folder, found=dict(patient.sequences))
    if patient.sequences:
        return Job(patient.name, sources=dict(patient.sequences))
    return Job(patient.name, problem=" ".join(patient.problems) or _nothing(patient.folder))


def _folders_without(root: Path, places: Sequence[Path]) -> list[Job]:
    """A job with a problem for each folder of files in which no patient was found."""
    jobs = []
    for folder in walk(root):
        related = [one for one in places if folder == one or one in folder.parents]
        above = [one for one in places if folder in one.parents]
        if folder == root or related or above:
            continue
        if any(path.is_file() and not path.name.startswith(".") for path in folder.iterdir()):
            name = folder.relative_to(root).as_posix()
            jobs.append(Job(name, folder, problem=_nothing(folder)))
    return jobs


def _nothing(folder: Path) -> str:
    return (
        f"{folder}: expected images of a patient, found none that can be read; export them again, "
        "or take the folder out of the cohort"
    )


def _twin(file: str, owner: str) -> str:
    return (
        f"{file}: expected each patient once, found the same image in {owner}; take one of the two "
        "out of the cohort, or give the right image"
    )


def _files(job: Job) -> list[Path]:
    """Its image files, as far as they are known without reading a header."""
    if job.problem:
        return []
    named = [*job.named.values(), *(one for one in job.sources.values() if isinstance(one, Path))]
    inside: list[Path] = []
    with suppress(OSError):  # said when its turn comes: the others are done
        inside = [] if job.folder is None else list(job.folder.iterdir())
    from myops.patients.folders import is_image_file

    return [path for path in (*named, *inside) if path.is_file() and is_image_file(path)]

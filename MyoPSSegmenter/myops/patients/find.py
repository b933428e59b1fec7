"""Patients in folders: which file or DICOM series of each is which sequence.

A patient is a folder with images, or, in a folder with images of several patients, what begins
with the same words (`patient7_C0.nii.gz`, `patient7_DE.nii.gz`). Image files come before DICOM.
What is not told by a name, or by several, is left to the user and named.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from myops.dicom.series import DicomSeries, find_series
from myops.dicom.volume import read_series
from myops.errors import InputError
from myops.io.checks import SUFFIXES
from myops.io.file_names import file_prefix
from myops.io.images import read_image
from myops.io.readable import is_utf8, readable, visible
from myops.patients.folders import image_folders, natural, other_files
from myops.patients.sources import (
    Recognition,
    Source,
    file_sequence,
    phases_of_source,
    rank_of_source,
    recognition,
)
from myops.sequences import GRID_SEQUENCES, OPTIONS, SEQUENCES

if TYPE_CHECKING:
    import SimpleITK as sitk


@dataclass(frozen=True)
class PatientFiles:
    """A patient's images.

    Attributes:
        name: for the work list: the folder's name, or what the files' names begin with.
        folder: where they are.
        sequences: name, such as "lge", to an image file or a DICOM series.
        unrecognized: other images, for the user to choose from.
        problems: what the user should look at, one sentence each.
        reasons: sequence to what tells that its image is that sequence.
        left_out: the other images with the reason, a sentence each.
        study: checksum that tells DICOM studies of one folder apart; empty for files.
    """

    name: str
    folder: Path
    sequences: Mapping[str, Source]
    unrecognized: tuple[Source, ...] = ()
    problems: tuple[str, ...] = ()
    study: str = ""
    reasons: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not is_utf8(self.name):
            object.__setattr__(self, "name", readable(self.name))
        object.__setattr__(self, "problems", tuple(map(visible, self.problems)))


def find_patients(
    folder: str | Path, progress: Callable[[str], None] | None = None
) -> tuple[PatientFiles, ...]:
    """All patients in a folder and its sub-folders, in natural order of their names.

    Args:
        folder: of one or several patients.
        progress: called with the name of each folder before it is searched.

    Raises:
        InputError: no such folder, or no images in it.
    """
    root = _folder(folder)
    found = [
        patient
        for images in image_folders(root, progress)
        for patient in _file_patients(images.folder, images.files)
    ]
    taken = [patient.folder for patient in found]
    found += _dicom_patients(root, other_files(root, taken))
    # A stray image beside the patients' folders is not a patient.
    found = [patient for patient in found if patient.sequences] or found
    if not found:
        raise InputError(_none_found(root))
    return tuple(sorted(_distinct(found, root), key=lambda patient: natural(patient.name)))


def recognize(folder: str | Path) -> PatientFiles:
    """The images of one patient.

    Nothing that is unclear fails: several images of one sequence, or names that tell nothing, are
    `unrecognized`, and `problems` says why.

    Raises:
        InputError: no such folder, no images in it, or DICOM of several patients or studies.
    """
    root = _folder(folder)
    files = [path for images in image_folders(root) for path in images.files]
    if files:
        return _patient(root.name, root, files)
    series = find_series(other_files(root, ()))
    if not series:
        raise InputError(_none_found(root))
    check_one_study(series, str(root))
    return _patient(root.name, root, series)


def check_one_study(series: Sequence[DicomSeries], where: str) -> None:
    """Refuse series of several patients or examinations: they make no patient together.

    Raises:
        InputError: naming the series of each.
    """
    studies: dict[tuple[str, str], list[DicomSeries]] = {}
    for one in series:
        studies.setdefault((one.patient, one.study), []).append(one)
    if len(studies) < 2:
        return
    kind = "patients" if len({patient for patient, _ in studies}) > 1 else "examinations"
    listed = "; ".join(
        f"{number}: {', '.join(one.name for one in group[:4])}{', ...' * (len(group) > 4)}"
        for number, group in enumerate(studies.values(), start=1)
    )
    raise InputError(
        f"{where}: expected the images of one patient and one examination, found {len(studies)} "
        f"{kind} ({listed}); name the folder of one, or each image with {OPTIONS}"
    )


def read_sequence(patient: PatientFiles, sequence: str) -> sitk.Image:
    """Read one of a patient's images; of a cine its first phase, which `problems` names.

    Raises:
        InputError: the patient has no such sequence, or see `read_source`.
    """
    if sequence not in patient.sequences:
        raise InputError(
            f"expected a sequence of {patient.name} among {', '.join(patient.sequences)}, found "
            f"{sequence!r}"
        )
    return read_source(patient.sequences[sequence])


def read_source(source: Source, phase: int = 0) -> sitk.Image:
    """Read an image file or a DICOM series; of a cine one phase, the first if not given.

    Raises:
        InputError: see `io.read_image` and `dicom.volume.read_series`.
    """
    if isinstance(source, Path):
        return read_image(source, frame=phase)
    return read_series(source, phase if source.phases > 1 else 0)


def _folder(folder: str | Path) -> Path:
    path = Path(folder)
    if not path.is_dir():
        raise InputError(f"{path}: expected a folder of images, found none; check the path")
    return path.resolve()


def _none_found(folder: Path) -> str:
    return (
        f"{folder}: expected images of patients ({', '.join(SUFFIXES)}, or DICOM), found none; "
        "choose the folder of a patient, or the one that holds the patients' folders"
    )


def _file_patients(folder: Path, files: Sequence[Path]) -> list[PatientFiles]:
    """The patients of a folder of image files: one, or several told apart by their prefix."""
    groups: dict[str, list[Path]] = {}
    for path in files:
        if file_sequence(path) is not None:
            groups.setdefault(file_prefix(path), []).append(path)
    if not _are_patients(list(groups.values())):
        return [_patient(folder.name, folder, files)]
    return [_patient(prefix, folder, paths) for prefix, paths in groups.items()]


def _are_patients(groups: Sequence[Sequence[Path]]) -> bool:
    """Whether files of several prefixes are those of several patients.

    `01_cine, 02_lge, 03_lge` is one patient, numbered by series; `7_C0, 7_DE, 8_C0` are two.
    """
    sequences = [{file_sequence(path) for path in group} for group in groups]
    if len(groups) < 2 or len(set().union(*sequences)) == sum(map(len, sequences)):
        return False
    return max(map(len, sequences)) > 1 or all(found == sequences[0] for found in sequences)


def _dicom_patients(root: Path, files: Iterable[Path]) -> list[PatientFiles]:
    """A patient for each study; its folder is the deepest one that holds all its files."""
    studies: dict[str, list[DicomSeries]] = {}
    for series in find_series(files):
        studies.setdefault(series.study, []).append(series)
    found = []
    for study, group in studies.items():
        folders = [str(path.parent) for one in group for path in one.files]
        folder = Path(os.path.commonpath(folders))
        parts = folder.relative_to(root).parts
        found.append(_patient(parts[0] if parts else root.name, folder, group, study))
    return found


def _distinct(patients: Sequence[PatientFiles], root: Path) -> list[PatientFiles]:
    """Give patients of one name their folder's path as a name, or the checksum of the study."""

    def renamed(patients: Sequence[PatientFiles], name: Callable[[PatientFiles], str]) -> Any:
        counts = Counter(patient.name for patient in patients)
        return [replace(p, name=name(p)) if counts[p.name] > 1 else p for p in patients]

    by_path = renamed(patients, lambda p: _path_name(p, root))
    return list(renamed(by_path, lambda p: f"{p.name} {p.study}".strip()))


def _path_name(patient: PatientFiles, root: Path) -> str:
    path = patient.folder.relative_to(root)
    whole = patient.name in path.parts or patient.folder == root
    return (path if whole else path / patient.name).as_posix() if path.parts else patient.name


def _patient(name: str, folder: Path, sources: Sequence[Source], study: str = "") -> PatientFiles:
    found = {source: recognition(source) for source in sources}
    sequences: dict[str, Source] = {}
    problems: list[str] = []
    for sequence in SEQUENCES:
        candidates = [source for source in sources if found[source].sequence == sequence]
        whole = [source for source in candidates if not _problem(source)]
        best = _best(whole)
        if len(best) == 1:
            sequences[sequence] = best[0]
        problems += [_unusable(sequence, one) for one in candidates if one not in whole]
        if len(whole) > 1:
            problems.append(_choice(sequence, whole, best))
    chosen = list(sequences.values())
    problems += [words for sequence, one in sequences.items() for words in _warnings(sequence, one)]
    if sequences.keys().isdisjoint(GRID_SEQUENCES):
        problems.append(
            "No LGE and no bSSFP image was recognized by its name: choose them from the list."
        )
    rest = tuple(source for source in sources if source not in chosen)
    reasons = {sequence: found[one].reason for sequence, one in sequences.items()}
    left_out = tuple(f"{one.name}: {_why_left_out(one, found[one])}" for one in rest)
    return PatientFiles(name, folder, sequences, rest, tuple(problems), study, reasons, left_out)


def _title(sequence: str) -> str:
    return SEQUENCES[sequence].long_title


def _problem(source: Source) -> str:
    return source.problem if isinstance(source, DicomSeries) else ""


def _unusable(sequence: str, source: Source) -> str:
    return f"{_title(sequence)}: {source.name} cannot be used: {_problem(source)}."


def _why_left_out(source: Source, found: Recognition) -> str:
    if _problem(source):
        return _problem(source)
    return found.reason if found.sequence is None else f"another {_title(found.sequence)} was taken"


def _best(candidates: Sequence[Source]) -> list[Source]:
    """The candidates that fit best: one, or several that nothing tells apart."""
    ranks = [rank_of_source(source) for source in candidates]
    return [source for source, found in zip(candidates, ranks) if found == max(ranks)]


def _choice(sequence: str, candidates: Sequence[Source], best: Sequence[Source]) -> str:
    names = ", ".join(source.name for source in candidates)
    if len(best) == 1:
        return f"Several {_title(sequence)} images ({names}): {best[0].name} was taken."
    return f"Several {_title(sequence)} images ({names}): choose the right one from the list."


def _warnings(sequence: str, source: Source) -> list[str]:
    phases = phases_of_source(source)
    if phases < 2:
        return []
    return [
        f"{_title(sequence)}: {source.name} is a cine of {phases} phases; the first one "
        "is used, which is end-diastole most often."
    ]

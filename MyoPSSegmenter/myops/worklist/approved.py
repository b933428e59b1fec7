"""Approved cases of a study as labeled cases: what readers have corrected, to learn from."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np

from myops.case import Case, case_from_images, images_sha256, restore
from myops.datasets import HEART, LabeledCase
from myops.errors import InputError
from myops.patients.find import PatientFiles, find_patients, read_sequence
from myops.refine.state_file import read_state
from myops.worklist.casefile import STATE_FILE, CaseFile, find_case_files, read_case_file
from myops.worklist.moments import utc_moment


def approved_cases(study: Path, images: Path) -> list[LabeledCase]:
    """Every patient that a reader has approved, with the corrected labels.

    Args:
        study: the work list's folder, STUDY/<case>/<reader>/<session>/case.json and state.npz.
        images: the folder of the patients' images, as it was given to the work list.

    Returns:
        One case per patient: of several approved readings the one approved last.

    Raises:
        InputError: nothing is approved, images are missing, or they are not those that were read.
    """
    last: dict[str, tuple[datetime, Path]] = {}
    for path in find_case_files(study):
        found = read_case_file(path, keep_aside=False)
        if found.status == "approved":
            approval = (_approved_at(found), path)
            last[found.case] = max(last.get(found.case, approval), approval)
    if not last:
        raise InputError(
            f"{study}: expected cases with the status approved, found none; approve corrected "
            "cases in the work list first"
        )
    patients = {patient.name: patient for patient in find_patients(images)}
    return [_labeled(name, path, patients, images) for name, (_, path) in sorted(last.items())]


def _approved_at(found: CaseFile) -> datetime:
    return utc_moment(found.changes[-1].at)


def _labeled(name: str, path: Path, patients: dict[str, PatientFiles], images: Path) -> LabeledCase:
    if name not in patients:
        raise InputError(
            f"{images}: expected the images of {name}, which is approved in {path.parent}, found "
            f"{', '.join(patients)}; name the folder that the work list was opened with"
        )
    state = read_state(path.parent / STATE_FILE)
    patient = patients[name]
    read = {
        sequence: read_sequence(patient, sequence)
        for sequence in patient.sequences
        if sequence in state.images_sha256
    }
    case = case_from_images(read, name)
    _check_same_images(case, state.images_sha256, path)
    labels = _on_own_grid(case, state.labels)
    structures = HEART | state.segmentation.assessed
    return LabeledCase("approved", name, read, labels, np.ones(len(labels), bool), structures)


def _check_same_images(case: Case, expected: object, path: Path) -> None:
    found = images_sha256(case)
    if found != expected:
        raise InputError(
            f"{path.parent}: expected the images that were read and approved, found others of "
            f"{case.name}; shifts between the sequences that were taken back in the reading cannot "
            "be learned from yet: leave this case out"
        )


def _on_own_grid(case: Case, labels: np.ndarray) -> np.ndarray:
    import SimpleITK as sitk

    return sitk.GetArrayFromImage(restore(case, labels))

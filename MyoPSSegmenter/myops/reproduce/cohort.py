"""The data of a reproduction: a data set's patients or a phantom cohort, and the paper's split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from myops.case import Case
from myops.datasets import LabeledCase, find_cases
from myops.errors import InputError
from myops.geometry.square import SquareBox
from myops.progress import Progress
from myops.reproduce.protocol import COHORT_SEED, OUTSIDE_SEED, TESTED, TRAINED
from myops.sequences import NETWORK_SEQUENCES
from myops.weights.learned import by_patient

if TYPE_CHECKING:
    from myops.weights.files import Models

INFARCTS = {"dropout": False, "normal_share": 0.0, "acute_share": 0.6}


@dataclass(frozen=True)
class Split:
    """Names of the patients to train and to test on."""

    train: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class TestCase:
    """A patient to test on: truth uint16 (z, y, x) on the Case's grid, and the heart's square.

    `box` is None where the heart finder finds no heart: every row then misses this patient.
    `image_checksums` tells who the patient is (`learned.image_checksums`).
    """

    __test__ = False  # no test of pytest's

    name: str
    case: Case
    truth: np.ndarray
    drawn: np.ndarray
    box: SquareBox | None
    image_checksums: frozenset[str] = frozenset()


def make_cohort(folder: Path, patients: int, progress: Progress) -> Path:
    """Write a phantom cohort of the paper's size with all sequences, or go on writing it."""
    # MyoPS 2020 holds patients after an infarct: none without scar, acute and chronic.
    return _write(folder, COHORT_SEED, patients, INFARCTS, progress)


def make_outside(folder: Path, patients: int, progress: Progress) -> Path:
    """Write phantoms unlike the cohort's: more variety, random contrasts."""
    other = INFARCTS | {"wide": 1.0, "random_contrast_share": 1.0}
    return _write(folder, OUTSIDE_SEED, patients, other, progress)


def _write(
    folder: Path, first: int, patients: int, settings: Mapping[str, Any], progress: Progress
) -> Path:
    from myops.phantom.files import write_patient
    from myops.phantom.patient import PhantomConfig, generate_patient

    drawn = PhantomConfig(**settings)
    for number, seed in enumerate(range(first, first + patients)):
        name = f"phantom_{seed:06d}"
        progress(number / patients, name)
        if not (folder / name / f"{name}_truth.json").exists():
            write_patient(generate_patient(seed, drawn), folder / name)
    return folder


def split_cases(cases: list[LabeledCase], where: Path) -> Split:
    """The first patients by name are trained on, the others tested: 25 of 45, or that share.

    Raises:
        InputError: fewer than four patients, one without all three sequences, twice the same name,
            or the same images under two names.
    """
    # MyoPS 2020 calls its patients myops_training_101... and myops_test_201...
    names = sorted((case.name for case in cases), key=lambda name: ("test" in name.lower(), name))
    if len(set(names)) < len(names):
        raise InputError(f"{where}: expected every patient once, found a name twice")
    if len(names) < 4:
        raise InputError(
            f"{where}: expected at least 4 labeled patients (2 to train, 2 to test), found "
            f"{len(names)}; name the folder of the whole data set"
        )
    for case in cases:
        missing = [name for name in NETWORK_SEQUENCES if name not in case.images]
        if missing:
            raise InputError(
                f"{where}: expected bSSFP, LGE and T2 of {case.name}, found no "
                f"{', '.join(missing)}; the papers' tables need all three of every patient"
            )
    for same in by_patient(cases):
        if len(same) > 1:
            raise InputError(
                f"{where}: expected every patient once, found one (the same images, or frames of "
                f"one cine) as {', '.join(case.name for case in same)}; leave out all but one"
            )
    trained = min(max(round(len(names) * TRAINED / (TRAINED + TESTED)), 2), len(names) - 2)
    return Split(tuple(names[:trained]), tuple(names[trained:]))


def read_cases(folder: Path, convention: str = "") -> list[LabeledCase]:
    """All labeled cases below a folder; raises InputError like `find_cases`."""
    return list(find_cases(folder, convention))


def test_case(labeled: LabeledCase, models: Models) -> TestCase:
    """Bring a patient to its Case's grid and find the heart with the shipped heart finder."""
    case = labeled.to_case()
    truth, drawn = labeled.truth_for(case)
    box = find_box(case, models)
    return TestCase(labeled.name, case, truth, drawn, box, labeled.image_checksums)


def find_box(case: Case, models: Models) -> SquareBox | None:
    """The square around the heart, or None where the heart finder finds none."""
    from myops.cascade.segment import locate_heart

    try:
        return locate_heart(case, models)
    except InputError:
        return None

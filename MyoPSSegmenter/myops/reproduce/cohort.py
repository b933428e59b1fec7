"""The data of a reproduction: a data set's patients or a phantom cohort, and the paper's split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from myops.case import Case
from myops.datasets import LabeledCase, find_cases
from myops.errors import InputError
from myops.geometry.square import SquareBox
from myops.labels import scar
from myops.progress import Progress
from myops.reproduce.protocol import COHORT_SEED, OUTSIDE_SEED, TESTED, TRAINED
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


def shared_sequences(cases: Sequence[LabeledCase], where: Path) -> frozenset[str]:
    """The sequences that the patients have.

    Raises:
        InputError: one has others than the rest; the rows could not be compared.
    """
    first, *others = cases
    for case in others:
        for name in sorted(set(first.images) ^ set(case.images)):
            with_it, without = (first, case) if name in first.images else (case, first)
            raise InputError(
                f"{where}: expected the same sequences of every patient, found {name} of "
                f"{with_it.name} and none of {without.name}; the rows of a paper's table are "
                "compared on the same images: leave out one or the other"
            )
    return frozenset(first.images)


def split_cases(cases: Sequence[LabeledCase], where: Path) -> Split:
    """The first patients by name are trained on, the others tested: 25 of 45, or that share.

    Where some have scar and others have none, both kinds are split in that share: data sets name
    their healthy hearts apart, so the first by name would all be of one kind.

    Raises:
        InputError: fewer than four patients, twice the same name, or the same images under two
            names.
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
    for same in by_patient(cases):
        if len(same) > 1:
            raise InputError(
                f"{where}: expected every patient once, found one (the same images, or frames of "
                f"one cine) as {', '.join(case.name for case in same)}; leave out all but one"
            )
    scarred = {case.name for case in cases if scar(case.labels).any()}
    groups = [[name for name in names if (name in scarred) is kind] for kind in (True, False)]
    if any("test" in name.lower() for name in names) or any(len(group) < 4 for group in groups):
        groups = [names]  # the data set's own split, or too few of one kind for both parts
    parts = [_first_share(group) for group in groups]
    trained, tested = (tuple(chain.from_iterable(both)) for both in zip(*parts, strict=True))
    return Split(trained, tested)


def _first_share(names: list[str]) -> tuple[list[str], list[str]]:
    """Names to train on and to test on, at least two of each."""
    trained = min(max(round(len(names) * TRAINED / (TRAINED + TESTED)), 2), len(names) - 2)
    return names[:trained], names[trained:]


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

"""Which of a site's cases are held out to compare models on, and which are learned from.

One patient is on one side, under however many names; a patient that the model has learned from
before is never held out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from myops.datasets import LabeledCase
from myops.errors import InputError
from myops.labels import scar
from myops.progress import Say
from myops.weights.learned import by_patient

if TYPE_CHECKING:
    from myops.training.finetune import FinetuneConfig

PatientCases = list[LabeledCase]


def split_cases(
    cases: Sequence[LabeledCase],
    config: FinetuneConfig,
    known: Collection[str] = (),
    say: Say = print,
) -> tuple[list[LabeledCase], list[LabeledCase]]:
    """What is learned from and what is held out, by chance; some scar is on both sides.

    Args:
        cases: all of them.
        config: which share of the patients is held out (at least one), and the seed.
        known: checksums of the images that the model has learned from.
        say: takes what a user should know.

    Raises:
        InputError: fewer than two patients with scar, or the model knows all that have some.
    """
    patients = by_patient(cases)
    rng = np.random.default_rng(config.seed)
    order = [patients[k] for k in rng.permutation(len(patients))]
    first, last = _with_scar(order, known)
    others = [one for one in order if one is not first and one is not last]
    unknown = [one for one in others if not _is_known(one, known)]
    count = max(1, round(config.held_out * len(patients)))
    held_out = [first, *unknown[: count - 1]]
    learned = [last, *(one for one in others if not any(one is held for held in held_out))]
    _tell(learned, held_out, known, say)
    return [case for one in learned for case in one], [case for one in held_out for case in one]


def _with_scar(
    order: Sequence[PatientCases], known: Collection[str]
) -> tuple[PatientCases, PatientCases]:
    """A patient with scar that is held out, and another one to learn from."""
    scarred = [one for one in order if any(scar(case.labels).any() for case in one)]
    if len(scarred) < 2:
        raise InputError(
            f"expected scar in at least 2 of {len(order)} cases (one to learn from, one to compare "
            f"on), found it in {len(scarred)}; add patients with scar"
        )
    new = [one for one in scarred if not _is_known(one, known)]
    if not new:
        raise InputError(
            "expected a case with scar that the model has not learned from, to compare on, found "
            f"that it was trained on all {len(scarred)}; add new cases, or start from the model "
            "that it came from"
        )
    return new[0], next(one for one in scarred if one is not new[0])


def _tell(
    learned: Sequence[PatientCases],
    held_out: Sequence[PatientCases],
    known: Collection[str],
    say: Say,
) -> None:
    """Name patients that have several names, and those that could not be held out."""
    for side, patients in {"learned from": learned, "held out": held_out}.items():
        for patient in patients:
            if len(patient) > 1:
                say(f"{_names(patient)} are one patient: all of them are {side}")
    seen = [case for patient in learned if _is_known(patient, known) for case in patient]
    if seen:
        say(f"not held out, since the model was trained on the same images: {_names(seen)}")


def _is_known(patient: PatientCases, known: Collection[str]) -> bool:
    return bool(_images(patient) & set(known))


def _images(patient: PatientCases) -> frozenset[str]:
    return frozenset[str]().union(*(case.image_checksums for case in patient))


def _names(cases: Sequence[LabeledCase]) -> str:
    return ", ".join(case.name for case in cases)

"""Labeled cases as patients to train on: MyoPS 2020, a site's own, or a phantom cohort's files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from myops.coverage import empty_slices
from myops.datasets import LabeledCase, find_cases
from myops.errors import InputError
from myops.labels import MVO, MYOPS, lv_region, scar
from myops.training.config import TrainingConfig
from myops.training.label_noise import KINDS, LEVELS, noisy_labels


@dataclass(frozen=True)
class CasePatient:
    """A labeled case on its Case's grid; see `stage.Patient` for the attributes.

    `acute` tells that the expert has drawn edema: a chronic scar has none; `image_checksums` who
    the patient is (`learned.image_checksums`). `covered` holds the fields of view, bool (z, y, x),
    as a Case does.
    """

    name: str
    images: dict[str, np.ndarray]
    labels: np.ndarray
    mvo: np.ndarray
    spacing_mm: tuple[float, float, float]
    acute: bool
    image_checksums: frozenset[str] = frozenset()
    covered: Mapping[str, np.ndarray] = field(default_factory=dict)


def case_patient(labeled: LabeledCase) -> CasePatient:
    """Bring a labeled case's images and labels to one grid; slices not drawn are left out.

    Raises:
        InputError: see `case_from_images`; or no slice shows a left ventricle.
    """
    case = labeled.to_case()
    labels, drawn = labeled.truth_for(case)
    if not lv_region(labels[drawn]).any():
        raise InputError(
            f"{labeled.name}: expected labels of a left ventricle, found none; leave this case out"
        )
    mvo = labels == MVO
    labels = np.where(scar(labels), MYOPS["scar"], labels).astype(np.uint16)
    return CasePatient(
        name=labeled.name,
        images={name: image[drawn] for name, image in case.images.items()},
        labels=labels[drawn],
        mvo=mvo[drawn],
        spacing_mm=case.geometry.spacing_mm,
        acute=bool((labels == MYOPS["edema"]).any()),
        image_checksums=labeled.image_checksums,
        # Empty slices are noted here: artefacts would give them something to see.
        covered={
            name: (case.covered[name] & ~empty_slices(image)[:, None, None])[drawn]
            for name, image in case.images.items()
        },
    )


def training_cases(config: TrainingConfig) -> list[CasePatient]:
    """The labeled cases that a configuration names.

    Raises:
        InputError: no such folder, a name that is not in it, fewer than two cases, or a case
            without scar, blood or muscle to learn from in all of them.
    """
    wanted = [name for name in config.case_names.split(",") if name]
    found = find_cases(Path(config.cases), config.convention)
    return choose_cases(found, wanted, config.cases)


def with_label_noise(
    patients: Sequence[CasePatient], config: TrainingConfig
) -> Sequence[CasePatient]:
    """Patients with deliberately wrong labels, where the configuration asks for them.

    Raises:
        InputError: an unknown kind or level of noise.
    """
    if not config.label_noise:
        return patients
    kind, level = _noise(config.label_noise)
    return [
        replace(
            one,
            labels=noisy_labels(
                one.labels,
                one.images.get("lge"),
                one.spacing_mm,
                kind,
                level,
                # A reader errs once: the same wrong label in every round.
                np.random.default_rng((config.seed, number, 2)),
            ),
        )
        for number, one in enumerate(patients)
    ]


def _noise(text: str) -> tuple[str, float]:
    """Kind and strength of "mixed:high".

    Raises:
        InputError: neither a known kind nor a known level.
    """
    kind, _, level = text.partition(":")
    if kind not in KINDS or level not in LEVELS:
        raise InputError(
            f"label_noise expects kind:level, kinds {', '.join(KINDS)}, levels "
            f"{', '.join(LEVELS)}; found {text!r}"
        )
    return kind, LEVELS[level]


def choose_cases(found: Iterable[LabeledCase], wanted: list[str], where: str) -> list[CasePatient]:
    """The cases of these names (all if there are none), as patients.

    Raises:
        InputError: see `training_cases`.
    """
    chosen = [case_patient(one) for one in found if not wanted or one.name in wanted]
    missing = sorted(set(wanted) - {one.name for one in chosen})
    if missing:
        raise InputError(f"{where}: expected the cases {', '.join(missing)}, found none of them")
    if len(chosen) < 2:
        raise InputError(
            f"{where}: expected at least two labeled cases to train on, found {len(chosen)}; "
            "add cases, or train on phantoms (without cases)"
        )
    if not any((one.labels == MYOPS["scar"]).any() for one in chosen):
        raise InputError(
            f"{where}: expected scar in at least one of {len(chosen)} cases, found none; "
            "add patients with scar: nothing could be learned about it"
        )
    return chosen

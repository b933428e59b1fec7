"""Labeled cases as patients to train on: MyoPS 2020, a site's own, or a phantom cohort's files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from myops.coverage import empty_slices
from myops.datasets import LabeledCase, find_cases
from myops.errors import InputError
from myops.labels import MVO, MYOPS, lv_region, scar
from myops.progress import Say
from myops.training.config import TrainingConfig
from myops.training.data.finders import found_region, load_finders
from myops.training.data.label_noise import KINDS, LEVELS, noisy_labels
from myops.weights.learned import by_patient

if TYPE_CHECKING:
    from myops.weights.files import Models


@dataclass(frozen=True)
class CasePatient:
    """A labeled case on its Case's grid; see `stage.Patient` for the attributes.

    `acute` tells that the expert has drawn edema: a chronic scar has none; `image_checksums` who
    the patient is (`learned.image_checksums`). `found` is the region that an ASSN finds, bool
    (z, y, x), where one was asked (`training.finders`). `covered` holds the fields of view, bool
    (z, y, x), as a Case does; `untold` the diseases that an image shows and the labels do not tell.
    """

    name: str
    images: dict[str, np.ndarray]
    labels: np.ndarray
    mvo: np.ndarray
    spacing_mm: tuple[float, float, float]
    acute: bool
    image_checksums: frozenset[str] = frozenset()
    found: np.ndarray | None = None
    covered: Mapping[str, np.ndarray] = field(default_factory=dict)
    untold: frozenset[str] = frozenset()


def case_patient(labeled: LabeledCase, finders: Sequence[Models] = ()) -> CasePatient:
    """Bring a labeled case's images and labels to one grid; slices not drawn are left out.

    Args:
        labeled: a heart and the truth about it.
        finders: weights one of which finds the region as a cascade would; none = it is not looked
            for.

    Raises:
        InputError: see `case_from_images` and `finders.found_region`; or no slice shows a left
            ventricle.
    """
    case = labeled.to_case()
    labels, drawn = labeled.truth_for(case)
    if not lv_region(labels[drawn]).any():
        raise InputError(
            f"{labeled.name}: expected labels of a left ventricle, found none; leave this case out"
        )
    mvo = labels == MVO
    labels = np.where(scar(labels), MYOPS["scar"], labels).astype(np.uint16)
    region = found_region(case, labeled.image_checksums, finders)
    return CasePatient(
        name=labeled.name,
        images={name: image[drawn] for name, image in case.images.items()},
        labels=labels[drawn],
        mvo=mvo[drawn],
        spacing_mm=case.geometry.spacing_mm,
        acute=bool((labels == MYOPS["edema"]).any()),
        image_checksums=labeled.image_checksums,
        found=None if region is None else region[drawn],
        # Empty slices are noted here: artifacts would give them something to see.
        covered={
            name: (case.covered[name] & ~empty_slices(image)[:, None, None])[drawn]
            for name, image in case.images.items()
        },
        untold=labeled.untold,
    )


def training_cases(config: TrainingConfig, folder: str = "") -> list[CasePatient]:
    """The labeled cases of a folder, or those that a configuration names; none is held out.

    Raises:
        InputError: no such folder, a name that is not in it, fewer than two cases, one without a
            left ventricle, or no scar in any of them (in a mixture another kind may have it).
    """
    wanted = [name for name in config.case_names.split(",") if name]
    where = folder or config.cases
    found: Iterable[LabeledCase] = find_cases(Path(where), config.convention)
    if config.held_out:
        held_out = [Path(name) for name in config.held_out.split(",") if name]
        found = without_patients_of(held_out, list(found))
    finders = load_finders(getattr(config, "finders", ""))
    scar_needed = not config.mix  # another kind of the mixture may have it
    return choose_cases(found, wanted, where, finders, scar_needed)


def without_patients_of(
    folders: Sequence[Path], cases: Sequence[LabeledCase], say: Say = print
) -> list[LabeledCase]:
    """The cases of patients of whom none of these folders holds an image, under whatever name.

    Raises:
        InputError: no labeled hearts in a folder.
    """
    held_out = frozenset().union(
        *(one.image_checksums for folder in folders for one in find_cases(folder))
    )
    kept = []
    for patient in by_patient(cases):
        if any(one.image_checksums & held_out for one in patient):
            say(f"held out, not learned from: {', '.join(one.name for one in patient)}")
        else:
            kept += patient
    return kept


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


def choose_cases(
    found: Iterable[LabeledCase],
    wanted: list[str],
    where: str,
    finders: Sequence[Models] = (),
    scar_needed: bool = True,
) -> list[CasePatient]:
    """The cases of these names (all if there are none), as patients.

    Raises:
        InputError: see `training_cases`.
    """
    chosen = [case_patient(one, finders) for one in found if not wanted or one.name in wanted]
    missing = sorted(set(wanted) - {one.name for one in chosen})
    if missing:
        raise InputError(f"{where}: expected the cases {', '.join(missing)}, found none of them")
    if len(chosen) < 2:
        raise InputError(
            f"{where}: expected at least two labeled cases to train on, found {len(chosen)}; "
            "add cases, or train on phantoms (without cases)"
        )
    if scar_needed:
        refuse_without_scar(chosen, where)
    return chosen


def refuse_without_scar(patients: Sequence[CasePatient], where: str) -> None:
    """Refuse cases that teach nothing about scar.

    Raises:
        InputError: none of them has any.
    """
    if not any((one.labels == MYOPS["scar"]).any() for one in patients):
        raise InputError(
            f"{where}: expected scar in at least one of {len(patients)} cases, found none; "
            "add patients with scar: nothing could be learned about it"
        )

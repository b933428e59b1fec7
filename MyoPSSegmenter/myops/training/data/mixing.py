"""What a training learns from: one kind of patients, or several by stated shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from myops.errors import InputError
from myops.phantom.patient import generate_patient
from myops.training.config import TrainingConfig, training_seed
from myops.training.data.cases import (
    CasePatient,
    refuse_without_scar,
    training_cases,
    with_label_noise,
)
from myops.training.data.feed import phantom_config
from myops.training.stages.stage import Patient, Source, Stage

PHANTOMS = "phantoms"
# Patients of a mixture come in rounds of this many, each kind as often as its share says.
ROUND = 100


@dataclass(frozen=True)
class Mixture:
    """Kinds of patients with their shares; a `Source` of all of them.

    Attributes:
        shares: how often a batch draws from each kind, sum 1.
        sources: of the kinds, each with an index of its own.
        learned: checksums of the images of the labeled cases among them (`myops.weights.learned`).
    """

    shares: tuple[float, ...]
    sources: tuple[Source, ...]
    learned: frozenset[str] = frozenset()

    def kind_of(self, index: int) -> int:
        """Which of the kinds the `index`-th patient is of."""
        return self._place(index)[0]

    def __call__(self, index: int) -> tuple[Patient, np.random.Generator]:
        """The `index`-th patient, and random numbers for it."""
        kind, own_index = self._place(index)
        return self.sources[kind](own_index)

    def _place(self, index: int) -> tuple[int, int]:
        """Kind of a patient, and its index among those of its kind."""
        turn, place = divmod(index, ROUND)
        order = _round(self.shares)
        kind = order[place]
        return kind, turn * order.count(kind) + order[:place].count(kind)


def _round(shares: Sequence[float]) -> list[int]:
    """The kinds of a round's patients, each spread evenly: always the one that lags most."""
    counts = np.zeros(len(shares))
    order = []
    for place in range(ROUND):
        lagging = int(np.argmax(np.array(shares) * (place + 1) - counts))
        counts[lagging] += 1
        order.append(lagging)
    return order


def parse_mix(text: str) -> list[tuple[str, float]]:
    """Kinds and their shares from "phantoms:0.4,FOLDER:0.6", made to sum to 1.

    Raises:
        InputError: something else, a kind named twice, or a share too small to be drawn.
    """
    pairs = [part.strip().rpartition(":") for part in text.split(",")]
    try:
        shares = [(kind, float(share)) for kind, _, share in pairs]
    except ValueError:
        shares = []
    usable = [kind and math.isfinite(share) and share > 0 for kind, share in shares]
    if not shares or not all(usable):
        raise InputError(
            "mix expects kinds with shares above 0, such as phantoms:0.4,FOLDER:0.6, found "
            f"{text!r}"
        )
    total = sum(share for _, share in shares)
    rare = [kind for kind, share in shares if share < total / ROUND]
    twice = sorted({kind for kind, _ in shares if [k for k, _ in shares].count(kind) > 1})
    if rare or twice:
        wrong = f"{rare[0]} below a hundredth" if rare else f"{twice[0]} twice"
        raise InputError(f"mix expects every kind once, with a hundredth or more, found {wrong}")
    return [(kind, share / total) for kind, share in shares]


def phantom_source(stage: Stage, config: TrainingConfig) -> Source:
    """A new phantom for every index; never one of the held-out seeds."""
    drawn = phantom_config(config)

    def source(index: int) -> tuple[Patient, np.random.Generator]:
        seed = training_seed(stage.name, index, config.seed)
        return generate_patient(seed, drawn), np.random.default_rng((seed, 1))

    return source


def case_source(patients: Sequence[Patient], config: TrainingConfig) -> Source:
    """Labeled cases over and over, every round in another order and cut out in another way."""

    def source(index: int) -> tuple[Patient, np.random.Generator]:
        turn, place = divmod(index, len(patients))
        order = np.random.default_rng((config.seed, turn)).permutation(len(patients))
        return patients[order[place]], np.random.default_rng((config.seed, index, 1))

    return source


def training_mixture(
    stage: Stage, config: TrainingConfig, patients: Sequence[CasePatient] = ()
) -> Mixture:
    """What a training learns from: as `mix` says, or labeled `cases`, or phantoms.

    Args:
        stage: of the training.
        config: of the training.
        patients: the cases that `cases` names, if they have been read already.

    Raises:
        InputError: `mix` together with `cases` or names, or see `parse_mix` and
            `cases.training_cases`.
    """
    if config.mix and (config.cases or config.case_names):
        raise InputError(
            "expected mix or cases, found both: name the folder in mix, with its share"
        )
    kinds = parse_mix(config.mix) if config.mix else [(config.cases or PHANTOMS, 1.0)]
    sources: list[Source] = []
    known: list[CasePatient] = []
    for kind, _ in kinds:
        if kind == PHANTOMS:
            sources.append(phantom_source(stage, config))
            continue
        own = patients or training_cases(config, kind)
        known += own
        sources.append(case_source(with_label_noise(own, config), config))
    if known and PHANTOMS not in dict(kinds):
        refuse_without_scar(known, config.mix or config.cases)
    learned = frozenset[str]().union(*(one.image_checksums for one in known))
    return Mixture(tuple(share for _, share in kinds), tuple(sources), learned)

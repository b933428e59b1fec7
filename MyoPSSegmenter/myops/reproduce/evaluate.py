"""A row's label maps of test patients, and their agreement with the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import nn

from myops.errors import InputError
from myops.evaluation.metrics import compare
from myops.quantify.mass import known_spacing_mm, spacing_refusal
from myops.reproduce import predict
from myops.reproduce.cohort import TestCase
from myops.reproduce.protocol import TESTED, TRAINED, Protocol
from myops.reproduce.rows import PaperTable, Row
from myops.reproduce.table import CaseScore
from myops.training.checkpoint import CHECKPOINT_NAME, learned_by
from myops.training.config import TrainingConfig
from myops.training.export import load_trained
from myops.weights.learned import refuse_learned

# A network and the configuration that it was trained with.
Trained = tuple[nn.Module, TrainingConfig]


@dataclass(frozen=True)
class Reproduction:
    """What is reproduced.

    Attributes:
        name: of the table, as on the command line.
        table: its rows and claims.
        protocol: split, budget, sizes.
        output: folder of everything that is written.
        data: folder of labeled patients; None = a phantom cohort in `output`.
        patients: of that phantom cohort.
        outside: folder of labeled out-of-distribution patients, tested on too; None =
            phantoms, where the table asks for such and `data` is None.
        notes: lines for the table's head.
        convention: of the label files of `data` and `outside`, see `datasets.case_loaders`.
    """

    name: str
    table: PaperTable
    protocol: Protocol
    output: Path
    data: Path | None = None
    patients: int = TRAINED + TESTED
    outside: Path | None = None
    notes: tuple[str, ...] = ()
    convention: str = ""

    def folder(self, seed: int, row: Row) -> Path:
        """What belongs to one training of a row."""
        return self.output / f"seed_{seed}" / row.folder

    def checkpoint(self, seed: int, row: Row) -> Path:
        """The weights of one training of a row."""
        return self.folder(seed, row) / CHECKPOINT_NAME

    def refuse_learned(self, tests: Sequence[TestCase], seed: int, row: Row) -> None:
        """Refuse patients that a row's network, or the one of its region, has learned from.

        Raises:
            InputError: naming them.
        """
        for one in (row, *([self.row(row.region)] if row.region else [])):
            refuse_learned(tests, learned_by(self.checkpoint(seed, one)), one.name)

    def row(self, name: str) -> Row:
        """The row of this name."""
        return next(row for row in self.table.rows if row.name == name)


@dataclass
class Regions:
    """The LV regions that rows look inside, each found once."""

    wanted: Reproduction
    _networks: dict[Path, Trained] = field(default_factory=dict)
    _found: dict[tuple[Path, str], np.ndarray] = field(default_factory=dict)

    def of(self, seed: int, row: Row, test: TestCase) -> np.ndarray | None:
        """Bool (z, y, x); None where the row sees the whole square."""
        if not row.region or test.box is None:
            return None
        path = self.wanted.checkpoint(seed, self.wanted.row(row.region))
        key = (path, test.name)
        if key not in self._found:
            if path not in self._networks:
                self._networks[path] = load_trained(path)
            network, config = self._networks[path]
            self._found[key] = predict.predict_region(network, config, test.case, test.box)
        return self._found[key]


def evaluate(
    regions: Regions, tests: Sequence[TestCase], seed: int, row: Row, checkpoint: Path
) -> list[CaseScore]:
    """Every test patient's agreement on the row's structures; none for a row that is not shown.

    Raises:
        InputError: the row's network, or the one that gives its region, has learned from a patient.
    """
    if not row.measures:
        return []
    regions.wanted.refuse_learned(tests, seed, row)
    trained = load_trained(checkpoint)
    scores = []
    for test in tests:
        labels = label_map(test, row, trained, regions.of(seed, row, test))
        scores += score_case(row, seed, test, labels)
    return scores


def score_case(row: Row, seed: int, test: TestCase, labels: np.ndarray) -> list[CaseScore]:
    """Agreement on the row's structures, in the slices that the expert has drawn."""
    case = test.case
    pair = labels[test.drawn], test.truth[test.drawn]
    found = compare(*pair, known_spacing_mm(case), spacing_refusal(case))
    return [
        CaseScore(row.name, seed, test.name, structure, found[structure])
        for structure in row.measures
    ]


def label_map(
    test: TestCase, row: Row, trained: Trained, region: np.ndarray | None = None
) -> np.ndarray:
    """A row's uint16 labels (z, y, x); empty where no heart is found, which counts as missed."""
    nothing = np.zeros(test.truth.shape, np.uint16)
    if test.box is None:
        return nothing
    network, config = trained
    if "lv_region" in row.measures:
        return predict.region_labels(predict.predict_region(network, config, test.case, test.box))
    if row.stage == "dssnet":
        return predict.predict_dssnet(network, test.case, test.box, config.size)
    try:
        return predict.predict_tissues(network, config, test.case, test.box, region)
    except InputError:  # the region is too small to be a ventricle's
        return nothing

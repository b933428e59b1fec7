"""nnU-Net as a row of a table: on the same patients, for as many slices as the other rows.

    OUTPUT/seed_0/nnu_net/nnUNet_raw, nnUNet_preprocessed, nnUNet_results, logs   (see nnunet.py)

nnU-Net takes no seed: every training of the row has a folder of its own and differs by chance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from myops.errors import InputError
from myops.io.text_files import read_json
from myops.reproduce.cohort import Split, TestCase, read_cases
from myops.reproduce.evaluate import Reproduction, score_case
from myops.reproduce.nnunet.commands import (
    CONFIGURATION,
    PLANS,
    NnunetRun,
    plan_and_preprocess,
    predict_nnunet,
    train_nnunet,
    with_short_trainer,
)
from myops.reproduce.nnunet.files import SUFFIX, export_raw, read_on_grid
from myops.reproduce.rows import Row
from myops.reproduce.table import CaseScore

# nnU-Net lowers its learning rate and writes its checkpoint once in an epoch.
ITERATIONS_PER_EPOCH = 25


def train_and_predict(wanted: Reproduction, data: Path, split: Split, seed: int, row: Row) -> Path:
    """Export, plan, train and predict; goes on where it was stopped.

    Returns:
        Folder of the predicted label maps.

    Raises:
        InputError: nnU-Net is not installed, its command failed, or a budget in minutes.
    """
    run = _run(wanted, seed, row)
    export_raw(
        read_cases(data, wanted.convention),
        split.train,
        split.test,
        run.output,
        size_mm=wanted.protocol.nnunet_mm,
    )
    plan_and_preprocess(run)
    run = _with_budget(wanted, run)
    train_nnunet(run)
    return predict_nnunet(run)


def predictions_of(wanted: Reproduction, seed: int, row: Row) -> Path:
    """Folder of the label maps that `train_and_predict` has made."""
    return _with_budget(wanted, _run(wanted, seed, row)).model / "predictions"


def evaluate(
    wanted: Reproduction, tests: Sequence[TestCase], seed: int, row: Row
) -> list[CaseScore]:
    """Every test patient's agreement on the row's structures."""
    predictions = predictions_of(wanted, seed, row)
    return [
        score
        for test in tests
        for score in score_case(row, seed, test, label_map(predictions, test))
    ]


def label_map(predictions: Path, test: TestCase) -> np.ndarray:
    """The uint16 labels (z, y, x) that nnU-Net predicted, on the Case's grid."""
    return read_on_grid(predictions / f"{test.name}{SUFFIX}", test.case.geometry)


def _run(wanted: Reproduction, seed: int, row: Row) -> NnunetRun:
    device = wanted.protocol.settings.get("device", "auto")
    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    return NnunetRun(wanted.folder(seed, row), device=device)


def _with_budget(wanted: Reproduction, run: NnunetRun) -> NnunetRun:
    """A trainer for as many slices as the other rows see, or the protocol's own."""
    if wanted.protocol.nnunet_trainer:
        return replace(run, trainer=wanted.protocol.nnunet_trainer)
    settings = wanted.protocol.settings
    if "steps" not in settings or "minutes" in settings:
        raise InputError(
            "nnU-Net is trained for as many slices as the other rows: expected a budget in steps, "
            "found one in minutes; set steps, or leave the row nnU-Net out with --rows"
        )
    slices = int(settings["steps"]) * int(settings["batch_size"])
    iterations = math.ceil(slices / _batch_size(run))
    epochs = max(1, round(iterations / ITERATIONS_PER_EPOCH))
    return with_short_trainer(run, epochs, math.ceil(iterations / epochs))


def _batch_size(run: NnunetRun) -> int:
    """Slices per step, as nnU-Net has planned."""
    path = run.output / "nnUNet_preprocessed" / run.raw.name / f"{PLANS}.json"
    plans = read_json(path)
    return int(plans["configurations"][CONFIGURATION]["batch_size"])

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
from myops.reproduce.cohort import Split, TestCase, read_cases, shared_sequences
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
from myops.reproduce.nnunet.files import (
    SUFFIX,
    export_raw,
    read_description,
    read_on_grid,
)
from myops.reproduce.rows import Row
from myops.reproduce.table import CaseScore
from myops.sequences import NETWORK_SEQUENCES

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
    cases = read_cases(data, wanted.convention)
    shared = shared_sequences(cases, data)
    export_raw(
        cases,
        split.train,
        split.test,
        run.output,
        size_mm=wanted.protocol.nnunet_mm,
        sequences=[name for name in NETWORK_SEQUENCES if name in shared],
    )
    plan_and_preprocess(run)
    run = _with_budget(wanted, run)
    train_nnunet(run)
    return predict_nnunet(run)


def evaluate(
    wanted: Reproduction, tests: Sequence[TestCase], seed: int, row: Row
) -> list[CaseScore]:
    """Every test patient's agreement on the row's structures."""
    return [
        score
        for test in tests
        for score in score_case(row, seed, test, label_map(wanted, seed, row, test))
    ]


def label_map(wanted: Reproduction, seed: int, row: Row, test: TestCase) -> np.ndarray:
    """The uint16 labels (z, y, x) that nnU-Net predicted, on the Case's grid."""
    run = _with_budget(wanted, _run(wanted, seed, row))
    numbers = read_description(run.raw)["labels"]
    path = run.model / "predictions" / f"{test.name}{SUFFIX}"
    return read_on_grid(path, test.case.geometry, numbers)


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

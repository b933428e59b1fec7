"""Reproduce a paper's table: train every row, evaluate it on the test patients, write it down.

    OUTPUT/protocol.json             data, split, settings, commit: what all below was made by
    OUTPUT/cohort/                   the phantom patients, where no data set is named
    OUTPUT/seed_0/<row>/checkpoint.pt, curves/
    OUTPUT/seed_0/<row>/cases.csv    per test patient and structure; there when the row is done
    OUTPUT/cases.csv, table.md       all rows together
    OUTPUT/table.png                 one test patient, as every row sees it

A second call goes on where the first one ended: a row that is done is not trained again, a row
that was interrupted goes on from its checkpoint.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from torch import nn

from myops.compare import compare
from myops.datasets import LabeledCase
from myops.errors import InputError
from myops.io import write_atomic, write_json
from myops.labels import MYOPS
from myops.reproduce import interactive, predict
from myops.reproduce.cohort import (
    Split,
    TestCase,
    make_cohort,
    read_cases,
    split_cases,
    test_case,
)
from myops.reproduce.picture import Answers, draw
from myops.reproduce.protocol import TESTED, TRAINED, Protocol
from myops.reproduce.rows import Row, Table
from myops.reproduce.table import CaseScore, read_scores, write_scores, write_table
from myops.training.checkpoint import CHECKPOINT_NAME, git_commit
from myops.training.config import TrainingConfig
from myops.training.export import load_trained

Say = Callable[[str], None]
# A network and the configuration that it was trained with.
Trained = tuple[nn.Module, TrainingConfig]
PROTOCOL_FILE = "protocol.json"
DONE = "cases.csv"


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
    """

    name: str
    table: Table
    protocol: Protocol
    output: Path
    data: Path | None = None
    patients: int = TRAINED + TESTED


def reproduce(wanted: Reproduction, say: Say) -> Path:
    """Train and evaluate all rows that are not done yet, and write the table.

    Args:
        wanted: what is reproduced.
        say: takes lines of progress.

    Returns:
        The table's file.

    Raises:
        InputError: bad data, or a folder that holds another reproduction.
        KeyboardInterrupt, SystemExit: stopped; the same call goes on.
    """
    started = time.monotonic()
    wanted.output.mkdir(parents=True, exist_ok=True)
    data = wanted.data or make_cohort(
        wanted.output / "cohort",
        wanted.patients,
        lambda share, name: say(f"phantom cohort {share:4.0%}  {name}"),
    )
    cases = read_cases(data)
    split = split_cases(cases, data)
    _claim_folder(wanted, data, split)
    tested = [case for case in cases if case.name in split.test]
    # Hearts are looked for only where a row is measured on them.
    tests = _test_cases(tested) if any(row.measures for row in wanted.table.rows) else []
    jobs = [(seed, row) for seed in range(wanted.protocol.seeds) for row in wanted.table.rows]
    done: list[float] = []
    for number, (seed, row) in enumerate(jobs):
        left = f", about {np.mean(done) * (len(jobs) - number) / 60:.0f} min left" if done else ""
        say(f"[{number + 1}/{len(jobs)}] {row.name}, seed {seed}{left}")
        begun = time.monotonic()
        if not (_folder(wanted, seed, row) / DONE).exists():
            _train_and_evaluate(wanted, data, split, tests, seed, row)
            done.append(time.monotonic() - begun)
    minutes = (time.monotonic() - started) / 60
    if wanted.name == "interactive":
        return _write_clicks(wanted, data, split, tested, say)
    acute = {test.name for test in tests if (test.truth == MYOPS["edema"]).any()}
    path = _write_all(wanted, data, split, minutes, acute)
    if tests:
        draw(wanted.output / "table.png", wanted.table, _answers(wanted, tests))
    return path


def _answers(wanted: Reproduction, tests: Sequence[TestCase]) -> Answers:
    """All rows' label maps of the test patient with the largest scar, from the first seed."""
    test = max(tests, key=lambda one: np.count_nonzero(one.truth == MYOPS["scar"]))
    labels = {}
    for row in wanted.table.rows:
        if row.measures:
            trained = load_trained(_folder(wanted, 0, row) / CHECKPOINT_NAME)
            labels[row.name] = _labels(test, row, trained, _outline(wanted, 0, row))
    return Answers(test, labels)


def _write_clicks(
    wanted: Reproduction, data: Path, split: Split, tests: Sequence[LabeledCase], say: Say
) -> Path:
    """The interactive system's table: every seed's clicks, made only where they are missing."""
    (row,) = wanted.table.rows
    parts = [f"# {wanted.table.title}", "", *(f"- {line}" for line in _head(wanted, data, split))]
    for seed in range(wanted.protocol.seeds):
        folder = wanted.output / f"seed_{seed}" / "clicks"
        done = folder / "clicks.md"
        if not done.exists():
            checkpoint = _folder(wanted, seed, row) / CHECKPOINT_NAME
            interactive.evaluate_clicks(checkpoint, tests, folder, seed, say)
        parts += ["", f"## Seed {seed}", "", done.read_text(encoding="utf-8")]
    text = "\n".join([*parts, interactive.PUBLISHED, ""])
    path = wanted.output / "table.md"
    write_atomic(path, lambda beside: beside.write_text(text, encoding="utf-8"))
    return path


def _folder(wanted: Reproduction, seed: int, row: Row) -> Path:
    return wanted.output / f"seed_{seed}" / row.folder


def _claim_folder(wanted: Reproduction, data: Path, split: Split) -> None:
    """Write down what is reproduced here, and refuse to mix it with something else."""
    path = wanted.output / PROTOCOL_FILE
    plan = {
        "table": wanted.name,
        "data": str(data),
        "phantom": wanted.data is None,
        "protocol": asdict(wanted.protocol),
        "split": {"train": list(split.train), "test": list(split.test)},
        "rows": {row.name: dict(row.settings) for row in wanted.table.rows},
    }
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        differs = [key for key, value in plan.items() if found.get(key) != value]
        if differs:
            raise InputError(
                f"{wanted.output} holds another reproduction ({', '.join(differs)} differ); "
                "expected the same data and protocol, or choose another folder"
            )
        return
    write_json(path, plan | {"commit": git_commit()})


def _test_cases(labeled: Sequence[LabeledCase]) -> list[TestCase]:
    from myops.weights import load_models

    models = load_models("cpu")
    return [test_case(case, models) for case in labeled]


def settings_of(
    wanted: Reproduction, data: Path, split: Split, seed: int, row: Row
) -> dict[str, str]:
    """All settings of a row's training, as texts."""
    used = {
        name: str(_folder(wanted, seed, _row(wanted.table, other)) / CHECKPOINT_NAME)
        for name, other in row.uses.items()
    }
    return {
        **wanted.protocol.settings_for(row.stage),
        "size": str(wanted.protocol.sizes[row.size]),
        "seed": str(seed),
        "cases": str(data),
        "case_names": ",".join(split.train),
        **row.settings,
        **used,
    }


def _row(table: Table, name: str) -> Row:
    return next(row for row in table.rows if row.name == name)


def _train_and_evaluate(
    wanted: Reproduction,
    data: Path,
    split: Split,
    tests: Sequence[TestCase],
    seed: int,
    row: Row,
) -> None:
    from myops.training.loop import train

    folder = _folder(wanted, seed, row)
    checkpoint = train(row.stage, settings_of(wanted, data, split, seed, row), folder, resume=True)
    # Several processes train together; one of them evaluates while the others wait at the next row.
    if int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0:
        write_scores(folder / DONE, evaluate(wanted, tests, seed, row, checkpoint))


def evaluate(
    wanted: Reproduction, tests: Sequence[TestCase], seed: int, row: Row, checkpoint: Path
) -> list[CaseScore]:
    """Every test patient's agreement on the row's structures; none for a row that is not shown."""
    if not row.measures:
        return []
    network, config = load_trained(checkpoint)
    outline = _outline(wanted, seed, row)
    scores = []
    for test in tests:
        labels = _labels(test, row, (network, config), outline)
        found = compare(labels[test.drawn], test.truth[test.drawn], test.case.geometry.spacing_mm)
        scores += [
            CaseScore(row.name, seed, test.name, structure, found[structure])
            for structure in row.measures
        ]
    return scores


def _outline(wanted: Reproduction, seed: int, row: Row) -> Trained | None:
    """The network whose region a row looks inside; None where it sees the whole square."""
    if not row.region:
        return None
    path = _folder(wanted, seed, _row(wanted.table, row.region)) / CHECKPOINT_NAME
    return load_trained(path)


def _labels(test: TestCase, row: Row, trained: Trained, outline: Trained | None) -> np.ndarray:
    """A row's label map; empty where no heart is found, which counts as missed."""
    nothing = np.zeros(test.truth.shape, np.uint16)
    if test.box is None:
        return nothing
    network, config = trained
    if "lv_region" in row.measures:
        return predict.region_labels(predict.predict_region(network, config, test.case, test.box))
    if row.stage == "dssnet":
        return predict.predict_dssnet(network, test.case, test.box, config.size)
    region = None
    if outline is not None:
        region = predict.predict_region(*outline, test.case, test.box)
    try:
        return predict.predict_tissues(network, config, test.case, test.box, region)
    except InputError:  # the region is too small to be a ventricle's
        return nothing


def _write_all(
    wanted: Reproduction, data: Path, split: Split, minutes: float, acute: set[str]
) -> Path:
    scores = [
        score
        for seed in range(wanted.protocol.seeds)
        for row in wanted.table.rows
        for score in read_scores(_folder(wanted, seed, row) / DONE)
    ]
    write_scores(wanted.output / DONE, scores)
    head = [*_head(wanted, data, split), f"This call took {minutes:.0f} minutes"]
    return write_table(wanted.output / "table.md", wanted.table, scores, head, acute)


def _head(wanted: Reproduction, data: Path, split: Split) -> list[str]:
    return [
        f"Data: {'phantom cohort' if wanted.data is None else data.name}, "
        f"{len(split.train)} patients trained on, {len(split.test)} tested",
        f"Protocol: {wanted.protocol.name}, {wanted.protocol.seeds} seed(s) per row, "
        f"{_budget(wanted.protocol.settings_for(wanted.table.rows[0].stage))}",
        f"Commit: {git_commit()}",
    ]


def _budget(settings: Mapping[str, str]) -> str:
    if "minutes" in settings:
        return f"{settings['minutes']} minutes of training each"
    return f"{settings['steps']} steps of {settings['batch_size']} slices each"

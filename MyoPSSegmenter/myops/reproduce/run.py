"""Reproduce a paper's table: train every row, evaluate it on the test patients, write it down.

    OUTPUT/protocol.json             data, split, settings, commit: what all below was made by
    OUTPUT/cohort/, cohort_outside/  the phantom patients, where no data set is named
    OUTPUT/seed_0/<row>/checkpoint.pt, curves/
    OUTPUT/seed_0/<row>/cases.csv    per test patient and structure; there when the row is done
    OUTPUT/seed_0/<row>/outside.csv  the same of out-of-distribution patients, where there are some
    OUTPUT/cases.csv, table.md       all rows together
    OUTPUT/table.png                 one test patient, as every row sees it

A second call goes on where the first one ended: a row that is done is not trained again, a row
that was interrupted goes on from its checkpoint, and more seeds or rows are added to those there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from myops.datasets import LabeledCase
from myops.errors import InputError
from myops.io.atomic import write_json
from myops.io.text_files import read_json, read_text, write_text
from myops.labels import MYOPS
from myops.output.overwriting import OTHER_OUTPUT, refuse_replacing
from myops.progress import Say
from myops.reproduce import interactive
from myops.reproduce.cohort import (
    Split,
    TestCase,
    make_cohort,
    make_outside,
    read_cases,
    shared_sequences,
    split_cases,
    test_case,
)
from myops.reproduce.evaluate import Regions, Reproduction, evaluate, label_map
from myops.reproduce.nnunet import row as nnunet_row
from myops.reproduce.picture import Answers, draw
from myops.reproduce.rows import NNUNET, Row, rows_for
from myops.reproduce.table import CaseScore, read_scores, write_scores, write_table
from myops.sequences import SEQUENCE_TITLES
from myops.training.checkpoint import git_commit, learned_by
from myops.training.data.cases import CasePatient, choose_cases
from myops.training.export import load_trained
from myops.weights.learned import case_sha256, refuse_learned

PROTOCOL_FILE = "protocol.json"
DONE, OUTSIDE, TABLE, PICTURE = "cases.csv", "outside.csv", "table.md", "table.png"


@dataclass(frozen=True)
class Patients:
    """A reproduction's patients, read once.

    Attributes:
        folder: where they lie.
        split: their names.
        learned: as trainings see them.
        cases: those that are tested on, as they were read.
        tests, outside: those that are tested on, and out-of-distribution patients; both on their
            Case's grid with the heart's square. Empty where no row is measured on them.
    """

    folder: Path
    split: Split
    learned: Sequence[CasePatient]
    cases: Sequence[LabeledCase]
    tests: Sequence[TestCase]
    outside: Sequence[TestCase]


def reproduce(wanted: Reproduction, say: Say) -> Path:
    """Train and evaluate all rows that are not done yet, and write the table.

    Args:
        wanted: what is reproduced.
        say: takes lines of progress.

    Returns:
        The table's file.

    Raises:
        InputError: bad data, or a folder that holds another reproduction.
        KeyboardInterrupt: stopped; the same call goes on.
        SystemExit: stopped, or the end of a process that is not the first one.
    """
    started = time.monotonic()
    wanted.output.mkdir(parents=True, exist_ok=True)
    if not _is_first_process():
        say = _nothing
        while not (wanted.output / PROTOCOL_FILE).exists():  # until the first one has the data
            time.sleep(0.2)
    wanted, patients = _read_patients(wanted, say)
    regions = Regions(wanted)
    jobs = [(seed, row) for seed in range(wanted.protocol.seeds) for row in wanted.table.rows]
    done: list[float] = []
    for number, (seed, row) in enumerate(jobs):
        left = f", about {np.mean(done) * (len(jobs) - number) / 60:.0f} min left" if done else ""
        say(f"[{number + 1}/{len(jobs)}] {row.name}, seed {seed}{left}")
        begun = time.monotonic()
        if not (wanted.folder(seed, row) / DONE).exists():
            _train_and_evaluate(wanted, patients, regions, seed, row)
            done.append(time.monotonic() - begun)
        missing = not (wanted.folder(seed, row) / OUTSIDE).exists()
        if patients.outside and missing and _is_first_process():
            _evaluate(wanted, patients.outside, regions, seed, row, OUTSIDE)
    if not _is_first_process():
        raise SystemExit(0)  # the first one writes the table
    minutes = (time.monotonic() - started) / 60
    if wanted.name == "interactive":
        return _write_clicks(wanted, patients, say)
    path = _write_all(wanted, patients, minutes)
    if patients.tests:
        draw(wanted.output / PICTURE, wanted.table, _answers(wanted, patients.tests, regions))
    return path


def _read_patients(wanted: Reproduction, say: Say) -> tuple[Reproduction, Patients]:
    """Make or read the patients, and claim the folder for them.

    What is wanted comes back without the rows that these patients' sequences do not allow.
    """

    def progress(share: float, name: str) -> None:
        say(f"phantom cohort {share:4.0%}  {name}")

    folder = wanted.data or make_cohort(wanted.output / "cohort", wanted.patients, progress)
    cases = read_cases(folder, wanted.convention if wanted.data else "")
    split = split_cases(cases, folder)
    wanted = _allowed(wanted, shared_sequences(cases, folder), say)
    _claim_folder(wanted, folder, split, {case.name: case_sha256(case) for case in cases})
    outside = wanted.outside
    if outside is None and wanted.table.outside and wanted.data is None:
        outside = make_outside(wanted.output / "cohort_outside", len(split.test), progress)
    tested = [case for case in cases if case.name in split.test]
    # Hearts are looked for only where a row is measured on them.
    measured = any(row.measures for row in wanted.table.rows)
    others = read_cases(outside, wanted.convention) if measured and outside else []
    learned = choose_cases(cases, list(split.train), str(folder))
    known = frozenset[str]().union(*(one.image_checksums for one in learned))
    refuse_learned([*tested, *others], known, "this reproduction")
    return wanted, Patients(
        folder=folder,
        split=split,
        learned=learned,
        cases=tested,
        tests=_test_cases(tested) if measured else [],
        outside=_test_cases(others) if others else [],
    )


def _allowed(wanted: Reproduction, sequences: frozenset[str], say: Say) -> Reproduction:
    """What these sequences allow, with a note that names the rows that they do not.

    Raises:
        InputError: none of the rows.
    """
    table = rows_for(wanted.table, sequences)
    kept = {row.name for row in table.rows}
    left = [row.name for row in wanted.table.rows if row.name not in kept]
    found = ", ".join(SEQUENCE_TITLES[name] for name in sorted(sequences))
    if left and not any(row.measures for row in table.rows):
        raise InputError(
            f"{wanted.data}: expected bSSFP, LGE and T2 of every patient, found {found}, which "
            f"allows no row of {wanted.name}: {', '.join(left)}; name a data set with all three, "
            "or another table (robust and cascade have rows for LGE alone)"
        )
    if not left:
        return replace(wanted, table=table)
    note = f"Left out, for the patients have {found} alone: {', '.join(left)}"
    say(note)
    return replace(wanted, table=table, notes=(*wanted.notes, note))


def _test_cases(labeled: Sequence[LabeledCase]) -> list[TestCase]:
    from myops.weights.files import load_models
    from myops.weights.packs import FREE_PACK

    # The heart is found by a network that has seen no patient, whatever pack is the default.
    models = load_models("cpu", FREE_PACK)
    return [test_case(case, models) for case in labeled]


def _answers(wanted: Reproduction, tests: Sequence[TestCase], regions: Regions) -> Answers:
    """All rows' label maps of the test patient with the largest scar, from the first seed."""
    test = max(tests, key=lambda one: np.count_nonzero(one.truth == MYOPS["scar"]))
    labels = {}
    for row in wanted.table.rows:
        if row.stage == NNUNET:
            labels[row.name] = nnunet_row.label_map(wanted, 0, row, test)
        elif row.measures:
            trained = load_trained(wanted.checkpoint(0, row))
            labels[row.name] = label_map(test, row, trained, regions.of(0, row, test))
    return Answers(test, labels)


def _write_clicks(wanted: Reproduction, patients: Patients, say: Say) -> Path:
    """The interactive system's table: every seed's clicks, made only where they are missing."""
    (row,) = wanted.table.rows
    parts = [f"# {wanted.table.title}", "", *(f"- {line}" for line in _head(wanted, patients))]
    for seed in range(wanted.protocol.seeds):
        folder = wanted.output / f"seed_{seed}" / "clicks"
        done = folder / "clicks.md"
        if not done.exists():
            checkpoint = wanted.checkpoint(seed, row)
            interactive.evaluate_clicks(checkpoint, patients.cases, folder, seed, say)
        parts += ["", f"## Seed {seed}", "", read_text(done)]
    text = "\n".join([*parts, interactive.PUBLISHED, ""])
    path = wanted.output / TABLE
    write_text(path, text)
    return path


def _claim_folder(
    wanted: Reproduction, data: Path, split: Split, patients: Mapping[str, str]
) -> None:
    """Write down what is reproduced here, and refuse to mix it with something else.

    More seeds and more rows belong to the same reproduction: each has a folder of its own. Patients
    are held by the checksums of images and labels: under the same names there may be others now.
    """
    path = wanted.output / PROTOCOL_FILE
    plan = {
        "table": wanted.name,
        "data": str(data),
        "phantom": wanted.data is None,
        "protocol": asdict(replace(wanted.protocol, seeds=0)),
        "split": {"train": list(split.train), "test": list(split.test)},
        "patients": dict(patients),
    }
    refuse_replacing(wanted.output, (DONE, OUTSIDE, TABLE, PICTURE), PROTOCOL_FILE, OTHER_OUTPUT)
    rows = {row.name: dict(row.settings) for row in wanted.table.rows}
    commit = git_commit()
    if path.exists():
        found = read_json(path)
        if not isinstance(found, dict) or "commit" not in found:
            raise InputError(
                f"{path}: expected the protocol of a reproduction, found something else; delete it "
                "to begin again, or choose another folder"
            )
        differs = [key for key, value in plan.items() if found.get(key) != value]
        known = found.get("rows", {})
        differs += [f"row {name}" for name in rows if known.get(name, rows[name]) != rows[name]]
        if differs:
            raise InputError(
                f"{wanted.output} holds another reproduction ({', '.join(differs)} differ); "
                "expected the same data and protocol, or choose another folder"
            )
        rows, commit = known | rows, found["commit"]
    if _is_first_process():
        write_json(path, plan | {"rows": rows, "commit": commit})


def settings_of(
    wanted: Reproduction, data: Path, split: Split, seed: int, row: Row
) -> dict[str, str]:
    """All settings of a row's training, as texts."""
    used = {
        name: str(wanted.checkpoint(seed, wanted.row(other))) for name, other in row.uses.items()
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


def _train_and_evaluate(
    wanted: Reproduction, patients: Patients, regions: Regions, seed: int, row: Row
) -> None:
    from myops.training.loop import starting_weights, train

    if row.stage == NNUNET:
        if not _is_first_process():
            return
        nnunet_row.train_and_predict(wanted, patients.folder, patients.split, seed, row)
    else:
        settings = settings_of(wanted, patients.folder, patients.split, seed, row)
        if start := settings.get("start"):  # hours before the evaluation would refuse it
            known = learned_by(starting_weights(row.stage, start))
            refuse_learned([*patients.cases, *patients.outside], known, start)
        folder = wanted.folder(seed, row)
        train(row.stage, settings, folder, resume=True, patients=patients.learned)
    # Several processes train together; one of them evaluates while the others wait at the next row.
    if _is_first_process():
        _evaluate(wanted, patients.tests, regions, seed, row, DONE)


def _nothing(_: str) -> None:
    """Progress of a process that is not the first one."""


def _is_first_process() -> bool:
    """Of those that torchrun or Fabric has started."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0


def _evaluate(
    wanted: Reproduction,
    tests: Sequence[TestCase],
    regions: Regions,
    seed: int,
    row: Row,
    name: str,
) -> None:
    """Write a row's scores; nnU-Net has none of patients that were not exported with the data."""
    if row.stage != NNUNET:
        scores = evaluate(regions, tests, seed, row, wanted.checkpoint(seed, row))
    else:
        scores = [] if name == OUTSIDE else nnunet_row.evaluate(wanted, tests, seed, row)
    write_scores(wanted.folder(seed, row) / name, scores)


def _write_all(wanted: Reproduction, patients: Patients, minutes: float) -> Path:
    found = {}
    for name in (DONE, OUTSIDE) if patients.outside else (DONE,):
        found[name] = _collect(wanted, name)
        write_scores(wanted.output / name, found[name])
    acute = {
        test.name
        for test in (*patients.tests, *patients.outside)
        if (test.truth == MYOPS["edema"]).any()
    }
    head = [*_head(wanted, patients), f"This call took {minutes:.0f} minutes"]
    return write_table(
        wanted.output / TABLE, wanted.table, found[DONE], head, acute, found.get(OUTSIDE, ())
    )


def _collect(wanted: Reproduction, name: str) -> list[CaseScore]:
    return [
        score
        for seed in range(wanted.protocol.seeds)
        for row in wanted.table.rows
        for score in read_scores(wanted.folder(seed, row) / name)
    ]


def _head(wanted: Reproduction, patients: Patients) -> list[str]:
    kind = "phantom cohort" if wanted.data is None else patients.folder.name
    plan = read_json(wanted.output / PROTOCOL_FILE)
    return [
        f"Data: {kind}, {len(patients.split.train)} patients trained on, "
        f"{len(patients.split.test)} tested",
        f"Protocol: {wanted.protocol.name}, {wanted.protocol.seeds} seed(s) per row, "
        f"{_budget(wanted.protocol.settings_for(wanted.table.rows[0].stage))}",
        f"Commit: {plan['commit']}",
        *wanted.notes,
    ]


def _budget(settings: Mapping[str, str]) -> str:
    if "minutes" in settings:
        return f"{settings['minutes']} minutes of training each"
    return f"{settings['steps']} steps of {settings['batch_size']} slices each"

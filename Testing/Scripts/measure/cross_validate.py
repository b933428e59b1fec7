"""Five-fold cross-validation of what `public-hearts` learns from LGE patients.

    python Testing/Scripts/measure/cross_validate.py ../shared/real/emidec_train -o runs/folds

Every fold holds infarcts and healthy hearts in the proportion of all. For each one PRSN is trained
on from the free weights with the other folds' patients, as `learning_curve.py` does, and measured
on the fold's, inside the outlines of the free weights' ASSN, with the decision of `public-hearts`.
So every patient is measured by networks that have not seen it. Beside them: the free weights as
they are. `cases.csv` has a line for every patient, `summary.md` means with bootstrap intervals; a
fold that is done is not trained again.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from learning_curve import learn, segmented
from real_measures import scar_percent

from myops import labels as regions
from myops.cascade.segment import CascadeConfig
from myops.datasets import LabeledCase, find_cases
from myops.evaluation.summary import mean_interval
from myops.io.atomic import write_json
from myops.io.csv_files import csv_text
from myops.io.text_files import write_text
from myops.quantify.mass import dice
from myops.weights.files import Models, load_models
from myops.weights.packs import FREE_PACK

FOLDS = 5
# What the patients of the open pack are decided by; the border is ASSN's, as in the free pack.
DECISION = load_models("cpu", "public-hearts").decision
MEASURES = ("lv_region_dice", "myocardium_dice", "scar_dice", "false_scar_percent")


def folds_of(cases: Sequence[LabeledCase]) -> list[list[LabeledCase]]:
    """The cases in `FOLDS` parts, those with and without scar dealt out apart, by name."""
    ordered = sorted(cases, key=lambda one: one.name)
    scarred = [one for one in ordered if regions.scar(one.labels).any()]
    healthy = [one for one in ordered if not regions.scar(one.labels).any()]
    return [scarred[k::FOLDS] + healthy[k::FOLDS] for k in range(FOLDS)]


def measure(one: LabeledCase, models: Models, config: CascadeConfig) -> dict[str, object]:
    """One patient's row."""
    truth, labels = segmented(one, models, config)
    row: dict[str, object] = {"case": one.name}
    for name in ("lv_region", "myocardium"):
        mask = getattr(regions, name)
        row[f"{name}_dice"] = dice(mask(labels), mask(truth)) or 0.0
    if regions.scar(truth).any():
        row["scar_dice"] = dice(regions.scar(labels), regions.scar(truth)) or 0.0
    else:
        row["false_scar_percent"] = scar_percent(labels)
    return row


def as_markdown(rows: Sequence[dict[str, object]]) -> str:
    """Means with 95 % bootstrap intervals, false scar as median and worst."""
    lines = [
        "| weights | measure | patients | mean (95 % interval) | median; worst |",
        "|---|---|---|---|---|",
    ]
    for weights in dict.fromkeys(str(row["weights"]) for row in rows):
        for name in MEASURES:
            own = [row for row in rows if row["weights"] == weights and name in row]
            values = [float(str(row[name])) for row in own]
            if not values:
                continue
            found = mean_interval(list(enumerate(values)))
            worst = max(values) if name == "false_scar_percent" else min(values)
            span = f"{found.low:.3f}–{found.high:.3f}" if found.low is not None else "–"
            lines.append(
                f"| {weights} | {name.replace('_', ' ')} | {len(values)} | "
                f"{np.mean(values):.3f} ({span}) | {np.median(values):.3f}; {worst:.3f} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    """See the module's description."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("learn", type=Path)
    parser.add_argument("--output", "-o", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=250)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    folds = folds_of(list(find_cases(arguments.learn)))
    done = arguments.output / "folds.json"
    rows = json.loads(done.read_text(encoding="utf-8")) if done.is_file() else []
    free = load_models("auto", FREE_PACK)
    for number, fold in enumerate(folds):
        if any(row["fold"] == number for row in rows):
            continue
        others = [one for k, part in enumerate(folds) if k != number for one in part]
        folder = arguments.output / f"fold_{number}"
        trained = learn(others, "synthetic", number, arguments.steps, folder)
        usual = CascadeConfig.of(free)
        config = replace(usual, **{**DECISION, "prsn_border": 0.0})
        for one in fold:
            for name, models, how in (
                ("free weights", free, usual),
                ("trained on", trained, config),
            ):
                rows.append({"fold": number, "weights": name} | measure(one, models, how))
        write_json(done, rows)
        print(as_markdown(rows), flush=True)
        shutil.rmtree(folder / "training", ignore_errors=True)
    columns = ["fold", "weights", "case", *MEASURES]
    write_text(arguments.output / "cases.csv", csv_text(columns, rows))
    write_text(arguments.output / "summary.md", as_markdown(rows))


if __name__ == "__main__":
    main()

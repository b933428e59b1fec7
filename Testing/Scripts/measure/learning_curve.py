"""What a hospital's first cases bring: the free weights, trained on with N real patients.

    python Testing/Scripts/measure/learning_curve.py LEARN MEASURE -o runs/curve
    python Testing/Scripts/measure/learning_curve.py LEARN MEASURE -o runs/curve --only 4,8

LEARN holds labeled LGE cases to learn from (`emidec_train`), MEASURE those to measure on
(`emidec`), which share no patient. For every N three draws (one where N is all), each from the free
weights and from random ones, with the same number of steps: PRSN alone, inside the outlines of the
free weights' ASSN. A draw has infarcts and healthy hearts in the proportion of LEARN.

Beside the trained weights their mean with the free ones is measured ("halfway"): what averaging after a
short training with few patients keeps of both.

Scar is decided twice: as the free pack does, and at the odds of `public-hearts` (8), since
networks that learned from patients are more cautious than those of phantoms.

Every training leaves its weights and a line in `runs.json` and is not made again by a second call, so an
interrupted curve goes on. `curve.csv`, `curve.md` and `curve.png` are written anew each time.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from real_measures import scar_percent

from myops import labels as regions
from myops.cascade.segment import CascadeConfig, segment
from myops.datasets import LabeledCase, find_cases
from myops.errors import InputError
from myops.io.atomic import write_json
from myops.io.csv_files import csv_text
from myops.io.text_files import write_text
from myops.quantify.mass import dice
from myops.training.averaging import install_halfway
from myops.training.data.cases import without_patients_of
from myops.training.finetune import copy_weights, train_network
from myops.weights.files import (
    Models,
    load_models,
    model_folder,
)
from myops.weights.packs import FREE_PACK

STARTS = ("synthetic", "nothing")
# The mean of the free weights and those trained on from them.
HALFWAY = "halfway"
# Odds of scar at which it is decided beside the pack's own, and the names of what is measured then.
OTHER_ODDS = 8.0
MEASURES = (
    "scar_dice",
    "scar_dice_other_odds",
    "myocardium_dice",
    "false_scar_percent",
    "false_scar_percent_other_odds",
)


def draw(cases: Sequence[LabeledCase], count: int, seed: int) -> list[LabeledCase]:
    """`count` cases, infarcts and healthy hearts in proportion; at least two infarcts."""
    order = [cases[k] for k in np.random.default_rng((17, seed)).permutation(len(cases))]
    infarcts = [one for one in order if regions.scar(one.labels).any()]
    healthy = [one for one in order if not regions.scar(one.labels).any()]
    wanted = max(2, round(count * len(infarcts) / len(cases)))
    return infarcts[:wanted] + healthy[: count - wanted]


def learn(cases: Sequence[LabeledCase], start: str, seed: int, steps: int, folder: Path) -> Models:
    """PRSN trained on with these cases; all other networks are the free pack's."""
    root = model_folder(FREE_PACK, None)
    weights = folder / "weights"
    copy_weights(root, weights)
    settings = {
        "steps": str(steps),
        "minutes": "0",
        "seed": str(seed),
        "workers": "0",
        "threads": "1",
        "batch_size": "10",
        "learning_rate": "6e-4",
        "ema_decay": "0.98",
        **({} if start == "synthetic" else {"start": ""}),
    }
    train_network("prsn", root, weights, folder / "training", settings, cases)
    return load_models("auto", str(weights))


def halfway(trained: Path, folder: Path) -> Models:
    """The mean of the free PRSN's weights and the trained one's; all other networks are the same.

    Args:
        trained: weights that were trained on from the free pack's.
        folder: gets the mean.
    """
    copy_weights(trained, folder)
    install_halfway("prsn", model_folder(FREE_PACK, None), folder)
    return load_models("auto", str(folder))


def measure(cases: Sequence[LabeledCase], models: Models) -> dict[str, float]:
    """Means over the cases; false scar in % of the myocardium where there is no infarct."""
    found: dict[str, list[float]] = {name: [] for name in MEASURES}
    usual = CascadeConfig.of(models)
    for one in cases:
        for config, ending in (
            (usual, ""),
            (replace(usual, scar_odds=OTHER_ODDS), "_other_odds"),
        ):
            truth, labels = segmented(one, models, config)
            if regions.scar(truth).any():
                agreement = dice(regions.scar(labels), regions.scar(truth)) or 0.0
                found[f"scar_dice{ending}"].append(agreement)
            else:
                found[f"false_scar_percent{ending}"].append(scar_percent(labels))
            if not ending:
                walls = regions.myocardium(labels), regions.myocardium(truth)
                found["myocardium_dice"].append(dice(*walls) or 0.0)
    return {name: float(np.mean(values)) for name, values in found.items() if values}


def segmented(
    one: LabeledCase, models: Models, config: CascadeConfig
) -> tuple[np.ndarray, np.ndarray]:
    """The expert's labels and the cascade's, in the slices that the expert has drawn."""
    case = one.to_case()
    truth, drawn = one.truth_for(case)
    try:
        labels = segment(case, models, config=config).labels[drawn]
    except InputError:  # no heart found counts as nothing found
        labels = np.zeros_like(truth[drawn])
    return truth[drawn], labels


def summarize(runs: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    """Mean, lowest and highest draw of every N and start."""
    rows = []
    for key in sorted({(str(run["start"]), int(str(run["cases"]))) for run in runs}):
        own = [run for run in runs if (run["start"], run["cases"]) == key]
        row: dict[str, object] = {"start": key[0], "cases": key[1], "draws": len(own)}
        for name in MEASURES:
            values = [float(str(run[name])) for run in own if name in run]
            row |= {
                name: round(float(np.mean(values)), 3),
                f"{name}_lowest": round(min(values), 3),
                f"{name}_highest": round(max(values), 3),
            }
        rows.append(row)
    return rows


def as_markdown(rows: Sequence[dict[str, object]]) -> str:
    """The curve as a table for Docs/results.md."""
    lines = [
        "| start | cases | draws | scar Dice (range) | at odds of 8 (range) | myocardium Dice | "
        "false scar (%) | at odds of 8 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        usual, other = (
            f"{row[name]} ({row[f'{name}_lowest']}–{row[f'{name}_highest']})"
            for name in MEASURES[:2]
        )
        lines.append(
            f"| {row['start']} | {row['cases']} | {row['draws']} | {usual} | {other} | "
            f"{row['myocardium_dice']} | {row['false_scar_percent']} | "
            f"{row['false_scar_percent_other_odds']} |"
        )
    return "\n".join(lines) + "\n"


TITLES = {
    "scar_dice": "scar Dice",
    "myocardium_dice": "myocardium Dice",
    "false_scar_percent": "false scar in healthy hearts (%)",
}
STARTED = {
    "synthetic": "from the free weights",
    HALFWAY: "the mean of these and the free weights",
    "nothing": "from random weights",
}


def picture(rows: Sequence[dict[str, object]], path: Path) -> None:
    """The measures against the number of cases, from every start that was run."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    # Equal steps: the numbers double, and no axis of numbers shows both 0 and 51 well.
    counts = sorted({int(str(row["cases"])) for row in rows})
    axes = figure.subplots(1, len(TITLES))
    for axis, (name, title) in zip(axes, TITLES.items(), strict=True):
        for start in STARTED:
            own = [row for row in rows if row["start"] == start]
            places = [counts.index(int(str(row["cases"]))) for row in own]
            low, middle, high = (
                [float(str(row[name + end])) for row in own] for end in ("_lowest", "", "_highest")
            )
            if own:
                axis.plot(places, middle, marker="o", label=STARTED[start])
                axis.fill_between(places, low, high, alpha=0.2)
        axis.set(xlabel="patients learned from", title=title)
        highest = max(float(str(row[f"{name}_highest"])) for row in rows)
        axis.set_ylim(0, 1.1 * highest or 1)
        axis.set_xticks(range(len(counts)), [str(count) for count in counts])
        axis.grid(alpha=0.3)
    axes[0].legend(loc="lower right")
    FigureCanvasAgg(figure).print_png(str(path))


def main() -> None:
    """See the module's description."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("learn", type=Path)
    parser.add_argument("measure", type=Path)
    parser.add_argument("--output", "-o", type=Path, required=True)
    parser.add_argument("--counts", default="0,4,8,16,32,51", help="0 = the weights as they are")
    parser.add_argument("--only", default="", help="of these counts, now; a later call goes on")
    parser.add_argument("--start", choices=STARTS, help="of these starts, now")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--steps", type=int, default=250)
    arguments = parser.parse_args()
    measured = list(find_cases(arguments.measure))
    cases = without_patients_of([arguments.measure], list(find_cases(arguments.learn)))
    arguments.output.mkdir(parents=True, exist_ok=True)
    done = arguments.output / "runs.json"
    runs = json.loads(done.read_text(encoding="utf-8")) if done.is_file() else []
    for count in (int(text) for text in (arguments.only or arguments.counts).split(",")):
        for number in range(1 if count in (0, len(cases)) else arguments.draws):
            for start in (arguments.start,) if arguments.start else STARTS:
                key = {"start": start, "cases": count, "draw": number, "steps": arguments.steps}
                if any(key.items() <= run.items() for run in runs):
                    continue
                if count == 0 and start == "nothing":
                    continue  # random weights find nothing
                folder = arguments.output / f"{start}_{count}_{number}"
                if count:
                    chosen = draw(cases, count, number)
                    models = learn(chosen, start, number, arguments.steps, folder)
                else:
                    models = load_models("auto", FREE_PACK)
                runs.append(key | measure(measured, models))
                print(runs[-1], flush=True)
                if count and start == FREE_PACK:
                    mean = halfway(folder / "weights", folder / HALFWAY)
                    runs.append(key | {"start": HALFWAY} | measure(measured, mean))
                    print(runs[-1], flush=True)
                write_json(done, runs)
                shutil.rmtree(folder / "training", ignore_errors=True)
    rows = summarize(runs)
    write_text(arguments.output / "curve.csv", csv_text(list(rows[0]), rows))
    write_text(arguments.output / "curve.md", as_markdown(rows))
    picture(rows, arguments.output / "curve.png")
    print(as_markdown(rows))


if __name__ == "__main__":
    main()

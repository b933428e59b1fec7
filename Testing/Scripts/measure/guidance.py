"""What "Look here next" is worth: a few clicks in a whole patient, at the slices that it names.

    MYOPS_MODEL=public-hearts python Testing/Scripts/measure/guidance.py ../shared/real/emidec

A simulated reader has so many clicks for a patient, not for a slice. In which slice the next one
goes is told by the program's guidance (`myops.refine.guidance`), by chance, by the order from base
to apex over and over, or by the truth (where most is wrong). Within the slice every reader clicks
into the largest error. The myocardium's density makes grams of voxels; EMIDEC's spacing is nominal.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "MyoPSSegmenter"))

from myops.cascade.segment import segment
from myops.datasets import LabeledCase, case_loaders
from myops.evaluation.cohort import compared_patient, load_corrector
from myops.evaluation.interactive import EvaluatedPatient, EvaluationConfig, answer_click
from myops.evaluation.simulated_reader import next_click
from myops.labels import myocardium, scar
from myops.quantify.mass import dice
from myops.refine.guidance import look_here_next
from myops.refine.prompts import Point, Prompts
from myops.segmentation import Segmentation
from myops.weights.files import load_models

SHOWN = (0, 3, 6, 9, 12)
ALL = 1000


@dataclass
class Reading:
    """A patient in work: the present labels, and the clicks by slice."""

    patient: EvaluatedPatient
    segmentation: Segmentation
    labels: np.ndarray
    rng: np.random.Generator
    clicked: dict[int, list[Point]] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)

    @property
    def wrong_g(self) -> np.ndarray:
        """Mass of the wrong voxels of each slice, float (z,)."""
        wrong = scar(self.labels) & self.patient.labeled[:, None, None]
        return np.count_nonzero(wrong != self.patient.truth, axis=(1, 2)) * self.patient.voxel_g

    def open_slices(self) -> list[int]:
        """Slices of the heart where something may be left to correct."""
        heart = self.segmentation.labels.any(axis=(1, 2)) & self.patient.labeled
        return [int(k) for k in np.flatnonzero(heart) if int(k) not in self.done]


Order = Callable[[Reading], int | None]


def by_guidance(reading: Reading) -> int | None:
    """The slice of the best suggestion; None where nothing is doubtful any more."""
    prompts = [Prompts("scar", k, tuple(points)) for k, points in reading.clicked.items()]
    found = look_here_next(reading.segmentation, reading.labels, prompts, count=ALL)
    still_open = reading.open_slices()
    places = (one.slice_index for one in found.suggestions if one.slice_index in still_open)
    return next(places, None)


def by_chance(reading: Reading) -> int | None:
    """Any slice of the heart."""
    slices = reading.open_slices()
    return int(reading.rng.choice(slices)) if slices else None


def in_order(reading: Reading) -> int | None:
    """Slice after slice, again and again."""
    slices = reading.open_slices()
    least = min((len(reading.clicked.get(k, [])) for k in slices), default=0)
    return next((k for k in slices if len(reading.clicked.get(k, [])) == least), None)


def by_truth(reading: Reading) -> int | None:
    """Where most is wrong: nobody can know it, so it is the best that an order can do."""
    slices, wrong = reading.open_slices(), reading.wrong_g
    return max(slices, key=lambda k: wrong[k], default=None)


ORDERS: dict[str, Order] = {
    "look here next": by_guidance,
    "slices in order": in_order,
    "by chance": by_chance,
    "where most is wrong (the truth)": by_truth,
}


def main() -> None:
    """Correct every infarct in every order, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="of the reader")
    options = parser.parse_args()
    rows: dict[str, list[np.ndarray]] = {name: [] for name in ORDERS}
    ranks = []
    models = load_models("cpu")
    for read in case_loaders(options.folder):
        labeled = read()
        if not scar(labeled.labels).any():
            continue
        patient, segmentation, corrector = prepared(labeled, models)
        reading = fresh(patient, segmentation, options.seed)
        ranks.append(rank_correlation(expected_g(reading), reading.wrong_g))
        for name, order in ORDERS.items():
            reading = fresh(patient, segmentation, options.seed)
            rows[name].append(correct(reading, order, corrector))
    print(f"{len(ranks)} infarcts, reader's seed {options.seed}; `python {' '.join(sys.argv)}`\n")
    print_rows(rows)
    print(f"\nRank correlation of expected and true grams over a patient's slices: median "
          f"{np.median(ranks):.2f}, {min(ranks):.2f} to {max(ranks):.2f}.")  # fmt: skip


def prepared(labeled: LabeledCase, models: object) -> tuple[EvaluatedPatient, Segmentation, object]:
    """The patient with truth and automatic labels, and the refiner at it."""
    case = labeled.to_case()
    truth, drawn = labeled.truth_for(case)
    segmentation = segment(case, models)  # type: ignore[arg-type]
    corrector = load_corrector("default", "cpu")
    corrector.set_case(case, segmentation)
    inside = drawn[:, None, None]
    found = compared_patient(
        case, scar(truth) & inside, myocardium(truth) & inside, drawn, CONFIG, segmentation
    )
    return found, segmentation, corrector


CONFIG = EvaluationConfig()


def fresh(patient: EvaluatedPatient, segmentation: Segmentation, seed: int) -> Reading:
    """Before the first click."""
    rng = np.random.default_rng(seed)
    return Reading(patient, segmentation, segmentation.labels.copy(), rng)


def correct(reading: Reading, order: Order, corrector: object) -> np.ndarray:
    """Dice, mass error and mass of wrong voxels (g) after so many clicks: float (clicks + 1, 3)."""
    found = [scores(reading)]
    while len(found) <= max(SHOWN):
        index = order(reading)
        if index is not None and not click(reading, index, corrector):
            continue  # nothing left in that slice: the reader looks, and goes on
        found.append(scores(reading))
    return np.array(found)


def click(reading: Reading, index: int, corrector: object) -> bool:
    """One click into the largest error of a slice; False where there is none."""
    mask = scar(reading.labels[index])
    point = next_click(mask, reading.patient.truth[index], reading.rng)
    if point is None:
        reading.done.add(index)
        return False
    before = reading.clicked.setdefault(index, [])
    corrector.encode([index])  # type: ignore[attr-defined]
    prompts = Prompts("scar", index, (*before, point))
    seconds, _ = answer_click(corrector, prompts, reading.labels, CONFIG, reading.patient)  # type: ignore[arg-type]
    if seconds is None:
        reading.done.add(index)
        return False
    before.append(point)
    return True


def scores(reading: Reading) -> tuple[float, float, float]:
    """Dice, absolute error of the scar mass in g, and mass of all wrong voxels in g."""
    patient = reading.patient
    mask = scar(reading.labels) & patient.labeled[:, None, None]
    error = np.count_nonzero(mask) - np.count_nonzero(patient.truth)
    return (
        dice(mask, patient.truth) or 0.0,
        abs(error) * patient.voxel_g,
        float(reading.wrong_g.sum()),
    )


def expected_g(reading: Reading) -> np.ndarray:
    """What the guidance expects to be wrong in each slice, float (z,) in g."""
    doubt = look_here_next(reading.segmentation, reading.labels, count=0).doubt
    return doubt.sum(axis=(1, 2)) * reading.patient.voxel_g


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's, over slices where either is above 0."""
    from scipy.stats import spearmanr

    seen = (one > 0) | (other > 0)
    return float(spearmanr(one[seen], other[seen]).statistic)


def print_rows(rows: dict[str, list[np.ndarray]]) -> None:
    """One line for each order; means over patients."""
    words = ", ".join(map(str, SHOWN))
    print(f"| next slice | scar Dice after {words} clicks in a patient | mass error, g | "
          "mass of wrong voxels, g |\n|---|---|---|---|")  # fmt: skip
    for name, patients in rows.items():
        mean = np.mean(patients, axis=0)[list(SHOWN)]
        cells = [" / ".join(f"{value:.{digits}f}" for value in column)
                 for column, digits in zip(mean.T, (3, 1, 1), strict=True)]  # fmt: skip
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

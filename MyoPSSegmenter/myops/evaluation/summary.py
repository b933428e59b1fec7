"""From the clicks of a cohort to numbers: means with intervals, clicks needed, harm, latency."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from myops.evaluation.cohort import PatientResult
from myops.evaluation.interactive import EvaluationConfig, Run, ScoredStep, SliceRun

# A slice below this many true pixels has too little of the structure for a Dice to mean much.
MIN_PIXELS = 20
GOAL_DICE = 0.80
BOOTSTRAP_SAMPLES = 2000


@dataclass(frozen=True)
class Mean:
    """A mean with its 95 % bootstrap interval over patients.

    Attributes:
        mean, low, high: None without values; the interval needs two patients.
        count: values, of slices or patients.
        undefined: values left out because an empty mask has none.
    """

    mean: float | None
    low: float | None
    high: float | None
    count: int
    undefined: int = 0


@dataclass(frozen=True)
class SummaryRow:
    """One method from one start on one data set.

    Attributes:
        dataset, method, start: what was run.
        patients, patients_with: all that were assessed, and those with the structure in truth.
        slices, large_slices: that show the structure in truth, and those with at least 20 pixels.
        measures: name to the mean after each reported number of clicks: slice_dice, slice_hd95_mm,
            slice_mass_error_g (at least 20 pixels), all_slices_dice, patient_dice,
            patient_hd95_mm, patient_mass_error_g, patient_mass_error_percent_of_lv (absolute
            errors), false_mass_g (patients without the structure), patient_wall_dice,
            patient_wall_error_percent (absolute) and reader_seconds.
        clicks_to_goal: until Dice 0.80 in a slice of at least 20 pixels; the limit where never.
        never_share: of those slices, the share that never reached it.
        worse_share: of the clicks, the share after which the slice's Dice was lower.
        worse_mean: mean loss of Dice of these clicks.
        patient_worse_share: of the patients' steps between reported numbers of clicks.
        clicks: how many were made and answered.
        refused: how many were not, e.g. too far from the heart that was found.
        seconds_p50, seconds_p95: from a click to the new label map.
    """

    dataset: str
    method: str
    start: str
    patients: int
    patients_with: int
    slices: int
    large_slices: int
    measures: dict[str, list[Mean]]
    clicks_to_goal: Mean
    never_share: float | None
    worse_share: float | None
    worse_mean: float | None
    patient_worse_share: float | None
    clicks: int
    refused: int
    seconds_p50: float | None
    seconds_p95: float | None


def summarize(results: Sequence[PatientResult], config: EvaluationConfig) -> list[SummaryRow]:
    """A row for each data set, start and method; patients without runs are left out."""
    assessed = [result for result in results if result.runs]
    datasets = dict.fromkeys(result.dataset for result in assessed)
    keys = [(d, s, m) for d in datasets for s in config.starts for m in config.methods]
    return [_row(assessed, config, *key) for key in keys]


def _row(
    results: Sequence[PatientResult],
    config: EvaluationConfig,
    dataset: str,
    start: str,
    method: str,
) -> SummaryRow:
    own = [
        (result, run)
        for result in results
        for run in result.runs
        if (result.dataset, run.start, run.method) == (dataset, start, method)
    ]
    slices = [
        (number, found)
        for number, (_, run) in enumerate(own)
        for found in run.slices
        if found.truth_voxels
    ]
    large = [(number, found) for number, found in slices if found.truth_voxels >= MIN_PIXELS]
    goals = [(number, clicks_to_goal(found.steps)) for number, found in large]
    limit = config.clicks
    changes = _changes((found.steps for _, found in slices), clicked=True)
    patient_changes = _changes((run.steps for _, run in own), clicked=False)
    clicked = [s for _, run in own for f in run.slices for s in f.steps if s.point is not None]
    seconds = [step.seconds for step in clicked if step.seconds is not None]
    return SummaryRow(
        dataset=dataset,
        method=method,
        start=start,
        patients=len(own),
        patients_with=sum(result.truth_voxels > 0 for result, _ in own),
        slices=len(slices),
        large_slices=len(large),
        measures=_measures(own, slices, large, config),
        clicks_to_goal=mean_interval([(n, limit if g is None else g) for n, g in goals]),
        never_share=_share([g is None for _, g in goals]),
        worse_share=_share([change < 0 for change in changes]),
        worse_mean=_mean([change for change in changes if change < 0]),
        patient_worse_share=_share([change < 0 for change in patient_changes]),
        clicks=len(seconds),
        refused=len(clicked) - len(seconds),
        seconds_p50=float(np.percentile(seconds, 50)) if seconds else None,
        seconds_p95=float(np.percentile(seconds, 95)) if seconds else None,
    )


def _measures(
    own: Sequence[tuple[PatientResult, Run]],
    slices: Sequence[tuple[int, SliceRun]],
    large: Sequence[tuple[int, SliceRun]],
    config: EvaluationConfig,
) -> dict[str, list[Mean]]:
    """Each measure after each reported number of clicks."""

    def over_slices(chosen: Sequence[tuple[int, SliceRun]], value: StepValue) -> list[Mean]:
        return [
            mean_interval([(number, value(found.steps[k])) for number, found in chosen])
            for k in config.reported
        ]

    def over_patients(
        value: Callable[[PatientResult, ScoredStep], float | None], true: bool
    ) -> list[Mean]:
        chosen = [(n, *entry) for n, entry in enumerate(own) if (entry[0].truth_voxels > 0) == true]
        return [
            mean_interval([(number, value(result, run.steps[i])) for number, result, run in chosen])
            for i in range(len(config.reported))
        ]

    return {
        "slice_dice": over_slices(large, lambda step: step.dice),
        "slice_hd95_mm": over_slices(large, lambda step: step.hd95_mm),
        "slice_mass_error_g": over_slices(large, _absolute_error_g),
        "all_slices_dice": over_slices(slices, lambda step: step.dice),
        "patient_dice": over_patients(lambda _, step: step.dice, True),
        "patient_hd95_mm": over_patients(lambda _, step: step.hd95_mm, True),
        "patient_mass_error_g": over_patients(lambda _, step: _absolute_error_g(step), True),
        "patient_mass_error_percent_of_lv": over_patients(_error_percent, True),
        "false_mass_g": over_patients(lambda _, step: step.mass_error_g, False),
        "patient_wall_dice": over_patients(lambda _, step: step.wall_dice, True),
        "patient_wall_error_percent": over_patients(_wall_error, True),
        "reader_seconds": over_patients(lambda _, step: step.reader_s, True),
    }


StepValue = Callable[[ScoredStep], float | None]


def _absolute_error_g(step: ScoredStep) -> float | None:
    return None if step.mass_error_g is None else abs(step.mass_error_g)


def _error_percent(result: PatientResult, step: ScoredStep) -> float | None:
    error_g = _absolute_error_g(step)
    return 100 * error_g / result.wall_g if error_g is not None and result.wall_g else None


def _wall_error(_result: PatientResult, step: ScoredStep) -> float | None:
    return None if step.wall_error_percent is None else abs(step.wall_error_percent)


def clicks_to_goal(steps: Sequence[ScoredStep]) -> int | None:
    """Clicks until the Dice is 0.80 for the first time; None if it never is."""
    reached = (step.clicks for step in steps if step.dice is not None and step.dice >= GOAL_DICE)
    return next(reached, None)


def _changes(series: Iterable[Sequence[ScoredStep]], clicked: bool) -> list[float]:
    """Change of Dice from each step to the next; `clicked`: only where the reader clicked."""
    return [
        after.dice - before.dice
        for steps in series
        for before, after in pairwise(steps)
        if before.dice is not None and after.dice is not None
        if after.point is not None or not clicked
    ]


def mean_interval(values: Sequence[tuple[int, float | None]], seed: int = 0) -> Mean:
    """Mean over all values, with an interval that draws whole patients.

    Slices of one patient are alike; drawing them one by one would make the interval too narrow.

    Args:
        values: (patient's number, value) pairs; None counts as undefined.
        seed: of the bootstrap (2000 samples, percentiles).
    """
    known = [(patient, value) for patient, value in values if value is not None]
    if not known:
        return Mean(None, None, None, 0, len(values))
    patients, numbers = np.unique([patient for patient, _ in known], return_inverse=True)
    data = np.array([value for _, value in known], float)
    low = high = None
    if len(patients) > 1:
        sums, counts = np.bincount(numbers, data), np.bincount(numbers)
        rng = np.random.default_rng(seed)
        drawn = rng.integers(len(patients), size=(BOOTSTRAP_SAMPLES, len(patients)))
        means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
        low, high = (float(limit) for limit in np.percentile(means, (2.5, 97.5)))
    return Mean(float(data.mean()), low, high, len(known), len(values) - len(known))


def _share(answers: Sequence[bool]) -> float | None:
    return sum(answers) / len(answers) if answers else None


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None

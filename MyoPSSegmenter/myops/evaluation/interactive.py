"""A simulated reader corrects one patient, slice by slice and click by click.

In every slice that shows the structure (in truth or in the mask that the correction starts from)
the reader of `refine.reader` clicks into the largest error that is left, a corrector answers, the
rules put its mask into the label map, and so on. Slices are independent of each other. All
randomness comes from one seed, the patient's name and the slice: the same options give the same
clicks, in one process or in several.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from myops import labels as regions
from myops.case import Case
from myops.errors import InputError
from myops.evaluation.metrics import surface_distances_mm
from myops.evaluation.simulated_reader import next_click
from myops.quantify.mass import dice
from myops.refine.prompts import Point, Prompts
from myops.refine.rules import FIRST_RULES, REGIONS, Rules, apply_mask
from myops.refine.wall import AnsweredSlice, answered_slice
from myops.segmentation import Segmentation

GROWING = "region growing"
STARTS = ("automatic", "empty")
RULES = {
    # As a reader begins: scar lies in the wall, and the wall gives way to it. A wall that moves far
    # is offered, and the reader takes it where it brings his slice nearer to what he wants.
    "wall": FIRST_RULES,
    # The mask as predicted: the expert's scar may lie where the cascade saw blood or background.
    "free": Rules(allow_blood_pool=True, keep_inside=False),
    "default": Rules(),
}
# What a reader needs, in seconds: to look at a slice, to make a click and see its answer, and to
# take or refuse a wall that is offered. Assumed, not measured: see Docs/results.md.
SLICE_S, CLICK_S, OFFER_S = 4.0, 2.5, 1.5
# After how many clicks results are reported.
REPORTED = (0, 1, 2, 3, 5, 10)


class Corrected(Protocol):
    """A corrector's answer."""

    @property
    def mask(self) -> np.ndarray:
        """Bool (y, x)."""


class Corrector(Protocol):
    """What answers clicks: `refiner.Refiner` or `growing.RegionGrowing`."""

    def set_case(self, case: Case, segmentation: Segmentation) -> None:
        """Take the next patient."""

    def encode(self, slices: Iterable[int] | None = None) -> None:
        """Prepare slices, so that clicks are quick."""

    def predict(self, prompts: Prompts, labels: np.ndarray) -> Corrected:
        """The mask after the newest click."""


@dataclass(frozen=True)
class EvaluationConfig:
    """What is evaluated.

    Attributes:
        structure: one of `prompts.STRUCTURES`.
        clicks: per slice.
        starts: "automatic" (the cascade's mask), "empty" (the structure taken out of it).
        methods: names of refiners for `load_refiner`, and `GROWING`.
        rules: a name in `RULES`.
        seed: of the reader.
        device: of cascade and refiner.
        also_learned: whether a refiner is scored on patients that it has learned from, too.
    """

    structure: str = "scar"
    clicks: int = 10
    starts: tuple[str, ...] = STARTS
    methods: tuple[str, ...] = ("default", GROWING)
    rules: str = "wall"
    seed: int = 0
    device: str = "auto"
    also_learned: bool = False

    @property
    def reported(self) -> tuple[int, ...]:
        """The numbers of clicks that tables show; the last is always among them."""
        return tuple(sorted({k for k in REPORTED if k < self.clicks} | {self.clicks}))


@dataclass(frozen=True)
class ScoredStep:
    """A mask after a number of clicks, in one slice or (`clicks` in every slice) in a patient.

    Attributes:
        clicks: how many the reader was allowed; fewer were made where nothing was left to correct.
        dice: None where the truth is empty.
        hd95_mm: in the slice plane for a slice; None where truth or mask is empty, or the spacing
            unknown.
        voxels: of the mask.
        mass_error_g: mass of the mask minus that of the truth; None when the spacing is unknown.
        point: the click that led here; None at the start and where nothing was left to correct.
        seconds: from the click to the new label map; None where the click was refused.
        wall_dice: of the whole myocardium; None where the truth does not tell it.
        wall_error_percent: volume of the myocardium minus the true one, in percent of it.
        offers: walls that were offered so far.
        reader_s: what the model of a reader needs so far (`SLICE_S`, `CLICK_S`, `OFFER_S`).
    """

    clicks: int
    dice: float | None
    hd95_mm: float | None
    voxels: int
    mass_error_g: float | None
    point: Point | None = None
    seconds: float | None = None
    wall_dice: float | None = None
    wall_error_percent: float | None = None
    offers: int = 0
    reader_s: float = 0.0


@dataclass(frozen=True)
class SliceRun:
    """All clicks in one slice; `steps[k]` is after k clicks."""

    slice_index: int
    truth_voxels: int
    steps: tuple[ScoredStep, ...]


@dataclass(frozen=True)
class Run:
    """One method from one start in a patient; `steps` as in `EvaluationConfig.reported`."""

    method: str
    start: str
    slices: tuple[SliceRun, ...]
    steps: tuple[ScoredStep, ...]


@dataclass(frozen=True)
class EvaluatedPatient:
    """What all runs of a patient share: truth bool and automatic labels uint16, both (z, y, x).

    Spacing and mass of a voxel are None when the spacing is unknown; the true myocardium, bool
    (z, y, x), where the labels do not tell it.
    """

    name: str
    truth: np.ndarray
    labeled: np.ndarray
    labels: np.ndarray
    probabilities: Mapping[str, np.ndarray] | None
    spacing_mm: tuple[float, float, float] | None
    voxel_g: float | None
    wall: np.ndarray | None = None

    @property
    def pixel_mm(self) -> tuple[float, float]:
        """Size of a pixel (y, x); of 1 mm where it is unknown."""
        return (1.0, 1.0) if self.spacing_mm is None else self.spacing_mm[1::-1]


def correct_patient(
    patient: EvaluatedPatient, config: EvaluationConfig, correctors: Mapping[str, Corrector | None]
) -> tuple[Run, ...]:
    """Correct a patient with every method from every start.

    Args:
        patient: truth and automatic labels.
        config: what is evaluated.
        correctors: method name to what answers the clicks, already at this patient; None where
            there is no heart to correct: nothing changes then.
    """
    return tuple(
        _run(patient, config, method, corrector, start)
        for method, corrector in correctors.items()
        for start in config.starts
    )


def _run(
    patient: EvaluatedPatient,
    config: EvaluationConfig,
    method: str,
    corrector: Corrector | None,
    start: str,
) -> Run:
    """Click through all slices that show the structure, then look at the patient as a whole."""
    labels = patient.labels
    if start == "empty":
        nothing = np.zeros(labels.shape, bool)
        labels = apply_mask(labels, nothing, config.structure, Rules(), patient.probabilities)
    mask = REGIONS[config.structure](labels) & patient.labeled[:, None, None]
    affected = np.flatnonzero((patient.truth | mask).any(axis=(1, 2)))
    stacks = {clicks: labels.copy() for clicks in config.reported}
    runs = []
    for index in affected:
        run, planes = _click_slice(patient, config, corrector, labels.copy(), int(index))
        runs.append(run)
        for clicks, stack in stacks.items():
            stack[index] = planes[clicks]
    steps = tuple(_patient_step(patient, config, k, s, runs) for k, s in stacks.items())
    return Run(method, start, tuple(runs), steps)


def _patient_step(
    patient: EvaluatedPatient,
    config: EvaluationConfig,
    clicks: int,
    labels: np.ndarray,
    runs: list[SliceRun],
) -> ScoredStep:
    """How a whole patient stands, uint16 (z, y, x), after so many clicks in every slice."""
    inside = patient.labeled[:, None, None]
    step = _step(patient, clicks, REGIONS[config.structure](labels) & inside, patient.truth)
    step = replace(step, **_wall_scores(patient.wall, regions.myocardium(labels) & inside))
    made = sum(s.point is not None for run in runs for s in run.steps[: clicks + 1])
    offers = sum(run.steps[clicks].offers for run in runs)
    seconds = SLICE_S * len(runs) + CLICK_S * made + OFFER_S * offers
    return replace(step, offers=offers, reader_s=seconds)


def _wall_scores(truth: np.ndarray | None, found: np.ndarray) -> dict[str, Any]:
    """Dice and error of the volume of the myocardium, both bool (z, y, x)."""
    if truth is None or not truth.any():
        return {}
    error = np.count_nonzero(found) / np.count_nonzero(truth) - 1
    return {"wall_dice": dice(found, truth), "wall_error_percent": 100 * float(error)}


def _click_slice(
    patient: EvaluatedPatient,
    config: EvaluationConfig,
    corrector: Corrector | None,
    labels: np.ndarray,
    index: int,
) -> tuple[SliceRun, list[np.ndarray]]:
    """Correct one slice of `labels` in place; its labels (y, x) after 0, 1, ... clicks."""
    truth = patient.truth[index]
    name = zlib.crc32(patient.name.encode())
    rng = np.random.default_rng([config.seed, name, index])
    region = REGIONS[config.structure]
    planes = [labels[index].copy()]
    steps = [_step(patient, 0, region(planes[0]), truth)]
    points: list[Point] = []
    offers = 0
    if corrector is not None:
        corrector.encode([index])
    for clicks in range(1, config.clicks + 1):
        mask = region(planes[-1])
        point = next_click(mask, truth, rng) if corrector is not None else None
        seconds = None
        if corrector is not None and point is not None:
            prompts = Prompts(config.structure, index, (*points, point))
            seconds, offered = answer_click(corrector, prompts, labels, config, patient)
            offers += offered
            # A refused click (too far from the heart) is told to no one again.
            points += [point] if seconds is not None else []
        planes.append(labels[index].copy())
        step = _step(patient, clicks, region(planes[-1]), truth, point, seconds)
        steps.append(replace(step, offers=offers))
    return SliceRun(index, int(np.count_nonzero(truth)), tuple(steps)), planes


def answer_click(
    corrector: Corrector,
    prompts: Prompts,
    labels: np.ndarray,
    config: EvaluationConfig,
    patient: EvaluatedPatient,
) -> tuple[float | None, bool]:
    """Put the answer to the newest click into the label map, in place.

    Args:
        corrector: at this patient, the slice encoded.
        prompts: all clicks in the slice.
        labels: uint16 (z, y, x), the present label map.
        config: whose rules and structure count.
        patient: whose truth the reader sees when a wall is offered.

    Returns:
        The time in s, None if the click was refused, and whether a wall was offered.
    """
    index = prompts.slice_index
    chances = patient.probabilities or {}
    plane = {name: chance[index] for name, chance in chances.items()} or None
    rules = RULES[config.rules]
    start = time.perf_counter()
    try:
        mask = corrector.predict(prompts, labels).mask
    except InputError:
        return None, False
    found = answered_slice(labels[index], mask, config.structure, rules, plane, patient.pixel_mm)
    seconds = time.perf_counter() - start
    labels[index] = _as_wanted(found, patient.truth[index], config.structure)
    return seconds, found.offered is not None


def _as_wanted(found: AnsweredSlice, truth: np.ndarray, structure: str) -> np.ndarray:
    """The slice after the reader has looked at a wall that is offered; he sees the truth (y, x)."""
    if found.offered is None:
        return found.labels
    wrong = [
        np.count_nonzero(REGIONS[structure](plane) != truth)
        for plane in (found.labels, found.offered.labels)
    ]
    return found.offered.labels if wrong[1] < wrong[0] else found.labels


def _step(
    patient: EvaluatedPatient,
    clicks: int,
    mask: np.ndarray,
    truth: np.ndarray,
    point: Point | None = None,
    seconds: float | None = None,
) -> ScoredStep:
    """Compare a mask with the truth: both a slice (y, x) or both a stack (z, y, x)."""
    voxels, true = int(np.count_nonzero(mask)), int(np.count_nonzero(truth))
    # The same surface distance as everywhere, in as many dimensions as the arrays have.
    hd95_mm = None
    if voxels and true and patient.spacing_mm is not None:
        spacing_mm: Any = patient.spacing_mm[: mask.ndim]
        hd95_mm = surface_distances_mm(mask, truth, spacing_mm)[1]
    error_g = None if patient.voxel_g is None else (voxels - true) * patient.voxel_g
    overlap = dice(mask, truth) if true else None
    return ScoredStep(clicks, overlap, hd95_mm, voxels, error_g, point, seconds)

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
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from myops.case import Case
from myops.errors import InputError
from myops.evaluation.metrics import surface_distances_mm
from myops.evaluation.simulated_reader import next_click
from myops.quantify.mass import dice
from myops.refine.prompts import Point, Prompts
from myops.refine.rules import REGIONS, Rules, apply_mask
from myops.segmentation import Segmentation

GROWING = "region growing"
STARTS = ("automatic", "empty")
RULES = {
    # The mask as predicted: the expert's scar may lie where the cascade saw blood or background.
    "free": Rules(allow_blood_pool=True, keep_inside=False),
    "default": Rules(),
}
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
    rules: str = "free"
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
    """

    clicks: int
    dice: float | None
    hd95_mm: float | None
    voxels: int
    mass_error_g: float | None
    point: Point | None = None
    seconds: float | None = None


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

    Spacing and mass of a voxel are None when the spacing is unknown.
    """

    name: str
    truth: np.ndarray
    labeled: np.ndarray
    labels: np.ndarray
    probabilities: Mapping[str, np.ndarray] | None
    spacing_mm: tuple[float, float, float] | None
    voxel_g: float | None


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
    stacks = {clicks: mask.copy() for clicks in config.reported}
    runs = []
    for index in affected:
        run, masks = _click_slice(patient, config, corrector, labels.copy(), int(index))
        runs.append(run)
        for clicks, stack in stacks.items():
            stack[index] = masks[clicks]
    steps = tuple(_step(patient, k, stack, patient.truth) for k, stack in stacks.items())
    return Run(method, start, tuple(runs), steps)


def _click_slice(
    patient: EvaluatedPatient,
    config: EvaluationConfig,
    corrector: Corrector | None,
    labels: np.ndarray,
    index: int,
) -> tuple[SliceRun, list[np.ndarray]]:
    """Correct one slice of `labels` in place; the masks (bool (y, x)) after 0, 1, ... clicks."""
    truth = patient.truth[index]
    name = zlib.crc32(patient.name.encode())
    rng = np.random.default_rng([config.seed, name, index])
    masks = [REGIONS[config.structure](labels[index])]
    steps = [_step(patient, 0, masks[0], truth)]
    points: list[Point] = []
    if corrector is not None:
        corrector.encode([index])
    for clicks in range(1, config.clicks + 1):
        point = next_click(masks[-1], truth, rng) if corrector is not None else None
        seconds = None
        if corrector is not None and point is not None:
            prompts = Prompts(config.structure, index, (*points, point))
            seconds = _correct(corrector, prompts, labels, config, patient.probabilities)
            # A refused click (too far from the heart) is told to no one again.
            points += [point] if seconds is not None else []
        masks.append(REGIONS[config.structure](labels[index]))
        steps.append(_step(patient, clicks, masks[-1], truth, point, seconds))
    return SliceRun(index, int(np.count_nonzero(truth)), tuple(steps)), masks


def _correct(
    corrector: Corrector,
    prompts: Prompts,
    labels: np.ndarray,
    config: EvaluationConfig,
    probabilities: Mapping[str, np.ndarray] | None,
) -> float | None:
    """Put the answer into the label map; the time in s, None if the click was refused."""
    index = prompts.slice_index
    plane = {name: chance[index] for name, chance in (probabilities or {}).items()} or None
    start = time.perf_counter()
    try:
        mask = corrector.predict(prompts, labels).mask
    except InputError:
        return None
    labels[index] = apply_mask(labels[index], mask, config.structure, RULES[config.rules], plane)
    return time.perf_counter() - start


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

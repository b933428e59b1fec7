"""A simulated multi-reader study: readers with different habits correct phantom patients.

No person reads anything here. Each reader knows the true labels but wants borders further out or
in (bias), not twice at the same place (jitter), aims badly, and stops early. From the cascade's
scar the reader clicks until the largest error left is small enough or the clicks are used up. The
conventional methods are measured inside the wall that the same reader draws.

What it can show is how habits pass into the numbers of a study. The habits are assumptions, so the
agreement that comes out says nothing about real readers.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import TYPE_CHECKING

import numpy as np

from myops import labels as regions
from myops.case import Case
from myops.datasets import LabeledCase, phantom_case
from myops.errors import InputError
from myops.evaluation.interactive import RULES, Corrector
from myops.evaluation.simulated_reader import next_click
from myops.geometry.masks import largest_component
from myops.io.number_text import number, signed
from myops.labels import MYOPS
from myops.progress import Progress
from myops.quantify.mass import MYOCARDIAL_DENSITY_G_PER_ML
from myops.refine.prompts import Point, Prompts
from myops.refine.rules import apply_mask
from myops.segmentation import Segmentation
from myops.study.reading import INTERACTIVE, Reading, Study

if TYPE_CHECKING:
    from myops.quantify.measurements import Measurements

# Assumed, not measured: what a reader needs to look at a slice of the heart, and for a click.
LOOK_S = 4.0
CLICK_S = 3.0


@dataclass(frozen=True)
class Habit:
    """How a simulated reader reads.

    Attributes:
        name: of the reader.
        bias_mm: how far outside the true border the reader sees it; negative: inside.
        jitter_mm: standard deviation of that, drawn anew for every slice and session.
        aim_mm: standard deviation of a click's place, along each axis.
        clicks: most clicks in a slice.
        enough_mm2: errors smaller than this are left alone.
    """

    name: str
    bias_mm: float
    jitter_mm: float
    aim_mm: float
    clicks: int
    enough_mm2: float


HABITS = (
    Habit("A (careful)", 0.0, 0.3, 0.8, 6, 20.0),
    Habit("B (outward)", 0.6, 0.4, 1.2, 4, 30.0),
    Habit("C (inward)", -0.6, 0.4, 1.2, 4, 30.0),
    Habit("D (hurried)", 0.0, 0.8, 2.0, 2, 80.0),
)


@dataclass(frozen=True)
class SimulationConfig:
    """Size of a simulated study.

    Attributes:
        patients: phantom patients with scar, from `first_seed` on; those without are skipped.
        readers: the first of `HABITS`.
        sessions: readings of each patient by each reader.
        first_seed: of the patients; from 900000 on, none was trained on.
        seed: of the readers.
    """

    patients: int = 10
    readers: int = 3
    sessions: int = 2
    first_seed: int = 900_000
    seed: int = 0


@dataclass(frozen=True)
class _Patient:
    """What all readings of a patient share; truth and present labels uint16 (z, y, x)."""

    case: Case
    truth: np.ndarray
    segmentation: Segmentation
    reference_g: float
    quality: str

    @property
    def pixel_mm(self) -> tuple[float, float]:
        """Row and column spacing."""
        return self.case.geometry.spacing_mm[1], self.case.geometry.spacing_mm[0]


def simulate_study(
    config: SimulationConfig,
    segment: Callable[[Case], Segmentation],
    corrector: Corrector,
    corrector_name: str,
    progress: Progress | None = None,
) -> Study:
    """Let simulated readers read phantom patients.

    Args:
        config: how many of what.
        segment: the automatic segmentation.
        corrector: answers the clicks.
        corrector_name: its name and checksum, for the record.
        progress: called with the finished fraction (0..1) and the patient's name.

    Raises:
        InputError: more readers than there are habits.
    """
    if config.readers > len(HABITS):
        raise InputError(
            f"expected at most {len(HABITS)} simulated readers, found {config.readers}: "
            "no more habits are described"
        )
    habits = HABITS[: config.readers]
    readings: list[Reading] = []
    for done, labeled in enumerate(islice(_with_scar(config.first_seed), config.patients)):
        if progress:
            progress(done / config.patients, labeled.name)
        patient = _patient(labeled, segment)
        corrector.set_case(patient.case, patient.segmentation)
        for habit in habits:
            for session in range(1, config.sessions + 1):
                readings += _read(patient, habit, session, config.seed, corrector)
    return Study(tuple(readings), f"{config.patients} phantoms", _words(config, corrector_name))


def _with_scar(first_seed: int) -> Iterator[LabeledCase]:
    for seed in count(first_seed):
        labeled = phantom_case(seed)
        if regions.scar(labeled.labels).any():
            yield labeled


def _words(config: SimulationConfig, corrector_name: str) -> str:
    habits = "; ".join(
        f"{h.name}: borders {signed(h.bias_mm)} ± {number(h.jitter_mm)} mm, "
        f"clicks ± {number(h.aim_mm)} mm, "
        f"at most {h.clicks} in a slice, errors below {h.enough_mm2:.0f} mm² left"
        for h in HABITS[: config.readers]
    )
    return (
        f"Programmed readers clicked on {config.patients} synthetic hearts (seeds from "
        f"{config.first_seed}), answered by {corrector_name}. Habits, all assumed: {habits}. "
        f"The readers' seconds are assumed too ({LOOK_S:g} s a slice, {CLICK_S:g} s a click); "
        "those of the computer were measured. The agreement of such readers says nothing about "
        "that of people."
    )


def _patient(labeled: LabeledCase, segment: Callable[[Case], Segmentation]) -> _Patient:
    case = labeled.to_case()
    truth, _ = labeled.truth_for(case)
    segmentation = segment(case)
    quality = _measure(case, replace(segmentation, labels=truth)).quality
    contrast = None if quality is None else quality.contrast_scar_remote
    return _Patient(
        case,
        truth,
        segmentation,
        _scar_g(case, truth),
        "" if contrast is None else f"{contrast:.1f}",
    )


def _read(
    patient: _Patient, habit: Habit, session: int, seed: int, corrector: Corrector
) -> list[Reading]:
    """One reader reads one patient once: interactively, and by drawing the wall."""
    name = zlib.crc32(f"{patient.case.name} {habit.name}".encode())
    rng = np.random.default_rng([seed, name, session])
    drawn = draw(patient.truth, habit, patient.pixel_mm, rng)
    labels, stages = _correct(patient, habit, drawn, rng, corrector)

    def reading(method: str, mass_g: float | None, note: str = "") -> Reading:
        return Reading(
            case=patient.case.name,
            reader=habit.name,
            session=str(session),
            method=method,
            mass_g=mass_g,
            quality=patient.quality,
            reference_g=patient.reference_g,
            note=note,
        )

    interactive = reading(INTERACTIVE, _scar_g(patient.case, labels))
    interactive = replace(interactive, seconds=sum(stages.values()), stages=stages)
    found = _measure(patient.case, replace(patient.segmentation, labels=drawn))
    return [interactive] + [
        reading(rule, scar.mass.mass_g, scar.result.invalid or "")
        for rule, scar in found.fwhm.items()
    ]


def draw(
    truth: np.ndarray, habit: Habit, pixel_mm: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """The labels that a reader would draw in this session.

    Args:
        truth: uint16 (z, y, x), MyoPS labels.
        habit: of the reader; half of its bias moves each border of the wall.
        pixel_mm: row and column spacing.
        rng: source of this session's jitter.

    Returns:
        uint16 (z, y, x): normal myocardium, scar, blood pool.
    """
    drawn = np.zeros_like(truth)
    for plane, wanted in zip(truth, drawn, strict=True):
        outer, inner, border = habit.jitter_mm * rng.standard_normal(3)
        heart = moved(regions.lv_region(plane), habit.bias_mm / 2 + outer, pixel_mm)
        blood = moved(regions.blood_pool(plane), -habit.bias_mm / 2 + inner, pixel_mm) & heart
        scar = moved(regions.scar(plane), habit.bias_mm + border, pixel_mm) & heart & ~blood
        wanted[heart] = MYOPS["normal_myocardium"]
        wanted[blood] = MYOPS["blood_pool"]
        wanted[scar] = MYOPS["scar"]
    return drawn


def moved(mask: np.ndarray, outward_mm: float, pixel_mm: tuple[float, float]) -> np.ndarray:
    """A mask (bool (y, x)) whose border is moved outward; an empty one stays empty."""
    from scipy.ndimage import distance_transform_edt

    if not mask.any():
        return mask
    outside = distance_transform_edt(~mask, sampling=pixel_mm)
    inside = distance_transform_edt(mask, sampling=pixel_mm)
    # The border lies half a pixel before the nearest pixel center of the other side.
    half = min(pixel_mm) / 2
    beyond_mm = np.where(mask, half - inside, outside - half)
    result: np.ndarray = beyond_mm <= outward_mm
    return result


def _correct(
    patient: _Patient,
    habit: Habit,
    drawn: np.ndarray,
    rng: np.random.Generator,
    corrector: Corrector,
) -> tuple[np.ndarray, dict[str, float]]:
    """The cascade's labels corrected by clicks, and the seconds of each stage."""
    labels = patient.segmentation.labels.copy()
    wanted = regions.scar(drawn)
    clicks, computing = 0, 0.0
    for index in np.flatnonzero((wanted | regions.scar(labels)).any(axis=(1, 2))):
        points: list[Point] = []
        for _ in range(habit.clicks):
            point = _next(regions.scar(labels[index]), wanted[index], habit, patient, rng)
            if point is None:
                break
            began = time.perf_counter()
            prompts = Prompts("scar", int(index), (*points, point))
            clicks += 1
            try:
                mask = corrector.predict(prompts, labels).mask
            except InputError:
                break  # a badly aimed click contradicts an older one: the reader gives up
            points.append(point)
            chances = {n: p[index] for n, p in patient.segmentation.probabilities.items()}
            labels[index] = apply_mask(labels[index], mask, "scar", RULES["free"], chances)
            computing += time.perf_counter() - began
    looked = int(regions.lv_region(patient.truth).any(axis=(1, 2)).sum())
    return labels, {
        "automatic segmentation": sum(patient.segmentation.seconds.values()),
        "answering clicks": computing,
        "looking and clicking (assumed)": LOOK_S * looked + CLICK_S * clicks,
    }


def _next(
    mask: np.ndarray,
    wanted: np.ndarray,
    habit: Habit,
    patient: _Patient,
    rng: np.random.Generator,
) -> Point | None:
    """The reader's next click, badly aimed; None where the errors left are small enough."""
    errors = [error for error in (wanted & ~mask, mask & ~wanted) if error.any()]
    row_mm, column_mm = patient.pixel_mm
    pixels = max((np.count_nonzero(largest_component(e)) for e in errors), default=0)
    largest_mm2 = pixels * row_mm * column_mm
    point = next_click(mask, wanted, rng) if largest_mm2 >= habit.enough_mm2 else None
    if point is None:
        return None
    off_row, off_column = habit.aim_mm * rng.standard_normal(2)
    rows, columns = mask.shape
    return Point(
        float(np.clip(point.row + off_row / row_mm, 0, rows - 1)),
        float(np.clip(point.column + off_column / column_mm, 0, columns - 1)),
        point.positive,
    )


def _scar_g(case: Case, labels: np.ndarray) -> float:
    voxels = int(np.count_nonzero(regions.scar(labels)))
    return voxels * case.geometry.voxel_volume_ml * MYOCARDIAL_DENSITY_G_PER_ML


def _measure(case: Case, segmentation: Segmentation) -> Measurements:
    from myops.quantify.measure import measure

    return measure(case, segmentation)


def load_corrector(method: str, model: str, device: str) -> tuple[Corrector, str]:
    """What answers the clicks, with its name in words: "refiner" or "growing".

    Raises:
        InputError: see `load_refiner`.
    """
    if method == "growing":
        from myops.evaluation.region_growing import RegionGrowing

        return RegionGrowing(), "region growing"
    from myops.refine.refiner import Refiner, load_refiner

    loaded = load_refiner(device, model)
    return Refiner(loaded), f"the refiner {model} (SHA-256 {loaded.checksum[:12]})"

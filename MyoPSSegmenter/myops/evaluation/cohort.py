"""A cohort corrected by a simulated reader: what each click does to Dice, distance and mass.

Every patient is segmented by the cascade; `refine.clicking` then corrects the result with each
method and from each start. Time is measured from a click to the new label map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import numpy as np

from myops import labels as regions
from myops.case import Case
from myops.datasets import CaseLoader, LabeledCase
from myops.errors import InputError
from myops.evaluation.interactive import (
    GROWING,
    Corrector,
    EvaluatedPatient,
    EvaluationConfig,
    Run,
    correct_patient,
)
from myops.quantify.human_heart import warning_of_labels
from myops.quantify.mass import MYOCARDIAL_DENSITY_G_PER_ML, known_spacing_mm
from myops.refine.rules import REGIONS
from myops.segmentation import Segmentation
from myops.structures import STRUCTURES
from myops.weights.learned import refuse_learned


@dataclass(frozen=True)
class PatientResult:
    """One patient.

    Attributes:
        dataset, name: as in `LabeledCase`.
        truth_voxels: of the structure in all compared slices.
        wall_g: mass of the true LV myocardium; None when the spacing is unknown.
        runs: one for each method and start; none when the structure cannot be assessed.
        note: why there are no runs, why all masks are empty, or that the true heart is none of a
            human, see `quantify.human_heart`.
        weights: network or refiner name to the SHA-256 of its weights.
    """

    dataset: str
    name: str
    truth_voxels: int
    wall_g: float | None
    runs: tuple[Run, ...] = ()
    note: str = ""
    weights: Mapping[str, str] = field(default_factory=dict)


def evaluate_cohort(
    readers: Sequence[CaseLoader], config: EvaluationConfig, workers: int = 1
) -> Iterator[PatientResult]:
    """Evaluate patients in this process, or in several with one thread each; in their order.

    Raises:
        InputError: weights are missing, or a file cannot be used.
    """
    one = partial(evaluate_reader, config=config)
    if workers <= 1:
        yield from map(one, readers)
        return
    import multiprocessing

    with multiprocessing.get_context("spawn").Pool(workers, initializer=_start_worker) as pool:
        yield from pool.imap(one, readers)


def evaluate_reader(read: CaseLoader, config: EvaluationConfig) -> PatientResult:
    """Read and evaluate one patient with networks that are loaded once per process.

    Raises:
        InputError: a refiner has learned from the patient, and `also_learned` was not asked for.
    """
    cascade = partial(_segment, device=config.device)
    correctors = {name: load_corrector(name, config.device) for name in config.methods}
    labeled = read()
    for name, model in _models(correctors).items():
        if not config.also_learned:
            refuse_learned([labeled], model.learned, f"the refiner {name}")
    return evaluate_patient(labeled, config, cascade, correctors)


def evaluate_patient(
    labeled: LabeledCase,
    config: EvaluationConfig,
    segment: Callable[[Case], Segmentation],
    correctors: Mapping[str, Corrector],
) -> PatientResult:
    """Let the simulated reader correct one patient.

    Args:
        labeled: images and truth.
        config: what is evaluated.
        segment: the automatic segmentation; its InputError (no heart) leaves every mask empty and
            nothing to correct, which counts as Dice 0.
        correctors: method name to what answers the clicks.
    """
    case = labeled.to_case()
    truth_labels, drawn = labeled.truth_for(case)
    truth = REGIONS[config.structure](truth_labels) & drawn[:, None, None]
    wall = regions.myocardium(truth_labels) & drawn[:, None, None]
    found = partial(
        PatientResult,
        labeled.dataset,
        labeled.name,
        int(np.count_nonzero(truth)),
        _mass_g(case, regions.myocardium(truth_labels)),
    )
    warning = warning_of_labels(truth_labels, known_spacing_mm(case))
    missing = _missing(config.structure, labeled)
    if missing:
        return found(note=missing)
    try:
        segmentation = segment(case)
        for corrector in correctors.values():
            corrector.set_case(case, segmentation)
    except InputError as error:
        patient = compared_patient(case, truth, wall, drawn, config, None)
        words = "; ".join(filter(None, (str(error), warning)))
        return found(correct_patient(patient, config, dict.fromkeys(correctors)), words)
    patient = compared_patient(case, truth, wall, drawn, config, segmentation)
    return found(
        correct_patient(patient, config, correctors), warning, _weights(segmentation, correctors)
    )


def compared_patient(
    case: Case,
    truth: np.ndarray,
    wall: np.ndarray,
    labeled: np.ndarray,
    config: EvaluationConfig,
    segmentation: Segmentation | None,
) -> EvaluatedPatient:
    """What all runs of a patient share; without a segmentation (no heart) nothing is labeled.

    Args:
        case: the images.
        truth: bool (z, y, x), the structure.
        wall: bool (z, y, x), the true myocardium.
        labeled: bool (z,), slices that the expert has drawn in.
        config: what is evaluated.
        segmentation: the automatic result.
    """
    return EvaluatedPatient(
        name=case.name,
        truth=truth,
        labeled=labeled,
        labels=np.zeros(truth.shape, np.uint16) if segmentation is None else segmentation.labels,
        probabilities=None if segmentation is None else segmentation.probabilities,
        spacing_mm=known_spacing_mm(case),
        # Blood is a volume, not a mass.
        voxel_g=None if config.structure == "blood_pool" else _mass_g(case, np.ones(1, bool)),
        wall=wall,
    )


def _mass_g(case: Case, mask: np.ndarray) -> float | None:
    """Mass of a mask's voxels; None when the spacing is unknown."""
    if not case.spacing_known:
        return None
    volume_ml = int(np.count_nonzero(mask)) * case.geometry.voxel_volume_ml
    return volume_ml * MYOCARDIAL_DENSITY_G_PER_ML


def _missing(structure: str, labeled: LabeledCase) -> str:
    if structure not in labeled.structures:
        return f"not assessed: the labels do not tell {structure}"
    row = STRUCTURES[structure]
    seen = set(row.seen_on) <= set(labeled.images)
    return "" if seen else f"not assessed: there is no {row.images} image"


def _weights(segmentation: Segmentation, correctors: Mapping[str, Corrector]) -> dict[str, str]:
    refiners = {f"refiner {name}": one.checksum for name, one in _models(correctors).items()}
    return {**segmentation.model, **refiners}


def _models(correctors: Mapping[str, Corrector]) -> dict[str, Any]:
    """The refiners' models; region growing has none."""
    models = {name: getattr(corrector, "model", None) for name, corrector in correctors.items()}
    return {name: model for name, model in models.items() if model}


def _segment(case: Case, device: str) -> Segmentation:
    from myops.cascade.segment import segment

    return segment(case, _cascade(device))


@lru_cache(maxsize=1)
def _cascade(device: str) -> Any:
    from myops.weights.files import load_models

    return load_models(device)


@lru_cache(maxsize=8)
def load_corrector(method: str, device: str) -> Corrector:
    """Region growing, or the refiner of a name; loaded once per process.

    Raises:
        InputError: unknown refiner, missing or damaged weights.
    """
    if method == GROWING:
        from myops.evaluation.region_growing import RegionGrowing

        return RegionGrowing()
    from myops.refine.refiner import Refiner, load_refiner

    return Refiner(load_refiner(device, method))


def machine(workers: int) -> dict[str, int | str]:
    """What the times depend on: processor family, processes, and threads of each."""
    import platform

    import torch

    threads = torch.get_num_threads() if workers == 1 else 1
    return {"processor": platform.machine(), "workers": workers, "threads": threads}


def _start_worker() -> None:
    """One thread per process; Ctrl-C is the parent's to answer."""
    import signal

    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)

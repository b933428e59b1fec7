"""The demonstration: a synthetic patient, its automatic scar, and three clicks that correct it.

The patient is made by `myops.phantom`, so the truth is known and a simulated reader can click where
the result is most wrong. What it shows is how the program works, never how accurate it is in
patients.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from myops import labels as regions
from myops.demo.result import Demo, DemoStage
from myops.evaluation.simulated_reader import next_click
from myops.progress import Progress
from myops.quantify.mass import MYOCARDIAL_DENSITY_G_PER_ML, dice
from myops.refine.prompts import Point
from myops.refine.rules import apply_mask

if TYPE_CHECKING:
    from myops.case import Case
    from myops.refine.session import Session
    from myops.segmentation import Segmentation

CLICKS = 3


def run_demo(
    folder: Path,
    seed: int,
    device: str = "auto",
    progress: Progress = lambda *_: None,
) -> Demo:
    """Make a synthetic patient, segment it, correct it by clicks, and write everything down.

    Args:
        folder: gets `patient/` (images and truth), `results/` (of the automatic segmentation),
            `session.json` (the clicks, for `myops refine`), a picture per click and `demo.html`.
        seed: of the patient and the simulated reader.
        device: as for `weights.load_models`.
        progress: called with the finished fraction (0..1) and the name of the step.

    Raises:
        InputError: the folder cannot be written, or weights are missing.
    """
    from myops.demo.page import write_demo
    from myops.output.overwriting import OTHER_OUTPUT, refuse_foreign, refuse_replacing
    from myops.output.results import check_writable
    from myops.phantom.files import patient_name
    from myops.refine.record import SESSION_FILE, write_record
    from myops.refine.refiner import Refiner, load_refiner
    from myops.refine.session import Session

    check_writable(folder)
    refuse_foreign(folder / "patient", [f"{patient_name(seed)}_*", ".*"], OTHER_OUTPUT)
    refuse_replacing(folder, [SESSION_FILE], "demo.html", OTHER_OUTPUT)
    refiner = Refiner(load_refiner(device))
    progress(0.0, "patient")
    case, truth = _make_patient(folder / "patient", seed)
    segmentation = _segment(folder, case, device, progress)
    progress(0.6, "clicks")
    session = Session(refiner, case, segmentation)
    stages = correct(session, truth, np.random.default_rng(seed))
    demo = Demo(case, seed, truth, scar_mass_g(truth, case), stages)
    progress(0.7, "pictures")
    write_demo(folder, demo)
    write_record(folder / SESSION_FILE, session)
    return demo


def correct(
    session: Session, truth: np.ndarray, rng: np.random.Generator, clicks: int = CLICKS
) -> tuple[DemoStage, ...]:
    """Let a simulated reader click, each time in the slice whose scar is most wrong.

    Args:
        session: at the automatic result.
        truth: uint16 (z, y, x), the true labels.
        rng: of the reader.
        clicks: at most so many; fewer where nothing is left to correct.

    Returns:
        The automatic result, then one stage for each click.
    """
    stages = [_stage(session, truth)]
    for _ in range(clicks):
        # The reader asks for no more than the rules allow: scar stays inside the present wall.
        wanted = regions.scar(
            apply_mask(session.labels, regions.scar(truth), "scar", session.rules)
        )
        errors = np.count_nonzero(wanted != regions.scar(session.labels), axis=(1, 2))
        index = int(errors.argmax())
        click = next_click(regions.scar(session.labels[index]), wanted[index], rng)
        if click is None:
            break
        step = session.click("scar", index, click.row, click.column, click.positive)
        stages.append(_stage(session, truth, index, click, step.seconds))
    return tuple(stages)


def scar_mass_g(labels: np.ndarray, case: Case) -> float:
    """Mass of the scar in a label map (z, y, x) on the case's grid."""
    voxels = np.count_nonzero(regions.scar(labels))
    return float(voxels * case.geometry.voxel_volume_ml * MYOCARDIAL_DENSITY_G_PER_ML)


def _make_patient(folder: Path, seed: int) -> tuple[Case, np.ndarray]:
    """Write the patient, and read it back as any other; the truth on the Case's grid."""
    from myops.case import load_case_folder
    from myops.geometry.canonical import to_canonical
    from myops.phantom.files import write_patient
    from myops.phantom.patient import PhantomConfig, generate_patient

    patient = generate_patient(seed, PhantomConfig(dropout=False, upright=True))
    write_patient(patient, folder)
    case = load_case_folder(folder, name=f"Synthetic patient {seed}")
    return case, to_canonical(patient.labels, case.original)


def _segment(folder: Path, case: Case, device: str, progress: Progress) -> Segmentation:
    """Run the cascade and write its results as `myops segment` does."""
    from myops.cascade.segment import segment
    from myops.output.results import write_results
    from myops.patients.provenance import INPUTS_FILE, Inputs, find_files
    from myops.quantify.measure import measure
    from myops.weights.files import load_models

    models = load_models(device)
    segmentation = segment(case, models, progress=lambda done, step: progress(0.3 * done, step))
    progress(0.35, "report")
    files = find_files(folder / "patient", {})
    notes = {INPUTS_FILE: Inputs(files, case.name).to_dict()}
    write_results(
        folder / "results", case, segmentation, measure(case, segmentation), documents=notes
    )
    return segmentation


def _stage(
    session: Session,
    truth: np.ndarray,
    slice_index: int | None = None,
    click: Point | None = None,
    seconds: float = 0.0,
) -> DemoStage:
    overlap = dice(regions.scar(session.labels), regions.scar(truth))
    mass_g = scar_mass_g(session.labels, session.case)
    return DemoStage(session.labels, overlap, mass_g, slice_index, click, seconds)

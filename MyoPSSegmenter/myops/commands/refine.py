"""`myops refine`: prompts from a file correct earlier results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from myops.commands.options import (
    PATH,
    device_option,
    dicom_options,
    landmark_options,
    place_options,
)
from myops.commands.terminal import print_measurements, progress_bar

if TYPE_CHECKING:
    from myops.patients.provenance import Inputs
    from myops.quantify.regional.orientation import Landmarks
    from myops.refine.record import Record
    from myops.refine.replay import Replay
    from myops.segmentation import Segmentation


@click.command()
@click.argument("out_dir", type=PATH)
@place_options
@landmark_options
@click.option("--prompts", type=PATH, required=True, help="session.json, or written by hand.")
@click.option("--output", "-o", type=PATH, help="Folder for the results; else OUT_DIR/refined.")
@dicom_options
@click.option(
    "--model",
    default="default",
    show_default="that of the weights which OUT_DIR was made with",
    help="Name of the refiner, or a folder of weights.",
)
@device_option
def refine(
    out_dir: Path,
    folder: Path | None,
    named: dict[str, Path | None],
    landmarks: Landmarks,
    prompts: Path,
    output: Path | None,
    formats: tuple[str, ...],
    keep_identity: bool,
    model: str,
    device: str,
) -> None:
    """Correct a segmentation with prompts from a file.

    OUT_DIR holds results of `myops segment`. The images are read where they were; FOLDER or --lge,
    --bssfp and --t2 say where they are now. A recorded session reproduces the recorded masks.
    """
    from myops.output.overwriting import OTHER_OUTPUT, refuse_overwriting
    from myops.output.results import check_sources, check_writable, write_results
    from myops.patients.provenance import INPUTS_FILE, LABELS_FILE, moved, read_inputs
    from myops.quantify.measure import measure
    from myops.refine.record import SESSION_FILE, check_not_overwritten, read_record, to_record
    from myops.report.review import review_of

    target = output or out_dir / "refined"
    record = read_record(prompts)
    check_not_overwritten(prompts, target)
    refuse_overwriting([target / LABELS_FILE], [out_dir / LABELS_FILE], OTHER_OUTPUT)
    check_writable(target)
    inputs = moved(read_inputs(out_dir), folder, named)
    replayed, automatic = replay_on(out_dir, inputs, record, model, device)
    session = replayed.session
    check_sources(session.case, formats)
    segmentation = session.segmentation()
    measurements = measure(session.case, segmentation, landmarks=landmarks)
    review = review_of(session, automatic.labels, timed=record.timed)
    notes = {INPUTS_FILE: inputs.to_dict(), SESSION_FILE: to_record(session, record.timed)}
    write_results(
        target,
        session.case,
        segmentation,
        measurements,
        documents=notes,
        review=review,
        formats=formats,
        keep_identity=keep_identity,
    )
    print_measurements(measurements)
    if record.time_trouble:
        click.echo(f"Warning: {prompts}: no reading time: {record.time_trouble}", err=True)
    for offer in replayed.offers:
        click.echo(f"Note: {offer}", err=True)
    for difference in replayed.differences:
        click.echo(f"Warning: {difference}", err=True)
    click.echo(f"Report: {target / 'report.html'}")


def replay_on(
    out_dir: Path, inputs: Inputs, record: Record, model: str, device: str
) -> tuple[Replay, Segmentation]:
    """Replay a record on the label map in `out_dir`, with the cascade's probabilities beside it.

    Returns:
        The replay, and what the cascade finds by itself.

    Raises:
        InputError: images, labels, record or models cannot be used, or do not belong together.
    """
    from dataclasses import replace

    from myops.cascade.segment import segment as run_cascade
    from myops.patients.provenance import read_case, read_labels
    from myops.refine.refiner import Refiner, load_refiner, refiner_beside
    from myops.refine.replay import replay
    from myops.weights.files import load_models

    case = read_case(inputs)
    labels = read_labels(out_dir, case)
    refiner = Refiner(load_refiner(device, refiner_beside(inputs.model, model)))
    models = load_models(device, name=inputs.model, sequences=case.sequences)
    with progress_bar("Segmenting") as progress:
        automatic = run_cascade(case, models, progress=progress)
    with progress_bar("Refining") as progress:
        start = replace(automatic, labels=labels)
        return replay(record, case, start, refiner, progress), automatic

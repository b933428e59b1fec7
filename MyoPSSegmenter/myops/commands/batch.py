"""`myops batch`: a whole cohort, on this machine or on a cluster."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from myops.commands.options import (
    PATH,
    device_option,
    dicom_options,
    pseudonyms_option,
    register_option,
)
from myops.commands.terminal import progress_bar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from myops.batch.jobs import Job
    from myops.batch.patient import BatchOptions, Outcome
    from myops.batch.run import Cohort

# Some patients have no results; 2 = the cohort could not go on, as for all bad input.
INCOMPLETE, STOPPED = 1, 2


@click.command()
@click.argument("source", metavar="FOLDER|TABLE", type=PATH)
@click.option("--output", "-o", type=PATH, required=True, help="Folder for the results.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes; as cores and memory allow.")
@click.option("--scheduler", metavar="ADDRESS", help="Of a Dask cluster, or its scheduler file.")
@click.option("--probabilities", is_flag=True, help="Write probability and uncertainty maps too.")
@dicom_options
@pseudonyms_option
@click.option(
    "--model", default="default", show_default=True, help="Weights: a pack's name, or a folder."
)
@register_option
@device_option
@click.pass_context
def batch(
    context: click.Context,
    source: Path,
    output: Path,
    workers: int | None,
    scheduler: str | None,
    probabilities: bool,
    formats: tuple[str, ...],
    keep_identity: bool,
    pseudonyms: Path | None,
    model: str,
    register: str,
    device: str,
) -> None:
    """Segment every patient of a cohort, and write one table and one page of all.

    FOLDER holds patients: folders of image files or DICOM, and archives (.zip, .tar). TABLE is a
    CSV with the columns patient and folder, or patient, lge, bssfp and t2. The same command goes
    on where an earlier one was stopped. Exit code 0: every patient has results; 1: some have none;
    2: it could not go on; 130: Ctrl-C. Docs/how-to/cohorts.md shows a run.
    """
    from myops.batch.patient import BatchOptions
    from myops.batch.pseudonymous import check_pseudonyms, under_pseudonyms
    from myops.batch.run import find_jobs, run_cohort, start_cohort

    options = BatchOptions(
        model, register, probabilities, "dicom" in formats, keep_identity, pseudonyms is not None
    )
    if pseudonyms is not None:
        check_pseudonyms(source, output, pseudonyms, keep_identity)
    start_cohort(source, output, options)
    with progress_bar("Searching") as progress:
        say = partial(progress, 0.0)
        jobs = find_jobs(source, output, say)
        if pseudonyms is not None:
            jobs = under_pseudonyms(jobs, pseudonyms, output, say)
    work = partial(_run, output=output.absolute(), options=options)
    if scheduler is None:
        devices = _devices(device, workers, len(jobs))
        click.echo(f"{len(jobs)} patients on {', '.join(_counted(devices))}", err=True)
    with progress_bar("Segmenting", lines=True) as progress:
        if scheduler is None:
            from myops.batch.local import run_local

            engine = partial(run_local, work=work, devices=devices)
        else:
            from myops.batch.cluster import run_on_cluster

            engine = partial(run_on_cluster, work=work, address=scheduler, device=device)
        cohort = run_cohort(jobs, output, engine, progress, partial(click.echo, err=True))
    context.exit(_tell(cohort, output))


def _run(job: Job, device: str, output: Path, options: BatchOptions) -> Outcome:
    """In a process of its own."""
    from myops.batch.patient import run_job

    return run_job(job, output, options, device)


def _devices(asked: str, workers: int | None, jobs: int) -> list[str]:
    """The device of each process: all GPUs in turn, or the one that was asked for."""
    from myops.batch.local import sized_workers

    if asked == "cpu":  # known without torch
        return [asked] * (workers or sized_workers(jobs))
    from myops.networks.device import available_devices, resolve_device

    resolved = str(resolve_device(asked))
    gpus = [name for name in available_devices() if name.startswith("cuda")]
    if not resolved.startswith("cuda"):
        chosen = [resolved]
    else:
        chosen = gpus if asked in ("auto", "cuda") else [resolved]
    count = workers or sized_workers(jobs, len(chosen) if chosen[0] != "cpu" else 0)
    return [chosen[number % len(chosen)] for number in range(count)]


def _counted(devices: Sequence[str]) -> Iterator[str]:
    for name in dict.fromkeys(devices):
        yield f"{devices.count(name)} x {name}"


def _tell(cohort: Cohort, output: Path) -> int:
    """Say how it ended; the exit code."""
    from myops.batch.run import PAGE

    count = len(cohort.outcomes)
    click.echo(f"{cohort.done} of {count} patients have results.")
    if (page := output / PAGE).exists():
        click.echo(f"Overview: {page}")
    if cohort.stopped:
        click.echo(f"Error: {cohort.stopped}", err=True)
        return STOPPED
    return 0 if cohort.done == count else INCOMPLETE

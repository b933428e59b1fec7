"""`myops study`: agreement of readers and methods."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from myops.commands.options import PATH, device_option
from myops.commands.terminal import progress_bar
from myops.errors import InputError

if TYPE_CHECKING:
    from myops.study.reading import Study


@click.command()
@click.argument("source", type=PATH, required=False)
@click.option("--output", "-o", type=PATH, required=True, help="Folder for tables and report.")
@click.option("--simulate", type=click.IntRange(min=1), help="Phantom patients, read by programs.")
@click.option("--readers", type=click.IntRange(1, 4), default=3, show_default=True)
@click.option("--sessions", type=click.IntRange(min=1), default=2, show_default=True)
@click.option(
    "--method",
    type=click.Choice(["refiner", "growing"]),
    default="refiner",
    show_default=True,
    help="What answers simulated clicks.",
)
@click.option("--model", default="default", show_default=True, help="Name of the refiner.")
@device_option
def study(source: Path | None, output: Path, simulate: int | None, **settings: Any) -> None:
    """Analyze how well readers agree: CCC, ICC, Bland-Altman, tests, times.

    SOURCE is a CSV table of readings (case, reader, session, method, mass_g or mask, seconds), or
    a folder of saved sessions (case/reader/session/measurements.json). With --simulate, programs
    read phantom patients instead; --readers, --sessions, --method, --model and --device are for
    that alone.
    """
    from myops.output.overwriting import OTHER_OUTPUT, refuse_overwriting, refuse_replacing
    from myops.output.results import check_writable
    from myops.study.analysis import analyze
    from myops.study.page import render_study
    from myops.study.tables import TABLES, as_text, write_study

    if (source is None) == (simulate is None):
        raise InputError("expected a table or folder of readings, or --simulate PATIENTS: give one")
    check_writable(output)
    tables = [f"{name}.csv" for name in TABLES]
    refuse_overwriting((output / name for name in tables), filter(None, [source]), OTHER_OUTPUT)
    refuse_replacing(output, tables, "study.json", OTHER_OUTPUT)
    if simulate is not None:
        readings = run_simulation(simulate, **settings)
    elif source is not None:
        from myops.study.read import read_study

        readings = read_study(source)
    results = analyze(readings)
    write_study(output, results, render_study(results))
    click.echo(as_text(results))
    click.echo(f"Report: {output / 'study.html'}")


def run_simulation(
    patients: int, readers: int, sessions: int, method: str, model: str, device: str
) -> Study:
    """Let programmed readers read phantom patients, with the refiner or region growing."""
    from myops.cascade.segment import segment as run_cascade
    from myops.study.simulate import SimulationConfig, load_corrector, simulate_study
    from myops.weights.files import load_models

    corrector, name = load_corrector(method, model, device)
    cascade = functools.partial(run_cascade, models=load_models(device))
    config = SimulationConfig(patients, readers, sessions)
    with progress_bar("Simulating") as progress:
        return simulate_study(config, cascade, corrector, name, progress)

"""`myops phantom`: synthetic patients with full ground truth."""

from __future__ import annotations

from pathlib import Path

import click

from myops.commands.options import PATH
from myops.commands.terminal import progress_bar


@click.command()
@click.argument("folder", type=PATH)
@click.option("--patients", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--complete", is_flag=True, help="All three sequences for every patient.")
@click.option("--upright", is_flag=True, help="Septum left, inferior wall below; else any turn.")
def phantom(folder: Path, patients: int, seed: int, complete: bool, upright: bool) -> None:
    """Make synthetic patients with full ground truth.

    Files are named as in MyoPS. One patient goes into FOLDER itself, several into folders inside
    it. The same seed gives the same patients.
    """
    from myops.output.overwriting import refuse_foreign
    from myops.phantom.files import COHORT_FILE, patient_name, write_cohort, write_patient
    from myops.phantom.patient import PhantomConfig, generate_patient

    config = PhantomConfig(dropout=not complete, upright=upright)
    names = [patient_name(seed + number) for number in range(patients)]
    own = [f"{names[0]}_*"] if patients == 1 else [*names, COHORT_FILE]
    # A patient of another folder's would be mixed with this one, or with a real one.
    refuse_foreign(folder, [*own, ".*"], "name a folder of their own")
    if patients == 1:
        write_patient(generate_patient(seed, config), folder)
    else:
        with progress_bar("Generating") as progress:
            write_cohort(seed, patients, folder, config, progress)
    click.echo(f"Synthetic patients: {patients}, in {folder}")

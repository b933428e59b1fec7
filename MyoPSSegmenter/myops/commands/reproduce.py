"""`myops reproduce`: a published system beside its baselines, as the paper's table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from myops.commands.options import PATH, case_convention_option
from myops.commands.train import parse_setting, training_packages
from myops.errors import InputError
from myops.reproduce.protocol import PROTOCOLS, TESTED, TRAINED
from myops.reproduce.rows import NNUNET, TABLES, choose_rows, without_nnunet


@click.command()
@click.argument("name", type=click.Choice(list(TABLES)))
@click.option(
    "--data",
    type=PATH,
    help="Folder of labeled patients (MyoPS 2020's files); a phantom cohort if left out.",
)
@click.option("--protocol", type=click.Choice(list(PROTOCOLS)), default="quick", show_default=True)
@click.option("--output", "-o", type=PATH, required=True, help="Folder of everything it writes.")
@click.option("--seeds", type=click.IntRange(1), help="Trainings per row (paper 3, quick 1).")
@click.option("--rows", help="Only these rows and those they need, with commas between.")
@click.option(
    "--patients",
    type=click.IntRange(4),
    default=TRAINED + TESTED,
    show_default=True,
    help="Size of the cohort.",
)
@click.option(
    "--outside",
    type=PATH,
    help="Folder of labeled out-of-distribution patients to test the same rows on.",
)
@case_convention_option
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Change a setting.")
def reproduce(
    name: str,
    data: Path | None,
    protocol: str,
    output: Path,
    seeds: int | None,
    rows: str | None,
    patients: int,
    outside: Path | None,
    convention: str,
    settings: tuple[str, ...],
) -> None:
    """Train a published system and its baselines, and print the paper's table.

    The same command resumes an interrupted run. Docs/how-to/reproduce.md shows a run.
    """
    with training_packages():
        from myops.io.text_files import read_text
        from myops.reproduce.evaluate import Reproduction
        from myops.reproduce.nnunet.commands import find_command
        from myops.reproduce.run import reproduce as run
    chosen = PROTOCOLS[protocol]
    overrides = dict(parse_setting(setting) for setting in settings)
    chosen = replace(
        chosen,
        seeds=seeds or chosen.seeds,
        settings=_changed(chosen.settings, overrides),
        stage_settings={
            stage: _changed(own, overrides) for stage, own in chosen.stage_settings.items()
        },
    )
    table, notes = TABLES[name], tuple[str, ...]()
    if rows is not None:
        table = choose_rows(table, rows.split(","))
    elif any(row.stage == NNUNET for row in table.rows):
        try:
            find_command("nnUNetv2_train")
        except InputError as error:
            table, notes = without_nnunet(table), (f"Left out: nnU-Net ({error})",)
            click.echo(notes[0])
    wanted = Reproduction(name, table, chosen, output, data, patients, outside, notes, convention)
    path = run(wanted, click.echo)
    click.echo(read_text(path))
    click.echo(f"Table: {path}")


def _changed(settings: dict[str, str], overrides: dict[str, str]) -> dict[str, str]:
    """Settings with the user's in their place; steps that are named replace minutes."""
    kept = dict(settings)
    if "steps" in overrides and "minutes" not in overrides:
        kept.pop("minutes", None)
    return kept | overrides

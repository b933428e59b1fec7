"""`myops dataset`: labeled hearts of public data sets and of a site's own."""

from __future__ import annotations

from pathlib import Path

import click

from myops.commands.options import PATH, case_convention_option
from myops.commands.terminal import progress_bar
from myops.sequences import NETWORK_SEQUENCES

# Some case cannot be read.
INCOMPLETE = 1


@click.group()
def dataset() -> None:
    """Check a folder of labeled hearts, or write it in nnU-Net's raw format."""


@dataset.command()
@click.argument("folder", type=PATH)
@click.option("--output", "-o", type=PATH, help="CSV file with a row for each case.")
@case_convention_option
@click.pass_context
def check(context: click.Context, folder: Path, output: Path | None, convention: str) -> None:
    """Say which cases a folder holds, their geometry and labels, and what is odd.

    Known by their names: MyoPS 2020, MyoPS++ (CARE 2024), EMIDEC, ACDC, MS-CMRSeg, Sunnybrook and
    nnU-Net's raw format. Exit code 0: every case can be read; 1: some cannot.
    """
    from myops.datasets.check import as_csv, as_text, check_folder
    from myops.io.text_files import write_text

    with progress_bar("Reading") as progress:
        cases = check_folder(folder, convention, progress)
    click.echo(as_text(cases))
    if output is not None:
        write_text(output, as_csv(cases))
    context.exit(INCOMPLETE if any(one.problem for one in cases) else 0)


@dataset.command()
@click.argument("folder", type=PATH)
@click.option("--output", "-o", type=PATH, required=True, help="Gets nnUNet_raw/DatasetNNN_NAME.")
@click.option("--id", "number", type=click.IntRange(1, 999), default=701, show_default=True)
@click.option("--name", default="MyoPS", show_default=True, help="Of the data set.")
@click.option("--test", "tested", multiple=True, help="Case to test on; repeatable.")
@click.option(
    "--sequence",
    "channels",
    type=click.Choice(NETWORK_SEQUENCES),
    multiple=True,
    help="A channel; repeatable. Unless given: all three.",
)
@case_convention_option
def nnunet(
    folder: Path,
    output: Path,
    number: int,
    name: str,
    tested: tuple[str, ...],
    channels: tuple[str, ...],
    convention: str,
) -> None:
    """Write labeled hearts in nnU-Net's raw format, with all three sequences or those named."""
    from myops.datasets import find_cases
    from myops.reproduce.nnunet.files import export_raw

    cases = find_cases(folder, convention)
    kept = [one for one in NETWORK_SEQUENCES if not channels or one in channels]
    click.echo(export_raw(cases, None, tested, output, number, name, sequences=kept))

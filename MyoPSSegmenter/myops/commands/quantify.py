"""`myops quantify` and `myops info`: what is in a label map, and in a patient's files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from myops.commands.options import PATH, case_options, convention_option, landmark_options

if TYPE_CHECKING:
    from myops.case import Case


@click.command()
@click.argument("labels", type=PATH)
@case_options
@landmark_options
@click.option("--output", "-o", type=PATH, help="Folder for JSON and CSV tables.")
@click.option("--method", "methods", multiple=True, help="A method; repeatable. Default: all.")
@convention_option
@click.option("--remote-mask", type=PATH, help="Remote region as a mask, not the automatic one.")
@click.option("--remote-sector", type=(float, float), metavar="CENTER WIDTH", help="In degrees.")
@click.option("--hyperenhanced", type=PATH, help="Drawn region of the Amado method, as a mask.")
@click.option("--manual-threshold", type=float, help="Your own threshold, in the image's units.")
@click.option("--all-slices", is_flag=True, help="Per slice: also slices without labeled scar.")
@click.option("--no-fill", is_flag=True, help="Leave dark cores (MVO) out of thresholded scar.")
@click.option("--smallest-island-mm2", type=float, help="Remove smaller islands of a slice.")
@click.option("--smallest-island-ml", type=float, help="Remove smaller islands of the stack.")
@click.option("--papillary", is_flag=True, help="Count papillary muscles in the cavity as LV mass.")
def quantify(case: Case, labels: Path, output: Path | None, **settings: Any) -> None:
    """Measure a label map: masses, conventional scar methods, image quality.

    LABELS is a label map on the grid of the LGE (else the bSSFP): a corrected one, or one of
    another program. The images are given as for segment.
    """
    from myops.output.overwriting import OTHER_OUTPUT, refuse_replacing
    from myops.quantify.label_map import measure_label_map
    from myops.quantify.tables import write_tables
    from myops.quantify.text import as_text

    if output is not None:  # myops segment has a table of this name too
        refuse_replacing(output, ["regional.csv"], "quantification.json", OTHER_OUTPUT)
    measurements = measure_label_map(case, labels, **settings)
    click.echo(as_text(measurements))
    for warning in measurements.all_warnings:
        click.echo(f"Warning: {warning}", err=True)
    if output is not None:
        for path in write_tables(output, measurements):
            click.echo(f"Table: {path}")


@click.command()
@case_options
def info(case: Case) -> None:
    """Show what a patient's files hold, and how well they align."""
    from myops.info import as_text, describe

    click.echo(as_text(describe(case)))

"""`myops evaluate` and `myops compare`: label maps against the truth, and click-to-correct."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from myops.commands.options import (
    PATH,
    ConventionName,
    case_convention_option,
    convention_option,
    device_option,
)
from myops.commands.terminal import progress_bar
from myops.structures import CORRECTED

if TYPE_CHECKING:
    from myops.evaluation.cohort import PatientResult


class MasksByDefault(click.Group):
    """`myops evaluate A B` means `myops evaluate masks A B`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `masks` in front of what is neither a command nor a call for help."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["masks", *args]
        return super().parse_args(ctx, args)


@click.group(cls=MasksByDefault)
def evaluate() -> None:
    """Compare label maps with the truth, or measure click-to-correct.

    `myops evaluate PREDICTION TRUTH` is short for `myops evaluate masks PREDICTION TRUTH`.
    """


@evaluate.command()
@click.argument("prediction", type=PATH)
@click.argument("truth", type=PATH)
@click.option("--output", "-o", type=PATH, help="JSON file for the numbers.")
@convention_option
@click.option(
    "--truth-convention",
    type=ConventionName(),
    default="",
    help="Of the truth, where it is another one.",
)
def masks(
    prediction: Path, truth: Path, output: Path | None, convention: str, truth_convention: str
) -> None:
    """Compare a label map with the truth.

    Both hold labels at the same places; overlap, surface distances and volumes per region.
    """
    from myops.evaluation.metrics import read_pair
    from myops.io.atomic import write_json
    from myops.output.overwriting import OTHER_OUTPUT, refuse_overwriting

    if output is not None:
        refuse_overwriting([output], [prediction, truth], OTHER_OUTPUT)
    pair = read_pair(prediction, truth, convention, truth_convention)
    regions = {name: found.to_dict() for name, found in pair.compare().items()}
    print_agreement(regions)
    for warning in pair.warnings:
        click.echo(f"Warning: {warning}", err=True)
    if output is not None:
        # Only where there are any: otherwise the file holds nothing but regions.
        warnings = {"warnings": list(pair.warnings)} if pair.warnings else {}
        write_json(output, {**regions, **warnings})


@evaluate.command()
@click.option("--output", "-o", type=PATH, required=True, help="Folder for tables and picture.")
@click.option("--clicks", type=click.IntRange(min=1), default=10, show_default=True)
@click.option("--patients", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--first-seed", type=click.IntRange(min=0), default=900_000, show_default=True)
@click.option("--cases", "--real", type=PATH, help="Folder of labeled hearts, not phantoms.")
@case_convention_option
@click.option(
    "--structure",
    type=click.Choice(CORRECTED),
    default=CORRECTED[0],
    show_default=True,
)
@click.option(
    "--start",
    "starts",
    type=click.Choice(["automatic", "empty"]),
    multiple=True,
    default=("automatic", "empty"),
    show_default=True,
    help="Mask that the reader starts from; repeatable.",
)
@click.option(
    "--method",
    type=click.Choice(["refiner", "growing", "all"]),
    default="all",
    show_default=True,
    help="growing: the same clicks with region growing.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    default=("default",),
    show_default=True,
    help="Name of a refiner; repeatable.",
)
@click.option(
    "--rules",
    type=click.Choice(["wall", "free", "default"]),
    default="wall",
    show_default=True,
    help="wall: the myocardium gives way to scar; free: masks as predicted; default: within the "
    "present myocardium.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--also-learned", is_flag=True, help="Include cases that a refiner was trained on.")
@device_option
def interactive(
    output: Path,
    patients: int,
    first_seed: int,
    cases: Path | None,
    convention: str,
    method: str,
    models: tuple[str, ...],
    workers: int,
    **settings: Any,
) -> None:
    """Let a simulated reader correct patients click by click, and measure what each click does.

    Held-out synthetic patients, or with --cases the labeled hearts in a folder (MyoPS, EMIDEC,
    ACDC, Sunnybrook). Dice, HD95 and mass error after 0, 1, 2, 3, 5 and 10 clicks in each slice,
    clicks needed for Dice 0.80, clicks that made it worse, time per click.
    """
    from myops.datasets import case_loaders, phantom_readers
    from myops.evaluation.cohort import evaluate_cohort, machine
    from myops.evaluation.interactive import GROWING, EvaluationConfig
    from myops.evaluation.summary import summarize
    from myops.evaluation.tables import as_markdown, write_evaluation
    from myops.output.results import check_writable

    check_writable(output)
    methods = {"refiner": models, "growing": (GROWING,), "all": (*models, GROWING)}[method]
    config = EvaluationConfig(methods=tuple(dict.fromkeys(methods)), **settings)
    readers = case_loaders(cases, convention) if cases else phantom_readers(first_seed, patients)
    results: list[PatientResult] = []
    try:
        with progress_bar("Correcting") as progress:
            for result in evaluate_cohort(readers, config, workers):
                results.append(result)
                progress(len(results) / len(readers), f"{len(results)} of {len(readers)} patients")
    finally:
        rows = summarize(results, config)
        if rows:  # after Ctrl-C what is done is shown, and no file is written
            click.echo(as_markdown(rows, results, config, machine(workers)))
    write_evaluation(output, results, rows, config, machine(workers))
    click.echo(f"Tables and picture: {output}")


def print_agreement(regions: dict[str, dict[str, float | str | None]]) -> None:
    """Print one line per region; "-" where an empty mask leaves a measure undefined."""
    columns = {
        "dice": "Dice",
        "hd_mm": "HD mm",
        "hd95_mm": "HD95 mm",
        "sensitivity": "sens.",
        "specificity": "spec.",
        "precision": "prec.",
        "volume_prediction_ml": "mL",
        "volume_truth_ml": "true mL",
    }
    click.echo(" " * 16 + "".join(f"{title:>9}" for title in columns.values()))
    for name, found in regions.items():
        cells = ["-" if found[key] is None else f"{found[key]:.3f}" for key in columns]
        note = f"  {found['reason']}" if found["reason"] else ""
        click.echo(f"{name:<16}" + "".join(f"{cell:>9}" for cell in cells) + note)

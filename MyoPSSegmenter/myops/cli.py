"""The command `myops`. Read `segment` from top to bottom: it is the way of the data.

What a command needs is imported inside it, so that `myops --help` answers at once and only the
commands that run a network import torch.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from myops import __version__
from myops.errors import InputError

if TYPE_CHECKING:
    from myops.case import Case
    from myops.quantify.mass import TissueMass
    from myops.quantify.measure import Measurements

# The shell's exit codes: 2 for input that cannot be used, 128 + SIGINT after Ctrl-C.
BAD_INPUT = 2
INTERRUPTED = 130

PATH = click.Path(path_type=Path)


class OneLineErrors(click.Group):
    """A group whose commands answer bad input with one line and exit code 2, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, turning the user's errors and Ctrl-C into their exit codes."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            raise  # `myops info ... | head` is no error: click ends it quietly
        except (InputError, OSError) as error:
            click.echo("Error: " + " ".join(str(error).split()), err=True)
            ctx.exit(BAD_INPUT)


def case_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that name a patient's images, and call it with the `Case`."""

    @click.argument("folder", type=PATH, required=False)
    @click.option("--lge", type=PATH, help="Late gadolinium enhancement image.")
    @click.option("--bssfp", type=PATH, help="bSSFP (cine) image.")
    @click.option("--t2", type=PATH, help="T2-weighted image.")
    @click.option("--frame", type=int, help="Frame of a 4D cine, counted from 0.")
    @click.option(
        "--spacing",
        type=(float, float, float),
        metavar="X Y Z",
        help="True voxel spacing in mm, Z between slice centers, where the file has none.",
    )
    @functools.wraps(command)
    def with_case(
        folder: Path | None,
        lge: Path | None,
        bssfp: Path | None,
        t2: Path | None,
        frame: int | None,
        spacing: tuple[float, float, float] | None,
        **rest: Any,
    ) -> None:
        named = {"lge": lge, "bssfp": bssfp, "t2": t2}
        command(case=read_case(folder, named, frame=frame, spacing_mm=spacing), **rest)

    return with_case


device_option = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps."
)


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="myops")
def cli() -> None:
    """Scar and edema from bSSFP, LGE and T2 cardiac MR. For research use only."""


@cli.command()
@case_options
@click.option("--output", "-o", type=PATH, required=True, help="Folder for the results.")
@click.option("--probabilities", is_flag=True, help="Write probability and uncertainty maps too.")
@click.option("--model", default="default", show_default=True, help="Name of the weights.")
@device_option
def segment(case: Case, output: Path, probabilities: bool, model: str, device: str) -> None:
    """Segment one patient, measure the scar, write a report.

    FOLDER holds files named as in MyoPS (*_C0, *_DE or *_LGE, *_T2); --lge, --bssfp and --t2 name
    them one by one. At least an LGE or a bSSFP image is needed.
    """
    from myops.cascade import segment as run_cascade
    from myops.output import check_writable, write_results
    from myops.quantify.measure import measure
    from myops.weights import load_models

    check_writable(output)
    models = load_models(device, name=model)
    with progress_bar("Segmenting") as progress:
        segmentation = run_cascade(case, models, progress=progress)
    measurements = measure(case, segmentation)
    write_results(output, case, segmentation, measurements, probabilities)
    print_measurements(measurements)
    click.echo(f"Report: {output / 'report.html'}")


@cli.command()
@case_options
def info(case: Case) -> None:
    """Show what a patient's files hold, and how well they lie on each other."""
    from myops.info import as_text, describe

    click.echo(as_text(describe(case)))


@cli.command()
@click.argument("prediction", type=PATH)
@click.argument("truth", type=PATH)
@click.option("--output", "-o", type=PATH, help="JSON file for the numbers.")
def evaluate(prediction: Path, truth: Path, output: Path | None) -> None:
    """Compare a label map with the truth.

    Both hold MyoPS labels on one grid; overlap, surface distances and volumes per region.
    """
    from myops.compare import compare_files
    from myops.io import write_atomic

    regions = {name: found.to_dict() for name, found in compare_files(prediction, truth).items()}
    print_agreement(regions)
    if output is not None:
        text = json.dumps(regions, indent=2) + "\n"
        write_atomic(output, lambda beside: beside.write_text(text))


@cli.command()
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
    from myops.phantom.files import write_cohort, write_patient
    from myops.phantom.patient import PhantomConfig, generate_patient

    config = PhantomConfig(dropout=not complete, upright=upright)
    if patients == 1:
        write_patient(generate_patient(seed, config), folder)
    else:
        with progress_bar("Generating") as progress:
            write_cohort(seed, patients, folder, config, progress)
    click.echo(f"Synthetic patients: {patients}, in {folder}")


@cli.command()
@click.argument("stage", type=click.Choice(["heartfinder", "dae", "assn", "prsn", "refiner"]))
@click.option("--output", "-o", type=PATH, required=True, help="Folder of checkpoint and curves.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Change a setting.")
@click.option("--resume", is_flag=True, help="Go on from the folder's checkpoint, if there is one.")
def train(stage: str, output: Path, settings: tuple[str, ...], resume: bool) -> None:
    """Train one network of the cascade, or the refiner, on synthetic patients.

    The settings and their defaults are in myops/training/config.py; Docs/user-guide.md shows a run.
    """
    overrides = dict(parse_setting(setting) for setting in settings)
    try:
        from myops.training.loop import train as run_training
    except ModuleNotFoundError as error:
        raise InputError(
            f"training needs {error.name}, which is not installed: "
            "run pip install 'myops-segmenter[train]'"
        ) from error
    path = run_training(stage, overrides, output, resume=resume)
    click.echo(f"Checkpoint: {path}")


def read_case(folder: Path | None, named: dict[str, Path | None], **options: Any) -> Case:
    """Read a patient from a folder or from named files.

    Raises:
        InputError: nothing named, both ways used at once, or images that cannot be used.
    """
    from myops.case import load_case, load_case_folder

    given = [f"--{sequence}" for sequence, path in named.items() if path is not None]
    if folder is None and not given:
        raise InputError("expected images, found none: name a folder, or --lge, --bssfp, --t2")
    if folder is not None and given:
        raise InputError(f"expected a folder or {', '.join(given)}, found both: leave one out")
    if folder is not None:
        return load_case_folder(folder, **options)
    files: dict[str, Any] = dict(named)
    return load_case(**files, **options)


@contextlib.contextmanager
def progress_bar(title: str) -> Iterator[Callable[[float, str], None]]:
    """Show a bar with the stage and the remaining time on stderr while the block runs.

    Yields:
        A function of the finished fraction (0 to 1) and the stage's name.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

    console = Console(stderr=True)
    bar = Progress(
        "{task.description}",
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        "left",
        console=console,
        transient=True,
        disable=not console.is_terminal,  # a log file needs no bar
    )
    with bar:
        task = bar.add_task(title, total=1.0)

        def report(fraction: float, stage: str) -> None:
            bar.update(task, completed=fraction, description=f"{title}: {stage}")

        yield report


def print_measurements(measurements: Measurements) -> None:
    """Print the masses, the conventional scar sizes and every warning; the reason where none is."""
    from myops.quantify.measure import rule_title

    for name, tissue in measurements.tissues.items():
        title = name.replace("_", " ").replace("lv ", "LV ")
        click.echo(f"{title:<42}{amount(tissue)}")
    for scar in measurements.fwhm.values():
        overlap = scar.dice_with_scar
        agreement = "" if overlap is None else f", Dice with the automatic scar {overlap:.2f}"
        click.echo(f"{rule_title(scar.result):<42}{amount(scar.mass)}{agreement}")
    for warning in measurements.warnings:
        click.echo(f"Warning: {warning}", err=True)


def amount(tissue: TissueMass) -> str:
    """A tissue's mass (blood: volume) and share of LV mass in words, or why there is none."""
    if tissue.voxels is None:
        return str(tissue.reason)
    share = "" if tissue.percent_of_lv_mass is None else f"{tissue.percent_of_lv_mass:6.1f} % of LV"
    if tissue.volume_ml is None:
        return f"{share}; mass {tissue.reason}"
    mass = " " * 10 if tissue.mass_g is None else f"{tissue.mass_g:8.1f} g"
    return f"{mass}{tissue.volume_ml:8.1f} mL {share}".rstrip()


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


def parse_setting(text: str) -> tuple[str, str]:
    """Split `name=value`.

    Raises:
        InputError: there is no name or no equals sign.
    """
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise InputError(f"expected --set name=value, found {text!r}")
    return name.strip(), value.strip()

"""The command `myops`. What `segment` does with a patient is in `output.one_patient`.

What a command needs is imported inside it, so that `myops --help` answers at once and only the
commands that run a network import torch. The other commands are in `commands/`.
"""

from __future__ import annotations

import gc
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from myops import __version__
from myops.commands.options import (
    PATH,
    device_option,
    dicom_options,
    image_options,
    landmark_options,
    pseudonyms_option,
    register_option,
)
from myops.commands.terminal import print_measurements, progress_bar, show_every_letter
from myops.errors import InputError
from myops.io.readable import visible

if TYPE_CHECKING:
    from collections.abc import Collection

    from myops.patients.provenance import Inputs
    from myops.quantify.regional.orientation import Landmarks
    from myops.weights.files import Models

# The shell's exit codes: 2 for input that cannot be used, 128 + SIGINT after Ctrl-C.
BAD_INPUT = 2
INTERRUPTED = 130


# New objects between two collections of garbage. Imports make many objects and no garbage: with the
# interpreter's 700 a tenth of the time of `myops info` goes into looking for some.
OBJECTS_PER_COLLECTION = 50_000

# What `segment` needs after the networks, in the order of need.
NEEDED_LATER = (
    "myops.cascade.register",
    "myops.quantify.measure",
    "myops.report.compose",
    "myops.report.figures",
    "myops.report.html",
    "myops.report.pdf",
)

# Name of a command -> its module in `myops.commands`, its name there, and its first sentence; the
# module is imported when the command is called, not when all of them are listed.
COMMANDS = {
    "batch": (
        "batch",
        "batch",
        "Segment every patient of a cohort, and write one table and one page of all.",
    ),
    # Under the name that a reader looks for.
    "compare": ("evaluate", "masks", "Compare a label map with the truth."),
    "dataset": (
        "dataset",
        "dataset",
        "Check a folder of labeled hearts, or write it in nnU-Net's raw format.",
    ),
    "demo": ("demo", "demo", "Correct a synthetic patient by three simulated clicks."),
    "evaluate": (
        "evaluate",
        "evaluate",
        "Compare label maps with the truth, or measure click-to-correct.",
    ),
    "finetune": (
        "finetune",
        "finetune",
        "Adapt the model to a site's own corrected cases, and compare on held-out cases.",
    ),
    "info": ("quantify", "info", "Show what a patient's files hold, and how well they align."),
    "models": (
        "models",
        "models",
        "Choose the weights; list, add, check and remove SAM and MedSAM checkpoints.",
    ),
    "phantom": ("phantom", "phantom", "Make synthetic patients with full ground truth."),
    "quantify": (
        "quantify",
        "quantify",
        "Measure a label map: masses, conventional scar methods, image quality.",
    ),
    "refine": ("refine", "refine", "Correct a segmentation with prompts from a file."),
    "reproduce": (
        "reproduce",
        "reproduce",
        "Train a published system and its baselines, and print the paper's table.",
    ),
    "study": (
        "study",
        "study",
        "Analyze how well readers agree: CCC, ICC, Bland-Altman, tests, times.",
    ),
    "train": ("train", "train", "Train one network: of the cascade, the refiner, or a baseline."),
    "web": ("web", "web", "Segment and correct in a browser, with the steps of the Slicer module."),
}


class OneLineErrors(click.Group):
    """A group whose commands answer bad input with one line and exit code 2, never a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted({*COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a command's module when it is called: some take longer than `myops info` runs."""
        if name in COMMANDS and name not in self.commands:
            module, attribute, _ = COMMANDS[name]
            found = getattr(import_module(f"myops.commands.{module}"), attribute)
            self.add_command(found, name)
        return super().get_command(ctx, name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their first sentences, importing none of them."""
        names = self.list_commands(ctx)
        room = formatter.width - 6 - max(map(len, names))
        known = {name: click.Command(name, help=words) for name, (*_, words) in COMMANDS.items()}
        listed = [(name, known.get(name) or self.commands[name]) for name in names]
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.get_short_help_str(room)) for name, one in listed])

    def main(self, *args: Any, **more: Any) -> Any:
        """Run the program, and let it print names that the terminal's alphabet lacks."""
        gc.set_threshold(OBJECTS_PER_COLLECTION)
        show_every_letter()
        return super().main(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, turning the user's errors and Ctrl-C into their exit codes."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            raise  # `myops info ... | head` is not an error: click ends it quietly
        except UnicodeEncodeError as error:
            # A name that no check has seen, in a library or a file system of another alphabet.
            name = visible(" ".join(error.object.split()))
            message = f"expected a name in {error.encoding}, found '{name[:200]}'; rename it"
            click.echo(f"Error: {message}", err=True)
            ctx.exit(BAD_INPUT)
        except (InputError, OSError) as error:
            click.echo("Error: " + visible(" ".join(str(error).split())), err=True)
            ctx.exit(BAD_INPUT)


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="myops")
def cli() -> None:
    """Scar and edema from bSSFP, LGE and T2 cardiac MR. For research use only."""


@cli.command()
@image_options
@landmark_options
@click.option("--output", "-o", type=PATH, required=True, help="Folder for the results.")
@click.option("--probabilities", is_flag=True, help="Write probability and uncertainty maps too.")
@dicom_options
@pseudonyms_option
@click.option(
    "--model", default="default", show_default=True, help="Weights: a pack's name, or a folder."
)
@register_option
@device_option
def segment(
    inputs: Inputs,
    landmarks: Landmarks,
    output: Path,
    probabilities: bool,
    formats: tuple[str, ...],
    keep_identity: bool,
    pseudonyms: Path | None,
    model: str,
    register: str,
    device: str,
) -> None:
    """Segment one patient, measure the scar, write a report.

    FOLDER holds files named as in MyoPS (*_C0, *_DE or *_LGE, *_T2); --lge, --bssfp and --t2 name
    them one by one. At least an LGE or a bSSFP image is needed.
    """
    from myops.commands.background_import import import_in_background

    # They take most of the start-up: the images can be read meanwhile, and the networks run.
    import_in_background("myops.cascade.segment", *NEEDED_LATER)
    from myops.output.one_patient import segment_patient
    from myops.patients.pseudonyms import under_pseudonym
    from myops.weights.packs import instead_words

    inputs = replace(inputs, register=register).with_model(model)
    if pseudonyms is not None:
        inputs = under_pseudonym(inputs, pseudonyms, output, keep_identity)

    def load(sequences: Collection[str]) -> Models:
        from myops.weights.files import load_models

        return load_models(device, name=model, sequences=sequences)

    with progress_bar("Segmenting") as progress:
        segmentation, measurements = segment_patient(
            inputs,
            output,
            load,
            probabilities=probabilities,
            formats=formats,
            keep_identity=keep_identity,
            landmarks=landmarks,
            progress=progress,
        )
    if used := segmentation.pack:
        words = ("Weights: {name}. {terms}".format_map(used), instead_words(used))
        click.echo(" ".join(filter(None, words)), err=True)
    print_measurements(measurements)
    click.echo(f"Report: {output / 'report.html'}")

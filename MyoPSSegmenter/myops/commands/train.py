"""`myops train`: one network of the cascade, or the refiner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from myops.commands.options import PATH
from myops.errors import InputError
from myops.training.config import CONFIGS


@click.command()
@click.argument("stage", type=click.Choice(list(CONFIGS)))
@click.option("--output", "-o", type=PATH, required=True, help="Folder of checkpoint and curves.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Change a setting.")
@click.option("--resume", is_flag=True, help="Continue from the folder's checkpoint, if any.")
def train(stage: str, output: Path, settings: tuple[str, ...], resume: bool) -> None:
    """Train one network: of the cascade, the refiner, or a baseline.

    It learns from synthetic patients, or from a site's own labeled cases (--set cases=FOLDER).

    The settings and their defaults are in myops/training/config.py; Docs/how-to/training.md shows
    a run.
    """
    overrides = dict(parse_setting(setting) for setting in settings)
    with training_packages():
        from myops.training.loop import train as run_training
    path = run_training(stage, overrides, output, resume=resume)
    click.echo(f"Checkpoint: {path}")


@contextmanager
def training_packages() -> Iterator[None]:
    """Tell how to install what an import inside misses.

    Raises:
        InputError: a package of the training is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(
            f"training needs {error.name}, which is not installed: "
            "run pip install 'myops-segmenter[train]'"
        ) from error


def parse_setting(text: str) -> tuple[str, str]:
    """Split `name=value`.

    Raises:
        InputError: there is no name or no equals sign.
    """
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise InputError(f"expected --set name=value, found {text!r}")
    return name.strip(), value.strip()

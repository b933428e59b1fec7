"""`myops models`: the packs of weights, and the store of SAM and MedSAM checkpoints."""

from __future__ import annotations

from pathlib import Path

import click

from myops.commands.options import PATH
from myops.commands.terminal import progress_bar


@click.group()
def models() -> None:
    """Choose the weights; list, add, check and remove SAM and MedSAM checkpoints.

    Nothing is ever downloaded.
    """


@models.command("list")
def list_models() -> None:
    """Show the shipped networks, the added checkpoints, and which files could be added."""
    from myops.weights.listing import list_text

    click.echo(list_text())


@models.command("use")
@click.argument("name")
def use(name: str) -> None:
    """Use a shipped pack of weights from now on, on this computer."""
    from myops.weights.packs import choose_pack

    pack = choose_pack(name)
    click.echo(f"In use: {pack.name} ({pack.license}). {pack.terms}")


@models.command("add")
@click.argument("file", type=PATH)
@click.option("--name", help="Name to use it by; the published or the file's own if left out.")
@click.option("--link", is_flag=True, help="Leave the file where it is instead of copying it.")
def add(file: Path, name: str | None, link: bool) -> None:
    """Check a checkpoint (.pth, .pt, .safetensors) and keep it under a name."""
    from myops.weights.listing import model_text
    from myops.weights.store import add_model

    with progress_bar("Adding") as progress:
        model = add_model(file, name, link, progress)
    click.echo(f"Added as {model.name}\n{model_text(model)}")


@models.command("check")
@click.argument("model", metavar="FILE_OR_NAME")
def check(model: str) -> None:
    """Read a checkpoint completely and show what it holds, its checksum and its license."""
    from myops.weights.listing import model_text
    from myops.weights.store import check_model

    click.echo(model_text(check_model(model)))


@models.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Forget an added checkpoint; a copy is deleted, a linked file stays where it is."""
    from myops.weights.store import remove_model

    click.echo(f"Removed {remove_model(name).name}")

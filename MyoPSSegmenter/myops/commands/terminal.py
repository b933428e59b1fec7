"""What commands show on the screen: progress, and the numbers of a patient."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from myops.io.readable import readable
from myops.progress import Progress, clock_text
from myops.structures import MEASURED

if TYPE_CHECKING:
    from myops.quantify.measurements import Measurements


def show_every_letter() -> None:
    r"""Print what the terminal's alphabet lacks as \u2212, in place of ending with an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def progress_bar(title: str, lines: bool = False) -> Iterator[Progress]:
    """Show a bar with the stage and the remaining time on stderr while the block runs.

    Args:
        title: of the work.
        lines: where there is no terminal, print a line for each step instead: for long work whose
            log is read while it runs.

    Yields:
        A function of the finished fraction (0 to 1) and the stage's name.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}", markup=False),  # a stage may be a patient called [/b]
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        "left",
        console=console,
        transient=True,
        disable=not console.is_terminal,  # a log file needs no bar
    )
    began = time.monotonic()
    with bar:
        task = bar.add_task(title, total=1.0)

        def report(fraction: float, stage: str) -> None:
            bar.update(task, completed=fraction, description=f"{title}: {readable(stage)}")
            if lines and not console.is_terminal:
                click.echo(f"{title}: {readable(stage)}{_left(began, fraction)}", err=True)

        yield report


def _left(began: float, fraction: float) -> str:
    """The remaining time in words, if the rest is as fast as what is done."""
    if not 0 < fraction < 1:
        return ""
    seconds = (time.monotonic() - began) * (1 - fraction) / fraction
    return f", about {clock_text(seconds)} left"


def print_measurements(measurements: Measurements) -> None:
    """Print the masses, the conventional scar sizes and every warning; the reason where none is."""
    from myops.quantify.text import amount
    from myops.quantify.thresholds.methods import rule_title

    for name, tissue in measurements.tissues.items():
        click.echo(f"{MEASURED[name].amount_title:<42}{amount(tissue)}")
    for scar in measurements.fwhm.values():
        overlap = scar.dice_with_scar
        agreement = "" if overlap is None else f", Dice with the automatic scar {overlap:.2f}"
        click.echo(f"{rule_title(scar.result):<42}{amount(scar.mass)}{agreement}")
    for warning in measurements.all_warnings:
        click.echo(f"Warning: {warning}", err=True)

"""`myops demo`: a synthetic patient, corrected by three simulated clicks."""

from __future__ import annotations

from pathlib import Path

import click

from myops.commands.options import PATH, device_option
from myops.commands.terminal import progress_bar

# From seed 950000 on the first infarct of at least 5 g whose automatic scar has a Dice between 0.5
# and 0.75, so that there is something to correct. No network was trained on it.
DEMO_SEED = 950006


@click.command()
@click.option("--output", "-o", type=PATH, default="demo", show_default=True, help="Folder.")
@click.option("--seed", type=click.IntRange(min=0), default=DEMO_SEED, show_default=True)
@device_option
def demo(output: Path, seed: int, device: str) -> None:
    """Correct a synthetic patient by three simulated clicks.

    The patient is made and segmented, a simulated reader who knows the truth clicks where the scar
    is most wrong, and a page shows Dice, scar mass and pictures before and after every click.
    """
    from myops.demo.result import table
    from myops.demo.run import run_demo

    with progress_bar("Demo") as progress:
        result = run_demo(output, seed, device, progress)
    click.echo(f"Synthetic patient {seed}: its true scar is known.")
    click.echo(f"{'':<28}{'Dice':>6}{'scar g':>10}{'time':>10}")
    for title, overlap, mass, time in table(result):
        click.echo(f"{title:<28}{overlap:>6}{mass:>10}{time:>10}".rstrip())
    click.echo(f"Page: {output / 'demo.html'}")

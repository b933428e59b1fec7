"""`myops finetune`: the shipped model, adapted to a site's own corrected cases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from myops.commands.options import PATH, case_convention_option
from myops.commands.train import parse_setting, training_packages
from myops.errors import InputError

if TYPE_CHECKING:
    from myops.datasets import LabeledCase


@click.command()
@click.option(
    "--cases",
    type=PATH,
    required=True,
    help="Corrected cases: a work list's folder (with --images), or label files beside images.",
)
@click.option("--images", type=PATH, help="The patients' images, for a work list's folder.")
@case_convention_option
@click.option("--output", "-o", type=PATH, required=True, help="Folder of the adapted weights.")
@click.option(
    "--networks", default="prsn", show_default=True, help="assn (outline), prsn (tissue), or both."
)
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=15, show_default=True)
@click.option("--held-out", type=float, default=0.25, show_default=True, help="Share held out.")
@click.option("--model", default="default", show_default=True, help="Weights to start from.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Change a setting.")
def finetune(
    cases: Path,
    images: Path | None,
    convention: str,
    output: Path,
    networks: str,
    minutes: float,
    held_out: float,
    model: str,
    seed: int,
    settings: tuple[str, ...],
) -> None:
    """Adapt the model to a site's own corrected cases, and compare on held-out cases.

    Compared are the original, the weights that were trained on, and the mean of both, these two
    also with higher odds of scar. The original is never changed. The best one of the others is
    kept, unless it is worse.
    """
    with training_packages():
        import lightning_fabric  # noqa: F401
    from myops.training.finetune import WEIGHTS, FinetuneConfig
    from myops.training.finetune import finetune as adapt

    config = FinetuneConfig(
        networks=tuple(name.strip() for name in networks.split(",") if name.strip()),
        minutes=minutes,
        held_out=held_out,
        seed=seed,
        settings=dict(parse_setting(setting) for setting in settings),
    )
    result = adapt(_read(cases, images, convention), output, config, click.echo, model)
    for title, found in {"before": result.before, **result.tried}.items():
        click.echo(f"{title}: " + ", ".join(_told(name, found[name]) for name in result.before))
    if not result.kept:
        raise InputError(
            f"the adapted model is not kept: the weights {result.chosen} are "
            f"{result.reason}; the original stays in use. Add cases, or train longer (--minutes)"
        )
    click.echo(
        f"Kept: the weights {result.chosen}. Use it: myops segment ... --model {output / WEIGHTS}"
    )


def _told(name: str, value: float) -> str:
    from myops.training.comparison import FALSE_SCAR

    if name == FALSE_SCAR:
        return f"scar in hearts without {value:.1f} % of the myocardium"
    return f"{name} Dice {value:.3f}"


def _read(cases: Path, images: Path | None, convention: str) -> list[LabeledCase]:
    if images is not None:
        from myops.worklist.approved import approved_cases

        return approved_cases(cases, images)
    from myops.datasets import find_cases

    return list(find_cases(cases, convention))

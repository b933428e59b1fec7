"""What a demonstration found: the segmentation after every click, beside the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from myops.refine.prompts import Point

if TYPE_CHECKING:
    from myops.case import Case


@dataclass(frozen=True)
class DemoStage:
    """The segmentation after so many clicks, beside the truth.

    Attributes:
        labels: uint16 (z, y, x).
        dice: of the scar in the whole patient; None where neither has any.
        scar_mass_g: of the scar.
        slice_index: the clicked slice; None for the automatic result.
        click: the newest click; None for the automatic result.
        seconds: from the click to the new label map.
    """

    labels: np.ndarray
    dice: float | None
    scar_mass_g: float
    slice_index: int | None = None
    click: Point | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Demo:
    """A corrected synthetic patient.

    Attributes:
        case: its images.
        seed: that made it.
        truth: uint16 (z, y, x), the true labels.
        true_mass_g: mass of the true scar.
        stages: the automatic result, then one stage for each click.
    """

    case: Case
    seed: int
    truth: np.ndarray
    true_mass_g: float
    stages: tuple[DemoStage, ...]


def table(demo: Demo) -> list[tuple[str, str, str, str]]:
    """What happened, Dice, scar mass and time of every stage, in words; a line for the truth."""
    rows = [("automatic", _number(demo.stages[0].dice), f"{demo.stages[0].scar_mass_g:.1f}", "")]
    for number, stage in enumerate(demo.stages[1:], start=1):
        assert stage.click is not None and stage.slice_index is not None
        sign = "+" if stage.click.positive else "−"
        title = f"click {number}: {sign} in slice {stage.slice_index + 1}"
        time = f"{1000 * stage.seconds:.0f} ms"
        rows.append((title, _number(stage.dice), f"{stage.scar_mass_g:.1f}", time))
    return [*rows, ("truth", "", f"{demo.true_mass_g:.1f}", "")]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"

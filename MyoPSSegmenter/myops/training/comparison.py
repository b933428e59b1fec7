"""Models on held-out cases: what is measured, what counts as worse, and which one is chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from myops import labels as regions
from myops.datasets import HEART, LabeledCase
from myops.errors import InputError
from myops.evaluation.metrics import compare
from myops.quantify.mass import known_spacing_mm
from myops.structures import ASSESSABLE
from myops.weights.files import Models
from myops.weights.learned import refuse_learned

MEASURES = ("lv_region", "myocardium", *ASSESSABLE)
# Scar that is found where there is none, mean over such cases in % of the myocardium: their Dice
# is not defined, so without it a model that sees scar in healthy hearts would be no worse.
FALSE_SCAR = "false_scar_percent"
# Worse than this on the held-out cases' mean is worse; a mean of few cases wavers by more.
TOLERANCE = 0.005
TOLERANCE_PERCENT = 0.5


@dataclass(frozen=True)
class Comparison:
    """The models on the held-out cases.

    Attributes:
        held_out: names of these cases.
        before: what was measured (`measure`) of the model that was started from.
        tried: the same of what came of it, by name.
        chosen: the best one of these, of those that are no worse than before where there are any.
        kept: whether it is no worse than before in anything.
        reason: why it is not kept; empty when it is.
    """

    held_out: tuple[str, ...]
    before: dict[str, float]
    tried: dict[str, dict[str, float]]
    chosen: str
    kept: bool
    reason: str

    @property
    def after(self) -> dict[str, float]:
        """What was measured of the chosen model."""
        return self.tried[self.chosen]


def measure(cases: Sequence[LabeledCase], models: Models) -> dict[str, float]:
    """Mean Dice of the fully automatic result by structure, and false scar.

    A heart that is not found counts 0. What no case has is left out: a structure that is nowhere
    labeled, false scar where every case has scar.

    Raises:
        InputError: the models have learned from one of the cases.
    """
    refuse_learned(cases, models.learned, "the model")
    found: dict[str, list[float]] = {}
    for labeled in cases:
        for name, value in _measured(labeled, models):
            found.setdefault(name, []).append(value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def choose(before: Mapping[str, float], tried: Mapping[str, Mapping[str, float]]) -> str:
    """The name of the best one that was tried.

    Those that are no worse than before in anything go first; among them, or where there are none,
    the highest mean Dice over the structures, and of equals the one named last.
    """
    dice = [name for name in before if name != FALSE_SCAR]

    def merit(name: str) -> tuple[bool, float]:
        after = tried[name]
        return not why_worse(before, after), float(np.mean([after[key] for key in dice]))

    return max(list(tried)[::-1], key=merit)


def why_worse(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """In what the adapted model is worse, in words; empty if it is not."""
    worse = [
        f"{name} {before[name]:.3f} -> {after[name]:.3f}"
        for name in before
        if name != FALSE_SCAR and after[name] < before[name] - TOLERANCE
    ]
    if FALSE_SCAR in before and after[FALSE_SCAR] > before[FALSE_SCAR] + TOLERANCE_PERCENT:
        worse.append(
            f"scar in hearts without {before[FALSE_SCAR]:.1f} % -> {after[FALSE_SCAR]:.1f} % of "
            "the myocardium"
        )
    return f"worse than before on the held-out cases: {', '.join(worse)}" if worse else ""


def _measured(labeled: LabeledCase, models: Models) -> Iterator[tuple[str, float]]:
    from myops.cascade.segment import segment

    case = labeled.to_case()
    truth, drawn = labeled.truth_for(case)
    try:
        labels = segment(case, models).labels
    except InputError:
        labels = np.zeros_like(truth)
    found = compare(labels[drawn], truth[drawn], known_spacing_mm(case))
    for name in MEASURES:
        value = found[name].dice
        if value is not None and _is_drawn(name, labeled):
            yield name, value
    if "scar" in labeled.structures and not regions.scar(truth[drawn]).any():
        wall = max(int(regions.myocardium(labels[drawn]).sum()), 1)
        yield FALSE_SCAR, 100.0 * float(regions.scar(labels[drawn]).sum()) / wall


def _is_drawn(structure: str, labeled: LabeledCase) -> bool:
    """Whether the labels tell this structure apart."""
    if structure in ASSESSABLE:
        return structure in labeled.structures
    return bool(HEART & labeled.structures)

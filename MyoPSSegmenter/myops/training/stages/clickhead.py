"""Training of the click head: the cascade's real errors, corrected in dialogues of its own.

A simulated reader clicks up to six times; after every answer the connected change that holds the
click is taken, as in use, and the answer has a loss:

- cross-entropy, summed over the pixels and divided by sqrt(20 + true pixels): small scars count;
- Dice of each slice;
- the mean cross-entropy inside the error that was clicked: flip it or not;
- the share by which the answer spoils what was right in the mask.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from myops.cascade.network_inputs import refiner_box, refiner_input
from myops.geometry.square import crop_stack
from myops.networks.clickhead import build_clickhead
from myops.sequences import channel
from myops.training.config import ClickHeadConfig, TrainingConfig
from myops.training.data.click_dialogues import (
    Dialogue,
    Sample,
    answers,
    ask,
    begin,
    scar_dialogues,
    tell,
)
from myops.training.data.click_slices import changed_batch, stack_slices, taught_slices
from myops.training.data.simulated_clicks import SCAR
from myops.training.stages.refiner import automatic_result, on_grid, patient_case, to_classes
from myops.training.stages.stage import Batch, Loss, Slices, Stage, dice

if TYPE_CHECKING:
    from myops.training.stages.stage import Patient

# Share of a click's pixels that is learned from.
PIXELS_LEARNED = 0.3
SCORED_PIXELS = 20
SCORED_CLICKS = (1, 3, 5)


def build(config: TrainingConfig) -> nn.Module:
    """The click head with random weights."""
    numbers: dict[str, Any] = {"widths": config.widths} if config.widths else {}
    return build_clickhead(size=config.size, **numbers)


def prepare(patient: Patient, rng: np.random.Generator, config: TrainingConfig) -> Slices:
    """Segment the patient automatically and crop, with what the slices beside show."""
    assert isinstance(config, ClickHeadConfig)
    if "lge" in patient.images and rng.random() < config.lge_alone:
        patient = replace(patient, images={"lge": patient.images["lge"]})  # type: ignore[type-var]
    case = patient_case(patient)
    segmentation = automatic_result(case, config.cascade, rng, flips_share=0.3)
    box = refiner_box(segmentation)
    images, present, probabilities = refiner_input(case, segmentation, box, config.size)
    classes = to_classes(on_grid(patient.labels, case), on_grid(patient.mvo, case))
    truth = crop_stack(classes, box, config.size)
    automatic = crop_stack(to_classes(segmentation.labels), box, config.size)
    stack = stack_slices(
        images, present, probabilities, truth, automatic, box.side_mm / config.size
    )
    kept = taught_slices(truth, automatic, rng)
    return {name: array[kept] for name, array in stack.items()}


def augment(batch: Batch, generator: torch.Generator, _config: TrainingConfig) -> Batch:
    """See `click_slices.changed_batch`."""
    return changed_batch(batch, generator)


def answer_loss(logits: Tensor, samples: list[Sample]) -> dict[str, Tensor]:
    """The parts of the loss of some answers, each a mean over the samples.

    Args:
        logits: float (n,), of all their pixels, one sample after another.
        samples: what was asked.
    """
    device, count = logits.device, len(samples)
    sizes = torch.tensor([len(s.target) for s in samples], device=device)
    owner = torch.repeat_interleave(torch.arange(count, device=device), sizes)
    target, mask, clicked = (
        torch.cat([getattr(s, name) for s in samples]).to(device).float()
        for name in ("target", "mask", "clicked")
    )
    true = torch.tensor([float(s.true) for s in samples], device=device)
    each = torch.tensor([s.each for s in samples], device=device)

    def summed(values: Tensor) -> Tensor:
        return logits.new_zeros(count).index_add(0, owner, values) * each

    chance = torch.sigmoid(logits)
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    overlap = (2 * summed(chance * target) + 1) / (summed(chance) + true + 1)
    flips = (chance - mask).abs() * (mask == target)
    return {
        "entropy": (summed(entropy) / (20 + true).sqrt()).mean() / 10,
        "dice": (1 - overlap).mean(),
        "change": (summed(entropy * clicked) / summed(clicked).clamp(min=1)).mean(),
        "spoiled": (summed(flips) / (20 + true)).mean(),
    }


def make_loss(config: TrainingConfig, device: torch.device) -> Callable[[nn.Module, Batch], Loss]:
    """Dialogues of one to six clicks: at every step new ones begin, and in all of them one click.

    So a step sees first and later clicks side by side, of hearts that have nothing in common. To
    make planes costs more than to learn from them: a step also learns from earlier clicks again.
    """
    assert isinstance(config, ClickHeadConfig)
    weights = {
        "entropy": config.cross_entropy_weight,
        "dice": config.dice_weight,
        "change": config.change_weight,
        "spoiled": config.spoil_weight,
    }
    talks: list[Dialogue] = []
    memory: deque[Sample] = deque(maxlen=max(config.memory, 1))

    def loss(network: nn.Module, batch: Batch) -> Loss:
        seed = int(torch.randint(2**31, ()).item())
        rng = np.random.default_rng(seed)
        on_cpu = {name: values.cpu() for name, values in batch.items()}
        talks.extend(begin(on_cpu, seed, longest=config.clicks))
        talks[:] = [talk for talk in talks if talk.prompt()]
        learned: list[Sample] = []
        if talks:
            samples, domain = ask(talks)
            with torch.no_grad():
                tell(talks, answers(network, samples, device), domain)
            learned = [sample.some(PIXELS_LEARNED, rng) for sample in samples]
            memory.extend(learned)
        if not memory:  # nobody has anything to say yet: a step that changes nothing
            nothing = torch.stack([p.sum() for p in network.parameters()]).sum() * 0
            return nothing, dict.fromkeys(weights, nothing.detach())
        learned += [memory[k] for k in rng.integers(len(memory), size=config.replayed)]
        parts = answer_loss(answers(network, learned, device), learned)
        total = torch.stack([weights[name] * part for name, part in parts.items()]).sum()
        return total, {name: part.detach() for name, part in parts.items()}

    return loss


def score(network: nn.Module, batch: Batch) -> dict[str, float]:
    """Mean scar Dice over the patient's slices with scar, automatic and after 1, 3, 5 clicks."""
    shown = (batch["truth"] >= SCAR).sum((1, 2, 3)) >= SCORED_PIXELS
    shown &= batch["present"][:, channel("lge")] > 0
    if not bool(shown.any()):
        return {}
    device = batch["images"].device
    rows = {name: value[shown].cpu() for name, value in batch.items()}
    talks, scores = scar_dialogues(rows, max(SCORED_CLICKS)), {}
    scores["scar_0"] = _mean_dice(talks)
    for click in range(1, max(SCORED_CLICKS) + 1):
        going_on = [talk for talk in talks if talk.prompt()]
        if going_on:
            samples, domain = ask(going_on)
            tell(going_on, answers(network, samples, device), domain)
        if click in SCORED_CLICKS:
            scores[f"scar_{click}"] = _mean_dice(talks)
    return scores


def _mean_dice(talks: list[Dialogue]) -> float:
    pairs = [
        (torch.from_numpy(talk.reading.mask), torch.from_numpy(talk.reading.target))
        for talk in talks
    ]
    return float(np.mean([dice(mask, target) for mask, target in pairs]))


CLICKHEAD_STAGE = Stage("clickhead", build, prepare, augment, make_loss, score)

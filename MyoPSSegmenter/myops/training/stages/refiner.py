"""Training of the refiner: the cascade's real errors, corrected by a simulated reader.

Loss after every click: 0.6 Dice + 0.2 cross-entropy + 0.2 KL against soft labels, the weights of
the interactive system of Moafi et al. (doi 10.1016/j.jocmr.2026.102720), and SAM's squared error of
the predicted IoU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from myops.cascade.network_inputs import refiner_box, refiner_input
from myops.case import Case, case_from_images
from myops.geometry.square import crop_stack
from myops.labels import MYOPS, lv_region
from myops.networks.refiner import build_refiner
from myops.refine.prompts import STRUCTURES
from myops.sequences import channel
from myops.structures import NETWORK_TISSUES
from myops.training.config import RefinerConfig, TrainingConfig
from myops.training.data.augment import REORIENT_CHANCE, jitter_contrast, random_affine, warp
from myops.training.data.crops import fields_of_view
from myops.training.data.simulated_clicks import (
    BLOOD,
    EDEMA,
    MVO,
    NORMAL,
    SCAR,
    ClickSimulation,
    ReaderConfig,
    prompt_batch,
    structure_of,
)
from myops.training.losses import kl_to_soft_label, slice_dice_loss, soft_label
from myops.training.stages.stage import Batch, Loss, Slices, Stage, dice

if TYPE_CHECKING:
    from myops.segmentation import Segmentation
    from myops.training.stages.stage import Patient

CLASS_OF = dict(zip(NETWORK_TISSUES, (BLOOD, NORMAL, EDEMA, SCAR), strict=True))
# Clicks of a training step: the first is the most frequent one in practice.
CLICK_ODDS = {1: 0.4, 2: 0.35, 3: 0.15, 4: 0.1}
# A slice with less scar has a Dice that one pixel decides.
SCORED_PIXELS = 20
SCORED_CLICKS = (1, 3)
# Weight of the squared error of the predicted IoU, as SAM has it beside its mask loss.
IOU_WEIGHT = 0.1
USUAL_READER = ReaderConfig()
# Blur that makes a soft label of a mask, in pixels (standard deviation).
SOFT_SIGMA_PX = 1.0
# How often the cascade's probabilities are withheld: a reader may start from nothing.
NO_CASCADE_SHARE = 0.1


def build(config: TrainingConfig) -> nn.Module:
    """The refiner with random weights, or the SAM that the configuration names."""
    if isinstance(config, RefinerConfig) and config.backbone != "embedded":
        from myops.training.stages.sam_start import build_sam_refiner

        return build_sam_refiner(config)
    numbers: dict[str, Any] = {"size": config.size, "floods": getattr(config, "floods", 0)}
    if config.widths:
        numbers["widths"] = config.widths
    return build_refiner(**numbers)


@cache
def load_cascade(name: str) -> Any:
    """The cascade whose errors are corrected, loaded once per worker process."""
    from myops.weights.files import load_models

    torch.set_num_threads(1)
    return load_models("cpu", name)


def automatic_result(
    case: Case, cascade: str, rng: np.random.Generator, flips_share: float
) -> Segmentation:
    """What a reader starts from: a cascade's answer, decided as its weights were measured.

    Args:
        case: the patient.
        cascade: as `load_cascade` takes it; several, with commas between, take turns.
        rng: draws the cascade, and whether it averages over flips.
        flips_share: how often it does.
    """
    from myops.cascade.segment import CascadeConfig, segment
    from myops.weights.files import suited_models

    names = cascade.split(",")
    models = suited_models(load_cascade(names[rng.integers(len(names))]), case.sequences)
    flips = replace(CascadeConfig.of(models), flips=bool(rng.random() < flips_share))
    return segment(case, models, config=flips)


def prepare(patient: Patient, rng: np.random.Generator, config: TrainingConfig) -> Slices:
    """Segment the patient automatically and crop; slices with a true or automatic LV."""
    assert isinstance(config, RefinerConfig)
    case = patient_case(patient)
    segmentation = automatic_result(case, config.cascade, rng, flips_share=0.5)
    box = refiner_box(segmentation)
    images, present, probabilities = refiner_input(case, segmentation, box, config.size)
    truth = crop_stack(to_classes(on_grid(patient.labels, case), on_grid(patient.mvo, case)), box,
                       config.size)  # fmt: skip
    automatic = crop_stack(to_classes(segmentation.labels), box, config.size)
    kept = lv_region(segmentation.labels).any(axis=(1, 2)) | (truth > 0).any(axis=(1, 2))
    return {
        "images": images.astype(np.float16)[kept],
        "probabilities": probabilities.astype(np.float16)[kept],
        "truth": truth[kept, None],
        "automatic": automatic[kept, None],
        "present": present[kept],
    }


def patient_case(patient: Patient) -> Case:
    """A patient's arrays as a Case, as if read from files."""
    import SimpleITK as sitk

    images = {}
    for name, array in patient.images.items():
        images[name] = sitk.GetImageFromArray(array)
        images[name].SetSpacing(patient.spacing_mm)
    case = case_from_images(images, "patient")
    covered = {name: on_grid(shown, case) for name, shown in fields_of_view(patient).items()}
    return replace(case, covered={**case.covered, **covered})


def on_grid(array: np.ndarray, case: Case) -> np.ndarray:
    """A patient's array on the grid of the Case that was made of it."""
    from myops.geometry.canonical import to_canonical

    return to_canonical(array, case.original)


def to_classes(labels: np.ndarray, mvo: np.ndarray | None = None) -> np.ndarray:
    """MyoPS labels to the classes of `training.clicks`, uint8; mvo is bool of the same shape."""
    classes = np.zeros(labels.shape, np.uint8)
    for name, number in CLASS_OF.items():
        classes[labels == MYOPS[name]] = number
    if mvo is not None:
        classes[mvo] = MVO
    return classes


def augment(batch: Batch, generator: torch.Generator, config: TrainingConfig) -> Batch:
    """Light geometric and contrast changes; absent sequences stay 0; now and then no cascade."""
    count = len(batch["images"])
    theta = random_affine(count, REORIENT_CHANCE, generator)
    images = jitter_contrast(warp(batch["images"], theta), generator)
    known = (torch.rand(count, generator=generator) >= NO_CASCADE_SHARE).to(images)
    nearest = {
        name: warp(batch[name].float(), theta, mode="nearest").round().to(torch.uint8)
        for name in ("truth", "automatic")
    }
    return {
        "images": images * batch["present"][:, :, None, None],
        "probabilities": warp(batch["probabilities"], theta) * known[:, None, None, None],
        "present": batch["present"],
        **nearest,
    }


class BatchDialogue:
    """What the network's forward pass talks to: prompts out, masks in, losses kept."""

    def __init__(
        self,
        batch: Batch,
        clicks: int,
        config: RefinerConfig,
        seed: int,
        habits: ReaderConfig = USUAL_READER,
    ) -> None:
        self.device = batch["images"].device
        self.clicks, self.config = clicks, config
        arrays = [batch[name].cpu().numpy() for name in ("truth", "automatic", "present")]
        self.readings = [
            ClickSimulation(
                truth[0], automatic[0], present, habits, np.random.default_rng((seed, k))
            )
            for k, (truth, automatic, present) in enumerate(zip(*arrays, strict=True))
        ]
        targets = np.stack([reading.target for reading in self.readings])[:, None]
        self.target = torch.from_numpy(targets.astype(np.float32)).to(self.device)
        self.wall = (batch["truth"] >= NORMAL).sum((1, 2, 3)).clamp(min=100).float()
        self.asked = 0

    def ask(self, logits: Tensor | None) -> Any:
        """The next prompts given the last answer (None at the start); None when it is over."""
        if logits is not None:
            for reading, mask in zip(self.readings, (logits[:, 0] > 0).cpu().numpy(), strict=True):
                reading.see(mask)
        if self.asked == self.clicks:
            return None
        self.asked += 1
        for reading in self.readings:
            if reading.box is None or reading.points or self.asked > 1:
                reading.click()
        return prompt_batch(self.readings, self.device)


def refiner_loss(answers: list[tuple[Tensor, Tensor]], talk: BatchDialogue) -> Loss:
    """Mean over the clicks of the composite loss and the error of the predicted IoU."""
    config, target = talk.config, talk.target
    soft = soft_label(target, SOFT_SIGMA_PX)
    parts = {name: target.new_zeros(()) for name in ("dice", "entropy", "kl", "iou")}
    for logits, quality in answers:
        parts["dice"] = parts["dice"] + slice_dice_loss(torch.sigmoid(logits), target)
        entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        # Per pixel of the wall: most of the square is empty and easy.
        parts["entropy"] = parts["entropy"] + (entropy.sum((1, 2, 3)) / talk.wall).mean()
        divergence = kl_to_soft_label(logits, soft).sum((1, 2, 3)) / talk.wall
        parts["kl"] = parts["kl"] + divergence.mean()
        error = functional.mse_loss(quality, overlap(logits.detach() > 0, target > 0))
        parts["iou"] = parts["iou"] + error
    parts = {name: part / len(answers) for name, part in parts.items()}
    total = (
        config.dice_weight * parts["dice"]
        + config.cross_entropy_weight * parts["entropy"]
        + config.kl_weight * parts["kl"]
        + IOU_WEIGHT * parts["iou"]
    )
    return total, parts


def overlap(mask: Tensor, target: Tensor) -> Tensor:
    """Intersection over union of bool masks (B, 1, S, S), float (B,); 1 where both are empty."""
    both = (mask & target).sum((1, 2, 3)).float()
    either = (mask | target).sum((1, 2, 3)).float()
    return torch.where(either > 0, both / either.clamp(min=1), torch.ones_like(either))


def make_loss(config: TrainingConfig, device: torch.device) -> Callable[[nn.Module, Batch], Loss]:
    """A simulated reader clicks 1 to 4 times; every answer is compared with the truth."""
    assert isinstance(config, RefinerConfig)

    def loss(network: nn.Module, batch: Batch) -> Loss:
        seed, drawn = (int(torch.randint(2**31, ()).item()) for _ in range(2))
        clicks = np.random.default_rng(drawn).choice(list(CLICK_ODDS), p=list(CLICK_ODDS.values()))
        talk = BatchDialogue(batch, int(clicks), config, seed)
        answers = network(batch["images"], batch["present"], batch["probabilities"], talk.ask)
        total, parts = refiner_loss(answers, talk)
        return total + 0.0 * _touch(network), parts

    return loss


def _touch(network: nn.Module) -> Tensor:
    """A sum over the weights: several processes need a gradient for each, at every step.

    Without it the weights of prompts that a step does not have (boxes, negative clicks) had none.
    """
    return torch.stack([p.sum() for p in network.parameters() if p.requires_grad]).sum()


def score(network: nn.Module, batch: Batch) -> dict[str, float]:
    """Mean scar Dice over the patient's slices with scar, automatic and after 1 and 3 clicks."""
    shown = (batch["truth"] >= SCAR).sum((1, 2, 3)) >= SCORED_PIXELS
    shown &= batch["present"][:, channel("lge")] > 0
    if not bool(shown.any()):
        return {}
    rows = {name: value[shown] for name, value in batch.items()}
    scar, scores = STRUCTURES.index("scar"), {}
    for start in ("", "_empty"):
        talk = BatchDialogue(
            rows, max(SCORED_CLICKS), RefinerConfig(), 0, ReaderConfig(box_share=0.0)
        )
        for reading in talk.readings:
            mask = structure_of(reading.automatic, scar)
            reading.begin(scar, np.zeros_like(mask) if start else mask)
        if not start:
            scores["scar_0"] = _mean_dice([r.mask for r in talk.readings], talk)
        answers = network(rows["images"], rows["present"], rows["probabilities"], talk.ask)
        for clicks in SCORED_CLICKS:
            masks = (answers[clicks - 1][0][:, 0] > 0).cpu().numpy()
            scores[f"scar_{clicks}{start}"] = _mean_dice(masks, talk)
    return scores


def _mean_dice(masks: Iterable[np.ndarray], talk: BatchDialogue) -> float:
    pairs = zip(masks, (reading.target for reading in talk.readings), strict=True)
    return float(np.mean([dice(torch.from_numpy(m), torch.from_numpy(t)) for m, t in pairs]))


REFINER_STAGE = Stage("refiner", build, prepare, augment, make_loss, score)

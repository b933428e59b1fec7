"""Training of the DSS-Net-style network: anatomy in the coarse stage, tissue in the fine one.

The losses are our own design, see Docs/explanation/dssnet.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from myops.cascade.network_inputs import assn_input
from myops.labels import MYOPS, blood_pool, lv_region
from myops.networks.dssnet import BACKGROUND, BLOOD_POOL, NORMAL, WALL, build_dssnet, dilate
from myops.structures import NETWORK_TISSUES
from myops.training.config import DssnetConfig, TrainingConfig
from myops.training.data.augment import augment_square, warp
from myops.training.data.crops import crop_patient, jittered_box, refuse_untold
from myops.training.stages.prsn import EDEMA, LGE, SCAR, T2, main_target, one_hot, tissue_dice
from myops.training.stages.stage import Batch, Loss, Patient, Slices, Stage, dice

# Classes of a batch's labels: 0 background and 1 blood pool as in the coarse stage, then 2 normal
# myocardium, 3 edema, 4 scar: those of the fine stage (and of the PRSN), one higher.
FINE_OFFSET = 1
# Slices without LV that stay in, on either side of the heart: there the network learns where it
# ends. Those further away show lung or liver, and would fill the batches with easy slices.
EMPTY_SLICES = 2
# The rarest tissue's pixel counts at most this much more than the most frequent one's.
LARGEST_WEIGHT = 5.0
TISSUES = NETWORK_TISSUES[1:]


def build(config: TrainingConfig) -> nn.Module:
    """The network with random weights and the parts that are switched on."""
    assert isinstance(config, DssnetConfig)
    widths = {"widths": config.widths} if config.widths else {}
    return build_dssnet(**widths, mdfm=config.mdfm, sfam=config.sfam, prior=config.prior)


def prepare(patient: Patient, rng: np.random.Generator, config: TrainingConfig) -> Slices:
    """Crop around the heart as the heart finder would, and normalize over the crop."""
    refuse_untold(patient)
    crops, labels, present = crop_patient(patient, jittered_box(patient, rng), config.size)
    kept = near_heart(labels)
    count = len(labels)
    return {
        "images": assn_input(crops).astype(np.float16)[kept],
        "labels": to_classes(labels)[kept, None],
        "present": present[kept],
        "acute": np.full(count, patient.acute, np.float32)[kept],
    }


def near_heart(labels: np.ndarray) -> np.ndarray:
    """Bool (z,): the slices of MyoPS labels (z, y, x) that show the LV or are close to one."""
    shows = np.flatnonzero(lv_region(labels).any(axis=(1, 2)))
    away = np.abs(np.arange(len(labels))[:, None] - shows[None])
    return (away <= EMPTY_SLICES).any(axis=1)


def to_classes(labels: np.ndarray) -> np.ndarray:
    """MyoPS labels to classes: 0 background, 1 blood pool, 2 normal, 3 edema, 4 scar; uint8."""
    classes = np.zeros(labels.shape, np.uint8)
    classes[blood_pool(labels)] = BLOOD_POOL
    for number, name in enumerate(TISSUES, FINE_OFFSET + NORMAL):
        classes[labels == MYOPS[name]] = number
    return classes


def labels_from(output: Mapping[str, np.ndarray]) -> np.ndarray:
    """The network's answer as MyoPS labels.

    Tissue is the fine stage's: it has seen everything that the coarse stage has, and more. Where it
    says "other", the coarse stage tells blood pool from background.

    Args:
        output: logits as from `Dssnet.forward`: "coarse" float (z, 3, S, S), "fine" (z, 4, S, S).

    Returns:
        uint16 (z, S, S): 0, 200 normal myocardium, 500 LV blood pool, 1220 edema, 2221 scar.
    """
    coarse, tissue = output["coarse"], output["fine"].argmax(axis=1)
    blood = coarse[:, BLOOD_POOL] > coarse[:, BACKGROUND]
    labels = np.where(blood, MYOPS["blood_pool"], 0).astype(np.uint16)
    for number, name in enumerate(TISSUES, NORMAL):
        labels[tissue == number] = MYOPS[name]
    return labels


def augment(batch: Batch, generator: torch.Generator, config: TrainingConfig) -> Batch:
    """Light geometric and contrast changes; complete patients may lose sequences."""
    theta, changed = augment_square(batch, generator, config)
    labels = warp(batch["labels"].float(), theta, mode="nearest").round().long()
    return changed | {"labels": labels, "acute": batch["acute"]}


def coarse_target(labels: Tensor) -> Tensor:
    """Background, blood pool and wall, whatever the wall's tissue; long (B, 1, H, W)."""
    return labels.clamp(max=WALL)


def fine_target(batch: Batch) -> Tensor:
    """Other, normal, edema and scar, as far as the sequences show them; long (B, 1, H, W)."""
    tissues = (batch["labels"].long() - FINE_OFFSET).clamp(min=0)
    return main_target(tissues, batch["present"], batch["acute"])


def fine_region(labels: Tensor, prior: bool) -> Tensor:
    """Where the fine stage has a loss, float (B, 1, H, W) of 0 and 1.

    The true LV as far as the prior reaches beyond it: further away the prior says "other". Without
    the prior the fine stage must learn that by itself, so there the whole square counts.
    """
    if not prior:
        return torch.ones_like(labels, dtype=torch.float32)
    return (dilate((labels > BACKGROUND).float()) > 0).float()


def dssnet_loss(logits: Mapping[str, Tensor], batch: Batch, config: DssnetConfig) -> Loss:
    """Dice + CE of the anatomy, and Dice + balanced CE of the tissues.

    The Dice losses leave out the first class and those that the batch does not have.

    Args:
        logits: "coarse" float (B, 3, H, W), "fine" float (B, 4, H, W).
        batch: "labels" long (B, 1, H, W), "present" float (B, 3), "acute" float (B,).
        config: the weights.

    Returns:
        Scalar, and its parts before they are weighted.
    """
    anatomy, tissues = coarse_target(batch["labels"].long()), fine_target(batch)
    everywhere = torch.ones_like(anatomy, dtype=torch.float32)
    inside = fine_region(batch["labels"], config.prior)
    shares = class_weights(tissues, inside) if config.balanced else torch.ones(4)
    parts = {
        "coarse": tissue_dice(logits["coarse"], one_hot(anatomy, 3), everywhere),
        "coarse_entropy": weighted_entropy(logits["coarse"], anatomy, everywhere, torch.ones(3)),
        "fine": tissue_dice(logits["fine"], one_hot(tissues, 4), inside),
        "fine_entropy": weighted_entropy(logits["fine"], tissues, inside, shares),
    }
    coarse, fine = (
        parts[stage] + config.cross_entropy_weight * parts[f"{stage}_entropy"]
        for stage in ("coarse", "fine")
    )
    return coarse + fine, parts


def class_weights(target: Tensor, inside: Tensor, count: int = 4) -> Tensor:
    """How much a pixel of each class counts in the cross-entropy, by the batch's frequencies.

    The inverse square root of a class's share, so that the most frequent class has 1, capped at
    `LARGEST_WEIGHT`. A full inverse would give a handful of scar pixels the say of all the healthy
    muscle: false scar would cost next to nothing, and the loss would jump from batch to batch with
    their number. Without any weight the network may leave scar out and lose little. The square root
    lies half way (in the logarithm), and the cap, reached by a class 25 times rarer, keeps a batch
    with three pixels of scar from being about these three alone.

    Args:
        target: long (B, 1, H, W).
        inside: float (B, 1, H, W) of 0 and 1, the pixels that count.
        count: of the classes.

    Returns:
        float (count,), 1 to `LARGEST_WEIGHT`. A class without a pixel has the largest one, which
        then meets no pixel.
    """
    pixels = (one_hot(target, count) * inside).sum(dim=(0, 2, 3))
    return (pixels.max() / pixels.clamp(min=1)).sqrt().clamp(1, LARGEST_WEIGHT)


def weighted_entropy(logits: Tensor, target: Tensor, inside: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of the cross-entropy over the pixels that count.

    It is divided by the sum of the weights: rare tissue gets a larger share of the loss, the loss
    as a whole keeps its scale beside the Dice loss.

    Args:
        logits: float (B, C, H, W).
        target: long (B, 1, H, W).
        inside: float (B, 1, H, W) of 0 and 1.
        weights: float (C,), of each class.

    Returns:
        Scalar; 0 where no pixel counts.
    """
    entropy = functional.cross_entropy(logits, target[:, 0], reduction="none")
    shares = weights.to(entropy)[target[:, 0]] * inside[:, 0]
    return (entropy * shares).sum() / shares.sum().clamp(min=1)


def make_loss(config: TrainingConfig, device: torch.device) -> Callable[[nn.Module, Batch], Loss]:
    """The sum of both stages' losses."""
    assert isinstance(config, DssnetConfig)

    def loss(network: nn.Module, batch: Batch) -> Loss:
        return dssnet_loss(network(batch["images"], batch["present"]), batch, config)

    return loss


def score(network: nn.Module, batch: Batch) -> dict[str, float]:
    """Dice over the patient's stack: coarse LV, and the tissues that its sequences can show."""
    logits = network(batch["images"], batch["present"])
    predicted, target = logits["fine"].argmax(dim=1), fine_target(batch)[:, 0]
    anatomy = logits["coarse"].argmax(dim=1), coarse_target(batch["labels"].long())[:, 0]
    scores = {
        "coarse_lv_dice": dice(*(a > BACKGROUND for a in anatomy)),
        "myocardium_dice": dice(predicted >= NORMAL, target >= NORMAL),
    }
    if bool(batch["present"][:, LGE].any()):
        scores["scar_dice"] = dice(predicted == SCAR, target == SCAR)
    if bool(batch["present"][:, T2].any()):
        scores["edema_dice"] = dice(predicted == EDEMA, target == EDEMA)
        # Scar comes after edema in the order of the classes.
        scores["scar_or_edema_dice"] = dice(predicted >= EDEMA, target >= EDEMA)
    return scores


DSSNET_STAGE = Stage("dssnet", build, prepare, augment, make_loss, score)

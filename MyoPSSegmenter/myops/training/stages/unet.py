"""Training of the baselines: a U-Net of one or several sequences.

`target` says what it tells apart, `inside` whether it sees the candidate images of the cascade
(a branch of the PRSN alone) or the whole square around the heart (an end-to-end U-Net).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from myops.cascade.network_inputs import assn_input
from myops.errors import InputError
from myops.networks.unet import build_unet
from myops.sequences import NETWORK_SEQUENCES, channel
from myops.training.config import TrainingConfig, UnetConfig
from myops.training.data.augment import REORIENT_CHANCE, jitter_contrast, random_affine, warp
from myops.training.data.crops import crop_patient, jittered_box, refuse_untold
from myops.training.stages import prsn
from myops.training.stages.stage import Batch, Loss, Patient, Slices, Stage, dice

# What a target's classes are, after "other" (blood and background).
TARGETS = {
    "region": ("lv_region",),
    "scar": ("normal", "scar"),
    "edema": ("normal", "edema"),
    "tissues": ("normal", "edema", "scar"),
}
# Classes of a batch's labels: those of the PRSN, with "outside" for what is not LV.
NUMBERS = {"normal": prsn.NORMAL, "edema": prsn.EDEMA, "scar": prsn.SCAR}


def sequence_numbers(config: UnetConfig) -> tuple[int, ...]:
    """Which of bssfp, lge, t2 the network sees.

    Raises:
        InputError: an unknown sequence or target, or none.
    """
    names = [name for name in config.sequences.split(",") if name]
    if not names or set(names) - set(NETWORK_SEQUENCES):
        raise InputError(
            f"sequences expects some of {', '.join(NETWORK_SEQUENCES)} with commas, found "
            f"{config.sequences!r}"
        )
    if config.target not in TARGETS:
        raise InputError(f"target expects one of {', '.join(TARGETS)}, found {config.target!r}")
    return tuple(channel(name) for name in names)


def build(config: TrainingConfig) -> nn.Module:
    """The U-Net with random weights."""
    assert isinstance(config, UnetConfig)
    widths = {"widths": config.widths} if config.widths else {}
    return build_unet(sequence_numbers(config), 1 + len(TARGETS[config.target]), **widths)


def prepare(patient: Patient, rng: np.random.Generator, config: TrainingConfig) -> Slices:
    """As for the PRSN where the network sees candidate images, else as for the ASSN."""
    refuse_untold(patient)
    assert isinstance(config, UnetConfig)
    if config.inside:
        return prsn.prepare(patient, rng, config)
    crops, labels, present = crop_patient(patient, jittered_box(patient, rng), config.size)
    return {
        "images": assn_input(crops).astype(np.float16),
        "labels": prsn.to_classes(labels, margin=True)[:, None],
        # Nothing is cut away: the candidate images are the images.
        "region": np.ones((len(labels), 1, *labels.shape[1:]), np.float16),
        "present": present,
        "acute": np.full(len(labels), patient.acute, np.float32),
    }


def augment(batch: Batch, generator: torch.Generator, config: TrainingConfig) -> Batch:
    """Light geometric and contrast changes; a baseline never loses its sequences."""
    theta = random_affine(len(batch["images"]), REORIENT_CHANCE, generator, stretch=config.stretch)
    labels = batch["labels"].float() - prsn.OUTSIDE  # so that what is turned in is "outside"
    return batch | {
        "images": jitter_contrast(warp(batch["images"], theta), generator, config.jitter),
        "region": (warp(batch["region"], theta) > 0.5).float(),
        "labels": warp(labels, theta, mode="nearest").round().long() + prsn.OUTSIDE,
    }


def seen_labels(labels: Tensor, present: Tensor) -> Tensor:
    """Labels without what a slice's sequences cannot show: it counts as normal there.

    Args:
        labels: long (B, 1, H, W), classes of the PRSN with a margin.
        present: float (B, 3), bssfp, lge, t2.
    """
    for tissue, sequence in ((prsn.EDEMA, prsn.T2), (prsn.SCAR, prsn.LGE)):
        unseen = present[:, sequence, None, None, None] == 0
        labels = labels.masked_fill((labels == tissue) & unseen, prsn.NORMAL)
    return labels


def target_planes(labels: Tensor, target: str) -> Tensor:
    """Float (B, C, H, W), one plane per class of the target after "other".

    Scar counts as muscle to be told from normal; where a network has no class for it (edema from
    T2 alone), its pixels count as normal, as the T2 branch of the cascade learns it.

    Args:
        labels: long (B, 1, H, W), classes of the PRSN with a margin.
        target: a name in `TARGETS`.
    """
    names = TARGETS[target]
    if names == ("lv_region",):
        return (labels != prsn.OUTSIDE).float()
    planes = {name: (labels == NUMBERS[name]).float() for name in NUMBERS}
    unknown = [planes[name] for name in NUMBERS if name not in names]
    planes["normal"] = planes["normal"] + sum(unknown, torch.zeros_like(planes["normal"]))
    return torch.cat([planes[name] for name in names], dim=1)


def make_loss(config: TrainingConfig, device: torch.device) -> Callable[[nn.Module, Batch], Loss]:
    """Dice over the classes but "other", cross-entropy and KL where they are asked for."""
    assert isinstance(config, UnetConfig)

    def loss(network: nn.Module, batch: Batch) -> Loss:
        logits = network(prsn.candidates(batch), batch["present"])
        planes = target_planes(seen_labels(batch["labels"], batch["present"]), config.target)
        inside = (batch["region"] > 0).float()
        other = 1 - planes.sum(dim=1, keepdim=True)
        return prsn.class_loss(logits, torch.cat((other, planes), dim=1), inside, config)

    return loss


def score(network: nn.Module, batch: Batch) -> dict[str, float]:
    """Dice of the last class (region, scar, edema) over the patient's stack."""
    inside = (batch["region"] > 0.5).float()
    shown = prsn.candidates(batch | {"region": inside})
    predicted = network(shown, batch["present"]).argmax(dim=1)
    classes = network.head.out_channels - 1  # type: ignore[union-attr,operator]
    labels = batch["labels"][:, 0].long()
    if classes == 1:
        return {"region_dice": dice(predicted > 0, labels != prsn.OUTSIDE)}
    wall = (labels >= prsn.NORMAL) & (labels <= prsn.SCAR)
    return {"myocardium_dice": dice((predicted > 0) & (inside[:, 0] > 0), wall)}


UNET_STAGE = Stage("unet", build, prepare, augment, make_loss, score)

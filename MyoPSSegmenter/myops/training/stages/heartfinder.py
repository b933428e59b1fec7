"""Training of the heart finder: LV epicardial region and right ventricle on the whole image."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from myops.cascade.network_inputs import FINDER_SIZE, finder_box, finder_input
from myops.geometry.square import crop_stack
from myops.labels import lv_region, right_ventricle
from myops.networks.build import build_heartfinder
from myops.training.config import HeartFinderConfig, TrainingConfig
from myops.training.data.augment import (
    REORIENT_CHANCE,
    drop_sequences,
    jitter_contrast,
    random_affine,
    warp,
)
from myops.training.data.crops import present_rows
from myops.training.losses import binary_cross_entropy, dice_loss
from myops.training.stages.stage import Batch, Loss, Slices, Stage, dice

if TYPE_CHECKING:
    from myops.training.stages.stage import Patient


def build(config: TrainingConfig) -> nn.Module:
    """The heart finder with random weights."""
    return build_heartfinder(config.widths) if config.widths else build_heartfinder()


def prepare(patient: Patient, rng: np.random.Generator, config: TrainingConfig) -> Slices:
    """The whole field of view at the heart finder's pixel size."""
    box = finder_box(patient.labels.shape, patient.spacing_mm)
    labels = crop_stack(patient.labels, box, FINDER_SIZE)
    targets = np.stack((lv_region(labels), right_ventricle(labels)), axis=1)
    return {
        "images": finder_input(patient.images, patient.spacing_mm).astype(np.float16),
        "targets": targets.astype(np.float16),
        "present": present_rows(patient, len(labels)),
    }


def augment(batch: Batch, generator: torch.Generator, config: TrainingConfig) -> Batch:
    """Geometric and contrast changes; the heart may lie anywhere and have any size."""
    theta = random_affine(
        len(batch["images"]), REORIENT_CHANCE, generator, degrees=15, scale=0.2, shift=0.1
    )
    present = drop_sequences(batch["present"], config.dropout, generator)
    images = jitter_contrast(warp(batch["images"], theta), generator)
    return {
        "images": images * present[:, :, None, None],
        "targets": (warp(batch["targets"], theta) > 0.5).float(),
    }


def make_loss(config: TrainingConfig, device: torch.device) -> Callable[[nn.Module, Batch], Loss]:
    """Dice + binary cross-entropy."""
    assert isinstance(config, HeartFinderConfig)

    def loss(network: nn.Module, batch: Batch) -> Loss:
        logits = network(batch["images"])
        overlap = dice_loss(torch.sigmoid(logits), batch["targets"])
        entropy = binary_cross_entropy(logits, batch["targets"])
        return overlap + config.cross_entropy_weight * entropy, {"dice": overlap}

    return loss


def score(network: nn.Module, batch: Batch) -> dict[str, float]:
    """Dice of both regions over the patient's stack."""
    predicted = network(batch["images"] * batch["present"][:, :, None, None]) > 0
    truth = batch["targets"] > 0.5
    return {
        "region_dice": dice(predicted[:, 0], truth[:, 0]),
        "right_ventricle_dice": dice(predicted[:, 1], truth[:, 1]),
    }


HEARTFINDER_STAGE = Stage("heartfinder", build, prepare, augment, make_loss, score)

"""Training of the ASSN: LV epicardial region, held to a plausible shape by the frozen DAE."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from myops.cascade.network_inputs import assn_input, with_neighbors
from myops.labels import lv_region
from myops.networks.build import build_assn
from myops.training.checkpoint import load_weights, read_checkpoint, stored_config
from myops.training.config import AssnConfig, TrainingConfig
from myops.training.data.augment import augment_square, per_plane, warp
from myops.training.data.crops import crop_patient, jittered_box
from myops.training.losses import assn_loss, binary_cross_entropy
from myops.training.stages.dae import DAE_STAGE
from myops.training.stages.stage import Batch, Loss, Slices, Stage, dice
from myops.weights.files import SHIPPED_FOLDER, load_network

if TYPE_CHECKING:
    from myops.training.stages.stage import Patient


def build(config: TrainingConfig) -> nn.Module:
    """The ASSN with random weights."""
    assert isinstance(config, AssnConfig)
    widths = {"widths": config.widths} if config.widths else {}
    return build_assn(**widths, planes=config.planes)


def prepare(patient: Patient, rng: np.random.Generator, config: TrainingConfig) -> Slices:
    """Crop around the heart as the heart finder would, and normalize over the crop."""
    assert isinstance(config, AssnConfig)
    crops, labels, present = crop_patient(patient, jittered_box(patient, rng), config.size)
    return {
        "images": with_neighbors(assn_input(crops), config.planes).astype(np.float16),
        "region": lv_region(labels).astype(np.float16)[:, None],
        "present": present,
    }


def augment(batch: Batch, generator: torch.Generator, config: TrainingConfig) -> Batch:
    """Light geometric and contrast changes; complete patients may lose sequences."""
    theta, changed = augment_square(batch, generator, config)
    return changed | {"region": (warp(batch["region"], theta) > 0.5).float()}


def make_loss(config: TrainingConfig, device: torch.device) -> Callable[[nn.Module, Batch], Loss]:
    """The paper's loss with the trained DAE, whose weights stay as they are."""
    assert isinstance(config, AssnConfig)
    dae = frozen_dae(config, device) if config.dae_weight else nn.Identity()

    def loss(network: nn.Module, batch: Batch) -> Loss:
        logits = network(batch["images"], batch["present"])
        total = assn_loss(logits, batch["region"], dae, config.dae_weight)
        if config.cross_entropy_weight:
            entropy = binary_cross_entropy(logits, batch["region"])
            total = total + config.cross_entropy_weight * entropy
        return total, {}

    return loss


def frozen_dae(config: AssnConfig, device: torch.device) -> nn.Module:
    """The trained DAE from the configured file, or the shipped one."""
    path = Path(config.dae) if config.dae else SHIPPED_FOLDER / "dae.safetensors"
    if path.suffix == ".safetensors":
        dae = load_network("dae", path)
    else:
        dae = DAE_STAGE.build(stored_config(read_checkpoint(path)))
        load_weights(path, dae)
    return dae.float().to(device).eval().requires_grad_(False)


def score(network: nn.Module, batch: Batch) -> dict[str, float]:
    """Dice of the LV epicardial region over the patient's stack."""
    images = batch["images"] * per_plane(batch["present"], batch["images"])
    predicted = network(images, batch["present"]) > 0
    return {"region_dice": dice(predicted, batch["region"] > 0.5)}


ASSN_STAGE = Stage("assn", build, prepare, augment, make_loss, score)

"""Training of the DAE: corrupted masks in, clean masks out, squared error.

The paper corrupts clean labels "with noise"; which noise is left open. Here a mask gets what a
segmentation network does wrong: shifts, growth and shrinkage, cut parts, holes, blobs, soft noise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from myops.geometry.square import crop_stack
from myops.labels import lv_region
from myops.networks.build import build_dae
from myops.training.config import TrainingConfig
from myops.training.data.augment import REORIENT_CHANCE, random_affine, uniform, warp
from myops.training.data.crops import jittered_box, present_rows
from myops.training.losses import dae_loss
from myops.training.stages.stage import Batch, Loss, Slices, Stage, dice

if TYPE_CHECKING:
    from myops.training.stages.stage import Patient

# Mean count per mask, of seven kinds.
CORRUPTIONS = 2.0


def build(config: TrainingConfig) -> nn.Module:
    """The DAE with random weights."""
    return build_dae(config.widths) if config.widths else build_dae()


def prepare(patient: Patient, rng: np.random.Generator, config: TrainingConfig) -> Slices:
    """Crop the patient's LV region; empty slices beyond base and apex stay in."""
    box = jittered_box(patient, rng)
    region = crop_stack(lv_region(patient.labels), box, config.size)
    return {
        "region": region.astype(np.float16)[:, None],
        "present": present_rows(patient, len(region)),
    }


def augment(batch: Batch, generator: torch.Generator, config: TrainingConfig) -> Batch:
    """Turn and mirror the masks, then corrupt them."""
    theta = random_affine(len(batch["region"]), REORIENT_CHANCE, generator)
    clean = (warp(batch["region"], theta) > 0.5).float()
    return {"region": clean, "corrupted": corrupt(clean, CORRUPTIONS, generator)}


def make_loss(config: TrainingConfig, device: torch.device) -> Callable[[nn.Module, Batch], Loss]:
    """Squared error of the reconstruction."""

    def loss(network: nn.Module, batch: Batch) -> Loss:
        return dae_loss(network(batch["corrupted"]).float(), batch["region"]), {}

    return loss


def score(network: nn.Module, batch: Batch) -> dict[str, float]:
    """Dice of the reconstruction, and of the corrupted mask it started from."""
    clean = batch["region"].float()
    corrupted = corrupt(clean, 2.0, torch.Generator().manual_seed(0))
    reconstructed = network(corrupted).float() > 0.5
    return {
        "region_dice": dice(reconstructed, clean > 0.5),
        "corrupted_dice": dice(corrupted > 0.5, clean > 0.5),
    }


def corrupt(masks: Tensor, mean_count: float, generator: torch.Generator) -> Tensor:
    """Damage masks as a segmentation network would.

    Args:
        masks: float (B, 1, H, W), 0 or 1.
        mean_count: corruptions per mask, on average (of seven kinds).
        generator: source of randomness (CPU).

    Returns:
        float (B, 1, H, W) in 0..1.
    """
    kinds = (shift, grow_or_shrink, cut_part, punch_holes, add_blobs, soften, add_noise)
    damaged = masks
    for kind in kinds:
        chosen = torch.rand(len(masks), generator=generator) < mean_count / len(kinds)
        where = chosen.to(masks.device)[:, None, None, None]
        damaged = torch.where(where, kind(damaged, generator), damaged)
    return damaged.clamp(0, 1)


def shift(masks: Tensor, generator: torch.Generator) -> Tensor:
    """Move by up to 5 % of the side and change size by up to 12 %."""
    theta = random_affine(len(masks), 0.0, generator, degrees=0.0, scale=0.12, shift=0.05)
    return warp(masks, theta)


def grow_or_shrink(masks: Tensor, generator: torch.Generator) -> Tensor:
    """Dilate or erode by 1 to 4 pixels, one side of the image more than the other."""
    radius = int(torch.randint(1, 5, (1,), generator=generator))
    grown = functional.max_pool2d(masks, 2 * radius + 1, stride=1, padding=radius)
    shrunk = -functional.max_pool2d(-masks, 2 * radius + 1, stride=1, padding=radius)
    mix = (torch.rand(len(masks), generator=generator) < 0.5).to(masks.device)
    changed = torch.where(mix[:, None, None, None], grown, shrunk)
    return torch.where(_half_plane(masks, generator), changed, masks)


def cut_part(masks: Tensor, generator: torch.Generator) -> Tensor:
    """Remove what lies in a random half plane."""
    return masks * ~_half_plane(masks, generator, reach=0.25)


def punch_holes(masks: Tensor, generator: torch.Generator) -> Tensor:
    """Remove up to three discs."""
    return masks * ~_discs(masks, generator)


def add_blobs(masks: Tensor, generator: torch.Generator) -> Tensor:
    """Add up to three discs."""
    return torch.maximum(masks, _discs(masks, generator).to(masks.dtype))


def soften(masks: Tensor, generator: torch.Generator) -> Tensor:
    """Blur the edge and scale the confidence, as an unsure network does."""
    size = 2 * int(torch.randint(1, 5, (1,), generator=generator)) + 1
    blurred = functional.avg_pool2d(masks, size, stride=1, padding=size // 2)
    gain = uniform(len(masks), 0.6, 1.0, generator).to(masks)
    return blurred * gain[:, None, None, None]


def add_noise(masks: Tensor, generator: torch.Generator) -> Tensor:
    """Gaussian noise of standard deviation up to 0.5."""
    strength = uniform(len(masks), 0.05, 0.5, generator).to(masks)
    noise = torch.randn(masks.shape, generator=generator).to(masks)
    return (masks + strength[:, None, None, None] * noise).clamp(0, 1)


def _coordinates(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns over -0.5..0.5, (H, 1) and (1, W)."""
    height, width = masks.shape[-2:]
    rows = torch.linspace(-0.5, 0.5, height, device=masks.device)
    columns = torch.linspace(-0.5, 0.5, width, device=masks.device)
    return rows[:, None], columns[None, :]


def _half_plane(masks: Tensor, generator: torch.Generator, reach: float = 0.5) -> Tensor:
    """Bool (B, 1, H, W): one side of a random line; a larger reach takes more of the image."""
    rows, columns = _coordinates(masks)
    angle = uniform(len(masks), 0, 2 * torch.pi, generator).to(masks)[:, None, None, None]
    offset = uniform(len(masks), 0.05 - reach / 2, 0.25, generator).to(masks)[:, None, None, None]
    return rows * torch.sin(angle) + columns * torch.cos(angle) > offset


def _discs(masks: Tensor, generator: torch.Generator) -> Tensor:
    """Bool (B, 1, H, W): one to three random discs of 2 to 12 % of the side."""
    rows, columns = _coordinates(masks)
    found = torch.zeros(masks.shape, dtype=torch.bool, device=masks.device)
    for chance in (1.0, 0.5, 0.3):
        y, x, radius = (
            uniform(len(masks), low, high, generator).to(masks)[:, None, None, None]
            for low, high in ((-0.35, 0.35), (-0.35, 0.35), (0.02, 0.12))
        )
        drawn = (torch.rand(len(masks), generator=generator) < chance).to(masks.device)
        disc = (rows - y).square() + (columns - x).square() < radius.square()
        found |= disc & drawn[:, None, None, None]
    return found


DAE_STAGE = Stage("dae", build, prepare, augment, make_loss, score)

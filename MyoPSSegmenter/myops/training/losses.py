"""Losses of the four networks.

The Dice loss sums over the batch and the pixels of each class before it divides. Summed per
slice, the many slices without scar or edema would have a Dice of 0/0; over a batch the
denominator stays large and the gradient smooth. A class that no pixel of the batch has gives no
term: there the loss would be almost 1 for any trace of it, and this pushed a rare class (edema in
T2) to a probability of exactly 0, from which a Dice loss never comes back. False findings in
slices without disease still cost, because their pixels stand in the denominator of the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

# One pixel in numerator and denominator keeps the quotient away from 0/0.
SMOOTH = 1.0


def dice_loss(probability: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """1 - 2 sum(p t) / (sum(p) + sum(t)), averaged over the classes that the batch has.

    Args:
        probability: float (B, C, H, W) in 0..1.
        target: float (B, C, H, W) in 0..1.
        weight: float, broadcastable to (B, 1, H, W): 0 leaves a slice or a pixel out.

    Returns:
        Scalar in 0..1; 0 for a perfect prediction.
    """
    if weight is not None:
        probability, target = probability * weight, target * weight
    axes = (0, 2, 3)
    true = target.sum(axes)
    overlap = (probability * target).sum(axes)
    loss = 1 - (2 * overlap + SMOOTH) / (probability.sum(axes) + true + SMOOTH)
    present = (true > 0).to(loss.dtype)
    return (loss * present).sum() / present.sum().clamp(min=1)


def binary_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean binary cross-entropy of logits (B, C, H, W) against targets in 0..1."""
    return functional.binary_cross_entropy_with_logits(logits, target)


def dae_loss(reconstruction: Tensor, clean: Tensor) -> Tensor:
    """Mean squared error between the reconstruction of a corrupted mask and the clean mask."""
    return functional.mse_loss(reconstruction, clean)


def assn_loss(logits: Tensor, region: Tensor, dae: torch.nn.Module, dae_weight: float) -> Tensor:
    """Dice(f(I), L) + dae_weight * Dice(D(E(f(I))), L), the cascade paper's ASSN loss.

    Args:
        logits: float (B, 1, H, W), f(I) before the sigmoid.
        region: float (B, 1, H, W), L, the LV epicardial region.
        dae: the pre-trained D(E(.)); its parameters must not require a gradient.
        dae_weight: 0.2 in the paper.
    """
    probability = torch.sigmoid(logits)
    shape = dice_loss(dae(probability).float(), region) if dae_weight else 0.0
    return dice_loss(probability, region) + dae_weight * shape


def slice_dice_loss(probability: Tensor, target: Tensor) -> Tensor:
    """Dice loss of every slice on its own, averaged over the slices that have the structure.

    A reader judges slice by slice, and a click must help a small scar as much as a large one.

    Args:
        probability: float (B, 1, H, W) in 0..1.
        target: float (B, 1, H, W) in 0..1.
    """
    axes = (1, 2, 3)
    true = target.sum(axes)
    overlap = (probability * target).sum(axes)
    loss = 1 - (2 * overlap + SMOOTH) / (probability.sum(axes) + true + SMOOTH)
    present = (true > 0).to(loss.dtype)
    return (loss * present).sum() / present.sum().clamp(min=1)


def soft_label(target: Tensor, sigma_px: float) -> Tensor:
    """Gaussian blur of binary masks (B, C, H, W), in-plane: the uncertainty of a drawn border.

    Every slice and channel is blurred by itself; nothing crosses the batch axis.
    """
    radius = max(1, round(3 * sigma_px))
    places = torch.arange(-radius, radius + 1, device=target.device, dtype=target.dtype)
    kernel = torch.exp(-(places**2) / (2 * sigma_px**2))
    kernel = kernel / kernel.sum()
    planes = target.reshape(-1, 1, *target.shape[-2:])
    padded = functional.pad(planes, (radius,) * 4, mode="replicate")
    blurred = functional.conv2d(padded, kernel.reshape(1, 1, -1, 1))
    blurred = functional.conv2d(blurred, kernel.reshape(1, 1, 1, -1))
    return blurred.reshape(target.shape).clamp(0, 1)


def kl_to_soft_label(logits: Tensor, soft: Tensor) -> Tensor:
    """KL(t || sigmoid(z)) of every voxel, both classes; 0 where sigmoid(z) equals t.

    Args:
        logits: float (B, C, H, W), z.
        soft: float of the same shape in 0..1, t.
    """
    entropy = -(torch.xlogy(soft, soft) + torch.xlogy(1 - soft, 1 - soft))
    cross = functional.binary_cross_entropy_with_logits(logits, soft, reduction="none")
    return cross - entropy

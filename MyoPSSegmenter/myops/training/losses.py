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

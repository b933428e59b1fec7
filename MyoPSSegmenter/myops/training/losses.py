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

from myops.training.stages.stage import Loss

# One pixel in numerator and denominator keeps the quotient away from 0/0.
SMOOTH = 1.0


def dice_loss(probability: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """1 - 2 sum(p t) / (sum(p) + sum(t)), averaged over the classes that the batch has.

    Args:
        probability: float (B, C, H, W) in 0..1.
        target: float (B, C, H, W) in 0..1.
        weight: float, broadcastable to (B, C, H, W): 0 leaves a slice or a pixel out, of all
            classes or of one.

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

    A reader assesses slice by slice, and a click must help a small scar as much as a large one.

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


def soft_classes(target: Tensor, sigma_px: float) -> Tensor:
    """Soft labels of classes that exclude each other: every class blurred, sum 1 in each voxel.

    Args:
        target: one-hot float (B, C, H, W).
        sigma_px: SD of the in-plane Gaussian in pixels, about 1 in the tools of Moafi et al.

    Returns:
        Float tensor of the same shape in 0..1; no slice of the batch touches another.
    """
    soft = soft_label(target, sigma_px)
    # The blurs of a one-hot label add up to 1 but for rounding, which KL would show.
    return soft / soft.sum(1, keepdim=True).clamp(min=1e-6)


def kl_to_soft_classes(logits: Tensor, soft: Tensor) -> Tensor:
    """KL(t || softmax(z)) = sum over classes of t (log t - log softmax(z)), of every voxel.

    Args:
        logits: float (B, C, H, W), z.
        soft: float of the same shape in 0..1, t, with sum 1 over the classes.

    Returns:
        Float (B, 1, H, W), 0 or above; 0 where softmax(z) equals t.
    """
    terms = functional.kl_div(functional.log_softmax(logits, dim=1), soft, reduction="none")
    # Rounding may leave a sum of -1e-8.
    return terms.sum(1, keepdim=True).clamp(min=0)


def composite_loss(
    logits: Tensor,
    target: Tensor,
    soft: Tensor | None,
    weights: tuple[float, float, float],
    where: Tensor,
    classes: Tensor | None = None,
) -> Loss:
    """Dice + cross-entropy + KL against soft labels, for classes that exclude each other.

    The loss of Moafi et al. (doi 10.1016/j.jocmr.2026.102720), there for one structure.

    Args:
        logits: float (B, C, H, W) before the softmax; class 0 is "other" and has no Dice term.
        target: one-hot float (B, C, H, W), the label as it was drawn.
        soft: float (B, C, H, W) of `soft_classes`; None = hard labels alone, without a KL term.
        weights: of Dice, cross-entropy and KL; 0.6, 0.2 and 0.2 in the authors' tools.
        where: float, (B, 1, H, W) or broadcastable to it, 0 leaves a voxel out. Cross-entropy and
            KL are averaged over these voxels.
        classes: float (B, C - 1, H, W), in place of `where` for the Dice terms of the classes.

    Returns:
        Scalar, and its parts before weighting: "dice", "entropy" and, with soft labels, "kl".
    """
    where = where.expand(len(logits), 1, *logits.shape[2:])
    probability = torch.softmax(logits, dim=1)
    entropy = -(target * functional.log_softmax(logits, dim=1)).sum(1, keepdim=True)
    parts = {
        "dice": dice_loss(probability[:, 1:], target[:, 1:], where if classes is None else classes),
        "entropy": _mean_where(entropy, where),
    }
    if soft is not None:
        parts["kl"] = _mean_where(kl_to_soft_classes(logits, soft), where)
    # Without soft labels there are two parts, and the last weight meets none.
    total = torch.stack([w * part for w, part in zip(weights, parts.values())]).sum()
    return total, parts


def _mean_where(values: Tensor, where: Tensor) -> Tensor:
    """Weighted mean of values (B, 1, H, W); 0 where nothing counts."""
    return (values * where).sum() / where.sum().clamp(min=1)

"""Light augmentation of batches that are drawn from the pool, on the training device."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from myops.training.config import TrainingConfig
from myops.training.stages.stage import Batch

# Chance that a slice is mirrored and turned by quarters when it is drawn.
REORIENT_CHANCE = 0.3


def uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Uniform random numbers, float32 (count,), from a CPU generator."""
    return torch.rand(count, generator=generator) * (high - low) + low


def random_affine(
    count: int,
    reorient: float,
    generator: torch.Generator,
    degrees: float = 12.0,
    scale: float = 0.12,
    shift: float = 0.06,
    stretch: float = 0.0,
) -> Tensor:
    """Random in-plane maps from output to input coordinates, float32 (count, 2, 3).

    Args:
        count: slices.
        reorient: chance of a mirroring and a turn by quarters on top of the small map.
        generator: source of randomness (CPU).
        degrees: largest small rotation.
        scale: largest relative change of size.
        shift: largest shift, as a share of the image's side.
        stretch: largest relative change of the columns' size against the rows'.
    """
    angle = uniform(count, -degrees, degrees, generator) * math.pi / 180
    turned = (torch.rand(count, generator=generator) < reorient).float()
    quarters = torch.randint(0, 4, (count,), generator=generator).float()
    mirror = torch.randint(0, 2, (count,), generator=generator).float()
    angle = angle + turned * quarters * math.pi / 2
    sign = 1 - 2 * turned * mirror
    size = torch.exp(uniform(count, -scale, scale, generator))
    cosine, sine = size * torch.cos(angle), size * torch.sin(angle)
    # Coordinates run over -1..1, so that a share of the side counts twice.
    x, y = (uniform(count, -2 * shift, 2 * shift, generator) for _ in range(2))
    rows = torch.stack((sign * cosine, -sine, x, sign * sine, cosine, y), dim=1)
    theta = rows.reshape(count, 2, 3)
    if stretch:
        aspect = torch.exp(uniform(count, -stretch, stretch, generator))
        theta[:, 0] = theta[:, 0] * aspect[:, None]
    return theta


def warp(images: Tensor, theta: Tensor, mode: str = "bilinear") -> Tensor:
    """Resample images (B, C, H, W) by `random_affine` maps; 0 outside. "nearest" for labels."""
    grid = functional.affine_grid(theta.to(images), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode=mode, align_corners=False)


def augment_square(
    batch: Batch, generator: torch.Generator, config: TrainingConfig
) -> tuple[Tensor, Batch]:
    """Change the images of a square around the heart; complete patients may lose sequences.

    Returns:
        The geometric maps, for the batch's labels, and "images" (0 where absent) and "present".
    """
    theta = random_affine(len(batch["images"]), REORIENT_CHANCE, generator, stretch=config.stretch)
    present = drop_sequences(batch["present"], config.dropout, generator)
    images = jitter_contrast(warp(batch["images"], theta), generator, config.jitter)
    return theta, {"images": images * per_plane(present, images), "present": present}


def jitter_contrast(
    images: Tensor, generator: torch.Generator, width: float = 1.0, sequences: int = 3
) -> Tensor:
    """Change gain, offset, curvature and noise of every sequence of normalized images.

    Args:
        images: float (B, C, H, W) in -4..4, the planes of each sequence side by side.
        generator: source of randomness (CPU).
        width: of the ranges of gain, offset and noise; the curve stays monotonic.
        sequences: of the images; the planes of one are changed alike.

    Returns:
        Float tensor of the same shape, in -4..4.
    """
    count = len(images) * sequences

    def per_channel(low: float, high: float) -> Tensor:
        values = uniform(count, low, high, generator).to(images)
        return per_plane(values.reshape(len(images), sequences), images)

    # x + c x^2 is monotonic on -4..4 while |c| < 1/8: a gamma curve for signed values.
    curved = images + per_channel(-0.08, 0.08) * images.square()
    gain = per_channel(-0.2231 * width, 0.2231 * width).exp()
    changed = curved * gain + per_channel(-0.25 * width, 0.25 * width)
    noise = torch.randn(images.shape, device=images.device, dtype=images.dtype)
    return (changed + per_channel(0.0, 0.12 * width) * noise).clamp(-4, 4)


def per_plane(values: Tensor, images: Tensor) -> Tensor:
    """Values (B, sequences) of each sequence for all its planes in images (B, C, H, W)."""
    planes = images.shape[1] // values.shape[1]
    return values.repeat_interleave(planes, dim=1)[:, :, None, None]


def drop_sequences(present: Tensor, chance: float, generator: torch.Generator) -> Tensor:
    """Take sequences away from complete patients; LGE or bSSFP always stays, as in a Case.

    Args:
        present: float (B, 3), bssfp, lge, t2.
        chance: share of the complete slices that lose at least one sequence.
        generator: source of randomness (CPU).

    Returns:
        float (B, 3).
    """
    kept = torch.tensor(
        [[1, 1, 0], [0, 1, 1], [0, 1, 0], [1, 0, 0], [1, 0, 1]], dtype=present.dtype
    )
    # LGE alone and LGE with bSSFP are what public data sets hold; the others are rarer.
    odds = torch.tensor([0.3, 0.15, 0.3, 0.15, 0.1])
    choice = torch.multinomial(odds, len(present), replacement=True, generator=generator)
    drawn = torch.rand(len(present), generator=generator) < chance
    dropped = drawn.to(present.device) & present.bool().all(dim=1)
    return torch.where(dropped[:, None], kept[choice].to(present.device), present)

"""A SAM of the real classes that is small enough for tests, and checkpoints of it."""

from __future__ import annotations

from pathlib import Path

import torch

from myops.networks.refiner import PromptBatch
from myops.networks.sam import Architecture, SamRefiner, build_sam

TINY = Architecture(32, 2, 2, (1,), image_size=64, prompt_channels=32)
SIZE = 16


def tiny_sam(seed: int = 0) -> torch.nn.Module:
    """Random weights everywhere, also where training starts at zero."""
    torch.set_num_threads(1)  # more only wait for each other in networks this small
    torch.manual_seed(seed)
    sam = build_sam(TINY)
    with torch.no_grad():
        for parameter in sam.parameters():
            parameter.normal_(0, 0.2)
    return sam.eval()


def tiny_refiner(seed: int = 0) -> SamRefiner:
    return SamRefiner(tiny_sam(seed), SIZE).eval()


def save_tiny(path: Path, seed: int = 0) -> Path:
    """A checkpoint in the published format: a bare mapping of names to tensors."""
    torch.save(tiny_sam(seed).state_dict(), path)
    return path


def squares(batch: int = 2, seed: int = 0, size: int = SIZE) -> tuple[torch.Tensor, ...]:
    """Images -4..4, all sequences present, probabilities."""
    source = torch.Generator().manual_seed(seed)
    images = torch.rand(batch, 3, size, size, generator=source) * 8 - 4
    return images, torch.ones(batch, 3), torch.zeros(batch, 4, size, size)


def clicks(batch: int = 2, size: int = SIZE, mask: bool = True) -> PromptBatch:
    """One click to add and one to remove; a square as the present mask, or an empty one."""
    present = torch.zeros(batch, 1, size, size)
    if mask:
        present[:, :, 4:9, 5:11] = 1
    return PromptBatch(
        structure=torch.arange(batch),
        points=torch.tensor([[[6.0, 5.0], [2.0, 12.0]]]).repeat(batch, 1, 1),
        signs=torch.tensor([[1, 0]]).repeat(batch, 1),
        mask=present,
        tissues=torch.zeros(batch, 4, size, size),
    )

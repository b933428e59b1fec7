"""What the training loop needs to know about a network: five functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from myops.training.config import TrainingConfig

# Slices of one patient as NumPy arrays (workers) or a batch of slices as tensors (the loop); the
# first axis of every entry counts slices.
Slices = dict[str, np.ndarray]
Batch = dict[str, Tensor]
# Total loss, and its parts by name for the curves.
Loss = tuple[Tensor, dict[str, Tensor]]


@dataclass(frozen=True)
class Stage:
    """A network's part of the training.

    Attributes:
        name: "heartfinder", "dae", "assn" or "prsn".
        build: makes the network with random weights.
        prepare: patient to slices, in a worker process.
        augment: batch as drawn from the pool to the batch the loss sees, on the device.
        make_loss: makes the function (network, batch) -> loss; loads what the loss needs.
        score: network and one patient's slices to Dice scores, for the curves.
    """

    name: str
    build: Callable[[TrainingConfig], nn.Module]
    prepare: Callable[[Any, np.random.Generator, TrainingConfig], Slices]
    augment: Callable[[Batch, torch.Generator, TrainingConfig], Batch]
    make_loss: Callable[[TrainingConfig, torch.device], Callable[[nn.Module, Batch], Loss]]
    score: Callable[[nn.Module, Batch], dict[str, float]]


def dice(prediction: Tensor, target: Tensor) -> float:
    """Dice of two bool tensors of any shape; NaN when the target is empty, as in myops.compare."""
    if not bool(target.any()):
        return float("nan")
    total = int(prediction.sum()) + int(target.sum())
    return 2 * int((prediction & target).sum()) / total

"""What the training loop needs to know about a network: five functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

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


class Patient(Protocol):
    """What a training sees of a patient: a phantom, or a labeled case (`training.cases`).

    Everything is on one grid, arrays (z, y, x).
    """

    @property
    def images(self) -> Mapping[str, np.ndarray]:
        """Float32 per present sequence."""

    @property
    def labels(self) -> np.ndarray:
        """Uint16, MyoPS values; scar includes MVO."""

    @property
    def mvo(self) -> np.ndarray:
        """Bool, microvascular obstruction inside the scar."""

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """(x, y, z), z from slice center to slice center."""

    @property
    def acute(self) -> bool:
        """The scar is fresh, hence edematous."""


# Gives the patient of an index, and the random numbers with which slices are made of it.
Source = Callable[[int], tuple[Patient, np.random.Generator]]


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
    """Dice of two bool tensors of any shape; NaN when the target is empty."""
    if not bool(target.any()):
        return float("nan")
    total = int(prediction.sum()) + int(target.sum())
    return 2 * int((prediction & target).sum()) / total

"""Checkpoints that survive a kill at any moment: written beside, then moved over the old one."""

from __future__ import annotations

import io
import json
import math
import os
import subprocess
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from myops.errors import InputError
from myops.training.config import TrainingConfig, config_from_dict
from myops.weights.files import load_tensors, read_metadata
from myops.weights.learned import learned_in

CHECKPOINT_NAME = "checkpoint.pt"


@dataclass
class TrainingProgress:
    """Where a training stands.

    Attributes:
        step: optimizer steps done.
        elapsed_s: seconds of training so far, all resumed parts together.
        next_patient: index of the next patient to generate.
        metrics: the last scores on held-out patients.
    """

    step: int = 0
    elapsed_s: float = 0.0
    next_patient: int = 0
    metrics: dict[str, float] = field(default_factory=dict)

    def fraction(self, config: TrainingConfig) -> float:
        """Share of the training that is done: of `minutes` where set, else of `steps`."""
        if config.minutes > 0:
            return self.elapsed_s / (60 * config.minutes)
        return self.step / config.steps


@dataclass
class State:
    """All that changes while training, and what is kept with it.

    Attributes:
        average: the running mean of the weights, or None.
        learned: checksums of the images that the weights have learned from, also in the trainings
            that they come from; none for phantoms.
    """

    model: nn.Module
    average: nn.Module | None
    optimizer: torch.optim.Optimizer
    progress: TrainingProgress
    rng: np.random.Generator
    generator: torch.Generator
    learned: frozenset[str] = frozenset()


def save_checkpoint(path: Path, stage: str, config: TrainingConfig, state: State) -> None:
    """Write everything a training needs to go on; the old file stays until the new is complete.

    Raises:
        OSError: the folder cannot be written to.
    """
    content = {
        "stage": stage,
        "config": json.dumps(asdict(config)),
        "commit": git_commit(),
        "progress": json.dumps(asdict(state.progress)),
        "learned": json.dumps(sorted(state.learned)),
        "model": state.model.state_dict(),
        "average": state.average.state_dict() if state.average else {},
        "optimizer": state.optimizer.state_dict(),
        "numpy_rng": json.dumps(state.rng.bit_generator.state),
        "torch_rng": state.generator.get_state(),
        "global_rng": torch.get_rng_state(),
    }
    # On a full disk torch's own writer fails without telling so; a file's does.
    packed = io.BytesIO()
    torch.save(content, packed)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("wb") as file:
            file.write(packed.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        size_mb = len(packed.getbuffer()) / 1e6
        raise OSError(
            error.errno,
            f"cannot write {path} ({size_mb:.1f} MB): {error.strerror or error}; "
            "make room and call the same command again, it goes on from the last checkpoint",
        ) from error
    finally:
        beside.unlink(missing_ok=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint; nothing in it is executed (weights_only).

    Raises:
        InputError: missing, damaged, or not a checkpoint of this program.
    """
    if not path.is_file():
        raise InputError(f"expected a checkpoint, found no file {path}: train first")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"expected a checkpoint, cannot read {path}: {first}") from error
    if not isinstance(content, dict) or "stage" not in content or "progress" not in content:
        raise InputError(f"expected a checkpoint written by `myops train`, found {path}")
    return content


def stored_config(content: dict[str, Any]) -> TrainingConfig:
    """The configuration stored in a checkpoint."""
    return config_from_dict(content["stage"], json.loads(content["config"]))


def restore_state(content: dict[str, Any], state: State) -> None:
    """Put a checkpoint's content into a freshly built state.

    Raises:
        InputError: it was written for a network of another shape, or by another version.
    """
    try:
        state.model.load_state_dict(content["model"])
        if state.average is not None:
            state.average.load_state_dict(content["average"] or content["model"])
        state.optimizer.load_state_dict(content["optimizer"])
        state.rng.bit_generator.state = json.loads(content["numpy_rng"])
        state.generator.set_state(content["torch_rng"])
        torch.set_rng_state(content["global_rng"])
        progress = json.loads(content["progress"])
    except (KeyError, RuntimeError, ValueError) as error:
        raise InputError(
            f"expected a checkpoint of this network and version, found another (commit "
            f"{content.get('commit', 'unknown')}): {str(error).splitlines()[-1].strip()}; train "
            "into another folder, or start from its weights with --set start=FILE"
        ) from error
    for name in {own.name for own in fields(TrainingProgress)} & set(progress):
        setattr(state.progress, name, progress[name])


def load_weights(path: Path, network: nn.Module) -> None:
    """Load a network's weights from a checkpoint (its running mean, if any) or a safetensors file.

    A network of several planes takes those of one plane: it starts as blind to the other planes
    and answers just as the network that it starts from. A PRSN with a margin takes those of one
    without and one with an output for MVO those of one that has none, a refiner that sees floods
    those of one that does not.

    Raises:
        InputError: missing or damaged file, or weights of another network.
    """
    weights = load_tensors(path) if path.suffix == ".safetensors" else trained_weights(path)
    weights = add_outside(widen_planes(weights, network), network)
    weights = add_planes(add_mvo(weights, network), network)
    try:
        network.load_state_dict(weights)
    except RuntimeError:
        raise InputError(
            f"{path}: expected weights of this network, found those of another{_made_with(path)}"
        ) from None


# Settings that decide a network's shape, of the stages that have them.
SHAPE = ("planes", "margin", "mvo", "widths", "fusion", "sequences", "target")


def _made_with(path: Path) -> str:
    """The stage and the settings of shape that weights were made with, for an error; or nothing."""
    if path.suffix == ".safetensors":
        told = read_metadata(path)
        stage, settings = told.get("network", ""), json.loads(told.get("config", "{}"))
    else:
        content = read_checkpoint(path)
        stage, settings = content["stage"], json.loads(content["config"])
    given = {name: settings[name] for name in SHAPE if settings.get(name)}
    shape = [
        f"--set {name}={','.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in given.items()
    ]
    made = f", made with {' '.join(shape)}: give the same" if shape else ""
    return f": {stage}{made}" if stage else ""


def widen_planes(weights: dict[str, torch.Tensor], network: nn.Module) -> dict[str, torch.Tensor]:
    """Kernels of one plane as the middle of a network's several planes, zeros around them."""
    planes = getattr(network, "planes", 1)
    if planes == 1:
        return weights
    wanted = network.state_dict()
    widened = dict(weights)
    for name, kernel in weights.items():
        needs_planes = (
            kernel.ndim == 4
            and name in wanted
            and kernel.shape[1] * planes == wanted[name].shape[1]
            and kernel.shape[0] == wanted[name].shape[0]
        )
        if needs_planes:
            wide = torch.zeros_like(wanted[name])
            wide[:, planes // 2 :: planes] = kernel.to(wide)
            widened[name] = wide
    return widened


def add_outside(weights: dict[str, torch.Tensor], network: nn.Module) -> dict[str, torch.Tensor]:
    """Weights of a PRSN without a margin for one with it: half of "other" becomes "outside"."""
    head = weights.get("main.head.weight")
    if not getattr(network, "margin", 0) or head is None or len(head) != 4:
        return weights
    bias = weights["main.head.bias"].clone()
    bias[0] -= math.log(2)
    return weights | {
        "main.head.weight": torch.cat((head, head[:1])),
        "main.head.bias": torch.cat((bias, bias[:1])),
    }


def add_mvo(weights: dict[str, torch.Tensor], network: nn.Module) -> dict[str, torch.Tensor]:
    """Weights of a PRSN without an output for MVO for one with it: it begins at one in eight."""
    head = weights.get("main.head.weight")
    if not getattr(network, "mvo", 0) or head is None or "main.mvo.weight" in weights:
        return weights
    return weights | {
        "main.mvo.weight": torch.zeros_like(head[:1]),
        "main.mvo.bias": torch.full_like(weights["main.head.bias"][:1], -2.0),
    }


def add_planes(weights: dict[str, torch.Tensor], network: nn.Module) -> dict[str, torch.Tensor]:
    """Weights of a refiner without floods for one with them: zeros for the new, last planes."""
    name = "head.fine.0.0.weight"
    if not getattr(network, "floods", 0) or name not in weights:
        return weights
    wanted, kernel = network.state_dict()[name], weights[name]
    if kernel.shape[1] >= wanted.shape[1]:
        return weights
    wide = torch.zeros_like(wanted)
    wide[:, : kernel.shape[1]] = kernel.to(wide)
    return weights | {name: wide}


def learned_by(path: Path) -> frozenset[str]:
    """Checksums of the images that the network in a checkpoint or safetensors file learned from.

    Raises:
        InputError: missing or damaged file.
    """
    is_checkpoint = path.suffix != ".safetensors"
    return learned_in(read_checkpoint(path) if is_checkpoint else read_metadata(path))


def trained_weights(path: Path) -> dict[str, torch.Tensor]:
    """A checkpoint's weights: their running mean where there is one.

    Raises:
        InputError: missing or damaged checkpoint.
    """
    content = read_checkpoint(path)
    weights: dict[str, torch.Tensor] = content["average"] or content["model"]
    return weights


@cache
def git_commit() -> str:
    """Commit of the source tree this package runs from, as it was at the first call.

    Ends in "-dirty" where files differ from the commit; "unknown" outside a repository.
    """
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()

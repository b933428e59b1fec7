"""SAM as the network that a training of the refiner starts from."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from myops.errors import InputError
from myops.networks.lora import Adaptation, adapt
from myops.networks.sam import ARCHITECTURES, SamRefiner
from myops.training.config import RefinerConfig
from myops.weights.published import KNOWN_MODELS
from myops.weights.sam_adaptation import start_sam_refiner
from myops.weights.store import find_model

EMBEDDED = "embedded"


def build_sam_refiner(config: RefinerConfig) -> nn.Module:
    """The configuration's SAM with its LoRA or adapters, as training starts.

    Raises:
        InputError: unknown backbone or adaptation; a checkpoint that is missing, unusable or of
            another architecture.
    """
    return start_sam(config)[0]


def start_sam(config: RefinerConfig) -> tuple[SamRefiner, Adaptation, Path]:
    """The network before training, what is trained, and the base checkpoint's file."""
    if config.backbone not in ARCHITECTURES:
        known = ", ".join((EMBEDDED, *ARCHITECTURES))
        raise InputError(f"expected a backbone among {known}, found {config.backbone!r}")
    if config.adapt == "none":
        raise InputError("expected adapt=lora, adapter or full, found none: nothing to train")
    base = _base(config)
    model, architecture = start_sam_refiner(base, config.size)
    if architecture != config.backbone:
        raise InputError(f"{base}: expected SAM {config.backbone}, found {architecture}")
    return model, adapt(model, config.adapt, config.rank), base


def _base(config: RefinerConfig) -> Path:
    if config.checkpoint:
        return find_model(config.checkpoint).path
    files = [k.how_to_get() for k in KNOWN_MODELS if k.architecture == config.backbone]
    raise InputError(
        f"expected checkpoint=FILE_OR_NAME for the backbone {config.backbone}, found none: "
        + "; or ".join(files)
    )

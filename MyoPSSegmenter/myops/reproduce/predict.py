"""From a row's network to a label map on the Case's grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from myops.cascade import crop_case
from myops.case import Case
from myops.cropping import (
    SquareBox,
    assn_input,
    crop_stack,
    prsn_input,
    tissue_box,
    uncrop_stack,
)
from myops.decision import clean_region
from myops.labels import MYOPS
from myops.training.checkpoint import load_weights, read_checkpoint, stored_config
from myops.training.config import TrainingConfig, UnetConfig
from myops.training.dssnet import labels_from
from myops.training.unet import TARGETS

# What a class of a network is called in a label map.
VALUES = {
    "normal": MYOPS["normal_myocardium"],
    "edema": MYOPS["edema"],
    "scar": MYOPS["scar"],
}
CHUNK = 16


def load_trained(checkpoint: Path, device: str = "cpu") -> tuple[nn.Module, TrainingConfig]:
    """A checkpoint's network with the running mean of its weights, and its configuration.

    Raises:
        InputError: missing or damaged checkpoint.
    """
    from myops.training.loop import STAGES

    content = read_checkpoint(checkpoint)
    config = stored_config(content)
    network = STAGES[content["stage"]].build(config)
    load_weights(checkpoint, network)
    return network.eval().to(device), config


def predict_region(
    network: nn.Module, config: TrainingConfig, case: Case, box: SquareBox
) -> np.ndarray:
    """The LV region, bool (z, y, x), of an ASSN or of a U-Net whose target it is."""
    crops, present = crop_case(case, box, config.size)
    images = assn_input(crops)
    outputs = _run(network, images, present, takes_flags=not isinstance(config, UnetConfig))
    if isinstance(config, UnetConfig):
        probability = outputs.softmax(dim=1)[:, 1]
    else:
        probability = outputs.sigmoid()[:, 0]
    found = uncrop_stack(probability.numpy(), box, case.geometry.array_shape)
    return clean_region(found > 0.5)


def predict_tissues(
    network: nn.Module,
    config: TrainingConfig,
    case: Case,
    box: SquareBox,
    region: np.ndarray | None = None,
) -> np.ndarray:
    """Normal myocardium, edema and scar: uint16 MyoPS labels (z, y, x); blood pool in a region.

    Args:
        network: a U-Net, or a PRSN.
        config: its configuration.
        case: the images.
        box: the square around the heart; with a region the square around that is taken instead.
        region: bool (z, y, x), the LV region it looks inside; None = it sees the whole square.

    Raises:
        InputError: the region is too small to be a left ventricle's.
    """
    if region is not None:
        box = tissue_box(region, case.geometry.spacing_mm)
    crops, present = crop_case(case, box, config.size)
    inside = None
    if region is None:
        images = assn_input(crops)
    else:
        inside = crop_stack(region.astype(np.float32), box, config.size) > 0.5
        images = prsn_input(crops, inside)
    flags = not isinstance(config, UnetConfig)
    probability = _run(network, images, present, flags).softmax(dim=1).numpy()
    if inside is not None:
        probability = probability * inside[:, None]
    names = TARGETS[config.target] if isinstance(config, UnetConfig) else TARGETS["tissues"]
    shape = case.geometry.array_shape
    restored = np.stack(
        [uncrop_stack(probability[:, k], box, shape) for k in range(1 + len(names))], axis=1
    )
    values = np.array([0, *(VALUES[name] for name in names)], np.uint16)
    if region is None:
        return values[restored.argmax(axis=1)]
    values[0] = MYOPS["blood_pool"]
    return np.where(region, values[restored.argmax(axis=1)], 0).astype(np.uint16)


def region_labels(region: np.ndarray) -> np.ndarray:
    """A region as a label map: all of it blood pool, for nothing more is known."""
    return np.where(region, MYOPS["blood_pool"], 0).astype(np.uint16)


def predict_dssnet(network: nn.Module, case: Case, box: SquareBox, size: int) -> np.ndarray:
    """All labels of a DSS-Net-style network: uint16 MyoPS labels (z, y, x)."""
    crops, present = crop_case(case, box, size)
    outputs = _chunks(network, network, assn_input(crops), present)
    shape = case.geometry.array_shape
    restored = {}
    for name, logits in outputs.items():
        planes = logits.softmax(dim=1).numpy().swapaxes(0, 1)
        restored[name] = np.stack([uncrop_stack(plane, box, shape) for plane in planes], axis=1)
    return labels_from(restored)


def _run(
    network: nn.Module, images: np.ndarray, present: np.ndarray, takes_flags: bool
) -> torch.Tensor:
    """Logits (z, C, S, S) on the CPU: of the only answer, or of the PRSN's main branch."""

    def one(shown: torch.Tensor, flags: torch.Tensor) -> dict[str, torch.Tensor]:
        output = network(shown, flags) if takes_flags else network(shown)
        return {"main": output["main"] if isinstance(output, dict) else output}

    return _chunks(one, network, images, present)["main"]


def _chunks(
    answer: Callable[..., Mapping[str, torch.Tensor]],
    network: nn.Module,
    images: np.ndarray,
    present: np.ndarray,
) -> dict[str, torch.Tensor]:
    """The answers by name to images (z, 3, S, S) and flags (z, 3), chunk by chunk; on the CPU."""
    device = next(network.parameters()).device
    outputs: dict[str, list[torch.Tensor]] = {}
    with torch.inference_mode():
        for first in range(0, len(images), CHUNK):
            chunk = slice(first, first + CHUNK)
            arguments = [torch.from_numpy(array[chunk]).to(device) for array in (images, present)]
            for name, logits in answer(*arguments).items():
                outputs.setdefault(name, []).append(logits.float().cpu())
    return {name: torch.cat(logits) for name, logits in outputs.items()}

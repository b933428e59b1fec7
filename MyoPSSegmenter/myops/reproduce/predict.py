"""From a row's network to a label map on the Case's grid."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from myops.cascade.network_inputs import assn_input, candidate_image, prsn_input, tissue_box
from myops.cascade.postprocessing import clean_region
from myops.cascade.segment import crop_case
from myops.case import Case
from myops.geometry.square import SquareBox, crop_stack, uncrop_stack
from myops.labels import MYOPS
from myops.structures import ASSESSABLE
from myops.training.config import TrainingConfig, UnetConfig
from myops.training.stages.dssnet import labels_from
from myops.training.stages.unet import TARGETS

# What a class of a network is called in a label map.
VALUES = {"normal": MYOPS["normal_myocardium"], **{name: MYOPS[name] for name in ASSESSABLE}}
CHUNK = 16


def predict_region(
    network: nn.Module, config: TrainingConfig, case: Case, box: SquareBox
) -> np.ndarray:
    """The LV region, bool (z, y, x), of an ASSN or of a U-Net whose target it is."""
    crops, present = crop_case(case, box, config.size)
    if isinstance(config, UnetConfig):
        outputs = _answers(network, unet_square(crops, present), present)["main"]
        probability = outputs.softmax(dim=1)[:, 1]
    else:
        outputs = _answers(network, assn_input(crops), present)["main"]
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
        box = tissue_box(region, case.geometry.spacing_mm, case.spacing_known)
    crops, present = crop_case(case, box, config.size)
    inside = None
    if region is None:
        images = unet_square(crops, present)
    else:
        inside = crop_stack(region.astype(np.float32), box, config.size) > 0.5
        images = prsn_input(crops, inside)
    probability = _answers(network, images, present)["main"].softmax(dim=1).numpy()
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


def unet_square(crops: Mapping[str, np.ndarray], present: np.ndarray) -> np.ndarray:
    """What a U-Net of the whole square sees, as its training shows it (`training.unet`).

    Args:
        crops: raw crops (z, S, S) by sequence.
        present: float (z, 3), 1 for a present sequence.

    Returns:
        float32 (z, 3, S, S), 0 to 2 as in a candidate image; 0 for an absent sequence.
    """
    shown: np.ndarray = candidate_image(assn_input(crops), present[:, :, None, None])
    return shown.astype(np.float32)


def region_labels(region: np.ndarray) -> np.ndarray:
    """A region as a label map: all of it blood pool, for nothing more is known."""
    return np.where(region, MYOPS["blood_pool"], 0).astype(np.uint16)


def predict_dssnet(network: nn.Module, case: Case, box: SquareBox, size: int) -> np.ndarray:
    """All labels of a DSS-Net-style network: uint16 MyoPS labels (z, y, x)."""
    crops, present = crop_case(case, box, size)
    outputs = _answers(network, assn_input(crops), present)
    shape = case.geometry.array_shape
    restored = {}
    for name, logits in outputs.items():
        planes = logits.softmax(dim=1).numpy().swapaxes(0, 1)
        restored[name] = np.stack([uncrop_stack(plane, box, shape) for plane in planes], axis=1)
    return labels_from(restored)


def _answers(
    network: nn.Module, images: np.ndarray, present: np.ndarray
) -> dict[str, torch.Tensor]:
    """Logits (z, C, S, S) by name, chunk by chunk; "main" is a network's only answer.

    Args:
        network: takes images float (B, 3, S, S) and flags of the present sequences float (B, 3).
        images: float32 (z, 3, S, S).
        present: float32 (z, 3).
    """
    outputs: dict[str, list[torch.Tensor]] = {}
    with torch.inference_mode():
        for first in range(0, len(images), CHUNK):
            chunk = slice(first, first + CHUNK)
            answer = network(*(torch.from_numpy(array[chunk]) for array in (images, present)))
            named = answer if isinstance(answer, dict) else {"main": answer}
            for name, logits in named.items():
                outputs.setdefault(name, []).append(logits.float())
    return {name: torch.cat(logits) for name, logits in outputs.items()}

"""How a network is asked about one slice: what a case gives it, and what it answers.

Two kinds of networks answer clicks. One reads prompts itself, as SAM does (`networks.refiner`,
`networks.sam`); the click head (`networks.clickhead`) reads planes that say what the click means
(`click_planes`). Both are asked in the same square and answer with a probability for every pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from myops import labels as regions
from myops.cascade.network_inputs import REFINER_TISSUES, refiner_box, refiner_input
from myops.case import Case
from myops.geometry.square import SquareBox, crop_stack
from myops.networks.clickhead import ClickHead, on_square, pixels_of
from myops.networks.refiner import PromptBatch
from myops.refine.click_planes import (
    Levels,
    Situation,
    mean_beside,
    meant_domain,
    moving_planes,
    stack_levels,
    still_planes,
)
from myops.refine.connected import best_threshold, sign_margin
from myops.refine.prompts import STRUCTURES, Box, Point, Prompts
from myops.refine.rules import REGIONS
from myops.segmentation import Segmentation

# The network reads this many of the newest clicks; what older ones said is in the present mask, and
# every click's own voxel is honored in any case.
NEWEST_POINTS = 8


@dataclass(frozen=True)
class CaseInputs:
    """What a case gives to a network: see `network_inputs.refiner_input`.

    Attributes:
        box: the square, the same for all slices.
        shape_zyx: of the case.
        images, present, probabilities: what the networks see of it.
        automatic: uint16 (z, S, S), the labels that the correction starts from.
    """

    box: SquareBox
    shape_zyx: tuple[int, int, int]
    images: np.ndarray
    present: np.ndarray
    probabilities: np.ndarray
    automatic: np.ndarray

    @property
    def size(self) -> int:
        """Pixels along the square's side."""
        return int(self.images.shape[-1])

    @property
    def pixel_mm(self) -> float:
        """Side of the square's pixels."""
        return self.box.side_mm / self.size

    @cached_property
    def levels(self) -> Levels:
        """Signal of this patient's muscle and scar."""
        normal = regions.normal_myocardium(self.automatic)
        return stack_levels(self.images, normal, regions.scar(self.automatic))

    @cached_property
    def probabilities_beside(self) -> np.ndarray:
        """Float32 (z, 4, S, S): of every slice the mean of those beside it."""
        return mean_beside(self.probabilities)


def case_inputs(case: Case, segmentation: Segmentation, size: int) -> CaseInputs:
    """What a case gives to networks that see squares of this size.

    Raises:
        InputError: the segmentation shows no left ventricle.
    """
    box = refiner_box(segmentation, case.spacing_known)
    seen = refiner_input(case, segmentation, box, size)
    automatic = crop_stack(segmentation.labels, box, size)
    return CaseInputs(box, case.geometry.array_shape, *seen, automatic)


@dataclass(frozen=True)
class Answer:
    """What a network says about one structure in one slice, in the square.

    Attributes:
        probability: float32 (S, S), 0..1.
        seen: float32 (S, S), the present mask as it saw it.
        threshold: above it a pixel belongs to the structure.
        margin: float (S, S), how much surer than the threshold a change has to be.
        quality: the IoU it expects of that mask.
    """

    probability: np.ndarray
    seen: np.ndarray
    threshold: float
    margin: np.ndarray
    quality: float


class ClickAnswers(Protocol):
    """A network, and how it is asked."""

    changes_mask: bool
    """Whether an answer is a change of the present mask, so that the whole of it can be taken."""

    def encode(self, inputs: CaseInputs, index: int) -> Any:
        """What does not change while a reader corrects a slice."""

    def answer(
        self, features: Any, inputs: CaseInputs, prompts: Prompts, labels: np.ndarray
    ) -> Answer:
        """Correct one structure in one slice of the present labels, uint16 (z, y, x)."""


def answers_of(network: nn.Module, device: torch.device) -> ClickAnswers:
    """How a network is asked."""
    kind = HeadAnswers if isinstance(network, ClickHead) else PromptedAnswers
    return kind(network, device)


class PromptedAnswers:
    """A network that reads prompts: `encode` once per slice, `decode` once per click."""

    changes_mask = True

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self.network, self.device = network, device

    def encode(self, inputs: CaseInputs, index: int) -> Any:
        """The network's features of a slice."""
        arrays = (inputs.images, inputs.present, inputs.probabilities)
        tensors = [torch.from_numpy(a[index : index + 1]).to(self.device) for a in arrays]
        with torch.inference_mode():
            return self.network.encode(*tensors)  # type: ignore[operator]

    def answer(
        self, features: Any, inputs: CaseInputs, prompts: Prompts, labels: np.ndarray
    ) -> Answer:
        """Cut where it is as likely as not: its training counted pixels, not calibration."""
        batch, seen = self._prompts(prompts, labels[prompts.slice_index], inputs)
        with torch.inference_mode():
            logits, quality = self.network.decode(features, batch)  # type: ignore[operator]
        probability = torch.sigmoid(logits[0, 0]).float().cpu().numpy()
        return Answer(probability, seen, 0.5, np.zeros_like(seen), float(quality[0]))

    def _prompts(
        self, prompts: Prompts, plane: np.ndarray, inputs: CaseInputs
    ) -> tuple[PromptBatch, np.ndarray]:
        """The network's prompts, and the present mask as it sees it, float (S, S)."""
        points = prompts.points[-NEWEST_POINTS:]
        places = np.array([in_square(p.row, p.column, inputs.box, inputs.size) for p in points],
                          np.float32)  # fmt: skip
        tissues = [getattr(regions, name)(plane) for name in REFINER_TISSUES]
        mask = REGIONS[prompts.structure](plane)
        planes = np.stack([mask, *tissues]).astype(np.float32)
        planes = crop_stack(planes, inputs.box, inputs.size)
        box = None if prompts.box is None else _corners(prompts.box, inputs)
        batch = PromptBatch(
            structure=torch.tensor([STRUCTURES.index(prompts.structure)]),
            points=torch.from_numpy(places.reshape(1, -1, 2)),
            signs=torch.tensor([[int(p.positive) for p in points]], dtype=torch.long),
            mask=torch.from_numpy(planes[None, :1]),
            tissues=torch.from_numpy(planes[None, 1:]),
            boxes=None if box is None else torch.from_numpy(box)[None],
        )
        return batch.to(self.device), planes[0]


class HeadAnswers:
    """The click head: planes are made here, the network weighs them."""

    # It judges every pixel anew: its whole answer would replace what a reader has drawn elsewhere.
    changes_mask = False

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self.network, self.device = network, device

    def encode(self, inputs: CaseInputs, index: int) -> np.ndarray:
        """The planes of a slice that no click changes."""
        return still_planes(
            inputs.images[index],
            inputs.present[index],
            inputs.probabilities[index],
            inputs.probabilities_beside[index],
            inputs.levels,
        )

    def answer(
        self, features: Any, inputs: CaseInputs, prompts: Prompts, labels: np.ndarray
    ) -> Answer:
        """Cut where the expected Dice of the slice is greatest, with a margin for the sign."""
        situation, seen = _situation(prompts, labels, inputs)
        moving = moving_planes([features], [situation], [inputs.pixel_mm])
        planes = np.concatenate((features[None], moving), axis=1)
        domain = torch.from_numpy(meant_domain(planes))
        with torch.inference_mode():
            logits = self.network(pixels_of(torch.from_numpy(planes), domain).to(self.device))
        probability = torch.sigmoid(on_square(logits.float().cpu(), domain)[0]).numpy()
        threshold = best_threshold(probability, situation.mask)
        margin = np.zeros_like(seen)
        if isinstance(prompts.newest, Point):
            margin = sign_margin(situation.mask, bool(situation.points[-1][-1]))
        return Answer(probability, seen, threshold, margin, _expected_iou(probability, threshold))


def _situation(
    prompts: Prompts, labels: np.ndarray, inputs: CaseInputs
) -> tuple[Situation, np.ndarray]:
    """What the reader sees and has said, and the present mask before it is cut, float (S, S)."""
    k, region = prompts.slice_index, REGIONS[prompts.structure]
    near = [labels[z] for z in (k - 1, k + 1) if 0 <= z < len(labels)]
    beside = (
        np.mean([region(plane) for plane in near], axis=0) if near else np.zeros(labels[k].shape)
    )
    drawn = (region(labels[k]), regions.blood_pool(labels[k]), regions.lv_region(labels[k]), beside)
    planes = crop_stack(np.stack(drawn).astype(np.float32), inputs.box, inputs.size)
    mask, blood, ventricle = planes[:3] > 0.5
    points = [
        (*in_square(p.row, p.column, inputs.box, inputs.size), int(p.positive))
        for p in prompts.points
    ]
    box = None if prompts.box is None else _corners(prompts.box, inputs)
    corners = None if box is None else (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
    structure = STRUCTURES.index(prompts.structure)
    return Situation(structure, mask, blood, ventricle, planes[3], points, corners), planes[0]


def _expected_iou(probability: np.ndarray, threshold: float) -> float:
    """Expected intersection over expected union of the mask above a threshold."""
    inside = probability > threshold
    union = np.count_nonzero(inside) + float(probability[~inside].sum())
    return float(probability[inside].sum()) / union if union else 1.0


def in_square(row: float, column: float, box: SquareBox, size: int) -> tuple[float, float]:
    """A place in the slice as x and y in the square's pixels."""
    step = [box.side_mm / size / spacing for spacing in box.spacing_yx_mm]
    y = (row - box.center_yx[0]) / step[0] + (size - 1) / 2
    x = (column - box.center_yx[1]) / step[1] + (size - 1) / 2
    return x, y


def _corners(drawn: Box, inputs: CaseInputs) -> np.ndarray:
    """A drawn box in the square's pixels, float32 x0, y0, x1, y1, cut off at the square."""
    corners = [
        in_square(drawn.row_0, drawn.column_0, inputs.box, inputs.size),
        in_square(drawn.row_1, drawn.column_1, inputs.box, inputs.size),
    ]
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    return np.clip([*low, *high], 0, inputs.size - 1).astype(np.float32)

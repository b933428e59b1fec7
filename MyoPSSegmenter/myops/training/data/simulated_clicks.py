"""A simulated reader for training: start masks, clicks and boxes for a batch of slices.

What a reader sees is a label map, here in classes: 0 outside, 1 blood pool, 2 normal myocardium,
3 edema, 4 scar, 5 MVO. It corrects one structure per slice, starting from the cascade's labels with
their real errors, from these labels corrupted, or from nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from myops.evaluation.simulated_reader import next_click, place_inside
from myops.geometry.masks import grow_in_plane, largest_component
from myops.networks.refiner import PromptBatch
from myops.refine.prompts import STRUCTURES, Point
from myops.sequences import channel
from myops.structures import SHOWN_BY

OUTSIDE, BLOOD, NORMAL, EDEMA, SCAR, MVO = range(6)
# Classes that make up each structure, in the order of STRUCTURES.
CLASSES_OF = ((SCAR, MVO), (EDEMA,), (NORMAL, EDEMA, SCAR, MVO), (BLOOD,), (MVO,))
# What a voxel becomes when it is taken into a structure, and when it is taken out of it.
ADDED = (SCAR, EDEMA, NORMAL, BLOOD, MVO)
REMOVED = (NORMAL, NORMAL, OUTSIDE, NORMAL, SCAR)
# How often each structure is trained where the slice shows it, and where it does not.
SHOWN_WEIGHT = (10.0, 2.0, 0.7, 0.7, 0.5)
EMPTY_WEIGHT = (0.3, 0.1, 0.1, 0.1, 0.02)


@dataclass(frozen=True)
class ReaderConfig:
    """How the simulated reader behaves.

    Attributes:
        empty_share, corrupted_share: how often it starts from nothing and from a corrupted mask;
            else from the cascade's.
        box_share: how often it draws a box first.
        mistake_share: how often a click lands on the wrong side of a border by mistake.
        carried_share: how often a spoiled mask is one that runs on too far along the wall or
            through it, as a cascade's does; else it has bites, blobs or is moved.
        off_px: standard deviation by which every click misses its place.
        second_share: how often he clicks into the second largest error.
        satisfied_dice: from which Dice on he lets the slice be.
    """

    empty_share: float = 0.15
    corrupted_share: float = 0.25
    box_share: float = 0.12
    mistake_share: float = 0.02
    carried_share: float = 0.0
    off_px: float = 0.0
    second_share: float = 0.0
    satisfied_dice: float = 1.0


def structure_of(classes: np.ndarray, structure: int) -> np.ndarray:
    """Bool, where a class map (any shape) has the structure."""
    return np.isin(classes, CLASSES_OF[structure])


def with_structure(classes: np.ndarray, mask: np.ndarray, structure: int) -> np.ndarray:
    """The class map with the structure's mask put in; what is taken out gets a plain successor."""
    changed = classes.copy()
    had = structure_of(classes, structure)
    changed[had & ~mask] = REMOVED[structure]
    changed[mask & ~had] = ADDED[structure]
    return changed


def corrupt_mask(mask: np.ndarray, wall: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A mask (bool (S, S)) with the errors of another reader or program.

    One to three of: a bite out of it, a blob beside it or elsewhere in the wall, grown, shrunk,
    moved by some pixels.
    """
    for _ in range(rng.integers(1, 4)):
        kind = rng.integers(5)
        if kind == 0 and mask.any():
            mask = mask & ~_disc(mask.shape, place_inside(mask, rng), rng.uniform(2, 9))
        elif kind == 1 and wall.any():
            near = grow_in_plane(wall, 2)
            mask = mask | (_disc(mask.shape, place_inside(wall, rng), rng.uniform(1.5, 7)) & near)
        elif kind == 2:
            mask = grow_in_plane(mask, int(rng.integers(1, 3)))
        elif kind == 3:
            mask = ndimage.binary_erosion(mask, iterations=1)
        else:
            mask = np.roll(mask, tuple(rng.integers(-3, 4, 2)), axis=(0, 1))
    return mask


def carry_on(mask: np.ndarray, wall: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A mask (bool (S, S)) that runs on too far: along the wall, or through it.

    Nine in ten false islands of scar are not islands: they hang together with true scar.
    """
    if not mask.any() or not wall.any():
        return mask
    if rng.random() < 0.6:
        rows, columns = np.nonzero(mask & ~ndimage.binary_erosion(mask))
        chosen = rng.integers(len(rows))
        disc = _disc(mask.shape, (int(rows[chosen]), int(columns[chosen])), rng.uniform(4, 15))
        return mask | (disc & grow_in_plane(wall, int(rng.integers(2))))
    through = grow_in_plane(wall, int(rng.integers(2)))
    return mask | (grow_in_plane(mask, int(rng.integers(3, 7))) & through)


def _disc(shape: tuple[int, ...], center: tuple[int, int], radius: float) -> np.ndarray:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    disc: np.ndarray = (rows - center[0]) ** 2 + (columns - center[1]) ** 2 <= radius**2
    return disc


class ClickSimulation:
    """One simulated reader at one slice: what it wants, what it sees, what it has said."""

    def __init__(
        self, truth: np.ndarray, automatic: np.ndarray, present: np.ndarray, config: ReaderConfig,
        rng: np.random.Generator,
    ) -> None:  # fmt: skip
        """Choose the structure and the mask to start from.

        Args:
            truth: uint8 (S, S), the true class map.
            automatic: uint8 (S, S), the cascade's class map.
            present: float (3,), the slice's sequences.
            config: the reader's habits.
            rng: source of randomness.
        """
        self.config, self.rng = config, rng
        self.truth, self.automatic = truth, automatic
        self.points: list[tuple[float, float, int]] = []
        self.box: tuple[float, float, float, float] | None = None
        structure = self._choose(truth, automatic, present)
        self.begin(structure, self._start(structure))
        if self.target.any() and rng.random() < config.box_share:
            self.box = self._draw_box()

    def begin(self, structure: int, mask: np.ndarray) -> None:
        """Start with a structure and its present mask, bool (S, S)."""
        self.structure = structure
        self.target = structure_of(self.truth, structure)
        self.classes = with_structure(self.automatic, mask, structure)
        self.mask = mask

    def _choose(self, truth: np.ndarray, automatic: np.ndarray, present: np.ndarray) -> int:
        visible = [
            name not in SHOWN_BY or present[channel(SHOWN_BY[name])] > 0 for name in STRUCTURES
        ]
        weights = [
            can * (SHOWN_WEIGHT if self._shown(truth, automatic, k) else EMPTY_WEIGHT)[k]
            for k, can in enumerate(visible)
        ]
        return int(self.rng.choice(len(STRUCTURES), p=np.array(weights) / np.sum(weights)))

    @staticmethod
    def _shown(truth: np.ndarray, automatic: np.ndarray, structure: int) -> bool:
        either = structure_of(truth, structure) | structure_of(automatic, structure)
        return bool(np.count_nonzero(either) >= 4)

    def _start(self, structure: int) -> np.ndarray:
        """The mask to start from: the cascade's, corrupted, or empty."""
        drawn = self.rng.random()
        mask = structure_of(self.automatic, structure)
        if drawn < self.config.empty_share:
            return np.zeros_like(mask)
        if drawn < self.config.empty_share + self.config.corrupted_share:
            base = mask if self.rng.random() < 0.5 else structure_of(self.truth, structure)
            wall = np.isin(self.truth, (NORMAL, EDEMA, SCAR, MVO))
            carried = self.config.carried_share and self.rng.random() < self.config.carried_share
            return (carry_on if carried else corrupt_mask)(base, wall, self.rng)
        return mask

    def _draw_box(self) -> tuple[float, float, float, float]:
        """Around the target, every side off by some pixels (x0, y0, x1, y1)."""
        rows, columns = np.nonzero(self.target)
        off = self.rng.normal(1.0, 1.5, 4)
        last = self.target.shape[0] - 1
        corners = (
            columns.min() - off[0], rows.min() - off[1], columns.max() + off[2], rows.max() + off[3]
        )  # fmt: skip
        x0, y0, x1, y1 = np.clip(corners, 0, last)
        return float(min(x0, x1)), float(min(y0, y1)), float(max(x0, x1)), float(max(y0, y1))

    def click(self) -> bool:
        """Click where the present mask is most wrong; False where he lets it be."""
        point = None if self._is_satisfied() else self._next_click()
        if point is None:
            return False
        row, column, positive = point.row, point.column, point.positive
        if self.config.off_px:
            row, column = self._inside(np.array([row, column]) + self.rng.normal(
                0, self.config.off_px, 2))  # fmt: skip
        if self.rng.random() < self.config.mistake_share:
            row, column = self._inside(np.array([row, column]) + self.rng.normal(0, 5, 2))
        # Readers click between pixel centers.
        row, column = np.array([row, column]) + self.rng.uniform(-0.5, 0.5, 2)
        self.points.append((float(column), float(row), int(positive)))
        return True

    def _is_satisfied(self) -> bool:
        size = np.count_nonzero(self.mask) + np.count_nonzero(self.target)
        both = np.count_nonzero(self.mask & self.target)
        return bool(2 * both > self.config.satisfied_dice * size)

    def _next_click(self) -> Point | None:
        """Into the largest error, or, if he overlooks it, into the largest of the rest."""
        if self.config.second_share and self.rng.random() < self.config.second_share:
            error = self.mask != self.target
            rest = next_click(self.mask, self.target ^ largest_component(error), self.rng)
            if rest is not None:
                return Point(
                    rest.row, rest.column, bool(self.target[int(rest.row), int(rest.column)])
                )
        return next_click(self.mask, self.target, self.rng)

    def _inside(self, place: np.ndarray) -> tuple[float, float]:
        row, column = np.clip(place, 0, self.target.shape[0] - 1)
        return float(row), float(column)

    def see(self, mask: np.ndarray) -> None:
        """The refiner's answer becomes the present mask."""
        self.mask = mask
        self.classes = with_structure(self.classes, mask, self.structure)


def prompt_batch(readings: list[ClickSimulation], device: torch.device) -> PromptBatch:
    """The prompts of all readings as tensors; missing points are padded in front."""
    count = max(1, max(len(reading.points) for reading in readings))
    points = np.zeros((len(readings), count, 2), np.float32)
    signs = np.full((len(readings), count), -1, np.int64)
    for k, reading in enumerate(readings):
        for place, (x, y, sign) in enumerate(reversed(reading.points)):
            points[k, -1 - place], signs[k, -1 - place] = (x, y), sign
    classes = np.stack([reading.classes for reading in readings])
    tissues = np.stack([classes == c for c in (BLOOD, NORMAL, EDEMA)], axis=1)
    scar = structure_of(classes, 0)[:, None]
    masks = np.stack([reading.mask for reading in readings])[:, None]
    return PromptBatch(
        structure=torch.tensor([reading.structure for reading in readings], device=device),
        points=torch.from_numpy(points).to(device),
        signs=torch.from_numpy(signs).to(device),
        mask=_soft(masks, device),
        tissues=_soft(np.concatenate((tissues, scar), axis=1), device),
        boxes=_boxes(readings, device),
    )


def _soft(planes: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(planes.astype(np.float32)).to(device)


def _boxes(readings: list[ClickSimulation], device: torch.device) -> Tensor | None:
    """Boxes where at least one reading has one: SAM takes them for all or none of a batch.

    A reading without a box gets the whole square, which says nothing.
    """
    if all(reading.box is None for reading in readings):
        return None
    last = float(readings[0].target.shape[0] - 1)
    boxes = [reading.box or (0.0, 0.0, last, last) for reading in readings]
    return torch.tensor(boxes, device=device)

"""Dialogues between a simulated reader and the click head: clicks out, answers in.

The head's answers are taken as in use (`refine.connected`): it learns from the masks that it
makes itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from myops.geometry.masks import label_components
from myops.networks.clickhead import on_square
from myops.refine.click_planes import Levels, Situation, meant_domain, moving_planes, still_planes
from myops.refine.connected import best_threshold, connected_change, cut, sign_margin
from myops.refine.prompts import STRUCTURES
from myops.training.data.simulated_clicks import (
    BLOOD,
    OUTSIDE,
    ClickSimulation,
    ReaderConfig,
    structure_of,
)
from myops.training.stages.stage import Batch, Slices

READER = ReaderConfig(
    corrupted_share=0.35,
    carried_share=0.6,
    mistake_share=0.04,
    off_px=1.0,
    second_share=0.15,
    satisfied_dice=0.95,
)
EXACT_READER = ReaderConfig(box_share=0.0, mistake_share=0.0)
# How often the slices beside are already corrected when a slice is.
CORRECTED_BESIDE = 0.4


@dataclass(frozen=True)
class Sample:
    """One click: the pixels that it can mean, and what an answer is compared with.

    Attributes:
        pixels: float16 (n, features).
        target, mask, clicked: bool (n,), what the reader wants, what he saw, and the error that he
            clicked into.
        true: pixels of the target in the whole square.
        each: how many pixels every one of these stands for.
    """

    pixels: Tensor
    target: Tensor
    mask: Tensor
    clicked: Tensor
    true: int
    each: float = 1.0

    def some(self, share: float, rng: np.random.Generator) -> Sample:
        """A random share of its pixels: enough to learn from, and cheaper."""
        count = max(1, round(share * len(self.target)))
        kept = torch.from_numpy(rng.choice(len(self.target), count, replace=False))
        planes = (self.pixels[kept], self.target[kept], self.mask[kept], self.clicked[kept])
        return Sample(*planes, self.true, len(self.target) / count)


class Dialogue:
    """A reader at one slice: his clicks out, answers in."""

    def __init__(self, arrays: Slices, seed: int, habits: ReaderConfig, clicks: int) -> None:
        """Begin.

        Args:
            arrays: of one slice, without the axis of slices.
            seed: of the reader.
            habits: of the reader.
            clicks: after how many prompts he ends, at most.
        """
        rng = np.random.default_rng(seed)
        one = {name: np.asarray(values, np.float32) for name, values in arrays.items()}
        self.reading = ClickSimulation(
            arrays["truth"][0], arrays["automatic"][0], arrays["present"], habits, rng
        )
        self.still = still_planes(
            one["images"],
            one["present"],
            one["probabilities"],
            one["probabilities_beside"],
            Levels(*one["levels"]),
        )
        place = "truth_beside" if rng.random() < CORRECTED_BESIDE else "automatic_beside"
        self.beside, self.pixel_mm = arrays[place], float(one["pixel_mm"])
        self.left, self.boxed = clicks, self.reading.box is None

    def prompt(self) -> bool:
        """Say the next thing: the box first, then click after click; False at the end."""
        self.left -= 1
        if self.left < 0:
            return False
        if not self.boxed:
            self.boxed = True
            return True
        return self.reading.click()

    def situation(self) -> Situation:
        """What is asked."""
        reading = self.reading
        return Situation(
            reading.structure,
            reading.mask,
            reading.classes == BLOOD,
            reading.classes != OUTSIDE,
            structure_of(self.beside, reading.structure).mean(axis=0),
            reading.points,
            reading.box,
        )

    def see(self, chance: np.ndarray) -> None:
        """An answer, float (S, S): he sees what is taken of it."""
        self.reading.see(taken(chance, self.reading))


def begin(
    batch: Batch, seed: int, habits: ReaderConfig = READER, longest: int = 6, exactly: int = 0
) -> list[Dialogue]:
    """A dialogue for every slice of a batch on the CPU, of up to `longest` or `exactly` clicks."""
    arrays = {name: values.numpy() for name, values in batch.items()}
    count = len(arrays["present"])
    lengths = np.random.default_rng(seed).integers(1, longest + 1, count)
    return [
        Dialogue(
            {name: values[k] for name, values in arrays.items()},
            seed + k,
            habits,
            exactly or int(lengths[k]),
        )
        for k in range(count)
    ]


def ask(talks: list[Dialogue]) -> tuple[list[Sample], Tensor]:
    """What was prompted last in each dialogue, and the domains, bool (B, S, S)."""
    still = [talk.still for talk in talks]
    situations = [talk.situation() for talk in talks]
    moving = moving_planes(still, situations, [talk.pixel_mm for talk in talks])
    planes = np.concatenate((np.stack(still), moving), axis=1)
    domain = meant_domain(planes)
    rows = zip(planes, domain, talks, strict=True)
    return [_sample(*row) for row in rows], torch.from_numpy(domain)


def _sample(planes: np.ndarray, domain: np.ndarray, talk: Dialogue) -> Sample:
    reading = talk.reading
    drawn = (reading.target, reading.mask, clicked_error(reading))
    pixels = torch.from_numpy(planes[:, domain].T.astype(np.float16))
    target, mask, clicked = (torch.from_numpy(plane[domain]) for plane in drawn)
    return Sample(pixels, target, mask, clicked, int(np.count_nonzero(reading.target)))


def answers(network: nn.Module, samples: list[Sample], device: torch.device) -> Tensor:
    """Logits (n,) of all samples' pixels, one after another."""
    found: Tensor = network(torch.cat([s.pixels for s in samples]).to(device).float())
    return found.float()


def tell(talks: list[Dialogue], logits: Tensor, domain: Tensor) -> None:
    """The answers (n,) to what was asked last."""
    chances = torch.sigmoid(on_square(logits.detach().cpu(), domain)).numpy()
    for talk, chance in zip(talks, chances, strict=True):
        talk.see(chance)


def taken(chance: np.ndarray, reading: ClickSimulation) -> np.ndarray:
    """The mask after an answer, bool (S, S): as `refine.connected` takes it."""
    threshold = best_threshold(chance, reading.mask)
    if not reading.points:
        return chance > threshold
    x, y, sign = reading.points[-1]
    place = _pixel(x, y, len(chance))
    answer = cut(chance, reading.mask, threshold, sign_margin(reading.mask, bool(sign)))
    answer[place] = bool(sign)
    changed = connected_change(answer != reading.mask, place)
    return np.where(changed, answer, reading.mask)


def clicked_error(reading: ClickSimulation) -> np.ndarray:
    """The connected error that the newest click lies in, bool (S, S); empty where it missed."""
    error = reading.mask != reading.target
    if not reading.points:
        return error
    x, y, _ = reading.points[-1]
    place = _pixel(x, y, len(error))
    if not error[place]:
        return np.zeros_like(error)
    same = error & (reading.target == reading.target[place])
    parts, _ = label_components(same, "corners")
    return np.asarray(parts == parts[place])


def _pixel(x: float, y: float, size: int) -> tuple[int, int]:
    row, column = np.clip(np.floor((y + 0.5, x + 0.5)), 0, size - 1).astype(int)
    return int(row), int(column)


def scar_dialogues(rows: Batch, clicks: int, empty: bool = False) -> list[Dialogue]:
    """Dialogues about scar from the automatic or from an empty mask, by a reader who is exact."""
    talks = begin(rows, 0, EXACT_READER, exactly=clicks)
    scar = STRUCTURES.index("scar")
    for talk in talks:
        mask = structure_of(talk.reading.automatic, scar)
        talk.reading.begin(scar, np.zeros_like(mask) if empty else mask)
    return talks

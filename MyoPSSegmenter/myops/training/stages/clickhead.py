"""Training of the click head: the cascade's real errors, corrected in dialogues of its own.

A simulated reader clicks up to six times; after every answer the connected change that holds the
click is taken, as in use, and the answer has a loss:

- cross-entropy, summed over the square and divided by sqrt(20 + true pixels): small scars count;
- Dice of each slice;
- the mean cross-entropy inside the error that was clicked: flip it or not;
- the same where the mask was right and should not be spoiled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from myops.cascade.network_inputs import refiner_box, refiner_input
from myops.geometry.masks import label_components
from myops.geometry.square import crop_stack
from myops.networks.clickhead import build_clickhead
from myops.refine.click_planes import (
    Levels,
    Situation,
    mean_beside,
    meant_domain,
    moving_planes,
    stack_levels,
    still_planes,
)
from myops.refine.connected import best_threshold, connected_change
from myops.refine.prompts import STRUCTURES
from myops.sequences import channel
from myops.training.config import ClickHeadConfig, TrainingConfig
from myops.training.data.simulated_clicks import (
    BLOOD,
    EDEMA,
    NORMAL,
    OUTSIDE,
    SCAR,
    ReaderConfig,
    Reading,
    structure_of,
)
from myops.training.losses import slice_dice_loss
from myops.training.stages.refiner import load_cascade, on_grid, patient_case, to_classes
from myops.training.stages.stage import Batch, Loss, Slices, Stage, dice

if TYPE_CHECKING:
    from myops.training.stages.stage import Patient

READER = ReaderConfig(
    spoiled_share=0.35,
    carried_share=0.6,
    mistake_share=0.04,
    off_px=1.0,
    second_share=0.15,
    satisfied_dice=0.95,
)
# Slices without disease teach the wall alone: so many of them are kept.
HEALTHY_SHARE = 0.3
# How often the slices beside are already corrected when a slice is.
CORRECTED_BESIDE = 0.4
# The automatic result is moved against the image by a smooth field: its coarse grid, how often,
# the largest standard deviation and the largest move, in pixels.
FIELD, MOVED_SHARE, MOVED_SD_PX, MOVED_MOST_PX = 4, 0.5, 2.5, 4.0
SCORED_PIXELS = 20
SCORED_CLICKS = (1, 3, 5)


def build(config: TrainingConfig) -> nn.Module:
    """The click head with random weights."""
    numbers: dict[str, Any] = {"widths": config.widths} if config.widths else {}
    return build_clickhead(size=config.size, **numbers)


def prepare(patient: Patient, rng: np.random.Generator, config: TrainingConfig) -> Slices:
    """Segment the patient automatically and crop, with what the slices beside show."""
    from dataclasses import replace

    from myops.cascade.segment import CascadeConfig, segment

    assert isinstance(config, ClickHeadConfig)
    if "lge" in patient.images and rng.random() < config.lge_alone:
        patient = replace(patient, images={"lge": patient.images["lge"]})  # type: ignore[type-var]
    case = patient_case(patient)
    flips = CascadeConfig(flips=bool(rng.random() < 0.3))
    segmentation = segment(case, load_cascade(config.cascade), config=flips)
    box = refiner_box(segmentation)
    images, present, probabilities = refiner_input(case, segmentation, box, config.size)
    classes = to_classes(on_grid(patient.labels, case), on_grid(patient.mvo, case))
    truth = crop_stack(classes, box, config.size)
    automatic = crop_stack(to_classes(segmentation.labels), box, config.size)
    stack = stack_slices(
        images, present, probabilities, truth, automatic, box.side_mm / config.size
    )
    return {name: array[_taught(truth, automatic, rng)] for name, array in stack.items()}


def _taught(truth: np.ndarray, automatic: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Which slices are learned from, bool (z,): those with disease, and some others."""
    shown = (truth != OUTSIDE).any(axis=(1, 2)) | (automatic != OUTSIDE).any(axis=(1, 2))
    ill = ((truth >= EDEMA) | (automatic >= EDEMA)).any(axis=(1, 2))
    return np.asarray(shown & (ill | (rng.random(len(truth)) < HEALTHY_SHARE)))


def stack_slices(
    images: np.ndarray,
    present: np.ndarray,
    probabilities: np.ndarray,
    truth: np.ndarray,
    automatic: np.ndarray,
    pixel_mm: float,
) -> Slices:
    """A stack's slices, each with what lies beside it; shapes as in `refiner_input`."""
    levels = stack_levels(images, automatic == NORMAL, automatic >= SCAR)
    rows = np.stack((levels.muscle, levels.spread, levels.scar))
    return {
        "images": images.astype(np.float16),
        "probabilities": probabilities.astype(np.float16),
        "probabilities_beside": mean_beside(probabilities).astype(np.float16),
        "truth": truth[:, None],
        "automatic": automatic[:, None],
        "truth_beside": beside(truth),
        "automatic_beside": beside(automatic),
        "present": present,
        "levels": np.repeat(rows[None], len(truth), axis=0),
        "pixel_mm": np.full(len(truth), pixel_mm, np.float32),
    }


def beside(classes: np.ndarray) -> np.ndarray:
    """The slices before and after each, (z, 2, S, S); at an end the only one there is, twice."""
    places = np.arange(len(classes))
    before, after = places - 1, places + 1
    before[0], after[-1] = after[0] if len(places) > 1 else 0, before[-1]
    return np.stack((classes[before], classes[np.clip(after, 0, len(places) - 1)]), axis=1)


def augment(batch: Batch, generator: torch.Generator, config: TrainingConfig) -> Batch:
    """Mirror and turn by quarters, move the automatic result, change levels, add noise."""
    moved = move_automatic(batch, generator)
    turned = turn(moved, generator)
    count = len(batch["present"])
    noise = torch.rand(count, generator=generator)[:, None, None, None] * 0.15
    images = turned["images"] + noise * torch.randn(turned["images"].shape, generator=generator)
    shown = turned["images"] != 0
    return turned | {
        "images": images * shown,
        "levels": jitter_levels(batch["levels"], generator),
    }


def jitter_levels(levels: Tensor, generator: torch.Generator) -> Tensor:
    """Levels (B, 3, 3) as another segmentation would give them."""
    off = torch.randn(levels.shape, generator=generator).to(levels)
    muscle, spread, scar = levels.unbind(1)
    return torch.stack(
        (muscle + 0.25 * spread * off[:, 0], spread * (0.2 * off[:, 1]).exp(),
         scar * (0.2 * off[:, 2]).exp()), dim=1
    )  # fmt: skip


def turn(batch: Batch, generator: torch.Generator) -> Batch:
    """Every slice mirrored or not, and turned by quarters."""
    count = len(batch["present"])
    quarters = torch.randint(0, 4, (count,), generator=generator).tolist()
    mirrored = torch.randint(0, 2, (count,), generator=generator).tolist()

    def turned(plane: Tensor, quarter: int, mirror: int) -> Tensor:
        return torch.rot90(plane.flip(-1) if mirror else plane, quarter, (-2, -1))

    return {
        name: torch.stack([turned(*one) for one in zip(values, quarters, mirrored, strict=True)])
        if values.ndim == 4
        else values
        for name, values in batch.items()
    }


def move_automatic(batch: Batch, generator: torch.Generator) -> Batch:
    """Move the automatic result against image and truth: walls are wrong by up to 4 pixels."""
    count, size = len(batch["present"]), batch["images"].shape[-1]
    drawn = torch.rand(count, 2, generator=generator)
    strength = drawn[:, 0] * MOVED_SD_PX * (drawn[:, 1] < MOVED_SHARE)
    coarse = torch.randn(count, 2, FIELD, FIELD, generator=generator)
    field = functional.interpolate(coarse, (size, size), mode="bicubic", align_corners=True)
    moved = (field * strength[:, None, None, None]).clamp(-MOVED_MOST_PX, MOVED_MOST_PX)
    axis = torch.arange(size, dtype=torch.float32)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"))[None] + moved
    grid = (2 * grid + 1) / size - 1
    places = grid.permute(0, 2, 3, 1).to(batch["images"].device)

    def sample(name: str, mode: str) -> Tensor:
        found = functional.grid_sample(
            batch[name].float(), places, mode=mode, padding_mode="border", align_corners=False
        )
        return found.round().to(torch.uint8) if mode == "nearest" else found

    return batch | {
        "probabilities": sample("probabilities", "bilinear"),
        "automatic": sample("automatic", "nearest"),
    }


@dataclass(frozen=True)
class Answered:
    """What an answer is compared with.

    Attributes:
        target, mask: float (B, 1, S, S), what the reader wants and what he saw.
        clicked: float (B, 1, S, S), the error that was clicked into.
    """

    target: Tensor
    mask: Tensor
    clicked: Tensor


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
        self.reading = Reading(
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


def ask(talks: list[Dialogue]) -> tuple[Tensor, Tensor, Answered]:
    """Planes (B, C, S, S) and domain (B, S, S) of what was prompted, and what its loss needs."""
    still = [talk.still for talk in talks]
    situations = [talk.situation() for talk in talks]
    moving = moving_planes(still, situations, [talk.pixel_mm for talk in talks])
    planes = np.concatenate((np.stack(still), moving), axis=1)
    readings = [talk.reading for talk in talks]
    drawn = [
        torch.from_numpy(np.stack([_float(part(one)) for one in readings])[:, None])
        for part in (lambda r: r.target, lambda r: r.mask, clicked_error)
    ]
    return torch.from_numpy(planes), torch.from_numpy(meant_domain(planes)), Answered(*drawn)


def tell(talks: list[Dialogue], logits: Tensor) -> None:
    """Answers (B, 1, S, S) to what was asked last."""
    chances = torch.sigmoid(logits.detach()[:, 0]).float().cpu().numpy()
    for talk, chance in zip(talks, chances, strict=True):
        talk.see(chance)


def taken(chance: np.ndarray, reading: Reading) -> np.ndarray:
    """The mask after an answer, bool (S, S): as `refine.connected` takes it."""
    answer = chance > best_threshold(chance)
    if not reading.points:
        return answer
    x, y, sign = reading.points[-1]
    place = _pixel(x, y, len(chance))
    answer[place] = bool(sign)
    changed = connected_change(answer != reading.mask, place)
    return np.where(changed, answer, reading.mask)


def clicked_error(reading: Reading) -> np.ndarray:
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


def _float(mask: np.ndarray) -> np.ndarray:
    return mask.astype(np.float32)


def answer_loss(logits: Tensor, asked: Answered, config: ClickHeadConfig) -> dict[str, Tensor]:
    """The parts of one answer's loss, each a mean over the slices."""
    target = asked.target
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    true = target.sum((1, 2, 3))
    clicked = (entropy * asked.clicked).sum((1, 2, 3)) / asked.clicked.sum((1, 2, 3)).clamp(min=1)
    # What he saw and what he wants agree: a change there would spoil it.
    right = (asked.mask == target).to(entropy)
    flips = (torch.sigmoid(logits) - asked.mask).abs() * right
    return {
        "entropy": (entropy.sum((1, 2, 3)) / (20 + true).sqrt()).mean() / 10,
        "dice": slice_dice_loss(torch.sigmoid(logits), target),
        "change": clicked.mean(),
        "spoiled": (flips.sum((1, 2, 3)) / (20 + true)).mean(),
    }


def make_loss(config: TrainingConfig, device: torch.device) -> Callable[[nn.Module, Batch], Loss]:
    """Dialogues of one to six clicks: at every step new ones begin, and in all of them one click.

    So a step sees first and later clicks side by side, of hearts that have nothing in common.
    """
    assert isinstance(config, ClickHeadConfig)
    weights = {
        "entropy": config.cross_entropy_weight,
        "dice": config.dice_weight,
        "change": config.change_weight,
        "spoiled": config.spoil_weight,
    }

    talks: list[Dialogue] = []

    def loss(network: nn.Module, batch: Batch) -> Loss:
        seed = int(torch.randint(2**31, ()).item())
        on_cpu = {name: values.cpu() for name, values in batch.items()}
        talks.extend(begin(on_cpu, seed, longest=config.clicks))
        talks[:] = [talk for talk in talks if talk.prompt()]
        if not talks:  # nobody has anything to say: a step that changes nothing
            nothing = torch.stack([p.sum() for p in network.parameters()]).sum() * 0
            return nothing, dict.fromkeys(weights, nothing.detach())
        planes, domain, answered = ask(talks)
        logits = network(planes.to(device), domain.to(device)).float()
        tell(talks, logits)
        here = Answered(*(part.to(device) for part in vars(answered).values()))
        parts = answer_loss(logits, here, config)
        total = torch.stack([weights[name] * part for name, part in parts.items()]).sum()
        return total, {name: part.detach() for name, part in parts.items()}

    return loss


def score(network: nn.Module, batch: Batch) -> dict[str, float]:
    """Mean scar Dice over the patient's slices with scar, automatic and after 1, 3, 5 clicks."""
    shown = (batch["truth"] >= SCAR).sum((1, 2, 3)) >= SCORED_PIXELS
    shown &= batch["present"][:, channel("lge")] > 0
    if not bool(shown.any()):
        return {}
    device = batch["images"].device
    rows = {name: value[shown].cpu() for name, value in batch.items()}
    talks, scores = scar_dialogues(rows, max(SCORED_CLICKS)), {}
    scores["scar_0"] = _mean_dice(talks)
    for click in range(1, max(SCORED_CLICKS) + 1):
        going_on = [talk for talk in talks if talk.prompt()]
        if going_on:
            planes, domain, _ = ask(going_on)
            tell(going_on, network(planes.to(device), domain.to(device)))
        if click in SCORED_CLICKS:
            scores[f"scar_{click}"] = _mean_dice(talks)
    return scores


def scar_dialogues(rows: Batch, clicks: int, empty: bool = False) -> list[Dialogue]:
    """Dialogues about scar from the automatic or from an empty mask, by a reader who is exact."""
    talks = begin(rows, 0, ReaderConfig(box_share=0.0, mistake_share=0.0), exactly=clicks)
    scar = STRUCTURES.index("scar")
    for talk in talks:
        mask = structure_of(talk.reading.automatic, scar)
        talk.reading.begin(scar, np.zeros_like(mask) if empty else mask)
    return talks


def _mean_dice(talks: list[Dialogue]) -> float:
    pairs = [
        (torch.from_numpy(talk.reading.mask), torch.from_numpy(talk.reading.target))
        for talk in talks
    ]
    return float(np.mean([dice(mask, target) for mask, target in pairs]))


CLICKHEAD_STAGE = Stage("clickhead", build, prepare, augment, make_loss, score)

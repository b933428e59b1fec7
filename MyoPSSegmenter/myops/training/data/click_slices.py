"""From automatic results to the click head's slices, and how these are changed when drawn."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from myops.refine.click_planes import mean_beside, stack_levels
from myops.training.data.simulated_clicks import EDEMA, NORMAL, OUTSIDE, SCAR
from myops.training.stages.stage import Batch, Slices

# Slices without disease teach the wall alone: so many of them are kept.
HEALTHY_SHARE = 0.3
# The automatic result is moved against the image by a smooth field: its coarse grid, how often,
# the largest standard deviation and the largest move, in pixels.
FIELD, MOVED_SHARE, MOVED_SD_PX, MOVED_MOST_PX = 4, 0.5, 2.5, 4.0
# Largest standard deviation of the noise that is added to normalized images.
NOISE = 0.15


def taught_slices(truth: np.ndarray, automatic: np.ndarray, rng: np.random.Generator) -> np.ndarray:
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


def changed_batch(batch: Batch, generator: torch.Generator) -> Batch:
    """Move the automatic result, mirror and turn by quarters, change levels, add noise."""
    turned = turn(move_automatic(batch, generator), generator)
    shown = turned["images"] != 0
    strength = torch.rand(len(shown), generator=generator)[:, None, None, None] * NOISE
    noise = torch.randn(shown.shape, generator=generator)
    images = (turned["images"] + (strength * noise).to(turned["images"])) * shown
    levels = jitter_levels(batch["levels"], generator)
    return turned | {"images": images, "levels": levels}


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

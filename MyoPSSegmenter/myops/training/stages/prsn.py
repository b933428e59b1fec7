"""Training of the PRSN: normal myocardium, edema and scar inside the LV epicardial region.

Left open by the paper: what a branch learns about tissue that its sequence cannot show, and what
the fusion learns when a sequence is absent. See `branch_targets` and `main_target`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from myops.cascade.network_inputs import candidate_image, with_neighbors
from myops.cascade.normalization import CLIP_HALF_RANGES, normalize
from myops.errors import InputError
from myops.geometry.masks import grow_in_plane
from myops.geometry.square import SquareBox, crop_stack
from myops.labels import lv_region
from myops.networks.build import build_prsn
from myops.networks.prsn import FUSIONS
from myops.sequences import NETWORK_SEQUENCES, channel
from myops.structures import NETWORK_TISSUES, STRUCTURES
from myops.training.config import PrsnConfig, TrainingConfig
from myops.training.data.augment import (
    REORIENT_CHANCE,
    drop_sequences,
    jitter_contrast,
    per_plane,
    random_affine,
    warp,
)
from myops.training.data.crops import (
    crop_patient,
    jittered_tissue_box,
    perturb_region,
)
from myops.training.losses import composite_loss, dice_loss, soft_classes
from myops.training.stages.stage import Batch, Loss, Slices, Stage, dice
from myops.training.stages.untold import told, untold_rows

if TYPE_CHECKING:
    from myops.training.stages.stage import Patient

# Classes of the main branch, in the order of its channels; the last with a margin alone, without it
# what is outside counts as "other".
OTHER, NORMAL, EDEMA, SCAR, OUTSIDE = range(5)
BSSFP, LGE, T2 = (channel(name) for name in ("bssfp", "lge", "t2"))
# Weights of the branches' Dice losses, from the paper.
BRANCH_WEIGHTS = {"bssfp": 0.3, "lge": 0.5, "t2": 0.5}
MVO_WEIGHT = 0.3
# Blur that makes a soft label of a mask.
SOFT_SIGMA_PX = 1.0


def build(config: TrainingConfig) -> nn.Module:
    """The PRSN with random weights."""
    assert isinstance(config, PrsnConfig)
    widths = {"widths": config.widths} if config.widths else {}
    if config.fusion not in FUSIONS:
        raise InputError(f"fusion expects one of {', '.join(FUSIONS)}, found {config.fusion!r}")
    return build_prsn(
        **widths,
        planes=config.planes,
        margin=config.margin,
        fusion=config.fusion,
        mvo=config.mvo,
    )


def prepare(patient: Patient, rng: np.random.Generator, config: TrainingConfig) -> Slices:
    """Crop, make a region as the ASSN would find it, normalize inside it; slices with a region."""
    assert isinstance(config, PrsnConfig)
    box, found = region_to_see(patient, rng, config)
    crops, labels, present = crop_patient(patient, box, config.size)
    if found is None:
        found = perturb_region(
            lv_region(labels), rng, config.region_pixels, config.bulges, config.margin
        )
    region, inside = found, found > 0.5
    images = np.zeros((len(labels), len(NETWORK_SEQUENCES), *labels.shape[1:]), np.float16)
    for name, crop in crops.items():
        # Where nothing is shown the candidate image is 0, as in the cascade (`prsn_input`).
        shown = np.where(np.isfinite(crop), normalize(crop, mask=inside), -CLIP_HALF_RANGES)
        images[:, channel(name)] = shown
    kept = inside.any(axis=(1, 2))
    count = len(labels)
    slices = {
        "images": with_neighbors(images, config.planes)[kept],
        "region": with_neighbors(region.astype(np.float16)[:, None], config.planes)[kept],
        "labels": to_classes(labels, config.margin > 0)[kept, None],
        "present": present[kept],
        "acute": np.full(count, patient.acute, np.float32)[kept],
        "untold": untold_rows(patient, count)[kept],
    }
    if config.mvo:
        obstruction = crop_stack(patient.mvo.astype(np.uint16), box, config.size)
        slices["mvo"] = obstruction[kept, None].astype(np.uint8)
    return slices


def region_to_see(
    patient: Patient, rng: np.random.Generator, config: PrsnConfig
) -> tuple[SquareBox, np.ndarray | None]:
    """The square, and the region in it that an ASSN has found in this patient.

    Returns:
        The square, and float32 (z, S, S) with the margin; None where the true region is to be made
        wrong instead: none was found, or its turn has not come.

    Raises:
        InputError: the patient has no left ventricle to speak of.
    """
    whole = getattr(patient, "found", None)
    if whole is not None and whole.any() and rng.random() < config.found_share:
        box = jittered_tissue_box(patient, rng, whole)
        found = crop_stack(whole.astype(np.float32), box, config.size) > 0.5
        return box, grow_in_plane(found, config.margin).astype(np.float32)
    return jittered_tissue_box(patient, rng), None


def to_classes(labels: np.ndarray, margin: bool = False) -> np.ndarray:
    """MyoPS labels to the main branch's classes, uint8 of the same shape.

    With a margin what is outside the LV region has a class of its own.
    """
    classes = np.zeros(labels.shape, np.uint8)
    if margin:
        classes[~lv_region(labels)] = OUTSIDE
    for number, name in zip((NORMAL, EDEMA, SCAR), NETWORK_TISSUES[1:], strict=True):
        classes[STRUCTURES[name].mask(labels)] = number
    return classes


def augment(batch: Batch, generator: torch.Generator, config: TrainingConfig) -> Batch:
    """Light geometric and contrast changes, lost sequences, candidate images."""
    theta = random_affine(len(batch["images"]), REORIENT_CHANCE, generator, stretch=config.stretch)
    labels: Batch = {
        name: warp(batch[name].float(), theta, mode="nearest").round().long()
        for name in ("labels", "mvo")
        if name in batch
    }
    return {
        "images": jitter_contrast(warp(batch["images"], theta), generator, config.jitter),
        "region": (warp(batch["region"], theta) > 0.5).float(),
        **labels,
        "present": drop_sequences(batch["present"], config.dropout, generator),
        "acute": batch["acute"],
        "untold": batch["untold"],
    }


def candidates(batch: Batch) -> Tensor:
    """C_k = I_k (x) f(I) for the present sequences, in every plane."""
    regions = batch["region"].repeat(1, len(NETWORK_SEQUENCES), 1, 1)
    shown: Tensor = candidate_image(batch["images"], regions)
    return shown * per_plane(batch["present"], shown)


def own_region(batch: Batch) -> Tensor:
    """The region (B, 1, H, W) of the slices themselves, without their neighbors'."""
    middle = batch["region"].shape[1] // 2
    return batch["region"][:, middle : middle + 1]


def main_target(labels: Tensor, present: Tensor, acute: Tensor) -> Tensor:
    """What B_main shall say, given the sequences it has.

    Without T2, edema cannot be seen and counts as normal. Without LGE, scar cannot be told from
    edema: with T2 it counts as edema in an acute patient, else as normal.

    Args:
        labels: long (B, 1, H, W), classes OTHER, NORMAL, EDEMA, SCAR.
        present: float (B, 3), bssfp, lge, t2.
        acute: float (B,), 1 where the infarct is fresh.

    Returns:
        long (B, 1, H, W).
    """
    lge, t2 = present[:, LGE].bool(), present[:, T2].bool()
    hides_edema = ~t2[:, None, None, None]
    scar_is_edema = (~lge & t2 & acute.bool())[:, None, None, None]
    scar_is_normal = (~lge & ~(t2 & acute.bool()))[:, None, None, None]
    target = labels.masked_fill((labels == EDEMA) & hides_edema, NORMAL)
    target = target.masked_fill((labels == SCAR) & scar_is_edema, EDEMA)
    return target.masked_fill((labels == SCAR) & scar_is_normal, NORMAL)


def branch_targets(labels: Tensor) -> dict[str, Tensor]:
    """One-hot targets of the branches, float (B, C, H, W).

    What is outside counts as "other". B_bSSFP sees the whole myocardium. B_LGE sees scar; edema is
    normal to it. B_T2 sees edema; scar is left out of its loss by `scar_free`, for a label does not
    tell whether it is edematous.
    """
    labels = labels.masked_fill(labels == OUTSIDE, OTHER)
    lge = labels.masked_fill(labels == EDEMA, NORMAL).masked_fill(labels == SCAR, 2)
    t2 = labels.masked_fill(labels == SCAR, NORMAL)
    return {"bssfp": (labels != OTHER).float(), "lge": one_hot(lge, 3), "t2": one_hot(t2, 3)}


def one_hot(classes: Tensor, count: int) -> Tensor:
    """Long (B, 1, H, W) to float (B, count, H, W)."""
    return functional.one_hot(classes[:, 0], count).permute(0, 3, 1, 2).float()


def prsn_loss(logits: dict[str, Tensor], batch: Batch, config: PrsnConfig) -> Loss:
    """L_main + 0.3 L_bSSFP + 0.5 L_LGE + 0.5 L_T2, each a Dice loss over its tissue classes.

    "Other" (blood; without a margin also outside) is what is left of the softmax and has no term of
    its own. A branch whose sequence is absent from a slice gives no loss there, and a class that
    the slice's labels do not tell none either (`stages.untold`).
    """
    labels, present = batch["labels"], batch["present"]
    known = told(labels, present, batch["untold"])
    target = main_target(labels, present, batch["acute"])
    branches = branch_targets(labels)
    inside = (own_region(batch) > 0).float()
    bssfp, lge, t2 = (inside * present[:, k, None, None, None] for k in (BSSFP, LGE, T2))
    scar_free = (labels != SCAR).float()
    # With a margin a last class, what is outside: always known.
    outside = torch.ones_like(inside).expand(-1, logits["main"].shape[1] - OUTSIDE, -1, -1)
    main, found = class_loss(
        logits["main"],
        one_hot(target, logits["main"].shape[1]),
        inside * known.pixels,
        config,
        inside * torch.cat((known.main, outside), dim=1),
    )
    parts = {
        "main": found.pop("dice"),
        "bssfp": dice_loss(torch.sigmoid(logits["bssfp"]), branches["bssfp"], bssfp),
        "lge": tissue_dice(logits["lge"], branches["lge"], lge * known.lge),
        "t2": tissue_dice(logits["t2"], branches["t2"], t2 * scar_free * known.t2),
        **found,
    }
    total = main
    for branch, weight in BRANCH_WEIGHTS.items():
        total = total + weight * parts[branch]
    if "mvo" in logits:
        parts["mvo"] = mvo_loss(logits["mvo"], batch, inside)
        total = total + MVO_WEIGHT * parts["mvo"]
    return total, parts


def mvo_loss(logits: Tensor, batch: Batch, inside: Tensor) -> Tensor:
    """Dice and cross-entropy of MVO against the rest of the true scar, where LGE shows it.

    Args:
        logits: float (B, 1, H, W), MVO given scar.
        batch: its "labels", "mvo" and "present".
        inside: float (B, 1, H, W), what PRSN sees.
    """
    scar = (batch["labels"] == SCAR) & batch["present"][:, LGE, None, None, None].bool()
    seen = scar.float() * inside
    target = batch["mvo"].float()
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    mean = (entropy * seen).sum() / seen.sum().clamp(min=1)
    return dice_loss(torch.sigmoid(logits), target, seen) + mean


def class_loss(
    logits: Tensor,
    target: Tensor,
    inside: Tensor,
    config: PrsnConfig,
    classes: Tensor | None = None,
) -> Loss:
    """Dice of all classes but the first, with cross-entropy and KL where they have a weight.

    Args:
        logits: float (B, C, H, W).
        target: one-hot float (B, C, H, W).
        inside: float (B, 1, H, W); cross-entropy and KL are averaged over these pixels: the rest of
            the square is empty and easy.
        config: the three weights.
        classes: float (B, C - 1, H, W), where each class has a Dice loss; `inside` if None.
    """
    soft = soft_classes(target, SOFT_SIGMA_PX) if config.kl_weight else None
    weights = (config.dice_weight, config.cross_entropy_weight, config.kl_weight)
    total, parts = composite_loss(logits, target, soft, weights, inside, classes)
    if not config.cross_entropy_weight:
        del parts["entropy"]  # it counts nothing, so no curve shows it
    return total, parts


def tissue_dice(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Dice loss of the softmax over all classes but the first ("other")."""
    probability = torch.softmax(logits, dim=1)
    return dice_loss(probability[:, 1:], target[:, 1:], weight)


def make_loss(config: TrainingConfig, device: torch.device) -> Callable[[nn.Module, Batch], Loss]:
    """The paper's weighted sum of four Dice losses."""
    assert isinstance(config, PrsnConfig)

    def loss(network: nn.Module, batch: Batch) -> Loss:
        return prsn_loss(network(candidates(batch), batch["present"]), batch, config)

    return loss


def score(network: nn.Module, batch: Batch) -> dict[str, float]:
    """Dice over the patient's stack, of the tissues that its sequences can show."""
    target = main_target(batch["labels"].long(), batch["present"], batch["acute"])[:, 0]
    batch = batch | {"region": (batch["region"] > 0.5).float()}
    logits = network(candidates(batch), batch["present"])
    predicted = logits["main"].argmax(dim=1)
    predicted = predicted.masked_fill(own_region(batch)[:, 0] == 0, OUTSIDE)
    walls = [(p >= NORMAL) & (p <= SCAR) for p in (predicted, target)]
    scores = {"myocardium_dice": dice(*walls)}
    if bool(batch["present"][:, LGE].any()):
        scores["scar_dice"] = dice(predicted == SCAR, target == SCAR)
        if "mvo" in logits:
            obstruction = (predicted == SCAR) & (logits["mvo"][:, 0] > 0)
            scores["mvo_dice"] = dice(obstruction, batch["mvo"][:, 0] > 0)
    if bool(batch["present"][:, T2].any()):
        scores["edema_dice"] = dice(predicted == EDEMA, target == EDEMA)
        injured = [(p == EDEMA) | (p == SCAR) for p in (predicted, target)]
        scores["scar_or_edema_dice"] = dice(*injured)
    return scores


PRSN_STAGE = Stage("prsn", build, prepare, augment, make_loss, score)

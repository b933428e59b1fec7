"""The losses of the paper, against numbers computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from myops.training.config import PrsnConfig
from myops.training.losses import SMOOTH, assn_loss, dice_loss
from myops.training.stages.prsn import (
    EDEMA,
    NORMAL,
    OTHER,
    SCAR,
    branch_targets,
    main_target,
    prsn_loss,
)

SURE = 40.0  # a logit whose sigmoid or softmax is 1 to the last digit of float32


def mask(*rows: str) -> torch.Tensor:
    """A (1, 1, H, W) mask drawn with # and dots."""
    return torch.tensor([[[[float(c == "#") for c in row] for row in rows]]])


def test_a_perfect_prediction_has_no_dice_loss():
    truth = mask("##..", ".#..")
    assert dice_loss(truth, truth).item() == pytest.approx(0.0, abs=1e-6)


def test_dice_loss_is_the_overlap_by_hand():
    # 2 pixels in common, 3 predicted and 4 true: (2 * 2 + 1) / (3 + 4 + 1) = 5 / 8.
    loss = dice_loss(mask("###.", "...."), mask("##..", "##.."))
    assert loss.item() == pytest.approx(3 / 8)


def test_dice_loss_sums_over_the_batch_before_it_divides():
    truth = torch.cat((mask("##"), mask("..")))
    prediction = torch.cat((mask("##"), mask("#.")))
    # Together 2 * 2 + 1 over 3 + 2 + 1; the mean of the slices' own losses would be 1/4.
    assert dice_loss(prediction, truth).item() == pytest.approx(1 - 5 / 6)


def test_dice_loss_averages_the_classes():
    truth = torch.cat((mask("##"), mask("#.")), dim=1)
    wrong_second = torch.cat((mask("##"), mask(".#")), dim=1)
    assert dice_loss(wrong_second, truth).item() == pytest.approx((0 + (1 - 1 / 3)) / 2)


def test_a_class_that_the_batch_does_not_have_gives_no_term():
    truth = torch.cat((mask("##"), mask("..")), dim=1)
    trace = torch.cat((mask("##"), 0.01 * mask("##")), dim=1).requires_grad_()
    loss = dice_loss(trace, truth)
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    assert not torch.autograd.grad(loss, trace)[0][:, 1].any()


def test_pixels_of_weight_zero_do_not_count():
    prediction, truth = mask("#.#."), mask("#..#")
    assert dice_loss(prediction, truth, weight=mask("##..")).item() == pytest.approx(0, abs=1e-6)


def test_a_batch_without_any_class_has_no_loss():
    assert dice_loss(mask("##"), mask("..")).item() == 0.0


class Fixed(nn.Module):
    """A DAE that answers with its one weight everywhere."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value), requires_grad=False)

    def forward(self, region: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(region) * region + self.value


def test_assn_loss_adds_a_fifth_of_the_reconstruction_s_dice_loss():
    truth = mask("##..")
    perfect = (2 * truth - 1) * SURE
    # The DAE answers 1 everywhere: overlap 2, sums 4 and 2.
    expected = 0.2 * (1 - (2 * 2 + SMOOTH) / (4 + 2 + SMOOTH))
    assert assn_loss(perfect, truth, Fixed(1.0), 0.2).item() == pytest.approx(expected)


def test_assn_loss_reaches_the_network_through_the_dae_and_leaves_the_dae_alone():
    dae = nn.Conv2d(1, 1, 1).requires_grad_(False)
    logits = torch.zeros(1, 1, 2, 2, requires_grad=True)
    truth = mask("##", "..")
    through = assn_loss(logits, truth, nn.Sequential(dae, nn.Sigmoid()), 0.2)
    without = assn_loss(logits, truth, dae, 0.0)
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in (through, without)]
    assert not torch.allclose(*gradients)
    assert dae.weight.grad is None


LABELS = torch.tensor([[[[OTHER, NORMAL, EDEMA, SCAR]]]])


@pytest.mark.parametrize(
    ("present", "acute", "expected"),
    [
        ((1, 1, 1), 1, (OTHER, NORMAL, EDEMA, SCAR)),
        ((1, 1, 0), 1, (OTHER, NORMAL, NORMAL, SCAR)),
        ((0, 1, 0), 0, (OTHER, NORMAL, NORMAL, SCAR)),
        ((1, 0, 1), 1, (OTHER, NORMAL, EDEMA, EDEMA)),
        ((1, 0, 1), 0, (OTHER, NORMAL, EDEMA, NORMAL)),
        ((1, 0, 0), 1, (OTHER, NORMAL, NORMAL, NORMAL)),
    ],
)
def test_the_main_branch_is_asked_only_what_its_sequences_show(present, acute, expected):
    target = main_target(LABELS, torch.tensor([present]).float(), torch.tensor([float(acute)]))
    assert target.flatten().tolist() == list(expected)


def test_each_branch_has_the_targets_of_its_sequence():
    targets = branch_targets(LABELS)
    assert targets["bssfp"].flatten().tolist() == [0, 1, 1, 1]
    assert targets["lge"].argmax(1).flatten().tolist() == [0, 1, 1, 2]  # other, normal, scar
    assert targets["t2"].argmax(1).flatten()[:3].tolist() == [0, 1, 2]  # other, normal, edema


def perfect_logits(labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """What the PRSN would say if it were never wrong, all sequences there."""
    main = nn.functional.one_hot(labels[:, 0], 4).permute(0, 3, 1, 2).float()
    logits = {name: (2 * target - 1) * SURE for name, target in branch_targets(labels).items()}
    return {**logits, "main": (2 * main - 1) * SURE}


def prsn_batch(present: tuple[int, int, int] = (1, 1, 1)) -> dict[str, torch.Tensor]:
    return {
        "labels": LABELS,
        "present": torch.tensor([present]).float(),
        "acute": torch.ones(1),
        "untold": torch.zeros(1, 2),
        "region": torch.ones(1, 1, 1, 4),
    }


def test_a_perfect_prsn_has_no_loss():
    total, parts = prsn_loss(perfect_logits(LABELS), prsn_batch(), PrsnConfig())
    assert total.item() == pytest.approx(0, abs=1e-6)
    assert set(parts) == {"main", "bssfp", "lge", "t2"}


@pytest.mark.parametrize(("branch", "weight"), [("bssfp", 0.3), ("lge", 0.5), ("t2", 0.5)])
def test_a_branch_counts_with_the_paper_s_weight(branch, weight):
    logits = perfect_logits(LABELS)
    logits[branch] = -logits[branch]
    total, parts = prsn_loss(logits, prsn_batch(), PrsnConfig())
    assert parts[branch].item() > 0.3
    assert total.item() == pytest.approx(weight * parts[branch].item(), rel=1e-5)


@pytest.mark.parametrize(
    ("branch", "present"), [("bssfp", (0, 1, 1)), ("lge", (1, 0, 1)), ("t2", (1, 1, 0))]
)
def test_a_branch_without_its_sequence_gives_no_loss(branch, present):
    logits = perfect_logits(LABELS)
    logits[branch] = -logits[branch]
    _, parts = prsn_loss(logits, prsn_batch(present), PrsnConfig())
    assert parts[branch].item() == 0.0


def test_the_t2_branch_may_say_what_it_likes_about_scar():
    logits = perfect_logits(LABELS)
    logits["t2"][..., 3] = torch.tensor([-SURE, -SURE, SURE])[None, :, None]
    _, parts = prsn_loss(logits, prsn_batch(), PrsnConfig())
    assert parts["t2"].item() == pytest.approx(0, abs=1e-6)


def test_pixels_outside_the_region_give_no_loss():
    logits = {name: value.clone() for name, value in perfect_logits(LABELS).items()}
    for value in logits.values():
        value[..., 1] *= -1
    batch = prsn_batch()
    batch["region"][..., 1] = 0
    total, _ = prsn_loss(logits, batch, PrsnConfig())
    assert total.item() == pytest.approx(0, abs=1e-6)


def test_the_optional_cross_entropy_is_averaged_over_the_region():
    logits = perfect_logits(LABELS)
    logits["main"] = torch.zeros(1, 4, 1, 4)
    batch = prsn_batch()
    batch["region"][..., 0] = 0
    config = PrsnConfig(cross_entropy_weight=1.0)
    _, parts = prsn_loss(logits, batch, config)
    assert parts["entropy"].item() == pytest.approx(math.log(4))

"""The DSS-Net-style network: its modules by hand, its switches, its loss and its labels."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from myops.labels import MYOPS
from myops.networks.dssnet import (
    MDFM,
    PRIOR_LIMITS,
    REACH_PX,
    SFAM,
    Dssnet,
    MeanFusion,
    build_dssnet,
    constrain,
    dilate,
)
from myops.networks.dssnet import SCAR as FINE_SCAR
from myops.training import loop
from myops.training.config import DssnetConfig, make_config, training_seed
from myops.training.data import mixing
from myops.training.export import export_weights, trained_network
from myops.training.stages.dssnet import (
    DSSNET_STAGE,
    EMPTY_SLICES,
    LARGEST_WEIGHT,
    class_weights,
    dssnet_loss,
    fine_region,
    fine_target,
    labels_from,
    near_heart,
    prepare,
    to_classes,
    weighted_entropy,
)
from myops.weights.files import load_network

ALL = torch.ones(2, 3)
SURE = 40.0  # a logit whose softmax is 1 to the last digit of float32
BACKGROUND, BLOOD, NORMAL, EDEMA, SCAR = range(5)  # classes of a batch's labels


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny networks are fastest on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def images(size=32, batch=2, seed=0):
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(seed))


def tiny(**switches) -> Dssnet:
    """A network of two levels whose fusions are no longer the mean."""
    torch.manual_seed(1)
    network = build_dssnet((4, 8), **switches).eval()
    for module in network.modules():
        if isinstance(module, MDFM):
            stir(module)
    return network


def stir(module: nn.Module) -> None:
    """Random weights for the scores, which start at zero."""
    for layer in (module.local, module.excite):
        nn.init.normal_(layer.weight, std=0.5)


# The modules


def three_maps(seed=2):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, 4, 5, 6, generator=generator) for _ in range(3)]


def test_the_weights_of_the_mdfm_sum_to_one_and_are_zero_for_absent_sequences():
    torch.manual_seed(3)
    fusion = MDFM(4)
    stir(fusion)
    present = torch.tensor([[1.0, 1, 0], [0, 1, 0]])
    with torch.no_grad():
        weights = torch.stack(fusion.weights(three_maps(), present))
    assert weights.shape == (3, 2, 4, 5, 6)
    torch.testing.assert_close(weights.sum(dim=0), torch.ones(2, 4, 5, 6))
    assert (weights >= 0).all()
    assert not weights[2].any() and not weights[0, 1].any()
    assert (weights[1, 1] == 1).all()  # the only sequence that is there
    assert weights[0, 0].std() > 0.01  # and between two the content decides


def test_a_patient_without_any_sequence_gives_no_nan():
    with torch.no_grad():
        fused, _ = MDFM(4)([torch.zeros(1, 4, 5, 6)] * 3, torch.zeros(1, 3))
    assert not fused.any()


def test_the_mdfm_weighs_by_pixel_and_by_channel_as_computed_by_hand():
    torch.manual_seed(4)
    fusion = MDFM(4)
    stir(fusion)
    maps, present = three_maps(), torch.tensor([[1.0, 1, 1], [1, 0, 1]])
    maps[1][1] = 0  # as run_where_present leaves an absent sequence
    with torch.no_grad():
        fused, _ = fusion(maps, present)
    w_local = fusion.local.weight.detach().numpy()[:, :, 0, 0]
    w_squeeze, b_squeeze = (p.detach().numpy() for p in fusion.squeeze.parameters())
    w_excite = fusion.excite.weight.detach().numpy()
    for k, sequences in enumerate(([0, 1, 2], [0, 2])):
        features = np.stack([m[k].numpy() for m in maps])  # (3, C, H, W)
        together = features.reshape(12, 5, 6)
        local = np.exp(np.einsum("oc,chw->ohw", w_local, together))[sequences]
        known = np.concatenate((together.mean(axis=(1, 2)), present[k].numpy()))
        hidden = np.maximum(w_squeeze @ known + b_squeeze, 0)
        channel = np.exp((w_excite @ hidden).reshape(3, 4))[sequences]
        weights = (
            (local / local.sum(axis=0))[:, None]
            + (channel / channel.sum(axis=0))[:, :, None, None]
        ) / 2  # fmt: skip
        expected = (weights * features[sequences]).sum(axis=0)
        np.testing.assert_allclose(fused[k].numpy(), expected, atol=1e-5)


def test_an_untrained_mdfm_is_the_mean_of_the_present_sequences():
    maps, present = three_maps(), torch.tensor([[1.0, 1, 1], [1, 0, 1]])
    with torch.no_grad():
        fused, _ = MDFM(4)(maps, present)
        mean, weights = MeanFusion()(maps, present)
    torch.testing.assert_close(fused, mean)
    torch.testing.assert_close(mean[1], (maps[0][1] + maps[2][1]) / 2)
    assert [w[0].item() for w in weights] == pytest.approx([1 / 3] * 3)


def test_the_gate_of_the_sfam_lets_the_coarse_features_in_or_keeps_them_out():
    aggregate = SFAM(2)
    nn.init.zeros_(aggregate.gate.weight)
    nn.init.zeros_(aggregate.carry.bias)
    nn.init.dirac_(aggregate.carry.weight)  # carries the features as they are
    fine, coarse = torch.full((1, 2, 3, 3), 0.5), torch.full((1, 2, 3, 3), 2.0)
    for bias, expected in ((-SURE, 0.5), (0.0, 0.5 + 0.5 * 2), (SURE, 2.5)):
        nn.init.constant_(aggregate.gate.bias, bias)
        with torch.no_grad():
            found = aggregate(fine, coarse)
        torch.testing.assert_close(found, torch.full_like(found, expected))


def test_the_prior_is_the_region_grown_by_its_reach_with_a_soft_border():
    region = torch.zeros(1, 1, 31, 31)
    region[0, 0, 15, 15] = 1
    row = dilate(region)[0, 0, 15]
    beyond = 15 + REACH_PX
    expected = [1.0, 2 / 3, 1 / 3, 0.0]
    assert row[beyond - 1 : beyond + 3].tolist() == pytest.approx(expected)
    torch.testing.assert_close(row, row.flip(0))


def test_the_constraint_multiplies_every_tissue_s_probability_by_the_prior():
    fine = torch.tensor([2.0, 1.0, 0.5, -1.0]).reshape(1, 4, 1, 1).expand(1, 4, 1, 3)
    prior = torch.tensor([0.0, 0.25, 1.0]).reshape(1, 1, 1, 3)
    found = constrain(fine, prior).exp()[0, :, 0]
    before = torch.softmax(fine[0, :, 0, 0], dim=0)
    for column, near in enumerate((PRIOR_LIMITS[0], 0.25, PRIOR_LIMITS[1])):
        torch.testing.assert_close(found[1:, column], near * before[1:])
    torch.testing.assert_close(found.sum(dim=0), torch.ones(3))


# The network


@pytest.mark.parametrize("switches", [{}, {"mdfm": False, "sfam": False, "prior": False}])
@pytest.mark.parametrize("absent", [0, 1, 2])
def test_what_an_absent_sequence_shows_changes_nothing(absent, switches):
    network, present = tiny(**switches), ALL.clone()
    present[:, absent] = 0
    other = images()
    other[:, absent] = math.nan
    with torch.no_grad():
        before, after = (network(shown, present) for shown in (images(), other))
        moved = images()
        moved[:, absent] += 1
        seen = network(moved, ALL)["coarse"]
        assert not torch.equal(network(images(), ALL)["coarse"], seen)  # present, it counts
    for name in ("coarse", "fine"):
        assert torch.equal(before[name], after[name])


def test_the_weights_can_be_looked_at_for_every_stage_and_level():
    present = torch.tensor([[1.0, 1, 1], [1, 1, 0]])
    with torch.no_grad():
        found = tiny().modality_weights(images(), present)
    assert list(found) == ["coarse", "fine"]
    for levels in found.values():
        assert [tuple(w.shape) for w in levels] == [(2, 3, 32, 32), (2, 3, 16, 16)]
        for weights in levels:
            torch.testing.assert_close(weights.sum(dim=1), torch.ones_like(weights[:, 0]))
            assert not weights[1, 2].any() and (weights[0] > 0).all()


def test_both_stages_answer_on_the_whole_square():
    with torch.no_grad():
        found = tiny()(images(), ALL)
    assert {n: tuple(logits.shape) for n, logits in found.items()} == {
        "coarse": (2, 3, 32, 32),
        "fine": (2, 4, 32, 32),
    }


def test_the_default_network_has_between_one_and_two_million_weights():
    assert 1e6 < sum(p.numel() for p in build_dssnet().parameters()) < 2e6


def names(**switches) -> dict[str, tuple[int, ...]]:
    network = build_dssnet((4, 8), **switches)
    return {name: tuple(p.shape) for name, p in network.named_parameters()}


def test_without_mdfm_the_fusions_have_no_weights_and_nothing_else_changes():
    whole, without = names(), names(mdfm=False)
    gone = set(whole) - set(without)
    assert gone and all(".fusions." in name for name in gone)
    assert {name: whole[name] for name in without} == without
    weights = tiny(mdfm=False).modality_weights(images(), torch.tensor([[1.0, 1, 1], [1, 0, 1]]))
    torch.testing.assert_close(weights["fine"][0].flatten(1)[1], torch.tensor([0.5, 0, 0.5]))


def test_without_sfam_the_gates_go_and_the_fine_stage_learns_apart_from_the_coarse():
    whole, without = names(), names(sfam=False)
    assert set(whole) - set(without) == {n for n in whole if n.startswith("fine.aggregations.")}
    reaches = {}
    for sfam in (True, False):
        network = tiny(sfam=sfam)
        network(images(), ALL)["fine"].square().mean().backward()
        gradients = [p.grad for p in network.coarse.encoders.parameters()]
        reaches[sfam] = any(g is not None and bool(g.any()) for g in gradients)
        # The prior itself never carries a gradient: anatomy is learned from anatomy.
        assert network.coarse.head.weight.grad is None
    assert reaches == {True: True, False: False}


def test_without_the_prior_the_fine_stage_sees_the_images_alone():
    whole, without = names(), names(prior=False)
    assert set(whole) == set(without)
    changed = {name for name in whole if whole[name] != without[name]}
    assert changed == {f"fine.encoders.{k}.levels.0.0.0.weight" for k in range(3)}
    first = "fine.encoders.0.levels.0.0.0.weight"
    assert (whole[first][1], without[first][1]) == (2, 1)


class Fixed(nn.Module):
    """A head that answers with the same logits whatever it is given."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(features), *self.logits.shape[1:])


def disc(size=48, radius=6) -> torch.Tensor:
    """Bool (size, size), a disc in the middle."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return (y - size // 2) ** 2 + (x - size // 2) ** 2 <= radius**2


def coarse_finds(network: Dssnet, lv: torch.Tensor) -> Dssnet:
    """The network with a coarse stage that is sure of an LV (bool (S, S), all wall)."""
    logits = torch.stack((~lv, torch.zeros_like(lv), lv)).float()[None]
    network.coarse.head = Fixed(SURE * logits)
    return network


@pytest.mark.parametrize("prior", [True, False])
def test_with_the_prior_no_scar_is_found_far_outside_the_coarse_lv(prior):
    lv = disc()
    network = coarse_finds(tiny(prior=prior), lv)
    certain = torch.zeros(1, 4, 48, 48)
    certain[:, FINE_SCAR] = SURE
    network.fine.head = Fixed(certain)  # a fine stage that sees scar everywhere
    with torch.no_grad():
        found = network(images(48), ALL)["fine"]
    scar, far = found.argmax(dim=1) == FINE_SCAR, dilate(lv[None, None].float())[0, 0] == 0
    assert scar[:, lv].all()
    assert scar[:, far].any().item() is not prior
    if prior:
        assert found.softmax(dim=1)[:, 1:].sum(dim=1)[:, far].max() <= 1.01 * PRIOR_LIMITS[0]


@pytest.mark.parametrize("prior", [True, False])
def test_with_the_prior_images_far_from_the_coarse_lv_do_not_reach_the_fine_stage(prior):
    lv = disc()
    # Without SFAM, whose features come from the coarse stage, which sees the whole square.
    network = coarse_finds(tiny(prior=prior, sfam=False, mdfm=False), lv)
    far = dilate(lv[None, None].float())[0, 0] == 0
    other = images(48)
    other[:, :, far] = 3 - other[:, :, far]
    with torch.no_grad():
        before, after = (network(shown, ALL)["fine"] for shown in (images(48), other))
    assert torch.allclose(before, after, atol=1e-5) is prior


def test_the_loss_reaches_every_weight():
    network = tiny()
    sum(logits.square().mean() for logits in network(images(), ALL).values()).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


# Patients


def heart_labels() -> np.ndarray:
    """Ten slices; the LV (a block of blood, muscle, edema and scar) in slices 4 and 5."""
    labels = np.zeros((10, 4, 8), np.uint16)
    labels[4:6, 1] = [0, 600, 500, 500, 200, 1220, 2221, 0]
    return labels


def test_labels_become_classes_and_the_right_ventricle_is_background():
    assert to_classes(heart_labels())[4, 1].tolist() == [
        BACKGROUND, BACKGROUND, BLOOD, BLOOD, NORMAL, EDEMA, SCAR, BACKGROUND
    ]  # fmt: skip


def test_a_few_empty_slices_on_either_side_of_the_heart_stay_in():
    kept = np.flatnonzero(near_heart(heart_labels()))
    assert kept.tolist() == list(range(4 - EMPTY_SLICES, 6 + EMPTY_SLICES))


def ring_patient() -> SimpleNamespace:
    """Nine slices in LGE alone; a ring of muscle around blood in three of them."""
    y, x = np.indices((64, 64)) - 32
    labels = np.zeros((9, 64, 64), np.uint16)
    labels[3:6, np.hypot(y, x) < 14] = MYOPS["normal_myocardium"]
    labels[3:6, np.hypot(y, x) < 9] = MYOPS["blood_pool"]
    image = (labels / 100 + np.random.default_rng(0).normal(0, 1, labels.shape)).astype(np.float32)
    return SimpleNamespace(
        images={"lge": image}, labels=labels, spacing_mm=(2.0, 2.0, 10.0), acute=True
    )


def test_prepared_slices_are_those_near_the_heart_with_nothing_where_a_sequence_is_absent():
    slices = prepare(ring_patient(), np.random.default_rng(1), DssnetConfig(size=32))
    assert {name: len(value) for name, value in slices.items()} == dict.fromkeys(slices, 7)
    assert slices["images"].shape == (7, 3, 32, 32)
    assert slices["labels"].any(axis=(1, 2, 3)).tolist() == [False] * 2 + [True] * 3 + [False] * 2
    assert not slices["images"][:, [0, 2]].any() and slices["images"][:, 1].any()
    assert slices["present"].tolist() == [[0, 1, 0]] * 7 and slices["acute"].tolist() == [1] * 7


def test_augmented_labels_stay_classes_and_what_is_absent_stays_black():
    labels = torch.randint(0, 5, (4, 1, 32, 32), dtype=torch.uint8)
    present = torch.tensor([[1.0, 1, 0]]).repeat(4, 1)
    batch = {
        "images": images(32, 4) * present[:, :, None, None],
        "labels": labels,
        "present": present,
        "acute": torch.ones(4),
    }
    found = DSSNET_STAGE.augment(batch, torch.Generator().manual_seed(1), DssnetConfig())
    assert set(found["labels"].unique().tolist()) == set(range(5))
    assert not found["images"][:, 2].any() and found["images"][:, 1].any()


# The loss

LABELS = torch.tensor([[[[BACKGROUND, BLOOD, NORMAL, EDEMA, SCAR]]]])


def batch_of(labels: torch.Tensor, present=(1, 1, 1)) -> dict[str, torch.Tensor]:
    count = len(labels)
    return {
        "labels": labels,
        "present": torch.tensor([present]).float().repeat(count, 1),
        "acute": torch.ones(count),
    }


def sure_of(coarse: torch.Tensor, fine: torch.Tensor) -> dict[str, torch.Tensor]:
    """Logits that are sure of these classes, long (B, 1, H, W)."""
    planes = {
        name: nn.functional.one_hot(classes[:, 0], count).permute(0, 3, 1, 2).float()
        for name, classes, count in (("coarse", coarse, 3), ("fine", fine, 4))
    }
    return {name: SURE * one_hot for name, one_hot in planes.items()}


PERFECT = sure_of(torch.tensor([[[[0, 1, 2, 2, 2]]]]), torch.tensor([[[[0, 0, 1, 2, 3]]]]))


def test_a_perfect_prediction_has_no_loss():
    total, parts = dssnet_loss(PERFECT, batch_of(LABELS), DssnetConfig())
    assert total.item() == pytest.approx(0, abs=1e-6)
    assert set(parts) == {"coarse", "coarse_entropy", "fine", "fine_entropy"}


def test_the_loss_is_the_weighted_sum_of_its_parts():
    logits = {name: torch.randn(v.shape) for name, v in PERFECT.items()}
    config = DssnetConfig(cross_entropy_weight=3.0)
    total, parts = dssnet_loss(logits, batch_of(LABELS), config)
    coarse = parts["coarse"] + 3 * parts["coarse_entropy"]
    expected = coarse + parts["fine"] + 3 * parts["fine_entropy"]
    assert total.item() == pytest.approx(expected.item())


@pytest.mark.parametrize(("stage", "wrong"), [("coarse", 1), ("fine", 2)])
def test_one_wrong_pixel_of_either_stage_costs_in_that_stage_alone(stage, wrong):
    logits = {name: value.clone() for name, value in PERFECT.items()}
    logits[stage][..., 4] = 0
    logits[stage][:, wrong, :, 4] = SURE
    _, parts = dssnet_loss(logits, batch_of(LABELS), DssnetConfig())
    costs = {name: part.item() > 0.05 for name, part in parts.items()}
    assert costs == {n: n in (stage, f"{stage}_entropy") for n in parts}


def test_what_the_sequences_do_not_show_is_not_asked_for():
    labels, fine = LABELS, torch.tensor([[[[0, 0, 1, 1, 3]]]])  # without T2 edema is normal
    assert torch.equal(fine_target(batch_of(labels, (1, 1, 0))), fine)
    without_lge = torch.tensor([[[[0, 0, 1, 2, 2]]]])  # acute: with T2 alone scar is edema
    assert torch.equal(fine_target(batch_of(labels, (1, 0, 1))), without_lge)
    logits = sure_of(torch.tensor([[[[0, 1, 2, 2, 2]]]]), fine)
    total, _ = dssnet_loss(logits, batch_of(labels, (1, 1, 0)), DssnetConfig())
    assert total.item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("balanced", [True, False])
def test_a_batch_without_scar_or_without_a_heart_has_a_finite_loss(balanced):
    config = DssnetConfig(balanced=balanced)
    for labels in (LABELS.clamp(max=NORMAL), torch.zeros_like(LABELS)):
        logits = {n: torch.zeros_like(v).requires_grad_() for n, v in PERFECT.items()}
        total, _ = dssnet_loss(logits, batch_of(labels), config)
        total.backward()
        assert total.isfinite() and all(v.grad.isfinite().all() for v in logits.values())
        assert total.item() > 0.1


def test_rare_classes_weigh_the_inverse_square_root_of_their_share_up_to_a_limit():
    target = torch.tensor([0] * 100 + [1] * 25 + [2] + [0] * 50).reshape(1, 1, 1, -1)
    inside = torch.ones(1, 1, 1, 176)
    inside[..., 126:] = 0  # the last fifty do not count
    weights = class_weights(target, inside)
    # sqrt(100 / 100), sqrt(100 / 25), sqrt(100 / 1) = 10 cut to 5, and no pixel at all.
    assert weights.tolist() == pytest.approx([1, 2, LARGEST_WEIGHT, LARGEST_WEIGHT])


def test_the_weighted_entropy_is_the_one_computed_by_hand():
    logits = torch.zeros(1, 2, 1, 3)
    logits[0, 0, 0, 0], logits[0, 0, 0, 1] = math.log(3), math.log(3)  # 3/4 and 1/4
    target, inside = torch.tensor([[[[0, 1, 1]]]]), torch.tensor([[[[1.0, 1.0, 0.0]]]])
    found = weighted_entropy(logits, target, inside, torch.tensor([1.0, 4.0]))
    assert found.item() == pytest.approx((math.log(4 / 3) + 4 * math.log(4)) / 5)


def test_the_balanced_loss_makes_a_missed_scar_dearer():
    labels = torch.full((1, 1, 1, 40), NORMAL)
    labels[..., 0] = SCAR
    fine = torch.ones_like(labels)  # all normal
    logits = sure_of(torch.full_like(labels, 2), fine)
    costs = {
        balanced: dssnet_loss(logits, batch_of(labels), DssnetConfig(balanced=balanced))[1]
        for balanced in (True, False)
    }
    # One of forty pixels; balanced it counts 5 (sqrt(39) cut) beside 39 others.
    assert costs[False]["fine_entropy"].item() == pytest.approx(SURE / 40)
    assert costs[True]["fine_entropy"].item() == pytest.approx(SURE * 5 / 44)
    assert costs[True]["fine"].item() == costs[False]["fine"].item()


def test_scar_far_from_the_heart_costs_where_no_prior_forbids_it():
    labels = torch.zeros(1, 1, 48, 48, dtype=torch.long)
    labels[0, 0, disc()] = NORMAL
    fine = (labels > 0).long()
    fine[..., :3, :3] = FINE_SCAR
    logits = sure_of(2 * (labels > 0).long(), fine)
    parts = {p: dssnet_loss(logits, batch_of(labels), DssnetConfig(prior=p))[1] for p in (0, 1)}
    assert parts[1]["fine_entropy"].item() == pytest.approx(0, abs=1e-6)
    assert parts[0]["fine_entropy"].item() > 0.05
    near = fine_region(labels, prior=True)[0, 0]
    # From the disc's radius 6 so many pixels further, and one of the soft border.
    assert near[24].sum() == 2 * (6 + REACH_PX + 1) + 1


# Training


def blobs(count=4, size=32) -> dict[str, torch.Tensor]:
    """Rings of muscle around blood at random places, scar in a quarter of each, all visible."""
    generator = torch.Generator().manual_seed(7)
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    labels = torch.zeros(count, 1, size, size, dtype=torch.long)
    for k, (row, column) in enumerate(torch.randint(13, 19, (count, 2), generator=generator)):
        radius = ((y - row) ** 2 + (x - column) ** 2).float().sqrt()
        labels[k, 0][radius < 10] = NORMAL
        labels[k, 0][(radius < 10) & (y < row) & (x < column)] = SCAR
        labels[k, 0][radius < 5] = BLOOD
    shown = labels.float() - 1 + 0.3 * torch.randn(count, 3, size, size, generator=generator)
    return batch_of(labels) | {"images": shown}


@pytest.mark.slow
def test_a_few_steps_reduce_the_loss_and_the_score_is_that_of_the_labels():
    torch.manual_seed(8)
    config, batch = DssnetConfig(widths=(8, 16), ema_decay=0), blobs()
    network = DSSNET_STAGE.build(config).train()
    loss = DSSNET_STAGE.make_loss(config, torch.device("cpu"))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    course = []
    for _ in range(20):
        optimizer.zero_grad()
        total, _ = loss(network, batch)
        total.backward()
        optimizer.step()
        course.append(total.item())
    assert course[-1] < 0.5 * course[0]
    network.train()  # the statistics of the batch: 20 steps do not settle the running ones
    with torch.no_grad():
        scores = DSSNET_STAGE.score(network, batch)
        truth = DSSNET_STAGE.score(
            lambda *_: sure_of(batch["labels"].clamp(max=2), (batch["labels"] - 1).clamp(min=0)),
            batch,
        )
    assert scores["coarse_lv_dice"] > 0.8 and scores["myocardium_dice"] > 0.6
    assert truth["coarse_lv_dice"] == truth["myocardium_dice"] == truth["scar_dice"] == 1
    assert truth["scar_or_edema_dice"] == 1 and math.isnan(truth["edema_dice"])


def test_a_score_that_the_sequences_cannot_show_is_left_out():
    batch = batch_of(LABELS, (1, 0, 0))
    scores = DSSNET_STAGE.score(lambda *_: PERFECT, batch | {"images": images(4)})
    assert set(scores) == {"coarse_lv_dice", "myocardium_dice"}
    # The perfect scar counts as muscle here: without LGE and T2 all of the wall is normal.
    assert scores["myocardium_dice"] == 1


def test_the_switches_are_settings_and_a_trained_network_comes_back_from_its_files(
    tmp_path, monkeypatch
):
    patient = ring_patient(), np.random.default_rng(1)
    monkeypatch.setattr(mixing, "phantom_source", lambda *_: lambda _index: patient)
    config = make_config("dssnet", {"widths": "4,8", "sfam": "false", "mdfm": "0"})
    assert isinstance(config, DssnetConfig)
    assert (config.mdfm, config.sfam, config.prior, config.balanced) == (False, False, True, True)
    assert training_seed("dssnet", 0, 0) == 100_000
    settings = {"size": "32", "widths": "4,8", "workers": "0", "pool_start": "1", "steps": "1"}
    settings |= {"curve_patients": "0", "batch_size": "2", "threads": "1", "sfam": "false"}
    path = loop.train("dssnet", settings, tmp_path / "run")
    trained = trained_network(path)
    entry = export_weights(path, tmp_path / "weights")
    loaded = load_network("dssnet", tmp_path / "weights" / entry["file"], entry).eval()
    assert (loaded.mdfm, loaded.sfam, loaded.prior) == (1, 0, 1)
    with torch.no_grad():
        first, second = (network(images(), ALL)["fine"] for network in (trained, loaded))
    torch.testing.assert_close(first, second, atol=2e-2, rtol=2e-2)  # stored as float16


# Labels


def test_labels_are_the_fine_stage_s_tissue_and_the_coarse_stage_s_blood():
    # Columns: background, blood, normal, edema, scar; then what the stages do not agree on: the
    # fine stage says "other" in the coarse stage's wall (nearer to blood, nearer to background),
    # and scar in the coarse stage's background.
    coarse = np.array([
        [5.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 5.0],
        [0.0, 5.0, 0.0, 0.0, 0.0, 2.0, 1.0, 0.0],
        [0.0, 0.0, 5.0, 5.0, 5.0, 5.0, 5.0, 0.0],
    ])[None, :, None]  # fmt: skip
    fine = np.eye(4)[[0, 0, 1, 2, 3, 0, 0, 3]].T[None, :, None]
    labels = labels_from({"coarse": coarse, "fine": fine})
    assert labels.dtype == np.uint16 and labels.shape == (1, 1, 8)
    assert labels.ravel().tolist() == [0, 500, 200, 1220, 2221, 500, 0, 2221]

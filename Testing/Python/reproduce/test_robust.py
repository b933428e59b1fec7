"""Noise-robust training: the composite loss, wrong labels and artifacts, against known answers."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import torch

from myops.errors import InputError
from myops.labels import MVO, MYOPS, edema, myocardium, normal_myocardium, scar
from myops.training.data import label_noise
from myops.training.data.artifacts import add_artifacts
from myops.training.data.label_noise import KINDS, LEVELS, noisy_labels, threshold_scar
from myops.training.losses import composite_loss, kl_to_soft_classes, soft_classes

NORMAL, BLOOD, EDEMA, SCAR = (
    MYOPS[name] for name in ("normal_myocardium", "blood_pool", "edema", "scar")
)
SURE = 40.0  # a logit whose softmax is 1 to the last digit of float32


# The composite loss


def one_hot(rows: list[list[int]], classes: int = 3) -> torch.Tensor:
    """Classes drawn as numbers, to (1, C, H, W)."""
    labels = torch.tensor(rows)[None]
    return torch.nn.functional.one_hot(labels, classes).permute(0, 3, 1, 2).float()


def random_batch(seed: int, slices: int = 3) -> torch.Tensor:
    """One-hot classes without any pattern, (B, 3, 9, 9)."""
    labels = torch.randint(3, (slices, 9, 9), generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.one_hot(labels, 3).permute(0, 3, 1, 2).float()


def everywhere(batch: torch.Tensor) -> torch.Tensor:
    return torch.ones(len(batch), 1, *batch.shape[2:])


def test_kl_is_what_the_formula_gives_by_hand():
    soft = torch.tensor([0.7, 0.2, 0.1]).reshape(1, 3, 1, 1)
    logits = torch.tensor([0.5, 0.3, 0.2]).log().reshape(1, 3, 1, 1)
    by_hand = 0.7 * math.log(0.7 / 0.5) + 0.2 * math.log(0.2 / 0.3) + 0.1 * math.log(0.1 / 0.2)
    assert kl_to_soft_classes(logits, soft).item() == pytest.approx(by_hand, rel=1e-5)
    assert by_hand == pytest.approx(0.0851, abs=1e-4)


def test_kl_of_equal_guesses_against_a_sure_label_is_the_logarithm_of_their_number():
    sure = torch.tensor([0.0, 1.0, 0.0]).reshape(1, 3, 1, 1)
    assert kl_to_soft_classes(torch.zeros(1, 3, 1, 1), sure).item() == pytest.approx(math.log(3))


def test_a_perfect_hard_prediction_has_exactly_no_kl():
    target = random_batch(0)
    assert not kl_to_soft_classes((2 * target - 1) * SURE, target).any()


def test_a_perfect_soft_prediction_has_no_kl():
    soft = soft_classes(random_batch(1), 1.0)
    assert kl_to_soft_classes(soft.log(), soft).max().item() < 1e-6


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_logits_that_made_the_soft_label_have_no_kl_at_any_temperature(temperature):
    scores = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(2))
    soft = torch.softmax(scores / temperature, dim=1)
    # A constant on all classes changes no softmax.
    assert kl_to_soft_classes(scores / temperature + 7, soft).max().item() < 1e-5
    assert kl_to_soft_classes(2 * scores / temperature, soft).max().item() > 0.01


def test_kl_is_never_negative():
    random = torch.Generator().manual_seed(3)
    for size in (1e-4, 0.1, 1.0, 10.0):
        soft = torch.softmax(torch.randn(2, 4, 20, 20, generator=random), dim=1)
        near = soft.log() + size * torch.randn(soft.shape, generator=random)
        assert kl_to_soft_classes(near, soft).min().item() >= 0


def test_kl_falls_all_the_way_to_its_minimum_at_the_soft_label():
    soft = soft_classes(random_batch(4, 1), 1.0)
    logits = torch.zeros_like(soft, requires_grad=True)
    for _ in range(300):
        gradient = torch.autograd.grad(kl_to_soft_classes(logits, soft).sum(), logits)[0]
        logits = (logits - gradient).detach().requires_grad_()
    assert torch.allclose(torch.softmax(logits, 1), soft, atol=0.02)


def test_soft_labels_add_up_to_one_in_every_voxel():
    soft = soft_classes(random_batch(5), 1.3)
    assert torch.allclose(soft.sum(1), torch.ones(3, 9, 9), atol=1e-6)
    assert soft.min() >= 0
    assert soft.max() <= 1


def test_a_soft_label_far_from_any_border_is_sure():
    target = one_hot([[0] * 10 + [1] * 10])
    soft = soft_classes(target, 1.0)
    assert soft[0, :, 0, 0].tolist() == pytest.approx([1, 0, 0], abs=1e-6)
    # Beside the border the Gaussian's half minus half of its middle: 0.5 + 0.399 / 2.
    assert soft[0, 1, 0, 10].item() == pytest.approx(0.6995, abs=2e-3)


@pytest.mark.parametrize("changed", [0, 2])
def test_a_soft_label_never_mixes_slices_or_cases(changed):
    batch = random_batch(6)
    other = batch.clone()
    other[changed] = random_batch(7)[changed]
    before, after = soft_classes(batch, 1.5), soft_classes(other, 1.5)
    untouched = [k for k in range(3) if k != changed]
    assert torch.equal(before[untouched], after[untouched])
    assert not torch.equal(before[changed], after[changed])
    alone = soft_classes(batch[1:2], 1.5)
    assert torch.allclose(alone, before[1:2], atol=1e-7)


def test_a_perfect_prediction_with_a_sure_label_has_no_loss():
    target = random_batch(8)
    logits = (2 * target - 1) * SURE
    total, parts = composite_loss(logits, target, target, (0.6, 0.2, 0.2), everywhere(target))
    assert total.item() == pytest.approx(0, abs=1e-6)
    assert set(parts) == {"dice", "entropy", "kl"}


def test_the_parts_are_what_their_formulas_give_by_hand():
    target = one_hot([[1, 1, 0, 0]], classes=2)
    soft = torch.tensor([[0.1, 0.4, 0.6, 0.9], [0.9, 0.6, 0.4, 0.1]]).reshape(1, 2, 1, 4)
    _, parts = composite_loss(
        torch.zeros(1, 2, 1, 4), target, soft, (1, 1, 1), torch.ones(1, 1, 1, 1)
    )
    # p = 1/2 in all four voxels: overlap 1, sums 2 and 2, one added above and below.
    assert parts["dice"].item() == pytest.approx(1 - (2 * 1 + 1) / (2 + 2 + 1))
    assert parts["entropy"].item() == pytest.approx(math.log(2))
    entropies = [-(t * math.log(t) + (1 - t) * math.log(1 - t)) for t in (0.1, 0.4)]
    assert parts["kl"].item() == pytest.approx(math.log(2) - sum(entropies) / 2, rel=1e-5)


def test_the_total_is_the_weighted_sum_of_its_parts():
    target, logits = random_batch(9), random_batch(10)
    soft, where = soft_classes(target, 1.0), everywhere(target)
    _, parts = composite_loss(logits, target, soft, (1, 1, 1), where)
    for k, name in enumerate(("dice", "entropy", "kl")):
        weights = tuple(float(k == n) for n in range(3))
        total, _ = composite_loss(logits, target, soft, weights, where)
        assert total.item() == pytest.approx(parts[name].item())
    total, _ = composite_loss(logits, target, soft, (0.6, 0.2, 0.2), where)
    expected = 0.6 * parts["dice"] + 0.2 * parts["entropy"] + 0.2 * parts["kl"]
    assert total.item() == pytest.approx(expected.item())


def test_without_soft_labels_there_is_no_kl():
    target, logits = random_batch(11), random_batch(12)
    total, parts = composite_loss(logits, target, None, (0.6, 0.2, 9.0), everywhere(target))
    assert set(parts) == {"dice", "entropy"}
    assert total.item() == pytest.approx((0.6 * parts["dice"] + 0.2 * parts["entropy"]).item())


def test_voxels_outside_give_no_loss_and_no_gradient():
    target = one_hot([[0, 1, 2, 2]])
    logits = ((2 * target - 1) * SURE).clone()
    logits[..., 3] *= -1
    logits.requires_grad_()
    where = torch.tensor([1.0, 1, 1, 0]).reshape(1, 1, 1, 4)
    total, _ = composite_loss(logits, target, target, (0.6, 0.2, 0.2), where)
    assert total.item() == pytest.approx(0, abs=1e-6)
    assert not torch.autograd.grad(total, logits)[0][..., 3].any()


def test_a_batch_where_nothing_counts_has_no_loss():
    target = random_batch(13)
    total, _ = composite_loss(
        random_batch(14), target, target, (0.6, 0.2, 0.2), 0 * everywhere(target)
    )
    assert total.item() == 0


# Wrong labels

SPACING_MM = (1.0, 1.0, 8.0)


def ring(slices: int = 3, scar_deg: float = 90.0, edema_deg: float = 0.0) -> np.ndarray:
    """A wall from 15 to 25 mm around a cavity, with a sector of scar and edema on either side."""
    y, x = np.mgrid[-32:33, -32:33]
    radius, angle = np.hypot(y, x), np.abs(np.degrees(np.arctan2(y, x)))
    plane = np.zeros(radius.shape, np.uint16)
    plane[radius < 25] = NORMAL
    plane[(radius < 25) & (angle < scar_deg / 2 + edema_deg)] = EDEMA if edema_deg else NORMAL
    plane[(radius < 25) & (angle < scar_deg / 2)] = SCAR
    plane[radius < 15] = BLOOD
    return np.repeat(plane[None], slices, axis=0)


def bright_scar(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """LGE of normal myocardium 100 ± 10 and scar 300, float32."""
    noise = np.random.default_rng(seed).normal(0, 10, labels.shape)
    return (100 + 200 * scar(labels) + noise).astype(np.float32)


def make_noisy(labels: np.ndarray, kind: str, level: float, seed: int = 0) -> np.ndarray:
    lge = bright_scar(labels)
    return noisy_labels(labels, lge, SPACING_MM, kind, level, np.random.default_rng(seed))


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * (first & second).sum() / (first.sum() + second.sum())


@pytest.mark.parametrize("kind", KINDS)
def test_level_none_changes_nothing(kind):
    labels = ring(edema_deg=30)
    assert np.array_equal(make_noisy(labels, kind, LEVELS["none"]), labels)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", [LEVELS["low"], LEVELS["high"]])
def test_noise_keeps_the_wall_and_all_around_it(kind, level):
    labels = ring(edema_deg=30)
    original = labels.copy()
    noisy = make_noisy(labels, kind, level)
    assert np.array_equal(labels, original)
    assert (noisy.dtype, noisy.shape) == (np.uint16, labels.shape)
    assert np.array_equal(myocardium(noisy), myocardium(labels))
    assert np.array_equal(noisy[~myocardium(labels)], labels[~myocardium(labels)])


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_random_numbers_give_the_same_labels(kind):
    labels = ring(edema_deg=30)
    assert np.array_equal(make_noisy(labels, kind, 3, 4), make_noisy(labels, kind, 3, 4))


@pytest.mark.parametrize("kind", KINDS)
def test_a_heart_without_scar_stays_without(kind):
    labels = ring(scar_deg=0)
    assert np.array_equal(make_noisy(labels, kind, 3), labels)


@pytest.mark.parametrize("kind", KINDS)
def test_a_wall_that_is_all_scar_and_an_empty_image_are_valid(kind):
    for labels in (ring(scar_deg=400), np.zeros((2, 8, 8), np.uint16)):
        noisy = make_noisy(labels, kind, 3)
        assert np.array_equal(myocardium(noisy), myocardium(labels))


@pytest.mark.parametrize("kind", ["border", "islands"])
def test_mvo_stays_mvo_or_is_lost_with_its_scar(kind):
    labels = ring()
    labels[:, 32, 50:54] = MVO
    noisy = make_noisy(labels, kind, 3, 1)
    assert not (noisy == MVO)[labels != MVO].any()
    assert np.array_equal(noisy == MVO, (labels == MVO) & scar(noisy))


@pytest.mark.parametrize("kind", ["border", "islands", "threshold"])
def test_more_noise_lowers_the_dice(kind):
    labels = ring(slices=6, edema_deg=30)
    scores = [
        np.mean([dice(scar(make_noisy(labels, kind, level, s)), scar(labels)) for s in range(6)])
        for level in LEVELS.values()
    ]
    assert scores[0] == 1
    assert all(np.diff(scores) < -0.002)


def test_a_shifted_border_has_moved_by_the_stated_millimeters():
    # A straight border across a wide wall: scar in the first half of the columns.
    labels = np.full((40, 60, 60), NORMAL, np.uint16)
    labels[:, :, :30] = SCAR
    noisy = label_noise.jitter_borders(labels, (1.0, 1.0, 8.0), 2.0, np.random.default_rng(0))
    moved_mm = scar(noisy).sum(axis=2) - 30.0
    assert moved_mm.std() == pytest.approx(2.0, rel=0.15)
    assert abs(moved_mm.mean()) < 0.3
    fine = label_noise.jitter_borders(labels, (0.5, 0.5, 8.0), 2.0, np.random.default_rng(0))
    assert (0.5 * scar(fine).sum(axis=2)).std() == pytest.approx(2.0, rel=0.2)


def test_every_slice_has_a_border_of_its_own():
    noisy = make_noisy(ring(slices=4), "border", 2)
    assert len({plane.tobytes() for plane in noisy}) == 4


def test_edema_moves_against_normal_myocardium_and_leaves_scar_to_its_own_border():
    labels = ring(edema_deg=40)
    noisy = make_noisy(labels, "border", 1, 2)
    assert 0.7 < dice(edema(noisy), edema(labels)) < 1
    # The scar lies in the middle of the edema, 14 mm from normal myocardium at its nearest.
    assert not (normal_myocardium(noisy) & scar(labels)).any()


def islands_of_known_size() -> np.ndarray:
    """Wide myocardium with a scar of 12 x 12 pixels and one of 3 x 3."""
    labels = np.full((400, 30, 30), NORMAL, np.uint16)
    labels[:, 2:14, 2:14] = SCAR
    labels[:, 20:23, 20:23] = SCAR
    return labels


def test_islands_are_left_out_whole_and_small_ones_twice_as_often():
    labels = islands_of_known_size()
    noisy = make_noisy(labels, "islands", 2)
    large, small = noisy[:, 2:14, 2:14] == SCAR, noisy[:, 20:23, 20:23] == SCAR
    for island in (large, small):
        assert np.array_equal(island.all(axis=(1, 2)), island.any(axis=(1, 2)))
    # 144 mm² with a chance of 2 * 0.12, 9 mm² with twice that; 400 slices, SD below 0.025.
    assert 1 - large[:, 0, 0].mean() == pytest.approx(0.24, abs=0.07)
    assert 1 - small[:, 0, 0].mean() == pytest.approx(0.48, abs=0.08)
    assert not scar(noisy)[~scar(labels)].any()


def test_islands_that_touch_at_a_corner_are_one():
    labels = np.full((200, 8, 8), NORMAL, np.uint16)
    labels[:, 2, 2] = labels[:, 3, 3] = SCAR
    noisy = make_noisy(labels, "islands", 3)
    assert set(scar(noisy).sum(axis=(1, 2)).tolist()) == {0, 2}


def test_a_forgotten_scar_becomes_what_lies_nearest():
    labels = ring(edema_deg=30)
    lost = label_noise.leave_out_islands(labels, SPACING_MM, 0.0, np.random.default_rng(0))
    assert np.array_equal(lost, labels)
    only_scar = labels.copy()
    label_noise._draw_scar(only_scar[0], np.zeros(labels.shape[1:], bool), (1.0, 1.0))
    assert not scar(only_scar[0]).any()
    # Edema surrounds the scar within the wall.
    assert (only_scar[0][scar(labels[0])] == EDEMA).all()
    everything = label_noise.leave_out_islands(labels, SPACING_MM, 1.0, np.random.default_rng(0))
    assert np.array_equal(normal_myocardium(everything), myocardium(labels))


def test_a_threshold_adds_exactly_the_voxels_above_it():
    labels = ring(slices=1)
    lge = bright_scar(labels)
    values = lge[labels == NORMAL].astype(float)
    cut = values.mean() + 2.5 * values.std()
    noisy = noisy_labels(labels, lge, SPACING_MM, "threshold", 1, np.random.default_rng(0))
    expected = (labels == SCAR) | ((lge > cut) & (labels == NORMAL))
    assert np.array_equal(scar(noisy), expected)
    assert expected.sum() > (labels == SCAR).sum()


def test_each_slice_has_the_threshold_of_its_own_normal_myocardium():
    labels = ring(slices=2)
    lge = np.where(scar(labels), 300, 100).astype(np.float32)
    normal = np.argwhere(labels[0] == NORMAL)
    lge[1] *= 2
    # Below the threshold of both slices together, as the second is twice as bright.
    y, x = normal[0]
    lge[0, y, x] = 190
    noisy = threshold_scar(labels, lge, 2.5)
    assert (scar(noisy) & ~scar(labels)).nonzero() == ([0], [y], [x])


def test_a_slice_with_hardly_any_normal_myocardium_is_not_thresholded():
    labels = ring(slices=1, scar_deg=400)
    labels[0][tuple(np.argwhere(labels[0] == SCAR)[0])] = NORMAL
    lge = np.full(labels.shape, 500, np.float32)
    assert np.array_equal(threshold_scar(labels, lge, 1.0), labels)


def test_without_lge_there_is_no_threshold_and_mixed_does_not_choose_it(monkeypatch):
    labels, random = ring(), np.random.default_rng(0)
    assert np.array_equal(noisy_labels(labels, None, SPACING_MM, "threshold", 3, random), labels)
    monkeypatch.setattr(label_noise, "threshold_scar", None)
    for _ in range(20):
        noisy_labels(labels, None, SPACING_MM, "mixed", 3, random)


def test_mixed_is_one_of_the_three_kinds():
    labels = ring()
    found = {make_noisy(labels, "mixed", 2, seed).tobytes() for seed in range(30)}
    # A threshold draws no random numbers: its labels are always the same.
    assert make_noisy(labels, "threshold", 2).tobytes() in found
    assert len(found) > 10


@pytest.mark.parametrize(
    ("kind", "level", "expected"),
    [("blobs", 1, "border, islands, threshold, mixed"), ("border", -1, "0 to 4"),
     ("border", 9, "0 to 4"), ("border", float("nan"), "0 to 4")],
)  # fmt: skip
def test_unknown_kinds_and_levels_are_refused(kind, level, expected):
    with pytest.raises(InputError, match=expected):
        make_noisy(ring(), kind, level)


def test_an_lge_of_another_shape_is_refused():
    with pytest.raises(InputError, match=r"\(3, 65, 65\), found \(1, 2, 2\)"):
        noisy_labels(ring(), np.zeros((1, 2, 2)), SPACING_MM, "border", 1, np.random.default_rng(0))


# Artifacts


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def discs(slices: int = 6, side: int = 48) -> np.ndarray:
    """A bright disc on gray in every slice, off the middle, float32."""
    y, x = np.mgrid[:side, :side]
    disc = np.hypot(y - 20, x - 27) < 9
    return np.repeat((50 + 900 * disc).astype(np.float32)[None], slices, axis=0)


def spoiled(seed: int, strength: float = 1.0) -> dict[str, np.ndarray]:
    images = {"bssfp": discs(), "lge": discs() - 300, "t2": discs()[:5, :41]}
    return add_artifacts(images, np.random.default_rng(seed), strength)


def test_strength_zero_gives_the_same_images():
    for name, image in spoiled(0, 0.0).items():
        assert np.array_equal(image, {"bssfp": discs(), "lge": discs() - 300}.get(name, image))


@pytest.mark.parametrize("strength", [0.5, 1.0, 3.0])
def test_artifacts_keep_shape_and_type_and_are_finite(strength):
    for seed in range(6):
        images = spoiled(seed, strength)
        assert [i.shape for i in images.values()] == [(6, 48, 48), (6, 48, 48), (5, 41, 48)]
        assert all(i.dtype == np.float32 and np.isfinite(i).all() for i in images.values())
        assert images["bssfp"].min() >= 0


def test_artifacts_are_deterministic_and_leave_the_input_and_torch_alone():
    given = discs()
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first = add_artifacts({"lge": given}, np.random.default_rng(3))["lge"]
    assert torch.equal(torch.rand(1), expected)
    torch.manual_seed(99)
    second = add_artifacts({"lge": given}, np.random.default_rng(3))["lge"]
    assert np.array_equal(first, second)
    assert np.array_equal(given, discs())
    assert not np.array_equal(first, given)


def test_every_sequence_has_artifacts_of_its_own():
    images = add_artifacts({"bssfp": discs(), "lge": discs()}, np.random.default_rng(3))
    assert not np.array_equal(images["bssfp"], images["lge"])


def test_an_image_without_signal_and_one_with_a_single_slice_are_valid():
    for image in (np.zeros((3, 20, 20), np.float32), discs(slices=1)):
        for seed in range(4):
            assert np.isfinite(
                add_artifacts({"t2": image}, np.random.default_rng(seed))["t2"]
            ).all()


def place(image: np.ndarray) -> np.ndarray:
    """Where the bright disc is, in pixels (y, x)."""
    bright = image > (image.max() + np.median(image)) / 2
    return np.argwhere(bright).mean(axis=0)


@pytest.mark.parametrize("name", ["_motion", "_ghosts", "_spikes", "_blur", "_fewer_lines"])
def test_no_artifact_moves_the_heart_from_its_label(name):
    torchio = pytest.importorskip("torchio", reason="TorchIO is not installed")
    from myops.training.data import artifacts

    plane, changed = discs(slices=1)[0] / 950, 0
    for seed in range(8):
        random = np.random.default_rng(seed)
        artifact = getattr(artifacts, name)(torchio, random, 1.0)
        found = artifacts._in_plane(artifact, plane, random)
        changed += not np.allclose(found, plane, atol=1e-3)
        assert np.abs(place(found) - place(plane)).max() < 0.5
    assert changed >= 6


def test_motion_ghosts_and_spikes_meet_single_slices(monkeypatch):
    from myops.training.data import artifacts

    for chance in ("SHARPNESS", "BIAS", "NOISE", "GAMMA"):
        monkeypatch.setattr(artifacts, f"{chance}_CHANCE", 0.0)
    monkeypatch.setattr(artifacts, "ACQUISITION_CHANCE", 1.0)
    image = discs(slices=40)
    found = add_artifacts({"lge": image}, np.random.default_rng(0))["lge"]
    hit = (np.abs(found - image) > 1).any(axis=(1, 2))
    assert 10 < hit.sum() < 30


def test_artifacts_without_torchio_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchio", None)
    with pytest.raises(InputError, match=r"pip install 'myops-segmenter\[train\]'"):
        add_artifacts({"lge": discs()}, np.random.default_rng(0))


def test_a_negative_strength_is_refused():
    with pytest.raises(InputError, match="0 or above, found -1"):
        add_artifacts({"lge": discs()}, np.random.default_rng(0), -1)

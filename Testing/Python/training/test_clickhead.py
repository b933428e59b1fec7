"""The click head's training: what its readers see, what its loss counts, what is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from myops.errors import InputError
from myops.networks.clickhead import NOWHERE, build_clickhead, on_square, pixels_of
from myops.refine.prompts import Point, Prompts
from myops.training.config import ClickHeadConfig, make_config
from myops.training.data import click_slices
from myops.training.data.click_dialogues import Sample, clicked_error, taken
from myops.training.data.click_slices import beside
from myops.training.data.simulated_clicks import (
    BLOOD,
    NORMAL,
    SCAR,
    ClickSimulation,
    ReaderConfig,
    carry_on,
    structure_of,
)
from myops.training.data.slice_cache import cache_file, kept_slices
from myops.training.loop import learned_before
from myops.training.stages import clickhead
from myops.training.stages.clickhead import answer_loss
from myops.weights.files import learned_from, read_manifest
from myops.weights.packs import PACKS_FOLDER

SIZE, MIDDLE = 80, 40
ROWS, COLUMNS = np.indices((SIZE, SIZE))
RADIUS = np.hypot(ROWS - MIDDLE, COLUMNS - MIDDLE)
EXACT = ReaderConfig(empty_share=0, corrupted_share=0, box_share=0, mistake_share=0)


def classes(scar_to: int = MIDDLE + 10) -> np.ndarray:
    """A ring-shaped wall; scar on its right side, from the middle down to a row."""
    found = np.zeros((SIZE, SIZE), np.uint8)
    found[RADIUS <= 24] = NORMAL
    found[(RADIUS <= 24) & (COLUMNS > MIDDLE) & (ROWS >= MIDDLE - 10) & (scar_to >= ROWS)] = SCAR
    found[RADIUS <= 16] = BLOOD
    return found


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    """Three slices of one heart, LGE alone; the automatic scar ends too early."""
    truth = np.stack([classes()] * 3)
    automatic = np.stack([classes(MIDDLE)] * 3)
    images = np.zeros((3, 3, SIZE, SIZE), np.float32)
    images[:, 1] = np.where(truth >= SCAR, 3.0, np.where(truth == BLOOD, 2.0, -1.0))
    images[:, 1] += np.random.default_rng(0).normal(0, 0.2, (SIZE, SIZE))
    probabilities = np.stack([automatic == c for c in (BLOOD, NORMAL, 3, SCAR)], axis=1)
    present = np.tile(np.array([0, 1, 0], np.float32), (3, 1))
    slices = click_slices.stack_slices(
        images, present, probabilities.astype(np.float32), truth, automatic, 1.5
    )
    tensors = {name: torch.from_numpy(values) for name, values in slices.items()}
    return {k: v.float() if v.dtype == torch.float16 else v for k, v in tensors.items()}


def reading(
    truth: np.ndarray, automatic: np.ndarray, x: float, y: float, sign: int
) -> ClickSimulation:
    made = ClickSimulation(truth, automatic, np.array([0, 1.0, 0]), EXACT, np.random.default_rng(0))
    made.begin(0, structure_of(automatic, 0))
    made.points.append((x, y, sign))
    return made


def test_at_an_end_of_the_stack_the_only_neighbor_counts_twice():
    stack = np.arange(3, dtype=np.uint8)[:, None, None]
    assert beside(stack)[:, :, 0, 0].tolist() == [[1, 1], [0, 2], [1, 1]]
    assert beside(stack[:1])[:, :, 0, 0].tolist() == [[0, 0]]


def test_of_an_answer_the_connected_change_is_taken_and_the_click_obeys():
    talk = reading(classes(), classes(MIDDLE), MIDDLE + 20.0, MIDDLE + 5.0, 1)
    chance = talk.target * 0.9
    chance[2:6, 2:6] = 0.9  # far away
    mask = taken(chance, talk)
    assert np.array_equal(mask, talk.target)
    nothing = taken(np.zeros((SIZE, SIZE)), talk)
    assert nothing[MIDDLE + 5, MIDDLE + 20]


def test_the_clicked_error_is_the_connected_one_of_the_click_s_own_kind():
    talk = reading(classes(), classes(MIDDLE), MIDDLE + 20.0, MIDDLE + 5.0, 1)
    missed = talk.target & ~talk.mask
    talk.mask[MIDDLE + 11, MIDDLE + 18 : MIDDLE + 22] = True  # too much, right below it
    assert np.array_equal(clicked_error(talk), missed)
    talk.points.append((MIDDLE + 20.0, MIDDLE - 5.0, 1))  # into what is right
    assert not clicked_error(talk).any()


def sample(target: list[int], mask: list[int], clicked: list[int], true: int) -> Sample:
    planes = [torch.tensor(values, dtype=torch.bool) for values in (target, mask, clicked)]
    return Sample(torch.zeros(len(target), 1), *planes, true)


def test_every_part_of_the_loss_by_hand():
    one = sample([1, 1, 0, 0], [1, 0, 0, 1], [0, 1, 0, 0], true=3)  # one pixel is not computed
    found = answer_loss(torch.logit(torch.tensor([0.8, 0.6, 0.3, 0.5])), [one])
    entropy = -np.log([0.8, 0.6, 0.7, 0.5])
    assert found["entropy"] == pytest.approx(entropy.sum() / np.sqrt(23) / 10)
    assert found["change"] == pytest.approx(entropy[1])
    assert found["dice"] == pytest.approx(1 - (2 * 1.4 + 1) / (2.2 + 3 + 1))
    # Right were the first (kept at 0.8) and the third (kept out at 0.3).
    assert found["spoiled"] == pytest.approx((0.2 + 0.3) / 23)


def test_every_sample_counts_alike_whatever_its_pixels():
    one = sample([1, 1, 0, 0], [1, 0, 0, 1], [0, 1, 0, 0], true=2)
    other = sample([1, 0], [0, 0], [1, 0], true=1)
    logits = torch.tensor([0.5, -1.0, 2.0, 0.0, 1.0, -2.0])
    both = answer_loss(logits, [one, other])
    parts = [answer_loss(logits[:4], [one]), answer_loss(logits[4:], [other])]
    for name, value in both.items():
        assert value == pytest.approx((parts[0][name] + parts[1][name]) / 2)


def test_turning_keeps_everything_in_its_place(batch):
    turned = click_slices.turn(batch, torch.Generator().manual_seed(3))
    scar = turned["truth"] >= SCAR
    assert not torch.equal(turned["truth"], batch["truth"])
    assert float(turned["images"][:, 1:2][scar].min()) > 2
    assert torch.equal(scar.sum((1, 2, 3)), (batch["truth"] >= SCAR).sum((1, 2, 3)))


def test_the_automatic_result_moves_as_one_and_by_4_pixels_at_most(batch, monkeypatch):
    monkeypatch.setattr(click_slices, "MOVED_SHARE", 1.0)
    moved = click_slices.move_automatic(batch, torch.Generator().manual_seed(1))
    assert torch.equal(moved["truth"], batch["truth"])
    assert not torch.equal(moved["automatic"], batch["automatic"])
    blood = moved["automatic"][:, 0] == BLOOD
    agrees = (moved["probabilities"][:, 0] > 0.5) == blood
    assert float(agrees.float().mean()) > 0.99
    away = torch.from_numpy(24 + 4 * np.sqrt(2) + 1 < RADIUS)
    assert not bool(moved["automatic"][:, 0][:, away].any())


def test_a_mask_that_is_carried_on_holds_what_it_was_and_stays_near_the_wall():
    wall = (RADIUS > 16) & (RADIUS <= 24)
    mask = structure_of(classes(), 0)
    grown = [carry_on(mask, wall, np.random.default_rng(seed)) for seed in range(30)]
    assert all((one >= mask).all() for one in grown)
    assert sum(np.count_nonzero(one) > 1.1 * np.count_nonzero(mask) for one in grown) > 20
    assert all(RADIUS[one].max() < 27 for one in grown)


def test_a_reader_who_is_satisfied_says_nothing_more():
    satisfied = replace(EXACT, satisfied_dice=0.9)
    truth = classes()
    made = ClickSimulation(truth, truth, np.array([0, 1.0, 0]), satisfied, np.random.default_rng(0))
    made.begin(0, structure_of(truth, 0))
    made.mask = made.mask.copy()
    made.mask[MIDDLE, MIDDLE + 20] = False
    assert not made.click()
    made.mask[:] = False
    assert made.click()


def test_pixels_outside_the_domain_are_not_the_structure():
    network = build_clickhead()
    domain = torch.zeros(2, 8, 8, dtype=torch.bool)
    domain[1, 3, 4] = domain[0, 7, 0] = True
    planes = torch.randn(2, network.features, 8, 8)
    with torch.no_grad():
        logits = on_square(network(pixels_of(planes, domain)), domain)
        alone = network(planes[1, :, 3, 4][None])
    assert logits.shape == (2, 8, 8)
    assert bool((logits[~domain] == NOWHERE).all())
    assert float(logits[1, 3, 4]) == pytest.approx(float(alone))


def test_a_share_of_the_pixels_stands_for_all_of_them():
    one = sample([1, 1, 0, 0] * 50, [1, 0, 0, 1] * 50, [0, 1, 0, 0] * 50, true=100)
    some = one.some(0.3, np.random.default_rng(0))
    assert len(some.target) == 60
    assert some.each == pytest.approx(200 / 60)
    logits = torch.zeros(200)
    whole, part = (answer_loss(logits[: len(s.target)], [s]) for s in (one, some))
    assert float(part["entropy"]) == pytest.approx(float(whole["entropy"]), rel=1e-4)
    assert float(part["spoiled"]) == pytest.approx(float(whole["spoiled"]), rel=0.2)


def test_dialogues_teach(batch):
    """Forty steps at one slice: the answers come closer to the truth after every click."""
    torch.manual_seed(0)
    config = ClickHeadConfig(clicks=3, replayed=10)
    one = {name: values[:1] for name, values in batch.items()}
    network = build_clickhead((32,))
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-2)
    loss = clickhead.make_loss(config, torch.device("cpu"))
    before = clickhead.score(network, one)
    for _ in range(40):
        total, _ = loss(network, one)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    after = clickhead.score(network, one)
    assert after["scar_0"] == before["scar_0"]
    assert after["scar_1"] > after["scar_0"] + 0.1
    assert after["scar_3"] > 0.85


def test_slices_are_made_once_and_read_from_then_on(tmp_path):
    made = []

    def make():
        made.append(1)
        return {"present": np.ones((2, 3), np.float32)}

    path = tmp_path / "kept" / "one.npz"
    first, second = kept_slices(path, make), kept_slices(path, make)
    assert len(made) == 1
    assert first is not None and second is not None
    assert np.array_equal(first["present"], second["present"])


def test_a_patient_without_a_heart_is_remembered_and_a_damaged_file_refused(tmp_path):
    path = tmp_path / "none.npz"
    assert kept_slices(path, lambda: None) is None
    assert kept_slices(path, lambda: pytest.fail("made anew")) is None
    path.write_bytes(b"PK nothing")
    with pytest.raises(InputError, match="expected kept slices, found a damaged file"):
        kept_slices(path, lambda: None)


def test_only_settings_that_change_a_patient_change_the_name_of_the_file(tmp_path):
    config = ClickHeadConfig()
    name = cache_file(tmp_path, "clickhead", config, 3)
    assert (
        cache_file(tmp_path, "clickhead", replace(config, learning_rate=1.0, clicks=2), 3) == name
    )
    for other in (
        replace(config, lge_alone=0.1),
        replace(config, seed=4),
        replace(config, size=96),
    ):
        assert cache_file(tmp_path, "clickhead", other, 3) != name
    assert cache_file(tmp_path, "clickhead", config, 4) != name


def test_settings_without_sense_are_refused():
    with pytest.raises(InputError, match="clicks must be at least 1, found 0"):
        make_config("clickhead", {"clicks": "0"})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two steps of `myops train clickhead` on one phantom, exported as weights."""
    from myops.training.export import export_weights
    from myops.training.loop import train

    folder = tmp_path_factory.mktemp("clickhead")
    settings = {
        "steps": "2", "pool_start": "1", "curve_patients": "0", "workers": "0", "threads": "1",
        "seed": "5", "cache": str(folder / "cache"), "ema_decay": "0",
    }  # fmt: skip
    checkpoint = train("clickhead", settings, folder / "run")
    export_weights(checkpoint, folder / "weights")
    return folder


def test_weights_for_other_planes_are_refused(tmp_path):
    from myops.refine.refiner import load_refiner
    from myops.weights.files import install_weights

    install_weights("clickhead", build_clickhead(features=40), tmp_path, {})
    with pytest.raises(InputError, match="a click head that reads 53 planes, found one of 40"):
        load_refiner("cpu", str(tmp_path))


def test_a_training_keeps_its_patients_and_its_weights_answer_clicks(trained):
    from circle_heart import CENTER, circle_case, circle_labels, circle_segmentation

    from myops.refine.refiner import Refiner, load_refiner
    from myops.refine.rules import REGIONS

    assert len(list((trained / "cache").glob("clickhead_*.npz"))) == 1
    refiner = Refiner(load_refiner("cpu", str(trained / "weights")))
    labels = circle_labels()
    case = circle_case(labels, ("lge",))
    refiner.set_case(case, circle_segmentation(case, labels))
    click = Prompts("scar", 2, (Point(CENTER + 16.0, float(CENTER)),))
    answers = [refiner.predict(click, labels) for _ in range(2)]
    assert np.array_equal(answers[0].probability, answers[1].probability)
    assert answers[0].mask[CENTER + 16, CENTER]
    assert 0 <= answers[0].confidence <= 1
    changed = answers[0].mask != REGIONS["scar"](labels[2])
    assert changed[CENTER + 16, CENTER]
    assert refiner.encoded == {2}


def test_what_any_of_several_cascades_has_learned_from_counts_and_their_results_are_kept_apart():
    one, two = (ClickHeadConfig(cascade=c) for c in ("synthetic", "synthetic,public-hearts"))
    known = learned_from(read_manifest(PACKS_FOLDER / "public-hearts"))
    assert learned_before("clickhead", two) == known != learned_before("clickhead", one)
    files = {cache_file(Path("kept"), "clickhead", config, 0) for config in (one, two)}
    assert len(files) == 2

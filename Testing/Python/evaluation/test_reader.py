"""The simulated reader, and how training uses it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from myops.evaluation.simulated_reader import next_click
from myops.refine.prompts import STRUCTURES
from myops.training.data.simulated_clicks import (
    BLOOD,
    EDEMA,
    MVO,
    NORMAL,
    SCAR,
    ClickSimulation,
    ReaderConfig,
    corrupt_mask,
    prompt_batch,
    structure_of,
    with_structure,
)
from myops.training.losses import kl_to_soft_label, slice_dice_loss, soft_label

RNG = np.random.default_rng


def square(size: int, top: int, left: int, side: int) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_a_right_mask_gets_no_click():
    mask = square(20, 5, 5, 6)
    assert next_click(mask, mask, RNG(0)) is None
    assert next_click(np.zeros((5, 5), bool), np.zeros((5, 5), bool), RNG(0)) is None


def test_the_click_goes_into_the_largest_missing_part():
    truth = square(40, 3, 3, 4) | square(40, 20, 20, 9)
    for seed in range(20):
        click = next_click(np.zeros_like(truth), truth, RNG(seed))
        assert click.positive
        # Near the center: at least half as deep as the deepest pixel of the 9 x 9 square.
        assert max(abs(click.row - 24), abs(click.column - 24)) <= 2


def test_what_is_too_much_gets_a_negative_click():
    click = next_click(square(40, 20, 20, 9) | square(40, 2, 2, 3), square(40, 2, 2, 3), RNG(0))
    assert not click.positive
    assert 20 <= click.row < 29


def test_clicks_vary_with_the_seed_and_not_otherwise():
    truth, empty = square(40, 10, 10, 15), np.zeros((40, 40), bool)
    places = {(c.row, c.column) for c in (next_click(empty, truth, RNG(s)) for s in range(9))}
    assert len(places) > 3
    assert next_click(empty, truth, RNG(1)) == next_click(empty, truth, RNG(1))


def test_scar_includes_mvo_and_myocardium_is_the_whole_wall():
    classes = np.array([0, BLOOD, NORMAL, EDEMA, SCAR, MVO])
    names = dict(zip(STRUCTURES, range(5), strict=True))
    assert structure_of(classes, names["scar"]).tolist() == [0, 0, 0, 0, 1, 1]
    assert structure_of(classes, names["myocardium"]).tolist() == [0, 0, 1, 1, 1, 1]
    assert structure_of(classes, names["mvo"]).tolist() == [0, 0, 0, 0, 0, 1]


def test_putting_a_mask_into_a_class_map_moves_only_its_own_voxels():
    classes = np.array([[0, BLOOD, NORMAL, EDEMA, SCAR, MVO]])
    mask = np.array([[False, False, True, False, False, True]])
    changed = with_structure(classes, mask, STRUCTURES.index("scar"))
    assert changed.tolist() == [[0, BLOOD, SCAR, EDEMA, NORMAL, MVO]]


def test_no_scar_is_corrected_without_an_lge():
    truth = np.full((16, 16), SCAR, np.uint8)
    chosen = {
        ClickSimulation(
            truth, truth, np.array([1.0, 0.0, 0.0]), ReaderConfig(), RNG(seed)
        ).structure
        for seed in range(60)
    }
    assert chosen <= {STRUCTURES.index("myocardium"), STRUCTURES.index("blood_pool")}


def test_a_reading_starts_from_the_automatic_mask_when_told():
    truth = np.full((16, 16), NORMAL, np.uint8)
    truth[4:12, 4:12] = SCAR
    automatic = np.full((16, 16), NORMAL, np.uint8)
    automatic[4:8, 4:12] = SCAR
    config = ReaderConfig(empty_share=0, corrupted_share=0, box_share=0, mistake_share=0)
    reading = ClickSimulation(truth, automatic, np.ones(3), config, RNG(0))
    reading.begin(STRUCTURES.index("scar"), automatic == SCAR)
    reading.click()
    x, y, sign = reading.points[0]
    assert sign == 1
    assert 8 - 0.5 <= y <= 11.5
    assert 3.5 <= x <= 11.5
    reading.see(truth == SCAR)
    reading.click()
    assert len(reading.points) == 1  # nothing left to click


def test_newest_points_come_last_and_padding_first():
    readings = []
    for count in (1, 2):
        truth = np.full((16, 16), NORMAL, np.uint8)
        truth[2:6, 2:6], truth[9:14, 9:14] = SCAR, SCAR
        reading = ClickSimulation(truth, truth, np.ones(3), ReaderConfig(box_share=0), RNG(0))
        reading.points = [(float(k), 0.0, 1) for k in range(count)]
        readings.append(reading)
    batch = prompt_batch(readings, torch.device("cpu"))
    assert batch.signs.tolist() == [[-1, 1], [1, 1]]
    assert batch.points[1, :, 0].tolist() == [0.0, 1.0]
    assert batch.points[0, 1, 0] == 0.0
    assert batch.boxes is None


def test_a_corrupted_mask_differs_from_the_mask():
    mask = square(40, 12, 12, 12)
    corrupted = [corrupt_mask(mask, square(40, 8, 8, 20), RNG(seed)) for seed in range(20)]
    assert sum(bool((s != mask).any()) for s in corrupted) >= 18


# The composite loss's parts


def test_a_perfect_prediction_has_no_divergence_from_the_soft_label():
    soft = soft_label(torch.from_numpy(square(16, 4, 4, 7)).float()[None, None], 1.0)
    inner = soft.clamp(1e-4, 1 - 1e-4)
    assert kl_to_soft_label(torch.logit(inner), inner).abs().max() < 1e-6


def test_the_divergence_is_that_worked_out_by_hand():
    # t = 1 against p = 1/2: ln 2. t = 1/4 against p = 1/2: ln 2 - H(1/4).
    soft = torch.tensor([1.0, 0.25, 0.5])
    expected = [np.log(2), np.log(2) + 0.25 * np.log(0.25) + 0.75 * np.log(0.75), 0.0]
    assert kl_to_soft_label(torch.zeros(3), soft).tolist() == pytest.approx(expected, abs=1e-6)


def test_soft_labels_never_mix_slices():
    masks = torch.stack([torch.zeros(1, 12, 12), torch.ones(1, 12, 12)])
    soft = soft_label(masks, 1.0)
    assert soft[0].max() == 0
    assert soft[1].min() == pytest.approx(1, abs=1e-6)


def test_a_soft_label_is_the_gaussian_blur_of_the_mask():
    from scipy.ndimage import gaussian_filter

    mask = square(24, 8, 6, 9).astype(np.float32)
    expected = gaussian_filter(mask, 1.0, mode="nearest", truncate=3.0)
    soft = soft_label(torch.from_numpy(mask)[None, None], 1.0)[0, 0].numpy()
    assert np.abs(soft - expected).max() < 1e-5


def test_slice_dice_averages_over_slices_that_have_the_structure():
    target = torch.zeros(3, 1, 4, 4)
    target[0, 0, :2] = 1  # 8 pixels
    target[1, 0, 0] = 1  # 4 pixels
    probability = torch.zeros(3, 1, 4, 4)
    probability[0, 0, :2] = 1  # perfect
    probability[1, 0, 1] = 1  # beside it
    probability[2] = 1  # no such structure in truth: no term
    expected = (0 + (1 - 1 / 9)) / 2
    assert float(slice_dice_loss(probability, target)) == pytest.approx(expected)

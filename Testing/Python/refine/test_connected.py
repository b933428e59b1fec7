"""Of an answer only that change is taken which the newest prompt asked for."""

from __future__ import annotations

import numpy as np
import pytest

from myops.refine.connected import (
    best_threshold,
    connected_change,
    cut,
    sign_margin,
    taken_change,
)
from myops.refine.prompts import Box, Point, Prompts

PRESENT = np.array(
    [
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 0, 0, 0, 1, 0],
        [0, 1, 1, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ],
    bool,
)
# Grows the left island to the right and down by a corner, drops the right one, adds a far pixel.
ANSWER = np.array(
    [
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 0, 0, 0, 0],
        [0, 1, 1, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 0, 0, 0],
        [1, 0, 0, 0, 0, 0, 0, 0],
    ],
    bool,
)


def prompts(*points: Point, box: Box | None = None, box_is_newest: bool = False) -> Prompts:
    return Prompts("scar", 0, points, box, box_is_newest)


def test_a_click_takes_the_change_that_holds_it_with_its_corners_and_nothing_else():
    mask = taken_change(PRESENT, ANSWER, prompts(Point(1.0, 3.0)))
    expected = PRESENT.copy()
    expected[[1, 2, 3], [3, 3, 4]] = True
    assert np.array_equal(mask, expected)


def test_a_click_that_removes_takes_its_own_change_alone():
    mask = taken_change(PRESENT, ANSWER, prompts(Point(2.2, 5.8, positive=False)))
    expected = PRESENT.copy()
    expected[1:3, 6] = False
    assert np.array_equal(mask, expected)


def test_a_click_where_the_answer_changes_nothing_changes_its_own_voxel():
    mask = taken_change(PRESENT, PRESENT, prompts(Point(4.0, 7.0)))
    assert np.argwhere(mask != PRESENT).tolist() == [[4, 7]]


def test_a_click_into_what_is_right_takes_the_change_beside_it():
    mask = taken_change(PRESENT, ANSWER, prompts(Point(1.0, 2.0)))
    assert mask[1:3, 3].all()
    assert mask[1:3, 6].all()


def test_the_newest_click_decides_and_the_older_ones_keep_their_voxels():
    older = Point(0.0, 4.0)
    mask = taken_change(PRESENT, ANSWER, prompts(older, Point(1.0, 3.0)))
    assert mask[0, 4]
    assert mask[1:3, 6].all()


def test_a_box_takes_the_changes_inside_it_whatever_its_corners_order():
    mask = taken_change(PRESENT, ANSWER, prompts(box=Box(2.0, 6.5, 1.0, 3.0)))
    expected = PRESENT.copy()
    expected[1:3, 3] = True
    expected[1:3, 6] = False
    assert np.array_equal(mask, expected)


@pytest.mark.parametrize(("newest", "right_island"), [(True, False), (False, True)])
def test_of_a_box_and_a_click_the_one_given_last_decides(newest, right_island):
    drawn = prompts(Point(1.0, 3.0), box=Box(0.0, 4.5, 4.0, 7.0), box_is_newest=newest)
    mask = taken_change(PRESENT, ANSWER, drawn)
    assert bool(mask[1, 6]) == right_island
    assert mask[1, 3]  # the click's own voxel, in any case
    assert bool(mask[2, 3]) == right_island


def test_without_prompts_the_whole_answer_is_taken():
    assert np.array_equal(taken_change(PRESENT, ANSWER, prompts()), ANSWER)


def test_sessions_of_earlier_versions_took_the_whole_answer():
    mask = taken_change(PRESENT, ANSWER, prompts(Point(0.0, 0.0)), "whole")
    expected = ANSWER.copy()
    expected[0, 0] = True
    assert np.array_equal(mask, expected)


def test_the_arguments_stay_as_they_were():
    present, answer = PRESENT.copy(), ANSWER.copy()
    taken_change(present, answer, prompts(Point(1.0, 3.0)))
    connected_change(present, (0, 0))
    assert np.array_equal(present, PRESENT)
    assert np.array_equal(answer, ANSWER)


SOMETHING, NOTHING = np.ones(1, bool), np.zeros(1, bool)


def test_the_threshold_of_greatest_expected_dice_by_hand():
    """0.9 and 0.4: one pixel gives 1.8 / 2.3 = 0.783, both give 2.6 / 3.3 = 0.788."""
    assert best_threshold(np.array([[0.9, 0.4]]), SOMETHING) < 0.4
    # 0.9 and 0.35: 1.8 / 2.25 = 0.8, both 2.5 / 3.25 = 0.769.
    assert 0.35 <= best_threshold(np.array([[0.9, 0.35]]), SOMETHING) <= 0.5


def test_the_threshold_is_never_below_a_quarter_or_above_a_half():
    assert best_threshold(np.full((4, 4), 0.2), SOMETHING) >= 0.25
    assert best_threshold(np.array([[0.99, 0.6, 0.0]]), SOMETHING) <= 0.5
    assert best_threshold(np.zeros((3, 3)), SOMETHING) == 0.25


def test_where_nothing_is_marked_yet_less_sure_pixels_are_taken():
    unsure = np.array([[0.24, 0.2, 0.18, 0.01]])  # three of them: 1.24 / 3.63, none: 0
    assert not (unsure > best_threshold(unsure, SOMETHING)).any()
    taken = unsure > best_threshold(unsure, NOTHING)
    assert taken.tolist() == [[True, True, True, False]]
    assert best_threshold(np.zeros((3, 3)), NOTHING) == pytest.approx(0.1)


def test_a_change_has_to_be_surer_than_the_threshold_by_the_margin():
    chance = np.array([0.1, 0.3, 0.42, 0.5, 0.7])
    assert cut(chance, np.zeros(5, bool), 0.4, 0.2).tolist() == [False] * 4 + [True]
    assert cut(chance, np.ones(5, bool), 0.4, 0.2).tolist() == [False] + [True] * 4
    assert cut(chance, np.ones(5, bool), 0.4, 0.0).tolist() == [False] * 2 + [True] * 3


def test_a_plus_needs_the_margin_to_remove_and_a_minus_to_add():
    assert np.array_equal(sign_margin(PRESENT, True), 0.2 * PRESENT)
    assert np.array_equal(sign_margin(PRESENT, False), 0.2 * ~PRESENT)

"""Look here next: expected mass changes worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from circle_heart import circle_case, circle_labels, circle_segmentation

from myops.refine.guidance import NO_DOUBT, SEEN_DISCOUNT, TEMPERATURE, look_here_next, soften
from myops.refine.prompts import Box, Point, Prompts
from myops.segmentation import Segmentation

# 1.5 x 1.5 x 10 mm at 1.05 g/mL.
VOXEL_G = 0.0225 * 1.05


Place = tuple[int, slice, slice]


def doubtful(*doubts: tuple[Place, float]) -> Segmentation:
    """The circle heart, sure of everything but the given blocks.

    A block's value is the softened probability that its scar label is wrong; what the network
    would have to say for it follows from inverting the temperature.
    """
    labels = circle_labels()
    segmentation = circle_segmentation(circle_case(labels), labels)
    scar = segmentation.probabilities["scar"].copy()
    for place, doubt in doubts:
        odds = (doubt / (1 - doubt)) ** TEMPERATURE
        chance = odds / (1 + odds)
        scar[place] = np.where(labels[place] == 2221, 1 - chance, chance)
    return replace(segmentation, probabilities={**segmentation.probabilities, "scar": scar})


# Normal wall on the right side of the ring, and scar at its top: 12, 6 and 15 voxels.
RIGHT_WALL = (2, slice(46, 49), slice(62, 66))
OTHER_WALL = (3, slice(46, 49), slice(62, 64))
TOP_SCAR = (1, slice(30, 33), slice(43, 48))


def test_a_certain_segmentation_leaves_nothing_to_look_at() -> None:
    guidance = look_here_next(doubtful(), circle_labels())
    assert guidance.suggestions == ()
    assert guidance.doubt.max() == 0


def test_the_expected_change_is_the_sum_of_the_chances_to_be_wrong() -> None:
    (found,) = look_here_next(doubtful((RIGHT_WALL, 0.4)), circle_labels()).suggestions
    assert found.slice_index == 2
    assert (found.row, found.column) in {(47, 63), (47, 64)}
    assert found.positive
    assert found.expected_voxels == pytest.approx(12 * 0.4, rel=1e-4)
    assert found.expected_change_g == pytest.approx(12 * 0.4 * VOXEL_G, rel=1e-4)


def test_doubtful_scar_asks_for_a_click_that_removes() -> None:
    (found,) = look_here_next(doubtful((TOP_SCAR, 0.3)), circle_labels()).suggestions
    assert not found.positive
    assert found.slice_index == 1
    assert found.expected_voxels == pytest.approx(15 * 0.3, rel=1e-4)


def test_the_largest_expected_change_comes_first() -> None:
    # 12 x 0.3 = 3.6, 6 x 0.45 = 2.7, 15 x 0.4 = 6.0 voxels.
    segmentation = doubtful((RIGHT_WALL, 0.3), (OTHER_WALL, 0.45), (TOP_SCAR, 0.4))
    found = look_here_next(segmentation, circle_labels()).suggestions
    assert [one.slice_index for one in found] == [1, 2, 3]
    assert [one.expected_voxels for one in found] == pytest.approx([6.0, 3.6, 2.7], rel=1e-4)
    assert len(look_here_next(segmentation, circle_labels(), count=2).suggestions) == 2


def test_the_click_is_suggested_where_the_doubt_is_greatest() -> None:
    corner = (2, slice(46, 47), slice(62, 63))
    (found,) = look_here_next(
        doubtful((RIGHT_WALL, 0.3), (corner, 0.4)), circle_labels()
    ).suggestions
    assert (found.row, found.column) == (46, 62)
    assert found.expected_voxels == pytest.approx(11 * 0.3 + 0.4, rel=1e-4)


def test_little_doubt_is_shown_but_not_suggested() -> None:
    guidance = look_here_next(doubtful((RIGHT_WALL, 0.1)), circle_labels())
    assert guidance.suggestions == ()
    np.testing.assert_allclose(guidance.doubt[RIGHT_WALL], 0.1, rtol=1e-4)


def test_a_click_settles_its_surroundings_and_halves_the_rest_of_its_slice() -> None:
    clicked = Prompts("scar", 2, (Point(47, 63),))
    far = (2, slice(46, 49), slice(29, 34))  # the wall's other side, 45 mm away
    segmentation = doubtful((RIGHT_WALL, 0.4), (far, 0.45), (TOP_SCAR, 0.4))
    guidance = look_here_next(segmentation, circle_labels(), [clicked])
    assert guidance.doubt[RIGHT_WALL].max() == 0
    np.testing.assert_allclose(guidance.doubt[far], 0.45 * SEEN_DISCOUNT, rtol=1e-4)
    np.testing.assert_allclose(guidance.doubt[TOP_SCAR], 0.4, rtol=1e-4)


def test_with_every_click_in_a_slice_the_rest_of_it_counts_half_as_much() -> None:
    clicks = (Point(47, 63), Point(46, 62), Point(48, 62))
    far = (2, slice(46, 49), slice(29, 34))
    segmentation = doubtful((far, 0.45), (TOP_SCAR, 0.4))
    first, second = look_here_next(
        segmentation, circle_labels(), [Prompts("scar", 2, clicks)]
    ).suggestions
    assert first.slice_index == TOP_SCAR[0] and second.slice_index == 2
    assert second.expected_voxels == pytest.approx(15 * 0.45 / 8, rel=1e-4)


def test_a_box_alone_says_that_the_slice_was_looked_at() -> None:
    drawn = Prompts("scar", 2, (), Box(40, 40, 50, 70))
    doubt = look_here_next(doubtful((RIGHT_WALL, 0.4)), circle_labels(), [drawn]).doubt
    np.testing.assert_allclose(doubt[RIGHT_WALL], 0.4 * SEEN_DISCOUNT, rtol=1e-4)


def test_what_the_reader_has_changed_is_no_longer_in_doubt() -> None:
    corrected = circle_labels()
    corrected[RIGHT_WALL] = 2221
    guidance = look_here_next(doubtful((RIGHT_WALL, 0.4), (TOP_SCAR, 0.4)), corrected)
    assert guidance.doubt[RIGHT_WALL].max() == 0
    assert [one.slice_index for one in guidance.suggestions] == [1]


def test_without_a_known_spacing_there_is_no_mass_but_still_an_order() -> None:
    segmentation = doubtful((RIGHT_WALL, 0.3), (TOP_SCAR, 0.4))
    found = look_here_next(segmentation, circle_labels(), spacing_known=False).suggestions
    assert [one.expected_change_g for one in found] == [None, None]
    assert [one.slice_index for one in found] == [1, 2]


def test_without_an_lge_there_is_nothing_to_suggest() -> None:
    segmentation = replace(doubtful((RIGHT_WALL, 0.4)), assessed=frozenset({"edema"}))
    guidance = look_here_next(segmentation, circle_labels())
    assert guidance.suggestions == ()
    assert guidance.doubt.max() == 0


def test_softening_takes_the_cube_root_of_the_odds() -> None:
    # Odds 1:27 and 27:1 become 1:3 and 3:1; even odds stay even; no doubt stays none.
    chances = np.array([1 / 28, 27 / 28, 0.5, 0.0, NO_DOUBT / 2], np.float32)
    np.testing.assert_allclose(soften(chances), [0.25, 0.75, 0.5, 0, 0], rtol=1e-5)

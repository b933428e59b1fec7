"""Components, boxes and growing: against values by hand and plain loops over voxels."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import ndimage

from myops.geometry.masks import (
    bounding_box,
    component_sizes,
    grow_in_plane,
    label_components,
    largest_component,
)

# Two slices. Pixels touch at a corner in the first slice, and across the slices at a corner.
STACK = np.zeros((2, 5, 6), bool)
STACK[0, 1, 1:4] = STACK[0, 2, 4] = STACK[1, 3, 5] = STACK[1, 1, 1] = True


@pytest.mark.parametrize(
    ("neighbors", "sizes"),
    [
        ("faces", [4, 1, 1]),
        ("corners", [6]),
        ("faces_in_plane", [3, 1, 1, 1]),
        ("corners_in_plane", [4, 1, 1]),
    ],
)
def test_the_neighbors_asked_for_decide_what_is_connected(neighbors, sizes):
    parts, count = label_components(STACK, neighbors)
    assert (parts.dtype, count) == (np.int32, len(sizes))
    found = component_sizes(parts, count)
    assert found[0] == 0
    assert sorted(found[1:].tolist(), reverse=True) == sizes
    assert np.array_equal(parts > 0, STACK)


def test_in_a_slice_faces_are_edges():
    plane = STACK[0]
    assert label_components(plane)[1] == label_components(plane, "faces_in_plane")[1] == 2
    assert label_components(plane, "corners")[1] == 1
    assert label_components(plane, "corners_in_plane")[1] == 1


def test_the_largest_component_is_kept_and_of_equal_ones_the_first():
    assert np.array_equal(np.argwhere(largest_component(STACK[0])), [[1, 1], [1, 2], [1, 3]])
    two = np.array([[1, 1, 0, 1, 1]], bool)
    assert largest_component(two).tolist() == [[True, True, False, False, False]]
    assert largest_component(STACK, "corners") is STACK


def test_an_empty_mask_has_no_component_and_an_empty_box():
    empty = np.zeros((2, 3, 3), bool)
    parts, count = label_components(empty)
    assert (count, parts.any()) == (0, False)
    assert component_sizes(parts, count).tolist() == [0]
    assert largest_component(empty) is empty
    assert empty[bounding_box(empty, margin=2)].size == 0
    assert not grow_in_plane(empty, 3).any()


@pytest.mark.parametrize("neighbors", ["faces", "corners", "faces_in_plane", "corners_in_plane"])
@pytest.mark.parametrize("seed", range(5))
def test_components_and_their_numbers_are_those_of_scipy_on_the_whole_array(neighbors, seed):
    mask = np.zeros((5, 30, 30), bool)
    mask[1:4, 4:25, 6:28] = np.random.default_rng(seed).random((3, 21, 22)) < 0.35
    structure = ndimage.generate_binary_structure(3, 1 if "faces" in neighbors else 3)
    if "plane" in neighbors:
        structure[[0, 2]] = False
    expected, count = ndimage.label(mask, structure)
    assert label_components(mask, neighbors)[1] == count
    assert np.array_equal(label_components(mask, neighbors)[0], expected)


def test_the_box_is_the_smallest_around_a_mask_and_wider_by_the_margin_inside_the_array():
    assert bounding_box(STACK) == (slice(0, 2), slice(1, 4), slice(1, 6))
    assert bounding_box(STACK, 1) == (slice(0, 2), slice(0, 5), slice(0, 6))
    assert bounding_box(STACK[0], (0, 2)) == (slice(1, 3), slice(0, 6))


@pytest.mark.parametrize("pixels", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_growing_takes_every_pixel_within_reach_in_the_same_slice(pixels, seed):
    mask = np.random.default_rng(seed).random((3, 14, 11)) < 0.03
    mask[2] = False
    expected = np.zeros_like(mask)
    for k, row, column in np.argwhere(mask):
        for y, x in product(range(14), range(11)):
            expected[k, y, x] |= (y - row) ** 2 + (x - column) ** 2 <= pixels**2
    assert np.array_equal(grow_in_plane(mask, pixels), expected)
    assert np.array_equal(grow_in_plane(mask[0], pixels), expected[0])


def test_growing_by_two_makes_a_disc_of_13_pixels_and_leaves_the_mask_as_it_is():
    mask = np.zeros((2, 9, 9), bool)
    mask[0, 4, 4] = True
    assert grow_in_plane(mask, 2).sum(axis=(1, 2)).tolist() == [13, 0]
    assert mask.sum() == 1
    assert grow_in_plane(mask, 0) is mask

"""Prompts: what is refused, and the way to JSON and back."""

from __future__ import annotations

import json
import math

import pytest

from myops.errors import InputError
from myops.refine.prompts import STRUCTURES, Box, Point, Prompts, check_prompts, from_dict, to_dict

SHAPE = (4, 20, 30)  # slices, rows, columns


@pytest.mark.parametrize("structure", STRUCTURES)
def test_every_structure_can_be_prompted(structure):
    check_prompts(Prompts(structure, 0, (Point(10, 10),)), SHAPE)


def test_an_unknown_structure_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"scar, edema, myocardium.*'infarct'"):
        check_prompts(Prompts("infarct", 0, (Point(1, 1),)), SHAPE)


@pytest.mark.parametrize("slice_index", [-1, 4, 1000])
def test_a_slice_outside_the_stack_is_refused(slice_index):
    with pytest.raises(InputError, match="from 0 to 3"):
        check_prompts(Prompts("scar", slice_index, (Point(1, 1),)), SHAPE)


@pytest.mark.parametrize(
    ("row", "column"),
    [(-0.6, 5), (19.6, 5), (5, -1), (5, 29.6), (math.nan, 5), (5, math.inf), (-math.inf, 5)],
)
def test_a_click_outside_the_slice_is_refused(row, column):
    with pytest.raises(InputError, match="20 rows and 30 columns"):
        check_prompts(Prompts("scar", 0, (Point(row, column),)), SHAPE)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (19, 29), (-0.4, 29.4)])
def test_a_click_in_a_corner_pixel_is_inside(row, column):
    check_prompts(Prompts("scar", 3, (Point(row, column),)), SHAPE)


def test_a_box_with_one_corner_outside_is_refused():
    with pytest.raises(InputError, match="row 5, column 30"):
        check_prompts(Prompts("scar", 0, box=Box(2, 2, 5, 30)), SHAPE)


def test_opposite_clicks_in_one_voxel_are_refused():
    points = (Point(5.4, 6.0, True), Point(4.6, 6.4, False))
    with pytest.raises(InputError, match="row 5, column 6"):
        check_prompts(Prompts("scar", 0, points), SHAPE)


def test_opposite_clicks_in_neighboring_voxels_are_allowed():
    check_prompts(Prompts("scar", 0, (Point(5.4, 6), Point(5.6, 6, False))), SHAPE)


def test_the_same_click_twice_is_allowed():
    check_prompts(Prompts("scar", 0, (Point(5, 6), Point(5, 6))), SHAPE)


def test_prompts_come_back_from_json_as_they_were():
    prompts = Prompts("edema", 2, (Point(1.1, 2.7), Point(3, 4, False)), Box(1, 2, 3.3, 4))
    assert from_dict(json.loads(json.dumps(to_dict(prompts)))) == prompts


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"structure": "scar", "slice_index": 1},
        {"structure": "scar", "slice_index": 1, "points": [[1, 2]]},
        {"structure": "scar", "slice_index": 1, "points": 7},
        {"structure": "scar", "slice_index": "first", "points": []},
        {"structure": "scar", "slice_index": 1, "points": [], "box": [1, 2, 3]},
    ],
)
def test_json_without_what_prompts_need_is_refused(values):
    with pytest.raises(InputError, match="expected prompts"):
        from_dict(values)

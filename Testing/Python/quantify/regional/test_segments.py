import numpy as np
import pytest
from ring_heart import RingHeart

from myops.quantify.regional.segments import (
    APEX,
    APICAL,
    BASAL,
    MID,
    SEGMENT_NAMES,
    segment_map,
    segment_of,
    slice_levels,
)


@pytest.mark.parametrize(
    ("angle", "basal", "name"),
    [
        (30, 2, "anteroseptal"),
        (90, 3, "inferoseptal"),
        (150, 4, "inferior"),
        (210, 5, "inferolateral"),
        (270, 6, "anterolateral"),
        (330, 1, "anterior"),
    ],
)
def test_sectors_of_60_degrees_follow_the_anterior_insertion_through_the_septum(angle, basal, name):
    places = np.array([angle - 29.9, angle, angle + 29.9])
    assert segment_of(places, BASAL).tolist() == [basal] * 3
    assert segment_of(places, MID).tolist() == [basal + 6] * 3
    assert SEGMENT_NAMES[basal] == f"basal {name}"
    assert SEGMENT_NAMES[basal + 6] == f"mid {name}"


@pytest.mark.parametrize(
    ("middle", "number", "name"),
    [(60, 14, "septal"), (150, 15, "inferior"), (240, 16, "lateral"), (330, 13, "anterior")],
)
def test_apical_sectors_of_90_degrees_have_the_middles_of_the_walls_above(middle, number, name):
    places = np.array([middle - 44.9, middle, middle + 44.9])
    assert segment_of(places, APICAL).tolist() == [number] * 3
    assert SEGMENT_NAMES[number] == f"apical {name}"


def test_the_apex_is_one_segment_all_around():
    assert segment_of(np.arange(0.0, 360.0, 45.0), APEX).tolist() == [17] * 8


def covered(heart: RingHeart) -> np.ndarray:
    return np.ones(heart.slices)


@pytest.mark.parametrize(
    ("slices", "solid", "expected"),
    [
        # Nine slices of cavity make three of each; the solid slice is the apex.
        (10, 1, [1, 1, 1, 2, 2, 2, 3, 3, 3, 4]),
        # Slice centers of four lie at 1/8, 3/8, 5/8, 7/8 of the length.
        (4, 0, [1, 2, 2, 3]),
        (5, 0, [1, 1, 2, 3, 3]),
        (5, 2, [1, 2, 3, 4, 4]),
    ],
)
def test_the_cavity_is_cut_into_thirds_and_the_rest_is_apex(slices, solid, expected):
    heart = RingHeart(slices=slices, solid=solid)
    assert slice_levels(heart.labels(), covered(heart), True).tolist() == expected
    reverse = slice_levels(heart.labels()[::-1], covered(heart), False)
    assert reverse.tolist() == expected[::-1]


def test_a_basal_slice_with_less_than_half_a_ring_is_basal_but_has_no_length():
    heart = RingHeart(slices=10, solid=0)
    share = covered(heart)
    share[0] = 0.4
    # Nine slices are left to cut into thirds.
    assert slice_levels(heart.labels(), share, True).tolist() == [1, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_a_slice_without_heart_has_no_level_but_keeps_its_place_in_the_length():
    heart = RingHeart(slices=9, solid=0)
    labels = heart.labels()
    labels[4] = 0
    assert slice_levels(labels, covered(heart), True).tolist() == [1, 1, 1, 2, 0, 2, 3, 3, 3]


def test_two_slices_of_cavity_cannot_be_cut_into_thirds():
    heart = RingHeart(slices=3, solid=1)
    assert slice_levels(heart.labels(), covered(heart), True) is None


def test_sectors_are_equal_in_millimeters_not_in_pixels():
    heart = RingHeart(slices=3, solid=0, narrowing=0.0, spacing_mm=(0.5, 1.25, 8.0))
    labels = heart.labels()
    center = (np.array(labels.shape[1:]) - 1) / 2
    levels = np.full(3, BASAL, np.uint8)
    found = segment_map(labels, np.tile(center, (3, 1)), levels, 120.0, 1, heart.spacing_mm)
    counts = np.bincount(found[found > 0], minlength=7)[1:]
    assert counts.sum() == (labels == 200).sum()
    assert counts / counts.sum() == pytest.approx(np.full(6, 1 / 6), rel=0.01)


def test_the_septum_can_follow_in_either_direction():
    heart = RingHeart(slices=3, solid=0, anterior_deg=90.0)
    labels = heart.labels()
    center = (np.array(labels.shape[1:]) - 1) / 2
    levels = np.full(3, BASAL, np.uint8)
    row, left = int(center[0]), int(center[1] - 25)
    for turn, expected in ((1, 3), (-1, 6)):
        found = segment_map(labels, np.tile(center, (3, 1)), levels, 90.0, turn, heart.spacing_mm)
        # A little below the image's left: 90 degrees and more from the insertion on top.
        assert found[0, row + 3, left] == expected

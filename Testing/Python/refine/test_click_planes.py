"""Planes that say what a click means, on a ring-shaped wall with numbers known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from myops.networks.clickhead import FEATURES, build_clickhead
from myops.refine.click_planes import (
    MOVING_NAMES,
    PLANES,
    STILL_NAMES,
    Levels,
    Situation,
    mean_beside,
    moving_planes,
    stack_levels,
    still_planes,
)
from myops.refine.prompts import STRUCTURES

SIZE, MIDDLE, PIXEL_MM = 80, 40, 1.5
ROWS, COLUMNS = np.indices((SIZE, SIZE))
RADIUS = np.hypot(ROWS - MIDDLE, COLUMNS - MIDDLE)
BLOOD, VENTRICLE = RADIUS <= 16, RADIUS <= 24
WALL = VENTRICLE & ~BLOOD
# Scar in the right half of the wall, in its upper quarter.
SCAR = WALL & (COLUMNS > MIDDLE) & (ROWS < MIDDLE)
PLAIN = Levels(np.zeros(3, np.float32), np.ones(3, np.float32), np.full(3, 5.0, np.float32))
LGE_ALONE = np.array([0, 1, 0], np.float32)


def images() -> np.ndarray:
    """LGE alone: blood 3, scar 4, muscle 0.5, outside 1 robust SDs."""
    lge = np.where(SCAR, 4.0, np.where(BLOOD, 3.0, np.where(WALL, 0.5, 1.0)))
    found = np.zeros((3, SIZE, SIZE), np.float32)
    found[1] = lge
    return found


def still(present: np.ndarray = LGE_ALONE) -> np.ndarray:
    probabilities = np.stack([0.9 * BLOOD, 0.8 * (WALL & ~SCAR), 0 * WALL, 0.7 * SCAR])
    beside = np.zeros_like(probabilities)
    beside[3] = 0.5 * SCAR
    return still_planes(images(), present, probabilities.astype(np.float32), beside, PLAIN)


def planes(mask: np.ndarray, *points: tuple[float, float, int], structure: str = "scar", box=None):
    situation = Situation(
        STRUCTURES.index(structure), mask, BLOOD, VENTRICLE, np.zeros(mask.shape), points, box
    )
    found = moving_planes([still()], [situation], [PIXEL_MM])[0]
    return dict(zip(MOVING_NAMES, found, strict=True))


def test_every_plane_has_a_name_and_the_network_reads_as_many():
    assert still().shape == (len(STILL_NAMES), SIZE, SIZE)
    assert len(planes(SCAR, (50.0, 25.0, 1))) == len(MOVING_NAMES)
    assert len(STILL_NAMES) + len(MOVING_NAMES) == PLANES == FEATURES
    assert sum(p.numel() for p in build_clickhead().parameters()) < 100_000


def test_planes_are_finite_and_small_whatever_is_missing():
    nothing = np.zeros((SIZE, SIZE), bool)
    everything = ~nothing
    for mask in (nothing, everything, SCAR):
        for points in ((), ((40.0, 40.0, 1),), ((0.0, 79.0, 0), (79.4, -0.4, 1))):
            empty = Situation(0, mask, nothing, nothing, np.zeros(mask.shape), points)
            found = moving_planes([still(np.zeros(3, np.float32))], [empty], [PIXEL_MM])
            assert found.dtype == np.float32
            assert np.isfinite(found).all()
            assert np.abs(found).max() < 20


def test_signal_is_measured_against_the_patient_s_own_muscle_and_scar():
    stack = np.zeros((1, 3, SIZE, SIZE))
    # Muscle 10, 12, 14 in equal parts: median 12, median absolute deviation 2; scar 12 + 5 SDs.
    stack[0, 1] = 10 + 2 * (COLUMNS % 3)
    scar = 12 + 5 * 1.4826 * 2
    stack[0, 1][SCAR] = scar
    levels = stack_levels(stack, (WALL & ~SCAR)[None], SCAR[None])
    assert levels.muscle[1] == pytest.approx(12)
    assert levels.spread[1] == pytest.approx(1.4826 * 2)
    assert levels.scar[1] == pytest.approx(5)
    # An absent sequence has levels that do no harm.
    assert (levels.muscle[0], levels.spread[0]) == (0, 1)


def test_still_planes_hold_the_signal_in_robust_sds_and_what_is_beside():
    found = dict(zip(STILL_NAMES, still(), strict=True))
    assert found["lge in robust SDs, smoothing 0"][MIDDLE, MIDDLE] == pytest.approx(3 / 4)
    assert found["lge between muscle and scar"][MIDDLE, MIDDLE] == pytest.approx(3 / 5, abs=1e-3)
    assert found["cascade's logit of blood_pool"][MIDDLE, MIDDLE] == pytest.approx(
        np.log(9) / 3, abs=1e-4
    )
    assert found["there is lge"].min() == 1
    assert found["there is t2"].max() == 0
    assert not found["t2 in robust SDs, smoothing 1"].any()
    inside = (MIDDLE - 14, MIDDLE + 14)
    assert 0.4 < found["probability of scar beside"][inside] < 0.5


def test_the_wall_s_depth_runs_from_the_endocardium_to_the_epicardium():
    found = planes(SCAR, (60.0, 40.0, 1))
    row = found["depth in the wall"][MIDDLE]
    assert row[MIDDLE + 16] < 0 < row[MIDDLE + 17]
    assert row[MIDDLE + 24] < 1 < row[MIDDLE + 25]
    assert row[MIDDLE + 20] == pytest.approx(0.5, abs=0.1)
    # The nearest pixel outside (24 right, 1 down) is 8 right and 1 down of it; half a pixel less.
    assert found["distance into the epicardium"][MIDDLE, MIDDLE + 16] == pytest.approx(
        (np.sqrt(65) - 0.5) * PIXEL_MM / 10
    )


def test_reach_is_the_distance_from_the_click_to_the_border_of_the_mask():
    mask = np.zeros((SIZE, SIZE), bool)
    mask[30:51, 30:51] = True
    inside = planes(mask, (40.0, 40.0, 0))
    assert inside["reach"][0, 0] == pytest.approx(10.5 * PIXEL_MM / 5)
    outside = planes(mask, (56.0, 40.0, 1))
    assert outside["reach"][0, 0] == pytest.approx(5.5 * PIXEL_MM / 5)
    assert planes(np.zeros_like(mask), (56.0, 40.0, 1))["reach"][0, 0] == pytest.approx(1)


def test_distances_to_the_click_are_halves_at_ten_millimeters_and_at_the_reach():
    mask = np.zeros((SIZE, SIZE), bool)
    mask[30:51, 30:51] = True
    found = planes(mask, (40.0, 40.0, 0))
    plane = found["distance to the click"]
    assert plane[40, 40] == 0
    assert plane[40, 46] == pytest.approx(9 / 19)
    assert found["distance to the click over reach"][40, 46] == pytest.approx(9 / (9 + 15.75))
    # Inside the mask the way is straight; beyond its border it costs five times as much.
    way = found["way within the part"]
    assert way[40, 46] == pytest.approx(9 / 19, abs=1e-4)
    beyond = PIXEL_MM * (10 + 3 + 2 * 5)  # 10 steps inside, one across the border, 2 outside
    assert way[40, 53] == pytest.approx(beyond / (beyond + 10), abs=1e-4)


def test_ways_through_like_signal_follow_the_scar_and_not_the_muscle():
    found = planes(np.zeros((SIZE, SIZE), bool), (54.0, 26.0, 1))
    way, straight = found["way through like signal"], found["distance to the click"]
    assert SCAR[22, 47]
    assert way[22, 47] == pytest.approx(straight[22, 47], abs=0.05)
    # As far away in the muscle, across the end of the scar.
    assert not SCAR[46, 57]
    assert way[46, 57] > straight[46, 57] + 0.1


def test_the_nearest_click_of_each_sign_is_known_beyond_the_newest():
    found = planes(SCAR, (60.0, 40.0, 1), (20.0, 40.0, 0), (62.0, 30.0, 1))
    assert found["distance to any +"][40, 60] == 0
    assert found["distance to any -"][40, 20] == 0
    assert found["distance to any -"][40, 60] == pytest.approx(60 / 70)
    assert found["number of clicks"][0, 0] == pytest.approx(3 / 8)
    assert planes(SCAR, (60.0, 40.0, 1))["distance to any -"].min() > 0.98


def test_angle_and_radius_are_relative_to_the_click():
    found = planes(SCAR, (60.0, 40.0, 1))
    assert found["angle from the click"][40, 50] == pytest.approx(0, abs=1e-6)
    assert found["angle from the click"][20, 40] == pytest.approx(0.5)
    assert found["angle from the click"][40, 20] == pytest.approx(1)
    assert found["radius minus that of the click"][20, 40] == pytest.approx(0)
    assert found["radius minus that of the click"][40, 40] == pytest.approx(-3)
    assert found["depth minus that of the click"][40, 60] == 0


def test_the_clicked_part_is_the_island_and_not_the_other_one():
    mask = np.zeros((SIZE, SIZE), bool)
    mask[10:15, 10:15] = mask[30:35, 30:35] = True
    part = planes(mask, (12.0, 12.0, 0))["the part that was clicked into"]
    assert np.count_nonzero(part) == 25
    assert part[12, 12]
    rest = planes(mask, (60.0, 60.0, 1))["the part that was clicked into"]
    assert np.count_nonzero(rest) == SIZE**2 - 50


def test_edema_is_looked_for_in_the_t2_and_a_box_is_drawn():
    found = planes(SCAR, (60.0, 40.0, 1), structure="edema", box=(10.0, 20.0, 30.0, 40.0))
    assert [found[f"corrects {name}"][0, 0] for name in STRUCTURES] == [0, 1, 0, 0, 0]
    assert np.count_nonzero(found["inside the box"]) == 21 * 21
    assert found["there is a box"].min() == 1


def test_what_lies_beside_is_the_mean_of_those_there_are():
    stack = np.array([1.0, 2.0, 6.0])[:, None]
    assert mean_beside(stack)[:, 0].tolist() == [2.0, 3.5, 2.0]
    assert mean_beside(stack[:1])[:, 0].tolist() == [0.0]


def test_a_slice_in_a_batch_has_the_planes_that_it_has_alone():
    one = Situation(0, SCAR, BLOOD, VENTRICLE, np.zeros(SCAR.shape), [(60.0, 40.0, 1)])
    other = Situation(0, WALL, BLOOD, VENTRICLE, SCAR * 0.5, [(20.0, 30.0, 0)])
    together = moving_planes([still(), still()], [one, other], [1.5, 1.2])
    for k, (situation, pixel_mm) in enumerate(((one, 1.5), (other, 1.2))):
        alone = moving_planes([still()], [situation], [pixel_mm])[0]
        np.testing.assert_allclose(together[k], alone, atol=1e-4)

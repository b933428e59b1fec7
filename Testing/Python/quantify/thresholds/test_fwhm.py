import numpy as np
import pytest
from applied_rules import applying

from myops.quantify.thresholds.fwhm import (
    BETWEEN_MINIMUM_AND_MAXIMUM,
    HALF_OF_MAXIMUM,
    REMOTE_REFERENCED,
)
from myops.quantify.thresholds.remote import RemoteRegion

half_of_maximum = applying(HALF_OF_MAXIMUM)
between_minimum_and_maximum = applying(BETWEEN_MINIMUM_AND_MAXIMUM)
remote_referenced = applying(REMOTE_REFERENCED)

WALL = np.ones((2, 1, 5), bool)
# Two slices; the second one's peak is lower. Values chosen so that each rule cuts elsewhere.
LGE = np.array([[[20, 40, 50, 60, 100]], [[20, 30, 35, 40, 60]]], np.float32)
SCAR = np.array([[[0, 0, 0, 1, 1]], [[0, 0, 0, 0, 1]]], bool)


def remote(mean: float = 20.0) -> RemoteRegion:
    mask = LGE == 20
    return RemoteRegion(mask, mean, 1.0, 0.0, 60.0, 2, "by hand")


def test_half_of_maximum_includes_the_threshold_itself():
    result = half_of_maximum(LGE, WALL, SCAR, remote())
    assert result.peak == 100
    assert result.threshold_range == (50, 50)
    np.testing.assert_array_equal(result.mask[0, 0], [False, False, True, True, True])
    np.testing.assert_array_equal(result.mask[1, 0], [False, False, False, False, True])


def test_remote_referenced_excludes_the_threshold_itself():
    result = remote_referenced(LGE, WALL, SCAR, remote())
    # 20 + (100 - 20) / 2 = 60; the voxel of exactly 60 stays out.
    assert result.threshold_range == (60, 60)
    np.testing.assert_array_equal(result.mask[0, 0], [False, False, False, False, True])
    assert not result.mask[1].any()


def test_each_slice_has_its_own_peak_in_the_per_slice_variant():
    half = half_of_maximum(LGE, WALL, SCAR, remote(), "slice")
    assert half.peaks == (100, 60)
    assert half.thresholds == (50, 30)
    np.testing.assert_array_equal(half.mask[1, 0], [False, True, True, True, True])
    referenced = remote_referenced(LGE, WALL, SCAR, remote(), "slice")
    assert referenced.thresholds == (60, 40)
    np.testing.assert_array_equal(referenced.mask[1, 0], [False, False, False, False, True])


def test_slices_without_scar_are_skipped_in_the_per_slice_variant():
    scar = SCAR.copy()
    scar[1] = False
    result = half_of_maximum(LGE, WALL, scar, remote(), "slice")
    assert result.thresholds == (50, None)
    assert not result.mask[1].any()


def test_the_peak_is_sought_in_the_myocardium_only():
    wall = WALL.copy()
    wall[0, 0, 4] = False
    result = half_of_maximum(LGE, wall, SCAR, remote())
    assert result.peak == 60
    assert not result.mask[0, 0, 4]


def test_half_of_maximum_is_invalid_on_signed_data_and_says_so():
    result = half_of_maximum(LGE - 50, WALL, SCAR, remote(-30))
    assert result.mask is None
    assert result.threshold_range is None
    assert "signed (PSIR)" in result.invalid
    # 20 and 40 in the first slice, 20, 30, 35 and 40 in the second: 6 of 10 voxels.
    assert "60.0 %" in result.invalid
    assert "remote-referenced" in result.invalid


def test_remote_referenced_is_the_same_on_data_with_an_offset():
    plain = remote_referenced(LGE, WALL, SCAR, remote(20))
    shifted = remote_referenced(LGE - 50, WALL, SCAR, remote(-30))
    np.testing.assert_array_equal(plain.mask, shifted.mask)
    assert shifted.threshold_range == (10, 10)


def test_a_few_negative_voxels_outside_the_heart_are_taken_for_resampling():
    lge = np.zeros((1, 40, 40), np.float32)
    lge[0, 0, :5] = -1
    lge[0, 20, 10:20] = np.linspace(10, 100, 10)
    wall = np.zeros(lge.shape, bool)
    wall[0, 20, 10:20] = True
    assert half_of_maximum(lge, wall, wall, None).invalid is None


def test_magnitude_like_data_with_an_offset_is_warned_about():
    result = half_of_maximum(LGE + 1000, WALL, SCAR, remote(1020))
    assert result.invalid is None
    assert any("looks offset" in words for words in result.warnings)


def test_remote_myocardium_above_half_of_the_peak_is_warned_about():
    lge = np.concatenate([LGE, np.zeros((2, 1, 5), np.float32)], axis=2)
    wall = np.concatenate([WALL, np.zeros((2, 1, 5), bool)], axis=2)
    bright = RemoteRegion(wall, 55.0, 1.0, 0.0, 60.0, 2, "by hand")
    result = half_of_maximum(lge, wall, wall, bright)
    assert any("above half of the peak" in words for words in result.warnings)


def test_a_peak_that_stands_alone_is_warned_about():
    lge = np.full((1, 20, 20), 100, np.float32)
    lge[0, 0, :10] = 200
    lge[0, 5, 5] = 1000
    wall = np.ones(lge.shape, bool)
    one = RemoteRegion(wall, 100.0, 1.0, 0.0, 60.0, 2, "by hand")
    for rule in (half_of_maximum, remote_referenced):
        assert any("few voxels" in words for words in rule(lge, wall, wall, one).warnings)


def test_without_a_remote_region_only_the_remote_referenced_rule_is_invalid():
    assert half_of_maximum(LGE, WALL, SCAR, None).invalid is None
    result = remote_referenced(LGE, WALL, SCAR, None)
    assert result.mask is None
    assert "no remote region" in result.invalid


@pytest.mark.parametrize("rule", [half_of_maximum, remote_referenced])
def test_without_myocardium_both_rules_are_invalid(rule):
    result = rule(LGE, ~WALL, SCAR, remote())
    assert result.invalid == "no myocardium was found"
    assert result.peak is None


def test_halfway_between_minimum_and_maximum_includes_the_threshold_itself():
    result = between_minimum_and_maximum(LGE, WALL, SCAR, remote())
    # 20 + (100 - 20) / 2 = 60.
    assert result.threshold_range == (60, 60)
    np.testing.assert_array_equal(result.mask[0, 0], [False, False, False, True, True])
    np.testing.assert_array_equal(result.mask[1, 0], [False, False, False, False, True])
    by_slice = between_minimum_and_maximum(LGE, WALL, SCAR, remote(), "slice")
    assert by_slice.thresholds == (60, 40)


def test_between_minimum_and_maximum_holds_on_signed_data():
    plain = between_minimum_and_maximum(LGE, WALL, SCAR, None)
    signed = between_minimum_and_maximum(LGE - 50, WALL, SCAR, None)
    np.testing.assert_array_equal(plain.mask, signed.mask)
    assert signed.invalid is None

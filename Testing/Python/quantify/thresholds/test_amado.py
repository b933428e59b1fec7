import numpy as np
import pytest
from applied_rules import applying

from myops.quantify.thresholds.amado import AMADO
from myops.quantify.thresholds.remote import RemoteRegion

amado = applying(AMADO)

# Two bright parts: 60, 100, 55 and, past dark muscle, a small spot of 120 with 70 beside it.
LGE = np.array([[[10, 12, 60, 100, 55, 11, 120, 70, 9, 10]]], np.float32)
WALL = np.ones(LGE.shape, bool)
DARK = LGE < 20
REMOTE = RemoteRegion(DARK, 10.4, 1.0, 0.0, 60.0, 5, "by hand")


def drawn(*columns: int) -> np.ndarray:
    region = np.zeros(LGE.shape, bool)
    region[..., list(columns)] = True
    return region


def columns(mask: np.ndarray) -> list[int]:
    return np.flatnonzero(mask[0, 0]).tolist()


def test_the_peak_is_that_of_the_drawn_region_and_other_bright_spots_stay_out():
    result = amado(LGE, WALL, WALL, REMOTE, hyperenhanced=drawn(2, 3))
    assert result.peak == 100
    assert result.threshold_range == (50, 50)
    assert columns(result.mask) == [2, 3, 4]
    assert result.remote is None


def test_the_automatic_region_is_the_largest_part_above_the_remote_half_maximum():
    # Half between 10.4 and 120 is 65.2: parts are {3} and {6, 7}.
    result = amado(LGE, WALL, WALL, REMOTE)
    assert result.peak == 120
    assert columns(result.mask) == [6, 7]
    assert result.remote is REMOTE


def test_growing_crosses_slices_in_the_volume_variant_only():
    lge = np.concatenate([LGE, LGE])
    lge[1, 0, 6:8] = 10
    wall = np.ones(lge.shape, bool)
    region = np.zeros(lge.shape, bool)
    region[0, 0, 3] = True
    assert amado(lge, wall, wall, REMOTE, "volume", region).mask[1].sum() == 3
    assert amado(lge, wall, wall, REMOTE, "slice", region).mask[1].sum() == 0


def test_a_region_outside_the_myocardium_is_invalid():
    wall = WALL.copy()
    wall[..., 2:5] = False
    result = amado(LGE, wall, wall, REMOTE, hyperenhanced=drawn(3))
    assert result.mask is None
    assert "outside the myocardium" in result.invalid


def test_without_region_and_remote_the_rule_is_invalid():
    assert "no hyper-enhanced region" in amado(LGE, WALL, WALL, None).invalid


@pytest.mark.parametrize("scope", ["volume", "slice"])
def test_signed_data_are_refused(scope):
    assert "signed (PSIR)" in amado(LGE - 50, WALL, WALL, REMOTE, scope).invalid


def two_slices(second: float) -> np.ndarray:
    """The region is in the first slice; the second has a spot of `second` at column 0 alone."""
    lge = np.concatenate([LGE, np.full_like(LGE, 10)])
    lge[1, 0, 0] = second
    return lge


def test_a_slice_with_labeled_scar_that_the_region_does_not_reach_is_named():
    lge = two_slices(second=30)
    wall = np.ones(lge.shape, bool)
    scar = lge > 20  # in both slices, as labeled
    result = amado(lge, wall, scar, REMOTE, "slice")
    assert result.peaks == (120, None)
    named, missed = sorted(result.warnings, reverse=True)
    assert named == "slice 2 not assessed: no hyper-enhanced region there"
    assert "1 of 3 voxels" in missed
    # The volume has one peak for all slices: none is left out.
    assert not any("not assessed" in text for text in amado(lge, wall, scar, REMOTE).warnings)
    # The same where the reader has drawn in one slice and labeled scar in two.
    region = np.zeros(lge.shape, bool)
    region[0, 0, 3] = True
    drawn_in_one = amado(lge, wall, scar, REMOTE, "slice", region)
    assert drawn_in_one.warnings == ("slice 2 not assessed: no hyper-enhanced region there",)


def test_a_slice_without_labeled_scar_is_left_out_by_rule_and_not_named():
    lge = two_slices(second=30)
    wall = np.ones(lge.shape, bool)
    scar = lge > 50
    assert not scar[1].any()
    found = amado(lge, wall, scar, REMOTE, "slice").warnings
    assert not any("not assessed" in text for text in found)


def test_scar_that_is_labeled_only_where_no_region_is_found_is_not_zero_but_not_assessed():
    lge = two_slices(second=30)
    wall = np.ones(lge.shape, bool)
    scar = np.zeros(lge.shape, bool)
    scar[1, 0, 0] = True
    result = amado(lge, wall, scar, REMOTE, "slice")
    assert result.mask is None
    assert result.invalid == "no hyper-enhanced region in any assessed slice"


def two_infarcts():
    """A wall of 40 voxels with infarcts of 8 and 4 of them, both of 100, and dark muscle."""
    lge = np.full((1, 1, 40), 10.0, np.float32)
    lge[..., :3] = 12  # remote
    lge[..., 10:18] = lge[..., 30:34] = 100
    scar = lge > 50
    return lge, np.ones(lge.shape, bool), scar, RemoteRegion(lge == 12, 12, 0, 0, 60, 3, "by hand")


@pytest.mark.parametrize("scope", ["volume", "slice"])
def test_a_second_infarct_that_the_automatic_region_misses_is_told_with_its_share(scope):
    lge, wall, scar, remote = two_infarcts()
    result = amado(lge, wall, scar, remote, scope)
    assert columns(result.mask) == list(range(10, 18))
    (words,) = (words for words in result.warnings if "left out" in words)
    assert "33 % of the labeled scar that is bright (4 of 12 voxels)" in words


def test_an_infarct_in_another_slice_is_missed_in_the_same_way():
    lge, _, _, remote = two_infarcts()
    far = np.full((3, *lge.shape[1:]), 10.0, np.float32)
    far[0], far[2, ..., 30:34] = lge[0], 100
    far[0, ..., 30:34] = 10
    region = np.zeros(far.shape, bool)
    region[0] = remote.mask[0]
    there = RemoteRegion(region, 12, 0, 0, 60, 3, "by hand")
    for scope in ("volume", "slice"):
        result = amado(far, np.ones(far.shape, bool), far > 50, there, scope)
        assert not result.mask[2].any()
        assert any("33 % of the labeled scar" in words for words in result.warnings)


def test_dark_labels_a_few_voxels_and_a_drawn_region_raise_no_warning():
    lge, wall, scar, remote = two_infarcts()
    lge[..., 30:34] = 20  # labeled, and dark
    assert not amado(lge, wall, scar, remote).warnings
    lge, wall, scar, remote = two_infarcts()
    both = amado(lge, wall, scar, remote, hyperenhanced=scar)
    assert columns(both.mask) == [*range(10, 18), *range(30, 34)] and not both.warnings
    lge[..., 31:34] = 10
    lge[..., 3:30] = 100  # 27 of 28
    assert not amado(lge, wall, lge > 50, remote).warnings


def test_all_slices_assessed_still_counts_the_labeled_scar_alone():
    lge, wall, scar, remote = two_infarcts()
    result = amado(lge, wall, wall, remote, labeled=scar)
    assert any("4 of 12 voxels" in words for words in result.warnings)

import numpy as np
import pytest
from applied_rules import applying

from myops.quantify.thresholds.methods import RULES
from myops.quantify.thresholds.remote import RemoteRegion
from myops.quantify.thresholds.statistical import MANUAL, OTSU, otsu_threshold

otsu, manual = applying(OTSU), applying(MANUAL)

# Remote muscle of 8, 10, 12 (mean 10, SD sqrt(8/3) = 1.633) and five voxels to measure.
REMOTE_VALUES = [8.0, 10.0, 12.0] * 5
LGE = np.array([[[*REMOTE_VALUES, 12, 14, 15, 16, 20]]], np.float32)
WALL = np.ones(LGE.shape, bool)


def standard_deviations(*given, deviations: int = 5):
    return applying(RULES[f"sd{deviations}"])(*given)


def remote(lge: np.ndarray = LGE) -> RemoteRegion:
    mask = np.zeros(lge.shape, bool)
    mask[..., :15] = True
    values = lge[mask]
    return RemoteRegion(mask, values.mean(), values.std(), 0.0, 60.0, values.size, "by hand")


@pytest.mark.parametrize(("n", "above"), [(2, 4), (3, 3), (4, 1), (5, 1), (6, 1)])
def test_n_sd_marks_what_lies_n_deviations_above_remote(n, above):
    # Thresholds 13.27, 14.90, 16.53, 18.16 and 19.80.
    result = standard_deviations(LGE, WALL, WALL, remote(), deviations=n)
    assert result.threshold_range[0] == pytest.approx(10 + n * np.sqrt(8 / 3), abs=1e-5)
    assert result.mask.sum() == above
    assert result.peak == 20
    assert result.remote.mean == 10


def test_each_slice_has_its_own_remote_statistics_in_the_per_slice_variant():
    lge = np.concatenate([LGE, LGE + 100])
    region = remote(lge)
    result = standard_deviations(
        lge, np.ones(lge.shape, bool), lge > 14, region, "slice", deviations=2
    )
    np.testing.assert_allclose(np.diff(result.thresholds), 100, atol=1e-4)
    assert [plane.sum() for plane in result.mask] == [4, 4]


def test_a_slice_with_too_little_remote_is_not_assessed_and_named():
    lge = np.concatenate([LGE, LGE])
    region = remote(lge)
    region.mask[1, 0, 5:] = False
    result = standard_deviations(
        lge, np.ones(lge.shape, bool), lge > 14, region, "slice", deviations=2
    )
    assert result.thresholds[1] is None
    assert not result.mask[1].any()
    assert any("slice 2 not assessed" in words for words in result.warnings)


def test_an_offset_of_the_image_changes_no_n_sd_mask():
    plain = standard_deviations(LGE, WALL, WALL, remote(), deviations=3)
    signed = standard_deviations(LGE - 50, WALL, WALL, remote(LGE - 50), deviations=3)
    np.testing.assert_array_equal(plain.mask, signed.mask)


def test_nulled_muscle_of_a_magnitude_image_is_warned_about():
    lge = LGE.copy()
    lge[..., :15] = [0.0, 1.0, 2.0] * 5
    result = standard_deviations(lge, WALL, WALL, remote(lge))
    assert any("not Gaussian" in words for words in result.warnings)
    assert not standard_deviations(LGE, WALL, WALL, remote()).warnings


def test_n_sd_without_remote_is_invalid():
    result = standard_deviations(LGE, WALL, WALL, None)
    assert result.mask is None
    assert "no remote region" in result.invalid


def between_class_variance(values: np.ndarray, cut: float) -> float:
    """What Otsu's threshold maximizes."""
    low, high = values[values <= cut], values[values > cut]
    return low.size * high.size * (low.mean() - high.mean()) ** 2 / values.size**2


@pytest.mark.parametrize("seed", range(5))
def test_otsu_splits_as_well_as_the_best_of_all_cuts(seed):
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(100, 15, 700), rng.normal(220, 30, 300)])
    best = max(between_class_variance(values, cut) for cut in np.sort(values)[:-1])
    # SimpleITK cuts at one of 256 bin edges.
    assert between_class_variance(values, otsu_threshold(values)) > 0.999 * best


def test_otsu_of_two_values_marks_the_higher_one():
    lge = np.array([[[10, 10, 10, 90, 90]]], np.float32)
    result = otsu(lge, np.ones(lge.shape, bool), lge > 50, None)
    np.testing.assert_array_equal(result.mask[0, 0], [False, False, False, True, True])


def test_constant_myocardium_is_refused_by_rules_that_compare():
    flat = np.full((1, 4, 5), 7.0, np.float32)
    everywhere = np.ones(flat.shape, bool)
    region = RemoteRegion(everywhere, 7.0, 0.0, 0.0, 60.0, 20, "by hand")
    for rule in (otsu, standard_deviations):
        assert "same value 7 everywhere" in rule(flat, everywhere, everywhere, region).invalid


def test_a_manual_threshold_includes_itself_and_assesses_every_slice():
    result = manual(LGE, WALL, WALL, None, threshold=15)
    assert result.mask.sum() == 3
    assert result.threshold_range == (15, 15)
    assert result.scope == "volume"

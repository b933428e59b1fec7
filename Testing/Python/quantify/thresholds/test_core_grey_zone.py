import numpy as np
import pytest
from applied_rules import applying

from myops.quantify.thresholds.grey_zone import PERCENT_40_60, SCHMIDT, YAN
from myops.quantify.thresholds.remote import RemoteRegion

percent_40_60, schmidt, yan = (applying(rule) for rule in (PERCENT_40_60, SCHMIDT, YAN))

# Remote 8, 10, 12 (SD 1.633, peak 12), then 13.5, 15, 38, 40, 50, 60, 100.
REMOTE_VALUES = [8.0, 10.0, 12.0] * 5
LGE = np.array([[[*REMOTE_VALUES, 13.5, 15, 38, 40, 50, 60, 100]]], np.float32)
WALL = np.ones(LGE.shape, bool)


def remote(peak: float = 12.0) -> RemoteRegion:
    mask = np.zeros(LGE.shape, bool)
    mask[..., :15] = True
    return RemoteRegion(mask, 10.0, float(np.sqrt(8 / 3)), 0.0, 60.0, 15, "by hand")


def parts(result) -> tuple[list[float], list[float]]:
    return LGE[result.grey_zone].tolist(), LGE[result.core].tolist()


def test_schmidt_takes_half_of_the_maximum_and_the_remote_peak():
    result = schmidt(LGE, WALL, WALL, remote())
    assert parts(result) == ([13.5, 15, 38, 40], [50, 60, 100])
    assert result.threshold_range == (12, 12)
    assert result.core_threshold_range == (50, 50)


def test_40_60_takes_shares_of_the_maximum_and_includes_them():
    assert parts(percent_40_60(LGE, WALL, WALL, remote())) == ([40, 50], [60, 100])


def test_yan_takes_two_and_three_deviations():
    # 13.27 and 14.90.
    assert parts(yan(LGE, WALL, WALL, remote())) == ([13.5], [15, 38, 40, 50, 60, 100])


def test_core_and_grey_zone_make_up_the_mask_without_overlap():
    for rule in (schmidt, percent_40_60, yan):
        result = rule(LGE, WALL, WALL, remote())
        assert not (result.core & result.grey_zone).any()
        np.testing.assert_array_equal(result.core | result.grey_zone, result.mask)


def test_remote_above_half_of_the_maximum_leaves_no_grey_zone_and_says_so():
    lge = LGE.copy()
    lge[..., 0] = 70
    result = schmidt(lge, WALL, WALL, remote())
    assert not result.grey_zone.any()
    assert result.core.sum() == 4
    assert any("reaches the core" in words for words in result.warnings)


@pytest.mark.parametrize("rule", [schmidt, percent_40_60])
def test_shares_of_the_maximum_are_invalid_on_signed_data(rule):
    result = rule(LGE - 50, WALL, WALL, remote())
    assert "signed (PSIR)" in result.invalid
    assert result.grey_zone is None


def test_yan_without_remote_is_invalid_and_has_no_parts():
    result = yan(LGE, WALL, WALL, None)
    assert result.rule == "grey_zone_yan"
    assert result.core is None and result.core_thresholds is None

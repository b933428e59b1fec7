import numpy as np
import pytest

from myops.quantify.regional.salvage import salvage

BOTH = frozenset({"scar", "edema"})


def label_map(normal, edema, scar, mvo=0):
    values = [200] * normal + [1220] * edema + [2221] * scar + [2222] * mvo + [500] * 7
    return np.array(values, np.uint16).reshape(1, 1, -1)


def test_salvage_is_the_share_of_the_area_at_risk_that_was_spared():
    found = salvage(label_map(normal=60, edema=30, scar=8, mvo=2), BOTH)
    # Area at risk 40 of 100 voxels of wall, infarct 10 with its MVO: (40 - 10) / 40.
    assert found.index == pytest.approx(0.75)
    assert found.area_at_risk_percent == pytest.approx(40)
    assert found.infarct_percent == pytest.approx(10)


def test_the_index_is_never_shown_without_its_warning():
    assert "J Am Coll Cardiol 2019;74:238" in salvage(label_map(1, 1, 1), BOTH).warning


def test_no_scar_is_full_salvage():
    assert salvage(label_map(normal=50, edema=50, scar=0), BOTH).index == 1


def test_without_area_at_risk_there_is_no_index():
    found = salvage(label_map(normal=50, edema=0, scar=0), BOTH)
    assert (found.index, found.area_at_risk_percent) == (None, 0)
    assert found.reason.startswith("no area at risk")


@pytest.mark.parametrize(
    ("assessed", "image"), [({"scar"}, "T2"), ({"edema"}, "LGE"), (set(), "LGE and T2")]
)
def test_without_both_images_there_is_no_index(assessed, image):
    found = salvage(label_map(50, 10, 10), frozenset(assessed))
    assert found.index is None
    assert found.reason == f"not assessed: there is no {image} image"


def test_without_myocardium_there_is_no_index():
    assert salvage(label_map(0, 0, 0), BOTH).reason == "no myocardium was found"

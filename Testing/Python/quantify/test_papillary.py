import numpy as np
import pytest
from circle_heart import circle_case, circle_labels, circle_lge, circle_segmentation

from myops.errors import InputError
from myops.quantify import tables
from myops.quantify.measure import measure
from myops.quantify.papillary import papillary_muscles
from myops.quantify.regional import tables as regional_tables

VOXEL_G = 1.5 * 1.5 * 10 / 1000 * 1.05


def with_muscle() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, LGE with a dark bundle of 3 x 4 pixels in the cavity of slice 3, and the bundle."""
    labels = circle_labels()
    bundle = np.zeros(labels.shape, bool)
    bundle[2, 50:53, 44:48] = True
    lge = circle_lge(labels)
    lge[bundle] = 105.0
    return labels, lge, bundle


def test_papillary_muscles_are_the_dark_voxels_of_the_cavity():
    labels, lge, bundle = with_muscle()
    np.testing.assert_array_equal(papillary_muscles({"lge": lge}, labels), bundle)


def test_bssfp_is_preferred_to_lge():
    labels, lge, bundle = with_muscle()
    found = papillary_muscles({"lge": circle_lge(labels), "bssfp": lge}, labels)
    np.testing.assert_array_equal(found, bundle)


def test_lv_mass_grows_and_blood_shrinks_by_the_bundle_and_scar_stays():
    labels, lge, _ = with_muscle()
    case = circle_case(labels, ("lge",), changed={"lge": lge})
    segmentation = circle_segmentation(case, labels)
    plain, counted = (
        measure(case, segmentation, papillary_in_lv_mass=wanted) for wanted in (False, True)
    )
    grown_g = counted.tissues["lv_myocardium"].mass_g - plain.tissues["lv_myocardium"].mass_g
    assert grown_g == pytest.approx(12 * VOXEL_G)
    lost_ml = plain.tissues["blood_pool"].volume_ml - counted.tissues["blood_pool"].volume_ml
    assert lost_ml == pytest.approx(12 * VOXEL_G / 1.05)
    assert counted.tissues["scar"].mass_g == plain.tissues["scar"].mass_g
    wall = plain.tissues["lv_myocardium"].voxels
    assert counted.fwhm["fwhm_half_of_maximum_volume"].mass.percent_of_lv_mass == pytest.approx(
        100 * plain.tissues["scar"].voxels / (wall + 12)
    )


def test_blood_as_dark_as_muscle_is_refused():
    labels = circle_labels()
    black_blood = np.where(labels == 500, 20.0, circle_lge(labels)).astype(np.float32)
    with pytest.raises(InputError, match="brighter than muscle"):
        papillary_muscles({"lge": black_blood}, labels)


def test_a_label_map_without_blood_pool_is_refused():
    labels = circle_labels()
    labels[labels == 500] = 0
    with pytest.raises(InputError, match="blood pool"):
        papillary_muscles({"lge": circle_lge(labels)}, labels)


def test_both_files_say_that_their_shares_have_two_bases():
    labels, lge, _ = with_muscle()
    case = circle_case(labels, ("lge", "t2"), changed={"lge": lge})
    plain, counted = (
        measure(case, circle_segmentation(case, labels), papillary_in_lv_mass=wanted)
        for wanted in (False, True)
    )
    whole, scar = counted.regional.whole, counted.tissues["scar"]
    assert whole.scar_percent > scar.percent_of_lv_mass, "the wall is smaller than the LV mass"
    words = "regional numbers are of the wall without them"
    assert sum(words in warning for warning in counted.warnings) == 1
    for rows in (tables.rows(counted), regional_tables.rows(counted.regional, "case")):
        shares = [row for row in rows if row["unit"] in ("%", "g") and row["value"] is not None]
        # The rows of both definitions of LV mass name theirs.
        named = ("image_quality", "lv_mass_")
        shares = [row for row in shares if not row["structure"].startswith(named)]
        assert shares and all(words in row["note"] for row in shares)
    assert words in tables.plain(counted)["regional"]["note"]
    assert not any("papillary" in row["note"] for row in tables.rows(plain))
    assert plain.regional.note == "" and not any(words in warning for warning in plain.warnings)

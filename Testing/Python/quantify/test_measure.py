import json

import numpy as np
import pytest
from circle_heart import (
    REMOTE_SIGNAL,
    SCAR_SIGNAL,
    circle_case,
    circle_labels,
    circle_lge,
    circle_segmentation,
)

from myops.case import case_from_images
from myops.geometry.grid import Geometry, to_sitk
from myops.quantify.measure import measure
from myops.quantify.tables import plain
from myops.quantify.tables import rows as rows_of
from myops.quantify.thresholds.methods import ConventionalSettings

VOXEL_ML = 1.5 * 1.5 * 10 / 1000


def measured(sequences=("bssfp", "lge", "t2"), labels=None, **options):
    labels = circle_labels() if labels is None else labels
    case = circle_case(labels, sequences, **options)
    return measure(case, circle_segmentation(case, labels))


def test_masses_are_those_counted_by_hand():
    labels = circle_labels()
    found = measured().tissues
    wall = int(np.isin(labels, (200, 1220, 2221)).sum())
    scar = int((labels == 2221).sum())
    assert found["lv_myocardium"].mass_g == pytest.approx(wall * VOXEL_ML * 1.05)
    assert found["scar"].mass_g == pytest.approx(scar * VOXEL_ML * 1.05)
    assert found["scar"].percent_of_lv_mass == pytest.approx(100 * scar / wall)
    # Ring of 13..20 pixels, 1.5 mm pixels, 5 slices of 10 mm: 81.6 mL by the formula for circles.
    circle_ml = np.pi * (20**2 - 13**2) * 1.5**2 * 50 / 1000
    assert found["lv_myocardium"].volume_ml == pytest.approx(circle_ml, rel=0.01)


def test_both_rules_find_the_scar_that_is_nine_times_brighter():
    found = measured()
    for name, scar in found.fwhm.items():
        assert scar.dice_with_scar == 1.0, name
        assert scar.mass.mass_g == pytest.approx(found.tissues["scar"].mass_g)
    half = found.fwhm["fwhm_half_of_maximum_volume"].result
    assert half.peak == pytest.approx(SCAR_SIGNAL, abs=1)
    assert half.threshold_range[0] == pytest.approx(SCAR_SIGNAL / 2, abs=1)
    referenced = found.fwhm["fwhm_remote_referenced_volume"].result
    remote_mean = found.remote.mean
    assert remote_mean < REMOTE_SIGNAL
    expected = remote_mean + (referenced.peak - remote_mean) / 2
    assert referenced.threshold_range == (expected, expected)


def test_four_conventional_results_are_reported():
    assert set(measured().fwhm) == {
        "fwhm_half_of_maximum_volume",
        "fwhm_half_of_maximum_slice",
        "fwhm_remote_referenced_volume",
        "fwhm_remote_referenced_slice",
    }


def test_slices_add_up_to_the_whole():
    found = measured()
    for name in ("lv_myocardium", "scar", "edema", "blood_pool"):
        total = sum(one.tissues[name].volume_ml for one in found.slices)
        assert total == pytest.approx(found.tissues[name].volume_ml)
    for name, scar in found.fwhm.items():
        total = sum(one.fwhm[name].mass_g for one in found.slices)
        assert total == pytest.approx(scar.mass.mass_g)
    assert [one.number for one in found.slices] == [1, 2, 3, 4, 5]


def test_without_lge_scar_and_thresholds_are_not_assessed():
    labels = circle_labels()
    labels[np.isin(labels, (1220, 2221))] = 200
    found = measured(("bssfp",), labels)
    assert found.tissues["scar"].mass_g is None
    assert found.tissues["scar"].reason == "not assessed: there is no LGE image"
    assert found.fwhm == {}
    assert found.fwhm_reason == "not assessed: there is no LGE image"
    assert found.remote is None
    assert found.remote_reason == "not assessed: there is no LGE image"


def test_without_t2_only_edema_and_the_union_are_not_assessed():
    labels = circle_labels()
    labels[labels == 1220] = 200
    found = measured(("bssfp", "lge"), labels)
    assert found.tissues["edema"].mass_g is None
    assert found.tissues["scar_or_edema"].mass_g is None
    assert found.tissues["scar"].mass_g > 0


def test_signed_images_invalidate_half_of_maximum_and_warn_once():
    labels = circle_labels()
    found = measured(labels=labels, changed={"lge": circle_lge(labels) - 200})
    half = found.fwhm["fwhm_half_of_maximum_volume"]
    assert half.mass.mass_g is None
    assert half.dice_with_scar is None
    assert "signed (PSIR)" in half.dice_reason
    assert found.fwhm["fwhm_remote_referenced_volume"].dice_with_scar == 1.0
    assert sum("signed (PSIR)" in warning for warning in found.warnings) == 1


def test_a_heart_without_scar_warns_that_fwhm_assumes_one():
    labels = circle_labels()
    labels[np.isin(labels, (1220, 2221))] = 200
    found = measured(labels=labels)
    assert found.tissues["scar"].mass_g == 0
    assert any("FWHM assumes that there is scar" in warning for warning in found.warnings)
    assert found.fwhm["fwhm_half_of_maximum_slice"].dice_with_scar is None
    assert "empty" in found.fwhm["fwhm_half_of_maximum_slice"].dice_reason


def test_unset_spacing_refuses_grams_and_keeps_shares():
    labels = np.repeat(circle_labels(), 12, 0)  # as long as a heart
    grid = Geometry((96, 96, 60), (1.0, 1.0, 1.0))
    case = case_from_images({"lge": to_sitk(circle_lge(labels), grid)}, "no header")
    assert not case.spacing_known
    seen = case.original.order_xyz, case.original.flipped_xyz
    assert seen == ((0, 1, 2), (False, False, False))
    found = measure(case, circle_segmentation(case, labels))
    assert found.tissues["scar"].mass_g is None
    assert found.tissues["scar"].reason.startswith("refused")
    assert found.tissues["scar"].percent_of_lv_mass == pytest.approx(10.302, abs=0.001)
    assert any("volumes and masses are refused" in warning for warning in found.warnings)


def test_a_true_grid_of_1_mm_that_lies_somewhere_has_grams():
    labels = np.repeat(circle_labels(), 12, 0)  # as long as a heart
    grid = Geometry((96, 96, 60), (1.0, 1.0, 1.0), (0.0, -40.0, 0.0))
    case = case_from_images({"lge": to_sitk(circle_lge(labels), grid)}, "isotropic")
    assert case.spacing_known
    found = measure(case, circle_segmentation(case, labels)).tissues["scar"]
    assert found.mass_g == pytest.approx(np.sum(labels == 2221) * 1e-3 * 1.05)


def test_warnings_of_case_and_segmentation_are_kept_in_order():
    labels = circle_labels()
    case = circle_case(labels)
    found = measure(case, circle_segmentation(case, labels, ("the heart is near the edge",)))
    assert found.warnings == (*case.warnings, "the heart is near the edge")


def test_labels_of_another_grid_are_refused():
    case = circle_case()
    with pytest.raises(ValueError, match=r"expected labels of \(5, 96, 96\)"):
        measure(case, circle_segmentation(case, circle_labels(4)))


def test_the_dictionary_is_plain_json_without_nan_or_arrays():
    text = json.dumps(plain(measured()), allow_nan=False)
    again = json.loads(text)
    assert again["tissues"]["scar"]["mass_g"] == pytest.approx(8.859375)
    assert again["fwhm"]["fwhm_remote_referenced_volume"]["rule"] == "fwhm_remote_referenced"
    assert again["remote"]["clock_hour"] == 5
    assert "mask" not in again["remote"]


def test_rows_tell_a_missing_number_from_a_zero():
    labels = circle_labels()
    labels[labels == 1220] = 200
    rows = rows_of(measured(("bssfp", "lge"), labels))
    found = {(r["slice"], r["structure"], r["quantity"]): r for r in rows}
    assert len(found) == len(rows)
    assert found["all", "edema", "mass_g"]["value"] is None
    assert found["all", "edema", "mass_g"]["note"] == "not assessed: there is no T2 image"
    assert found["1", "scar", "mass_g"]["value"] == 0
    assert found["all", "scar", "mass_g"]["unit"] == "g"


def test_mean_uncertainty_is_taken_inside_the_myocardium():
    labels = circle_labels()
    case = circle_case(labels)
    segmentation = circle_segmentation(case, labels)
    wall = np.isin(labels, (200, 1220, 2221))
    expected = segmentation.uncertainty[wall].mean()
    assert measure(case, segmentation).mean_uncertainty == pytest.approx(expected)


def test_quantification_runs_without_torch():
    import subprocess
    import sys

    code = "import sys; import myops.quantify.measure; sys.exit('torch' in sys.modules)"
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert done.returncode == 0


def test_a_slice_that_a_rule_cannot_assess_has_no_number_and_not_0_g():
    labels = circle_labels()
    case = circle_case(labels)
    mask = np.zeros(labels.shape, bool)
    mask[2, 48:, 29:34] = labels[2, 48:, 29:34] == 200  # remote myocardium in one slice alone
    settings = ConventionalSettings(methods=("sd5",))
    found = measure(case, circle_segmentation(case, labels), settings, mask)
    masses = [one.conventional["sd5_slice"] for one in found.slices]
    assert [mass.mass_g is None for mass in masses] == [False, True, False, True, False]
    assert masses[0].mass_g == 0 and masses[2].mass_g > 0
    assert "not assessed" in masses[1].reason
    assert any("slice 2, 4 not assessed" in words for words in found.warnings)

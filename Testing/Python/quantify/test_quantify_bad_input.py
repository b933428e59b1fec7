"""What quantification says of hearts that it cannot measure, or not fully: result or refusal.

Every case goes the whole way: masses, all methods, regions, image quality, JSON and rows.
"""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from circle_heart import (
    SPACING_MM,
    circle_case,
    circle_labels,
    circle_lge,
    circle_segmentation,
    sitk_image,
)
from click.testing import CliRunner

from myops.cli import cli
from myops.errors import InputError
from myops.evaluation.metrics import compare
from myops.quantify import tables
from myops.quantify.label_map import read_label_map
from myops.quantify.measure import measure
from myops.quantify.regional import tables as regional_tables
from myops.quantify.regional.analysis import regional
from myops.quantify.thresholds.methods import ConventionalSettings

ALL = ConventionalSettings(manual_threshold=450.0)
BOTH = frozenset({"scar", "edema"})
# Rules that look at remote myocardium.
REMOTE_RULES = ("fwhm_remote_referenced", "fwhm_amado", "sd", "grey_zone_schmidt", "grey_zone_yan")


def quantified(labels, lge=None):
    """Measurements and regional analysis, both checked to be plain data without NaN."""
    case = circle_case(labels, ("lge",), changed={} if lge is None else {"lge": lge})
    found = measure(case, circle_segmentation(case, labels), ALL)
    parts = regional(labels, case.geometry, BOTH)
    for document in (tables.plain(found), regional_tables.plain(parts)):
        json.dumps(document, allow_nan=False)
    assert all(
        row["note"] for row in tables.rows(found) if row["value"] is None and row["slice"] == "all"
    )
    regional_tables.rows(parts, "case")
    return found, parts


def invalid_reasons(found):
    return {name: scar.result.invalid for name, scar in found.methods.items()}


def test_no_myocardium_is_zero_grams_and_a_reason_for_everything_else():
    labels = circle_labels()
    labels[np.isin(labels, (200, 1220, 2221))] = 0
    found, parts = quantified(labels, circle_lge(circle_labels()))
    assert found.tissues["lv_myocardium"].mass_g == 0
    assert found.tissues["scar"].mass_g == 0
    assert found.tissues["scar"].percent_of_lv_mass is None
    assert set(invalid_reasons(found).values()) == {"no myocardium was found"}
    assert found.remote is None and found.quality.contrast_scar_remote is None
    assert parts.segments_reason == "no segments: no myocardium was found"
    assert parts.surface.reason == "no slice has wall around a cavity"
    assert parts.salvage.reason == "no myocardium was found"


def test_no_heart_at_all_is_no_error_either():
    found, parts = quantified(
        np.zeros((3, 40, 40), np.uint16), circle_lge(circle_labels(3))[:, :40, :40]
    )
    assert found.tissues["blood_pool"].volume_ml == 0
    assert found.quality.reasons["noise"] == "too little blood pool, or no spread in it"
    assert parts.whole.voxels == 0 and parts.whole.scar_percent is None


def test_no_scar_is_zero_grams_with_a_warning_about_thresholds():
    labels = circle_labels()
    labels[labels == 2221] = 200
    labels[labels == 1220] = 200
    found, parts = quantified(labels)
    assert found.tissues["scar"].mass_g == 0 and found.tissues["scar"].percent_of_lv_mass == 0
    assert any(warning.startswith("No scar was found.") for warning in found.warnings)
    assert found.methods["sd6_slice"].mass.mass_g == 0  # no slice holds scar: none is assessed
    assert found.methods["otsu_volume"].result.invalid is None
    assert found.quality.reasons["contrast_scar_remote"] == "no scar"
    assert parts.whole.transmurality.mean_percent == 0
    assert parts.whole.transmurality.mean_where_scar_percent is None
    assert parts.surface.infarct_cm2 == 0
    assert parts.salvage.reason == "no area at risk: there is neither edema nor scar"


def test_myocardium_on_some_slices_only_measures_these():
    labels = circle_labels()
    labels[3:] = 0
    found, parts = quantified(labels, circle_lge(circle_labels()))
    whole, _ = quantified(circle_labels())
    assert found.tissues["lv_myocardium"].mass_g == pytest.approx(
        whole.tissues["lv_myocardium"].mass_g * 3 / 5
    )
    assert [one.tissues["lv_myocardium"].voxels for one in found.slices][3:] == [0, 0]
    assert not any("no LV" in warning for warning in found.warnings)
    assert [one.wall.voxels for one in parts.slices][3:] == [0, 0]


def test_a_gap_in_the_myocardium_is_named():
    labels = circle_labels()
    labels[2] = 0
    found, _ = quantified(labels, circle_lge(circle_labels()))
    assert any(warning.startswith("Slice 3: no LV") for warning in found.warnings)


def test_one_slice_has_every_number_but_segments():
    labels = circle_labels()[2:3]
    found, parts = quantified(labels)
    scar_g = (labels == 2221).sum() * np.prod(SPACING_MM) / 1000 * 1.05
    assert found.tissues["scar"].mass_g == pytest.approx(scar_g)
    assert found.methods["otsu_volume"].mass.mass_g == pytest.approx(scar_g)
    assert parts.segments == () and parts.segments_reason
    assert parts.whole.transmurality.mean_where_scar_percent > 90
    assert any("a single slice" in warning for warning in found.warnings)


def test_constant_myocardium_leaves_masses_and_refuses_every_rule_but_the_manual_one():
    labels = circle_labels()
    lge = circle_lge(labels)
    lge[np.isin(labels, (200, 1220, 2221))] = 100.0
    found, _ = quantified(labels, lge)
    reasons = invalid_reasons(found)
    assert reasons.pop("manual") is None
    assert all("same value 100 everywhere" in reason for reason in reasons.values())
    assert found.methods["manual"].mass.mass_g == 0
    assert found.tissues["scar"].mass_g > 0


def test_an_empty_remote_region_stops_the_rules_that_need_it_and_no_other():
    labels = circle_labels()
    labels[np.isin(labels, (200, 1220))] = 2221
    found, _ = quantified(labels, circle_lge(circle_labels()))
    assert found.remote is None and found.remote_reason.startswith("no 60 degree sector")
    for name, reason in invalid_reasons(found).items():
        if name.startswith(REMOTE_RULES):
            assert "no remote region" in reason, name
        else:
            assert reason is None, name
    assert found.quality.reasons["contrast_scar_remote"] == "no remote region"


def test_nan_beside_the_heart_is_set_to_the_images_limits_and_reported():
    labels = circle_labels()
    lge = circle_lge(labels)
    lge[:, :2, :2] = np.nan
    found, _ = quantified(labels, lge)
    plain, _ = quantified(labels)
    assert any("20 NaN or infinite voxels" in warning for warning in found.warnings)
    otsu = "otsu_volume"
    assert found.methods[otsu].mass == plain.methods[otsu].mass


def test_an_image_of_nan_is_refused():
    labels = circle_labels()
    lge = circle_lge(labels)
    lge[1:] = np.nan
    with pytest.raises(InputError, match="expected finite intensities"):
        circle_case(labels, ("lge",), changed={"lge": lge})


@pytest.mark.parametrize(
    ("changed", "spacing", "words"),
    [
        (lambda labels: labels[:, :-1], SPACING_MM, "found 96 x 95 x 5 voxels"),
        (lambda labels: labels[:-1], SPACING_MM, "found 96 x 96 x 4 voxels"),
        (lambda labels: labels, (1.5, 1.5, 9.0), "1.5 x 1.5 x 9 mm"),
    ],
)
def test_a_mask_of_another_grid_is_refused_with_both_grids(tmp_path, changed, spacing, words):
    path = tmp_path / "labels.nii.gz"
    sitk.WriteImage(sitk_image(np.ascontiguousarray(changed(circle_labels())), spacing), str(path))
    with pytest.raises(InputError, match="expected labels on the grid of the lge image") as refused:
        read_label_map(path, circle_case())
    assert words in str(refused.value) and "96 x 96 x 5 voxels" in str(refused.value)


def test_arrays_of_another_shape_are_refused_everywhere():
    labels, case = circle_labels(), circle_case()
    small = circle_labels(4)
    with pytest.raises(ValueError, match="expected labels of"):
        measure(case, circle_segmentation(case, small))
    with pytest.raises(ValueError, match="expected labels of"):
        regional(small, case.geometry, BOTH)
    with pytest.raises(InputError, match="one shape"):
        compare(small, labels, SPACING_MM)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("labels of another grid", "on the grid of the lge image"),
        ("labels that are no labels", "expected MyoPS labels"),
        ("an image of one value", "same value"),
    ],
)
def test_the_command_refuses_in_one_line_and_writes_nothing(tmp_path, broken, words):
    labels = circle_labels()
    lge = circle_lge(labels)
    if broken == "labels of another grid":
        labels = labels[:-1]
    elif broken == "labels that are no labels":
        labels[labels == 200] = 77
    else:
        lge[:] = 5.0
    files = {"labels": labels, "lge": lge}
    for name, array in files.items():
        sitk.WriteImage(sitk_image(array), str(tmp_path / f"{name}.nii.gz"))
    arguments = [str(tmp_path / "labels.nii.gz"), "--lge", str(tmp_path / "lge.nii.gz")]
    out = tmp_path / "out"
    result = CliRunner().invoke(cli, ["quantify", *arguments, "--output", str(out)])
    assert result.exit_code == 2
    assert words in result.output and result.output.count("\n") == 1
    assert not out.exists()

"""Numbers that no human heart has are named with their likely cause, in every command."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from circle_heart import circle_case, circle_labels, circle_segmentation
from click.testing import CliRunner

from myops.cli import cli
from myops.datasets import find_cases
from myops.phantom.patient import generate_patient
from myops.quantify.human_heart import LIMITS, heart_numbers, heart_warning, warning_of_labels
from myops.quantify.measure import measure

SPACING_MM = (1.5, 1.5, 10.0)


def heart(slices: int = 9, empty: int = 1, outer: int = 20, inner: int = 13) -> np.ndarray:
    """Rings of pixels; `empty` slices without any heart at either end of the stack."""
    rows, columns = np.indices((64, 64)) - 32
    radius = np.hypot(rows, columns)
    plane = np.where(radius < outer, 200, 0)
    plane[radius < inner] = 500
    labels = np.repeat(plane[None], slices, 0).astype(np.uint16)
    if empty:
        labels[:empty] = labels[-empty:] = 0
    return labels


def test_the_numbers_of_rings_are_those_of_the_formulas():
    found = heart_numbers(heart(), SPACING_MM)
    wall_mm2 = np.pi * (20**2 - 13**2) * 1.5**2
    assert found["lv_mass_g"] == pytest.approx(wall_mm2 * 70 / 1000 * 1.05, rel=0.01)
    assert found["wall_mm"] == pytest.approx(7 * 1.5, rel=0.02)
    assert found["lv_length_mm"] == 70
    assert found["scar_percent"] == 0
    assert warning_of_labels(heart(), SPACING_MM) == ""


def test_an_uneven_pixel_counts_with_both_its_sides():
    found = heart_numbers(heart(), (1.0, 2.25, 10.0))
    assert found["wall_mm"] == pytest.approx(7 * 1.5, rel=0.02)


@pytest.mark.parametrize(
    ("spacing_mm", "words"),
    [
        ((1.0, 1.0, 1.0), ("LV mass 5", "LV length 7 mm", "spacing was lost or is in other units")),
        ((0.15, 0.15, 1.0), ("LV mass 0.1", "mean wall thickness 1.06 mm", "LV length 7 mm")),
        ((1.5, 1.5, 1.0), ("LV mass 12 g", "LV length 7 mm", "slices are missing")),
        ((1500.0, 1500.0, 10000.0), ("LV mass", "mean wall thickness", "LV length", "units")),
        ((15.0, 15.0, 10.0), ("LV mass", "mean wall thickness 106 mm")),
        ((1.5, 1.5, 25.0), ("LV length 175 mm (expected at most 160)", "there twice")),
    ],
)
def test_a_lost_spacing_and_other_units_are_named_in_one_sentence(spacing_mm, words):
    sentence = warning_of_labels(heart(), spacing_mm)
    assert all(part in sentence for part in words), sentence
    assert sentence.count("Unlike a human heart") == 1


def test_every_limit_is_told_on_both_sides():
    for name, limits in LIMITS.items():
        assert heart_warning({name: limits.low}) == heart_warning({name: limits.high}) == ""
        above = heart_warning({name: limits.high * 1.01})
        assert f"expected at most {limits.high:g}" in above and limits.above[0] in above
        if limits.low:
            below = heart_warning({name: limits.low * 0.99})
            assert f"expected at least {limits.low:g}" in below and limits.below[0] in below
    assert heart_warning({}) == heart_warning({"lv_mass_g": None}) == ""


@pytest.mark.parametrize("slices", [1, 2, 3, 5])
@pytest.mark.parametrize("empty", [0, 1])
def test_single_slices_and_parts_of_a_stack_raise_no_warning(slices, empty):
    assert warning_of_labels(heart(slices + 2 * empty, empty), (1.5, 1.5, 8.0)) == ""


def test_a_stack_that_ends_within_the_ventricle_may_be_short_but_not_thin():
    whole_image_is_heart = heart(9, 0)
    assert warning_of_labels(whole_image_is_heart, (1.5, 1.5, 5.0)) == ""
    assert "LV length 9 mm" in warning_of_labels(whole_image_is_heart, (1.5, 1.5, 1.0))
    assert "LV length 2 mm" in warning_of_labels(heart(2, 0), (1.5, 1.5, 1.0))
    # A 3D image of 1.5 mm slices that shows half of the ventricle.
    assert warning_of_labels(heart(30, 0), (1.5, 1.5, 1.5)) == ""


def test_half_a_stack_in_every_slice_twice_is_too_long_or_too_heavy():
    twice = np.repeat(heart(11, 1), 2, axis=0)
    assert "slices are there twice" in warning_of_labels(twice, SPACING_MM)


def test_more_than_60_percent_of_scar_is_told_but_not_of_a_single_slice():
    labels = heart()
    wall = np.flatnonzero(labels.ravel() == 200)
    labels.ravel()[wall[: int(0.61 * wall.size)]] = 2221
    for spacing_mm in (SPACING_MM, None):
        assert "scar 61 % of the LV (expected at most 60)" in warning_of_labels(labels, spacing_mm)
    assert warning_of_labels(labels[2:3], SPACING_MM) == ""
    labels.ravel()[wall[: int(0.02 * wall.size)]] = 200
    assert warning_of_labels(labels, SPACING_MM) == ""


def test_an_empty_map_a_scar_mask_and_an_unknown_spacing_are_not_checked():
    assert heart_numbers(np.zeros((3, 8, 8), np.uint16), SPACING_MM) == {}
    scar = np.zeros((9, 8, 8), np.uint16)
    scar[2:7, 2:5, 2:5] = 2221
    assert warning_of_labels(scar, SPACING_MM) == ""
    assert warning_of_labels(heart(), None) == ""


@pytest.mark.slow
def test_phantoms_pass_silently():
    for seed in range(12):
        patient = generate_patient(seed)
        assert warning_of_labels(patient.labels, patient.spacing_mm) == "", seed


@pytest.mark.slow
def test_real_hearts_pass_silently(real_hearts):
    names = []
    for labeled in find_cases(real_hearts):
        if labeled.dataset in ("emidec", "acdc", "sunnybrook"):
            case = labeled.to_case()
            labels, _ = labeled.truth_for(case)
            assert warning_of_labels(labels, case.geometry.spacing_mm) == "", labeled.name
            names.append(labeled.name)
    assert names


def test_measurements_warn_once_and_a_real_size_is_silent():
    labels = circle_labels()
    case = circle_case(labels)
    assert not any("human" in w for w in measure(case, circle_segmentation(case)).warnings)
    labels[1:4][labels[1:4] == 200] = 2221  # with the first slice 75 %
    labels[0][labels[0] == 200] = 2221
    found = measure(case, circle_segmentation(case, labels)).warnings
    assert sum("Unlike a human heart: scar" in words for words in found) == 1


def files(tmp_path, spacing_mm):
    """Label map and LGE of a heart, written with a spacing that is not its own."""
    labels = heart()
    rng = np.random.default_rng(0)
    lge = np.select([labels == 200, labels == 500], [80.0, 300.0], 20.0)
    paths = {}
    for name, array in (("gd", labels), ("DE", lge + rng.normal(0, 3, lge.shape))):
        image = sitk.GetImageFromArray(array.astype(np.uint16 if name == "gd" else np.float32))
        image.SetSpacing(spacing_mm)
        image.SetOrigin((-31.0, -31.0, -4.0))
        paths[name] = tmp_path / f"p_{name}.nrrd"
        sitk.WriteImage(image, str(paths[name]))
    return paths


def run(*arguments):
    return CliRunner().invoke(cli, [str(one) for one in arguments], catch_exceptions=False)


def test_quantify_and_its_files_name_a_heart_of_5_grams(tmp_path):
    paths = files(tmp_path, (1.0, 1.0, 1.001))
    done = run("quantify", paths["gd"], "--lge", paths["DE"], "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert done.output.count("Warning: Unlike a human heart: LV mass 5") == 1
    written = json.loads((tmp_path / "out" / "quantification.json").read_text(encoding="utf-8"))
    assert sum("Unlike a human heart" in words for words in written["warnings"]) == 1
    right = run("quantify", files(tmp_path, SPACING_MM)["gd"], "--lge", paths["DE"])
    assert "human" not in right.output


def test_compare_names_the_file_whose_heart_is_too_small(tmp_path):
    labels = files(tmp_path, (1.0, 1.0, 1.001))["gd"]
    for command in (["compare"], ["evaluate", "masks"], ["evaluate"]):
        done = run(*command, labels, labels, "-o", tmp_path / "found.json")
        assert "Warning: p_gd.nrrd: Unlike a human heart: LV mass" in done.output
    written = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert len(written["warnings"]) == 2 and written["myocardium"]["dice"] == 1.0
    right = files(tmp_path, SPACING_MM)["gd"]
    done = run("compare", right, right, "-o", tmp_path / "right.json")
    assert "human" not in done.output
    assert "warnings" not in json.loads((tmp_path / "right.json").read_text(encoding="utf-8"))


def study_of(tmp_path, header, *rows):
    path = tmp_path / "readings.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return run("study", path, "-o", tmp_path / "study")


def test_a_study_of_label_maps_names_the_first_and_counts_the_others(tmp_path):
    files(tmp_path, (1.0, 1.0, 1.001))
    rows = [f"P{k},{who},1,drawn,p_gd.nrrd" for k in range(3) for who in ("Ana", "Ben")]
    done = study_of(tmp_path, "case,reader,session,method,mask", *rows)
    assert done.exit_code == 0, done.output
    words = "6 of 6 readings are doubtful, first readings.csv, row 2: Unlike a human heart: LV mass"
    assert done.output.count(words) == 1
    assert words in (tmp_path / "study" / "study.json").read_text(encoding="utf-8")


def test_a_study_of_numbers_in_other_units_is_doubted(tmp_path):
    header = "case,reader,session,method,mass_g,lv_mass_g"
    rows = [
        f"P{k},{who},1,drawn,{mass},{lv}"
        for k, (mass, lv) in enumerate([(12, 110), (20000, 130000), (30, 120)])
        for who in ("Ana", "Ben")
    ]
    done = study_of(tmp_path, header, *rows)
    assert "2 of 6 readings are doubtful, first readings.csv, row 4" in done.output
    assert "scar 2e+04 g (expected at most 360)" in done.output
    assert "doubtful" not in study_of(tmp_path, header, *rows[:2], *rows[4:]).output

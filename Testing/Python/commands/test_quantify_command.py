"""`myops quantify`: a label map from a file, measured by every method, and what it refuses."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from circle_heart import circle_case, circle_labels, circle_lge, sitk_image
from click.testing import CliRunner, Result
from real_folder import REAL_HEARTS
from ring_heart import RingHeart

from myops.case import case_from_images, load_case
from myops.cli import cli
from myops.errors import InputError
from myops.geometry.grid import to_sitk
from myops.quantify.label_map import measure_label_map, read_label_map
from myops.quantify.tables import write_tables
from myops.quantify.thresholds.methods import RULES

SCAR_G = 8.859375  # 375 voxels of 1.5 x 1.5 x 10 mm, 1.05 g/mL


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A circle heart with an LGE alone, and its labels."""
    labels = circle_labels()
    labels[labels == 1220] = 200
    sitk.WriteImage(sitk_image(circle_lge(labels)), str(tmp_path / "patient_LGE.nii.gz"))
    sitk.WriteImage(sitk_image(labels), str(tmp_path / "labels.nii.gz"))
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["quantify", *(str(argument) for argument in arguments)])


def found_by(folder: Path, *options: object) -> dict[str, object]:
    """The JSON of a run with `options`."""
    out = folder / "out"
    result = run(folder / "labels.nii.gz", folder, "-o", out, *options)
    assert result.exit_code == 0, result.output
    return json.loads((out / "quantification.json").read_text("utf-8"))


def test_all_methods_are_printed_with_threshold_peak_and_remote(folder):
    result = run(folder / "labels.nii.gz", folder)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("FWHM, remote-referenced (vol"))
    assert "8.9 g" in lines[at]
    for word in ("threshold ", "peak 9", "remote 8", "Dice with the labeled scar 1.00"):
        assert word in lines[at + 1]
    assert any(line.startswith("remote region") and "5 o'clock" in line for line in lines)
    assert "not assessed: there is no T2 image" in result.stdout


def test_a_table_of_myops_segment_is_not_replaced_by_that_of_another_label_map(folder):
    out = folder / "out"
    out.mkdir()
    (out / "regional.csv").write_text("of the automatic labels", "utf-8")
    done = run(folder / "labels.nii.gz", folder, "-o", out)
    assert done.exit_code == 2
    (line,) = done.stderr.strip().splitlines()
    assert "regional.csv of another origin" in line and "name another --output" in line
    assert [path.name for path in out.iterdir()] == ["regional.csv"]
    assert (out / "regional.csv").read_text("utf-8") == "of the automatic labels"


def test_regional_numbers_of_an_earlier_label_map_do_not_stay(folder):
    lge = folder / "patient_LGE.nii.gz"
    case = load_case(lge=lge)
    measured = measure_label_map(case, folder / "labels.nii.gz")
    assert measured.regional is not None
    write_tables(folder / "out", measured)
    assert (folder / "out" / "regional.csv").exists()
    write_tables(folder / "out", replace(measured, regional=None))
    assert not (folder / "out" / "regional.csv").exists()


def test_json_and_csv_hold_the_same_numbers(folder):
    document = found_by(folder, "--manual-threshold", 450)
    found = {**document["fwhm"], **document["conventional"]}
    assert len(found) == 2 * (len(RULES) - 1) + 1
    assert found["otsu_volume"]["mass_g"] == pytest.approx(SCAR_G)
    assert found["manual"]["mass_g"] == pytest.approx(SCAR_G)
    table = (folder / "out" / "quantification.csv").read_text("utf-8")
    rows = list(csv.DictReader(table.splitlines()))
    by_name = {(r["slice"], r["structure"], r["quantity"]): r["value"] for r in rows}
    assert len(by_name) == len(rows)
    for name, values in found.items():
        assert float(by_name["all", name, "mass_g"]) == values["mass_g"]
        assert float(by_name["all", name, "peak"]) == values["peak"]
    quality = document["image_quality"]
    assert float(by_name["all", "image_quality", "noise"]) == quality["noise"]
    assert found["sd5_volume"]["remote"]["clock_hour"] == 5
    grey = found["grey_zone_schmidt_volume"]
    assert grey["core"]["mass_g"] + grey["grey_zone"]["mass_g"] == pytest.approx(grey["mass_g"])


def test_only_the_methods_asked_for_are_applied(folder):
    document = found_by(folder, "--method", "otsu", "--method", "fwhm_remote_referenced")
    assert list(document["conventional"]) == ["otsu_volume", "otsu_slice"]
    assert all(name.startswith("fwhm_remote_referenced") for name in document["fwhm"])
    assert document["fwhm_reason"] is None


def test_a_drawn_remote_region_and_a_sector_replace_the_automatic_one(folder):
    mask = np.zeros(circle_labels().shape, np.uint8)
    mask[1:4, 62:67, 44:52] = 1
    sitk.WriteImage(sitk_image(mask), str(folder / "remote_mask.nii.gz"))
    drawn = found_by(folder, "--remote-mask", folder / "remote_mask.nii.gz")
    assert drawn["remote"]["given"]
    assert drawn["remote"]["voxels"] == int(mask.sum())
    sector = found_by(folder, "--remote-sector", 0, 40)
    assert sector["remote"]["center_angle_deg"] == 0
    refused = run(
        folder / "labels.nii.gz", folder, "--remote-mask", "a.nii", "--remote-sector", 0, 40
    )
    assert refused.exit_code == 2 and "leave one out" in refused.stderr


def test_labels_stored_with_flipped_axes_are_measured_alike(folder):
    plain = found_by(folder)
    image = sitk.ReadImage(str(folder / "labels.nii.gz"))
    flipped = sitk.PermuteAxes(sitk.Flip(image, (True, False, True)), (1, 0, 2))
    sitk.WriteImage(flipped, str(folder / "labels.nii.gz"))
    assert found_by(folder) == plain


def test_emidec_labels_are_read_with_their_convention(folder):
    labels = circle_labels()
    emidec = np.select([labels == 500, labels == 2221, np.isin(labels, (200, 1220))], [1, 3, 2], 0)
    emidec[2, 31:33, 42:44] = 4
    sitk.WriteImage(sitk_image(emidec.astype(np.uint8)), str(folder / "labels.nii.gz"))
    document = found_by(folder, "--convention", "emidec")
    assert document["tissues"]["scar"]["mass_g"] == pytest.approx(SCAR_G)
    assert document["tissues"]["mvo"]["voxels"] == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--method", "fwhm"), "found fwhm"),
        (("--method", "manual"), "expected a threshold"),
        (("--convention", "acdc"), "expected ACDC labels"),
        (("--convention", "mnms"), "expected M&Ms labels"),
        (("--convention", "brats"), "found 'brats'"),
        (("--remote-sector", 0, -5), "width above 0"),
        (("--manual-threshold", "nan"), "finite manual threshold"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(folder, options, words):
    result = run(folder / "labels.nii.gz", folder, *options)
    assert result.exit_code == 2
    assert words in result.stderr and len(result.stderr.strip().splitlines()) == 1


def test_labels_of_another_grid_are_refused(folder):
    sitk.WriteImage(sitk_image(circle_labels(4)), str(folder / "labels.nii.gz"))
    result = run(folder / "labels.nii.gz", folder)
    assert result.exit_code == 2
    assert "expected labels on the grid of the lge image" in result.stderr


def test_labels_without_a_header_belong_to_an_image_of_their_size(folder):
    sitk.WriteImage(sitk.GetImageFromArray(circle_labels()), str(folder / "bare.nii.gz"))
    case = circle_case(sequences=("lge",))
    np.testing.assert_array_equal(
        read_label_map(folder / "bare.nii.gz", case).labels, circle_labels()
    )


def test_images_without_spacing_get_shares_but_no_grams(tmp_path):
    labels = circle_labels()
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(tmp_path / "labels.nii.gz"))
    case = case_from_images({"lge": sitk.GetImageFromArray(circle_lge(labels))})
    found = measure_label_map(case, tmp_path / "labels.nii.gz")
    otsu = found.conventional["otsu_volume"].mass
    assert otsu.mass_g is None and otsu.reason.startswith("refused")
    assert otsu.percent_of_lv_mass == found.tissues["scar"].percent_of_lv_mass
    with pytest.raises(InputError, match="known voxel spacing"):
        measure_label_map(case, tmp_path / "labels.nii.gz", smallest_island_ml=1.0)


def test_a_label_map_without_lge_gets_masses_and_says_why_nothing_else(folder, tmp_path):
    case = circle_case(sequences=("bssfp",))
    found = measure_label_map(case, folder / "labels.nii.gz")
    assert found.methods == {}
    assert found.fwhm_reason == "not assessed: there is no LGE image"
    assert found.tissues["scar"].mass_g == pytest.approx(SCAR_G)
    assert found.quality is None and found.mean_uncertainty is None


EMIDEC = REAL_HEARTS / "emidec"
# Shared README, 38 cases; the 12 here are a part of them, so the means differ by up to 0.05.
PUBLISHED_DICE = {
    "sd2_volume": 0.63,
    "sd3_volume": 0.34,
    "fwhm_half_of_maximum_volume": 0.35,
    "fwhm_between_minimum_and_maximum_volume": 0.62,
    "fwhm_remote_referenced_slice": 0.64,
    "otsu_volume": 0.64,
}


@pytest.mark.slow
@pytest.mark.skipif(not EMIDEC.is_dir(), reason="the real hearts are not on this machine")
def test_real_infarcts_give_the_dice_of_the_published_table(tmp_path):
    from myops.datasets import find_cases
    from myops.labels import normal_myocardium, scar
    from myops.quantify.mass import dice
    from myops.quantify.thresholds.methods import ConventionalSettings, conventional_methods

    settings = ConventionalSettings(fill_dark_cores=False)
    found: dict[str, list[float]] = {name: [] for name in PUBLISHED_DICE}
    for real in find_cases(EMIDEC):
        if not scar(real.labels).any():
            continue
        case = real.to_case()
        labels, _ = real.truth_for(case)
        results = conventional_methods(
            case.images["lge"],
            labels,
            case.geometry.spacing_mm,
            settings,
            normal_myocardium(labels),
        )
        for name, values in found.items():
            values.append(dice(results[name].mask, scar(labels)))
    for name, expected in PUBLISHED_DICE.items():
        assert len(found[name]) == 12
        assert np.mean(found[name]) == pytest.approx(expected, abs=0.05), name


def test_doubts_about_the_segments_are_printed_too(tmp_path):
    heart = RingHeart(right_deg=(-40.0, 120.0))
    labels = heart.labels()
    noise = np.random.default_rng(0).normal(0, 2, labels.shape)
    lge = np.select([labels == 200, labels == 500], [80.0, 300.0], 20.0) + noise
    for name, array in (("labels", labels), ("lge", lge.astype(np.float32))):
        image = to_sitk(array, heart.geometry())
        sitk.WriteImage(image, str(tmp_path / f"{name}.nii.gz"))
    arguments = [str(tmp_path / "labels.nii.gz"), "--lge", str(tmp_path / "lge.nii.gz")]
    done = CliRunner().invoke(cli, ["quantify", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert len(re.findall(r"contact are 1[56]\d degrees apart across the septum", done.output)) == 1

"""`myops compare` on the command line."""

import json

import numpy as np
import SimpleITK as sitk
from circle_heart import circle_labels, sitk_image
from click.testing import CliRunner

from myops.cli import cli


def two_readings(folder):
    """A label map, and the same with the scar of one of its slices taken for healthy muscle."""
    truth = circle_labels()
    missed = truth.copy()
    missed[1][missed[1] == 2221] = 200
    paths = []
    for name, labels in (("missed", missed), ("truth", truth)):
        paths.append(str(folder / f"{name}.nii.gz"))
        sitk.WriteImage(sitk_image(labels), paths[-1])
    return paths


def test_two_label_maps_are_compared_region_by_region(tmp_path):
    output = tmp_path / "agreement.json"
    result = CliRunner().invoke(cli, ["compare", *two_readings(tmp_path), "-o", str(output)])
    assert result.exit_code == 0, result.output
    found = json.loads(output.read_text("utf-8"))
    # Three equal slices of scar, two of them found: 2 x 2 / (2 + 3).
    assert found["scar"]["dice"] == 0.8
    assert found["scar"]["sensitivity"] == 2 / 3
    assert found["scar"]["hd_mm"] == 10.0
    assert found["myocardium"]["dice"] == 1.0
    assert "0.800" in result.output


def test_compare_and_evaluate_masks_print_the_same(tmp_path):
    paths = two_readings(tmp_path)
    runner = CliRunner()
    first, second = (
        runner.invoke(cli, [*command, *paths]) for command in (["compare"], ["evaluate", "masks"])
    )
    assert first.output == second.output != ""


def test_label_maps_on_different_grids_are_refused_in_one_line(tmp_path):
    missed, truth = two_readings(tmp_path)
    sitk.WriteImage(sitk_image(circle_labels(4)), truth)
    result = CliRunner().invoke(cli, ["compare", missed, truth])
    assert result.exit_code == 2
    assert "on the grid of the truth image" in result.output and result.output.count("\n") == 1


def test_label_maps_without_spacing_print_dashes_and_the_reason(tmp_path):
    paths = []
    for name, labels in (("a", circle_labels()), ("b", np.roll(circle_labels(), 1, axis=2))):
        paths.append(str(tmp_path / f"{name}.nii.gz"))
        sitk.WriteImage(sitk.GetImageFromArray(labels), paths[-1])
    output = tmp_path / "agreement.json"
    result = CliRunner().invoke(cli, ["compare", *paths, "-o", str(output)])
    assert result.exit_code == 0, result.output
    row = next(line for line in result.output.splitlines() if line.startswith("scar "))
    assert row.split()[2:4] == ["-", "-"] and row.split()[7:9] == ["-", "-"]
    assert "no spacing" in row and float(row.split()[1]) > 0.5
    found = json.loads(output.read_text("utf-8"))
    assert found["scar"]["hd_mm"] is None and found["scar"]["mass_difference_g"] is None
    assert result.output.count("Warning: mm, mL and g are refused") == 1
    assert len(found["warnings"]) == 1

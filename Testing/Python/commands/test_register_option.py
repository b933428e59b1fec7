"""`myops segment --register auto`: what was moved is used, reported and found again."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from click.testing import CliRunner

from myops.case import images_sha256
from myops.cli import cli
from myops.patients.provenance import read_case, read_inputs


@pytest.mark.slow
def test_a_moved_t2_is_laid_back_and_told_everywhere(tmp_path: Path) -> None:
    patient, out = tmp_path / "patient", tmp_path / "out"
    run = CliRunner().invoke
    made = run(cli, ["phantom", str(patient), "--seed", "7", "--complete"])
    assert made.exit_code == 0, made.output
    path = next(patient.glob("*_T2.nii.gz"))
    image = sitk.ReadImage(str(path))
    right = np.array(image.GetDirection()).reshape(3, 3)[:, 0]
    image.SetOrigin((np.array(image.GetOrigin()) + 9.0 * right).tolist())
    sitk.WriteImage(image, str(path))
    done = run(
        cli, ["segment", str(patient), "-o", str(out), "--register", "auto", "--device", "cpu"]
    )
    assert done.exit_code == 0, done.output
    numbers = json.loads((out / "measurements.json").read_text("utf-8"))
    told = numbers["registration"]["t2"]
    # The phantom's own slices lie up to 3 mm beside each other.
    assert told["moved"] and told["mean_shift_mm"] == pytest.approx(9.0, abs=2.5)
    assert told["mutual_information_after"] > told["mutual_information_before"]
    assert told["note"] in numbers["warnings"] and "t2: moved onto lge by" in done.stderr
    with (out / "measurements.csv").open(encoding="utf-8", newline="") as file:
        rows = {(row["structure"], row["quantity"]): row["value"] for row in csv.DictReader(file)}
    assert float(rows["registration_t2", "mean_shift_mm"]) == told["mean_shift_mm"]
    # A later command sees the images that were segmented.
    again = read_case(read_inputs(out))
    assert images_sha256(again) == numbers["images_sha256"]
    (moved,) = [one for one in again.registrations if one.sequence == "t2"]
    kept = {key: value for key, value in told.items() if "mutual" not in key and key != "note"}
    assert {**moved.to_dict(), "note": ""} == {**kept, "note": ""}
    assert moved.note in again.warnings and moved.note.endswith("look whether it lies better")

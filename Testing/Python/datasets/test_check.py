"""`myops dataset check`: what is there, what is odd, and what cannot be read."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from click.testing import CliRunner
from small_labels import heart, noise
from small_labels import write_stack as write

from myops.cli import cli
from myops.datasets.check import as_csv, as_text, check_folder

# Voxels of `write`: 1.4 x 1.4 x 10 mm.
VOXEL_ML = 1.4 * 1.4 * 10 / 1000


def patient(folder: Path, name: str, seed: int, labels: np.ndarray, *sequences: str) -> None:
    for number, sequence in enumerate(sequences or ("C0", "DE", "T2")):
        write(noise(seed=10 * seed + number), folder / f"{name}_{sequence}.nii.gz")
    write(labels, folder / f"{name}_gd.nii.gz")


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    for seed in range(1, 5):
        patient(tmp_path, f"p{seed}", seed, heart(scar=2221, edema=1220))
    return tmp_path


def test_a_sound_cohort_has_nothing_odd(cohort: Path) -> None:
    cases = check_folder(cohort)
    assert [(one.name, one.odd, one.problem) for one in cases] == [
        (f"p{seed}", (), "") for seed in range(1, 5)
    ]
    # 16 pixels of wall, one of them scar and one edema; 9 of blood.
    found = cases[0].volumes_ml
    expected = {"blood_pool": 9, "myocardium": 16, "scar": 1, "edema": 1}
    assert found == pytest.approx({key: n * VOXEL_ML for key, n in expected.items()})
    text = as_text(cases)
    assert "myops: 4 cases" in text and "4 with bssfp + lge + t2" in text
    assert "median 0.3 mL" in text  # 16 x 0.0196


def test_copies_missing_sequences_and_odd_voxels_are_named(cohort: Path) -> None:
    (cohort / "p2_T2.nii.gz").unlink()
    (cohort / "p3_DE.nii.gz").write_bytes((cohort / "p1_DE.nii.gz").read_bytes())
    for path in cohort.glob("p4_*"):
        image = sitk.ReadImage(str(path))
        image.SetSpacing((1.4, 1.4, 30.0))
        sitk.WriteImage(image, str(path))
    odd = {one.name: one.odd for one in check_folder(cohort)}
    assert odd["p1"] == ()
    assert odd["p2"][0] == "no t2, which 3 of 4 cases have"
    assert "the same image as in p1" in odd["p3"]
    assert "voxels of 30 mm along z, 10 mm in the others" in odd["p4"]


def test_labels_that_cannot_be_right_are_named(cohort: Path) -> None:
    labels = heart()
    labels[1][labels[1] == 200] = 2221
    write(labels, cohort / "p1_gd.nii.gz")
    hole = np.concatenate([heart()[1:2], np.zeros((1, 16, 16), np.uint16), heart()[1:2]])
    write(hole, cohort / "p2_gd.nii.gz")
    odd = {one.name: " ".join(one.odd) for one in check_folder(cohort)}
    assert "scar is 100% of the myocardium" in odd["p1"]
    assert "no myocardium in slice 2 between slices with some" in odd["p2"]


def test_a_case_that_cannot_be_read_does_not_stop_the_rest(cohort: Path) -> None:
    (cohort / "p2_DE.nii.gz").write_bytes(b"not an image")
    write(np.full((3, 16, 16), 7, np.uint16), cohort / "p3_gd.nii.gz")
    cases = check_folder(cohort)
    assert [bool(one.problem) for one in cases] == [False, True, True, False]
    assert cases[1].name == "p2_gd.nii.gz" and "found 7" in cases[2].problem
    rows = list(csv.DictReader(io.StringIO(as_csv(cases))))
    assert [row["case"] for row in rows] == ["p1", "p2_gd.nii.gz", "p3_gd.nii.gz", "p4"]
    assert rows[0]["scar_ml"] == "0.02" and rows[1]["problem"] == cases[1].problem


def test_the_command_tells_by_its_exit_code(cohort: Path, tmp_path: Path) -> None:
    table = tmp_path / "check.csv"
    sound = CliRunner().invoke(cli, ["dataset", "check", str(cohort), "-o", str(table)])
    assert sound.exit_code == 0, sound.output
    assert len(table.read_text("utf-8").splitlines()) == 5
    (cohort / "p2_DE.nii.gz").write_bytes(b"not an image")
    broken = CliRunner().invoke(cli, ["dataset", "check", str(cohort)])
    assert broken.exit_code == 1
    assert "Cannot be read: p2_gd.nii.gz:" in broken.output
    empty = tmp_path / "empty"
    empty.mkdir()
    nothing = CliRunner().invoke(cli, ["dataset", "check", str(empty)])
    assert nothing.exit_code == 2 and "MS-CMRSeg" in nothing.stderr

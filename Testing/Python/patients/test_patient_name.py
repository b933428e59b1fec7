"""Nothing that is written names the patient, unless the user asks for it."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import SimpleITK as sitk
from circle_heart import circle_case, circle_labels, circle_lge, circle_segmentation, sitk_image
from click.testing import CliRunner
from disc_refiner import DiscRefiner

from myops.cli import cli

NAME = "DOE_JANE_19700101"
# It needs the paths to find the images again, and says so.
WITH_PATHS = "inputs.json"


def run(*arguments):
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture
def patient(tmp_path, monkeypatch) -> Path:
    """Files that are named after a patient, and networks that find the circle heart."""
    monkeypatch.setattr(
        "myops.cascade.segment.segment",
        lambda case, models, progress=None: circle_segmentation(case),
    )
    monkeypatch.setattr("myops.refine.refiner.load_refiner", lambda *_: None)
    monkeypatch.setattr("myops.refine.refiner.Refiner", lambda _: DiscRefiner())
    folder = tmp_path / NAME
    folder.mkdir()
    lge = sitk_image(circle_lge(circle_labels()))
    lge.SetMetaData("descrip", NAME)
    sitk.WriteImage(lge, str(folder / f"{NAME}_DE.nii.gz"))
    sitk.WriteImage(sitk_image(circle_case().images["t2"]), str(folder / f"{NAME}_T2.nii.gz"))
    return folder


def files_that_name_the_patient(folder: Path) -> set[str]:
    found = set()
    for path in folder.rglob("*.*"):
        content = path.read_bytes()
        content += gzip.decompress(content) if path.suffix == ".gz" else b""
        if path.suffix == ".pdf" and shutil.which("pdftotext"):
            command = ["pdftotext", str(path), "-"]
            content += subprocess.run(command, capture_output=True, check=True).stdout
        if b"DOE_JANE" in content.upper() or "DOE" in path.name.upper():
            found.add(path.name)
    return found


@pytest.mark.slow
def test_segment_names_no_one(patient, tmp_path):
    done = run("segment", patient, "-o", tmp_path / "out")
    assert files_that_name_the_patient(tmp_path / "out") == {WITH_PATHS}
    assert "DOE" not in done.stdout
    assert json.loads((tmp_path / "out" / "measurements.json").read_text("utf-8"))["case"] == "case"
    assert "which may name a patient" in (tmp_path / "out" / WITH_PATHS).read_text("utf-8")


@pytest.mark.slow
def test_refine_and_quantify_name_no_one(patient, tmp_path):
    out = tmp_path / "out"
    run("segment", patient, "-o", out)
    prompts = tmp_path / "prompts.json"
    prompts.write_text(
        '{"steps": [{"structure": "scar", "slice_index": 2, "points": [[64, 48, true]]}]}',
        encoding="utf-8",
    )
    run("refine", out, "--prompts", prompts, "-o", tmp_path / "refined")
    run("quantify", out / "segmentation.nii.gz", patient, "-o", tmp_path / "tables")
    assert files_that_name_the_patient(tmp_path / "refined") == {WITH_PATHS}
    assert files_that_name_the_patient(tmp_path / "tables") == set()


@pytest.mark.slow
def test_a_name_that_was_asked_for_is_in_report_and_tables_also_after_refine(patient, tmp_path):
    out = tmp_path / "out"
    run("segment", patient, "-o", out, "--name", "Patient 7")
    assert "<h1>Patient 7</h1>" in (out / "report.html").read_text("utf-8")
    assert json.loads((out / "measurements.json").read_text("utf-8"))["case"] == "Patient 7"
    assert (
        (out / "regional.csv").read_text("utf-8").splitlines()[1].startswith("Patient 7,all,wall")
    )
    prompts = tmp_path / "prompts.json"
    prompts.write_text(
        '{"steps": [{"structure": "scar", "slice_index": 2, "points": [[64, 48, true]]}]}',
        encoding="utf-8",
    )
    run("refine", out, "--prompts", prompts, "-o", tmp_path / "refined")
    page = (tmp_path / "refined" / "report.html").read_text("utf-8")
    assert "<h1>Patient 7</h1>" in page
    # Written by hand, so the reader's time is not known.
    assert "the reading time was not recorded" in page


@pytest.mark.slow
def test_landmarks_on_the_command_line_give_segments(patient, tmp_path):
    out = tmp_path / "out"
    place = ("--insertion", "3,28,48", "--apex", "last")
    run("segment", patient, "-o", out, *place)
    regional = json.loads((out / "measurements.json").read_text("utf-8"))["regional"]
    assert [one["number"] for one in regional["segments"]] == list(range(1, 18))
    run("quantify", out / "segmentation.nii.gz", patient, "-o", tmp_path / "tables", *place)
    tables = json.loads((tmp_path / "tables" / "quantification.json").read_text("utf-8"))
    assert tables["regional"]["segments"] == regional["segments"]
    assert (tmp_path / "tables" / "regional.csv").read_text("utf-8") == (
        out / "regional.csv"
    ).read_text("utf-8")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("3;28;48", "SLICE,ROW,COLUMN"),
        ("0,28,48", "counted from 1"),
        ("9,28,48", "inside the image"),
    ],
)
def test_an_insertion_that_is_no_place_is_refused_in_one_line(patient, tmp_path, place, said):
    arguments = ["segment", patient, "-o", tmp_path / "out", "--apex", "last", "--insertion", place]
    done = CliRunner().invoke(cli, [str(part) for part in arguments])
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1 and said in done.stderr
    assert not (tmp_path / "out").exists()

"""Identifiers planted in DICOM headers and in names of folders are in no byte of any result."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import zipfile
import zlib
from pathlib import Path

import pytest
from circle_heart import circle_labels
from click.testing import CliRunner
from dicom_heart import PLANTED, heart_segmentation, write_heart
from disc_refiner import DiscRefiner
from planted_words import files_with, words_in

from myops.cli import cli

FOLDER = "Zaunkoenig_Berta_geb1939"
IN_HEADERS = [word for text in PLANTED.values() for word in text.split("^")]
IN_FOLDERS = ["Zaunkoenig", "Berta"]
PROMPTS = '{"steps": [{"structure": "scar", "slice_index": 2, "points": [[64, 48, true]]}]}'


@pytest.fixture
def patient(tmp_path, monkeypatch) -> Path:
    """A folder named after a person, DICOM that names another, networks that need no time."""
    labels = write_heart(
        tmp_path / FOLDER / "lge", SeriesDescription="LGE sa Mustermann", **PLANTED
    )
    monkeypatch.setattr(
        "myops.cascade.segment.segment",
        lambda case, models, progress=None: heart_segmentation(case, labels),
    )
    monkeypatch.setattr("myops.refine.refiner.load_refiner", lambda *_: None)
    monkeypatch.setattr("myops.refine.refiner.Refiner", lambda _: DiscRefiner())
    return tmp_path / FOLDER


def run(*arguments):
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done


WORD = b"Mustermann"
SQUEEZED = zlib.compress(bytes(99) + WORD)
HIDDEN = {
    "capitals": WORD.upper(),
    "UTF-16": b"\0" * 40 + WORD.decode().encode("utf-16-le"),
    "NRRD": b"NRRD0004\n\n" + gzip.compress(bytes(99) + WORD),
    "PDF": b"%PDF stream\n" + SQUEEZED + b"endstream",
    "page": b"<img src='data:image/png;base64," + base64.b64encode(SQUEEZED) + b"'>",
}


@pytest.mark.parametrize("kind", HIDDEN)
def test_the_search_finds_a_word_wherever_it_is_hidden(kind):
    assert words_in(HIDDEN[kind], ["Mustermann", "Friederike"]) == ["Mustermann"]


def test_the_search_finds_a_word_in_an_archive_and_in_a_file_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.txt", "x" * 400 + "Mustermann")
    (tmp_path / "Mustermann.txt").write_text("nobody", encoding="utf-8")
    assert set(files_with(tmp_path, ["mustermann"])) == {"a.zip", "Mustermann.txt"}


@pytest.mark.slow
def test_no_result_names_the_patient_and_only_the_note_of_paths_names_the_folder(patient, tmp_path):
    out = tmp_path / "out"
    done = run("segment", patient, "-o", out, "--dicom", "--probabilities")
    prompts = tmp_path / "prompts.json"
    prompts.write_text(PROMPTS, encoding="utf-8")
    refined = run("refine", out, "--prompts", prompts, "-o", tmp_path / "refined", "--dicom")
    run("quantify", out / "segmentation.nii.gz", patient, "-o", tmp_path / "tables")
    names = {path.name for path in out.iterdir()} | {
        path.name for path in (tmp_path / "refined").iterdir()
    }
    assert {"report.pdf", "segmentation.dcm", "measurements.dcm", "session.json"} <= names
    for folder in ("out", "refined", "tables"):
        assert files_with(tmp_path / folder, IN_HEADERS) == {}
        assert set(files_with(tmp_path / folder, IN_FOLDERS)) <= {"inputs.json"}
    for words in (done.output, refined.output):
        assert words_in(words.encode(), IN_HEADERS) == []


@pytest.mark.slow
def test_under_pseudonyms_no_result_names_the_folder_either(patient, tmp_path):
    out, table, refined = tmp_path / "out", tmp_path / "key.csv", tmp_path / "refined"
    run("segment", patient, "-o", out, "--dicom", "--pseudonyms", table)
    prompts = tmp_path / "prompts.json"
    prompts.write_text(PROMPTS, encoding="utf-8")
    run("refine", out, patient, "--prompts", prompts, "-o", refined, "--dicom")
    for folder in (out, refined):
        assert files_with(folder, IN_HEADERS + IN_FOLDERS) == {}
        assert json.loads((folder / "measurements.json").read_text("utf-8"))["case"] == "P0001"
        assert b"P0001" in (folder / "segmentation.dcm").read_bytes()
    assert table.read_text("utf-8") == f"patient,pseudonym\n{PLANTED['PatientID']},P0001\n"
    # Without being told where the images are, nobody can find them by the results.
    told = CliRunner().invoke(
        cli, ["refine", str(out), "--prompts", str(prompts), "-o", str(refined)]
    )
    assert told.exit_code == 2 and "name the file where it is now" in told.stderr


@pytest.mark.slow
def test_identity_is_in_the_dicom_files_alone_when_it_is_asked_for(patient, tmp_path):
    out = tmp_path / "out"
    run("segment", patient, "-o", out, "--dicom", "--keep-identity")
    found = files_with(out, IN_HEADERS)
    assert set(found) == {"segmentation.dcm", "measurements.dcm"}
    assert not {"Lindenstrasse 7b", "Bedienerin", "Waldklinik Nord"} & {
        word for words in found.values() for word in words
    }


@pytest.mark.parametrize("other", [["--name", "Anna"], ["--dicom", "--keep-identity"]])
def test_pseudonyms_and_a_name_contradict_each_other(patient, tmp_path, other):
    table = tmp_path / "key.csv"
    arguments = ["segment", patient, "-o", tmp_path / "out", "--pseudonyms", table, *other]
    done = CliRunner().invoke(cli, [str(one) for one in arguments])
    assert done.exit_code == 2
    assert (
        f"expected --pseudonyms or {other[-2] if other[0] == '--name' else other[-1]}"
        in done.stderr
    )
    assert not table.exists() and not (tmp_path / "out").exists()


def test_identity_without_dicom_is_refused(patient, tmp_path):
    done = CliRunner().invoke(
        cli, ["segment", str(patient), "-o", str(tmp_path / "out"), "--keep-identity"]
    )
    assert done.exit_code == 2
    assert "expected --keep-identity together with --dicom" in done.stderr


def test_dicom_of_a_patient_from_files_is_refused_before_the_networks_run(tmp_path, monkeypatch):
    import SimpleITK as sitk
    from circle_heart import circle_lge, sitk_image

    monkeypatch.setattr("myops.weights.files.load_models", lambda *_, **__: pytest.fail("too late"))
    sitk.WriteImage(sitk_image(circle_lge(circle_labels())), str(tmp_path / "p_DE.nii.gz"))
    done = CliRunner().invoke(
        cli,
        ["segment", "--lge", str(tmp_path / "p_DE.nii.gz"), "-o", str(tmp_path / "out"), "--dicom"],
    )
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert "expected the lge image as DICOM" in done.stderr
    assert "read the patient from the scanner's DICOM files" in done.stderr
    shutil.rmtree(tmp_path / "out", ignore_errors=True)

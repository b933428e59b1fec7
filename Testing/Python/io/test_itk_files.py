"""Folders and files whose names are not UTF-8: written all the same, or one line; never an abort.

Each case that could end the whole program runs in a process of its own.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from circle_heart import circle_case, circle_segmentation
from click.testing import CliRunner
from study_readings import HEADER, readings

from myops.cli import cli
from myops.commands.terminal import progress_bar
from myops.errors import InputError
from myops.io.atomic import write_image, write_json
from myops.io.itk_files import save_image
from myops.io.readable import readable
from myops.output.results import write_results
from myops.patients.find import PatientFiles
from myops.patients.provenance import Inputs, read_inputs
from myops.quantify.measure import measure
from myops.weights.files import install_weights, load_tensors
from myops.worklist.casefile import CaseFile, read_case_file, write_case_file

LIBRARY = Path(__file__).parents[3] / "MyoPSSegmenter" / "myops"
LATIN_1 = os.fsdecode(b"M\xfcller")


def can_be_made(folder: Path) -> bool:
    try:
        (folder / "\udcff").mkdir()
    except (OSError, UnicodeError):
        return False
    return True


@pytest.fixture
def place(tmp_path) -> Path:
    """A folder of an old disk."""
    if not can_be_made(tmp_path):
        pytest.skip("this file system takes names in UTF-8 only")
    folder = tmp_path / LATIN_1
    folder.mkdir()
    return folder


def run(*arguments, **environment) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "myops", *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        env={**os.environ, "PYTHONPATH": str(LIBRARY.parent), **environment},
        check=False,
    )


def read_again(path: Path, tmp_path: Path) -> np.ndarray:
    plain = tmp_path / f"copy{''.join(path.suffixes[-2:])}"
    plain.write_bytes(path.read_bytes())
    return sitk.GetArrayFromImage(sitk.ReadImage(str(plain)))


@pytest.mark.parametrize("name", [f"{LATIN_1}.nii.gz", "a.seg.nrrd", "b.mha", f"{LATIN_1}.NII"])
def test_an_image_is_written_under_any_name(place, tmp_path, make_image, name):
    array = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    write_image(make_image(array), place / name)
    assert np.array_equal(read_again(place / name, tmp_path), array)
    assert [path.name for path in place.iterdir()] == [name]


def test_without_a_folder_for_temporary_files_the_name_is_refused(place, make_image, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(place))
    with pytest.raises(InputError, match=r"M\\xfcller/a\.nii: expected a name in UTF-8"):
        save_image(make_image(np.zeros((2, 3, 4))), place / "a.nii")


@pytest.mark.slow
def test_all_results_of_a_patient_are_written(place, tmp_path):
    case = circle_case(name=LATIN_1)
    segmentation = circle_segmentation(case)
    paths = write_results(place / "out", case, segmentation, measure(case, segmentation))
    assert {path.name for path in (place / "out").iterdir()} == {*paths, "results.json"}
    assert "<h1>Müller</h1>" in paths["report.html"].read_text("utf-8")
    assert json.loads(paths["measurements.json"].read_text("utf-8"))["case"] == "Müller"
    found = read_again(paths["segmentation.nii.gz"], tmp_path)
    assert np.array_equal(found, read_again(paths["segmentation.seg.nrrd"], tmp_path))


def test_what_segment_notes_of_its_images_is_found_again(place):
    image = place / f"{LATIN_1}_DE.nii"
    image.write_bytes(b"image")
    write_json(place / "inputs.json", Inputs({"lge": image}, model=str(place)).to_dict())
    found = read_inputs(place)
    assert found.files == {"lge": image} and found.files["lge"].is_file()
    assert found.model == str(place)


def test_a_case_is_kept_in_a_study_of_such_a_name(place):
    path = write_case_file(place, CaseFile("P 1", "AB"))
    assert read_case_file(path).case == "P 1"


def test_a_patient_s_folder_of_such_a_name_has_a_name_in_the_work_list():
    patient = PatientFiles(LATIN_1, Path(LATIN_1), {}, problems=(f"Several ({LATIN_1}.nii)",))
    assert patient.name == "Müller" and patient.folder.name == LATIN_1
    assert patient.problems == ("Several (M\\xfcller.nii)",)
    # Every other name stays as it is: kept readings are found by it.
    assert PatientFiles("P  1", Path("P  1"), {}).name == "P  1"


def test_weights_in_such_a_place_are_refused_in_one_line(place):
    torch = pytest.importorskip("torch")

    class Network(torch.nn.Linear):
        widths = (1,)

    install_weights("assn", Network(1, 1), place, {})
    with pytest.raises(InputError, match=r"expected weights in a place named in UTF-8"):
        load_tensors(place / "assn.safetensors")


@pytest.mark.slow
def test_results_and_messages_reach_the_terminal(place):
    assert run("phantom", place / "patients", "--patients", 1, "--seed", 900001).returncode == 0
    table = place / "readings.csv"
    rows = "".join(f"{','.join(r.key)},{r.mass_g},60\n" for r in readings())
    table.write_text(HEADER + rows, encoding="utf-8")
    done = run("study", table, "-o", place / "out")
    assert done.returncode == 0 and done.stderr == ""
    assert "M\\udcfcller/out/study.html" in done.stdout
    refused = run("study", place / "none.csv", "-o", place / "out")
    assert refused.returncode == 2
    assert "M\\xfcller/none.csv: expected a table" in refused.stderr
    assert refused.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
def test_a_terminal_of_another_alphabet_gets_what_it_can_show(tmp_path, encoding):
    table = tmp_path / "readings.csv"
    rows = "".join(f"{','.join(r.key)},{r.mass_g},60\n" for r in readings())
    table.write_text(HEADER + rows.replace("Ana", "山田"), encoding="utf-8")
    done = run("study", table, "-o", tmp_path / "out", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert "Ben" in done.stdout and "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["[/b]", "[bold", "a\nb\x1b[2J", LATIN_1])
def test_the_progress_bar_shows_any_name(name, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.setenv("COLUMNS", "200")
    with progress_bar("Correcting") as progress:
        progress(0.5, name)
    shown = capsys.readouterr().err
    assert f"Correcting: {readable(name)}" in shown and "\x1b[2J" not in shown


def test_a_name_that_nothing_has_caught_is_one_line(monkeypatch):
    def surprise(*_):
        "\udcfc".encode()

    monkeypatch.setattr("myops.study.read.read_study", surprise)
    monkeypatch.setattr("myops.output.results.check_writable", lambda _: None)
    done = CliRunner().invoke(cli, ["study", "table.csv", "-o", "out"])
    assert done.exit_code == 2
    assert done.stderr == "Error: expected a name in utf-8, found '\\xfc'; rename it\n"


def test_every_image_is_written_by_one_function():
    found = {
        path.name
        for path in LIBRARY.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("WriteImage", "ImageFileWriter")
    }
    assert found == {"itk_files.py"}

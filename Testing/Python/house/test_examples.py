"""What README and Docs/examples tell a newcomer to type runs, and uses public names alone."""

from __future__ import annotations

import ast
import json
import re
import runpy
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from notebook import cells, code_cells, run_notebook

import myops
from myops.case import images_sha256

ROOT = Path(__file__).parents[3]
README = ROOT / "README.md"
EXAMPLES = ROOT / "Docs" / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
ALLOWED = {"argparse", "pathlib", "numpy", "myops"}
MOST_LINES = 5


@pytest.fixture(scope="module", autouse=True)
def every_patient_is_segmented_once() -> Iterator[None]:
    """Several examples begin with the same patient: the networks need not run again for each."""
    found: dict[str, myops.Segmentation] = {}
    segment = myops.segment

    def once(case: myops.Case, models: myops.Models) -> myops.Segmentation:
        key = json.dumps(images_sha256(case), sort_keys=True)
        if key not in found:
            found[key] = segment(case, models)
        return found[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(myops, "segment", once)
        yield


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def readme_code() -> str:
    found = re.search(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert found, "README.md shows no Python"
    return found[1]


def imported(source: str) -> set[str]:
    """What a script imports, by top-level name; a part of myops counts with its full name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module))
    return {name if name.startswith("myops") else name.partition(".")[0] for name in names}


def names_of_myops(source: str) -> set[str]:
    """Every `x` in `myops.x`."""
    return {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "myops"
    }


def run_script(name: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_the_code_in_the_readme_is_five_lines_after_its_import() -> None:
    lines = [line for line in readme_code().splitlines() if line.strip()]
    assert lines[0] == "import myops"
    assert len(lines) - 1 == MOST_LINES


@pytest.mark.slow
def test_the_code_in_the_readme_runs_and_prints_grams(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = myops.write_phantom(here / "phantom")
    for suffix, name in (("C0", "bssfp"), ("DE", "lge"), ("T2", "t2")):
        shutil.copy(next(folder.glob(f"*_{suffix}.nii.gz")), here / f"{name}.nii.gz")
    exec(compile(readme_code(), "README.md", "exec"), {})
    assert re.search(r"\d\.\d+ g", capsys.readouterr().out)
    assert (here / "out" / "report.html").is_file()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_uses_public_names_alone(path: Path) -> None:
    source = path.read_text("utf-8")
    assert imported(source) <= ALLOWED
    assert names_of_myops(source) <= set(myops.__all__)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_uses_public_names_alone_and_draws_with_matplotlib(path: Path) -> None:
    source = "\n".join(code_cells(path))
    assert imported(source) <= ALLOWED | {"matplotlib"}
    assert names_of_myops(source) <= set(myops.__all__)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    for cell in cells(path):
        assert cell.get("outputs", []) == [] and cell.get("execution_count") is None
    assert json.loads(path.read_text("utf-8"))["nbformat"] == 4


@pytest.mark.slow
def test_a_patient_is_segmented_measured_and_reported(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_script("segment_and_measure.py", monkeypatch, "--device", "cpu")
    assert re.search(r"^scar +\d+\.\d g", capsys.readouterr().out, re.MULTILINE)
    assert (here / "segment-and-measure" / "results" / "report.html").is_file()


@pytest.mark.slow
def test_clicks_bring_the_scar_closer_to_the_truth_and_can_be_done_again(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_script("correct_by_clicks.py", monkeypatch, "--device", "cpu")
    printed = capsys.readouterr().out
    grams = [float(g) for g in re.findall(r"(\d+\.\d) g", printed)]
    automatic, corrected, truth = grams[0], grams[-2], grams[-1]
    assert abs(corrected - truth) < abs(automatic - truth)
    assert printed.splitlines()[-1].endswith("the same labels")


@pytest.mark.slow
def test_drawn_masks_of_two_patients_are_measured_beside_the_rules(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_script("measure_foreign_masks.py", monkeypatch)
    printed = capsys.readouterr().out
    assert len(re.findall(r"as drawn +\d+\.\d g", printed)) == 2
    assert len(re.findall(r"sd5_volume +\d+\.\d g", printed)) == 2


@pytest.mark.slow
def test_a_mask_in_another_convention_is_measured(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import SimpleITK as sitk

    folder = myops.write_phantom(here / "phantom", 950_001)
    lge, truth = (next(folder.glob(f"*_{name}.nii.gz")) for name in ("DE", "gd"))
    image = sitk.ReadImage(str(truth))
    emidec = np.zeros(sitk.GetArrayViewFromImage(image).shape, np.uint8)
    for value, label in ((500, 1), (200, 2), (1220, 2), (2221, 3)):
        emidec[sitk.GetArrayViewFromImage(image) == value] = label
    foreign = sitk.GetImageFromArray(emidec)
    foreign.CopyInformation(image)
    sitk.WriteImage(foreign, str(here / "emidec.nii.gz"))
    volume_ml = (emidec == 3).sum() * np.prod(image.GetSpacing()) / 1000
    arguments = ["--lge", str(lge), "--mask", "emidec.nii.gz", "--convention", "emidec"]
    run_script("measure_foreign_masks.py", monkeypatch, *arguments)
    assert re.search(rf"as drawn +{1.05 * volume_ml:.1f} g", capsys.readouterr().out)


def test_a_reader_study_is_read_with_the_bias_that_was_made_up(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_script("read_reader_study.py", monkeypatch)
    printed = capsys.readouterr().out
    rows = (here / "reader-study" / "readings.csv").read_text("utf-8").splitlines()[1:]
    cells_of = [row.split(",") for row in rows]
    first = {r: [float(c[4]) for c in cells_of if c[1:3] == [r, "1"]] for r in "AB"}
    bias_g = np.mean(np.subtract(first["A"], first["B"]))
    assert "A - B: CCC 0.9" in printed and f"bias {bias_g:.3g} g" in printed


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
@pytest.mark.usefixtures("here")
def test_a_notebook_runs_from_its_first_cell_to_its_last(path: Path) -> None:
    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = run_notebook(path)
    pyplot.close("all")
    if "again" in names:
        assert names["again"].differences == ()
        np.testing.assert_array_equal(names["again"].session.labels, names["session"].labels)
    else:
        assert names["numbers"].tissues["scar"].mass_g > 0
        assert "report.html" in names["files"]

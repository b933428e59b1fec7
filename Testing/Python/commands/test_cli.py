"""The command line: what it prints, what it writes, and how it refuses."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np
import pytest
import SimpleITK as sitk
from click.testing import CliRunner, Result
from fresh_python import run_python

from myops import __version__
from myops.cli import COMMANDS as LISTED
from myops.cli import cli
from myops.labels import MYOPS

MODULE = Path(__file__).parents[3] / "MyoPSSegmenter"
COMMANDS = ("segment", "refine", "info", "evaluate", "phantom", "train")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def assert_refused(result: Result, *words: str) -> None:
    """Exit code 2, one line on stderr that holds the words, and no traceback."""
    assert result.exit_code == 2, result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("Error: "), result.stderr
    assert [word for word in words if word not in lines[0]] == []


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start the command; Ctrl-C reaches it even where the tests run in a shell's background."""
    command = [sys.executable, "-m", "myops", *(str(argument) for argument in arguments)]
    environment = {**os.environ, "PYTHONPATH": str(MODULE)}
    pipe = subprocess.PIPE
    previous = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # inherited: a background job ignores SIGINT
    try:
        return subprocess.Popen(
            command, stdout=pipe, stderr=pipe, encoding="utf-8", env=environment
        )
    finally:
        signal.signal(signal.SIGINT, previous)


def write_labels(path: Path, array: np.ndarray) -> Path:
    image = sitk.GetImageFromArray(array.astype(np.uint16))
    image.SetSpacing((2.0, 2.0, 10.0))
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("patient")
    assert run("phantom", folder, "--seed", 7, "--complete").exit_code == 0
    return folder


@pytest.fixture(scope="module")
def segmented(patient: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """Results of one automatic segmentation with the shipped weights, and what was printed."""
    output = tmp_path_factory.mktemp("results") / "new"
    return output, run("segment", patient, "--output", output, "--device", "cpu")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: cli {command} [OPTIONS]")


def test_the_list_of_commands_says_what_each_says_of_itself() -> None:
    context = click.Context(cli)
    for name, (*_, words) in LISTED.items():
        command = cli.get_command(context, name)
        assert command is not None and command.get_short_help_str(1000) == words, name


def test_help_loads_neither_the_commands_nor_an_array_library() -> None:
    code = (
        "import contextlib, io\nfrom myops.cli import cli\n"
        "with contextlib.redirect_stdout(io.StringIO()) as out:\n"
        "    cli.main(['--help'], standalone_mode=False)\n"
        "assert 'reproduce' in out.getvalue()\n"
        "print(*[n for n in sys.modules if n.startswith('myops.commands.') or '.' not in n])"
    )
    loaded = set(run_python(code).split())
    own = {name for name in loaded if name.startswith("myops.commands.")}
    assert own == {"myops.commands.options", "myops.commands.terminal"}
    assert not loaded & {"numpy", "torch", "matplotlib", "scipy", "SimpleITK", "nibabel", "PIL"}


def test_help_lists_every_command_and_says_research_use_only() -> None:
    output = run("--help").output
    assert [command for command in COMMANDS if command not in output] == []
    assert "research use only" in output


def test_the_version_is_the_package_version() -> None:
    assert run("--version").output == f"myops, version {__version__}\n"


def test_an_unknown_option_is_refused_by_name() -> None:
    result = run("segment", "--lgee", "a.nii.gz", "--output", "out")
    assert result.exit_code == 2
    assert "--lgee" in result.stderr


def test_segment_without_images_asks_for_them(tmp_path: Path) -> None:
    assert_refused(run("segment", "--output", tmp_path / "out"), "found none", "--lge", "--bssfp")


def test_a_folder_and_a_file_together_are_refused(tmp_path: Path) -> None:
    result = run("info", tmp_path, "--lge", tmp_path / "a.nii.gz")
    assert_refused(result, "--lge", "found both")


def test_a_missing_image_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    output = tmp_path / "out"
    result = run("segment", "--lge", tmp_path / "none.nii.gz", "--output", output)
    assert_refused(result, "none.nii.gz")
    assert list(tmp_path.iterdir()) == []


def test_an_output_below_a_file_is_refused_before_the_work_starts(
    patient: Path, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    assert_refused(run("segment", patient, "--output", blocked / "out"), "file")


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(patient: Path, tmp_path: Path, device: str) -> None:
    result = run("segment", patient, "--output", tmp_path / "out", "--device", device)
    assert_refused(result, device)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_model_is_refused(patient: Path, tmp_path: Path) -> None:
    result = run("segment", patient, "--output", tmp_path / "out", "--model", "nonesuch")
    assert_refused(result, "nonesuch")


def test_damaged_weights_are_refused(patient: Path, tmp_path: Path) -> None:
    from myops.weights.files import SHIPPED_FOLDER

    damaged = tmp_path / "weights"
    shutil.copytree(SHIPPED_FOLDER, damaged)
    content = bytearray((damaged / "prsn.safetensors").read_bytes())
    content[len(content) // 2] ^= 1
    (damaged / "prsn.safetensors").write_bytes(content)
    result = run("segment", patient, "--output", tmp_path / "out", "--model", damaged)
    assert_refused(result, "prsn.safetensors", "damaged", "install")
    assert not (tmp_path / "out").exists()


def test_an_image_without_a_heart_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(500, 60, (8, 120, 120)).astype(np.float32)
    image = sitk.GetImageFromArray(noise)
    image.SetSpacing((1.5, 1.5, 10.0))
    sitk.WriteImage(image, str(tmp_path / "noise.nii.gz"))
    result = run("segment", "--lge", tmp_path / "noise.nii.gz", "--output", tmp_path / "out")
    assert_refused(result, "no heart found", "short-axis")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "stopped_in", ["myops.cascade.segment.segment", "myops.report.html.render_report"]
)
def test_ctrl_c_during_segment_leaves_nothing_behind(
    patient: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped_in: str
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stopped_in, interrupted)
    result = run("segment", patient, "--output", tmp_path / "out")
    assert result.exit_code == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_segment_writes_every_file_of_the_contract(segmented: tuple[Path, Result]) -> None:
    output, result = segmented
    assert result.exit_code == 0, result.output
    assert {path.name for path in output.iterdir()} == {
        "inputs.json",
        "segmentation.nii.gz",
        "segmentation.seg.nrrd",
        "measurements.json",
        "measurements.csv",
        "regional.csv",
        "overview.png",
        "report.html",
        "report.pdf",
        "results.json",
    }
    assert f"Report: {output / 'report.html'}" in result.stdout


def test_the_segmentation_lies_on_the_grid_of_the_lge_file(
    patient: Path, segmented: tuple[Path, Result]
) -> None:
    lge = sitk.ReadImage(str(next(patient.glob("*_DE.nii.gz"))))
    labels = sitk.ReadImage(str(segmented[0] / "segmentation.nii.gz"))
    assert labels.GetSize() == lge.GetSize()
    assert labels.GetSpacing() == pytest.approx(lge.GetSpacing())
    assert labels.GetOrigin() == pytest.approx(lge.GetOrigin(), abs=1e-4)
    assert labels.GetDirection() == pytest.approx(lge.GetDirection(), abs=1e-5)
    assert set(np.unique(sitk.GetArrayFromImage(labels))) <= {0, *MYOPS.values()}


def test_the_masses_are_the_voxels_of_the_written_labels_times_spacing_and_density(
    segmented: tuple[Path, Result],
) -> None:
    labels = sitk.ReadImage(str(segmented[0] / "segmentation.nii.gz"))
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.Execute(labels)
    measured = json.loads((segmented[0] / "measurements.json").read_text("utf-8"))["tissues"]
    wall_mm3 = sum(
        statistics.GetPhysicalSize(label)
        for label in (200, 1220, 2221)
        if statistics.HasLabel(label)
    )
    assert wall_mm3 > 0
    assert measured["lv_myocardium"]["mass_g"] == pytest.approx(wall_mm3 / 1000 * 1.05)


def test_the_printed_masses_are_those_in_the_file(segmented: tuple[Path, Result]) -> None:
    output, result = segmented
    measured = json.loads((output / "measurements.json").read_text("utf-8"))["tissues"]
    titles = {"lv_myocardium": "LV myocardium", "scar": "Scar", "edema": "Edema (outside scar)"}
    for name, title in titles.items():
        printed = re.search(rf"^{re.escape(title)} +([\d.]+) g", result.stdout, re.MULTILINE)
        assert printed is not None
        assert float(printed.group(1)) == pytest.approx(measured[name]["mass_g"], abs=0.05)


@pytest.mark.slow
def test_edema_is_not_assessed_without_t2(patient: Path, tmp_path: Path) -> None:
    lge = next(patient.glob("*_DE.nii.gz"))
    result = run("segment", "--lge", lge, "--output", tmp_path / "out", "--device", "cpu")
    assert result.exit_code == 0, result.output
    line = next(line for line in result.stdout.splitlines() if line.startswith("Edema"))
    assert "not assessed" in line and " g" not in line


def test_info_names_sequences_grid_and_spacing(patient: Path) -> None:
    result = run("info", patient)
    assert result.exit_code == 0
    spacing = sitk.ReadImage(str(next(patient.glob("*_T2.nii.gz")))).GetSpacing()
    assert f"{spacing[2]:.2f}"[:-1] in result.stdout
    assert [name for name in ("bssfp", "lge", "t2") if name not in result.stdout] == []


def test_evaluate_writes_the_dice_of_a_case_done_by_hand(tmp_path: Path) -> None:
    truth = np.full((1, 4, 4), MYOPS["normal_myocardium"])
    truth[0, 0, :] = MYOPS["scar"]
    prediction = np.full((1, 4, 4), MYOPS["normal_myocardium"])
    prediction[0, 0, :2] = MYOPS["scar"]
    numbers = tmp_path / "agreement.json"
    result = run(
        "evaluate",
        write_labels(tmp_path / "prediction.nii.gz", prediction),
        write_labels(tmp_path / "truth.nii.gz", truth),
        "--output",
        numbers,
    )
    assert result.exit_code == 0, result.output
    found = json.loads(numbers.read_text("utf-8"))
    assert found["scar"]["dice"] == pytest.approx(2 * 2 / (2 + 4))
    # Two columns of 2 mm further: the end of the true scar lies 4 mm from the predicted one.
    assert found["scar"]["hd_mm"] == pytest.approx(4.0)
    assert found["scar"]["volume_truth_ml"] == pytest.approx(4 * 2 * 2 * 10 / 1000)
    assert found["edema"]["dice"] is None
    line = next(line for line in result.stdout.splitlines() if line.startswith("scar "))
    assert line.split()[:3] == ["scar", "0.667", "4.000"]


def test_the_same_seed_writes_the_same_phantoms(patient: Path, tmp_path: Path) -> None:
    assert run("phantom", tmp_path, "--seed", 7, "--complete").exit_code == 0
    images = sorted(path.name for path in patient.glob("*.nii.gz"))
    assert images == sorted(path.name for path in tmp_path.glob("*.nii.gz"))
    assert [n.split("_")[-1] for n in images] == [
        f"{part}.nii.gz" for part in ("C0", "DE", "T2", "gd", "mvo")
    ]
    for name in images:
        first, second = (
            sitk.GetArrayFromImage(sitk.ReadImage(str(folder / name)))
            for folder in (patient, tmp_path)
        )
        assert np.array_equal(first, second)


def test_several_phantoms_get_a_folder_each(tmp_path: Path) -> None:
    assert run("phantom", tmp_path, "--patients", 2, "--seed", 3).exit_code == 0
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 2


@pytest.mark.parametrize("setting", ["steps", "=3", "stepz=3", "steps=many", "steps=0"])
def test_a_training_setting_that_cannot_be_used_is_refused(setting: str, tmp_path: Path) -> None:
    result = run("train", "dae", "--output", tmp_path / "runs", "--set", setting)
    assert_refused(result, "found" if "stepz" not in setting else "stepz")


@pytest.mark.slow
def test_training_without_its_packages_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['lightning'] = sys.modules['lightning_fabric'] = None\n"
        "from myops.cli import cli\n"
        f"cli(['train', 'dae', '--output', {str(tmp_path)!r}])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(MODULE)},
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Error: training needs lightning")
    assert "pip install" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a single process")
def test_ctrl_c_ends_with_130_and_one_line(tmp_path: Path) -> None:
    process = start("phantom", tmp_path / "many", "--patients", 1000)
    deadline = time.monotonic() + 60
    while not any(tmp_path.glob("many/*/*_C0.nii.gz")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip() == "Interrupted."

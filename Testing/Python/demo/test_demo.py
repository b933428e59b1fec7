"""The demonstration: clicks where the scar is most wrong, numbers worked out by hand, the page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from circle_heart import circle_case, circle_labels, circle_segmentation
from click.testing import CliRunner
from disc_refiner import DiscRefiner, disc

from myops.cli import cli
from myops.commands.demo import DEMO_SEED
from myops.demo import run as demonstration
from myops.demo.page import click_picture, render_demo
from myops.demo.result import Demo, table
from myops.demo.run import correct, run_demo, scar_mass_g
from myops.geometry.canonical import to_canonical
from myops.io.checksum import array_sha256
from myops.refine import refiner as refining
from myops.refine.session import Session

NORMAL, SCAR = 200, 2221
# 1.5 x 1.5 x 10 mm at 1.05 g/mL.
VOXEL_G = 0.0225 * 1.05
PNG = b"\x89PNG\r\n\x1a\n"


def missing_discs() -> tuple[np.ndarray, np.ndarray]:
    """True labels, and automatic ones that lack a disc of scar in slice 2 and half of one in 3.

    The discs lie in the wall to the right (radius 13 to 20 around 48, 48), where no scar is near.
    """
    automatic = circle_labels()
    truth = automatic.copy()
    whole = disc((96, 96), 48, 64)
    assert (automatic[2][whole] == NORMAL).all()
    truth[2][whole] = SCAR
    half = whole & (np.indices((96, 96))[0] < 48)
    truth[3][half] = SCAR
    return truth, automatic


def circle_session(automatic: np.ndarray) -> Session:
    case = circle_case(automatic)
    return Session(DiscRefiner(), case, circle_segmentation(case, automatic))


@pytest.fixture
def corrected() -> Demo:
    truth, automatic = missing_discs()
    session = circle_session(automatic)
    stages = correct(session, truth, np.random.default_rng(0), clicks=2)
    return Demo(session.case, 7, truth, scar_mass_g(truth, session.case), stages)


def test_the_automatic_result_comes_first_with_dice_and_mass_by_hand(corrected: Demo) -> None:
    first = corrected.stages[0]
    found = np.count_nonzero(circle_labels() == SCAR)
    missing = 29 + 11  # a disc of 3 pixels, and its rows above the middle
    assert first.dice == pytest.approx(2 * found / (2 * found + missing))
    assert first.scar_mass_g == pytest.approx(found * VOXEL_G)
    assert corrected.true_mass_g == pytest.approx((found + missing) * VOXEL_G)
    assert first.click is None


def test_the_first_click_goes_to_the_slice_that_is_most_wrong(corrected: Demo) -> None:
    first = corrected.stages[1]
    assert first.slice_index == 2
    assert first.click is not None and first.click.positive
    assert disc((96, 96), 48, 64)[int(first.click.row), int(first.click.column)]


def test_every_stage_measures_its_own_labels(corrected: Demo) -> None:
    for stage in corrected.stages:
        scar, true = stage.labels == SCAR, corrected.truth == SCAR
        both = np.count_nonzero(scar & true)
        assert stage.dice == pytest.approx(2 * both / (scar.sum() + true.sum()))
        assert stage.scar_mass_g == pytest.approx(scar.sum() * VOXEL_G)
    dice = [stage.dice for stage in corrected.stages]
    assert dice[0] < dice[1]


def test_a_perfect_result_gets_no_click() -> None:
    truth = circle_labels()
    stages = correct(circle_session(truth), truth, np.random.default_rng(0))
    assert len(stages) == 1
    assert stages[0].dice == 1.0


def test_scar_outside_the_wall_is_not_asked_for() -> None:
    truth = circle_labels()
    truth[2][disc((96, 96), 80, 80)] = SCAR
    stages = correct(circle_session(circle_labels()), truth, np.random.default_rng(0))
    assert len(stages) == 1
    assert stages[0].dice is not None and stages[0].dice < 1


def test_the_table_tells_every_click_and_the_truth(corrected: Demo) -> None:
    rows = table(corrected)
    assert [row[0] for row in rows[:2]] == ["automatic", "click 1: + in slice 3"]
    assert rows[-1] == ("truth", "", f"{corrected.true_mass_g:.1f}", "")
    assert rows[0][2] == f"{corrected.stages[0].scar_mass_g:.1f}"


def test_the_picture_of_a_click_is_a_png_of_three_panels(corrected: Demo) -> None:
    png = click_picture(corrected, 1)
    assert png[:8] == PNG
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    assert (width, height) == (1260, 524)
    assert png != click_picture(corrected, 2)


def test_the_page_says_synthetic_and_holds_the_numbers_and_pictures(corrected: Demo) -> None:
    page = render_demo(corrected, [b"one", b"two"])
    assert "Synthetic patient" in page and "Not a medical device" in page
    for row in table(corrected):
        assert f"<tr><td>{row[0]}</td><td>{row[1]}</td><td>{row[2]}</td>" in page
    assert page.count("data:image/png;base64,") == 2
    assert re.findall(r"(?:src|href)=\"(?!data:)([^\"]*)", page) == ["results/report.html"]


@pytest.fixture
def without_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the circle heart in the place of the phantom, its labels in that of the cascade."""
    truth, automatic = missing_discs()
    case = circle_case(automatic)
    segmentation = circle_segmentation(case, automatic)
    monkeypatch.setattr(refining, "load_refiner", lambda device: None)
    monkeypatch.setattr(refining, "Refiner", lambda model: DiscRefiner())
    monkeypatch.setattr(demonstration, "_make_patient", lambda folder, seed: (case, truth))
    monkeypatch.setattr(demonstration, "_segment", lambda *_: segmentation)


@pytest.mark.slow
@pytest.mark.usefixtures("without_networks")
def test_everything_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    demo = run_demo(folder, seed=3)
    clicks = len(demo.stages) - 1
    pictures = {f"click_{number}.png" for number in range(1, clicks + 1)}
    assert {path.name for path in folder.iterdir()} == {"demo.html", "session.json"} | pictures
    record = json.loads((folder / "session.json").read_text("utf-8"))
    assert len(record["steps"]) == clicks
    assert record["steps"][-1]["labels_sha256"] == array_sha256(demo.stages[-1].labels)
    assert (folder / "click_1.png").read_bytes() == click_picture(demo, 1)


@pytest.mark.slow
@pytest.mark.usefixtures("without_networks")
def test_the_same_seed_gives_the_same_clicks(tmp_path: Path) -> None:
    clicks = [
        [(stage.slice_index, stage.click) for stage in run_demo(tmp_path / name, seed=3).stages]
        for name in ("first", "second")
    ]
    assert clicks[0] == clicks[1]


@pytest.mark.slow
@pytest.mark.usefixtures("without_networks")
def test_the_command_prints_the_table_and_says_synthetic(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["demo", "--output", str(tmp_path / "demo"), "--seed", "3"])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].startswith("Synthetic patient 3")
    assert lines[2].split()[:2] == ["automatic", "0.95"]
    assert lines[-1] == f"Page: {tmp_path / 'demo' / 'demo.html'}"


@pytest.mark.slow
def test_the_clicks_of_the_real_demonstration_can_be_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    demo = run_demo(folder, seed=DEMO_SEED, device="cpu")
    assert len(demo.stages) == 4
    dice = [stage.dice for stage in demo.stages]
    assert dice[0] is not None and dice[-1] is not None and dice[-1] > dice[0]
    arguments = ["refine", folder / "results", "--prompts", folder / "session.json"]
    result = CliRunner().invoke(cli, [*map(str, arguments), "--device", "cpu"])
    assert result.exit_code == 0, result.output
    again = sitk.GetArrayFromImage(
        sitk.ReadImage(folder / "results" / "refined" / "segmentation.nii.gz")
    )
    np.testing.assert_array_equal(to_canonical(again, demo.case.original), demo.stages[-1].labels)


def test_an_output_below_a_file_is_refused_before_the_work_starts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    result = CliRunner().invoke(cli, ["demo", "--output", str(tmp_path / "file" / "demo")])
    assert result.exit_code == 2
    assert "found a file" in result.stderr

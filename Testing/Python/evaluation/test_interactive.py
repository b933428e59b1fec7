"""`myops evaluate interactive`: the simulated reader's clicks, and what is made of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from circle_heart import SPACING_MM, circle_labels, circle_lge, circle_segmentation, sitk_image
from click.testing import CliRunner, Result
from scipy.stats import bootstrap

from myops.case import Case
from myops.cli import cli
from myops.datasets import LabeledCase, case_loaders, find_cases
from myops.errors import InputError
from myops.evaluation import cohort
from myops.evaluation.cohort import PatientResult, evaluate_cohort, evaluate_patient
from myops.evaluation.interactive import GROWING, EvaluationConfig, ScoredStep
from myops.evaluation.summary import clicks_to_goal, mean_interval, summarize
from myops.evaluation.tables import as_markdown, write_evaluation
from myops.io.readable import readable
from myops.refine.prompts import Prompts
from myops.segmentation import Segmentation

NORMAL, SCAR, BLOOD = 200, 2221, 500
VOXEL_G = 1.5 * 1.5 * 10 / 1000 * 1.05
MACHINE = {"processor": "test", "workers": 1, "threads": 1}
TRUTH = circle_labels()
AFFECTED = (1, 2, 3)  # the circle heart has no scar in its end slices


@dataclass
class Answer:
    mask: np.ndarray


class Fake:
    """A corrector that answers every click with a function of (prompts, present scar mask)."""

    def __init__(self, answer: Callable[[Prompts, np.ndarray], np.ndarray]) -> None:
        self.answer = answer
        self.asked: list[Prompts] = []

    def set_case(self, case: Case, segmentation: Segmentation) -> None:
        self.shape = segmentation.labels.shape

    def encode(self, slices: object = None) -> None:
        assert self.shape

    def predict(self, prompts: Prompts, labels: np.ndarray) -> Answer:
        self.asked.append(prompts)
        return Answer(self.answer(prompts, np.isin(labels[prompts.slice_index], (2221, 2222))))


def perfect(prompts: Prompts, _: np.ndarray) -> np.ndarray:
    return TRUTH[prompts.slice_index] == SCAR


def painter(prompts: Prompts, present: np.ndarray) -> np.ndarray:
    """A brush of 3x3 pixels at the newest click."""
    point, mask = prompts.points[-1], present.copy()
    row, column = int(point.row), int(point.column)
    mask[row - 1 : row + 2, column - 1 : column + 2] = point.positive
    return mask


def eraser(_: Prompts, present: np.ndarray) -> np.ndarray:
    return np.zeros_like(present)


def half_found() -> np.ndarray:
    """An automatic label map that misses the scar's rows above the middle of its extent."""
    labels = TRUTH.copy()
    for plane in labels:
        rows = np.flatnonzero((plane == SCAR).any(axis=1))
        if len(rows):
            upper = plane[: rows[len(rows) // 2]]
            upper[upper == SCAR] = NORMAL
    return labels


def labeled(truth: np.ndarray = TRUTH, name: str = "circle", **changed: object) -> LabeledCase:
    images = {"lge": sitk_image(circle_lge(TRUTH)), "bssfp": sitk_image(circle_lge(TRUTH, 1))}
    found = LabeledCase(
        "circles", name, images, truth, np.ones(len(truth), bool), frozenset({"scar", "edema"})
    )
    return replace(found, **changed)  # type: ignore[arg-type]


def evaluate(
    answer: Callable[[Prompts, np.ndarray], np.ndarray],
    automatic: np.ndarray | None = None,
    case: LabeledCase | None = None,
    **settings: object,
) -> tuple[PatientResult, Fake, EvaluationConfig]:
    config = replace(EvaluationConfig(methods=("fake",), clicks=3), **settings)  # type: ignore[arg-type]
    fake = Fake(answer)
    labels = half_found() if automatic is None else automatic
    segment = partial(circle_segmentation, labels=labels)
    return evaluate_patient(case or labeled(), config, segment, {"fake": fake}), fake, config


def test_dice_distance_and_mass_before_and_after_a_perfect_correction() -> None:
    result, _, _ = evaluate(perfect, starts=("automatic",))
    (run,) = result.runs
    found, true = half_found()[2] == SCAR, TRUTH[2] == SCAR
    assert [s.slice_index for s in run.slices] == list(AFFECTED)
    start, corrected, after, _ = run.slices[1].steps
    assert start.dice == pytest.approx(2 * found.sum() / (found.sum() + true.sum()))
    assert start.mass_error_g == pytest.approx((int(found.sum()) - int(true.sum())) * VOXEL_G)
    assert (corrected.dice, corrected.hd95_mm, corrected.mass_error_g) == (1.0, 0.0, 0.0)
    assert corrected.point is not None and corrected.point.positive
    assert corrected.seconds is not None and corrected.seconds > 0
    # Nothing is left to click.
    assert after == replace(corrected, clicks=2, point=None, seconds=None)


def test_a_slices_distance_is_that_of_its_outline_in_the_plane() -> None:
    result, _, _ = evaluate(perfect, starts=("automatic",))
    found, true = (
        sitk.GetImageFromArray((m[2] == SCAR).astype(np.uint8)) for m in (half_found(), TRUTH)
    )
    contours = []
    for image in (found, true):
        image.SetSpacing(SPACING_MM[:2])
        outline = sitk.GetArrayFromImage(sitk.BinaryContour(image)) > 0
        distance = sitk.SignedMaurerDistanceMap(
            sitk.GetImageFromArray(outline.astype(np.uint8)), squaredDistance=False
        )
        contours.append((outline, np.maximum(sitk.GetArrayFromImage(distance), 0) * SPACING_MM[0]))
    (a, to_a), (b, to_b) = contours
    expected = max(np.percentile(to_b[a], 95), np.percentile(to_a[b], 95))
    assert result.runs[0].slices[1].steps[0].hd95_mm == pytest.approx(expected, abs=1e-3)


def test_the_patient_is_put_together_from_its_slices() -> None:
    result, _, config = evaluate(painter, starts=("automatic",))
    (run,) = result.runs
    assert [step.clicks for step in run.steps] == list(config.reported) == [0, 1, 2, 3]
    for number, step in enumerate(run.steps):
        slices = [found.steps[number] for found in run.slices]
        assert step.voxels == sum(s.voxels for s in slices)
        assert step.mass_error_g == pytest.approx(sum(s.mass_error_g or 0 for s in slices))
    assert result.truth_voxels == np.count_nonzero(TRUTH == SCAR)
    wall = np.count_nonzero(np.isin(TRUTH, (200, 1220, 2221)))
    assert result.wall_g == pytest.approx(wall * VOXEL_G)


def test_from_an_empty_mask_the_first_click_is_positive_and_dice_starts_at_0() -> None:
    result, fake, _ = evaluate(perfect, starts=("empty",))
    assert [found.steps[0].dice for found in result.runs[0].slices] == [0.0, 0.0, 0.0]
    assert [step.dice for step in result.runs[0].steps] == [0.0, 1.0, 1.0, 1.0]
    assert all(prompts.points[0].positive for prompts in fake.asked)


def test_all_clicks_of_a_slice_are_told_in_their_order() -> None:
    _, fake, _ = evaluate(painter, starts=("automatic",))
    counts = [(p.slice_index, len(p.points)) for p in fake.asked]
    assert counts == [(z, k) for z in AFFECTED for k in (1, 2, 3)]
    assert fake.asked[1].points[0] == fake.asked[0].points[0]
    assert fake.asked[2].points[:2] == fake.asked[1].points


def points(result: PatientResult) -> list[object]:
    return [s.point for run in result.runs for found in run.slices for s in found.steps]


def test_the_same_seed_gives_the_same_clicks_and_another_seed_others() -> None:
    first, again, other = (points(evaluate(painter, seed=seed)[0]) for seed in (1, 1, 2))
    assert first == again != other


def test_false_scar_in_a_healthy_heart_is_a_mass_without_a_dice() -> None:
    healthy = np.where(np.isin(TRUTH, (1220, SCAR)), NORMAL, TRUTH).astype(np.uint16)
    clean = evaluate(eraser, TRUTH, labeled(healthy), starts=("automatic",), structure="scar")
    result, _, config = clean
    (row,) = summarize([result], config)
    assert (row.patients, row.patients_with, row.slices) == (1, 0, 0)
    falsely = np.count_nonzero(TRUTH == SCAR) * VOXEL_G
    assert [m.mean for m in row.measures["false_mass_g"]] == pytest.approx([falsely, 0, 0, 0])
    assert [m.count for m in row.measures["patient_dice"]] == [0, 0, 0, 0]


def test_clicks_that_do_harm_are_counted_with_their_loss() -> None:
    result, _, config = evaluate(eraser, starts=("automatic",), clicks=2)
    (row,) = summarize([result], config)
    before = [found.steps[0].dice or 0 for found in result.runs[0].slices]
    # The first click in each slice empties the mask, the second changes nothing.
    assert (row.clicks, row.worse_share) == (6, 0.5)
    assert row.worse_mean == pytest.approx(-np.mean(before))
    assert row.patient_worse_share == 0.5
    assert row.never_share == 1.0 and row.clicks_to_goal.mean == 2


def test_a_refused_click_leaves_the_mask_and_is_counted() -> None:
    def refuse(prompts: Prompts, present: np.ndarray) -> np.ndarray:
        raise InputError("expected a click near the heart")

    result, fake, config = evaluate(refuse, starts=("automatic",))
    (row,) = summarize([result], config)
    assert (row.clicks, row.refused, row.seconds_p50) == (0, 9, None)
    assert {len(prompts.points) for prompts in fake.asked} == {1}
    dice = [step.dice for step in result.runs[0].steps]
    assert dice == [dice[0]] * 4
    assert "Refused (too far from the heart): 9 clicks of fake." in as_markdown(
        [row], [result], config, MACHINE
    )


def test_a_heart_that_is_not_found_counts_as_dice_0() -> None:
    def no_heart(_: Case) -> Segmentation:
        raise InputError("no heart found")

    config = EvaluationConfig(methods=("fake",), clicks=2)
    result = evaluate_patient(labeled(), config, no_heart, {"fake": Fake(perfect)})
    assert result.note == "no heart found"
    assert [[step.dice for step in run.steps] for run in result.runs] == [[0.0] * 3] * 2
    rows = summarize([result], config)
    assert [row.measures["slice_dice"][2].mean for row in rows] == [0.0, 0.0]
    assert "- circles circle: no heart found" in as_markdown(rows, [result], config, MACHINE)


@pytest.mark.parametrize(
    ("structure", "reason"), [("edema", "no T2 image"), ("mvo", "labels do not tell mvo")]
)
def test_what_cannot_be_assessed_is_said_and_not_counted(structure: str, reason: str) -> None:
    result, fake, config = evaluate(perfect, structure=structure)
    assert reason in result.note and not result.runs and not fake.asked
    assert summarize([result], config) == []


def test_slices_that_no_expert_has_drawn_are_left_alone() -> None:
    drawn = np.array([True, True, False, True, True])
    result, fake, _ = evaluate(perfect, case=labeled(labeled=drawn), starts=("automatic",))
    assert {prompts.slice_index for prompts in fake.asked} == {1, 3}
    assert result.runs[0].steps[-1].dice == 1.0


def test_free_rules_let_scar_into_the_blood_and_default_rules_do_not() -> None:
    def everything(_: Prompts, present: np.ndarray) -> np.ndarray:
        return np.ones_like(present)

    right = 600
    for rules, allowed in (
        ("free", TRUTH[2] != right),
        ("default", np.isin(TRUTH[2], (200, 1220, 2221))),
    ):
        result, _, _ = evaluate(everything, rules=rules, clicks=1, starts=("automatic",))
        assert result.runs[0].slices[1].steps[1].voxels == np.count_nonzero(allowed)


def test_the_reader_takes_an_offered_wall_where_it_brings_him_nearer_and_refuses_it_else() -> None:
    # A strip from the wall's lowest pixels up into the blood, deeper than is taken unasked.
    strip = np.zeros(TRUTH[2].shape, bool)
    strip[57:62, 47:50] = True

    def with_strip(prompts: Prompts, present: np.ndarray) -> np.ndarray:
        return present | strip

    wanted = TRUTH.copy()
    wanted[2][strip] = SCAR
    for truth, taken in ((wanted, True), (TRUTH, False)):
        result, _, _ = evaluate(with_strip, case=labeled(truth), clicks=1, starts=("automatic",))
        before, after = result.runs[0].slices[1].steps
        assert (before.offers, after.offers) == (0, 1)
        # Half-found scar, and of the strip all 15 pixels, or those of its two lowest rows: row 61
        # is wall already, row 60 lies 0.75 mm inside the cavity, row 59 2.25 mm.
        grown = after.voxels - before.voxels
        assert grown == (15 if taken else 6)


def test_the_wall_is_scored_and_a_reader_s_seconds_are_counted() -> None:
    result, _, _ = evaluate(perfect, starts=("automatic",))
    before, after, *_ = result.runs[0].steps
    assert (after.wall_dice, after.wall_error_percent) == (1.0, 0.0)
    # Three slices of 4 s, and a click of 2.5 s in each.
    assert (before.reader_s, after.reader_s) == (12.0, 19.5)


def steps(*dice: float) -> list[ScoredStep]:
    return [ScoredStep(k, value, None, 1, None) for k, value in enumerate(dice)]


def test_the_goal_is_reached_at_the_first_click_with_dice_0_80() -> None:
    assert clicks_to_goal(steps(0.81, 0.7)) == 0
    assert clicks_to_goal(steps(0.5, 0.79, 0.80, 0.7)) == 2
    assert clicks_to_goal(steps(0.5, 0.79)) is None


def test_the_interval_is_scipys_bootstrap_where_patients_have_one_value_each() -> None:
    values = np.random.default_rng(0).normal(0.7, 0.1, 30)
    found = mean_interval(list(enumerate(values)))
    expected = bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=0)
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(expected.confidence_interval.low, abs=0.004)
    assert found.high == pytest.approx(expected.confidence_interval.high, abs=0.004)


def test_slices_of_one_patient_are_drawn_together() -> None:
    slices = [(patient, float(patient)) for patient in (0, 1) for _ in range(50)]
    found = mean_interval(slices)
    # Two patients: a sample is (0, 0), (0, 1), (1, 0) or (1, 1).
    assert (found.mean, found.low, found.high, found.count) == (0.5, 0.0, 1.0, 100)
    alone = mean_interval([(7, 0.2), (7, 0.4), (7, None)])
    assert (alone.mean, alone.low, alone.count, alone.undefined) == (pytest.approx(0.3), None, 2, 1)


def test_small_slices_count_among_all_but_not_among_the_large() -> None:
    truth = TRUTH.copy()
    scar = np.argwhere(truth[1] == SCAR)
    for row, column in scar[19:]:
        truth[1, row, column] = NORMAL  # 19 pixels are left
    result, _, config = evaluate(perfect, case=labeled(truth), starts=("automatic",))
    (row,) = summarize([result], config)
    assert (row.slices, row.large_slices) == (3, 2)
    assert row.measures["slice_dice"][0].count == 2
    assert row.measures["all_slices_dice"][0].count == 3


def test_files_hold_a_row_per_click_and_the_same_numbers_as_the_table(tmp_path: Path) -> None:
    result, _, config = evaluate(painter)
    rows = summarize([result], config)
    write_evaluation(tmp_path, [result], rows, config, MACHINE)
    with (tmp_path / "interactive.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(config.starts) * len(AFFECTED) * (config.clicks + 1)
    step = result.runs[0].slices[0].steps[1]
    assert float(lines[1]["dice"]) == step.dice and float(lines[1]["row"]) == step.point.row  # type: ignore[union-attr]
    stored = json.loads((tmp_path / "interactive.json").read_text("utf-8"))
    mean = stored["summary"][0]["measures"]["slice_dice"][3]["mean"]
    table = (tmp_path / "interactive.md").read_text("utf-8")
    line = next(line for line in table.splitlines() if "Dice, slices ≥ 20 px" in line)
    assert line.split(" | ")[-1].startswith(f"{mean:.3f}")
    assert (tmp_path / "interactive.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["$5_{ 2 $", "=1|x\n", "山田" * 99, "M\udcfcller"])
def test_no_name_breaks_the_files(tmp_path: Path, name: str) -> None:
    result, _, config = evaluate(painter)
    usual = as_markdown(summarize([result], config), [result], config, MACHINE)
    runs = tuple(replace(run, method=name) for run in result.runs)
    result = replace(result, dataset=name, name=name, runs=runs, note=f"{name}\n")
    config = replace(config, methods=(name,))
    write_evaluation(tmp_path, [result], summarize([result], config), config, MACHINE)
    with (tmp_path / "interactive.csv").open(newline="", encoding="utf-8") as file:
        patient = next(csv.DictReader(file))["patient"]
    assert patient == readable(name) or patient == f"'{readable(name)}"
    table = (tmp_path / "interactive.md").read_text("utf-8")
    bars = [line.replace("\\|", "").count("|") for line in table.splitlines() if line[:1] == "|"]
    assert bars == [line.count("|") for line in usual.splitlines() if line[:1] == "|"]


def test_a_patients_clicks_do_not_depend_on_who_came_before() -> None:
    alone = points(evaluate(painter, case=labeled(name="b"))[0])
    evaluate(painter, case=labeled(name="a"))
    assert points(evaluate(painter, case=labeled(name="b"))[0]) == alone
    assert points(evaluate(painter, case=labeled(name="a"))[0]) != alone


@pytest.mark.slow
def test_two_processes_answer_as_one_does_and_in_the_same_order(tmp_path: Path) -> None:
    for name in ("c", "a", "b"):
        sitk.WriteImage(sitk_image(circle_lge(TRUTH)), str(tmp_path / f"{name}_DE.nii.gz"))
        sitk.WriteImage(sitk_image(TRUTH), str(tmp_path / f"{name}_gd.nii.gz"))
    # Without T2 no edema is assessed: the answers come without the networks.
    config = EvaluationConfig(structure="edema", methods=(GROWING,))
    alone, shared = (list(evaluate_cohort(case_loaders(tmp_path), config, n)) for n in (1, 2))
    assert [result.name for result in shared] == ["a", "b", "c"]
    assert alone == shared


@pytest.fixture
def circles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A MyoPS folder of two circle hearts, and a cascade that finds half of the scar."""
    folder = tmp_path / "cases"
    folder.mkdir()
    for name in ("a", "b"):
        sitk.WriteImage(sitk_image(circle_lge(TRUTH)), str(folder / f"{name}_DE.nii.gz"))
        sitk.WriteImage(sitk_image(TRUTH), str(folder / f"{name}_gd.nii.gz"))
    found = half_found()
    monkeypatch.setattr(cohort, "_segment", lambda case, device: circle_segmentation(case, found))
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["evaluate", *(str(argument) for argument in arguments)])


def test_the_command_prints_the_table_that_it_writes(circles: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    options = ("--method", "growing", "--clicks", 2, "--start", "automatic")
    result = run("interactive", "--cases", circles, *options, "--output", output)
    assert result.exit_code == 0, result.output
    table = (output / "interactive.md").read_text("utf-8")
    assert table in result.stdout
    assert "### myops, from the automatic mask (2 patients, 2 with scar in truth; 6 slices" in table
    assert "Rules: wall" in table and "empty mask" not in table
    growing = next(line for line in table.splitlines() if "Dice, patient" in line).split(" | ")
    before, _, after = (float(cell.split()[0]) for cell in growing[2:])
    found, true = half_found() == SCAR, TRUTH == SCAR
    assert before == pytest.approx(2 * found.sum() / (found.sum() + true.sum()), abs=5e-4)
    # Scar is nine times brighter than muscle here, but the blood beside it is bright too.
    assert after > max(before, 0.9)


def test_the_refiner_and_region_growing_stand_side_by_side(
    circles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, asked = cohort.load_corrector, []

    def fake(method: str, device: str) -> object:
        asked.append(method)
        return load(method, device) if method == GROWING else Fake(painter)

    monkeypatch.setattr(cohort, "load_corrector", fake)
    options = ("--model", "default", "--model", "sam_vit_b", "--clicks", 1, "-o", tmp_path / "out")
    result = run("interactive", "--real", circles, *options)
    assert result.exit_code == 0, result.output
    assert list(dict.fromkeys(asked)) == ["default", "sam_vit_b", GROWING]
    costs = [line for line in result.stdout.splitlines() if line.endswith(" ms |")]
    names = [line.split(" | ")[0].strip("| ") for line in costs]
    assert names == ["default", "sam_vit_b", GROWING] * 2


def test_a_refiner_is_not_scored_on_hearts_that_it_has_learned_from_unless_asked_to(
    circles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refiner = Fake(painter)
    (known,) = next(find_cases(circles)).image_checksums
    refiner.model = SimpleNamespace(learned=frozenset({known}), checksum="0" * 64)
    monkeypatch.setattr(cohort, "load_corrector", lambda *_: refiner)
    options = ("--cases", circles, "--method", "refiner", "--model", "adapted", "--clicks", 1)
    result = run("interactive", *options, "-o", tmp_path / "out")
    assert result.exit_code == 2
    said = "expected cases that the refiner adapted has not learned from, found a"
    assert said in result.stderr
    assert not (tmp_path / "out").exists()
    result = run("interactive", *options, "-o", tmp_path / "out", "--also-learned")
    assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "out" / "interactive.json").read_text("utf-8"))
    assert written["settings"]["also_learned"] is True


def test_ctrl_c_shows_what_is_done_and_writes_nothing(
    circles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = cohort.evaluate_cohort

    def interrupted(*arguments: object) -> Iterator[PatientResult]:
        yield next(iter(whole(*arguments)))  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(cohort, "evaluate_cohort", interrupted)
    output = tmp_path / "out"
    result = run("interactive", "--cases", circles, "--method", "growing", "--output", output)
    assert result.exit_code == 130 and "Interrupted." in result.stderr
    assert "(1 patients, 1 with scar in truth" in result.stdout
    assert not output.exists()


def test_a_folder_without_cases_is_refused_before_anything_runs(tmp_path: Path) -> None:
    result = run("interactive", "--cases", tmp_path, "--output", tmp_path / "out")
    assert result.exit_code == 2
    assert "expected labeled hearts" in result.stderr and "Traceback" not in result.output


def test_comparing_two_masks_needs_no_second_word(circles: Path) -> None:
    truth = circles / "a_gd.nii.gz"
    short, long = run(truth, truth), run("masks", truth, truth)
    assert short.exit_code == long.exit_code == 0
    assert short.stdout == long.stdout
    assert short.stdout.splitlines()[1].split()[:2] == ["lv_region", "1.000"]


def test_without_a_known_spacing_clicks_have_dice_but_no_mm_and_no_g() -> None:
    bare = {"lge": sitk.GetImageFromArray(circle_lge(TRUTH))}
    result, _, config = evaluate(perfect, case=labeled(images=bare), starts=("automatic",))
    assert result.wall_g is None
    steps = [step for one in result.runs[0].slices for step in one.steps]
    steps += result.runs[0].steps
    assert {(step.hd95_mm, step.mass_error_g) for step in steps} == {(None, None)}
    assert result.runs[0].steps[-1].dice == 1.0
    (row,) = summarize([result], config)
    assert {one.count for one in row.measures["patient_hd95_mm"]} == {0}
    assert {one.count for one in row.measures["patient_mass_error_g"]} == {0}
    assert row.measures["patient_dice"][-1].mean == 1.0

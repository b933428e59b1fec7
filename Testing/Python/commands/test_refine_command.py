"""`myops refine`: prompts from a file correct earlier results, and a replay repeats them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from circle_heart import circle_case, circle_labels, circle_lge, circle_segmentation, sitk_image
from click.testing import CliRunner
from disc_refiner import DISC_PIXELS, DiscRefiner

from myops.cli import cli

MINIMAL = {"steps": [{"structure": "scar", "slice_index": 2, "points": [[64, 48, True]]}]}


def run(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def assert_refused(result, *words):
    assert result.exit_code == 2, result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("Error: "), result.stderr
    assert [word for word in words if word not in lines[0]] == []


def labels_in(folder):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "segmentation.nii.gz")))


def write_prompts(path, values=MINIMAL):
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


@pytest.fixture
def circle_models(monkeypatch):
    """In place of the networks: the circle heart's own labels, and discs around clicks."""

    def segment(case, models, progress=None):
        return circle_segmentation(case)

    monkeypatch.setattr("myops.cascade.segment.segment", segment)
    monkeypatch.setattr("myops.refine.refiner.load_refiner", lambda *_: None)
    monkeypatch.setattr("myops.refine.refiner.Refiner", lambda _: DiscRefiner())
    # The pictures take most of the time, and have tests of their own.
    monkeypatch.setattr("myops.output.results._write_report", lambda *_: None)


@pytest.fixture
def results(circle_models, tmp_path) -> Path:
    """Automatic results of the circle heart."""
    lge = tmp_path / "circle_DE.nii.gz"
    sitk.WriteImage(sitk_image(circle_lge(circle_labels())), str(lge))
    t2 = tmp_path / "circle_T2.nii.gz"
    sitk.WriteImage(sitk_image(circle_case().images["t2"]), str(t2))
    done = run("segment", "--lge", lge, "--t2", t2, "--output", tmp_path / "out")
    assert done.exit_code == 0, done.output
    return tmp_path / "out"


def test_hand_written_prompts_correct_the_segmentation(results, tmp_path):
    prompts = write_prompts(tmp_path / "prompts.json")
    done = run("refine", results, "--prompts", prompts)
    assert done.exit_code == 0, done.output
    before, after = labels_in(results), labels_in(results / "refined")
    assert np.count_nonzero(before != after) == DISC_PIXELS
    assert (after[before != after] == 2221).all()


def test_the_results_are_those_of_segment_and_the_session(results, tmp_path):
    before = {path.name for path in results.iterdir()}
    run("refine", results, "--prompts", write_prompts(tmp_path / "prompts.json"))
    written = {path.name for path in (results / "refined").iterdir()}
    assert written == before | {"session.json"}
    assert {"inputs.json", "segmentation.nii.gz", "measurements.json"} <= before


def test_the_mass_grows_by_the_added_voxels(results, tmp_path):
    run("refine", results, "--prompts", write_prompts(tmp_path / "prompts.json"))
    masses = [
        json.loads((folder / "measurements.json").read_text("utf-8"))["tissues"]["scar"]["mass_g"]
        for folder in (results, results / "refined")
    ]
    # Voxels of 1.5 x 1.5 x 10 mm at 1.05 g/mL.
    assert masses[1] - masses[0] == pytest.approx(DISC_PIXELS * 0.0225 * 1.05)


def test_a_recorded_session_gives_the_same_labels_again(results, tmp_path):
    run("refine", results, "--prompts", write_prompts(tmp_path / "prompts.json"))
    session = results / "refined" / "session.json"
    done = run("refine", results, "--prompts", session, "--output", tmp_path / "again")
    assert done.exit_code == 0, done.output
    assert "Warning: step" not in done.stderr
    np.testing.assert_array_equal(labels_in(tmp_path / "again"), labels_in(results / "refined"))
    first, second = (json.loads((f / "session.json").read_text("utf-8")) for f in
                     (results / "refined", tmp_path / "again"))  # fmt: skip
    assert first["images_sha256"] == second["images_sha256"]
    assert first["steps"][0]["labels_sha256"] == second["steps"][0]["labels_sha256"]


def test_refined_results_can_be_refined_again(results, tmp_path):
    run("refine", results, "--prompts", write_prompts(tmp_path / "prompts.json"))
    more = {"steps": [{"structure": "scar", "slice_index": 2, "points": [[48, 64, True]]}]}
    prompts = write_prompts(tmp_path / "more.json", more)
    done = run("refine", results / "refined", "--prompts", prompts, "--output", tmp_path / "two")
    assert done.exit_code == 0, done.output
    changed = labels_in(tmp_path / "two") != labels_in(results)
    assert np.count_nonzero(changed) == 2 * DISC_PIXELS


def test_a_session_is_refused_on_a_segmentation_edited_since(results, tmp_path):
    run("refine", results, "--prompts", write_prompts(tmp_path / "prompts.json"))
    session = results / "refined" / "session.json"
    image = sitk.ReadImage(str(results / "segmentation.nii.gz"))
    image[10, 10, 2] = 600
    sitk.WriteImage(image, str(results / "segmentation.nii.gz"))
    done = run("refine", results, "--prompts", session, "--output", tmp_path / "again")
    assert_refused(done, "start labels")
    assert not (tmp_path / "again").exists()


def test_a_replay_that_differs_warns_and_names_the_step(results, tmp_path):
    run("refine", results, "--prompts", write_prompts(tmp_path / "prompts.json"))
    values = json.loads((results / "refined" / "session.json").read_text("utf-8"))
    values["steps"][0]["labels_sha256"] = "0" * 64
    values["refiner"]["sha256"] = "1" * 64
    prompts = write_prompts(tmp_path / "changed.json", values)
    done = run("refine", results, "--prompts", prompts)
    assert done.exit_code == 0, done.output
    assert "Warning: step 1 (prompt) gave other labels than recorded" in done.stderr
    assert "Warning: the refiner's weights are not the recorded ones (1111" in done.stderr


def test_the_refiner_is_that_of_the_weights_that_segmented_unless_another_is_asked_for(tmp_path):
    from myops.refine.refiner import refiner_beside

    for name, networks in (("full", ["prsn", "clickhead"]), ("plain", ["prsn"])):
        entries = [{"name": one, "file": "f", "sha256": "0"} for one in networks]
        (tmp_path / name).mkdir()
        written = json.dumps({"networks": entries})
        (tmp_path / name / "manifest.json").write_text(written, encoding="utf-8")
    full, plain = str(tmp_path / "full"), str(tmp_path / "plain")
    assert refiner_beside("synthetic") == "synthetic"
    assert refiner_beside("synthetic", "public-hearts") == "public-hearts"
    assert refiner_beside(full) == full
    assert refiner_beside(plain) == refiner_beside("default") == "default"


def test_a_session_whose_clock_was_set_back_is_replayed_without_its_times(results, tmp_path):
    step = MINIMAL["steps"][0]
    times = ("2026-01-01T10:00:00+00:00", "2026-01-01T09:00:00")
    values = {"steps": [{**step, "time": time} for time in times]}
    prompts = write_prompts(tmp_path / "prompts.json", values)
    done = run("refine", results, "--prompts", prompts)
    assert done.exit_code == 0, done.output
    assert "no reading time: step 2: expected a time with a time zone" in done.stderr
    steps = json.loads((results / "refined" / "session.json").read_text("utf-8"))["steps"]
    assert [step for step in steps if "time" in step] == []


def test_a_session_is_not_overwritten_by_its_own_replay(results, tmp_path):
    run("refine", results, "--prompts", write_prompts(tmp_path / "prompts.json"))
    session = results / "refined" / "session.json"
    before = session.read_bytes()
    assert_refused(run("refine", results, "--prompts", session), "--output")
    assert session.read_bytes() == before


@pytest.mark.parametrize("name", ["out", "out/../out", "link"])
def test_the_automatic_results_are_not_overwritten_by_their_own_correction(name, results, tmp_path):
    (tmp_path / "link").symlink_to(results)
    prompts = write_prompts(tmp_path / "prompts.json")
    before = {path.name: path.read_bytes() for path in results.iterdir()}
    done = run("refine", results, "--prompts", prompts, "--output", tmp_path / name)
    assert_refused(done, "segmentation.nii.gz", "would be overwritten", "--output")
    assert {path.name: path.read_bytes() for path in results.iterdir()} == before


def test_a_step_outside_the_image_is_refused_and_nothing_is_written(results, tmp_path):
    bad = {"steps": [*MINIMAL["steps"], {**MINIMAL["steps"][0], "slice_index": 9}]}
    done = run("refine", results, "--prompts", write_prompts(tmp_path / "bad.json", bad))
    assert_refused(done, "step 2", "from 0 to 4", "found 9")
    assert not (results / "refined").exists()


def test_prompts_that_are_no_json_are_refused_before_the_networks_run(tmp_path):
    prompts = tmp_path / "prompts.json"
    prompts.write_text("scar 64 48", encoding="utf-8")
    assert_refused(run("refine", tmp_path, "--prompts", prompts), "prompts.json", "expected JSON")


def test_a_folder_without_results_is_refused(tmp_path):
    prompts = write_prompts(tmp_path / "prompts.json")
    done = run("refine", tmp_path, "--prompts", prompts, "--output", tmp_path / "refined")
    assert_refused(done, "inputs.json", "segment the images first")


def test_images_that_moved_are_named_by_option(results, tmp_path):
    moved = tmp_path / "moved_DE.nii.gz"
    (tmp_path / "circle_DE.nii.gz").rename(moved)
    prompts = write_prompts(tmp_path / "prompts.json")
    assert_refused(run("refine", results, "--prompts", prompts), "circle_DE.nii.gz", "--lge")
    done = run("refine", results, "--prompts", prompts, "--lge", moved)
    assert done.exit_code == 0, done.output


@pytest.mark.slow
def test_with_the_shipped_weights_a_phantom_s_session_repeats_voxel_for_voxel(tmp_path):
    patient, output = tmp_path / "patient", tmp_path / "out"
    assert run("phantom", patient, "--seed", 900_001, "--complete").exit_code == 0
    assert run("segment", patient, "--output", output, "--device", "cpu").exit_code == 0
    labels = labels_in(output)
    from myops.geometry.canonical import to_canonical
    from myops.patients.provenance import read_case, read_inputs

    canonical = to_canonical(labels, read_case(read_inputs(output)).original)
    index, row, column = (int(v) for v in np.argwhere(canonical == 200)[0])
    step = {"structure": "scar", "slice_index": index, "points": [[row, column, True]]}
    prompts = write_prompts(tmp_path / "prompts.json", {"steps": [step]})
    done = run("refine", output, "--prompts", prompts, "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert not np.array_equal(labels_in(output / "refined"), labels)
    session = output / "refined" / "session.json"
    again = run(
        "refine", output, "--prompts", session, "--output", tmp_path / "b", "--device", "cpu"
    )
    assert again.exit_code == 0 and "Warning: step" not in again.stderr
    np.testing.assert_array_equal(labels_in(tmp_path / "b"), labels_in(output / "refined"))


def test_a_replay_of_prompts_without_times_records_no_times(tmp_path):
    from myops.study.sessions import _times

    out = tmp_path / "session.json"
    out.write_text(
        json.dumps({"steps": [{"action": "prompt", "structure": "scar"}]}), encoding="utf-8"
    )
    assert (_times(out).total, _times(out).stages) == (None, {})

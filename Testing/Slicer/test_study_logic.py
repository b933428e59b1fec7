"""The work list on a real scene: what is saved, brought back, and not lost."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from myops.errors import InputError
from myops.labels import scar
from myops.refine.state_file import read_state
from MyoPSSegmenterLib.ModuleLogic import MyoPSLogic
from MyoPSSegmenterLib.Scene.SceneBridge import worldFromVoxel
from MyoPSSegmenterLib.Scene.SegmentationNodes import createSegmentationNode

NAMES = ("patient 1", "patient 2", "Müller")


@pytest.fixture
def folder(phantomFolder: Path, tmp_path: Path) -> Path:
    """Three patients: the same images under three names."""
    root = tmp_path / "patients"
    for name in NAMES:
        (root / name).mkdir(parents=True)
        for kind in ("C0", "DE", "T2"):
            found = next(phantomFolder.glob(f"*_{kind}.nii.gz"))
            shutil.copy(found, root / name / f"heart_{kind}.nii.gz")
    return root


@pytest.fixture
def logic(scene):
    made = MyoPSLogic(scene)
    yield made
    failures = made.events.failures
    made.close()
    assert not failures


@pytest.fixture
def said(logic):
    texts: list[str] = []
    logic.events.connect("message", lambda text, level="info": texts.append(text))
    return texts


def openStudy(logic, folder: Path, reader: str = "ab", **options) -> None:
    logic.work.waitFor(logic.study.openFolder(folder, reader, **options))


def startCorrection(logic, segmentedCase) -> None:
    """What an automatic run does at its end, without the networks."""
    case = logic.patient.case
    segmentation = replace(segmentedCase[1], geometry=case.geometry)
    node = createSegmentationNode(
        logic.scene, case, logic.patient.referenceNode, "segmentation", segmentation.assessed
    )
    logic.correction.start(case, segmentation, node)
    logic.automatic.segmentation = segmentation
    logic.work.waitForAll()


def openFirst(logic, folder: Path, segmentedCase) -> None:
    """Open the folder's first patient, with an automatic segmentation to correct."""
    openStudy(logic, folder)
    logic.study.next()
    startCorrection(logic, segmentedCase)


def click(logic, positive: bool = False) -> None:
    """Click into the slice with most scar, at its middle."""
    labels = logic.correction.labels
    k = int(np.argmax(scar(labels).sum(axis=(1, 2))))
    rows, columns = np.nonzero(scar(labels)[k])
    middle = len(rows) // 2
    ras = worldFromVoxel(logic.correction.case, k, rows[middle], columns[middle])
    assert logic.correction.addClick(ras, positive) == "done"


def settle(logic) -> None:
    """Let the autosave's moment pass after the last work, and everything that waits end."""
    end, quietSince = time.monotonic() + 60, time.monotonic()
    while time.monotonic() - quietSince < 1.5:
        assert time.monotonic() < end, "the work does not end"
        logic.poll(giveMs=10)
        if logic.work.isBusy:
            quietSince = time.monotonic()
    logic.work.waitForAll()


def test_a_folder_becomes_a_list_in_natural_order_with_new_cases(logic, folder):
    openStudy(logic, folder)
    assert sorted(logic.study.entries) == sorted((name, "new") for name in NAMES)
    assert [name for name, _ in logic.study.entries][-2:] == ["patient 1", "patient 2"]
    assert logic.study.reader == "AB"
    assert logic.study.index is None


def test_initials_that_cannot_be_a_folder_are_refused_with_a_message(logic, folder, said):
    assert logic.study.openFolder(folder, "../evil") is None
    assert "initials" in said[-1]
    assert logic.study.entries == []


def test_a_folder_without_images_is_named_in_a_message(logic, tmp_path, said):
    openStudy(logic, tmp_path)
    assert "expected images" in said[-1]
    assert logic.study.studyFolder is None


@pytest.mark.slow
def test_every_change_leaves_whole_files_behind(logic, folder, segmentedCase):
    openFirst(logic, folder, segmentedCase)
    assert logic.study.status == "automatic"
    click(logic)
    assert logic.study.status == "corrected"
    settle(logic)
    place = logic.study.caseFolder(0)
    assert {"case.json", "state.npz", "session.json", "measurements.json"} <= {
        path.name for path in place.iterdir()
    }
    values = json.loads((place / "case.json").read_text(encoding="utf-8"))
    assert values["status"] == "corrected"
    assert [one["structure"] for one in values["clicks"]] == ["scar"]
    voxel_g = np.prod(logic.correction.case.geometry.spacing_mm) / 1000 * 1.05
    grams = np.count_nonzero(scar(logic.correction.labels)) * voxel_g
    assert values["masses_g"]["scar"] == pytest.approx(grams, rel=1e-3)
    assert np.array_equal(read_state(place / "state.npz").labels, logic.correction.labels)
    rows = list(csv.DictReader(logic.study.csvPath.read_text(encoding="utf-8").splitlines()))
    assert [(row["case"], row["reader"], row["clicks"]) for row in rows] == [("Müller", "AB", "1")]
    assert float(rows[0]["mass_g"]) == pytest.approx(grams, abs=1e-2)


@pytest.mark.slow
def test_another_case_and_back_brings_masks_prompts_undo_and_time(logic, folder, segmentedCase):
    openFirst(logic, folder, segmentedCase)
    click(logic)
    labels = logic.correction.labels.copy()
    corrections = logic.correction.session.corrections
    first = logic.correction.node
    logic.study.next()
    assert logic.study.index == 1
    assert logic.correction.session is None
    assert not logic.scene.IsNodePresent(first)
    spent = json.loads((logic.study.caseFolder(0) / "case.json").read_text(encoding="utf-8"))[
        "seconds"
    ]
    logic.study.previous()
    assert np.array_equal(logic.correction.labels, labels)
    assert logic.correction.session.corrections == corrections
    assert len(logic.correction.clickTimings) == 1
    assert logic.study.clock.seconds["correct"] == pytest.approx(spent["correct"], abs=1e-3)
    assert logic.study.clock.seconds["load"] > spent["load"]
    logic.work.waitForAll()
    node = logic.correction.prompts.negativeNode
    assert node.GetNumberOfControlPoints() == 1
    logic.correction.undo()
    assert np.array_equal(logic.correction.labels, logic.correction.session.start.labels)


@pytest.mark.slow
def test_a_change_after_the_approval_takes_it_back(logic, folder, segmentedCase):
    openFirst(logic, folder, segmentedCase)
    logic.study.approve()
    assert logic.study.entries[0][1] == "approved"
    click(logic)
    assert logic.study.entries[0][1] == "corrected"


def test_without_a_segmentation_there_is_nothing_to_approve(logic, folder, said):
    openStudy(logic, folder)
    logic.study.next()
    logic.study.approve()
    assert "no segmentation" in said[-1]
    assert logic.study.status == "new"


@pytest.mark.slow
def test_another_run_keeps_the_readers_work_beside_the_new_state(logic, folder, segmentedCase):
    openFirst(logic, folder, segmentedCase)
    click(logic)
    settle(logic)
    by_hand = logic.correction.labels.copy()
    startCorrection(logic, segmentedCase)
    settle(logic)
    place = logic.study.caseFolder(0)
    assert np.array_equal(read_state(place / "state-1.npz").labels, by_hand)
    assert np.array_equal(read_state(place / "state.npz").labels, logic.correction.labels)
    assert logic.study.status == "automatic"


@pytest.mark.slow
def test_a_damaged_state_is_kept_aside_and_the_case_opens(logic, folder, segmentedCase, said):
    openFirst(logic, folder, segmentedCase)
    click(logic)
    logic.study.next()
    state = logic.study.caseFolder(0) / "state.npz"
    state.write_bytes(state.read_bytes()[:1000])
    logic.study.previous()
    assert logic.patient.case is not None
    assert logic.correction.session is None
    assert any("damaged" in text for text in said)
    assert state.with_name("state.npz.damaged").is_file()


@pytest.mark.slow
def test_images_that_cannot_be_read_leave_the_open_case_open(logic, folder, segmentedCase, said):
    openFirst(logic, folder, segmentedCase)
    for path in (folder / "patient 1").iterdir():
        path.write_bytes(b"no image")
    logic.study.next()
    assert said
    assert logic.study.index == 0
    assert logic.patient.caseName == "Müller"
    assert logic.correction.session is not None
    click(logic)
    assert logic.study.status == "corrected"


@pytest.mark.slow
def test_closing_the_scene_saves_first(logic, folder, segmentedCase):
    openFirst(logic, folder, segmentedCase)
    click(logic)
    labels = logic.correction.labels.copy()
    logic.scene.Clear(0)
    assert logic.study.index is None
    assert np.array_equal(read_state(logic.study.caseFolder(0) / "state.npz").labels, labels)
    logic.study.open(0)
    assert np.array_equal(logic.correction.labels, labels)


@pytest.mark.slow
def test_results_that_cannot_be_written_are_told_once(logic, folder, segmentedCase, said, tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    openStudy(logic, folder, studyFolder=tmp_path / "file")
    logic.study.next()
    startCorrection(logic, segmentedCase)
    click(logic)
    settle(logic)
    click(logic)
    assert sum("could not be saved" in text for text in said) == 1


@pytest.mark.slow
def test_a_case_that_cannot_be_saved_stays_open_with_all_that_was_done_to_it(
    logic, folder, segmentedCase, said, tmp_path
):
    openFirst(logic, folder, segmentedCase)
    settle(logic)
    study = logic.study.studyFolder
    shutil.move(study, tmp_path / "gone")  # a disk that was pulled out
    study.write_bytes(b"")  # nothing can be made there
    click(logic)
    labels = logic.correction.labels
    logic.study.next()
    assert logic.study.index == 0
    assert logic.correction.labels is labels
    assert "stays open" in said[-1]
    study.unlink()
    shutil.move(tmp_path / "gone", study)
    logic.study.next()
    assert logic.study.index == 1


def test_saving_on_request_counts_to_its_own_stage(logic, folder, segmentedCase):
    openFirst(logic, folder, segmentedCase)
    click(logic)
    logic.work.waitFor(logic.study.save())
    assert logic.study.clock.stage == "correct"
    assert logic.study.clock.seconds["save"] > 0
    assert logic.study.lastSaved is not None


def test_an_unknown_status_is_refused(logic):
    with pytest.raises(InputError, match="expected a status"):
        logic.study.setStatus("perfect")


@pytest.mark.slow
def test_the_study_command_reads_what_was_written(logic, folder, segmentedCase):
    from myops.study.read import read_study

    openStudy(logic, folder)
    for _ in NAMES:
        logic.study.next()
        startCorrection(logic, segmentedCase)
        click(logic)
    logic.study.clear()
    study = read_study(folder / "myops-study")
    assert {reading.case for reading in study.readings} == set(NAMES)
    assert all(reading.seconds for reading in study.readings if reading.method == "interactive")


KILLED = """
import sys, time
from pathlib import Path
sys.path[:0] = [{here!r}]
import slicer
from made_scene import Scene
from dataclasses import replace
from MyoPSSegmenterLib.ModuleLogic import MyoPSLogic
from MyoPSSegmenterLib.Scene.SegmentationNodes import createSegmentationNode
from myops.cascade.segment import CascadeConfig, segment
from myops.weights.files import load_models
from myops.io.checksum import array_sha256

made = Scene(Path({folder!r}).parent / "cache")
logic = MyoPSLogic(made.scene)
logic.work.waitFor(logic.study.openFolder(Path({folder!r}), "AB"))
logic.study.next()
case = logic.patient.case
found = segment(case, load_models(device="cpu"), config=CascadeConfig(flips=False))
node = createSegmentationNode(logic.scene, case, logic.patient.referenceNode, "s", found.assessed)
logic.correction.start(case, found, node)
logic.work.waitForAll()
print("ready", array_sha256(logic.correction.labels), flush=True)
step = 0
while True:
    step += 1
    (logic.correction.expand if step % 2 else logic.correction.shrink)(1.0 + 0.01 * step)
    print("step", array_sha256(logic.correction.labels), flush=True)
    logic.study.save()
    end = time.monotonic() + 0.05
    while time.monotonic() < end:
        logic.poll(giveMs=5)
"""


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.4, 0.73, 1.3])
def test_a_program_killed_at_any_moment_loses_no_saved_change(folder, seconds, logic):
    """Killed for real; what is on disk is whole and one of the label maps that were there."""
    program = KILLED.format(here=str(Path(__file__).parent), folder=str(folder))
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    # However slow the machine is, some changes are made and saved before the end.
    seen = [process.stdout.readline().split()[-1] for _ in range(4)]
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    seen += [line.split()[-1] for line in process.communicate()[0].splitlines() if len(line) > 64]
    assert len(seen) > 2
    said: list[str] = []
    logic.events.connect("message", lambda text, level="info": said.append(text))
    openStudy(logic, folder)
    assert any("was open when the program ended" in text for text in said)
    assert logic.study.recover() == "Müller"
    from myops.io.checksum import array_sha256

    assert array_sha256(logic.correction.labels) in seen
    assert logic.study.status == "corrected"

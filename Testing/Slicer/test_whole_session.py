"""A whole session of a reader, played through the logic on a real scene without a screen.

Load a patient -> automatic -> three corrective clicks -> numbers -> export -> next case -> reopen
the first; then the command line does the same on the same files.
"""

from __future__ import annotations

import csv
import json
import shutil
import time
from itertools import pairwise

import numpy as np
import pytest
import vtk

from myops import labels as regions
from myops.evaluation.simulated_reader import next_click
from myops.geometry.canonical import to_canonical
from myops.labels import to_known_labels
from myops.quantify.mass import MYOCARDIAL_DENSITY_G_PER_ML, dice
from myops.refine.rules import apply_mask
from MyoPSSegmenterLib.ModuleLogic import MyoPSLogic
from MyoPSSegmenterLib.Scene.SceneBridge import worldFromVoxel
from MyoPSSegmenterLib.Scene.SegmentationNodes import readLabels

TIMEOUT_S = 300.0
# A click with its mask and numbers; far above what it takes, for machines that do other work too.
LONGEST_CLICK_MS = 5000


@pytest.fixture(scope="module")
def patients(phantomFolder, tmp_path_factory):
    """Give a folder of two patients: a complete one, and one with an LGE alone."""
    folder = tmp_path_factory.mktemp("patients")
    shutil.copytree(phantomFolder, folder / "first")
    (folder / "second").mkdir()
    for path in phantomFolder.iterdir():
        if path.name.split(".")[0].endswith(("_DE", "_LGE")):
            shutil.copy(path, folder / "second" / path.name)
    return folder


@pytest.fixture
def logic(scene):
    made = MyoPSLogic(scene)
    made.said = []
    made.events.connect("message", lambda text, level: made.said.append((level, text)))
    yield made
    made.close()
    assert made.events.failures == [] and made.events.listeners == 0


def settle(logic):
    """Poll as a timer does, until nothing runs, waits, or is still to be measured or saved."""
    end = time.monotonic() + TIMEOUT_S
    quietSince = time.monotonic()
    while time.monotonic() - quietSince < 0.7:
        assert time.monotonic() < end, "the work does not end"
        logic.poll(giveMs=10)
        if logic.work.isBusy or logic.correction.pendingClicks:
            quietSince = time.monotonic()
        else:
            time.sleep(0.01)


def openStudy(logic, patients, study):
    logic.work.waitFor(logic.study.openFolder(patients, "AB", studyFolder=study), TIMEOUT_S)
    return [name for name, _ in logic.study.entries]


def wantedClicks(logic, truth, count=3):
    """Click as a reader who knows the truth does: where the scar is most wrong, with the mouse."""
    correction, rng = logic.correction, np.random.default_rng(5)
    for _ in range(count):
        scar = regions.scar(truth)
        wanted = regions.scar(apply_mask(correction.labels, scar, "scar", correction.rules))
        wrong = (wanted != regions.scar(correction.labels)).sum(axis=(1, 2))
        k = int(wrong.argmax())
        click = next_click(regions.scar(correction.labels[k]), wanted[k], rng)
        correction.setCurrentSlice(k)
        correction.startPlacing("positive" if click.positive else "negative")
        nodes = correction.prompts
        node = nodes.positiveNode if click.positive else nodes.negativeNode
        ras = worldFromVoxel(correction.case, k, click.row, click.column)
        node.AddControlPointWorld(vtk.vtkVector3d(*ras))
        logic.poll()
    correction.stopPlacing()


def pointCount(logic):
    nodes = logic.correction.prompts
    return sum(node.GetNumberOfControlPoints() for node in (nodes.positiveNode, nodes.negativeNode))


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def truth(segmentedCase):
    """Give the phantom's true labels on the case's grid."""
    from myops.phantom.patient import PhantomConfig, generate_patient

    config = PhantomConfig(dropout=False, normal_share=0.0, upright=True, random_contrast_share=0.0)
    case, _ = segmentedCase
    labels = to_canonical(generate_patient(7, config).labels, case.original)
    assert labels.shape == case.geometry.array_shape
    return labels


@pytest.mark.slow
def test_a_whole_session(logic, patients, segmentedCase, truth, tmp_path):
    study, exported = tmp_path / "study", tmp_path / "export"

    # Load a patient.
    assert openStudy(logic, patients, study) == ["first", "second"]
    assert logic.study.entries == [("first", "new"), ("second", "new")]
    logic.study.open(0)
    assert set(logic.patient.volumes) == {"bssfp", "lge", "t2"} and logic.patient.ready() is None

    # Automatic.
    logic.work.waitFor(logic.automatic.run("cpu"), TIMEOUT_S)
    automatic = logic.correction.labels.copy()
    assert np.array_equal(automatic, segmentedCase[1].labels)
    settle(logic)
    assert logic.study.entries[0] == ("first", "automatic")
    before = dice(regions.scar(automatic), regions.scar(truth))

    # Three corrective clicks.
    wantedClicks(logic, truth)
    assert len(logic.correction.clickTimings) == 3 == pointCount(logic)
    assert all(0 < click.total_ms < LONGEST_CLICK_MS for click in logic.correction.clickTimings)
    corrected = logic.correction.labels.copy()
    node = logic.correction.node
    assert np.array_equal(readLabels(node, logic.correction.case), corrected)
    assert dice(regions.scar(corrected), regions.scar(truth)) > before

    # Numbers.
    voxel_g = logic.correction.case.geometry.voxel_volume_ml * MYOCARDIAL_DENSITY_G_PER_ML
    scar_g = float(regions.scar(corrected).sum() * voxel_g)
    assert logic.quantify.masses["scar"].mass_g == pytest.approx(scar_g)
    settle(logic)
    assert not logic.quantify.stale
    assert logic.quantify.measurements.tissues["scar"].mass_g == pytest.approx(scar_g)

    # Export.
    files = {}
    logic.work.waitFor(logic.export(exported, done=files.update), TIMEOUT_S)
    wanted = {"segmentation.seg.nrrd", "segmentation.nii.gz", "measurements.csv"}
    assert wanted | {"measurements.json", "report.html", "report.pdf"} <= set(files)
    logic.study.approve()
    settle(logic)

    # What it leaves behind.
    found = json.loads((logic.study.caseFolder(0) / "case.json").read_text(encoding="utf-8"))
    assert (found["case"], found["reader"], found["status"]) == ("first", "AB", "approved")
    assert [c["kind"] for c in found["clicks"]] == ["click"] * 3
    assert found["masses_g"]["scar"] == pytest.approx(scar_g, abs=1e-3)
    assert {"load", "automatic", "correct"} <= set(found["seconds"])
    (row,) = rows(logic.study.csvPath)
    assert (row["case"], row["status"], row["clicks"]) == ("first", "approved", "3")
    assert float(row["mass_g"]) == pytest.approx(scar_g, abs=1e-3)
    spent = found["seconds"]["correct"]

    # Next case.
    logic.study.next()
    assert logic.study.index == 1 and set(logic.patient.volumes) == {"lge"}
    assert logic.correction.session is None and logic.scene.IsNodePresent(node) == 0
    settle(logic)

    # Reopen the first.
    logic.study.previous()
    settle(logic)
    assert logic.study.entries[0] == ("first", "approved")
    assert np.array_equal(logic.correction.labels, corrected)
    assert np.array_equal(readLabels(logic.correction.node, logic.correction.case), corrected)
    assert pointCount(logic) == 3 and len(logic.correction.clickTimings) == 3
    assert logic.study.clock.seconds["correct"] >= spent - 1e-3
    for _ in range(3):
        assert logic.correction.undo() == "done"
    assert np.array_equal(logic.correction.labels, automatic)
    assert pointCount(logic) == 0
    for _ in range(3):
        assert logic.correction.redo() == "done"
    assert np.array_equal(logic.correction.labels, corrected)
    settle(logic)

    assertCommandLineAgrees(patients / "first", study, exported, tmp_path, corrected)
    assert [text for level, text in logic.said if level == "error"] == []


def assertCommandLineAgrees(folder, study, exported, tmp_path, corrected):
    """The commands `segment` and `refine`, with the recorded clicks, give the same voxels."""
    import SimpleITK as sitk
    from click.testing import CliRunner

    from myops.case import load_case_folder
    from myops.cli import cli

    out = tmp_path / "command-line"
    session = study / "first" / "AB" / "1" / "session.json"
    for command in (
        ["segment", str(folder), "-o", str(out), "--device", "cpu"],
        ["refine", str(out), "--prompts", str(session), "--device", "cpu"],
    ):
        result = CliRunner().invoke(cli, command)
        assert result.exit_code == 0, result.output
    ours = sitk.ReadImage(str(exported / "segmentation.nii.gz"))
    theirs = sitk.ReadImage(str(out / "refined" / "segmentation.nii.gz"))
    assert np.array_equal(sitk.GetArrayFromImage(ours), sitk.GetArrayFromImage(theirs))
    assert ours.GetOrigin() == pytest.approx(theirs.GetOrigin(), abs=1e-4)
    assert ours.GetDirection() == pytest.approx(theirs.GetDirection(), abs=1e-6)
    case = load_case_folder(folder)
    found = to_canonical(to_known_labels(sitk.GetArrayFromImage(theirs)), case.original)
    assert np.array_equal(found, corrected)
    measured = [
        json.loads((place / "measurements.json").read_text(encoding="utf-8"))
        for place in (exported, out / "refined")
    ]
    for one, other in pairwise(measured):
        for table in ("tissues", "fwhm"):
            assert sameNumbers(one[table], other[table])


def sameNumbers(one, other):
    """Equal but for the last digits: a scene and a file keep directions by different routes."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(sameNumbers(one[k], other[k]) for k in one)
    if isinstance(one, float):
        return one == pytest.approx(other, rel=1e-12)
    return one == other


def test_the_main_thread_is_never_held_up_while_the_networks_run(logic, phantomFolder):
    logic.patient.loadFolder(phantomFolder)
    task = logic.automatic.run("cpu")
    stalls, last = [], time.perf_counter()
    while not task.isOver and task.state != "done":
        logic.poll(giveMs=0)
        now = time.perf_counter()
        stalls.append(now - last)
        last = now
        time.sleep(0.005)
        last = time.perf_counter()
        if task.fraction >= 1.0:  # the result waits: taking it over is measured apart
            break
    logic.work.waitFor(task, TIMEOUT_S)
    # The aim is 0.1 s on a machine of its own (bench/slicer_module.py); here others work too.
    assert sorted(stalls)[int(0.99 * len(stalls))] < 0.1
    settle(logic)


@pytest.mark.slow
def test_a_scene_closed_in_the_middle_of_a_session_keeps_the_work(logic, patients, tmp_path, truth):
    openStudy(logic, patients, tmp_path / "study")
    logic.study.open(0)
    logic.work.waitFor(logic.automatic.run("cpu"), TIMEOUT_S)
    settle(logic)
    wantedClicks(logic, truth, 1)
    corrected = logic.correction.labels.copy()
    logic.scene.Clear(0)
    settle(logic)
    assert logic.correction.session is None and logic.patient.volumes == {}
    assert logic.study.index is None
    logic.study.open(0)
    settle(logic)
    assert np.array_equal(logic.correction.labels, corrected) and pointCount(logic) == 1


def test_clearing_and_closing_leave_nothing_behind(scene, phantomFolder, segmentedCase):
    before = scene.GetNumberOfNodes()
    logic = MyoPSLogic(scene)
    logic.patient.loadFolder(phantomFolder)
    logic.clear()
    assert logic.patient.volumes == {} and logic.study.entries == []
    logic.close()
    assert not logic.work._thread or not logic.work._thread.is_alive()
    assert logic.events.listeners == 0
    scene.Clear(0)
    assert scene.GetNumberOfNodes() <= before


def test_another_folder_may_be_opened_while_a_case_is_open(logic, patients, tmp_path):
    openStudy(logic, patients, tmp_path / "one")
    logic.study.open(1)
    began = time.monotonic()
    assert openStudy(logic, patients, tmp_path / "two") == ["first", "second"]
    assert time.monotonic() - began < TIMEOUT_S / 10
    assert logic.study.index is None and logic.study.studyFolder == tmp_path / "two"
    assert (tmp_path / "one" / "second" / "AB" / "1" / "case.json").is_file()

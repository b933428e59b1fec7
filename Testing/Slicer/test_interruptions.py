"""The user does something else meanwhile: nothing is lost, nothing stays stuck, a sentence says so.

The images are the circle heart's; no network is needed, since each task is held at a gate.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from circle_heart import circle_case, circle_segmentation, sitk_image
from circle_patient import begin, load, paint, segment
from made_scene import ourActiveList

from myops.refine.state_file import read_state
from MyoPSSegmenterLib.Scene.SceneBridge import volumeFromImage
from MyoPSSegmenterLib.Scene.SegmentationNodes import createSegmentationNode, readLabels
from MyoPSSegmenterLib.Steps import AutomaticLogic as automatic_logic
from MyoPSSegmenterLib.Steps import PatientLogic as patient_logic
from MyoPSSegmenterLib.Steps import StudyLogic as study_logic
from MyoPSSegmenterLib.Steps.ExportLogic import Export
from MyoPSSegmenterLib.Steps.MeasurementRequest import MeasurementRequest

TIMEOUT_S = 60.0
KINDS = {"lge": "DE", "bssfp": "C0", "t2": "T2"}


class Gate:
    """Holds a function in the background until it is opened."""

    def __init__(self) -> None:
        self.begun, self.open = threading.Event(), threading.Event()

    def __call__(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def held(*values: Any, **options: Any) -> Any:
            self.begun.set()
            assert self.open.wait(TIMEOUT_S), "nobody opened the gate"
            return real(*values, **options)

        return held


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open.set()


def files(folder: Path, name: str = "patient") -> Path:
    """The circle heart as a patient's folder."""
    place = folder / name
    place.mkdir(parents=True)
    for key, image in circle_case().images.items():
        sitk.WriteImage(sitk_image(image), str(place / f"heart_{KINDS[key]}.nii.gz"))
    return place


def beginTask(kind: str, logic: Any, gate: Gate, folder: Path, patch: Any) -> None:
    """Begin a task of the background, held at the gate."""
    if kind == "reading a folder":
        patch.setattr(patient_logic, "readFolder", gate(patient_logic.readFolder))
        logic.patient.beginFolder(files(folder))
    elif kind == "looking for patients":
        patch.setattr(study_logic, "findCases", gate(study_logic.findCases))
        files(folder / "study")
        logic.study.openFolder(folder / "study", "ab")
    elif kind == "comparing the sequences":
        patch.setattr(patient_logic, "checksOfCase", gate(patient_logic.checksOfCase))
        load(logic)
        logic.patient.imageChecks()
    elif kind == "aligning":
        import myops.registration

        patch.setattr(myops.registration, "find_alignment", gate(myops.registration.find_alignment))
        load(logic)
        logic.patient.align("t2")
    elif kind == "measuring":
        patch.setattr(MeasurementRequest, "measure", gate(MeasurementRequest.measure))
        begin(logic)
        logic.quantify.measureNow()
    else:
        patch.setattr(Export, "write", gate(Export.write))
        begin(logic)
        logic.export(folder / "out", ("nifti",))


TASKS = (
    "reading a folder",
    "looking for patients",
    "comparing the sequences",
    "aligning",
    "measuring",
    "exporting",
)


@pytest.mark.parametrize("kind", TASKS)
def test_the_scene_is_closed_in_the_middle(
    kind: str, logic: Any, gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        beginTask(kind, logic, gate, tmp_path, patch)
        assert gate.begun.wait(TIMEOUT_S)
        logic.scene.Clear(0)
        gate.open.set()
        logic.work.waitForAll(TIMEOUT_S)
    assert [text for level, text in logic.said if level == "error"] == []
    for name in ("vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode"):
        assert logic.scene.GetNumberOfNodesByClass(name) == 0
    assert (logic.patient.volumes, logic.quantify.masses) == ({}, {})
    if kind == "exporting":  # what was asked for is written: the files do not need the scene
        assert (tmp_path / "out" / "segmentation.nii.gz").is_file()
    begin(logic)
    assert logic.quantify.masses["scar"].mass_g > 1


def test_a_segmentation_that_is_deleted_while_it_is_measured_leaves_no_numbers(
    logic: Any, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MeasurementRequest, "measure", gate(MeasurementRequest.measure))
    begin(logic)
    logic.quantify.measureNow()
    assert gate.begun.wait(TIMEOUT_S)
    logic.scene.RemoveNode(logic.correction.node)
    gate.open.set()
    logic.work.waitForAll(TIMEOUT_S)
    assert (logic.quantify.masses, logic.quantify.measurements) == ({}, None)
    assert ("warning", "The segmentation that was corrected was deleted.") in logic.said
    begin(logic)


def test_tables_charts_and_plots_that_the_user_deletes_come_back_with_the_next_numbers(
    logic: Any,
) -> None:
    begin(logic)
    logic.quantify.measureNow()
    logic.work.waitForAll(TIMEOUT_S)
    kinds = ("vtkMRMLTableNode", "vtkMRMLPlotChartNode", "vtkMRMLPlotSeriesNode")
    had = {kind: logic.scene.GetNumberOfNodesByClass(kind) for kind in kinds}
    assert had["vtkMRMLTableNode"] > 2
    for kind in kinds:
        while (node := logic.scene.GetFirstNodeByClass(kind)) is not None:
            logic.scene.RemoveNode(node)
    paint(logic)
    logic.correction.adoptNodeEdits()
    logic.quantify.measureNow()
    logic.work.waitForAll(TIMEOUT_S)
    assert {kind: logic.scene.GetNumberOfNodesByClass(kind) for kind in kinds} == had


def test_what_is_painted_during_a_run_is_kept_beside_its_result(
    logic: Any, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(logic)
    logic.work.waitForAll(TIMEOUT_S)
    found = circle_segmentation(logic.patient.case)
    networks = gate(lambda case, networks, *_: (found, networks))
    monkeypatch.setattr(automatic_logic, "_run", networks)
    monkeypatch.setattr(automatic_logic, "hasTorch", lambda: True)
    monkeypatch.setattr(automatic_logic, "usableDevice", lambda name: ("cpu", None))
    task = logic.automatic.run("cpu")
    assert gate.begun.wait(TIMEOUT_S)
    old, painted = logic.correction.node, paint(logic)
    gate.open.set()
    logic.work.waitFor(task, TIMEOUT_S)
    assert logic.correction.node is not old
    assert np.array_equal(logic.correction.labels, found.labels)
    assert np.array_equal(readLabels(old, logic.patient.case), painted)
    assert old.GetName() == "Heart (corrected)"
    assert not old.GetDisplayNode().GetVisibility()
    assert any("kept, hidden" in text for _, text in logic.said)


def test_what_is_painted_while_it_is_measured_counts_in_the_end(
    logic: Any, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MeasurementRequest, "measure", gate(MeasurementRequest.measure))
    begin(logic)
    logic.quantify.measureNow()
    assert gate.begun.wait(TIMEOUT_S)
    before = logic.quantify.masses["scar"].voxels
    paint(logic)
    logic.correction.adoptNodeEdits()
    gate.open.set()
    logic.quantify.measureNow()
    logic.work.waitForAll(TIMEOUT_S)
    assert logic.quantify.masses["scar"].voxels == before + 16
    assert logic.quantify.measurements.tissues["scar"].voxels == before + 16


def test_another_image_in_the_place_of_the_lge_puts_corrections_aside_and_says_so(
    logic: Any,
) -> None:
    begin(logic)
    painted, node = paint(logic), logic.correction.node
    logic.correction.adoptNodeEdits()
    case = logic.correction.case
    other = volumeFromImage(logic.scene, sitk_image(circle_case().images["lge"][:, ::-1]), "Other")
    logic.patient.setVolumes(**{**logic.patient.volumes, "lge": other})
    logic.poll()
    assert logic.correction.session is None
    assert logic.quantify.masses == {}
    assert np.array_equal(readLabels(node, case), painted)
    assert any("kept, hidden" in text for _, text in logic.said)


def test_an_output_folder_that_vanishes_before_the_writing_is_made_again_or_told(
    logic: Any, gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(logic)
    monkeypatch.setattr(MeasurementRequest, "measure", gate(MeasurementRequest.measure))
    folder = tmp_path / "out"
    folder.mkdir()
    task = logic.export(folder, ("nifti",))
    assert gate.begun.wait(TIMEOUT_S)
    shutil.rmtree(folder)
    gate.open.set()
    logic.work.waitFor(task, TIMEOUT_S)
    written = (folder / "segmentation.nii.gz").is_file()
    told = [text for level, text in logic.said if level == "error"]
    assert written != bool(told)
    # What is left is the whole result or nothing.
    assert written or not list(tmp_path.iterdir())


def test_a_study_folder_that_vanishes_is_made_again_with_the_readers_work(
    logic: Any, tmp_path: Path
) -> None:
    files(tmp_path)
    logic.work.waitFor(logic.study.openFolder(tmp_path, "ab"), TIMEOUT_S)
    logic.study.open(0)
    case = logic.patient.case
    node = createSegmentationNode(logic.scene, case, logic.patient.referenceNode, "Heart", {"scar"})
    logic.correction.start(case, circle_segmentation(case), node)
    shutil.rmtree(logic.study.studyFolder)
    painted = paint(logic)
    logic.correction.adoptNodeEdits()
    logic.work.waitFor(logic.study._save(), TIMEOUT_S)
    assert [text for level, text in logic.said if level == "error"] == []
    assert np.array_equal(read_state(logic.study.caseFolder(0) / "state.npz").labels, painted)


def test_place_mode_of_another_module_is_left_alone_by_everything_here(logic: Any) -> None:
    begin(logic)
    scene = logic.scene
    theirs = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Theirs")
    interaction = scene.GetFirstNodeByClass("vtkMRMLInteractionNode")
    selection = scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    selection.SetReferenceActivePlaceNodeClassName("vtkMRMLMarkupsFiducialNode")
    selection.SetActivePlaceNodeID(theirs.GetID())
    interaction.SetCurrentInteractionMode(interaction.Place)
    logic.quantify.measureNow()
    logic.work.waitForAll(TIMEOUT_S)
    for act in (
        logic.correction.stopPlacing,
        lambda: logic.quantify.showRemote(True),
        lambda: logic.quantify.showRemote(False),
        lambda: logic.quantify.placeLandmark(None),
        logic.correction.clear,
    ):
        act()
        logic.poll()
        assert interaction.GetCurrentInteractionMode() == interaction.Place
        assert selection.GetActivePlaceNodeID() == theirs.GetID()
        assert ourActiveList(scene) is None
    assert theirs.GetNumberOfControlPoints() == 0


def test_images_that_make_no_case_give_their_name_to_no_numbers(logic: Any, tmp_path: Path) -> None:
    begin(logic)
    logic.patient.rename("A")
    folder = tmp_path / "B"
    folder.mkdir()
    sitk.WriteImage(sitk_image(circle_case().images["t2"]), str(folder / "heart_T2.nii.gz"))
    logic.patient.loadFolder(folder)
    logic.poll()
    assert (logic.patient.caseName, logic.patient.case) == ("B", None)
    assert logic.quantify.snapshot().case.name == logic.correction.case.name != "B"


def openCaseList(logic: Any, folder: Path) -> None:
    """Open the first patient of a folder, with its T2 moved, segmented and corrected."""
    files(folder)
    logic.work.waitFor(logic.study.openFolder(folder, "ab"), TIMEOUT_S)
    logic.study.open(0)
    logic.patient.shift("t2", 3.0, 0.0)
    segment(logic)
    paint(logic)
    logic.correction.adoptNodeEdits()


def opensAsItWas(logic: Any, patients: Path, painted: np.ndarray) -> None:
    """The list of `openCaseList` has the reader's labels, on the T2 as it was moved."""
    logic.work.waitFor(logic.study.openFolder(patients, "ab"), TIMEOUT_S)
    logic.study.open(0)
    assert np.array_equal(logic.correction.labels, painted)
    assert logic.patient.shiftOf("t2").rightMm == pytest.approx(3.0)


def test_corrections_open_again_after_a_reopening_without_the_moved_t2(
    logic: Any, tmp_path: Path
) -> None:
    openCaseList(logic, tmp_path / "patients")
    painted = logic.correction.labels.copy()
    logic.study.clear()
    t2 = tmp_path / "patients" / "patient" / "heart_T2.nii.gz"
    shutil.move(t2, tmp_path / "elsewhere.nii.gz")
    logic.work.waitFor(logic.study.openFolder(tmp_path / "patients", "ab"), TIMEOUT_S)
    logic.study.open(0)
    assert logic.correction.session is None
    logic.study.clear()
    shutil.move(tmp_path / "elsewhere.nii.gz", t2)
    opensAsItWas(logic, tmp_path / "patients", painted)


def test_corrections_open_again_after_another_patient_was_loaded_beside_the_list(
    logic: Any, tmp_path: Path
) -> None:
    openCaseList(logic, tmp_path / "patients")
    painted = logic.correction.labels.copy()
    logic.work.waitFor(logic.study.save(), TIMEOUT_S)
    other = files(tmp_path, "other")
    turned = sitk_image(circle_case().images["lge"][:, ::-1])
    sitk.WriteImage(turned, str(other / "heart_DE.nii.gz"))
    logic.patient.loadFolder(other)
    logic.poll()
    assert logic.correction.session is None
    logic.study.clear()
    opensAsItWas(logic, tmp_path / "patients", painted)


def test_another_case_list_does_not_open_over_a_case_that_cannot_be_saved(
    logic: Any, tmp_path: Path
) -> None:
    openCaseList(logic, tmp_path / "patients")
    study, labels = logic.study.studyFolder, logic.correction.labels
    logic.work.waitFor(logic.study.save(), TIMEOUT_S)
    shutil.move(study, tmp_path / "gone")  # a disk that was pulled out
    study.write_bytes(b"")  # nothing can be made there
    files(tmp_path / "others", "other")
    logic.work.waitFor(logic.study.openFolder(tmp_path / "others", "ab"), TIMEOUT_S)
    assert (logic.study.index, logic.study.studyFolder) == (0, study)
    assert logic.correction.labels is labels
    assert "stays open" in logic.said[-1][1]
    study.unlink()
    shutil.move(tmp_path / "gone", study)
    logic.work.waitFor(logic.study.openFolder(tmp_path / "others", "ab"), TIMEOUT_S)
    assert [name for name, _ in logic.study.entries] == ["other"]

"""The panel on stand-ins for Qt, CTK and qMRML widgets, over a real scene and the real logic.

What this cannot show is how PythonQt and CTK behave; see the user guide on what was run where.
"""

from __future__ import annotations

import ctypes
import gc
import re
import shutil
import subprocess
import sys
import threading
import time
import typing
import unittest
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("PySide6", reason="PySide6 is not installed: pip install PySide6-Essentials")

import slicer
import vtk
from contrast import contrast
from made_scene import ourActiveList
from PySide6 import QtCore, QtGui, QtWidgets
from standins.desktop import closePanel, desktop, emptyParent, openPanel, renderPanel
from standins.widgets import forgetObservers

from myops.errors import InputError

HERE = Path(__file__).parent
INTERACTIVE = (
    "QPushButton",
    "QToolButton",
    "QComboBox",
    "QCheckBox",
    "QLineEdit",
    "QSpinBox",
    "QDoubleSpinBox",
    "QTableWidget",
    "QTabWidget",
    "ctkSliderWidget",
    "ctkPathLineEdit",
    "qMRMLNodeComboBox",
)


@pytest.fixture
def windows(scene: Any) -> Iterator[Any]:
    """Give what the user would see beside the panel; the process looks like desktop Slicer."""
    with desktop(scene) as made:
        yield made


@pytest.fixture
def panel(windows: Any) -> Iterator[Any]:
    """Give the module's widget, entered."""
    made = openPanel()
    yield made
    failures = made.logic.myops.events.failures
    if made.workflow is not None:
        made.exit()
        assert ourActiveList(slicer.mrmlScene) is None
        closePanel(made)
    assert failures == []
    assert windows.errors == []


@pytest.fixture
def loaded(panel: Any, phantomFolder: Path) -> Any:
    """Give the widget with a patient."""
    load(panel, phantomFolder)
    return panel


@pytest.fixture
def segmented(loaded: Any, segmentedCase: tuple[Any, Any]) -> Any:
    """Give the widget with a patient and a segmentation."""
    from MyoPSSegmenterLib.Scene.SegmentationNodes import createSegmentationNode

    logic, patient = loaded.logic.myops, loaded.logic.myops.patient
    node = createSegmentationNode(logic.scene, patient.case, patient.referenceNode, "Heart")
    logic.correction.start(patient.case, segmentedCase[1], node)
    return loaded


def load(panel: Any, folder: Path) -> None:
    """Load a patient's folder, and wait until the background has read it."""
    panel.workflow.panels["patient"].loadFolder(str(folder))
    pump(panel, lambda: not panel.logic.myops.work.isBusy)


def pump(panel: Any, until: Callable[[], bool], seconds: float = 120) -> None:
    """Let the panel's timer work until something is so."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "what was waited for did not come"
        panel.workflow._tick()


def findings(panel: Any) -> list[str]:
    """What step 1 says about the sequences."""
    rows = panel.workflow.panels["patient"]._rows
    return [row.findChild(QtWidgets.QLabel).text for row in rows]


def named(panel: Any) -> dict[str, Any]:
    """Every named widget of the panel that the user can act on."""
    return {
        name: widget
        for name, widget in vars(panel.ui).items()
        if type(widget).__name__ in INTERACTIVE and not name.startswith("qt_")
    }


def enabledSteps(panel: Any) -> set[str]:
    from MyoPSSegmenterLib.Panels.Waiting import STEPS

    return {name for name in STEPS if getattr(panel.ui, f"{name}Section").enabled}


def shortcutsOf(panel: Any) -> list[QtGui.QShortcut]:
    return slicer.util.mainWindow().findChildren(QtGui.QShortcut)


def press(panel: Any, key: str) -> None:
    """Press a key of the panel."""
    wanted = QtGui.QKeySequence(key)
    next(s for s in shortcutsOf(panel) if s.property("key") == wanted).activated.emit()


# Controls


def test_every_control_does_something(panel: Any) -> None:
    idle = [
        name
        for name, widget in named(panel).items()
        if not widget.connected
        and not widget.property("SlicerParameterName")  # Slicer's base ties it by its own means
        and not (name == "swapButton" and widget.menu() is not None)
    ]
    assert idle == []
    assert len(named(panel)) > 40


def test_every_control_says_what_it_does_or_waits_for(panel: Any) -> None:
    silent = [
        name
        for name, widget in named(panel).items()
        if not widget.toolTip and not isinstance(widget, QtWidgets.QTabWidget)
    ]
    assert silent == []


def test_buttons_are_big_enough_to_hit(panel: Any) -> None:
    small = [
        name
        for name, widget in named(panel).items()
        if isinstance(widget, QtWidgets.QPushButton) and widget.minimumHeight < 34
    ]
    assert small == []


def test_every_parameter_is_tied_to_a_control_or_chosen_in_a_list(panel: Any) -> None:
    import MyoPSSegmenter

    tied = {w.property("SlicerParameterName") for w in named(panel).values()} - {None}
    hints = set(typing.get_type_hints(MyoPSSegmenter.MyoPSSegmenterParameterNode))
    assert tied <= hints
    assert hints - tied == {"device", "model"}


def test_a_name_belongs_to_one_widget_in_all_steps() -> None:
    names: list[str] = []
    for path in (HERE.parents[1] / "MyoPSSegmenter" / "Resources" / "UI").glob("*.ui"):
        names += re.findall(r'<widget class="\w+" name="(\w+)"', path.read_text(encoding="utf-8"))
    assert len(names) == len(set(names))


# Which step waits for what


def test_at_first_only_the_patient_and_the_case_list_can_be_used(panel: Any) -> None:
    assert enabledSteps(panel) == {"patient", "study"}


def test_a_disabled_step_says_what_it_waits_for(panel: Any) -> None:
    assert "LGE" in panel.ui.automaticSection.toolTip
    for name in ("correct", "quantify", "export"):
        section = getattr(panel.ui, f"{name}Section")
        assert "Waits for a segmentation" in section.toolTip
        assert section.text.endswith("waits for step 2")
        assert section.collapsed


def test_a_patient_opens_step_2(loaded: Any) -> None:
    assert enabledSteps(loaded) == {"patient", "automatic", "study"}
    assert not loaded.ui.automaticSection.collapsed
    assert loaded.ui.automaticSection.toolTip == ""


@pytest.mark.slow
def test_a_segmentation_opens_the_other_steps(segmented: Any) -> None:
    assert enabledSteps(segmented) == {
        *("patient", "automatic", "correct", "quantify", "study", "export")
    }
    assert not segmented.ui.correctSection.collapsed
    assert segmented.ui.patientSection.collapsed


def test_closing_the_scene_brings_the_panel_back_to_its_beginning(segmented: Any) -> None:
    slicer.mrmlScene.Clear(0)
    assert enabledSteps(segmented) == {"patient", "study"}
    assert segmented.ui.lgeSelector.currentNode() is None
    assert segmented.ui.massLabel.text == ""
    parameters = segmented.workflow.panels["patient"].parameters
    assert parameters.parameterNode.GetScene() is slicer.mrmlScene


def test_a_patient_can_be_loaded_after_the_scene_was_closed(
    segmented: Any, phantomFolder: Path
) -> None:
    slicer.mrmlScene.Clear(0)
    load(segmented, phantomFolder)
    assert enabledSteps(segmented) == {"patient", "automatic", "study"}


# Step 1


def test_a_folder_fills_the_selectors(loaded: Any) -> None:
    for name in ("lge", "bssfp", "t2"):
        node = getattr(loaded.ui, f"{name}Selector").currentNode()
        assert node is loaded.logic.myops.patient.volumes[name]
    assert "LGE, bSSFP, T2 loaded" in loaded.ui.statusLabel.text


def test_a_volume_chosen_twice_changes_places(loaded: Any) -> None:
    volumes = dict(loaded.logic.myops.patient.volumes)
    loaded.ui.lgeSelector.setCurrentNode(volumes["t2"])
    after = loaded.logic.myops.patient.volumes
    assert (after["lge"], after["t2"]) == (volumes["t2"], volumes["lge"])
    assert loaded.ui.t2Selector.currentNode() is volumes["lge"]


def test_a_scene_that_is_opened_says_whose_images_it_holds(panel: Any) -> None:
    from circle_heart import circle_case, sitk_image

    from MyoPSSegmenterLib.Scene.SceneBridge import volumeFromImage

    scene = slicer.mrmlScene
    scene.StartState(scene.ImportState)
    for key, image in circle_case().images.items():
        node = volumeFromImage(scene, sitk_image(image), key)
        node.SetAttribute("MyoPS.sequence", key)
        node.SetAttribute("MyoPS.case", "Patient 7")
    scene.EndState(scene.ImportState)
    assert panel.ui.statusLabel.text == "Patient 7: LGE, bSSFP, T2 chosen."
    assert panel.ui.t2Selector.currentNode() is panel.logic.myops.patient.volumes["t2"]


def test_two_sequences_can_be_swapped_from_the_menu(loaded: Any) -> None:
    volumes = dict(loaded.logic.myops.patient.volumes)
    loaded.ui.swapButton.menu().actions()[0].trigger()
    after = loaded.logic.myops.patient.volumes
    assert (after["lge"], after["bssfp"]) == (volumes["bssfp"], volumes["lge"])
    assert loaded.ui.lgeSelector.currentNode() is volumes["bssfp"]


def test_a_sequence_can_be_left_out(loaded: Any) -> None:
    loaded.ui.t2Selector.setCurrentNode(None)
    assert set(loaded.logic.myops.patient.volumes) == {"lge", "bssfp"}
    assert "automatic" in enabledSteps(loaded)


def test_a_misaligned_sequence_is_shown_with_a_button(loaded: Any) -> None:
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    toParent = vtk.vtkMatrix4x4()
    toParent.SetElement(0, 3, 15.0)
    node.SetMatrixTransformToParent(toParent)
    loaded.logic.myops.patient.volumes["t2"].SetAndObserveTransformNodeID(node.GetID())
    loaded.workflow._tick()
    first = loaded.workflow.panels["patient"]
    # Compared in the background; the row appears when that is done.
    assert any("being compared" in text for text in findings(loaded))
    pump(loaded, lambda: not loaded.logic.myops.work.isBusy)
    assert any("beside" in text for text in findings(loaded)), findings(loaded)
    assert not any("being compared" in text for text in findings(loaded))
    assert any(button.text == "Align" for button in first._rowButtons)


def test_a_sequence_is_moved_by_hand_seen_at_once_and_put_back(loaded: Any) -> None:
    from MyoPSSegmenterLib.Scene.SceneBridge import imageFromVolume

    ui, patient = loaded.ui, loaded.logic.myops.patient
    assert [ui.shiftSelector.itemText(at) for at in range(ui.shiftSelector.count)] == [
        "bSSFP",
        "T2",
    ]
    assert ui.shiftSelector.currentData == "t2"
    before = imageFromVolume(patient.volumes["t2"]).GetOrigin()
    ui.shiftRightSpinBox.setValue(4.5)
    ui.shiftDownSpinBox.setValue(-2.0)
    # Slicer's views show a volume where its transform places it.
    now = imageFromVolume(patient.volumes["t2"]).GetOrigin()
    right, down = patient.case.geometry.axes[:2]
    assert [b - a for a, b in zip(before, now)] == pytest.approx(4.5 * right - 2.0 * down)
    assert any("moved by hand: 4.5 mm to the right, 2.0 mm up" in one for one in findings(loaded))
    ui.shiftSelector.setCurrentIndex(0)
    assert (ui.shiftRightSpinBox.value, ui.shiftDownSpinBox.value) == (0.0, 0.0)
    ui.shiftSelector.setCurrentIndex(1)
    assert (ui.shiftRightSpinBox.value, ui.shiftDownSpinBox.value) == (4.5, -2.0)
    buttons = loaded.workflow.panels["patient"]._rowButtons
    next(button for button in buttons if button.text == "Undo").click()
    assert imageFromVolume(patient.volumes["t2"]).GetOrigin() == before
    assert (ui.shiftRightSpinBox.value, ui.shiftDownSpinBox.value) == (0.0, 0.0)
    ui.t2Selector.setCurrentNode(None)
    ui.bssfpSelector.setCurrentNode(None)
    assert not ui.shiftRightSpinBox.enabled
    assert "two sequences" in ui.shiftRightSpinBox.toolTip


def test_the_patient_can_be_given_another_name_for_what_is_written(loaded: Any) -> None:
    edit, patient = loaded.ui.caseNameEdit, loaded.logic.myops.patient
    assert edit.text == patient.caseName != ""
    edit.setText("P0007")
    edit.editingFinished.emit()
    assert patient.caseName == patient.case.name == "P0007"
    assert {node.GetAttribute("MyoPS.case") for node in patient.volumes.values()} == {"P0007"}
    loaded.workflow.update()
    assert edit.text == "P0007"


def test_a_folder_without_images_is_explained_on_the_status_line(
    panel: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import qt

    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    panel.ui.loadFolderButton.click()
    pump(panel, lambda: not panel.logic.myops.work.isBusy)
    assert "expected" in panel.ui.statusLabel.text
    assert panel.ui.statusLabel.styleSheet.startswith("color: #")


def test_a_folder_is_read_off_the_main_thread_and_can_be_canceled(
    panel: Any, phantomFolder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import myops.patients.find as find

    gate, read, threads = threading.Event(), find.read_sequence, []

    def slow(*arguments: Any) -> Any:
        threads.append(threading.current_thread())
        gate.wait(30)
        return read(*arguments)

    monkeypatch.setattr(find, "read_sequence", slow)
    panel.workflow.panels["patient"].loadFolder(str(phantomFolder))
    button, root = panel.ui.loadFolderButton, panel.workflow.root
    assert button.text == "Cancel"
    assert not panel.ui.sampleButton.enabled
    pump(panel, lambda: bool(threads))
    assert panel.ui.loadProgress.isVisibleTo(root)
    assert threads[0] is not threading.main_thread()
    button.click()
    assert button.text == "Load a patient folder…"
    gate.set()
    pump(panel, lambda: not panel.logic.myops.work.isBusy)
    assert panel.logic.myops.patient.volumes == {}
    assert len(threads) == 1  # the other files were not read any more
    assert not panel.ui.loadProgress.isVisibleTo(root)


def test_volumes_chosen_by_hand_are_shown_at_once(loaded: Any) -> None:
    from MyoPSSegmenterLib.Scene.Views import isShown

    loaded.ui.t2Selector.setCurrentNode(None)
    assert isShown(slicer.mrmlScene, loaded.logic.myops.patient.volumes)


def test_canceling_the_folder_dialog_changes_nothing(
    loaded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import qt

    before = dict(loaded.logic.myops.patient.volumes)
    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", lambda *_: "")
    loaded.ui.loadFolderButton.click()
    assert loaded.logic.myops.patient.volumes == before


# Step 2


def test_run_becomes_cancel_and_nothing_is_left_of_a_canceled_run(loaded: Any) -> None:
    run, automatic = loaded.ui.runButton, loaded.logic.myops.automatic
    run.click()
    assert automatic.isRunning
    assert run.text == "Cancel"
    assert not loaded.ui.deviceSelector.enabled
    assert loaded.ui.progressBar.isVisibleTo(loaded.workflow.root)
    run.click()
    assert run.text == "Run"
    assert not automatic.isRunning
    pump(loaded, lambda: not loaded.logic.myops.work.isBusy)
    assert loaded.logic.myops.correction.labels is None
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_manual_work_is_superseded_only_after_a_yes(
    segmented: Any, windows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    automatic, ran = segmented.logic.myops.automatic, []
    monkeypatch.setattr(automatic, "run", lambda *chosen: ran.append(chosen))
    monkeypatch.setattr(automatic, "needsQuestion", lambda: "Make a new version?")
    windows.answer = False
    segmented.ui.runButton.click()
    assert (ran, windows.questions) == ([], ["Make a new version?"])
    windows.answer = True
    segmented.ui.runButton.click()
    assert ran == [("auto", "default")]


def test_the_chosen_device_is_remembered_with_the_scene(loaded: Any) -> None:
    box = loaded.ui.deviceSelector
    box.setCurrentIndex(box.findData("cpu"))
    assert loaded.workflow.panels["automatic"].parameters.device == "cpu"


def test_a_segmentation_of_a_saved_scene_can_be_corrected_further(
    loaded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from MyoPSSegmenterLib.Steps.AutomaticLogic import NODE_ATTRIBUTE

    automatic, resumed = loaded.logic.myops.automatic, []
    monkeypatch.setattr(automatic, "resume", lambda *chosen: resumed.append(chosen))
    assert not loaded.ui.resumeButton.isVisibleTo(loaded.workflow.root)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Saved")
    node.SetAttribute(NODE_ATTRIBUTE, "1")
    loaded.workflow.update()
    assert loaded.ui.resumeButton.isVisibleTo(loaded.workflow.root)
    loaded.ui.resumeButton.click()
    assert resumed == [(node, "auto", "default")]


@pytest.mark.slow
def test_a_whole_run_opens_the_correction_and_zooms_in_on_the_heart(loaded: Any) -> None:
    import MyoPSSegmenterLib.Scene.Views as views

    logic = loaded.logic.myops
    node = views._sliceNodeNamed(logic.scene, "MyoPSLge")
    before = node.GetFieldOfView()[1]
    loaded.ui.runButton.click()
    pump(loaded, lambda: not logic.automatic.isRunning, seconds=120)
    assert logic.correction.labels is not None
    assert not loaded.ui.correctSection.collapsed
    assert node.GetFieldOfView()[1] < before
    assert loaded.ui.runButton.text == "Run"


@pytest.mark.parametrize(
    ("seconds", "text"), [(7.6, "8 s"), (200, "3 min 20 s"), (3900, "1 h 5 min"), (0, "0 s")]
)
def test_a_time_is_said_for_people(panel: Any, seconds: float, text: str) -> None:
    from MyoPSSegmenterLib.Panels.AutomaticPanel import duration

    assert duration(seconds) == text


def test_progress_says_the_stage_and_the_remaining_time(panel: Any) -> None:
    from MyoPSSegmenterLib.Panels.AutomaticPanel import progressText

    task = SimpleNamespace(title="Segmenting", stage="finding the heart", remainingSeconds=8.2)
    assert progressText(task) == "Finding the heart · about 8 s left"
    task.stage, task.remainingSeconds = "", None
    assert progressText(task) == "Segmenting"


# Step 3


def test_a_tool_is_taken_in_hand_and_laid_down_by_the_same_button(segmented: Any) -> None:
    correction = segmented.logic.myops.correction
    segmented.ui.removeButton.click()
    assert correction.placing == "negative"
    assert segmented.ui.removeButton.checked
    assert not segmented.ui.addButton.checked
    segmented.ui.removeButton.click()
    assert correction.placing is None
    assert not segmented.ui.removeButton.checked


def test_polarity_falls_back_to_plus_after_a_structure_change(segmented: Any) -> None:
    correction = segmented.logic.myops.correction
    segmented.ui.removeButton.click()
    segmented.ui.edemaButton.click()
    assert correction.structure == "edema"
    assert correction.placing == "positive"
    assert segmented.ui.addButton.checked


def test_a_structure_that_was_not_seen_cannot_be_corrected(
    segmented: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    correction = segmented.logic.myops.correction
    monkeypatch.setattr(correction, "structures", lambda: [("edema", "Edema", "No T2 image.")])
    segmented.workflow.update()
    assert not segmented.ui.edemaButton.enabled
    assert segmented.ui.edemaButton.toolTip == "No T2 image."
    press(segmented, "2")
    assert correction.structure == "scar"


def test_rules_and_opacity_reach_the_logic(segmented: Any) -> None:
    correction = segmented.logic.myops.correction
    segmented.ui.keepInsideCheckBox.click()
    segmented.ui.allowBloodPoolCheckBox.click()
    assert (correction.rules.keep_inside, correction.rules.allow_blood_pool) == (False, True)
    assert correction.rules.move_wall
    segmented.ui.moveWallCheckBox.click()
    assert not correction.rules.move_wall
    segmented.ui.opacitySlider.setValue(0.2)
    display = correction.node.GetDisplayNode()
    assert display.GetOpacity() == pytest.approx(0.2)


def test_structures_are_filled_only_where_the_user_asks_for_it(segmented: Any) -> None:
    display = segmented.logic.myops.correction.node.GetDisplayNode()
    assert not display.GetVisibility2DFill()
    segmented.ui.fillCheckBox.click()
    assert display.GetVisibility2DFill()


def test_both_steps_call_a_tissue_by_the_same_name(segmented: Any) -> None:
    model = segmented.ui.massTable.model()
    titles = {model.data(model.index(row, 0)) for row in range(model.rowCount())}
    shown = re.findall(r"([A-Z][a-z ()]+?) [\d.]+ g", segmented.ui.massLabel.text)
    assert len(shown) == 2
    assert set(shown) <= titles


def test_every_view_says_its_slice_and_position_from_the_patient_on(loaded: Any) -> None:
    from MyoPSSegmenterLib.Panels.SliceNumbers import PLACE
    from MyoPSSegmenterLib.Scene.Views import setSlice

    patient = loaded.logic.myops.patient
    count = patient.case.geometry.array_shape[0]
    setSlice(slicer.mrmlScene, patient.case, 2)
    loaded.workflow._tick()
    annotations = slicer.app.layouts.annotations
    assert len(annotations) == 3
    for annotation in annotations.values():
        assert re.match(rf"Slice 3 of {count} · -?\d+\.\d mm", annotation.GetText(PLACE))
    slicer.mrmlScene.Clear(0)
    loaded.workflow._tick()
    assert {annotation.GetText(PLACE) for annotation in annotations.values()} == {""}


def test_what_is_said_stands_beside_the_tools_too(panel: Any) -> None:
    panel.logic.myops.events.message("The disk is full.", "error")
    for label in (panel.ui.statusLabel, panel.ui.correctStatusLabel, panel.ui.quantifyStatusLabel):
        assert label.text == "The disk is full."


def test_what_is_said_about_a_click_stands_beside_the_tools_once(segmented: Any) -> None:
    segmented.logic.myops.correction.addClick((5e3, 5e3, 5e3))
    assert segmented.ui.hintLabel.text == "The click lies outside the images."
    assert not segmented.ui.correctStatusLabel.isVisibleTo(segmented.workflow.root)


def test_a_box_that_is_answered_late_leaves_add_in_hand_with_its_hint(segmented: Any) -> None:
    correction = segmented.logic.myops.correction
    pump(segmented, lambda: correction.refinerState != "loading")
    segmented.ui.addButton.click()
    correction.prompts.showBox([(0.0, 0.0, 0.0), (0.0, 9.0, 0.0), (9.0, 9.0, 0.0), (9.0, 0.0, 0.0)])
    segmented.logic.myops.events.emit("prompts")
    assert correction.placing == "positive"
    assert segmented.ui.addButton.checked
    assert segmented.ui.hintLabel.text.startswith("Click where the structure is missing")


def test_the_panel_says_what_a_reader_would_say(
    loaded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ui, patient = loaded.ui, loaded.logic.myops.patient
    # "Threshold" is a signal to a reader, and this is none.
    assert ui.thresholdLabel.text == "Certainty"
    assert "right ventricle" in ui.notCorrectedLabel.text
    assert "Segment Editor" in ui.notCorrectedLabel.text
    assert ui.remoteButton.text == "Show the region"
    pump(loaded, lambda: not patient.isComparing)
    monkeypatch.setattr(patient, "imageChecks", lambda: [])
    loaded.workflow.panels["patient"].update()
    assert findings(loaded) == ["The sequences are aligned."]


def test_a_structure_of_the_buttons_own_color_has_a_framed_icon(panel: Any) -> None:
    from MyoPSSegmenterLib.Panels.CorrectionPanel import colorIcon

    picture = colorIcon("#ffffff").pixmap(14, 14).toImage()
    assert picture.pixelColor(7, 7).lightness() == 255
    assert picture.pixelColor(0, 7).lightness() < 160


def test_expanding_changes_the_mass_at_once_and_undo_brings_it_back(segmented: Any) -> None:
    before = segmented.ui.massLabel.text
    assert re.match(r"Scar \d+\.\d g \(\d+\.\d %\) +Edema \(outside scar\) \d+\.\d g", before)
    assert not segmented.ui.undoButton.enabled
    segmented.ui.expandButton.click()
    assert segmented.ui.massLabel.text != before
    assert segmented.ui.undoButton.enabled
    assert "expand scar" in segmented.ui.undoButton.toolTip
    segmented.ui.undoButton.click()
    assert segmented.ui.massLabel.text == before
    assert segmented.ui.redoButton.enabled


def test_the_threshold_goes_back_to_the_middle_with_another_structure(segmented: Any) -> None:
    slider = segmented.ui.thresholdSlider
    slider.setValue(0.3)
    assert "threshold" in segmented.logic.myops.correction.undoName
    segmented.ui.edemaButton.click()
    assert slider.value == pytest.approx(0.5)
    assert segmented.logic.myops.correction.undoName == "scar threshold 0.30"


def test_manual_work_is_replaced_by_the_slider_only_after_a_yes(
    segmented: Any, windows: Any
) -> None:
    correction, slider = segmented.logic.myops.correction, segmented.ui.thresholdSlider
    segmented.ui.expandButton.click()
    byHand = correction.labels
    windows.answer = False
    slider.setValue(0.3)
    assert correction.labels is byHand
    assert slider.value == pytest.approx(0.5)
    windows.answer = True
    slider.setValue(0.3)
    assert correction.labels is not byHand
    slider.setValue(0.35)
    assert len(windows.questions) == 2


def test_accept_and_refuse_are_there_only_with_a_proposal(
    segmented: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    correction = segmented.logic.myops.correction
    frame, root = segmented.ui.proposalFrame, segmented.workflow.root
    assert not frame.isVisibleTo(root)
    carried = [SimpleNamespace(slice_index=2), SimpleNamespace(slice_index=4)]
    proposals = [SimpleNamespace(slices=carried, structure="scar")]
    monkeypatch.setattr(type(correction), "proposal", property(lambda _: (proposals or [None])[0]))
    monkeypatch.setattr(correction, "refuseProposal", proposals.clear)
    segmented.workflow.update()
    assert frame.isVisibleTo(root)
    assert "on slices 3, 5." in segmented.ui.proposalLabel.text
    carried.pop()
    segmented.workflow.update()
    assert "on slice 3." in segmented.ui.proposalLabel.text
    segmented.ui.refuseButton.click()
    assert proposals == []
    segmented.workflow.update()
    assert not frame.isVisibleTo(root)


def test_the_segment_editor_gets_the_same_segmentation(segmented: Any, windows: Any) -> None:
    given: dict[str, Any] = {}
    editor = SimpleNamespace(
        setSegmentationNode=lambda node: given.update(node=node),
        setSourceVolumeNode=lambda node: given.update(volume=node),
    )
    representation = SimpleNamespace(self=lambda: SimpleNamespace(editor=editor))
    slicer.modules.segmenteditor = SimpleNamespace(widgetRepresentation=lambda: representation)
    segmented.ui.segmentEditorButton.click()
    assert windows.modules == ["SegmentEditor"]
    assert given["node"] is segmented.logic.myops.correction.node
    assert given["volume"] is segmented.logic.myops.patient.referenceNode


# Keys


def test_the_keys_are_listed_in_the_panel(panel: Any) -> None:
    listed = re.findall(r"<b>([\w+]+)</b>", panel.ui.shortcutsLabel.text)
    active = [shortcut.property("key").toString() for shortcut in shortcutsOf(panel)]
    assert sorted(listed) == sorted(active)
    assert len(listed) == len(set(listed)) == 17


def test_keys_live_in_slicers_window_as_those_of_the_segment_editor(panel: Any) -> None:
    scope = QtCore.Qt.ShortcutContext.WindowShortcut
    assert {shortcut.property("context") for shortcut in shortcutsOf(panel)} == {scope}
    keys = {shortcut.property("key").toString() for shortcut in shortcutsOf(panel)}
    assert {"Ctrl+Z", "Ctrl+Y"} < keys


def test_the_enter_key_is_taken_only_while_there_is_a_proposal(
    segmented: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = next(s for s in shortcutsOf(segmented) if s.property("key").toString() == "Return")
    assert not key.isEnabled()
    correction = segmented.logic.myops.correction
    proposals = [SimpleNamespace(slices=[], structure="scar")]
    monkeypatch.setattr(type(correction), "proposal", property(lambda _: (proposals or [None])[0]))
    segmented.logic.myops.events.emit("proposal")
    assert key.isEnabled()
    proposals.clear()
    segmented.logic.myops.events.emit("proposal")
    assert not key.isEnabled()


def test_leaving_the_module_removes_its_keys_and_tools(segmented: Any) -> None:
    segmented.ui.addButton.click()
    segmented.exit()
    QtWidgets.QApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
    assert shortcutsOf(segmented) == []
    assert segmented.workflow.shortcuts.installed == []
    assert segmented.logic.myops.correction.placing is None
    segmented.enter()
    segmented.enter()
    assert len(shortcutsOf(segmented)) == 17


def test_keys_choose_structures_and_tools(segmented: Any) -> None:
    correction = segmented.logic.myops.correction
    press(segmented, "3")
    assert correction.structure == "myocardium"
    press(segmented, "R")
    assert correction.placing == "negative"
    press(segmented, "B")
    assert correction.placing == "box"
    press(segmented, "Esc")
    assert correction.placing is None
    display = correction.node.GetDisplayNode()
    press(segmented, "H")
    assert not display.GetVisibility()
    press(segmented, "H")
    assert display.GetVisibility()


def test_keys_do_nothing_while_their_step_waits(panel: Any) -> None:
    for key in ("1", "A", "R", "B", "Z", "Y", "C", "Return", "Esc", "N", "H"):
        press(panel, key)
    assert panel.logic.myops.correction.placing is None
    assert panel.ui.statusLabel.text == "Load a patient to begin."


def test_keys_work_after_a_click_in_a_view_but_not_in_a_line_of_text(
    segmented: Any, windows: Any
) -> None:
    correction = segmented.logic.myops.correction
    both, view = QtWidgets.QSplitter(), QtWidgets.QWidget()
    view.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
    both.addWidget(segmented.parent)
    both.addWidget(view)
    windows.main.setCentralWidget(both)
    QtWidgets.QWidget.show(windows.main)
    QtWidgets.QWidget.activateWindow(windows.main)
    view.setFocus()  # what a click in it does
    QtWidgets.QApplication.processEvents()
    sendKey(view, QtCore.Qt.Key.Key_R, "r")
    assert correction.placing == "negative"
    assert QtWidgets.QApplication.focusWidget() is view
    segmented.ui.studySection.collapsed = False
    segmented.ui.readerEdit.setFocus()
    QtWidgets.QApplication.processEvents()
    sendKey(segmented.ui.readerEdit, QtCore.Qt.Key.Key_A, "a")
    assert correction.placing == "negative"
    assert segmented.ui.readerEdit.text == "a"


def sendKey(widget: Any, key: QtCore.Qt.Key, text: str) -> None:
    """Type a key as the window system does, shortcuts included."""
    from PySide6.QtTest import QTest

    QTest.keyClick(widget.window().windowHandle(), key)
    QtWidgets.QApplication.processEvents()
    assert text


# Step 4


def test_tables_and_plots_show_the_nodes_of_the_measurements(segmented: Any) -> None:
    quantify = segmented.logic.myops.quantify
    assert segmented.ui.massTable.model().rowCount() == 6
    pump(segmented, lambda: quantify.measurements is not None)
    assert segmented.ui.methodsTable.model().rowCount() == len(quantify.methods())
    for view in ("bullsEyeView", "slicePlotView"):
        chart = getattr(segmented.ui, view).mrmlPlotViewNode().GetPlotChartNode()
        assert chart.GetNumberOfPlotSeriesNodes() > 1
    # Nothing is stale; the heart finder's right ventricle may be doubted.
    assert segmented.ui.staleLabel.text == "\n".join(quantify.qualityWarnings)
    assert "being updated" not in segmented.ui.staleLabel.text


def test_a_method_is_shown_alone_and_taken_away(segmented: Any) -> None:
    quantify = segmented.logic.myops.quantify
    pump(segmented, lambda: quantify.measurements is not None)
    box = segmented.ui.methodSelector
    box.setCurrentIndex(1)
    first = box.currentData
    assert quantify.shownMethods == {first}
    box.setCurrentIndex(2)
    assert quantify.shownMethods == {box.currentData}
    box.setCurrentIndex(0)
    assert quantify.shownMethods == frozenset()


def test_the_remote_region_is_moved_by_hand_and_given_back(segmented: Any) -> None:
    quantify = segmented.logic.myops.quantify
    pump(segmented, lambda: quantify.measurements is not None)
    assert not segmented.ui.remoteAutomaticButton.enabled
    segmented.ui.addButton.click()
    interaction = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLInteractionNode")
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    segmented.ui.remoteButton.click()
    assert quantify.remoteNode is not None
    # With Add in hand the point could not be dragged: the tool is laid down, and the mouse is free.
    assert segmented.logic.myops.correction.placing is None
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform
    assert ourActiveList(slicer.mrmlScene) is None
    quantify.setRemoteSector(90.0, 60.0)
    segmented.ui.remoteWidthSpinBox.setValue(40)
    assert (quantify.sector.center_angle_deg, quantify.sector.width_deg) == (90.0, 40.0)
    segmented.workflow.update()
    segmented.ui.remoteAutomaticButton.click()
    assert quantify.sector is None
    segmented.ui.remoteButton.click()
    assert quantify.remoteNode is None


def test_the_rv_insertion_is_clicked_and_found_automatically_again(
    segmented: Any, segmentedCase: tuple[Any, Any]
) -> None:
    from MyoPSSegmenterLib.Scene.SceneBridge import worldFromVoxel

    quantify, correction = segmented.logic.myops.quantify, segmented.logic.myops.correction
    interaction = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLInteractionNode")
    segmented.ui.addButton.click()
    segmented.ui.insertionButton.click()
    assert (correction.placing, quantify.placingLandmark) == (None, "anterior")
    shape = correction.case.geometry.array_shape
    place = worldFromVoxel(correction.case, shape[0] // 2, 10.0, 12.0)
    quantify._clicked.points["anterior"].node.AddControlPointWorld(vtk.vtkVector3d(*place))
    interaction.SwitchToViewTransformMode()  # as the views do after the point
    landmark = quantify.landmarks.anterior_insertion
    assert (landmark.slice_index, landmark.row, landmark.column) == pytest.approx(
        (shape[0] // 2, 10.0, 12.0)
    )
    assert not segmented.ui.insertionButton.checked
    assert segmented.ui.landmarksAutomaticButton.enabled
    segmented.ui.landmarksAutomaticButton.click()
    assert quantify.landmarks is None
    assert quantify._clicked.points["anterior"].node is None


def test_the_inferior_end_of_the_septum_is_clicked_after_the_anterior_one(segmented: Any) -> None:
    from MyoPSSegmenterLib.Scene.SceneBridge import worldFromVoxel

    quantify, correction = segmented.logic.myops.quantify, segmented.logic.myops.correction
    interaction = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLInteractionNode")
    middle = correction.case.geometry.array_shape[0] // 2
    assert not segmented.ui.inferiorButton.enabled
    quantify.placeLandmark("inferior")  # a script that asks too early
    assert quantify.placingLandmark is None
    for button, point, row in (
        ("insertionButton", quantify._clicked.points["anterior"], 10.0),
        ("inferiorButton", quantify._clicked.points["inferior"], 30.0),
    ):
        getattr(segmented.ui, button).click()
        assert getattr(segmented.ui, button).checked
        place = worldFromVoxel(correction.case, middle, row, 12.0)
        point.node.AddControlPointWorld(vtk.vtkVector3d(*place))
        interaction.SwitchToViewTransformMode()  # as the views do after the point
        assert not getattr(segmented.ui, button).checked
    landmarks = quantify.landmarks
    assert landmarks.anterior_insertion.row == pytest.approx(10.0)
    assert landmarks.inferior_insertion.row == pytest.approx(30.0)
    # The anterior point is dragged: the other one stays.
    dragged = worldFromVoxel(correction.case, middle, 11.0, 12.0)
    quantify.setLandmarkAt("anterior", dragged)
    assert quantify.landmarks.inferior_insertion == landmarks.inferior_insertion
    segmented.ui.landmarksAutomaticButton.click()
    assert quantify.landmarks is None
    assert quantify._clicked.points["inferior"].node is None


@pytest.mark.parametrize("button", ["insertionButton", "inferiorButton", "apexButton"])
def test_leaving_the_module_ends_the_click_for_the_insertion(segmented: Any, button: str) -> None:
    from myops.quantify.regional.orientation import Landmark, Landmarks

    interaction = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLInteractionNode")
    quantify = segmented.logic.myops.quantify
    if button == "inferiorButton":
        quantify.setLandmarks(Landmarks(anterior_insertion=Landmark(3, 10.0, 12.0)))
        segmented.workflow.update()
    getattr(segmented.ui, button).click()
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    segmented.exit()
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform


def test_the_bulls_eye_shows_another_quantity(segmented: Any) -> None:
    box = segmented.ui.bullsEyeSelector
    box.setCurrentIndex(box.findData("transmurality"))
    assert segmented.logic.myops.quantify.bullsEyeQuantity == "transmurality"


def test_a_chart_that_another_module_shows_does_not_replace_the_bulls_eye(
    panel: Any, sceneWithLogics: Any
) -> None:
    from MyoPSSegmenterLib.Panels.QuantifyPanel import VIEWS

    scene, step = sceneWithLogics.scene, panel.workflow.panels["quantify"]
    parents: list[Any] = []

    def added(_scene: Any, _event: Any, node: Any) -> None:
        if node.IsA("vtkMRMLPlotViewNode"):
            parents.append(node.GetParentLayoutNode())

    added.CallDataType = vtk.VTK_OBJECT  # type: ignore[attr-defined]
    tag = scene.AddObserver(scene.NodeAddedEvent, added)
    ours = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", "ours")
    step._showChart("bullsEyeView", ours)
    scene.RemoveObserver(tag)
    assert len(parents) == 1
    assert parents[0] is not None  # else Slicer makes a second widget for the view
    foreign = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", "foreign")
    selection = scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    selection.SetActivePlotChartID(foreign.GetID())
    sceneWithLogics.applicationLogic.PropagatePlotChartSelection()
    view = scene.GetSingletonNode(VIEWS["bullsEyeView"], "vtkMRMLPlotViewNode")
    assert view.GetPlotChartNodeID() == ours.GetID()


def test_the_tables_show_all_of_their_first_column_and_no_row_numbers(segmented: Any) -> None:
    pump(segmented, lambda: segmented.logic.myops.quantify.measurements is not None)
    for name in ("massTable", "methodsTable"):
        table = getattr(segmented.ui, name)
        assert table.columnWidth(0) >= table.sizeHintForColumn(0) > 0
        assert table.verticalHeader().isHidden()
    rows = segmented.ui.massTable.model().rowCount()
    assert rows * 24 + 30 <= segmented.ui.massTable.minimumHeight


def test_the_bulls_eye_stays_round_when_the_panel_is_made_wider(
    panel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, fitted = panel.workflow.panels["quantify"], []
    monkeypatch.setattr(step, "_fit", lambda: fitted.append(panel.ui.bullsEyeView.width))
    panel.ui.bullsEyeView.resize(500, 300)
    panel.workflow._tick()
    panel.workflow._tick()
    assert fitted == [500]


# Step 5


@pytest.fixture
def patients(tmp_path: Path, phantomFolder: Path) -> Path:
    """Give a folder with two patients."""
    for name in ("anna", "bert"):
        shutil.copytree(phantomFolder, tmp_path / "patients" / name)
    return tmp_path / "patients"


def openStudy(panel: Any, folder: Path) -> None:
    panel.ui.readerEdit.setText("AB")
    panel.ui.studyFolderEdit.setCurrentPath(str(folder))
    panel.ui.openStudyButton.click()
    pump(panel, lambda: panel.ui.caseTable.rowCount > 0)


def test_a_case_list_waits_for_a_reader_and_a_folder(panel: Any, patients: Path) -> None:
    button = panel.ui.openStudyButton
    assert "initials" in button.toolTip
    panel.ui.readerEdit.setText("AB")
    assert not button.enabled
    assert "folder" in button.toolTip
    panel.ui.studyFolderEdit.setCurrentPath(str(patients))
    assert button.enabled


def test_the_case_list_is_walked_through(panel: Any, patients: Path) -> None:
    openStudy(panel, patients)
    assert panel.ui.caseTable.rowCount == 2
    assert "new" in panel.ui.caseTable.item(0, 1).text()
    assert not panel.ui.previousButton.enabled
    panel.ui.nextButton.click()
    assert panel.logic.myops.study.index == 0
    assert panel.ui.lgeSelector.currentNode() is not None
    assert not panel.ui.previousButton.enabled
    panel.ui.nextButton.click()
    assert panel.logic.myops.study.index == 1
    assert not panel.ui.nextButton.enabled
    assert panel.ui.nextButton.toolTip == "This is the last patient."
    panel.ui.previousButton.click()
    assert panel.logic.myops.study.index == 0
    assert "Waits for a segmentation" in panel.ui.approveButton.toolTip


def test_a_row_that_the_user_marks_stays_marked_when_the_case_is_saved(
    panel: Any, patients: Path
) -> None:
    openStudy(panel, patients)
    panel.ui.nextButton.click()
    table = panel.ui.caseTable
    assert table.currentRow() == 0
    table.selectRow(1)
    panel.logic.myops.events.emit("study")  # as every autosave does
    assert table.currentRow() == 1


def test_the_cursor_says_that_a_patient_is_being_opened(
    panel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[bool] = []

    def note(_row: int) -> None:
        shown.append(bool(slicer.app.cursors))

    monkeypatch.setattr(panel.logic.myops.study, "open", note)
    panel.ui.caseTable.cellDoubleClicked.emit(0, 0)
    assert shown == [True]
    assert slicer.app.cursors == []


def test_the_case_list_stands_first_while_a_study_is_open(panel: Any, patients: Path) -> None:
    layout, ui = panel.workflow.root.layout(), panel.ui
    assert layout.indexOf(ui.studySection) > layout.indexOf(ui.quantifySection)
    openStudy(panel, patients)
    assert layout.indexOf(ui.studySection) < layout.indexOf(ui.patientSection)
    panel.logic.myops.study.clear()
    assert layout.indexOf(ui.studySection) > layout.indexOf(ui.quantifySection)
    assert layout.indexOf(ui.studySection) < layout.indexOf(ui.exportSection)


def test_the_time_on_a_patient_is_shown(panel: Any, patients: Path) -> None:
    openStudy(panel, patients)
    panel.ui.caseTable.cellDoubleClicked.emit(1, 0)
    assert panel.logic.myops.study.index == 1
    panel.workflow.panels["study"].showTime()
    assert re.match(r"Time on this patient: \d+ s · 0 clicks", panel.ui.timingLabel.text)
    assert "study.csv" in panel.ui.savedLabel.text


# Step 6


def test_export_waits_for_a_folder_and_a_kind_of_file(segmented: Any, tmp_path: Path) -> None:
    button = segmented.ui.exportButton
    assert "folder" in button.toolTip
    segmented.ui.exportFolderEdit.setCurrentPath(str(tmp_path))
    assert button.enabled
    for box in boxes(segmented):
        box.setChecked(False)
    assert "tick at least one" in button.toolTip


def boxes(panel: Any) -> list[Any]:
    names = ("segmentation", "nifti", "csv", "json", "html", "pdf")
    return [getattr(panel.ui, f"{name}CheckBox") for name in names]


def test_export_writes_what_is_ticked(segmented: Any, tmp_path: Path) -> None:
    for box in boxes(segmented)[4:]:
        box.setChecked(False)
    segmented.ui.exportFolderEdit.setCurrentPath(str(tmp_path))
    segmented.ui.exportButton.click()
    assert not segmented.ui.exportButton.enabled
    pump(segmented, lambda: segmented.ui.openFolderButton.enabled)
    written = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert {".nrrd", ".gz", ".csv", ".json"} <= written
    assert not {".html", ".pdf"} & written
    assert "Written" in segmented.ui.exportLabel.text
    assert segmented.ui.exportButton.enabled


# Errors


def test_a_wrong_input_is_a_message_and_not_a_window(panel: Any, windows: Any) -> None:

    def fail() -> None:
        raise InputError("expected this, found that; do so")

    first = panel.workflow.panels["patient"]
    first._guarded(fail)()
    assert panel.ui.statusLabel.text == "expected this, found that; do so"
    assert windows.errors == []


def test_an_unexpected_error_is_a_window_and_the_panel_goes_on(panel: Any, windows: Any) -> None:
    def fail() -> None:
        raise KeyError("oops")

    # Slicer shows the window and hands the error on: the console has the traceback.
    with pytest.raises(KeyError):
        panel.workflow.panels["patient"]._guarded(fail)()
    assert windows.errors == ["This did not work.\n\n'oops'"]
    windows.errors.clear()
    assert panel.ui.loadFolderButton.enabled


# Beginning and ending


def test_the_worker_gets_four_fifths_of_the_time_while_it_works_and_the_timer_rests_after(
    panel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pump(panel, lambda: not panel.logic.myops.work.isBusy)
    panel.workflow._tick()
    timer, given = panel.workflow._timer, []
    assert (timer.interval, timer.active) == (30, True)
    gate, poll = threading.Event(), panel.logic.myops.poll
    monkeypatch.setattr(panel.logic.myops, "poll", lambda giveMs=0: given.append(giveMs))
    panel.logic.myops.work.submit("long", lambda progress, cancelled: gate.wait(30))
    panel.workflow._tick()
    assert (timer.interval, given) == (10, [8])
    gate.set()
    monkeypatch.setattr(panel.logic.myops, "poll", poll)
    pump(panel, lambda: not panel.logic.myops.work.isBusy)
    assert timer.interval == 30


def test_work_goes_on_under_an_event_loop_that_holds_the_interpreter(panel: Any) -> None:
    """Qt's loop in Slicer keeps the interpreter while it waits, as a call through PyDLL does."""
    if sys.platform == "win32":
        pytest.skip("usleep is a function of POSIX")
    hold = ctypes.PyDLL(None).usleep
    pump(panel, lambda: not panel.logic.myops.work.isBusy)
    shares = {}

    def share(seconds: float, ended: threading.Event) -> float:
        """Of the time, what the thread was at work."""
        began, worked = time.monotonic(), time.thread_time()
        while not ended.is_set() and time.monotonic() - began < seconds:
            sum(range(300))
        return (time.thread_time() - worked) / (time.monotonic() - began)

    for kind, wait in (("free", lambda: time.sleep(0.002)), ("held", lambda: hold(2000))):
        ended = threading.Event()
        task = panel.logic.myops.work.submit(
            kind, lambda progress, cancelled, ended=ended: share(1.0, ended)
        )
        end = time.monotonic() + 30
        while not task.isOver and time.monotonic() < end:
            wait()  # type: ignore[no-untyped-call]
            panel.workflow._tick()
        ended.set()
        shares[kind] = task.result
    # Given 5 of every 30 ms, as before, it would be a sixth.
    assert shares["held"] > 0.45 * shares["free"]


def test_a_failure_in_the_background_is_said_once_and_the_panel_goes_on(
    panel: Any, windows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(giveMs: float = 0) -> None:
        raise RuntimeError("oops")

    monkeypatch.setattr(panel.logic.myops, "poll", fail)
    panel.workflow._tick()
    assert panel.ui.statusLabel.text == "Something failed: oops"
    assert windows.errors == []


def test_a_moved_mouse_counts_as_activity(panel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    touched: list[int] = []
    monkeypatch.setattr(panel.logic.myops.study, "activity", lambda: touched.append(1))
    for place in ((5, 5), (5, 5), (9, 9)):
        QtGui.QCursor.setPos(*place)
        panel.workflow._ticked = 0.0
        panel.workflow._tick()
    assert len(touched) == 2


def test_nothing_observes_listens_or_runs_after_cleanup(segmented: Any, windows: Any) -> None:
    segmented.ui.addButton.click()
    logic = segmented.logic.myops
    parts = [logic, *vars(logic).values(), segmented.workflow]
    parts += [*segmented.workflow.panels.values(), segmented.workflow.shortcuts]
    parts = [part for part in parts if part is not slicer.mrmlScene]
    left = {type(part).__name__: weakref.ref(part) for part in parts}
    events = logic.events
    closePanel(segmented)
    assert events.listeners == 0
    assert segmented.Observations == []
    segmented.ui = segmented.logic = None
    # A stand-in's own observers are not those of the panel.
    forgetObservers()
    del parts, logic
    gc.collect()
    # VTK keeps what observes a node alive: what is gone does not observe.
    assert [name for name, found in left.items() if found() is not None and name != "Events"] == []
    assert not any("MyoPS" in thread.name for thread in threading.enumerate())
    segmented.logic = SimpleNamespace(myops=SimpleNamespace(events=events))


def test_a_reload_takes_the_patient_over(loaded: Any, windows: Any) -> None:
    volumes = dict(loaded.logic.myops.patient.volumes)
    closePanel(loaded)
    again = openPanel()
    assert again.logic.myops.patient.volumes == volumes
    assert enabledSteps(again) == {"patient", "automatic", "study"}
    assert again.logic.myops.events.failures == []
    closePanel(again)


def test_a_reload_reads_our_own_packages_again(panel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    reloaded: list[str] = []
    monkeypatch.setattr(slicer.util, "reloadScriptedModule", reloaded.append)
    kept = {
        n: m for n, m in sys.modules.copy().items() if n.startswith(("myops", "MyoPSSegmenterLib"))
    }
    try:
        panel.onReload()
        assert reloaded == ["MyoPSSegmenter"]
        assert not [n for n in sys.modules if n.startswith(("myops.", "MyoPSSegmenterLib"))]
    finally:
        sys.modules.update(kept)


def test_a_module_that_is_reloaded_while_it_is_open_is_ready_at_once(
    windows: Any, phantomFolder: Path
) -> None:
    import MyoPSSegmenter

    parent = emptyParent()
    parent.isEntered = True  # what Slicer knows; `reloadScriptedModule` calls `setup` alone
    made = MyoPSSegmenter.MyoPSSegmenterWidget(parent)
    made.setup()
    made.logic.myops.patient.loadFolder(phantomFolder)
    made.ui.t2Selector.setCurrentNode(None)
    assert set(made.logic.myops.patient.volumes) == {"lge", "bssfp"}
    assert len(shortcutsOf(made)) == 17
    closePanel(made)


def test_visits_of_the_module_share_one_wrapper_of_the_parameters(panel: Any) -> None:
    first = panel.workflow.panels["patient"].parameters
    panel.exit()
    panel.enter()
    assert panel.workflow.panels["patient"].parameters is first
    slicer.mrmlScene.Clear(0)
    second = panel.workflow.panels["patient"].parameters
    assert second.parameterNode.GetScene() is slicer.mrmlScene


def test_setup_and_cleanup_without_ever_entering(windows: Any) -> None:
    made = openPanel(enter=False)
    assert shortcutsOf(made) == []
    made.cleanup()
    closePanel(made)


# Sample data and the self-test


def test_the_sample_patient_is_offered_and_chosen_in_the_open_panel(
    panel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import MyoPSSegmenter

    offered: dict[str, Any] = {}
    sampleData = SimpleNamespace(
        SampleDataLogic=SimpleNamespace(
            registerCustomSampleDataSource=lambda **source: offered.update(source)
        )
    )
    monkeypatch.setitem(sys.modules, "SampleData", sampleData)
    monkeypatch.setattr(slicer.modules, "MyoPSSegmenterWidget", panel, raising=False)
    MyoPSSegmenter.registerSampleData()
    assert Path(offered["thumbnailFileName"]).is_file()
    nodes = offered["customDownloader"](None)
    assert set(nodes) == set(panel.logic.myops.patient.volumes.values())
    assert "automatic" in enabledSteps(panel)


def test_a_sample_patient_loaded_before_the_panel_is_chosen_and_shown_when_it_opens(
    windows: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from MyoPSSegmenterLib import SampleData
    from MyoPSSegmenterLib.Scene.Views import isShown

    monkeypatch.setattr(SampleData, "cacheFolder", lambda scene: tmp_path)
    nodes = SampleData.loadSamplePatient(slicer.mrmlScene, tmp_path)
    made = openPanel()
    assert made.logic.myops.patient.volumes == nodes
    assert isShown(slicer.mrmlScene, nodes)
    assert "chosen" in made.ui.statusLabel.text
    made.ui.sampleButton.click()
    pump(made, lambda: not made.logic.myops.work.isBusy)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 3
    closePanel(made)


@pytest.mark.slow
def test_the_modules_own_test_passes(
    panel: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import MyoPSSegmenter

    slicer.app.temporaryPath = str(tmp_path)
    monkeypatch.setattr(slicer.util, "getModuleWidget", lambda name: panel, raising=False)
    MyoPSSegmenter.MyoPSSegmenterTest().runTest()


def test_the_modules_own_test_says_that_it_was_skipped_without_torch(
    panel: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import MyoPSSegmenter
    from MyoPSSegmenterLib.Runtime import Dependencies

    slicer.app.temporaryPath = str(tmp_path)
    monkeypatch.setattr(slicer.util, "getModuleWidget", lambda name: panel, raising=False)
    monkeypatch.setattr(Dependencies, "isInstalled", lambda name: False)
    with pytest.raises(unittest.SkipTest, match="PyTorch"):
        MyoPSSegmenter.MyoPSSegmenterTest().runTest()


# Packages that are missing


def test_without_torch_the_panel_opens_and_says_what_is_missing(
    phantomFolder: Path, tmp_path: Path
) -> None:
    code = f"""
import sys
from importlib.machinery import PathFinder
sys.path[:0] = [{str(HERE)!r}, {str(HERE.parents[1] / "MyoPSSegmenter")!r}]

class Finder:
    def find_spec(self, name, path=None, target=None):
        hidden = ("torch", "safetensors", "segment_anything", "matplotlib", "jinja2")
        if name.partition(".")[0] in hidden:
            return None
        return PathFinder.find_spec(name, path, target)

sys.meta_path = [Finder() if one is PathFinder else one for one in sys.meta_path]
from made_scene import Scene
from standins.desktop import closePanel, desktop, openPanel
holder = Scene({str(tmp_path)!r})
with desktop(holder.scene) as windows:
    panel = openPanel()
    panel.logic.myops.patient.loadFolder({str(phantomFolder)!r})
    ui, root = panel.ui, panel.workflow.root
    print(ui.installFrame.isVisibleTo(root), ui.automaticSection.enabled)
    print(ui.installLabel.text)
    print(ui.automaticSection.toolTip)
    print(ui.pdfCheckBox.toolTip, "|", ui.csvCheckBox.toolTip)
    print(len(panel.logic.myops.events.failures), len(windows.errors), "torch" in sys.modules)
    closePanel(panel)
holder.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0] == "True False"
    assert "PyTorch (automatic segmentation and clicks)" in said[1]
    assert "segment-anything" not in said[1]
    assert "press Install" in said[2]
    pdf, csv = said[3].split("|")
    assert "not installed" in pdf
    assert "not installed" not in csv
    assert said[4] == "0 0 False"


def test_the_install_button_shows_progress_and_then_frees_the_steps(
    loaded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from MyoPSSegmenterLib.Runtime import Dependencies

    absent = {"torch"}
    monkeypatch.setattr(Dependencies, "isInstalled", lambda name: name not in absent)
    loaded.workflow.update()
    assert not loaded.ui.automaticSection.enabled
    seen: list[str] = []

    def install(progress: Callable[[float, str], None]) -> None:
        progress(0.5, "PyTorch")
        bar = loaded.ui.installProgress
        seen.append(f"{bar.isVisibleTo(loaded.workflow.root)} {bar.value} {bar.maximum}")
        seen.append(loaded.ui.statusLabel.text)
        absent.clear()

    monkeypatch.setattr(Dependencies, "install", install)
    loaded.ui.installButton.click()
    assert seen == ["True 500 1000", "Installing PyTorch…"]
    assert not loaded.ui.installFrame.isVisibleTo(loaded.workflow.root)
    assert loaded.ui.automaticSection.enabled


def test_a_failed_installation_is_said_in_plain_words(
    panel: Any, windows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from MyoPSSegmenterLib.Runtime import Dependencies

    def install(progress: Callable[[float, str], None]) -> None:
        raise InputError("The internet cannot be reached; press Install again.")

    monkeypatch.setattr(Dependencies, "isInstalled", lambda name: False)
    monkeypatch.setattr(Dependencies, "install", install)
    panel.workflow.update()
    panel.ui.installButton.click()
    assert panel.ui.statusLabel.text == "The internet cannot be reached; press Install again."
    assert panel.ui.installButton.enabled
    assert not panel.ui.installProgress.isVisibleTo(panel.workflow.root)
    assert windows.errors == []


@pytest.mark.parametrize(
    ("theme", "backgrounds"), [("light", ("#ffffff", "#ececec")), ("dark", ("#353535", "#2a2a2a"))]
)
def test_sentences_can_be_read_on_both_themes_of_slicer(
    panel: Any, theme: str, backgrounds: tuple[str, ...]
) -> None:
    from MyoPSSegmenterLib.Panels.Panel import INK, inkOn

    palette = QtGui.QPalette(QtGui.QColor(backgrounds[-1]))
    widget = panel.workflow.root
    widget.setPalette(palette)
    for mood in set(INK) - {"plain"}:
        ink = inkOn(widget, mood)
        assert ink == INK[mood][theme == "dark"]
        assert min(contrast(ink, background) for background in backgrounds) >= 4.5, mood


# Pictures


def test_the_panel_is_drawn_to_a_picture(panel: Any, tmp_path: Path) -> None:
    path = renderPanel(tmp_path / "panel.png", panel)
    image = QtGui.QImage(str(path))
    assert (image.width(), image.height() > 300) == (480, True)
    part = QtGui.QImage(str(renderPanel(tmp_path / "part.png", panel, "patientSection")))
    assert part.height() < image.height()

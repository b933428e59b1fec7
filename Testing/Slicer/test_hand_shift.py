"""A reader lays a sequence on the reference by hand: seen at once, kept, recorded, taken back."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import vtk
from circle_heart import circle_case, sitk_image
from circle_patient import load, paint, segment

from myops.case import images_sha256
from myops.errors import InputError
from myops.slice_registration import find_shifts
from MyoPSSegmenterLib.Scene.SceneBridge import imageFromVolume, volumeFromImage
from MyoPSSegmenterLib.Steps.Autosave import QUIET_S

TIMEOUT_S = 60.0


def kinds(logic: Any) -> list[str]:
    logic.patient.imageChecks()
    logic.work.waitForAll(TIMEOUT_S)
    return [one.kind for one in logic.patient.imageChecks()]


def laidBySearch(logic: Any, rightMm: float) -> None:
    """As if Align had moved the T2 to the right."""
    from myops.registration import Alignment

    right = rightMm * logic.patient.case.geometry.axes[0]
    found = Alignment("t2", tuple(right), abs(rightMm), 0.1, 0.2, "t2: moved.")
    logic.patient._take(logic.patient.volumes["t2"], found)


def test_right_and_down_are_those_of_the_view(logic: Any) -> None:
    load(logic)
    before, spacing = logic.patient.case.images["t2"], logic.patient.case.geometry.spacing_mm
    logic.patient.shift("t2", 3 * spacing[0], -2 * spacing[1])
    after = logic.patient.case.images["t2"]
    # The canonical grid is what a view shows: columns to the right, rows down.
    assert after[:, 10:-12, 13:-10] == pytest.approx(before[:, 12:-10, 10:-13], rel=1e-4)
    shift = logic.patient.shiftOf("t2")
    assert (shift.rightMm, shift.downMm, shift.byHand) == (
        pytest.approx(3 * spacing[0]),
        pytest.approx(-2 * spacing[1]),
        True,
    )
    # Views show volumes where their transforms place them.
    assert logic.patient.volumes["t2"].GetParentTransformNode().GetName() == "T2 alignment"


def test_the_measurements_and_the_warnings_say_by_whom_and_whether_it_is_better(logic: Any) -> None:
    load(logic)
    spoiled = logic.patient.case.geometry.spacing_mm[0] * 4
    header = logic.patient.volumes["t2"]
    image = imageFromVolume(header)
    image.SetOrigin([value + spoiled * (axis == 0) for axis, value in enumerate(image.GetOrigin())])
    moved = volumeFromImage(logic.scene, image, "T2 beside")
    logic.patient.setVolumes(**{**logic.patient.volumes, "t2": moved})
    beside, refused = find_shifts(logic.patient.case, "t2")
    assert refused == ""
    across, down = beside.mean(axis=0)
    logic.patient.shift("t2", -across, -down)
    segment(logic)
    logic.quantify.measureNow()
    logic.work.waitForAll(TIMEOUT_S)
    (one,) = logic.quantify.measurements.registrations
    told = one.to_dict()
    assert (one.sequence, told["by"], told["moved"]) == ("t2", "hand", True)
    assert told["mean_shift_mm"] == pytest.approx(math.hypot(across, down), abs=1e-3)
    assert told["mutual_information_after"] > 1.2 * told["mutual_information_before"]
    assert "by hand" in told["note"]
    assert [text for text in logic.patient.case.warnings if "t2: moved onto lge by hand" in text]
    # Said once in the panel, with its Undo.
    assert kinds(logic).count("moved") == 1
    assert "image" not in kinds(logic)


def test_no_search_replaces_what_was_moved_by_hand(logic: Any) -> None:
    load(logic)
    logic.patient.shift("t2", 9.0, 0.0)
    assert logic.patient.align("t2") is None
    assert "moved by hand: undo that first" in logic.said[-1][1]
    found = [one for one in logic.patient.imageChecks() if one.kind == "misalignment"]
    kinds(logic)
    found = [one for one in logic.patient.imageChecks() if one.kind == "misalignment"]
    assert [one.resolvable for one in found] == [False]
    assert logic.patient.shiftOf("t2").rightMm == pytest.approx(9.0)


def test_a_change_in_the_transforms_module_counts_as_by_hand(logic: Any) -> None:
    load(logic)
    laidBySearch(logic, 4.0)
    assert not logic.patient.shiftOf("t2").byHand
    assert [one.by_hand for one in logic.patient.case.registrations] == [False]
    transform = logic.patient.volumes["t2"].GetParentTransformNode()
    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToParent(matrix)
    matrix.SetElement(1, 3, matrix.GetElement(1, 3) + 2.0)
    transform.SetMatrixTransformToParent(matrix)
    assert logic.patient.shiftOf("t2").byHand
    assert logic.patient.align("t2") is None


def test_undo_goes_back_to_what_the_search_found_and_then_to_the_header(logic: Any) -> None:
    load(logic)
    header = imageFromVolume(logic.patient.volumes["t2"]).GetOrigin()
    laidBySearch(logic, 4.0)
    found = imageFromVolume(logic.patient.volumes["t2"]).GetOrigin()
    for right in (6.0, 7.5, 8.0):  # as a spin box is turned
        logic.patient.shift("t2", right, 1.0)
    (check,) = [one for one in logic.patient.imageChecks() if one.undoable]
    assert check.kind == "moved"
    assert "8.0 mm to the right, 1.0 mm down" in check.text
    logic.patient.revert(check)
    assert imageFromVolume(logic.patient.volumes["t2"]).GetOrigin() == found
    (check,) = [one for one in logic.patient.imageChecks() if one.undoable]
    assert (check.kind, "4.0 mm" in check.text) == ("aligned", True)
    logic.patient.revert(check)
    assert imageFromVolume(logic.patient.volumes["t2"]).GetOrigin() == header
    assert logic.patient.case.registrations == ()


def test_a_transform_that_the_user_deletes_is_a_shift_taken_back(logic: Any) -> None:
    load(logic)
    header = imageFromVolume(logic.patient.volumes["t2"]).GetOrigin()
    logic.patient.shift("t2", 3.0, 0.0)
    logic.scene.RemoveNode(logic.patient.volumes["t2"].GetParentTransformNode())
    logic.poll()
    assert imageFromVolume(logic.patient.volumes["t2"]).GetOrigin() == header
    assert logic.patient.case.registrations == ()
    logic.patient.shift("t2", 2.0, 0.0)
    assert logic.patient.shiftOf("t2").rightMm == pytest.approx(2.0)


def test_a_shift_of_nothing_leaves_no_transform(logic: Any) -> None:
    load(logic)
    logic.patient.shift("t2", 2.0, 0.0)
    logic.patient.shift("t2", 0.0, 0.0)
    assert logic.scene.GetNumberOfNodesByClass("vtkMRMLLinearTransformNode") == 0
    assert logic.patient.case.registrations == ()


def test_a_reader_may_hold_the_header_against_the_search(logic: Any) -> None:
    load(logic)
    header = logic.patient.case.images["t2"]
    laidBySearch(logic, 3.0)
    logic.patient.shift("t2", 0.0, 0.0)
    assert logic.patient.case.images["t2"] == pytest.approx(header, rel=1e-4)
    assert logic.patient.align("t2") is None  # nor does a search move it again
    assert "moved by hand: undo that first" in logic.said[-1][1]
    saved = logic.patient.alignments()
    (check,) = [one for one in logic.patient.imageChecks() if one.undoable]
    assert check.kind == "moved"
    logic.patient.revert(check)  # back to what the search found
    assert logic.patient.shiftOf("t2").rightMm == pytest.approx(3.0)
    assert not logic.patient.shiftOf("t2").byHand
    logic.patient.restoreAlignments(saved)
    assert logic.patient.shiftOf("t2").isNone
    assert logic.patient.shiftOf("t2").byHand


@pytest.mark.parametrize("far", [51.0, math.nan, math.inf])
def test_a_shift_beyond_any_breath_is_refused(logic: Any, far: float) -> None:
    load(logic)
    with pytest.raises(InputError, match="expected a shift of at most 50 mm"):
        logic.patient.shift("t2", far, 0.0)
    assert logic.patient.shiftOf("t2").isNone
    logic.patient.shift("lge", 3.0, 0.0)  # the reference
    assert "second sequence" in logic.said[-1][1]


def test_a_copy_on_the_references_grid_remembers_how_it_came_there(logic: Any) -> None:
    load(logic)
    logic.patient.shift("t2", 3.0, 0.0)
    logic.patient.resample("t2")
    (one,) = logic.patient.case.registrations
    assert (one.by_hand, one.lengths_mm[0]) == (True, pytest.approx(3.0))
    logic.patient.shift("t2", 1.0, 0.0)  # the copy, further
    assert logic.patient.case.registrations[0].lengths_mm[0] == pytest.approx(4.0)


def test_a_saved_scene_brings_the_shift_back_as_the_readers(logic: Any, tmp_path: Path) -> None:
    load(logic)
    logic.patient.shift("t2", 3.0, -2.0)
    images = dict(logic.patient.case.images)
    for key, node in logic.patient.volumes.items():
        storage = logic.scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
        storage.SetFileName(str(tmp_path / f"{key}.nrrd"))
        node.SetAndObserveStorageNodeID(storage.GetID())
        assert storage.WriteData(node)
    transform = logic.patient.volumes["t2"].GetParentTransformNode()
    storage = logic.scene.AddNewNodeByClass("vtkMRMLTransformStorageNode")
    storage.SetFileName(str(tmp_path / "t2.h5"))
    transform.SetAndObserveStorageNodeID(storage.GetID())
    assert storage.WriteData(transform)
    logic.scene.SetURL(str(tmp_path / "scene.mrml"))
    assert logic.scene.Commit()
    logic.scene.Clear(0)
    logic.scene.SetURL(str(tmp_path / "scene.mrml"))
    assert logic.scene.Connect()
    assert np.allclose(logic.patient.case.images["t2"], images["t2"], rtol=1e-5)
    assert logic.patient.shiftOf("t2").byHand
    assert logic.patient.shiftOf("t2").rightMm == pytest.approx(3.0, abs=1e-4)


def test_the_case_list_brings_the_shift_and_the_work_on_it_back(logic: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for key, kind in {"lge": "DE", "bssfp": "C0", "t2": "T2"}.items():
            image = sitk_image(circle_case().images[key])
            sitk.WriteImage(image, str(tmp_path / name / f"heart_{kind}.nii.gz"))
    logic.work.waitFor(logic.study.openFolder(tmp_path, "ab"), TIMEOUT_S)
    logic.study.open(0)
    logic.patient.shift("t2", 3.2, -1.7)
    segment(logic)
    painted, segmented = paint(logic), images_sha256(logic.correction.case)
    logic.correction.adoptNodeEdits()
    logic.patient.shift("t2", 5.0, -1.7)  # seen only: the segmentation is not made anew
    logic.poll()
    assert "segment again (step 2)" in logic.said[-1][1]
    shown = images_sha256(logic.patient.case)
    logic.study.next()
    assert logic.patient.shiftOf("t2").isNone
    logic.study.previous()
    assert images_sha256(logic.patient.case) == shown != segmented
    assert np.array_equal(logic.correction.labels, painted)
    assert images_sha256(logic.correction.case) == segmented
    assert logic.patient.shiftOf("t2").byHand
    values = json.loads((logic.study.caseFolder(0) / "case.json").read_text("utf-8"))
    assert set(values["alignments"]) == set(values["segmented_alignments"]) == {"t2"}
    # The numbers are those of the images that were segmented.
    logic.quantify.measureNow()
    logic.work.waitForAll(TIMEOUT_S)
    (one,) = logic.quantify.measurements.registrations
    assert one.lengths_mm[0] == pytest.approx(math.hypot(3.2, 1.7))


def test_a_shift_alone_is_saved_in_the_case_list(logic: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for key, kind in {"lge": "DE", "t2": "T2"}.items():
            image = sitk_image(circle_case().images[key])
            sitk.WriteImage(image, str(tmp_path / name / f"heart_{kind}.nii.gz"))
    logic.work.waitFor(logic.study.openFolder(tmp_path, "ab"), TIMEOUT_S)
    logic.study.open(0)
    logic.patient.shift("t2", 2.0, 0.0)
    time.sleep(QUIET_S + 0.05)
    logic.poll()
    logic.work.waitForAll(TIMEOUT_S)
    values = json.loads((logic.study.caseFolder(0) / "case.json").read_text("utf-8"))
    assert set(values["alignments"]) == {"t2"}
    logic.study.open(1)
    logic.study.open(0)
    assert logic.patient.shiftOf("t2").rightMm == pytest.approx(2.0)


def test_the_case_list_brings_back_the_shift_of_a_copy_on_the_references_grid(
    logic: Any, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    for key, kind in {"lge": "DE", "t2": "T2"}.items():
        image = sitk_image(circle_case().images[key])
        sitk.WriteImage(image, str(tmp_path / "a" / f"heart_{kind}.nii.gz"))
    logic.work.waitFor(logic.study.openFolder(tmp_path, "ab"), TIMEOUT_S)
    logic.study.open(0)
    logic.patient.shift("t2", 3.2, -1.7)
    logic.patient.resample("t2")
    segment(logic)
    painted, shown = paint(logic), images_sha256(logic.patient.case)
    logic.correction.adoptNodeEdits()
    logic.study.open(0)
    assert images_sha256(logic.patient.case) == shown
    assert np.array_equal(logic.correction.labels, painted)
    logic.patient.resample("t2")
    logic.patient.shift("t2", 1.0, 0.5)  # the copy, further
    logic.study.open(0)
    assert np.array_equal(logic.correction.labels, painted)
    shift = logic.patient.shiftOf("t2")
    assert (shift.rightMm, shift.downMm) == (pytest.approx(4.2), pytest.approx(-1.2))


def test_a_copy_that_the_search_moved_further_is_saved_as_the_searchs(logic: Any) -> None:
    load(logic)
    laidBySearch(logic, 4.0)
    logic.patient.resample("t2")
    laidBySearch(logic, 2.0)
    saved = logic.patient.alignments()
    assert saved["t2"]["found"] == saved["t2"]["matrix"]
    logic.patient.unresample("t2")
    logic.patient.restoreAlignments(saved)
    assert logic.patient.shiftOf("t2").rightMm == pytest.approx(6.0)
    assert not logic.patient.shiftOf("t2").byHand

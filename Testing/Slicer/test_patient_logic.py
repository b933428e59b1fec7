"""Volumes become a case, and what is wrong between them is found and mended."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk

from myops.case import load_case_folder
from myops.errors import InputError
from myops.info import describe
from MyoPSSegmenterLib.Runtime.BackgroundWork import BackgroundWork
from MyoPSSegmenterLib.Runtime.Events import Events
from MyoPSSegmenterLib.Scene.SceneBridge import imageFromVolume, volumeFromImage
from MyoPSSegmenterLib.Steps import PatientLogic as patient_logic
from MyoPSSegmenterLib.Steps.PatientLogic import PatientLogic


@pytest.fixture
def patient(scene: Any) -> Iterator[SimpleNamespace]:
    """Give a PatientLogic, what it emitted, and the way to make volumes."""
    events = Events()
    work = BackgroundWork(events)
    logic = PatientLogic(scene, events, work)
    emitted: list[str] = []
    messages: list[str] = []
    events.connect("patient", lambda: emitted.append("patient"))
    events.connect("message", lambda text, level: messages.append(text))
    yield SimpleNamespace(logic=logic, work=work, emitted=emitted, messages=messages, events=events)
    assert events.failures == []
    logic.close()
    work.close()


def checks(patient: SimpleNamespace) -> list[Any]:
    """What is found between the sequences, once the background has compared them."""
    patient.logic.imageChecks()
    patient.work.waitForAll()
    return patient.logic.imageChecks()


def volume(
    scene: Any, seed: int, shape: tuple[int, int, int] = (6, 40, 36), name: str = "volume"
) -> Any:
    array = np.random.default_rng(seed).normal(300, 80, shape).astype(np.float32)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.5, 1.5, 9.0))
    image.SetOrigin((-20.0, 15.0, 4.0))
    return volumeFromImage(scene, image, name)


def transform(scene: Any, node: Any, x: float = 0.0) -> Any:
    """Put a volume under a new transform that moves it to the right by x mm."""
    made = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    move(made, x)
    node.SetAndObserveTransformNodeID(made.GetID())
    return made


def move(node: Any, x: float) -> None:
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, x)
    node.SetMatrixTransformToParent(matrix)


def test_nothing_chosen_says_what_is_missing(patient: SimpleNamespace) -> None:
    assert patient.logic.case is None
    assert patient.logic.problem is None
    assert patient.logic.ready() == "Choose an LGE or a bSSFP volume."
    assert checks(patient) == []
    assert patient.logic.referenceNode is None


def test_a_folder_gives_the_case_of_the_command_line(
    patient: SimpleNamespace, phantomFolder: Path
) -> None:
    files = patient.logic.loadFolder(phantomFolder)
    expected = load_case_folder(phantomFolder)
    found = patient.logic.case
    assert set(files.sequences) == set(patient.logic.volumes) == {"bssfp", "lge", "t2"}
    assert patient.logic.ready() is None
    assert patient.logic.caseName == files.name
    for name in expected.sequences:
        assert (found.images[name] == expected.images[name]).all()
    assert found.geometry.is_same_grid(expected.geometry)
    assert patient.emitted == ["patient"]
    assert patient.logic.referenceNode is patient.logic.volumes["lge"]
    assert "LGE" in patient.logic.referenceNode.GetName()


def test_the_next_patient_takes_the_place_of_the_first(
    patient: SimpleNamespace, scene: Any, phantomFolder: Path
) -> None:
    own = volume(scene, 1)
    before = scene.GetNumberOfNodes()
    patient.logic.loadFolder(phantomFolder)
    once = scene.GetNumberOfNodes()
    patient.logic.loadFolder(phantomFolder)
    assert scene.GetNumberOfNodes() == once
    patient.logic.clear()
    assert scene.GetNumberOfNodes() == before
    assert scene.IsNodePresent(own)
    assert patient.logic.case is None


def test_a_folder_that_cannot_be_read_leaves_the_patient(
    patient: SimpleNamespace, phantomFolder: Path, tmp_path: Path
) -> None:
    patient.logic.loadFolder(phantomFolder)
    volumes, case = patient.logic.volumes, patient.logic.case
    with pytest.raises(InputError):
        patient.logic.loadFolder(tmp_path / "none")
    (tmp_path / "broken_DE.nii.gz").write_bytes(b"no image")
    with pytest.raises(InputError):
        patient.logic.loadFolder(tmp_path)
    assert patient.logic.volumes == volumes
    assert patient.logic.case is case


def test_the_case_is_made_once_and_again_when_voxels_change(
    patient: SimpleNamespace, scene: Any
) -> None:
    node = volume(scene, 1)
    patient.logic.setVolumes(lge=node)
    first = patient.logic.case
    node.SetName("another name")
    node.SetAttribute("any", "thing")
    assert patient.logic.case is first
    node.GetImageData().GetPointData().GetScalars().SetComponent(0, 0, 777.0)
    node.GetImageData().GetPointData().GetScalars().Modified()
    node.Modified()
    assert patient.logic.case is not first
    assert 777.0 in patient.logic.case.images["lge"]


def test_many_changes_of_a_transform_are_told_once_with_the_next_poll(
    patient: SimpleNamespace, scene: Any
) -> None:
    node = volume(scene, 1)
    patient.logic.setVolumes(lge=node)
    patient.emitted.clear()
    above = transform(scene, node)
    patient.work.poll()
    assert patient.emitted == []  # it moves nothing yet
    for x in (1.0, 2.0, 3.0):
        move(above, x)
    assert patient.emitted == []
    patient.work.poll()
    patient.work.poll()
    assert patient.emitted == ["patient"]
    assert patient.logic.case.geometry.origin_mm != ()
    scene.RemoveNode(above)
    patient.work.poll()
    assert patient.emitted == ["patient"] * 2


def test_the_case_is_in_world_coordinates(patient: SimpleNamespace, scene: Any) -> None:
    node = volume(scene, 1)
    patient.logic.setVolumes(lge=node)
    before = np.array(patient.logic.case.geometry.origin_mm)
    transform(scene, node, x=10.0)
    after = np.array(patient.logic.case.geometry.origin_mm)
    assert after - before == pytest.approx([-10.0, 0.0, 0.0])  # right is negative in LPS


@pytest.mark.parametrize("kind", ["twice", "flat", "t2"])
def test_volumes_that_make_no_case_are_a_sentence_and_no_error(
    patient: SimpleNamespace, scene: Any, kind: str
) -> None:
    node = volume(scene, 1)
    if kind == "twice":
        patient.logic.setVolumes(lge=node, t2=node)
        expected = "One volume is chosen as two sequences"
    elif kind == "flat":
        node.GetImageData().GetPointData().GetScalars().Fill(3.0)
        patient.logic.setVolumes(lge=node)
        expected = "expected"
    else:
        patient.logic.setVolumes(t2=node)
        expected = "Choose an LGE or a bSSFP"
    assert patient.logic.case is None
    assert expected in patient.logic.ready()
    assert checks(patient) == []


def test_a_transform_that_bends_is_a_problem_until_it_is_gone(
    patient: SimpleNamespace, scene: Any
) -> None:
    node = volume(scene, 1)
    patient.logic.setVolumes(lge=node)
    bent = scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
    grid = vtk.vtkThinPlateSplineTransform()
    bent.SetAndObserveTransformToParent(grid)
    node.SetAndObserveTransformNodeID(bent.GetID())
    patient.work.poll()
    if not bent.IsTransformToWorldLinear():
        assert "harden" in patient.logic.ready()
    node.SetAndObserveTransformNodeID(None)
    patient.work.poll()
    assert patient.logic.ready() is None


def test_sequences_can_be_swapped_and_moved(patient: SimpleNamespace, scene: Any) -> None:
    first, second = volume(scene, 1), volume(scene, 2)
    patient.logic.setVolumes(lge=first, t2=second)
    patient.logic.swap("lge", "t2")
    assert patient.logic.volumes == {"lge": second, "t2": first}
    patient.logic.swap("t2", "bssfp")
    assert patient.logic.volumes == {"bssfp": first, "lge": second}
    assert list(patient.logic.volumes) == ["bssfp", "lge"]
    patient.emitted.clear()
    patient.logic.swap("t2", "t2")
    assert patient.emitted == []


def test_a_removed_volume_is_forgotten(patient: SimpleNamespace, scene: Any) -> None:
    first, second = volume(scene, 1), volume(scene, 2)
    patient.logic.setVolumes(lge=first, t2=second)
    scene.RemoveNode(first)
    assert patient.logic.volumes == {"t2": second}
    assert patient.logic.case is None
    assert patient.logic.ready() is not None


def test_closing_the_scene_forgets_the_patient(patient: SimpleNamespace, scene: Any) -> None:
    patient.logic.setVolumes(lge=volume(scene, 1))
    patient.emitted.clear()
    scene.Clear(0)
    assert patient.logic.volumes == {}
    assert patient.logic.case is None
    assert patient.emitted == ["patient"]


def test_a_scene_that_is_opened_brings_its_patient_back(
    patient: SimpleNamespace, scene: Any, tmp_path: Path, phantomFolder: Path
) -> None:
    patient.logic.loadFolder(phantomFolder)
    name = patient.logic.caseName
    images = dict(patient.logic.case.images)
    for key, node in patient.logic.volumes.items():
        storage = scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
        storage.SetFileName(str(tmp_path / f"{key}.nrrd"))
        node.SetAndObserveStorageNodeID(storage.GetID())
        assert storage.WriteData(node)
    scene.SetURL(str(tmp_path / "scene.mrml"))
    assert scene.Commit()
    scene.Clear(0)
    scene.SetURL(str(tmp_path / "scene.mrml"))
    assert scene.Connect()
    assert patient.logic.caseName == name
    assert set(patient.logic.volumes) == set(images)
    for key, image in images.items():
        assert (patient.logic.case.images[key] == image).all()


def test_sequences_on_each_other_raise_no_check(
    patient: SimpleNamespace, phantomFolder: Path
) -> None:
    patient.logic.loadFolder(phantomFolder)
    assert [f for f in checks(patient) if f.kind == "grid"] == []


@pytest.mark.slow
def test_a_shifted_sequence_is_found_aligned_and_put_back(
    patient: SimpleNamespace, scene: Any, phantomFolder: Path
) -> None:
    patient.logic.loadFolder(phantomFolder)
    node, distance = patient.logic.volumes["t2"], re.compile(r"about (\d+) mm")
    patient.work.waitFor(patient.logic.align("t2"))  # what the phantom itself has
    start = imageFromVolume(node).GetOrigin()
    toRas = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(toRas)
    columns = np.array([[toRas.GetElement(i, j) for j in range(2)] for i in range(3)])
    shift = columns @ (9.0 / np.linalg.norm(columns[:, 0]), 0.0)
    for row in range(3):
        toRas.SetElement(row, 3, toRas.GetElement(row, 3) + shift[row])
    node.SetIJKToRASMatrix(toRas)

    found = [f for f in checks(patient) if f.kind == "misalignment"]
    assert [f.sequence for f in found] == ["t2"]
    assert found[0].resolvable
    # `myops info` says the same of the same images.
    hints = [text for text in describe(patient.logic.case)["hints"] if "lies about" in text]
    assert [distance.findall(text) for text in hints] == [distance.findall(found[0].text)]
    patient.work.waitFor(patient.logic.resolve(found[0]))
    assert "T2: moved by" in patient.messages[-1]
    back = np.array(imageFromVolume(node).GetOrigin())
    # Slices of this phantom lie up to 3 mm beside each other by themselves.
    assert np.linalg.norm(back - start) < 3.0
    assert node.GetParentTransformNode().GetName() == "T2 alignment"
    kinds = [f.kind for f in checks(patient) if f.sequence == "t2"]
    assert "aligned" in kinds and "misalignment" not in kinds

    aligned = next(f for f in checks(patient) if f.kind == "aligned")
    patient.logic.revert(aligned)
    assert node.GetParentTransformNode() is None
    assert scene.GetNumberOfNodesByClass("vtkMRMLLinearTransformNode") == 0


def test_an_alignment_keeps_the_transform_that_was_there(
    patient: SimpleNamespace, scene: Any
) -> None:
    from MyoPSSegmenterLib.Scene.AlignmentNodes import alignedByMm, moveInWorld, removeAlignment

    node = volume(scene, 1)
    turned = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "turned")
    rotation = vtk.vtkTransform()
    rotation.RotateZ(30)
    rotation.Translate(5, -3, 2)
    turned.SetMatrixTransformToParent(rotation.GetMatrix())
    node.SetAndObserveTransformNodeID(turned.GetID())
    before = np.array(imageFromVolume(node).GetOrigin())
    for _ in range(2):  # the second shift adds to the first
        moveInWorld(node, "t2", (3.0, -4.0, 0.0))
    assert np.array(imageFromVolume(node).GetOrigin()) - before == pytest.approx([6.0, -8.0, 0.0])
    assert alignedByMm(node) == pytest.approx([6.0, -8.0, 0.0])
    assert removeAlignment(node)
    assert not removeAlignment(node)
    assert node.GetParentTransformNode() is turned
    assert np.array(imageFromVolume(node).GetOrigin()) == pytest.approx(before)


def test_another_reference_ends_an_alignment(patient: SimpleNamespace, scene: Any) -> None:
    from MyoPSSegmenterLib.Scene.AlignmentNodes import alignmentOf, moveInWorld

    first, second, third = (volume(scene, seed) for seed in (1, 2, 3))
    patient.logic.setVolumes(bssfp=first, lge=second, t2=third)
    moveInWorld(third, "t2", (3.0, 0.0, 0.0))
    patient.logic.swap("bssfp", "t2")
    assert alignmentOf(third).GetName() == "bSSFP alignment"
    patient.logic.swap("lge", "t2")
    assert alignmentOf(third) is None


@pytest.mark.slow
def test_a_shift_found_for_what_is_gone_is_dropped(
    patient: SimpleNamespace, scene: Any, phantomFolder: Path
) -> None:
    patient.logic.loadFolder(phantomFolder)
    task = patient.logic.align("t2")
    patient.logic.setVolumes(lge=patient.logic.volumes["lge"])
    patient.work.waitFor(task)
    assert scene.GetNumberOfNodesByClass("vtkMRMLLinearTransformNode") == 0
    assert patient.logic.align("t2") is None
    assert patient.logic.align("lge") is None


def test_another_grid_is_told_and_resampled_on_request(
    patient: SimpleNamespace, scene: Any
) -> None:
    lge, t2 = volume(scene, 1), volume(scene, 2, (8, 60, 50), "wide")
    patient.logic.setVolumes(lge=lge, t2=t2)
    case = patient.logic.case
    found = next(f for f in checks(patient) if f.kind == "grid")
    assert found.resolvable and not found.isWarning
    patient.logic.resolve(found)
    copy = patient.logic.volumes["t2"]
    assert copy is not t2 and copy.GetName() == "wide on the LGE grid"
    assert imageFromVolume(copy).GetSize() == imageFromVolume(lge).GetSize()
    assert (patient.logic.case.images["t2"] == case.images["t2"]).all()
    done = next(f for f in checks(patient) if f.kind == "resampled")
    assert "grid" not in [f.kind for f in checks(patient)]
    patient.logic.revert(done)
    assert patient.logic.volumes["t2"] is t2
    assert not scene.IsNodePresent(copy)


def test_a_smaller_field_is_told_and_not_resampled(patient: SimpleNamespace, scene: Any) -> None:
    lge, t2 = volume(scene, 1), volume(scene, 2, (3, 40, 36))
    patient.logic.setVolumes(lge=lge, t2=t2)
    found = {f.kind: f for f in checks(patient)}
    assert "none of 3 of its 6 slices" in found["overlap"].text
    assert found["overlap"].text.startswith("T2 covers 50 % of LGE")
    assert not found["grid"].resolvable


def test_an_unknown_spacing_is_told(patient: SimpleNamespace, scene: Any) -> None:
    image = sitk.GetImageFromArray(np.random.default_rng(0).normal(300, 50, (6, 40, 40)))
    patient.logic.setVolumes(lge=volumeFromImage(scene, image, "bare"))
    kinds = [f.kind for f in checks(patient)]
    assert kinds == ["spacing"]
    assert patient.logic.ready() is None


def test_no_observer_and_no_listener_is_left_after_close(scene: Any) -> None:
    def observers(node: Any) -> int:
        return sum(
            node.HasObserver(event)
            for event in (
                vtk.vtkCommand.ModifiedEvent,
                slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent,
                slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
            )
        )

    node = volume(scene, 1)
    before = observers(node), scene.HasObserver(slicer.vtkMRMLScene.EndImportEvent)
    events = Events()
    work = BackgroundWork(events)
    logic = PatientLogic(scene, events, work)
    logic.setVolumes(lge=node)
    logic.setVolumes(t2=node)
    logic.close()
    work.close()
    assert (observers(node), scene.HasObserver(slicer.vtkMRMLScene.EndImportEvent)) == before


def test_a_folder_that_is_still_read_when_the_scene_is_closed_does_not_come_into_the_next_one(
    patient: SimpleNamespace, scene: Any, phantomFolder: Path
) -> None:
    task = patient.logic.beginFolder(phantomFolder)
    scene.Clear(0)
    patient.work.waitForAll(60)
    assert task.state == "cancelled"
    assert patient.logic.volumes == {}
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0


def test_sequences_are_compared_in_the_background_and_what_is_found_is_told(
    patient: SimpleNamespace, scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    real = patient_logic.checksOfCase

    def noted(case: Any) -> Any:
        threads.append(threading.current_thread().name)
        return real(case)

    monkeypatch.setattr(patient_logic, "checksOfCase", noted)
    told: list[list[str]] = []
    patient.events.connect(
        "checks", lambda: told.append([one.kind for one in patient.logic.imageChecks()])
    )
    patient.logic.setVolumes(lge=volume(scene, 1), t2=volume(scene, 2, (3, 40, 36)))
    assert patient.logic.imageChecks() == []
    assert patient.logic.isComparing
    patient.work.waitForAll()
    assert told == [["overlap", "grid"]]
    assert not patient.logic.isComparing
    assert threads == ["MyoPS background work"]
    patient.logic.imageChecks()
    assert not patient.work.isBusy  # compared once


def test_images_that_change_while_they_are_compared_are_compared_again(
    patient: SimpleNamespace, scene: Any
) -> None:
    lge = volume(scene, 1)
    patient.logic.setVolumes(lge=lge, t2=volume(scene, 2, (3, 40, 36)))
    patient.logic.imageChecks()
    patient.logic.setVolumes(lge=lge, t2=volume(scene, 3))  # nothing is wrong with this one
    assert checks(patient) == []
    patient.events.connect("checks", patient.logic.imageChecks)
    patient.logic.setVolumes(lge=lge, t2=volume(scene, 4, (3, 40, 36)))
    patient.logic.imageChecks()
    scene.Clear(0)
    patient.work.waitForAll()
    assert patient.logic.imageChecks() == []
    assert not patient.logic.isComparing


def test_a_comparison_that_fails_is_told_and_not_tried_without_end(
    patient: SimpleNamespace, scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(case: Any) -> Any:
        raise MemoryError("no room")

    monkeypatch.setattr(patient_logic, "checksOfCase", broken)
    patient.events.connect("checks", patient.logic.imageChecks)
    patient.logic.setVolumes(lge=volume(scene, 1), t2=volume(scene, 2))
    assert checks(patient) == []
    assert not patient.logic.isComparing
    assert [text for text in patient.messages if "no room" in text] == patient.messages != []

"""DICOM results from the panel's logic: what it needs, and what another Slicer would load of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pydicom
import pytest
import slicer
import vtk
from dicom_heart import PLANTED, heart_segmentation, write_heart

from myops.errors import InputError
from myops.quantify.thresholds.methods import ConventionalSettings
from myops.structures import STRUCTURES
from MyoPSSegmenterLib.Runtime.BackgroundWork import BackgroundWork
from MyoPSSegmenterLib.Runtime.Events import Events
from MyoPSSegmenterLib.Scene.SceneBridge import imageFromVolume, volumeFromImage
from MyoPSSegmenterLib.Steps.ExportLogic import Export
from MyoPSSegmenterLib.Steps.MeasurementRequest import MeasurementRequest
from MyoPSSegmenterLib.Steps.PatientLogic import PatientLogic


@pytest.fixture
def patient(scene: Any) -> Iterator[PatientLogic]:
    events = Events()
    work = BackgroundWork(events)
    logic = PatientLogic(scene, events, work)
    yield logic
    assert events.failures == []
    logic.close()
    work.close()


@pytest.fixture
def heart(tmp_path: Path) -> SimpleNamespace:
    labels = write_heart(tmp_path / "Mustermann Erika" / "lge", **PLANTED)
    return SimpleNamespace(folder=tmp_path / "Mustermann Erika", labels=labels)


def export(patient: PatientLogic, labels: np.ndarray, folder: Path, **how: Any) -> dict[str, Path]:
    case = patient.case
    assert case is not None
    snapshot = MeasurementRequest(
        case, heart_segmentation(case, labels), ConventionalSettings(("fwhm_half_of_maximum",))
    )
    return Export(snapshot, None, None, formats=("dicom",), **how).write(folder)


def test_a_patient_of_a_dicom_folder_keeps_its_pictures(
    patient: PatientLogic, heart: SimpleNamespace
) -> None:
    patient.loadFolder(heart.folder)
    assert patient.case is not None
    frames = patient.case.source_frames["lge"]
    heights = [pydicom.dcmread(frame.path).ImagePositionPatient[2] for frame in frames]
    assert heights == sorted(heights) and len(heights) == 5


def test_pictures_stay_with_their_volume_when_sequences_are_swapped(
    patient: PatientLogic, heart: SimpleNamespace
) -> None:
    patient.loadFolder(heart.folder)
    patient.swap("lge", "bssfp")
    assert patient.case is not None
    assert list(patient.case.source_frames) == ["bssfp"]


def test_dicom_is_written_without_the_folders_name_or_the_patients(
    patient: PatientLogic, heart: SimpleNamespace, tmp_path: Path
) -> None:
    patient.loadFolder(heart.folder)
    assert patient.caseName == "Mustermann Erika"
    files = export(patient, heart.labels, tmp_path / "out")
    assert set(files) == {"segmentation.dcm", "measurements.dcm"}
    for path in files.values():
        assert b"mustermann" not in path.read_bytes().lower()


def test_identity_is_written_where_the_reader_ticked_it(
    patient: PatientLogic, heart: SimpleNamespace, tmp_path: Path
) -> None:
    patient.loadFolder(heart.folder)
    files = export(patient, heart.labels, tmp_path / "out", keepIdentity=True)
    for path in files.values():
        assert pydicom.dcmread(path).PatientID == PLANTED["PatientID"]


def test_a_moved_reference_is_refused(
    patient: PatientLogic, heart: SimpleNamespace, tmp_path: Path, scene: Any
) -> None:
    patient.loadFolder(heart.folder)
    moved = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 4.0)
    moved.SetMatrixTransformToParent(matrix)
    patient.volumes["lge"].SetAndObserveTransformNodeID(moved.GetID())
    with pytest.raises(InputError, match="found it moved, resampled"):
        export(patient, heart.labels, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_volumes_that_were_chosen_by_hand_have_no_pictures(
    patient: PatientLogic, scene: Any, heart: SimpleNamespace, tmp_path: Path
) -> None:
    patient.loadFolder(heart.folder)
    image = imageFromVolume(patient.volumes["lge"])
    patient.setVolumes(lge=volumeFromImage(scene, image, "copy"))
    with pytest.raises(InputError, match="expected the lge image as DICOM"):
        export(patient, heart.labels, tmp_path / "out")


@pytest.mark.slow
def test_slicer_core_shows_the_segments_at_the_same_voxels(
    patient: PatientLogic, scene: Any, heart: SimpleNamespace, tmp_path: Path
) -> None:
    """As desktop Slicer does it: its DICOM plugin runs dcmqi and loads what that makes."""
    program = shutil.which(
        "segimage2itkimage", path=f"{Path(sys.executable).parent}"
    ) or shutil.which("segimage2itkimage")
    if program is None:
        pytest.skip("dcmqi is not installed: pip install dcmqi")
    patient.loadFolder(heart.folder)
    path = export(patient, heart.labels, tmp_path / "out")["segmentation.dcm"]
    apart = tmp_path / "apart"
    apart.mkdir()
    subprocess.run(
        [program, "--inputDICOM", str(path), "--outputDirectory", str(apart), "-t", "nrrd"],
        check=True,
        capture_output=True,
    )
    said = json.loads((apart / "meta.json").read_text(encoding="utf-8"))
    titles = {
        one["labelID"]: one["SegmentLabel"] for group in said["segmentAttributes"] for one in group
    }
    assert patient.case is not None
    placed = heart_segmentation(patient.case, heart.labels).labels
    for name in ("scar", "myocardium", "blood_pool", "right_ventricle"):
        number = next(k for k, title in titles.items() if title == STRUCTURES[name].title)
        found = loaded_positions(scene, apart / f"{number}.nrrd")
        geometry = patient.case.geometry
        z, y, x = np.nonzero(STRUCTURES[name].mask(placed))
        truth = geometry.position_mm(np.stack([x, y, z], axis=-1)) * (-1, -1, 1)
        assert len(found) == len(truth)
        order = [np.lexsort(np.round(points, 2).T) for points in (found, truth)]
        np.testing.assert_allclose(found[order[0]], truth[order[1]], atol=0.02)


def loaded_positions(scene: Any, path: Path) -> np.ndarray:
    """RAS positions (n, 3) of a segment's voxels, loaded by slicer-core from a label file."""
    from vtk.util.numpy_support import vtk_to_numpy

    storage = scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(path))
    volume = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    assert storage.ReadData(volume)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.ImportLabelmapToSegmentationNode(volume, node)
    (segment,) = node.GetSegmentation().GetSegmentIDs()
    image = slicer.vtkOrientedImageData()
    assert node.GetBinaryLabelmapRepresentation(segment, image)
    array = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    z, y, x = np.nonzero(array)
    first = image.GetExtent()[::2]
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    world = np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)])
    index = np.stack([x + first[0], y + first[1], z + first[2], np.ones_like(x)])
    return (world @ index)[:3].T


def test_the_panel_offers_dicom_only_for_a_patient_from_dicom(
    scene: Any, heart: SimpleNamespace
) -> None:
    from standins.desktop import closePanel, desktop, openPanel

    with desktop(scene):
        panel = openPanel()
        ui, logic = panel.ui, panel.logic.myops
        logic.patient.loadFolder(heart.folder)
        assert ui.dicomCheckBox.checked is False
        assert "step 1" not in ui.dicomCheckBox.toolTip
        assert "Waits for a tick" in ui.identityCheckBox.toolTip
        ui.dicomCheckBox.setChecked(True)
        assert "Waits for a tick" not in ui.identityCheckBox.toolTip
        image = imageFromVolume(logic.patient.volumes["lge"])
        logic.patient.setVolumes(lge=volumeFromImage(scene, image, "from a file"))
        assert "loaded from a folder of DICOM files in step 1" in ui.dicomCheckBox.toolTip
        closePanel(panel)

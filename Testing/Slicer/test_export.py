"""What an export leaves behind: files that Slicer, the command line and a reader open."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from infarct_patient import LabelsOnly, erode_scar, no_patient, write_infarct_patient

from myops.errors import InputError
from myops.geometry.canonical import to_canonical
from myops.io.seg_nrrd import SEGMENTS
from myops.labels import to_known_labels
from myops.output.results import USUAL_FORMATS
from MyoPSSegmenterLib.Runtime.BackgroundWork import BackgroundWork
from MyoPSSegmenterLib.Runtime.Events import Events
from MyoPSSegmenterLib.Scene.SegmentationNodes import readLabels
from MyoPSSegmenterLib.Steps import ExportLogic
from MyoPSSegmenterLib.Steps.ExportLogic import exportInBackground, prepareExport
from MyoPSSegmenterLib.Steps.QuantifyLogic import QuantifyLogic

ALL_FILES = {
    "segmentation.seg.nrrd",
    "segmentation.nii.gz",
    "measurements.csv",
    "measurements.json",
    "regional.csv",
    "report.html",
    "report.pdf",
    "overview.png",
}


@pytest.fixture(scope="module")
def infarctFolder(tmp_path_factory) -> Path:
    return write_infarct_patient(tmp_path_factory.mktemp("infarct"))


class Bench:
    def __init__(self, scene, folder) -> None:
        self.scene, self.events = scene, Events()
        self.work = BackgroundWork(self.events)
        self.messages: list[tuple[str, str]] = []
        self.events.connect("message", lambda text, level: self.messages.append((level, text)))
        self.patient = no_patient()
        self.correction = LabelsOnly(scene, self.events, folder)
        self.quantify = QuantifyLogic(scene, self.events, self.work, self.patient, self.correction)
        self.events.emit("labels", labels=self.correction.labels)

    def export(self, folder, formats=USUAL_FORMATS, left_out=None):
        export = prepareExport(self.correction, self.quantify, formats)
        if left_out is not None:
            left_out += export.leftOut
        return export.write(folder)

    def export_in_background(self, folder, formats=USUAL_FORMATS, **more):
        parts = (self.correction, self.quantify)
        return exportInBackground(self.work, self.events, folder, *parts, formats, **more)


@pytest.fixture
def bench(scene, infarctFolder):
    made = Bench(scene, infarctFolder)
    yield made
    made.quantify.close()
    made.work.close()
    assert not made.events.failures


def without_packages(monkeypatch, *names) -> None:
    real = ExportLogic.missing_packages

    def missing(name):
        from myops.output.results import NEEDED_PACKAGES

        return tuple(p for p in NEEDED_PACKAGES.get(name, ()) if p in names) or real(name)

    monkeypatch.setattr(ExportLogic, "missing_packages", missing)


@pytest.mark.slow
def test_everything_is_written(bench, tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    files = bench.export(tmp_path / "out")
    assert set(files) == ALL_FILES
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == ALL_FILES | {"results.json"}
    assert all(path.stat().st_size > 100 for path in files.values())
    assert (tmp_path / "out" / "report.pdf").read_bytes().startswith(b"%PDF")
    page = files["report.html"].read_text(encoding="utf-8")
    assert "FWHM, half of maximum" in page and "<img" in page


def test_the_label_file_holds_the_labels_voxel_for_voxel_on_the_images_own_grid(
    bench, infarctFolder, tmp_path
):
    files = bench.export(tmp_path, ("nifti",))
    assert set(files) == {"segmentation.nii.gz"}
    written = sitk.ReadImage(str(files["segmentation.nii.gz"]))
    reference = sitk.ReadImage(str(next(infarctFolder.glob("*_DE.nii.gz"))))
    assert written.GetSize() == reference.GetSize()
    np.testing.assert_allclose(written.GetOrigin(), reference.GetOrigin(), atol=1e-3)
    np.testing.assert_allclose(written.GetDirection(), reference.GetDirection(), atol=1e-5)
    array = to_known_labels(sitk.GetArrayFromImage(written))
    labels = to_canonical(array, bench.correction.case.original)
    np.testing.assert_array_equal(labels, bench.correction.labels)


def test_slicer_opens_the_segmentation_with_names_colors_and_the_same_voxels(bench, tmp_path):
    path = bench.export(tmp_path, ("seg.nrrd",))["segmentation.seg.nrrd"]
    node = bench.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = bench.scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    segmentation = node.GetSegmentation()
    found = [segmentation.GetNthSegmentID(i) for i in range(segmentation.GetNumberOfSegments())]
    assert found == list(SEGMENTS)
    for name, one in SEGMENTS.items():
        assert segmentation.GetSegment(name).GetName() == one.title
    np.testing.assert_array_equal(readLabels(node, bench.correction.case), bench.correction.labels)
    assert isinstance(segmentation, slicer.vtkSegmentation)


@pytest.mark.slow
def test_numbers_are_those_of_the_present_labels_also_when_the_table_is_stale(bench, tmp_path):
    bench.quantify.measureNow()
    bench.work.waitForAll()
    bench.correction.accept(erode_scar(bench.correction.labels))
    assert bench.quantify.stale
    files = bench.export(tmp_path, ("json",))
    written = json.loads(files["measurements.json"].read_text(encoding="utf-8"))
    assert written["tissues"]["scar"]["mass_g"] == bench.quantify.masses["scar"].mass_g
    assert written["fwhm"]["fwhm_half_of_maximum_volume"]["dice_with_automatic_scar"] is not None


def test_numbers_that_are_there_are_not_measured_again(bench, tmp_path, monkeypatch):
    bench.quantify.measureNow()
    bench.work.waitForAll()
    export = prepareExport(bench.correction, bench.quantify)
    assert export.measurements is bench.quantify.measurements


@pytest.mark.slow
def test_a_corrected_case_brings_its_record_and_the_report_names_the_reader(bench, tmp_path):
    bench.correction.accept(erode_scar(bench.correction.labels))
    files = bench.export(tmp_path, ("json", "html"))
    record = json.loads(files["session.json"].read_text(encoding="utf-8"))
    assert [step["action"] for step in record["steps"]] == ["accept"]
    assert "Corrected by a reader" in files["report.html"].read_text(encoding="utf-8")


def test_what_cannot_be_written_is_named_and_the_rest_is_written(bench, tmp_path, monkeypatch):
    without_packages(monkeypatch, "matplotlib", "jinja2")
    left_out: list[str] = []
    files = bench.export(tmp_path, left_out=left_out)
    assert set(files) == ALL_FILES - {"report.html", "report.pdf", "overview.png"}
    assert left_out == [
        "Report as HTML needs matplotlib and jinja2, which are not installed: install what is "
        "missing in the panel, then export again.",
        "Report as PDF needs matplotlib, which is not installed: install what is missing in the "
        "panel, then export again.",
    ]
    assert ExportLogic.availableFormats()["pdf"] == left_out[1]
    assert ExportLogic.availableFormats()["csv"] is None


@pytest.mark.slow
def test_without_jinja2_there_is_still_a_pdf(bench, tmp_path, monkeypatch):
    without_packages(monkeypatch, "jinja2")
    assert set(bench.export(tmp_path, ("html", "pdf"))) == {"report.pdf"}


def test_the_background_writes_and_says_so(bench, tmp_path, monkeypatch):
    without_packages(monkeypatch, "jinja2")
    done: list[dict] = []
    formats = ("nifti", "csv", "html")
    task = bench.export_in_background(tmp_path, formats, done=done.append)
    bench.work.waitFor(task)
    assert set(done[0]) == {"segmentation.nii.gz", "measurements.csv", "regional.csv"}
    level, text = bench.messages[-1]
    assert level == "warning"
    assert text.startswith(f"3 files exported to {tmp_path}.")
    assert "Report as HTML needs jinja2" in text


def test_what_changes_after_the_click_on_export_is_not_in_the_files(bench, tmp_path):
    labels = bench.correction.labels.copy()
    task = bench.export_in_background(tmp_path, ("nifti",))
    bench.correction.accept(erode_scar(bench.correction.labels))
    bench.work.waitFor(task)
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "segmentation.nii.gz")))
    found = to_canonical(to_known_labels(written), bench.correction.case.original)
    np.testing.assert_array_equal(found, labels)


def test_a_canceled_export_leaves_nothing(bench, tmp_path):
    export = prepareExport(bench.correction, bench.quantify)
    assert export.write(tmp_path / "out", cancelled=lambda: True) == {}
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_a_message(bench, tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    task = bench.export_in_background(tmp_path / "file", ("csv",))
    bench.work.waitFor(task)
    assert task.state == "failed"
    level, text = bench.messages[-1]
    assert level == "error" and "expected a folder" in text


def test_nothing_to_export_and_unknown_formats_are_refused_at_once(bench, tmp_path):
    with pytest.raises(InputError, match="found docx"):
        bench.export(tmp_path / "out", ("docx",))
    bench.correction.session = None
    with pytest.raises(InputError, match="segment the patient first"):
        bench.export(tmp_path / "out")
    assert not (tmp_path / "out").exists()

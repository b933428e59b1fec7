"""Identifiers planted in DICOM headers are in no byte that the panel's logic writes or says."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dicom_heart import PLANTED, heart_segmentation, write_heart
from planted_words import files_with, words_in

from myops.output.results import FORMATS
from MyoPSSegmenterLib.Scene.SegmentationNodes import createSegmentationNode

TIMEOUT_S = 60.0
IN_HEADERS = [word for text in PLANTED.values() for word in text.split("^")]


@pytest.fixture
def study(tmp_path: Path) -> SimpleNamespace:
    """Two examinations of a person, in folders that name nobody."""
    labels = {
        name: write_heart(
            tmp_path / "study" / name / "lge",
            SeriesDescription="LGE sa Mustermann",
            StudyInstanceUID=f"1.2.826.0.1.3680043.2.1125.{name[-1]}",
            SeriesInstanceUID=f"1.2.826.0.1.3680043.2.1125.{name[-1]}.1",
            **PLANTED,
        )
        for name in ("exam 1", "exam 2")
    }
    return SimpleNamespace(folder=tmp_path / "study", labels=labels["exam 1"])


def segment(logic: Any, labels: Any) -> None:
    """What a run does at its end, with a reader's step after it."""
    case = logic.patient.case
    name = f"{logic.patient.caseName} segmentation"
    node = createSegmentationNode(logic.scene, case, logic.patient.referenceNode, name, {"scar"})
    logic.correction.start(case, heart_segmentation(case, labels), node)
    logic.correction.expand(1.5)


@pytest.mark.slow
def test_no_file_of_study_export_or_scene_names_the_patient(
    logic: Any, study: SimpleNamespace, tmp_path: Path
) -> None:
    logic.work.waitFor(logic.study.openFolder(study.folder, "ab"), TIMEOUT_S)
    assert [name for name, _ in logic.study.entries] == ["exam 1", "exam 2"]
    logic.study.open(0)
    segment(logic, study.labels)
    logic.quantify.measureNow()
    logic.work.waitForAll(TIMEOUT_S)
    logic.work.waitFor(logic.export(tmp_path / "written" / "out", FORMATS), TIMEOUT_S)
    scene = tmp_path / "written" / "scene.mrb"
    assert logic.scene.WriteToMRB(str(scene))
    logic.study.next()  # saves the first
    logic.work.waitForAll(TIMEOUT_S)
    (study.folder / "myops-study").rename(tmp_path / "written" / "study")

    names = {path.name for path in (tmp_path / "written").rglob("*")}
    assert {"report.html", "segmentation.dcm", "measurements.dcm", "session.json"} <= names
    assert {"case.json", "state.npz", "study.csv", "scene.mrb"} <= names
    assert files_with(tmp_path / "written", IN_HEADERS) == {}
    said = " ".join(text for _, text in logic.said).encode()
    assert words_in(said, IN_HEADERS) == []
    # The search would find a name: that of the folder is the case's.
    assert "report.html" in {Path(one).name for one in files_with(tmp_path / "written", ["exam 1"])}


@pytest.mark.slow
def test_a_name_that_the_reader_gives_stands_for_the_folders_in_what_is_exported(
    logic: Any, study: SimpleNamespace, tmp_path: Path
) -> None:
    named = study.folder / "Zaunkoenig_Berta"
    (study.folder / "exam 1").rename(named)
    logic.patient.loadFolder(named)
    segment(logic, study.labels)
    logic.quantify.measureNow()
    logic.work.waitForAll(TIMEOUT_S)
    logic.patient.rename("P0007")  # the numbers are there already
    logic.work.waitFor(logic.export(tmp_path / "out", FORMATS), TIMEOUT_S)
    assert files_with(tmp_path / "out", ["Zaunkoenig", "Berta", *IN_HEADERS]) == {}
    for name in ("measurements.json", "session.json"):
        assert json.loads((tmp_path / "out" / name).read_text("utf-8"))["case"] == "P0007"
    assert "P0007" in (tmp_path / "out" / "report.html").read_text("utf-8")
    assert logic.correction.session is not None  # another name is no other patient

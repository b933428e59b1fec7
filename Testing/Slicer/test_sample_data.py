"""The sample patient is made without a network, once, and offered by Slicer's Sample Data."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

import numpy as np
import pytest

from myops.case import load_case_folder
from myops.patients.find import recognize
from MyoPSSegmenterLib import SampleData
from MyoPSSegmenterLib.Scene.SceneBridge import imageFromVolume


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a cache that holds the sample patient."""
    folder = tmp_path_factory.mktemp("cache")
    SampleData.makeSamplePatient(SampleData.sampleFolder(folder))
    return folder


class Sources:
    """Stands in for SampleData.SampleDataLogic, which desktop Slicer has."""

    registered: list[dict[str, Any]]

    def __init__(self) -> None:
        self.registered = []

    def registerCustomSampleDataSource(self, **values: Any) -> None:
        self.registered.append(values)


@pytest.mark.slow
def test_the_sample_has_three_sequences_and_an_infarct(cache: Path) -> None:
    folder = SampleData.sampleFolder(cache)
    case = load_case_folder(folder)
    assert case.sequences == ("bssfp", "lge", "t2")
    assert case.warnings == ()
    assert "truth" in " ".join(path.name for path in folder.iterdir())


def test_its_folder_is_recognized_without_questions(cache: Path) -> None:
    files = recognize(SampleData.sampleFolder(cache))
    assert set(files.sequences) == {"bssfp", "lge", "t2"}
    assert (files.unrecognized, files.problems) == ((), ())


def test_files_that_are_there_are_kept(cache: Path) -> None:
    folder = SampleData.sampleFolder(cache)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    paths = SampleData.makeSamplePatient(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert set(paths.values()) < set(before)


def test_volumes_are_loaded_with_names_and_a_display(cache: Path, scene: Any) -> None:
    nodes = SampleData.loadSamplePatient(scene, cache)
    assert [node.GetName() for node in nodes.values()] == [
        "MyoPSPhantom bSSFP",
        "MyoPSPhantom LGE",
        "MyoPSPhantom T2",
    ]
    assert all(node.GetDisplayNode() is not None for node in nodes.values())
    case = load_case_folder(SampleData.sampleFolder(cache))
    assert np.ptp(case.images["lge"]) > 0
    assert imageFromVolume(nodes["lge"]).GetSize() == case.original.geometry.size_xyz


def test_it_is_registered_and_made_when_asked_for(
    cache: Path, scene: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("expected no network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(SampleData, "cacheFolder", lambda scene: cache)
    sources, loaded = Sources(), []
    SampleData.registerSampleData(sources, scene, tmp_path / "icon.png", loaded=loaded.append)
    (source,) = sources.registered
    assert source["sampleName"] == SampleData.SAMPLE_NAME
    # Slicer wants lists of one length.
    assert len(source["uris"]) == len(source["fileNames"]) == len(source["nodeNames"]) == 3
    assert len(source["checksums"]) == 3
    nodes = source["customDownloader"](source)
    assert [node.GetName() for node in nodes] == source["nodeNames"]
    assert set(loaded[0]) == {"bssfp", "lge", "t2"}


def test_the_registered_files_are_there_with_their_checksums(scene: Any) -> None:
    sources = Sources()
    SampleData.registerSampleData(sources, scene)
    (source,) = sources.registered
    for uri, name, checksum in zip(
        source["uris"], source["fileNames"], source["checksums"], strict=True
    ):
        path = Path(url2pathname(urlparse(uri).path))
        assert path.name == name
        kind, digest = checksum.split(":")
        assert kind == "SHA256"
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest


@pytest.mark.slow
def test_the_files_that_come_with_the_module_are_the_phantom_of_their_seed(
    cache: Path, tmp_path: Path
) -> None:
    from myops.phantom.files import write_patient
    from myops.phantom.patient import SAMPLE, generate_patient

    write_patient(generate_patient(SampleData.SEED, SAMPLE), tmp_path, "MyoPSPhantom_11")
    made, shipped = load_case_folder(tmp_path), load_case_folder(SampleData.sampleFolder(cache))
    assert made.geometry == shipped.geometry
    for key, image in made.images.items():
        # Rounding of another processor may move single voxels by one.
        np.testing.assert_allclose(shipped.images[key], image, atol=1.5)


def test_volumes_that_a_script_has_downloaded_become_the_patient(scene: Any) -> None:
    import SimpleITK as sitk

    from MyoPSSegmenterLib.Runtime.BackgroundWork import BackgroundWork
    from MyoPSSegmenterLib.Runtime.Events import Events
    from MyoPSSegmenterLib.Scene.SceneBridge import volumeFromImage
    from MyoPSSegmenterLib.Steps.PatientLogic import PatientLogic

    for name in SampleData.NODE_NAMES.values():
        volumeFromImage(scene, sitk.Image(8, 8, 3, sitk.sitkInt16), name)
    work = BackgroundWork()
    logic = PatientLogic(scene, Events(), work)
    logic.adopt()
    assert set(logic.volumes) == {"bssfp", "lge", "t2"}
    logic.close()
    work.close()


def test_without_slicers_cache_a_temporary_folder_is_used(scene: Any) -> None:
    assert SampleData.cacheFolder(scene).name

"""A real MRML scene without the desktop, phantom patients, and VTK's errors as failures."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from made_scene import Scene

# Whatever pack this computer uses: tests know the free one.
os.environ["MYOPS_MODEL"] = "synthetic"

HERE = Path(__file__).parent
HAS_SLICER = importlib.util.find_spec("slicer") is not None
# Said by the core when it runs outside Slicer's own folder: its color files are not there.
HARMLESS = ("FindDefaultColorFiles failed: HomeDirectory is not set",)


class SkippedModule(pytest.Module):
    """A test file that is not imported, because what it imports is not installed."""

    def collect(self) -> Any:
        pytest.skip(
            "slicer-core is not installed: pip install slicer-core", allow_module_level=True
        )


def pytest_pycollect_makemodule(module_path: Path, parent: Any) -> Any:
    """Skip every test file of this folder, with the reason, where slicer-core is missing."""
    if HAS_SLICER or HERE not in module_path.parents:
        return None
    return SkippedModule.from_parent(parent, path=module_path)


@pytest.fixture
def sceneWithLogics(tmp_path: Path) -> Iterator[Scene]:
    """Give a new scene with its application logic, for tests that need both."""
    made = Scene(tmp_path / "cache")
    yield made
    made.close()


@pytest.fixture
def scene(sceneWithLogics: Scene) -> Any:
    """Give a new vtkMRMLScene in which nodes of every used class can be made."""
    return sceneWithLogics.scene


@pytest.fixture
def logic(scene: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give the module's logic without torch, and what it says to the user."""
    from circle_patient import listeningLogic

    from MyoPSSegmenterLib.Steps import RefinerLoader

    monkeypatch.setattr(RefinerLoader, "hasTorch", lambda: False)
    made = listeningLogic(scene)
    yield made
    failures = made.events.failures
    made.close()
    assert failures == []


@pytest.fixture(autouse=True)
def vtkMessages(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Fail a test in which VTK complained, or in which an observer raised; VTK only prints both.

    Yields:
        Errors raised inside observers so far. A test that provokes one empties the list.
    """
    if not HAS_SLICER:
        yield []
        return
    import vtk

    raised: list[str] = []

    def note(kind: type[BaseException], error: BaseException, place: TracebackType | None) -> None:
        raised.append(f"{kind.__name__} in an observer: {error}")
        sys.__excepthook__(kind, error, place)

    # What VTK calls when Python code under one of its events raises.
    monkeypatch.setattr(sys, "excepthook", note)
    usual = vtk.vtkOutputWindow.GetInstance()
    window = vtk.vtkStringOutputWindow()
    vtk.vtkOutputWindow.SetInstance(window)
    yield raised
    vtk.vtkOutputWindow.SetInstance(usual)
    messages = [" ".join(text.split()) for text in window.GetOutput().split("\n\n")]
    said = [text for text in messages if text and not any(known in text for known in HARMLESS)]
    assert not said, "VTK said:\n" + "\n".join(said)
    assert not raised, "\n".join(raised)


@pytest.fixture(scope="session")
def phantomFolder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the files of one complete phantom patient, apart from the truth's."""
    from myops.phantom.files import write_patient
    from myops.phantom.patient import PhantomConfig, generate_patient

    config = PhantomConfig(dropout=False, normal_share=0.0, upright=True, random_contrast_share=0.0)
    return write_patient(generate_patient(7, config), tmp_path_factory.mktemp("phantom"))


@pytest.fixture(scope="session")
def segmentedCase(phantomFolder: Path) -> tuple[Any, Any]:
    """Give the phantom's Case and its automatic Segmentation; takes some seconds, once."""
    pytest.importorskip("torch", reason="torch is not installed")
    from myops.cascade.segment import segment
    from myops.case import load_case_folder
    from myops.weights.files import load_models

    case = load_case_folder(phantomFolder)
    return case, segment(case, load_models(device="cpu"))

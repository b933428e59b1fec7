"""The set-up of these tests: what VTK says in a test fails it, and the scene is a whole one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent

COMPLAINTS = """
import slicer


def test_an_error_of_vtk(scene):
    scene.GetNodesByClass(None)
    slicer.vtkMRMLMarkupsFiducialNode().GetNthControlPointPosition(7, [0.0, 0.0, 0.0])


def test_an_error_in_an_observer(scene):
    def fail(*_):
        raise RuntimeError("on purpose")

    scene.AddObserver(scene.NodeAddedEvent, fail)
    scene.AddNewNodeByClass("vtkMRMLTextNode")


def test_nothing_wrong(scene):
    scene.AddNewNodeByClass("vtkMRMLTextNode")
"""


@pytest.mark.slow
def test_errors_that_vtk_only_prints_fail_the_test(tmp_path: Path) -> None:
    (tmp_path / "test_complaints.py").write_text(COMPLAINTS, encoding="utf-8")
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-p", "no:cacheprovider", "."],
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert "3 passed, 2 errors" in done.stdout, done.stdout + done.stderr
    assert "control point 7" in done.stdout
    assert "RuntimeError in an observer: on purpose" in done.stdout


def test_the_scene_has_what_desktop_slicer_gives_it(scene: Any) -> None:
    for nodeId in ("vtkMRMLSelectionNodeSingleton", "vtkMRMLInteractionNodeSingleton"):
        assert scene.GetNodeByID(nodeId) is not None
    for name in ("Segmentation", "ScalarVolume", "MarkupsROI", "Table", "PlotChart", "TextNode"):
        className = f"vtkMRML{name}" if name.endswith("Node") else f"vtkMRML{name}Node"
        assert scene.AddNewNodeByClass(className) is not None
    segmentation = slicer_segmentation(scene)
    assert segmentation.GetConversionParameter("Reference image geometry") is not None


def slicer_segmentation(scene: Any) -> Any:
    return scene.GetFirstNodeByClass("vtkMRMLSegmentationNode").GetSegmentation()


def test_scenes_of_two_tests_share_nothing(scene: Any) -> None:
    assert scene.GetNumberOfNodesByClass("vtkMRMLTextNode") == 0


def test_the_phantom_is_segmented_on_its_own_grid(segmentedCase: tuple[Any, Any]) -> None:
    case, segmentation = segmentedCase
    assert case.sequences == ("bssfp", "lge", "t2")
    assert segmentation.labels.shape == case.geometry.array_shape
    assert segmentation.assessed == {"scar", "edema"}
    assert (segmentation.labels == 2221).any()

"""Masks beside the labels: seen, and neither edited, saved nor left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from circle_heart import circle_case, circle_labels, sitk_image

from MyoPSSegmenterLib.Scene.OverlayNodes import (
    hideBeside,
    overlayOf,
    removeAbandoned,
    showBeside,
)
from MyoPSSegmenterLib.Scene.SceneBridge import volumeFromImage
from MyoPSSegmenterLib.Scene.SegmentationNodes import (
    createSegmentationNode,
    publishLabels,
    readLabels,
)

VIOLET = (0.87, 0.6, 1.0)


@pytest.fixture
def case() -> Any:
    return circle_case(circle_labels(), ("lge",))


@pytest.fixture
def node(scene: Any, case: Any) -> Any:
    """Give a segmentation of the circle heart with one mask beside it."""
    volume = volumeFromImage(scene, sitk_image(case.images["lge"]), "LGE")
    made = createSegmentationNode(scene, case, volume, "Heart", assessed=("scar",))
    publishLabels(made, case, circle_labels())
    showBeside(made, case, circle_labels() == 2221, "method_fwhm", "FWHM", VIOLET)
    return made


def segmentIds(node: Any) -> list[str]:
    return list(node.GetSegmentation().GetSegmentIDs())


def test_the_segment_editor_and_the_save_dialog_do_not_offer_it(node: Any) -> None:
    overlay = overlayOf(node)
    assert segmentIds(overlay) == ["method_fwhm"]
    assert overlay.GetHideFromEditors()
    assert not overlay.GetSaveWithScene()
    assert not overlay.GetDisplayNode().GetVisibility3D()
    assert overlay.GetDisplayNode().GetVisibility()
    assert "method_fwhm" not in segmentIds(node)


def test_its_lines_are_thicker_than_those_of_the_structures(node: Any) -> None:
    lines = [
        one.GetDisplayNode().GetSliceIntersectionThickness() for one in (node, overlayOf(node))
    ]
    assert lines == [2, 3]


def test_a_saved_file_of_the_labels_holds_the_labels_alone(
    node: Any, case: Any, scene: Any, tmp_path: Path
) -> None:
    storage = slicer.vtkMRMLSegmentationStorageNode()
    scene.AddNode(storage)
    storage.SetFileName(str(tmp_path / "heart.seg.nrrd"))
    assert storage.WriteData(node)
    text = (tmp_path / "heart.seg.nrrd").read_bytes()
    assert b"Scar" in text
    assert b"FWHM" not in text
    assert np.array_equal(readLabels(node, case), circle_labels())


def test_a_second_mask_joins_the_first_and_the_last_one_takes_the_node_away(
    node: Any, case: Any, scene: Any
) -> None:
    showBeside(node, case, circle_labels() == 500, "remote", "Remote region", VIOLET)
    assert segmentIds(overlayOf(node)) == ["method_fwhm", "remote"]
    hideBeside(node, "method_fwhm")
    assert segmentIds(overlayOf(node)) == ["remote"]
    hideBeside(node, "remote")
    assert overlayOf(node) is None
    hideBeside(node, "remote")
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1


def test_masks_of_a_deleted_segmentation_go_with_it(node: Any, scene: Any) -> None:
    scene.RemoveNode(node)
    removeAbandoned(scene)
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_masks_that_stand_beside_another_segmentation_stay(
    node: Any, case: Any, scene: Any
) -> None:
    other = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Somebody's")
    removeAbandoned(scene)
    assert overlayOf(node) is not None
    assert overlayOf(other) is None

"""Slice views: the sequences side by side, in the slices of the case, with the segmentation on top.

Views are described in the scene alone (layout, slice and composite nodes). In desktop Slicer the
layout manager makes the widgets, in a browser the front end does, in tests `offscreen.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import slicer

from myops.sequences import SEQUENCE_TITLES, SEQUENCES
from MyoPSSegmenterLib.Scene.SceneBridge import (
    arrayOfMatrix,
    sliceAxes,
    sliceNormal,
    voxelFromWorld,
    vtkMatrix,
    worldFromVoxel,
)
from MyoPSSegmenterLib.Scene.SegmentationNodes import readLabels

if TYPE_CHECKING:
    from myops.case import Case

# Name of each sequence's view; in this order from left to right.
VIEWS = {name: row.view for name, row in SEQUENCES.items()}
# Layouts of Slicer have numbers below 1000, those of other modules are up to 1000 more or less: one
# number per set of sequences, this one plus a bit for each of them.
LAYOUT_ID = 52030
# What is visible around the heart, on each side, as a share of the heart's size.
MARGIN = 0.35
# Beyond this angle a view shows something between the slices, not a slice.
PARALLEL_COSINE = np.cos(np.radians(1.0))


def registerLayout(scene: slicer.vtkMRMLScene) -> None:
    """Make the layouts known: one for each set of sequences. Harmless when called again."""
    layouts = _layoutNode(scene)
    names = list(VIEWS)
    for bits in range(1, 2 ** len(names)):
        shown = [name for index, name in enumerate(names) if bits >> index & 1]
        if not layouts.IsLayoutDescription(_layoutId(shown)):
            layouts.AddLayoutDescription(_layoutId(shown), _description(shown))


def showSequences(
    scene: slicer.vtkMRMLScene,
    volumes: Mapping[str, slicer.vtkMRMLScalarVolumeNode],
    segmentationNode: slicer.vtkMRMLSegmentationNode | None = None,
    case: Case | None = None,
) -> None:
    """Lay the sequences out side by side, linked: the same slice, place and zoom in all of them.

    Args:
        scene: whose layout changes.
        volumes: sequence name to volume node; absent sequences get no view.
        segmentationNode: shown on all images; the views zoom in on what it covers.
        case: the views show its slices, beginning in the middle of the heart. Without it (the
            sequences do not fit together yet) each view shows its volume from the feet.
    """
    shown = [name for name in VIEWS if volumes.get(name) is not None]
    if not shown:
        return
    registerLayout(scene)
    _layoutNode(scene).SetViewArrangement(_layoutId(shown))
    for name in shown:
        _showVolume(scene, name, volumes[name])
    if segmentationNode is not None:
        _showSegmentation(segmentationNode)
    if case is not None:
        center, size_mm = _heart(case, segmentationNode)
        for name in shown:
            _orient(_sliceNode(scene, name), case, center, size_mm)


def setSlice(scene: slicer.vtkMRMLScene, case: Case, index: int) -> None:
    """Go to a slice of the case in every view that shows its slices; place and zoom stay."""
    middle = [(size - 1) / 2 for size in case.geometry.array_shape[1:]]
    center = worldFromVoxel(case, index, *middle)
    for node in _parallelNodes(scene, case):
        node.JumpSliceByOffsetting(*center)


def currentSlice(scene: slicer.vtkMRMLScene, case: Case) -> int | None:
    """The slice (z index) of the case that the reader looks at.

    The view under the mouse decides if it shows slices of the case, then the views on the screen,
    of them this module's first.

    Returns:
        None if no view shows the case's slices, or the view is beyond the first or the last one.
    """
    nodes = list(_parallelNodes(scene, case))
    if not nodes:
        return None
    under, own = _underMouse(scene), set(VIEWS.values())
    node = max(
        nodes,
        key=lambda n: (n is under, bool(n.IsMappedInLayout()), n.GetLayoutName() in own),
    )
    origin = arrayOfMatrix(node.GetSliceToRAS())[:3, 3]
    index = round(voxelFromWorld(case, origin)[0])
    return index if 0 <= index < case.geometry.array_shape[0] else None


# Layout


def _layoutId(shown: Iterable[str]) -> int:
    return LAYOUT_ID + sum(1 << list(VIEWS).index(name) for name in shown)


def _description(shown: Iterable[str]) -> str:
    """The layout as Slicer's layout manager reads it: views from left to right."""
    items = "".join(
        f'<item><view class="vtkMRMLSliceNode" singletontag="{VIEWS[name]}">'
        f'<property name="orientation" action="default">Axial</property>'
        f'<property name="viewlabel" action="default">{SEQUENCE_TITLES[name]}</property>'
        f'<property name="viewcolor" action="default">{SEQUENCES[name].view_color}</property>'
        "</view></item>"
        for name in shown
    )
    return f'<layout type="horizontal">{items}</layout>'


def _layoutNode(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLLayoutNode:
    node = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    if node is None:
        node = scene.AddNewNodeByClass("vtkMRMLLayoutNode")
    return node


# Nodes of a view


def _sliceNodes(scene: slicer.vtkMRMLScene) -> Iterator[slicer.vtkMRMLSliceNode]:
    nodes = scene.GetNodesByClass("vtkMRMLSliceNode")
    nodes.UnRegister(None)
    for index in range(nodes.GetNumberOfItems()):
        yield nodes.GetItemAsObject(index)


def _sliceNodeNamed(scene: slicer.vtkMRMLScene, layoutName: str) -> slicer.vtkMRMLSliceNode | None:
    found = [node for node in _sliceNodes(scene) if node.GetLayoutName() == layoutName]
    return found[0] if found else None


def _sliceNode(scene: slicer.vtkMRMLScene, name: str) -> slicer.vtkMRMLSliceNode:
    """The slice node of a sequence; made here where no layout manager has made it."""
    node = _sliceNodeNamed(scene, VIEWS[name])
    if node is None:
        node = slicer.vtkMRMLSliceNode()
        node.SetSingletonTag(VIEWS[name])
        node.SetLayoutName(VIEWS[name])
        node.SetName(VIEWS[name])
        node = scene.AddNode(node)
    node.SetLayoutLabel(SEQUENCE_TITLES[name])
    return node


def _compositeNode(scene: slicer.vtkMRMLScene, name: str) -> slicer.vtkMRMLSliceCompositeNode:
    """What a view shows; slice logics look for theirs by the view's name."""
    nodes = scene.GetNodesByClass("vtkMRMLSliceCompositeNode")
    nodes.UnRegister(None)
    for index in range(nodes.GetNumberOfItems()):
        if nodes.GetItemAsObject(index).GetLayoutName() == VIEWS[name]:
            return nodes.GetItemAsObject(index)
    node = slicer.vtkMRMLSliceCompositeNode()
    node.SetSingletonTag(VIEWS[name])
    node.SetLayoutName(VIEWS[name])
    return scene.AddNode(node)


def _showVolume(
    scene: slicer.vtkMRMLScene, name: str, volume: slicer.vtkMRMLScalarVolumeNode
) -> None:
    _sliceNode(scene, name)
    composite = _compositeNode(scene, name)
    composite.SetBackgroundVolumeID(volume.GetID())
    composite.SetForegroundVolumeID(None)
    composite.SetLabelVolumeID(None)
    composite.SetLinkedControl(1)
    # Scrolling moves the other views at once, not when the mouse button is let go.
    composite.SetHotLinkedControl(1)


def _showSegmentation(node: slicer.vtkMRMLSegmentationNode) -> None:
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetVisibility(True)


# Where a view looks


def _heart(
    case: Case, segmentationNode: slicer.vtkMRMLSegmentationNode | None
) -> tuple[np.ndarray, np.ndarray]:
    """Middle (slice, row, column) and size (rows, columns) in mm of what is segmented, or all."""
    shape = np.array(case.geometry.array_shape)
    low, high = np.zeros(3), shape - 1.0
    if segmentationNode is not None:
        places = np.argwhere(readLabels(segmentationNode, case))
        if len(places):
            low, high = places.min(axis=0), places.max(axis=0)
    row_mm, column_mm = case.geometry.spacing_mm[1], case.geometry.spacing_mm[0]
    size_mm = (high - low + 1)[1:] * (row_mm, column_mm)
    whole_mm = shape[1:] * (row_mm, column_mm)
    return np.round((low + high) / 2), np.minimum(size_mm * (1 + 2 * MARGIN), whole_mm)


def _orient(
    node: slicer.vtkMRMLSliceNode, case: Case, center: np.ndarray, size_mm: np.ndarray
) -> None:
    """Turn a view to the case's slices, with a place in its middle and this size fitted in."""
    alongColumns, alongRows = sliceAxes(case)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([alongColumns, -alongRows, sliceNormal(case)], axis=1)
    matrix[:3, 3] = worldFromVoxel(case, *center)
    width, height = (max(size, 1) for size in node.GetDimensions()[:2])
    mm_per_pixel = max(size_mm[1] / width, size_mm[0] / height)
    depth, spacing = node.GetFieldOfView()[2], case.geometry.spacing_mm
    was = node.StartModify()
    node.GetSliceToRAS().DeepCopy(vtkMatrix(matrix))
    node.SetSliceOrigin(0, 0, 0)
    node.SetFieldOfView(width * mm_per_pixel, height * mm_per_pixel, depth)
    # Scrolling steps from slice to slice of the case, whatever grid the shown volume has.
    node.SetPrescribedSliceSpacing(*map(float, spacing))
    node.SetSliceSpacingModeToPrescribed()
    node.UpdateMatrices()
    node.EndModify(was)


def _parallelNodes(scene: slicer.vtkMRMLScene, case: Case) -> Iterator[slicer.vtkMRMLSliceNode]:
    """Slice nodes whose plane is parallel to the case's slices."""
    normal = sliceNormal(case)
    for node in _sliceNodes(scene):
        axis = arrayOfMatrix(node.GetSliceToRAS())[:3, 2]
        if abs(axis @ normal) / np.linalg.norm(axis) >= PARALLEL_COSINE:
            yield node


def _underMouse(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLSliceNode | None:
    crosshair = scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    return None if crosshair is None else crosshair.GetCursorPositionXYZ([0.0, 0.0, 0.0])

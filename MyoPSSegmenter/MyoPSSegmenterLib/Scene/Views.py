"""Slice views: the sequences side by side, in the slices of the case, with the segmentation on top.

Views are described in the scene alone (layout, slice and composite nodes). In desktop Slicer the
layout manager makes the widgets, in a browser the front end does, in tests `offscreen.py`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import slicer

from myops.sequences import SEQUENCE_TITLES
from MyoPSSegmenterLib.Scene.Layouts import VIEWS, layoutId, layoutNode, registerLayout
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

# What is visible around the heart, on each side, as a share of the heart's size.
MARGIN = 0.35
# Beyond this angle a view shows something between the slices, not a slice.
PARALLEL_COSINE = np.cos(np.radians(1.0))
# Views get their size from the event loop after the layout changed; later the user changes it.
SETTLING_S = 2.0


def showSequences(
    scene: slicer.vtkMRMLScene,
    volumes: Mapping[str, slicer.vtkMRMLScalarVolumeNode],
    segmentationNode: slicer.vtkMRMLSegmentationNode | None = None,
    case: Case | None = None,
) -> ViewFit | None:
    """Lay the sequences out side by side, linked: the same slice, place and zoom in all of them.

    Args:
        scene: whose layout changes.
        volumes: sequence name to volume node; absent sequences get no view.
        segmentationNode: shown on all images; the views zoom in on what it covers.
        case: the views show its slices, beginning in the middle of the heart. Without it (the
            sequences do not fit together yet) each view shows its volume from the feet.

    Returns:
        What fits the slices into the views again while these get their size on the screen; None
        without a volume or a case.
    """
    shown = [name for name in VIEWS if volumes.get(name) is not None]
    if not shown:
        return None
    registerLayout(scene)
    layoutNode(scene).SetViewArrangement(layoutId(shown))
    for name in shown:
        _showVolume(scene, name, volumes[name])
    if segmentationNode is not None:
        _showSegmentation(segmentationNode)
    if case is None:
        return None
    return ViewFit([_sliceNode(scene, n) for n in shown], case, *_heart(case, segmentationNode))


class ViewFit:
    """Views turned to the case's slices, with a place in their middle and a size fitted in.

    A layout manager gives new views their size from the event loop. Slicer then keeps the height of
    what is seen and cuts its width: `settle` brings it back.
    """

    def __init__(
        self,
        nodes: list[slicer.vtkMRMLSliceNode],
        case: Case,
        center: np.ndarray,
        size_mm: np.ndarray,
    ) -> None:
        """Turn the views; arguments as for `_orient`."""
        self._case, self._center, self._size_mm = case, center, size_mm
        self._end = time.monotonic() + SETTLING_S
        self._sizes: dict[slicer.vtkMRMLSliceNode, tuple[int, int]] = {}
        for node in nodes:
            self._fit(node)

    def settle(self) -> None:
        """Fit those views again that have got another size; for a timer. Ends by itself."""
        for node, size in list(self._sizes.items()):
            if node.GetDimensions()[:2] != size:
                self._fit(node)
        if time.monotonic() > self._end:  # from now on it is the user who changes sizes
            self._sizes.clear()

    def _fit(self, node: slicer.vtkMRMLSliceNode) -> None:
        _orient(node, self._case, self._center, self._size_mm)
        self._sizes[node] = node.GetDimensions()[:2]


def isShown(
    scene: slicer.vtkMRMLScene, volumes: Mapping[str, slicer.vtkMRMLScalarVolumeNode]
) -> bool:
    """Whether the present layout shows each volume in the view of its sequence, and no other."""
    shown = [name for name in VIEWS if volumes.get(name) is not None]
    if layoutNode(scene).GetViewArrangement() != layoutId(shown):
        return False
    found = [_compositeNode(scene, name).GetBackgroundVolumeID() for name in shown]
    return found == [volumes[name].GetID() for name in shown]


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
    return _indexIn(node, case)


def sliceShownIn(
    scene: slicer.vtkMRMLScene, case: Case, layoutName: str
) -> tuple[int, float] | None:
    """The slice (z index) of the case that a view shows, and the view's offset in mm.

    Returns:
        None if it shows none: see `currentSlice`.
    """
    node = _sliceNodeNamed(scene, layoutName)
    if node is None or node not in list(_parallelNodes(scene, case)):
        return None
    index = _indexIn(node, case)
    return None if index is None else (index, float(node.GetSliceOffset()))


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


def _indexIn(node: slicer.vtkMRMLSliceNode, case: Case) -> int | None:
    """The slice in which the view's plane lies; None beyond the stack."""
    origin = arrayOfMatrix(node.GetSliceToRAS())[:3, 3]
    index = round(voxelFromWorld(case, origin)[0])
    return index if 0 <= index < case.geometry.array_shape[0] else None


def _underMouse(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLSliceNode | None:
    crosshair = scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    return None if crosshair is None else crosshair.GetCursorPositionXYZ([0.0, 0.0, 0.0])

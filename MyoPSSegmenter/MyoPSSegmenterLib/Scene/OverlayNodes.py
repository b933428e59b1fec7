"""Masks that are shown beside the labels: of another method, of the remote region, of a proposal.

They lie in a segmentation node of their own, which Slicer's Segment Editor and Save dialog do not
offer: nobody edits them by accident, and a file of the labels holds the labels alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import slicer

from MyoPSSegmenterLib.Scene.SegmentationNodes import hideMask, showMask

if TYPE_CHECKING:
    import numpy as np

    from myops.case import Case

# Marks the node, and refers to the segmentation that it stands beside. It refers, and not the other
# one: this node is not saved, and in a scene that is read another node may have its ID.
OVERLAY_ATTRIBUTE = "MyoPS.overlay"
OF = "MyoPS.labels"
# Thicker than the outlines of the structures: told apart by more than color.
LINE_PIXELS = 3


def overlayOf(node: slicer.vtkMRMLSegmentationNode) -> slicer.vtkMRMLSegmentationNode | None:
    """The node of the masks beside a segmentation; None where there are none."""
    scene, kind = node.GetScene(), "vtkMRMLSegmentationNode"
    for index in range(0 if scene is None else scene.GetNumberOfNodesByClass(kind)):
        found = scene.GetNthNodeByClass(index, kind)
        if found.GetAttribute(OVERLAY_ATTRIBUTE) and found.GetNodeReferenceID(OF) == node.GetID():
            return found
    return None


def showBeside(
    node: slicer.vtkMRMLSegmentationNode,
    case: Case,
    mask: np.ndarray,
    segmentId: str,
    name: str,
    color: tuple[float, float, float],
) -> None:
    """Show the outline of a mask beside a segmentation; arguments as of `showMask`."""
    overlay = overlayOf(node)
    showMask(_made(node) if overlay is None else overlay, case, mask, segmentId, name, color)


def hideBeside(node: slicer.vtkMRMLSegmentationNode, segmentId: str) -> None:
    """Take a mask of `showBeside` away, and the node with the last one."""
    overlay = overlayOf(node)
    if overlay is None:
        return
    hideMask(overlay, segmentId)
    if overlay.GetSegmentation().GetNumberOfSegments() == 0:
        removeBeside(node)


def removeBeside(node: slicer.vtkMRMLSegmentationNode) -> None:
    """Take all masks beside a segmentation away; it may be gone from the scene itself."""
    overlay = overlayOf(node)
    if overlay is not None:
        overlay.GetScene().RemoveNode(overlay)


def removeAbandoned(scene: slicer.vtkMRMLScene) -> None:
    """Take masks away whose segmentation was deleted."""
    kind = "vtkMRMLSegmentationNode"
    for index in reversed(range(scene.GetNumberOfNodesByClass(kind))):
        found = scene.GetNthNodeByClass(index, kind)
        labels = found.GetNodeReference(OF)
        isAbandoned = labels is None or not scene.IsNodePresent(labels)
        if found.GetAttribute(OVERLAY_ATTRIBUTE) and isAbandoned:
            scene.RemoveNode(found)


def _made(node: slicer.vtkMRMLSegmentationNode) -> slicer.vtkMRMLSegmentationNode:
    scene = node.GetScene()
    overlay = slicer.vtkMRMLSegmentationNode()
    overlay.SetName(f"{node.GetName()} overlays")
    overlay.SetHideFromEditors(True)
    overlay.SetSaveWithScene(False)
    overlay.SetAttribute(OVERLAY_ATTRIBUTE, "1")
    scene.AddNode(overlay)
    overlay.SetNodeReferenceID(OF, node.GetID())
    overlay.CreateDefaultDisplayNodes()
    display = overlay.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetSliceIntersectionThickness(LINE_PIXELS)
    display.SetVisibility3D(False)
    shown = node.GetDisplayNode()
    if shown is not None:
        display.SetVisibility(shown.GetVisibility())
        display.SetOpacity(shown.GetOpacity())
    return overlay

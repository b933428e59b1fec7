"""The transform node above a volume that lays it on the reference sequence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import slicer
import vtk

from myops.errors import InputError
from myops.sequences import SEQUENCE_TITLES
from MyoPSSegmenterLib.Scene.SceneBridge import RAS_LPS, arrayOfMatrix, parentToWorld, vtkMatrix

ALIGNMENT_ATTRIBUTE = "MyoPS.alignment"


def alignmentOf(node: slicer.vtkMRMLTransformableNode) -> slicer.vtkMRMLLinearTransformNode | None:
    """The alignment right above a volume; None if there is none, or another transform."""
    parent = node.GetParentTransformNode()
    return parent if parent is not None and parent.GetAttribute(ALIGNMENT_ATTRIBUTE) else None


def moveInWorld(
    node: slicer.vtkMRMLTransformableNode, sequence: str, translationMm: Sequence[float]
) -> slicer.vtkMRMLLinearTransformNode:
    """Move a volume by an alignment above it, made where there is none; transforms above stay.

    Args:
        node: the volume.
        sequence: that it is, for the transform's name.
        translationMm: shift (3,) in the library's LPS world coordinates.

    Returns:
        The alignment.
    """
    alignment = alignmentOf(node) or _inserted(node, sequence)
    shift = np.eye(4)
    shift[:3, 3] = RAS_LPS[:3, :3] @ np.asarray(translationMm, np.float64)
    above = parentToWorld(alignment)
    present = vtk.vtkMatrix4x4()
    alignment.GetMatrixTransformToParent(present)
    moved = np.linalg.inv(above) @ shift @ above @ arrayOfMatrix(present)
    alignment.SetMatrixTransformToParent(vtkMatrix(moved))
    return alignment


def removeAlignment(node: slicer.vtkMRMLTransformableNode) -> bool:
    """Take a volume's alignment out of the scene, and leave the volume under what was above it.

    Returns:
        Whether there was one.
    """
    alignment = alignmentOf(node)
    if alignment is None:
        return False
    node.SetAndObserveTransformNodeID(alignment.GetTransformNodeID())
    if alignment.GetScene() is not None:
        alignment.GetScene().RemoveNode(alignment)
    return True


def renameAlignment(node: slicer.vtkMRMLTransformableNode, sequence: str) -> None:
    """Name a volume's alignment, if it has one, after the sequence that the volume is."""
    alignment = alignmentOf(node)
    if alignment is not None and alignment.GetAttribute(ALIGNMENT_ATTRIBUTE) != sequence:
        alignment.SetName(f"{SEQUENCE_TITLES[sequence]} alignment")
        alignment.SetAttribute(ALIGNMENT_ATTRIBUTE, sequence)


def alignedByMm(node: slicer.vtkMRMLScalarVolumeNode) -> float | None:
    """How far the alignment moves the volume's center, in mm; None without an alignment."""
    alignment = alignmentOf(node)
    if alignment is None or node.GetImageData() is None:
        return None
    toRas = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(toRas)
    middle = np.array([*((count - 1) / 2 for count in node.GetImageData().GetDimensions()), 1.0])
    try:
        moved = parentToWorld(node) - parentToWorld(alignment)
    except InputError:  # bent by the user: the case's problem tells
        return None
    return float(np.linalg.norm((moved @ arrayOfMatrix(toRas) @ middle)[:3]))


def _inserted(
    node: slicer.vtkMRMLTransformableNode, sequence: str
) -> slicer.vtkMRMLLinearTransformNode:
    """A new transform that moves nothing, between a volume and what is above it."""
    alignment = slicer.vtkMRMLLinearTransformNode()
    alignment.SetName(node.GetScene().GenerateUniqueName(f"{SEQUENCE_TITLES[sequence]} alignment"))
    alignment.SetAttribute(ALIGNMENT_ATTRIBUTE, sequence)
    node.GetScene().AddNode(alignment)
    alignment.SetAndObserveTransformNodeID(node.GetTransformNodeID())
    node.SetAndObserveTransformNodeID(alignment.GetID())
    return alignment

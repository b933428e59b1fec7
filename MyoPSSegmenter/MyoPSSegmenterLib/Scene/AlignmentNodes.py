"""The transform node above a volume that lays it on the reference sequence.

What the search found is noted on the node. Where the node says something else, a reader has moved
the volume, here or in the Transforms module, and no search may replace that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
import slicer
import vtk

from myops.errors import InputError
from myops.sequences import SEQUENCE_TITLES
from MyoPSSegmenterLib.Scene.SceneBridge import RAS_LPS, arrayOfMatrix, parentToWorld, vtkMatrix

ALIGNMENT_ATTRIBUTE = "MyoPS.alignment"
# The matrix that the search has found; missing where a reader alone has moved the volume.
FOUND_ATTRIBUTE = "MyoPS.foundAlignment"
# Less than this is rounding.
SAME_MM = 1e-3
MATRIX_SIZE = 16


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
    moved = np.linalg.inv(above) @ shift @ above @ _matrixOf(alignment)
    alignment.SetMatrixTransformToParent(vtkMatrix(moved))
    return alignment


def noteAsFound(alignment: slicer.vtkMRMLLinearTransformNode) -> None:
    """What an alignment says now is what the search has found."""
    alignment.SetAttribute(FOUND_ATTRIBUTE, _asText(_matrixOf(alignment)))


def isFound(node: slicer.vtkMRMLTransformableNode) -> bool:
    """Whether the search has laid a volume somewhere, wherever a reader has moved it since."""
    alignment = alignmentOf(node)
    return alignment is not None and bool(alignment.GetAttribute(FOUND_ATTRIBUTE))


def isByHand(node: slicer.vtkMRMLTransformableNode) -> bool:
    """Whether a reader has moved a volume from where the search, if any, has laid it."""
    alignment = alignmentOf(node)
    if alignment is None:
        return False
    found = alignment.GetAttribute(FOUND_ATTRIBUTE)
    if not found:
        return True
    return bool(np.abs(_matrixOf(alignment) - _fromText(found)).max() > SAME_MM)


def backToFound(node: slicer.vtkMRMLTransformableNode) -> bool:
    """Take back what a reader did to a volume's alignment; without a search it goes altogether.

    Returns:
        Whether there was an alignment.
    """
    alignment = alignmentOf(node)
    found = None if alignment is None else alignment.GetAttribute(FOUND_ATTRIBUTE)
    if alignment is None or not found:
        return removeAlignment(node)
    alignment.SetMatrixTransformToParent(vtkMatrix(_fromText(found)))
    return True


def savedAlignment(
    node: slicer.vtkMRMLTransformableNode, copied: slicer.vtkMRMLTransformableNode | None = None
) -> dict[str, str]:
    """A volume's alignment as texts for a file, exact to the last bit; empty without one.

    Args:
        node: the volume.
        copied: that it is a copy of, made where its alignment placed it; None if it is none.
            The texts then say how that one has to be moved to lie where the copy lies.
    """
    both = [alignmentOf(one) for one in (node, copied) if one is not None]
    moves = [one for one in both if one is not None]
    if not moves:
        return {}
    texts = [text for one in moves if (text := one.GetAttribute(FOUND_ATTRIBUTE))]
    found = {"found": _asText(reduce(np.matmul, map(_fromText, texts)))} if texts else {}
    return {"matrix": _asText(reduce(np.matmul, map(_matrixOf, moves))), **found}


def restoreAlignment(
    node: slicer.vtkMRMLTransformableNode, sequence: str, saved: Mapping[str, str]
) -> None:
    """Give a volume the alignment that `savedAlignment` has noted, or none.

    Raises:
        ValueError: no such texts.
    """
    if not saved:
        removeAlignment(node)
        return
    matrix = _fromText(saved["matrix"])
    alignment = alignmentOf(node) or _inserted(node, sequence)
    alignment.SetMatrixTransformToParent(vtkMatrix(matrix))
    alignment.SetAttribute(FOUND_ATTRIBUTE, saved.get("found"))


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


def alignedByMm(node: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray | None:
    """By how much the alignment moves the volume's center: LPS mm (3,); None without one."""
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
    return np.asarray(RAS_LPS[:3, :3] @ (moved @ arrayOfMatrix(toRas) @ middle)[:3])


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


def _matrixOf(alignment: slicer.vtkMRMLLinearTransformNode) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    alignment.GetMatrixTransformToParent(matrix)
    return arrayOfMatrix(matrix)


def _asText(matrix: np.ndarray) -> str:
    return " ".join(repr(float(value)) for value in matrix.ravel())


def _fromText(text: str) -> np.ndarray:
    values = np.array([float(word) for word in text.split()])
    if values.size != MATRIX_SIZE or not np.isfinite(values).all():
        raise ValueError(f"expected 16 numbers of a matrix, found {text!r}")
    return values.reshape(4, 4)

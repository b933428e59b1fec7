"""Whether a volume is still what it was: its voxels, its geometry and what stands above it."""

from __future__ import annotations

import slicer
import vtk

from MyoPSSegmenterLib.Scene.SceneBridge import arrayOfMatrix


def fingerprintOf(node: slicer.vtkMRMLScalarVolumeNode) -> tuple[object, ...]:
    """Give a value that is equal as long as the volume looks the same to the library.

    Its name, display and attributes do not count, and a transform that is replaced by an equal one
    does not either.
    """
    toRas = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(toRas)
    image = node.GetImageData()
    scalars = None if image is None else image.GetPointData().GetScalars()
    voxels = (
        None
        if scalars is None
        else (scalars.GetAddressAsString(""), scalars.GetMTime(), image.GetDimensions())
    )
    return (node.GetID(), voxels, _values(toRas), _placement(node))


def _placement(node: slicer.vtkMRMLTransformableNode) -> object:
    """What the transforms above a volume do to it."""
    transform = node.GetParentTransformNode()
    if transform is None:
        return _values(vtk.vtkMatrix4x4())
    if not transform.IsTransformToWorldLinear():
        return (transform.GetID(), transform.GetTransformToWorldMTime())
    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    return _values(matrix)


def _values(matrix: vtk.vtkMatrix4x4) -> tuple[float, ...]:
    return tuple(arrayOfMatrix(matrix).ravel().tolist())

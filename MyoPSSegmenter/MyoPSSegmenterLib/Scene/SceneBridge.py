"""Between the scene and the library: volume nodes, arrays, RAS and LPS meet in this file alone.

The scene has RAS world coordinates, node-to-parent transforms and VTK images; the library has LPS
images and arrays (z, y, x) on the canonical grid of a `Case`. Everything that leaves this file for
the library is in world coordinates: a parent transform has been applied, exactly once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from myops.case import Case, case_from_images
from myops.errors import InputError
from myops.geometry.canonical import from_canonical
from myops.geometry.grid import Geometry
from myops.io.checks import MAX_AXIS_COSINE
from myops.io.geometry_notes import GeometryNotes, add_notes, stored_notes
from MyoPSSegmenterLib.Runtime.Translation import tr as _

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# RAS and LPS differ in the sign of the first two coordinates; the step is its own inverse.
RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
# Of volumes: which sequence, of which patient, from which file. They are saved with the scene, so
# that it can be opened again.
SEQUENCE_ATTRIBUTE = "MyoPS.sequence"
CASE_ATTRIBUTE = "MyoPS.case"
SOURCE_ATTRIBUTE = "MyoPS.source"
# Attributes of volume nodes, saved with the scene: what a reader doubted about the geometry, and
# the spacing that it doubted.
NOTE_ATTRIBUTES = ("MyoPS.spacingMissing", "MyoPS.spacingConflict")
WARNINGS_ATTRIBUTE, DOUBTED_SPACING = "MyoPS.geometryWarnings", "MyoPS.doubtedSpacing"


def imageFromVolume(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> sitk.Image:
    """Copy a volume node into an image of the library, where it stands in the world.

    Args:
        volumeNode: scalar volume. Linear parent transforms that turn, move, mirror or scale along
            the volume's axes become part of the image's geometry.

    Returns:
        Image in LPS, in the pixel type of the node. The node is left as it is.

    Raises:
        InputError: no voxels, color or vector voxels, or a transform that bends or shears.
    """
    name = _quoted(volumeNode)
    data = volumeNode.GetImageData() if volumeNode.IsA("vtkMRMLScalarVolumeNode") else None
    if data is None or data.GetPointData().GetScalars() is None:
        raise InputError(
            _(
                "{name}: expected a scalar volume with voxels, found none; load the image again"
            ).format(name=name)
        )
    components = data.GetNumberOfScalarComponents()
    if components != 1:
        raise InputError(
            _(
                "{name}: expected one value in each voxel, found {components} (a color, vector "
                "or time volume); extract one component or frame as a scalar volume first"
            ).format(name=name, components=components)
        )
    voxels = arrayOf(data)
    toWorld = _ijkToWorld(volumeNode)
    toWorld[:3, 3] += toWorld[:3, :3] @ np.array(data.GetExtent()[::2], np.float64)
    image = sitk.GetImageFromArray(voxels)
    _setGeometry(image, RAS_LPS @ toWorld, name)
    add_notes(image, _notesOf(volumeNode))
    return image


def caseFromVolumes(volumes: Mapping[str, slicer.vtkMRMLScalarVolumeNode], name: str) -> Case:
    """Put volume nodes on one grid, in the world coordinates they have at this moment.

    Args:
        volumes: sequence name ("bssfp", "lge", "t2") to its node.
        name: the patient, for reports.

    Raises:
        InputError: see `imageFromVolume` and `myops.case.case_from_images`.
    """
    return case_from_images({key: imageFromVolume(node) for key, node in volumes.items()}, name)


def removeNode(scene: slicer.vtkMRMLScene, node: slicer.vtkMRMLDisplayableNode) -> None:
    """Take a node out of the scene, with what shows and stores it; gone already is as well."""
    for one in (node.GetDisplayNode(), node.GetStorageNode(), node):
        if one is not None and scene.IsNodePresent(one):
            scene.RemoveNode(one)


def volumeFromImage(
    scene: slicer.vtkMRMLScene, image: sitk.Image, name: str
) -> slicer.vtkMRMLScalarVolumeNode:
    """Add an image of the library to the scene as a scalar volume that can be shown at once.

    Args:
        scene: gets the volume node and its display node.
        image: scalar 3D image in LPS.
        name: of the new node.

    Raises:
        InputError: the image is not 3D or not scalar.
    """
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(
            _(
                "{name}: expected a scalar 3D image, found {dimension}D with {components} values "
                "in each voxel; extract one first"
            ).format(
                name=name,
                dimension=image.GetDimension(),
                components=image.GetNumberOfComponentsPerPixel(),
            )
        )
    data = vtk.vtkImageData()
    data.SetDimensions(image.GetSize())
    data.GetPointData().SetScalars(_scalarsFrom(sitk.GetArrayViewFromImage(image)))
    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetName(scene.GenerateUniqueName(name))
    node.SetIJKToRASMatrix(vtkMatrix(RAS_LPS @ _indexToLps(image)))
    node.SetAndObserveImageData(data)
    _keepNotes(node, image)
    scene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    return node


def orientedImage(case: Case, array: np.ndarray) -> slicer.vtkOrientedImageData:
    """Put a result on the reference volume's own grid, voxel for voxel, in world coordinates.

    Args:
        case: the case of the result.
        array: (z, y, x) on the case's canonical grid; bool becomes uint8, nothing is interpolated.

    Raises:
        ValueError: the array's shape is not the case's.
    """
    if array.shape != case.geometry.array_shape:
        raise ValueError(
            f"expected an array of {case.geometry.array_shape} (z, y, x), found {array.shape}"
        )
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(case.original.geometry.size_xyz)
    image.GetPointData().SetScalars(_scalarsFrom(from_canonical(array, case.original)))
    image.SetImageToWorldMatrix(vtkMatrix(referenceToWorld(case)))
    return image


def voxelFromWorld(case: Case, ras: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """Continuous (slice, row, column) on the canonical grid of a position in RAS mm.

    Whole numbers are voxel centers; positions outside the grid give numbers outside it.
    """
    column, row, index = case.geometry.index_xyz(_flipped(ras))
    return float(index), float(row), float(column)


def worldFromVoxel(
    case: Case, slice: float, row: float, column: float
) -> tuple[float, float, float]:
    """RAS position in mm of a continuous (slice, row, column) on the canonical grid."""
    right, anterior, superior = _flipped(case.geometry.position_mm(np.array([column, row, slice])))
    return float(right), float(anterior), float(superior)


def sliceNormal(case: Case) -> np.ndarray:
    """Unit vector (3,) in RAS through the stack, from canonical slice 0 to the last one."""
    return _flipped(case.geometry.axes[2])


def sliceAxes(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (3,) in RAS along the columns (to the right of a slice) and the rows (down)."""
    return _flipped(case.geometry.axes[0]), _flipped(case.geometry.axes[1])


def referenceToWorld(case: Case) -> np.ndarray:
    """Matrix (4, 4) from voxel indices (i, j, k) of the reference volume to RAS world in mm."""
    grid = case.original.geometry
    return RAS_LPS @ _matrix(grid)


def parentToWorld(node: slicer.vtkMRMLTransformableNode) -> np.ndarray:
    """Matrix (4, 4) from a node's own coordinates to the world; identity without a transform.

    Raises:
        InputError: a transform above the node bends space.
    """
    transform = node.GetParentTransformNode()
    matrix = vtk.vtkMatrix4x4()
    if transform is None:
        return np.eye(4)
    if not transform.IsTransformToWorldLinear():
        raise InputError(
            _(
                "{name}: expected a linear transform, found one that bends space; harden the "
                "transform in the Transforms module, or take the volume out of it"
            ).format(name=_quoted(node))
        )
    transform.GetMatrixTransformToWorld(matrix)
    return arrayOfMatrix(matrix)


def arrayOf(image: vtk.vtkImageData) -> np.ndarray:
    """The voxels of a scalar image as an array (k, j, i) that shares the image's memory.

    It is valid until the image is allocated anew, which VTK and Slicer do on many occasions: take
    it, use it, drop it.
    """
    lowest, highest = image.GetExtent()[::2], image.GetExtent()[1::2]
    shape = tuple(high - low + 1 for low, high in zip(lowest, highest))[::-1]
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(shape)


def vtkMatrix(values: ArrayLike) -> vtk.vtkMatrix4x4:
    """A VTK matrix of an array (4, 4)."""
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(np.asarray(values, np.float64).ravel().tolist())
    return matrix


def arrayOfMatrix(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    """Float64 (4, 4) of a VTK matrix."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def _ijkToWorld(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    toRas = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(toRas)
    return parentToWorld(volumeNode) @ arrayOfMatrix(toRas)


def _keepNotes(node: slicer.vtkMRMLScalarVolumeNode, image: sitk.Image) -> None:
    """Keep what the reader doubted about the geometry, and the spacing that it doubted."""
    notes = stored_notes(image)
    if notes.unknown:
        node.SetAttribute(DOUBTED_SPACING, _spacingText(node))
    for name, text in zip(NOTE_ATTRIBUTES, (notes.missing, notes.conflict)):
        node.SetAttribute(name, text or None)
    node.SetAttribute(WARNINGS_ATTRIBUTE, "\t".join(notes.warnings) or None)


def _notesOf(node: slicer.vtkMRMLScalarVolumeNode) -> GeometryNotes:
    """What the reader doubted; the spacing no longer once the user has entered another one."""
    missing, conflict = (node.GetAttribute(name) or "" for name in NOTE_ATTRIBUTES)
    if node.GetAttribute(DOUBTED_SPACING) != _spacingText(node):
        missing = conflict = ""
    warnings = (node.GetAttribute(WARNINGS_ATTRIBUTE) or "").split("\t")
    return GeometryNotes(missing, conflict, tuple(text for text in warnings if text))


def _spacingText(node: slicer.vtkMRMLScalarVolumeNode) -> str:
    return " ".join(f"{value:.6g}" for value in node.GetSpacing())


def _setGeometry(image: sitk.Image, indexToLps: np.ndarray, name: str) -> None:
    columns = indexToLps[:3, :3]
    spacing = np.linalg.norm(columns, axis=0)
    if not np.isfinite(indexToLps).all() or not (spacing > 0).all():
        raise InputError(
            _(
                "{name}: expected a spacing above 0 mm on every axis, found {spacing}; repair "
                "the volume's geometry or its transform"
            ).format(name=name, spacing=spacing.tolist())
        )
    axes = columns / spacing
    if np.abs(axes.T @ axes - np.eye(3)).max() > MAX_AXIS_COSINE:
        raise InputError(
            _(
                "{name}: expected axes at right angles, found a sheared grid; harden the "
                "transform and resample the volume to an orthogonal grid, or take the volume out "
                "of it"
            ).format(name=name)
        )
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(indexToLps[:3, 3].tolist())
    image.SetDirection(axes.ravel().tolist())


def _indexToLps(image: sitk.Image) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    return matrix


def _matrix(grid: Geometry) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = grid.axes.T * grid.spacing_mm
    matrix[:3, 3] = grid.origin_mm
    return matrix


def _scalarsFrom(array: np.ndarray) -> vtk.vtkDataArray:
    """Copy an array (k, j, i) into VTK's order; the copy is VTK's own."""
    voxels = array.astype(np.uint8) if array.dtype == bool else np.ascontiguousarray(array)
    return numpy_to_vtk(voxels.ravel(), deep=True)


def _flipped(position: ArrayLike) -> np.ndarray:
    """RAS to LPS or back, positions or directions (3,)."""
    return np.asarray(position, np.float64) * (-1.0, -1.0, 1.0) + 0.0


def _quoted(node: slicer.vtkMRMLNode) -> str:
    return f'"{node.GetName()}"'

"""Label maps in segmentation nodes, and back.

Our segments share one labelmap ("layer") on the reference volume's own grid, whose voxels hold the
MyoPS label values. A correction therefore changes a few voxels in place, and a file that Slicer
saves holds the MyoPS values. Slicer's Segment Editor may crop that labelmap, split it into layers
or renumber it: reading copes with all of it, and the next write puts the shared layer back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import slicer
import vtk

from myops.geometry.canonical import to_canonical
from myops.io.seg_nrrd import SEGMENTS, terminology
from myops.structures import LABEL_VALUES, rgb_of
from MyoPSSegmenterLib.Scene.SceneBridge import (
    arrayOf,
    arrayOfMatrix,
    orientedImage,
    parentToWorld,
    referenceToWorld,
    vtkMatrix,
)

if TYPE_CHECKING:
    from myops.case import Case

LABELMAP = "Binary labelmap"
SURFACE = "Closed surface"
REFERENCE_GEOMETRY = "Reference image geometry"
# Marks nodes whose surfaces are to be computed anew.
SURFACES_WANTED = "MyoPS.surfacesWanted"
# Marks segments that show something beside the labels, such as the mask of another method.
EXTRA_TAG = "MyoPS.extra"
# These have a segment from the start: every heart has them.
ALWAYS = ("normal_myocardium", "blood_pool")
# Where segments overlap, the later one lies inside the earlier one and is what is meant.
OVERLAP_ORDER = tuple(sorted(LABEL_VALUES, key=lambda name: name != "right_ventricle"))
# Beyond this, in voxels, a labelmap lies on another grid and must be resampled.
GRID_TOLERANCE_VOXELS = 1e-3
FILL_OPACITY = 0.35
# Thick enough to be told apart by its color.
LINE_PIXELS = 2


def createSegmentationNode(
    scene: slicer.vtkMRMLScene,
    case: Case,
    referenceNode: slicer.vtkMRMLScalarVolumeNode,
    name: str,
    assessed: Iterable[str] = (),
) -> slicer.vtkMRMLSegmentationNode:
    """Add a segmentation to the scene, on the grid of the reference volume, without any voxel.

    Args:
        scene: gets the node and its display node.
        case: whose reference grid the labels have.
        referenceNode: the volume node of that grid, which Slicer's own tools then use too.
        name: of the node.
        assessed: structures that were looked for ("scar", "edema"): they get their segment even
            when nothing is found. Others appear with their first voxel.
    """
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", scene.GenerateUniqueName(name))
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetOpacity2DFill(FILL_OPACITY)
    node.GetDisplayNode().SetSliceIntersectionThickness(LINE_PIXELS)
    setFilled(node, False)
    node.SetReferenceImageGeometryParameterFromVolumeNode(referenceNode)
    layer = _newLayer(node, case)
    for segment in SEGMENTS:
        if segment in ALWAYS or segment in assessed:
            _addSegment(node, segment, layer)
    return node


def publishLabels(
    node: slicer.vtkMRMLSegmentationNode,
    case: Case,
    labels: np.ndarray,
    previous: np.ndarray | None = None,
    surfaces: bool = True,
) -> None:
    """Write a label map into a segmentation node, so that it lies right in the world.

    Args:
        node: made by `createSegmentationNode`, perhaps edited or loaded since. A linear transform
            above it is undone in what is written: the labels stay on the images.
        case: of the labels.
        labels: uint16 (z, y, x), MyoPS values on the case's grid.
        previous: the labels that the node holds, if known: slices in which the new ones are the
            same are not touched.
        surfaces: compute the 3D surfaces anew at once where the node has some, in 0.1 to 0.2 s for
            a heart; if False they vanish until `refreshSurfaces`.

    Raises:
        InputError: the node is under a transform that bends space.
        ValueError: the labels are not on the case's grid.
    """
    if labels.shape != case.geometry.array_shape:
        raise ValueError(f"expected labels of {case.geometry.array_shape}, found {labels.shape}")
    hadSurfaces = node.GetSegmentation().ContainsRepresentation(SURFACE)
    layer, isNew = _writableLayer(node, case, labels)
    voxels = _canonicalView(arrayOf(layer), case)
    if isNew or previous is None:
        changed = np.ones(len(labels), bool)
    else:
        changed = (labels != previous).any(axis=(1, 2))
    if not changed.any():
        return
    for index in np.flatnonzero(changed):
        voxels[index] = labels[index]
    layer.GetPointData().GetScalars().Modified()
    layer.Modified()
    if hadSurfaces:
        node.SetAttribute(SURFACES_WANTED, "1")
    if surfaces:
        refreshSurfaces(node)


def refreshSurfaces(node: slicer.vtkMRMLSegmentationNode) -> None:
    """Bring back the 3D surfaces that a write took away; does nothing where none was shown."""
    if node.GetAttribute(SURFACES_WANTED):
        node.RemoveAttribute(SURFACES_WANTED)
        node.CreateClosedSurfaceRepresentation()


def readLabels(
    node: slicer.vtkMRMLSegmentationNode, case: Case, previous: np.ndarray | None = None
) -> np.ndarray:
    """Read a segmentation node back, whatever was done to it since.

    Args:
        node: its segments count that have our IDs or, where an ID is missing, our names; all
            others are ignored. Voxels outside the case's grid are dropped.
        case: gives the grid; a node on another grid or under a transform is resampled (nearest
            voxel) by its position in the world.
        previous: the labels before the edits. Where segments overlap, what was added since then
            counts; without it, and among what was added, the later of OVERLAP_ORDER.

    Returns:
        uint16 (z, y, x), MyoPS values on the case's grid.

    Raises:
        InputError: the node is under a transform that bends space.
    """
    layers: dict[str, np.ndarray] = {}
    labels = np.zeros(case.geometry.array_shape, np.uint16)
    added = np.zeros(labels.shape, bool)
    for name in OVERLAP_ORDER:
        segment = node.GetSegmentation().GetSegment(_segmentId(node, name))
        image = segment.GetRepresentation(LABELMAP) if segment is not None else None
        if image is None or image.IsEmpty():
            continue
        key = image.GetAddressAsString("")
        if key not in layers:
            layers[key] = _onCaseGrid(node, image, case)
        mask = layers[key] == segment.GetLabelValue()
        if previous is None:
            labels[mask] = LABEL_VALUES[name]
            continue
        new = mask & (previous != LABEL_VALUES[name])
        labels[(mask & ~added) | new] = LABEL_VALUES[name]
        added |= new
    return labels


def showMask(
    node: slicer.vtkMRMLSegmentationNode,
    case: Case,
    mask: np.ndarray,
    segmentId: str,
    name: str,
    color: tuple[float, float, float],
    visible: bool = True,
    filled: bool = False,
) -> None:
    """Show a mask as a segment of its own, beside the labels; `readLabels` never sees it.

    Args:
        node: the segmentation it appears in.
        case: of the mask.
        mask: bool (z, y, x) on the case's grid.
        segmentId: new, or that of an earlier call, whose mask is then replaced.
        name: of the segment.
        color: red, green, blue, each 0..1.
        visible: whether it is shown.
        filled: filled like the labels; only its outline if False.

    Raises:
        ValueError: the ID is one of our structures or of a segment of the user.
    """
    segmentation, display = node.GetSegmentation(), node.GetDisplayNode()
    segment = segmentation.GetSegment(segmentId)
    if segmentId in SEGMENTS or (segment is not None and not _isExtra(segment)):
        raise ValueError(f"expected the ID of an extra segment, found {segmentId!r}")
    image = orientedImage(case, mask)
    image.SetImageToWorldMatrix(vtkMatrix(_referenceToLocal(node, case)))
    if segment is None:
        segment = slicer.vtkSegment()
        segment.SetTag(EXTRA_TAG, "1")
        segment.AddRepresentation(LABELMAP, image)
        segmentation.AddSegment(segment, segmentId)
    else:
        segmentation.SeparateSegmentLabelmap(segmentId)
        segment.SetLabelValue(1)
        segment.GetRepresentation(LABELMAP).DeepCopy(image)
    segment.SetName(name)
    segment.SetColor(*color)
    display.SetSegmentVisibility(segmentId, visible)
    display.SetSegmentVisibility2DFill(segmentId, filled)


def hideMask(node: slicer.vtkMRMLSegmentationNode, segmentId: str) -> None:
    """Remove a segment that `showMask` made; nothing happens when there is none."""
    segment = node.GetSegmentation().GetSegment(segmentId)
    if segment is not None and _isExtra(segment):
        node.GetSegmentation().RemoveSegment(segmentId)


def setOpacity(node: slicer.vtkMRMLSegmentationNode, opacity: float) -> None:
    """Fade the whole segmentation, fill and outline: 0 is invisible, 1 as it was made."""
    node.GetDisplayNode().SetOpacity(min(1.0, max(0.0, float(opacity))))


def setFilled(node: slicer.vtkMRMLSegmentationNode, filled: bool) -> None:
    """Fill the structures on the images, or show their outlines alone: the image lies open then."""
    node.GetDisplayNode().SetVisibility2DFill(bool(filled))


def _writableLayer(
    node: slicer.vtkMRMLSegmentationNode, case: Case, labels: np.ndarray
) -> tuple[vtk.vtkImageData, bool]:
    """The layer of all our segments, with one for every label, and whether it must be filled."""
    layer = _intactLayer(node, case)
    isNew = layer is None
    if layer is None:
        layer = _newLayer(node, case)
    for name in SEGMENTS:
        if node.GetSegmentation().GetSegment(name) is None and (labels == LABEL_VALUES[name]).any():
            _addSegment(node, name, layer)
            isNew = True
    return layer, isNew


def _intactLayer(node: slicer.vtkMRMLSegmentationNode, case: Case) -> vtk.vtkImageData | None:
    """The layer as we left it; None when the Segment Editor, a file or a transform changed it."""
    segmentation = node.GetSegmentation()
    ours = [name for name in SEGMENTS if segmentation.GetSegment(name) is not None]
    if not ours or any(_segmentId(node, name) not in ("", name) for name in SEGMENTS):
        return None
    layer = segmentation.GetSegment(ours[0]).GetRepresentation(LABELMAP)
    sharing: list[str] = []
    segmentation.GetSegmentIDsSharingBinaryLabelmapRepresentation(ours[0], sharing, True)
    values = {name: segmentation.GetSegment(name).GetLabelValue() for name in ours}
    intact = (
        set(sharing) == set(ours)
        and values == {name: LABEL_VALUES[name] for name in ours}
        and layer.GetScalarType() == vtk.VTK_UNSIGNED_SHORT
        and layer.GetExtent() == _fullExtent(case)
        and _isOnGrid(_toWorld(layer), _referenceToLocal(node, case), case)
    )
    return layer if intact else None


def _newLayer(node: slicer.vtkMRMLSegmentationNode, case: Case) -> vtk.vtkImageData:
    """Give all our segments an empty layer of their own; other segments keep their voxels."""
    segmentation = node.GetSegmentation()
    layer = orientedImage(case, np.zeros(case.geometry.array_shape, np.uint16))
    layer.SetImageToWorldMatrix(vtkMatrix(_referenceToLocal(node, case)))
    # Slicer resamples what lies on another grid than this one when it edits or saves.
    geometry = slicer.vtkSegmentationConverter.SerializeImageGeometry(layer)
    segmentation.SetConversionParameter(REFERENCE_GEOMETRY, geometry)
    for name in SEGMENTS:
        segmentId = _segmentId(node, name)
        segment = segmentation.GetSegment(segmentId)
        if segment is None:
            continue
        if segmentId != name:
            # Made anew by hand under our name: it takes the place of the one that was deleted.
            segmentation.RemoveSegment(segmentId)
        _eraseFromOldLayer(segment)
        segment.SetLabelValue(LABEL_VALUES[name])
        segment.AddRepresentation(LABELMAP, layer)
        if segmentId != name:
            segmentation.AddSegment(segment, name, _nextSegmentId(node, name))
    return layer


def _eraseFromOldLayer(segment: slicer.vtkSegment) -> None:
    """Leave nothing behind where the user's own segments share the layer."""
    image = segment.GetRepresentation(LABELMAP)
    if image is not None and not image.IsEmpty():
        voxels = arrayOf(image)
        voxels[voxels == segment.GetLabelValue()] = 0


def _addSegment(node: slicer.vtkMRMLSegmentationNode, name: str, layer: vtk.vtkImageData) -> None:
    known = SEGMENTS[name]
    segment = slicer.vtkSegment()
    segment.SetName(known.title)
    segment.SetNameAutoGenerated(False)
    segment.SetColor(*rgb_of(known.color))
    segment.SetColorAutoGenerated(False)
    segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), terminology(known))
    segment.SetLabelValue(LABEL_VALUES[name])
    segment.AddRepresentation(LABELMAP, layer)
    node.GetSegmentation().AddSegment(segment, name, _nextSegmentId(node, name))


def _nextSegmentId(node: slicer.vtkMRMLSegmentationNode, name: str) -> str:
    """The segment before which one of ours is put, so that their order is always the same."""
    segmentation, names = node.GetSegmentation(), list(SEGMENTS)
    later = [known for known in names[names.index(name) + 1 :] if segmentation.GetSegment(known)]
    extra = [found for found in segmentation.GetSegmentIDs() if found not in SEGMENTS]
    return next(iter(later + extra), "")


def _segmentId(node: slicer.vtkMRMLSegmentationNode, name: str) -> str:
    """The ID of the segment that means a structure: ours, or else one of its name; "" if none."""
    segmentation = node.GetSegmentation()
    if segmentation.GetSegment(name) is not None:
        return name
    for segmentId in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segmentId)
        if segment.GetName() == SEGMENTS[name].title and not _isExtra(segment):
            return str(segmentId)
    return ""


def _isExtra(segment: slicer.vtkSegment) -> bool:
    return bool(segment.HasTag(EXTRA_TAG))


def _onCaseGrid(
    node: slicer.vtkMRMLSegmentationNode, image: vtk.vtkImageData, case: Case
) -> np.ndarray:
    """The voxels of a labelmap on the case's grid (z, y, x), by their places in the world."""
    shape = case.original.geometry.array_shape
    fromReference = np.linalg.inv(_toWorld(image)) @ _referenceToLocal(node, case)
    lowest = np.array(image.GetExtent()[::2])
    if _isOnGrid(_toWorld(image), _referenceToLocal(node, case), case, wholeVoxels=True):
        offset = np.round(fromReference[:3, 3]).astype(int) - lowest
        found = _shifted(arrayOf(image), offset[::-1], shape)
    else:
        from scipy.ndimage import affine_transform

        found = affine_transform(
            arrayOf(image),
            fromReference[2::-1, 2::-1],
            (fromReference[:3, 3] - lowest)[::-1],
            output_shape=shape,
            order=0,
            # Else a coordinate that rounding puts a hair outside would lose its whole slice.
            mode="grid-constant",
        )
    return to_canonical(found, case.original)


def _shifted(array: np.ndarray, offset: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Copy what of an array lies in a box of `shape` that begins at voxel `offset` of the array."""
    result = np.zeros(shape, array.dtype)
    source, target = [], []
    for start, size, available in zip(offset, shape, array.shape):
        first, last = max(0, start), min(available, start + size)
        source.append(slice(first, max(first, last)))
        target.append(slice(first - start, max(first, last) - start))
    result[tuple(target)] = array[tuple(source)]
    return result


def _canonicalView(array: np.ndarray, case: Case) -> np.ndarray:
    """The same voxels counted in canonical order, for writing: shares the array's memory."""
    original = case.original
    axes = [2 - axis for axis in reversed(original.order_xyz)]
    flips = tuple(slice(None, None, -1 if flip else 1) for flip in reversed(original.flipped_xyz))
    return array.transpose(axes)[flips]


def _referenceToLocal(node: slicer.vtkMRMLSegmentationNode, case: Case) -> np.ndarray:
    """Matrix (4, 4) from the reference's voxels to the coordinates of the node, in mm."""
    return np.linalg.inv(parentToWorld(node)) @ referenceToWorld(case)


def _toWorld(image: vtk.vtkImageData) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return arrayOfMatrix(matrix)


def _isOnGrid(
    found: np.ndarray, expected: np.ndarray, case: Case, wholeVoxels: bool = False
) -> bool:
    """Whether the voxels of two grids coincide at all corners, perhaps counted from elsewhere."""
    corners = np.array([[*corner, 1] for corner in np.ndindex(2, 2, 2)])
    corners[:, :3] *= np.array(case.original.geometry.size_xyz) - 1
    offset = corners @ (np.linalg.inv(found) @ expected).T - corners
    if wholeVoxels:
        offset -= np.round(offset[0])
    return bool(np.abs(offset).max() <= GRID_TOLERANCE_VOXELS)


def _fullExtent(case: Case) -> tuple[int, ...]:
    return tuple(bound for size in case.original.geometry.size_xyz for bound in (0, size - 1))

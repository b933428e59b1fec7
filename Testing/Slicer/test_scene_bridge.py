"""Volume nodes and cases: every voxel keeps its place in the patient, whatever the geometry.

Positions are checked against SimpleITK's own physical points and against VTK's transforms.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from directions import DIRECTIONS, OBLIQUE
from vtk.util.numpy_support import vtk_to_numpy

from myops.case import case_from_images, restore
from myops.errors import InputError
from myops.io.geometry_notes import GeometryNotes, add_notes
from MyoPSSegmenterLib.Scene.SceneBridge import (
    caseFromVolumes,
    imageFromVolume,
    orientedImage,
    sliceAxes,
    sliceNormal,
    volumeFromImage,
    voxelFromWorld,
    worldFromVoxel,
)

SPACINGS = {"anisotropic": (1.25, 1.5, 9.5), "thin": (1.0, 1.0, 0.3), "isotropic": (1.4, 1.4, 1.4)}
TURN_MM = (12.0, -7.0, 31.0)


def texture(shape: tuple[int, int, int] = (6, 24, 20), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(300.0, 80.0, shape).astype(np.float32)


def image_of(
    array: np.ndarray,
    direction: np.ndarray = OBLIQUE,
    spacing: tuple[float, float, float] = (1.5, 1.25, 9.5),
    origin: tuple[float, float, float] = (-12.0, 7.5, 40.0),
) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(np.asarray(direction, float).ravel().tolist())
    return image


def transform(scene: Any, kind: str) -> Any:
    """A linear transform node, made with VTK."""
    made = vtk.vtkTransform()
    if kind in ("rigid", "scaled", "mirrored"):
        made.RotateWXYZ(35.0, 0.3, -0.5, 0.8)
        made.Translate(*TURN_MM)
    if kind == "scaled":
        made.Scale(1.2, 1.2, 1.2)
    if kind == "mirrored":
        made.Scale(-1.0, 1.0, 1.0)
    if kind == "shift":
        made.Translate(*TURN_MM)
    if kind == "sheared":
        made.SetMatrix([1, 0.3, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1])
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", kind)
    node.SetMatrixTransformToParent(made.GetMatrix())
    return node


def bent(scene: Any) -> Any:
    points = [vtk.vtkPoints(), vtk.vtkPoints()]
    for corner in np.ndindex(2, 2, 2):
        points[0].InsertNextPoint(*(100.0 * np.array(corner)))
        points[1].InsertNextPoint(*(100.0 * np.array(corner) + (5.0 if all(corner) else 0.0)))
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    spline.SetSourceLandmarks(points[0])
    spline.SetTargetLandmarks(points[1])
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", "bent")
    node.SetAndObserveTransformToParent(spline)
    return node


def world_of(node: Any, ijk: tuple[int, int, int]) -> np.ndarray:
    """RAS world position of a voxel as VTK and MRML compute it: matrix, then transform to world."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    local = matrix.MultiplyPoint([*ijk, 1.0])[:3]
    world = [0.0, 0.0, 0.0]
    node.TransformPointToWorld(local, world)
    return np.array(world)


def lps(ras: Any) -> tuple[float, ...]:
    return (-float(ras[0]), -float(ras[1]), float(ras[2]))


@pytest.mark.parametrize("spacing", SPACINGS.values(), ids=SPACINGS)
@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_an_image_survives_the_way_through_the_scene(
    scene: Any, direction: np.ndarray, spacing: tuple[float, float, float]
) -> None:
    image = image_of(texture(), direction, spacing)
    back = imageFromVolume(volumeFromImage(scene, image, "lge"))
    assert np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(image))
    for index in ((0, 0, 0), (19, 0, 5), (3, 23, 1)):
        expected = image.TransformIndexToPhysicalPoint(index)
        assert back.TransformIndexToPhysicalPoint(index) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("kind", [np.int16, np.uint8, np.uint16, np.int32, np.float32, np.float64])
def test_the_pixel_type_is_kept(scene: Any, kind: type) -> None:
    image = image_of((texture() / 4).clip(0, 200).astype(kind))
    back = imageFromVolume(volumeFromImage(scene, image, "lge"))
    assert back.GetPixelID() == image.GetPixelID()


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz"])
def test_a_volume_is_where_slicers_own_reader_puts_the_file(
    scene: Any, tmp_path: Any, direction: np.ndarray, suffix: str
) -> None:
    image = image_of(texture(), direction)
    sitk.WriteImage(image, str(tmp_path / f"a{suffix}"))
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(tmp_path / f"a{suffix}"))
    read = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "read")
    assert storage.ReadData(read)
    # The reader reverses an axis of left-handed grids: the same voxels, counted from the other end.
    found = imageFromVolume(read)
    for index in ((0, 0, 0), (19, 0, 5), (3, 23, 1)):
        place = image.TransformIndexToPhysicalPoint(index)
        there = found.TransformPhysicalPointToIndex(place)
        assert found[there] == image[index]
        assert found.TransformIndexToPhysicalPoint(there) == pytest.approx(place, abs=1e-4)
        assert world_of(read, there) == pytest.approx(lps(place), abs=1e-4)


@pytest.mark.parametrize("kind", ["shift", "rigid", "scaled", "mirrored"])
def test_a_linear_transform_enters_the_geometry_once(scene: Any, kind: str) -> None:
    node = volumeFromImage(scene, image_of(texture()), "lge")
    node.SetAndObserveTransformNodeID(transform(scene, kind).GetID())
    image = imageFromVolume(node)
    for index in ((0, 0, 0), (19, 0, 5), (3, 23, 1)):
        expected = lps(world_of(node, index))
        assert image.TransformIndexToPhysicalPoint(index) == pytest.approx(expected, abs=1e-9)


def test_nested_transforms_enter_together(scene: Any) -> None:
    node = volumeFromImage(scene, image_of(texture()), "lge")
    inner, outer = transform(scene, "rigid"), transform(scene, "shift")
    inner.SetAndObserveTransformNodeID(outer.GetID())
    node.SetAndObserveTransformNodeID(inner.GetID())
    image = imageFromVolume(node)
    expected = lps(world_of(node, (19, 0, 5)))
    assert image.TransformIndexToPhysicalPoint((19, 0, 5)) == pytest.approx(expected, abs=1e-9)


def test_hardening_the_transform_changes_nothing(scene: Any) -> None:
    node = volumeFromImage(scene, image_of(texture()), "lge")
    node.SetAndObserveTransformNodeID(transform(scene, "rigid").GetID())
    before = imageFromVolume(node)
    node.HardenTransform()
    after = imageFromVolume(node)
    for index in ((0, 0, 0), (19, 23, 5)):
        assert after.TransformIndexToPhysicalPoint(index) == pytest.approx(
            before.TransformIndexToPhysicalPoint(index), abs=1e-6
        )


def test_an_image_that_does_not_begin_at_voxel_0_lies_right(scene: Any) -> None:
    node = volumeFromImage(scene, image_of(texture()), "lge")
    cut = vtk.vtkExtractVOI()
    cut.SetInputData(node.GetImageData())
    cut.SetVOI(4, 15, 6, 20, 1, 4)
    cut.Update()
    node.SetAndObserveImageData(cut.GetOutput())
    assert cut.GetOutput().GetExtent() == (4, 15, 6, 20, 1, 4)
    image = imageFromVolume(node)
    expected = lps(world_of(node, (4, 6, 1)))
    assert image.TransformIndexToPhysicalPoint((0, 0, 0)) == pytest.approx(expected, abs=1e-9)
    assert image[0, 0, 0] == pytest.approx(float(texture()[1, 6, 4]))


def test_a_sheared_volume_is_refused_with_a_remedy(scene: Any) -> None:
    node = volumeFromImage(scene, image_of(texture()), "lge")
    node.SetAndObserveTransformNodeID(transform(scene, "sheared").GetID())
    with pytest.raises(InputError, match=r'"lge".*right angles.*sheared.*harden the transform'):
        imageFromVolume(node)


def test_a_bent_volume_is_refused_with_a_remedy(scene: Any) -> None:
    node = volumeFromImage(scene, image_of(texture()), "lge")
    node.SetAndObserveTransformNodeID(bent(scene).GetID())
    with pytest.raises(InputError, match=r'"lge".*linear transform.*bends.*harden'):
        imageFromVolume(node)


def test_a_volume_without_voxels_is_refused(scene: Any) -> None:
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty one")
    with pytest.raises(InputError, match=r'"empty one".*with voxels.*found none'):
        imageFromVolume(node)


def test_a_color_volume_is_refused(scene: Any) -> None:
    node = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
    data = vtk.vtkImageData()
    data.SetDimensions(4, 4, 4)
    data.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    node.SetAndObserveImageData(data)
    with pytest.raises(InputError, match=r'"photo".*one value in each voxel, found 3'):
        imageFromVolume(node)


def test_a_zero_scale_is_refused(scene: Any) -> None:
    node = volumeFromImage(scene, image_of(texture()), "lge")
    flat = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "flat")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 0, 0.0)
    matrix.SetElement(1, 1, 0.0)
    matrix.SetElement(2, 2, 0.0)
    flat.SetMatrixTransformToParent(matrix)
    node.SetAndObserveTransformNodeID(flat.GetID())
    with pytest.raises(InputError, match="spacing above 0"):
        imageFromVolume(node)


def test_an_image_of_colors_makes_no_volume(scene: Any) -> None:
    colors = sitk.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), isVector=True)
    with pytest.raises(InputError, match="scalar 3D image"):
        volumeFromImage(scene, colors, "photo")


def test_a_new_volume_can_be_shown(scene: Any) -> None:
    node = volumeFromImage(scene, image_of(texture()), "LGE")
    display = node.GetDisplayNode()
    assert display.GetAutoWindowLevel()
    assert display.GetColorNodeID() == "vtkMRMLColorTableNodeGrey"
    low, high = display.GetWindowLevelMin(), display.GetWindowLevelMax()
    assert texture().min() <= low < high <= texture().max()
    # Most of the image is between black and white.
    assert np.mean((texture() > low) & (texture() < high)) > 0.9


def test_two_volumes_of_one_name_stay_apart(scene: Any) -> None:
    names = [volumeFromImage(scene, image_of(texture()), "LGE").GetName() for _ in range(2)]
    assert names[0] == "LGE" and names[1] != "LGE"


def test_reading_leaves_the_node_alone(scene: Any) -> None:
    node = volumeFromImage(scene, image_of(texture()), "lge")
    node.SetAndObserveTransformNodeID(transform(scene, "rigid").GetID())
    before = node.GetMTime()
    image = imageFromVolume(node)
    image *= 0
    assert node.GetMTime() == before
    assert vtk_to_numpy(node.GetImageData().GetPointData().GetScalars()).any()


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_a_case_from_the_scene_is_the_case_from_the_images(
    scene: Any, direction: np.ndarray
) -> None:
    images = {key: image_of(texture(seed=i), direction) for i, key in enumerate(("lge", "t2"))}
    nodes = {key: volumeFromImage(scene, image, key) for key, image in images.items()}
    found, expected = caseFromVolumes(nodes, "p"), case_from_images(images, "p")
    assert found.name == "p" and found.warnings == expected.warnings
    assert found.geometry.is_same_grid(expected.geometry, 1e-9)
    for key in images:
        assert np.array_equal(found.images[key], expected.images[key])


def test_a_moved_sequence_is_resampled_where_it_stands(scene: Any) -> None:
    # T2 lies two columns beside the LGE; its transform brings it back.
    spacing, array = (1.5, 1.25, 9.5), texture(seed=1)
    nodes = {"lge": volumeFromImage(scene, image_of(texture()), "lge")}
    beside = -2 * spacing[0] * OBLIQUE[:, 0]
    apart = image_of(array, origin=tuple(np.array([-12.0, 7.5, 40.0]) + beside))
    nodes["t2"] = volumeFromImage(scene, apart, "t2")
    back = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "t2 alignment")
    matrix = vtk.vtkMatrix4x4()
    for row, value in enumerate(lps(-beside)):
        matrix.SetElement(row, 3, value)
    back.SetMatrixTransformToParent(matrix)
    nodes["t2"].SetAndObserveTransformNodeID(back.GetID())
    case = caseFromVolumes(nodes, "p")
    expected = case_from_images({"lge": image_of(texture()), "t2": image_of(array)}, "p")
    assert case.images["t2"] == pytest.approx(expected.images["t2"], abs=1e-3)


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_voxels_and_world_agree_with_simpleitk(scene: Any, direction: np.ndarray) -> None:
    image = image_of(texture(), direction)
    case = case_from_images({"lge": image}, "p")
    numbered = np.arange(texture().size, dtype=np.int32).reshape(case.geometry.array_shape)
    restored = restore(case, numbered)
    for number in (0, 17, 1234, texture().size - 1):
        place = np.unravel_index(number, numbered.shape)
        ras = worldFromVoxel(case, *map(float, place))
        index = restored.TransformPhysicalPointToIndex(lps(ras))
        assert restored[index] == number
        assert voxelFromWorld(case, ras) == pytest.approx(place, abs=1e-9)


def test_places_between_voxels_and_outside_are_continuous(scene: Any) -> None:
    case = case_from_images({"lge": image_of(texture())}, "p")
    for place in ((2.25, 7.5, 3.75), (-3.0, 40.5, 100.0)):
        assert voxelFromWorld(case, worldFromVoxel(case, *place)) == pytest.approx(place, abs=1e-9)


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_the_axes_of_slices_are_unit_vectors_along_the_voxels(
    scene: Any, direction: np.ndarray
) -> None:
    case = case_from_images({"lge": image_of(texture(), direction)}, "p")
    start = np.array(worldFromVoxel(case, 1.0, 2.0, 3.0))
    steps = [(2.0, 2.0, 3.0), (1.0, 2.0, 4.0), (1.0, 3.0, 3.0)]
    for axis, step in zip((sliceNormal(case), *sliceAxes(case)), steps):
        along = np.array(worldFromVoxel(case, *step)) - start
        assert axis == pytest.approx(along / np.linalg.norm(along), abs=1e-9)


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_results_lie_on_the_reference_volumes_own_voxels(scene: Any, direction: np.ndarray) -> None:
    node = volumeFromImage(scene, image_of(texture(), direction), "lge")
    node.SetAndObserveTransformNodeID(transform(scene, "rigid").GetID())
    case = caseFromVolumes({"lge": node}, "p")
    image = orientedImage(case, case.images["lge"])
    assert image.GetDimensions() == node.GetImageData().GetDimensions()
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    for index in ((0, 0, 0), (19, 0, 5), (3, 23, 1)):
        assert matrix.MultiplyPoint([*index, 1.0])[:3] == pytest.approx(
            world_of(node, index), abs=1e-9
        )
        assert image.GetScalarComponentAsDouble(*index, 0) == pytest.approx(
            node.GetImageData().GetScalarComponentAsDouble(*index, 0)
        )


def test_a_mask_becomes_bytes(scene: Any) -> None:
    case = case_from_images({"lge": image_of(texture())}, "p")
    image = orientedImage(case, case.images["lge"] > 300)
    assert image.GetScalarType() == vtk.VTK_UNSIGNED_CHAR
    assert image.GetScalarRange() == (0.0, 1.0)


def test_a_result_of_another_size_is_refused(scene: Any) -> None:
    case = case_from_images({"lge": image_of(texture())}, "p")
    with pytest.raises(ValueError, match=r"expected an array of .*found \(2, 2, 2\)"):
        orientedImage(case, np.zeros((2, 2, 2)))


def doubted(spacing: tuple[float, float, float] = (1.5, 1.25, 9.5)) -> sitk.Image:
    """An image whose reader found two spacings in its header, and something to warn of."""
    image = image_of(texture(), spacing=spacing)
    add_notes(image, GeometryNotes(conflict="the header says 8, 9 mm", warnings=("odd", "very")))
    return image


def test_what_a_reader_doubted_stays_with_the_volume(scene: Any) -> None:
    node = volumeFromImage(scene, doubted(), "LGE")
    case = caseFromVolumes({"lge": node}, "p")
    assert case.spacing_reason == "the header says 8, 9 mm"
    assert {"lge: odd", "lge: very"} <= set(case.warnings)


def test_a_spacing_that_the_user_enters_ends_the_doubt(scene: Any) -> None:
    node = volumeFromImage(scene, doubted(), "LGE")
    node.SetSpacing(1.5, 1.25, 8.0)
    case = caseFromVolumes({"lge": node}, "p")
    assert case.spacing_known and "lge: odd" in case.warnings


def test_a_doubt_is_saved_with_the_scene(scene: Any) -> None:
    volumeFromImage(scene, doubted(), "LGE")
    other = slicer.vtkMRMLScene()
    other.SetSceneXMLString(saved(scene))
    other.SetLoadFromXMLString(1)
    other.Import()
    node = other.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    assert node.GetAttribute("MyoPS.spacingConflict") == "the header says 8, 9 mm"


def saved(scene: Any) -> str:
    scene.SetSaveToXMLString(1)
    scene.Commit()
    return str(scene.GetSceneXMLString())

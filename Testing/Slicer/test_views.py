"""Slice views over the case's slices: real layouts and real pictures, without a screen."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from made_scene import Scene
from offscreen import OffscreenViews, sliceNodeNamed
from scipy.spatial.transform import Rotation

from myops.report.colors import rgb
from MyoPSSegmenterLib.Scene.Layouts import LAYOUT_ID, VIEWS, layoutId, layoutNode, registerLayout
from MyoPSSegmenterLib.Scene.SceneBridge import (
    caseFromVolumes,
    volumeFromImage,
    vtkMatrix,
    worldFromVoxel,
)
from MyoPSSegmenterLib.Scene.SegmentationNodes import createSegmentationNode, publishLabels
from MyoPSSegmenterLib.Scene.Views import (
    currentSlice,
    isShown,
    setSlice,
    showSequences,
    sliceShownIn,
)

SHAPE = (6, 40, 50)
SPACING = (1.5, 1.5, 8.0)
# Neither aligned to the body nor mirrored: a short axis.
OBLIQUE = Rotation.from_euler("zyx", [35, -20, 40], degrees=True).as_matrix()
# The test heart: rows and columns on slices 1 to 4.
HEART = (slice(1, 5), slice(10, 22), slice(18, 34))


def oblique(values, direction=OBLIQUE):
    image = sitk.GetImageFromArray(values.astype(np.float32))
    image.SetSpacing(SPACING)
    image.SetDirection(direction.ravel().tolist())
    image.SetOrigin((12.0, -30.0, 55.0))
    return image


def pattern(seed=0):
    values = np.random.default_rng(seed).uniform(0, 20, SHAPE)
    values[HEART] += 100
    return values


@pytest.fixture
def views(sceneWithLogics):
    made = OffscreenViews(sceneWithLogics, (300, 200))
    yield made
    made.close()


def patient(scene, names=("bssfp", "lge", "t2"), direction=OBLIQUE):
    volumes = {
        name: volumeFromImage(scene, oblique(pattern(index), direction), name)
        for index, name in enumerate(names)
    }
    return volumes, caseFromVolumes(volumes, "test")


def segmented(scene, volumes, case, value=2221):
    node = createSegmentationNode(scene, case, volumes[case.reference], "heart")
    labels = np.zeros(case.geometry.array_shape, np.uint16)
    labels[HEART] = value
    publishLabels(node, case, labels)
    return node


@pytest.mark.parametrize(
    "names", [("bssfp", "lge", "t2"), ("lge", "t2"), ("lge",), ("bssfp",)], ids="-".join
)
def test_the_layout_has_one_view_for_each_sequence_from_left_to_right(views, scene, names):
    volumes, case = patient(scene, names)
    showSequences(scene, volumes, case=case)
    assert [view.node.GetLayoutName() for view in views.shown()] == [VIEWS[n] for n in names]
    for name, view in zip(names, views.shown()):
        composite = view.logic.GetSliceCompositeNode()
        assert composite.GetBackgroundVolumeID() == volumes[name].GetID()
        assert composite.GetLinkedControl() and composite.GetHotLinkedControl()
        assert view.node.GetLayoutLabel().lower() == name


def test_registering_the_layout_twice_changes_nothing_and_keeps_the_present_layout(scene):
    registerLayout(scene)
    layouts = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    arrangement = layouts.GetViewArrangement()
    before = {bits: layouts.GetLayoutDescription(LAYOUT_ID + bits) for bits in range(1, 8)}
    registerLayout(scene)
    assert layouts.GetViewArrangement() == arrangement
    assert before == {b: layouts.GetLayoutDescription(LAYOUT_ID + b) for b in range(1, 8)}
    assert all(description.count("<view ") in (1, 2, 3) for description in before.values())


@pytest.mark.parametrize("direction", [np.eye(3), OBLIQUE], ids=["axial", "oblique"])
def test_a_view_shows_the_voxels_of_the_slice_it_stands_on(views, scene, direction):
    volumes, case = patient(scene, ("lge",), direction)
    volumes["lge"].GetDisplayNode().SetAutoWindowLevel(False)
    volumes["lge"].GetDisplayNode().SetWindowLevelMinMax(0, 255)
    volumes["lge"].GetDisplayNode().SetInterpolate(False)
    showSequences(scene, volumes, case=case)
    (view,) = views.shown()
    for index in (0, 3, 5):
        setSlice(scene, case, index)
        assert currentSlice(scene, case) == index
        picture = view.render()
        for row, column in ((12, 20), (5, 40), (30, 8)):
            x, y = view.pixelOf(worldFromVoxel(case, index, row, column))
            drawn = picture[picture.shape[0] - 1 - round(y), round(x), 0]
            assert abs(int(drawn) - case.images["lge"][index, row, column]) <= 1.5


def test_rows_go_down_and_columns_to_the_right_in_a_view(views, scene):
    volumes, case = patient(scene)
    showSequences(scene, volumes, case=case)
    view = views.view(VIEWS["lge"])
    x0, y0 = view.pixelOf(worldFromVoxel(case, 3, 10, 10))
    x1, y1 = view.pixelOf(worldFromVoxel(case, 3, 10, 20))
    x2, y2 = view.pixelOf(worldFromVoxel(case, 3, 20, 10))
    assert x1 > x0 and y1 == pytest.approx(y0, abs=1e-6)
    assert y2 < y0 and x2 == pytest.approx(x0, abs=1e-6)


def test_the_views_zoom_in_on_the_segmented_heart(views, scene):
    volumes, case = patient(scene)
    showSequences(scene, volumes, case=case)
    far = views.view(VIEWS["lge"]).mmPerPixel
    showSequences(scene, volumes, segmented(scene, volumes, case), case)
    for view in views.shown():
        assert view.mmPerPixel < 0.6 * far
        for row, column in ((10, 18), (21, 33)):
            x, y = view.pixelOf(worldFromVoxel(case, 3, row, column))
            assert 0 < x < 300 and 0 < y < 200
        x, y = view.pixelOf(worldFromVoxel(case, currentSlice(scene, case), 15.5, 25.5))
        assert (x, y) == (pytest.approx(150, abs=6), pytest.approx(100, abs=6))


def test_the_segmentation_is_drawn_on_top_in_its_color_and_hidden_on_other_slices(views, scene):
    volumes, case = patient(scene, ("lge",))
    node = segmented(scene, volumes, case)
    node.GetDisplayNode().SetOpacity2DFill(1.0)
    node.GetDisplayNode().SetVisibility2DFill(True)
    showSequences(scene, volumes, node, case)
    (view,) = views.shown()
    scar = np.array(rgb("scar")) * 255

    def drawn(index):
        setSlice(scene, case, index)
        x, y = view.pixelOf(worldFromVoxel(case, index, 15, 25))
        return view.render()[200 - 1 - round(y), round(x)]

    assert np.abs(drawn(3) - scar).max() < 40
    values = drawn(5).astype(int)
    assert np.ptp(values) <= 2  # gray: no segment there


def test_scrolling_goes_from_slice_to_slice_of_the_case(views, scene):
    volumes, case = patient(scene, ("lge",))
    showSequences(scene, volumes, case=case)
    setSlice(scene, case, 2)
    (view,) = views.shown()
    view.click(worldFromVoxel(case, 2, 20, 20))
    view.scroll(1)
    up = currentSlice(scene, case)
    view.scroll(-1)
    assert currentSlice(scene, case) == 2 and abs(up - 2) == 1


def test_the_view_under_the_mouse_says_which_slice_is_looked_at(views, scene):
    volumes, case = patient(scene)
    showSequences(scene, volumes, case=case)
    t2, lge = views.view(VIEWS["t2"]), views.view(VIEWS["lge"])
    setSlice(scene, case, 2)
    t2.node.JumpSliceByOffsetting(*worldFromVoxel(case, 4, 0, 0))
    t2.moveTo(worldFromVoxel(case, 4, 20, 20))
    assert currentSlice(scene, case) == 4
    lge.moveTo(worldFromVoxel(case, 2, 20, 20))
    assert currentSlice(scene, case) == 2


def test_no_slice_is_current_beyond_the_stack_and_in_views_of_another_orientation(views, scene):
    volumes, case = patient(scene, ("lge",))
    assert currentSlice(scene, case) is None  # no view yet, but Slicer's three
    showSequences(scene, volumes, case=case)
    (view,) = views.shown()
    view.node.JumpSliceByOffsetting(*worldFromVoxel(case, 9, 0, 0))
    assert currentSlice(scene, case) is None
    view.node.SetOrientationToSagittal()
    assert currentSlice(scene, case) is None


def test_going_to_a_slice_leaves_views_of_another_orientation_where_they_are(views, scene):
    volumes, case = patient(scene, ("lge",))
    showSequences(scene, volumes, case=case)
    red = sliceNodeNamed(scene, "Red")
    before = red.GetSliceOffset()
    setSlice(scene, case, 0)
    assert red.GetSliceOffset() == before and currentSlice(scene, case) == 0


def test_views_are_made_without_a_layout_manager_too(scene):
    volumes, case = patient(scene)
    showSequences(scene, volumes, segmented(scene, volumes, case), case)
    setSlice(scene, case, 2)
    assert currentSlice(scene, case) == 2
    showSequences(scene, volumes, None, case)
    assert scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode") == 3


def test_sequences_that_do_not_fit_together_are_shown_all_the_same(views, scene):
    volumes, _ = patient(scene)
    showSequences(scene, volumes, None, None)
    assert len(views.shown()) == 3


def test_without_a_volume_the_layout_stays(scene):
    registerLayout(scene)
    before = scene.GetFirstNodeByClass("vtkMRMLLayoutNode").GetViewArrangement()
    showSequences(scene, {})
    assert scene.GetFirstNodeByClass("vtkMRMLLayoutNode").GetViewArrangement() == before


def test_a_volume_under_a_transform_is_shown_where_it_stands(views, scene):
    volumes, _ = patient(scene, ("lge",))
    matrix = np.eye(4)
    matrix[:3, 3] = (30, -12, 7)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(vtkMatrix(matrix))
    volumes["lge"].SetAndObserveTransformNodeID(transform.GetID())
    case = caseFromVolumes(volumes, "moved")
    node = segmented(scene, volumes, case)
    node.GetDisplayNode().SetOpacity2DFill(1.0)
    node.GetDisplayNode().SetVisibility2DFill(True)
    showSequences(scene, volumes, node, case)
    (view,) = views.shown()
    picture = view.render()
    for row, column, isHeart in ((15, 25, True), (15, 40, False)):
        x, y = view.pixelOf(worldFromVoxel(case, currentSlice(scene, case), row, column))
        colorful = np.ptp(picture[200 - 1 - round(y), round(x)].astype(int)) > 60
        assert colorful == isHeart


def test_views_of_a_closed_scene_are_made_again(views, scene):
    volumes, case = patient(scene, ("lge",))
    showSequences(scene, volumes, case=case)
    views.shown()
    scene.Clear(0)
    assert isinstance(scene.GetFirstNodeByClass("vtkMRMLLayoutNode"), slicer.vtkMRMLLayoutNode)
    volumes, case = patient(scene, ("lge",))
    showSequences(scene, volumes, case=case)
    assert currentSlice(scene, case) is not None


@pytest.mark.parametrize("registeredFirst", [True, False])
def test_a_scene_saved_with_our_layout_shows_its_views_in_a_fresh_slicer(
    views, scene, tmp_path, registeredFirst
):
    registerLayout(scene)
    layoutNode(scene).SetViewArrangement(layoutId(["lge", "t2"]))
    path = str(tmp_path / "saved.mrml")
    assert scene.Commit(path)
    fresh = Scene(tmp_path / "fresh")
    logic = slicer.vtkMRMLLayoutLogic()
    logic.SetMRMLScene(fresh.scene)
    if registeredFirst:  # at the start of Slicer
        registerLayout(fresh.scene)
    fresh.scene.SetURL(path)
    if not registeredFirst:  # Slicer warns that it does not know the layout
        slicer.vtkMRMLLayoutNode.GlobalWarningDisplayOff()
    assert fresh.scene.Import()
    slicer.vtkMRMLLayoutNode.GlobalWarningDisplayOn()
    registerLayout(fresh.scene)  # when the panel is opened
    assert layoutNode(fresh.scene).GetViewArrangement() == layoutId(["lge", "t2"])
    nodes = logic.GetViewNodes()
    found = [nodes.GetItemAsObject(index).GetLayoutName() for index in range(2)]
    assert found == [VIEWS["lge"], VIEWS["t2"]]
    logic.SetMRMLScene(None)
    fresh.close()


def test_the_whole_width_is_seen_in_views_that_get_their_size_after_the_layout(sceneWithLogics):
    views, scene = OffscreenViews(sceneWithLogics, (120, 300)), sceneWithLogics.scene
    volumes, case = patient(scene)
    fit = showSequences(scene, volumes, case=case)
    for view in views.shown():  # as in the desktop, the windows get their size now
        assert view.node.GetFieldOfView()[0] < SHAPE[2] * 1.5
    fit.settle()
    for view in views.shown():
        width, height = view.node.GetFieldOfView()[:2]
        assert (width, height) == pytest.approx((SHAPE[2] * 1.5, SHAPE[2] * 1.5 * 300 / 120))
    views.close()


def test_structures_are_outlined_and_not_filled_at_first(views, scene):
    volumes, case = patient(scene)
    node = segmented(scene, volumes, case)
    assert not node.GetDisplayNode().GetVisibility2DFill()
    assert node.GetDisplayNode().GetVisibility2DOutline()


def test_a_view_says_which_slice_it_shows_and_where_it_lies(views, scene):
    volumes, case = patient(scene)
    assert sliceShownIn(scene, case, VIEWS["lge"]) is None
    showSequences(scene, volumes, case=case)
    setSlice(scene, case, 4)
    index, offset = sliceShownIn(scene, case, VIEWS["lge"])
    assert index == 4
    setSlice(scene, case, 5)
    assert sliceShownIn(scene, case, VIEWS["lge"]) == (5, pytest.approx(offset + SPACING[2]))
    node = sliceNodeNamed(scene, VIEWS["lge"])
    node.SetSliceOffset(node.GetSliceOffset() + 5 * SPACING[2])
    assert sliceShownIn(scene, case, VIEWS["lge"]) is None


def test_views_are_known_to_show_volumes_or_not(views, scene):
    volumes, case = patient(scene)
    assert not isShown(scene, volumes)
    showSequences(scene, volumes, case=case)
    assert isShown(scene, volumes)
    assert not isShown(scene, {"lge": volumes["lge"]})
    assert not isShown(scene, volumes | {"lge": volumes["t2"], "t2": volumes["lge"]})

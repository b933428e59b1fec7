"""A mouse in real slice views: clicks place, drag and delete real prompts, and the mask follows."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
from made_scene import ourActiveList
from offscreen import OffscreenViews

from myops import labels as regions
from myops.case import restore
from myops.report.colors import rgb
from MyoPSSegmenterLib.Runtime.BackgroundWork import BackgroundWork
from MyoPSSegmenterLib.Runtime.Events import Events
from MyoPSSegmenterLib.Scene.RemoteHandle import RemoteHandle
from MyoPSSegmenterLib.Scene.SceneBridge import volumeFromImage, voxelFromWorld, worldFromVoxel
from MyoPSSegmenterLib.Scene.SegmentationNodes import createSegmentationNode, readLabels
from MyoPSSegmenterLib.Scene.Views import VIEWS, setSlice, showSequences
from MyoPSSegmenterLib.Steps.CorrectionLogic import CorrectionLogic

TIMEOUT_S = 60.0
# A click hits a pixel of the window: half of one in both directions, in voxels of the image.
CLICK_VOXELS = 0.5


class Desk:
    """A reader in front of real views of a patient that is being corrected."""

    def __init__(self, sceneWithLogics, segmentedCase):
        self.scene = sceneWithLogics.scene
        self.case, segmentation = segmentedCase
        self.views = OffscreenViews(sceneWithLogics)
        self.events = Events()
        self.work = BackgroundWork(self.events)
        self.logic = CorrectionLogic(self.scene, self.events, self.work)
        volumes = {
            name: volumeFromImage(self.scene, restore(self.case, array), name)
            for name, array in self.case.images.items()
        }
        node = createSegmentationNode(self.scene, self.case, volumes[self.case.reference], "Heart")
        self.logic.setRefiner("cpu")
        self.logic.start(self.case, segmentation, node)
        self.work.waitForAll(TIMEOUT_S)
        showSequences(self.scene, volumes, node, self.case)
        self.views.shown()
        self.index = self.sliceWithMostScar()
        self.goTo(self.index)

    def sliceWithMostScar(self):
        return int(regions.scar(self.labels).sum(axis=(1, 2)).argmax())

    def goTo(self, index):
        setSlice(self.scene, self.case, index)
        self.logic.setCurrentSlice(index)

    @property
    def labels(self):
        return self.logic.labels

    @property
    def lge(self):
        return self.views.view(VIEWS["lge"])

    def ras(self, row, column, index=None):
        return worldFromVoxel(self.case, self.index if index is None else index, row, column)

    def place(self, region, last=False):
        """Voxel (row, column) of a region in this slice: the middle one, or the last."""
        places = np.argwhere(region(self.labels)[self.index])
        return tuple(int(value) for value in places[-1 if last else len(places) // 2])

    def healthy(self):
        return self.place(regions.normal_myocardium)

    def color(self, view, ras):
        x, y = view.pixelOf(ras)
        picture = view.render()
        return picture[picture.shape[0] - 1 - round(y), round(x)].astype(int)

    def isConsistent(self):
        return bool((readLabels(self.logic.node, self.case) == self.labels).all())

    def close(self):
        self.logic.close()
        self.work.close()
        self.views.close()


@pytest.fixture
def desk(sceneWithLogics, segmentedCase):
    made = Desk(sceneWithLogics, segmentedCase)
    yield made
    made.logic.stopPlacing()
    assert ourActiveList(made.scene) is None
    assert made.events.failures == []
    made.close()


def points(node):
    return [
        [round(v, 6) for v in node.GetNthControlPointPositionWorld(index)]
        for index in range(node.GetNumberOfDefinedControlPoints())
    ]


def inView(desk, view, ras):
    """The place of a click in the image: (slice, row, column)."""
    return np.array(voxelFromWorld(desk.case, view.click(ras)))


def test_a_click_adds_scar_where_it_was_made_and_a_green_point_stands_there(desk):
    row, column = desk.healthy()
    before = desk.labels
    desk.logic.startPlacing("positive")
    hit = inView(desk, desk.lge, desk.ras(row, column))
    assert np.abs(hit - (desk.index, row, column)).max() < CLICK_VOXELS
    assert desk.logic.status == ""
    assert regions.scar(desk.labels)[desk.index, row, column]
    assert (
        desk.labels[np.arange(len(before)) != desk.index]
        == before[np.arange(len(before)) != desk.index]
    ).all()
    (point,) = points(desk.logic.prompts.positiveNode)
    assert voxelFromWorld(desk.case, point) == pytest.approx(hit, abs=1e-3)
    assert points(desk.logic.prompts.negativeNode) == []
    assert desk.isConsistent()


def test_the_next_clicks_go_on_placing_and_the_sign_can_be_changed_between_them(desk):
    desk.logic.startPlacing("positive")
    desk.lge.click(desk.ras(*desk.healthy()))
    desk.logic.setPositive(False)
    row, column = desk.place(regions.scar)
    desk.lge.click(desk.ras(row, column))
    assert not regions.scar(desk.labels)[desk.index, row, column]
    assert len(points(desk.logic.prompts.positiveNode)) == 1
    assert len(points(desk.logic.prompts.negativeNode)) == 1
    assert len(desk.logic.clickTimings) == 2 and desk.isConsistent()


def test_the_picture_changes_color_at_the_click(desk):
    row, column = desk.healthy()
    ras = desk.ras(row, column)
    desk.logic.setOpacity(1.0)
    desk.logic.setFilled(True)
    wasRed = desk.color(desk.lge, ras)
    desk.logic.startPlacing("positive")
    desk.lge.click(ras)
    desk.logic.stopPlacing()
    desk.logic.prompts.positiveNode.GetDisplayNode().SetVisibility(False)
    desk.lge.leave()
    scar = np.array(rgb("scar")) * 255
    drawn = desk.color(desk.lge, ras)
    assert np.abs(drawn - scar).sum() < np.abs(wasRed - scar).sum()


@pytest.mark.slow
def test_the_points_are_drawn_green_and_red_in_every_view_of_the_slice(desk):
    row, column = desk.healthy()
    desk.logic.startPlacing("positive")
    desk.lge.click(desk.ras(row, column))
    desk.logic.startPlacing("negative")
    other = desk.place(regions.scar, last=True)
    desk.lge.click(desk.ras(*other))
    desk.logic.stopPlacing()
    desk.lge.leave()
    for view in desk.views.shown():
        green = desk.color(view, desk.ras(row, column))
        red = desk.color(view, desk.ras(*other))
        assert green[1] > green[0] + 60 and red[0] > red[1] + 60


def test_a_dragged_point_moves_the_correction_once_when_it_is_let_go(desk):
    first = desk.healthy()
    desk.logic.startPlacing("positive")
    desk.lge.click(desk.ras(*first))
    desk.logic.stopPlacing()
    untouched = desk.labels
    steps = []
    target = np.add(first, (3, 2))
    for _ in desk.lge.drag(points(desk.logic.prompts.positiveNode)[0], desk.ras(*target)):
        steps.append(desk.labels is untouched)
    assert all(steps) and len(steps) > 3  # nothing while the button is down
    assert desk.labels is not untouched
    (point,) = points(desk.logic.prompts.positiveNode)
    assert voxelFromWorld(desk.case, point)[1:] == pytest.approx(target, abs=2 * CLICK_VOXELS)
    assert desk.isConsistent()
    desk.logic.undo()
    (point,) = points(desk.logic.prompts.positiveNode)
    assert voxelFromWorld(desk.case, point)[1:] == pytest.approx(first, abs=CLICK_VOXELS)
    assert (desk.labels == untouched).all()


def test_a_deleted_point_takes_its_correction_with_it(desk):
    before = desk.labels
    desk.logic.startPlacing("positive")
    desk.lge.click(desk.ras(*desk.healthy()))
    assert not (desk.labels == before).all()
    # What Slicer's own context menu and the Delete key do with the point under the mouse.
    desk.logic.prompts.positiveNode.RemoveNthControlPoint(0)
    assert (desk.labels == before).all() and desk.isConsistent()


def test_two_clicks_draw_a_box(desk):
    scar = np.argwhere(regions.scar(desk.labels)[desk.index])
    low, high = scar.min(axis=0) - 2, scar.max(axis=0) + 2
    desk.logic.startPlacing("box")
    desk.lge.click(desk.ras(*low))
    desk.lge.click(desk.ras(*high))
    assert [one.kind for one in desk.logic.clickTimings] == ["box"]
    assert desk.isConsistent()


def test_a_click_in_a_view_across_the_slices_is_ignored_with_a_status_line(desk):
    across = desk.views.view("Across")
    middle = desk.ras(*desk.healthy())
    normal, columns = np.array(desk.lge.node.GetSliceToRAS().GetData()).reshape(4, 4)[:3, [2, 0]].T
    across.node.SetSliceToRASByNTP(*columns, *normal, *middle, 0)
    across.node.JumpSliceByOffsetting(*middle)
    before = desk.labels
    desk.logic.startPlacing("positive")
    across.click(middle)
    assert desk.labels is before
    assert "orientation" in desk.logic.status or "view" in desk.logic.status
    assert points(desk.logic.prompts.positiveNode) == []


def test_where_planes_meet_the_view_under_the_mouse_counts(desk):
    across = desk.views.view("Across")
    ras = desk.ras(*desk.healthy())
    normal, columns = np.array(desk.lge.node.GetSliceToRAS().GetData()).reshape(4, 4)[:3, [2, 0]].T
    across.node.SetSliceToRASByNTP(*columns, *normal, *ras, 0)
    desk.logic.startPlacing("positive")
    hit = desk.lge.rasOf(*(round(v) for v in desk.lge.pixelOf(ras)))
    across.node.JumpSliceByOffsetting(*hit)
    desk.lge.click(ras)  # the other view's plane goes through this very place
    assert desk.logic.status == "" and len(desk.logic.clickTimings) == 1


def test_a_click_beside_the_images_is_ignored_with_a_status_line(desk):
    before = desk.labels
    rows = desk.case.geometry.array_shape[1]
    desk.lge.node.SetFieldOfView(900, 900, 1)
    desk.lge.node.UpdateMatrices()
    desk.logic.startPlacing("positive")
    desk.lge.click(desk.ras(rows + 20, 10))
    assert desk.labels is before and desk.logic.status
    assert points(desk.logic.prompts.positiveNode) == []


def test_clicks_do_nothing_when_no_tool_is_in_hand(desk):
    before = desk.labels
    desk.lge.click(desk.ras(*desk.healthy()))
    assert desk.labels is before


def test_undo_takes_the_point_out_of_the_views_and_redo_brings_it_back(desk):
    before = desk.labels
    desk.logic.startPlacing("positive")
    desk.lge.click(desk.ras(*desk.healthy()))
    (point,) = points(desk.logic.prompts.positiveNode)
    desk.logic.undo()
    assert (desk.labels == before).all() and points(desk.logic.prompts.positiveNode) == []
    desk.logic.redo()
    assert points(desk.logic.prompts.positiveNode) == [pytest.approx(point, abs=1e-3)]
    assert desk.isConsistent()


def test_a_click_in_the_bssfp_view_corrects_too(desk):
    row, column = desk.healthy()
    desk.logic.startPlacing("positive")
    desk.views.view(VIEWS["bssfp"]).click(desk.ras(row, column))
    assert regions.scar(desk.labels)[desk.index, row, column]


def test_a_tool_in_hand_goes_on_correcting_when_the_remote_point_and_a_box_are_shown(desk):
    desk.logic.startPlacing("positive")
    RemoteHandle(desk.scene, print).show(desk.ras(5, 5))
    desk.logic.prompts.showBox([desk.ras(*corner) for corner in ((4, 4), (4, 9), (9, 9), (9, 4))])
    row, column = desk.healthy()
    desk.lge.click(desk.ras(row, column))
    assert regions.scar(desk.labels)[desk.index, row, column]
    # Slicer makes a list of its own, "F", where the active one is full.
    assert desk.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == 2


def test_points_that_are_placed_elsewhere_after_the_tool_was_laid_down_correct_nothing(desk):
    desk.logic.startPlacing("positive")
    desk.logic.stopPlacing()
    before = desk.labels
    interaction = desk.scene.GetFirstNodeByClass("vtkMRMLInteractionNode")
    interaction.SwitchToPersistentPlaceMode()  # the button of Slicer's toolbar
    desk.lge.click(desk.ras(*desk.healthy()))
    assert desk.labels is before and points(desk.logic.prompts.positiveNode) == []
    interaction.SwitchToViewTransformMode()
    # A script, or a list chosen in the Markups module.
    desk.logic.prompts.positiveNode.AddControlPoint(*desk.ras(*desk.healthy()))
    assert desk.labels is before and points(desk.logic.prompts.positiveNode) == []
    assert "Add or Remove" in desk.logic.status

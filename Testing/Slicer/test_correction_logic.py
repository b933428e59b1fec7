"""Corrections on a real scene: clicks, drags, brush strokes and undo end in one label map."""

from __future__ import annotations

import functools
import threading
import time

import numpy as np
import pytest
import slicer
import vtk
from disc_refiner import DiscRefiner

from myops import labels as regions
from myops.case import restore
from myops.errors import InputError
from myops.refine import refiner as refiners
from myops.refine.record import from_record, to_record
from myops.refine.replay import replay
from myops.refine.session import Session
from myops.refine.state_file import to_state
from MyoPSSegmenterLib.Runtime.BackgroundWork import BackgroundWork
from MyoPSSegmenterLib.Runtime.Events import Events
from MyoPSSegmenterLib.Scene.OverlayNodes import overlayOf, showBeside
from MyoPSSegmenterLib.Scene.SceneBridge import (
    sliceAxes,
    sliceNormal,
    volumeFromImage,
    worldFromVoxel,
)
from MyoPSSegmenterLib.Scene.SegmentationNodes import (
    createSegmentationNode,
    publishLabels,
    readLabels,
)
from MyoPSSegmenterLib.Steps.CorrectionLogic import CorrectionLogic

TIMEOUT_S = 60.0
# Loaded once for all tests.
loaded = functools.cache(refiners.load_refiner)
# Keeps waiting clicks together with markups rounded to single precision.
NEAR_MM = 1e-3


class Desk:
    """A scene with one patient whose segmentation is being corrected."""

    def __init__(self, scene, segmentedCase, start=True):
        self.scene = scene
        self.case, self.automatic = segmentedCase
        self.events = Events()
        self.work = BackgroundWork(self.events)
        self.messages = []
        self.events.connect("message", lambda text, level: self.messages.append((level, text)))
        self.logic = CorrectionLogic(scene, self.events, self.work)
        self.volume = volumeFromImage(
            scene, restore(self.case, self.case.images[self.case.reference]), "LGE"
        )
        if start:
            self.start()

    def newNode(self, name="Segmentation"):
        return createSegmentationNode(self.scene, self.case, self.volume, name)

    def start(self, wait=True, **arguments):
        self.logic.setRefiner("cpu")
        self.logic.start(self.case, self.automatic, self.newNode(), **arguments)
        if wait:
            self.settle()

    def settle(self):
        """Poll until everything is encoded and answered."""
        self.work.waitForAll(TIMEOUT_S)
        end = time.monotonic() + TIMEOUT_S
        while self.logic.pendingClicks and time.monotonic() < end:
            self.work.poll(giveMs=5)

    def ras(self, k, row, column):
        return worldFromVoxel(self.case, k, row, column)

    def shown(self):
        """What the node holds."""
        return readLabels(self.logic.node, self.case)

    def isConsistent(self):
        """Whether node and session show the same labels, and no listener failed."""
        assert self.events.failures == []
        return np.array_equal(self.shown(), self.logic.labels)

    def points(self):
        """Kind and place of each shown point."""
        found = []
        for kind in ("positive", "negative"):
            node = getattr(self.logic.prompts, f"{kind}Node")
            for index in range(node.GetNumberOfControlPoints()):
                place = [0.0, 0.0, 0.0]
                node.GetNthControlPointPositionWorld(index, place)
                found.append((kind, node.GetNthControlPointDescription(index), place))
        return found

    def close(self):
        self.logic.close()
        self.work.close()
        assert self.events.failures == []


@pytest.fixture(autouse=True)
def sharedNetwork(monkeypatch):
    monkeypatch.setattr(refiners, "load_refiner", loaded)


def aRefiner():
    return refiners.Refiner(loaded("cpu", "default"))


@pytest.fixture
def desk(scene, segmentedCase):
    made = Desk(scene, segmentedCase)
    yield made
    made.close()


@pytest.fixture
def fresh(scene, segmentedCase):
    """Give a desk at which nothing has been started."""
    made = Desk(scene, segmentedCase, start=False)
    yield made
    made.close()


def scarSlice(labels):
    return int(regions.scar(labels).sum(axis=(1, 2)).argmax())


def scarPixel(labels, k=None):
    """A pixel well inside the scar of a slice."""
    from scipy.ndimage import distance_transform_edt

    k = scarSlice(labels) if k is None else k
    depth = distance_transform_edt(regions.scar(labels[k]))
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    return k, int(row), int(column)


def normalPixel(labels, k):
    """A pixel of normal myocardium, away from the scar of the slice."""
    from scipy.ndimage import distance_transform_edt

    far = distance_transform_edt(~regions.scar(labels[k])) * regions.normal_myocardium(labels[k])
    row, column = np.unravel_index(far.argmax(), far.shape)
    return k, int(row), int(column)


def place(node, ras):
    """What a mouse click in a view does to a markups node that a tool in hand adds to."""
    scene = node.GetScene()
    scene.GetFirstNodeByClass("vtkMRMLSelectionNode").SetActivePlaceNodeID(node.GetID())
    scene.GetFirstNodeByClass("vtkMRMLInteractionNode").SwitchToPersistentPlaceMode()
    index = node.AddControlPointWorld(vtk.vtkVector3d(*ras))
    isKept = index < node.GetNumberOfControlPoints()
    return node.GetNthControlPointDescription(index) if isKept else ""


# Clicks


@pytest.mark.slow
def test_a_click_gives_what_the_library_gives_voxel_for_voxel(desk):
    k, row, column = scarPixel(desk.logic.labels)
    expected = Session(aRefiner(), desk.case, desk.automatic)
    expected.click("scar", k, row, column, False)
    assert desk.logic.addClick(desk.ras(k, row, column), positive=False) == "done"
    assert np.array_equal(desk.logic.labels, expected.labels)
    assert not np.array_equal(desk.logic.labels, desk.automatic.labels)
    assert desk.isConsistent()


def test_a_click_tells_its_times_and_the_masses_hear_of_it_before_it_returns(desk):
    heard = []
    desk.events.connect("labels", lambda labels: heard.append(labels))
    k, row, column = scarPixel(desk.logic.labels)
    desk.logic.addClick(desk.ras(k, row, column), positive=False)
    assert len(heard) == 1 and heard[0] is desk.logic.labels
    timing = desk.logic.lastTiming
    assert set(timing) == {"decode", "write", "measure", "total"}
    assert timing["total"] >= timing["decode"] + timing["write"] + timing["measure"] > 0
    record = desk.logic.clickTimings[-1]
    assert (record.structure, record.slice_index, record.positive) == ("scar", k, False)
    assert record.total_ms == timing["total"]


def test_a_mouse_click_becomes_a_prompt_that_keeps_its_name(desk):
    k, row, column = normalPixel(desk.logic.labels, scarSlice(desk.logic.labels))
    name = place(desk.logic.prompts.positiveNode, desk.ras(k, row, column))
    assert desk.logic.session.corrections[k].points[0].positive
    assert [(kind, shown) for kind, shown, _ in desk.points()] == [("positive", name)]
    assert desk.isConsistent()


def test_a_click_on_the_negative_node_removes(desk):
    k, row, column = scarPixel(desk.logic.labels)
    place(desk.logic.prompts.negativeNode, desk.ras(k, row, column))
    assert not desk.logic.session.corrections[k].points[0].positive
    assert not regions.scar(desk.logic.labels)[k, row, column]


def test_a_dragged_click_acts_from_its_new_place(desk):
    k, row, column = scarPixel(desk.logic.labels)
    name = place(desk.logic.prompts.negativeNode, desk.ras(k, row, column))
    rows, columns = np.nonzero(regions.scar(desk.automatic.labels[k]))
    target = (k, int(rows[0]), int(columns[0]))
    desk.logic.prompts.negativeNode.SetNthControlPointPositionWorld(0, *desk.ras(*target))
    expected = Session(aRefiner(), desk.case, desk.automatic)
    expected.click("scar", k, row, column, False)
    expected.move_click(k, 0, *target[1:])
    assert np.array_equal(desk.logic.labels, expected.labels)
    assert desk.logic.session.corrections[k].points[0].row == pytest.approx(target[1], abs=1e-4)
    assert [shown for _, shown, _ in desk.points()] == [name] and desk.isConsistent()


def test_a_deleted_click_takes_back_what_it_did(desk):
    k, row, column = scarPixel(desk.logic.labels)
    place(desk.logic.prompts.negativeNode, desk.ras(k, row, column))
    assert not np.array_equal(desk.logic.labels, desk.automatic.labels)
    desk.logic.prompts.negativeNode.RemoveNthControlPoint(0)
    assert np.array_equal(desk.logic.labels, desk.automatic.labels)
    assert desk.logic.session.corrections == {} and desk.isConsistent()


def test_deleting_the_first_of_three_clicks_keeps_the_names_of_the_others(desk):
    k = scarSlice(desk.logic.labels)
    rows, columns = np.nonzero(regions.scar(desk.automatic.labels[k]))
    picks = np.linspace(0, len(rows) - 1, 3).astype(int)
    names = [
        place(desk.logic.prompts.negativeNode, desk.ras(k, int(rows[i]), int(columns[i])))
        for i in picks
    ]
    assert desk.logic.deleteClick(names[0]) == "done"
    assert [name for _, name, _ in desk.points()] == names[1:]
    assert len(desk.logic.session.corrections[k].points) == 2 and desk.isConsistent()


def test_a_click_dragged_out_of_its_slice_snaps_back(desk):
    k, row, column = scarPixel(desk.logic.labels)
    place(desk.logic.prompts.negativeNode, desk.ras(k, row, column))
    before, step = desk.logic.labels, 1 if k == 0 else -1
    node = desk.logic.prompts.negativeNode
    node.SetNthControlPointPositionWorld(0, *desk.ras(k + step, row, column))
    assert desk.logic.labels is before and "within its slice" in desk.logic.status
    assert desk.points()[0][2] == pytest.approx(desk.ras(k, row, column), abs=NEAR_MM)


def test_a_box_refines_and_its_outline_is_shown_in_its_slice_only(desk):
    k = scarSlice(desk.logic.labels)
    rows, columns = np.nonzero(regions.scar(desk.logic.labels[k]))
    corners = (rows.min() - 2, columns.min() - 2, rows.max() + 2, columns.max() + 2)
    desk.logic.setCurrentSlice(k)
    status = desk.logic.addBox(desk.ras(k, *corners[:2]), desk.ras(k, *corners[2:]))
    expected = Session(aRefiner(), desk.case, desk.automatic)
    expected.box("scar", k, tuple(float(c) for c in corners))
    assert status == "done" and np.array_equal(desk.logic.labels, expected.labels)
    outline = desk.scene.GetFirstNodeByClass("vtkMRMLMarkupsClosedCurveNode")
    assert outline.GetNumberOfControlPoints() == 4
    desk.logic.setCurrentSlice(k - 1 if k else k + 1)
    assert outline.GetNumberOfControlPoints() == 0


def test_a_box_over_two_slices_is_ignored(desk):
    status = desk.logic.addBox(desk.ras(1, 10, 10), desk.ras(2, 20, 20))
    assert status.startswith("ignored") and "different slices" in desk.logic.status


@pytest.mark.parametrize("far", [(1e4, 0, 0), (float("nan"), 0, 0), (0, float("inf"), 0)])
def test_a_click_outside_the_volume_is_ignored_with_a_status_line(desk, far):
    before = desk.logic.labels
    assert desk.logic.addClick(far).startswith("ignored")
    assert desk.logic.labels is before and "outside the images" in desk.logic.status
    assert desk.logic.session.steps == [] and desk.points() == []


def test_a_point_placed_outside_the_volume_vanishes_again(desk):
    place(desk.logic.prompts.positiveNode, (5e3, 5e3, 5e3))
    assert desk.points() == [] and desk.logic.session.steps == []


def test_a_click_in_another_view_orientation_is_ignored(desk):
    k, row, column = scarPixel(desk.logic.labels)
    right, _ = sliceAxes(desk.case)
    ras = desk.ras(k, row, column)
    assert desk.logic.addClick(ras, viewNormal=right).startswith("ignored")
    assert desk.logic.session.steps == []
    assert desk.logic.addClick(ras, False, viewNormal=-sliceNormal(desk.case)) == "done"


def test_a_click_far_from_the_heart_is_ignored_and_says_why(desk):
    assert desk.logic.addClick(desk.ras(2, 0, 0)).startswith("ignored: expected a click within")
    assert desk.points() == [] and desk.isConsistent()


def test_a_click_that_contradicts_another_is_ignored(desk):
    k, row, column = scarPixel(desk.logic.labels)
    desk.logic.addClick(desk.ras(k, row, column), False)
    assert desk.logic.addClick(desk.ras(k, row, column), True).startswith("ignored")
    assert len(desk.points()) == 1 and desk.isConsistent()


# Structures and rules


def test_the_sign_falls_back_to_plus_after_each_change_of_structure(desk):
    desk.logic.setPositive(False)
    desk.logic.setStructure("edema")
    assert desk.logic.positive
    desk.logic.setPositive(False)
    desk.logic.setStructure("edema")
    assert desk.logic.positive
    with pytest.raises(InputError, match="structure"):
        desk.logic.setStructure("fat")


def test_placing_goes_on_with_plus_after_a_change_of_structure(desk):
    desk.logic.startPlacing("negative")
    assert (desk.logic.placing, desk.logic.positive) == ("negative", False)
    desk.logic.setStructure("myocardium")
    assert (desk.logic.placing, desk.logic.prompts.placing) == ("positive", "positive")
    desk.logic.stopPlacing()
    assert desk.logic.placing is None and desk.logic.prompts.placing is None


def test_placing_that_another_tool_ended_is_told_with_the_next_poll(desk):
    desk.logic.startPlacing("positive")
    told = []
    desk.events.connect("prompts", lambda: told.append(desk.logic.placing))
    desk.work.poll()
    assert told == []
    interaction = desk.scene.GetSingletonNode("Singleton", "vtkMRMLInteractionNode")
    interaction.SetCurrentInteractionMode(interaction.ViewTransform)
    desk.work.poll()
    desk.work.poll()
    assert told == [None]


def test_only_the_clicks_on_the_chosen_structure_are_shown(desk):
    k = scarSlice(desk.logic.labels)
    desk.logic.addClick(desk.ras(*scarPixel(desk.logic.labels)), False)
    desk.logic.setStructure("myocardium")
    assert desk.points() == []
    other = k - 1 if k else k + 1
    desk.logic.addClick(desk.ras(*normalPixel(desk.logic.labels, other)), True)
    assert [kind for kind, _, _ in desk.points()] == ["positive"]
    desk.logic.setStructure("scar")
    assert [kind for kind, _, _ in desk.points()] == ["negative"]


def test_scar_never_takes_blood_unless_it_is_allowed(desk):
    k, row, column = scarPixel(desk.logic.labels)
    rows, columns = np.nonzero(regions.blood_pool(desk.automatic.labels[k]))
    nearest = int(np.hypot(rows - row, columns - column).argmin())
    blood = (k, int(rows[nearest]), int(columns[nearest]))
    desk.logic.setRules(keepInside=True, allowBloodPool=False, moveWall=False)
    desk.logic.addClick(desk.ras(*blood), True)
    assert regions.blood_pool(desk.logic.labels)[blood]
    desk.logic.undo()
    desk.logic.setRules(keepInside=True, allowBloodPool=True, moveWall=False)
    assert desk.logic.rules.allow_blood_pool
    desk.logic.addClick(desk.ras(*blood), True)
    assert regions.scar(desk.logic.labels)[blood] and desk.isConsistent()


def test_structures_say_why_they_cannot_be_corrected(fresh):
    from dataclasses import replace

    fresh.automatic = replace(fresh.automatic, assessed=frozenset({"scar"}))
    fresh.start()
    reasons = {name: reason for name, _, reason in fresh.logic.structures()}
    assert reasons["scar"] is None and "T2" in reasons["edema"]
    fresh.logic.setStructure("edema")
    status = fresh.logic.addClick(fresh.ras(*scarPixel(fresh.logic.labels)))
    assert status.startswith("ignored: edema: expected a T2 image")


def test_without_a_case_everything_is_ignored(fresh):
    logic = fresh.logic
    assert logic.addClick((0, 0, 0)).startswith("ignored")
    assert logic.addBox((0, 0, 0), (1, 1, 1)).startswith("ignored")
    assert logic.moveClick("click-1", (0, 0, 0)).startswith("ignored")
    assert logic.deleteClick("click-1").startswith("ignored")
    for edit in (logic.undo, logic.redo, logic.expand, logic.smooth, logic.acceptProposal):
        assert edit().startswith("ignored")
    logic.setStructure("mvo")
    logic.startPlacing("positive")
    logic.setCurrentSlice(3)
    logic.setOpacity(0.2)
    assert logic.proposePropagation() is None and logic.lookHereNext() is None
    assert logic.segmentation() is None and logic.labels is None and not logic.hasManualWork


# Waiting for the encoding


class Gate:
    """Work that holds the background up until it is let go."""

    def __init__(self, work):
        self.open = threading.Event()
        work.submit("gate", lambda progress, cancelled: self.open.wait(TIMEOUT_S))


def test_clicks_before_the_encoding_are_queued_and_answered_in_their_order(fresh):
    gate = Gate(fresh.work)
    fresh.start(wait=False)
    labels = fresh.automatic.labels
    k, row, column = scarPixel(labels)
    other = k - 1 if k else k + 1
    clicks = [(k, row, column, False), (*normalPixel(labels, other), True)]
    clicks.append((*scarPixel(labels, k), False))
    clicks[2] = (k, row + 1, column, False)
    for *voxel, positive in clicks:
        assert fresh.logic.addClick(fresh.ras(*voxel), positive) == "queued"
    assert fresh.logic.pendingClicks == 3 and fresh.logic.labels is fresh.logic.session.labels
    assert np.array_equal(fresh.logic.labels, labels)
    assert len(fresh.points()) == 3  # they are seen at once
    gate.open.set()
    fresh.settle()
    expected = Session(aRefiner(), fresh.case, fresh.automatic)
    for index, y, x, positive in clicks:
        expected.click("scar", index, y, x, positive)
    assert np.array_equal(fresh.logic.labels, expected.labels)
    steps = [step.arguments["slice_index"] for step in fresh.logic.session.steps]
    assert steps == [k, other, k] and fresh.isConsistent()
    assert len(fresh.points()) == 3


def test_a_waiting_click_can_be_moved_deleted_and_undone(fresh):
    gate = Gate(fresh.work)
    fresh.start(wait=False)
    k, row, column = scarPixel(fresh.automatic.labels)
    node = fresh.logic.prompts.negativeNode
    moved = place(node, fresh.ras(k, row, column))
    deleted = place(node, fresh.ras(k, row + 2, column))
    place(node, fresh.ras(k, row, column + 2))
    assert fresh.logic.pendingClicks == 3
    node.SetNthControlPointPositionWorld(0, *fresh.ras(k, row + 1, column))
    assert fresh.logic.undoName == "waiting click" and fresh.logic.undo() == "done"
    assert fresh.logic.deleteClick(deleted) == "done"
    assert [name for _, name, _ in fresh.points()] == [moved]
    gate.open.set()
    fresh.settle()
    points = fresh.logic.session.corrections[k].points
    assert [(round(p.row, 3), round(p.column, 3)) for p in points] == [(row + 1, column)]
    assert fresh.isConsistent()


def test_an_edit_after_waiting_clicks_comes_after_them(fresh):
    gate = Gate(fresh.work)
    fresh.start(wait=False)
    fresh.logic.addClick(fresh.ras(*scarPixel(fresh.automatic.labels)), False)
    assert fresh.logic.expand(2.0) == "queued"
    gate.open.set()
    fresh.settle()
    assert [step.action for step in fresh.logic.session.steps] == ["prompt", "accept"]
    assert fresh.isConsistent()


def test_a_waiting_click_that_is_refused_is_taken_away(fresh):
    gate = Gate(fresh.work)
    fresh.start(wait=False)
    assert fresh.logic.addClick(fresh.ras(2, 0, 0)) == "queued"
    gate.open.set()
    fresh.settle()
    assert fresh.logic.status.startswith("Expected a click within") and fresh.points() == []


def test_the_current_slice_is_encoded_first(fresh, monkeypatch):
    order = []
    encode = refiners.Refiner.encode

    def noted(self, slices=None, progress=None, cancelled=None):
        order.extend(slices)
        return encode(self, slices, progress, cancelled)

    monkeypatch.setattr(refiners.Refiner, "encode", noted)
    gate = Gate(fresh.work)
    fresh.start(wait=False)
    fresh.logic.setCurrentSlice(1)
    gate.open.set()
    fresh.settle()
    assert order[0] == 1 and sorted(order) == list(range(len(fresh.automatic.labels)))
    assert fresh.logic.encodedSlices == set(order)


def test_without_torch_clicks_say_what_is_missing_and_the_rest_works(fresh, monkeypatch):
    monkeypatch.setattr("MyoPSSegmenterLib.Steps.RefinerLoader.hasTorch", lambda: False)
    fresh.start()
    assert fresh.logic.refinerState == "missing" and "PyTorch" in fresh.logic.refinerProblem
    status = fresh.logic.addClick(fresh.ras(*scarPixel(fresh.automatic.labels)), False)
    assert status.startswith("ignored: Clicks and boxes need PyTorch")
    assert fresh.logic.expand(2.0) == "done" and fresh.logic.undo() == "done"
    assert np.array_equal(fresh.logic.labels, fresh.automatic.labels)
    monkeypatch.setattr("MyoPSSegmenterLib.Steps.RefinerLoader.hasTorch", lambda: True)
    fresh.logic.setRefiner("cpu")  # it was installed meanwhile
    fresh.settle()
    assert fresh.logic.addClick(fresh.ras(*scarPixel(fresh.automatic.labels)), False) == "done"


def test_prompts_that_wait_for_a_network_that_cannot_be_loaded_are_given_back(fresh, monkeypatch):
    def broken(*_, **__):
        raise InputError("expected the weights of refiner, found no file; install again")

    monkeypatch.setattr(refiners, "load_refiner", broken)
    gate = Gate(fresh.work)
    fresh.start(wait=False)
    fresh.logic.addClick(fresh.ras(*scarPixel(fresh.automatic.labels)), False)
    gate.open.set()
    fresh.settle()
    assert fresh.logic.pendingClicks == 0 and fresh.points() == []
    assert ("warning", "expected the weights of refiner, found no file; install again") in (
        fresh.messages
    )


# Undo, edits of the whole structure


def test_undo_and_redo_restore_the_whole_segmentation_and_the_clicks(desk):
    states = [desk.logic.labels.copy()]
    k, row, column = scarPixel(desk.logic.labels)
    desk.logic.addClick(desk.ras(k, row, column), False)
    states.append(desk.logic.labels.copy())
    desk.logic.expand(3.0)
    states.append(desk.logic.labels.copy())
    desk.logic.setStructure("myocardium")
    desk.logic.shrink(1.0)
    states.append(desk.logic.labels.copy())
    desk.logic.setStructure("scar")
    for expected in reversed(states[:-1]):
        assert desk.logic.undo() == "done"
        assert np.array_equal(desk.logic.labels, expected) and desk.isConsistent()
    assert desk.points() == [] and desk.logic.undoName is None
    assert desk.logic.undo().startswith("ignored")
    for expected in states[1:]:
        assert desk.logic.redo() == "done"
        assert np.array_equal(desk.logic.labels, expected) and desk.isConsistent()
    assert desk.logic.redo().startswith("ignored")


def test_clicks_that_undo_brings_back_can_be_dragged(desk):
    k, row, column = scarPixel(desk.logic.labels)
    desk.logic.addClick(desk.ras(k, row, column), False)
    desk.logic.undo()
    assert desk.points() == []
    desk.logic.redo()
    (_, name, ras) = desk.points()[0]
    assert ras == pytest.approx(desk.ras(k, row, column), abs=NEAR_MM)
    assert desk.logic.moveClick(name, desk.ras(k, row + 1, column)) == "done"
    assert desk.logic.session.corrections[k].points[0].row == pytest.approx(row + 1)


def test_a_dragged_threshold_slider_is_one_step_to_undo(desk):
    before = desk.logic.labels.copy()
    for value in (0.4, 0.3, 0.2, 0.1):
        assert desk.logic.threshold(value) == "done"
    assert regions.scar(desk.logic.labels).sum() > regions.scar(before).sum()
    assert desk.logic.undoName == "scar threshold 0.10"
    desk.logic.undo()
    assert np.array_equal(desk.logic.labels, before) and desk.logic.undoName is None
    assert desk.isConsistent()


def test_a_threshold_that_is_refused_keeps_the_one_before(desk):
    desk.logic.threshold(0.2)
    kept = desk.logic.labels.copy()
    assert desk.logic.threshold(7.0).startswith("ignored")
    assert np.array_equal(desk.logic.labels, kept) and desk.logic.undoName == "scar threshold 0.20"
    desk.logic.setStructure("mvo")
    assert desk.logic.threshold(0.5).startswith("ignored")


def test_edits_of_the_current_slice_leave_the_others(desk):
    k = scarSlice(desk.logic.labels)
    desk.logic.setCurrentSlice(k)
    desk.logic.expand(3.0, allSlices=False)
    changed = (desk.logic.labels != desk.automatic.labels).any(axis=(1, 2))
    assert np.flatnonzero(changed).tolist() == [k]
    desk.logic.smooth(2.0, allSlices=False)
    assert desk.isConsistent()


# Other tools


def painted(desk, k, segmentId="scar"):
    """Paint normal myocardium of a slice into a segment, as the Segment Editor does."""
    mask = regions.normal_myocardium(desk.logic.labels)
    mask[np.arange(len(mask)) != k] = False
    labels = desk.logic.labels.copy()
    labels[mask] = 2221
    publishLabels(desk.logic.node, desk.case, labels)
    return labels


def test_an_edit_in_the_segment_editor_becomes_a_step_and_the_numbers_hear_of_it(desk):
    heard = []
    desk.events.connect("labels", lambda labels: heard.append(labels))
    labels = painted(desk, scarSlice(desk.logic.labels))
    assert heard == []
    end = time.monotonic() + TIMEOUT_S
    while not heard and time.monotonic() < end:
        desk.work.poll(giveMs=0)
        time.sleep(0.02)
    assert np.array_equal(heard[0], labels) and np.array_equal(desk.logic.labels, labels)
    assert desk.logic.undoName == "edit in the Segment Editor"
    desk.logic.undo()
    assert np.array_equal(desk.logic.labels, desk.automatic.labels) and desk.isConsistent()


def test_a_click_right_after_a_brush_stroke_keeps_the_stroke(desk):
    k = scarSlice(desk.logic.labels)
    other = k - 1 if k else k + 1
    labels = painted(desk, other)
    desk.logic.addClick(desk.ras(*scarPixel(desk.automatic.labels, k)), False)
    assert np.array_equal(desk.logic.labels[other], labels[other])
    assert [s.action for s in desk.logic.session.steps] == ["accept", "prompt"]
    assert desk.isConsistent()


def test_what_is_written_here_and_extra_segments_are_no_edits(desk):
    desk.logic.expand(2.0)
    mask = np.zeros(desk.logic.labels.shape, bool)
    mask[1, 10:20, 10:20] = True
    showBeside(desk.logic.node, desk.case, mask, "method_fwhm", "FWHM", (1, 0, 1))
    time.sleep(0.25)
    desk.work.poll()
    assert [s.action for s in desk.logic.session.steps] == ["accept"]
    assert desk.logic.adoptNodeEdits() is False


def test_another_opacity_is_no_edit(desk):
    desk.logic.setOpacity(0.3)
    assert desk.logic.node.GetDisplayNode().GetOpacity() == pytest.approx(0.3)
    assert desk.logic.adoptNodeEdits() is False
    desk.logic.start(desk.case, desk.automatic, desk.newNode())
    assert desk.logic.node.GetDisplayNode().GetOpacity() == pytest.approx(0.3)


# Propagation and guidance


def corrected(desk):
    """A slice whose scar was corrected by a click."""
    k = scarSlice(desk.logic.labels)
    desk.logic.setCurrentSlice(k)
    desk.logic.addClick(desk.ras(*normalPixel(desk.logic.labels, k)), True)
    return k


@pytest.mark.slow
def test_carrying_shows_a_proposal_that_changes_nothing_until_it_is_accepted(desk, monkeypatch):
    from myops.refine import propagate

    # The click in this phantom changes little; here it counts that there is a proposal.
    monkeypatch.setattr(propagate, "LEAST_ADDED_MM2", 1.0)
    k = corrected(desk)
    before = desk.logic.labels
    desk.work.waitFor(desk.logic.proposePropagation(), TIMEOUT_S)
    proposal = desk.logic.proposal
    assert proposal is not None, desk.logic.status
    assert desk.logic.labels is before and desk.isConsistent()
    assert overlayOf(desk.logic.node).GetSegmentation().GetSegment("proposal") is not None
    assert desk.logic.acceptProposal() == "done"
    assert np.array_equal(desk.logic.labels, proposal.labels) and desk.isConsistent()
    assert desk.logic.proposal is None
    assert overlayOf(desk.logic.node) is None
    assert desk.logic.undoName == f"carry scar from slice {k + 1}"


def aProposal(desk, k):
    """A proposal for one neighbor of a slice, as `propagate_correction` makes it."""
    from myops.refine.propagate import CarriedSlice, Proposal

    labels = desk.logic.labels.copy()
    other = k - 1 if k else k + 1
    labels[other][regions.normal_myocardium(labels[other])] = 2221
    changed = int((labels != desk.logic.labels).sum())
    return Proposal("scar", k, labels, (CarriedSlice(other, 0.9, changed),), ("", ""))


def proposed(desk, monkeypatch):
    k = corrected(desk)
    proposal = aProposal(desk, k)
    monkeypatch.setattr("myops.refine.propagate.propagate_correction", lambda *_: proposal)
    desk.work.waitFor(desk.logic.proposePropagation(), TIMEOUT_S)
    assert desk.logic.proposal is proposal
    return proposal


def test_a_proposal_can_be_accepted_and_undone(desk, monkeypatch):
    before = None
    proposal = proposed(desk, monkeypatch)
    before = desk.logic.labels
    assert desk.logic.acceptProposal() == "done"
    assert np.array_equal(desk.logic.labels, proposal.labels)
    desk.logic.undo()
    assert np.array_equal(desk.logic.labels, before) and desk.isConsistent()


def test_a_proposal_takes_back_that_there_was_nothing_to_carry(desk, monkeypatch):
    from myops.refine.propagate import Proposal

    k = corrected(desk)
    nothing = Proposal("scar", k, desk.logic.labels.copy(), (), ("no muscle", "no muscle"))
    monkeypatch.setattr("myops.refine.propagate.propagate_correction", lambda *_: nothing)
    desk.work.waitFor(desk.logic.proposePropagation(), TIMEOUT_S)
    assert "nothing to carry" in desk.messages[-1][1] and desk.logic.proposal is None
    proposed(desk, monkeypatch)
    assert desk.messages[-1] == ("info", "") and not desk.logic.status


def test_a_proposal_can_be_refused(desk, monkeypatch):
    proposed(desk, monkeypatch)
    before = desk.logic.labels
    desk.logic.refuseProposal()
    assert desk.logic.labels is before and desk.logic.proposal is None
    assert overlayOf(desk.logic.node) is None
    assert desk.logic.acceptProposal().startswith("ignored")


def test_any_other_change_makes_a_proposal_void(desk, monkeypatch):
    proposed(desk, monkeypatch)
    desk.logic.undo()
    assert desk.logic.proposal is None
    assert overlayOf(desk.logic.node) is None


def test_a_proposal_for_labels_that_changed_meanwhile_is_not_shown(desk, monkeypatch):
    k = corrected(desk)
    proposal = aProposal(desk, k)
    monkeypatch.setattr("myops.refine.propagate.propagate_correction", lambda *_: proposal)
    task = desk.logic.proposePropagation()
    desk.logic.undo()
    desk.work.waitFor(task, TIMEOUT_S)
    assert task.state == "cancelled" and desk.logic.proposal is None


def offered(desk):
    """A click two pixels inside the cavity that a refiner answers with a disc of 3 pixels."""
    from scipy.ndimage import distance_transform_edt

    desk.logic.session.refiner = DiscRefiner()
    k = scarSlice(desk.logic.labels)
    away = distance_transform_edt(~regions.myocardium(desk.logic.labels[k]))
    away *= regions.blood_pool(desk.logic.labels[k])
    row, column = np.argwhere((away >= 2) & (away < 3))[0]
    assert desk.logic.addClick(desk.ras(k, int(row), int(column)), True) == "done"
    return k, row, column


def test_a_wall_that_moves_far_is_shown_first_and_taken_and_undone(desk):
    k, row, column = offered(desk)
    offer = desk.logic.proposal
    assert offer is desk.logic.session.wall_offer and offer.mm > 2
    assert overlayOf(desk.logic.node).GetSegmentation().GetSegment("proposal") is not None
    before = desk.logic.labels
    assert desk.logic.acceptProposal() == "done"
    assert regions.scar(desk.logic.labels)[k, row, column] and desk.isConsistent()
    assert np.array_equal(desk.logic.labels, offer.labels) and desk.logic.proposal is None
    assert len(desk.points()) == 1
    desk.logic.undo()
    assert np.array_equal(desk.logic.labels, before) and desk.isConsistent()
    assert overlayOf(desk.logic.node) is None


def test_an_offered_wall_can_be_refused(desk):
    offered(desk)
    before = desk.logic.labels
    desk.logic.refuseProposal()
    assert desk.logic.labels is before and desk.logic.proposal is None
    assert overlayOf(desk.logic.node) is None


def test_without_the_rule_no_wall_is_offered(desk):
    desk.logic.setRules(keepInside=True, allowBloodPool=False, moveWall=False)
    offered(desk)
    assert desk.logic.proposal is None


def test_look_here_next_names_one_place_after_the_other(desk):
    first = desk.logic.lookHereNext()
    assert first is not None
    assert desk.logic.suggestion is first
    second = desk.logic.lookHereNext()
    assert second != first
    desk.logic.expand(1.0)
    assert desk.logic.suggestion is None


# The command line, saved sessions


def test_a_session_of_all_kinds_of_steps_replays_voxel_for_voxel(desk):
    k = scarSlice(desk.logic.labels)
    desk.logic.addClick(desk.ras(*scarPixel(desk.logic.labels)), False)
    desk.logic.addClick(desk.ras(*normalPixel(desk.logic.labels, k)), True)
    name = desk.points()[0][1]
    _, row, column = normalPixel(desk.automatic.labels, k)
    desk.logic.moveClick(name, desk.ras(k, row, column + 1))
    desk.logic.setRules(keepInside=False, allowBloodPool=True)
    desk.logic.threshold(0.3)
    desk.logic.undo()
    desk.logic.redo()
    desk.logic.setStructure("edema")
    desk.logic.smooth(1.0)
    painted(desk, k)
    desk.logic.adoptNodeEdits()
    record = from_record(to_record(desk.logic.session))
    again = replay(record, desk.case, desk.automatic, aRefiner())
    assert again.differences == ()
    assert np.array_equal(again.session.labels, desk.logic.labels) and desk.isConsistent()


def test_a_saved_session_comes_back_with_masks_and_clicks_that_can_be_dragged(desk):
    k, row, column = scarPixel(desk.logic.labels)
    desk.logic.addClick(desk.ras(k, row, column), False)
    desk.logic.setRules(keepInside=False, allowBloodPool=False)
    labels, state = desk.logic.labels.copy(), to_state(desk.logic.session)
    desk.logic.clear()
    assert desk.points() == [] if desk.logic.prompts else True
    desk.logic.start(desk.case, None, desk.newNode("Again"), saved=state)
    desk.settle()
    assert np.array_equal(desk.logic.labels, labels) and desk.isConsistent()
    assert not desk.logic.rules.keep_inside and desk.logic.hasManualWork
    (_, name, ras) = desk.points()[0]
    assert ras == pytest.approx(desk.ras(k, row, column), abs=NEAR_MM)
    assert desk.logic.moveClick(name, desk.ras(k, row + 1, column)) == "done"
    desk.logic.undo()
    desk.logic.undo()
    assert np.array_equal(desk.logic.labels, desk.automatic.labels)


def test_a_start_that_is_refused_leaves_the_case_that_was_open(desk):
    from dataclasses import replace

    k, row, column = scarPixel(desk.logic.labels)
    desk.logic.addClick(desk.ras(k, row, column), False)
    session, labels = desk.logic.session, desk.logic.labels
    wrong = replace(desk.automatic, labels=desk.automatic.labels[:-1])
    with pytest.raises(InputError):
        desk.logic.start(desk.case, wrong, desk.newNode("Wrong"))
    assert desk.logic.session is session and desk.logic.labels is labels
    assert len(desk.points()) == 1 and desk.isConsistent()
    assert desk.logic.addClick(desk.ras(k, row + 1, column), False) == "done"


def test_manual_work_is_known(desk):
    assert not desk.logic.hasManualWork
    desk.logic.expand(2.0)
    assert desk.logic.hasManualWork
    desk.logic.undo()
    assert not desk.logic.hasManualWork
    painted(desk, scarSlice(desk.logic.labels))
    assert desk.logic.hasManualWork  # though nobody polled since


# Nodes that go


def observers(node):
    return [
        event
        for event in (
            slicer.vtkSegmentation.SourceRepresentationModified,
            slicer.vtkSegmentation.SegmentAdded,
            slicer.vtkSegmentation.SegmentRemoved,
        )
        if node.HasObserver(event)
    ]


def test_nothing_observes_the_node_any_more_after_close(fresh):
    node = fresh.newNode()
    before = observers(node)
    fresh.logic.start(fresh.case, fresh.automatic, node)
    prompts = fresh.logic.prompts.positiveNode
    fresh.logic.close()
    assert observers(node) == before
    place(prompts, fresh.ras(2, 10, 10))
    publishLabels(node, fresh.case, np.zeros_like(fresh.automatic.labels))
    fresh.scene.RemoveNode(node)
    fresh.work.poll()
    assert fresh.logic.session is None and fresh.events.failures == []


def test_deleting_the_segmentation_ends_the_correction_with_a_message(desk):
    desk.logic.startPlacing("positive")
    desk.scene.RemoveNode(desk.logic.node)
    assert desk.logic.session is None and desk.logic.node is None and desk.logic.placing is None
    assert any("deleted" in text for level, text in desk.messages if level == "warning")
    desk.work.poll()
    assert desk.logic.addClick((0, 0, 0)).startswith("ignored")


def test_deleting_a_prompt_node_in_the_middle_is_survived(desk):
    k, row, column = scarPixel(desk.logic.labels)
    desk.logic.addClick(desk.ras(k, row, column), False)
    desk.scene.RemoveNode(desk.logic.prompts.negativeNode)
    assert desk.logic.addClick(desk.ras(k, row + 1, column), False) == "done"
    assert len(desk.points()) == 2 and desk.isConsistent()


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["encoding", "waiting", "carrying", "edited", "placing"])
def test_closing_the_scene_in_the_middle_of_anything_never_raises(fresh, moment):
    gate = Gate(fresh.work) if moment in ("encoding", "waiting") else None
    fresh.start(wait=gate is None)
    k, row, column = scarPixel(fresh.automatic.labels)
    if moment == "waiting":
        fresh.logic.addClick(fresh.ras(k, row, column), False)
    if moment == "carrying":
        fresh.logic.setCurrentSlice(k)
        fresh.logic.proposePropagation()
    if moment == "edited":
        painted(fresh, k)
    if moment == "placing":
        fresh.logic.startPlacing("box")
        fresh.logic.addClick(fresh.ras(k, row, column), False)
    fresh.scene.Clear(0)
    if gate is not None:
        gate.open.set()
    fresh.work.waitForAll(TIMEOUT_S)
    assert fresh.logic.session is None and fresh.logic.pendingClicks == 0
    fresh.volume = volumeFromImage(
        fresh.scene, restore(fresh.case, fresh.case.images[fresh.case.reference]), "LGE"
    )
    fresh.start()
    assert fresh.logic.addClick(fresh.ras(k, row, column), False) == "done"
    assert fresh.isConsistent()


def test_a_segmentation_under_a_transform_is_corrected_in_its_place(desk):
    transform = desk.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "shift")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 40.0)
    transform.SetMatrixTransformToParent(matrix)
    desk.logic.node.SetAndObserveTransformNodeID(transform.GetID())
    k, row, column = scarPixel(desk.logic.session.labels)
    desk.logic.addClick(desk.ras(k, row, column), False)
    desk.work.poll()
    assert desk.isConsistent()


def test_a_new_case_forgets_the_clicks_and_times_of_the_one_before(desk):
    desk.logic.addClick(desk.ras(*scarPixel(desk.logic.labels)), False)
    assert len(desk.logic.clickTimings) == 1
    desk.logic.start(desk.case, desk.automatic, desk.newNode("Next"))
    assert desk.logic.clickTimings == [] and desk.points() == []
    assert desk.logic.undoName is None and desk.isConsistent()


def test_whoever_hears_of_a_step_reads_what_was_said_about_that_step(desk):
    heard = []
    desk.events.connect("prompts", lambda: heard.append(desk.logic.status))
    desk.logic.addClick((5e3, 5e3, 5e3))
    assert heard[-1] == "The click lies outside the images."
    desk.logic.addClick(desk.ras(*scarPixel(desk.logic.labels)), positive=False)
    assert heard[-1] == ""
    desk.logic.addClick((5e3, 5e3, 5e3))
    desk.logic.startPlacing("negative")
    assert heard[-1] == ""


def test_an_answered_prompt_no_longer_says_that_it_waits(fresh):
    heard = []
    gate = Gate(fresh.work)
    fresh.start(wait=False)
    fresh.events.connect("prompts", lambda: heard.append(fresh.logic.status))
    fresh.logic.addClick(fresh.ras(*scarPixel(fresh.automatic.labels)), positive=False)
    assert heard[-1] == "The prompt waits until its slice is prepared."
    gate.open.set()
    fresh.work.waitForAll()
    assert heard[-1] == ""


def test_the_threshold_asks_before_it_replaces_manual_work_and_not_again(desk):
    assert desk.logic.thresholdQuestion() is None
    desk.logic.addClick(desk.ras(*scarPixel(desk.logic.labels)), positive=False)
    assert "Scar was corrected by hand" in desk.logic.thresholdQuestion()
    desk.logic.threshold(0.4)
    assert desk.logic.thresholdQuestion() is None  # the slider is dragged on
    desk.logic.undo()
    assert desk.logic.thresholdQuestion() is not None

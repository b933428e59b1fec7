"""Prompts as markups nodes: what the user does is reported once, what we show is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import slicer
import vtk

from MyoPSSegmenterLib.Scene.PromptNodes import PromptNodes, viewNormal


class Heard:
    """What the prompts reported, in order."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def added(self, kind: str, clickId: str, ras: Any, normal: Any) -> None:
        self.events.append(("added", kind, clickId, tuple(np.round(ras, 6))))

    def moved(self, kind: str, clickId: str, ras: Any) -> None:
        self.events.append(("moved", kind, clickId, tuple(np.round(ras, 6))))

    def removed(self, kind: str, clickId: str, ras: Any) -> None:
        self.events.append(("removed", kind, clickId, tuple(np.round(ras, 6))))

    def box(self, first: Any, second: Any, normal: Any) -> None:
        self.events.append(("box", tuple(np.round(first, 6)), tuple(np.round(second, 6))))

    def take(self) -> list[tuple[Any, ...]]:
        events, self.events = self.events, []
        return events


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def prompts(scene: Any, heard: Heard) -> Iterator[PromptNodes]:
    made = PromptNodes(scene, heard.added, heard.moved, heard.removed, heard.box)
    yield made
    made.cleanup()


def place(node: Any, ras: tuple[float, float, float]) -> int:
    return int(node.AddControlPointWorld(vtk.vtkVector3d(*ras)))


def shown(node: Any) -> dict[str, tuple[float, ...]]:
    """Description to position of all defined points of a node."""
    return {
        node.GetNthControlPointDescription(i): tuple(
            np.round(node.GetNthControlPointPositionVector(i), 6)
        )
        for i in range(node.GetNumberOfControlPoints())
        if node.GetNthControlPointPositionStatus(i) == node.PositionDefined
    }


def test_a_placed_point_is_reported_once(prompts: PromptNodes, heard: Heard) -> None:
    place(prompts.positiveNode, (1.0, 2.0, 3.0))
    ((what, kind, clickId, ras),) = heard.take()
    assert (what, kind, ras) == ("added", "positive", (1.0, 2.0, 3.0))
    assert clickId


def test_every_point_has_its_own_id(prompts: PromptNodes, heard: Heard) -> None:
    for x in range(5):
        place(prompts.positiveNode, (x, 0.0, 0.0))
        place(prompts.negativeNode, (x, 0.0, 1.0))
    assert len({event[2] for event in heard.take()}) == 10


def preview(node: Any, x: float) -> int:
    """Move the point that follows the mouse in place mode, as the markups widget does."""
    return pointer(node, x, node.PositionPreview)


def pointer(node: Any, x: float, status: int) -> int:
    """Put the point under the mouse somewhere, with a status."""
    at = [i for i in range(node.GetNumberOfControlPoints()) if is_preview(node, i)]
    event = slicer.vtkMRMLInteractionEventData()
    event.SetWorldPosition([x, 0.0, 0.0])
    turn = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    index = at[0] if at else node.GetNumberOfControlPoints()
    update = node.GetDisplayNode().UpdateActiveControlPointWorld
    return int(update(index, event, turn, "", "", status))


def is_preview(node: Any, index: int) -> bool:
    return bool(node.GetNthControlPointPositionStatus(index) == node.PositionPreview)


def test_a_point_under_the_mouse_is_no_prompt_until_it_is_placed(
    prompts: PromptNodes, heard: Heard
) -> None:
    node = prompts.negativeNode
    for x in (1.0, 2.0, 3.0):
        preview(node, x)
    assert node.GetNumberOfControlPoints() == 1
    assert heard.take() == []
    pointer(node, 4.0, node.PositionDefined)
    assert [event[:2] + event[3:] for event in heard.take()] == [
        ("added", "negative", (4.0, 0.0, 0.0))
    ]


def test_a_point_under_the_mouse_that_leaves_the_view_reports_nothing(
    prompts: PromptNodes, heard: Heard
) -> None:
    node = prompts.positiveNode
    node.RemoveNthControlPoint(preview(node, 1.0))
    assert heard.take() == []


def test_showing_keeps_the_point_under_the_mouse(prompts: PromptNodes, heard: Heard) -> None:
    node = prompts.positiveNode
    place(node, (9.0, 0.0, 0.0))
    preview(node, 1.0)
    heard.take()
    prompts.show([("a", True, (5.0, 0.0, 0.0))])
    statuses = [
        node.GetNthControlPointPositionStatus(i) for i in range(node.GetNumberOfControlPoints())
    ]
    assert sorted(statuses) == sorted([node.PositionPreview, node.PositionDefined])
    assert shown(node) == {"a": (5.0, 0.0, 0.0)}
    pointer(node, 2.0, node.PositionDefined)
    assert [event[0] for event in heard.take()] == ["added"]


def test_a_point_whose_place_was_taken_back_is_reported_as_removed(
    prompts: PromptNodes, heard: Heard
) -> None:
    node = prompts.positiveNode
    place(node, (1.0, 2.0, 3.0))
    clickId = heard.take()[0][2]
    node.UnsetNthControlPointPosition(0)
    assert heard.take() == [("removed", "positive", clickId, (1.0, 2.0, 3.0))]


def test_a_drag_is_reported_once_when_it_ends(prompts: PromptNodes, heard: Heard) -> None:
    node = prompts.positiveNode
    place(node, (0.0, 0.0, 0.0))
    clickId = heard.take()[0][2]
    node.InvokeEvent(node.PointStartInteractionEvent)
    for x in (1.0, 2.0, 3.0):
        node.SetNthControlPointPositionWorld(0, x, 0.0, 0.0)
    assert heard.take() == []
    node.InvokeEvent(node.PointEndInteractionEvent)
    assert heard.take() == [("moved", "positive", clickId, (3.0, 0.0, 0.0))]


def test_a_drag_back_to_where_it_began_is_no_move(prompts: PromptNodes, heard: Heard) -> None:
    node = prompts.positiveNode
    place(node, (0.0, 0.0, 0.0))
    heard.take()
    node.InvokeEvent(node.PointStartInteractionEvent)
    for x in (1.0, 0.0):
        node.SetNthControlPointPositionWorld(0, x, 0.0, 0.0)
    node.InvokeEvent(node.PointEndInteractionEvent)
    assert heard.take() == []


def test_a_point_moved_by_another_tool_is_reported(prompts: PromptNodes, heard: Heard) -> None:
    node = prompts.negativeNode
    place(node, (0.0, 0.0, 0.0))
    clickId = heard.take()[0][2]
    node.SetNthControlPointPositionWorld(0, 7.0, 8.0, 9.0)
    assert heard.take() == [("moved", "negative", clickId, (7.0, 8.0, 9.0))]


def test_a_deleted_point_is_reported_with_its_last_place(
    prompts: PromptNodes, heard: Heard
) -> None:
    node = prompts.positiveNode
    for x in (1.0, 2.0, 3.0):
        place(node, (x, 0.0, 0.0))
    ids = [event[2] for event in heard.take()]
    node.RemoveNthControlPoint(1)
    assert heard.take() == [("removed", "positive", ids[1], (2.0, 0.0, 0.0))]


def test_all_points_deleted_at_once_are_all_reported(prompts: PromptNodes, heard: Heard) -> None:
    for x in (1.0, 2.0, 3.0):
        place(prompts.positiveNode, (x, 0.0, 0.0))
    ids = {event[2] for event in heard.take()}
    prompts.positiveNode.RemoveAllControlPoints()
    events = heard.take()
    assert {event[0] for event in events} == {"removed"}
    assert {event[2] for event in events} == ids and len(events) == 3


def test_color_and_label_of_a_point_are_no_business_of_ours(
    prompts: PromptNodes, heard: Heard
) -> None:
    place(prompts.positiveNode, (1.0, 0.0, 0.0))
    heard.take()
    prompts.positiveNode.SetNthControlPointLabel(0, "renamed")
    prompts.positiveNode.SetNthControlPointLocked(0, True)
    prompts.positiveNode.SetName("renamed")
    assert heard.take() == []


# What we show


def test_what_is_shown_is_not_reported(prompts: PromptNodes, heard: Heard) -> None:
    prompts.show([("a", True, (1, 2, 3)), ("b", False, (4, 5, 6)), ("c", True, (7, 8, 9))])
    assert shown(prompts.positiveNode) == {"a": (1, 2, 3), "c": (7, 8, 9)}
    assert shown(prompts.negativeNode) == {"b": (4, 5, 6)}
    prompts.show([("c", True, (7, 8, 10))])
    assert shown(prompts.positiveNode) == {"c": (7, 8, 10)}
    assert shown(prompts.negativeNode) == {}
    prompts.show([])
    assert heard.take() == []


def test_a_shown_point_can_be_dragged_and_deleted(prompts: PromptNodes, heard: Heard) -> None:
    prompts.show([("a", True, (1, 2, 3)), ("b", False, (4, 5, 6))])
    prompts.positiveNode.SetNthControlPointPositionWorld(0, 2.0, 2.0, 3.0)
    prompts.negativeNode.RemoveNthControlPoint(0)
    assert heard.take() == [
        ("moved", "positive", "a", (2.0, 2.0, 3.0)),
        ("removed", "negative", "b", (4.0, 5.0, 6.0)),
    ]


def test_a_point_that_changed_its_sign_changes_its_node(prompts: PromptNodes) -> None:
    prompts.show([("a", True, (1, 2, 3))])
    prompts.show([("a", False, (1, 2, 3))])
    assert shown(prompts.positiveNode) == {}
    assert shown(prompts.negativeNode) == {"a": (1, 2, 3)}


def test_points_that_stay_are_not_touched(prompts: PromptNodes) -> None:
    prompts.show([("a", True, (1, 2, 3)), ("b", True, (4, 5, 6))])
    before = prompts.positiveNode.GetNthControlPointID(0)
    prompts.show([("a", True, (1, 2, 3)), ("c", True, (4, 5, 7))])
    assert prompts.positiveNode.GetNthControlPointID(0) == before
    assert set(shown(prompts.positiveNode)) == {"a", "c"}


def test_removing_one_prompt_is_not_reported(prompts: PromptNodes, heard: Heard) -> None:
    prompts.show([("a", True, (1, 2, 3)), ("b", False, (4, 5, 6))])
    prompts.remove("b")
    prompts.remove("unknown")
    assert shown(prompts.negativeNode) == {}
    assert shown(prompts.positiveNode) == {"a": (1, 2, 3)}
    assert heard.take() == []


def test_a_refused_click_disappears_from_within_its_own_report(scene: Any) -> None:
    calls = []

    def refuse(kind: str, clickId: str, ras: Any, normal: Any) -> None:
        calls.append(clickId)
        made.show([("kept", True, (0, 0, 0))])

    made = PromptNodes(scene, refuse, calls.append, calls.append)
    place(made.positiveNode, (1.0, 2.0, 3.0))
    assert len(calls) == 1
    assert shown(made.positiveNode) == {"kept": (0, 0, 0)}
    place(made.positiveNode, (1.0, 2.0, 4.0))
    assert len(calls) == 2
    assert shown(made.positiveNode) == {"kept": (0, 0, 0)}
    made.cleanup()


def test_a_callback_that_fails_is_heard_of_and_stops_nothing(
    scene: Any, vtkMessages: list[str]
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("on purpose")

    made = PromptNodes(scene, fail, fail, fail)
    place(made.positiveNode, (1.0, 2.0, 3.0))
    assert vtkMessages == ["RuntimeError in an observer: on purpose"]
    vtkMessages.clear()
    made.show([])
    assert shown(made.positiveNode) == {}
    made.cleanup()


def test_points_under_a_transform_are_in_the_world(
    scene: Any, prompts: PromptNodes, heard: Heard
) -> None:
    shift = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 100.0)
    shift.SetMatrixTransformToParent(matrix)
    prompts.positiveNode.SetAndObserveTransformNodeID(shift.GetID())
    prompts.positiveNode.AddControlPoint(vtk.vtkVector3d(1.0, 2.0, 3.0))
    assert heard.take()[0][3] == (101.0, 2.0, 3.0)
    prompts.show([("a", True, (5, 6, 7))])
    place_ = [0.0, 0.0, 0.0]
    prompts.positiveNode.GetNthControlPointPositionWorld(0, place_)
    assert place_ == pytest.approx([5, 6, 7])


# Placing


def interaction(scene: Any) -> Any:
    return scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")


@pytest.mark.parametrize("kind", ["positive", "negative"])
def test_placing_points_goes_on_until_it_is_stopped(
    scene: Any, prompts: PromptNodes, kind: str
) -> None:
    assert prompts.placing is None
    prompts.startPlacing(kind)
    node = interaction(scene)
    assert node.GetCurrentInteractionMode() == node.Place
    assert node.GetPlaceModePersistence() == 1
    selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    expected = prompts.positiveNode if kind == "positive" else prompts.negativeNode
    assert selection.GetActivePlaceNodeID() == expected.GetID()
    assert prompts.placing == kind
    prompts.stopPlacing()
    assert node.GetCurrentInteractionMode() == node.ViewTransform
    assert prompts.placing is None


def test_an_unknown_kind_cannot_be_placed(prompts: PromptNodes) -> None:
    with pytest.raises(ValueError, match="expected positive, negative or box, found 'line'"):
        prompts.startPlacing("line")


def test_stopping_leaves_the_placing_of_other_tools_alone(scene: Any, prompts: PromptNodes) -> None:
    other = scene.AddNewNodeByClass("vtkMRMLMarkupsLineNode")
    selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    selection.SetActivePlaceNodeID(other.GetID())
    interaction(scene).SetCurrentInteractionMode(interaction(scene).Place)
    prompts.stopPlacing()
    assert interaction(scene).GetCurrentInteractionMode() == interaction(scene).Place


def active(scene: Any) -> str | None:
    """ID of the list that the mouse adds to in Place mode, in whatever module."""
    found = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton").GetActivePlaceNodeID()
    return None if found is None else str(found)


def test_nodes_that_we_make_do_not_take_the_mouse_from_the_tool_in_hand(
    scene: Any, prompts: PromptNodes
) -> None:
    from MyoPSSegmenterLib.Scene.RemoteHandle import RemoteHandle

    prompts.startPlacing("positive")
    prompts.showBox([(0, 0, 0), (0, 5, 0), (5, 5, 0), (5, 0, 0)])
    assert prompts.placing == "positive"
    RemoteHandle(scene, print).show((1.0, 2.0, 3.0))
    assert (prompts.placing, active(scene)) == ("positive", prompts.positiveNode.GetID())
    prompts.stopPlacing()
    assert interaction(scene).GetCurrentInteractionMode() == interaction(scene).ViewTransform


@pytest.mark.parametrize("kind", ["positive", "negative", "box"])
@pytest.mark.parametrize("byEscape", [False, True])
def test_the_list_that_was_active_before_a_tool_is_active_after_it(
    scene: Any, prompts: PromptNodes, kind: str, byEscape: bool
) -> None:
    other = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    assert active(scene) == other.GetID()  # the Markups logic of Slicer does so
    prompts.startPlacing("negative")
    prompts.startPlacing(kind)
    assert active(scene) != other.GetID()
    if byEscape:
        interaction(scene).SwitchToViewTransformMode()
    else:
        prompts.stopPlacing()
    assert active(scene) == other.GetID()


def test_without_a_list_before_none_is_active_after_a_tool(
    scene: Any, prompts: PromptNodes
) -> None:
    other = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    prompts.startPlacing("positive")
    scene.RemoveNode(other)
    prompts.stopPlacing()
    assert active(scene) is None


def test_another_tool_that_takes_the_mouse_meanwhile_keeps_it(
    scene: Any, prompts: PromptNodes
) -> None:
    prompts.startPlacing("positive")
    other = scene.AddNewNodeByClass("vtkMRMLMarkupsLineNode")
    assert prompts.placing is None
    prompts.stopPlacing()
    assert active(scene) == other.GetID()
    assert interaction(scene).GetCurrentInteractionMode() == interaction(scene).Place


def test_a_list_that_the_user_deletes_while_its_tool_is_in_hand_leaves_no_place_mode(
    scene: Any, prompts: PromptNodes
) -> None:
    prompts.startPlacing("positive")
    scene.RemoveNode(prompts.positiveNode)
    assert prompts.placing is None
    assert interaction(scene).GetCurrentInteractionMode() == interaction(scene).ViewTransform
    prompts.startPlacing("negative")
    scene.RemoveNode(prompts.positiveNode)  # another list than that in hand
    assert prompts.placing == "negative"


def test_a_remote_point_or_an_insertion_that_the_user_deletes_can_be_shown_again(
    scene: Any,
) -> None:
    from MyoPSSegmenterLib.Scene.LandmarkPoint import LandmarkPoint
    from MyoPSSegmenterLib.Scene.RemoteHandle import RemoteHandle

    placed: list[Any] = []
    handle = RemoteHandle(scene, print)
    insertion = LandmarkPoint(scene, placed.append, list, ("insertion", "RV insertion"))
    handle.show((1.0, 2.0, 3.0))
    insertion.start()
    for node in (handle.node, insertion.node):
        scene.RemoveNode(node)
    assert not insertion.isPlacing
    insertion.stop()
    assert interaction(scene).GetCurrentInteractionMode() == interaction(scene).ViewTransform
    handle.show((4.0, 5.0, 6.0))
    insertion.start()
    place(insertion.node, (7.0, 8.0, 9.0))
    assert placed == [[7.0, 8.0, 9.0]]
    insertion.stop()
    assert interaction(scene).GetCurrentInteractionMode() == interaction(scene).ViewTransform
    assert handle.node.GetScene() is scene


def test_a_scene_without_the_singletons_gets_them() -> None:
    scene = slicer.vtkMRMLScene()
    made = PromptNodes(scene, print, print, print)
    made.startPlacing("positive")
    assert made.placing == "positive"
    made.cleanup()
    assert made.placing is None


def test_two_corners_make_a_box_and_the_line_is_gone(
    scene: Any, prompts: PromptNodes, heard: Heard
) -> None:
    prompts.startPlacing("box")
    assert interaction(scene).GetPlaceModePersistence() == 0
    place(prompts.boxNode, (1.0, 2.0, 3.0))
    assert heard.take() == []
    place(prompts.boxNode, (4.0, 6.0, 3.0))
    assert heard.take() == [("box", (1.0, 2.0, 3.0), (4.0, 6.0, 3.0))]
    interaction(scene).SwitchToViewTransformMode()  # as the views do after the last point
    assert prompts.boxNode.GetNumberOfControlPoints() == 0


def test_a_box_begun_and_given_up_is_forgotten(prompts: PromptNodes, heard: Heard) -> None:
    prompts.startPlacing("box")
    place(prompts.boxNode, (1.0, 2.0, 3.0))
    prompts.stopPlacing()
    prompts.startPlacing("box")
    place(prompts.boxNode, (7.0, 8.0, 3.0))
    assert heard.take() == []


def test_an_outline_is_drawn_with_four_corners_and_taken_away(
    scene: Any, prompts: PromptNodes, heard: Heard
) -> None:
    prompts.showBox(None)
    assert scene.GetFirstNodeByClass("vtkMRMLMarkupsClosedCurveNode") is None
    corners = [(0, 0, 1), (10, 0, 1), (10, 5, 1), (0, 5, 1)]
    prompts.showBox(corners)
    prompts.showBox(corners)
    node = scene.GetFirstNodeByClass("vtkMRMLMarkupsClosedCurveNode")
    assert node.GetNumberOfControlPoints() == 4
    # A closed polygon of straight lines: 10 + 5 + 10 + 5.
    assert node.GetCurveLengthWorld() == pytest.approx(30.0)
    prompts.showBox(None)
    assert node.GetNumberOfControlPoints() == 0
    assert heard.take() == []


# Views


def slice_view(scene: Any, name: str, normal: tuple[float, float, float], offset: float) -> Any:
    node = scene.AddNode(slicer.vtkMRMLSliceNode())
    node.SetLayoutName(name)
    node.SetSliceToRASByNTP(*normal, 0.0, 1.0, 0.0, 0.0, 0.0, offset, 0)
    return node


def test_the_view_of_a_click_is_found_by_its_plane(scene: Any) -> None:
    slice_view(scene, "Short axis", (0.0, 0.0, 1.0), 12.5)
    slice_view(scene, "Sagittal", (1.0, 0.0, 0.0), 0.0)
    assert viewNormal(scene, (3.0, 4.0, 12.5)) == pytest.approx([0, 0, 1])
    assert viewNormal(scene, (0.0, 4.0, 2.0)) == pytest.approx([1, 0, 0])
    assert viewNormal(scene, (3.0, 4.0, 2.0)) is None


def test_where_planes_meet_the_view_under_the_mouse_counts(scene: Any) -> None:
    views = [
        slice_view(scene, "Short axis", (0.0, 0.0, 1.0), 12.5),
        slice_view(scene, "Sagittal", (1.0, 0.0, 0.0), 0.0),
    ]
    crosshair = scene.AddNode(slicer.vtkMRMLCrosshairNode())
    for view, normal in zip(views, ([0, 0, 1], [1, 0, 0])):
        crosshair.SetCursorPositionXYZ([1.0, 2.0, 0.0], view)
        assert viewNormal(scene, (0.0, 4.0, 12.5)) == pytest.approx(normal)


def test_control_points_carry_no_orientation_of_the_view(prompts: PromptNodes) -> None:
    # As documented in PromptNodes: the matrix is the identity, whatever the view; hence viewNormal.
    place(prompts.positiveNode, (1.0, 2.0, 3.0))
    matrix = [0.0] * 9
    prompts.positiveNode.GetNthControlPointOrientationMatrixWorld(0, matrix)
    assert matrix == pytest.approx(np.eye(3).ravel())


# Scene close, files, observers


def observers_of(scene: Any) -> int:
    """How many observers of any event a scene has: VTK prints them."""
    return str(scene).count("vtkObserver (")


def watched_events(node: Any) -> set[str]:
    """The markups events of a node that somebody listens to."""
    return {
        name
        for name in dir(node)
        if name.startswith("Point") and name.endswith("Event")
        if node.HasObserver(getattr(node, name))
    }


def test_nothing_watches_after_cleanup(scene: Any, heard: Heard) -> None:
    before = observers_of(scene)
    made = PromptNodes(scene, heard.added, heard.moved, heard.removed, heard.box)
    made.show([("a", True, (1, 2, 3)), ("b", False, (4, 5, 6))])
    made.startPlacing("box")
    nodes = [made.positiveNode, made.negativeNode, made.boxNode]
    assert observers_of(scene) > before
    assert all(watched_events(node) for node in nodes)
    made.cleanup()
    assert observers_of(scene) == before
    # The newest markups node is watched by Slicer itself, as the one that is placed.
    assert not any(watched_events(node) for node in nodes[:2])
    for x in (1.0, 2.0):
        place(nodes[2], (x, 9.0, 9.0))
    place(nodes[0], (9.0, 9.0, 9.0))
    nodes[1].RemoveAllControlPoints()
    assert heard.take() == []
    assert all(scene.IsNodePresent(node) for node in nodes)


def test_cleaning_up_twice_is_allowed(prompts: PromptNodes) -> None:
    prompts.cleanup()
    prompts.cleanup()


def test_closing_the_scene_reports_nothing_and_prompts_work_again(
    scene: Any, prompts: PromptNodes, heard: Heard
) -> None:
    prompts.show([("a", True, (1, 2, 3))])
    prompts.startPlacing("positive")
    old = prompts.positiveNode
    scene.Clear(0)
    assert heard.take() == []
    assert prompts.placing is None
    assert not scene.IsNodePresent(old)
    assert prompts.positiveNode is not old
    place(prompts.positiveNode, (1.0, 2.0, 3.0))
    assert [event[0] for event in heard.take()] == ["added"]
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == 1


def test_a_node_deleted_as_a_whole_reports_nothing_and_is_made_anew(
    scene: Any, prompts: PromptNodes, heard: Heard
) -> None:
    prompts.show([("a", True, (1, 2, 3))])
    scene.RemoveNode(prompts.positiveNode)
    assert heard.take() == []
    prompts.show([("a", True, (1, 2, 3))])
    assert shown(prompts.positiveNode) == {"a": (1, 2, 3)}


def test_a_saved_scene_brings_the_prompts_back(
    scene: Any, prompts: PromptNodes, heard: Heard, tmp_path: Any
) -> None:
    prompts.show([("a", True, (1, 2, 3)), ("b", False, (4, 5, 6)), ("c", True, (7, 8, 9))])
    path = str(tmp_path / "session.mrb")
    assert scene.WriteToMRB(path)
    scene.Clear(0)
    assert scene.ReadFromMRB(path)
    assert heard.take() == []
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == 2
    assert shown(prompts.positiveNode) == {"a": (1, 2, 3), "c": (7, 8, 9)}
    assert shown(prompts.negativeNode) == {"b": (4, 5, 6)}
    prompts.negativeNode.RemoveNthControlPoint(0)
    assert heard.take() == [("removed", "negative", "b", (4.0, 5.0, 6.0))]


def test_a_scene_loaded_before_is_taken_over(scene: Any, heard: Heard) -> None:
    first = PromptNodes(scene, print, print, print)
    first.show([("a", True, (1, 2, 3))])
    first.cleanup()
    second = PromptNodes(scene, heard.added, heard.moved, heard.removed)
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == 1
    second.show([("a", True, (1, 2, 3))])
    assert heard.take() == []
    second.positiveNode.RemoveNthControlPoint(0)
    assert heard.take() == [("removed", "positive", "a", (1.0, 2.0, 3.0))]
    second.cleanup()


def test_markups_of_the_user_are_left_alone(scene: Any, heard: Heard) -> None:
    other = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "landmarks")
    place(other, (1.0, 2.0, 3.0))
    made = PromptNodes(scene, heard.added, heard.moved, heard.removed)
    made.show([])
    place(other, (4.0, 5.0, 6.0))
    assert other.GetNumberOfControlPoints() == 2
    assert heard.take() == []
    made.cleanup()


def test_prompts_are_told_apart_by_color_and_shape_and_have_no_text(prompts: PromptNodes) -> None:
    displays = [node.GetDisplayNode() for node in (prompts.positiveNode, prompts.negativeNode)]
    (red, green, _), (red_, green_, _) = (display.GetSelectedColor() for display in displays)
    assert green > 2 * red and red_ > 2 * green_
    assert displays[0].GetGlyphType() != displays[1].GetGlyphType()
    for display in displays:
        assert not display.GetPointLabelsVisibility()
        assert not display.GetPropertiesLabelVisibility()
        assert not display.GetSliceProjection()

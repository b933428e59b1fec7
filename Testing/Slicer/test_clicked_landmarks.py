"""Landmarks that a reader clicks: what each click says, and what it changes in the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import vtk
from circle_heart import circle_labels
from circle_patient import begin, segment

from myops.errors import InputError
from MyoPSSegmenterLib.Scene.SceneBridge import worldFromVoxel
from MyoPSSegmenterLib.Steps.ClickedLandmarks import LANDMARKS, apicalEnd

TIMEOUT_S = 60.0


@pytest.fixture
def logic(logic: Any) -> Any:
    """Give the logic with the circle heart: five slices, cavity in all of them."""
    begin(logic)
    return logic


def click(logic: Any, which: str, slice_: int, row: float, column: float) -> None:
    """What a click in a view does to the landmark in hand."""
    logic.quantify.placeLandmark(which)
    assert logic.quantify.placingLandmark == which
    ras = worldFromVoxel(logic.correction.case, slice_, row, column)
    logic.quantify._clicked.points[which].node.AddControlPointWorld(vtk.vtkVector3d(*ras))
    interaction = logic.scene.GetFirstNodeByClass("vtkMRMLInteractionNode")
    interaction.SwitchToViewTransformMode()  # as the views do after the point
    assert logic.quantify.placingLandmark is None


def levels(logic: Any) -> list[str]:
    """Level of each slice."""
    logic.quantify.measureNow()
    logic.work.waitForAll(TIMEOUT_S)
    return [one.level for one in logic.quantify.measurements.regional.slices]


def test_a_click_says_which_end_of_the_stack_is_the_apex(logic: Any) -> None:
    for slice_, first, last in ((0, "apical", "basal"), (4, "basal", "apical")):
        click(logic, "apex", slice_, 10.0, 12.0)
        found = levels(logic)
        assert (found[0], found[-1]) == (first, last)
    logic.quantify.clearLandmarks()
    assert logic.quantify.landmarks is None
    assert logic.quantify._clicked.points["apex"].node is None


def test_the_apical_cap_lies_beyond_the_cavity_on_the_side_of_the_click(logic: Any) -> None:
    labels = circle_labels()
    labels[0][labels[0] == 500] = 200  # no cavity any more: a cap
    logic.correction.clear()
    segment(logic, labels)
    click(logic, "apex", 0, 10.0, 12.0)
    assert levels(logic)[0] == "apex"  # segment 17
    click(logic, "apex", 4, 10.0, 12.0)
    assert levels(logic)[0] == "basal"


def test_a_click_in_the_middle_says_nothing_and_is_explained(logic: Any) -> None:
    click(logic, "apex", 2, 10.0, 12.0)
    assert logic.quantify.landmarks is None
    assert logic.said[-1][0] == "warning"
    assert "found slice 3, the middle of the left ventricle" in logic.said[-1][1]
    node = logic.quantify._clicked.points["apex"].node
    assert node.GetNumberOfControlPoints() == 1  # to be dragged on


def test_the_middle_is_that_of_the_left_ventricle(logic: Any) -> None:
    labels = np.zeros_like(logic.correction.labels)
    assert apicalEnd(logic.correction.case, labels, 1.0) == "first"  # of the stack, without one
    labels[0:3, 60:64, 46:50] = 200
    assert apicalEnd(logic.correction.case, labels, 1.6) == "last"
    with pytest.raises(InputError, match="expected a click in an apical slice"):
        apicalEnd(logic.correction.case, labels, 1.4)


def test_a_click_in_muscle_gives_the_t2_ratio_to_it(logic: Any) -> None:
    click(logic, "muscle", 2, 20.0, 20.0)
    levels(logic)
    ratios = logic.quantify.measurements.t2_ratio
    assert ratios.muscle_mean == pytest.approx(150 + 5 / 9, abs=0.1)  # of the surroundings
    assert ratios.myocardium_to_muscle == pytest.approx(ratios.myocardium_mean / ratios.muscle_mean)


def test_one_click_keeps_what_the_others_said(logic: Any) -> None:
    click(logic, "apex", 4, 10.0, 12.0)
    click(logic, "anterior", 2, 30.0, 48.0)
    click(logic, "inferior", 2, 66.0, 48.0)
    click(logic, "muscle", 2, 20.0, 20.0)
    known = logic.quantify.landmarks
    assert known.apex == "last"
    assert known.anterior_insertion.row == pytest.approx(30.0)
    assert known.inferior_insertion.row == pytest.approx(66.0)
    assert known.skeletal_muscle.column == pytest.approx(20.0)
    assert len({p.node.GetName() for p in logic.quantify._clicked.points.values()}) == 4


def test_the_inferior_end_waits_for_the_anterior_one(logic: Any) -> None:
    logic.quantify.placeLandmark("inferior")
    assert logic.quantify.placingLandmark is None


def test_taking_another_landmark_in_hand_lays_the_first_down(logic: Any) -> None:
    for which in ("anterior", "apex", "muscle"):
        logic.quantify.placeLandmark(which)
        assert logic.quantify.placingLandmark == which
    logic.quantify.placeLandmark(None)
    assert logic.quantify.placingLandmark is None
    assert set(LANDMARKS) == {"anterior", "inferior", "apex", "muscle"}

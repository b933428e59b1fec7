"""A session: clicks follow each other, can be moved, deleted and undone, and nothing is lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from circle_heart import circle_case, circle_labels, circle_segmentation
from disc_refiner import DISC_PIXELS, DiscRefiner, disc

from myops.errors import InputError
from myops.io.checksum import array_sha256
from myops.refine.prompts import Point
from myops.refine.rules import Rules
from myops.refine.session import Session

NORMAL, BLOOD, EDEMA, SCAR, MVO = 200, 500, 1220, 2221, 2222
# The wall of the circle heart spans radii 13-20: a disc here lies in normal myocardium.
REMOTE = (64, 48)
ELSEWHERE = (48, 64)
# A pixel in the middle of the scar.
IN_SCAR = (32, 44)


def make_session(sequences=("bssfp", "lge", "t2"), rules=Rules(), labels=None):  # noqa: B008
    labels = circle_labels() if labels is None else labels
    case = circle_case(labels, sequences)
    return Session(DiscRefiner(), case, circle_segmentation(case, labels), rules)


@pytest.fixture
def session():
    return make_session()


def plane_with(label, *places, plane=2):
    """A slice of the circle heart with a disc of a label at each place."""
    expected = circle_labels()[plane]
    for row, column in places:
        expected[disc(expected.shape, row, column)] = label
    return expected


def test_the_refiner_gets_the_case_and_the_labels_start_as_they_are(session):
    assert session.refiner.case is session.case
    np.testing.assert_array_equal(session.labels, circle_labels())
    assert session.steps == [] and session.corrections == {}


def test_a_click_changes_its_disc_and_nothing_else(session):
    step = session.click("scar", 2, *REMOTE)
    expected = circle_labels()
    expected[2] = plane_with(SCAR, REMOTE)
    np.testing.assert_array_equal(session.labels, expected)
    assert step.changed_voxels == DISC_PIXELS and step.refused_voxels == 0
    assert step.confidence == session.prediction.confidence == 0.75
    assert step.labels_sha256 == array_sha256(expected)
    assert 0 < step.seconds < 10


def test_a_second_click_starts_from_what_the_first_one_left(session):
    session.click("scar", 2, *REMOTE)
    session.click("scar", 2, 67, 48, positive=False)
    expected = plane_with(SCAR, REMOTE)
    taken = disc(expected.shape, 67, 48) & (expected == SCAR)
    expected[taken] = NORMAL  # most probable in the cascade's answer
    np.testing.assert_array_equal(session.labels[2], expected)
    assert session.corrections[2].points == (Point(*REMOTE), Point(67, 48, False))


def test_the_rules_keep_a_click_in_the_blood_from_becoming_scar(session):
    step = session.click("scar", 2, 48, 48)
    np.testing.assert_array_equal(session.labels, circle_labels())
    assert (step.changed_voxels, step.refused_voxels) == (0, DISC_PIXELS)


def test_other_rules_let_it():
    session = make_session(rules=Rules(allow_blood_pool=True))
    step = session.click("scar", 2, 48, 48)
    np.testing.assert_array_equal(session.labels[2], plane_with(SCAR, (48, 48)))
    assert (step.changed_voxels, step.refused_voxels) == (DISC_PIXELS, 0)


def test_a_box_fills_its_rectangle(session):
    step = session.box("scar", 2, (62, 46, 65, 50))
    expected = circle_labels()[2]
    expected[62:66, 46:51] = SCAR
    np.testing.assert_array_equal(session.labels[2], expected)
    assert step.changed_voxels == 4 * 5


def test_mvo_inside_the_scar_survives_clicks_on_scar(session):
    session.click("mvo", 2, *IN_SCAR)
    marked = session.labels[2] == MVO
    assert marked.any()
    session.click("scar", 2, IN_SCAR[0] + 1, IN_SCAR[1])
    np.testing.assert_array_equal(session.labels[2] == MVO, marked)


def test_a_moved_click_acts_at_its_new_place_only(session):
    session.click("scar", 2, *REMOTE)
    session.move_click(2, 0, *ELSEWHERE)
    np.testing.assert_array_equal(session.labels[2], plane_with(SCAR, ELSEWHERE))
    assert session.corrections[2].points == (Point(*ELSEWHERE),)


def test_moving_an_early_click_lets_the_later_ones_act_again(session):
    session.click("scar", 2, *REMOTE)
    session.click("scar", 2, 64, 52)
    session.move_click(2, 0, *ELSEWHERE)
    np.testing.assert_array_equal(session.labels[2], plane_with(SCAR, ELSEWHERE, (64, 52)))


def test_moving_the_last_of_many_clicks_asks_the_refiner_once(session):
    for column in (44, 46, 48, 50):
        session.click("scar", 2, 64, column)
    asked = session.refiner.calls
    session.move_click(2, 3, 64, 52)
    assert session.refiner.calls == asked + 1


def test_deleting_a_click_takes_back_what_it_did(session):
    session.click("scar", 2, *REMOTE)
    session.click("scar", 2, *ELSEWHERE)
    session.delete_click(2, 0)
    np.testing.assert_array_equal(session.labels[2], plane_with(SCAR, ELSEWHERE))
    session.delete_click(2, 0)
    np.testing.assert_array_equal(session.labels, circle_labels())
    assert session.corrections == {}


def test_a_box_stays_when_a_click_is_deleted(session):
    session.click("scar", 2, *ELSEWHERE)
    session.box("scar", 2, (62, 46, 65, 50))
    session.delete_click(2, 0)
    expected = circle_labels()[2]
    expected[62:66, 46:51] = SCAR
    np.testing.assert_array_equal(session.labels[2], expected)
    assert session.corrections[2].prompts.box is not None


def test_clicks_in_another_slice_leave_a_correction_open(session):
    session.click("scar", 2, *REMOTE)
    session.click("scar", 3, *REMOTE)
    session.delete_click(2, 0)
    np.testing.assert_array_equal(session.labels[2], circle_labels()[2])
    np.testing.assert_array_equal(session.labels[3], plane_with(SCAR, REMOTE, plane=3))


def test_another_structure_in_the_slice_closes_the_correction(session):
    session.click("scar", 2, *REMOTE)
    session.click("edema", 2, *ELSEWHERE)
    assert session.corrections[2].structure == "edema"
    session.click("scar", 2, *IN_SCAR)
    assert session.corrections[2].points == (Point(*IN_SCAR),)
    assert session.labels[2][REMOTE] == SCAR and session.labels[2][ELSEWHERE] == EDEMA


def test_an_accepted_edit_closes_the_corrections_of_its_slices_only(session):
    session.click("scar", 1, *REMOTE)
    session.click("scar", 2, *REMOTE)
    painted = session.labels.copy()
    painted[2, 48, 48] = NORMAL
    step = session.accept_labels(painted, "paint")
    np.testing.assert_array_equal(session.labels, painted)
    assert set(session.corrections) == {1} and step.changed_voxels == 1
    assert session.history.undo_name == "paint" and session.prediction is None
    with pytest.raises(InputError, match="0 open clicks in slice 2"):
        session.delete_click(2, 0)


def test_an_accepted_edit_is_taken_over_as_a_copy(session):
    painted = circle_labels()
    session.accept_labels(painted, "paint")
    painted[:] = 0
    np.testing.assert_array_equal(session.labels, circle_labels())


@pytest.mark.parametrize(
    ("edited", "reason"),
    [(np.full((5, 96, 96), 7), "found 7"), (np.zeros((4, 96, 96)), r"found \(4, 96, 96\)")],
)
def test_an_edit_that_is_no_label_map_of_the_case_is_refused(session, edited, reason):
    with pytest.raises(InputError, match=reason):
        session.accept_labels(edited, "paint")
    assert session.steps == []


def test_undo_and_redo_bring_back_labels_and_prompts_of_all_slices(session):
    session.click("scar", 2, *REMOTE)
    one = (session.labels, session.corrections)
    session.click("edema", 2, *ELSEWHERE)
    session.click("scar", 3, *REMOTE)
    two = (session.labels, session.corrections)
    session.undo()
    session.undo()
    np.testing.assert_array_equal(session.labels, one[0])
    assert session.corrections == one[1]
    session.redo()
    session.redo()
    np.testing.assert_array_equal(session.labels, two[0])
    assert session.corrections == two[1]
    # The open correction is as it was: its click can still be moved.
    session.move_click(3, 0, *ELSEWHERE)
    np.testing.assert_array_equal(session.labels[3], plane_with(SCAR, ELSEWHERE, plane=3))


def test_every_step_has_a_name_that_a_menu_can_show(session):
    session.click("scar", 2, *REMOTE)
    session.click("scar", 2, 67, 48, positive=False)
    session.box("edema", 0, (62, 46, 65, 50))
    session.move_click(2, 0, *ELSEWHERE)
    assert session.history.names == (
        "scar + in slice 3",
        "scar - in slice 3",
        "edema box in slice 1",
        "move scar click",
    )
    assert [step.action for step in session.steps] == ["prompt", "prompt", "prompt", "move"]


BAD_CLICKS = {
    "outside": ("scar", 2, 200, 48),
    "slice outside": ("scar", 5, *REMOTE),
    "NaN": ("scar", 2, float("nan"), 48),
    "contradiction": ("scar", 2, *REMOTE, False),
    "unknown structure": ("heart", 2, *REMOTE),
}


@pytest.mark.parametrize("click", BAD_CLICKS.values(), ids=BAD_CLICKS)
def test_a_refused_click_changes_nothing(session, click):
    session.click("scar", 2, *REMOTE)
    before = (session.labels, session.corrections, session.history.names, len(session.steps))
    with pytest.raises(InputError):
        session.click(*click)
    after = (session.labels, session.corrections, session.history.names, len(session.steps))
    np.testing.assert_array_equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_a_click_moved_onto_its_opposite_is_refused_and_stays(session):
    session.click("scar", 2, *REMOTE)
    session.click("scar", 2, *ELSEWHERE, positive=False)
    with pytest.raises(InputError, match=r"found \+ and -"):
        session.move_click(2, 0, *ELSEWHERE)
    assert session.corrections[2].points[0] == Point(*REMOTE)


@pytest.mark.parametrize("index", [1, -1])
def test_a_click_that_is_not_there_cannot_be_moved(session, index):
    session.click("scar", 2, *REMOTE)
    with pytest.raises(InputError, match="1 open clicks in slice 2"):
        session.move_click(2, index, *ELSEWHERE)


def test_a_network_that_fails_leaves_the_mask_and_the_prompts(session):
    session.click("scar", 2, *REMOTE)
    before, opened = session.labels, session.corrections
    session.refiner.failure = RuntimeError("out of memory")
    for act in (
        lambda: session.click("scar", 2, *ELSEWHERE),
        lambda: session.move_click(2, 0, *ELSEWHERE),
    ):
        with pytest.raises(RuntimeError, match="out of memory"):
            act()
    np.testing.assert_array_equal(session.labels, before)
    assert session.corrections == opened and len(session.steps) == 1


def test_a_network_that_answers_nan_leaves_the_mask(session, monkeypatch):
    session.click("scar", 2, *REMOTE)
    before = session.labels
    answer = session.prediction
    broken = replace(answer, probability=np.full_like(answer.probability, np.nan))
    monkeypatch.setattr(session.refiner, "predict", lambda *_: broken)
    with pytest.raises(RuntimeError, match="the labels were kept"):
        session.click("scar", 2, *ELSEWHERE)
    np.testing.assert_array_equal(session.labels, before)


def test_a_confidence_that_is_no_number_is_left_out(session, monkeypatch):
    session.click("scar", 2, *REMOTE)
    unsure = replace(session.prediction, confidence=float("nan"))
    monkeypatch.setattr(session.refiner, "predict", lambda *_: unsure)
    assert session.click("scar", 2, *ELSEWHERE).confidence is None


@pytest.mark.parametrize(
    ("structure", "sequences", "needed"),
    [("edema", ("lge", "bssfp"), "T2"), ("scar", ("bssfp",), "LGE"), ("mvo", ("bssfp",), "LGE")],
)
def test_what_the_images_do_not_show_cannot_be_prompted(structure, sequences, needed):
    labels = circle_labels()
    labels[np.isin(labels, (EDEMA, SCAR))] = NORMAL
    session = make_session(sequences, labels=labels)
    with pytest.raises(InputError, match=f"{needed} image"):
        session.click(structure, 2, *REMOTE)
    session.click("myocardium", 2, *REMOTE)


def test_a_segmentation_of_another_case_is_refused():
    case = circle_case()
    other = replace(circle_segmentation(case), labels=circle_labels(4))
    with pytest.raises(InputError, match=r"\(5, 96, 96\).*\(4, 96, 96\)"):
        Session(DiscRefiner(), case, other)


def test_the_labels_cannot_be_changed_from_outside(session):
    with pytest.raises(ValueError, match="read-only"):
        session.labels[0, 0, 0] = 7


def test_the_result_is_a_segmentation_with_the_present_labels(session):
    session.click("scar", 2, *REMOTE)
    result = session.segmentation()
    np.testing.assert_array_equal(result.labels, session.labels)
    assert result.assessed == session.start.assessed
    np.testing.assert_array_equal(session.start.labels, circle_labels())


class NewestOnly(DiscRefiner):
    """Draws the newest click alone: the others are in the labels already, and time is short."""

    def predict(self, prompts, labels):
        return super().predict(replace(prompts, points=prompts.points[-1:]), labels)


@pytest.mark.slow
def test_a_thousand_clicks_in_one_slice_work():
    case = circle_case()
    session = Session(NewestOnly(), case, circle_segmentation(case))
    rng = np.random.default_rng(0)
    for number in range(1000):
        row, column = rng.uniform(0, 46, 2) if number % 2 else rng.uniform(47, 95, 2)
        session.click("scar", 2, row, column, positive=bool(number % 2))
    assert len(session.corrections[2].points) == 1000
    for _ in range(400):
        session.undo()
    assert len(session.corrections[2].points) == 600

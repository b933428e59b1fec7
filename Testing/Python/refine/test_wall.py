"""The wall gives way to a scar, by lengths that are worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from circle_heart import circle_case, circle_labels, circle_segmentation
from disc_refiner import DiscRefiner

from myops.errors import InputError
from myops.refine.record import from_record, to_record
from myops.refine.replay import replay
from myops.refine.rules import FIRST_RULES, Rules
from myops.refine.session import Session
from myops.refine.wall import answered_slice, moved_wall

BACKGROUND, NORMAL, BLOOD, SCAR, MVO = 0, 200, 500, 2221, 2222
CENTER = 40
MM = (1.0, 1.0)


def ring(inner: float = 10, outer: float = 18) -> np.ndarray:
    """A round wall in pixels of 1 mm: on the ray to the right, columns 50 to 57."""
    rows, columns = np.indices((81, 81))
    radius = np.hypot(rows - CENTER, columns - CENTER)
    plane = np.zeros(radius.shape, np.uint16)
    plane[radius < outer] = NORMAL
    plane[radius < inner] = BLOOD
    return plane


def scar_at(*columns: int) -> np.ndarray:
    mask = np.zeros((81, 81), bool)
    mask[CENTER, list(columns)] = True
    return mask


def test_scar_inside_the_wall_moves_nothing():
    assert moved_wall(ring(), scar_at(50, 57), MM) is None


def test_scar_in_the_blood_takes_both_borders_inward():
    # Columns 49, 48, 47 lie 0.5, 1.5, 2.5 mm inside the endocardium at 49.5. The epicardium at
    # 57.5 follows by 3/4 of 2.5 mm, to 55.6: columns 56 and 57 are outside now, 55 is not.
    found = moved_wall(ring(), scar_at(47, 48, 49), MM)
    assert found.mm == 2.5
    ray = found.labels[CENTER, 46:59].tolist()
    assert ray == [BLOOD] + 3 * [SCAR] + 6 * [NORMAL] + 3 * [BACKGROUND]


def test_scar_outside_the_epicardium_takes_both_borders_outward():
    # Columns 58 and 59 lie 0.5 and 1.5 mm outside. The endocardium at 49.5 follows by 3/4 of 1.5 mm
    # to 50.6: column 50 is blood now.
    found = moved_wall(ring(), scar_at(58, 59), MM)
    assert found.mm == 1.5
    ray = found.labels[CENTER, 49:61].tolist()
    assert ray == 2 * [BLOOD] + 7 * [NORMAL] + 2 * [SCAR] + [BACKGROUND]


def test_the_other_side_of_the_heart_stays_as_it_is():
    found = moved_wall(ring(), scar_at(45, 46, 47, 48, 49), MM)
    np.testing.assert_array_equal(found.labels[:, :40], ring()[:, :40])


@pytest.mark.parametrize("columns", [(47, 48, 49), (58, 59, 60), (45, 46, 47, 48, 49)])
def test_the_wall_stays_a_closed_ring_at_least_4_mm_thick(columns):
    found = moved_wall(ring(), scar_at(*columns), MM).labels
    inside = np.argwhere(found == BLOOD)
    outside = np.argwhere(found == BACKGROUND)
    nearest = min(np.hypot(*(outside - place).T).min() for place in inside)
    assert nearest >= 4


def test_a_thin_wall_is_moved_but_never_opened():
    found = moved_wall(ring(10, 13), scar_at(48, 49), MM)
    # The border behind goes from 52.5 to 51.4, as 4 mm of wall are left behind the new one at 47.5.
    assert found.labels[CENTER, 47:54].tolist() == [BLOOD] + 2 * [SCAR] + 2 * [NORMAL] + [0, 0]


def test_scar_further_than_10_mm_from_the_wall_is_none():
    assert moved_wall(ring(20, 28), scar_at(CENTER), MM) is None


def test_without_a_wall_nothing_moves():
    assert moved_wall(np.zeros((81, 81), np.uint16), scar_at(50), MM) is None


def test_mvo_and_scar_of_the_reader_stay_in_the_wall_that_follows():
    plane = ring()
    plane[CENTER, 57], plane[CENTER, 56] = MVO, SCAR
    found = moved_wall(plane, scar_at(47, 48, 49), MM).labels
    assert found[CENTER, 56:58].tolist() == [SCAR, MVO]


def test_up_to_2_mm_are_taken_at_once_and_the_rest_is_offered():
    found = answered_slice(ring(), scar_at(47, 48, 49), "scar", FIRST_RULES, None, MM)
    assert (found.labels == SCAR).nonzero()[1].tolist() == [48, 49]
    assert found.offered.mm == 2.5
    assert (found.offered.labels == SCAR).nonzero()[1].tolist() == [47, 48, 49]


def test_a_small_move_asks_nobody():
    found = answered_slice(ring(), scar_at(48, 49), "scar", FIRST_RULES, None, MM)
    assert found.offered is None
    assert (found.labels == SCAR).nonzero()[1].tolist() == [48, 49]


@pytest.mark.parametrize(
    ("structure", "rules"), [("scar", Rules()), ("edema", FIRST_RULES), ("mvo", FIRST_RULES)]
)
def test_the_wall_gives_way_to_scar_alone_and_only_where_the_rules_say_so(structure, rules):
    found = answered_slice(ring(), scar_at(48, 49), structure, rules, None, MM)
    assert found.offered is None
    np.testing.assert_array_equal(found.labels, ring())


# In a session. The circle heart's wall begins 13 pixels of 1.5 mm below its center at 48, 48; a
# disc of 3 pixels around row 60 reaches up to row 57: 4 pixels less half a one inside the cavity.
BELOW = (60, 48)
OFFERED_MM = 5.25


@pytest.fixture
def session():
    case = circle_case(circle_labels())
    return Session(DiscRefiner(), case, circle_segmentation(case, circle_labels()))


def test_a_click_in_the_blood_offers_a_wall_that_can_be_taken_and_undone(session):
    session.click("scar", 2, *BELOW)
    after_click = session.labels
    assert session.labels[2, 61, 48] == SCAR and session.labels[2, 57, 48] == BLOOD
    assert session.wall_offer.mm == OFFERED_MM and session.wall_offer.slice_index == 2
    step = session.take_wall()
    assert step.action == "wall" and session.wall_offer is None
    assert session.labels[2, 57, 48] == SCAR
    assert len(session.corrections[2].points) == 1  # its click can still be moved
    taken = session.labels
    session.undo()
    np.testing.assert_array_equal(session.labels, after_click)
    session.redo()
    np.testing.assert_array_equal(session.labels, taken)


def test_any_other_step_makes_the_offer_void(session):
    session.click("scar", 2, *BELOW)
    session.click("scar", 1, 64, 48)
    assert session.wall_offer is None
    with pytest.raises(InputError, match="click where scar is missing"):
        session.take_wall()


def test_the_wall_of_a_recorded_session_is_moved_again_voxel_for_voxel(session):
    session.click("scar", 2, *BELOW)
    session.take_wall()
    session.click("scar", 2, 64, 52)
    values = json.loads(json.dumps(to_record(session)))
    again = replay(from_record(values), session.case, session.start, DiscRefiner())
    assert again.differences == ()
    np.testing.assert_array_equal(again.session.labels, session.labels)


def test_a_file_written_by_hand_takes_the_wall_that_is_offered(session):
    prompt = {"structure": "scar", "slice_index": 2, "points": [[*BELOW, True]]}
    record = from_record({"steps": [prompt, {"action": "wall"}]})
    again = replay(record, session.case, session.start, DiscRefiner())
    assert again.session.labels[2, 57, 48] == SCAR and again.offers == ()


def test_a_replay_says_which_step_offers_a_wall_that_nobody_takes(session):
    prompt = {"structure": "scar", "slice_index": 2, "points": [[*BELOW, True]]}
    elsewhere = prompt | {"slice_index": 1, "points": [[64, 48, True]]}
    record = from_record({"steps": [prompt, elsewhere]})
    (offer,) = replay(record, session.case, session.start, DiscRefiner()).offers
    assert offer.startswith("step 1 found scar up to 5.2 mm beyond the wall of slice 2")


def test_what_version_0_2_recorded_moves_no_wall(session):
    session = Session(DiscRefiner(), session.case, session.start, Rules())
    session.rules = Rules(keep_inside=False)
    session.click("scar", 2, *BELOW)
    values = json.loads(json.dumps(to_record(session)))
    for rules in (values["rules"], values["steps"][0]):
        del rules["move_wall"]
    again = replay(from_record(values), session.case, session.start, DiscRefiner())
    assert again.differences == ()
    assert again.session.start_rules == Rules() and again.session.labels[2, 60, 48] == BLOOD


def test_a_wall_that_was_taken_is_moved_again_though_another_refiner_offers_none(session):
    session.click("scar", 2, *BELOW)
    session.take_wall()
    values = json.loads(json.dumps(to_record(session)))
    values["steps"][0]["points"] = [[66, 48, True]]
    again = replay(from_record(values), session.case, session.start, DiscRefiner())
    assert again.session.labels[2, 57, 48] == SCAR
    assert "step 1" in again.differences[0]

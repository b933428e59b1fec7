"""Records: a session goes to JSON and comes back voxel for voxel, or says what differs."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import replace

import numpy as np
import pytest
from circle_heart import circle_case, circle_lge, circle_segmentation
from disc_refiner import DISC_PIXELS, DiscRefiner

from myops.errors import InputError
from myops.io.checksum import array_sha256
from myops.refine.label_compression import apply_changes, encode_changes
from myops.refine.record import from_record, read_record, to_record
from myops.refine.replay import replay
from myops.refine.rules import Rules
from myops.refine.session import Session

REMOTE = (64, 48)
MINIMAL = {"steps": [{"structure": "scar", "slice_index": 2, "points": [[64, 48, True]]}]}


@pytest.fixture(scope="module")
def case():
    return circle_case()


@pytest.fixture(scope="module")
def start(case):
    return circle_segmentation(case)


@pytest.fixture(scope="module")
def session(case, start):
    """A session in which everything happens that can happen."""
    session = Session(DiscRefiner(), case, start, Rules(allow_blood_pool=True))
    session.click("scar", 2, 64.25, 48.1)
    session.click("scar", 2, 64, 60, positive=False)
    session.box("edema", 3, (62, 46, 65, 50))
    session.click("edema", 3, 48, 64)
    session.move_click(3, 0, 50, 65)
    session.undo()
    session.redo()
    painted = session.labels.copy()
    painted[1, 40:44, 48] = 2221
    session.accept_labels(painted, "paint")
    session.click("mvo", 1, 32, 44)
    session.delete_click(2, 0)
    session.undo()
    return session


@pytest.fixture
def values(session):
    """The session's record, through JSON text."""
    return json.loads(json.dumps(to_record(session), allow_nan=False))


def test_a_replay_gives_the_same_labels_after_every_step(values, session, case, start):
    again = replay(from_record(values), case, start, DiscRefiner())
    assert again.differences == ()
    np.testing.assert_array_equal(again.session.labels, session.labels)
    checksums = [step.labels_sha256 for step in session.steps]
    assert [step.labels_sha256 for step in again.session.steps] == checksums
    assert len(set(checksums)) > 5  # the steps do differ from each other
    assert again.session.corrections == session.corrections


def test_a_replay_keeps_the_reader_s_time_course(values, session, case, start):
    again = replay(from_record(values), case, start, DiscRefiner())
    assert [step.time for step in again.session.steps] == [step.time for step in session.steps]
    assert to_record(again.session)["start_sha256"] == values["start_sha256"]


def test_the_record_says_what_the_session_was_made_with(values, case, start):
    assert values["format"] == 1
    assert values["case"] == "circle heart"
    assert values["images_sha256"]["lge"] == array_sha256(case.images["lge"])
    assert set(values["images_sha256"]) == {"bssfp", "lge", "t2"}
    assert values["start_sha256"] == array_sha256(start.labels)
    assert values["refiner"] == {"name": "discs", "sha256": "d" * 64, "taking": "connected"}
    assert values["cascade_sha256"] == {"heartfinder": "0" * 64, "prsn": "f" * 64}
    assert values["rules"] == {
        "allow_blood_pool": True, "keep_inside": True, "move_wall": False
    }  # fmt: skip
    actions = [step["action"] for step in values["steps"]]
    assert actions == [
        "prompt", "prompt", "prompt", "prompt", "move", "undo", "redo", "accept", "prompt",
        "delete", "undo",
    ]  # fmt: skip
    assert values["steps"][0]["points"] == [[64.25, 48.1, True]]
    assert all(step["time"].endswith("+00:00") for step in values["steps"])


class NotingRefiner(DiscRefiner):
    """Notes how much of its answers was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.takings: set[str] = set()

    def predict(self, prompts, labels, taking="connected"):
        self.takings.add(taking)
        return super().predict(prompts, labels)


@pytest.mark.parametrize(("said", "expected"), [("connected", "connected"), ("whole", "whole")])
def test_a_session_is_replayed_with_the_rule_it_was_recorded_with(
    values, case, start, said, expected
):
    values["refiner"]["taking"] = said
    refiner = NotingRefiner()
    again = replay(from_record(values), case, start, refiner)
    assert refiner.takings == {expected}
    assert to_record(again.session)["refiner"]["taking"] == expected


def test_a_session_of_an_earlier_version_is_replayed_with_whole_answers(values, case, start):
    del values["refiner"]["taking"]
    refiner = NotingRefiner()
    replay(from_record(values), case, start, refiner)
    assert refiner.takings == {"whole"}


def test_steps_written_by_hand_take_connected_changes(case, start):
    refiner = NotingRefiner()
    replay(from_record(MINIMAL), case, start, refiner)
    assert refiner.takings == {"connected"}


def test_a_rule_of_taking_that_is_not_known_is_refused(values):
    values["refiner"]["taking"] = "half"
    with pytest.raises(InputError, match="taking among connected, whole, found 'half'"):
        from_record(values)


def test_steps_written_by_hand_need_prompts_only(case, start):
    again = replay(from_record(MINIMAL), case, start, DiscRefiner())
    assert again.differences == ()
    changed = again.session.labels != start.labels
    assert np.count_nonzero(changed) == DISC_PIXELS
    assert (again.session.labels[changed] == 2221).all()


def test_several_points_and_a_box_in_one_step_follow_each_other(case, start):
    step = {
        "structure": "scar",
        "slice_index": 2,
        "box": [62, 46, 65, 50],
        "points": [[48, 64, True], [64, 48, False]],
    }
    again = replay(from_record({"steps": [step]}), case, start, DiscRefiner())
    by_hand = Session(DiscRefiner(), case, start)
    by_hand.box("scar", 2, (62, 46, 65, 50))
    by_hand.click("scar", 2, 48, 64)
    by_hand.click("scar", 2, 64, 48, positive=False)
    np.testing.assert_array_equal(again.session.labels, by_hand.labels)
    assert len(again.session.steps) == 3


def test_no_steps_are_a_session_without_corrections(case, start):
    again = replay(from_record({"steps": []}), case, start, DiscRefiner())
    np.testing.assert_array_equal(again.session.labels, start.labels)


def test_other_images_are_refused_by_name(values, case, start):
    other = circle_case(changed={"lge": circle_lge(start.labels, seed=9)})
    with pytest.raises(InputError, match=r"found another lge;"):
        replay(from_record(values), other, start, DiscRefiner())
    fewer = circle_case(sequences=("lge", "t2"))
    with pytest.raises(InputError, match=r"found another bssfp;"):
        replay(from_record(values), fewer, start, DiscRefiner())


def test_another_start_is_refused(values, case, start):
    labels = start.labels.copy()
    labels[0, 0, 0] = 600
    with pytest.raises(InputError, match="start labels"):
        replay(from_record(values), case, replace(start, labels=labels), DiscRefiner())


def test_other_weights_are_reported_and_the_replay_goes_on(values, session, case, start):
    retrained = replace(start, model={"heartfinder": "0" * 64, "prsn": "e" * 64})
    again = replay(from_record(values), case, retrained, DiscRefiner("a" * 64))
    assert len(again.differences) == 2
    assert "weights of prsn" in again.differences[0] and "ffff" in again.differences[0]
    assert "refiner" in again.differences[1] and "aaaa" in again.differences[1]
    np.testing.assert_array_equal(again.session.labels, session.labels)


def test_the_first_step_that_gives_other_labels_is_named(values, case, start):
    class Wider(DiscRefiner):
        """Agrees for scar and differs for edema, from the third step on."""

        def predict(self, prompts, labels):
            found = super().predict(prompts, labels)
            return replace(found, mask=found.mask | (prompts.structure == "edema"))

    again = replay(from_record(values), case, start, Wider())
    assert len(again.differences) == 1
    assert again.differences[0].startswith("step 3 (prompt) gave other labels")


def test_a_step_that_is_refused_is_named(case, start):
    values = {"steps": [*MINIMAL["steps"], {"action": "delete", "slice_index": 0, "index": 0}]}
    with pytest.raises(InputError, match=r"step 2 \(delete\): expected one of 0 open clicks"):
        replay(from_record(values), case, start, DiscRefiner())


def test_a_point_that_is_not_a_number_is_refused(tmp_path, case, start):
    path = tmp_path / "prompts.json"
    path.write_text(
        '{"steps":[{"structure":"scar","slice_index":2,"points":[[NaN,4,true]]}]}', encoding="utf-8"
    )
    with pytest.raises(InputError, match=r"step 1 .*row nan"):
        replay(read_record(path), case, start, DiscRefiner())


def test_progress_runs_from_0_towards_1(case, start):
    seen = []
    steps = {"steps": MINIMAL["steps"] * 4}
    replay(from_record(steps), case, start, DiscRefiner(), lambda f, name: seen.append((f, name)))
    assert seen == [(0.0, "step 1"), (0.25, "step 2"), (0.5, "step 3"), (0.75, "step 4")]


def step(**changes):
    return {"steps": [{**MINIMAL["steps"][0], **changes}]}


def timed(*times):
    return from_record({"steps": [{**MINIMAL["steps"][0], "time": time} for time in times]})


def test_times_that_belong_together_are_the_reader_s():
    assert timed("2026-01-01T10:00:00Z", "2026-01-01T12:30:00.5+01:00").timed
    assert timed("2026-01-01T10:00:00", "2026-01-01T10:30:00").timed
    assert not timed("2026-01-01T10:00:00Z", None).timed
    assert timed("2026-01-01T10:00:00Z", None).time_trouble == ""


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (("2026-01-01T10:00:00Z", "2026-01-01T10:01:00"), "step 2: expected a time with a time z"),
        (("2026-01-01T10:00:00Z", "2026-01-01T09:00:00Z"), "step 2: expected a time after"),
    ],
)
def test_times_that_contradict_each_other_are_no_reading_time(times, words):
    record = timed(*times)
    assert not record.timed
    assert record.time_trouble.startswith(words)


BAD_VALUES = {
    "no object": ([], "an object with steps"),
    "no steps": ({}, "a list of steps"),
    "newer format": ({"format": 2, "steps": []}, "format 1"),
    "a step that is no object": ({"steps": [3]}, "step 1"),
    "unknown action": ({"steps": [{"action": "jump"}]}, "prompt, move, delete"),
    "action of another kind": ({"steps": [{"action": ["undo"]}]}, "prompt, move, delete"),
    "no structure": ({"steps": [{"slice_index": 1, "points": [[1, 2, True]]}]}, "structure"),
    "a slice between slices": (step(slice_index=2.5), "slice_index"),
    "true as slice": (step(slice_index=True), "slice_index"),
    "no prompts": (step(points=[]), "at least one point or a box"),
    "a word as sign": (step(points=[[1, 2, "false"]]), "true or false"),
    "half a point": (step(points=[[1, True]]), "row, column"),
    "half a box": (step(box=[1, 2]), "a box"),
    "move without place": ({"steps": [{"action": "move", "slice_index": 0, "index": 0}]}, "row"),
    "unknown rule": ({"rules": {"allow_all": True}, "steps": []}, "allow_blood_pool"),
    "a rule that is no truth": ({"rules": {"keep_inside": 1}, "steps": []}, "keep_inside"),
    "checksums as text": ({"images_sha256": "abc", "steps": []}, "images_sha256"),
    "refiner as text": ({"refiner": "abc", "steps": []}, "refiner"),
    "a word as time": (step(time="noon"), "step 1: a time in ISO 8601"),
    "a number as time": (step(time=5), "time as text"),
    "number as checksum": ({"start_sha256": 5, "steps": []}, "start_sha256"),
}


@pytest.mark.parametrize(("values", "words"), BAD_VALUES.values(), ids=BAD_VALUES)
def test_a_record_that_cannot_be_used_is_refused_with_what_was_expected(values, words):
    with pytest.raises(InputError, match="expected") as refusal:
        from_record(values)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "expected JSON"),
        (b"\xff\xfe", "expected JSON"),
        (b"[" * 100_000, "expected JSON"),
        (b"{}", "a list of steps"),
    ],
)
def test_a_file_that_is_no_record_is_refused_by_its_name(tmp_path, content, words):
    path = tmp_path / "prompts.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as refusal:
        read_record(path)
    assert "prompts.json" in str(refusal.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_record(tmp_path / "none.json")


def test_changes_are_few_bytes_and_come_back_exactly():
    before = np.zeros((20, 256, 256), np.uint16)
    after = before.copy()
    after[3, 100:110, 90:95] = 2221
    after[19, 255, 255] = 200
    encoded = encode_changes(before, after)
    assert len(encoded) < 400
    np.testing.assert_array_equal(apply_changes(before, encoded), after)
    assert not before.any()


def test_changes_of_a_larger_map_are_refused():
    large = np.zeros((4, 9, 9), np.uint16)
    changed = large.copy()
    changed[3, 8, 8] = 200
    with pytest.raises(InputError, match="damaged data"):
        apply_changes(np.zeros((3, 9, 9), np.uint16), encode_changes(large, changed))


@pytest.mark.parametrize("encoded", ["", "not base64!", "AAAA", "eJw="])
def test_damaged_changes_are_refused(encoded):
    with pytest.raises(InputError, match="damaged data"):
        apply_changes(np.zeros((3, 9, 9), np.uint16), encoded)


def test_changes_that_unpack_to_more_than_the_map_are_refused():
    bomb = encode_changes(np.zeros((50, 64, 64), np.uint16), np.ones((50, 64, 64), np.uint16))
    with pytest.raises(InputError, match="damaged data"):
        apply_changes(np.zeros((2, 3, 3), np.uint16), bomb)


def test_a_checksum_is_that_of_the_values_whatever_their_byte_order_and_layout():
    labels = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    known = hashlib.sha256(struct.pack("<24H", *range(24))).hexdigest()
    assert array_sha256(labels) == known
    assert array_sha256(labels.astype(">u2")) == known
    assert array_sha256(np.asfortranarray(labels)) == known

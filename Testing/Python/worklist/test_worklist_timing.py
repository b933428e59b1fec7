"""Seconds by stage: what a reader worked, without the coffee."""

from __future__ import annotations

import json

import pytest

from myops.errors import InputError
from myops.worklist.timing import ClickRecord, StageClock


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def hands():
    return Hands()


@pytest.fixture
def clock(hands):
    return StageClock(hands, idle_after_s=30)


def test_nothing_is_counted_before_the_first_stage(clock, hands):
    hands.wait(100)
    clock.touch()
    assert clock.seconds == {} and clock.idle_seconds == 0 and clock.stage is None


def test_each_stage_gets_its_seconds(clock, hands):
    clock.start("load")
    hands.wait(4)
    clock.start("correct")
    hands.wait(10)
    clock.start("load")
    hands.wait(1)
    assert clock.seconds == {"load": 5, "correct": 10}
    assert clock.idle_seconds == 0


def test_a_reader_who_leaves_is_idle_after_the_limit(clock, hands):
    clock.start("correct")
    hands.wait(20)
    clock.touch()
    hands.wait(600)
    assert clock.seconds == {"correct": 50} and clock.idle_seconds == 570
    clock.touch()
    hands.wait(5)
    assert clock.seconds == {"correct": 55} and clock.idle_seconds == 570


def test_thinking_up_to_the_limit_is_work(clock, hands):
    clock.start("review")
    for _ in range(10):
        hands.wait(30)
        clock.touch()
    assert clock.seconds == {"review": 300} and clock.idle_seconds == 0


def test_the_machine_is_never_idle(clock, hands):
    clock.start("automatic")
    hands.wait(400)
    clock.start("correct")
    hands.wait(40)
    assert clock.seconds == {"automatic": 400, "correct": 30} and clock.idle_seconds == 10


def test_looking_at_the_seconds_changes_nothing(clock, hands):
    clock.start("correct")
    for _ in range(100):
        hands.wait(1)
        assert clock.seconds["correct"] == min(hands.now - 1000, 30)
    assert clock.idle_seconds == 70


def test_a_pause_counts_for_nothing(clock, hands):
    clock.start("correct")
    hands.wait(3)
    clock.pause()
    hands.wait(1000)
    clock.touch()
    clock.start("review")
    hands.wait(2)
    assert clock.stop() == {"correct": 3, "review": 2}
    hands.wait(50)
    assert clock.seconds == {"correct": 3, "review": 2} and clock.idle_seconds == 0


def test_a_clock_that_goes_back_takes_nothing_away(clock, hands):
    clock.start("correct")
    hands.wait(5)
    clock.touch()
    hands.wait(-60)
    assert clock.seconds == {"correct": 5}
    clock.touch()
    hands.wait(2)
    assert clock.seconds == {"correct": 7}


def test_an_unknown_stage_is_refused_and_the_running_one_goes_on(clock, hands):
    clock.start("correct")
    with pytest.raises(ValueError, match="expected a stage among load, automatic, correct"):
        clock.start("lunch")
    hands.wait(2)
    assert clock.seconds == {"correct": 2}


def test_a_saved_clock_goes_on_where_it_was(clock, hands):
    clock.start("correct")
    hands.wait(100)
    values = json.loads(json.dumps(clock.to_dict()))
    again = StageClock.from_dict(values, hands)
    assert again.seconds == {"correct": 30} and again.idle_seconds == 70 and again.stage is None
    hands.wait(500)
    again.start("correct")
    hands.wait(2)
    assert again.seconds == {"correct": 32} and again.idle_seconds == 70


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"seconds": 3},
        {"seconds": {"correct": -1}},
        {"seconds": {"correct": "3"}},
        {"seconds": {"correct": float("nan")}},
        {"seconds": {"correct": True}},
        {"seconds": {"lunch": 3}},
        {"seconds": {}, "idle_seconds": None},
    ],
)
def test_damaged_seconds_are_refused(values):
    with pytest.raises(InputError, match="expected"):
        StageClock.from_dict(values)


def test_a_click_keeps_its_times(tmp_path):
    click = ClickRecord("scar", 3, False, "box", 20.126, 3.5, 1.0, 26.4)
    assert ClickRecord.from_dict(json.loads(json.dumps(click.to_dict()))) == ClickRecord(
        "scar", 3, False, "box", 20.13, 3.5, 1.0, 26.4
    )
    with pytest.raises(InputError, match="expected a click with its times"):
        ClickRecord.from_dict({"structure": "scar"})

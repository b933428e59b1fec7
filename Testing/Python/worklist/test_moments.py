"""How long a reading took by the times of its steps: right, or the step that does not fit."""

from __future__ import annotations

import pytest

from myops.worklist.moments import moment, overlapping_step, reading_seconds, utc_moment


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        (["2026-01-01T10:00:05.000+00:00", "2026-01-01T10:01:05.000+00:00"], 60.0),
        (["2026-01-01T10:00:00Z", "2026-01-01T10:00:07.5Z"], 7.5),
        (["2026-01-01T10:00:00.1234567Z", "2026-01-01T10:00:01.123456+00:00"], 1.0),
        # 10:00 in Berlin is 9:00 UTC.
        (["2026-01-01T10:00:00+01:00", "2026-01-01T09:02:00Z"], 120.0),
        # Summer time begins at 2:00: 1:59 and 3:01 are two minutes apart. It ends at 3:00.
        (["2026-03-29T01:59:00+01:00", "2026-03-29T03:01:00+02:00"], 120.0),
        (["2026-10-25T02:59:00+02:00", "2026-10-25T02:01:00+01:00"], 120.0),
        (["2026-10-25T02:59:00+02:00", "2026-10-25T01:01:00Z"], 120.0),
        # Without a zone, but by day, when no clock is changed.
        (["2026-01-01T10:00:00", "2026-01-01T10:03:00"], 180.0),
        # A time server moved the clock by less than a second.
        (["2026-01-01T10:00:00.5Z", "2026-01-01T10:00:00Z"], 0.0),
        (["2026-01-01T10:00:00Z"], 0.0),
        ([], 0.0),
    ],
)
def test_the_seconds_are_those_of_the_clock(times, seconds):
    assert reading_seconds(times, 0.0) == pytest.approx(seconds)
    assert reading_seconds(times, 2.5) == pytest.approx(seconds + 2.5)


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (["2026-03-29T01:59:00", "2026-03-29T03:01:00+02:00"], "step 1: expected a time with a"),
        (["2026-03-29T01:59:00Z", "2026-03-29T03:01:00"], "step 2: expected a time with a time z"),
        (["2026-03-29T01:59:00", "2026-03-29T03:01:00"], "step 2: .*changed in the night"),
        (["2026-10-24T23:00:00", "2026-10-25T05:00:00"], "step 2: .*changed in the night"),
        (
            ["2026-01-01T10:00:00Z", "2026-01-01T10:05:00Z", "2026-01-01T09:10:00Z"],
            "step 3: expected a time after 2026-01-01T10:05:00Z, found 2026-01-01T09:10:00Z",
        ),
        (["2026-01-01T10:00:00", "2026-01-01T09:00:00"], "step 2: .*clock set back"),
        (["2026-01-01T10:00:00Z", "noon"], "step 2: expected a time such as"),
        (["2026-13-01T10:00:00Z"], "step 1: expected a time such as"),
    ],
)
def test_times_that_do_not_tell_are_refused_by_step(times, words):
    with pytest.raises(ValueError, match=words):
        reading_seconds(times, 0.0)


def test_a_step_that_ran_longer_than_the_clock_is_named():
    times = [f"2026-01-01T10:00:{second:02}Z" for second in (0, 10, 12, 20)]
    assert overlapping_step(times, [30.0, 10.5, 2.0, 1.0]) is None
    assert overlapping_step(times, [0.0, 1.0, 6.0, 1.0]) == 3


def test_times_with_and_without_a_zone_can_be_compared_where_all_are_utc():
    assert utc_moment("2026-01-01T10:00:00") == utc_moment("2026-01-01T11:00:00+01:00")


@pytest.mark.parametrize("text", ["", "now", "2026", None, 5, "2026-02-30T10:00:00Z"])
def test_what_is_no_time_is_an_error(text):
    with pytest.raises((TypeError, ValueError)):
        moment(text)

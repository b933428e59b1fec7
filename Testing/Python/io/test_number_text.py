"""Numbers in words, with values written by hand."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from myops.io.number_text import number, number_range, plain, plain_significant, signed, significant


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (number(16.05), "16.1"),
        (number(-16.04), "−16.0"),
        (number(12, 0), "12"),
        (number(0.125, 2), "0.12"),
        (number(None), "–"),
        (number(None, missing="not assessed"), "not assessed"),
        (signed(2.34), "+2.3"),
        (signed(-2.34, 2), "−2.34"),
        (signed(None), "–"),
        (significant(1234.56), "1235"),
        (significant(-0.00012345), "−0.0001234"),
        (significant(None), "–"),
        (plain(-2.34, 1), "-2.3"),
        (plain(None, 3, ""), ""),
        (plain_significant(-1234.56), "-1235"),
        (plain_significant(1e6), "1e+06"),
        (number(np.float32(16.04)), "16.0"),
    ],
)
def test_a_number_is_written_as_its_readers_need_it(text, words):
    assert text == words


@pytest.mark.parametrize("zero", [0.0, -0.0, -0.04, 0.04])
def test_what_rounds_to_zero_has_no_direction(zero):
    assert (number(zero), plain(zero, 1), signed(zero)) == ("0.0", "0.0", "+0.0")
    assert significant(-0.0) == plain_significant(-0.0) == "0"


def test_a_range_is_written_once_where_both_ends_look_alike():
    assert number_range((49.2, 77.0), partial(number, digits=0)) == "49 to 77"
    assert number_range((49.2, 49.4), partial(number, digits=0)) == "49"
    assert number_range((-3.0, 2.0), significant) == "−3 to 2"
    assert number_range(None, significant) == "–"

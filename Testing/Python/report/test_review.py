"""What the report shows of a reader's session."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from circle_heart import circle_case, circle_labels, circle_segmentation
from circle_report import WHEN, rendered, words
from disc_refiner import DISC_PIXELS, DiscRefiner

from myops.quantify.measure import measure
from myops.refine.session import Session
from myops.report.compose import make_content
from myops.report.panels import make_tiles
from myops.report.review import review_of
from myops.report.wording import clicks_words, reading_words


@pytest.fixture
def session():
    case = circle_case()
    return Session(DiscRefiner(), case, circle_segmentation(case))


def places(session):
    return [(mark.row, mark.column, mark.positive) for mark in review_of(session).marks]


def parts(session, **options):
    review = review_of(session, **options)
    segmentation = session.segmentation()
    measurements = measure(session.case, segmentation)
    tiles = make_tiles(session.case, segmentation, measurements, review)
    return (session.case, segmentation, measurements, tiles), review


def test_clicks_that_were_undone_are_no_longer_in_force(session):
    session.click("scar", 2, 64, 48)
    session.click("scar", 2, 48, 64)
    session.undo()
    assert places(session) == [(64, 48, True)]
    session.redo()
    assert places(session) == [(64, 48, True), (48, 64, True)]


def test_an_undone_click_is_forgotten_after_another_one(session):
    session.click("scar", 2, 64, 48)
    session.undo()
    session.click("scar", 2, 48, 64, False)
    assert places(session) == [(48, 64, False)]


def test_moved_and_deleted_clicks_are_counted_as_the_session_counts_them(session):
    session.click("edema", 1, 60, 40)
    session.click("scar", 2, 64, 48)
    session.click("scar", 2, 48, 64)
    session.move_click(2, 1, 50, 64)
    session.delete_click(2, 0)
    assert places(session) == [(60, 40, True), (50, 64, True)]


def test_clicks_on_another_structure_close_the_correction_before(session):
    session.click("edema", 2, 60, 40)
    session.click("scar", 2, 64, 48)
    session.move_click(2, 0, 65, 48)
    assert places(session) == [(60, 40, True), (65, 48, True)]


def test_an_edit_closes_only_the_slices_that_it_changes(session):
    session.click("scar", 1, 64, 48)
    session.click("scar", 2, 64, 48)
    edited = session.labels.copy()
    edited[2, 48, 30] = 2221
    session.accept_labels(edited, "paint")
    session.click("scar", 2, 48, 64)
    session.move_click(2, 0, 48, 65)
    session.move_click(1, 0, 63, 48)
    assert places(session) == [(63, 48, True), (64, 48, True), (48, 65, True)]


def test_the_reading_time_runs_from_the_beginning_of_the_first_step(session):
    session.click("scar", 2, 64, 48)
    session.click("scar", 2, 48, 64)
    first, last = session.steps
    session.steps[:] = [
        replace(first, time="2026-01-02T03:04:10.000+00:00", seconds=0.5),
        replace(last, time="2026-01-02T03:04:52.000+00:00", seconds=0.25),
    ]
    review = review_of(session)
    assert review.reading_seconds == 42.5
    assert review.computing_seconds == 0.75
    assert "42 s from the first step to the last, of which" in reading_words(review)


@pytest.mark.slow
@pytest.mark.parametrize("second", ["2026-01-02T02:04:52.000+00:00", "2026-01-02T03:05:00"])
def test_a_clock_that_was_changed_gives_no_reading_time_and_still_a_report(session, second):
    session.click("scar", 2, 64, 48)
    session.click("scar", 2, 48, 64)
    first, last = session.steps
    first = replace(first, time="2026-01-02T03:04:10.000+00:00")
    session.steps[:] = [first, replace(last, time=second)]
    made, review = parts(session)
    assert review.reading_seconds is None
    assert reading_words(review).endswith("; the reading time is not known.")
    content = make_content(*made, review, WHEN)
    (steps,) = (section for section in content.sections if section.title == "Prompts used")
    assert [row[6] for row in steps.blocks[1].rows] == ["–", "–"]


def test_times_that_are_not_the_reader_s_are_not_shown_as_his(session):
    session.click("scar", 2, 64, 48)
    review = review_of(session, timed=False)
    assert review.reading_seconds is None
    assert "the reading time was not recorded" in reading_words(review)


@pytest.mark.slow
def test_the_report_shows_automatic_and_corrected_scar_side_by_side(session):
    session.click("scar", 2, 64, 48)
    (case, segmentation, measurements, tiles), review = parts(session)
    scars = {name: tiles.columns[name].outlines["scar"] for name in ("automatic", "corrected")}
    added = scars["corrected"] & ~scars["automatic"]
    assert np.count_nonzero(added) == DISC_PIXELS
    assert not added[[0, 1, 3, 4]].any()
    (mark,) = tiles.columns["corrected"].marks
    # The click lies in the middle of the disc, in the pixels of the tile.
    assert [place.mean() for place in np.nonzero(added)] == [2, mark.row, mark.column]
    text = words(rendered(case, segmentation, measurements, tiles, review=review))
    # 29 voxels of 0.0225 mL at 1.05 g/mL.
    assert "Scar 9.1 9.5 11.1 8.9 +0.7" in text
    # 375 automatic voxels and 404 corrected ones: 2 x 375 / 779.
    assert "Automatic scar – – 8.4 8.9 10.3 −0.7 0.96" in text
    assert "Corrected by a reader (1 click in force at the end)" in text
    assert "Automatic result, not reviewed" not in text


@pytest.mark.slow
def test_the_prompts_are_listed_with_slice_sign_place_and_time(session):
    session.click("scar", 2, 64, 48, False)
    session.box("edema", 1, (50, 40, 60, 44))
    session.undo()
    found, review = parts(session)
    content = make_content(*found, review, WHEN)
    (section,) = (one for one in content.sections if one.title == "Prompts used")
    table = section.blocks[1]
    assert [row[1:6] for row in table.rows] == [
        ("prompt", "scar", "3", "−", "64.0, 48.0"),
        ("prompt", "edema", "2", "box", "50.0, 40.0 to 60.0, 44.0"),
        ("undo", "–", "–", "–", "–"),
    ]
    assert table.rows[0][6] == "0.0"


@pytest.mark.slow
def test_the_refiner_is_named_with_its_checksum(session):
    session.click("scar", 2, 64, 48)
    found, review = parts(session)
    text = words(rendered(*found, review=review))
    assert "refiner “discs” " + "d" * 64 in text


def test_weights_that_answered_the_clicks_are_named_where_others_segmented(session):
    terms = {"name": "mine", "license": "MIT", "learned_from": "x", "terms": "Free."}
    session.refiner.model.terms = terms
    assert review_of(session).refiner_terms == {}  # nothing was asked yet
    session.click("scar", 2, 64, 48)
    answered = review_of(session).refiner_terms
    expected = "Other weights answered the clicks. Weights: mine (MIT), learned from x. Free."
    assert clicks_words(answered, {"name": "theirs"}) == clicks_words(answered, {}) == expected
    assert clicks_words(answered, terms) == clicks_words({}, terms) == ""


def test_a_session_that_began_with_corrected_labels_says_so(session):
    session.click("scar", 2, 64, 48)
    again = Session(DiscRefiner(), session.case, session.segmentation())
    again.click("scar", 2, 48, 64)
    review = review_of(again, circle_labels())
    assert not review.from_automatic
    assert "labels that had been changed before" in reading_words(review)
    assert np.array_equal(review.automatic, circle_labels())


def test_an_edema_that_a_reader_changed_is_drawn_beside_the_automatic_one(session):
    session.click("edema", 2, 64, 48)
    (_, _, _, tiles), _ = parts(session)
    outlines = tiles.columns["t2"].outlines
    assert np.count_nonzero(outlines["edema"] & ~outlines["edema_automatic"]) == DISC_PIXELS

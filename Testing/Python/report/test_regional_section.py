"""The report's regional section: bull's-eyes, or what to click to get them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from circle_heart import circle_case, circle_labels, circle_segmentation
from circle_report import WHEN, words
from matplotlib.image import imread

from myops.quantify.measure import measure
from myops.quantify.regional.orientation import Landmark, Landmarks
from myops.report.compose import make_content
from myops.report.html import render_report
from myops.report.panels import make_tiles
from myops.report.pixel_ruler import ruler_picture

# Each draws a whole report.
pytestmark = pytest.mark.slow


def content_of(labels=None, **landmarks):
    labels = circle_labels() if labels is None else labels
    case = circle_case(labels)
    segmentation = circle_segmentation(case, labels)
    measurements = measure(case, segmentation, landmarks=Landmarks(**landmarks))
    tiles = make_tiles(case, segmentation, measurements)
    return make_content(case, segmentation, measurements, tiles, None, WHEN)


def section(content):
    return next(one for one in content.sections if one.title == "Where it is")


def blocks(content, kind):
    return [block for block in section(content).blocks if block.kind == kind]


def test_a_stack_of_equal_slices_asks_for_the_apex():
    first = section(content_of()).blocks[0]
    assert first.tone == "warning"
    assert "--apex first or --apex last" in first.words


def test_without_directions_the_insertion_is_asked_for_beside_a_slice_with_rulers():
    content = content_of(apex="last")
    assert "--insertion SLICE,ROW,COLUMN" in section(content).blocks[0].words
    assert "with rulers in pixels" in blocks(content, "pictures")[0].caption


def test_a_clicked_insertion_gives_three_bull_s_eyes_and_17_rows():
    # Scar lies at 90-150 degrees, the RV to the left; 20 pixels up from the center is its border.
    content = content_of(apex="last", anterior_insertion=Landmark(2, 28.0, 48.0))
    assert len(blocks(content, "pictures")[0].items) == 3
    table = blocks(content, "table")[0]
    assert [row[0] for row in table.rows] == [str(number) for number in range(1, 18)]
    # The septum follows from 90 degrees counterclockwise: its first 60 degrees are all scar.
    slices_of_segment = {row[0]: row[3] for row in table.rows}
    assert float(slices_of_segment["8"]) > 90
    assert slices_of_segment["11"] == "0"


def test_salvage_is_never_shown_without_its_warning():
    assert "advises against edema on T2" in words(render_report(content_of()))


def test_without_myocardium_there_is_no_regional_section():
    content = content_of(np.zeros((3, 96, 96), np.uint16))
    assert "Where it is" not in [one.title for one in content.sections]


def test_the_rulers_are_on_the_slice_of_the_largest_cavity():
    labels = circle_labels()
    labels[3, 35:38, 40:56] = 500
    index, png = ruler_picture(circle_case(), labels)
    assert index == 3
    assert np.ptp(imread(io.BytesIO(png))) > 0.9

"""Pictures of pixels: lines, words and stretched images, with places counted by hand."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from myops.report.montage import outline
from myops.report.plot_area import PlotArea, round_steps
from myops.report.raster import DPI, Raster, encoded_png, rgb_bytes

WHITE, BLACK, RED = "#ffffff", "#000000", "#ff0000"


def pixels(raster: Raster) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(raster.png())))


def dark(raster: Raster) -> np.ndarray:
    """Rows and columns of pixels that are more black than white."""
    return np.argwhere(pixels(raster).mean(axis=-1) < 128)


def test_a_line_is_as_wide_as_its_points_say():
    raster = Raster(30, 20, WHITE)
    # 4 pixels at 100 dots per inch are 2.88 points.
    raster.line(np.array([(5.0, 10.0), (25.0, 10.0)]), None, BLACK, 4 * 72 / DPI)
    found = pixels(raster)
    assert (found[8:12, 5:25] == 0).all()
    assert (found == 0).all(axis=-1).sum() == 4 * 20
    assert (found[:, :4] == 255).all() and (found[:7] == 255).all()


@pytest.mark.parametrize(("style", "share"), [("dashed", 3.7 / 5.3), ("dotted", 1 / 2.65)])
def test_a_broken_line_has_strokes_and_gaps_in_line_widths(style, share):
    raster = Raster(1070, 20, WHITE)
    raster.line(np.array([(5.0, 10.0), (1065.0, 10.0)]), None, BLACK, 2 * 72 / DPI, style)
    covered = 1 - pixels(raster)[10, 5:1065, 0] / 255
    assert covered.mean() == pytest.approx(share, abs=0.01)


def test_an_image_is_stretched_between_the_centers_of_its_pixels():
    raster = Raster(4, 4, RED)
    two = np.array([[[0] * 3, [100] * 3]], np.uint8)
    raster.image(two, 0, 1, 4, 2)
    found = pixels(raster)
    assert found[1:3, :, 0].tolist() == [[0, 25, 75, 100]] * 2
    assert (found[[0, 3]] == rgb_bytes(RED)).all()


def test_an_image_that_is_not_smooth_has_squares_of_one_color():
    raster = Raster(6, 2, RED)
    raster.image(np.array([[[0] * 3, [100] * 3]], np.uint8), 1, 0, 4, 2, smooth=False)
    assert pixels(raster)[1, 1:5, 0].tolist() == [0, 0, 100, 100]
    assert (pixels(raster)[:, [0, 5]] == rgb_bytes(RED)).all()


def test_a_hatched_area_has_lines_inside_it_alone():
    raster = Raster(60, 40, WHITE)
    corners = np.array([(10, 5), (50, 5), (50, 35), (10, 35)], float)
    raster.area(corners, None, rim=BLACK, hatch="//")
    found = pixels(raster)[..., 0]
    assert 0.02 < (found[6:34, 11:49] < 128).mean() < 0.5
    assert (found[:, :9] == 255).all() and (found[37:] == 255).all()


def test_a_disc_has_its_diameter_and_a_rim():
    raster = Raster(40, 40, WHITE)
    raster.disc(20, 20, 20 * 72 / DPI, BLACK, RED, 2 * 72 / DPI)
    found = pixels(raster)
    assert (found[20, 12:28] == 0).all()
    # The rim's middle is at the radius of 10.
    assert (abs(found[20, [9, 10]].astype(int) - rgb_bytes(RED)) < 8).all()
    assert (found[20, :8] == 255).all()


def test_words_begin_at_their_place_and_stand_on_their_line():
    raster = Raster(60, 40, WHITE)
    raster.words("H", 10, 30, 14.4, BLACK)
    rows, columns = dark(raster).T
    # 14.4 points are 20 pixels: an H of DejaVu Sans is 0.729 em high, and begins after 0.098 em.
    assert rows.max() == 29 and rows.min() == pytest.approx(30 - 0.729 * 20, abs=1)
    assert columns.min() == pytest.approx(10 + 0.098 * 20, abs=1)


def test_words_can_be_centered():
    raster = Raster(80, 40, WHITE)
    raster.words("HHH", 40, 30, 14.4, BLACK, align="center")
    columns = dark(raster)[:, 1]
    assert (columns.min() + columns.max() + 1) / 2 == pytest.approx(40, abs=1.5)


def test_turned_words_run_upward_from_their_place():
    raster = Raster(40, 80, WHITE)
    raster.words("HHH", 30, 70, 14.4, BLACK, turn=90)
    rows, columns = dark(raster).T
    assert rows.max() == pytest.approx(70 - 0.098 * 20, abs=1.5)
    assert columns.max() == 29 and np.ptp(rows) > 2 * np.ptp(columns)


def test_words_can_end_at_their_place():
    raster = Raster(80, 40, WHITE)
    raster.words("HHH", 70, 30, 14.4, BLACK, align="right")
    assert dark(raster)[:, 1].max() == pytest.approx(70 - 0.098 * 20, abs=1.5)


def test_a_rim_keeps_white_words_readable_on_white():
    plain, rimmed = Raster(60, 40, WHITE), Raster(60, 40, WHITE)
    plain.words("Scar", 5, 30, 12, WHITE)
    rimmed.words("Scar", 5, 30, 12, WHITE, rim=2)
    assert len(dark(plain)) == 0
    assert len(dark(rimmed)) > 100


def test_no_letters_draw_nothing_and_an_unknown_one_is_a_box():
    empty, box, unknown = (Raster(60, 40, WHITE) for _ in range(3))
    empty.words(" ", 5, 30, 12, BLACK)
    box.words("□", 5, 30, 12, BLACK)
    unknown.words("山", 5, 30, 12, BLACK)
    assert len(dark(empty)) == 0
    assert np.array_equal(pixels(box), pixels(unknown)) and len(dark(box)) > 10


def test_an_outline_runs_half_way_between_the_mask_and_its_surroundings():
    mask = np.zeros((9, 12), bool)
    mask[4, 7] = True
    places, codes = outline(mask)
    corners = {(7.5, 4.0), (7.0, 4.5), (6.5, 4.0), (7.0, 3.5)}
    assert {tuple(place) for place in places.tolist()} == corners
    # A move, three lines and the way back to the first corner.
    assert codes.tolist() == [1, 2, 2, 2, 79]


def test_two_islands_are_two_lines_and_a_mask_without_border_is_none():
    mask = np.zeros((9, 12), bool)
    mask[2, 2] = mask[6, 8] = True
    assert outline(mask)[1].tolist().count(1) == 2
    assert len(outline(np.ones((4, 4), bool))[0]) == 0


def test_the_same_pixels_give_the_same_bytes_without_loss():
    values = np.random.default_rng(2).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    png = encoded_png(values)
    assert png == encoded_png(values.copy())
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png))), values)


@pytest.mark.parametrize(
    ("highest", "values", "digits"),
    [
        (3.3, [0, 0.5, 1, 1.5, 2, 2.5, 3], 1),
        (1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0], 1),
        (10.9, [0, 2, 4, 6, 8, 10], 0),
        (0.02, [0, 0.0025, 0.005, 0.0075, 0.01, 0.0125, 0.015, 0.0175, 0.02], 4),
        (100.0, [0, 20, 40, 60, 80, 100], 0),
    ],
)
def test_a_scale_has_round_numbers(highest, values, digits):
    found, needed = round_steps(highest)
    assert found == pytest.approx(values) and needed == digits


def test_values_of_a_diagram_have_places_between_its_edges():
    area = PlotArea(Raster(100, 100, WHITE), 10, 20, 90, 60, (0, 4), (0, 2))
    assert (area.x(0), area.x(1), area.x(4)) == (10, 30, 90)
    assert (area.y(0), area.y(0.5), area.y(2)) == (60, 50, 20)

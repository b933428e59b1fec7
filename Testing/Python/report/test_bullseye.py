import io

import numpy as np
import pytest
from contrast import contrast
from matplotlib.image import imread
from ring_heart import BOTH, RingHeart, Sector

from myops.quantify.regional.analysis import regional
from myops.quantify.regional.orientation import Landmark, Landmarks
from myops.report.bullseye import (
    NOT_ASSESSED_COLOR,
    QUANTITIES,
    bullseye,
    ink_on,
    ramp_color,
    segment_place,
)
from myops.report.slice_plot import slice_plot

HEART = RingHeart()


def pixels(data: bytes) -> np.ndarray:
    return imread(io.BytesIO(data))[..., :3]


def color_at(picture: np.ndarray, number: int) -> np.ndarray:
    """Color inside a segment, off its middle where the words are."""
    inner, outer, first, last = segment_place(number)
    radius, angle = inner + 0.85 * (outer - inner), np.radians(first + 0.2 * (last - first))
    height, width = picture.shape[:2]
    # The axes cover 0 to 0.86 of the width and 0.06 to 0.99 of the height, each from -1.2 to 1.2.
    x = 0.86 * width * (radius * np.cos(angle) + 1.2) / 2.4
    y = height * (0.06 + 0.93 * (1.2 - radius * np.sin(angle)) / 2.4)
    return picture[int(y), int(x)]


def darkness(picture: np.ndarray, number: int) -> float:
    return 1 - float(color_at(picture, number).mean())


@pytest.mark.parametrize(
    ("number", "middle"),
    [(1, 90), (2, 150), (3, 210), (4, 270), (5, 330), (7, 90), (13, 90), (14, 180), (16, 360)],
)
def test_segments_lie_where_a_bulls_eye_has_them(number, middle):
    _, _, first, last = segment_place(number)
    assert (first + last) / 2 == middle


def test_the_base_is_outside_and_the_apex_in_the_middle():
    assert [segment_place(n)[:2] for n in (6, 12, 16, 17)] == [
        (0.75, 1.0),
        (0.5, 0.75),
        (0.25, 0.5),
        (0.0, 0.25),
    ]


def test_a_segment_full_of_scar_is_dark_and_the_others_are_not():
    found = regional(HEART.labels(Sector((120, 180), (0, 1), (0, 3))), HEART.geometry(), BOTH)
    picture = pixels(bullseye(found))
    assert darkness(picture, 4) > 0.6
    assert max(darkness(picture, n) for n in range(1, 17) if n != 4) < 0.15


def test_the_color_scale_does_not_depend_on_the_patient():
    half = regional(HEART.labels(Sector((120, 180), (0, 0.5), (0, 3))), HEART.geometry(), BOTH)
    both = regional(
        HEART.labels(Sector((120, 180), (0, 0.5), (0, 3)), Sector((0, 60), (0, 1), (0, 3))),
        HEART.geometry(),
        BOTH,
    )
    one, other = (color_at(pixels(bullseye(found)), 4) for found in (half, both))
    assert one == pytest.approx(other, abs=0.02)


def test_what_was_not_assessed_is_gray_not_white():
    found = regional(HEART.labels(), HEART.geometry(), frozenset({"scar"}))
    picture = pixels(bullseye(found, "edema"))
    gray = [int(NOT_ASSESSED_COLOR[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    inside = np.array([color_at(picture, number) for number in range(1, 18)])
    hatched_or_gray = np.abs(inside - gray).max(axis=1) < 0.65
    assert hatched_or_gray.all()
    assert (np.ptp(inside, axis=1) < 0.15).all()
    assert np.median(inside, axis=0) == pytest.approx(gray, abs=0.1)


def test_the_apex_has_no_transmurality():
    labels = HEART.labels(Sector((0, 360)))
    picture = pixels(bullseye(regional(labels, HEART.geometry(), BOTH), "transmurality"))
    assert darkness(picture, 13) > 0.6
    # Gray with hatching: no color cast.
    assert np.ptp(color_at(picture, 17)) < 0.15


def test_without_segments_the_picture_is_still_a_picture():
    heart = RingHeart(septum=False)
    found = regional(heart.labels(), heart.without_directions(), BOTH)
    assert 0 < (pixels(bullseye(found)) < 0.5).mean() < 0.05


@pytest.mark.slow
def test_the_same_numbers_give_the_same_bytes():
    found = regional(HEART.labels(Sector((0, 90))), HEART.geometry(), BOTH)
    assert bullseye(found) == bullseye(found)
    assert slice_plot(found) == slice_plot(found)


def orange(picture: np.ndarray) -> np.ndarray:
    """Share of scar-colored pixels by column."""
    red, green, blue = (picture[..., k] for k in range(3))
    return ((red > 0.9) & (abs(green - 0.42) < 0.08) & (blue < 0.25)).mean(axis=0)


def test_slices_run_from_the_base_whatever_the_order_of_the_stack():
    labels = HEART.labels(Sector((0, 360), (0, 1), (0, 3)))
    shown = orange(pixels(slice_plot(regional(labels, HEART.geometry(), BOTH))))
    middle = shown.size // 2
    # The legend's patch is the only orange on the right.
    assert shown[:middle].sum() > 10 * shown[middle:].sum()
    heart = RingHeart()
    click = heart.insertion_click()
    found = regional(
        np.ascontiguousarray(labels[::-1]),
        heart.without_directions(),
        BOTH,
        landmarks=Landmarks(Landmark(heart.slices - 1 - click[0], *click[1:])),
    )
    reversed_stack = orange(pixels(slice_plot(found)))
    assert reversed_stack[:middle].sum() > 10 * reversed_stack[middle:].sum()


@pytest.mark.parametrize("assessed", [{"scar"}, {"edema"}, set()])
def test_a_plot_without_an_image_or_spacing_is_still_drawn(assessed):
    found = regional(HEART.labels(), HEART.geometry(), frozenset(assessed), spacing_known=False)
    assert pixels(slice_plot(found)).shape[2] == 3


def test_slices_in_which_edema_was_not_assessed_are_hatched_and_not_drawn_as_zero():
    labels = HEART.labels(Sector((0, 90)), Sector((120, 300), value=1220))
    hidden = np.zeros(labels.shape, bool)
    hidden[6:] = True
    whole = pixels(slice_plot(regional(labels, HEART.geometry(), BOTH)))
    part = pixels(slice_plot(regional(labels, HEART.geometry(), BOTH, hidden={"edema": hidden})))
    bars = [(orange(picture) > 0).sum() for picture in (part, whole)]
    assert bars[0] == pytest.approx(bars[1], rel=0.1), "scar was assessed everywhere"
    gray = np.array([0xB4, 0xBC, 0xC8]) / 255
    hatch = (np.abs(part - gray).max(axis=-1) < 0.06).sum(axis=0)
    assert hatch[: part.shape[1] // 2].sum() < 0.2 * hatch.sum()
    assert hatch.sum() > 5 * (np.abs(whole - gray).max(axis=-1) < 0.06).sum()


@pytest.mark.parametrize("quantity", list(QUANTITIES))
def test_numbers_stand_out_from_every_color_of_the_scale(quantity) -> None:
    """Best of both inks: at least 4.0 to 1. A fixed step at 45 % left white on yellow, 1.6 to 1."""
    for percent in range(101):
        ground, ink = ramp_color(quantity, percent), ink_on(quantity, percent)
        assert contrast(ink, ground) > 4.0, percent

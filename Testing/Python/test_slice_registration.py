"""Slices that breathing has moved are laid back one by one, and nothing is moved for nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter, rotate
from scipy.ndimage import shift as shifted

from myops.case import Case, case_from_images
from myops.registration import similarity_at
from myops.slice_registration import (
    compared,
    find_shifts,
    moved_before,
    moved_case,
    register_case,
)
from myops.turn_registration import Turn

PIXEL_MM = 1.5


def ring(slices: int = 5, seed: int = 0) -> np.ndarray:
    """A heart of blood, muscle and surroundings with texture, 96 x 96 pixels of 1.5 mm."""
    y, x = np.mgrid[-48:48, -48:48].astype(np.float32)
    radius = np.hypot(y + 3, x - 2)
    heart = np.where(radius < 12, 300.0, np.where(radius < 18, 100.0, 180.0))
    heart = heart + 60 * ((y > 20) & (x < 0)) - 50 * (np.hypot(y + 30, x + 25) < 9)
    noise = np.random.default_rng(seed).normal(0, 25, (slices, 96, 96))
    texture = 3 * gaussian_filter(noise, (0, 2, 2))
    return (gaussian_filter(heart, 0.7)[None] + texture).astype(np.float32)


def case_of(t2: np.ndarray, spacing_mm: float = PIXEL_MM, **more: np.ndarray) -> Case:
    images = {}
    for name, pixels in {"lge": ring(), "t2": t2, **more}.items():
        images[name] = sitk.GetImageFromArray(pixels)
        images[name].SetSpacing((spacing_mm, spacing_mm, 8.0))
        images[name].SetOrigin((1.0, 2.0, 3.0))
    return case_from_images(images)


def moved(pixels: np.ndarray, shifts_mm: np.ndarray) -> np.ndarray:
    """Slices moved by (x, y) in mm."""
    pairs = zip(pixels, shifts_mm[:, ::-1] / PIXEL_MM, strict=True)
    return np.stack([shifted(plane, by, order=1, mode="nearest") for plane, by in pairs])


def contrast() -> np.ndarray:
    """The same heart with the contrast turned round, and noise of its own."""
    own = np.random.default_rng(5).normal(0, 8, (5, 96, 96))
    return (500 - ring() + own).astype(np.float32)


STACK = np.tile((6.0, -4.5), (5, 1))
OWN = np.array([(3.0, 0.0), (0.0, -3.0), (0.0, 0.0), (-3.0, 1.5), (1.5, 3.0)])
SLICES = np.add(STACK, OWN)


@pytest.mark.parametrize("truth", [STACK, SLICES], ids=["stack", "slices"])
def test_each_slice_is_found_within_a_pixel(truth: np.ndarray) -> None:
    found, refused = find_shifts(case_of(moved(contrast(), truth)), "t2")
    assert refused == ""
    assert np.hypot(*(found - truth).T).max() < PIXEL_MM


def test_a_moved_sequence_is_laid_back_and_told() -> None:
    case = register_case(case_of(moved(contrast(), SLICES)))
    (done,) = case.registrations
    assert done.sequence == "t2" and done.moved
    assert done.similarity_after > done.similarity_before
    # 15 pixels from every edge everything is known again.
    inner = np.s_[:, 15:-15, 15:-15]
    left = np.abs(case.images["t2"] - contrast())[inner].mean()
    assert left < 0.5 * np.abs(moved(contrast(), SLICES) - contrast())[inner].mean()
    assert f"moved onto lge by {done.lengths_mm.mean():.1f} mm on average" in case.warnings[-1]
    assert done.to_dict()["largest_shift_mm"] == pytest.approx(done.lengths_mm.max(), abs=1e-3)


def test_what_lies_right_stays_as_it_is_without_a_warning() -> None:
    before = case_of(contrast())
    after = register_case(before)
    assert np.array_equal(after.images["t2"], before.images["t2"])
    assert after.warnings == before.warnings
    (kept,) = after.registrations
    assert not kept.moved and kept.similarity_after == kept.similarity_before


def test_noise_is_never_moved() -> None:
    noise = np.random.default_rng(3).normal(300, 50, (5, 96, 96)).astype(np.float32)
    before = case_of(noise)
    after = register_case(before)
    assert np.array_equal(after.images["t2"], before.images["t2"])


def test_a_shift_brings_in_nothing_that_was_not_measured() -> None:
    case = case_of(contrast())
    after = moved_case(case, "t2", np.tile((3.0, 0.0), (5, 1)))
    # The sequence lay 2 pixels to the right: moved back, its last two columns are unknown.
    assert after.covered["t2"][:, :, :-2].all() and not after.covered["t2"][:, :, -2:].any()
    assert np.array_equal(after.images["t2"][:, :, :-2], case.images["t2"][:, :, 2:])
    assert (after.images["t2"][:, :, -2:] == case.images["t2"].min()).all()
    assert after.images["lge"] is case.images["lge"]


def test_a_case_without_a_spacing_is_left_alone() -> None:
    before = replace(case_of(moved(contrast(), STACK)), spacing_reason="no spacing")
    after = register_case(before)
    assert after.images is before.images and after.registrations == ()
    assert after.warnings[-1].endswith("the spacing is unknown")


def test_a_sequence_that_hardly_meets_the_reference_is_named_and_left() -> None:
    case = case_of(contrast())
    covered = np.zeros_like(case.covered["t2"])
    covered[:, :30, :30] = True
    after = register_case(replace(case, covered={**case.covered, "t2": covered}))
    assert after.registrations == ()
    assert "t2: not moved: expected t2 and lge to share the field" in after.warnings[-1]


def test_one_sequence_alone_has_nothing_to_be_laid_on() -> None:
    image = sitk.GetImageFromArray(ring())
    case = case_from_images({"lge": image})
    assert register_case(case) is case


# Around the middle of the heart that `ring` draws, 50 pixels from the left and 45 from above.
PIVOT_MM = (50 * PIXEL_MM, 45 * PIXEL_MM)


def turned(pixels: np.ndarray, degrees: float) -> np.ndarray:
    """Slices turned around the heart by SciPy: from x to y, as rows go down."""
    padded = np.pad(pixels, ((0, 0), (6, 0), (0, 4)), mode="edge")  # the heart in the middle
    again = rotate(padded, -degrees, axes=(1, 2), reshape=False, order=1, mode="nearest")
    return again[:, 6:, :96]


@pytest.mark.parametrize("degrees", [-7.0, 5.0])
def test_a_stack_that_lies_turned_is_turned_back(degrees: float) -> None:
    wrong = moved(turned(contrast(), degrees), STACK)
    case = register_case(case_of(wrong))
    (done,) = case.registrations
    assert done.turn.degrees == pytest.approx(degrees, abs=1.5)
    assert f"turned by {done.turn.degrees:.1f} degrees" in case.warnings[-1]
    assert done.to_dict()["turn_deg"] == round(done.turn.degrees, 2)
    inner = np.s_[:, 20:-20, 20:-20]
    left = np.abs(case.images["t2"] - contrast())[inner].mean()
    shifted_back = moved(wrong, -STACK)
    assert left < 0.6 * np.abs(shifted_back - contrast())[inner].mean()


def test_what_lies_straight_is_not_turned() -> None:
    (done,) = register_case(case_of(moved(contrast(), SLICES))).registrations
    assert done.moved and not done.turn


def test_a_turn_of_a_quarter_goes_from_x_to_y() -> None:
    before = case_of(contrast())
    after = moved_case(before, "t2", np.zeros((5, 2)), Turn(90.0, PIVOT_MM))
    # What belongs 10 pixels to the right of the heart lay 10 pixels below it.
    assert np.allclose(after.images["t2"][:, 45, 60], before.images["t2"][:, 55, 50], atol=1e-3)
    # The grid is turned around a place beside its middle: what comes from outside is not known.
    assert not after.covered["t2"].all() and after.covered["t2"][:, 45, 50].all()


def test_a_move_by_hand_is_compared_with_the_place_before() -> None:
    beside = case_of(moved(contrast(), STACK))
    laid = moved_case(beside, "t2", STACK)
    # STACK lies 6 mm to the right and 4.5 mm up: the reader moves it back.
    one = moved_before(laid, "t2", (-6.0, 4.5), by_hand=True)
    assert one.note.startswith("t2: moved onto lge by hand by 7.5 mm in the slice plane")
    assert one.to_dict() == {
        "moved": True,
        "mean_shift_mm": 7.5,
        "largest_shift_mm": 7.5,
        "turn_deg": 0.0,
        "note": one.note,
        "by": "hand",
    }
    (found,) = compared(replace(laid, registrations=(one,))).registrations
    assert found.similarity_before == pytest.approx(similarity_at(beside, "t2"), rel=0.03)
    assert found.similarity_after == similarity_at(laid, "t2")
    assert found.similarity_after > 1.2 * found.similarity_before
    assert compared(replace(laid, registrations=(found,))).registrations == (found,)


def test_what_shares_no_field_around_the_heart_is_not_compared() -> None:
    case = case_of(contrast())
    one = moved_before(case, "t2", (1.0, 0.0), by_hand=True)
    nothing = replace(
        case,
        covered={**case.covered, "t2": np.zeros(case.geometry.array_shape, bool)},
        registrations=(one,),
    )
    assert compared(nothing).registrations == (one,)

"""Image quality: more noise, more blur and more ghosts must show, by the amount that was put in."""

import numpy as np
import pytest
from circle_heart import SPACING_MM, circle_labels
from scipy.ndimage import gaussian_filter

from myops import labels as regions
from myops.quantify.quality.edge_sharpness import edge_width_mm
from myops.quantify.quality.ghosting import copies, ghosting_percent
from myops.quantify.quality.image_quality import QUALITY_UNITS, blood_noise, image_quality
from myops.quantify.thresholds.methods import remote_region

LABELS = circle_labels()
MUSCLE, SCAR, BLOOD = 100.0, 900.0, 700.0


def image(noise: float = 0.0, blur_px: float = 0.0, seed: int = 0) -> np.ndarray:
    """The circle heart with Gaussian blur in-plane and Gaussian noise after it."""
    signal = np.full(LABELS.shape, 20.0)
    signal[np.isin(LABELS, (200, 1220))] = MUSCLE
    signal[LABELS == 2221] = SCAR
    signal[np.isin(LABELS, (500, 600))] = BLOOD
    signal = gaussian_filter(signal, (0, blur_px, blur_px))
    return signal + np.random.default_rng(seed).normal(0, noise, signal.shape)


def quality(lge: np.ndarray, labels: np.ndarray = LABELS):
    return image_quality(lge, labels, SPACING_MM, remote_region(lge, labels, SPACING_MM))


@pytest.mark.parametrize("noise", [5.0, 20.0, 60.0])
def test_noise_is_the_standard_deviation_that_was_added(noise):
    assert blood_noise(image(noise), LABELS) == pytest.approx(noise, rel=0.06)


def test_contrast_to_noise_is_the_difference_of_signals_over_the_noise():
    found = quality(image(20.0))
    assert found.contrast_scar_remote == pytest.approx((SCAR - MUSCLE) / 20, rel=0.06)
    assert found.contrast_scar_blood == pytest.approx((SCAR - BLOOD) / 20, rel=0.06)


def test_papillary_muscles_do_not_count_as_noise():
    lge = image(20.0)
    lge[:, 50:54, 44:48] = MUSCLE
    assert blood_noise(lge, LABELS) == pytest.approx(20, rel=0.1)


def test_more_noise_gives_less_contrast_to_noise():
    found = [quality(image(noise)).contrast_scar_remote for noise in (5, 10, 20, 40)]
    assert found == sorted(found, reverse=True)


def round_heart(
    pixel_mm: float, blur_mm: float, off_mm: float = 0.0, noise: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Circles drawn six times as fine and blurred there: LGE and labels, which may lie off."""
    count, fine = round(120 / pixel_mm), 6
    rows, columns = (np.indices((count * fine, count * fine)) + 0.5) / fine * pixel_mm
    radius = np.hypot(rows - 60 - off_mm, columns - 60)
    drawn = np.where(radius < 20, BLOOD, np.where(radius < 31, MUSCLE, 20.0))
    drawn = gaussian_filter(drawn, blur_mm / pixel_mm * fine)
    lge = drawn.reshape(count, fine, count, fine).mean(axis=(1, 3))
    rows, columns = (np.indices((count, count)) + 0.5) * pixel_mm
    radius = np.hypot(rows - 60, columns - 60)
    labels = np.where(radius < 20, 500, np.where(radius < 31, 200, 0)).astype(np.uint16)
    lge = lge + np.random.default_rng(0).normal(0, noise, lge.shape)
    return lge[None], labels[None]


@pytest.mark.parametrize(("pixel_mm", "blur_mm"), [(0.75, 0.8), (1.0, 1.2), (1.5, 1.2), (1.5, 2.0)])
def test_the_edge_is_as_wide_as_a_gaussian_of_the_blur(pixel_mm, blur_mm):
    found = edge_width_mm(*round_heart(pixel_mm, blur_mm), (pixel_mm, pixel_mm, 10.0))
    # 10 % to 90 % of an error function is 2.563 SD; a pixel adds the spread of a box.
    assert found == pytest.approx(2.563 * np.hypot(blur_mm, pixel_mm / np.sqrt(12)), rel=0.1)


def test_neither_noise_nor_a_contour_off_by_a_pixel_changes_the_width_of_the_edge():
    clean, noisy, off = (
        edge_width_mm(*round_heart(1.0, 1.2, off, noise), (1.0, 1.0, 10.0))
        for off, noise in ((0.0, 0.0), (0.0, 60.0), (1.0, 0.0))
    )
    assert noisy == pytest.approx(clean, rel=0.1)
    assert off == pytest.approx(clean, rel=0.1)


def test_more_blur_gives_a_wider_edge():
    found = [edge_width_mm(image(5.0, blur), LABELS, SPACING_MM) for blur in (0.5, 0.8, 1.1, 1.5)]
    assert found == sorted(found)


def test_blood_as_dark_as_muscle_has_no_edge():
    flat = np.full(LABELS.shape, 50.0)
    assert edge_width_mm(flat, LABELS, SPACING_MM) is None
    assert quality(image(5.0) * (LABELS == 2221)).edge_width_mm is None


@pytest.mark.parametrize("axis", [1, 2])
def test_a_ghost_is_as_strong_as_it_was_made(axis):
    heart, box = regions.lv_region(LABELS), (slice(28, 69), slice(28, 69))
    clean = image(2.0)
    clean[LABELS == 600] = 20.0  # a ghost of the right ventricle would lie on the heart
    place = (48, 0) if axis == 1 else (0, 48)
    for strength in (0.1, 0.2, 0.4):
        ghost = clean + strength * np.roll(clean, 48, axis)
        added = copies(ghost, box)[place] - copies(clean, box)[place]
        assert added == pytest.approx(strength, rel=0.1)
        # What chance makes of this anatomy, some 4 %, is taken off.
        assert 50 * strength < ghosting_percent(ghost, heart) < 135 * strength


def test_stronger_ghosts_give_a_worse_score():
    lge, heart = image(10.0), regions.lv_region(LABELS)
    found = [ghosting_percent(lge + g * np.roll(lge, 48, 1), heart) for g in (0, 0.1, 0.2, 0.4)]
    assert found == sorted(found) and found[-1] > found[0] + 20


def test_what_is_undefined_is_none_with_a_reason():
    healthy = LABELS.copy()
    healthy[np.isin(healthy, (1220, 2221))] = 200
    found = quality(image(10.0), healthy)
    assert found.contrast_scar_remote is None
    assert found.reasons["contrast_scar_remote"] == "no scar"
    nothing = image_quality(image(10.0), np.zeros_like(LABELS), SPACING_MM, None)
    values = {name: getattr(nothing, name) for name in QUALITY_UNITS}
    assert set(values.values()) == {None}
    assert set(nothing.reasons) == set(QUALITY_UNITS)
    assert image_quality(image(10.0), LABELS, None, None).reasons["edge_width_mm"] == (
        "the voxel spacing is unknown"
    )

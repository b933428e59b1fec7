import numpy as np
import pytest
from ring_heart import RingHeart, Sector
from scipy.special import ellipe
from test_transmurality import chords_of

from myops.quantify.regional.endocardial_surface import endocardial_lengths_mm, endocardial_surface

FINE = RingHeart(slices=5, solid=1, spacing_mm=(0.25, 0.25, 8.0), narrowing=0.0)
CIRCUMFERENCE_MM = 2 * np.pi * 20


def test_endocardium_under_a_quarter_of_scar_times_the_slice_distance():
    chords = chords_of(FINE.labels(Sector((0, 90), (0, 0.5))), FINE.spacing_mm)
    surface = endocardial_surface(chords, 8.0, None)
    # Four slices with cavity, 8 mm apart, in cm2.
    total = 4 * 8 * CIRCUMFERENCE_MM / 100
    assert surface.total_cm2 == pytest.approx(total, rel=0.01)
    assert surface.infarct_cm2 == pytest.approx(total / 4, rel=0.01)
    assert surface.infarct_percent == pytest.approx(25, abs=0.2)


@pytest.mark.parametrize("spacing", [(1.4, 1.4, 8.0), (1.0, 1.8, 8.0)])
def test_clinical_pixels_cost_less_than_three_percent(spacing):
    heart = RingHeart(slices=3, solid=0, spacing_mm=spacing, narrowing=0.0)
    chords = chords_of(heart.labels(Sector((0, 90))), spacing)
    infarct, total = endocardial_lengths_mm(chords)
    assert total == pytest.approx(CIRCUMFERENCE_MM, rel=0.03)
    assert infarct == pytest.approx(CIRCUMFERENCE_MM / 4, rel=0.06)


def test_the_outline_of_an_ellipse_is_longer_than_its_mean_radius_says():
    rows, columns = np.indices((241, 241), dtype=float)
    reach = np.hypot((rows - 120) / 60, (columns - 120) / 90)
    labels = np.zeros((1, 241, 241), np.uint16)
    labels[0][reach < 1.2] = 200
    labels[0][reach < 1] = 500
    _, total = endocardial_lengths_mm(chords_of(labels, (0.25, 0.25, 8.0)))
    # Half axes 15 and 22.5 mm: 4 a E(1 - b^2 / a^2), scipy's complete elliptic integral.
    assert total[0] == pytest.approx(4 * 22.5 * ellipe(1 - (60 / 90) ** 2), rel=0.01)


def test_scar_inside_the_wall_does_not_touch_the_endocardium():
    chords = chords_of(FINE.labels(Sector((0, 360), (0.3, 1.0))), FINE.spacing_mm)
    surface = endocardial_surface(chords, 8.0, None)
    assert (surface.infarct_cm2, surface.infarct_percent) == (0, 0)


def test_without_spacing_there_is_a_share_but_no_area():
    chords = chords_of(FINE.labels(Sector((0, 90))), FINE.spacing_mm)
    surface = endocardial_surface(chords, None, None)
    assert (surface.infarct_cm2, surface.total_cm2) == (None, None)
    assert surface.infarct_percent == pytest.approx(25, abs=0.2)
    assert "spacing" in surface.reason


def test_what_was_not_assessed_has_no_surface():
    surface = endocardial_surface(chords_of(FINE.labels(), FINE.spacing_mm), 8.0, "no LGE")
    assert (surface.infarct_percent, surface.reason) == (None, "no LGE")


def test_a_heart_without_cavity_has_no_surface():
    heart = RingHeart(slices=3, solid=3)
    surface = endocardial_surface(chords_of(heart.labels(), heart.spacing_mm), 8.0, None)
    assert surface.infarct_percent is None
    assert "cavity" in surface.reason

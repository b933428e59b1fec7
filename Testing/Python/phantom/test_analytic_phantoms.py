"""Volumes, transmurality and surface of bodies with a formula, at fine sampling: within 1 %.

`Testing/Scripts/measure/phantom_geometry.py` prints the errors at clinical resolution.
"""

import numpy as np
import pytest
from analytic_heart import BOTH, KINDS, AnalyticHeart

from myops.quantify.mass import MYOCARDIAL_DENSITY_G_PER_ML, tissue_masses
from myops.quantify.regional.analysis import regional

FINE_MM = (0.5, 0.6, 1.0)


@pytest.fixture(scope="module", params=KINDS)
def sampled(request):
    heart = AnalyticHeart(request.param)
    return heart, *heart.sampled(FINE_MM, np.random.default_rng(5))


@pytest.mark.slow
def test_volumes_and_masses_are_within_1_percent_of_the_formula(sampled):
    heart, labels, geometry = sampled
    found = tissue_masses(labels, BOTH, geometry.voxel_volume_ml)
    assert found["lv_myocardium"].volume_ml == pytest.approx(heart.lv_ml, rel=0.01)
    assert found["scar"].volume_ml == pytest.approx(heart.scar_ml, rel=0.01)
    assert found["scar"].mass_g == pytest.approx(
        heart.scar_ml * MYOCARDIAL_DENSITY_G_PER_ML, rel=0.01
    )
    share = 100 * heart.scar_ml / heart.lv_ml
    assert found["scar"].percent_of_lv_mass == pytest.approx(share, rel=0.01)


@pytest.mark.slow
def test_transmurality_is_within_1_percent_of_the_formula(sampled):
    heart, labels, geometry = sampled
    found = regional(labels, geometry, BOTH).whole.transmurality
    assert found.mean_percent == pytest.approx(heart.transmurality_percent / 4, rel=0.01)
    assert found.over_half_percent == pytest.approx(25.0, abs=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_scar_all_around_is_as_deep_on_every_chord(kind):
    # Without edges of a sector: chords that graze these pull the mean over scarred chords down.
    heart = AnalyticHeart(kind, scar_deg=360.0)
    labels, geometry = heart.sampled(FINE_MM, np.random.default_rng(5))
    found = regional(labels, geometry, BOTH).whole.transmurality
    assert found.mean_where_scar_percent == pytest.approx(heart.transmurality_percent, rel=0.01)
    assert found.mean_percent == pytest.approx(heart.transmurality_percent, rel=0.01)


@pytest.mark.slow
def test_endocardial_surface_is_within_1_percent_of_the_formula(sampled):
    heart, labels, geometry = sampled
    found = regional(labels, geometry, BOTH).surface
    assert found.total_cm2 == pytest.approx(heart.endocardium_cm2, rel=0.01)


def test_the_middle_slice_of_a_shell_has_its_depth_by_hand():
    # In the slice through the center of a shell the radii are 20, 27 and 30 mm: 70 % deep.
    heart = AnalyticHeart("shell")
    labels, geometry = heart.sampled(FINE_MM, np.random.default_rng(5))
    one = regional(labels, geometry, BOTH).slices[labels.shape[0] // 2]
    assert one.wall.transmurality.mean_percent == pytest.approx(70 / 4, abs=0.3)


def test_the_formulas_are_those_of_the_textbook():
    shell, tube = AnalyticHeart("shell"), AnalyticHeart("cylinder")
    assert shell.lv_ml == pytest.approx(79.587, abs=1e-3)  # 4/3 pi (27000 - 8000) mm3
    assert shell.scar_ml == pytest.approx(12.235, abs=1e-3)  # pi/3 (19683 - 8000) mm3
    assert tube.lv_ml == pytest.approx(130.376, abs=1e-3)  # pi (900 - 400) 83 mm3
    assert tube.scar_ml == pytest.approx(21.447, abs=1e-3)  # pi/4 (729 - 400) 83 mm3
    assert tube.endocardium_cm2 == pytest.approx(104.301, abs=1e-3)  # 2 pi 20 83 mm2
    # Outlines times distance miss the slope of a shell: pi^2 r^2 in place of 4 pi r^2.
    assert shell.endocardium_cm2 / (4 * np.pi * 4) == pytest.approx(np.pi / 4)


@pytest.mark.parametrize("kind", KINDS)
def test_clinical_voxels_give_the_scar_share_within_2_points(kind):
    heart = AnalyticHeart(kind)
    labels, geometry = heart.sampled((1.4, 1.4, 10.0), np.random.default_rng(1))
    found = tissue_masses(labels, BOTH, geometry.voxel_volume_ml)["scar"].percent_of_lv_mass
    assert found == pytest.approx(100 * heart.scar_ml / heart.lv_ml, abs=2.0)

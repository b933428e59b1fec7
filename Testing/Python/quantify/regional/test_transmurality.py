import numpy as np
import pytest
from ring_heart import RingHeart, Sector

from myops.quantify.regional.polar import clean_ventricle, lv_centers
from myops.quantify.regional.transmurality import CHORDS, find_chords, summarize

FINE = RingHeart(slices=3, solid=0, spacing_mm=(0.25, 0.25, 8.0), narrowing=0.0)


def chords_of(labels, spacing_mm, reference_deg=120.0, turn=1):
    cleaned = clean_ventricle(labels)
    centers = lv_centers(cleaned, spacing_mm)
    return find_chords(cleaned, centers, spacing_mm, reference_deg, turn)


def test_inner_half_of_a_quarter_is_50_percent_deep_on_24_of_96_chords():
    chords = chords_of(FINE.labels(Sector((0, 90), (0, 0.5))), FINE.spacing_mm)
    depth = chords.transmurality_percent
    assert depth.shape == (3, CHORDS)
    assert depth[:, :24].mean() == pytest.approx(50, abs=0.5)
    assert np.abs(depth[:, :24] - 50).max() < 2
    assert (depth[:, 24:] == 0).all()


@pytest.mark.parametrize(("depths", "percent"), [((0, 1), 100), ((0.3, 0.6), 30), ((0.8, 1), 20)])
def test_depth_counts_wherever_in_the_wall_the_scar_lies(depths, percent):
    chords = chords_of(FINE.labels(Sector((0, 360), depths)), FINE.spacing_mm)
    assert chords.transmurality_percent.mean() == pytest.approx(percent, abs=0.5)


def test_scar_and_its_mvo_are_one():
    sectors = Sector((0, 360), (0, 0.5)), Sector((0, 360), (0, 0.25), value=2222)
    chords = chords_of(FINE.labels(*sectors), FINE.spacing_mm)
    assert chords.transmurality_percent.mean() == pytest.approx(50, abs=0.5)


@pytest.mark.parametrize("spacing", [(1.4, 1.4, 8.0), (1.0, 1.8, 8.0), (2.0, 2.0, 10.0)])
def test_clinical_pixels_cost_less_than_three_percent_points_in_the_mean(spacing):
    heart = RingHeart(slices=3, solid=0, spacing_mm=spacing, narrowing=0.0)
    chords = chords_of(heart.labels(Sector((0, 90), (0, 0.6))), spacing)
    assert chords.transmurality_percent[:, 1:23].mean() == pytest.approx(60, abs=3)


def test_a_wall_of_one_pixel_has_chords_all_around():
    heart = RingHeart(
        slices=3, solid=0, spacing_mm=(2.0, 2.0, 8.0), inner_mm=28.0, outer_mm=30.4, narrowing=0.0
    )
    chords = chords_of(heart.labels(Sector((0, 180))), heart.spacing_mm)
    assert chords.assessed.mean() > 0.95
    depth = np.nan_to_num(chords.transmurality_percent)
    assert depth[:, 2:46][chords.assessed[:, 2:46]].min() == 100
    assert depth[:, 50:94].max() == 0


def test_an_outflow_tract_has_no_chords_and_leaves_the_others_alone():
    labels = FINE.labels(Sector((0, 90), (0, 0.5)))
    opened = FINE.labels(Sector((0, 90), (0, 0.5)), Sector((300, 360), value=500))
    closed, open_ring = (chords_of(one, FINE.spacing_mm) for one in (labels, opened))
    assert not open_ring.assessed[:, 80:].any()
    assert open_ring.assessed[:, :80].all()
    same = open_ring.transmurality_percent[:, :80] - closed.transmurality_percent[:, :80]
    assert np.abs(same).max() < 2


def test_an_open_slice_takes_the_center_of_the_ring_below():
    heart = RingHeart(slices=4, solid=0, narrowing=0.0)
    labels = heart.labels(Sector((90, 360), slices=(0, 1), value=0))
    labels[0][labels[0] == 500] = 0
    centers = lv_centers(clean_ventricle(labels), heart.spacing_mm)
    assert centers[0].tolist() == centers[1].tolist()
    chords = chords_of(labels, heart.spacing_mm)
    assert chords.assessed[0].tolist() == [True] * 24 + [False] * 72


@pytest.mark.parametrize("gap_deg", [50, 80, 150])
def test_a_ring_with_a_gap_takes_the_center_of_the_closed_one_beside_it(gap_deg):
    """Its own centroid lies off the middle, and every depth along its rays would be another one."""
    heart = RingHeart(slices=4, solid=0, narrowing=0.0)
    scar = Sector((0, 360), (0, 0.5))
    labels = heart.labels(scar, Sector((360 - gap_deg, 360), slices=(0, 1), value=0))
    cleaned = clean_ventricle(labels)
    centers = lv_centers(cleaned, heart.spacing_mm)
    middle = [(length - 1) / 2 for length in labels.shape[1:]]
    assert centers[0] == pytest.approx(middle, abs=0.1)
    chords = chords_of(labels, heart.spacing_mm)
    there = chords.assessed[0]
    assert there.mean() == pytest.approx(1 - gap_deg / 360, abs=0.03)
    assert chords.transmurality_percent[0][there].mean() == pytest.approx(50, abs=1.5)
    # But for the rim of the gap.
    assert (np.abs(chords.endocardium_mm[0][there] - 20) < 1).mean() > 0.95


def test_muscle_inside_the_cavity_is_no_wall():
    labels = FINE.labels()
    middle = np.array(labels.shape[1:]) // 2
    labels[:, middle[0] - 60 : middle[0] - 40, middle[1] - 10 : middle[1] + 10] = 2221
    chords = chords_of(labels, FINE.spacing_mm)
    assert chords.transmurality_percent.max() == 0
    assert chords.endocardium_mm == pytest.approx(20, abs=0.3)


def test_a_speck_of_wall_far_from_the_heart_moves_nothing():
    labels = FINE.labels(Sector((0, 90), (0, 0.5)))
    specked = labels.copy()
    specked[:, 2:6, 2:6] = 2221
    plain, with_speck = (chords_of(one, FINE.spacing_mm) for one in (labels, specked))
    assert np.array_equal(plain.transmurality_percent, with_speck.transmurality_percent)


def test_an_unlabeled_cavity_inside_a_ring_is_a_cavity():
    labels = FINE.labels(Sector((0, 90), (0, 0.5)))
    hollow = np.where(labels == 500, 0, labels).astype(np.uint16)
    filled, empty = (chords_of(one, FINE.spacing_mm) for one in (labels, hollow))
    assert np.array_equal(filled.transmurality_percent, empty.transmurality_percent)


def test_the_apex_beyond_the_cavity_has_no_chords():
    heart = RingHeart(slices=4, solid=2)
    chords = chords_of(heart.labels(), heart.spacing_mm)
    assert chords.assessed.any(axis=1).tolist() == [True, True, False, False]


def test_wall_at_the_image_border_is_cut_not_wrapped():
    heart = RingHeart(slices=3, solid=0, narrowing=0.0, septum=False)
    whole = heart.labels(Sector((0, 360), (0, 0.5)))
    middle = whole.shape[1] // 2
    half = np.ascontiguousarray(whole[:, middle:])
    half_chords = chords_of(half, heart.spacing_mm, reference_deg=180.0)
    # The image holds the lower half: 180 to 360 degrees as displayed.
    assert np.nanmean(half_chords.transmurality_percent) == pytest.approx(50, abs=5)


def test_a_summary_says_mean_depth_and_share_above_half():
    found = summarize(np.array([0.0, 0.0, 50.0, 60.0, 100.0, np.nan]))
    # 210 / 5; 210 / 3; 60 and 100 of five are above half, 50 is not.
    assert found.chords == 5
    assert found.mean_percent == pytest.approx(42)
    assert found.mean_where_scar_percent == pytest.approx(70)
    assert found.over_half_percent == pytest.approx(40)


def test_no_scar_is_depth_zero_and_no_chord_is_no_number():
    assert summarize(np.zeros(4)).mean_percent == 0
    assert summarize(np.zeros(4)).mean_where_scar_percent is None
    nothing = summarize(np.array([np.nan]))
    assert (nothing.chords, nothing.mean_percent, nothing.over_half_percent) == (0, None, None)

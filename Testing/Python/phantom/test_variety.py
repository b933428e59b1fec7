"""The wider phantom that training uses; the held-out patients must not change with it."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from myops.phantom.contrast import bssfp_contrast, lge_contrast
from myops.phantom.domain_randomization import (
    grade_scar,
    motion_blur,
    slice_gains,
    surface_coil,
    uneven_muscle,
    widen_contrast,
    widen_heart,
)
from myops.phantom.heart import draw_heart, sample_heart, wall_thickness
from myops.phantom.patient import SHADINGS, PhantomConfig, generate_patient
from myops.phantom.tissue import (
    LV_BLOOD,
    MYOCARDIUM,
    PAPILLARY,
    SCAR,
    SCAR_CHRONIC,
    TISSUE_COUNT,
    sample_tissues,
)

WIDE = PhantomConfig(view="heart", wide=True)


def fingerprint(patient) -> str:
    digest = hashlib.sha256(patient.labels.tobytes())
    for name in sorted(patient.images):
        digest.update(np.round(patient.images[name]).astype(np.int32).tobytes())
    return digest.hexdigest()


@pytest.mark.slow
def test_the_wide_phantom_is_the_same_for_the_same_seed_and_differs_from_the_standard_one():
    first, second = generate_patient(5, WIDE), generate_patient(5, WIDE)
    assert fingerprint(first) == fingerprint(second)
    assert fingerprint(first) != fingerprint(generate_patient(5, PhantomConfig(view="heart")))


def test_the_standard_heart_has_no_spongy_layer_and_the_same_random_numbers_as_before():
    rng, again = np.random.default_rng(3), np.random.default_rng(3)
    heart = sample_heart(rng, "acute")
    widened = widen_heart(np.random.default_rng(1), sample_heart(again, "acute"))
    assert heart.trabecula_layer_mm == 0
    assert rng.random() == again.random()  # the widening draws from numbers of its own
    assert widened.septum_angle == heart.septum_angle


def test_wide_hearts_span_what_the_standard_ones_do_not():
    hearts = [
        widen_heart(np.random.default_rng(k), sample_heart(np.random.default_rng(k), "chronic"))
        for k in range(200)
    ]
    assert min(h.radius_mm for h in hearts) < 25 and max(h.radius_mm for h in hearts) > 48
    assert max(h.rv_reach for h in hearts) > 1.9 and max(h.rv_apex for h in hearts) > 1.1
    depths = [i.transmurality for h in hearts for i in h.infarcts]
    assert min(depths) < 0.35 and max(depths) > 1.2
    assert 0.5 < np.median(depths) < 0.8  # two thirds of the wall
    assert all(share <= 0.95 for h in hearts for _, share, *_ in h.papillary)


def test_the_spongy_layer_looks_like_muscle_inside_the_cavity_alone():
    heart = sample_heart(np.random.default_rng(0), "none")
    heart = heart.__class__(**{**heart.__dict__, "papillary": [], "trabecula_layer_mm": 6.0})
    y, x = np.mgrid[-60:60, -60:60].astype(np.float32)
    patches = np.full(x.shape, 0.3, np.float32)  # everywhere above the threshold
    tissue = np.zeros(x.shape, np.uint8)
    draw_heart(tissue, heart, x, y, np.full(x.shape, 0.4, np.float32), patches)
    plain = np.zeros(x.shape, np.uint8)
    heart = heart.__class__(**{**heart.__dict__, "trabecula_layer_mm": 0.0})
    draw_heart(plain, heart, x, y, np.full(x.shape, 0.4, np.float32), patches)
    spongy = tissue == PAPILLARY
    assert spongy.any() and (plain[spongy] == LV_BLOOD).all()
    np.testing.assert_array_equal(tissue == MYOCARDIUM, plain == MYOCARDIUM)
    # About 6 mm of the cavity's edge: its area is the layer's length times 6 mm.
    cavity_radius_mm = np.sqrt((plain == LV_BLOOD).sum() / np.pi)
    expected_mm2 = np.pi * (cavity_radius_mm**2 - (cavity_radius_mm - 6) ** 2)
    assert spongy.sum() == pytest.approx(expected_mm2, rel=0.1)


def test_scar_is_as_bright_as_blood_in_a_part_of_the_lge_images_and_in_no_other():
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        table, _ = lge_contrast(rng, sample_tissues(rng), 4)
        widened = widen_contrast(rng, "lge", table)
        ratio = widened[:, SCAR] / widened[:, LV_BLOOD]
        found.append(bool((widened[:, SCAR] != table[:, SCAR]).any()))
        if found[-1]:
            assert (ratio > 0.87).all() and (ratio < 1.16).all()
            np.testing.assert_array_equal(widened[:, SCAR], widened[:, SCAR_CHRONIC])
        np.testing.assert_array_equal(widened[:, MYOCARDIUM], table[:, MYOCARDIUM])
    assert 0.2 < np.mean(found) < 0.7
    rng = np.random.default_rng(0)
    table, _ = bssfp_contrast(rng, sample_tissues(rng), 4)
    widened = widen_contrast(rng, "bssfp", table)
    assert widened.shape == (4, TISSUE_COUNT) and (widened[:, SCAR] == table[:, SCAR]).all()


def test_slice_gains_are_positive_and_mostly_one():
    gains = [slice_gains(np.random.default_rng(seed), 9) for seed in range(200)]
    assert all(g.shape == (9, 1, 1) and g.dtype == np.float32 and (g > 0).all() for g in gains)
    assert 0.5 < np.mean([bool((g == 1).all()) for g in gains]) < 0.75


def test_wide_patients_have_the_labels_of_myops():
    patient = generate_patient(8, PhantomConfig(view="heart", wide=True, normal_share=0.0))
    assert set(np.unique(patient.labels)) <= {0, 200, 500, 600, 1220, 2221}
    assert (patient.labels == 2221).any()
    assert all(np.isfinite(image).all() for image in patient.images.values())


def test_a_fresh_infarct_swells_the_wall_and_an_old_one_may_thin_it():
    fresh, old = (
        [widen_heart(np.random.default_rng(k), sample_heart(np.random.default_rng(k), kind))
         for k in range(150)]
        for kind in ("acute", "chronic")
    )  # fmt: skip
    assert all(-0.7 <= h.thinning <= 0 for h in fresh)
    assert np.mean([h.thinning < 0 for h in fresh]) == pytest.approx(0.8, abs=0.1)
    assert any(h.thinning > 0.3 for h in old) and any(h.thinning < 0 for h in old)
    heart = next(h for h in fresh if h.thinning < -0.5 and h.infarcts[0].transmurality > 0.8)
    infarct = heart.infarcts[0]
    middle = np.array([infarct.angle], np.float32)
    level = np.array([infarct.level], np.float32)
    plain = heart.__class__(**{**heart.__dict__, "thinning": 0.0})
    ratio = wall_thickness(heart, middle, level) / wall_thickness(plain, middle, level)
    # In the middle of the scar the extent is 1: 1 - thinning x transmurality.
    assert ratio[0] == pytest.approx(1 - heart.thinning * min(infarct.transmurality, 1), rel=1e-3)


def test_surviving_muscle_takes_contrast_from_scar_alone_and_never_all_of_it():
    share = np.zeros((4, 30, 30), np.float32)
    share[:, 10:20, 10:20] = 1
    share[:, 20:22, 10:20] = 0.5
    found = [grade_scar(np.random.default_rng(k), share, (8.0, 1.5, 1.5)) for k in range(30)]
    for missing in found:
        assert not missing[share == 0].any()
        assert missing.min() >= 0 and missing.max() <= 0.85
        assert (missing[share == 0.5] <= 0.425).all()
    means = [m[share == 1].mean() for m in found]
    assert min(means) < 0.1 and max(means) > 0.25


def test_motion_blurs_half_of_the_images_in_the_plane_and_keeps_their_sum():
    point = np.zeros((3, 41, 41), np.float32)
    point[1, 20, 20] = 1
    blurred = [motion_blur(np.random.default_rng(k), point, 1.0) for k in range(60)]
    changed = [b for b in blurred if b[1, 20, 20] < 1]
    assert 0.3 < len(changed) / len(blurred) < 0.7
    for image in changed:
        assert not image[[0, 2]].any()  # never from slice to slice
        assert image.sum() == pytest.approx(1, rel=1e-3)


def test_healthy_muscle_is_uneven_in_most_hearts_and_never_as_bright_as_scar():
    share = np.zeros((6, 40, 40), np.float32)
    share[:, 10:30, 10:30] = 1
    share[:, 30:32, 10:30] = 0.5
    found = [uneven_muscle(np.random.default_rng(k), share, (8.0, 1.5, 1.5)) for k in range(80)]
    for bright in found:
        assert bright.dtype == np.float32 and bright.shape == share.shape
        assert not bright[share == 0].any()
        assert bright.min() >= 0 and bright.max() <= 0.45
        assert (bright[share == 0.5] <= 0.225).all()
    uneven = [bright for bright in found if bright.any()]
    assert 0.45 < len(uneven) / len(found) < 0.75
    # One wall is brighter than the one across from it, in many by a tenth of scar's contrast.
    across = [abs(b[:, 10:15, 10:30].mean() - b[:, 25:30, 10:30].mean()) for b in uneven]
    assert max(across) > 0.1


def test_a_surface_coil_falls_off_evenly_and_is_1_in_the_middle():
    gains = [surface_coil(np.random.default_rng(k), (3, 101, 141), 1.5) for k in range(60)]
    falling = [gain for gain in gains if not (gain == 1).all()]
    assert 0.3 < len(falling) / len(gains) < 0.7
    for gain in falling:
        assert gain.shape == (1, 101, 141) and gain.dtype == np.float32
        assert gain[0, 50, 70] == pytest.approx(1)
        slope = np.gradient(np.log(gain[0].astype(float)), 1.5)  # 1/mm, along rows and columns
        strength = np.hypot(slope[0], slope[1])
        assert strength.min() >= 1 / 400 - 1e-5 and strength.max() <= 1 / 80 + 1e-5
        assert np.ptp(strength) < 1e-5  # the same everywhere


def test_the_muscle_of_a_healthy_wide_heart_varies_more_than_with_an_even_one(monkeypatch):
    config = PhantomConfig(view="heart", dropout=False, wide=1.0, normal_share=1.0, artifacts=False)
    spread = []
    for even in (False, True):
        if even:
            monkeypatch.setattr("myops.phantom.patient.SHADINGS", SHADINGS[:1])
        ratios = []
        for patient in (generate_patient(seed, config) for seed in range(2)):
            image, muscle = patient.images["lge"], patient.labels == 200
            blood = image[patient.labels == 500].mean()
            ratios.append(image[muscle].std() / abs(blood))
        spread.append(np.mean(ratios))
    assert spread[0] > spread[1]

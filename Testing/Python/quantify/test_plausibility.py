"""What lies outside the networks' knowledge: measures by hand, then images of other things."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from circle_heart import spacing_unknown
from other_things import BRAINS, SPACING_MM, THINGS, brain, draw

from myops.cascade.segment import segment
from myops.case import case_from_images
from myops.errors import InputError
from myops.labels import MYOPS
from myops.phantom.patient import PhantomConfig, generate_patient
from myops.quantify.plausibility import LIMITS, plausibility, plausibility_warnings
from myops.weights.files import load_models

SPACING = (1.5, 2.0, 8.0)
NORMAL, BLOOD, RIGHT = (MYOPS[n] for n in ("normal_myocardium", "blood_pool", "right_ventricle"))
SHAPE = (10, 120, 120)


@pytest.fixture(scope="module")
def models():
    return load_models("cpu")


def as_case(array, spacing=SPACING, name="lge"):
    image = sitk.GetImageFromArray(np.asarray(array, np.float32))
    image.SetSpacing([float(s) for s in spacing])
    image.SetOrigin((-70.0, 20.0, 5.0))
    return case_from_images({name: image})


def drawn_heart(shift_mm=0.0, radius_mm=30.0, stretch=1.0, right=True, slices=8):
    """Rings of 30 mm around a cavity of 18 mm, moved by `shift_mm` in y from slice to slice."""
    z, y, x = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    from_center = np.hypot(
        (y - 60) * SPACING[1] - (z - 5) * shift_mm, (x - 60) * SPACING[0] / stretch
    )
    within = (z >= 1) & (z < 1 + slices)
    labels = np.zeros(SHAPE, np.uint16)
    labels[within & (from_center < radius_mm)] = NORMAL
    labels[within & (from_center < 0.6 * radius_mm)] = BLOOD
    if right:
        labels[(labels == 0) & within & (x < 30) & (np.abs(y - 60) < 10)] = RIGHT
    return labels


def image_of(labels, blood=200.0, muscle=60.0, noise=10.0, seed=0):
    image = np.full(labels.shape, 30.0)
    image[labels == NORMAL], image[labels == BLOOD] = muscle, blood
    return image + np.random.default_rng(seed).normal(0, noise, labels.shape)


def measures(labels, certainty=0.97, **image):
    """By hand-made labels; the geometry stays as it is stored, the drawn one."""
    case = as_case(image_of(labels, **image))
    assert case.geometry.array_shape == labels.shape
    lv = np.where(np.isin(labels, (NORMAL, BLOOD)), certainty, 0)
    return plausibility(case, labels, lv), plausibility_warnings(case, labels, lv)


def test_a_heart_of_known_size_is_measured_right_and_raises_no_warning():
    found, sentences = measures(drawn_heart())
    assert found["lv_volume_ml", ""] == pytest.approx(np.pi * 30**2 * 64 / 1000, rel=0.03)
    assert found["lv_length_mm", ""] == 64
    assert found["lv_radius_mm", ""] == pytest.approx(30, rel=0.015)
    # 20 rows less one (|y - 60| < 10) of 2 mm and 30 columns of 1.5 mm, 8 slices of 8 mm.
    assert found["right_ventricle_ml", ""] == pytest.approx(19 * 30 * 1.5 * 2 * 64 / 1000)
    assert found["outline_certainty", ""] == pytest.approx(0.97)
    assert found["slice_overlap", ""] == 1 and found["slice_shift_mm", ""] == 0
    assert found["elongation", ""] == pytest.approx(1, abs=0.01)
    # (200 - 60) / 10 by definition: both tissues have the same noise.
    assert found["contrast", "lge"] == pytest.approx(14, rel=0.05)
    assert sentences == ()


def test_an_outline_that_jumps_from_slice_to_slice_is_told():
    found, sentences = measures(drawn_heart(shift_mm=8))
    # Two circles of radius r whose centers are d apart share 2 r^2 acos(d/2r) - d/2 sqrt(4r^2-d^2).
    r, d = 30.0, 8.0
    shared = 2 * r**2 * np.arccos(d / (2 * r)) - d / 2 * np.sqrt(4 * r**2 - d**2)
    assert found["slice_overlap", ""] == pytest.approx(shared / (np.pi * r**2), rel=0.01)
    assert found["slice_shift_mm", ""] == pytest.approx(8, abs=0.1)
    assert len(sentences) == 1 and "found 8" in sentences[0] and "at most 6" in sentences[0]


def test_an_ellipse_has_the_ratio_of_its_axes():
    found, sentences = measures(drawn_heart(stretch=0.6))
    assert found["elongation", ""] == pytest.approx(0.6, rel=0.02)
    assert [s for s in sentences if "short-axis" in s]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": drawn_heart(radius_mm=14)}, "largest radius"),
        ({"labels": drawn_heart(slices=3)}, "length of the outlined ventricle"),
        ({"labels": drawn_heart(right=False)}, "right ventricle"),
        ({"certainty": 0.8}, "mean probability"),
        ({"blood": 62.0}, "contrast of blood and muscle, SDs, in LGE"),
        ({"noise": 400.0}, "signal change from pixel to pixel"),
    ],
)
def test_each_measure_outside_its_limits_is_told_with_what_was_found(changes, words):
    _, sentences = measures(**({"labels": drawn_heart()} | changes))
    told = [s for s in sentences if words in s]
    assert len(told) == 1
    assert "found" in told[0] and "expected" in told[0]


def test_an_image_of_four_gray_values_is_told():
    labels = drawn_heart()
    image = np.where(labels > 0, np.round(image_of(labels) / 80), np.arange(SHAPE[2]))
    case = as_case(image)
    sentences = plausibility_warnings(case, labels, np.where(labels > 0, 0.97, 0))
    assert [s for s in sentences if "gray values inside the ventricle, in LGE" in s]


def test_one_slice_and_an_even_image_are_measured_without_neighbors_or_contrast():
    labels = drawn_heart(slices=1)
    case = as_case(np.where(labels > 0, np.arange(SHAPE[2]) % 2, np.arange(SHAPE[2])))
    found = plausibility(case, labels, np.where(labels > 0, 0.97, 0))
    assert not {name for name, _ in found} & {"slice_overlap", "slice_shift_mm"}
    assert found["gray_levels", "lge"] == 2


def test_every_measure_has_limits_and_every_limit_a_measure():
    found, _ = measures(drawn_heart())
    assert {name for name, _ in found} == set(LIMITS)


# --- images of other things, with the shipped networks -------------------------------------------


def noticed(case, models):
    """Refused, or told to be unlike a heart."""
    try:
        result = segment(case, models)
    except InputError as error:
        return "no heart found" in str(error)
    return any("unlike the hearts" in warning for warning in result.warnings)


@pytest.mark.slow
@pytest.mark.parametrize("name", THINGS)
@pytest.mark.parametrize("seed", [0, 1])
def test_other_things_are_refused_or_doubted(name, seed, models):
    sequence = ("lge", "bssfp")[seed]
    assert noticed(as_case(draw(name, seed), SPACING_MM, sequence), models)


@pytest.mark.slow
@pytest.mark.parametrize("name", BRAINS)
def test_a_real_brain_is_refused_or_doubted(name, models):
    found = brain(name)
    if found is None:
        pytest.skip("nibabel, whose example brains are used, is not installed")
    assert noticed(as_case(*found), models)


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize("seed", [970001, 970002, 970003])
def test_a_synthetic_heart_raises_no_warning_about_its_outline(seed, models):
    patient = generate_patient(seed, PhantomConfig(dropout=False, random_contrast_share=0))
    images = {}
    for name, array in patient.images.items():
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(patient.spacing_mm)
        image.SetOrigin((1.0, 2.0, 3.0))
        images[name] = image
    result = segment(case_from_images(images), models)
    assert not [w for w in result.warnings if "unlike the hearts" in w]


def test_without_a_spacing_nothing_in_mm_and_ml_is_measured():
    labels = drawn_heart(radius_mm=14)
    case = spacing_unknown(as_case(image_of(labels)))
    lv = np.where(np.isin(labels, (NORMAL, BLOOD)), 0.97, 0)
    found = {name for name, _ in plausibility(case, labels, lv)}
    assert not [name for name in found if name.endswith(("_mm", "_ml"))]
    assert {"outline_certainty", "slice_overlap", "elongation", "contrast"} <= found
    assert not [
        words for words in plausibility_warnings(case, labels, lv) if "mm" in words or "mL" in words
    ]

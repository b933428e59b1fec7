"""A sequence that was moved is found again, and one that was not stays where it is."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from myops.case import Case, case_from_images
from myops.errors import InputError
from myops.phantom.patient import PhantomConfig, PhantomPatient, generate_patient
from myops.registration import MAX_SHIFT_MM, Alignment, find_alignment

SEEDS = (503, 508)
# An oblique short axis: x, y and z are columns.
OBLIQUE = (0.733192, -0.104592, 0.671917, 0.660188, 0.346381, -0.666475, 0.163037, -0.932245,
           -0.323009)  # fmt: skip


@pytest.fixture(scope="module", params=SEEDS)
def patient(request: pytest.FixtureRequest) -> PhantomPatient:
    """Give a patient whose sequences lie exactly on each other."""
    config = PhantomConfig(dropout=False, upright=True, artifacts=False)
    return generate_patient(request.param, config)


def image_of(
    array: np.ndarray, spacing: tuple[float, float, float], oblique: bool = False
) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    if oblique:
        image.SetDirection(OBLIQUE)
    image.SetOrigin((-20.0, 10.0, 5.0))
    return image


def on_other_grid(image: sitk.Image) -> sitk.Image:
    size = [int(0.8 * count) for count in image.GetSize()[:2]] + [image.GetSize()[2]]
    x, y, z = image.GetSpacing()
    origin = image.TransformContinuousIndexToPhysicalPoint((1.5, 2.5, 0.0))
    grid = (origin, (1.2 * x, 1.2 * y, z), image.GetDirection())
    return sitk.Resample(image, size, sitk.Transform(), sitk.sitkLinear, *grid)


def moved(image: sitk.Image, right_mm: float, down_mm: float) -> sitk.Image:
    """Move an image along its own rows and columns."""
    axes = np.array(image.GetDirection()).reshape(3, 3).T
    copy = sitk.Image(image)
    copy.SetOrigin((np.array(image.GetOrigin()) + right_mm * axes[0] + down_mm * axes[1]).tolist())
    return copy


def off_mm(found: Alignment, image: sitk.Image, right_mm: float, down_mm: float) -> float:
    """How far a shift found is from the one that brings the image back."""
    axes = np.array(image.GetDirection()).reshape(3, 3).T
    wanted = -(right_mm * axes[0] + down_mm * axes[1])
    return float(np.linalg.norm(np.array(found.translation_mm) - wanted))


@pytest.mark.slow
@pytest.mark.parametrize("sequence", ["bssfp", "t2"])
@pytest.mark.parametrize("shift", [(3.0, 0.0), (-4.0, 6.0), (0.0, -13.5)])
def test_a_known_shift_is_found_within_a_millimeter(
    patient: PhantomPatient, sequence: str, shift: tuple[float, float]
) -> None:
    lge = image_of(patient.images["lge"], patient.spacing_mm)
    other = moved(image_of(patient.images[sequence], patient.spacing_mm), *shift)
    found = find_alignment(case_from_images({"lge": lge, sequence: other}), sequence)
    assert found.worthwhile
    assert off_mm(found, other, *shift) < 1.0
    assert found.similarity_after > found.similarity_before
    assert found.moved_mm == pytest.approx(np.linalg.norm(found.translation_mm))


def test_a_shift_is_found_on_another_oblique_grid_and_lies_in_the_slice_plane(
    patient: PhantomPatient,
) -> None:
    lge = image_of(patient.images["lge"], patient.spacing_mm, oblique=True)
    t2 = image_of(patient.images["t2"], patient.spacing_mm, oblique=True)
    other = moved(on_other_grid(t2), 7.0, -5.0)
    found = find_alignment(case_from_images({"lge": lge, "t2": other}), "t2")
    assert off_mm(found, other, 7.0, -5.0) < 1.0
    normal = np.array(OBLIQUE).reshape(3, 3)[:, 2]
    assert np.array(found.translation_mm) @ normal == pytest.approx(0.0, abs=1e-3)


@pytest.mark.slow
def test_applying_the_shift_leaves_nothing_to_find(patient: PhantomPatient) -> None:
    lge = image_of(patient.images["lge"], patient.spacing_mm)
    other = moved(image_of(patient.images["t2"], patient.spacing_mm), 6.0, 4.0)
    found = find_alignment(case_from_images({"lge": lge, "t2": other}), "t2")
    other.SetOrigin((np.array(other.GetOrigin()) + found.translation_mm).tolist())
    again = find_alignment(case_from_images({"lge": lge, "t2": other}), "t2")
    assert not again.worthwhile
    assert again.similarity_before == pytest.approx(found.similarity_after, rel=0.25)


@pytest.mark.slow
@pytest.mark.parametrize("sequence", ["bssfp", "t2"])
@pytest.mark.parametrize("other_grid", [False, True])
def test_sequences_that_lie_on_each_other_stay_where_they_are(
    patient: PhantomPatient, sequence: str, other_grid: bool
) -> None:
    lge = image_of(patient.images["lge"], patient.spacing_mm)
    other = image_of(patient.images[sequence], patient.spacing_mm)
    other = on_other_grid(other) if other_grid else other
    found = find_alignment(case_from_images({"lge": lge, sequence: other}), sequence)
    assert not found.worthwhile
    assert found.translation_mm == (0.0, 0.0, 0.0)
    assert "nothing was moved" in found.note


def test_a_shift_around_a_known_heart_is_found(patient: PhantomPatient) -> None:
    lge = image_of(patient.images["lge"], patient.spacing_mm)
    other = moved(image_of(patient.images["t2"], patient.spacing_mm), -8.0, 3.0)
    z, y, x = (float(places.mean()) for places in np.nonzero(patient.labels))
    heart = lge.TransformContinuousIndexToPhysicalPoint((x, y, z))
    found = find_alignment(case_from_images({"lge": lge, "t2": other}), "t2", heart)
    assert off_mm(found, other, -8.0, 3.0) < 1.0


def noise_case(names: tuple[str, str], shape: tuple[int, int, int] = (6, 100, 100)) -> Case:
    rng = np.random.default_rng(0)
    return case_from_images(
        {name: image_of(rng.normal(300, 50, shape), (1.5, 1.5, 8.0)) for name in names}
    )


def test_images_with_nothing_in_common_are_not_moved() -> None:
    assert not find_alignment(noise_case(("lge", "t2")), "t2").worthwhile


def test_a_single_small_slice_is_no_error() -> None:
    found = find_alignment(noise_case(("lge", "t2"), (1, 20, 20)), "t2")
    assert found.moved_mm <= MAX_SHIFT_MM


def test_nothing_is_proposed_beyond_the_largest_shift(patient: PhantomPatient) -> None:
    lge = image_of(patient.images["lge"], patient.spacing_mm)
    other = moved(image_of(patient.images["bssfp"], patient.spacing_mm), 40.0, 0.0)
    found = find_alignment(case_from_images({"lge": lge, "bssfp": other}), "bssfp")
    assert found.moved_mm <= MAX_SHIFT_MM


@pytest.mark.parametrize("wrong", ["lge", "bssfp", "color"])
def test_the_reference_and_absent_sequences_are_refused(wrong: str) -> None:
    with pytest.raises(InputError, match="beside the reference lge"):
        find_alignment(noise_case(("lge", "t2")), wrong)


def test_images_that_hardly_share_the_field_around_the_heart_are_refused() -> None:
    rng = np.random.default_rng(0)
    lge = image_of(rng.normal(300, 50, (6, 200, 200)), (1.5, 1.5, 8.0))
    far = moved(image_of(rng.normal(300, 50, (6, 60, 60)), (1.5, 1.5, 8.0)), 0.0, 0.0)
    with pytest.raises(InputError, match="share the field around the heart"):
        find_alignment(case_from_images({"lge": lge, "t2": far}), "t2")

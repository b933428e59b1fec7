import json

import numpy as np
import pytest
import SimpleITK as sitk
from oblique import OBLIQUE
from scipy.ndimage import gaussian_filter

from myops.errors import InputError
from myops.evaluation.metrics import (
    compare,
    compare_files,
    compare_masks,
    summarize,
    surface_distances_mm,
)
from myops.io.atomic import write_image

SPACING = (1.0, 2.0, 10.0)


def line(*filled: int) -> np.ndarray:
    mask = np.zeros((1, 1, 12), bool)
    mask[0, 0, list(filled)] = True
    return mask


def blob(seed: int, shape: tuple[int, int, int] = (8, 24, 20)) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=shape)
    return gaussian_filter(noise, (1, 3, 3)) > 0.02


def test_dice_and_rates_by_hand() -> None:
    # Truth 4 voxels, prediction 3, common 2, image 12.
    found = compare_masks(line(2, 3, 7), line(0, 1, 2, 3), SPACING)
    assert found.dice == pytest.approx(2 * 2 / 7)
    assert found.sensitivity == pytest.approx(2 / 4)
    assert found.precision == pytest.approx(2 / 3)
    assert found.specificity == pytest.approx(7 / 8)
    assert found.volume_prediction_ml == pytest.approx(0.06)
    assert found.volume_truth_ml == pytest.approx(0.08)
    assert found.reason == ""


@pytest.mark.parametrize(
    ("step", "distance_mm"),
    [((0, 0, 3), 3.0), ((0, 3, 0), 6.0), ((1, 0, 0), 10.0), ((1, 2, 3), np.sqrt(100 + 16 + 9))],
)
def test_distances_use_the_spacing_of_their_axis(step, distance_mm) -> None:
    first = np.zeros((3, 5, 6), bool)
    second = first.copy()
    first[0, 0, 0] = True
    second[step] = True
    assert surface_distances_mm(first, second, SPACING) == pytest.approx((distance_mm,) * 2)


def test_the_larger_directed_distance_counts_and_95_percent_leaves_out_one_stray_voxel() -> None:
    # 100 voxels on a line of 1 mm steps, and one stray voxel 50 mm beyond the end.
    truth = np.zeros((1, 1, 200), bool)
    truth[0, 0, :100] = True
    prediction = truth.copy()
    prediction[0, 0, 149] = True
    hd_mm, hd95_mm = surface_distances_mm(prediction, truth, (1.0, 1.0, 1.0))
    assert hd_mm == pytest.approx(50.0)
    # On a line of one voxel's width every voxel is surface: the 95th percentile of 101 is 0.
    assert hd95_mm == pytest.approx(0.0)
    assert surface_distances_mm(truth, prediction, (1.0, 1.0, 1.0))[0] == pytest.approx(50.0)


def test_an_inner_surface_counts_as_surface() -> None:
    full = np.zeros((9, 9, 9), bool)
    full[1:8, 1:8, 1:8] = True
    thin, thick = full.copy(), full.copy()
    thin[2:7, 2:7, 2:7] = False
    thick[3:6, 3:6, 3:6] = False
    # A shell of one voxel is the surface of the box; one of two voxels has another, 1 mm inside.
    assert surface_distances_mm(full, thin, (1.0, 1.0, 1.0))[0] == pytest.approx(0.0)
    assert surface_distances_mm(full, thick, (1.0, 1.0, 1.0))[0] == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(5))
def test_overlap_and_hausdorff_agree_with_simpleitk(seed) -> None:
    first, second = blob(seed), blob(seed + 100)
    images = []
    for mask in (first, second):
        image = sitk.GetImageFromArray(mask.astype(np.uint8))
        image.SetSpacing(SPACING)
        images.append(image)
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*images)
    found = compare_masks(first, second, SPACING)
    assert found.dice == pytest.approx(overlap.GetDiceCoefficient())
    assert 1 - found.precision == pytest.approx(overlap.GetFalseDiscoveryRate())
    assert 1 - found.sensitivity == pytest.approx(overlap.GetFalseNegativeError())
    # SimpleITK measures from all voxels of a set: give it the surfaces, found by its own contour.
    contours = [
        sitk.BinaryContour(sitk.ConstantPad(image, (1, 1, 1), (1, 1, 1), 0)) for image in images
    ]
    hausdorff = sitk.HausdorffDistanceImageFilter()
    hausdorff.Execute(*contours)
    assert found.hd_mm == pytest.approx(hausdorff.GetHausdorffDistance(), rel=1e-5)


def test_95th_percentile_agrees_with_brute_force() -> None:
    first, second = blob(3, (4, 12, 10)), blob(4, (4, 12, 10))
    padded = [np.pad(mask, 1) for mask in (first, second)]
    points = []
    for mask in padded:
        neighbors = np.stack([np.roll(mask, step, axis) for axis in range(3) for step in (-1, 1)])
        surface = mask & ~neighbors.all(axis=0)
        points.append(np.argwhere(surface) * np.array(SPACING[::-1]))
    apart = np.linalg.norm(points[0][:, None] - points[1][None], axis=-1)
    directed = [np.percentile(apart.min(axis=1), 95), np.percentile(apart.min(axis=0), 95)]
    assert surface_distances_mm(first, second, SPACING)[1] == pytest.approx(max(directed))


@pytest.mark.parametrize(
    ("seed", "hd_mm", "hd95_mm"),
    [(0, 12.328828, 8.985570), (1, 17.088007, 12.369317), (2, 16.733200, 12.932419)],
)
def test_distances_agree_with_monai_1_6_given_the_spacing(seed, hd_mm, hd95_mm) -> None:
    # monai.metrics.compute_hausdorff_distance(spacing=(10, 2, 1), percentile=None and 95), float32.
    found = surface_distances_mm(blob(seed), blob(seed + 100), SPACING)
    assert found == (pytest.approx(hd_mm, abs=2e-5), pytest.approx(hd95_mm, abs=2e-5))


def test_empty_masks_give_none_with_a_reason_and_never_a_number() -> None:
    nothing, something = line(), line(4)
    both = compare_masks(nothing, nothing, SPACING)
    assert (both.dice, both.hd_mm, both.hd95_mm, both.sensitivity, both.precision) == (None,) * 5
    assert both.reason == "prediction and truth are empty"
    missed = compare_masks(nothing, something, SPACING)
    assert (missed.dice, missed.sensitivity) == (0.0, 0.0)
    assert (missed.hd_mm, missed.precision) == (None, None)
    assert missed.reason == "the prediction is empty"
    invented = compare_masks(something, nothing, SPACING)
    assert (invented.dice, invented.hd_mm, invented.sensitivity) == (None, None, None)
    assert invented.volume_prediction_ml == pytest.approx(0.02)
    assert invented.reason == "the truth is empty"
    with pytest.raises(ValueError, match="empty"):
        surface_distances_mm(nothing, something, SPACING)


def test_regions_of_two_label_maps_by_hand() -> None:
    truth = np.array([[[0, 200, 200, 500, 500, 1220, 2221, 2221, 0, 600]]])
    predicted = np.array([[[0, 200, 200, 500, 200, 2221, 2221, 1220, 0, 600]]])
    found = compare(predicted, truth, (1.0, 1.0, 1.0))
    assert list(found) == [
        "lv_region",
        "myocardium",
        "blood_pool",
        "scar",
        "edema",
        "scar_or_edema",
    ]
    assert found["lv_region"].dice == 1.0
    assert found["blood_pool"].dice == pytest.approx(2 * 1 / 3)
    assert found["myocardium"].dice == pytest.approx(2 * 5 / 11)
    assert found["scar"].dice == pytest.approx(2 * 1 / 4)
    assert found["edema"].dice == 0.0
    assert found["scar_or_edema"].dice == 1.0
    # Within the ventricle (7 voxels) 5 are not scar, and one of them is called scar.
    assert found["scar"].specificity == pytest.approx(4 / 5)
    # In the whole image 3 voxels lie outside the ventricle, and none of them is called so.
    assert found["lv_region"].specificity == 1.0
    json.dumps({name: agreement.to_dict() for name, agreement in found.items()})


def test_mvo_is_compared_where_either_map_has_it_and_counts_as_scar() -> None:
    truth = np.array([[[200, 2221, 2222, 2222, 500, 0]]])
    predicted = np.array([[[200, 2221, 2221, 2222, 500, 0]]])
    found = compare(predicted, truth, (1.0, 1.0, 1.0))
    assert found["mvo"].dice == pytest.approx(2 * 1 / 3)
    assert found["mvo"].mass_difference_g == pytest.approx(-1e-3 * 1.05)
    assert found["scar"].dice == 1.0
    one_sided = compare(np.where(predicted == 2222, 2221, predicted), truth, (1.0, 1.0, 1.0))
    assert one_sided["mvo"].dice == 0.0
    assert "mvo" not in compare(*[np.where(truth == 2222, 2221, truth)] * 2, (1.0, 1.0, 1.0))


def test_differences_in_volume_and_mass_are_prediction_minus_truth() -> None:
    truth = np.array([[[200, 200, 2221, 2221, 2221, 500]]])
    predicted = np.array([[[200, 200, 200, 200, 2221, 200]]])
    found = compare(predicted, truth, (10.0, 10.0, 10.0))
    assert found["scar"].volume_difference_ml == pytest.approx(-2.0)
    assert found["scar"].mass_difference_g == pytest.approx(-2.1)
    assert found["myocardium"].mass_difference_g == pytest.approx(1.05)
    assert found["blood_pool"].volume_difference_ml == pytest.approx(-1.0)
    # A region with blood has no myocardial mass.
    assert found["blood_pool"].mass_difference_g is None
    assert found["lv_region"].mass_difference_g is None


def test_a_cohort_counts_patients_without_mvo_as_undefined_there() -> None:
    with_mvo = np.array([[[200, 2222, 500]]])
    without = np.array([[[200, 2221, 500]]])
    patients = [compare(labels, labels, SPACING) for labels in (without, with_mvo)]
    found = summarize(patients)["mvo"]["dice"]
    assert (found.mean, found.count, found.undefined) == (1.0, 1, 1)


def test_different_shapes_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(1, 2, 3\) and \(3, 2, 1\)"):
        compare(np.zeros((1, 2, 3)), np.zeros((3, 2, 1)), SPACING)


def test_a_cohort_counts_undefined_cases_apart() -> None:
    patients = [
        {"scar": compare_masks(predicted, truth, SPACING)}
        for predicted, truth in (
            (line(1, 2), line(1, 2)),
            (line(1, 2), line(2, 3)),
            (line(), line(2, 3)),
            (line(5), line()),
        )
    ]
    dice = summarize(patients)["scar"]["dice"]
    assert (dice.count, dice.undefined) == (3, 1)
    assert dice.mean == pytest.approx(0.5)
    assert dice.sd == pytest.approx(0.5)
    assert dice.median == pytest.approx(0.5)
    assert summarize(patients)["scar"]["hd_mm"].undefined == 2
    assert summarize(patients[3:])["scar"]["dice"].mean is None


def test_files_are_compared_with_the_spacing_of_their_header(tmp_path, make_image) -> None:
    truth = np.zeros((3, 8, 8), np.float32)
    truth[1, 2:5, 2:5] = 2221
    predicted = np.roll(truth, 1, axis=2)
    paths = [tmp_path / "predicted.nii.gz", tmp_path / "truth.nrrd"]
    for path, labels in zip(paths, (predicted + 0.01, truth - 0.01), strict=True):
        write_image(make_image(labels, direction=OBLIQUE), path)
    scar = compare_files(*paths)["scar"]
    assert scar.dice == pytest.approx(6 / 9)
    assert scar.hd_mm == pytest.approx(1.5)
    assert scar.volume_truth_ml == pytest.approx(9 * 0.0225)


@pytest.mark.parametrize(
    "change",
    [{"spacing": (1.5, 1.5, 9.0)}, {"origin": (0.0, 0.0, 0.0)}, {"direction": OBLIQUE}],
)
def test_files_on_different_grids_are_refused(tmp_path, make_image, change) -> None:
    labels = np.zeros((3, 8, 8), np.uint16)
    write_image(make_image(labels), tmp_path / "a.nii.gz")
    write_image(make_image(labels, **change), tmp_path / "b.nii.gz")
    with pytest.raises(InputError, match="on the grid of the truth image"):
        compare_files(tmp_path / "a.nii.gz", tmp_path / "b.nii.gz")


def test_files_with_unknown_labels_are_refused_by_name(tmp_path, make_image) -> None:
    labels = np.full((3, 8, 8), 3, np.uint16)
    write_image(make_image(labels), tmp_path / "other.nii.gz")
    with pytest.raises(InputError, match=r"other\.nii\.gz: expected MyoPS labels .*found 3:"):
        compare_files(tmp_path / "other.nii.gz", tmp_path / "other.nii.gz")


LENGTHS = (
    "hd_mm",
    "hd95_mm",
    "volume_prediction_ml",
    "volume_truth_ml",
    "volume_difference_ml",
    "mass_difference_g",
)


def test_without_a_known_spacing_overlap_stays_and_mm_ml_and_g_go() -> None:
    found = compare_masks(line(2, 3, 7), line(0, 1, 2, 3), None, None, 1.05)
    assert [getattr(found, name) for name in LENGTHS] == [None] * 6
    assert (found.dice, found.sensitivity) == (pytest.approx(4 / 7), pytest.approx(1 / 2))
    assert found.reason.startswith("mm, mL and g are refused: the image's header holds no spacing")
    told = compare_masks(line(), line(1), None, no_spacing="refused: two spacings in one header")
    assert told.reason == (
        "the prediction is empty; mm, mL and g are refused: two spacings in one header"
    )


def test_two_files_without_spacing_give_no_distance_and_no_volume(tmp_path, make_image) -> None:
    labels = np.zeros((3, 8, 8), np.uint16)
    labels[1, 2:5, 2:5] = 2221
    write_image(make_image(labels, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)), tmp_path / "a.nii.gz")
    other = make_image(np.roll(labels, 1, axis=2), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    write_image(other, tmp_path / "b.nii.gz")
    for name, found in compare_files(tmp_path / "a.nii.gz", tmp_path / "b.nii.gz").items():
        assert [getattr(found, length) for length in LENGTHS] == [None] * 6, name
        assert "no spacing" in found.reason
    scar = compare_files(tmp_path / "a.nii.gz", tmp_path / "b.nii.gz")["scar"]
    assert scar.dice == pytest.approx(6 / 9)
    table = summarize([{"scar": scar}])["scar"]
    assert table["hd_mm"].undefined == 1 and table["dice"].count == 1


def test_a_true_1_mm_grid_that_lies_somewhere_keeps_its_mm_and_ml(tmp_path, make_image) -> None:
    labels = np.zeros((60, 60, 60), np.uint16)  # as long as a heart
    labels[1, 2:5, 2:5] = 2221
    for name, array in (("a", labels), ("b", np.roll(labels, 1, axis=2))):
        write_image(make_image(array, (1.0, 1.0, 1.0), (3.0, -20.0, 7.0)), tmp_path / f"{name}.mha")
    scar = compare_files(tmp_path / "a.mha", tmp_path / "b.mha")["scar"]
    assert (scar.hd_mm, scar.volume_truth_ml) == (pytest.approx(1.0), pytest.approx(0.009))

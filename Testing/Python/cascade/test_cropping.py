"""The way to the networks' squares and back, with positions computed by hand."""

import numpy as np
import pytest

from myops.cascade.network_inputs import (
    assn_input,
    crop_sequences,
    finder_box,
    finder_input,
    heart_box,
    present_flags,
    prsn_input,
    tissue_box,
    with_neighbors,
)
from myops.errors import InputError
from myops.geometry.square import SquareBox, crop_stack, uncrop_stack


def rectangle(rows, columns, slices=(2, 6), shape=(8, 120, 100)):
    mask = np.zeros(shape, np.float32)
    mask[slices[0] : slices[1], rows[0] : rows[1], columns[0] : columns[1]] = 1
    return mask


def test_a_crop_of_the_whole_image_at_its_own_pixels_is_the_image():
    image = np.random.default_rng(0).normal(size=(2, 64, 64)).astype(np.float32)
    box = SquareBox(center_yx=(31.5, 31.5), side_mm=64 * 1.5, spacing_yx_mm=(1.5, 1.5))
    np.testing.assert_allclose(crop_stack(image, box, 64), image, atol=1e-6)


def test_crop_pixels_lie_where_the_box_says():
    y, x = np.mgrid[:100, :100].astype(np.float32)
    image = (1000 * y + x)[None]
    # 4 pixels over 40 mm = 10 mm each, at -15, -5, 5, 15 mm around the center (50, 40);
    # rows are 2 mm apart, columns 1 mm.
    box = SquareBox(center_yx=(50.0, 40.0), side_mm=40.0, spacing_yx_mm=(2.0, 1.0))
    expected_rows = np.array([42.5, 47.5, 52.5, 57.5])
    expected_columns = np.array([25.0, 35.0, 45.0, 55.0])
    crop = crop_stack(image, box, 4)[0]
    np.testing.assert_allclose(
        crop, 1000 * expected_rows[:, None] + expected_columns[None, :], rtol=1e-5
    )


def test_coarser_pixels_average_so_that_fine_stripes_do_not_alias():
    stripes = np.zeros((1, 40, 40), np.float32)
    stripes[:, :, ::2] = 1
    box = SquareBox(center_yx=(20.0, 20.0), side_mm=20.0, spacing_yx_mm=(1.0, 1.0))
    # A triangle of half-width 2 pixels weighs a pixel and its neighbors 1/2, 1/4, 1/4 when it
    # stands on a pixel and 1/8, 3/8, 3/8, 1/8 when it stands between two: half white either way.
    np.testing.assert_allclose(crop_stack(stripes, box, 10), 0.5, atol=1e-6)


def test_outside_the_image_is_the_value_asked_for_and_inside_is_not_touched():
    image = np.full((1, 10, 10), 7, np.float32)
    box = SquareBox(center_yx=(0.0, 4.5), side_mm=10.0, spacing_yx_mm=(1.0, 1.0))
    crop = crop_stack(image, box, 10, outside=np.nan)[0]
    # Rows -4.5 ... 4.5: the first pixel reaches to -0.5, so four rows lie outside.
    assert np.isnan(crop[:4]).all()
    np.testing.assert_allclose(crop[4:], 7)


def test_label_maps_keep_their_values_and_dtype():
    labels = np.zeros((1, 30, 30), np.uint16)
    labels[:, 10:20, 10:20] = 2221
    box = SquareBox(center_yx=(14.5, 14.5), side_mm=15.0, spacing_yx_mm=(1.0, 1.0))
    crop = crop_stack(labels, box, 30)
    assert crop.dtype == np.uint16
    assert set(np.unique(crop)) == {0, 2221}
    assert (crop == 2221).sum() == 20 * 20  # 10 mm of 0.5 mm pixels, squared
    assert crop_stack(labels > 0, box, 30).dtype == bool


def test_uncropping_brings_a_crop_back_to_its_place():
    y, x = np.mgrid[:90, :70]
    disc = (np.hypot((y - 41.3) * 1.2, (x - 33.8) * 1.4) < 30).astype(np.float32)[None]
    box = SquareBox(center_yx=(40.0, 35.0), side_mm=100.0, spacing_yx_mm=(1.2, 1.4))
    back = uncrop_stack(crop_stack(disc, box, 128), box, disc.shape)
    assert back.shape == disc.shape
    assert ((back > 0.5) != (disc > 0.5)).mean() < 0.002
    corner = uncrop_stack(np.ones((1, 128, 128), np.float32), box, disc.shape)
    assert corner[0, 0, 0] == 1  # 48 mm above and 49 mm left of the center: inside the square
    assert corner[0, 89, 35] == 0  # 58.8 mm below the center: outside


def test_the_heart_box_is_centered_and_1_9_times_as_wide_as_the_ventricle():
    # Rows 40..69 of 1.5 mm = 45 mm, columns 20..59 of 1.25 mm = 50 mm.
    box = heart_box(rectangle((40, 70), (20, 60)), spacing_mm=(1.25, 1.5, 10.0))
    assert box.center_yx == pytest.approx((54.5, 39.5))
    assert box.side_mm == pytest.approx(1.9 * 50)
    assert box.spacing_yx_mm == (1.5, 1.25)


def test_the_tissue_box_is_1_3_times_as_wide_as_the_region():
    box = tissue_box(rectangle((40, 70), (20, 60)) > 0, spacing_mm=(1.25, 1.5, 10.0))
    assert box.center_yx == pytest.approx((54.5, 39.5))
    assert box.side_mm == pytest.approx(1.3 * 50)


@pytest.mark.parametrize(("width", "side_mm"), [(30, 90.0), (100, 190.0), (118, 220.0)])
def test_the_heart_box_stays_between_90_and_220_mm(width, side_mm):
    mask = rectangle((0, width), (10, 40), shape=(8, 120, 100))
    assert heart_box(mask, (1.0, 1.0, 10.0)).side_mm == pytest.approx(side_mm)


def test_the_heart_box_ignores_what_is_not_connected_to_the_ventricle():
    alone = rectangle((40, 70), (20, 60))
    with_spot = np.maximum(alone, rectangle((100, 110), (85, 95)))
    assert heart_box(with_spot, (1.25, 1.5, 10.0)) == heart_box(alone, (1.25, 1.5, 10.0))


def test_less_than_3_ml_is_no_heart():
    # 10 x 10 pixels of 1 mm in slices 10 mm apart: 1 mL per slice.
    heart_box(rectangle((10, 20), (10, 20), slices=(0, 3)), (1.0, 1.0, 10.0))
    with pytest.raises(InputError, match="no heart found.*found 2.0 mL"):
        heart_box(rectangle((10, 20), (10, 20), slices=(0, 2)), (1.0, 1.0, 10.0))
    with pytest.raises(InputError, match="no heart found"):
        heart_box(0.5 * rectangle((40, 70), (20, 60)), (1.0, 1.0, 10.0))


def test_the_finder_sees_320_mm_around_the_image_center():
    box = finder_box((12, 256, 200), (1.4, 1.2, 8.0))
    assert box == SquareBox(center_yx=(127.5, 99.5), side_mm=320.0, spacing_yx_mm=(1.2, 1.4))
    image = np.random.default_rng(0).normal(100, 20, (2, 128, 128)).astype(np.float32)
    channels = finder_input({"lge": image}, (2.5, 2.5, 8.0))
    assert channels.shape == (2, 3, 128, 128)
    assert not channels[:, [0, 2]].any()
    low, middle, high = np.percentile(image, (5, 50, 95))
    expected = np.clip((image - middle) / ((high - low) / 2), -4, 4)
    np.testing.assert_allclose(channels[:, 1], expected, atol=1e-4)


def test_what_lies_outside_the_image_does_not_change_the_normalization():
    image = np.random.default_rng(0).normal(100, 20, (2, 64, 64)).astype(np.float32)
    box = SquareBox(center_yx=(31.5, 31.5), side_mm=128.0, spacing_yx_mm=(1.0, 1.0))
    channels = assn_input(crop_sequences({"t2": image}, box, 128))
    assert not channels[:, 2, :32].any()
    inside = channels[:, 2, 32:96, 32:96]
    assert np.median(inside) == pytest.approx(0, abs=1e-6)
    assert np.ptp(np.percentile(inside, (5, 95))) == pytest.approx(2, abs=1e-5)


def test_candidates_are_zero_outside_the_region_and_one_at_its_median():
    crop = np.full((1, 4, 4), 1000, np.float32)
    region = np.zeros((1, 4, 4), bool)
    region[0, 1, :3] = True
    crop[0, 1, :3] = (10, 20, 40)
    # Percentiles 5, 50, 95 of (10, 20, 40) are 11, 20, 38: half the range is 13.5.
    candidates = prsn_input({"lge": crop}, region)[0, 1]
    expected = np.zeros((4, 4))
    expected[1, :3] = (1 - 10 / 13.5 / 4, 1, 1 + 20 / 13.5 / 4)
    np.testing.assert_allclose(candidates, expected, rtol=1e-5)


def test_candidates_are_zero_where_a_sequence_has_no_image():
    crop = np.array([[[10.0, 20.0], [np.nan, 40.0]]], np.float32)
    candidates = prsn_input({"t2": crop}, np.ones((1, 2, 2), bool))
    assert candidates[0, 2, 1, 0] == 0
    assert (candidates[0, 2, 0] > 0).all()
    assert not candidates[:, :2].any()


def test_sequences_keep_their_channel_whatever_the_order_of_the_images():
    image = np.zeros((1, 2, 2), np.float32)
    assert present_flags({"t2": image, "bssfp": image}).tolist() == [1, 0, 1]
    assert present_flags({"lge": image}).tolist() == [0, 1, 0]


def test_a_slice_with_its_neighbors_holds_the_channels_planes_side_by_side():
    stack = np.arange(3 * 2, dtype=np.float32).reshape(3, 2, 1, 1)  # slice k: channels 2k, 2k + 1
    found = with_neighbors(stack, 3)[:, :, 0, 0]
    np.testing.assert_array_equal(
        found, [[0, 0, 2, 1, 1, 3], [0, 2, 4, 1, 3, 5], [2, 4, 4, 3, 5, 5]]
    )
    assert with_neighbors(stack, 1) is stack
    np.testing.assert_array_equal(with_neighbors(stack[:1], 3)[0, :, 0, 0], [0, 0, 0, 1, 1, 1])


def test_without_a_spacing_voxels_are_counted_for_the_smallest_heart():
    # 150 voxels are 3 mL of 1.4 x 1.4 x 10 mm; as voxels of 1 mm they would be 0.15 mL.
    large = rectangle((10, 20), (10, 15), slices=(0, 3))
    heart_box(large, (1.0, 1.0, 1.0), spacing_known=False)
    tissue_box(large > 0, (1.0, 1.0, 1.0), spacing_known=False)
    with pytest.raises(InputError, match="no heart found.*found 0.1 mL"):
        heart_box(large, (1.0, 1.0, 1.0))
    with pytest.raises(InputError, match="of at least 150 voxels, found 100 voxels"):
        heart_box(large[:2], (1.0, 1.0, 1.0), spacing_known=False)

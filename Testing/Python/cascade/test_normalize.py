import numpy as np
import pytest

from myops.cascade.normalization import normalize


def test_the_median_becomes_zero_and_the_5_to_95_percent_range_two() -> None:
    # 0..1000 in equal steps: median 500, percentiles 50 and 950, half range 450.
    image = np.arange(1, 1002, dtype=np.float32).reshape(7, 11, 13) - 1
    normalized = normalize(image)
    assert normalized.dtype == np.float32
    assert normalized.ravel()[500] == pytest.approx(0.0, abs=1e-6)
    assert normalized.ravel()[950] == pytest.approx(1.0, abs=1e-5)
    assert normalized.ravel()[50] == pytest.approx(-1.0, abs=1e-5)


def test_scale_and_offset_of_the_scanner_do_not_matter(texture) -> None:
    image = texture()
    assert np.allclose(normalize(image), normalize(3.7 * image + 120.0), atol=1e-4)


def test_one_bright_vessel_does_not_change_the_rest(texture) -> None:
    image = texture()
    spiked = image.copy()
    spiked[0, 0, 0] = 1e6
    change = np.abs(normalize(spiked) - normalize(image))
    assert change[0, 0, 0] > 1.0
    assert np.delete(change.ravel(), 0).max() < 0.01
    assert normalize(spiked).max() == 4.0


def test_padding_with_zeros_does_not_shift_the_tissue(texture) -> None:
    image = texture((4, 16, 16))
    padded = np.pad(image, ((0, 0), (8, 8), (8, 8)))
    inner = normalize(padded)[:, 8:-8, 8:-8]
    assert np.allclose(inner, normalize(image), atol=1e-6)


def test_a_constant_image_becomes_zeros() -> None:
    assert not normalize(np.full((2, 4, 4), 812.0, np.float32)).any()
    assert not normalize(np.zeros((2, 4, 4), np.float32)).any()


def test_statistics_come_from_the_mask_alone(texture) -> None:
    image = texture()
    mask = np.zeros(image.shape, bool)
    mask[:, 8:16, 8:16] = True
    elsewhere = np.where(mask, image, image * 50)
    assert np.allclose(normalize(elsewhere, mask)[mask], normalize(image, mask)[mask])
    assert not normalize(image, np.zeros(image.shape, bool)).any()


def test_non_finite_voxels_become_zero_and_spoil_nothing(texture) -> None:
    image = texture()
    image[0, 0, :3] = (np.nan, np.inf, -np.inf)
    normalized = normalize(image)
    assert normalized[0, 0, :3].tolist() == [0.0, 0.0, 0.0]
    assert np.isfinite(normalized).all()

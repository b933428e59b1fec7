"""Region growing on images whose grown region can be told by hand."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from myops.case import Case, case_from_images
from myops.errors import InputError
from myops.evaluation.region_growing import RegionGrowing
from myops.refine.prompts import Point, Prompts

SIZE = 48
SCAR, NORMAL = 2221, 200
ROWS, COLUMNS = np.indices((SIZE, SIZE))


def case_of(plane: np.ndarray, t2: np.ndarray | None = None) -> Case:
    """Two slices of 1 mm pixels; the second is noise. Nothing is turned on the way."""
    rng = np.random.default_rng(0)
    images = {}
    for name, first in (("lge", plane), ("t2", t2)):
        if first is not None:
            stack = np.stack([first, rng.uniform(0, 400, first.shape)]).astype(np.float32)
            stack[0] += rng.uniform(-0.1, 0.1, first.shape)  # an image of few values is refused
            images[name] = sitk.GetImageFromArray(stack)
            images[name].SetSpacing((1.0, 1.0, 8.0))
            images[name].SetOrigin((10.0, 10.0, 10.0))
    return case_from_images(images)


def square(top: int, left: int, size: int) -> np.ndarray:
    inside = np.zeros((SIZE, SIZE), bool)
    inside[top : top + size, left : left + size] = True
    return inside


def wall(scar: np.ndarray | None = None) -> np.ndarray:
    """Label map of muscle everywhere, with a scar in the first slice."""
    labels = np.full((2, SIZE, SIZE), NORMAL, np.uint16)
    if scar is not None:
        labels[0][scar] = SCAR
    return labels


def grow(case: Case, labels: np.ndarray, *points: Point, structure: str = "scar"):
    growing = RegionGrowing()
    growing.set_case(case, None)  # type: ignore[arg-type] - region growing needs no segmentation
    return growing.predict(Prompts(structure, 0, points), labels)


def test_a_click_takes_the_bright_region_it_lies_in_and_no_other() -> None:
    bright, apart = square(10, 10, 9), square(10, 20, 4)
    case = case_of(np.where(bright | apart, 300.0, 100.0))
    grown = grow(case, wall(), Point(14, 14))
    assert np.array_equal(grown.mask, bright)
    assert grown.threshold == pytest.approx((300 + 100) / 2, abs=0.2)


def test_a_click_adds_to_the_automatic_mask() -> None:
    before, bright = square(30, 30, 5), square(10, 10, 9)
    case = case_of(np.where(bright, 300.0, 100.0))
    grown = grow(case, wall(before), Point(14, 14))
    assert np.array_equal(grown.mask, before | bright)


def test_a_negative_click_takes_the_dark_part_out_of_the_mask() -> None:
    bright, dark = square(10, 10, 12), square(10, 22, 8)
    case = case_of(np.where(bright, 300.0, 100.0))
    grown = grow(case, wall(bright | dark), Point(14, 26, positive=False))
    assert np.array_equal(grown.mask, bright)


def test_growing_ends_12_mm_from_the_click() -> None:
    plane = np.full((SIZE, SIZE), 300.0)
    plane[:, 40:] = 100.0
    labels = wall()
    labels[0][:, :40] = 1220  # told apart from normal muscle alone, which is dark
    grown = grow(case_of(plane), labels, Point(20, 20))
    assert np.array_equal(grown.mask, np.hypot(ROWS - 20, COLUMNS - 20) <= 12)


def test_scar_grows_no_further_than_3_mm_beyond_the_wall() -> None:
    labels = wall()
    labels[0][:, 24:] = 500  # blood, as bright as the scar
    bright = (COLUMNS >= 18) & (ROWS >= 14) & (ROWS < 26)
    grown = grow(case_of(np.where(bright, 300.0, 100.0)), labels, Point(20, 20))
    assert grown.mask[20, 26] and not grown.mask[20, 27]
    # 17 is the edge of the click's own disc.
    assert np.array_equal(np.flatnonzero(grown.mask[20]), np.arange(17, 27))


def test_without_contrast_a_click_still_holds_a_disc_of_3_mm() -> None:
    labels = wall(np.ones((SIZE, SIZE), bool))
    labels[0][:, :2] = NORMAL
    plane = 100.0 + 50 * ((ROWS + COLUMNS) % 2)  # no pixel is connected with its like
    grown = grow(case_of(plane), labels, Point(20, 20, positive=False))
    removed = (labels[0] == SCAR) & ~grown.mask
    assert removed[np.hypot(ROWS - 20, COLUMNS - 20) <= 3].all()


def test_an_older_click_keeps_its_disc_when_a_newer_one_grows_over_it() -> None:
    bright = square(10, 10, 9)
    case = case_of(np.where(bright, 300.0, 100.0))
    grown = grow(case, wall(), Point(11, 11, positive=False), Point(17, 17))
    kept = np.hypot(ROWS - 11, COLUMNS - 11) <= 3
    assert np.array_equal(grown.mask, (bright & ~kept) | (np.hypot(ROWS - 17, COLUMNS - 17) <= 3))


def test_edema_is_grown_in_t2() -> None:
    bright = square(20, 20, 9)
    case = case_of(np.where(square(2, 2, 5), 300.0, 100.0), t2=np.where(bright, 300.0, 100.0))
    assert np.array_equal(grow(case, wall(), Point(24, 24), structure="edema").mask, bright)


def test_the_grown_region_is_the_connected_component_that_scipy_finds() -> None:
    rng = np.random.default_rng(3)
    plane = 200 + 100 * ndimage.gaussian_filter(rng.normal(size=(SIZE, SIZE)), 2) * 6
    grown = grow(case := case_of(plane), wall(), Point(24, 24))
    image = case.images["lge"][0]
    brighter = image[23:26, 23:26].mean() > np.median(image)
    side = image >= grown.threshold if brighter else image <= grown.threshold
    near = np.hypot(ROWS - 24, COLUMNS - 24)
    parts, _ = ndimage.label(side & (near <= 12))
    component = (parts == parts[24, 24]) & (parts > 0)
    assert np.array_equal(grown.mask, component | (near <= 3))


def test_without_clicks_the_mask_stays_as_it_is() -> None:
    before = square(30, 30, 5)
    assert np.array_equal(grow(case_of(ROWS * 4.0), wall(before)).mask, before)


def test_a_click_outside_the_slice_is_refused() -> None:
    with pytest.raises(InputError, match="click inside the image"):
        grow(case_of(ROWS * 4.0), wall(), Point(SIZE, 3))


def test_a_click_before_any_case_is_an_error_of_order() -> None:
    with pytest.raises(RuntimeError, match="set_case"):
        RegionGrowing().predict(Prompts("scar", 0, (Point(1, 1),)), wall())

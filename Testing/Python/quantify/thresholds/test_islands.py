import numpy as np
import pytest
import SimpleITK as sitk

from myops.quantify.thresholds.mask_cleanup import (
    enclosed_holes,
    epicardial_border,
    without_islands,
)

SPACING_MM = (1.5, 2.0, 10.0)


def ring(size: int = 41, inner: float = 8, outer: float = 18) -> tuple[np.ndarray, np.ndarray]:
    """A ring of myocardium and its cavity, bool (1, y, x); radius in pixels."""
    rows, columns = np.indices((size, size))
    radius = np.hypot(rows - size // 2, columns - size // 2)
    return ((radius >= inner) & (radius < outer))[None], (radius < inner)[None]


def holes(mask: np.ndarray, wall: np.ndarray, blood: np.ndarray) -> np.ndarray:
    return enclosed_holes(mask, wall, epicardial_border(wall, blood))


def test_a_dark_core_inside_scar_is_a_hole():
    wall, blood = ring()
    scar = wall.copy()
    scar[0, :, :20] = False
    core = np.zeros_like(scar)
    core[0, 19:22, 32:35] = True
    np.testing.assert_array_equal(holes(scar & ~core, wall, blood) & core, core)


def test_a_dark_core_on_the_endocardium_is_a_hole():
    wall, blood = ring()
    core = np.zeros_like(wall)
    core[0, 18:23, 27:33] = True
    core &= wall
    assert (core & np.roll(blood, 1, axis=2)).any(), "it touches the cavity"
    scar = np.zeros_like(wall)
    scar[0, 12:29, 25:] = True
    scar &= wall & ~core
    np.testing.assert_array_equal(holes(scar, wall, blood), core)


def test_dark_muscle_that_reaches_the_epicardium_is_no_hole():
    wall, blood = ring()
    channel = np.zeros_like(wall)
    channel[0, 20, 30:] = True
    assert not holes(wall & ~channel, wall, blood).any()


def test_healthy_muscle_under_a_thin_rim_of_scar_is_not_filled():
    wall, blood = ring()
    rim = wall & ~ring(outer=17)[0]
    assert rim.any() and not holes(rim, wall, blood).any()


def test_a_closed_ring_has_its_cavity_without_a_blood_pool_label():
    wall, blood = ring()
    none = np.zeros_like(blood)
    np.testing.assert_array_equal(epicardial_border(wall, none), epicardial_border(wall, blood))


def test_the_edge_of_the_image_is_outside():
    wall = np.ones((1, 5, 5), bool)
    border = epicardial_border(wall, np.zeros_like(wall))
    assert border[0, 0].all() and not border[0, 1:4, 1:4].any()


def test_islands_below_an_area_are_taken_out_per_slice():
    mask = np.zeros((2, 10, 10), bool)
    mask[0, 1:3, 1:3] = True  # 4 pixels of 3 mm²: 12 mm²
    mask[1, 1, 1] = True  # 3 mm², below the first
    mask[0, 6:9, 6:9] = True  # 27 mm²
    assert without_islands(mask, SPACING_MM, smallest_mm2=12).sum() == 13
    assert without_islands(mask, SPACING_MM, smallest_mm2=12.1).sum() == 9
    assert without_islands(mask, SPACING_MM).sum() == 14


def test_islands_below_a_volume_are_taken_out_in_the_stack():
    mask = np.zeros((2, 10, 10), bool)
    mask[:, 1, 1] = True  # 2 voxels of 0.03 mL
    mask[0, 6, 6] = True
    kept = without_islands(mask, SPACING_MM, smallest_ml=0.06)
    assert kept[:, 1, 1].all() and not kept[0, 6, 6]


@pytest.mark.parametrize("seed", range(3))
def test_volume_islands_are_those_of_simpleitk(seed):
    mask = np.random.default_rng(seed).random((4, 30, 30)) < 0.12
    image = sitk.ConnectedComponent(sitk.GetImageFromArray(mask.astype(np.uint8)), True)
    relabeled = sitk.RelabelComponent(image, minimumObjectSize=4)
    expected = sitk.GetArrayFromImage(relabeled) > 0
    found = without_islands(mask, (10.0, 10.0, 10.0), smallest_ml=4)
    np.testing.assert_array_equal(found, expected)

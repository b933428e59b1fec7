from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk
from oblique import DOWN, OBLIQUE, RIGHT

from myops.geometry.canonical import (
    canonical_grid,
    from_canonical,
    through_plane_axis,
    to_canonical,
)
from myops.geometry.grid import Geometry, from_sitk, to_sitk
from myops.geometry.resampling import resample

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def test_voxel_volume_is_the_product_of_the_spacings() -> None:
    geometry = Geometry((10, 10, 5), (1.5, 2.0, 10.0))
    assert geometry.voxel_volume_ml == pytest.approx(0.03)
    assert geometry.array_shape == (5, 10, 10)


def test_positions_agree_with_simpleitk_on_an_oblique_grid(make_image, texture) -> None:
    image = make_image(texture(), direction=OBLIQUE)
    geometry = from_sitk(image)
    for index in ((0, 0, 0), (3, 7, 2), (19, 23, 5)):
        expected = image.TransformIndexToPhysicalPoint(index)
        assert geometry.position_mm(np.array(index)) == pytest.approx(expected)
        assert geometry.index_xyz(np.array(expected)) == pytest.approx(index, abs=1e-9)


def test_to_sitk_keeps_voxels_and_geometry(make_image, texture) -> None:
    image = make_image(texture(), direction=OBLIQUE)
    again = to_sitk(sitk.GetArrayFromImage(image), from_sitk(image))
    assert from_sitk(again) == from_sitk(image)
    assert np.array_equal(sitk.GetArrayFromImage(again), sitk.GetArrayFromImage(image))


def test_to_sitk_refuses_an_array_of_another_shape() -> None:
    with pytest.raises(ValueError, match=r"\(5, 10, 10\).*\(10, 10, 5\)"):
        to_sitk(np.zeros((10, 10, 5)), Geometry((10, 10, 5), (1.0, 1.0, 1.0)))


def test_grids_differ_when_only_the_thickness_of_a_single_slice_differs() -> None:
    thin = Geometry((8, 8, 1), (1.5, 1.5, 5.0))
    thick = Geometry((8, 8, 1), (1.5, 1.5, 10.0))
    assert not thin.is_same_grid(thick)
    assert thin.is_same_grid(thin)


@pytest.mark.parametrize(
    ("size", "spacing", "axis"),
    [
        ((256, 256, 12), (1.4, 1.4, 10.0), 2),
        ((12, 256, 256), (10.0, 1.4, 1.4), 0),
        # Nearly isotropic: the count decides, even though the slices are the thinnest.
        ((256, 256, 80), (1.4, 1.4, 1.25), 2),
        ((256, 90, 256), (1.0, 1.0, 1.0), 1),
        # One slice, whose thickness a converter set to 1 mm.
        ((256, 256, 1), (1.4, 1.4, 1.0), 2),
        ((64, 64, 64), (1.0, 1.0, 1.0), 2),
    ],
)
def test_the_slice_axis_is_found(size, spacing, axis) -> None:
    assert through_plane_axis(Geometry(size, spacing)) == axis


def test_an_axial_grid_and_a_true_short_axis_are_left_as_they_are() -> None:
    for direction in (IDENTITY, OBLIQUE):
        grid = canonical_grid(Geometry((20, 24, 6), (1.5, 1.5, 10.0), (0.0, 0.0, 0.0), direction))
        assert grid.order_xyz == (0, 1, 2)
        assert grid.flipped_xyz == (False, False, False)


def test_a_short_axis_stored_turned_is_shown_septum_left_and_inferior_wall_below() -> None:
    """The way a scanner stored a real short axis: rows run to the feet, columns to the right."""
    stored = tuple(np.stack([DOWN, -RIGHT, np.cross(RIGHT, DOWN)], axis=1).ravel())
    shown = canonical_grid(Geometry((20, 24, 6), (1.5, 1.5, 10.0), (0.0, 0.0, 0.0), stored))
    axes = shown.canonical_geometry.axes
    assert axes[0] == pytest.approx(RIGHT)
    assert axes[1] == pytest.approx(DOWN)
    assert axes[2] == pytest.approx(np.cross(DOWN, RIGHT)), "slices run from base to apex"


@pytest.mark.parametrize("direction", [IDENTITY, OBLIQUE], ids=["axial", "oblique"])
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_permuted_and_flipped_files_give_the_identical_canonical_array(
    make_image, texture, order, direction
) -> None:
    image = make_image(texture(), direction=direction)
    expected_grid = canonical_grid(from_sitk(image))
    expected = to_canonical(sitk.GetArrayFromImage(image), expected_grid)
    for flips in product((False, True), repeat=3):
        changed = sitk.Flip(sitk.PermuteAxes(image, order), flips)
        grid = canonical_grid(from_sitk(changed))
        array = sitk.GetArrayFromImage(changed)
        assert np.array_equal(to_canonical(array, grid), expected)
        assert grid.canonical_geometry.is_same_grid(expected_grid.canonical_geometry, 1e-9)
        assert np.array_equal(from_canonical(to_canonical(array, grid), grid), array)


def test_canonical_geometry_agrees_with_simpleitk_voxel_by_voxel(make_image, texture) -> None:
    image = sitk.Flip(
        sitk.PermuteAxes(make_image(texture(), direction=OBLIQUE), (2, 0, 1)), (True, False, True)
    )
    grid = canonical_grid(from_sitk(image))
    canonical = to_canonical(sitk.GetArrayFromImage(image), grid)
    for z, y, x in ((0, 0, 0), (5, 23, 19), (2, 10, 7)):
        position = grid.canonical_geometry.position_mm(np.array([x, y, z]))
        index = image.TransformPhysicalPointToIndex(position.tolist())
        assert canonical[z, y, x] == image[index]


def test_resampling_agrees_with_simpleitk_inside_the_field(make_image, texture) -> None:
    source = make_image(texture((6, 24, 20)), direction=OBLIQUE)
    wanted = make_image(texture((9, 30, 26)), (1.1, 1.2, 7.0), (-11.0, 8.0, 41.0), OBLIQUE)
    values, covered = resample(sitk.GetArrayFromImage(source), from_sitk(source), from_sitk(wanted))
    expected = sitk.GetArrayFromImage(
        sitk.Resample(source, wanted, sitk.Transform(), sitk.sitkLinear, -1e6)
    )
    inside = expected > -1e5
    assert inside.mean() > 0.3
    assert np.array_equal(covered, inside)
    assert np.allclose(values[inside], expected[inside], atol=0.01)


def test_half_a_slice_beyond_the_last_center_takes_the_last_slice(texture) -> None:
    source = Geometry((4, 4, 3), (1.0, 1.0, 10.0))
    target = Geometry((4, 4, 5), (1.0, 1.0, 10.0), (0.0, 0.0, -15.0))
    image = texture((3, 4, 4))
    values, covered = resample(image, source, target)
    # Target slices at -15, -5, 5, 15, 25 mm; source slices at 0, 10, 20 mm, 10 mm thick.
    assert covered[:, 0, 0].tolist() == [False, True, True, True, True]
    assert np.array_equal(values[1], image[0])
    assert np.allclose(values[2], (image[0] + image[1]) / 2, atol=1e-3)
    assert np.array_equal(values[4], image[2])
    assert np.all(values[0] == image.min())


def test_identical_grids_are_not_interpolated(texture) -> None:
    geometry = Geometry((20, 24, 6), (1.5, 1.5, 10.0))
    image = texture()
    values, covered = resample(image, geometry, geometry)
    assert values is image
    assert covered.all()


def test_noise_in_the_header_does_not_decide_between_equal_orientations() -> None:
    """A coronal oblique at exactly 45 degrees: both in-plane axes fit equally well."""
    half = np.sqrt(0.5)
    right, down = np.array([half, 0.0, -half]), np.array([-half, 0.0, -half])
    axes = np.stack([right, down, np.cross(right, down)], axis=1)
    grids = []
    for seed in range(5):
        noise = np.random.default_rng(seed).normal(0.0, 1e-8, (3, 3))
        direction = tuple((axes + noise).ravel())
        geometry = Geometry((20, 24, 6), (1.5, 1.5, 10.0), (0.0, 0.0, 0.0), direction)
        grid = canonical_grid(geometry)
        grids.append((grid.order_xyz, grid.flipped_xyz))
    assert len(set(grids)) == 1

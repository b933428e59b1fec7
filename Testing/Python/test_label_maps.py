"""Label files by place: other axes, other grids, lost headers, other conventions, other images."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import odd_heart
import pytest
import SimpleITK as sitk
from odd_heart import AFFINE, WALL_G, nifti

from myops.case import load_case
from myops.datasets import find_cases
from myops.errors import InputError
from myops.geometry.grid import from_sitk
from myops.io.images import read_image
from myops.label_maps import anatomy_warnings, inside_wall, on_grid, read_label_file, read_on_case
from myops.labels import CONVENTIONS
from myops.study.masks import scar_mass_g

LABELS, LGE = odd_heart.labels(), odd_heart.lge()
# How each convention numbers the same heart; scar is scar in MyoPS and EMIDEC alone.
NUMBERS = {
    "myops": {200: 200, 500: 500, 600: 600, 2221: 2221},
    "emidec": {200: 2, 500: 1, 600: 0, 2221: 3},
    "acdc": {200: 2, 500: 3, 600: 1, 2221: 2},
    "mnms": {200: 2, 500: 1, 600: 3, 2221: 2},
}


@pytest.fixture
def case(tmp_path):
    return load_case(lge=nifti(tmp_path / "DE.nii", LGE))


def numbered(convention: str) -> np.ndarray:
    found = np.zeros(LABELS.shape, np.uint16)
    for value, number in NUMBERS[convention].items():
        found[value == LABELS] = number
    return found


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_every_convention_gives_the_same_heart(tmp_path, case, convention):
    path = nifti(tmp_path / "gd.nii", numbered(convention))
    labels, warnings = read_on_case(path, case, convention)
    assert warnings == ()
    assert np.array_equal(labels == 500, LABELS == 500)
    wall = np.isin(labels, odd_heart.WALL)
    assert wall.sum() * 0.0225 * 1.05 == pytest.approx(WALL_G)


@pytest.mark.parametrize(("written", "read"), [("mnms", "acdc"), ("acdc", "mnms")])
def test_a_blood_pool_outside_the_wall_tells_of_another_convention(tmp_path, case, written, read):
    """The right ventricle would be measured as the left one's blood."""
    path = nifti(tmp_path / "gd.nii", numbered(written))
    _, (warning,) = read_on_case(path, case, read)
    assert "only 0% of the blood pool lies inside the myocardium" in warning
    assert "--convention" in warning


def test_a_right_ventricle_inside_the_wall_tells_of_another_convention(tmp_path, case):
    """EMIDEC labels of a heart without scar, read as ACDC's: the cavity is called RV."""
    labels = np.where(LABELS == 2221, 200, LABELS)
    array = np.select([labels == 500, labels == 200], [1, 2], 0).astype(np.uint16)
    _, (warning,) = read_on_case(nifti(tmp_path / "gd.nii", array), case, "acdc")
    assert "of the right ventricle lies inside the myocardium of the left" in warning


def test_the_heart_of_every_convention_has_its_blood_inside():
    blood, right = inside_wall(LABELS)
    assert blood == pytest.approx(1.0) and right == pytest.approx(0.0, abs=0.06)
    assert anatomy_warnings(np.zeros((3, 8, 8), np.uint16), "x") == []
    line = np.zeros((1, 80, 80), np.uint16)
    line[0, 40] = 200
    line[0, 41, :5] = 500
    assert anatomy_warnings(line, "x") != []  # a wall without area has nothing inside


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("flips", [(False, False, False), (True, False, True)])
def test_axes_stored_in_another_order_are_brought_over(tmp_path, case, order, flips):
    image = sitk.Flip(sitk.PermuteAxes(_image(LABELS), order), flips)
    sitk.WriteImage(image, str(tmp_path / "gd.nii.gz"))
    labels, warnings = read_on_case(tmp_path / "gd.nii.gz", case)
    assert warnings == ()
    np.testing.assert_array_equal(labels, read_on_case(_plain(tmp_path), case)[0])


def _image(array: np.ndarray) -> sitk.Image:
    """On the heart's grid: NIfTI's RAS axes are LPS with two signs turned."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.5, 1.5, 10.0))
    image.SetOrigin((-70.0, -60.0, -40.0))
    return image


def _plain(folder: Path) -> Path:
    return nifti(folder / "plain.nii", LABELS)


@pytest.mark.parametrize(
    "move", [(0.75, 0, 0), (0, 40, 0), (0, 0, 10)], ids=["half a pixel", "40 mm", "a slice"]
)
def test_labels_at_other_places_are_refused_by_every_reader(tmp_path, case, move):
    affine = AFFINE.copy()
    affine[:3, 3] += move
    path = nifti(tmp_path / "x_gd.nii", LABELS, affine)
    with pytest.raises(InputError, match="expected labels on the grid of the lge image"):
        read_on_case(path, case)
    _pair(tmp_path / "set", affine)
    with pytest.raises(InputError, match="expected labels on the grid of the lge image"):
        list(find_cases(tmp_path / "set"))


def _pair(folder: Path, affine: np.ndarray, labels: np.ndarray = LABELS) -> None:
    folder.mkdir()
    for name, array, where in (("DE", LGE, AFFINE), ("gd", labels, affine)):
        image = nibabel.Nifti1Image(array.transpose(2, 1, 0), where)
        nibabel.save(image, folder / f"p_{name}.nii.gz")


def test_a_mirrored_file_with_a_right_header_is_the_same_truth_for_training(tmp_path):
    """It was learned from and scored against by its shape: Dice 0.014 for the LV."""
    mirrored = AFFINE @ np.diag([-1.0, 1, 1, 1])
    mirrored[:3, 3] = AFFINE[:3, :3] @ [95, 0, 0] + AFFINE[:3, 3]
    _pair(tmp_path / "set", mirrored, LABELS[:, :, ::-1])
    (found,) = find_cases(tmp_path / "set")
    np.testing.assert_array_equal(found.labels, LABELS)


def test_labels_of_another_convention_are_no_truth(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    for name, array in (("frame", LGE), ("frame_gt", numbered("mnms"))):
        nibabel.save(
            nibabel.Nifti1Image(array.transpose(2, 1, 0), AFFINE), folder / f"{name}.nii.gz"
        )
    with pytest.raises(InputError, match="another convention than acdc"):
        list(find_cases(folder))
    (found,) = find_cases(folder, "mnms")
    assert np.array_equal(found.labels == 500, LABELS == 500)


def test_a_label_map_that_lost_its_header_is_laid_on_the_image_with_a_warning(tmp_path, case):
    path = tmp_path / "gd.nii"
    nibabel.save(nibabel.Nifti1Image(LABELS.transpose(2, 1, 0), np.eye(4)), path)
    labels, (warning,) = read_on_case(path, case)
    np.testing.assert_array_equal(labels, read_on_case(_plain(tmp_path), case)[0])
    assert "the header of gd.nii holds no geometry" in warning and "look at the contours" in warning


def test_an_image_that_lost_its_header_takes_labels_of_its_size_with_a_warning(tmp_path):
    image = tmp_path / "DE.nii"
    nibabel.save(nibabel.Nifti1Image(LGE.transpose(2, 1, 0), np.eye(4)), image)
    _, (warning,) = read_on_case(_plain(tmp_path), load_case(lge=image))
    assert "the header of the lge image holds no geometry" in warning


def test_labels_without_header_of_another_size_are_refused(tmp_path, case):
    path = tmp_path / "gd.nii"
    nibabel.save(nibabel.Nifti1Image(LABELS[:-1].transpose(2, 1, 0), np.eye(4)), path)
    with pytest.raises(InputError, match="96 x 96 x 9 voxels.*found 96 x 96 x 8"):
        read_on_case(path, case)


def test_labels_of_another_image_on_the_same_grid_are_told(tmp_path):
    from myops.output.results import write_results
    from myops.quantify.label_map import measure_label_map, read_label_map

    first = load_case(lge=nifti(tmp_path / "a_DE.nii", LGE))
    segmentation = read_label_map(_plain(tmp_path), first)
    measured = measure_label_map(first, _plain(tmp_path))
    formats = ("nifti", "seg.nrrd")
    files = write_results(tmp_path / "out", first, segmentation, measured, formats=formats)
    second = load_case(lge=nifti(tmp_path / "b_DE.nii", LGE * 1.1))
    for path in files.values():
        assert read_on_case(path, first)[1] == ()
        _, (warning,) = read_on_case(path, second)
        assert "made on another lge image" in warning


def test_scar_of_a_label_file_is_weighed_in_its_convention(tmp_path):
    path = nifti(tmp_path / "gd.nii", numbered("emidec"))
    assert scar_mass_g(path, "emidec") == pytest.approx(343 * 0.0225 * 1.05)
    with pytest.raises(InputError, match="expected MyoPS labels"):
        scar_mass_g(path)
    with pytest.raises(InputError, match="found that the header holds no spacing"):
        nibabel.save(
            nibabel.Nifti1Image(LABELS.transpose(2, 1, 0), np.eye(4)), tmp_path / "lost.nii"
        )
        scar_mass_g(tmp_path / "lost.nii")


def test_an_unknown_convention_is_refused_with_the_list(tmp_path):
    with pytest.raises(InputError, match="myops, emidec, acdc, mnms, found 'x'"):
        read_label_file(_plain(tmp_path), "x")


def test_grids_that_differ_by_rounding_are_one(tmp_path):
    affine = AFFINE + 0.0
    affine[:3, 3] += 0.004
    found = read_label_file(nifti(tmp_path / "gd.nii", LABELS, affine))
    grid = from_sitk(read_image(nifti(tmp_path / "DE.nii", LGE)))
    labels, warnings = on_grid(found, grid, True, "lge")
    assert warnings == () and np.array_equal(labels, LABELS)

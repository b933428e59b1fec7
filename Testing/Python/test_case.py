import dataclasses
from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk
from oblique import OBLIQUE

from myops.case import case_from_images, load_case, load_case_folder, restore
from myops.errors import InputError
from myops.io.atomic import write_image


def test_the_lge_gives_the_grid_when_it_is_there(patient_folder) -> None:
    case = load_case_folder(patient_folder)
    assert case.reference == "lge"
    assert case.sequences == ("bssfp", "lge", "t2")
    assert case.name == "patient"
    assert case.warnings == ()
    assert case.spacing_known
    file = sitk.ReadImage(str(patient_folder / "myops_007_DE.nii.gz"))
    assert np.array_equal(case.images["lge"], sitk.GetArrayFromImage(file))
    assert case.images["lge"].dtype == np.float32


def test_without_lge_the_bssfp_gives_the_grid(patient_folder) -> None:
    (patient_folder / "myops_007_DE.nii.gz").unlink()
    case = load_case_folder(patient_folder)
    assert case.reference == "bssfp"
    assert case.sequences == ("bssfp", "t2")


def test_t2_alone_is_not_enough(patient_folder) -> None:
    with pytest.raises(InputError, match="expected at least an LGE or a bSSFP image, found T2"):
        load_case(t2=patient_folder / "myops_007_T2.nii.gz")
    with pytest.raises(InputError, match="found no image"):
        load_case()


@pytest.mark.parametrize(
    ("file", "sequence"),
    [
        ("subject_LGE.nii.gz", "lge"),
        ("Case_P001_DE.mha", "lge"),
        ("bssfp.nrrd", "bssfp"),
        ("p1-C0.nii", "bssfp"),
        ("site_T2_p3_psir.nii.gz", "lge"),
    ],
)
def test_sequences_are_told_by_their_names(tmp_path, make_image, texture, file, sequence) -> None:
    write_image(make_image(texture()), tmp_path / file)
    for ignored in ("p1_LGE_seg.nii.gz", "p1_C0_gt.nii.gz", "overview.nii.gz"):
        write_image(make_image(texture()), tmp_path / ignored)
    (tmp_path / "notes_LGE.txt").write_text("not an image", encoding="utf-8")
    assert load_case_folder(tmp_path).sequences == (sequence,)


def test_two_files_of_one_sequence_are_refused_by_name(patient_folder) -> None:
    (patient_folder / "myops_007_T2.nii.gz").rename(patient_folder / "second_LGE.nii.gz")
    with pytest.raises(InputError, match="myops_007_DE.nii.gz, second_LGE.nii.gz.*--lge"):
        load_case_folder(patient_folder)


def test_a_folder_without_known_names_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"expected images named \*_C0"):
        load_case_folder(tmp_path)
    with pytest.raises(InputError, match="expected a folder"):
        load_case_folder(tmp_path / "missing")


@pytest.mark.parametrize("direction", [None, OBLIQUE], ids=["axial", "oblique"])
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_results_return_to_the_original_grid_voxel_for_voxel(
    make_image, texture, order, direction
) -> None:
    image = make_image(texture(), direction=direction)
    for flips in product((False, True), repeat=3):
        stored = sitk.Flip(sitk.PermuteAxes(image, order), flips)
        case = case_from_images({"lge": stored})
        back = restore(case, case.images["lge"])
        assert np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(stored))
        assert back.GetOrigin() == stored.GetOrigin()
        assert back.GetSpacing() == stored.GetSpacing()
        assert back.GetDirection() == stored.GetDirection()


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_axis_order_of_any_file_leaves_all_images_unchanged(make_image, texture, order) -> None:
    """The T2 lies on a grid of its own, tilted, so that it is interpolated."""
    tilt = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.05, -0.03, 0.1).GetMatrix()
    lge = make_image(texture(), direction=OBLIQUE)
    turned = (np.array(OBLIQUE).reshape(3, 3) @ np.array(tilt).reshape(3, 3)).ravel()
    t2 = make_image(texture(seed=1), (1.7, 1.7, 9.0), (-13.0, 6.0, 41.0), tuple(turned))
    expected = case_from_images({"lge": lge, "t2": t2})
    assert not expected.covered["t2"].all()
    for flips in ((True, False, False), (False, True, True)):
        case = case_from_images(
            {
                "lge": sitk.Flip(sitk.PermuteAxes(lge, order), flips),
                "t2": sitk.Flip(sitk.PermuteAxes(t2, order[::-1]), flips[::-1]),
            }
        )
        for sequence in ("lge", "t2"):
            assert np.array_equal(case.images[sequence], expected.images[sequence])
            assert np.array_equal(case.covered[sequence], expected.covered[sequence])
        assert case.geometry.voxel_volume_ml == pytest.approx(0.0225)


def test_restore_refuses_an_array_of_another_shape(make_image, texture) -> None:
    case = case_from_images({"lge": make_image(texture())})
    with pytest.raises(ValueError, match=r"\(6, 24, 20\).*found \(6, 20, 24\)"):
        restore(case, np.zeros((6, 20, 24)))


def test_other_sequences_are_brought_to_the_reference_by_position(make_image) -> None:
    ramp = np.broadcast_to(np.arange(20, dtype=np.float32), (6, 24, 20)).copy()
    lge = make_image(ramp, (1.5, 1.5, 10.0), (0.0, 0.0, 0.0))
    t2 = make_image(ramp, (1.5, 1.5, 10.0), (-3.0, 0.0, 0.0))
    case = case_from_images({"lge": lge, "t2": t2})
    # The same place in the patient is two pixels further to the right in the T2.
    assert case.images["t2"][3, 10, 5] == pytest.approx(7.0)
    # Columns 18 and 19 lie outside: 24 x 6 x 2 of 2880 voxels.
    assert np.flatnonzero(~case.covered["t2"][0, 0]).tolist() == [18, 19]
    assert case.images["t2"][0, 0, 18:].tolist() == [0.0, 0.0]
    assert "t2: covers 90% of the lge grid;" in case.warnings[0]


def test_missing_end_slices_are_counted_in_the_warning(make_image, texture) -> None:
    lge = make_image(texture((6, 24, 20)))
    t2 = make_image(texture((4, 24, 20)))
    case = case_from_images({"lge": lge, "t2": t2})
    assert any("67% of the lge grid, 2 of 6 slices not at all" in text for text in case.warnings)


def test_sequences_apart_in_space_are_refused(make_image, texture) -> None:
    lge = make_image(texture())
    t2 = make_image(texture(), origin=(500.0, 0.0, 0.0))
    with pytest.raises(InputError, match=r"t2: expected images of the same patient space, found 0"):
        case_from_images({"lge": lge, "t2": t2})


def test_missing_spacing_is_known_until_it_is_given(make_image, texture) -> None:
    image = make_image(texture(), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    case = case_from_images({"lge": image})
    assert not case.spacing_known
    assert any("the header holds no spacing" in text for text in case.warnings)
    given = case_from_images({"lge": image}, spacing_mm=(1.4, 1.4, 8.0))
    assert given.spacing_known
    assert given.warnings == ()
    assert given.geometry.spacing_mm == (1.4, 1.4, 8.0)
    assert image.GetSpacing() == (1.0, 1.0, 1.0), "the caller's image is left alone"


def test_a_given_spacing_reaches_all_sequences_of_the_same_grid(make_image, texture) -> None:
    images = {
        name: make_image(texture(seed=seed), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
        for seed, name in enumerate(("lge", "t2"))
    }
    case = case_from_images(images, spacing_mm=(1.4, 1.4, 8.0))
    assert case.covered["t2"].all()
    assert np.array_equal(case.images["t2"], sitk.GetArrayFromImage(images["t2"]))


@pytest.mark.parametrize("spacing", [(1.0, 0.0, 1.0), (1.0, -1.0, 1.0), (1.0, float("nan"), 1.0)])
def test_an_impossible_given_spacing_is_refused(make_image, texture, spacing) -> None:
    with pytest.raises(InputError, match="three numbers above 0 mm"):
        case_from_images({"lge": make_image(texture())}, spacing_mm=spacing)


def test_few_non_finite_voxels_are_replaced_and_reported(make_image, texture) -> None:
    array = texture()
    array[0, 0, :3] = (np.nan, np.inf, -np.inf)
    case = case_from_images({"lge": make_image(array)})
    low, high = array[np.isfinite(array)].min(), array[np.isfinite(array)].max()
    assert case.images["lge"][0, 0, :3].tolist() == [low, high, low]
    assert case.warnings == ("lge: 3 NaN or infinite voxels set to the image's limits",)


def test_a_single_slice_is_accepted_with_a_warning(make_image, texture) -> None:
    case = case_from_images({"lge": make_image(texture((1, 24, 20)))})
    assert case.images["lge"].shape == (1, 24, 20)
    assert "a single slice" in case.warnings[0]


def test_an_unknown_sequence_is_refused(make_image, texture) -> None:
    with pytest.raises(InputError, match="cine"):
        case_from_images({"lge": make_image(texture()), "cine": make_image(texture())})


def test_a_case_cannot_be_changed(make_image, texture) -> None:
    case = case_from_images({"lge": make_image(texture())})
    with pytest.raises(dataclasses.FrozenInstanceError):
        case.name = "another"  # type: ignore[misc]

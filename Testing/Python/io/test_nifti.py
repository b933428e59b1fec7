"""NIfTI: what the header states several times, scaling, versions, and values that are no numbers.

Right values are counted by hand (`odd_heart.WALL_G`) or those of NiBabel.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import odd_heart
import pytest
import SimpleITK as sitk
from odd_heart import AFFINE, WALL_G, nifti

from myops.case import load_case
from myops.errors import InputError
from myops.io.geometry_notes import geometry_notes
from myops.io.images import read_image
from myops.quantify.label_map import measure_label_map
from myops.quantify.measure import Measurements

LABELS, LGE = odd_heart.labels(), odd_heart.lge()


def measured(folder: Path, edit=lambda header: None, affine=AFFINE, **options) -> Measurements:
    """Quantify the heart from two files with the same header."""
    image = nifti(folder / "DE.nii", LGE, affine, edit)
    drawn = nifti(folder / "gd.nii", LABELS, affine, edit)
    return measure_label_map(load_case(lge=image, **options), drawn)


def wall_g(found: Measurements) -> float | None:
    return found.tissues["lv_myocardium"].mass_g


def test_the_heart_weighs_what_was_counted(tmp_path):
    assert np.isin(LABELS, odd_heart.WALL).sum() == 2228
    found = measured(tmp_path)
    assert wall_g(found) == pytest.approx(WALL_G, rel=1e-5)
    assert not any("spacing" in text or "form" in text for text in found.warnings)


def set_fields(**fields):
    def edit(header):
        for name, value in fields.items():
            if name == "pixdim":
                header["pixdim"][1:4] = value
            else:
                header[name] = value

    return edit


def test_two_spacings_in_one_header_are_refused_until_the_true_one_is_given(tmp_path):
    edit = set_fields(pixdim=(1.5, 1.5, 8))
    with pytest.raises(InputError, match=r"1.5 x 1.5 x 10 mm, pixdim 1.5 x 1.5 x 8 mm.*--spacing"):
        measured(tmp_path, edit)
    found = measured(tmp_path, edit, spacing_mm=(1.5, 1.5, 10.0))
    assert wall_g(found) == pytest.approx(WALL_G, rel=1e-5)


def test_an_image_in_memory_with_two_spacings_gives_no_grams(tmp_path):
    """The panel shows it, and the user may enter the true spacing there."""
    from myops.case import case_from_images

    path = nifti(tmp_path / "DE.nii", LGE, edit=set_fields(pixdim=(1.5, 1.5, 8)))
    case = case_from_images({"lge": read_image(path)})
    assert not case.spacing_known
    assert "the sform says 1.5 x 1.5 x 10 mm, pixdim 1.5 x 1.5 x 8 mm" in case.spacing_reason


def test_a_difference_of_less_than_a_percent_is_a_warning_with_both_values(tmp_path):
    found = measured(tmp_path, set_fields(pixdim=(1.5, 1.5, 9.95)))
    assert wall_g(found) == pytest.approx(WALL_G, rel=1e-5)
    assert any("x 10 mm, pixdim 1.5 x 1.5 x 9.95 mm" in text for text in found.warnings)


@pytest.mark.parametrize("pixdim", [(1.5, 1.5, 10.0), (1.50001, 1.49999, 10.0001)])
def test_rounding_is_no_conflict(tmp_path, pixdim):
    path = nifti(tmp_path / "DE.nii", LGE, edit=set_fields(pixdim=pixdim))
    assert geometry_notes(read_image(path)).warnings == ()


def test_a_sform_of_directions_alone_as_in_acdc_leaves_the_spacing_to_pixdim(tmp_path):
    """Columns of length 1 beside a pixdim of 1.5 x 1.5 x 10: the files of ACDC look so."""
    edit = set_fields(
        qform_code=0,
        sform_code=2,
        srow_x=(-1, 0, 0, 0),
        srow_y=(0, -1, 0, 0),
        srow_z=(0, 0, 1, 0),
    )
    found = measured(tmp_path, edit)
    assert wall_g(found) == pytest.approx(WALL_G, rel=1e-5)
    assert any("pixdim's spacing is used" in text for text in found.warnings)


def test_a_pixdim_that_was_left_at_1_leaves_the_spacing_to_the_sform(tmp_path):
    found = measured(tmp_path, set_fields(pixdim=(1, 1, 1), qform_code=0))
    assert wall_g(found) == pytest.approx(WALL_G, rel=1e-5)
    assert any("which is a default" in text for text in found.warnings)


@pytest.mark.parametrize("codes", [(1, 0), (0, 1), (1, 1), (2, 1), (4, 0)])
def test_sform_or_qform_alone_place_the_voxels_where_nibabel_does(tmp_path, codes):
    turn = np.eye(4)
    turn[:3, :3] = np.array([[0.8, -0.36, 0.48], [0.6, 0.48, -0.64], [0.0, 0.8, 0.6]])
    affine = turn @ AFFINE
    edit = set_fields(sform_code=codes[0], qform_code=codes[1])
    path = nifti(tmp_path / "a.nii", LGE, affine, edit)
    image, expected = read_image(path), nibabel.load(path).affine
    flip = np.diag([-1.0, -1.0, 1.0])
    columns = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    np.testing.assert_allclose(flip @ columns, expected[:3, :3], atol=1e-4)
    np.testing.assert_allclose(flip @ image.GetOrigin(), expected[:3, 3], atol=1e-3)


def test_a_left_handed_qform_is_read_as_nibabel_reads_it(tmp_path):
    affine = AFFINE.copy()
    affine[0, 0] *= -1
    path = nifti(tmp_path / "a.nii", LGE, affine, set_fields(sform_code=0))
    image, expected = read_image(path), nibabel.load(path).affine
    columns = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    np.testing.assert_allclose(np.diag([-1, -1, 1]) @ columns, expected[:3, :3], atol=1e-5)


def test_two_places_of_one_image_are_named_and_the_sform_is_taken(tmp_path):
    def edit(header):
        moved = AFFINE.copy()
        moved[0, 3] += 6
        header.set_qform(moved, 1)
        header.set_sform(AFFINE, 2)

    lge = nifti(tmp_path / "DE.nii", LGE, edit=edit)
    t2 = nifti(tmp_path / "T2.nii", LGE + 1)
    case = load_case(lge=lge, t2=t2)
    assert case.covered["t2"].all()
    np.testing.assert_allclose(case.images["t2"], case.images["lge"] + 1)
    assert any("up to 6.0 mm apart" in text for text in case.warnings)


@pytest.mark.parametrize("qform_code", [0, 1])
def test_a_sheared_sform_is_refused_also_beside_a_good_qform(tmp_path, qform_code):
    def edit(header):
        header["srow_x"][2] = 10 * np.tan(np.radians(20))
        header["qform_code"] = qform_code

    with pytest.raises(InputError, match="right angles, found a sheared sform matrix"):
        read_image(nifti(tmp_path / "a.nii", LGE, edit=edit))


def test_an_empty_sform_beside_a_good_qform_is_passed_over(tmp_path):
    edit = set_fields(srow_x=0, srow_y=0, srow_z=0)
    found = measured(tmp_path, edit)
    assert wall_g(found) == pytest.approx(WALL_G, rel=1e-5)


def test_an_empty_sform_alone_is_refused(tmp_path):
    edit = set_fields(srow_x=0, srow_y=0, srow_z=0, qform_code=0)
    with pytest.raises(InputError, match="sheared or empty sform"):
        read_image(nifti(tmp_path / "a.nii", LGE, edit=edit))


@pytest.mark.parametrize(("code", "factor"), [(1, 0.001), (2, 1.0), (3, 1000.0)])
def test_meters_and_micrometers_are_millimeters_afterwards(tmp_path, code, factor):
    affine = AFFINE.copy()
    affine[:3] *= factor
    found = measured(tmp_path, set_fields(xyzt_units=code), affine)
    assert wall_g(found) == pytest.approx(WALL_G, rel=1e-4)


@pytest.mark.parametrize("origin", [(0, 0, 0), (-48, -48, -4), (3, 2, 1)])
def test_a_lost_spacing_gives_no_grams_wherever_the_origin_lies(tmp_path, origin):
    affine = np.eye(4)
    affine[:3, 3] = origin
    found = measured(tmp_path, affine=affine)
    assert wall_g(found) is None
    assert any("the header holds no spacing" in text for text in found.warnings)
    assert found.tissues["scar"].percent_of_lv_mass == pytest.approx(100 * 343 / 2228, abs=0.01)


def test_a_lost_distance_between_slices_gives_no_grams(tmp_path):
    affine = AFFINE.copy()
    affine[2, 2] = 1.0
    found = measured(tmp_path, affine=affine)
    assert wall_g(found) is None
    assert any("no distance between slices" in text for text in found.warnings)


@pytest.mark.slow
def test_a_true_grid_of_1_mm_keeps_its_grams(tmp_path):
    """A 3D LGE resampled to 1 mm: 90 slices, as long as a heart. It is no lost header."""
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine[:3, 3] = (40, 50, -60)
    image = nifti(tmp_path / "DE.nii", np.repeat(LGE, 10, 0), affine)
    drawn = nifti(tmp_path / "gd.nii", np.repeat(LABELS, 10, 0), affine)
    found = measure_label_map(load_case(lge=image), drawn)
    assert wall_g(found) == pytest.approx(22280 * 0.001 * 1.05)


def test_an_array_of_slices_rows_columns_is_asked_about(tmp_path):
    """Saved as it is in memory: 9 voxels along x, 96 along z."""
    for name, array in (("DE.nii", LGE), ("gd.nii", LABELS)):
        nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / name)
    with pytest.raises(InputError, match=r"96 slices of 9 x 96 pixels.*--spacing 10 1.5 1.5"):
        load_case(lge=tmp_path / "DE.nii", spacing_mm=(1.5, 1.5, 10.0))
    case = load_case(lge=tmp_path / "DE.nii", spacing_mm=(10.0, 1.5, 1.5))
    found = measure_label_map(case, tmp_path / "gd.nii")
    assert len(found.slices) == 9
    assert wall_g(found) == pytest.approx(WALL_G, rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "slope", "inter"), [(np.int16, 0.25, 0), (np.uint8, 2, 0), (np.int16, 1, -100)]
)
def test_scaled_integers_are_read_as_nibabel_reads_them(tmp_path, kind, slope, inter):
    raw = np.round((LGE - inter) / slope).astype(kind)
    path = nifti(tmp_path / "DE.nii", raw, edit=set_fields(scl_slope=slope, scl_inter=inter))
    expected = nibabel.load(path).get_fdata().transpose(2, 1, 0)
    np.testing.assert_allclose(sitk.GetArrayFromImage(read_image(path)), expected)
    assert np.abs(expected - LGE).max() <= slope
    case = load_case(lge=path)
    found = measure_label_map(case, nifti(tmp_path / "gd.nii", LABELS))
    assert wall_g(found) == pytest.approx(WALL_G, rel=1e-5)


@pytest.mark.parametrize("slope", [0.0, np.nan, 1.0])
def test_a_slope_that_scales_nothing_leaves_integers_integers(tmp_path, slope):
    path = nifti(tmp_path / "a.nii", LABELS, edit=set_fields(scl_slope=slope, scl_inter=0))
    image = read_image(path)
    assert image.GetPixelID() == sitk.sitkUInt16
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), LABELS)


def test_a_label_map_with_a_slope_holds_the_scaled_labels(tmp_path):
    tenths = (LABELS.astype(np.int32) * 10).astype(np.int32)
    drawn = nifti(tmp_path / "gd.nii", tenths, edit=set_fields(scl_slope=0.1, scl_inter=0))
    found = measure_label_map(load_case(lge=nifti(tmp_path / "DE.nii", LGE)), drawn)
    assert wall_g(found) == pytest.approx(WALL_G, rel=1e-5)


@pytest.mark.parametrize("big_endian", [False, True])
def test_nifti_2_is_read(tmp_path, big_endian):
    image = nibabel.Nifti2Image(LGE.transpose(2, 1, 0), AFFINE)
    if big_endian:
        image = nibabel.Nifti2Image(
            LGE.transpose(2, 1, 0).astype(">f4"), AFFINE, image.header.as_byteswapped(">")
        )
    nibabel.save(image, tmp_path / "a.nii")
    found = read_image(tmp_path / "a.nii")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found), LGE)
    assert found.GetSpacing() == pytest.approx((1.5, 1.5, 10.0))


def test_nan_in_an_image_is_counted_and_mostly_nan_refused(tmp_path):
    some = LGE.copy()
    some[LABELS == 2221] = np.nan
    case = load_case(lge=nifti(tmp_path / "a.nii", some))
    assert "lge: 343 NaN or infinite voxels set to the image's limits" in case.warnings
    most = LGE.copy()
    most[:, :, :60] = np.inf
    with pytest.raises(InputError, match="62% NaN or infinite"):
        load_case(lge=nifti(tmp_path / "b.nii", most))


def test_nan_in_labels_and_in_masks_is_refused(tmp_path):
    drawn = LABELS.astype(np.float32)
    drawn[0, 0, 0] = np.nan
    case = load_case(lge=nifti(tmp_path / "DE.nii", LGE))
    with pytest.raises(InputError, match="found nan"):
        measure_label_map(case, nifti(tmp_path / "gd.nii", drawn))
    mask = np.where(LABELS == 200, 1, 0).astype(np.float32)
    mask[4, 0, 0] = np.inf
    labels, remote = nifti(tmp_path / "l.nii", LABELS), nifti(tmp_path / "m.nii", mask)
    with pytest.raises(InputError, match=r"m\.nii: expected a mask of numbers, found 1 NaN"):
        measure_label_map(case, labels, remote_mask=remote)


def test_a_file_may_be_compressed_or_not_whatever_its_name_says(tmp_path):
    plain = nifti(tmp_path / "a.nii", LGE)
    (tmp_path / "b.nii.gz").write_bytes(plain.read_bytes())
    (tmp_path / "c.nii").write_bytes(gzip.compress(plain.read_bytes()))
    for name in ("b.nii.gz", "c.nii"):
        np.testing.assert_array_equal(sitk.GetArrayFromImage(read_image(tmp_path / name)), LGE)


def test_a_compressed_file_with_a_wrong_checksum_is_refused(tmp_path):
    packed = bytearray(gzip.compress(nifti(tmp_path / "a.nii", LGE).read_bytes()))
    packed[-6] ^= 1
    (tmp_path / "b.nii.gz").write_bytes(packed)
    with pytest.raises(InputError, match="truncated or damaged"):
        read_image(tmp_path / "b.nii.gz")


def test_a_bomb_is_refused_when_its_header_has_been_passed_by_far(tmp_path, monkeypatch):
    from myops.io import nifti as reader

    monkeypatch.setattr(reader, "MAX_BYTES_BEHIND", 1 << 20)
    plain = nifti(tmp_path / "a.nii", LGE).read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(plain + bytes(5 << 20)))
    with pytest.raises(InputError, match="found far more"):
        read_image(tmp_path / "b.nii.gz")
    (tmp_path / "c.nii.gz").write_bytes(gzip.compress(plain + b"a few bytes"))
    assert read_image(tmp_path / "c.nii.gz").GetSize() == (96, 96, 9)


def test_dimensions_of_length_1_behind_the_third_are_no_cine(tmp_path):
    four = nibabel.Nifti1Image(LGE.transpose(2, 1, 0)[..., None, None], AFFINE)
    nibabel.save(four, tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_image(tmp_path / "a.nii.gz")), LGE)


def test_a_name_that_is_no_utf_8_is_read(tmp_path):
    import os

    good = nifti(tmp_path / "a.nii", LGE)
    odd = os.fsencode(tmp_path) + b"/M\xfcller_DE.nii"
    os.rename(good, odd)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_image(os.fsdecode(odd))), LGE)


def test_itk_formats_with_such_a_name_are_refused_in_one_line(tmp_path):
    """SimpleITK ends the process at a path that is no UTF-8."""
    import os

    path = odd_heart.nrrd(tmp_path / "a.nrrd", LGE, "spacings: 1.5 1.5 10")
    odd = os.fsencode(tmp_path) + b"/M\xfcller_DE.nrrd"
    os.rename(path, odd)
    with pytest.raises(InputError, match=r"expected a path in UTF-8.*rename"):
        read_image(os.fsdecode(odd))


def test_without_nibabel_the_package_is_named(tmp_path, monkeypatch):
    import sys

    path = nifti(tmp_path / "a.nii", LGE)
    monkeypatch.delitem(sys.modules, "nibabel_parts", raising=False)
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(InputError, match="pip install nibabel"):
        read_image(path)

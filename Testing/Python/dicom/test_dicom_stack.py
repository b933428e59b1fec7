"""DICOM frame by frame: places, times, scalings and kinds of image, as scanners mix them.

Stacks are written with `dicom_series`: slices 8 mm apart, pixels of 1.5 x 1.25 mm, oblique.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_series import (
    GAP_MM,
    OBLIQUE,
    ORIGIN_MM,
    SPACING_MM,
    STUDY,
    EnhancedFrame,
    picture,
    save,
    write_clip,
    write_enhanced,
    write_stack,
)
from pydicom.uid import ExplicitVRBigEndian

from myops.case import case_from_images
from myops.dicom.series import DicomSeries, find_series
from myops.dicom.volume import read_series
from myops.errors import InputError
from myops.io.geometry_notes import geometry_notes
from myops.io.images import read_image

RNG = np.random.default_rng(5)
STACK = RNG.integers(0, 900, (9, 12, 10)).astype(np.uint16)


def only_series(folder: Path) -> DicomSeries:
    (series,) = find_series(sorted(folder.rglob("*.dcm")))
    return series


def volume(folder: Path, phase: int = 0) -> sitk.Image:
    return read_series(only_series(folder), phase)


def array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def notes(image: sitk.Image) -> tuple[str, ...]:
    return geometry_notes(image).warnings


def enhanced(order=range(9), **own) -> list[EnhancedFrame]:
    """Frames in an order, with per-frame values: functions of the slice."""
    return [EnhancedFrame(STACK[k], k, **{n: make(k) for n, make in own.items()}) for k in order]


# ---- enhanced files ---------------------------------------------------------------------------


@pytest.mark.parametrize("order", [range(9), range(8, -1, -1), (0, 2, 4, 6, 8, 1, 3, 5, 7)])
def test_frames_lie_where_their_positions_say_in_any_order_of_the_file(tmp_path, order):
    write_enhanced(tmp_path / "a.dcm", enhanced(order))
    image = volume(tmp_path)
    np.testing.assert_array_equal(array(image), STACK)
    np.testing.assert_allclose(image.GetSpacing(), (*SPACING_MM, GAP_MM), atol=1e-4)
    np.testing.assert_allclose(image.GetOrigin(), ORIGIN_MM, atol=1e-4)
    assert geometry_notes(image).unknown == "" and notes(image) == ()


def test_the_same_file_named_on_the_command_line_gives_the_same_volume(tmp_path):
    path = write_enhanced(tmp_path / "a.dcm", enhanced((0, 2, 4, 6, 8, 1, 3, 5, 7)))
    np.testing.assert_array_equal(array(read_image(path)), STACK)


def test_every_frame_is_scaled_by_its_own_slope_and_intercept(tmp_path):
    frames = enhanced(slope=lambda k: 0.5 + 0.25 * k, intercept=lambda k: 10.0 * k)
    write_enhanced(tmp_path / "a.dcm", frames)
    expected = np.stack([STACK[k] * (0.5 + 0.25 * k) + 10.0 * k for k in range(9)])
    np.testing.assert_allclose(array(volume(tmp_path)), expected, rtol=1e-6)


def test_phases_at_the_same_places_are_a_cine_and_no_longer_heart(tmp_path):
    frames = [
        EnhancedFrame((STACK[k] * (1 - 0.2 * t)).astype(np.uint16), k, temporal=t + 1)
        for t in (1, 0)
        for k in range(9)
    ]
    write_enhanced(tmp_path / "a.dcm", frames)
    series = only_series(tmp_path)
    assert (series.depth, series.phases) == (9, 2)
    np.testing.assert_array_equal(array(read_series(series, 0)), STACK)
    np.testing.assert_array_equal(array(read_series(series, 1)), (STACK * 0.8).astype(np.uint16))


def test_magnitude_is_taken_from_a_file_that_holds_phase_and_real_frames_too(tmp_path):
    kinds = ("REAL", "MAGNITUDE", "PHASE")
    frames = [
        EnhancedFrame(STACK[k] + 100 * n, k, component=kind)
        for k in range(9)
        for n, kind in enumerate(kinds)
    ]
    write_enhanced(tmp_path / "a.dcm", frames)
    series = only_series(tmp_path)
    assert (series.component, series.depth, series.phases) == ("M", 9, 1)
    np.testing.assert_array_equal(array(read_series(series)), STACK + 100)


def test_stacks_of_other_orientations_in_one_file_are_other_series(tmp_path):
    turned = OBLIQUE[:, [1, 2, 0]]
    frames = [EnhancedFrame(STACK[k], k) for k in range(6)]
    frames += [EnhancedFrame(STACK[k], k, stack="2", orientation=turned) for k in range(6, 9)]
    write_enhanced(tmp_path / "a.dcm", frames)
    series = find_series([tmp_path / "a.dcm"])
    assert sorted(one.depth for one in series) == [3, 6]
    short_axis = max(series, key=lambda one: one.depth)
    np.testing.assert_array_equal(array(read_series(short_axis)), STACK[:6])
    assert any("3 slices in another orientation" in text for text in notes(read_series(short_axis)))
    with pytest.raises(InputError, match="found 2 stacks"):
        read_image(tmp_path / "a.dcm")


def test_repeated_frames_that_nothing_tells_apart_are_refused(tmp_path):
    write_enhanced(tmp_path / "a.dcm", [*enhanced(), *enhanced()])
    with pytest.raises(InputError, match="each slice is there 2 times and neither a time"):
        volume(tmp_path)


# ---- classic files ----------------------------------------------------------------------------


def test_positions_win_over_instance_numbers_thickness_and_stated_distances(tmp_path):
    instances = list(range(9, 0, -1))
    write_stack(tmp_path, STACK, InstanceNumber=instances, SpacingBetweenSlices="-6")
    image = volume(tmp_path)
    np.testing.assert_array_equal(array(image), STACK)
    assert image.GetSpacing()[2] == pytest.approx(GAP_MM)
    assert notes(image) == ()


def test_positions_as_real_scanners_round_them_are_even(tmp_path):
    jitter = np.random.default_rng(0).normal(0, 5e-5, 9)
    write_stack(tmp_path, STACK, places=np.arange(9) + jitter)
    image = volume(tmp_path)
    assert notes(image) == () and geometry_notes(image).unknown == ""


def test_a_missing_slice_is_told_with_its_place(tmp_path):
    keep = [0, 1, 2, 3, 5, 6, 7, 8]
    write_stack(tmp_path, STACK[keep], places=keep)
    (said,) = notes(volume(tmp_path))
    assert "not evenly spaced" in said
    assert "8.00 to 16.00 mm" in said and "between slices 4 and 5" in said
    warnings = case_from_images({"lge": volume(tmp_path)}).warnings
    assert any("not evenly spaced" in text for text in warnings)


def test_a_slice_off_by_more_than_a_percent_is_told_and_less_is_not(tmp_path):
    for off, told in ((0.03, True), (0.004, False)):
        folder = tmp_path / str(off)
        write_stack(folder, STACK, places=[0, 1, 2, 3 + off, 4, 5, 6, 7, 8])
        assert bool(notes(volume(folder))) is told


def test_a_tilted_stack_counts_with_the_distance_between_its_planes(tmp_path):
    for k in range(9):
        dataset = picture(STACK[k], k)
        moved = ORIGIN_MM + GAP_MM * k * OBLIQUE[:, 2] + 3.64 * k * OBLIQUE[:, 0]
        save(dataset, tmp_path / f"{k}.dcm", ImagePositionPatient=[f"{v:.6f}" for v in moved])
    image = volume(tmp_path)
    assert image.GetSpacing()[2] == pytest.approx(GAP_MM)
    assert any("shifted in their plane by up to 29.1 mm" in text for text in notes(image))


def test_a_change_of_pixel_size_within_a_stack_is_refused(tmp_path):
    sizes = [["1.25", "1.5"]] * 5 + [["1", "1.2"]] * 4
    write_stack(tmp_path, STACK, PixelSpacing=sizes)
    for series in find_series(tmp_path.glob("*.dcm")):
        with pytest.raises(InputError, match=r"continue the stack .* pixels of another size"):
            read_series(series)


def test_a_change_of_matrix_within_a_stack_is_refused(tmp_path):
    write_stack(tmp_path / "a", STACK[:5])
    for k in range(5, 9):
        save(picture(np.ones((14, 12)) * k, k), tmp_path / "b" / f"{k}.dcm")
    found = find_series(sorted(tmp_path.rglob("*.dcm")))
    assert [bool(one.problem) for one in found] == [True, True]


def test_a_step_in_orientation_within_a_stack_is_refused(tmp_path):
    angle = np.radians(8)
    turned = OBLIQUE @ np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )
    axes = [[f"{v:.6f}" for v in (*m[:, 0], *m[:, 1])] for m in [OBLIQUE] * 5 + [turned] * 4]
    write_stack(tmp_path, STACK, ImageOrientationPatient=axes)
    for series in find_series(tmp_path.glob("*.dcm")):
        with pytest.raises(InputError, match="in another orientation"):
            read_series(series)


def test_a_fan_of_small_angles_is_one_stack_with_a_warning(tmp_path):
    axes = []
    for k in range(9):
        angle = np.radians(0.25 * k)
        row = np.cos(angle) * OBLIQUE[:, 0] + np.sin(angle) * OBLIQUE[:, 2]
        axes.append([f"{v:.6f}" for v in (*row, *OBLIQUE[:, 1])])
    write_stack(tmp_path, STACK, ImageOrientationPatient=axes)
    image = volume(tmp_path)
    np.testing.assert_array_equal(array(image), STACK)
    assert any("not parallel: they are up to 2.0 degrees apart" in text for text in notes(image))


def test_of_a_slice_that_was_taken_again_the_later_one_is_used(tmp_path):
    write_stack(tmp_path, STACK)
    bad = (STACK[3][:, ::-1] * 0.3).astype(np.uint16)
    save(picture(bad, 3), tmp_path / "003.dcm", InstanceNumber=4)
    save(picture(STACK[3], 3), tmp_path / "new.dcm", InstanceNumber=20)
    series = only_series(tmp_path)
    assert (series.depth, series.phases) == (9, 1)
    image = read_series(series)
    np.testing.assert_array_equal(array(image), STACK)
    assert notes(image) == ("slice 4 is there more than once (taken again): the latest is used",)


def test_the_time_of_acquisition_tells_the_later_one_before_the_instance_number(tmp_path):
    write_stack(tmp_path, STACK, AcquisitionTime="101500")
    later = STACK[3] + 1
    save(picture(later, 3), tmp_path / "n.dcm", InstanceNumber=1, AcquisitionTime="102200")
    np.testing.assert_array_equal(array(volume(tmp_path))[3], later)


def test_a_stack_that_was_taken_again_as_a_whole_is_its_later_take(tmp_path):
    write_stack(tmp_path / "1", STACK, AcquisitionTime="101500")
    write_stack(tmp_path / "2", STACK + 1, AcquisitionTime="102200")
    image = volume(tmp_path)
    np.testing.assert_array_equal(array(image), STACK + 1)
    assert any("every slice is there more than once" in text for text in notes(image))


def test_copies_of_one_file_count_once(tmp_path):
    write_stack(tmp_path, STACK)
    for path in list(tmp_path.glob("*.dcm")):
        (tmp_path / f"copy_{path.name}").write_bytes(path.read_bytes())
    series = only_series(tmp_path)
    assert (series.depth, series.phases, series.problem) == (9, 1, "")


def test_a_single_slice_is_as_thick_as_its_header_says(tmp_path):
    save(picture(STACK[4], 4), tmp_path / "a.dcm", SliceThickness="8")
    assert volume(tmp_path).GetSpacing() == pytest.approx((*SPACING_MM, 8.0))


def test_a_single_slice_without_thickness_gives_no_volume(tmp_path):
    save(picture(STACK[4], 4), tmp_path / "a.dcm", SliceThickness=None)
    assert "no slice thickness" in geometry_notes(volume(tmp_path)).unknown


def test_a_stack_without_pixel_spacing_gives_no_volume(tmp_path):
    write_stack(tmp_path, STACK, PixelSpacing=None)
    assert "no pixel spacing" in geometry_notes(volume(tmp_path)).unknown


def test_slices_without_positions_are_ordered_by_instance_and_their_stated_distance(tmp_path):
    tags = {"ImagePositionPatient": None, "ImageOrientationPatient": None}
    write_stack(tmp_path, STACK, SpacingBetweenSlices="8", **tags)
    image = volume(tmp_path)
    np.testing.assert_array_equal(array(image), STACK)
    assert image.GetSpacing()[2] == pytest.approx(8.0)
    write_stack(tmp_path, STACK, **tags)
    assert "no distance between slices" in geometry_notes(volume(tmp_path)).unknown


def test_magnitude_and_real_images_of_one_classic_series_are_told_apart(tmp_path):
    for kind, pictures in (("M", STACK), ("R", STACK + 1000)):
        types = [["ORIGINAL", "PRIMARY", kind, "ND"]] * 9
        write_stack(tmp_path / kind, pictures, ImageType=types)
    series = only_series(tmp_path)
    assert (series.component, series.depth, series.phases) == ("M", 9, 1)
    np.testing.assert_array_equal(array(read_series(series)), STACK)


def test_slices_at_several_inversion_times_are_no_lge(tmp_path):
    for t, inversion in enumerate((100, 180, 260, 935)):
        tags = {"InversionTime": f"{inversion}", "SeriesDescription": "LGE sa"}
        write_stack(tmp_path / str(t), STACK[:5] + t, **tags)
    series = only_series(tmp_path)
    assert "several inversion times" in series.problem
    with pytest.raises(InputError, match="several inversion times"):
        read_series(series)


# ---- movies -----------------------------------------------------------------------------------


def test_a_movie_file_for_each_slice_with_one_missing_is_told(tmp_path):
    cine = RNG.integers(0, 900, (9, 5, 12, 10)).astype(np.uint16)
    for k in (0, 1, 2, 3, 5, 6, 7, 8):
        write_clip(tmp_path / f"{k}.dcm", cine[k], k, SeriesDescription="cine sa")
    series = only_series(tmp_path)
    assert (series.depth, series.phases) == (8, 5)
    image = read_series(series, 2)
    np.testing.assert_array_equal(array(image), cine[[0, 1, 2, 3, 5, 6, 7, 8], 2])
    assert any("not evenly spaced" in text for text in notes(image))


def test_frames_without_places_and_times_are_asked_about(tmp_path):
    """They may be slices or phases: "trufi sa" tells neither."""
    write_clip(tmp_path / "a.dcm", STACK, SeriesDescription="trufi sa")
    with pytest.raises(InputError, match="neither the place nor the time of each"):
        volume(tmp_path)
    write_clip(tmp_path / "a.dcm", STACK, SeriesDescription="trufi sa", FrameTime="40")
    series = only_series(tmp_path)
    assert (series.depth, series.phases) == (1, 9)


# ---- values -----------------------------------------------------------------------------------


def test_inverted_pictures_are_turned_and_scaled(tmp_path):
    """MONOCHROME1 with 12 bits: 4095 is black."""
    tags = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12, "HighBit": 11}
    write_stack(tmp_path, 4095 - STACK, RescaleSlope="2", RescaleIntercept="5", **tags)
    np.testing.assert_allclose(array(volume(tmp_path)), STACK * 2.0 + 5)


def test_signed_pixels_stay_signed(tmp_path):
    signed = (STACK.astype(np.int16) - 450).astype(np.int16)
    write_stack(tmp_path, signed.view(np.uint16), PixelRepresentation=1)
    np.testing.assert_array_equal(array(volume(tmp_path)), signed)


@pytest.mark.parametrize(
    "syntax",
    ["JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless", "RLELossless"],
)
def test_compressed_pictures_are_read(tmp_path, syntax):
    write_stack(tmp_path / "plain", STACK)
    for path in sorted((tmp_path / "plain").glob("*.dcm")):
        compress(path, tmp_path / "packed" / path.name, syntax)
    np.testing.assert_array_equal(array(volume(tmp_path / "packed")), STACK)


def compress(source: Path, target: Path, syntax: str) -> None:
    """Write a file in another transfer syntax, by GDCM."""
    gdcm = pytest.importorskip("gdcm")
    reader = gdcm.ImageReader()
    reader.SetFileName(str(source))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    target.parent.mkdir(exist_ok=True)
    writer = gdcm.ImageWriter()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(target))
    assert writer.Write()


def test_big_endian_files_are_read(tmp_path):
    for k in range(9):
        dataset = picture(STACK[k], k)
        dataset.PixelData = STACK[k].astype(">u2").tobytes()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
        path = tmp_path / f"{k}.dcm"
        dataset.save_as(path, enforce_file_format=True)
    np.testing.assert_array_equal(array(volume(tmp_path)), STACK)


def test_a_truncated_file_among_good_ones_is_named(tmp_path):
    write_stack(tmp_path, STACK)
    path = tmp_path / "004.dcm"
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(InputError, match=r"missing or damaged \(004\.dcm\)"):
        volume(tmp_path)


def test_no_number_or_name_of_a_patient_is_kept(tmp_path):
    write_stack(tmp_path, STACK, PatientName="Jane^Roe", PatientID="08154711")
    shown = repr(only_series(tmp_path)).casefold().replace(str(tmp_path).casefold(), "")
    assert not any(word in shown for word in ("jane", "roe", "08154711"))


def test_a_study_is_known_by_a_checksum(tmp_path):
    write_stack(tmp_path, STACK)
    assert only_series(tmp_path).study and STUDY not in only_series(tmp_path).study

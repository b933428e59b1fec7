"""DICOM results, read back by pydicom alone: every pixel on its picture, and every number."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from circle_heart import circle_case, circle_labels, circle_lge, circle_segmentation
from dicom_heart import (
    FRAME_OF_REFERENCE,
    PLANTED,
    heart_labels,
    heart_segmentation,
    read_heart,
    write_heart,
    write_heart_in_one_file,
)
from dicom_series import GAP_MM, OBLIQUE, ORIGIN_MM, STUDY, picture, save, write_clip

from myops import __version__
from myops.errors import InputError
from myops.output import results
from myops.output.results import write_results
from myops.patients.provenance import find_inputs, read_case
from myops.quantify.measure import measure
from myops.structures import STRUCTURES

SCAR, MUSCLE, BLOOD = "Scar", "LV myocardium", "LV blood pool"


def written(place: Path, labels: np.ndarray, out: Path, **how):
    """Measurements, segmentation and report of a heart."""
    case, segmentation = read_heart(place, labels)
    numbers = measure(case, segmentation)
    files = write_results(out, case, segmentation, numbers, formats=("dicom",), **how)
    seg, report = (
        pydicom.dcmread(files[f"{name}.dcm"]) for name in ("segmentation", "measurements")
    )
    return numbers, seg, report


@pytest.fixture(scope="module")
def shuffled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shuffled")
    labels = write_heart(folder / "lge", **PLANTED)
    return folder, labels, *written(folder / "lge", labels, folder / "out")


def frames_of(seg, title: str) -> Iterator[tuple[np.ndarray, str, int | None, list[float]]]:
    """Pixels, source instance, its frame and the position of a segment's frames."""
    number = next(s.SegmentNumber for s in seg.SegmentSequence if s.SegmentLabel == title)
    pixels = seg.pixel_array
    for plane, groups in zip(pixels, seg.PerFrameFunctionalGroupsSequence, strict=True):
        if groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number:
            source = groups.DerivationImageSequence[0].SourceImageSequence[0]
            position = groups.PlanePositionSequence[0].ImagePositionPatient
            frame = source.get("ReferencedFrameNumber")
            yield plane, source.ReferencedSOPInstanceUID, frame, [float(v) for v in position]


def place_of(position: list[float]) -> int:
    """The slice that lies at a position, by the phantom's own formula."""
    return round(float((np.array(position) - ORIGIN_MM) @ OBLIQUE[:, 2]) / GAP_MM)


@pytest.mark.parametrize(
    ("title", "name"), [(SCAR, "scar"), (MUSCLE, "myocardium"), (BLOOD, "blood_pool")]
)
def test_every_pixel_lies_on_the_picture_it_was_found_in(shuffled, title, name):
    folder, labels, _, seg, _ = shuffled
    files = [pydicom.dcmread(path) for path in sorted((folder / "lge").iterdir())]
    pictures = {file.SOPInstanceUID: file for file in files}
    truth, seen = STRUCTURES[name].mask(labels), set()
    for plane, uid, frame, position in frames_of(seg, title):
        assert position == [float(v) for v in pictures[uid].ImagePositionPatient]
        assert frame is None
        np.testing.assert_array_equal(plane, truth[place_of(position)])
        seen.add(place_of(position))
    assert set(np.flatnonzero(truth.any(axis=(1, 2)))) <= seen
    assert list(
        seg.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient
    ) == (list(files[0].ImageOrientationPatient))


def test_the_segmentation_names_every_source_instance_and_its_series(shuffled):
    folder, _, _, seg, _ = shuffled
    uids = {pydicom.dcmread(path).SOPInstanceUID for path in (folder / "lge").iterdir()}
    (series,) = seg.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == f"{STUDY}.1"
    assert {one.ReferencedSOPInstanceUID for one in series.ReferencedInstanceSequence} == uids
    assert {one.ReferencedSOPInstanceUID for one in seg.SourceImageSequence} == uids
    assert seg.FrameOfReferenceUID == FRAME_OF_REFERENCE
    assert seg.StudyInstanceUID == STUDY


def test_segments_are_coded_and_say_what_made_them(shuffled):
    _, _, _, seg, _ = shuffled
    scar = next(one for one in seg.SegmentSequence if one.SegmentLabel == SCAR)
    kind, region = scar.SegmentedPropertyTypeCodeSequence[0], scar.AnatomicRegionSequence[0]
    assert (kind.CodingSchemeDesignator, kind.CodeValue) == ("SCT", "55641003")
    assert (region.CodingSchemeDesignator, region.CodeValue) == ("SCT", "74281007")
    algorithm = scar.SegmentationAlgorithmIdentificationSequence[0]
    assert scar.SegmentAlgorithmType == "AUTOMATIC"
    assert "synthetic" in algorithm.AlgorithmName
    assert algorithm.AlgorithmVersion == __version__
    assert algorithm.AlgorithmParameters == (
        "weights=synthetic,assn_sha256=aaaaaaaaaaaaaaaa,prsn_sha256=bbbbbbbbbbbbbbbb"
    )


def test_edema_that_was_not_assessed_is_no_empty_segment(shuffled):
    titles = {one.SegmentLabel for one in shuffled[3].SegmentSequence}
    assert {MUSCLE, SCAR, BLOOD, "Right ventricle"} <= titles
    assert not {"Edema", "Microvascular obstruction"} & titles


def groups_of(report) -> dict[str, dict[str, tuple[float, str]]]:
    """Tracking identifier -> measurement's meaning -> value and unit."""
    found: dict[str, dict[str, tuple[float, str]]] = {}
    for container in report.ContentSequence:
        if container.ConceptNameCodeSequence[0].CodeValue != "126010":  # imaging measurements
            continue
        for group in container.ContentSequence:
            items = group.ContentSequence
            name = next(
                i.TextValue for i in items if i.ConceptNameCodeSequence[0].CodeValue == "112039"
            )
            found[name] = {
                i.ConceptNameCodeSequence[0].CodeMeaning: (
                    float(i.MeasuredValueSequence[0].NumericValue),
                    i.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue,
                )
                for i in items
                if i.ValueType == "NUM"
            }
    return found


def test_the_report_holds_the_numbers_of_the_measurements(shuffled):
    _, labels, numbers, _, report = shuffled
    groups = groups_of(report)
    # By hand: a voxel of 1.5 x 1.25 x 8 mm is 0.015 mL; 1.05 g/mL.
    scar, wall = (
        int(np.isin(labels, (2221, 2222)).sum()),
        int(np.isin(labels, (200, 1220, 2221)).sum()),
    )
    assert groups[SCAR]["Volume"] == (pytest.approx(0.015 * scar, rel=1e-6), "mL")
    assert groups[SCAR]["Mass"] == (pytest.approx(0.015 * 1.05 * scar, rel=1e-6), "g")
    assert groups[SCAR]["Share of left ventricular mass"] == (pytest.approx(100 * scar / wall), "%")
    assert groups[MUSCLE]["Left Ventricle Mass"] == (
        pytest.approx(0.015 * 1.05 * wall, rel=1e-6),
        "g",
    )
    fwhm = numbers.fwhm["fwhm_half_of_maximum_volume"]
    beside = groups["Scar by FWHM, half of maximum (volume)"]
    assert beside["Mass"] == (pytest.approx(fwhm.mass.mass_g), "g")
    assert beside["Threshold Value"][0] == pytest.approx(fwhm.result.thresholds[2])
    assert beside["Highest signal in the myocardium"][0] == pytest.approx(
        2 * beside["Threshold Value"][0]
    )


def test_each_group_refers_to_its_segment_and_to_the_pictures(shuffled):
    folder, _, _, seg, report = shuffled
    titles = {one.SegmentNumber: one.SegmentLabel for one in seg.SegmentSequence}
    uids = {pydicom.dcmread(path).SOPInstanceUID for path in (folder / "lge").iterdir()}
    (container,) = (
        c for c in report.ContentSequence if c.ConceptNameCodeSequence[0].CodeValue == "126010"
    )
    for group in container.ContentSequence:
        images = [
            i.ReferencedSOPSequence[0] for i in group.ContentSequence if i.ValueType == "IMAGE"
        ]
        (name,) = (
            i.TextValue
            for i in group.ContentSequence
            if i.ConceptNameCodeSequence[0].CodeValue == "112039"
        )
        own = [one for one in images if one.ReferencedSOPInstanceUID == seg.SOPInstanceUID]
        assert [titles[one.ReferencedSegmentNumber] for one in own] == [name]
        assert {one.ReferencedSOPInstanceUID for one in images if one not in own} == uids
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"


def test_no_planted_identifier_is_in_the_files(shuffled):
    folder = shuffled[0]
    for path in (folder / "out").glob("*.dcm"):
        content = path.read_bytes().lower()
        words = [word for text in PLANTED.values() for word in text.lower().split("^")]
        assert [word for word in words if word.encode() in content] == []


def test_identity_is_kept_where_it_is_asked_for(tmp_path):
    labels = write_heart(tmp_path / "lge", **PLANTED)
    _, *objects = written(tmp_path / "lge", labels, tmp_path / "out", keep_identity=True)
    for one in objects:
        assert one.PatientName == PLANTED["PatientName"]
        assert one.AccessionNumber == PLANTED["AccessionNumber"]
        assert "PatientAddress" not in one


def test_frames_of_one_file_are_named_by_their_number(tmp_path):
    order = (3, 0, 4, 1, 2)
    labels = write_heart_in_one_file(tmp_path / "lge.dcm", order)
    _, seg, _ = written(tmp_path / "lge.dcm", labels, tmp_path / "out")
    (uid,) = {one.ReferencedSOPInstanceUID for one in seg.SourceImageSequence}
    assert uid == pydicom.dcmread(tmp_path / "lge.dcm").SOPInstanceUID
    for plane, source, frame, position in frames_of(seg, SCAR):
        assert source == uid
        assert order[frame - 1] == place_of(position)
        np.testing.assert_array_equal(plane, STRUCTURES["scar"].mask(labels)[place_of(position)])


def test_a_movie_for_each_slice_is_referred_to_by_its_chosen_phase(tmp_path):
    labels = heart_labels(5)
    stack = circle_lge(labels).round().clip(0)
    for k, pixels in enumerate(stack):
        phases = np.stack([pixels, pixels + 7, pixels + 9])
        tags = {"SeriesDescription": "cine sa", "FrameOfReferenceUID": FRAME_OF_REFERENCE}
        write_clip(tmp_path / "cine" / f"{k}.dcm", phases, k, FrameTime="40", **tags)
    files = {"bssfp": tmp_path / "cine", "lge": None, "t2": None}
    case = read_case(replace(find_inputs(None, files), frame=1))
    segmentation = heart_segmentation(case, labels)
    numbers = measure(case, segmentation)
    write_results(tmp_path / "out", case, segmentation, numbers, formats=("dicom",))
    seg = pydicom.dcmread(tmp_path / "out" / "segmentation.dcm")
    assert SCAR not in {one.SegmentLabel for one in seg.SegmentSequence}
    found = list(frames_of(seg, MUSCLE))
    assert {frame for _, _, frame, _ in found} == {2}
    assert len({uid for _, uid, _, _ in found}) == 5
    for plane, _, _, position in found:
        np.testing.assert_array_equal(
            plane, STRUCTURES["myocardium"].mask(labels)[place_of(position)]
        )


def test_beside_a_missing_slice_every_other_one_stays_at_its_place(tmp_path):
    labels = heart_labels(6)
    for k in (0, 1, 3, 4, 5):
        pixels = circle_lge(labels)[k].round().clip(0).astype(np.uint16)
        save(
            picture(pixels, k),
            tmp_path / "lge" / f"{k}.dcm",
            FrameOfReferenceUID=FRAME_OF_REFERENCE,
        )
    _, seg, _ = written(tmp_path / "lge", labels[[0, 1, 3, 4, 5]], tmp_path / "out")
    found = {place_of(position): plane for plane, *_, position in frames_of(seg, MUSCLE)}
    assert set(found) == {0, 1, 3, 4, 5}
    for place, plane in found.items():
        np.testing.assert_array_equal(plane, STRUCTURES["myocardium"].mask(labels)[place])
    assert (
        "SpacingBetweenSlices" not in seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    )


def test_no_scar_is_an_empty_segment_with_0_g(tmp_path):
    labels = circle_labels(5)
    labels[np.isin(labels, (1220, 2221))] = 200
    write_heart(tmp_path / "lge", labels=labels)
    _, seg, report = written(tmp_path / "lge", labels, tmp_path / "out")
    assert SCAR in {one.SegmentLabel for one in seg.SegmentSequence}
    assert not any(plane.any() for plane, *_ in frames_of(seg, SCAR))
    assert groups_of(report)[SCAR]["Mass"] == (0.0, "g")


@pytest.mark.parametrize("name", ["segmentation", "measurements"])
def test_dciodvfy_finds_no_error(shuffled, name):
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed: apt-get install dicom3tools")
    path = shuffled[0] / "out" / f"{name}.dcm"
    said = subprocess.run(
        ["dciodvfy", str(path)], capture_output=True, encoding="utf-8", check=False
    )
    assert {"segmentation": "Segmentation", "measurements": "ComprehensiveSR"}[name] in said.stderr
    assert [line for line in said.stderr.splitlines() if line.startswith("Error")] == []


def test_an_image_of_another_format_is_refused_in_one_line(tmp_path):
    case = circle_case()
    segmentation = circle_segmentation(case)
    with pytest.raises(
        InputError, match=r"expected the lge image as DICOM.*found an image of another"
    ):
        write_results(
            tmp_path / "out", case, segmentation, measure(case, segmentation), formats=("dicom",)
        )
    assert not (tmp_path / "out").exists()


def refused(tmp_path: Path, labels: np.ndarray, words: str, spoil=lambda folder: None) -> None:
    """Read a heart, spoil its files, and see DICOM results refused with nothing written."""
    case, segmentation = read_heart(tmp_path / "lge", labels)
    numbers = measure(case, segmentation)
    spoil(tmp_path / "lge")
    with pytest.raises(InputError, match=words):
        write_results(tmp_path / "out", case, segmentation, numbers, formats=results.FORMATS)
    assert {path.name for path in tmp_path.iterdir()} == {"lge"}


def test_source_files_that_are_gone_are_named(tmp_path):
    labels = write_heart(tmp_path / "lge")
    refused(
        tmp_path, labels, r"found that 002\.dcm cannot be read", lambda f: (f / "002.dcm").unlink()
    )


def test_source_files_that_are_others_now_are_named(tmp_path):
    labels = write_heart(tmp_path / "lge")

    def swap(folder: Path) -> None:
        shutil.copy(folder / "001.dcm", folder / "002.dcm")

    refused(tmp_path, labels, r"found that 002\.dcm is another image now", swap)


def test_two_frames_of_reference_are_refused(tmp_path):
    places = [FRAME_OF_REFERENCE] * 3 + [f"{FRAME_OF_REFERENCE}.2"] * 2
    labels = write_heart(tmp_path / "lge", FrameOfReferenceUID=places)
    refused(tmp_path, labels, r"one frame of reference \(0020,0052\), found 2")


def test_images_without_a_frame_of_reference_are_refused(tmp_path):
    labels = write_heart(tmp_path / "lge", FrameOfReferenceUID="")
    refused(tmp_path, labels, r"name their frame of reference .*found none")


def test_slices_at_an_angle_are_refused(tmp_path):
    fan = []
    for k in range(5):
        turn = np.radians(1.5 * k)
        along = np.cos(turn) * OBLIQUE[:, 1] + np.sin(turn) * OBLIQUE[:, 2]
        fan.append([f"{value:.6f}" for value in (*OBLIQUE[:, 0], *along)])
    labels = write_heart(tmp_path / "lge", (0, 1, 2, 3, 4), ImageOrientationPatient=fan)
    refused(tmp_path, labels, "expected parallel slices.*at an angle")


def test_a_spacing_that_the_files_do_not_state_is_refused(tmp_path):
    labels = write_heart(tmp_path / "lge")
    files = {"lge": tmp_path / "lge", "bssfp": None, "t2": None}
    case = read_case(replace(find_inputs(None, files), spacing_mm=(2.0, 2.0, 8.0)))
    segmentation = heart_segmentation(case, labels)
    with pytest.raises(InputError, match="moved, resampled or with another spacing"):
        write_results(
            tmp_path / "out", case, segmentation, measure(case, segmentation), formats=("dicom",)
        )


def test_a_report_that_cannot_be_made_leaves_earlier_results_as_they_were(tmp_path, monkeypatch):
    labels = write_heart(tmp_path / "lge")
    case, segmentation = read_heart(tmp_path / "lge", labels)
    numbers = measure(case, segmentation)
    write_results(tmp_path / "out", case, segmentation, numbers, formats=("json",))
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("myops.output.dicom.report.make_report", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_results(tmp_path / "out", case, segmentation, numbers, formats=results.FORMATS)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_readers_corrections_are_told_from_the_networks_work(tmp_path):
    from myops.output.dicom.files import write_dicom

    labels = write_heart(tmp_path / "lge")
    case, segmentation = read_heart(tmp_path / "lge", labels)
    write_dicom(tmp_path, case, segmentation, measure(case, segmentation), corrected=True)
    seg = pydicom.dcmread(tmp_path / "segmentation.dcm")
    assert {one.SegmentAlgorithmType for one in seg.SegmentSequence} == {"SEMIAUTOMATIC"}

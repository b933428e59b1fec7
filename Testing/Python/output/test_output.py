import csv
import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from circle_heart import circle_case, circle_labels, circle_lge, circle_segmentation, sitk_image
from fresh_python import run_python

from myops.case import case_from_images
from myops.errors import InputError
from myops.geometry.canonical import to_canonical
from myops.output import results as output
from myops.output.results import check_writable, write_results
from myops.quantify.measure import measure
from myops.report import lettering, typeface
from myops.report.pdf_file import PdfFile
from myops.report.raster import Raster

NAMES = {
    "segmentation.nii.gz",
    "segmentation.seg.nrrd",
    "measurements.json",
    "measurements.csv",
    "regional.csv",
    "overview.png",
    "report.html",
    "report.pdf",
    "results.json",
}


def results(sequences=("bssfp", "lge", "t2"), **options):
    labels = circle_labels(3)
    case = circle_case(labels, sequences, **options)
    segmentation = circle_segmentation(case, labels)
    return case, segmentation, measure(case, segmentation)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written") / "new" / "out"
    parts = results()
    return folder, parts, write_results(folder, *parts)


@pytest.mark.slow
def test_every_file_is_written_and_nothing_else(written):
    folder, _, paths = written
    assert set(paths) == NAMES - {"results.json"}
    assert {path.name for path in folder.iterdir()} == NAMES
    assert {path.name for path in folder.parent.iterdir()} == {"out"}


def test_the_label_map_lies_on_the_reference_voxel_for_voxel(written):
    _, (_, segmentation, _), paths = written
    image = sitk.ReadImage(str(paths["segmentation.nii.gz"]))
    reference = sitk_image(circle_lge(segmentation.labels))
    assert image.GetSize() == reference.GetSize()
    assert image.GetSpacing() == pytest.approx(reference.GetSpacing())
    assert image.GetOrigin() == pytest.approx(reference.GetOrigin())
    assert image.GetDirection() == pytest.approx(reference.GetDirection())
    assert image.GetPixelID() == sitk.sitkUInt16
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), circle_labels(3))


@pytest.mark.slow
def test_labels_return_to_a_flipped_and_permuted_original(tmp_path):
    labels = circle_labels(3)
    flipped = sitk.Flip(sitk_image(circle_lge(labels)), (True, False, True))
    reference = sitk.PermuteAxes(flipped, (2, 0, 1))
    truth = sitk.PermuteAxes(sitk.Flip(sitk_image(labels), (True, False, True)), (2, 0, 1))
    case = case_from_images({"lge": reference}, "turned")
    canonical = to_canonical(sitk.GetArrayFromImage(truth), case.original)
    canonical[canonical == 1220] = 200
    segmentation = circle_segmentation(case, canonical)
    paths = write_results(tmp_path / "out", case, segmentation, measure(case, segmentation))
    for name in ("segmentation.nii.gz", "segmentation.seg.nrrd"):
        back = sitk.ReadImage(str(paths[name]))
        expected = sitk.GetArrayFromImage(truth)
        expected[expected == 1220] = 200
        np.testing.assert_array_equal(sitk.GetArrayFromImage(back), expected)
        assert back.GetDirection() == pytest.approx(reference.GetDirection())


def test_the_slicer_file_names_each_segment_with_its_label_value(written):
    _, _, paths = written
    image = sitk.ReadImage(str(paths["segmentation.seg.nrrd"]))
    keys = set(image.GetMetaDataKeys())
    found = {
        image.GetMetaData(f"Segment{i}_ID"): int(image.GetMetaData(f"Segment{i}_LabelValue"))
        for i in range(5)
    }
    assert found == {
        "normal_myocardium": 200,
        "blood_pool": 500,
        "right_ventricle": 600,
        "edema": 1220,
        "scar": 2221,
    }
    assert "Segment5_ID" not in keys
    assert image.GetMetaData("Segment4_Name") == "Scar"
    assert image.GetMetaData("Segment4_Layer") == "0"
    assert image.GetMetaData("Segment4_Extent") == "0 95 0 95 0 2"
    color = [float(part) for part in image.GetMetaData("Segment4_Color").split()]
    assert len(color) == 3 and all(0 <= part <= 1 for part in color)
    assert image.GetMetaData("Segment4_Tags") == (
        "TerminologyEntry:Segmentation category and type - DICOM master list"
        "~SCT^49755003^Morphologically Altered Structure~SCT^55641003^Infarct~^^"
        "~Anatomic codes - DICOM master list~SCT^74281007^Myocardium~^^|"
    )
    assert image.GetMetaData("Segmentation_ContainedRepresentationNames") == "Binary labelmap|"
    assert image.GetMetaData("Segmentation_MasterRepresentation") == "Binary labelmap"
    assert image.GetMetaData("Segmentation_ReferenceImageExtentOffset") == "0 0 0"


@pytest.mark.slow
def test_what_was_not_assessed_has_no_segment(tmp_path):
    labels = circle_labels(3)
    labels[np.isin(labels, (1220, 2221))] = 200
    case = circle_case(labels, ("bssfp",))
    segmentation = circle_segmentation(case, labels)
    paths = write_results(tmp_path / "out", case, segmentation, measure(case, segmentation))
    image = sitk.ReadImage(str(paths["segmentation.seg.nrrd"]))
    names = [image.GetMetaData(k) for k in image.GetMetaDataKeys() if k.endswith("_ID")]
    assert sorted(names) == ["blood_pool", "normal_myocardium", "right_ventricle"]


@pytest.mark.slow
def test_marked_microvascular_obstruction_becomes_a_segment_of_its_own(tmp_path):
    labels = circle_labels(3)
    labels[1, 30:33, 47:50] = 2222
    case = circle_case(labels)
    segmentation = circle_segmentation(case, labels)
    paths = write_results(tmp_path / "out", case, segmentation, measure(case, segmentation))
    image = sitk.ReadImage(str(paths["segmentation.seg.nrrd"]))
    fields = {name: image.GetMetaData(f"Segment5_{name}") for name in ("ID", "Name", "LabelValue")}
    assert fields == {"ID": "mvo", "Name": "Microvascular obstruction", "LabelValue": "2222"}
    assert int((sitk.GetArrayFromImage(image) == 2222).sum()) == 9


def test_the_regional_analysis_is_in_json_and_in_a_table_of_its_own(written):
    _, (_, _, measurements), paths = written
    whole = measurements.regional.whole
    labels = circle_labels(3)
    wall = np.isin(labels, (200, 1220, 2221)).sum()
    assert whole.scar_percent == pytest.approx(100 * (labels == 2221).sum() / wall)
    document = json.loads(paths["measurements.json"].read_text("utf-8"))
    assert document["regional"]["whole"]["scar_percent"] == whole.scar_percent
    with paths["regional.csv"].open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    value = [
        float(row["value"])
        for row in rows
        if (row["slice"], row["structure"], row["quantity"]) == ("all", "wall", "scar_percent")
    ]
    assert value == [whole.scar_percent]


def test_json_and_csv_hold_the_measurements(written):
    _, (_, _, measurements), paths = written
    document = json.loads(paths["measurements.json"].read_text("utf-8"))
    scar_g = measurements.tissues["scar"].mass_g
    assert document["tissues"]["scar"]["mass_g"] == scar_g
    assert document["model_sha256"]["prsn"] == "f" * 64
    assert "Not a medical device" in document["notice"]
    with paths["measurements.csv"].open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    value = [
        float(row["value"])
        for row in rows
        if (row["slice"], row["structure"], row["quantity"]) == ("all", "scar", "mass_g")
    ]
    assert value == [scar_g]


@pytest.mark.slow
def test_results_say_what_the_networks_ran_on_where_any_ran(tmp_path, written):
    _, _, paths = written
    assert "networks_ran_on" not in json.loads(paths["measurements.json"].read_text("utf-8"))
    case, segmentation, measurements = results()
    machine = {"precision": "bfloat16", "device": "cpu", "torch": "2.9.1", "threads": 2}
    ran = replace(segmentation, machine=machine)
    files = write_results(tmp_path / "out", case, ran, measurements, formats=("json", "html"))
    document = json.loads(files["measurements.json"].read_text("utf-8"))
    assert document["networks_ran_on"] == machine
    page = files["report.html"].read_text("utf-8")
    assert "precision bfloat16, device cpu, torch 2.9.1, threads 2" in page


def test_no_path_of_this_machine_gets_into_the_results(written):
    folder, _, paths = written
    for name in ("report.html", "measurements.json", "measurements.csv"):
        assert str(folder.parent) not in paths[name].read_text("utf-8")


@pytest.mark.slow
def test_probabilities_are_written_on_request_on_the_original_grid(tmp_path):
    case, segmentation, measurements = results()
    paths = write_results(tmp_path / "o", case, segmentation, measurements, probabilities=True)
    scar = sitk.ReadImage(str(paths["probability_scar.nii.gz"]))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(scar), segmentation.probabilities["scar"])
    assert {"uncertainty.nii.gz", "probability_lv_region.nii.gz"} <= set(paths)


@pytest.mark.slow
def test_files_of_others_in_the_folder_stay_and_old_results_are_replaced(tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    write_results(tmp_path, *results())
    (tmp_path / "report.html").write_text("old", encoding="utf-8")
    write_results(tmp_path, *results())
    assert (tmp_path / "notes.txt").read_text("utf-8") == "mine"
    assert "Research use only" in (tmp_path / "report.html").read_text("utf-8")
    assert {path.name for path in tmp_path.iterdir()} == NAMES | {"notes.txt"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interruption_leaves_no_new_folder(tmp_path, monkeypatch, error):
    def stop(*_):
        raise error

    monkeypatch.setattr(output, "_write_report", stop)
    with pytest.raises((KeyboardInterrupt, OSError)):
        write_results(tmp_path / "study" / "out", *results())
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_leaves_earlier_results_as_they_were(tmp_path, monkeypatch):
    write_results(tmp_path, *results(), formats=("json",))
    (tmp_path / "measurements.json").write_text("old", encoding="utf-8")

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(output, "_write_report", stop)
    with pytest.raises(KeyboardInterrupt):
        write_results(tmp_path, *results())
    assert {path.name for path in tmp_path.iterdir()} == {"measurements.json", "results.json"}
    assert (tmp_path / "measurements.json").read_text("utf-8") == "old"


@pytest.mark.parametrize("where", [(Raster, "png"), (PdfFile, "content")])
def test_an_interrupted_drawing_leaves_nothing(tmp_path, monkeypatch, where):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(*where, stop)
    with pytest.raises(KeyboardInterrupt):
        write_results(tmp_path / "out", *results())
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_in_the_midst_of_the_report_leaves_nothing(tmp_path):
    """The system itself ends the writing: no file may grow beyond what the label maps need."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_results(tmp_path / "out", *results())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_without_the_font_nothing_is_written_but_what_to_do(tmp_path, monkeypatch):
    caches = (typeface.typeface, lettering.width_of, lettering._letters)
    for cache in caches:
        cache.cache_clear()
    monkeypatch.setattr(typeface, "font_path", lambda bold=False: tmp_path / "DejaVuSans.ttf")
    with pytest.raises(InputError, match="expected the font of the report.*install matplotlib"):
        write_results(tmp_path / "out", *results())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_home_folder_that_cannot_be_written_to_is_no_obstacle(tmp_path):
    hearts = Path(__file__).parents[2] / "hearts"
    code = (
        f"sys.path.insert(0, {str(hearts)!r})\n"
        "from circle_report import parts\nfrom myops.output.results import write_results\n"
        f"write_results({str(tmp_path / 'out')!r}, *parts(slices=3)[:3])"
    )
    home = {"HOME": os.devnull, "XDG_CACHE_HOME": os.devnull, "XDG_CONFIG_HOME": os.devnull}
    run_python(code, home)
    assert {path.name for path in (tmp_path / "out").iterdir()} == NAMES


@pytest.mark.slow
def test_an_interruption_while_files_move_in_still_moves_all_of_them(tmp_path, monkeypatch):
    moved = []

    def interrupted_once(source, target):
        moved.append(source)
        if len(moved) == 2:
            raise KeyboardInterrupt
        os.rename(source, target)

    monkeypatch.setattr(output.os, "replace", interrupted_once)
    with pytest.raises(KeyboardInterrupt):
        write_results(tmp_path, *results())
    assert {path.name for path in tmp_path.iterdir()} == NAMES


def test_results_follow_the_umask_not_the_private_mode_of_the_stage(written):
    folder, _, _ = written
    plain = folder.parent.parent / "plain"
    plain.mkdir(exist_ok=True)
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_a_file_in_the_place_of_the_folder_is_refused_with_a_remedy(tmp_path):
    (tmp_path / "out").write_text("a file", encoding="utf-8")
    for target in (tmp_path / "out", tmp_path / "out" / "below"):
        with pytest.raises(InputError, match="expected a folder .* name another folder"):
            check_writable(target)
    assert (tmp_path / "out").read_text("utf-8") == "a file"


def test_a_folder_that_may_not_be_written_is_refused(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    # The test may run as root, for whom every folder is writable.
    monkeypatch.setattr(output.tempfile, "TemporaryDirectory", refuse)
    with pytest.raises(InputError, match=r"Permission denied.*change its permissions"):
        check_writable(tmp_path / "out")


def test_checking_leaves_nothing_behind(tmp_path):
    check_writable(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_relative_target_is_accepted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = write_results(Path("out"), *results())
    assert paths["report.html"].is_file()

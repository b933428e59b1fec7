"""A folder never holds results of two patients, and no reader's work is written over."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from circle_heart import circle_case, circle_labels, circle_segmentation

from myops.case import images_sha256
from myops.errors import InputError
from myops.output.earlier_results import (
    RESULTS_FILE,
    SESSION_FILE,
    check_no_corrections,
    check_same_images,
    mark_text,
    mark_warning,
)
from myops.output.results import write_results
from myops.quantify.measure import measure
from myops.quantify.tables import write_tables


def results(gain: float = 1.0, shift: int = 0, **options):
    """A patient; another gain is another patient, a shift other labels of the same images."""
    labels = circle_labels(3)
    case = circle_case(labels, **options)
    for image in case.images.values():
        image *= np.float32(gain)
    segmentation = circle_segmentation(case, np.roll(labels, shift, 2))
    return case, segmentation, measure(case, segmentation)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_another_patients_results_are_refused_and_stay(tmp_path):
    write_results(tmp_path, *results(), formats=("json", "nifti"))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match="results of other images.*name another folder"):
        write_results(tmp_path, *results(1.5), formats=("json", "nifti"))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_same_patient_is_replaced_and_nothing_of_other_labels_stays(tmp_path):
    case, segmentation, numbers = results()
    write_results(tmp_path, case, segmentation, numbers, probabilities=True, formats=("nifti",))
    assert "uncertainty.nii.gz" in names(tmp_path)
    (tmp_path / "mine.txt").write_text("notes", encoding="utf-8")
    write_results(tmp_path, *results(shift=2), formats=("nifti", "csv"))
    assert names(tmp_path) == {
        "segmentation.nii.gz",
        "measurements.csv",
        "regional.csv",
        RESULTS_FILE,
        "mine.txt",
    }


def test_a_second_export_of_the_same_labels_adds_to_the_first(tmp_path):
    parts = results()
    write_results(tmp_path, *parts, formats=("nifti",))
    write_results(tmp_path, *parts, formats=("csv",))
    assert {"segmentation.nii.gz", "measurements.csv"} <= names(tmp_path)
    noted = json.loads((tmp_path / RESULTS_FILE).read_text(encoding="utf-8"))
    assert noted["files"] == ["measurements.csv", "regional.csv", "segmentation.nii.gz"]
    # Both are of the old labels now: new ones take both away.
    write_results(tmp_path, *results(shift=2), formats=("json",))
    assert names(tmp_path) == {"measurements.json", RESULTS_FILE}


def test_a_sequence_more_or_less_is_still_the_same_patient(tmp_path):
    write_results(tmp_path, *results(sequences=("bssfp", "lge", "t2")), formats=("json",))
    write_results(tmp_path, *results(sequences=("lge",)), formats=("json",))


def test_results_that_nobody_noted_are_refused(tmp_path):
    (tmp_path / "segmentation.nii.gz").write_bytes(b"from an older version")
    with pytest.raises(InputError, match=r"segmentation\.nii\.gz without a note of their images"):
        write_results(tmp_path, *results(), formats=("json",))


def test_corrections_of_another_patient_below_are_refused(tmp_path):
    write_results(tmp_path / "refined", *results(), formats=("json",))
    with pytest.raises(InputError, match="corrections of another image in refined"):
        write_results(tmp_path, *results(1.5), formats=("json",))
    write_results(tmp_path, *results(), formats=("json",))


def test_tables_of_quantify_and_results_of_segment_look_at_each_other(tmp_path):
    write_tables(tmp_path / "a", results()[2])
    with pytest.raises(InputError, match="results of other images"):
        write_results(tmp_path / "a", *results(1.5), formats=("json",))
    write_results(tmp_path / "b", *results(), formats=("json",))
    with pytest.raises(InputError, match="results of other images"):
        write_tables(tmp_path / "b", results(1.5)[2])


def test_automatic_results_never_replace_a_readers(tmp_path):
    check_no_corrections(tmp_path)
    (tmp_path / SESSION_FILE).write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=r"corrections \(session\.json\) that would be lost"):
        check_no_corrections(tmp_path)


def test_a_note_cannot_name_files_elsewhere(tmp_path):
    parts = results()
    outside = tmp_path / "precious.csv"
    outside.write_text("mine", encoding="utf-8")
    write_results(tmp_path / "out", *parts, formats=("json",))
    note = tmp_path / "out" / RESULTS_FILE
    values = json.loads(note.read_text(encoding="utf-8"))
    values["files"] += ["../precious.csv", str(outside), 7]
    note.write_text(json.dumps(values), encoding="utf-8")
    write_results(tmp_path / "out", *results(shift=2), formats=("json",))
    assert outside.exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"images_sha256": 3}', "\0\0"])
def test_a_damaged_note_is_no_traceback(tmp_path, content):
    write_results(tmp_path, *results(), formats=("json",))
    (tmp_path / RESULTS_FILE).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="name another folder"):
        write_results(tmp_path, *results(), formats=("json",))


def test_measurements_name_their_images_and_labels(tmp_path):
    case, segmentation, numbers = results()
    paths = write_results(tmp_path, case, segmentation, numbers, formats=("json",))
    values = json.loads(paths["measurements.json"].read_text(encoding="utf-8"))
    assert values["images_sha256"] == images_sha256(case)
    assert len(values["labels_sha256"]) == 64


def test_a_mark_of_another_program_says_nothing():
    case = results()[0]
    assert mark_warning(mark_text(case), case, "x") == ""
    for mark in ("", "myops", "FSL 6", "myops lge", "myops pet 0123456789abcdef"):
        assert mark_warning(mark, case, "x") == ""
    assert "another lge image" in mark_warning("myops lge 0123456789abcdef", case, "x")


def test_an_empty_or_missing_folder_is_free(tmp_path):
    own = {"lge": "a" * 64}
    check_same_images(tmp_path / "new", own)
    check_same_images(tmp_path, own)

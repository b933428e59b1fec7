"""Inputs: a result knows its images, finds them again, and takes no others for them."""

from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from myops.errors import InputError
from myops.patients.provenance import Inputs, find_files, moved, read_case, read_inputs, read_labels

NOTHING = {"lge": None, "bssfp": None, "t2": None}


@pytest.fixture
def noted(patient_folder, tmp_path):
    """The inputs of a patient as they are read back from a results folder."""
    out_dir = tmp_path / "out"
    out_dir.mkdir()
    files = find_files(patient_folder, NOTHING)
    values = Inputs(files, "patient", spacing_mm=(1.4, 1.4, 9.0)).to_dict()
    (out_dir / "inputs.json").write_text(json.dumps(values), encoding="utf-8")
    return read_inputs(out_dir)


def test_a_folder_gives_absolute_files(patient_folder, monkeypatch):
    monkeypatch.chdir(patient_folder.parent)
    files = find_files(patient_folder.relative_to(patient_folder.parent), NOTHING)
    assert files["lge"] == patient_folder / "myops_007_DE.nii.gz"
    assert set(files) == {"lge", "bssfp", "t2"}


def test_inputs_come_back_from_json_with_the_checksum_of_each_file(noted, patient_folder):
    content = (patient_folder / "myops_007_T2.nii.gz").read_bytes()
    assert noted.sha256["t2"] == hashlib.sha256(content).hexdigest()
    assert noted.files["t2"] == patient_folder / "myops_007_T2.nii.gz"
    assert (noted.name, noted.frame, noted.spacing_mm) == ("patient", None, (1.4, 1.4, 9.0))
    assert noted.model == "default"


def test_the_note_says_that_it_holds_local_paths(patient_folder):
    notice = Inputs(find_files(patient_folder, NOTHING)).to_dict()["notice"]
    assert "paths" in notice and "leave it out" in notice


def test_a_folder_of_weights_is_noted_as_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Inputs({}).with_model("weights").model == str(tmp_path / "weights")
    assert Inputs({}).with_model("default").model == "synthetic"  # the pack in use, by its name


def test_the_case_is_read_with_its_name_and_spacing(noted):
    case = read_case(noted)
    assert case.name == "patient" and case.sequences == ("bssfp", "lge", "t2")
    assert case.geometry.spacing_mm == (1.4, 1.4, 9.0)


def test_an_image_that_changed_since_is_refused(noted, patient_folder):
    shutil.copy(patient_folder / "myops_007_C0.nii.gz", noted.files["t2"])
    with pytest.raises(InputError, match="the t2 image that was segmented"):
        read_case(noted)


def test_images_that_moved_are_asked_for_and_found_at_their_new_place(
    noted, patient_folder, tmp_path
):
    elsewhere = tmp_path / "elsewhere"
    patient_folder.rename(elsewhere)
    with pytest.raises(InputError, match="name the file where it is now with --lge"):
        read_case(noted)
    case = read_case(moved(noted, elsewhere, NOTHING))
    assert case.name == "patient"
    by_file = {
        "lge": elsewhere / "myops_007_DE.nii.gz",
        "bssfp": elsewhere / "myops_007_C0.nii.gz",
        "t2": elsewhere / "myops_007_T2.nii.gz",
    }
    np.testing.assert_array_equal(
        read_case(moved(noted, None, by_file)).images["lge"], case.images["lge"]
    )


def test_nothing_named_leaves_the_inputs_as_noted(noted):
    assert moved(noted, None, NOTHING) is noted


def test_a_sequence_that_was_not_segmented_is_refused(noted, patient_folder):
    only = Inputs({"lge": noted.files["lge"]}, "patient")
    with pytest.raises(InputError, match=r"\(lge\), found t2"):
        moved(only, None, {**NOTHING, "t2": noted.files["t2"]})
    assert set(moved(only, patient_folder, NOTHING).files) == {"lge"}


def test_a_folder_that_segment_did_not_write_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no readable inputs.json"):
        read_inputs(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", '{"images": {}}', '{"images": {"lge": 3}}'])
def test_a_damaged_note_is_refused(tmp_path, content):
    (tmp_path / "inputs.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="damaged file; segment again"):
        read_inputs(tmp_path)


def test_labels_are_read_to_the_grid_of_the_case(noted, patient_folder, tmp_path):
    noted = Inputs(noted.files, "patient")
    case = read_case(noted)
    shutil.copy(patient_folder / "myops_007_gd.nii.gz", tmp_path / "segmentation.nii.gz")
    labels = read_labels(tmp_path, case)
    assert labels.shape == case.geometry.array_shape and labels.dtype == np.uint16
    assert np.count_nonzero(labels == 500) == 2 * 4 * 4
    assert np.count_nonzero(labels == 200) == 2 * (8 * 8 - 4 * 4)


def test_labels_on_another_grid_are_refused(noted, patient_folder, tmp_path):
    image = sitk.ReadImage(str(patient_folder / "myops_007_gd.nii.gz"))
    image.SetOrigin((0.0, 0.0, 1.0))
    sitk.WriteImage(image, str(tmp_path / "segmentation.nii.gz"))
    with pytest.raises(InputError, match="on the grid of the lge image"):
        read_labels(tmp_path, read_case(Inputs(noted.files)))


def test_shifts_and_turns_that_were_found_are_made_again(noted, tmp_path):
    path = tmp_path / "out" / "inputs.json"
    values = json.loads(path.read_text("utf-8"))
    assert (values["register"], values["shifts_mm"]) == ("off", {})
    before = read_case(noted)
    # One pixel is 1.4 mm wide: the second slice lay one to the right.
    shifts = [[0.0, 0.0], [1.4, 0.0], *[[0.0, 0.0]] * 4]
    path.write_text(
        json.dumps({**values, "register": "auto", "shifts_mm": {"t2": shifts}}), "utf-8"
    )
    again = read_case(read_inputs(tmp_path / "out"))
    moved = [np.array_equal(a, b) for a, b in zip(again.images["t2"], before.images["t2"])]
    assert moved == [True, False, True, True, True, True]
    assert np.allclose(again.images["t2"][1, :, :-1], before.images["t2"][1, :, 1:], rtol=1e-6)
    # A quarter of a turn from x to y, around the middle of pixel (2, 2).
    values |= {"shifts_mm": {"t2": [[0.0, 0.0]] * 6}, "turns": {"t2": [90.0, 2.8, 2.8]}}
    path.write_text(json.dumps(values), "utf-8")
    turned = read_case(read_inputs(tmp_path / "out")).images["t2"]
    # What belongs one pixel to the right lies one below.
    assert np.allclose(turned[:, 2, 3], before.images["t2"][:, 3, 2], rtol=1e-6)
    del values["register"], values["shifts_mm"], values["turns"]  # as version 0.2.0 noted it
    path.write_text(json.dumps(values), "utf-8")
    older = read_inputs(tmp_path / "out")
    assert (older.register, older.shifts_mm) == ("off", {})

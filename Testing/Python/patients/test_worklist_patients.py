"""Folders of patients: who is in them, and which file is which sequence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from myops.errors import InputError
from myops.io.file_names import find_sequences
from myops.patients.find import PatientFiles, find_patients, read_sequence, recognize
from myops.worklist.casefile import CaseFile, write_case_file


def image(path: Path, frames: int = 1) -> Path:
    """A small image; of a cine where there is more than one frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    volume = sitk.GetImageFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5) + len(path.name))
    volume.SetSpacing((1.5, 1.5, 8.0))
    sitk.WriteImage(sitk.JoinSeries([volume] * frames) if frames > 1 else volume, str(path))
    return path


def names(patients) -> list[tuple[str, dict[str, str]]]:
    return [
        (patient.name, {key: path.name for key, path in patient.sequences.items()})
        for patient in patients
    ]


def test_a_patients_folder_is_recognized(patient_folder):
    patient = recognize(patient_folder)
    assert {key: [path] for key, path in patient.sequences.items()} == find_sequences(
        patient_folder
    )
    assert (patient.name, patient.unrecognized, patient.problems) == ("patient", (), ())


def test_folders_of_patients_are_listed_in_natural_order(tmp_path):
    for name in ("Patient 10", "patient 9", "Patient 1", "Zoë Ä", "éa"):
        image(tmp_path / name / "heart_LGE.nii.gz")
    assert [patient.name for patient in find_patients(tmp_path)] == [
        "Patient 1",
        "patient 9",
        "Patient 10",
        "Zoë Ä",
        "éa",
    ]


def test_a_flat_folder_of_the_challenge_holds_several_patients(tmp_path):
    for number in (101, 102, 110):
        for word in ("C0", "DE", "T2", "gd"):
            image(tmp_path / f"myops_training_{number}_{word}.nii.gz")
    found = find_patients(tmp_path)
    assert names(found) == [
        (
            f"myops_training_{number}",
            {
                "bssfp": f"myops_training_{number}_C0.nii.gz",
                "lge": f"myops_training_{number}_DE.nii.gz",
                "t2": f"myops_training_{number}_T2.nii.gz",
            },
        )
        for number in (101, 102, 110)
    ]
    assert all(patient.folder == tmp_path.resolve() for patient in found)
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(read_sequence(found[1], "lge")),
        sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "myops_training_102_DE.nii.gz"))),
    )


def test_a_flat_folder_of_lge_alone_holds_several_patients(tmp_path):
    for name in ("a", "b"):
        image(tmp_path / f"{name}_LGE.nrrd")
    assert [patient.name for patient in find_patients(tmp_path)] == ["a", "b"]


def test_files_numbered_by_series_are_one_patient(tmp_path):
    for name in ("01_cine", "02_lge_psir", "03_t2_stir"):
        image(tmp_path / f"{name}.nii.gz")
    (patient,) = find_patients(tmp_path)
    assert set(patient.sequences) == {"bssfp", "lge", "t2"} and patient.name == tmp_path.name


def test_a_series_twice_is_one_patient_with_a_question(tmp_path):
    for name in ("01_cine", "02_lge", "03_lge"):
        image(tmp_path / f"{name}.nii.gz")
    (patient,) = find_patients(tmp_path)
    assert set(patient.sequences) == {"bssfp"}
    assert [path.name for path in patient.unrecognized] == ["02_lge.nii.gz", "03_lge.nii.gz"]
    assert patient.problems == (
        "Several LGE images (02_lge.nii.gz, 03_lge.nii.gz): choose the right one from the list.",
    )


def test_the_short_axis_is_taken_before_a_long_one(tmp_path):
    for name in ("LGE_4ch", "LGE_sa", "LGE"):
        image(tmp_path / f"{name}.nii.gz")
    patient = recognize(tmp_path)
    assert patient.sequences["lge"].name == "LGE_sa.nii.gz"
    assert len(patient.unrecognized) == 2 and "LGE_sa.nii.gz was taken" in patient.problems[0]


def test_words_of_scanners_are_known_in_file_names_too(tmp_path):
    for name in ("late gadolinium", "trufi sa", "edema"):
        image(tmp_path / f"{name}.nii.gz")
    assert names([recognize(tmp_path)])[0][1] == {
        "lge": "late gadolinium.nii.gz",
        "bssfp": "trufi sa.nii.gz",
        "t2": "edema.nii.gz",
    }


def test_folders_named_after_sequences_belong_to_the_patient_above(tmp_path):
    for patient in ("P1", "P2"):
        for sequence in ("LGE", "cine", "T2"):
            image(tmp_path / patient / sequence / "volume.nii.gz")
    found = find_patients(tmp_path)
    assert [patient.name for patient in found] == ["P1", "P2"]
    assert all(
        path.parent.name == {"lge": "LGE", "bssfp": "cine", "t2": "T2"}[key]
        for patient in found
        for key, path in patient.sequences.items()
    )
    assert set(recognize(tmp_path / "P1").sequences) == {"lge", "bssfp", "t2"}


def test_folders_named_after_sequences_may_hold_all_patients(tmp_path):
    for sequence in ("LGE", "T2"):
        for patient in ("P1", "P2"):
            image(tmp_path / sequence / f"{patient}.nii.gz")
    found = find_patients(tmp_path)
    assert [patient.name for patient in found] == ["P1", "P2"]
    assert all(set(patient.sequences) == {"lge", "t2"} for patient in found)


def test_patients_of_one_name_are_told_apart_by_their_folders(tmp_path):
    for site in ("north", "south"):
        for name in ("P1", f"only {site}"):
            image(tmp_path / site / name / "x_LGE.nii.gz")
    assert [patient.name for patient in find_patients(tmp_path)] == [
        "north/P1",
        "only north",
        "only south",
        "south/P1",
    ]


def test_names_that_tell_nothing_are_left_to_the_user(tmp_path):
    image(tmp_path / "volume 1.nii.gz")
    image(tmp_path / "volume 2.nii.gz")
    patient = recognize(tmp_path)
    assert patient.sequences == {} and len(patient.unrecognized) == 2
    assert "choose them from the list" in patient.problems[0]
    assert [one.name for one in find_patients(tmp_path)] == [tmp_path.name]


def test_a_stray_image_beside_the_patients_is_no_patient(tmp_path):
    image(tmp_path / "atlas.nii.gz")
    image(tmp_path / "P1" / "LGE.nii.gz")
    assert [patient.name for patient in find_patients(tmp_path)] == ["P1"]


def test_label_maps_results_and_readings_are_no_images(tmp_path):
    image(tmp_path / "P1" / "x_LGE.nii.gz")
    for name in ("x_gd", "x_LGE_mask", "x_mvo", "probability_scar", "uncertainty", "segmentation"):
        image(tmp_path / "P1" / f"{name}.nii.gz")
    image(tmp_path / "P1" / ".hidden_LGE.nii.gz")
    image(tmp_path / ".cache" / "y_LGE.nii.gz")
    (tmp_path / "P1" / "x_LGE.json").write_text("{}", encoding="utf-8")
    reading = write_case_file(tmp_path / "P1", CaseFile("P1", "AB"))
    image(reading.parent / "exported_LGE.nii.gz")
    (patient,) = find_patients(tmp_path)
    assert names([patient]) == [("P1", {"lge": "x_LGE.nii.gz"})] and patient.unrecognized == ()


def test_a_cine_gives_its_first_frame_and_says_so(tmp_path):
    image(tmp_path / "cine.nii.gz", frames=4)
    image(tmp_path / "lge.nii.gz")
    patient = recognize(tmp_path)
    assert read_sequence(patient, "bssfp").GetSize() == (5, 4, 3)
    assert patient.problems == (
        "bSSFP (cine): cine.nii.gz is a cine of 4 phases; the first one is used, which is "
        "end-diastole most often.",
    )


def test_a_t2_alone_is_told(tmp_path):
    image(tmp_path / "T2.nii.gz")
    assert "No LGE and no bSSFP" in recognize(tmp_path).problems[0]


@pytest.mark.parametrize("find", [find_patients, recognize])
def test_a_folder_without_images_is_refused(tmp_path, find):
    (tmp_path / "empty").mkdir()
    (tmp_path / "readme.txt").write_text("nothing here", encoding="utf-8")
    with pytest.raises(InputError, match="expected images.*found none; choose the folder"):
        find(tmp_path)
    with pytest.raises(InputError, match="expected a folder of images, found none"):
        find(tmp_path / "missing")
    with pytest.raises(InputError, match="expected a folder of images, found none"):
        find(tmp_path / "readme.txt")


def test_damaged_files_are_found_and_refused_when_they_are_read(tmp_path):
    (tmp_path / "LGE.nii.gz").write_bytes(b"\x1f\x8bnothing")
    (tmp_path / "T2.nii.gz").write_bytes(b"")
    (tmp_path / "damaged.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 50)
    patient = recognize(tmp_path)
    for sequence in ("lge", "t2"):
        with pytest.raises(InputError, match="expected"):
            read_sequence(patient, sequence)
    with pytest.raises(InputError, match="among lge, t2, found 'bssfp'"):
        read_sequence(patient, "bssfp")


def test_links_in_a_circle_end(tmp_path):
    image(tmp_path / "P1" / "LGE.nii.gz")
    (tmp_path / "P1" / "back").symlink_to(tmp_path)
    assert [patient.name for patient in find_patients(tmp_path)] == ["P1"]


def test_a_linked_patient_is_found(tmp_path):
    image(tmp_path / "store" / "LGE.nii.gz")
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "P1").symlink_to(tmp_path / "store")
    assert [patient.name for patient in find_patients(tmp_path / "list")] == ["P1"]


def test_progress_names_the_folders(tmp_path):
    image(tmp_path / "P1" / "LGE.nii.gz")
    image(tmp_path / "P2" / "LGE.nii.gz")
    told: list[str] = []
    find_patients(tmp_path, told.append)
    assert told == [tmp_path.name, "P1", "P2"]


def test_patient_files_can_be_compared(patient_folder):
    assert recognize(patient_folder) == recognize(patient_folder)
    assert isinstance(recognize(patient_folder), PatientFiles)

"""DICOM: series are recognized by their description, sorted, and read as one volume."""

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
    write_clip,
    write_movie,
    write_series,
)

from myops.dicom.series import DicomSeries, find_series
from myops.dicom.series_names import sequence_in
from myops.dicom.volume import read_series
from myops.errors import InputError
from myops.patients.find import find_patients, read_sequence, recognize

DESCRIPTIONS = {
    "PSIR_SA_LGE": "lge",
    "LGE_PSIR_sax_mag": "lge",
    "DE_overview_tfi_PSIR_sa": "lge",
    "deLGE 10min sa": "lge",
    "Delayed Enh SAX": "lge",
    "Late Gadolinium SA": "lge",
    "10min post Gd PSIR": "lge",
    "T2_prep_LGE": "lge",
    "t2_stir sax": "t2",
    "T2W_BB_sax": "t2",
    "T2-weighted STIR": "t2",
    "t2p_ssfp_sa": "t2",
    "cine_bSSFP sa": "bssfp",
    "sBTFE_BH sa": "bssfp",
    "FIESTA SAX": "bssfp",
    "tf2d_trufi_sa": "bssfp",
    "trufi_sa": "bssfp",
    "localizer": None,
    "trufi_loc_multi": None,
    "LGE_4ch": None,
    "cine 3ch": None,
    "cine_LAX": None,
    "T2 map": None,
    "t2_map_sa": None,
    "T2*_sa": None,
    "TI_scout": None,
    "HASTE": None,
    "t2_tirm_tra": None,
    "MOLLI T1": None,
    "perfusion sa": None,
    "coupes de repérage": None,
    "": None,
}


@pytest.mark.parametrize("text", DESCRIPTIONS)
def test_a_description_tells_the_sequence(text):
    assert sequence_in(text) == DESCRIPTIONS[text]


def series_of(folder: Path) -> tuple[DicomSeries, ...]:
    return find_series(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def study(tmp_path):
    """A study as exported: localizer, cine, T2, LGE and a long axis, all files in one folder."""
    folder = tmp_path / "4F2A"
    arrays = {
        "bssfp": np.random.default_rng(1).integers(0, 900, (3, 5, 12, 10)),
        "t2": np.random.default_rng(2).integers(0, 900, (5, 12, 10)),
        "lge": np.random.default_rng(3).integers(0, 900, (6, 12, 10)),
    }
    write_series(folder, "localizer", number=1)
    write_series(folder, "cine_bSSFP sa", arrays["bssfp"], number=2)
    write_series(folder, "t2_stir sax", arrays["t2"], number=3)
    write_series(folder, "PSIR_SA_LGE", arrays["lge"], number=4)
    write_series(folder, "LGE_4ch", number=5)
    (folder / "DICOMDIR").write_bytes(b"\0" * 300)
    (folder / "notes.txt").write_text("no image", encoding="utf-8")
    return folder, arrays


def test_a_mixed_study_is_sorted_into_its_sequences(study):
    folder, arrays = study
    patient = recognize(folder)
    assert {key: series.number for key, series in patient.sequences.items()} == {
        "bssfp": 2,
        "t2": 3,
        "lge": 4,
    }
    assert [series.name for series in patient.unrecognized] == [
        "series 1: localizer",
        "series 5: LGE_4ch",
    ]
    assert patient.name == "4F2A"
    (problem,) = patient.problems
    assert problem == (
        "bSSFP (cine): series 2: cine_bSSFP sa is a cine of 3 phases; the first one is used, "
        "which is end-diastole most often."
    )
    for sequence, expected in arrays.items():
        image = read_sequence(patient, sequence)
        still = expected[0] if sequence == "bssfp" else expected
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image), still)


def test_a_volume_lies_where_the_headers_say(study):
    image = read_sequence(recognize(study[0]), "lge")
    np.testing.assert_allclose(image.GetSpacing(), (*SPACING_MM, GAP_MM), atol=1e-4)
    np.testing.assert_allclose(image.GetOrigin(), ORIGIN_MM, atol=1e-4)
    np.testing.assert_allclose(np.reshape(image.GetDirection(), (3, 3)), OBLIQUE, atol=1e-4)


def test_another_phase_of_a_cine_can_be_read(study):
    folder, arrays = study
    series = recognize(folder).sequences["bssfp"]
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(read_series(series, 2)), arrays["bssfp"][2]
    )
    with pytest.raises(InputError, match="a phase from 0 to 2, found 3"):
        read_series(series, 3)


def test_magnitude_is_taken_from_a_series_that_holds_phase_too(tmp_path):
    phase = write_series(tmp_path, "PSIR", tags={"0008|0008": "ORIGINAL\\PRIMARY\\P\\PSIR"})
    magnitude = write_series(tmp_path / "m", "PSIR", phase + 1000)
    (series,) = series_of(tmp_path)
    assert series.component == "M" and series.phases == 1
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_series(series)), magnitude)


def test_magnitude_is_taken_from_two_series_and_the_choice_is_told(tmp_path):
    write_series(tmp_path, "PSIR_SA", number=1, tags={"0008|0008": "ORIGINAL\\PRIMARY\\P"})
    write_series(tmp_path, "PSIR_SA", number=2)
    patient = recognize(tmp_path)
    assert patient.sequences["lge"].number == 2
    assert patient.problems == (
        "Several LGE images (series 1: PSIR_SA, series 2: PSIR_SA): series 2: PSIR_SA was taken.",
    )


def test_two_equal_series_are_left_to_the_user(tmp_path):
    write_series(tmp_path, "LGE sa", number=1)
    write_series(tmp_path, "LGE sa", number=2)
    write_series(tmp_path, "cine sa", number=3)
    patient = recognize(tmp_path)
    assert set(patient.sequences) == {"bssfp"}
    assert [series.number for series in patient.unrecognized] == [1, 2]
    assert "choose the right one from the list" in patient.problems[0]


def test_a_stack_is_taken_before_a_single_slice(tmp_path):
    write_series(tmp_path, "LGE sa", number=1)
    write_series(tmp_path, "LGE sa", np.ones((1, 12, 10)) * 5, number=2, first_place=2)
    assert recognize(tmp_path).sequences["lge"].number == 1


def test_slices_with_a_series_each_are_joined_to_a_stack(tmp_path):
    stack = np.random.default_rng(5).integers(0, 900, (6, 12, 10))
    for z in (3, 0, 5, 1, 4, 2):
        write_series(tmp_path, f"PSIR_SA_{z + 1}", stack[z : z + 1], number=10 + z, first_place=z)
    (series,) = series_of(tmp_path)
    assert series.depth == 6
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_series(series)), stack)


def test_a_slice_taken_twice_is_not_joined(tmp_path):
    for number in (1, 2):
        write_series(tmp_path, "PSIR_SA", np.ones((1, 12, 10)), number=number)
    assert [series.depth for series in series_of(tmp_path)] == [1, 1]


def test_the_name_of_a_patient_is_nowhere(tmp_path):
    tags = {"0010|0010": "Müller^Änne", "0010|0020": "PAT-08154711"}
    write_series(tmp_path / "x", "LGE sa Müller PAT-08154711", tags=tags)
    patient = recognize(tmp_path / "x")
    assert patient.sequences["lge"].description == "LGE sa -"
    shown = f"{patient!r}".casefold()
    assert not any(word in shown for word in ("müller", "änne", "08154711"))


@pytest.mark.parametrize("character_set", ["ISO_IR 100", "ISO_IR 192"])
def test_umlauts_in_a_description_are_text(tmp_path, character_set):
    write_series(tmp_path, "Späte LGE kurze Achse", tags={"0008|0005": character_set})
    (series,) = series_of(tmp_path)
    series.description.encode("utf-8")
    assert sequence_in(series.description) == "lge"


def test_bytes_that_are_no_text_become_text(tmp_path):
    write_series(tmp_path, "LGE Spaete sa", np.ones((1, 12, 10)))
    (path,) = tmp_path.glob("*.dcm")
    path.write_bytes(path.read_bytes().replace(b"LGE Spaete sa", b"LGE Sp\xe4te \xffsa"))
    (series,) = series_of(tmp_path)
    assert series.description == "LGE Späte ÿsa"


def test_two_studies_in_one_folder_are_two_patients(tmp_path):
    for number, study in enumerate((STUDY, STUDY + ".9"), start=1):
        write_series(tmp_path, "LGE sa", number=number, study=study)
        write_series(tmp_path, "cine sa", number=number + 10, study=study)
    patients = find_patients(tmp_path)
    assert len(patients) == 2
    assert all(set(patient.sequences) == {"lge", "bssfp"} for patient in patients)
    assert len({patient.name for patient in patients}) == 2
    assert all(patient.name.startswith(tmp_path.name) for patient in patients)
    assert patients == find_patients(tmp_path)


def test_series_in_folders_of_their_own_are_one_patient(tmp_path):
    for patient in ("B 2", "B 10"):
        for number, name in enumerate(("cine sa", "LGE sa"), start=1):
            study = f"{STUDY}.{len(patient)}"
            write_series(tmp_path / patient / "S" / name, name, number=number, study=study)
    assert [patient.name for patient in find_patients(tmp_path)] == ["B 2", "B 10"]
    assert set(recognize(tmp_path / "B 2").sequences) == {"bssfp", "lge"}
    # The folder of one patient, opened as if it held several.
    assert [patient.name for patient in find_patients(tmp_path / "B 2")] == ["S"]


def test_image_files_come_before_dicom(tmp_path, make_image, texture):
    write_series(tmp_path / "P1", "LGE sa")
    sitk.WriteImage(make_image(texture()), str(tmp_path / "P1" / "heart_LGE.nii.gz"))
    write_series(tmp_path / "P2", "LGE sa", study=STUDY + ".2")
    one, two = find_patients(tmp_path)
    assert one.sequences["lge"].name == "heart_LGE.nii.gz" and two.sequences["lge"].number == 1


def test_a_missing_slice_is_told_when_the_case_is_made(tmp_path):
    from myops.case import case_from_images

    write_series(tmp_path, "LGE sa", np.random.default_rng(0).integers(0, 900, (8, 24, 20)))
    gone = find_series(tmp_path.glob("*.dcm"))[0].stack[3][0].path
    gone.unlink()
    image = read_sequence(recognize(tmp_path), "lge")
    assert image.GetSize() == (20, 24, 7)
    assert any("not evenly spaced" in words for words in case_from_images({"lge": image}).warnings)


def test_files_cut_off_or_gone_are_told_in_one_line(tmp_path):
    write_series(tmp_path, "LGE sa")
    patient = recognize(tmp_path)
    (tmp_path / "01_0002.dcm").unlink()
    with pytest.raises(InputError, match="one that is missing or damaged"):
        read_sequence(patient, "lge")


@pytest.mark.parametrize("kept", [0, 131, 132, 200, 400])
def test_headers_cut_off_anywhere_do_no_harm(tmp_path, kept):
    write_series(tmp_path, "LGE sa")
    (tmp_path / "cut.dcm").write_bytes((tmp_path / "01_0001.dcm").read_bytes()[:kept])
    assert recognize(tmp_path).sequences["lge"].depth == 5


def test_several_views_under_one_uid_are_several_series(tmp_path):
    stack = write_series(tmp_path, "LGE", number=1)
    view = np.ones((2, 8, 8))
    write_series(tmp_path / "b", "LGE", view, number=2, series=f"{STUDY}.1", first_place=9)
    turned = {"0020|0037": "1\\0\\0\\0\\1\\0", "0020|0032": "0\\0\\0"}
    other = np.ones((1, 12, 10))
    write_series(tmp_path / "c", "LGE", other, number=3, series=f"{STUDY}.1", tags=turned)
    patient = recognize(tmp_path)
    assert sorted(series.depth for series in patient.unrecognized) == [1, 2]
    found = sitk.GetArrayFromImage(read_sequence(patient, "lge"))
    np.testing.assert_array_equal(found, stack)


def test_a_file_of_many_frames_is_a_volume(tmp_path):
    frames = np.random.default_rng(0).integers(0, 900, (6, 12, 10))
    tags = {"0008|103e": "LGE sa", "0020|000e": "1.2.3"}
    write_movie(tmp_path / "many.dcm", frames, tags)
    series = recognize(tmp_path).sequences["lge"]
    assert (series.depth, series.phases) == (6, 1)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_series(series)), frames)


def test_other_modalities_are_left_out(tmp_path):
    write_series(tmp_path, "LGE sa", tags={"0008|0060": "SR"})
    with pytest.raises(InputError, match="found none"):
        recognize(tmp_path)


def test_a_cine_with_a_file_of_many_frames_for_each_slice_is_read(tmp_path):
    cine = np.random.default_rng(0).integers(0, 900, (4, 3, 12, 10))
    for z in (1, 0, 2):
        tags = {"SeriesDescription": "cine sa", "SeriesInstanceUID": f"{STUDY}.{z}"}
        write_clip(tmp_path / f"{z}.dcm", cine[:, z], z, **tags)
    patient = recognize(tmp_path)
    series = patient.sequences["bssfp"]
    assert (series.depth, series.phases) == (3, 4)
    assert "is a cine of 4 phases" in patient.problems[0]
    for phase in range(4):
        image = read_series(series, phase)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image), cine[phase])
    np.testing.assert_allclose(image.GetSpacing(), (*SPACING_MM, GAP_MM), atol=1e-4)
    np.testing.assert_allclose(image.GetOrigin(), ORIGIN_MM, atol=1e-4)
    np.testing.assert_allclose(np.reshape(image.GetDirection(), (3, 3)), OBLIQUE, atol=1e-4)

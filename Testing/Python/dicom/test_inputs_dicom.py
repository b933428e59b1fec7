"""DICOM on the command line: which series is which and why, one patient, and the way back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from click.testing import CliRunner
from dicom_series import OBLIQUE, STUDY, picture, save, write_stack

from myops.cli import cli
from myops.errors import InputError
from myops.patients.provenance import find_inputs, moved, read_case, read_inputs

NOTHING = {"lge": None, "bssfp": None, "t2": None}
RNG = np.random.default_rng(2)
LGE = RNG.integers(0, 900, (6, 40, 40)).astype(np.uint16)


def series(folder: Path, number: int, description: str, array: np.ndarray = LGE, **tags) -> None:
    uid = {"SeriesNumber": number, "SeriesInstanceUID": f"{STUDY}.{number}"}
    named = {"SeriesDescription": description, **uid, **tags}
    write_stack(folder / f"{number:02d}", array, **named)


def cine(folder: Path, number: int, description: str, phases: int = 9, **tags) -> np.ndarray:
    """A cine whose phases differ; written in an order that is not that of time."""
    stack = RNG.integers(0, 900, (phases, 6, 40, 40)).astype(np.uint16)
    for t in reversed(range(phases)):
        timed = {"TriggerTime": f"{20 + 40 * t}", **tags}
        uid = {"SeriesNumber": number, "SeriesInstanceUID": f"{STUDY}.{number}"}
        for k, pixels in enumerate(stack[t]):
            own = {"SeriesDescription": description, "InstanceNumber": 100 * k + t, **uid, **timed}
            save(picture(pixels, k), folder / f"{number}_{t}_{k}.dcm", **own)
    return stack


@pytest.fixture
def exam(tmp_path):
    """As a PACS exports it: scout, cine, LGE, a map and a long axis under one folder."""
    folder = tmp_path / "exam"
    series(folder, 1, "localizer", LGE[:3])
    stack = cine(folder, 2, "cine sa")
    series(folder, 3, "PSIR sa", LGE)
    series(folder, 4, "T1Map_LongT1 MOCO", LGE)
    series(folder, 5, "LGE_4ch", LGE[:1])
    return folder, stack


def test_a_folder_is_sorted_with_the_reason_for_each_choice(exam):
    folder, stack = exam
    found = find_inputs(folder, NOTHING)
    assert {key: one.number for key, one in found.files.items()} == {"bssfp": 2, "lge": 3}
    assert 'lge: series 3: PSIR sa, because its description says "PSIR"' in found.notes
    left = [text for text in found.notes if text.startswith("left out")]
    assert any('series 1: localizer: its description says "localizer"' in text for text in left)
    assert any('series 4: T1Map_LongT1 MOCO: its description says "T1Map' in t for t in left)
    assert any('series 5: LGE_4ch: its description says "4ch"' in text for text in left)
    case = read_case(found)
    assert case.reference == "lge"
    assert "bssfp: a cine of 9 phases; the first one after the R wave" in case.warnings[0]
    sums = {float(image.sum()) for image in case.images.values()}
    assert sums == {float(LGE.sum()), float(stack[0].sum())}


def test_another_phase_of_the_cine_can_be_chosen(exam):
    from dataclasses import replace

    folder, stack = exam
    found = replace(find_inputs(folder, NOTHING), frame=4)
    assert float(read_case(found).images["bssfp"].sum()) == float(stack[4].sum())


@pytest.mark.parametrize(
    ("tags", "sequence", "reason"),
    [
        ({"ScanningSequence": ["GR", "IR"], "InversionTime": "300"}, "lge", "inversion recovery"),
        ({"EchoTime": "62"}, "t2", "its echo time is 62 ms"),
    ],
)
def test_without_a_description_the_technique_tells(tmp_path, tags, sequence, reason):
    listed = {"ScanningSequence": [["GR", "IR"]] * 6} if "ScanningSequence" in tags else {}
    series(tmp_path, 1, "", LGE, **{**tags, **listed})
    cine(tmp_path, 2, "")
    found = find_inputs(tmp_path, NOTHING)
    assert found.files[sequence].number == 1
    assert found.files["bssfp"].number == 2
    assert any(reason in text for text in found.notes)
    assert any("9 phases of the heartbeat" in text for text in found.notes)


def test_a_folder_of_two_patients_or_two_examinations_is_refused(tmp_path):
    series(tmp_path, 1, "LGE sa")
    series(tmp_path, 2, "cine sa", PatientID="another", StudyInstanceUID=f"{STUDY}.9")
    with pytest.raises(InputError, match="found 2 patients .*series 1: LGE sa"):
        find_inputs(tmp_path, NOTHING)
    series(tmp_path, 2, "cine sa", StudyInstanceUID=f"{STUDY}.9")
    with pytest.raises(InputError, match="found 2 examinations"):
        find_inputs(tmp_path, NOTHING)


def test_images_named_one_by_one_of_different_patients_are_told(tmp_path):
    series(tmp_path / "a", 1, "LGE sa")
    cine(tmp_path / "b", 2, "cine sa", PatientID="another")
    found = find_inputs(None, {**NOTHING, "lge": tmp_path / "a", "bssfp": tmp_path / "b"})
    assert any("different patient numbers" in text for text in found.warnings)
    assert "different patient numbers" in " ".join(read_case(found).warnings)


def test_a_series_is_named_by_its_number(exam):
    folder, _ = exam
    found = find_inputs(None, {**NOTHING, "lge": Path(f"{folder}@4")})
    assert found.files["lge"].number == 4
    with pytest.raises(InputError, match="found nothing there"):
        find_inputs(None, {**NOTHING, "lge": Path(f"{folder}@77")})
    # A folder of one series needs no number, whatever its description says.
    assert find_inputs(None, {**NOTHING, "lge": folder / "04"}).files["lge"].number == 4


def test_two_series_that_fit_equally_are_asked_about(tmp_path):
    series(tmp_path, 3, "LGE sa")
    series(tmp_path, 4, "LGE sa", LGE + 1)
    cine(tmp_path, 5, "cine sa")
    with pytest.raises(InputError, match="expected one LGE .*series 3: LGE sa, series 4: LGE sa"):
        find_inputs(tmp_path, NOTHING)
    with pytest.raises(InputError, match=r"found series 3.*name it as .*@NUMBER"):
        find_inputs(None, {**NOTHING, "lge": tmp_path})


def test_an_lge_that_cannot_be_joined_is_not_passed_over_in_silence(tmp_path):
    sizes = [["1.25", "1.5"]] * 3 + [["1", "1.2"]] * 3
    series(tmp_path, 3, "LGE sa", PixelSpacing=sizes)
    cine(tmp_path, 5, "cine sa")
    with pytest.raises(InputError, match="series 3: LGE sa cannot be used: 3 slices that continue"):
        find_inputs(tmp_path, NOTHING)


def test_a_folder_without_a_usable_stack_says_why(tmp_path):
    series(tmp_path, 1, "LGE_4ch", LGE[:1])
    with pytest.raises(InputError, match=r"found none that can be used .*4ch.*FOLDER@SERIES"):
        find_inputs(tmp_path, NOTHING)


def test_results_find_their_dicom_images_again_and_no_others(exam, tmp_path):
    folder, _ = exam
    found = find_inputs(folder, NOTHING)
    out = tmp_path / "out"
    out.mkdir()
    (out / "inputs.json").write_text(json.dumps(found.to_dict()), encoding="utf-8")
    again = read_inputs(out)
    np.testing.assert_array_equal(read_case(again).images["lge"], read_case(found).images["lge"])
    series(folder, 3, "PSIR sa", LGE + 1)  # another acquisition under the same name
    with pytest.raises(InputError, match="expected the lge image that was segmented"):
        read_case(read_inputs(out))
    elsewhere = tmp_path / "moved"
    shutil.move(folder, elsewhere)
    with pytest.raises(InputError, match="no longer there"):
        read_inputs(out)
    series(elsewhere, 3, "PSIR sa", LGE)


def test_images_that_moved_are_named_by_their_new_folder(exam, tmp_path):
    folder, _ = exam
    noted = find_inputs(folder, NOTHING)
    elsewhere = tmp_path / "moved"
    shutil.move(folder, elsewhere)
    again = moved(noted, elsewhere, NOTHING)
    assert {key: one.number for key, one in again.files.items()} == {"bssfp": 2, "lge": 3}


def test_info_reads_a_dicom_folder(exam):
    result = CliRunner().invoke(cli, ["info", str(exam[0])])
    assert result.exit_code == 0
    assert "results on the grid of lge" in result.stdout
    assert "left out: series 1: localizer" in result.stderr


def test_quantify_measures_labels_on_a_dicom_series(tmp_path):
    series(tmp_path / "lge", 3, "LGE sa")
    labels = np.zeros(LGE.shape, np.uint16)
    labels[2:4, 10:30, 10:30], labels[2:4, 15:25, 15:25] = 200, 500
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing((1.5, 1.25, 8.0))
    image.SetOrigin((-30.0, 20.0, 45.0))
    image.SetDirection(OBLIQUE.ravel().tolist())
    sitk.WriteImage(image, str(tmp_path / "labels.nii.gz"))
    out = tmp_path / "out"
    arguments = ["quantify", tmp_path / "labels.nii.gz", "--lge", tmp_path / "lge", "-o", out]
    result = CliRunner().invoke(cli, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    numbers = json.loads((out / "quantification.json").read_text(encoding="utf-8"))
    # 2 slices x (400 - 100) pixels x 1.5 x 1.25 x 8 mm x 1.05 g/mL
    mass = numbers["tissues"]["lv_myocardium"]["mass_g"]
    assert mass == pytest.approx(600 * 0.015 * 1.05, rel=1e-5)


def test_names_of_two_patients_in_a_folder_of_files_are_refused(patient_folder):
    other = patient_folder / "myops_008_T2.nii.gz"
    (patient_folder / "myops_007_T2.nii.gz").rename(other)
    with pytest.raises(InputError, match=r"different patients \(.*myops_008_T2"):
        find_inputs(patient_folder, NOTHING)


def test_numbers_of_series_and_other_beginnings_are_a_warning(patient_folder):
    for old, new in (("C0", "01_cine"), ("DE", "02_lge"), ("T2", "03_t2")):
        path = patient_folder / f"myops_007_{old}.nii.gz"
        path.rename(patient_folder / f"{new}.nii.gz")
    (warning,) = find_inputs(patient_folder, NOTHING).warnings
    assert "begin with different words" in warning and "01" not in warning


def test_one_image_as_two_sequences_is_refused_also_as_a_copy(patient_folder, tmp_path):
    copy = tmp_path / "copy_T2.nii.gz"
    lge = patient_folder / "myops_007_DE.nii.gz"
    shutil.copy(lge, copy)
    for t2 in (lge, copy):
        with pytest.raises(InputError, match="lge and t2, found the same image twice"):
            read_case(find_inputs(None, {**NOTHING, "lge": lge, "t2": t2}))


@pytest.mark.slow
def test_the_real_folders_are_recognized(real_hearts):
    siemens = find_inputs(real_hearts / "dicom" / "siemens_lge_and_molli", NOTHING)
    assert siemens.files["lge"].number == 42 and siemens.files["lge"].component == "R"
    assert any("several inversion times" in text for text in siemens.notes)
    case = read_case(siemens)
    assert case.images["lge"].shape == (20, 448, 336) and case.warnings == ()
    ge = read_case(find_inputs(real_hearts / "dicom" / "ge_cine", NOTHING))
    assert ge.images["bssfp"].shape == (7, 256, 256)
    assert ge.geometry.spacing_mm == pytest.approx((0.8203, 0.8203, 10.0), abs=1e-3)
    sunnybrook = read_case(find_inputs(real_hearts / "sunnybrook" / "SC-HF-I-1", NOTHING))
    assert sunnybrook.images["bssfp"].shape[0] == 12
    assert len(ge.warnings) == len(sunnybrook.warnings) == 1  # the phase that was taken

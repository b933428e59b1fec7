"""`myops.load_case`: the images that the command line would read, however they are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dicom_series import write_stack

import myops
from myops.patients.provenance import find_inputs, read_case


def named(folder: Path) -> dict[str, Path]:
    suffixes = {"bssfp": "C0", "lge": "DE", "t2": "T2"}
    return {key: folder / f"myops_007_{suffix}.nii.gz" for key, suffix in suffixes.items()}


def assert_same(found: myops.Case, expected: myops.Case) -> None:
    assert found.sequences == expected.sequences
    assert found.geometry == expected.geometry
    for name in expected.sequences:
        np.testing.assert_array_equal(found.images[name], expected.images[name])


def test_a_folder_a_mapping_and_names_give_what_the_command_line_reads(
    patient_folder: Path,
) -> None:
    expected = read_case(find_inputs(patient_folder, {}))
    assert_same(myops.load_case(patient_folder), expected)
    assert_same(myops.load_case(str(patient_folder)), expected)
    assert_same(myops.load_case(named(patient_folder)), expected)
    assert_same(myops.load_case(**named(patient_folder)), expected)


def test_a_file_name_does_not_become_the_name_of_the_patient(patient_folder: Path) -> None:
    assert myops.load_case(patient_folder).name == "case"
    assert myops.load_case(patient_folder, name="A7").name == "A7"


def test_a_dicom_folder_is_read(tmp_path: Path) -> None:
    stack = np.random.default_rng(0).integers(0, 900, (6, 40, 40)).astype(np.uint16)
    write_stack(tmp_path / "exam", stack, SeriesDescription="PSIR sa")
    case = myops.load_case(lge=tmp_path / "exam")
    assert case.images["lge"].sum() == stack.sum()


def test_a_given_spacing_is_used(patient_folder: Path) -> None:
    case = myops.load_case(lge=named(patient_folder)["lge"], spacing_mm=(2.0, 2.0, 8.0))
    assert case.geometry.spacing_mm == pytest.approx((2.0, 2.0, 8.0))


@pytest.mark.parametrize(
    ("images", "more", "message"),
    [
        (None, {}, "expected images, found none"),
        ({}, {"t2": "t2.nii.gz"}, "T2 alone"),
        ({"pet": "pet.nii.gz"}, {}, "found"),
        ("nowhere", {}, "nowhere"),
    ],
)
def test_what_is_no_patient_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images, more, message
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("t2.nii.gz", "pet.nii.gz"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(myops.InputError, match=message):
        myops.load_case(images, **more)


def test_a_folder_and_an_image_at_once_are_refused(patient_folder: Path) -> None:
    with pytest.raises(myops.InputError, match="found both"):
        myops.load_case(patient_folder, lge=named(patient_folder)["lge"])

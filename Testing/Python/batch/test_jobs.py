"""The patients of a cohort: each once, with what is wrong about them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from myops.batch.jobs import Job, distinct, jobs_of_folder, without_twins
from myops.batch.tables import jobs_of_table
from myops.errors import InputError


@pytest.fixture
def patient(texture: Callable[..., np.ndarray]) -> Callable[..., Path]:
    """Give a function that writes a patient's LGE and T2, different for each seed."""

    def make(folder: Path, seed: int, prefix: str = "p") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for number, name in enumerate(("DE", "T2")):
            image = sitk.GetImageFromArray(texture(seed=2 * seed + number))
            sitk.WriteImage(image, str(folder / f"{prefix}_{name}.nii.gz"))
        return folder

    return make


def names(jobs: list[Job]) -> list[str]:
    return [job.name for job in jobs]


def test_each_folder_is_a_patient_in_natural_order(
    tmp_path: Path, patient: Callable[..., Path]
) -> None:
    for number in (10, 2, 1):
        patient(tmp_path / f"patient{number}", number)
    jobs = jobs_of_folder(tmp_path)
    assert names(jobs) == ["patient1", "patient2", "patient10"]
    assert [job.folder for job in jobs] == [tmp_path / name for name in names(jobs)]
    assert set(jobs[0].inputs().files) == {"lge", "t2"}


def test_patients_that_share_a_folder_are_told_apart(
    tmp_path: Path, patient: Callable[..., Path]
) -> None:
    patient(tmp_path, 1, "anna")
    patient(tmp_path, 2, "bert")
    anna, bert = jobs_of_folder(tmp_path)
    assert (anna.name, bert.name) == ("anna", "bert")
    assert anna.inputs().files["lge"] == tmp_path / "anna_DE.nii.gz"
    assert bert.inputs().files["t2"] == tmp_path / "bert_T2.nii.gz"


def test_a_folder_without_an_image_that_can_be_read_is_named(
    tmp_path: Path, patient: Callable[..., Path]
) -> None:
    patient(tmp_path / "good", 1)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "1.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\1\2\3")
    (tmp_path / "empty").mkdir()
    broken, good = jobs_of_folder(tmp_path)
    assert (broken.name, good.name) == ("broken", "good")
    with pytest.raises(InputError, match="expected images of a patient, found none that can be"):
        broken.inputs()


def test_a_report_beside_a_patients_images_is_no_patient(
    tmp_path: Path, patient: Callable[..., Path]
) -> None:
    folder = patient(tmp_path / "one", 1)
    (folder / "notes").mkdir()
    (folder / "notes" / "letter.txt").touch()
    assert names(jobs_of_folder(tmp_path)) == ["one"]


def test_of_two_patients_with_one_image_the_second_is_named(
    tmp_path: Path, patient: Callable[..., Path]
) -> None:
    first = patient(tmp_path / "a", 1)
    patient(tmp_path / "b", 2)
    third = patient(tmp_path / "c", 3)
    shutil.copy(first / "p_T2.nii.gz", third / "p_T2.nii.gz")
    a, b, c = without_twins(jobs_of_folder(tmp_path))
    assert (a.problem, b.problem) == ("", "")
    assert c.problem.startswith(
        "p_T2.nii.gz: expected each patient once, found the same image in a"
    )


def test_a_name_that_stands_twice_is_a_problem_of_the_second() -> None:
    first, second, third = distinct([Job("P1"), Job("p1"), Job("P1")])
    assert (first.name, first.problem) == ("P1", "")
    assert (second.name, third.name) == ("p1 (2)", "P1 (3)")
    assert "found P1 a second time" in third.problem


def test_a_table_names_folders_or_images_relative_to_itself(
    tmp_path: Path, patient: Callable[..., Path]
) -> None:
    patient(tmp_path / "data" / "a", 1)
    patient(tmp_path / "data" / "b", 2)
    table = tmp_path / "data" / "cohort.csv"
    table.write_text(
        "patient;folder;lge;t2;name;frame;spacing\n"
        "A;a;;;Anna;;\n"
        "B;;b/p_DE.nii.gz;b/p_T2.nii.gz;;3;1.4 1.5 10\n",
        "utf-8",
    )
    a, b = jobs_of_table(table)
    assert (a.title, b.title) == ("Anna", None)
    assert (b.frame, b.spacing_mm) == (3, (1.4, 1.5, 10.0))
    assert set(a.inputs().files) == set(b.inputs().files) == {"lge", "t2"}


def test_a_row_that_cannot_be_used_has_a_problem_and_the_others_do_not(
    tmp_path: Path, patient: Callable[..., Path]
) -> None:
    patient(tmp_path / "a", 1)
    table = tmp_path / "cohort.csv"
    rows = ["patient,lge,frame,spacing", "A,a/p_DE.nii.gz,,", "B,missing.nii.gz,,",
            "C,a/p_DE.nii.gz,first,", "D,a/p_DE.nii.gz,,1.4 10", ",a/p_DE.nii.gz,,"]  # fmt: skip
    table.write_text("\n".join(rows) + "\n", "utf-8")
    a, b, c, d, e = jobs_of_table(table)
    assert a.inputs().files["lge"].name == "p_DE.nii.gz"
    with pytest.raises(InputError, match="missing.nii.gz"):
        b.inputs()
    assert "cohort.csv, row 4: expected a frame counted from 0, found 'first'" in c.problem
    assert "row 5: expected a spacing in mm" in d.problem
    assert (e.name, "expected a name" in e.problem) == ("row 6", True)


@pytest.mark.parametrize("text", ["case,lge\nA,a\n", "patient,scan\nA,a\n", "patient,lge\n", ""])
def test_a_table_of_other_columns_or_no_rows_is_refused(tmp_path: Path, text: str) -> None:
    table = tmp_path / "cohort.csv"
    table.write_text(text, "utf-8")
    with pytest.raises(InputError, match="cohort.csv: expected"):
        jobs_of_table(table)

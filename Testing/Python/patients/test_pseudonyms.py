"""The table of pseudonyms: who keeps one, who gets one, and what is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from dicom_heart import PLANTED, write_heart
from filelock import FileLock

from myops.errors import InputError
from myops.patients.provenance import find_inputs
from myops.patients.pseudonyms import identities, pseudonym


def files(*names: str) -> dict[str, Path]:
    return dict(zip(("lge", "t2"), map(Path, names), strict=False))


def test_patients_get_numbers_in_turn_and_keep_them(tmp_path):
    table, out = tmp_path / "key.csv", tmp_path / "out"
    names = [pseudonym(table, files(f"/data/{k}_DE.nii.gz"), out) for k in (7, 8, 7, 9)]
    assert names == ["P0001", "P0002", "P0001", "P0003"]
    assert table.read_text("utf-8").splitlines()[0] == "patient,pseudonym"


def test_a_name_of_the_users_own_is_used_and_new_ones_do_not_collide(tmp_path):
    table = tmp_path / "key.csv"
    table.write_text("site,Patient,Pseudonym\nA,7,S1-007\nB,8,P0041\n", encoding="utf-8")
    assert pseudonym(table, files("/d/7_DE.nii.gz"), tmp_path / "out") == "S1-007"
    assert pseudonym(table, files("/d/9_DE.nii.gz"), tmp_path / "out") == "P0042"


def test_two_patients_with_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    table, out = tmp_path / "key.csv", tmp_path / "out"
    first = pseudonym(table, files("/data/anna/lge.nii.gz"), out)
    second = pseudonym(table, files("/data/berta/LGE/image.nii.gz"), out)
    assert (first, second) == ("P0001", "P0002")
    assert "anna,P0001" in table.read_text("utf-8") and "berta/image,P0002" in table.read_text(
        "utf-8"
    )


def test_dicom_patients_are_known_by_their_number_or_their_name(tmp_path):
    write_heart(tmp_path / "lge", **PLANTED)
    found = find_inputs(None, {"lge": tmp_path / "lge", "bssfp": None, "t2": None}).files
    assert identities(found) == (PLANTED["PatientID"], PLANTED["PatientName"])
    table = tmp_path / "key.csv"
    table.write_text("patient,pseudonym\nMustermann^Friederike,X9\n", encoding="utf-8")
    assert pseudonym(table, found, tmp_path / "out") == "X9"


def test_dicom_that_names_nobody_is_known_by_its_study(tmp_path):
    write_heart(tmp_path / "lge", PatientName="", PatientID="")
    found = find_inputs(None, {"lge": tmp_path / "lge", "bssfp": None, "t2": None}).files
    (name,) = identities(found)
    assert len(name) == 8 and int(name, 16) >= 0


def test_a_table_among_the_results_is_refused(tmp_path):
    for table in (tmp_path / "out" / "key.csv", tmp_path / "out" / "deep" / "key.csv"):
        with pytest.raises(InputError, match="outside of the results.*name a table elsewhere"):
            pseudonym(table, files("/d/7_DE.nii.gz"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,code\n7,P1\n", "columns patient and pseudonym"),
        ("patient,pseudonym\n7,P1\n7,P2\n", r"line 3: expected a patient with one pseudonym"),
        ("patient,pseudonym\n7,\n", r"line 2"),
        ("patient,pseudonym\n7\n", "columns patient and pseudonym"),
    ],
)
def test_a_damaged_table_is_refused_and_stays_as_it_is(tmp_path, text, words):
    table = tmp_path / "key.csv"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=words):
        pseudonym(table, files("/d/7_DE.nii.gz"), tmp_path / "out")
    assert table.read_text("utf-8") == text


def test_two_names_of_one_patient_with_two_pseudonyms_are_refused(tmp_path):
    write_heart(tmp_path / "lge", **PLANTED)
    found = find_inputs(None, {"lge": tmp_path / "lge", "bssfp": None, "t2": None}).files
    table = tmp_path / "key.csv"
    rows = f"{PLANTED['PatientID']},A\n{PLANTED['PatientName']},B\n"
    table.write_text(f"patient,pseudonym\n{rows}", encoding="utf-8")
    with pytest.raises(InputError, match="found A and B"):
        pseudonym(table, found, tmp_path / "out")


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(InputError, match="table of pseudonyms that can be written"):
        pseudonym(tmp_path / "no" / "key.csv", files("/d/7_DE.nii.gz"), tmp_path / "out")


def test_many_at_once_get_a_pseudonym_each(tmp_path):
    table = tmp_path / "key.csv"

    def ask(number: int) -> str:
        return pseudonym(table, files(f"/d/{number}_DE.nii.gz"), tmp_path / "out")

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(24)))
    assert len(set(found)) == 24
    assert len(table.read_text("utf-8").splitlines()) == 25


def test_a_table_that_another_program_holds_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("myops.patients.pseudonyms.LONGEST_WAIT_S", 0.1)
    with (
        FileLock(tmp_path / "key.csv.lock"),
        pytest.raises(InputError, match="found one that holds it for 0 s; wait until"),
    ):
        pseudonym(tmp_path / "key.csv", files("/d/7_DE.nii.gz"), tmp_path / "out")


def test_what_a_killed_program_left_does_not_hold_the_table(tmp_path):
    (tmp_path / "key.csv.lock").touch()
    table = tmp_path / "key.csv"
    assert pseudonym(table, files("/d/7_DE.nii.gz"), tmp_path / "out") == "P0001"

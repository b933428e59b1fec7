"""One JSON per case, reader and session: nothing is lost, whatever the patient is called."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myops.errors import InputError
from myops.worklist.casefile import (
    CaseFile,
    find_case_files,
    read_case_file,
    session_folder,
    write_case_file,
)
from myops.worklist.reader_ids import check_reader, check_session, folder_name, patient_name
from myops.worklist.timing import ClickRecord, StageClock

MORNING = datetime(2026, 3, 4, 9, 30, tzinfo=timezone.utc)


def case_file(case: str = "P 1", reader: str = "AB", **values) -> CaseFile:
    return CaseFile(case, reader, **values)


def worked() -> CaseFile:
    done = case_file(
        clock=StageClock.from_dict({"seconds": {"load": 2.5, "correct": 61.0}}).to_dict(),
        clicks=(ClickRecord("scar", 3, total_ms=22.5), ClickRecord("edema", 2, False, "move")),
        undos=2,
        redos=1,
        masses_g={"scar": 12.25, "edema": None},
        methods_g={"fwhm": 14.0, "sd5": None},
        note="Wackelt – 2. Schicht",
        images_sha256={"lge": "a" * 64},
        model={"prsn": "b" * 64},
    )
    return done.with_status("automatic", MORNING).with_status("approved", MORNING)


def test_what_is_written_is_read_again(tmp_path):
    path = write_case_file(tmp_path, worked())
    assert path == tmp_path / "P 1" / "AB" / "1" / "case.json"
    assert read_case_file(path) == worked() == read_case_file(path.parent)
    assert read_case_file(path).seconds == {"load": 2.5, "correct": 61.0}


def test_a_status_knows_when_and_by_whom():
    done = worked()
    assert [change.status for change in done.changes] == ["automatic", "approved"]
    assert (done.status, done.changes[-1].at, done.changes[-1].by) == (
        "approved",
        "2026-03-04T09:30:00+00:00",
        "AB",
    )
    assert case_file().status == "new"
    assert done.with_status("approved") is done
    assert done.with_status("corrected").status == "corrected"
    with pytest.raises(InputError, match="expected a status among new, automatic"):
        done.with_status("finished")


def test_two_readers_and_two_sessions_of_a_case_stand_apart(tmp_path):
    for reader, session in (("AB", "1"), ("AB", "2"), ("cd", "1")):
        write_case_file(tmp_path, case_file(reader=reader, session=session, note=reader + session))
    found = [read_case_file(path) for path in find_case_files(tmp_path)]
    assert [(one.reader, one.session, one.note) for one in found] == [
        ("AB", "1", "AB1"),
        ("AB", "2", "AB2"),
        ("CD", "1", "cd1"),
    ]


NAMES = {
    "Müller, Jürgen": "Müller, Jürgen",
    "A/B": "A%2FB",
    "..": "%2E%2E",
    ".hidden": "%2Ehidden",
    "C:\\x": "C%3A%5Cx",
    "100 %": "100 %25",
    "NUL": "%4EUL",
    "com1.2": "%63om1.2",
    "ends.": "ends%2E",
    "a\nb\u202e": "a%0Ab%E2%80%AE",
    "患者 7": "患者 7",
    " padded ": "padded",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_patients_name_becomes_a_folder_that_every_system_takes(tmp_path, name):
    assert folder_name(name) == NAMES[name]
    assert patient_name(folder_name(name)) == name.strip()
    path = write_case_file(tmp_path, case_file(name))
    assert path.parents[3] == tmp_path and read_case_file(path).case == name.strip()
    assert find_case_files(tmp_path) == (path,)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=400))
def test_no_name_leaves_the_study(name):
    try:
        written = folder_name(name)
    except InputError:
        assert not name.strip()
        return
    assert written not in ("", ".", "..") and not set(written) & set('/\\<>:"|?*\0\n')
    assert len(os.fsencode(written)) <= 120 and written == written.strip()


def test_long_names_stay_apart():
    one, other = folder_name("ä" * 300), folder_name("ä" * 299 + "b")
    assert one != other and len(one.encode()) <= 120
    assert folder_name("ä" * 300) == one


def test_composed_and_decomposed_letters_are_one_name():
    assert folder_name("Mu\u0308ller") == folder_name("M\u00fcller")


@pytest.mark.parametrize("name", ["", "  ", "a\ud800"])
def test_a_case_without_a_name_is_refused(name):
    with pytest.raises(InputError, match="expected"):
        case_file(name)


@pytest.mark.parametrize(
    ("reader", "initials"), [("ab", "AB"), (" Dr-M ", "DR-M"), ("öä", "ÖÄ"), ("r2", "R2")]
)
def test_initials_are_capital_letters(reader, initials):
    assert check_reader(reader) == initials == case_file(reader=reader).reader


@pytest.mark.parametrize(
    "reader", ["", " ", "a/b", "..", "-a", "a b", "x" * 13, "A\n", "CON", "<b>", "a.b"]
)
def test_what_is_no_initials_is_refused(reader):
    if reader == "A\n":  # padding goes
        assert check_reader(reader) == "A"
        return
    with pytest.raises(InputError, match="expected a reader's initials"):
        check_reader(reader)


@pytest.mark.parametrize("session", ["", "../2", "a b", "1/2", "x" * 13])
def test_what_is_no_session_is_refused(session):
    with pytest.raises(InputError, match="expected a session"):
        check_session(session)


def test_a_case_of_another_name_in_the_same_folder_is_not_overwritten(tmp_path):
    """As on file systems that take ANNA and Anna for one."""
    path = write_case_file(tmp_path, case_file("ANNA", note="first"))
    values = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**values, "case": "Anna"}), encoding="utf-8")
    with pytest.raises(InputError, match="found that of Anna, reader AB; rename one"):
        write_case_file(tmp_path, case_file("ANNA"))
    assert read_case_file(path).note == "first"


def broken(values, key, value):
    changed = json.loads(json.dumps(values))
    changed[key] = value
    return json.dumps(changed).encode()


DAMAGE = {
    "empty": lambda v: b"",
    "zeros": lambda v: b"\0" * 500,
    "cut": lambda v: json.dumps(v).encode()[:-30],
    "a list": lambda v: b"[]",
    "no text": lambda v: b"\xff\xfe",
    "deep": lambda v: b"[" * 100_000,
    "no case": lambda v: broken(v, "case", None),
    "reader": lambda v: broken(v, "reader", "../../x"),
    "session": lambda v: broken(v, "session", 1),
    "status": lambda v: broken(v, "status_changes", [{"status": "x", "at": "now", "by": "AB"}]),
    "when": lambda v: broken(
        v, "status_changes", [{"status": "approved", "at": "now", "by": "AB"}]
    ),
    "seconds": lambda v: broken(v, "seconds", {"correct": -1}),
    "clicks": lambda v: broken(v, "clicks", [{}]),
    "undos": lambda v: broken(v, "undos", -1),
    "mass": lambda v: broken(v, "masses_g", {"scar": "heavy"}),
    "mass below 0": lambda v: broken(v, "masses_g", {"scar": -1}),
    "checksums": lambda v: broken(v, "images_sha256", [1]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_told_kept_aside_and_can_be_begun_anew(tmp_path, damage):
    path = write_case_file(tmp_path, worked())
    content = DAMAGE[damage](json.loads(path.read_text(encoding="utf-8")))
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"found a damaged one .* kept as case\.json\.damaged"):
        read_case_file(path)
    assert not path.exists()
    assert path.with_name("case.json.damaged").read_bytes() == content
    write_case_file(tmp_path, worked())
    assert read_case_file(path) == worked()


def test_a_second_damaged_file_does_not_replace_the_first(tmp_path):
    for content in ("one", "two", "three"):
        path = write_case_file(tmp_path, worked())
        path.write_text(content, encoding="utf-8")
        with pytest.raises(InputError):
            read_case_file(path)
    kept = sorted(path.parent.glob("case.json.damaged*"))
    assert [file.read_text(encoding="utf-8") for file in kept] == ["one", "two", "three"]


def test_writing_over_a_damaged_file_keeps_it_aside(tmp_path):
    path = write_case_file(tmp_path, worked())
    path.write_text("{", encoding="utf-8")
    write_case_file(tmp_path, worked())
    assert read_case_file(path) == worked()
    assert path.with_name("case.json.damaged").read_text(encoding="utf-8") == "{"


def test_a_damaged_file_can_be_left_where_it_is(tmp_path):
    path = write_case_file(tmp_path, worked())
    path.write_text("{", encoding="utf-8")
    with pytest.raises(InputError):
        read_case_file(path, keep_aside=False)
    assert path.read_text(encoding="utf-8") == "{"


def test_a_newer_file_is_neither_damaged_nor_overwritten(tmp_path):
    path = write_case_file(tmp_path, worked())
    path.write_text(json.dumps({"format": 2, "case": "P 1"}), encoding="utf-8")
    with pytest.raises(InputError, match="found 2; open the study with the version"):
        read_case_file(path)
    with pytest.raises(InputError, match="found 2"):
        write_case_file(tmp_path, worked())
    assert json.loads(path.read_text(encoding="utf-8"))["format"] == 2


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(InputError, match="found No such file"):
        read_case_file(tmp_path / "case.json")


def test_an_interrupted_write_leaves_the_earlier_file(tmp_path, monkeypatch):
    path = write_case_file(tmp_path, worked())

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_case_file(tmp_path, replace(worked(), note="new"))
    monkeypatch.undo()
    assert read_case_file(path) == worked()


def test_what_killed_programs_left_is_removed_when_it_is_old(tmp_path):
    path = write_case_file(tmp_path, worked())
    old, young = path.with_name(".12-345-state.npz"), path.with_name(".13-345-case.json")
    other = path.with_name(".12-notes.txt")
    for file in (old, young, other):
        file.write_text("half", encoding="utf-8")
    yesterday = time.time() - 86400
    os.utime(old, (yesterday, yesterday))
    os.utime(other, (yesterday, yesterday))
    write_case_file(tmp_path, worked())
    assert (old.exists(), young.exists(), other.exists()) == (False, True, True)


def test_the_folder_of_a_session_is_known_before_it_is_made(tmp_path):
    assert session_folder(tmp_path, "a/b", "cd", "2") == tmp_path / "a%2Fb" / "CD" / "2"
    assert list(tmp_path.iterdir()) == []


MATRIX = "1.0 0.0 0.0 3.25 0.0 1.0 0.0 0.0 0.0 0.0 1.0 0.0 0.0 0.0 0.0 1.0"


def test_how_sequences_were_moved_is_read_again_and_left_out_where_none_was(tmp_path):
    moved = case_file(
        alignments={"t2": {"matrix": MATRIX, "found": MATRIX.replace("3.25", "3.0")}},
        segmented_alignments={"t2": {"matrix": MATRIX}},
    )
    path = write_case_file(tmp_path, moved)
    assert read_case_file(path) == moved
    values = json.loads(write_case_file(tmp_path, case_file()).read_text("utf-8"))
    assert "alignments" not in values and "segmented_alignments" not in values


@pytest.mark.parametrize(
    "broken",
    [
        {"matrix": MATRIX.replace("3.25", "nan")},
        {"matrix": "1 0 0"},
        {"found": MATRIX},
        {"matrix": 5},
        [MATRIX],
    ],
)
def test_a_damaged_move_is_a_damaged_file(tmp_path, broken):
    path = write_case_file(tmp_path, case_file(alignments={"t2": {"matrix": MATRIX}}))
    values = json.loads(path.read_text("utf-8"))
    values["alignments"] = {"t2": broken}
    path.write_text(json.dumps(values), "utf-8")
    with pytest.raises(InputError, match="damaged"):
        read_case_file(path)
    assert path.with_name("case.json.damaged").is_file()

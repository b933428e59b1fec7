"""The study's table is made of its case files, and `myops study` reads both."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace

import pytest
from circle_heart import circle_case, circle_segmentation
from click.testing import CliRunner

from myops.cli import cli
from myops.errors import InputError
from myops.output.results import write_results
from myops.quantify.measure import measure
from myops.study.read import read_study
from myops.study.readings import read_table
from myops.worklist.casefile import CaseFile, session_folder, write_case_file
from myops.worklist.study_table import table_text, write_study_table
from myops.worklist.timing import ClickRecord, StageClock

NAMES = ("Müller, Jürgen", 'a/b "c"', "plain")


def read(case: str, reader: str, grams: float | None = 10.0, **values) -> CaseFile:
    clock = {"seconds": {"load": 1.0, "automatic": 4.0, "correct": 20.5}, "idle_seconds": 40.0}
    return CaseFile(
        case,
        reader,
        clock=StageClock.from_dict(clock).to_dict(),
        masses_g={"scar": grams, "edema": 3.5, "mvo": None, "lv_myocardium": 120.0},
        methods_g={"fwhm_half_of_maximum_volume": 12.0, "sd5_volume": None},
        **values,
    )


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_a_row_holds_masses_times_and_clicks():
    clicks = tuple(ClickRecord("scar", 2, total_ms=float(ms)) for ms in range(1, 101))
    done = replace(read("P1", "AB", clicks=clicks, undos=3), redos=1).with_status("corrected")
    (row,) = rows(table_text([done]))
    at = row.pop("status_at")
    assert at.startswith("20")
    assert row == {
        "case": "P1",
        "reader": "AB",
        "session": "1",
        "method": "interactive",
        "mass_g": "10.000",
        "seconds": "25.5",
        "seconds_load": "1.0",
        "seconds_automatic": "4.0",
        "seconds_correct": "20.5",
        "seconds_review": "",
        "seconds_save": "",
        "note": "",
        "status": "corrected",
        "idle_s": "40.0",
        "clicks": "100",
        "undos": "3",
        "redos": "1",
        "latency_ms_p50": "50.5",
        "latency_ms_p95": "95.0",
        "lv_mass_g": "120.000",
        "edema_g": "3.500",
        "mvo_g": "",
        "mass_g_fwhm_half_of_maximum_volume": "12.000",
        "mass_g_sd5_volume": "",
    }


def test_a_new_case_has_a_row_that_says_why_there_is_no_mass():
    (row,) = rows(table_text([CaseFile("P1", "AB")]))
    assert (row["mass_g"], row["note"]) == ("", "no scar mass: segment the case")
    assert (row["clicks"], row["latency_ms_p50"], row["seconds"]) == ("0", "", "")


def test_the_table_is_written_from_all_case_files(tmp_path):
    for case in NAMES:
        for reader in ("AB", "CD"):
            write_case_file(tmp_path, read(case, reader))
    done = write_study_table(tmp_path)
    assert done.path == tmp_path / "study.csv" and done.problems == ()
    found = rows(done.path.read_text(encoding="utf-8"))
    assert {(row["case"], row["reader"]) for row in found} == {
        (case, reader) for case in NAMES for reader in ("AB", "CD")
    }
    before = done.path.read_bytes()
    assert write_study_table(tmp_path).path.read_bytes() == before


def test_a_damaged_case_file_is_named_and_the_others_are_written(tmp_path):
    write_case_file(tmp_path, read("P1", "AB"))
    damaged = write_case_file(tmp_path, read("P2", "AB"))
    damaged.write_text("{", encoding="utf-8")
    done = write_study_table(tmp_path)
    assert [case.case for case in done.cases] == ["P1"]
    (problem,) = done.problems
    assert "P2" in problem and damaged.read_text(encoding="utf-8") == "{"


def test_the_study_command_reads_the_table_without_a_warning(tmp_path):
    for number, case in enumerate(NAMES):
        write_case_file(tmp_path, read(case, "AB", 10.0 + number))
        write_case_file(tmp_path, read(case, "CD", 11.0 + number))
    write_case_file(tmp_path, CaseFile("untouched", "AB"))
    study = read_table(write_study_table(tmp_path).path)
    assert study.warnings == ()
    own = {r.key: r for r in study.readings if r.method == "interactive"}
    one = own["Müller, Jürgen", "AB", "1", "interactive"]
    assert (one.mass_g, one.seconds) == (10.0, 25.5)
    assert one.stages == {"load": 1.0, "automatic": 4.0, "correct": 20.5}
    missing = own["untouched", "AB", "1", "interactive"]
    assert (missing.mass_g, missing.note) == (None, "no scar mass: segment the case")
    others = {r.method: r for r in study.readings if r.case == "plain" and r.reader == "AB"}
    fwhm = others["fwhm_half_of_maximum_volume"]
    assert (fwhm.mass_g, fwhm.seconds, fwhm.stages) == (12.0, None, {})
    assert others["sd5_volume"].mass_g is None
    assert {r.method for r in study.readings if r.case == "untouched"} == {"interactive"}


def test_other_columns_still_give_a_warning(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "case,reader,session,method,mass_g,mood\nP1,A,1,interactive,3,good\n", encoding="utf-8"
    )
    assert read_table(path).warnings == ("columns not used: mood",)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What `myops segment` writes for the circle heart, and its scar in g."""
    case = circle_case()
    segmentation = circle_segmentation(case)
    measurements = measure(case, segmentation)
    folder = tmp_path_factory.mktemp("results")
    write_results(folder, case, segmentation, measurements, formats=("json",))
    return folder, measurements.tissues["scar"].mass_g


def worked_study(study, results) -> None:
    """What the program leaves: results and case.json of two readers, one case not begun."""
    for name in NAMES:
        for reader in ("AB", "CD"):
            place = write_case_file(study, read(name, reader, results[1]).with_status("approved"))
            shutil.copy(results[0] / "measurements.json", place.parent)
    write_case_file(study, CaseFile("untouched", "AB"))
    write_study_table(study)


def test_the_folder_and_its_table_give_the_same_readings(tmp_path, results):
    worked_study(tmp_path, results)
    folder, table = read_study(tmp_path), read_table(tmp_path / "study.csv")
    assert folder.warnings == (
        "readings without measurements, left out: untouched (AB, session 1)",
    )

    def own(study):
        return {
            r.key: (pytest.approx(r.mass_g, abs=0.0005), r.seconds, r.stages)
            for r in study.readings
            if r.method == "interactive" and r.case != "untouched"
        }

    assert own(folder) == own(table)
    assert {r.case for r in folder.readings} == set(NAMES)


def test_measurements_of_an_earlier_mask_are_named(tmp_path, results):
    worked_study(tmp_path, results)
    write_case_file(tmp_path, read("plain", "AB", results[1] + 1.0))
    assert read_study(tmp_path).warnings[1] == (
        "readings whose measurements are those of an earlier mask; open and save them again: "
        "plain (AB, session 1)"
    )


@pytest.mark.slow
@pytest.mark.parametrize("source", ["", "study.csv"])
def test_the_study_command_runs_on_what_the_program_leaves(tmp_path, results, source):
    study = tmp_path / "study"
    worked_study(study, results)
    done = CliRunner().invoke(cli, ["study", str(study / source), "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out" / "study.html").is_file()


def test_a_folder_with_case_files_alone_is_read_from_its_table(tmp_path):
    write_case_file(tmp_path, read("P1", "AB"))
    with pytest.raises(InputError, match="expected case/reader/session"):
        read_study(tmp_path)
    write_study_table(tmp_path)
    assert read_study(tmp_path).readings[0].mass_g == 10.0


def test_a_damaged_case_file_stops_the_study_command_in_one_line(tmp_path, results):
    worked_study(tmp_path, results)
    place = session_folder(tmp_path, "plain", "AB") / "case.json"
    place.write_text(json.dumps({"format": 1}), encoding="utf-8")
    with pytest.raises(InputError, match=r"plain.*expected the file of a case"):
        read_study(tmp_path)
    assert place.exists()

"""Names of a study that collide: kept apart or refused, never lost without a word."""

from __future__ import annotations

import csv
import io
import json
import os
import unicodedata

import pytest
from click.testing import CliRunner
from study_readings import MASSES, readings
from test_study import group

from myops.cli import cli
from myops.errors import InputError
from myops.study.analysis import analyze
from myops.study.page import render_study
from myops.study.read import read_study
from myops.study.reading import Reading, Study
from myops.study.readings import read_table
from myops.study.spelling import same_name, same_session
from myops.study.subgroups import natural
from myops.study.tables import plain, write_study


def renamed(old: str, new: str, what: str) -> list[Reading]:
    """The readings of test_study with one name in the place of another."""

    def key(r: Reading) -> list[str]:
        values = dict(zip(("case", "reader", "session", "method"), r.key, strict=True))
        return list({**values, what: new if values[what] == old else values[what]}.values())

    return [Reading(*key(r), r.mass_g, reference_g=12.0) for r in readings()]


def test_a_reader_called_reference_is_compared_with_the_known_mass():
    results = analyze(Study(tuple(renamed("Ana", "reference", "reader")), "t"))
    found = group(results, "reference", of="reference")
    assert found.columns == ("reference", "reference (known mass)")
    assert found.icc.count == len(MASSES)
    differences = [masses[0][0] - 12 for masses in MASSES.values()]
    assert found.pairs[0].difference.bias.value == pytest.approx(sum(differences) / 4)
    assert group(results, "reference", of="Ben").columns == ("Ben", "reference")
    assert group(results, "inter-observer").columns == ("Ben", "reference")


@pytest.mark.parametrize(
    "other", ["session 1", "01", "Session 1 ", "session_01", "1.0", "SESSION1", "\u0661", "１"]
)
def test_two_spellings_of_one_session_are_refused(other):
    two = renamed("2", other, "session")
    if other == "\u0661":  # the Arabic digit looks different: it stays apart
        assert same_session(other) != "1"
        return
    with pytest.raises(InputError, match=r"expected one spelling of each session of reader Ana"):
        Study(tuple(two), "t")


def test_a_session_may_be_called_session_1_where_no_other_is_1():
    two = [
        Reading(r.case, r.reader, f"session {r.session}", r.method, r.mass_g) for r in readings()
    ]
    found = group(analyze(Study(tuple(two), "t")), "intra-observer", of="Ben")
    assert found.columns == ("session 1", "session 2")


@pytest.mark.parametrize(
    ("what", "one", "two"),
    [
        ("reader", "ana", "ANA"),
        ("reader", "Ana B", "ana_b"),
        ("reader", "Straße", "STRASSE"),
        ("reader", "Ａna", "Ana"),
        ("case", "P1", "p1"),
        ("method", "FWHM", "fwhm"),
        ("method", "sd5_volume", "sd5 volume"),
    ],
)
def test_two_spellings_of_one_name_are_refused(what, one, two):
    made = []
    for number, name in enumerate((one, two)):
        for k in range(3):
            names = {"case": f"P{k}x", "reader": "A", "session": str(number + 1), "method": "m"}
            made.append(Reading(*{**names, what: name}.values(), 1.0 + k))
    unique = {reading.key: reading for reading in made}
    with pytest.raises(InputError, match=f"expected one spelling of each {what}, found") as caught:
        Study(tuple(unique.values()), "t")
    assert repr(one) in str(caught.value) and repr(two) in str(caught.value)


def test_a_name_in_two_unicode_forms_is_one_name():
    forms = [unicodedata.normalize(form, "José") for form in ("NFC", "NFD")]
    made = [
        Reading(f"P{k}", form, str(n), "m", 10.0 + k + n)
        for n, form in enumerate(forms, start=1)
        for k in range(4)
    ]
    found = group(analyze(Study(tuple(made), "t")), "intra-observer", of="José")
    assert found.icc.count == 4
    with pytest.raises(InputError, match="expected each reading once, found case P0, reader José"):
        Study(tuple(Reading("P0", form, "1", "m", 1.0) for form in forms), "t")


def test_grades_that_the_tables_use_themselves_are_refused():
    for grade in ("all", "All", "not graded"):
        with pytest.raises(InputError, match="expected grades of image quality"):
            Study((Reading("P1", "A", "1", "m", 1.0, quality=grade),), "t")
    two = [Reading(f"P{k}", "A", "1", "m", 1.0, quality=q) for k, q in enumerate(("good", "Good"))]
    with pytest.raises(InputError, match="expected one spelling of each quality"):
        Study(tuple(two), "t")


def test_a_stage_called_total_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("case,reader,session,method,mass_g,seconds_Total\nP1,A,1,m,1,2\n", "utf-8")
    with pytest.raises(InputError, match="expected the whole time in seconds, found seconds_total"):
        read_table(path)


def test_every_name_has_one_place_in_the_order():
    names = ["R01", "R1", "2²", "r1", "session 10", "session 2", "²", "\u0661"]
    backward = names[::-1]
    assert sorted(names, key=natural) == sorted(backward, key=natural)
    assert sorted(["session 10", "session 2"], key=natural) == ["session 2", "session 10"]


def test_spellings():
    assert same_name(" A\u00a0 b_C ") == "a b c"
    assert same_session("Session 007") == same_session("7") == same_session("7.") == "7"
    assert same_session("baseline") == "baseline"


HOSTILE = (
    '=HYPERLINK("http://x","y")',
    "A$_{$",
    "P$1$",
    "P\nQ\tR",
    "\u202eevil\x1b[31m",
    "山田 太郎",
    "x" * 400,
    "<script>",
    "'quoted",
    os.fsdecode(b"M\xfcller"),
)


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_page_pictures_or_tables_and_all_come_back(tmp_path, name):
    made = tuple(
        Reading(f"P{k} {name}", reader, session, method, 10.0 + k + len(reader) % 3, 30.0)
        for k in range(3)
        for reader in (name, f"{name} 2")
        for session in ("1", f"{name} 3")
        for method in ("interactive", f"{name} 4")
    )
    study = Study(made, f"t {name}")
    results = analyze(study)
    write_study(tmp_path, results, render_study(results))
    assert "<script>" not in (tmp_path / "study.html").read_text("utf-8")
    assert read_table(tmp_path / "readings.csv").readings == study.readings
    for path in tmp_path.glob("*.csv"):
        rows = list(csv.reader(io.StringIO(path.read_text("utf-8"))))
        assert len({len(row) for row in rows}) == 1, path.name
        texts = [cell for row in rows for cell in row]
        assert not any(cell[:1] in "=@+\t\r" for cell in texts if cell)
    assert json.loads((tmp_path / "study.json").read_text("utf-8"))["source"] == study.source
    assert plain(results)["readings"][0]["reader"] == study.readings[0].reader


def test_negative_numbers_stay_numbers_in_the_tables(tmp_path):
    write_study(tmp_path, analyze(Study(tuple(readings()), "t")), "page")
    with (tmp_path / "agreement.csv").open(encoding="utf-8") as file:
        row = next(csv.DictReader(file))
    assert float(row["bias_g"]) == -1.25  # differences -1, -1.5, -0.5, -2


def test_folders_with_names_that_are_not_utf8_are_a_study(tmp_path):
    mass = {"scar": {"mass_g": 10.0, "reason": None}}
    for k in range(3):
        for reader in (b"M\xfcller", b"B"):
            place = tmp_path / f"P{k}" / os.fsdecode(reader) / "1"
            place.mkdir(parents=True)
            (place / "measurements.json").write_text(json.dumps({"tissues": mass}), "utf-8")
    assert {r.reader for r in read_study(tmp_path).readings} == {"Müller", "B"}
    out = tmp_path / os.fsdecode(b"out\xfc")
    done = CliRunner().invoke(cli, ["study", str(tmp_path), "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert "Müller" in (out / "study.html").read_text("utf-8")

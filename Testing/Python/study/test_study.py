"""The reproducibility study: tables and sessions in, agreement out."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from fresh_python import loaded_after
from study_readings import HEADER, MASSES, column, readings

from myops.cli import cli
from myops.errors import InputError
from myops.io.atomic import write_image
from myops.study.analysis import analyze
from myops.study.page import render_study
from myops.study.read import read_study
from myops.study.reading import Reading, Study
from myops.study.readings import read_table
from myops.study.results import GroupAgreement, Results
from myops.study.statistics import bland_altman, concordance, intraclass
from myops.study.subgroups import quality_groups
from myops.study.tables import plain, write_study


def group(results: Results, kind: str, of: str = "", method: str = "") -> GroupAgreement:
    (found,) = (
        g
        for g in results.overall.groups
        if g.kind == kind and g.of == of and method in ("", g.method)
    )
    return found


def table(tmp_path: Path, text: str, name: str = "readings.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_inter_observer_agreement_is_that_of_first_sessions() -> None:
    found = group(analyze(Study(tuple(readings()), "t")), "inter-observer")
    (pair,) = found.pairs
    assert (pair.first, pair.second) == ("Ana", "Ben")
    assert pair.ccc == concordance(column(0, 0), column(1, 0))
    # Differences -1, -1.5, -0.5, -2.
    assert pair.difference.bias.value == pytest.approx(-1.25)
    assert pair.variation.value == pytest.approx(100 * math.sqrt(7.5 / 8) / (137 / 8))
    assert found.icc == intraclass(np.column_stack([column(0, 0), column(1, 0)]))
    assert found.left_out == ()


def test_intra_observer_agreement_is_that_of_one_readers_sessions() -> None:
    found = group(analyze(Study(tuple(readings()), "t")), "intra-observer", of="Ben")
    (pair,) = found.pairs
    assert (pair.first, pair.second) == ("session 1", "session 2")
    assert pair.ccc == concordance(column(1, 0), column(1, 1))
    assert pair.difference == bland_altman(column(1, 0), column(1, 1))


def test_incomplete_cases_are_left_out_and_named() -> None:
    kept = [r for r in readings() if r.key != ("P2", "Ben", "1", "interactive")]
    kept.append(Reading("P9", "Ana", "1", "interactive", None, note="lost"))
    found = group(analyze(Study(tuple(kept), "t")), "inter-observer")
    assert found.left_out == ("P2 (no mass: Ben)", "P9 (no mass: Ana, Ben)")
    assert found.icc.count == 3
    assert list(found.pairs[0].masses) == ["P1", "P3", "P4"]
    page = render_study(analyze(Study(tuple(kept), "t")))
    assert "P2 (no mass: Ben)" in page
    assert "Missing reading P9, Ana, 1, interactive:</b> lost" in page


def test_one_reader_has_no_inter_observer_agreement_and_the_reason_is_given() -> None:
    one = tuple(r for r in readings() if r.reader == "Ana" and r.session == "1")
    results = analyze(Study(one, "t"))
    found = group(results, "inter-observer")
    assert found.icc.value is None
    assert found.icc.reason == "expected 2 readings of a case, found 1"
    assert "expected 2 readings of a case, found 1" in render_study(results)


def test_three_readers_give_three_pairs_and_one_icc() -> None:
    more = [Reading(c, "Cy", "1", "interactive", m[0][0] + 1) for c, m in MASSES.items()]
    found = group(analyze(Study((*readings(), *more), "t")), "inter-observer")
    assert [(p.first, p.second) for p in found.pairs] == [
        ("Ana", "Ben"),
        ("Ana", "Cy"),
        ("Ben", "Cy"),
    ]
    rows = np.column_stack([column(0, 0), column(1, 0), np.array(column(0, 0)) + 1])
    assert found.icc == intraclass(rows)


def with_fwhm() -> list[Reading]:
    """FWHM reads 2 g more than Ana and 5 g more than Ben, in 300 s instead of 100 s."""
    fast = [Reading(*r.key, r.mass_g, 100.0, reference_g=12.0) for r in readings()]
    slow = [
        Reading(
            r.case, r.reader, r.session, "FWHM", r.mass_g + (2 if r.reader == "Ana" else 5), 300.0
        )
        for r in fast
    ]
    return [*slow, *fast]


def test_the_interactive_method_comes_first_and_is_tested_against_the_others() -> None:
    results = analyze(Study(tuple(with_fwhm()), "t"))
    assert results.methods == ("interactive", "FWHM")
    tests = {found.quantity: found for found in results.overall.tests}
    # Per case: mean of Ana and Ben, two sessions each, so FWHM is 3.5 g above in every case.
    assert tests["mass"].test.mean_difference == pytest.approx(-3.5)
    assert tests["mass"].test.count == 4
    assert tests["mass"].mean_first == pytest.approx(np.mean(list(MASSES.values())))
    assert tests["time"].test.mean_difference == pytest.approx(-200.0)
    # Sample SD of two readers is |difference| / sqrt 2: 1, 1.5, 0.5, 2 against 3 g more.
    spread = tests["spread between readers"]
    assert spread.mean_first == pytest.approx(1.25 / math.sqrt(2))
    assert spread.mean_second == pytest.approx(4.25 / math.sqrt(2))
    pair = group(results, "method").pairs[0]
    assert (pair.first, pair.second) == ("interactive", "FWHM")
    assert pair.difference.bias.value == pytest.approx(-3.5)


def test_methods_are_compared_on_the_readings_that_both_have() -> None:
    # Ben did not use FWHM: only Ana's readings count, 2 g apart.
    some = [r for r in with_fwhm() if r.method == "interactive" or r.reader == "Ana"]
    (mass,) = (t for t in analyze(Study(tuple(some), "t")).overall.tests if t.quantity == "mass")
    assert mass.test.mean_difference == pytest.approx(-2.0)


def test_readers_are_compared_with_the_known_mass() -> None:
    results = analyze(Study(tuple(with_fwhm()), "t"))
    pair = group(results, "reference", of="Ben", method="interactive").pairs[0]
    assert pair.difference.bias.value == pytest.approx(np.mean(column(1, 0)) - 12)
    # The known masses are all 12 g: no variation, no concordance.
    assert pair.ccc.value == 0.0


def test_times_are_summed_up_per_method_and_stage() -> None:
    timed = [
        Reading("P1", "Ana", "1", "interactive", 1.0, 10.0, {"clicks": 4.0}),
        Reading("P2", "Ana", "1", "interactive", 1.0, 20.0, {"clicks": 5.0}),
        Reading("P3", "Ana", "1", "interactive", 1.0, 60.0),
        Reading("P4", "Ana", "1", "interactive", 1.0),
    ]
    total, clicks = analyze(Study(tuple(timed), "t")).overall.times
    assert (total.stage, total.count, total.without) == ("total", 3, 1)
    assert (total.mean_s, total.median_s) == (30.0, 20.0)
    assert total.sd_s == pytest.approx(math.sqrt((400 + 100 + 900) / 2))
    assert (clicks.stage, clicks.count, clicks.mean_s) == ("clicks", 2, 4.5)


def graded(values: Iterable[str]) -> list[Reading]:
    return [
        Reading(f"P{i}", "Ana", "1", "interactive", 1.0, quality=value)
        for i, value in enumerate(values)
    ]


def test_up_to_four_grades_are_groups_and_more_scores_are_divided_at_the_median() -> None:
    assert quality_groups(graded(["2", "1", "2"])) == {"1": {"P1"}, "2": {"P0", "P2"}}
    assert quality_groups(graded(["good", "", "poor"])) == {
        "good": {"P0"},
        "poor": {"P2"},
        "not graded": {"P1"},
    }
    assert quality_groups(graded(["5", "1.5", "2", "10", "4"])) == {
        "below 4": {"P1", "P2"},
        "4 and above": {"P0", "P3", "P4"},
    }
    assert quality_groups(graded(["1", "1"])) == {}
    assert quality_groups(graded(["1", "2.0", "1.0", "2"])) == {
        "1": {"P0", "P2"},
        "2.0": {"P1", "P3"},
    }
    assert quality_groups(graded(["", ""])) == {}


def test_subgroups_are_analyzed_like_the_whole() -> None:
    quality = {"P1": "1", "P2": "1", "P3": "1", "P4": "2"}
    rated = tuple(Reading(*r.key, r.mass_g, quality=quality[r.case]) for r in readings())
    results = analyze(Study(rated, "t"))
    good, poor = results.by_quality["1"], results.by_quality["2"]
    assert good.groups[0].icc.count == 3
    assert good.groups[0].pairs[0].ccc == concordance(column(0, 0)[:3], column(1, 0)[:3])
    assert poor.groups[0].icc.reason == "expected at least 3 cases, found 1"


def test_a_table_is_read_with_stages_missing_masses_and_unused_columns(tmp_path) -> None:
    path = table(
        tmp_path,
        "Case,Reader,Session,Method,mass_g,seconds,seconds_clicks,quality,reference_g,comment\n"
        "P1,Ana,1,interactive,12.5,80,30,2,12,fine\n"
        "P1,Ben,1,interactive,NA,,,2,12,\n"
        "\n",
    )
    study = read_table(path)
    assert study.readings[0] == Reading(
        "P1", "Ana", "1", "interactive", 12.5, 80.0, {"clicks": 30.0}, "2", 12.0
    )
    assert study.readings[1].mass_g is None
    assert study.readings[1].note == "the table holds no mass"
    assert study.warnings == ("columns not used: comment",)
    assert study.simulated == ""


def test_a_table_with_semicolons_may_have_decimal_commas(tmp_path) -> None:
    path = table(tmp_path, "\ufeffcase;reader;session;method;mass_g\nP1;A;1;FWHM;12,5\n")
    assert read_table(path).readings[0].mass_g == 12.5


def test_masks_are_weighed_with_the_spacing_of_their_file(tmp_path, make_image) -> None:
    labels = np.zeros((3, 8, 8), np.uint16)
    labels[1, 2:5, 2:5] = 2221
    labels[1, 3, 3] = 2222
    labels[1, 6, 6] = 1220
    write_image(make_image(labels), tmp_path / "labels.nii.gz")
    write_image(make_image((labels >= 2221).astype(np.uint8)), tmp_path / "mask.nii.gz")
    path = table(
        tmp_path,
        "case,reader,session,method,mask\nP1,A,1,m,labels.nii.gz\nP1,A,2,m,mask.nii.gz\n",
    )
    # 9 voxels of 1.5 x 1.5 x 10 mm, the spacing of make_image.
    for reading in read_table(path).readings:
        assert reading.mass_g == pytest.approx(9 * 0.0225 * 1.05)


def test_a_mask_without_spacing_is_refused_by_row(tmp_path, make_image) -> None:
    image = make_image(np.ones((3, 8, 8), np.uint8), spacing=(1.0, 1.0, 1.0), origin=(0, 0, 0))
    write_image(image, tmp_path / "mask.nii.gz")
    path = table(tmp_path, "case,reader,session,method,mask\nP1,A,1,m,mask.nii.gz\n")
    with pytest.raises(InputError, match=r"row 2: mask\.nii\.gz: expected the voxel spacing"):
        read_table(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case,reader,mass_g\n", "found no session, method; the first row"),
        ("case,reader,session,method\n", r"found no mass_g \(or mask\)"),
        ("", "found no case, reader, session, method, mass_g"),
        (HEADER, "expected readings, found none"),
        ("case,case,reader,session,method,mass_g\n", "found case twice"),
        (HEADER + "P1,A,1,m,ten,\n", "row 2: expected mass_g as a number not below 0, found 'ten'"),
        (HEADER + "P1,A,1,m,-3,\n", "found '-3'"),
        (HEADER + "P1,A,1,m,inf,\n", "found 'inf'"),
        (HEADER + "P1,A,1,m,3\n", "row 2: expected 6 cells, found 5"),
        (HEADER + "P1,,1,m,3,\n", "row 2: expected a reader, found an empty cell"),
        (HEADER + "P1,A,1,m,3,\nP1,A,1,m,4,\n", "found case P1, reader A, session 1, method m tw"),
        (
            "case,reader,session,method,mass_g,mask\nP1,A,1,m,3,x.nii.gz\n",
            "expected mass_g or mask, found both",
        ),
        ("case,reader,session,method,mask\nP1,A,1,m,none.nii.gz\n", r"row 2: .*none\.nii\.gz"),
        (
            "case,reader,session,method,mass_g,quality\nP1,A,1,m,3,1\nP1,B,1,m,3,2\n",
            "expected one quality for case P1, found 1, 2",
        ),
    ],
)
def test_bad_tables_are_refused_with_the_reason(tmp_path, text, message) -> None:
    with pytest.raises(InputError, match=message):
        read_table(table(tmp_path, text))


def test_a_table_that_is_no_text_is_refused(tmp_path) -> None:
    path = tmp_path / "readings.xlsx"
    path.write_bytes(b"PK\x03\x04\xff\xfe\x00\x81")
    with pytest.raises(InputError, match="save it as CSV"):
        read_table(path)


def test_a_missing_table_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"none\.csv: expected a table or a folder of readings"):
        read_study(tmp_path / "none.csv")


def write_session(folder: Path, scar_g: float | None, fwhm_g: float, contrast: float = 8.0) -> None:
    folder.mkdir(parents=True)
    missing = None if scar_g is not None else "not assessed: there is no LGE image"
    values = {
        "tissues": {"scar": {"mass_g": scar_g, "reason": missing}},
        "fwhm": {"fwhm_half_of_maximum_volume": {"mass_g": fwhm_g, "reason": None}},
        "image_quality": {"contrast_scar_remote": contrast},
    }
    (folder / "measurements.json").write_text(json.dumps(values), encoding="utf-8")


def test_saved_sessions_give_the_corrected_and_the_conventional_masses(tmp_path) -> None:
    write_session(tmp_path / "P1" / "Ana" / "1", 10.0, 12.0, contrast=7.0)
    write_session(tmp_path / "P1" / "Ben" / "1", None, 13.0, contrast=9.0)
    steps = [
        {"time": "2026-01-01T10:00:05.000+00:00", "seconds": 0.5},
        {"time": "2026-01-01T10:01:05.000+00:00", "seconds": 1.5},
    ]
    (tmp_path / "P1" / "Ana" / "1" / "session.json").write_text(
        json.dumps({"steps": steps}), encoding="utf-8"
    )
    ana, ana_fwhm, ben, _ = read_study(tmp_path).readings
    assert (ana.key, ana.mass_g) == (("P1", "Ana", "1", "interactive"), 10.0)
    assert (ana_fwhm.method, ana_fwhm.mass_g) == ("fwhm_half_of_maximum_volume", 12.0)
    # The first step began 0.5 s before it was stamped: 60.5 s, 2 s of them the machine's.
    assert ana.seconds == pytest.approx(60.5)
    assert ana.stages == {"computing": pytest.approx(2.0), "reader": pytest.approx(58.5)}
    assert (ben.mass_g, ben.note, ben.seconds) == (
        None,
        "not assessed: there is no LGE image",
        None,
    )
    assert {ana.quality, ana_fwhm.quality, ben.quality} == {"8.0"}


def test_a_session_whose_times_do_not_tell_is_refused_by_place_and_step(tmp_path) -> None:
    write_session(tmp_path / "P1" / "Ana" / "2", 10.0, 12.0)
    session = tmp_path / "P1" / "Ana" / "2" / "session.json"
    for steps, words in (
        ([("2026-01-01T10:00:00Z", 1), ("2026-01-01T10:01:00", 1)], "step 2: expected a time with"),
        ([("2026-01-01T10:00:00Z", 1), ("2026-01-01T09:00:00Z", 1)], "step 2: .*clock set back"),
        ([("2026-01-01T10:00:00Z", 1), (None, 1)], "step 2: no text: None"),
        ([("2026-01-01T10:00:00Z", math.nan)], "step 1: not finite"),
        ([("2026-01-01T10:00:00Z", -1)], "step 1: .*below 0"),
        ([("2026-01-01T10:00:00Z", "1")], "step 1: no number"),
    ):
        values = [{"time": time, "seconds": seconds} for time, seconds in steps]
        session.write_text(json.dumps({"steps": values}), "utf-8")
        with pytest.raises(InputError, match=f"P1/Ana/2/session.json: .*{words}"):
            read_study(tmp_path)
    for content in ('{"steps": {"time": 1}}', '{"steps": [5]}', "{}"):
        session.write_text(content, "utf-8")
        with pytest.raises(InputError, match="expected steps with time and seconds, found"):
            read_study(tmp_path)


def test_a_step_that_took_longer_than_the_clock_says_is_named(tmp_path) -> None:
    write_session(tmp_path / "P1" / "Ana" / "2", 10.0, 12.0)
    steps = [
        {"time": "2026-03-29T01:59:00+01:00", "seconds": 2.0},
        {"time": "2026-03-29T03:01:00+02:00", "seconds": 500.0},
    ]
    session = tmp_path / "P1" / "Ana" / "2" / "session.json"
    session.write_text(json.dumps({"steps": steps}), "utf-8")
    study = read_study(tmp_path)
    # Two minutes across the change to summer time, and the two seconds of the first step.
    assert study.readings[0].seconds == 122.0
    (warning,) = study.warnings
    assert "P1/Ana/2 (step 2)" in warning and "clock" in warning


def test_prompts_without_times_have_no_reading_time(tmp_path) -> None:
    write_session(tmp_path / "P1" / "Ana" / "1", 10.0, 12.0)
    session = tmp_path / "P1" / "Ana" / "1" / "session.json"
    for content in ('{"steps": []}', '{"steps": [{"structure": "scar"}, {"time": null}]}'):
        session.write_text(content, "utf-8")
        assert read_study(tmp_path).readings[0].seconds is None


def test_measurements_that_are_no_masses_are_refused(tmp_path) -> None:
    write_session(tmp_path / "P1" / "Ana" / "1", 10.0, 12.0)
    place = tmp_path / "P1" / "Ana" / "1" / "measurements.json"
    good = json.loads(place.read_text("utf-8"))
    for damage in (
        {"tissues": {"scar": {"mass_g": math.nan}}},
        {"tissues": {"scar": {"mass_g": -1}}},
        {"image_quality": 5},
        {"image_quality": {"contrast_scar_remote": "good"}},
        {"fwhm": [1]},
    ):
        place.write_text(json.dumps(good | damage), "utf-8")
        with pytest.raises(InputError, match="expected the measurements of myops segment"):
            read_study(tmp_path)


def test_folders_without_sessions_and_damaged_files_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="expected case/reader/session/measurements.json"):
        read_study(tmp_path)
    write_session(tmp_path / "P1" / "Ana" / "1", 10.0, 12.0)
    session = tmp_path / "P1" / "Ana" / "1" / "session.json"
    session.write_text('{"steps": [{"time": "noon", "seconds": 1}]}', encoding="utf-8")
    with pytest.raises(InputError, match="expected steps with time and seconds"):
        read_study(tmp_path)
    session.unlink()
    (session.parent / "measurements.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="expected JSON, found damaged text"):
        read_study(tmp_path)
    (session.parent / "measurements.json").write_text('{"tissues": {}}', encoding="utf-8")
    with pytest.raises(InputError, match="expected the measurements of myops"):
        read_study(tmp_path)


def test_json_and_csv_hold_the_same_numbers_and_no_nan(tmp_path) -> None:
    results = analyze(Study(tuple(with_fwhm()), "t"))
    write_study(tmp_path, results, "page")
    values = json.loads((tmp_path / "study.json").read_text("utf-8"))
    with (tmp_path / "agreement.csv").open(encoding="utf-8") as file:
        first = next(csv.DictReader(file))
    pair = values["overall"]["groups"][0]["pairs"][0]
    assert float(first["ccc"]) == pair["ccc"]["value"]
    assert float(first["ccc"]) == pytest.approx(concordance(column(0, 0), column(1, 0)).value)
    assert (first["comparison"], first["first"], first["second"]) == (
        "inter-observer",
        "Ana",
        "Ben",
    )
    assert first["data"] == values["data"] == "read"
    text = "".join(p.read_text("utf-8").lower() for p in tmp_path.iterdir() if p.suffix != ".html")
    assert "nan" not in text.replace("ana", "") and "infinity" not in text


def test_a_written_table_is_read_again_with_the_same_results(tmp_path) -> None:
    study = Study(tuple(with_fwhm()), "t", simulated="by a test")
    write_study(tmp_path, analyze(study), "page")
    again = read_table(tmp_path / "readings.csv")
    assert again.readings == study.readings
    assert again.simulated == "The table says that its readings were simulated."
    assert again.warnings == ()


@pytest.mark.slow
def test_simulated_readings_are_called_so_everywhere(tmp_path) -> None:
    results = analyze(Study(tuple(readings()), "8 phantoms", simulated="Programmed readers."))
    page = render_study(results)
    assert "<title>Simulated reader study: 8 phantoms</title>" in page
    assert "<b>Simulated.</b> No person has read these cases. Programmed readers." in page
    assert plain(results)["data"] == "simulated"
    write_study(tmp_path, results, page)
    for path in tmp_path.glob("*.csv"):
        with path.open(encoding="utf-8") as file:
            assert all(row["data"] == "simulated" for row in csv.DictReader(file)), path.name
    assert "Simulated" not in render_study(analyze(Study(tuple(readings()), "t")))


@pytest.mark.slow
def test_the_page_needs_nothing_else_and_escapes_names() -> None:
    named = [Reading(f"<b>{r.case}", *r.key[1:], r.mass_g, 10.0) for r in with_fwhm()]
    page = render_study(analyze(Study(tuple(named), "<script>t")))
    assert "<script>" not in page and "<b>P1" not in page
    assert page.count("data:image/png;base64,") == 4
    assert "http" not in page and 'src="data:' in page


def test_the_command_writes_all_files_and_prints_the_agreement(tmp_path) -> None:
    rows = "".join(f"{','.join(r.key)},{r.mass_g},60\n" for r in readings())
    path = table(tmp_path, HEADER + rows)
    done = CliRunner().invoke(cli, ["study", str(path), "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "agreement.csv",
        "readings.csv",
        "study.html",
        "study.json",
        "tests.csv",
        "times.csv",
    ]
    ccc = concordance(column(0, 0), column(1, 0)).value
    (line,) = (line for line in done.output.splitlines() if "Ana − Ben" in line)
    assert f"{ccc:.3f}" in line


@pytest.mark.parametrize("arguments", [[], ["table.csv", "--simulate", "3"]])
def test_the_command_wants_a_source_or_a_simulation(tmp_path, arguments) -> None:
    done = CliRunner().invoke(cli, ["study", *arguments, "-o", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "expected a table or folder of readings, or --simulate PATIENTS" in done.output


@pytest.mark.parametrize("module", ["myops.study.analysis", "myops.study.page"])
def test_a_study_runs_without_torch(module) -> None:
    assert "torch" not in loaded_after(module)

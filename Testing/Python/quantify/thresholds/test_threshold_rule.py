"""The rows of the conventional rules: complete, documented, and enough to add a rule by data."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from applied_rules import applying
from circle_heart import (
    SPACING_MM,
    circle_case,
    circle_labels,
    circle_lge,
    circle_segmentation,
    sitk_image,
)
from click.testing import CliRunner

from myops.cli import cli
from myops.quantify import tables
from myops.quantify.measure import measure
from myops.quantify.text import as_text
from myops.quantify.thresholds.fwhm import HALF_OF_MAXIMUM
from myops.quantify.thresholds.methods import (
    RULES,
    ConventionalSettings,
    conventional_methods,
    report_rules,
)
from myops.quantify.thresholds.remote import RemoteRegion
from myops.quantify.thresholds.rule import Rule, RuleInput, Thresholds
from myops.report.sections import conventional_section, slices
from myops.report.wording import threshold_words

DOCS = Path(__file__).parents[4] / "Docs"
# 10 is remote muscle, 100 the peak.
LGE = np.array([[[10, 10, 20, 60, 90, 95, 100]]], np.float32)
WALL = np.ones(LGE.shape, bool)
REMOTE = RemoteRegion(LGE == 10, 10.0, 0.0, 0.0, 60.0, 2, "by hand")


def nine_tenths(given: RuleInput) -> Thresholds:
    peaks = given.peaks
    return Thresholds(peaks, tuple(None if p is None else 0.9 * p for p in peaks), inclusive=True)


NINE_TENTHS = Rule(
    name="nine_tenths",
    title="Nine tenths of the maximum",
    formula="I ≥ 0.9 max",
    source="of this test",
    needs=frozenset({"contrast", "unsigned"}),
    compute=nine_tenths,
    numbers="I ≥ 0.9 × {peak} = {threshold}",
    in_report=True,
)


@pytest.fixture
def nine_tenths_rule(monkeypatch: pytest.MonkeyPatch) -> Rule:
    """A rule of this test, added by data alone."""
    monkeypatch.setitem(RULES, NINE_TENTHS.name, NINE_TENTHS)
    return NINE_TENTHS


def circle_measurements(settings: ConventionalSettings | None = None):
    case = circle_case(circle_labels(), ("lge",))
    return measure(case, circle_segmentation(case, circle_labels()), settings)


def documented() -> dict[str, tuple[str, str]]:
    """Rule to the formula and source that the documentation's table gives."""
    (page,) = DOCS.rglob("quantification.md")
    found = {}
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        names = re.findall(r"`(\w+)`", cells[0]) if len(cells) == 4 else []
        if len(names) == 2:  # `sd2` … `sd6`
            first, last = (int(name[-1]) for name in names)
            for n in range(first, last + 1):
                found[f"sd{n}"] = (cells[1].replace("n SD", f"{n} SD"), cells[2])
        elif names:
            found[names[0]] = (cells[1], cells[2])
    return found


def test_every_rule_stands_under_its_name_and_no_name_or_title_is_given_twice():
    assert all(name == rule.name for name, rule in RULES.items())
    results = [rule.result_name(scope) for rule in RULES.values() for scope in rule.scopes]
    assert len(set(results)) == len(results) == 27
    assert len({rule.title for rule in RULES.values()}) == len(RULES) == 14


def test_the_documentation_gives_each_rule_the_formula_and_source_of_its_row():
    stated = {name: (rule.formula, rule.source) for name, rule in RULES.items()}
    assert documented() == stated


def test_a_result_has_the_name_of_its_rule():
    labels = circle_labels()
    settings = ConventionalSettings(manual_threshold=450.0)
    found = conventional_methods(circle_lge(labels), labels, SPACING_MM, settings)
    for name, result in found.items():
        assert RULES[result.rule].result_name(result.scope) == name


def test_a_rule_added_by_data_is_measured(nine_tenths_rule):
    result = applying(nine_tenths_rule)(LGE, WALL, WALL, REMOTE)
    assert (result.peak, result.threshold_range) == (100, (90, 90))
    assert result.mask.tolist() == [[[False, False, False, False, True, True, True]]]
    labels = circle_labels()
    found = conventional_methods(circle_lge(labels), labels, SPACING_MM)
    assert list(found)[-2:] == ["nine_tenths_volume", "nine_tenths_slice"]
    measured = circle_measurements()
    assert measured.fwhm["nine_tenths_volume"].mass.mass_g > 0
    assert "nine_tenths_slice" in measured.slices[2].fwhm


def test_a_rule_added_by_data_is_in_the_tables_and_in_the_terminals_text(nine_tenths_rule):
    measured = circle_measurements()
    plain = tables.plain(measured)["fwhm"]["nine_tenths_volume"]
    assert (plain["rule"], plain["title"]) == ("nine_tenths", "Nine tenths of the maximum (volume)")
    rows = [row for row in tables.rows(measured) if row["structure"] == "nine_tenths_volume"]
    assert {row["quantity"] for row in rows} >= {"mass_g", "threshold_lowest", "peak"}
    assert "Nine tenths of the maximum (per slice)" in as_text(measured)


def test_a_rule_added_by_data_states_its_own_formula_in_the_report(nine_tenths_rule):
    measured = circle_measurements()
    result = measured.fwhm["nine_tenths_volume"].result
    peak, threshold = f"{result.peak:.1f}", f"{0.9 * result.peak:.1f}"
    words = threshold_words(measured)
    assert words[-1] == f"Nine tenths of the maximum (volume): I ≥ 0.9 × {peak} = {threshold}"
    assert len(words) == 3
    assert "Nine tenths of the maximum (volume)" in repr(conventional_section(measured, None))
    assert "Nine tenths of the maximum (g)" in repr(slices(measured, ""))


def test_a_rule_added_by_data_can_be_asked_for_on_the_command_line(nine_tenths_rule, tmp_path):
    labels = circle_labels()
    case = circle_case(labels, ("lge",))
    import SimpleITK as sitk

    sitk.WriteImage(sitk_image(case.images["lge"]), str(tmp_path / "lge.nii.gz"))
    sitk.WriteImage(sitk_image(labels), str(tmp_path / "labels.nii.gz"))
    arguments = ["quantify", str(tmp_path / "labels.nii.gz"), "--lge", str(tmp_path / "lge.nii.gz")]
    done = CliRunner().invoke(cli, [*arguments, "--method", "nine_tenths"])
    assert done.exit_code == 0, done.output
    assert "Nine tenths of the maximum (volume)" in done.output
    assert "FWHM, half" not in done.output


def test_the_report_shows_two_rules_and_says_how_each_one_cuts():
    assert [rule.name for rule in report_rules()] == [
        "fwhm_half_of_maximum",
        "fwhm_remote_referenced",
    ]
    assert applying(HALF_OF_MAXIMUM)(LGE, WALL, WALL, REMOTE).threshold_range == (50, 50)
    words = {
        name: rule.with_numbers(
            applying(rule)(LGE, WALL, WALL, REMOTE, threshold=70.0), "{:g}".format
        )
        for name, rule in RULES.items()
        if name not in ("fwhm_amado", "otsu")
    }
    assert words == {
        "fwhm_half_of_maximum": "I ≥ 100 / 2 = 50",
        "fwhm_between_minimum_and_maximum": "I ≥ min + (100 − min) / 2 = 55",
        "fwhm_remote_referenced": "I > 10 + (100 − 10) / 2 = 55",
        **{f"sd{n}": f"I > 10 + {n} × 0 = 10" for n in (2, 3, 4, 5, 6)},
        "grey_zone_schmidt": "core I ≥ 100 / 2 = 50; grey zone I > 10",
        "grey_zone_yan": "core I > 10 + 3 × 0 = 10; grey zone I > 10 + 2 × 0 = 10",
        "grey_zone_40_60": "core I ≥ 0.6 × 100 = 60; grey zone I ≥ 0.4 × 100 = 40",
        "manual": "I ≥ 70",
    }


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_invalid_exactly_where_its_row_says_what_is_lacking(name):
    rule = RULES[name]
    lacking = {
        "contrast": ({"lge": np.full_like(LGE, 7.0)}, "the same value 7 everywhere"),
        "unsigned": ({"lge": LGE - 50}, "invalid on signed (PSIR) data"),
        "remote": ({"remote": None}, "no remote region"),
        "threshold": ({"threshold": None}, "no threshold was given"),
    }
    complete = {"lge": LGE, "myocardium": WALL, "scar": WALL, "remote": REMOTE, "threshold": 70.0}
    assert applying(rule)(**complete).invalid is None
    for need, (change, words) in lacking.items():
        if name == "fwhm_amado" and need == "remote":
            continue  # needs it only where no region is drawn
        found = applying(rule)(**{**complete, **change}).invalid
        assert (found is not None and words in found) == (need in rule.needs), need


def test_what_is_lacking_is_told_in_one_order_by_every_rule():
    flat = np.full_like(LGE, -7.0)
    for rule in RULES.values():
        nothing = applying(rule)(flat, ~WALL, WALL, None)
        assert nothing.invalid == "no myocardium was found"
        if "contrast" in rule.needs:
            assert "same value" in applying(rule)(flat, WALL, WALL, None).invalid

"""Results -> plain rows and values: CSV and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from myops import __version__
from myops.io.atomic import json_text
from myops.io.csv_files import csv_text
from myops.io.number_text import plain as plain_number
from myops.io.text_files import write_text
from myops.study.reading import ALL_CASES, NAMES, Study, in_order
from myops.study.readings import STAGE
from myops.study.results import Analysis, GroupAgreement, PairAgreement, Results
from myops.study.statistics import Estimate

NOTICE = "Research use only. Not a medical device."
# The word in the column "data" of every table; a table that says so is read as simulated again.
SIMULATED, READ = "simulated", "read"
TABLES = ("readings", "agreement", "tests", "times")
DIGITS = 8

DEFINITIONS: Mapping[str, str] = {
    "inter-observer": "the readers' first sessions against each other",
    "intra-observer": "the sessions of one reader against each other",
    "reference": "each reader's first session against the known mass",
    "method": "the first method against each other one; a case counts with its mean over the "
    "readers and sessions that have read it with both methods",
    "CCC": "Lin's concordance correlation coefficient, 2 s_xy / (s_x² + s_y² + (m_x − m_y)²) with "
    "1/n moments; 95 % interval by Fisher's z (Lin 1989, variance as corrected in 2000)",
    "ICC(2,1)": "two-way random effects, absolute agreement, single reading; 95 % interval from "
    "the F distribution (Shrout and Fleiss 1979)",
    "bias and limits": "mean difference (first minus second), and bias ± 1.96 SD of the "
    "differences (Bland and Altman 1986); intervals of both by t, those of the limits with "
    "SE = SD √(1/n + 1.96²/(2(n − 1))) (Bland and Altman 1999)",
    "CV": "coefficient of variation: within-case SD / mean of all readings, in %; within-case SD = "
    "√(mean over cases of the variance of a case's readings), for two readings √(Σd²/2n); the "
    "bias between readers is part of it",
    "paired tests": "over cases, two-sided: Wilcoxon signed-rank (exact up to 50 untied "
    "differences, zero differences left out) and paired t; p values are not adjusted for the "
    "number of methods or quantities",
    "spread between readers": "sample SD of the readers' first sessions in a case",
    "absolute error": "|mass − known mass|, mean over the readings of a case",
    "time": "seconds of one reading of one patient by one reader; mean ± sample SD, and median",
    "complete cases": "a comparison uses the cases that have every reading it needs, at least 3; "
    "the others are named",
    "quality": "up to four grades are taken as they are; a score with more values is divided at "
    "its median over the cases; for saved sessions and simulated readers the score is the scar's "
    "contrast to noise against remote myocardium",
}


def write_study(folder: str | Path, results: Results, page: str) -> list[Path]:
    """Write `study.html`, `study.json`, `readings.csv`, `agreement.csv`, `tests.csv`, `times.csv`.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    data = SIMULATED if results.study.simulated else READ
    tables = {
        "readings": reading_rows(results.study),
        "agreement": _by_quality(results, agreement_rows),
        "tests": _by_quality(results, test_rows),
        "times": _by_quality(results, time_rows),
    }
    texts = {
        f"{name}.csv": _csv([{**row, "data": data} for row in rows] or [{"data": data}])
        for name, rows in tables.items()
    }
    texts["study.json"] = json_text(plain(results))
    texts["study.html"] = page
    return [write_text(folder / name, text) for name, text in texts.items()]


def plain(results: Results) -> dict[str, Any]:
    """Everything as nested values for JSON; missing numbers are null, with the reason."""
    study = results.study
    return {
        "software": f"myops {__version__}",
        "notice": NOTICE,
        "source": study.source,
        "data": SIMULATED if study.simulated else READ,
        "simulated": study.simulated or None,
        "warnings": list(study.warnings),
        "methods": list(results.methods),
        "definitions": dict(DEFINITIONS),
        "overall": _rounded(asdict(results.overall)),
        "by_quality": {name: _rounded(asdict(a)) for name, a in results.by_quality.items()},
        "readings": reading_rows(study),
    }


def as_text(results: Results) -> str:
    """The agreement between readers and between their sessions, for the terminal."""
    rows = [
        row for row in agreement_rows(results.overall) if row["comparison"].endswith("observer")
    ]
    titles = [f"{row['method']}, {_who(row)}" for row in rows]
    width = max(map(len, titles))
    lines = ["SIMULATED readings"] if results.study.simulated else []
    lines += [f"Warning: {warning}" for warning in results.study.warnings]
    lines.append(f"{'':<{width}}{'cases':>6}{'CCC':>8}{'ICC':>8}{'bias g':>9}{'CV %':>7}")
    for title, row in zip(titles, rows, strict=True):
        cells = [("ccc", 8, 3), ("icc", 8, 3), ("bias_g", 9, 2), ("cv_percent", 7, 1)]
        numbers = "".join(_cell(row[key], wide, digits) for key, wide, digits in cells)
        reason = f"  {row['reason']}" if row["reason"] else ""
        lines.append(f"{title:<{width}}{row['cases']:>6}{numbers}{reason}")
    return "\n".join(lines)


def _who(row: Mapping[str, Any]) -> str:
    between = row["first"] + (f" − {row['second']}" if row["second"] else "")
    return f"{row['reader']}: {between}" if row["reader"] else between


def _cell(value: float | None, width: int, digits: int) -> str:
    return f"{plain_number(value, digits, '-'):>{width}}"


def reading_rows(study: Study) -> list[dict[str, Any]]:
    """One row per reading, in the columns that `read_table` reads."""
    stages = in_order(stage for reading in study.readings for stage in reading.stages)
    rows = []
    for reading in study.readings:
        row: dict[str, Any] = {name: getattr(reading, name) for name in NAMES}
        row |= {"mass_g": reading.mass_g, "seconds": reading.seconds}
        row |= {STAGE + stage: reading.stages.get(stage) for stage in stages}
        row |= {"quality": reading.quality, "reference_g": reading.reference_g}
        rows.append(_rounded(row | {"note": reading.note}))
    return rows


def agreement_rows(analysis: Analysis) -> list[dict[str, Any]]:
    """One row per pair of columns; one for all columns of a comparison where there are more."""
    rows = []
    for group in analysis.groups:
        if len(group.columns) != 2:
            rows.append(_row(group, " / ".join(group.columns), "", group))
        rows += [_row(group, pair.first, pair.second, pair) for pair in group.pairs]
    return rows


def test_rows(analysis: Analysis) -> list[dict[str, Any]]:
    """One row per quantity and pair of methods."""
    rows = []
    for found in analysis.tests:
        values = {key: value for key, value in asdict(found).items() if key != "test"}
        test = asdict(found.test)
        rows.append(values | {"cases": test.pop("count")} | test)
    return rows


def time_rows(analysis: Analysis) -> list[dict[str, Any]]:
    """One row per method and stage."""
    return [asdict(times) for times in analysis.times]


def _row(
    group: GroupAgreement, first: str, second: str, found: GroupAgreement | PairAgreement
) -> dict[str, Any]:
    """The ICC of two columns is the group's; other pairs of a larger group have none."""
    pair = found if isinstance(found, PairAgreement) else None
    icc = group.icc if pair is None or len(group.columns) == 2 else None
    none = Estimate(None, None, None, 0)
    ccc = pair.ccc if pair else none
    difference = pair.difference if pair else None
    counted = pair.ccc if pair else group.icc
    reasons = [e.reason for e in (icc, pair and pair.ccc, found.variation) if e and e.reason]
    return {
        "comparison": group.kind,
        "method": group.method,
        "reader": group.of,
        "first": first,
        "second": second,
        "cases": counted.count,
        **_three("ccc", ccc),
        **_three("icc", icc or none),
        **_three("bias_g", difference.bias if difference else none),
        "sd_g": difference.sd if difference else None,
        **_three("lower_limit_g", difference.lower if difference else none),
        **_three("upper_limit_g", difference.upper if difference else none),
        "cv_percent": found.variation.value,
        "left_out": "; ".join(found.left_out),
        "reason": "; ".join(in_order(reasons)),
    }


def _three(name: str, estimate: Estimate) -> dict[str, float | None]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _by_quality(results: Results, rows: Any) -> list[dict[str, Any]]:
    parts = {ALL_CASES: results.overall, **results.by_quality}
    return [
        {"quality": quality, **_rounded(row)}
        for quality, analysis in parts.items()
        for row in rows(analysis)
    ]


def _rounded(value: Any) -> Any:
    """Floats with 8 significant digits, at any depth; p values can be tiny."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    return csv_text(list(rows[0]), rows)

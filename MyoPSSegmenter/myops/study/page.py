"""The page of a reproducibility study: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from myops import __version__
from myops.io.number_text import DASH, number, number_range, signed
from myops.report.pages import embedded, page_template
from myops.study.plots import (
    MOST_COLUMNS,
    bland_altman_panels,
    concordance_plot,
    method_colors,
    pair_title,
    time_plot,
)
from myops.study.reading import Study
from myops.study.results import Analysis, GroupAgreement, MethodTest, PairAgreement, Results
from myops.study.spelling import same_session
from myops.study.statistics import Estimate, PairedTest
from myops.study.subgroups import natural
from myops.study.tables import DEFINITIONS

# `number` or `signed`.
Write = Callable[[float | None, int], str]
INTER, INTRA = "inter-observer", "intra-observer"
SECTIONS = {
    INTER: "Between readers",
    INTRA: "Between sessions of one reader",
    "reference": "Against the known mass",
    "method": "Between methods",
}


def render_study(results: Results, created: datetime | None = None) -> str:
    """Write a study as a self-contained HTML page.

    Args:
        results: every number shown.
        created: time shown in the header, now if None.
    """
    when = created or datetime.now().astimezone()
    overall = results.overall
    return page_template("study.html.j2").render(
        title=("Simulated reader study: " if results.study.simulated else "Reader study: ")
        + results.study.source,
        simulated=results.study.simulated,
        created=f"{when:%Y-%m-%d %H:%M %Z}".strip(),
        version=__version__,
        counts=_counts(results.study),
        warnings=results.study.warnings,
        summary=_summary_rows(results, overall),
        colors=method_colors(results.methods),
        pictures=_pictures(results),
        sections=_sections(overall),
        tests=[_test_row(test) for test in overall.tests],
        times=_time_rows(overall),
        qualities=[
            {"name": name, "cases": len(part.cases), "rows": _summary_rows(results, part)}
            for name, part in results.by_quality.items()
        ],
        left_out=_left_out(overall),
        missing=[
            (", ".join((r.case, r.reader, r.session, r.method)), r.note)
            for r in results.study.readings
            if r.mass_g is None
        ],
        definitions=DEFINITIONS,
    )


def _counts(study: Study) -> dict[str, int]:
    names = {"case": "Cases", "reader": "Readers", "session": "Sessions", "method": "Methods"}
    counts = {title: len({getattr(r, key) for r in study.readings}) for key, title in names.items()}
    counts["Sessions"] = len({same_session(r.session) for r in study.readings})
    return counts | {"Readings": len(study.readings)}


def _summary_rows(results: Results, analysis: Analysis) -> list[dict[str, str]]:
    """One row per method: the numbers that a paper's first table would hold."""
    rows = []
    for method in results.methods:
        inter = _groups(analysis, INTER, method)
        intra = _groups(analysis, INTRA, method)
        known = [p for g in _groups(analysis, "reference", method) for p in g.pairs]
        total = next(t for t in analysis.times if t.method == method and t.stage == "total")
        rows.append(
            {
                "method": method,
                "cases": str(max((g.icc.count for g in inter), default=0)),
                "inter_icc": ", ".join(_interval(g.icc) for g in inter) or DASH,
                "inter_ccc": _range([p.ccc.value for g in inter for p in g.pairs], 3),
                "inter_cv": _range([g.variation.value for g in inter], 1),
                "intra_ccc": _range([p.ccc.value for g in intra for p in g.pairs], 3),
                "intra_cv": _range([g.variation.value for g in intra], 1),
                "bias": _range([p.difference.bias.value for p in known], 1, signed),
                "time": _mean_sd(total.mean_s, total.sd_s, total.median_s),
            }
        )
    return rows


def _sections(analysis: Analysis) -> list[dict[str, Any]]:
    sections = []
    for kind, title in SECTIONS.items():
        groups = [group for group in analysis.groups if group.kind == kind]
        rows = [row for group in groups for row in _agreement_rows(group)]
        if rows:
            sections.append({"title": title, "about": DEFINITIONS[kind], "rows": rows})
    return sections


def _agreement_rows(group: GroupAgreement) -> list[dict[str, str]]:
    """The pairs of a comparison; the ICC stands in the row of all columns."""
    rows = [_pair_row(group, pair) for pair in group.pairs]
    if len(group.columns) == 2:
        rows[0]["icc"] = _interval(group.icc)
        return rows
    who = f"all {len(group.columns)}" if group.pairs else "one reader"
    every = {
        "method": group.method,
        "who": f"reader {group.of}, {who}" if group.of else who,
        "cases": str(group.icc.count),
        **dict.fromkeys(("ccc", "bias", "lower", "upper"), DASH),
        "icc": _interval(group.icc),
        "cv": number(group.variation.value),
        "note": group.icc.reason,
    }
    return [every, *rows]


def _pair_row(group: GroupAgreement, pair: PairAgreement) -> dict[str, str]:
    return {
        "method": group.method,
        "who": pair_title(group, pair),
        "cases": str(pair.ccc.count),
        "ccc": _interval(pair.ccc),
        "icc": DASH,
        "bias": _interval(pair.difference.bias, 2, signed),
        "lower": _interval(pair.difference.lower, 2, signed),
        "upper": _interval(pair.difference.upper, 2, signed),
        "cv": number(pair.variation.value),
        "note": pair.ccc.reason or pair.variation.reason,
    }


def _test_row(found: MethodTest) -> dict[str, str]:
    test: PairedTest = found.test
    return {
        "quantity": f"{found.quantity} ({found.unit})",
        "who": f"{found.first} − {found.second}",
        "cases": str(test.count),
        "means": f"{number(found.mean_first, 2)} / {number(found.mean_second, 2)}",
        "difference": signed(test.mean_difference, 2),
        "wilcoxon": _p(test.wilcoxon_p),
        "t": _p(test.t_p),
        "note": test.reason,
    }


def _time_rows(analysis: Analysis) -> list[dict[str, str]]:
    return [
        {
            "method": times.method,
            "stage": times.stage,
            "count": str(times.count),
            "mean": number(times.mean_s),
            "sd": number(times.sd_s),
            "median": number(times.median_s),
            "note": f"{times.without} readings without a time" if times.without else "",
        }
        for times in analysis.times
    ]


def _left_out(analysis: Analysis) -> list[tuple[str, str]]:
    """Comparison in words -> the cases that it could not use."""
    return [
        (
            f"{SECTIONS[group.kind]}, {' / '.join(group.columns)}, {group.method}"
            + (f", reader {group.of}" if group.of else ""),
            ", ".join(group.left_out),
        )
        for group in analysis.groups
        if group.left_out
    ]


def _pictures(results: Results) -> list[dict[str, str]]:
    colors = method_colors(results.methods)
    pictures = []
    for kind in (INTER, INTRA):
        rows = _panel_rows(results.overall, results.methods, kind)
        if rows:
            left_out = max(len(pairs) for _, pairs in rows) > MOST_COLUMNS
            words = f" The first {MOST_COLUMNS} pairs; the tables have all." if left_out else ""
            pictures.append(
                {
                    "title": f"{SECTIONS[kind]}: differences (Bland–Altman)",
                    "about": "Line: bias; dashed: limits of agreement; bands: 95 % intervals. "
                    "Above each panel: bias (limits)." + words,
                    "source": embedded(bland_altman_panels(rows, colors)),
                }
            )
    groups = sorted(
        (g for g in results.overall.groups if g.kind in (INTER, INTRA) and g.pairs),
        key=lambda group: (group.kind, results.methods.index(group.method)),
    )
    if groups:
        pictures.append(
            {
                "title": "Concordance of every pair",
                "about": "Between readers above, between sessions below.",
                "source": embedded(concordance_plot(groups, colors)),
            }
        )
    if any(reading.seconds is not None for reading in results.study.readings):
        pictures.append(
            {
                "title": "Time per patient",
                "about": "Each point is one reading.",
                "source": embedded(time_plot(results.study.readings, colors)),
            }
        )
    return pictures


def _panel_rows(
    analysis: Analysis, methods: Sequence[str], kind: str
) -> list[tuple[str, list[tuple[GroupAgreement, PairAgreement]]]]:
    rows = []
    for method in methods:
        pairs = [
            (group, pair)
            for group in sorted(_groups(analysis, kind, method), key=lambda g: natural(g.of))
            for pair in group.pairs
            if pair.masses
        ]
        if pairs:
            rows.append((method, pairs))
    return rows


def _groups(analysis: Analysis, kind: str, method: str) -> list[GroupAgreement]:
    return [g for g in analysis.groups if g.kind == kind and g.method == method]


def _interval(estimate: Estimate, digits: int = 3, write: Write = number) -> str:
    value = write(estimate.value, digits)
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return value
    return f"{value} [{write(estimate.low, digits)}, {write(estimate.high, digits)}]"


def _range(values: Sequence[float | None], digits: int, write: Write = number) -> str:
    """Lowest to highest of the known values."""
    known = sorted(value for value in values if value is not None)
    limits = (known[0], known[-1]) if known else None
    return number_range(limits, lambda value: write(value, digits))


def _mean_sd(mean: float | None, sd: float | None, median: float | None) -> str:
    if mean is None:
        return DASH
    spread = "" if sd is None else f" ± {number(sd)}"
    return f"{number(mean)}{spread} ({number(median)})"


def _p(value: float | None) -> str:
    if value is None:
        return DASH
    return "< 0.001" if value < 0.001 else f"{value:.3f}"

"""Scores of all rows as CSV, and as the paper's table with its claims put to the test."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from myops.errors import InputError
from myops.evaluation.metrics import Agreement
from myops.evaluation.summary import mean_interval
from myops.io.csv_files import csv_rows, csv_text
from myops.io.number_text import DASH, plain
from myops.io.text_files import read_text, write_text
from myops.quantify.mass import MYOCARDIAL_DENSITY_G_PER_ML
from myops.reproduce.rows import Claim, PaperTable
from myops.study.statistics import concordance, paired_test

MEASURES = ("dice", "hd_mm", "sensitivity", "specificity")
NAMES = {
    "lv_region": "LV region",
    "myocardium": "myocardium",
    "scar": "scar",
    "edema": "edema",
    "scar_or_edema": "scar or edema",
    "hd_mm": "HD, mm",
    "dice": "Dice",
}
OUTSIDE_WORDS = "The same trainings, tested on patients unlike those they have learned from."


@dataclass(frozen=True)
class CaseScore:
    """One structure of one test patient, by one row's network."""

    row: str
    seed: int
    case: str
    structure: str
    agreement: Agreement


def write_scores(path: Path, scores: Iterable[CaseScore]) -> None:
    """Write scores as CSV, complete or not at all; an undefined measure is an empty cell."""
    columns = ["row", "seed", "case", "structure", *(field.name for field in fields(Agreement))]
    rows = [vars(score) | asdict(score.agreement) for score in scores]
    for row in rows:
        del row["agreement"]
    write_text(path, csv_text(columns, rows))


def read_scores(path: Path) -> list[CaseScore]:
    """Read what `write_scores` wrote.

    Raises:
        InputError: a damaged file.
    """
    try:
        (_, columns), *rows = csv_rows(read_text(path))
        return [_score(dict(zip(columns, cells, strict=True))) for _, cells in rows]
    except (ValueError, KeyError) as error:
        raise InputError(
            f"{path}: expected the scores that myops reproduce wrote, found a damaged table "
            f"({error}); delete it, and the patients are scored again"
        ) from None


def _score(cells: dict[str, str]) -> CaseScore:
    values = {
        field.name: cells[field.name]
        if field.name == "reason"
        else (float(cells[field.name]) if cells[field.name] else None)
        for field in fields(Agreement)
    }
    agreement = Agreement(**values)  # type: ignore[arg-type]
    return CaseScore(cells["row"], int(cells["seed"]), cells["case"], cells["structure"], agreement)


def per_patient(
    scores: Sequence[CaseScore], row: str, structure: str, measure: str
) -> dict[str, float | None]:
    """A measure of every test patient, the mean over the seeds; None where no seed has one."""
    found: dict[str, list[float]] = {}
    for score in scores:
        if (score.row, score.structure) == (row, structure):
            value = getattr(score.agreement, measure)
            found.setdefault(score.case, []).extend([] if value is None else [value])
    return {case: float(np.mean(values)) if values else None for case, values in found.items()}


def write_table(
    path: Path,
    table: PaperTable,
    scores: Sequence[CaseScore],
    head: Sequence[str],
    acute: Collection[str] = (),
    outside: Sequence[CaseScore] = (),
) -> Path:
    """Write the paper's table as Markdown, and what else its rows tell.

    Args:
        path: the file.
        table: rows and claims.
        scores: of all rows, patients and seeds.
        head: lines about data and protocol.
        acute: names of the patients whose labels show edema.
        outside: scores of out-of-distribution patients.
    """
    parts = [
        [f"# {table.title}", "", *(f"- {line}" for line in head)],
        table_lines(table, scores),
        claim_lines(table, scores),
        subgroup_lines(table, scores, acute),
        mass_lines(table, scores),
    ]
    if outside:
        parts += [
            ["## Out of distribution", "", OUTSIDE_WORDS],
            table_lines(table, outside),
            claim_lines(table, outside),
            mass_lines(table, outside),
        ]
    text = "\n\n".join("\n".join(lines) for lines in parts if lines)
    write_text(path, text + "\n")
    return path


def table_lines(table: PaperTable, scores: Sequence[CaseScore]) -> list[str]:
    """Rows of a Markdown table, each measure as mean ± SD over the patients it is defined for."""
    lines = [
        "| method | structure | Dice (95 % interval) | HD, mm | sensitivity | specificity | "
        "published |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in table.rows:
        for structure in row.measures:
            cells = [
                _cell(list(per_patient(scores, row.name, structure, measure).values()), measure)
                for measure in MEASURES
            ]
            published = row.published.get(structure, DASH)
            lines.append(f"| {row.name} | {NAMES[structure]} | {' | '.join(cells)} | {published} |")
    return [*lines, "", f"Published: {table.source}; other patients, so no comparison of numbers."]


def _cell(values: Sequence[float | None], measure: str) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return DASH
    digits = 1 if measure == "hd_mm" else 3
    spread = float(np.std(known, ddof=1)) if len(known) > 1 else 0.0
    text = f"{np.mean(known):.{digits}f} ± {spread:.{digits}f}"
    if measure == "dice":
        interval = mean_interval(list(enumerate(known)))
        text += f" ({interval.low:.3f}–{interval.high:.3f})" if interval.low is not None else ""
    missing = len(values) - len(known)
    return text + (f", {missing} undefined" if missing else "")


def claim_lines(table: PaperTable, scores: Sequence[CaseScore]) -> list[str]:
    """What the paper says, and what these patients say: the mean paired difference, Wilcoxon.

    The interval tells how sure the difference of these trainings is for other patients; how much it
    hangs on chance in the training is seen from the difference of every seed.
    """
    lines = [
        "| claim | measure | difference (95 % interval) | of each seed | p | holds here |",
        "|---|---|---|---|---|---|",
    ]
    return lines + [_claim_line(claim, scores) for claim in table.claims]


def _claim_line(claim: Claim, scores: Sequence[CaseScore]) -> str:
    pairs = _pairs(claim, scores)
    measure = f"{NAMES[claim.structure]}, {NAMES[claim.measure]}"
    if not pairs:
        return f"| {claim.words} | {measure} | – | – | – | not measured |"
    differences = [one - other for one, other in pairs]
    interval = mean_interval(list(enumerate(differences)))
    test = paired_test([one for one, _ in pairs], [other for _, other in pairs])
    digits = 2 if claim.measure == "hd_mm" else 3
    mean = float(np.mean(differences))
    text = f"{mean:+.{digits}f}"
    holds = "no"
    if interval.low is not None and interval.high is not None:
        text += f" ({interval.low:+.{digits}f} to {interval.high:+.{digits}f})"
        sure = interval.high < 0 if claim.lower else interval.low > 0
        leans = mean < 0 if claim.lower else mean > 0
        holds = "yes" if sure else "not shown" if leans else "no"
    seeds = []
    for seed in sorted({score.seed for score in scores}):
        own = [one - two for one, two in _pairs(claim, [s for s in scores if s.seed == seed])]
        seeds.append(f"{np.mean(own):+.{digits}f}" if own else DASH)
    p = plain(test.wilcoxon_p, 3)
    return f"| {claim.words} | {measure} | {text} | {', '.join(seeds)} | {p} | {holds} |"


def _pairs(claim: Claim, scores: Sequence[CaseScore]) -> list[tuple[float, float]]:
    """The better and the worse row's value of every patient that has both."""
    better, worse = (
        per_patient(scores, row, claim.structure, claim.measure)
        for row in (claim.better, claim.worse)
    )
    both = [(better[case], worse[case]) for case in better if case in worse]
    return [(one, other) for one, other in both if one is not None and other is not None]


def subgroup_lines(
    table: PaperTable, scores: Sequence[CaseScore], acute: Collection[str], structure: str = "scar"
) -> list[str]:
    """Scar Dice of acute and of chronic patients; nothing where all are of one kind."""
    lines = ["| scar Dice | acute | chronic |", "|---|---|---|"]
    for row in table.rows:
        found = per_patient(scores, row.name, structure, "dice")
        if structure not in row.measures or not found:
            continue
        groups = [
            [value for case, value in found.items() if (case in acute) is kind]
            for kind in (True, False)
        ]
        if not all(groups):
            return []
        cells = (f"{_cell(group, 'dice')}, n = {len(group)}" for group in groups)
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    return lines if len(lines) > 2 else []


def mass_lines(table: PaperTable, scores: Sequence[CaseScore]) -> list[str]:
    """Scar mass against the true one: median error with quartiles, CCC, paired test."""
    lines = [
        "| scar mass | median error, g (IQR) | bias, g | CCC (95 % interval) | Wilcoxon p |",
        "|---|---|---|---|---|",
    ]
    for row in table.rows:
        if "scar" not in row.measures:
            continue
        volumes = [
            per_patient(scores, row.name, "scar", f"volume_{which}_ml")
            for which in ("prediction", "truth")
        ]
        # Without a known spacing a patient has no volumes, which is not 0 g.
        known = [case for case, value in volumes[1].items() if value is not None]
        measured, true = (
            [(found[case] or 0.0) * MYOCARDIAL_DENSITY_G_PER_ML for case in known]
            for found in volumes
        )
        if measured:
            lines.append(f"| {row.name} | {mass_cells(measured, true)} |")
    return lines if len(lines) > 2 else []


def mass_cells(measured: Sequence[float], true: Sequence[float]) -> str:
    """Median absolute error (IQR), bias, CCC and Wilcoxon's p of masses in g: table cells."""
    errors = np.array(measured) - np.array(true)
    quartiles = np.percentile(np.abs(errors), (25, 50, 75))
    ccc, test = concordance(measured, true), paired_test(measured, true)
    agreement = plain(ccc.value, 3)
    if ccc.value is not None and ccc.low is not None:
        agreement += f" ({ccc.low:.3f}–{ccc.high:.3f})"
    p = plain(test.wilcoxon_p, 3)
    middle = f"{quartiles[1]:.2f} ({quartiles[0]:.2f}–{quartiles[2]:.2f})"
    return f"{middle} | {errors.mean():+.2f} | {agreement} | {p}"

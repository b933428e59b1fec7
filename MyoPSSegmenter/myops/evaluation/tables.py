"""What an interactive evaluation shows: tables, JSON, a CSV row per click, a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from myops.evaluation.cohort import PatientResult
from myops.evaluation.interactive import EvaluationConfig
from myops.evaluation.summary import GOAL_DICE, MIN_PIXELS, Mean, SummaryRow
from myops.io.atomic import json_text, write_bytes
from myops.io.csv_files import csv_text
from myops.io.number_text import DASH, plain
from myops.io.readable import readable
from myops.io.text_files import write_text
from myops.report.canvas import new_chart, png
from myops.report.lettering import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Measure: title, decimals.
MEASURES = {
    "slice_dice": (f"Dice, slices ≥ {MIN_PIXELS} px", 3),
    "slice_hd95_mm": ("HD95 (mm), these slices", 1),
    "slice_mass_error_g": ("mass error (g), these slices", 2),
    "all_slices_dice": ("Dice, all slices", 3),
    "patient_dice": ("Dice, patient", 3),
    "patient_hd95_mm": ("HD95 (mm), patient", 1),
    "patient_mass_error_g": ("mass error (g), patient", 2),
    "patient_mass_error_percent_of_lv": ("mass error (% of LV mass), patient", 2),
    "false_mass_g": ("false mass (g), patients without", 2),
    "patient_wall_dice": ("Dice of the myocardium, patient", 3),
    "patient_wall_error_percent": ("error of the LV mass (%), patient", 1),
    "reader_seconds": ("seconds of a reader (model), patient", 0),
}
STARTED = {"automatic": "from the automatic mask", "empty": "from an empty mask"}
RULES_SAID = {
    "wall": "wall: scar lies in the myocardium, which gives way to it",
    "free": "free: the mask as predicted, it may reach into blood pool and background",
    "default": "default: what is added stays in the present myocardium",
}
CSV_COLUMNS = (
    "dataset", "patient", "method", "start", "slice", "truth_pixels", "clicks", "row", "column",
    "positive", "mask_pixels", "dice", "hd95_mm", "mass_error_g", "seconds",
)  # fmt: skip


def as_markdown(
    rows: Sequence[SummaryRow],
    results: Sequence[PatientResult],
    config: EvaluationConfig,
    machine: Mapping[str, Any],
) -> str:
    """The tables: clicks from left to right, then what a click costs."""
    lines = [
        f"Structure: {config.structure}. Rules: {RULES_SAID[config.rules]}. Simulated reader, "
        f"seed {config.seed}, up to {config.clicks} clicks in a slice. Mean (95 % bootstrap "
        "interval over patients).",
    ]
    for key in dict.fromkeys((row.dataset, row.start) for row in rows):
        lines += _section([row for row in rows if (row.dataset, row.start) == key], config)
    lines += _notes(results)
    threads, workers = machine["threads"], machine["workers"]
    lines += ["", f"Time from click to new label map: {threads} thread(s), {workers} process(es)."]
    return "\n".join(lines) + "\n"


def _section(rows: Sequence[SummaryRow], config: EvaluationConfig) -> list[str]:
    first = rows[0]
    counts = (
        f"{first.patients} patients, {first.patients_with} with {config.structure} in truth; "
        f"{first.slices} slices, {first.large_slices} with at least {MIN_PIXELS} pixels"
    )
    heads = " | ".join(str(k) for k in config.reported)
    lines = ["", f"### {readable(first.dataset)}, {STARTED[first.start]} ({counts})", ""]
    lines += [f"| method | after this many clicks in each slice: | {heads} |"]
    lines += ["|---" * (2 + len(config.reported)) + "|"]
    for name, (title, digits) in MEASURES.items():
        for row in rows:
            means = row.measures[name]
            if any(mean.count for mean in means):
                cells = " | ".join(_cell(mean, digits) for mean in means)
                lines.append(f"| {_in_table(row.method)} | {title} | {cells} |")
    lines += [
        "",
        f"| method | clicks to Dice {GOAL_DICE:.2f} | never reached | clicks that made it worse | "
        "mean loss | patient steps made worse | click to mask p50 / p95 |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_cost(row) for row in rows]
    refused = [f"{row.refused} clicks of {row.method}" for row in rows if row.refused]
    if refused:
        lines += ["", f"Refused (too far from the heart): {', '.join(refused)}."]
    return lines


def _cost(row: SummaryRow) -> str:
    loss = None if row.worse_mean is None else -row.worse_mean
    time = DASH
    if row.seconds_p50 is not None and row.seconds_p95 is not None:
        time = f"{1000 * row.seconds_p50:.0f} / {1000 * row.seconds_p95:.0f} ms"
    cells = (
        _cell(row.clicks_to_goal, 1),
        _percent(row.never_share),
        f"{_percent(row.worse_share)} of {row.clicks}",
        plain(loss, 3),
        _percent(row.patient_worse_share),
        time,
    )
    return f"| {_in_table(row.method)} | {' | '.join(cells)} |"


def _notes(results: Sequence[PatientResult]) -> list[str]:
    """Patients that could not be segmented or assessed, each with its reason."""
    noted = [
        f"- {readable(result.dataset)} {readable(result.name)}: {readable(result.note)}"
        for result in results
        if result.note
    ]
    return ["", *noted] if noted else []


def _cell(mean: Mean, digits: int) -> str:
    text = plain(mean.mean, digits)
    if mean.mean is None:
        return text
    if mean.low is not None and mean.high is not None:
        text += f" ({plain(mean.low, digits)}–{plain(mean.high, digits)})"
    return text + (f" [{mean.undefined} empty]" if mean.undefined else "")


def _percent(share: float | None) -> str:
    return DASH if share is None else f"{plain(100 * share, 0)} %"


def write_evaluation(
    folder: Path,
    results: Sequence[PatientResult],
    rows: Sequence[SummaryRow],
    config: EvaluationConfig,
    machine: Mapping[str, Any],
) -> None:
    """Write interactive.json, .csv, .md and .png, each complete or not at all.

    Raises:
        InputError: the folder cannot be written.
    """
    content = {
        "settings": asdict(config),
        "machine": dict(machine),
        "weights": _weights(results),
        "summary": [asdict(row) for row in rows],
        "patients": [asdict(result) for result in results],
    }
    texts = {
        "interactive.json": json_text(content),
        "interactive.csv": _csv(results),
        "interactive.md": as_markdown(rows, results, config, machine),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    write_bytes(folder / "interactive.png", picture(rows, config))


def _weights(results: Sequence[PatientResult]) -> dict[str, str]:
    found: dict[str, str] = {}
    for result in results:
        found |= result.weights
    return found


def _csv(results: Sequence[PatientResult]) -> str:
    """A row per patient, method, start, slice and number of clicks."""
    rows = []
    for result in results:
        for run in result.runs:
            for found in run.slices:
                where = (result.dataset, result.name, run.method, run.start, found.slice_index)
                for step in found.steps:
                    p = step.point
                    click = ("", "", "") if p is None else (p.row, p.column, p.positive)
                    values = (step.voxels, step.dice, step.hd95_mm, step.mass_error_g, step.seconds)
                    row = (*where, found.truth_voxels, step.clicks, *click, *values)
                    rows.append(dict(zip(CSV_COLUMNS, row, strict=True)))
    return csv_text(CSV_COLUMNS, rows)


def picture(rows: Sequence[SummaryRow], config: EvaluationConfig) -> bytes:
    """Dice against clicks, as PNG: a row for each data set, slices left and patients right."""
    datasets = list(dict.fromkeys(row.dataset for row in rows))
    figure = new_chart(11, 4.2 * max(len(datasets), 1), layout="constrained")
    axes = figure.subplots(max(len(datasets), 1), 2, squeeze=False, sharey=True)
    for dataset, pair in zip(datasets, axes):
        own = [row for row in rows if row.dataset == dataset]
        for axis, measure in zip(pair, ("slice_dice", "patient_dice")):
            _curves(axis, own, measure, config)
            axis.set_title(
                f"{shortened(readable(dataset), 30)}: {config.structure}, {MEASURES[measure][0]}",
                fontsize=10,
            )
    return png(figure)


def _in_table(name: str) -> str:
    """A name in a cell of a Markdown table, which a line break or a bar would end."""
    return readable(name).replace("|", "\\|")


def _short_name(method: str) -> str:
    """A method's name; of a folder of weights its last two parts, for a path leaves no room."""
    return shortened(readable("/".join(Path(method).parts[-2:])), 40)


def _curves(axis: Axes, rows: Sequence[SummaryRow], measure: str, config: EvaluationConfig) -> None:
    """A line with its interval for each method and start; dashed from the empty mask."""
    colors = {method: f"C{number}" for number, method in enumerate(config.methods)}
    for row in rows:
        known = [(k, m) for k, m in zip(config.reported, row.measures[measure]) if m.count]
        clicks = [k for k, _ in known]
        # NaN is matplotlib's word for nothing to draw: no interval with a single patient.
        mean, low, high = (
            np.array([getattr(m, name) for _, m in known], float)
            for name in ("mean", "low", "high")
        )
        style = "-" if row.start == "automatic" else "--"
        label = f"{_short_name(row.method)}, {STARTED[row.start]}"
        axis.plot(clicks, mean, style, color=colors[row.method], marker="o", label=label)
        axis.fill_between(clicks, low, high, color=colors[row.method], alpha=0.12, linewidth=0)
    axis.axhline(GOAL_DICE, color="gray", linewidth=0.8, linestyle=":")
    axis.set(xlabel="clicks in each slice", ylabel="Dice", ylim=(0, 1), xticks=config.reported)
    axis.grid(alpha=0.25)
    if rows:
        axis.legend(fontsize=8, loc="lower right")

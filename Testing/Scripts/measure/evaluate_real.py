"""Measure the shipped models on real hearts that they were not trained on, without human input.

    python Testing/Scripts/measure/evaluate_real.py ../shared/real --output runs/real
    python Testing/Scripts/measure/evaluate_real.py ../shared/real --clicks     the simulated reader as well

Sets (any that is missing is left out): `emidec/` (LGE alone), `acdc/` (cine bSSFP at ED and ES),
`sunnybrook/` (one patient, cine DICOM at ED with manual contours); in a folder without these, all
labeled hearts. Where there is an LGE also:
scar in % of the myocardium against the expert's, conventional thresholds inside the expert's
contours and inside ours, and with `--clicks` the scar after 1, 3 and 5 clicks in every slice.
Writes `cases.csv`, `summary.json`, `summary.md` and a picture of the best, the median and the worst
case of each set. A case in which no heart is found counts as Dice 0, never as missing. Cases that
the weights have learned from are left out, and named.
"""

from __future__ import annotations

import argparse
import json
from itertools import chain
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from real_measures import (
    CLICKS,
    dice_after_clicks,
    mass_summary,
    masses_g,
    mvo_agreement,
    mvo_summary,
    scar_percent,
    scar_summary,
    threshold_dice,
)
from scipy.stats import bootstrap

from myops import labels as regions
from myops.cascade.segment import segment
from myops.case import Case, restore
from myops.datasets import LabeledCase, find_cases
from myops.errors import InputError
from myops.evaluation.cohort import load_corrector
from myops.evaluation.interactive import Corrector
from myops.evaluation.metrics import compare
from myops.io.csv_files import csv_text
from myops.io.text_files import write_text
from myops.segmentation import Segmentation
from myops.structures import STRUCTURES
from myops.weights.files import Models, load_models

# Folders of development sets; those beside them may be training sets.
SETS = ("emidec", "acdc", "sunnybrook")
# What a case of each set is ranked by in the pictures.
RANKED_BY = {"emidec": "scar_dice", "acdc": "lv_region_dice", "sunnybrook": "lv_region_dice"}
SHOWN = ("lv_region_dice", "myocardium_dice", "blood_pool_dice", "scar_dice")
COLORS = {name: STRUCTURES[name].color for name in ("lv_region", "blood_pool", "scar")}


def evaluate(
    real: LabeledCase, models: Models, corrector: Corrector | None = None
) -> tuple[dict[str, object], np.ndarray]:
    """Segment one case; its row of numbers and the labels on the image's own grid."""
    case = real.to_case()
    row: dict[str, object] = {"dataset": real.dataset, "case": real.name, "heart_found": True}
    segmentation = None
    try:
        segmentation = segment(case, models)
        found = sitk.GetArrayFromImage(restore(case, segmentation.labels))
        row["seconds"] = round(sum(segmentation.seconds.values()), 3)
    except InputError as error:
        row.update(heart_found=False, reason=str(error))
        found = np.zeros(real.labels.shape, np.uint16)
    truth, found = real.labels[real.labeled], found[real.labeled]
    spacing_mm = real.reference_image.GetSpacing()
    for region, agreement in compare(found, truth, spacing_mm).items():
        if region in ("lv_region", "myocardium", "blood_pool", "scar"):
            row[f"{region}_dice"] = agreement.dice
            row[f"{region}_hd_mm"] = agreement.hd_mm
    if real.sequence == "lge":
        row["scar_percent"] = scar_percent(found)
        row["scar_percent_expert"] = scar_percent(truth)
        row["infarct"] = bool(regions.scar(truth).any())
        row |= masses_g(real.name, found, truth)
        row |= mvo_agreement(found, truth, float(np.prod(spacing_mm)) / 1000)
        if row["infarct"]:
            row |= _scar_otherwise(real, case, segmentation, corrector)
    else:
        row.pop("scar_dice"), row.pop("scar_hd_mm")
    full = np.zeros(real.labels.shape, np.uint16)
    full[real.labeled] = found
    return row, full


def _scar_otherwise(
    real: LabeledCase, case: Case, segmentation: Segmentation | None, corrector: Corrector | None
) -> dict[str, object]:
    """Scar Dice of thresholds inside both contours, and after clicks; 0 where there is no heart."""
    truth, drawn = real.truth_for(case)
    ours = np.zeros_like(truth) if segmentation is None else segmentation.labels
    row: dict[str, object] = {}
    for whose, contours in (("expert", truth), ("our", ours)):
        found = threshold_dice(case, contours, truth, drawn, by_expert=whose == "expert")
        row |= {f"{name}_in_{whose}_contours_dice": value for name, value in found.items()}
    if corrector is not None:
        after: dict[int, float | None] = dict.fromkeys(CLICKS, 0.0)
        if segmentation is not None:
            after = dice_after_clicks(case, segmentation, truth, drawn, corrector)
        row |= {f"scar_after_{count}_clicks_dice": value for count, value in after.items()}
    return row


def summarize(rows: list[dict[str, object]]) -> dict[str, dict[str, object]]:
    """Mean, SD and 95 % bootstrap interval of every Dice, per set; medians of HD."""
    summary: dict[str, dict[str, object]] = {}
    for dataset in dict.fromkeys(str(row["dataset"]) for row in rows):
        own = [row for row in rows if row["dataset"] == dataset]
        found: dict[str, object] = {
            "cases": len(own),
            "heart_found": sum(bool(row["heart_found"]) for row in own),
        }
        for name in dict.fromkeys(key for row in own for key in row if key.endswith("_dice")):
            values = [row[name] for row in own if row.get(name) is not None]
            if values:
                found[name] = _interval(np.array(values, float))
        distances = [
            row["lv_region_hd_mm"] for row in own if row.get("lv_region_hd_mm") is not None
        ]
        found["lv_region_hd_mm_median"] = (
            round(float(np.median(distances)), 2) if distances else None
        )
        if all("scar_percent" in row for row in own):
            found |= scar_summary(own) | mass_summary(own) | mvo_summary(own)
        summary[dataset] = found
    return summary


def _interval(values: np.ndarray) -> dict[str, float | int]:
    result: dict[str, float | int] = {
        "mean": round(float(values.mean()), 4),
        "median": round(float(np.median(values)), 4),
        "count": len(values),
    }
    if len(values) > 2 and np.ptp(values) > 0:
        limits = bootstrap((values,), np.mean, method="percentile", rng=0).confidence_interval
        result |= {
            "sd": round(float(values.std(ddof=1)), 4),
            "low": round(float(limits.low), 4),
            "high": round(float(limits.high), 4),
        }
    return result


def picture(real: LabeledCase, found: np.ndarray, row: dict[str, object], path: Path) -> None:
    """All labeled slices: the expert's contours above, ours below."""
    image = sitk.GetArrayFromImage(real.reference_image).astype(np.float32)
    slices = np.flatnonzero(real.labeled & (real.labels > 0).any(axis=(1, 2)))
    slices = slices[np.linspace(0, len(slices) - 1, min(len(slices), 8)).astype(int)]
    rows, columns = (np.flatnonzero((real.labels > 0).any(axis=axes)) for axes in ((0, 2), (0, 1)))
    window = tuple(slice(max(int(r[0]) - 25, 0), int(r[-1]) + 26) for r in (rows, columns))
    figure = Figure(figsize=(2.2 * len(slices), 4.8), layout="constrained")
    axes = figure.subplots(2, len(slices), squeeze=False)
    for column, k in enumerate(slices):
        shown = image[k][window]
        low, high = np.percentile(shown, (1, 99.5))
        for axis, labels in ((axes[0, column], real.labels), (axes[1, column], found)):
            axis.imshow(shown, cmap="gray", vmin=low, vmax=high)
            for region, color in COLORS.items():
                mask = STRUCTURES[region].mask(labels)[k][window]
                if mask.any() and not mask.all():
                    axis.contour(mask, levels=[0.5], colors=color, linewidths=1.0)
            axis.set_axis_off()
    score = RANKED_BY[real.dataset]
    value = row.get(score)
    figure.suptitle(
        f"{real.name}: {score.replace('_', ' ')} "
        f"{'undefined' if value is None else f'{value:.2f}'} (above expert, below ours)"
    )
    FigureCanvasAgg(figure).print_png(str(path))


def as_markdown(summary: dict[str, dict[str, object]]) -> str:
    """The summary as a table for Docs/results.md."""
    lines = [
        "| set | cases | heart found | LV region | myocardium | blood pool | scar | LV HD median |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for dataset, found in summary.items():
        cells = [
            _cell(found.get(f"{r}_dice")) for r in ("lv_region", "myocardium", "blood_pool", "scar")
        ]
        lines.append(
            f"| {dataset} | {found['cases']} | {found['heart_found']} | "
            + " | ".join(cells)
            + f" | {found['lv_region_hd_mm_median']} mm |"
        )
    for dataset, found in summary.items():
        if "scar_percent_ccc" in found:
            lines += ["", *_scar_lines(dataset, found)]
    return "\n".join(lines) + "\n"


def _scar_lines(dataset: str, found: dict[str, object]) -> list[str]:
    """Scar beyond its Dice: percent of the myocardium, thresholds, clicks."""
    ccc = found["scar_percent_ccc"]
    assert isinstance(ccc, dict)
    value, low, high = (
        "–" if ccc[k] is None else f"{ccc[k]:.2f}" for k in ("value", "low", "high")
    )
    bias, spread = found["scar_percent_bias"], found["scar_percent_bias_sd"]
    lines = [
        f"| {dataset}: scar | value |",
        "|---|---|",
        f"| percent of the myocardium, CCC with the expert | {value} ({low}–{high}) |",
        f"| bias, percentage points | {bias} ± {spread} |",
        f"| without infarct, median percent | {found['false_scar_percent_median']} |",
    ]
    if found["masses"]:
        for tissue in ("scar", "myocardium"):
            error, apart = found[f"{tissue}_g_error"], found[f"{tissue}_g_bias"]
            lines.append(
                f"| {tissue} mass, {found['masses']} cases: error; bias, g | {error}; {apart} |"
            )
    lines += [
        f"| MVO, Dice in the {found['mvo_cases']} of at least 1 mL | {found['mvo_of_1_ml_dice_mean']} |",
        f"| MVO found where there is none, worst, mL | {found['false_mvo_ml_worst']} |",
    ]
    others = [n for n in found if n.endswith("_dice") and ("_contours_" in n or "_clicks_" in n)]
    return lines + [
        f"| {name.removesuffix('_dice').replace('_', ' ')}, Dice | {_cell(found[name])} |"
        for name in others
    ]


def _cell(value: object) -> str:
    if not isinstance(value, dict):
        return "–"
    text = f"{value['mean']:.3f}"
    return text + (f" ({value['low']:.3f}–{value['high']:.3f})" if "low" in value else "")


def main() -> None:
    """Run all cases of the folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder with emidec/, acdc/, sunnybrook/")
    parser.add_argument("--output", type=Path, default=Path("runs/real"))
    parser.add_argument("--model", default="default", help="'default' or a folder of weights")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--clicks", action="store_true", help="the simulated reader as well")
    arguments = parser.parse_args()
    sitk.ProcessObject_SetGlobalWarningDisplay(False)
    models = load_models(arguments.device, arguments.model)
    corrector = load_corrector("default", arguments.device) if arguments.clicks else None
    arguments.output.mkdir(parents=True, exist_ok=True)
    results = []
    folders = [arguments.folder / name for name in SETS if (arguments.folder / name).is_dir()]
    for real in chain.from_iterable(map(find_cases, folders or [arguments.folder])):
        if real.image_checksums & models.learned:
            print(f"{real.dataset} {real.name}: left out, the weights have learned from it")
            continue
        row, found = evaluate(real, models, corrector)
        results.append((real, found, row))
        print(
            real.dataset,
            real.name,
            {k: v for k, v in row.items() if k in SHOWN},
            flush=True,
        )
    write(results, arguments.output)


def write(results: list[tuple[LabeledCase, np.ndarray, dict[str, object]]], output: Path) -> None:
    """Tables and the pictures of the best, median and worst case of each set."""
    rows = [row for *_, row in results]
    names = list(dict.fromkeys(key for row in rows for key in row))
    write_text(output / "cases.csv", csv_text(names, rows))
    summary = summarize(rows)
    (output / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    (output / "summary.md").write_text(as_markdown(summary), encoding="utf-8")
    for dataset, score in RANKED_BY.items():
        ranked = sorted(
            (r for r in results if r[0].dataset == dataset and r[2].get(score) is not None),
            key=lambda r: -float(r[2][score]),
        )  # type: ignore[arg-type]
        if not ranked:
            continue
        for place, index in (("best", 0), ("median", len(ranked) // 2), ("worst", -1)):
            picture(*ranked[index], output / f"{dataset}_{place}.png")
    print(as_markdown(summary))


if __name__ == "__main__":
    main()

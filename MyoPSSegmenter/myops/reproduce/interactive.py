"""The interactive system: the refiner adapted to the cohort, clicks simulated, masses compared.

OUTPUT/seed_0/refiner/           checkpoint and curves of the adaptation
OUTPUT/seed_0/refiner/weights/   the adapted refiner, for `--model`
OUTPUT/seed_0/clicks/            interactive.md, .csv, .json, .png of `myops evaluate interactive`
OUTPUT/table.md                  the shipped and the adapted refiner beside region growing
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from myops.datasets import LabeledCase
from myops.evaluation.cohort import PatientResult, evaluate_cohort, machine
from myops.evaluation.interactive import GROWING, EvaluationConfig
from myops.evaluation.summary import summarize
from myops.evaluation.tables import as_markdown, write_evaluation
from myops.io.geometry_notes import geometry_notes
from myops.io.text_files import write_text
from myops.labels import scar
from myops.progress import Say
from myops.quantify.mass import MYOCARDIAL_DENSITY_G_PER_ML
from myops.reproduce.table import mass_cells
from myops.training.export import export_weights

PUBLISHED = (
    "Published (Moafi et al., 348 patients of LGE, 53 tested; doi 10.1016/j.jocmr.2026.102720): "
    "scar Dice 0.74 ± 0.10, HD 5.87 ± 6.79 mm, median error of the scar mass 1.28 g (IQR "
    "0.74–2.34), CCC 0.999, paired test p = 0.42, 65 ± 34 s per patient. Other patients and real "
    "readers, so no comparison of numbers."
)
CLICKS = 5
ADAPTED, SHIPPED = "adapted", "default"


def evaluate_clicks(
    checkpoint: Path,
    tests: Sequence[LabeledCase],
    folder: Path,
    seed: int,
    say: Say,
) -> str:
    """Let a simulated reader correct every test patient with three correctors.

    Args:
        checkpoint: of the adapted refiner.
        tests: the patients.
        folder: of the tables and the picture.
        seed: of the simulated reader.
        say: takes lines of progress.

    Returns:
        Markdown: clicks and what they achieve, and the agreement of the scar masses.
    """
    weights = checkpoint.parent / "weights"
    export_weights(checkpoint, weights)
    config = EvaluationConfig(
        clicks=CLICKS, methods=(SHIPPED, str(weights), GROWING), seed=seed, device="cpu"
    )
    results = []
    for result in evaluate_cohort([_reader(case) for case in tests], config):
        results.append(result)
        say(f"  clicking: {len(results)} of {len(tests)} patients")
    rows = summarize(results, config)
    folder.mkdir(parents=True, exist_ok=True)
    write_evaluation(folder, results, rows, config, machine(1))
    text = as_markdown(rows, results, config, machine(1)) + "\n" + mass_table(results, tests)
    text = text.replace(str(weights), ADAPTED)
    write_text(folder / "clicks.md", text)
    return text


def _reader(case: LabeledCase) -> Callable[[], LabeledCase]:
    return lambda: case


def true_masses_g(tests: Sequence[LabeledCase]) -> dict[str, float]:
    """Name of a patient to the mass of its true scar in g, where its spacing is known."""
    masses: dict[str, float] = {}
    for labeled in tests:
        if geometry_notes(labeled.reference_image).unknown:
            continue
        voxel_ml = float(np.prod(labeled.reference_image.GetSpacing())) / 1000
        voxels = np.count_nonzero(scar(labeled.labels[labeled.labeled]))
        masses[labeled.name] = float(voxels) * voxel_ml * MYOCARDIAL_DENSITY_G_PER_ML
    return masses


def mass_table(results: Sequence[PatientResult], tests: Sequence[LabeledCase]) -> str:
    """Scar mass from the automatic mask on against the true one: median error, CCC, paired test."""
    truth = true_masses_g(tests)
    lines = [
        "| method | clicks | patients | median error, g (IQR) | bias, g | CCC (95 % interval) | "
        "Wilcoxon p |",
        "|---|---|---|---|---|---|---|",
    ]
    for (method, clicks), errors in _errors(results).items():
        true = [truth[name] for name in errors]
        measured = [truth[name] + error for name, error in errors.items()]
        lines.append(f"| {method} | {clicks} | {len(errors)} | {mass_cells(measured, true)} |")
    return "\n".join(lines) + "\n"


def _errors(results: Sequence[PatientResult]) -> dict[tuple[str, int], dict[str, float]]:
    """(method, clicks) to the signed error in g of every patient, from the automatic mask."""
    found: dict[tuple[str, int], dict[str, float]] = {}
    for result in results:
        for run in result.runs:
            for step in run.steps:
                if run.start == "automatic" and step.mass_error_g is not None:
                    of = found.setdefault((run.method, step.clicks), {})
                    of[result.name] = step.mass_error_g
    return found

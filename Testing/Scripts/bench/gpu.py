"""A patient and a click on a CUDA device, as one Markdown table with their aims.

    python Testing/Scripts/bench/gpu.py --output gpu.md

Where there is no such device, it says so and ends: nothing is measured on the CPU instead.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import refiner as clicks  # both beside this file
import segment as benchmark

PATIENT_MS, CLICK_MS = 100.0, 15.0


def main() -> None:
    """Measure and write the table, or say why not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("gpu.md"))
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        sys.exit("No CUDA device here: nothing was measured.")
    with benchmark.phantom_patient() as (folder, description):
        rows = patient_rows(folder, options.repeats) + click_rows(folder)
    words = f"{benchmark.hardware('cuda')}; torch {torch.__version__}; {description}\n\n"
    table = "| what | value | aim |\n|---|---|---|\n" + "".join(
        f"| {what} | {value:.1f} {unit} | {aim} |\n" for what, value, unit, aim in rows
    )
    options.output.write_text(words + table, "utf-8")
    print(words + table)


def patient_rows(folder: Path, repeats: int) -> list[tuple[str, float, str, str]]:
    """The cascade on one patient, after a first run that prepares the kernels."""
    import torch

    from myops.cascade.segment import segment
    from myops.case import load_case_folder
    from myops.weights.files import load_models

    models, case = load_models("cuda"), load_case_folder(folder)
    segment(case, models)
    taken = []
    torch.cuda.reset_peak_memory_stats()
    for _ in range(repeats):
        start = time.perf_counter()
        segment(case, models)  # ends on the CPU: nothing is left running
        taken.append(1e3 * (time.perf_counter() - start))
    memory_gb = torch.cuda.max_memory_allocated() / 1e9
    return [
        ("`cascade.segment`, 12 slices, median", statistics.median(taken), "ms", f"{PATIENT_MS:g}"),
        ("GPU memory at the peak", memory_gb, "GB", ""),
    ]


def click_rows(folder: Path) -> list[tuple[str, float, str, str]]:
    """From a click to the new label map, all slices encoded."""
    from myops.refine.refiner import Refiner, load_refiner
    from myops.refine.session import Session

    case, segmentation = clicks.segmented(folder, "cuda")
    session = Session(Refiner(load_refiner("cuda")), case, segmentation)
    session.refiner.encode()
    session.refiner.predict(*clicks.first_prompt(session.labels))
    taken = []
    for index, row, column, positive in clicks.clicks(session.labels):
        start = time.perf_counter()
        session.click("scar", index, row, column, positive)
        taken.append(1e3 * (time.perf_counter() - start))
    p50, p95 = np.percentile(taken, (50, 95))
    return [
        ("click to mask, p50", p50, "ms", f"{CLICK_MS:g}"),
        ("click to mask, p95", p95, "ms", ""),
    ]


if __name__ == "__main__":
    main()

"""What `myops.quantify.plausibility` measures on hearts and on other things, and how often it warns.

    python Testing/Scripts/measure/evaluate_plausibility.py --real ../shared/real --output runs/plausibility

Hearts: synthetic patients that no training sees and, if the folder is there, the real sets. Other
things: those of Testing/hearts/other_things.py. Writes every measure of every case to `cases.csv`
and prints the smallest, median and largest value of each, with refusals and warnings counted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).parents[2] / "hearts"))

from other_things import BRAINS, SPACING_MM, THINGS, brain, draw

from myops.cascade.segment import segment
from myops.case import Case, case_from_images
from myops.datasets import find_cases
from myops.errors import InputError
from myops.io.csv_files import csv_text
from myops.io.text_files import write_text
from myops.phantom.patient import generate_patient
from myops.quantify.plausibility import LIMITS, plausibility
from myops.weights.files import Models, load_models

FIRST_SEED = 960_000
SEEDS_PER_THING = 4


def as_case(arrays: dict[str, np.ndarray], spacing_mm: tuple[float, ...]) -> Case:
    """A Case of arrays (z, y, x), as if read from files."""
    images = {}
    for name, array in arrays.items():
        images[name] = sitk.GetImageFromArray(array.astype(np.float32))
        images[name].SetSpacing([float(s) for s in spacing_mm])
        images[name].SetOrigin((1.0, 2.0, 3.0))
    return case_from_images(images)


def cases(real: Path | None, phantoms: int) -> Iterator[tuple[str, Case]]:
    """Kind and Case of everything that is measured."""
    for name in THINGS:
        for seed in range(SEEDS_PER_THING):
            sequence = ("lge", "bssfp")[seed % 2]
            yield name, as_case({sequence: draw(name, seed)}, SPACING_MM)
    for name in BRAINS:
        found = brain(name)
        for sequence in ("lge", "bssfp") if found is not None else ():
            yield "real brain", as_case({sequence: found[0]}, found[1])
    for one in find_cases(real) if real else ():
        yield one.dataset, one.to_case()
    for seed in range(FIRST_SEED, FIRST_SEED + phantoms):
        patient = generate_patient(seed)
        yield "phantom", as_case(patient.images, patient.spacing_mm)


def measure(kind: str, case: Case, models: Models) -> dict[str, object]:
    """One row: refused, warned, and every measure."""
    try:
        found = segment(case, models)
    except InputError:
        return {"kind": kind, "refused": 1, "warned": 0}
    measures = plausibility(case, found.labels, found.probabilities["lv_region"])
    row: dict[str, object] = {"kind": kind, "refused": 0}
    row["warned"] = int(any("unlike the hearts" in warning for warning in found.warnings))
    return row | {" ".join(key).strip(): value for key, value in measures.items()}


def show(rows: list[dict[str, object]]) -> None:
    """Counts of each kind, then smallest, median and largest value of each measure."""
    kinds = list(dict.fromkeys(str(row["kind"]) for row in rows))
    print("| kind | cases | refused | warned |\n|---|---|---|---|")
    for kind in kinds:
        own = [row for row in rows if row["kind"] == kind]
        counts = [sum(int(str(row[name])) for row in own) for name in ("refused", "warned")]
        print(f"| {kind} | {len(own)} | {counts[0]} | {counts[1]} |")
    names = [n for n in dict.fromkeys(k for row in rows for k in row) if n.split()[0] in LIMITS]
    answered = [k for k in kinds if any(r["kind"] == k and not r["refused"] for r in rows)]
    print("\n| measure | limits | " + " | ".join(answered) + " |")
    print("|---" * (len(answered) + 2) + "|")
    for name in names:
        limits = LIMITS[name.split()[0]]
        cells = [f"{limits.low:g} to {limits.high:g}"]
        for kind in answered:
            values = [float(str(r[name])) for r in rows if r["kind"] == kind and name in r]
            low, middle, high = np.percentile(values, (0, 50, 100)) if values else (0, 0, 0)
            cells.append(f"{low:.3g}, {middle:.3g}, {high:.3g}" if values else "–")
        print(f"| {name} | " + " | ".join(cells) + " |")


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--real", type=Path, help="folder with emidec/, acdc/, sunnybrook/")
    parser.add_argument("--phantoms", type=int, default=40)
    parser.add_argument("--model", default="default", help="'default' or a folder of weights")
    parser.add_argument("--output", type=Path, default=Path("runs/plausibility"))
    arguments = parser.parse_args()
    sitk.ProcessObject_SetGlobalWarningDisplay(False)
    models = load_models("auto", arguments.model)
    rows = [measure(k, c, models) for k, c in cases(arguments.real, arguments.phantoms)]
    arguments.output.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(key for row in rows for key in row))
    write_text(arguments.output / "cases.csv", csv_text(names, rows))
    show(rows)


if __name__ == "__main__":
    main()

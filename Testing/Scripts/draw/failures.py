"""Draw where the shipped cascade fails on held-out synthetic patients, for the model card.

    python Testing/Scripts/measure/evaluate_phantoms.py --complete --count 60 --output runs/phantoms
    python Testing/Scripts/draw/failures.py runs/phantoms/phantoms.csv Resources/Screenshots/failures.png

With `--sequences lge --model NAME` in both, one pack on the LGE alone.

The patient of the worst outline, of the worst scar, and the heart without infarct with the most
false scar: six slices each on the LGE, truth above, automatic result below.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from myops import labels as regions
from myops.cascade.segment import segment
from myops.case import case_from_images, restore
from myops.phantom.patient import PhantomConfig, PhantomPatient, generate_patient
from myops.sequences import NETWORK_SEQUENCES
from myops.weights.files import load_models

COLORS = {"lv_region": "#ffd400", "blood_pool": "#29b6f6", "scar": "#ff3b30", "edema": "#43a047"}
SLICES = 6
MARGIN_PX = 20


def worst(rows: list[dict[str, str]]) -> list[tuple[int, str]]:
    """Seeds of the three patients with the reason why each is drawn."""

    def of(region: str, healthy: bool = False) -> list[dict[str, str]]:
        return [r for r in rows if r["region"] == region and (r["injury"] == "none") == healthy]

    outlines = [r for r in rows if r["region"] == "lv_region" and r["dice"]]
    outline = min(outlines, key=lambda row: float(row["dice"]))
    scar = min((r for r in of("scar") if r["dice"]), key=lambda row: float(row["dice"]))
    false = max(of("scar", healthy=True), key=lambda row: float(row["volume_prediction_ml"]))
    return [
        (int(outline["seed"]), f"worst outline, Dice {float(outline['dice']):.2f}"),
        (int(scar["seed"]), f"worst scar, Dice {float(scar['dice']):.2f}"),
        (
            int(false["seed"]),
            f"no infarct, most false scar, {float(false['volume_prediction_ml']):.1f} mL",
        ),
    ]


def automatic(patient: PhantomPatient, names: Sequence[str], model: str) -> np.ndarray:
    """The shipped cascade's labels on the patient's grid."""
    images = {}
    for name in names:
        images[name] = sitk.GetImageFromArray(patient.images[name])
        images[name].SetSpacing(patient.spacing_mm)
        images[name].SetOrigin((1.0, 2.0, 3.0))
    case = case_from_images(images)
    labels = segment(case, load_models("cpu", model)).labels
    return sitk.GetArrayFromImage(restore(case, labels))


def draw(axis: Axes, image: np.ndarray, labels: np.ndarray) -> None:
    """One slice with the outlines of its regions."""
    low, high = np.percentile(image, (1, 99.5))
    axis.imshow(image, cmap="gray", vmin=low, vmax=high)
    for region, color in COLORS.items():
        mask = getattr(regions, region)(labels)
        if mask.any() and not mask.all():
            axis.contour(mask, levels=[0.5], colors=color, linewidths=1.0)
    axis.set_axis_off()


def main() -> None:
    """Draw the three patients below each other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path, help="phantoms.csv of evaluate_phantoms.py --complete")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--sequences", default=",".join(NETWORK_SEQUENCES), help="such as lge")
    parser.add_argument("--model", default="default", help="name or folder of the weights")
    arguments = parser.parse_args()
    with arguments.table.open(newline="", encoding="utf-8") as file:
        chosen = worst(list(csv.DictReader(file)))
    figure = Figure(figsize=(1.7 * SLICES, 3.7 * len(chosen)), layout="constrained")
    for part, (seed, reason) in zip(
        figure.subfigures(len(chosen), squeeze=False)[:, 0], chosen, strict=True
    ):
        patient = generate_patient(seed, PhantomConfig(dropout=False))
        found = automatic(patient, arguments.sequences.split(","), arguments.model)
        part.suptitle(
            f"synthetic patient {seed}: {reason} (truth above, automatic below)", fontsize=9
        )
        drawn = regions.lv_region(patient.labels)
        slices = np.flatnonzero(drawn.any(axis=(1, 2)))
        places = slices[np.linspace(0, len(slices) - 1, SLICES).round().astype(int)]
        rows, columns = (np.flatnonzero(drawn.any(axis=axes)) for axes in ((0, 2), (0, 1)))
        window = tuple(
            slice(max(int(r[0]) - MARGIN_PX, 0), int(r[-1]) + MARGIN_PX) for r in (rows, columns)
        )
        axes = part.subplots(2, SLICES)
        for column, k in enumerate(places):
            for axis, labels in ((axes[0, column], patient.labels), (axes[1, column], found)):
                draw(axis, patient.images["lge"][k][window], labels[k][window])
    FigureCanvasAgg(figure).print_png(str(arguments.picture))


if __name__ == "__main__":
    main()

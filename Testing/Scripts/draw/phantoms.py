"""Draw a montage of synthetic patients, to be held beside real images.

    python Testing/Scripts/draw/phantoms.py Resources/Screenshots/phantoms.png --first-seed 910000

One patient per row, its middle slice: bSSFP, LGE, T2, and the truth. No real image is drawn.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "MyoPSSegmenter"))

from myops.labels import MYOPS
from myops.phantom.patient import PhantomConfig, PhantomPatient, generate_patient

COLORS = ListedColormap(["black", "#2ca58d", "#c973a5", "#4a78c8", "#e0c020", "#ff6a2b"])


def main() -> None:
    """Generate the patients and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("--first-seed", type=int, default=910_000)
    parser.add_argument("--count", type=int, default=6)
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.count)
    patients = [generate_patient(seed, PhantomConfig(dropout=False)) for seed in seeds]
    figure = Figure(figsize=(10, 2.4 * len(patients)), layout="constrained")
    for axes, patient in zip(figure.subplots(len(patients), 4, squeeze=False), patients):
        draw_row(axes, patient)
    FigureCanvasAgg(figure).print_png(str(options.picture))


def draw_row(axes: np.ndarray, patient: PhantomPatient) -> None:
    """Middle slice of every sequence, windowed to its 0.5-99.7 percentiles, and the labels."""
    k = len(patient.labels) // 2
    for axis, (name, image) in zip(axes, patient.images.items()):
        low, high = np.percentile(image[k], (0.5, 99.7))
        axis.imshow(image[k], cmap="gray", vmin=low, vmax=high)
        axis.set_title(f"{name}, seed {patient.seed}, {patient.description['injury']}", fontsize=7)
    numbers = np.zeros(patient.labels[k].shape)
    for number, value in enumerate(MYOPS.values(), start=1):
        numbers[patient.labels[k] == value] = number
    axes[3].imshow(numbers, cmap=COLORS, vmin=0, vmax=5, interpolation="nearest")
    for axis in axes:
        axis.set_axis_off()


if __name__ == "__main__":
    main()

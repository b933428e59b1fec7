"""How time and memory grow with slices, pixels and patients: a table, and a plot with exponents.

    python Testing/Scripts/bench/scaling.py --plot Resources/Screenshots/scaling.png

Every size is measured in a process of its own, from files to report, start-up and loading of the
networks left out: CPU time of one thread (other programs on the machine lengthen it less than wall
time), and the process's peak memory. The patient is a synthetic one, laid on a grid of the size
asked for. The exponent k of time ~ size^k is the slope of a line through the logarithms.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import segment as benchmark  # beside this file; puts the library on the path
import SimpleITK as sitk

from myops.phantom.patient import PhantomConfig, generate_patient

SIZES = {"slices": (5, 10, 20, 40), "pixels": (128, 256, 512, 1024), "patients": (1, 10, 100)}
NAMES = {"bssfp": "C0", "lge": "DE", "t2": "T2"}
# Prints CPU seconds and peak memory of so many patients, one after the other.
RUN = """
import json, resource, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
import myops
from myops.report import html, pdf  # what a first patient imports
models = myops.load_models("cpu")
folder, count = Path(sys.argv[1]), int(sys.argv[2])
start = time.process_time()
for number in range(count):
    case = myops.load_case(folder)
    found = myops.segment(case, models)
    myops.write_results(folder / f"out{number % 3}", case, found, myops.measure(case, found))
seconds = time.process_time() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([seconds, peak * 1024 / 1e9]))
"""


def main() -> None:
    """Measure every size, print the table, draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, sizes in SIZES.items():
        parser.add_argument(f"--{name}", type=int, nargs="*", default=sizes)
    parser.add_argument("--sequences", type=int, default=3, help="1 = LGE alone")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    print(f"{benchmark.hardware('cpu')}, one thread, {options.sequences} sequence(s), load "
          f"{os.getloadavg()[0]:.1f}; `python {' '.join(sys.argv)}`\n")  # fmt: skip
    print(
        "| what | size | CPU s | per unit, of the smallest | peak memory, GB |\n|---|---|---|---|---|"
    )
    found = {}
    for what in SIZES:
        points = []
        for size in getattr(options, what):
            seconds, peak_gb = measured(what, size, options.sequences)
            points.append((size, seconds, peak_gb))
            share = seconds / size / (points[0][1] / points[0][0])
            print(f"| {what} | {size} | {seconds:.2f} | {share:.2f} | {peak_gb:.2f} |", flush=True)
        found[what] = np.array(points).reshape(-1, 3)
    print()
    for what, points in found.items():
        if len(points) > 1:
            print(f"- {what}: time ~ size^{exponent(points[:, 0], points[:, 1]):.2f}")
    if options.plot:
        draw(found, options.plot)


def measured(what: str, size: int, sequences: int) -> tuple[float, float]:
    """CPU seconds and peak GB of one size, the other two at their usual values."""
    sizes = {"slices": 5, "pixels": 256, "patients": 1} | {what: size}
    return run(**sizes, sequences=sequences)


@functools.cache
def run(slices: int, pixels: int, patients: int, sequences: int) -> tuple[float, float]:
    """CPU seconds and peak GB of so many patients of a size; measured once."""
    with tempfile.TemporaryDirectory() as folder:
        write_patient(Path(folder), (pixels, pixels, slices), sequences)
        environment = {**os.environ, "PYTHONPATH": str(benchmark.LIBRARY), "OMP_NUM_THREADS": "1"}
        done = subprocess.run([sys.executable, "-c", RUN, folder, str(patients)], env=environment,
                              capture_output=True, text=True, encoding="utf-8")  # fmt: skip
    if done.returncode:
        sys.exit(done.stderr)
    seconds, peak_gb = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak_gb


def write_patient(folder: Path, size: tuple[int, int, int], sequences: int) -> None:
    """A synthetic patient resampled to the size (x, y, z), the same heart for all sizes."""
    patient = generate_patient(3, PhantomConfig(dropout=False, normal_share=0.0))
    for name in ("lge", "bssfp", "t2")[:sequences]:
        image = sitk.GetImageFromArray(patient.images[name].astype(np.float32))
        image.SetSpacing(patient.spacing_mm)
        extent_mm = np.array(image.GetSize()) * image.GetSpacing()
        grid = sitk.Image(list(size), sitk.sitkFloat32)
        grid.SetSpacing((extent_mm / size).tolist())
        laid = sitk.Resample(image, grid, sitk.Transform(), sitk.sitkLinear)
        laid.SetOrigin((1.0, 2.0, 3.0))
        sitk.WriteImage(laid, str(folder / f"p_{NAMES[name]}.nii.gz"))


def exponent(sizes: np.ndarray, values: np.ndarray) -> float:
    """Slope of a line through the logarithms: 1 is linear."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def draw(found: dict[str, np.ndarray], path: Path) -> None:
    """Time and memory against each size, both axes logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.4), dpi=110, layout="constrained")
    for axes, (what, points) in zip(figure.subplots(1, len(found)), found.items(), strict=True):
        sizes, seconds, peak_gb = points.T
        axes.loglog(sizes, seconds, "o-", color="#1b6ca8", label="CPU time, s")
        axes.loglog(sizes, peak_gb, "s--", color="#c2571a", label="peak memory, GB")
        axes.loglog(sizes, seconds[0] * sizes / sizes[0], ":", color="#888888", label="linear")
        slope = f": time ~ size$^{{{exponent(sizes, seconds):.2f}}}$" if len(sizes) > 1 else ""
        axes.set_title(what + slope, fontsize=10)
        axes.set_xticks(sizes, [f"{size:.0f}" for size in sizes])
        axes.minorticks_off()
        axes.legend(fontsize=8)
    figure.savefig(path, metadata={"Software": None})


if __name__ == "__main__":
    main()

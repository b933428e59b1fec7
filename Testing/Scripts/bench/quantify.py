"""How long the numbers of one patient take: one Markdown table, on one core.

    OMP_NUM_THREADS=1 python Testing/Scripts/bench/quantify.py

A synthetic patient of 256 x 256 x 12 voxels. CPU time says what the work costs on any machine;
wall time is the longer one where other programs run. The median of several runs of each.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "MyoPSSegmenter"))

from myops.case import Case
from myops.datasets import LabeledCase, phantom_readers
from myops.quantify import tables
from myops.quantify.mass import tissue_masses
from myops.quantify.measure import measure
from myops.quantify.quality.image_quality import image_quality
from myops.quantify.regional.analysis import regional
from myops.quantify.thresholds.methods import ConventionalSettings, conventional_methods
from myops.quantify.thresholds.remote import automatic_remote
from myops.segmentation import Segmentation

FIRST_SEED = 910_000
SHAPE = (12, 256, 256)
BOTH = frozenset({"scar", "edema"})
ALL = ConventionalSettings(manual_threshold=300.0)


def main() -> None:
    """Measure, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    case, segmentation = patient()
    print("| what | CPU ms | wall ms | limit ms |\n|---|---|---|---|")
    for name, (work, limit_ms) in works(case, segmentation).items():
        work()
        cpu_ms, wall_ms = timed(work, repeats)
        print(f"| {name} | {cpu_ms:.1f} | {wall_ms:.1f} | {limit_ms} |")


def works(case: Case, segmentation: Segmentation) -> dict[str, tuple[Callable[[], object], str]]:
    """What is timed, by name, with its limit."""
    lge, labels, geometry = case.images["lge"], segmentation.labels, case.geometry
    spacing = geometry.spacing_mm
    myocardium = np.isin(labels, (200, 1220, 2221, 2222))
    lv, diseased = myocardium | (labels == 500), myocardium & (labels != 200)

    def everything() -> object:
        found = measure(case, segmentation, ALL)
        return tables.plain(found), tables.rows(found)

    remote = automatic_remote(lge, lv, myocardium, diseased, spacing)
    return {
        "all methods, masses, regions, quality, and their tables": (everything, "500"),
        "- conventional methods": (lambda: conventional_methods(lge, labels, spacing, ALL), ""),
        "- regional analysis": (lambda: regional(labels, geometry, BOTH), ""),
        "- image quality": (lambda: image_quality(lge, labels, spacing, remote), ""),
        "live update of the masses (`mass.tissue_masses`)": (
            lambda: tissue_masses(labels, BOTH, geometry.voxel_volume_ml),
            "20",
        ),
    }


def timed(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median CPU and wall time of a call in ms."""
    cpu, wall = [], []
    for _ in range(repeats):
        before = time.process_time(), time.perf_counter()
        work()
        cpu.append(time.process_time() - before[0])
        wall.append(time.perf_counter() - before[1])
    return 1e3 * median(cpu), 1e3 * median(wall)


def patient() -> tuple[Case, Segmentation]:
    """The first synthetic patient of 12 slices with scar that fits the frame, and the truth."""
    for read in phantom_readers(FIRST_SEED, 60):
        found = read()
        room = np.subtract(SHAPE, found.labels.shape)
        if room[0] == 0 and (room >= 0).all() and (found.labels == 2221).any():
            return framed(found, room)
    raise SystemExit("no synthetic patient of 12 slices with scar: change FIRST_SEED")


def framed(found: LabeledCase, room: np.ndarray) -> tuple[Case, Segmentation]:
    """LGE and labels with empty rows and columns added up to 256 x 256."""
    lge = sitk.ConstantPad(found.images["lge"], [0, 0, 0], room[::-1].tolist(), 0)
    labels = np.pad(found.labels, [(0, int(more)) for more in room])
    wide = replace(found, images={"lge": lge}, labels=labels)
    case = wide.to_case()
    truth, _ = wide.truth_for(case)
    certain = np.zeros(truth.shape, np.float32)
    return case, Segmentation(truth, case.geometry, {}, certain, BOTH, {}, {})


if __name__ == "__main__":
    main()

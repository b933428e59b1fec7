"""Errors of volumes, transmurality and endocardial surface on bodies with a formula.

    python Testing/Scripts/measure/phantom_geometry.py [--placements 30]

Prints the table of Docs/reference/quantification.md. Every body is sampled at voxel centers on an
oblique stack, turned and shifted at random; mean ± SD of the error over the placements.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "hearts"))
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "MyoPSSegmenter"))

from analytic_heart import BOTH, KINDS, AnalyticHeart

from myops.quantify.mass import tissue_masses
from myops.quantify.regional.analysis import regional

SPACINGS_MM = (
    (0.5, 0.6, 1.0),
    (1.0, 1.0, 5.0),
    (1.4, 1.4, 8.0),
    (1.4, 1.4, 10.0),
    (1.8, 1.8, 10.0),
    (1.4, 1.4, 13.0),
)
COLUMNS = (
    "LV volume, %",
    "scar volume, %",
    "scar of LV, points",
    "transmurality of all chords, points",
    "of chords with scar, points",
    "endocardium, %",
)


def main() -> None:
    """Measure every body at every spacing and print one row each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--placements", type=int, default=30)
    placements = parser.parse_args().placements
    print(f"| voxel, mm | body | {' | '.join(COLUMNS)} |")
    print("|" + "---|" * (len(COLUMNS) + 2))
    for spacing_mm in SPACINGS_MM:
        for kind in KINDS:
            rng = np.random.default_rng(0)
            # The finest grid moves nothing: three placements show it.
            count = placements if spacing_mm[2] >= 5 else min(3, placements)
            found = [errors(kind, spacing_mm, rng) for _ in range(count)]
            cells = [
                f"{mean:+.1f} ± {sd:.1f}"
                for mean, sd in zip(np.mean(found, axis=0), np.std(found, axis=0))
            ]
            voxel = " × ".join(f"{value:g}" for value in spacing_mm)
            print(f"| {voxel} | {kind} | {' | '.join(cells)} |", flush=True)


def errors(
    kind: str, spacing_mm: tuple[float, float, float], rng: np.random.Generator
) -> tuple[float, ...]:
    """Measured minus true, in the units of `COLUMNS`."""
    heart = AnalyticHeart(kind)
    if kind == "tilted":
        heart = replace(heart, length_mm=spacing_mm[2] * round(heart.length_mm / spacing_mm[2]))
    labels, geometry = heart.sampled(spacing_mm, rng)
    masses = tissue_masses(labels, BOTH, geometry.voxel_volume_ml)
    parts = regional(labels, geometry, BOTH)
    depth = parts.whole.transmurality
    lv_ml, scar_ml = masses["lv_myocardium"].volume_ml, masses["scar"].volume_ml
    return (
        100 * (lv_ml / heart.lv_ml - 1),
        100 * (scar_ml / heart.scar_ml - 1),
        masses["scar"].percent_of_lv_mass - 100 * heart.scar_ml / heart.lv_ml,
        depth.mean_percent - heart.transmurality_percent * heart.scar_deg / 360,
        depth.mean_where_scar_percent - heart.transmurality_percent,
        100 * (parts.surface.total_cm2 / heart.endocardium_cm2 - 1),
    )


if __name__ == "__main__":
    main()

"""Conventional rules inside the expert's myocardium on EMIDEC: Dice beside the published table.

    python Testing/Scripts/measure/compare_emidec_thresholds.py FOLDER [--automatic]

EMIDEC (Lalande et al., Data 2020;5:89) is not part of this project. The remote region is the
expert's normal myocardium and nothing is filled in, as in that table. "plain" is the largest
difference of a case from the same rule written in numpy (Testing/hearts/plain_thresholds.py).
`--automatic`: all rules as `myops quantify` runs them, with the automatic remote region and dark
cores filled in.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "hearts"))
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "MyoPSSegmenter"))

from plain_thresholds import plain_dice

from myops.datasets import LabeledCase, read_emidec
from myops.labels import normal_myocardium, scar
from myops.quantify.mass import dice
from myops.quantify.thresholds.methods import ConventionalSettings, conventional_methods

# Mean and SD over all 38 undistorted infarct cases; they are not given case by case.
PUBLISHED_CASES = 38
PUBLISHED = {
    "sd2_volume": (0.63, 0.15),
    "sd3_volume": (0.34, 0.20),
    "fwhm_half_of_maximum_volume": (0.35, 0.14),
    "fwhm_between_minimum_and_maximum_volume": (0.62, 0.16),
    "fwhm_remote_referenced_slice": (0.64, 0.10),
    "fwhm_remote_referenced_volume": (0.64, 0.10),
    "otsu_volume": (0.64, 0.17),
}


def main() -> None:
    """Measure every infarct case and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--automatic", action="store_true", help="as myops quantify runs them")
    options = parser.parse_args()
    ours, plain = [], []
    for path in sorted(options.folder.glob("*/*_LGE.nii.gz")):
        found = read_emidec(path)
        if scar(found.labels).any():
            ours.append(our_dice(found, options.automatic))
            plain.append(plain_dice(path, path.with_name(path.name.replace("_LGE", "_gt"))))
    if not ours:
        raise SystemExit(f"{options.folder}: expected EMIDEC cases with infarct, found none")
    if options.automatic:
        print_automatic(ours)
    else:
        print_table(ours, plain)


def our_dice(found: LabeledCase, automatic: bool) -> dict[str, float | None]:
    """Dice of every rule with the expert's scar."""
    case = found.to_case()
    labels, _ = found.truth_for(case)
    results = conventional_methods(
        case.images["lge"],
        labels,
        case.geometry.spacing_mm,
        ConventionalSettings(fill_dark_cores=automatic),
        None if automatic else normal_myocardium(labels),
    )
    return {
        rule: None if result.mask is None else dice(result.mask, scar(labels))
        for rule, result in results.items()
    }


def print_automatic(ours: list[dict[str, float | None]]) -> None:
    """Mean ± SD of every rule."""
    print(f"| rule | Dice, {len(ours)} cases |\n|---|---|")
    for rule in ours[0]:
        values = np.array([case[rule] for case in ours if case[rule] is not None], float)
        print(f"| {rule} | {values.mean():.3f} ± {values.std(ddof=1):.2f} ({values.size} valid) |")


def print_table(ours: list[dict[str, float | None]], plain: list[dict[str, float]]) -> None:
    """Mean ± SD, the published ones, and what chance makes of a part of the published cases."""
    count = len(ours)
    share = max(0.0, 1 - count / PUBLISHED_CASES)
    print(f"| rule | ours, {count} cases | published, {PUBLISHED_CASES} | apart | SE | plain |")
    print("|---|---|---|---|---|---|")
    for rule, (mean, sd) in PUBLISHED.items():
        values = np.array([case[rule] for case in ours], float)
        error = sd * np.sqrt(share / count)
        apart = np.abs(values - [case[rule] for case in plain]).max()
        print(
            f"| {rule} | {values.mean():.3f} ± {values.std(ddof=1):.2f} | {mean:.2f} ± {sd:.2f} "
            f"| {values.mean() - mean:+.3f} | {error:.3f} | {apart:.4f} |"
        )


if __name__ == "__main__":
    main()

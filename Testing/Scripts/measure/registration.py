"""How far sequences lie from each other before and after they are laid on each other, on phantoms.

    python Testing/Scripts/measure/registration.py --patients 12

bSSFP and T2 of clean phantoms are moved against the LGE: the whole stack by 0 to 15 mm in the slice
plane; the same with every slice moved by 2 mm (SD) of its own; or not at all. Residual: how far the heart's voxels still lie from where they belong, mean over the
heart, in mm. Prints a table, and one line per sequence to OUT as JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import shift

from myops.cascade.register import register
from myops.case import Case, case_from_images
from myops.phantom.patient import PhantomConfig, PhantomPatient, generate_patient
from myops.weights.files import Models, load_models

KINDS = ("stack", "slices", "in place")
LARGEST_MM, SLICE_SD_MM = 15.0, 2.0


def main() -> None:
    """Measure, print the table, write the lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("--first-seed", type=int, default=601)
    parser.add_argument("--out", type=Path, default=Path("registration.jsonl"))
    arguments = parser.parse_args()
    rows, models = [], load_models("cpu", "synthetic")
    with arguments.out.open("w", encoding="utf-8") as lines:
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.patients):
            for row in measure(seed, models):
                rows.append(row)
                lines.write(json.dumps(row) + "\n")
                lines.flush()
    print(table(rows))


def measure(seed: int, models: Models) -> Iterator[dict[str, Any]]:
    """One line per kind of motion and sequence of a phantom."""
    patient = generate_patient(seed, PhantomConfig(dropout=False, artifacts=False))
    for number, kind in enumerate(KINDS):
        random = np.random.default_rng((seed, number))
        truth = {name: motion(kind, random, len(patient.labels)) for name in ("bssfp", "t2")}
        case = moved_patient(patient, truth)
        began = time.process_time()
        found = register(case, models).registrations
        seconds = time.process_time() - began
        for one in found:
            left = np.array(one.shifts_mm) - truth[one.sequence]
            yield {
                "seed": seed,
                "kind": kind,
                "sequence": one.sequence,
                "before_mm": over_heart(truth[one.sequence], patient.labels),
                "after_mm": over_heart(left, patient.labels),
                "moved": one.moved,
                "similarity_before": one.similarity_before,
                "similarity_after": one.similarity_after,
                "cpu_s_of_patient": seconds,
            }


def motion(kind: str, random: np.random.Generator, slices: int) -> np.ndarray:
    """Shift (x, y) of each slice in mm, float (z, 2)."""
    if kind == "in place":
        return np.zeros((slices, 2))
    angle, length = random.uniform(0, 2 * np.pi), random.uniform(0, LARGEST_MM)
    stack = np.tile(length * np.array([np.cos(angle), np.sin(angle)]), (slices, 1))
    own = random.normal(0, SLICE_SD_MM, (slices, 2)) if kind == "slices" else 0.0
    return stack + own


def moved_patient(patient: PhantomPatient, truth: dict[str, np.ndarray]) -> Case:
    """The phantom's images, those with a motion moved by it slice by slice."""
    images = {"lge": image_of(patient.images["lge"], patient.spacing_mm)}
    for name, shifts in truth.items():
        pixels = patient.images[name].astype(np.float32)
        width_mm, height_mm, _ = patient.spacing_mm
        there = [
            shift(plane, (y_mm / height_mm, x_mm / width_mm), order=1, mode="nearest")
            for plane, (x_mm, y_mm) in zip(pixels, shifts, strict=True)
        ]
        images[name] = image_of(np.stack(there), patient.spacing_mm)
    return case_from_images(images)


def image_of(pixels: np.ndarray, spacing_mm: tuple[float, float, float]) -> sitk.Image:
    """An image with a spacing and a place."""
    image = sitk.GetImageFromArray(pixels.astype(np.float32))
    image.SetSpacing([float(value) for value in spacing_mm])
    image.SetOrigin((-20.0, 10.0, 5.0))
    return image


def over_heart(shifts_mm: np.ndarray, labels: np.ndarray) -> float:
    """Mean length of the slices' shifts, each with as much weight as it has voxels of the heart."""
    return float(np.average(np.hypot(*shifts_mm.T), weights=(labels > 0).sum(axis=(1, 2))))


def table(rows: list[dict[str, Any]]) -> str:
    """Before and after by kind of motion, in Markdown."""
    lines = [
        "| motion | sequences | before, mean / worst mm | after, mean / worst mm | moved | CPU s |",
        "|---|---|---|---|---|---|",
    ]
    for kind in KINDS:
        own = [row for row in rows if row["kind"] == kind]
        before, after, seconds = (
            np.array([row[key] for row in own])
            for key in ("before_mm", "after_mm", "cpu_s_of_patient")
        )
        moved = sum(row["moved"] for row in own)
        lines.append(
            f"| {kind} | {len(own)} | {before.mean():.2f} / {before.max():.2f} | "
            f"{after.mean():.2f} / {after.max():.2f} | {moved} | {np.median(seconds):.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()

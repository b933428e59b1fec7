"""How far sequences lie from each other before and after they are laid on each other, on phantoms.

    python Testing/Scripts/measure/registration.py --patients 12
    python Testing/Scripts/measure/registration.py --patients 4 --rivals    # needs itk-elastix

bSSFP and T2 of clean phantoms are moved against the LGE in the slice plane: the whole stack by 0 to
15 mm; the same with every slice moved by 2 mm (SD) of its own; the same stack turned by 0 to 8
degrees around the heart besides; or not at all. Residual: how far the heart's voxels still lie from
where they belong, mean over the heart, in mm. Prints a table, and one line per sequence to OUT as
JSON. With --rivals SimpleITK and elastix do the same (`registration_rivals`).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from registration_rivals import RIVALS, Places, pictures
from scipy.ndimage import affine_transform

from myops.cascade.segment import locate_heart
from myops.case import Case, case_from_images
from myops.phantom.patient import PhantomConfig, PhantomPatient, generate_patient
from myops.slice_registration import Registration, register_case
from myops.weights.files import Models, load_models

KINDS = ("stack", "slices", "turned", "in place")
LARGEST_MM, SLICE_SD_MM, LARGEST_TURN_DEG = 15.0, 2.0, 8.0
# Voxels of the heart in which a slice's residual is taken.
POINTS = 80


@dataclass(frozen=True)
class Motion:
    """How a sequence was moved: turned around a place, then shifted.

    Attributes:
        shifts_mm: float (z, 2), along x and y.
        angle: radians, from x to y.
        center_mm: (x, y) of the heart.
    """

    shifts_mm: np.ndarray
    angle: float
    center_mm: np.ndarray | tuple[float, float]

    @property
    def turn(self) -> np.ndarray:
        """The rotation (2, 2) of x and y."""
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        return np.array([[cosine, -sine], [sine, cosine]])

    def places(self, points: np.ndarray, k: int) -> np.ndarray:
        """Where points (n, 3) of slice k were moved to."""
        moved = (points[:, :2] - self.center_mm) @ self.turn.T + self.center_mm + self.shifts_mm[k]
        return np.column_stack((moved, points[:, 2]))


def main() -> None:
    """Measure, print the table, write the lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("--first-seed", type=int, default=601)
    parser.add_argument("--rivals", action="store_true", help="SimpleITK and itk-elastix too")
    parser.add_argument("--out", type=Path, default=Path("registration.jsonl"))
    arguments = parser.parse_args()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    rows, models = [], load_models("cpu", "synthetic")
    with arguments.out.open("w", encoding="utf-8") as lines:
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.patients):
            for row in measure(seed, models, arguments.rivals):
                rows.append(row)
                lines.write(json.dumps(row) + "\n")
                lines.flush()
    print(table(rows))


def measure(seed: int, models: Models, rivals: bool) -> Iterator[dict[str, Any]]:
    """One line per kind of motion, sequence and way of a phantom."""
    patient = generate_patient(seed, PhantomConfig(dropout=False, artifacts=False))
    for number, kind in enumerate(KINDS):
        random = np.random.default_rng((seed, number))
        truth = {name: motion(kind, random, patient) for name in ("bssfp", "t2")}
        case = moved_patient(patient, truth)
        row, column = locate_heart(case, models).center_yx
        middle = (case.geometry.array_shape[0] - 1) / 2
        x, y, z = case.geometry.position_mm(np.array([column, row, middle]))
        for name, seconds, places, more in ways(case, (float(x), float(y), float(z)), rivals):
            yield {
                "seed": seed,
                "kind": kind,
                "sequence": more["sequence"],
                "way": name,
                "before_mm": residual(patient, truth[more["sequence"]], lambda points, k: points),
                "after_mm": residual(patient, truth[more["sequence"]], places),
                "cpu_s": seconds,
                **more,
            }


def ways(
    case: Case, center: tuple[float, float, float], rivals: bool
) -> Iterator[tuple[str, float, Places, dict[str, Any]]]:
    """Name of the way, CPU seconds for the sequence, where it places points, and what else."""
    began = time.process_time()
    found = register_case(case, center).registrations
    seconds = (time.process_time() - began) / len(found)
    for one in found:
        more = {"sequence": one.sequence, "moved": one.moved}
        yield "as shipped", seconds, shipped(one), more
        if not rivals:
            continue
        pair = pictures(case, one.sequence, center)
        for name, way in RIVALS.items():
            began = time.process_time()
            places = way(pair)
            yield name, time.process_time() - began, places, {"sequence": one.sequence}


def shipped(found: Registration) -> Places:
    """Where the program's own registration places points."""

    def places(points: np.ndarray, k: int) -> np.ndarray:
        own = Motion(np.zeros((k + 1, 2)), np.deg2rad(found.turn.degrees), found.turn.pivot_mm)
        return own.places(points + [*found.shifts_mm[k], 0.0], k)  # noqa: RUF005 (a sum)

    return places


def motion(kind: str, random: np.random.Generator, patient: PhantomPatient) -> Motion:
    """A motion of that kind."""
    slices = len(patient.labels)
    _, rows, columns = np.nonzero(patient.labels)
    center = np.array([columns.mean(), rows.mean()]) * patient.spacing_mm[:2]
    if kind == "in place":
        return Motion(np.zeros((slices, 2)), 0.0, center)
    angle, length = random.uniform(0, 2 * np.pi), random.uniform(0, LARGEST_MM)
    stack = np.tile(length * np.array([np.cos(angle), np.sin(angle)]), (slices, 1))
    own = random.normal(0, SLICE_SD_MM, (slices, 2)) if kind == "slices" else 0.0
    turn = 0.0
    if kind == "turned":
        turn = np.deg2rad(random.uniform(0, LARGEST_TURN_DEG) * random.choice([-1, 1]))
    return Motion(stack + own, turn, center)


def moved_patient(patient: PhantomPatient, truth: dict[str, Motion]) -> Case:
    """The phantom's images, those with a motion moved by it slice by slice."""
    images = {"lge": image_of(patient.images["lge"], patient.spacing_mm)}
    for name, one in truth.items():
        pixels = patient.images[name].astype(np.float32)
        there = [moved_plane(plane, one, k, patient.spacing_mm) for k, plane in enumerate(pixels)]
        images[name] = image_of(np.stack(there), patient.spacing_mm)
    return case_from_images(images)


def moved_plane(
    plane: np.ndarray, one: Motion, k: int, spacing_mm: tuple[float, float, float]
) -> np.ndarray:
    """A slice with its content where the motion has brought it."""
    # Of what lies at q now the place before is p = R^T (q - t - c) + c; in pixels, rows first.
    scale = np.array(spacing_mm[1::-1])
    back = one.turn.T[::-1, ::-1]
    center, shift = one.center_mm[::-1], one.shifts_mm[k][::-1]
    matrix = back * scale / scale[:, None]
    offset = (center - back @ (center + shift)) / scale
    return np.asarray(affine_transform(plane, matrix, offset, order=1, mode="nearest"))


def image_of(pixels: np.ndarray, spacing_mm: tuple[float, float, float]) -> sitk.Image:
    """An image with a spacing and a place."""
    image = sitk.GetImageFromArray(pixels.astype(np.float32))
    image.SetSpacing([float(value) for value in spacing_mm])
    image.SetOrigin((-20.0, 10.0, 5.0))
    return image


def residual(patient: PhantomPatient, truth: Motion, places: Places) -> float:
    """Mean distance in mm of the heart's voxels from where they belong, all slices by their size."""
    lengths, counts = [], []
    for k, plane in enumerate(patient.labels > 0):
        rows, columns = np.nonzero(plane)
        if not len(rows):
            continue
        some = np.linspace(0, len(rows) - 1, min(POINTS, len(rows))).astype(int)
        index = np.column_stack((columns[some], rows[some], np.full(len(some), k)))
        points = index * np.array(patient.spacing_mm)
        lengths.append(np.linalg.norm(places(points, k) - truth.places(points, k), axis=1).mean())
        counts.append(len(rows))
    return float(np.average(lengths, weights=counts))


def table(rows: list[dict[str, Any]]) -> str:
    """Before and after by kind of motion and way, in Markdown."""
    lines = [
        "| motion | way | sequences | before, mean / worst mm | after, mean / worst mm | CPU s |",
        "|---|---|---|---|---|---|",
    ]
    for kind in KINDS:
        for way in dict.fromkeys(row["way"] for row in rows):
            own = [row for row in rows if (row["kind"], row["way"]) == (kind, way)]
            before, after, seconds = (
                np.array([row[key] for row in own]) for key in ("before_mm", "after_mm", "cpu_s")
            )
            lines.append(
                f"| {kind} | {way} | {len(own)} | {before.mean():.2f} / {before.max():.2f} | "
                f"{after.mean():.2f} / {after.max():.2f} | {np.median(seconds):.2f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()

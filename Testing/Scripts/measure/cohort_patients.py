"""Small synthetic patients for the measurements of cohorts, five of them spoiled.

Each has three sequences of one slice of up to 128 x 128 pixels through the middle of a heart.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from myops.phantom.patient import PhantomConfig, generate_patient

HEARTS = 6
HALF_PX = 64
SUFFIXES = {"lge": "DE", "bssfp": "C0", "t2": "T2"}


def patients_in(work: Path, count: int) -> tuple[Path, dict[str, str]]:
    """The folder of the patients, made if missing, and what was done to the spoiled ones."""
    source, note = work / "patients", work / "spoiled.json"
    if not note.exists():
        note.parent.mkdir(parents=True, exist_ok=True)
        make_patients(source, count)
        note.write_text(json.dumps(spoil(source)), "utf-8")
    return source, json.loads(note.read_text("utf-8"))


def make_patients(source: Path, count: int) -> None:
    """Write patients that all differ: a few hearts, each time with other noise."""
    hearts = [small_heart(seed) for seed in range(300, 300 + min(HEARTS, count))]
    for number in range(count):
        images, spacing = hearts[number % HEARTS]
        noise = np.random.default_rng(number)
        folder = source / f"patient_{number:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        for sequence, suffix in SUFFIXES.items():
            pixels = images[sequence] + noise.normal(0, 1, images[sequence].shape)
            image = sitk.GetImageFromArray(pixels.astype(np.int16))
            image.SetSpacing(spacing)
            sitk.WriteImage(image, str(folder / f"p{number:03d}_{suffix}.nii.gz"))


def small_heart(seed: int) -> tuple[dict[str, np.ndarray], tuple[float, float, float]]:
    """One slice through the middle of a synthetic heart."""
    patient = generate_patient(seed, PhantomConfig(dropout=False, artifacts=False))
    z, y, x = (round(float(places.mean())) for places in np.nonzero(patient.labels))
    near = np.s_[z : z + 1, max(0, y - HALF_PX) : y + HALF_PX, max(0, x - HALF_PX) : x + HALF_PX]
    return {key: patient.images[key][near] for key in SUFFIXES}, patient.spacing_mm


def spoil(source: Path) -> dict[str, str]:
    """Five patients as hospitals send them; name to what was done to it."""
    folders = sorted(source.iterdir())
    cut, text, lonely, twin, dicom = (folders[k] for k in (3, 11, 19, 27, 35))
    image = next(cut.glob("*_DE.nii.gz"))
    image.write_bytes(image.read_bytes()[:2000])
    next(text.glob("*_DE.nii.gz")).write_text("the disk was full", "ascii")
    for suffix in ("DE", "C0"):
        next(lonely.glob(f"*_{suffix}.nii.gz")).unlink()
    shutil.rmtree(twin)
    shutil.copytree(folders[28], twin)
    for path in dicom.iterdir():
        path.unlink()
    for number in range(4):
        content = b"\0" * 128 + b"DICM" + bytes(range(40)) * (number + 1)
        (dicom / f"{number}.dcm").write_bytes(content)
    return {
        cut.name: "LGE cut off after 2000 bytes",
        text.name: "text in place of the LGE",
        lonely.name: "T2 alone",
        folders[28].name: f"the images of {twin.name}",
        dicom.name: "four damaged DICOM files",
    }

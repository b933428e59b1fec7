"""Write synthetic patients as files named and labeled as MyoPS 2020 does."""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from myops.io.atomic import write_json
from myops.io.itk_files import save_image
from myops.phantom.contrast import PHYSICAL
from myops.phantom.patient import SAMPLE, PhantomConfig, PhantomPatient, generate_patient
from myops.progress import Progress
from myops.sequences import SEQUENCES

# What the file of each synthetic sequence ends in.
SUFFIXES = {name: SEQUENCES[name].suffixes[0] for name in PHYSICAL}
COHORT_FILE = "cohort.json"
# The patient of README's picture: its automatic scar is visibly wrong in one slice, so that there
# is something to correct. No network was trained on a seed from 900000 on.
SAMPLE_SEED = 950_038


def patient_name(seed: int) -> str:
    """What the files of a patient begin with, and what its folder in a cohort is called."""
    return f"phantom_{seed:06d}"


def short_axis_direction(rng: np.random.Generator, apex_first: bool) -> tuple[float, ...]:
    """A plausible oblique short-axis orientation: row-major direction cosines (LPS), 9 numbers.

    The ventricle's axis points from the base to the apex: left, forward and down. Rows then run
    toward the patient's left side and columns toward the diaphragm.
    """
    azimuth, elevation = np.deg2rad(rng.normal((-45, -25), 8))
    axis = np.array(
        [
            np.cos(azimuth) * np.cos(elevation),
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
        ]
    )
    right = np.cross((0.0, 0.0, 1.0), axis)
    right /= np.linalg.norm(right)
    columns = [right, np.cross(right, axis), -axis if apex_first else axis]
    return tuple(float(value) for value in np.stack(columns, axis=1).ravel())


def write_patient(patient: PhantomPatient, folder: Path, name: str | None = None) -> Path:
    """Write `<name>_C0|_DE|_T2|_gd.nii.gz`, the MVO mask and the ground truth as JSON.

    Args:
        patient: the synthetic patient.
        folder: created if missing; the files of an earlier patient of the same name are replaced.
        name: file name prefix; `phantom_<seed>` if None.

    Returns:
        The folder.

    Raises:
        OSError: the folder cannot be written.
    """
    name = name or patient_name(patient.seed)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".myops-unfinished-", dir=folder) as stage:
        _write_files(patient, Path(stage), name)
        # Moved in only when all are complete: an interruption leaves no half patient.
        for path in sorted(Path(stage).iterdir()):
            os.replace(path, folder / path.name)
    # An earlier patient of this name may have had sequences that this one has not.
    for sequence in SUFFIXES.keys() - patient.images.keys():
        (folder / f"{name}_{SUFFIXES[sequence]}.nii.gz").unlink(missing_ok=True)
    return folder


def write_phantom(folder: str | Path, seed: int = SAMPLE_SEED) -> Path:
    """Make a synthetic patient with a fresh infarct, to try the library without patient data.

    Args:
        folder: made if missing; gets `phantom_<seed>_C0` (bSSFP), `_DE` (LGE), `_T2`, `_gd` (the
            true labels, MyoPS values) and `_mvo`, each `.nii.gz`, and `_truth.json`.
        seed: a whole number from 0 on; the same one gives the same files.

    Returns:
        The folder, which `myops.load_case` reads.

    Raises:
        OSError: the folder cannot be written.

    Example:
        >>> case = myops.load_case(myops.write_phantom("patient"))
    """
    return write_patient(generate_patient(seed, SAMPLE), Path(folder))


def _write_files(patient: PhantomPatient, folder: Path, name: str) -> None:
    direction = short_axis_direction(
        np.random.default_rng([patient.seed, 21]), patient.description["apex_first"] is True
    )
    for sequence, image in patient.images.items():
        _write(image.astype(np.int16), patient, direction, folder / f"{name}_{SUFFIXES[sequence]}")
    _write(patient.labels, patient, direction, folder / f"{name}_gd")
    _write(patient.mvo.astype(np.uint8), patient, direction, folder / f"{name}_mvo")
    write_json(folder / f"{name}_truth.json", _truth(patient))


def write_cohort(
    first_seed: int,
    count: int,
    folder: Path,
    config: PhantomConfig = PhantomConfig(),
    progress: Progress | None = None,
) -> list[Path]:
    """Write `count` patients with seeds from `first_seed`, a folder each, and the configuration.

    Args:
        first_seed: seed of the first patient; the others follow.
        count: number of patients.
        folder: holds a folder per patient and `cohort.json`.
        config: what kind of patients are drawn.
        progress: called with the finished fraction (0..1) and the patient's name.

    Returns:
        The patients' folders.
    """
    folder = Path(folder)
    written = []
    for index, seed in enumerate(range(first_seed, first_seed + count)):
        name = patient_name(seed)
        if progress:
            progress(index / count, name)
        written.append(write_patient(generate_patient(seed, config), folder / name))
    settings = {"first_seed": first_seed, "count": count, "config": asdict(config)}
    write_json(folder / COHORT_FILE, settings)
    return written


def _write(
    array: np.ndarray, patient: PhantomPatient, direction: tuple[float, ...], stem: Path
) -> None:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(patient.spacing_mm)
    image.SetDirection(direction)
    half = np.array(patient.spacing_mm) * (np.array(image.GetSize()) - 1) / 2
    image.SetOrigin(tuple(-np.array(direction).reshape(3, 3) @ half))
    save_image(image, stem.with_name(f"{stem.name}.nii.gz"))


def _truth(patient: PhantomPatient) -> dict[str, object]:
    """Everything that is known about the patient; volumes in mL, masses left to the reader."""
    voxel_ml = float(np.prod(patient.spacing_mm)) / 1000
    values, counts = np.unique(patient.labels, return_counts=True)
    return {
        "synthetic": True,
        "seed": patient.seed,
        "acute": patient.acute,
        "spacing_mm": list(patient.spacing_mm),
        "volume_ml": {str(v): round(float(n * voxel_ml), 4) for v, n in zip(values, counts) if v},
        "mvo_ml": round(float(patient.mvo.sum() * voxel_ml), 4),
        **patient.description,
    }

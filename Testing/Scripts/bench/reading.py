"""How long it takes to recognize and read a patient's files.

Run on an idle machine: python Testing/Scripts/bench/reading.py [--dicom FOLDER] [--nifti FILE]

Without a folder a cine of 12 slices x 20 phases (240 files of 256 x 256) is made. Each time is the
best of five; `myops info` is a process of its own, with its start-up.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "hearts"))
TIMES = 5


def main() -> None:
    """Print one line per measure, with its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dicom", type=Path, help="folder of a cine")
    parser.add_argument("--nifti", type=Path, help="an LGE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cine = arguments.dicom or made_cine(Path(folder) / "cine")
        lge = arguments.nifti or made_lge(Path(folder) / "lge.nii.gz")
        measure(cine, lge)


def measure(cine: Path, lge: Path) -> None:
    """Time the import, recognition, reading, and the command."""
    from myops.patients.find import read_sequence, recognize

    files = sum(1 for path in cine.rglob("*.dcm"))
    patient = recognize(cine)
    print(f"{files} DICOM files, {patient.sequences}".split(":")[0])
    report("recognize the folder", best(lambda: recognize(cine)), 2.0)
    report("recognize and read a phase", best(lambda: read_sequence(recognize(cine), "bssfp")), 3.0)
    command = [sys.executable, "-m", "myops", "info", "--lge", str(lge)]
    seconds = best(lambda: subprocess.run(command, check=True, capture_output=True))
    report("myops info on a NIfTI", seconds, 0.6)
    report("import myops", min(import_seconds() for _ in range(TIMES)), 0.05)


def import_seconds() -> float:
    """Seconds of `import myops` in a fresh interpreter, without the interpreter's own start."""
    code = "import time; t = time.perf_counter(); import myops; print(time.perf_counter() - t)"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, encoding="utf-8"
    )
    return float(done.stdout)


def best(work: Callable[[], object]) -> float:
    """Seconds of the fastest of several runs."""
    found = []
    for _ in range(TIMES):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def report(name: str, seconds: float, limit: float) -> None:
    """Print a measure beside its limit."""
    print(f"{name:30s} {seconds:6.3f} s   limit {limit:g} s")


def made_cine(folder: Path) -> Path:
    """Write 12 slices x 20 phases."""
    from dicom_series import picture, save

    pixels = np.random.default_rng(0).integers(0, 900, (256, 256)).astype(np.uint16)
    for t in range(20):
        for k in range(12):
            tags = {"SeriesDescription": "cine sa", "TriggerTime": f"{20 + 40 * t}"}
            save(picture(pixels, k), folder / f"{k:02d}_{t:02d}.dcm", **tags)
    return folder


def made_lge(path: Path) -> Path:
    """Write an LGE of 256 x 256 x 12."""
    import SimpleITK as sitk

    noise = np.random.default_rng(0).normal(300, 80, (12, 256, 256)).astype(np.float32)
    image = sitk.GetImageFromArray(noise)
    image.SetSpacing((1.4, 1.4, 10.0))
    sitk.WriteImage(image, str(path))
    return path


if __name__ == "__main__":
    main()

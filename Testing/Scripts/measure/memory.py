"""Peak memory of `myops info` and `myops segment` on large images, each in a process of its own.

    python Testing/Scripts/measure/memory.py --size 400 400 120 --sequences 3

A synthetic patient is laid on a grid of the size that is asked for, so that the networks find a
heart in it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from myops.phantom.patient import PhantomConfig, generate_patient

NAMES = {"lge": "DE", "bssfp": "C0", "t2": "T2"}
# Says its own peak: that of all children would hide which of them it was.
RUN = """
import resource, sys
from myops.cli import cli
try:
    cli(sys.argv[1:], standalone_mode=False)
finally:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"PEAK {peak / 1e6:.2f}", file=sys.stderr)
"""


def write_patient(folder: Path, size: tuple[int, int, int], sequences: int) -> float:
    """Write the images as float32, not compressed; their voxels in millions."""
    patient = generate_patient(3, PhantomConfig(dropout=False, normal_share=0.0))
    for name in list(NAMES)[:sequences]:
        image = sitk.GetImageFromArray(patient.images[name])
        image.SetSpacing(patient.spacing_mm)
        field_mm = np.array(image.GetSize()) * image.GetSpacing()
        grid = sitk.Image(list(size), sitk.sitkFloat32)
        grid.SetSpacing((field_mm / size).tolist())
        laid = sitk.Resample(image, grid, sitk.Transform(), sitk.sitkLinear)
        noise = np.random.default_rng(0).normal(0, 1e-3, sitk.GetArrayViewFromImage(laid).shape)
        noisy = sitk.GetImageFromArray(
            (sitk.GetArrayViewFromImage(laid) + noise).astype(np.float32)
        )
        noisy.CopyInformation(laid)
        noisy.SetOrigin((1.0, 2.0, 3.0))
        sitk.WriteImage(noisy, str(folder / f"p_{NAMES[name]}.nii"))
    return float(np.prod(size)) / 1e6


def peak_gb(*arguments: str) -> str:
    """Peak memory of a command in GB, or how it ended."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments], capture_output=True, text=True, encoding="utf-8"
    )
    told = [line.split()[1] for line in done.stderr.splitlines() if line.startswith("PEAK")]
    return told[0] if done.returncode == 0 and told else f"failed: {done.stderr[-300:]}"


def main() -> None:
    """Measure one size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, nargs=3, default=(400, 400, 120))
    parser.add_argument("--sequences", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        millions = write_patient(folder, tuple(arguments.size), arguments.sequences)
        print(f"{millions:.1f} million voxels, {arguments.sequences} sequences")
        print("info   ", peak_gb("info", str(folder)), "GB", flush=True)
        print("segment", peak_gb("segment", str(folder), "-o", str(folder / "out")), "GB")


if __name__ == "__main__":
    main()

"""Correct an automatic segmentation by clicks, record them, and do them again.

    python Docs/examples/correct_by_clicks.py

The patient is synthetic, so its true scar is known, and the script clicks where a reader who saw
it would click.
"""

import argparse
from pathlib import Path

import numpy as np

import myops

# MyoPS labels: scar, and microvascular obstruction inside it. The wall is these, edema and normal.
SCAR = (2221, 2222)
WALL = (200, 1220, *SCAR)
DENSITY_G_PER_ML = 1.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("correct-by-clicks"))
    parser.add_argument("--seed", type=int, default=950_038, help="of the synthetic patient")
    parser.add_argument("--clicks", type=int, default=5)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    options = parser.parse_args()

    folder = myops.write_phantom(options.output / "patient", options.seed)
    case = myops.load_case(folder)
    truth = myops.read_label_map(next(folder.glob("*_gd.nii.gz")), case)
    start = myops.segment(case, myops.load_models(options.device))

    # A session holds the labels, answers clicks, and remembers every step.
    session = myops.Session(myops.Refiner.load(options.device), case, start)
    print(f"automatic         {scar_g(case, start):5.1f} g")
    for _ in range(options.clicks):
        place = largest_error(session.labels, truth.labels)
        if place is None:
            break
        index, row, column, positive = place
        step = session.click("scar", index, row, column, positive)
        print(
            f"{'+' if positive else '-'} in slice {index + 1:<6}"
            f"{scar_g(case, session.segmentation()):5.1f} g   "
            f"{step.changed_voxels} voxels in {1000 * step.seconds:.0f} ms"
        )
    session.undo()
    session.redo()
    print(f"truth             {scar_g(case, truth):5.1f} g")

    # The clicks are the result's provenance: the same ones give the same mask, voxel for voxel.
    record = myops.write_record(options.output / "session.json", session)
    again = myops.replay(myops.read_record(record), case, start, session.refiner)
    assert np.array_equal(again.session.labels, session.labels), again.differences
    print(f"Done again from {record}: the same labels")


def scar_g(case: myops.Case, segmentation: myops.Segmentation) -> float:
    """Mass of the scar in g, as `myops.measure` gives it among many other numbers."""
    voxels = np.count_nonzero(np.isin(segmentation.labels, SCAR))
    return voxels * case.geometry.voxel_volume_ml * DENSITY_G_PER_ML


def largest_error(labels: np.ndarray, truth: np.ndarray) -> tuple[int, int, int, bool] | None:
    """Slice, row and column in the middle of what is most wrong, and whether scar is missing there.

    Args:
        labels: the present labels (z, y, x).
        truth: the true ones.
    """
    scar, true = np.isin(labels, SCAR), np.isin(truth, SCAR)
    missing, excess = true & ~scar & np.isin(labels, WALL), scar & ~true
    counts = np.stack([missing, excess]).sum(axis=(2, 3))
    if not counts.any():
        return None
    kind, index = np.unravel_index(counts.argmax(), counts.shape)
    places = np.argwhere((missing, excess)[kind][index])
    nearest = np.linalg.norm(places - places.mean(axis=0), axis=1).argmin()
    row, column = places[nearest]
    return int(index), int(row), int(column), bool(kind == 0)


if __name__ == "__main__":
    main()

"""What "Carry to neighboring slices" is worth: is a proposal nearer to the truth than what was there?

    MYOPS_MODEL=public-hearts python Testing/Scripts/measure/carry.py ../shared/real/emidec
    MYOPS_MODEL=synthetic python Testing/Scripts/measure/carry.py phantoms --patients 12

In every slice with scar in turn, a simulated reader makes so many clicks; the correction is then
carried to the slices beside, which he has not looked at. Counted are those whose truth is known and
in which the truth or the present mask shows scar.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "MyoPSSegmenter"))

from guidance import click, fresh, prepared

from myops.datasets import CaseLoader, case_loaders, phantom_readers
from myops.errors import InputError
from myops.labels import scar
from myops.quantify.mass import dice
from myops.refine.propagate import propagate_correction
from myops.refine.rules import FIRST_RULES
from myops.training.config import HELD_OUT_SEED
from myops.weights.files import Models, load_models


def main() -> None:
    """Carry every correction, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help='of a data set, or "phantoms"')
    parser.add_argument("--patients", type=int, default=12, help="so many phantoms")
    parser.add_argument("--clicks", type=int, default=3, help="in the corrected slice")
    parser.add_argument("--seed", type=int, default=0, help="of the reader")
    options = parser.parse_args()
    models = load_models("cpu")
    rows = [row for read in loaders(options) for row in carried_rows(read, models, options)]
    print(f"`python {' '.join(sys.argv)}`\n")
    print_table(np.array(rows).reshape(-1, 3))


def loaders(options: argparse.Namespace) -> Iterable[CaseLoader]:
    """The patients."""
    if options.folder == "phantoms":
        return phantom_readers(HELD_OUT_SEED, options.patients)
    return case_loaders(Path(options.folder))


def carried_rows(
    read: CaseLoader, models: Models, options: argparse.Namespace
) -> list[tuple[float, ...]]:
    """(Dice before, Dice after, pixels changed) of every slice beside a corrected one."""
    labeled = read()
    if not scar(labeled.labels).any():
        return []
    patient, segmentation, corrector = prepared(labeled, models)
    rows = []
    for source in np.flatnonzero(patient.truth.any(axis=(1, 2))):
        reading = fresh(patient, segmentation, options.seed)
        for _ in range(options.clicks):
            if not click(reading, int(source), corrector):
                break
        try:
            proposal = propagate_correction(
                corrector, segmentation, reading.labels, "scar", int(source), FIRST_RULES  # type: ignore[arg-type]
            )  # fmt: skip
        except InputError:
            continue  # nothing was corrected
        for index in {source - 1, source + 1} & set(np.flatnonzero(patient.labeled)):
            truth = patient.truth[index]
            before, after = scar(reading.labels[index]), scar(proposal.labels[index])
            if (truth | before).any():
                scores = (dice(mask, truth) or 0.0 for mask in (before, after))
                rows.append((*scores, np.count_nonzero(before != after)))
    return rows


def print_table(rows: np.ndarray) -> None:
    """What became of the slices for which something was proposed, and of all."""
    before, after, changed = rows.T
    touched = changed > 0
    better, worse = np.sum(after > before), np.sum(after < before)
    print("| proposals for | nearer to the truth, further away | Dice of those, before and after |"
          " Dice of all |\n|---|---|---|---|")  # fmt: skip
    print(f"| {touched.sum()} of {len(rows)} slices | {better}, {worse} | "
          f"{before[touched].mean():.3f}, {after[touched].mean():.3f} | "
          f"{before.mean():.3f}, {after.mean():.3f} |")  # fmt: skip


if __name__ == "__main__":
    main()

"""MyoPS 2020 and `myops phantom`: `*_gd` beside `*_C0`, `*_DE` or `*_LGE`, `*_T2`.

Or in a folder beside theirs, as the challenge hands them out (`train25/`, `train25_myops_gd/`).
"""

from __future__ import annotations

import glob
from dataclasses import replace
from pathlib import Path

import numpy as np

from myops import labels as regions
from myops.datasets.files import SUFFIX, beside, labeled, on_image, read
from myops.datasets.labeled_case import HEART, LabeledCase
from myops.label_maps import read_mask_file
from myops.labels import DEFAULT_CONVENTION, MVO
from myops.sequences import GRID_SEQUENCES, SEQUENCES
from myops.structures import ASSESSABLE

PATTERN = f"*_gd{SUFFIX}"


def is_labeled(path: Path) -> bool:
    """Whether a `*_gd` file has images."""
    named_as_care = beside(path, "_gd", "_LGE").exists()
    return not named_as_care and not _images(path).keys().isdisjoint(GRID_SEQUENCES)


def read_myops(path: Path, convention: str = DEFAULT_CONVENTION) -> LabeledCase:
    """A patient of MyoPS 2020 or of the phantom, by its `*_gd` file.

    The phantom's `*_mvo` mask, where it lies beside, marks microvascular obstruction.

    Raises:
        InputError: unreadable files, unknown labels, labels on another grid than the LGE, or of
            another convention.
    """
    name = beside(path, "_gd", "").name.removesuffix(SUFFIX)
    images = {key: read(file) for key, file in _images(path).items()}
    found = labeled("myops", name, images, path, convention, HEART.union(ASSESSABLE))
    obstruction = beside(path, "_gd", "_mvo")
    if not obstruction.exists():
        return found
    inside = on_image(read_mask_file(obstruction), found)[0] > 0
    labels = np.where(regions.scar(found.labels) & inside, MVO, found.labels).astype(np.uint16)
    return replace(found, labels=labels, structures=found.structures | {"mvo"})


def _images(path: Path) -> dict[str, Path]:
    """Sequence to file of the patient of a `*_gd` file: beside it, else in a neighboring folder."""
    possible = [
        (sequence, beside(path, "_gd", f"_{suffix}"))
        for sequence, row in SEQUENCES.items()
        for suffix in row.suffixes
    ]
    found = {sequence: file for sequence, file in possible if file.exists()}
    if found:
        return found
    neighbors = [
        (sequence, list(path.parent.parent.glob(f"*/{glob.escape(file.name)}")))
        for sequence, file in possible
    ]
    # Two of one name would be two patients: neither is taken.
    return {sequence: files[0] for sequence, files in neighbors if len(files) == 1}

"""MS-CMRSeg (MICCAI 2019, Zhuang 2016 and 2019): `patientN_LGE` with `patientN_LGE_manual`.

45 patients with infarcts; each sequence has labels of its own, drawn on its own grid, so every
sequence is a case of its own. Values are those of MyoPS (200 wall, 500 and 600 blood), and scar is
not told apart from the wall: PRSN learns nothing about scar from these LGE images
(`training.stages.untold`), other networks of tissue refuse them. T2 alone gives no grid and is left
out.
"""

from __future__ import annotations

import glob
from pathlib import Path

from myops.datasets.files import SUFFIX, beside, labeled, read, without_disease
from myops.datasets.labeled_case import HEART, LabeledCase
from myops.labels import DEFAULT_CONVENTION
from myops.sequences import GRID_SEQUENCES, SEQUENCES

MANUAL = "_manual"
PATTERN = f"*{MANUAL}{SUFFIX}"


def is_labeled(path: Path) -> bool:
    """Whether a `*_manual` file belongs to an image that gives a grid."""
    return _sequence(path) is not None and _image(path) is not None


def read_mscmrseg(path: Path, convention: str = DEFAULT_CONVENTION) -> LabeledCase:
    """One sequence of a patient by its `*_manual` file; raises InputError like `files.labeled`."""
    image, sequence = _image(path), _sequence(path)
    assert image is not None and sequence is not None  # `is_labeled` has asked
    name = image.name.removesuffix(SUFFIX)
    found = labeled("ms-cmrseg", name, {sequence: read(image)}, path, convention, HEART)
    return without_disease(found)


def _sequence(path: Path) -> str | None:
    """The sequence that the labels were drawn on; None for one that gives no grid."""
    stem = path.name.removesuffix(MANUAL + SUFFIX)
    for name in GRID_SEQUENCES:
        if any(stem.endswith(f"_{suffix}") for suffix in SEQUENCES[name].suffixes):
            return name
    return None


def _image(path: Path) -> Path | None:
    """Beside the labels, or in one neighboring folder: images and labels come apart."""
    image = beside(path, MANUAL, "")
    if image.exists():
        return image
    found = list(path.parent.parent.glob(f"*/{glob.escape(image.name)}"))
    return found[0] if len(found) == 1 else None

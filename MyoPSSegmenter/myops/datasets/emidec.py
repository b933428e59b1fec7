"""EMIDEC (Lalande et al. 2020): `*_LGE` beside `*_gt`."""

from __future__ import annotations

from pathlib import Path

from myops.datasets.files import SUFFIX, beside, labeled, read
from myops.datasets.labeled_case import HEART, LabeledCase

PATTERN = f"*_LGE{SUFFIX}"


def is_labeled(path: Path) -> bool:
    """Whether an image has a label file."""
    return beside(path, "_LGE", "_gt").exists()


def read_emidec(path: Path, convention: str = "emidec") -> LabeledCase:
    """An EMIDEC patient by its `*_LGE` file; raises InputError like `files.labeled`."""
    truth, name = beside(path, "_LGE", "_gt"), path.parent.name
    structures = HEART | {"scar", "mvo"}
    return labeled("emidec", name, {"lge": read(path)}, truth, convention, structures)

"""ACDC (Bernard et al. 2018): `*_gt` beside the frame of the same name."""

from __future__ import annotations

from pathlib import Path

from myops.datasets.files import SUFFIX, beside, labeled, read
from myops.datasets.labeled_case import HEART, LabeledCase

PATTERN = f"*_gt{SUFFIX}"


def is_labeled(path: Path) -> bool:
    """Whether a label file has a frame."""
    return beside(path, "_gt", "").exists()


def read_acdc(path: Path, convention: str = "acdc") -> LabeledCase:
    """A frame of an ACDC patient by its `*_gt` file; raises InputError like `files.labeled`."""
    frame = beside(path, "_gt", "")
    name = frame.name.removesuffix(SUFFIX)
    return labeled("acdc", name, {"bssfp": read(frame)}, path, convention, HEART)

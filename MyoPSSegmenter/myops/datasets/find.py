"""The labeled hearts below a folder, known by their file names: `PATTERN` of each data set."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

from myops.datasets import acdc, emidec, myops, sunnybrook
from myops.datasets.labeled_case import CaseLoader, LabeledCase
from myops.errors import InputError
from myops.labels import check_convention

# How many folders below the named one are looked into.
DEPTHS = ("", "*/", "*/*/")


def find_cases(folder: Path, convention: str = "") -> Iterator[LabeledCase]:
    """All labeled hearts below a folder, one at a time; see `case_loaders`."""
    for read in case_loaders(folder, convention):
        yield read()


def case_loaders(folder: Path, convention: str = "") -> list[CaseLoader]:
    """Find the labeled hearts below a folder without reading them.

    Args:
        folder: of the hearts.
        convention: how the label files number the structures, out of `labels.CONVENTIONS`; "" = as
            the data set of their names does.

    Returns:
        One function per heart, which reads it; they can be sent to another process.

    Raises:
        InputError: no folder, an unknown convention, or nothing in it is known.
    """
    if convention:
        check_convention(convention)
    labels = {"convention": convention} if convention else {}
    loaders: list[CaseLoader] = [
        *(partial(myops.read_myops, path, **labels) for path in _found(folder, myops)),
        *(partial(emidec.read_emidec, path, **labels) for path in _found(folder, emidec)),
        *(partial(acdc.read_acdc, path, **labels) for path in _found(folder, acdc)),
        *(partial(sunnybrook.read_sunnybrook, path.parent) for path in _found(folder, sunnybrook)),
    ]
    if not loaders:
        raise InputError(
            f"{folder}: expected labeled hearts (MyoPS *_gd, EMIDEC *_LGE with *_gt, ACDC *_gt, "
            "Sunnybrook dicom/ with contours/), found none; check the folder"
        )
    return loaders


def _found(folder: Path, dataset: ModuleType) -> list[Path]:
    paths = {path for depth in DEPTHS for path in folder.glob(depth + dataset.PATTERN)}
    return sorted(path for path in paths if dataset.is_labeled(path))

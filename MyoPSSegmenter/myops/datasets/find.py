"""The labeled hearts below a folder, known by their file names: `PATTERN` of each data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

from myops.datasets import acdc, care, emidec, mscmrseg, myops, nnunet, sunnybrook
from myops.datasets.labeled_case import CaseLoader, LabeledCase
from myops.errors import InputError
from myops.labels import check_convention

# How many folders below the named one are looked into.
DEPTHS = ("", "*/", "*/*/")
# Title of a data set, its file, and what reads a heart of it.
ADAPTERS: tuple[tuple[str, ModuleType, Callable[..., LabeledCase]], ...] = (
    ("MyoPS *_gd", myops, myops.read_myops),
    ("MyoPS++ *_LGE with *_gd", care, care.read_care),
    ("EMIDEC *_LGE with *_gt", emidec, emidec.read_emidec),
    ("ACDC *_gt", acdc, acdc.read_acdc),
    ("MS-CMRSeg *_manual", mscmrseg, mscmrseg.read_mscmrseg),
    ("nnU-Net labelsTr", nnunet, nnunet.read_nnunet),
    ("Sunnybrook dicom/ with contours/", sunnybrook, sunnybrook.read_sunnybrook),
)


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
    loaders: list[CaseLoader] = []
    for _, dataset, read in ADAPTERS:
        given = {} if dataset is sunnybrook else labels  # contours have no numbers
        loaders += [partial(read, path, **given) for path in _found(folder, dataset)]
    if not loaders:
        known = ", ".join(title for title, *_ in ADAPTERS)
        raise InputError(
            f"{folder}: expected labeled hearts ({known}), found none; check the folder"
        )
    return loaders


def _found(folder: Path, dataset: ModuleType) -> list[Path]:
    paths = {path for depth in DEPTHS for path in folder.glob(depth + dataset.PATTERN)}
    return sorted(path for path in paths if dataset.is_labeled(path))

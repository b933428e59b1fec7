"""nnU-Net's raw format: `imagesTr/NAME_0000` and `labelsTr/NAME`, told by `dataset.json`.

Channels and labels have names there: channels those of our sequences ("LGE", "C0", "T2w"), labels
those of our structures or the common short words below. The other way round, labeled hearts are
written in this format by `reproduce.nnunet.files`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from myops.datasets.files import labeled, read, without_disease
from myops.datasets.labeled_case import LabeledCase
from myops.errors import InputError
from myops.io.text_files import read_json
from myops.labels import Convention, check_convention
from myops.sequences import SEQUENCES
from myops.structures import LABEL_VALUES, STRUCTURES

DESCRIPTION = "dataset.json"
PATTERN = "labelsTr/*"
# Words that data sets use for our structures, in lower case.
WORDS = {
    "background": "",
    "lv": "blood_pool",
    "lvc": "blood_pool",
    "lv_blood_pool": "blood_pool",
    "rv": "right_ventricle",
    "rvc": "right_ventricle",
    "myo": "normal_myocardium",
    "lvm": "normal_myocardium",
    "myocardium": "normal_myocardium",
    "infarct": "scar",
    "infarction": "scar",
    "no_reflow": "mvo",
    **{name: name for name in LABEL_VALUES},
}


def is_labeled(path: Path) -> bool:
    """Whether a file of `labelsTr` belongs to a data set with a description."""
    return path.is_file() and (path.parents[1] / DESCRIPTION).is_file()


def read_nnunet(path: Path, convention: str = "") -> LabeledCase:
    """A patient of a raw data set by its label file.

    Args:
        path: in `labelsTr`.
        convention: how the labels are numbered, where `dataset.json` does not say it in our words.

    Raises:
        InputError: a damaged description, names that mean no sequence or structure of ours, missing
            images, or see `files.labeled`.
    """
    root = path.parents[1]
    found = _description(root / DESCRIPTION)
    ending = str(found.get("file_ending", ".nii.gz"))
    name = path.name.removesuffix(ending)
    images = {
        sequence: read(root / "imagesTr" / f"{name}_{int(number):04d}{ending}")
        for number, sequence in _channels(found, root).items()
    }
    if convention:
        check_convention(convention)
        return labeled("nnunet", name, images, path, convention, frozenset(STRUCTURES))
    numbers = _labels(found, root)
    structures = frozenset(numbers.values())
    if "normal_myocardium" in structures:  # with what it leaves out it makes the wall
        structures |= {"myocardium"}
    told = Convention(f"{root.name}'s", numbers)
    return without_disease(labeled("nnunet", name, images, path, told, structures))


def _description(path: Path) -> Mapping[str, Any]:
    found = read_json(path)
    if not isinstance(found, dict) or not isinstance(found.get("labels"), dict):
        raise InputError(
            f"{path}: expected nnU-Net's description with channel_names and labels, found "
            "something else; write it again"
        )
    return found


def _channels(found: Mapping[str, Any], root: Path) -> dict[str, str]:
    """Channel number to sequence."""
    names = found.get("channel_names") or found.get("modality") or {}
    channels = {}
    for number, title in names.items():
        word = str(title).lower()
        known = [key for key, row in SEQUENCES.items() if word == key or word in row.file_parts]
        if not known:
            raise InputError(
                f"{root / DESCRIPTION}: expected channels named after {', '.join(SEQUENCES)}, "
                f"found {title!r}; rename it"
            )
        channels[str(number)] = known[0]
    return channels


def _labels(found: Mapping[str, Any], root: Path) -> dict[int, str]:
    """Value in the file to structure."""
    numbers = {}
    for title, value in found["labels"].items():
        structure = WORDS.get(str(title).lower().replace(" ", "_").replace("-", "_"))
        if structure is None or not isinstance(value, int):
            raise InputError(
                f"{root / DESCRIPTION}: expected labels named {', '.join(LABEL_VALUES)}, found "
                f"{title!r}: {value!r}; rename it, or give the numbering with --convention"
            )
        if structure:
            numbers[value] = structure
    return numbers

"""Which file of a folder is which sequence, told by its name."""

from __future__ import annotations

import re
from pathlib import Path

from .errors import InputError
from .io import SUFFIXES

# MyoPS 2020 writes C0 for bSSFP and DE for LGE; the rest are names in common use.
NAME_PARTS = {
    "bssfp": ("c0", "bssfp", "ssfp", "cine"),
    "lge": ("de", "lge", "psir"),
    "t2": ("t2", "t2w", "stir"),
}
LABEL_PARTS = {"gd", "gt", "seg", "label", "labels", "mask", "manual", "segmentation"}


def find_sequences(folder: Path) -> dict[str, list[Path]]:
    """Map each sequence found in a folder to its one file.

    Raises:
        InputError: no folder, no file with a known name, or several files of one sequence.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of images, found none; check the path")
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        sequence = sequence_of(path)
        if sequence is not None:
            found.setdefault(sequence, []).append(path)
    if not found:
        raise InputError(
            f"{folder}: expected images named *_C0, *_DE or *_LGE, *_T2 ({', '.join(SUFFIXES)}), "
            "found none; rename them or name each file with --lge, --bssfp, --t2"
        )
    for sequence, paths in found.items():
        if len(paths) > 1:
            names = ", ".join(path.name for path in paths)
            raise InputError(
                f"{folder}: expected one {sequence} image, found {names}; "
                f"name the right one with --{sequence}"
            )
    return found


def stem(path: Path) -> str:
    """The file name without its image suffixes."""
    return re.sub(r"\.(nii|gz|nrrd|nhdr|mha|mhd)\b", "", path.name, flags=re.IGNORECASE)


def sequence_of(path: Path) -> str | None:
    """The sequence that an image file's name tells; None for other files and for label maps."""
    if not path.is_file() or not path.name.lower().endswith(SUFFIXES):
        return None
    parts = re.split(r"[^a-z0-9]+", stem(path).lower())
    if path.name.startswith(".") or LABEL_PARTS & set(parts):
        return None
    # The sequence stands last in such names: "study_T2_patient_DE" is an LGE.
    for part in reversed(parts):
        for sequence, known in NAME_PARTS.items():
            if part in known:
                return sequence
    return None

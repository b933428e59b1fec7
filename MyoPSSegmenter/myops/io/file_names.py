"""Which file of a folder is which sequence, told by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from myops.errors import InputError
from myops.io.checks import SUFFIXES
from myops.sequences import FILE_PATTERNS, OPTIONS, SEQUENCES, option

KNOWN_PARTS = frozenset(part for row in SEQUENCES.values() for part in row.file_parts)
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
            f"{folder}: expected images named {FILE_PATTERNS} ({', '.join(SUFFIXES)}), "
            f"found none; rename them or name each file with {OPTIONS}"
        )
    for sequence, paths in found.items():
        if len(paths) > 1:
            names = ", ".join(path.name for path in paths)
            raise InputError(
                f"{folder}: expected one {sequence} image, found {names}; "
                f"name the right one with {option(sequence)}"
            )
    return found


def holds_image_files(folder: Path) -> bool:
    """Whether a folder itself has image files that are not DICOM."""
    return folder.is_dir() and any(
        path.is_file() and path.name.lower().endswith(SUFFIXES) for path in folder.iterdir()
    )


def differing_names(files: Mapping[str, Path]) -> list[str]:
    """Whether names of files speak of different patients: a sentence without the names, or none.

    Args:
        files: sequence name to its file.

    Raises:
        InputError: names alike but for a number before the sequence, as `p077_DE` and `p078_T2`.
    """
    prefixes = {key: file_prefix(path).lower() for key, path in files.items()}
    found = {prefix for prefix in prefixes.values() if prefix}
    if len(found) < 2:
        return []
    keys = [key for key, prefix in prefixes.items() if prefix]
    shapes = {re.sub(r"\d+", "0", prefix) for prefix in found}
    counted = all(re.fullmatch(r"\d{1,3}", prefix) for prefix in found)
    if len(shapes) == 1 and not counted:
        names = ", ".join(files[key].name for key in keys)
        raise InputError(
            f"expected images of one patient, found names of different patients ({names}); name "
            f"the images of one with {OPTIONS}"
        )
    return [
        f"the names of {' and '.join(keys)} begin with different words: are they of one patient?"
    ]


def file_prefix(path: Path) -> str:
    """What a file's name says before its sequence: the patient, where several share a folder."""
    pieces = re.split(r"([^A-Za-z0-9]+)", stem(path))  # words at even places
    words = [word.lower() for word in pieces[::2]]
    known = [place for place, word in enumerate(words) if word in KNOWN_PARTS]
    if not known:
        return stem(path)
    first = known[-1]
    while first > 0 and words[first - 1] in KNOWN_PARTS:
        first -= 1
    return "".join(pieces[: 2 * first]).strip(" _-.")


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
        for sequence, row in SEQUENCES.items():
            if part in row.file_parts:
                return sequence
    return None

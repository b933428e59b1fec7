"""Whose results a folder holds: those of one patient are never mixed with another's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from myops.case import images_sha256
from myops.errors import InputError
from myops.io.geometry_notes import MARK
from myops.io.text_files import read_json

if TYPE_CHECKING:
    from myops.case import Case

RESULTS_FILE = "results.json"
QUANTIFICATION_FILE = "quantification.json"
LABELS_FILE = "segmentation.nii.gz"
# Files that only results have; where none of the notes above tells their images, nobody knows them.
UNMISTAKABLE = (LABELS_FILE, "segmentation.seg.nrrd", "measurements.json", "report.html")
# What a reader has made, and no program can make again.
SESSION_FILE = "session.json"
REFINED_FOLDER = "refined"
# A mark in a label file's header: 80 bytes are free in NIfTI's.
MARK_DIGITS = 16


def check_same_images(folder: str | Path, own: Mapping[str, str]) -> None:
    """Refuse a folder that holds results of other images.

    Args:
        folder: that results are to be written into; it may not exist.
        own: sequence name to the checksum of the images, see `case.images_sha256`.

    Raises:
        InputError: another patient's results, results whose images nobody noted, or a reader's
            corrections that new results would leave beside another patient's numbers.
    """
    folder = Path(folder)
    earlier = [_read(folder / name) for name in (RESULTS_FILE, QUANTIFICATION_FILE)]
    noted = [found["images_sha256"] for found in earlier if found and "images_sha256" in found]
    for images in noted:
        if not _are_same(images, own):
            raise InputError(
                f"{folder}: expected a new folder, or one with earlier results of these images, "
                "found results of other images (another patient, or another file); name another "
                "folder, or delete these results first"
            )
    unknown = [name for name in UNMISTAKABLE if (folder / name).exists()]
    if unknown and not noted:
        raise InputError(
            f"{folder}: expected a new folder, or one with earlier results of these images, found "
            f"{', '.join(unknown)} without a note of their images; name another folder, or delete "
            "these files first"
        )
    refined = _read(folder / REFINED_FOLDER / RESULTS_FILE)
    if refined and not _are_same(refined.get("images_sha256", {}), own):
        raise InputError(
            f"{folder}: expected no results of other images, found a reader's corrections of "
            f"another image in {REFINED_FOLDER}; name another folder"
        )


def check_no_corrections(folder: str | Path) -> None:
    """Refuse to write automatic results over those that a reader has corrected.

    Raises:
        InputError: the folder holds a reader's session.
    """
    if (Path(folder) / SESSION_FILE).exists():
        raise InputError(
            f"{folder}: expected a folder for automatic results, found a reader's corrections "
            f"({SESSION_FILE}) that would be lost; name another folder"
        )


def sort_earlier_files(
    folder: str | Path, labels_sha256: str, written: Collection[str]
) -> tuple[list[str], list[Path]]:
    """Files of earlier results of the same images, beside those that are written now.

    Args:
        folder: of the results.
        labels_sha256: of the labels that are written now.
        written: names of the files that are written now.

    Returns:
        Names of those that were made of the same labels and stay, and paths of those that the
        present labels make wrong.
    """
    earlier = _read(Path(folder) / RESULTS_FILE) or {}
    # Only names, never paths: a note that somebody edited cannot name a file elsewhere.
    names = [name for name in earlier.get("files", ()) if Path(str(name)).name == name]
    others = [n for n in names if n not in written and (Path(folder) / n).is_file()]
    if earlier.get("labels_sha256") == labels_sha256:
        return others, []
    return [], [Path(folder) / name for name in others]


def mark_text(case: Case) -> str:
    """The checksum of the reference image for a label file's header."""
    return f"{MARK} {case.reference} {images_sha256(case)[case.reference][:MARK_DIGITS]}"


def mark_warning(mark: str, case: Case, name: str) -> str:
    """A sentence if a label file's mark names another image than the case's; "" if not.

    Args:
        mark: what `mark_text` wrote; "" where there is none.
        case: the images.
        name: of the label file.
    """
    parts = mark.split()
    if len(parts) != 3 or parts[0] != MARK or parts[1] not in case.images:
        return ""
    found = images_sha256(case)[parts[1]][:MARK_DIGITS]
    if parts[2] == found:
        return ""
    return (
        f"{name}: these labels were made on another {parts[1]} image (its checksum begins with "
        f"{parts[2][:8]}, this one's with {found[:8]}): check that both are of one patient"
    )


def _are_same(earlier: Any, own: Mapping[str, str]) -> bool:
    """Whether an image of both is the same: a sequence may have come or gone, or been moved."""
    if not isinstance(earlier, dict):
        return False
    return any(own.get(name) == checksum for name, checksum in earlier.items())


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = read_json(path)
    except (OSError, InputError):
        return None
    return found if isinstance(found, dict) else None

"""What was uploaded becomes one patient: archives are unpacked into its folder, not below it."""

from __future__ import annotations

from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from myops.errors import InputError

if TYPE_CHECKING:
    from myops.patients.find import PatientFiles


def unpack_archives(folder: Path, limit_bytes: int) -> None:
    """Unpack every .zip of a folder, each into a folder of its own.

    Raises:
        InputError: unsafe or damaged archives, or all of them unpack to more than the limit.
    """
    from myops.batch.archives import unpack

    left = limit_bytes
    for number, archive in enumerate(sorted(folder.glob("*.[zZ][iI][pP]"))):
        place = unpack(archive, folder / f"archive{number}", left)
        left -= sum(path.stat().st_size for path in place.rglob("*"))
        archive.unlink()


def lay_flat(folder: Path) -> None:
    """Move image files of sub-folders up: a folder of image files would be a patient's name.

    DICOM stays where it is, for a patient is named by the uppermost folder of its series.
    """
    from myops.io.checks import SUFFIXES

    below = [path for path in sorted(folder.rglob("*")) if path.parent != folder and path.is_file()]
    for path in below:
        place = _folder_for(path, folder)
        if path.name.lower().endswith(SUFFIXES) and place != path.parent:
            place.mkdir(exist_ok=True)
            path.rename(free_place(place / path.name))
    _remove_empty(folder)


def free_place(path: Path) -> Path:
    """The path, or one with a number before its name where a file is there already."""
    names = (f"{number}-{path.name}" for number in count(2))
    others = (path.with_name(name) for name in names)
    return next(one for one in chain([path], others) if not one.exists())


def _folder_for(path: Path, folder: Path) -> Path:
    """The patient's folder, or one in it whose name alone tells the sequence: LGE/image.nii.gz."""
    from myops.dicom.series_names import sequence_in
    from myops.io.file_names import sequence_of, stem

    is_told = sequence_of(path) or sequence_in(stem(path))
    if is_told or sequence_in(path.parent.name) is None:
        return folder
    return folder / path.parent.name


def _remove_empty(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):  # the deepest first
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def only_patient(folder: Path) -> PatientFiles:
    """The patient that the list will show for a folder that lies alone in another one.

    Raises:
        InputError: no images, several patients, or one whose name is not the folder's.
    """
    from myops.patients.find import find_patients

    found = find_patients(folder.parent)
    if len(found) > 1:
        raise InputError(
            f"expected the images of one patient, found those of {len(found)}; add each patient on "
            "its own, with one image of each sequence"
        )
    if found[0].name != folder.name:
        raise InputError(
            f"expected a patient's name, found {folder.name}, which reads as the name of a "
            "sequence; choose another name"
        )
    return found[0]

"""Which files of an upload are images, by their content: a name from outside says nothing."""

from __future__ import annotations

import re
from pathlib import Path

from myops.errors import InputError
from myops.io.checks import SUFFIXES

# Within so many bytes a header says where its voxels are.
HEADER_BYTES = 2**20
NRRD = b"NRRD"
DETACHED_NRRD = re.compile(rb"^\s*data\s*file\s*:", re.IGNORECASE | re.MULTILINE)
# What comes first counts, as for the reader.
ATTACHED_METAIMAGE = re.compile(
    rb"\A(?:(?!ElementDataFile).)*ElementDataFile\s*=\s*LOCAL\s*\n", re.S
)


def is_image(path: Path) -> bool:
    """Whether a file is an image by its content: NIfTI, NRRD, MetaImage or DICOM.

    Raises:
        InputError: a header whose voxels lie in another file, which might be anyone's.
    """
    from myops.dicom.headers import is_dicom
    from myops.io.nifti import is_nifti

    name = path.name.lower()
    with path.open("rb") as stream:
        begin = stream.read(len(NRRD))
        if begin == NRRD or name.endswith((".mha", ".mhd")):
            begin += stream.read(HEADER_BYTES)
    if begin.startswith(NRRD):  # ITK reads it whatever its name is
        header, end, _ = begin.replace(b"\r\n", b"\n").partition(b"\n\n")
        _check_attached(bool(end) and DETACHED_NRRD.search(header) is None, path)
        return name.endswith(".nrrd")
    if name.endswith((".mha", ".mhd")):
        _check_attached(ATTACHED_METAIMAGE.search(begin) is not None, path)
        return name.endswith(".mha")
    if name.endswith((".nii", ".nii.gz")):
        return is_nifti(path)
    return not name.endswith(SUFFIXES) and is_dicom(path)


def _check_attached(is_attached: bool, path: Path) -> None:
    if not is_attached:
        raise InputError(
            f"{path.name}: expected an image in one file, found a header whose voxels lie in "
            "another one; save it as .nii.gz, .nrrd or .mha"
        )

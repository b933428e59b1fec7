"""Images into files of any name: ITK takes names in UTF-8 and ends the program at other bytes.

Such names come from old disks and ZIP files: folders called by a Latin-1 u-umlaut, for instance.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from myops.errors import InputError
from myops.io.readable import is_utf8

if TYPE_CHECKING:
    import SimpleITK as sitk

# Longest first: what ITK chooses the format by.
SUFFIXES = (".nii.gz", ".seg.nrrd", ".nii", ".nrrd", ".mha")


def save_image(image: sitk.Image, path: Path) -> None:
    """Write an image, compressed, to a file of any name.

    Raises:
        InputError: neither the name nor the folder for temporary files is in UTF-8.
    """
    import SimpleITK as sitk

    if is_utf8(str(path)):
        sitk.WriteImage(image, str(path), useCompression=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        if not is_utf8(folder):
            raise InputError(
                f"{path}: expected a name in UTF-8, found other bytes; choose another folder"
            )
        suffix = next(suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix))
        written = Path(folder) / f"image{suffix}"
        sitk.WriteImage(image, str(written), useCompression=True)
        shutil.copyfile(written, path)

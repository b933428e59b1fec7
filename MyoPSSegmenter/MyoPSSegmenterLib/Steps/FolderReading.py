"""A patient's folder, read in the background: no scene is touched here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from myops.errors import Cancelled
from myops.progress import Progress
from myops.sequences import SEQUENCE_TITLES, SEQUENCES
from MyoPSSegmenterLib.Runtime.Translation import tr as _

if TYPE_CHECKING:
    import SimpleITK as sitk

    from myops.patients.find import PatientFiles


def readFolder(
    folder: str | Path,
    prepare: Callable[[], object],
    progress: Progress,
    cancelled: Callable[[], bool],
) -> tuple[PatientFiles, Mapping[str, sitk.Image]]:
    """Recognize a patient's images and read them.

    Args:
        folder: of the patient.
        prepare: called first, to make the folder say.
        progress: told the fraction and what is read.
        cancelled: asked between two images.

    Raises:
        InputError: no images, or one cannot be read.
        Cancelled: the reader gave it up.
    """
    from myops.patients.find import recognize

    prepare()
    progress(0.0, _("looking for images"))
    files = recognize(folder)
    return files, readImages(files, progress, cancelled)


def readImages(
    files: PatientFiles,
    progress: Progress = lambda fraction, stage: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> dict[str, sitk.Image]:
    """Read a patient's images by sequence; arguments and errors as for `readFolder`."""
    from myops.patients.find import read_sequence

    present = [key for key in SEQUENCES if key in files.sequences]
    images = {}
    for index, key in enumerate(present):
        if cancelled():
            raise Cancelled
        progress(index / len(present), _("reading {title}").format(title=SEQUENCE_TITLES[key]))
        images[key] = read_sequence(files, key)
    return images

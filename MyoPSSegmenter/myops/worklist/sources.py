"""An image file or a DICOM series: its sequence, how well it fits, and its phases."""

from __future__ import annotations

import re
from pathlib import Path

from ..io import quiet_simpleitk
from ..naming import NAME_PARTS, sequence_of, stem
from .dicom import DicomSeries
from .words import is_other, rank, sequence_in

Source = Path | DicomSeries
KNOWN_PARTS = frozenset(part for parts in NAME_PARTS.values() for part in parts)
# A stack of the ventricle has more slices than a localizer or a single long-axis view.
LEAST_DEPTH = 4


def sequence_of_source(source: Source) -> str | None:
    """The sequence that a file's name or a series' description tells."""
    if isinstance(source, Path):
        return file_sequence(source)
    return sequence_in(source.description)


def file_sequence(path: Path) -> str | None:
    """The sequence of an image file: as `myops segment` reads its name, or else its folder's."""
    return sequence_of(path) or sequence_in(stem(path)) or sequence_in(path.parent.name)


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


def rank_of_source(source: Source) -> int:
    """How well it fits among those of its sequence: the short axis, many slices, magnitude."""
    if isinstance(source, Path):
        return rank(stem(source)) - 16 * is_other(stem(source))
    component = {"M": 1, "": 0, "P": -8}[source.component]
    return rank(source.description) + component + 16 * (source.depth >= LEAST_DEPTH)


def phases_of_source(source: Source) -> int:
    """Volumes over time; 1 where there is no time, or the header cannot be read."""
    if isinstance(source, DicomSeries):
        return source.phases
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(source))
    try:
        with quiet_simpleitk():
            reader.ReadImageInformation()
    except RuntimeError:  # said when it is read
        return 1
    size = reader.GetSize()
    return int(size[3]) if len(size) == 4 else 1

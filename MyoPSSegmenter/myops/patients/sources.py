"""An image file or a DICOM series: its sequence, how well it fits, and its phases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from myops.dicom.series import DicomSeries
from myops.dicom.series_names import is_other, rank, sequence_in, sequence_word
from myops.io.file_names import sequence_of, stem
from myops.io.images import quiet_simpleitk

Source = Path | DicomSeries
# A stack of the ventricle has more slices than a localizer or a single long-axis view.
LEAST_DEPTH = 4
# Without a description the technique tells: so many phases are a cine, an inversion recovery is an
# LGE, and an echo this late is weighted by T2.
CINE_PHASES = 8
LATE_ECHO_MS = 40.0
# Magnitude before the phase-sensitive image, on which half of the maximum has no meaning.
COMPONENT_RANK = {"M": 1, "": 0, "R": 0, "P": -8, "I": -8}


@dataclass(frozen=True)
class Recognition:
    """Which sequence an image is.

    Attributes:
        sequence: "bssfp", "lge", "t2", or None.
        reason: what tells it, or why it is left out, to be read after "because".
    """

    sequence: str | None
    reason: str


def recognition(source: Source) -> Recognition:
    """Tell the sequence of an image file or DICOM series, and what tells it."""
    if isinstance(source, Path):
        found = file_sequence(source)
        return Recognition(found, "of its name" if found else "its name tells no sequence")
    if source.sorted_frames.times:
        return Recognition(None, source.problem)
    sequence, word = sequence_word(source.description)
    if word:
        said = f'its description says "{word}"'
        return Recognition(sequence, said)
    return _by_technique(source)


def _by_technique(series: DicomSeries) -> Recognition:
    """What the way of taking it tells, for a series whose description tells nothing."""
    frame = series.stack[0][0]
    if series.depth < LEAST_DEPTH:
        slices = f"{series.depth} slice{'s' * (series.depth > 1)}"
        return Recognition(None, f"its description tells nothing, and it has {slices} only")
    if series.phases >= CINE_PHASES:
        return Recognition("bssfp", f"it has {series.phases} phases of the heartbeat")
    if series.phases == 1 and ("IR" in series.technique or frame.inversion_ms):
        time = f" (TI {frame.inversion_ms:g} ms)" if frame.inversion_ms else ""
        return Recognition("lge", f"it is an inversion recovery{time}")
    if series.phases == 1 and (frame.echo_ms or 0) >= LATE_ECHO_MS:
        return Recognition("t2", f"its echo time is {frame.echo_ms:g} ms")
    return Recognition(None, "neither its description nor its technique tells a sequence")


def file_sequence(path: Path) -> str | None:
    """The sequence of an image file: as `myops segment` reads its name, or else its folder's."""
    return sequence_of(path) or sequence_in(stem(path)) or sequence_in(path.parent.name)


def rank_of_source(source: Source) -> int:
    """How well it fits among those of its sequence: the short axis, many slices, magnitude."""
    if isinstance(source, Path):
        return rank(stem(source)) - 16 * is_other(stem(source))
    component = COMPONENT_RANK[source.component]
    whole = 16 * (source.depth >= LEAST_DEPTH) - 64 * bool(source.problem)
    return rank(source.description) + component + whole


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

"""The DICOM pictures that a segmentation refers to, read again when it is written.

Every slice is described by a header of its own (`SourcePicture.header`), whatever file it comes
from: one file a slice in any order, an enhanced multi-frame file, or a movie for each slice. So
the writers know one kind of source. A header holds what its object needs and nothing else, so
that no field of the scanner's files gets into a result unseen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from myops.case import UNNAMED
from myops.dicom.headers import Frame, header_of, quiet_pydicom
from myops.dicom.stack import SAME_ANGLE_DEGREES, normal_of
from myops.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset

    from myops.case import Case
    from myops.geometry.grid import Geometry

# What ties an object to a person, and what is put in its place unless identity is asked for.
IDENTITY = {
    "PatientName": "",
    "PatientID": "",
    "PatientBirthDate": "",
    "PatientSex": "",
    "AccessionNumber": "",
    "StudyID": "",
    "StudyDate": "",
    "StudyTime": "",
    "ReferringPhysicianName": "",
}
# Images and headers are of one grid when they differ by less: DICOM writes six digits or more.
SAME_MM = 0.05
SAME_COSINE = 1e-3
SAME_SPACING = 1e-3


@dataclass(frozen=True)
class SourcePicture:
    """A slice's picture.

    Attributes:
        sop_class: UID of its file's kind.
        uid: SOP instance UID of its file.
        series: series instance UID of its file.
        frame: number of the frame in the file, from 1; None in a file of one frame.
        header: what a segmentation takes over: geometry, frame of reference, study, patient. Its
            instance UID is made up, so that frames of one file can be told apart.
    """

    sop_class: str
    uid: str
    series: str
    frame: int | None
    header: Dataset


def check_sources(case: Case) -> tuple[Frame, ...]:
    """Refuse a case for which no DICOM can be written, before any long work.

    Returns:
        The reference image's pictures, one a slice.

    Raises:
        InputError: the reference does not come from DICOM.
    """
    frames = case.source_frames.get(case.reference)
    if not frames:
        raise InputError(
            f"expected the {case.reference} image as DICOM to write DICOM results, which refer to "
            "its instances, found an image of another format; read the patient from the scanner's "
            "DICOM files, or leave DICOM out"
        )
    return frames


def read_sources(case: Case, keep_identity: bool = False) -> tuple[SourcePicture, ...]:
    """The source of every slice of the reference image, in the order of its own grid.

    Args:
        case: read from DICOM.
        keep_identity: take over the patient's name, number, birth date and sex, and the study's
            date and accession number; else they are empty, or the name that the case was given
            (not that of a folder).

    Raises:
        InputError: not from DICOM, a file is missing or another one now, two or no frames of
            reference, slices that are not parallel, or images that were moved since.
    """
    frames = check_sources(case)
    files: dict[Path, tuple[Dataset, tuple[Frame, ...]]] = {}
    for frame in frames:
        if frame.path not in files:
            files[frame.path] = _read_again(frame)
    _check_one_place([files[path][0] for path in files])
    now = [files[frame.path][1][frame.index] for frame in frames]
    _check_parallel(now)
    _check_grid(now, case.own_grids[case.reference])
    identity = None if keep_identity else _substitute(case.name, frames)
    return tuple(_source(files[frame.path][0], frame, now[0], identity) for frame in now)


def _read_again(frame: Frame) -> tuple[Dataset, tuple[Frame, ...]]:
    """A file's header and frames.

    Raises:
        InputError: it is no longer there, or no longer what was segmented.
    """
    with quiet_pydicom() as pydicom:
        try:
            dataset = pydicom.dcmread(frame.path, stop_before_pixels=True, force=True)
            header = header_of(frame.path, dataset)
        # A file may be damaged in any way; what the user can do is the same.
        except Exception as error:
            raise _gone(frame, "cannot be read any more") from error
    frames = () if header is None else header.frames
    if frame.index >= len(frames) or frames[frame.index].uid != frame.uid:
        raise _gone(frame, "is another image now")
    return dataset, frames


def _gone(frame: Frame, what: str) -> InputError:
    return InputError(
        f"expected the DICOM files that were segmented, found that {frame.path.name} {what}; put "
        "them back where they were, or segment the patient again from where they are now"
    )


def _check_one_place(datasets: Sequence[Dataset]) -> None:
    """Refuse images of two examinations or coordinate systems, or without any.

    Raises:
        InputError: naming what differs.
    """
    places = {str(dataset.get("FrameOfReferenceUID") or "") for dataset in datasets}
    if places == {""}:
        raise InputError(
            "expected images that name their frame of reference (0020,0052), without which no "
            "DICOM segmentation can lie on them, found none; export the series again with it, or "
            "leave DICOM out"
        )
    if len(places) > 1:
        raise InputError(
            f"expected slices of one frame of reference (0020,0052), found {len(places)}: the "
            "patient was placed anew between them; segment each part by itself, or leave DICOM out"
        )
    if len({str(dataset.StudyInstanceUID) for dataset in datasets}) > 1:
        raise InputError(
            "expected slices of one examination, found several study instance UIDs; leave DICOM out"
        )


def _check_parallel(frames: Sequence[Frame]) -> None:
    """Refuse a fan: a DICOM segmentation states one orientation for all of its frames.

    Raises:
        InputError: slices at an angle, or without position or pixel size.
    """
    if any(f.orientation is None or f.position_mm is None or f.pixel_mm is None for f in frames):
        raise InputError(
            "expected DICOM slices with position, orientation and pixel spacing, found some "
            "without; export the series again, or leave DICOM out"
        )
    cosine = np.cos(np.radians(SAME_ANGLE_DEGREES))
    first = _axes(frames[0])
    if any(min(np.sum(first * _axes(frame), axis=1)) < cosine for frame in frames):
        raise InputError(
            "expected parallel slices for a DICOM segmentation, found slices at an angle to each "
            "other; leave DICOM out"
        )


def _axes(frame: Frame) -> np.ndarray:
    """Unit vectors (2, 3) along a row and through the slice."""
    row = np.array(frame.orientation[:3] if frame.orientation else (1.0, 0.0, 0.0))
    normal = normal_of(frame)
    assert normal is not None
    return np.stack([row / np.linalg.norm(row), normal])


def _check_grid(frames: Sequence[Frame], grid: Geometry) -> None:
    """Refuse an image that no longer lies where its files say: moved, resampled or re-spaced.

    Raises:
        InputError: the labels would lie beside the pictures that they name.
    """
    first = frames[0]
    assert first.pixel_mm is not None and first.position_mm is not None
    size = (first.size[1], first.size[0], len(frames))
    spacing = np.array(first.pixel_mm[::-1])
    stated = np.array(first.orientation).reshape(2, 3)
    same = (
        grid.size_xyz == size
        and np.allclose(grid.spacing_mm[:2], spacing, rtol=SAME_SPACING)
        and np.allclose(grid.origin_mm, first.position_mm, atol=SAME_MM)
        and np.allclose(grid.axes[:2], stated, atol=SAME_COSINE)
    )
    if not same:
        raise InputError(
            "expected the image where its DICOM files place it, found it moved, resampled or with "
            "another spacing; undo that, or correct the files' headers, or leave DICOM out"
        )


def _substitute(name: str, frames: Sequence[Frame]) -> dict[str, str]:
    """What stands where a person would be named: the name that was given to the case, or nothing.

    A name that is a folder's was not given, and often is a patient's.
    """
    folders = {part for frame in frames for part in frame.path.parts}
    given = "" if name == UNNAMED or folders & set(name.split("/")) else name[:64]
    family = f"{given[:63]}^" if given else ""  # a caret says that there is no first name
    return {**IDENTITY, "PatientName": family, "PatientID": given}


def _source(
    dataset: Dataset, frame: Frame, first: Frame, identity: Mapping[str, str] | None
) -> SourcePicture:
    from pydicom.uid import generate_uid

    header = _described(frame, first)
    header.SOPInstanceUID = generate_uid()
    for name in ("StudyInstanceUID", "FrameOfReferenceUID"):
        setattr(header, name, dataset.get(name))
    header.PositionReferenceIndicator = dataset.get("PositionReferenceIndicator", "")
    # Highdicom takes sources of one series; the true ones are named in `SourcePicture`.
    header.SeriesInstanceUID = first.uid
    header.SpecificCharacterSet = "ISO_IR 192"  # UTF-8
    for name, instead in IDENTITY.items():
        value: Any = dataset.get(name) if identity is None else identity.get(name, instead)
        setattr(header, name, value if value is not None else "")
    several = int(dataset.get("NumberOfFrames") or 1) > 1
    number = frame.index + 1 if several else None
    return SourcePicture(
        str(dataset.SOPClassUID), frame.uid, str(dataset.SeriesInstanceUID), number, header
    )


def _described(frame: Frame, first: Frame) -> Dataset:
    """Where a picture lies, as a plain MR image states it; directions are those of the first."""
    from pydicom import Dataset
    from pydicom.uid import MRImageStorage
    from pydicom.valuerep import format_number_as_ds

    def texts(values: Sequence[float] | None) -> list[str]:
        return [format_number_as_ds(float(value)) for value in values or ()]

    header = Dataset()
    header.SOPClassUID, header.Modality = MRImageStorage, "MR"
    header.Rows, header.Columns = frame.size
    header.ImageOrientationPatient = texts(first.orientation)
    header.ImagePositionPatient = texts(frame.position_mm)
    header.PixelSpacing = texts(first.pixel_mm)
    header.SliceThickness = format_number_as_ds(first.thickness_mm or first.between_mm or 1.0)
    return header

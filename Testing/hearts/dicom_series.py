"""DICOM files as scanners write them, made with SimpleITK and pydicom."""

from __future__ import annotations

import locale
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

STUDY = "1.2.826.0.1.3680043.2.1125.7"
SPACING_MM = (1.5, 1.25)
GAP_MM = 8.0
# Columns: along the rows, along the columns, through the stack.
OBLIQUE = np.array([[0.8, -0.36, 0.48], [0.6, 0.48, -0.64], [0.0, 0.8, 0.6]])
ORIGIN_MM = np.array([-30.0, 20.0, 45.0])


def write_series(
    folder: Path,
    description: str,
    array: np.ndarray | None = None,
    number: int = 1,
    tags: Mapping[str, str] | None = None,
    first_place: int = 0,
    study: str = STUDY,
    series: str | None = None,
) -> np.ndarray:
    """Write a stack (z, y, x) or a cine (t, z, y, x), one file a picture, in shuffled order.

    Returns:
        What was written, int16.
    """
    if array is None:
        array = np.random.default_rng(number).integers(0, 900, (5, 12, 10))
    array = array.astype(np.int16)
    cine = array if array.ndim == 4 else array[None]
    folder.mkdir(parents=True, exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    places = [(t, z) for t in range(cine.shape[0]) for z in range(cine.shape[1])]
    names = np.random.default_rng(7).permutation(len(places))
    for instance, ((t, z), name) in enumerate(zip(places, names, strict=True), start=1):
        picture = sitk.JoinSeries(sitk.GetImageFromArray(cine[t, z]))
        picture.SetSpacing((*SPACING_MM, GAP_MM))
        position = ORIGIN_MM + GAP_MM * (z + first_place) * OBLIQUE[:, 2]
        values = {
            "0008|0060": "MR",
            "0008|103e": description,
            "0020|000d": study,
            "0020|000e": series or f"{study}.{number}",
            "0020|0011": str(number),
            "0020|0013": str(instance),
            "0020|0032": "\\".join(f"{v:.6f}" for v in position),
            "0020|0037": "\\".join(f"{v:.6f}" for v in [*OBLIQUE[:, 0], *OBLIQUE[:, 1]]),
            "0018|1060": f"{30 * t + 10}",
            "0008|0008": "ORIGINAL\\PRIMARY\\M",
            "0010|0010": "Doe^Jane",
            "0010|0020": "4711",
            **(tags or {}),
        }
        for tag, value in values.items():
            picture.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{number:02d}_{name:04d}.dcm"))
        _execute(writer, picture)
    return array


def write_movie(path: Path, array: np.ndarray, tags: Mapping[str, str], place: int = 0) -> None:
    """Write one multi-frame file from an array (frames, y, x)."""
    image = sitk.GetImageFromArray(array.astype(np.int16))
    image.SetSpacing((*SPACING_MM, GAP_MM))
    image.SetOrigin((ORIGIN_MM + GAP_MM * place * OBLIQUE[:, 2]).tolist())
    image.SetDirection(OBLIQUE.ravel().tolist())
    for tag, value in {"0008|0060": "MR", "0020|000d": STUDY, **tags}.items():
        image.SetMetaData(tag, value)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetFileName(str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    _execute(writer, image)


def write_clip(path: Path, frames: np.ndarray, place: int = 0, **tags: object) -> None:
    """Write a classic multi-frame file (frames, y, x): one slice over time, with one position."""
    dataset = picture(frames.astype(np.uint16), place)
    dataset.NumberOfFrames = str(len(frames))
    save(dataset, path, **tags)


def picture(pixels: np.ndarray, place: float = 0, gap_mm: float = GAP_MM) -> Dataset:
    """An MR image of unsigned 16-bit pixels (y, x) or (frames, y, x), as pydicom holds it."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = STUDY, f"{STUDY}.1"
    dataset.Modality, dataset.SeriesNumber, dataset.SeriesDescription = "MR", 1, "LGE sa"
    dataset.PatientName, dataset.PatientID, dataset.InstanceNumber = "Doe^Jane", "4711", 1
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    position = ORIGIN_MM + gap_mm * place * OBLIQUE[:, 2]
    dataset.ImagePositionPatient = [f"{value:.6f}" for value in position]
    dataset.ImageOrientationPatient = [f"{v:.6f}" for v in (*OBLIQUE[:, 0], *OBLIQUE[:, 1])]
    dataset.PixelSpacing = [f"{SPACING_MM[1]:g}", f"{SPACING_MM[0]:g}"]
    dataset.SliceThickness = "6"
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelData = pixels.astype(np.uint16).tobytes()
    return dataset


def save(dataset: Dataset, path: Path, **tags: object) -> Path:
    """Write a data set with other tags; None takes one out."""
    for name, value in tags.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_stack(folder: Path, stack: np.ndarray, places: Sequence[float] = (), **tags) -> None:
    """Write a stack (z, y, x), one file a slice; tags that are lists give one value a slice."""
    for k, pixels in enumerate(stack):
        own = {name: v[k] if isinstance(v, list) else v for name, v in tags.items()}
        place = places[k] if len(places) else k
        save(picture(pixels, place), folder / f"{k:03d}.dcm", **{"InstanceNumber": k + 1, **own})


def write_enhanced(path: Path, frames: Sequence[EnhancedFrame], **tags: object) -> Path:
    """Write one enhanced MR file, each frame with its own place, scaling, time and component."""
    dataset = picture(np.stack([frame.pixels for frame in frames]))
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    dataset.NumberOfFrames = str(len(frames))
    measures, shared = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = dataset.PixelSpacing, "6"
    shared.PixelMeasuresSequence = [measures]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = [_groups(dataset, frame) for frame in frames]
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "ImageType"):
        delattr(dataset, name)
    return save(dataset, path, **tags)


@dataclass(frozen=True)
class EnhancedFrame:
    """A frame of `write_enhanced`: pixels (y, x), where, and what is said of it."""

    pixels: np.ndarray
    place: float
    slope: float = 1.0
    intercept: float = 0.0
    temporal: int = 1
    stack: str = "1"
    component: str = "MAGNITUDE"
    orientation: np.ndarray = field(default_factory=lambda: OBLIQUE)


def _groups(dataset: Dataset, frame: EnhancedFrame) -> Dataset:
    position, plane, content, value, kind, groups = (Dataset() for _ in range(6))
    where = ORIGIN_MM + GAP_MM * frame.place * frame.orientation[:, 2]
    position.ImagePositionPatient = [f"{v:.6f}" for v in where]
    axes = (*frame.orientation[:, 0], *frame.orientation[:, 1])
    plane.ImageOrientationPatient = [f"{v:.6f}" for v in axes]
    content.StackID, content.TemporalPositionIndex = frame.stack, frame.temporal
    value.RescaleSlope, value.RescaleIntercept = f"{frame.slope:g}", f"{frame.intercept:g}"
    kind.ComplexImageComponent = frame.component
    groups.PlanePositionSequence, groups.PlaneOrientationSequence = [position], [plane]
    groups.FrameContentSequence, groups.PixelValueTransformationSequence = [content], [value]
    groups.MRImageFrameTypeSequence = [kind]
    return groups


def _execute(writer: sitk.ImageFileWriter, image: sitk.Image) -> None:
    """Write a file; GDCM's writer leaves the process in the C locale, and all tests after it."""
    before = locale.setlocale(locale.LC_ALL)
    writer.Execute(image)
    locale.setlocale(locale.LC_ALL, before)

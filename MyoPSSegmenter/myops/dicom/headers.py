"""DICOM headers by pydicom: every frame of every MR file with its own place, time and scaling.

Only what is needed to recognize and sort images is kept. A patient's name, number and birth date
never are (a checksum of the number tells patients apart), and words of the name are taken out of
descriptions.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from myops.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset

# "DICM" follows 128 free bytes; files without it begin with a tag of group 8 and bear this suffix.
MAGIC, MAGIC_AT = b"DICM", 128
BARE_START, SUFFIX = b"\x08\x00", ".dcm"
# What a search reads of a header; the sequences hold it for each frame of an enhanced file.
KEYWORDS = [
    "AcquisitionDateTime",
    "AcquisitionTime",
    "CardiacNumberOfImages",
    "Columns",
    "ComplexImageComponent",
    "ContentTime",
    "EchoTime",
    "FrameTime",
    "FrameTimeVector",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "ImageType",
    "InstanceNumber",
    "InversionTime",
    "Modality",
    "NominalCardiacTriggerDelayTime",
    "NumberOfFrames",
    "PatientID",
    "PatientName",
    "PerFrameFunctionalGroupsSequence",
    "PixelSpacing",
    "ProtocolName",
    "RescaleIntercept",
    "RescaleSlope",
    "Rows",
    "SOPInstanceUID",
    "ScanningSequence",
    "SequenceVariant",
    "SeriesDescription",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SharedFunctionalGroupsSequence",
    "SliceLocation",
    "SliceThickness",
    "SpacingBetweenSlices",
    "SpecificCharacterSet",
    "StudyInstanceUID",
    "TemporalPositionIdentifier",
    "TriggerTime",
]
TECHNIQUE = ("ScanningSequence", "SequenceVariant")
# Any of them says that the frames of a file follow one another in time.
FRAME_TIMES = ("FrameTime", "FrameTimeVector", "TriggerTime")
# Values of Image Type behind ORIGINAL and PRIMARY.
COMPONENT_WORDS = {
    "R": {"R", "REAL", "PSIR", "PS"},
    "P": {"P", "PHASE", "PHASE MAP"},
    "I": {"I", "IMAGINARY"},
    "M": {"M", "MAGNITUDE", "M_IR", "M_FFE", "M_SE", "MAG"},
}
Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Frame:
    """One picture: a file, or one frame of a multi-frame file.

    Attributes:
        path: of the file.
        index: of the frame in it, from 0.
        uid: SOP instance UID of the file.
        position_mm: LPS position (3,) of the first pixel's center; None where it is not stated.
        orientation: directions along a row and along a column (6,); None where not stated.
        location_mm: slice location, which orders slices that have no position.
        pixel_mm: distance between rows, between columns; None where it is not stated.
        thickness_mm: of the slice.
        between_mm: distance between slice centers as the scanner states it.
        size: rows and columns.
        slope: of the rescaling to the scanner's values.
        intercept: of the same.
        component: "M" magnitude, "R" real (PSIR), "P" phase, "I" imaginary, "" not stated.
        trigger_ms: delay from the R wave.
        temporal: number of the cardiac phase, where the file counts them.
        acquired: when it was taken, as text that sorts.
        instance: instance number; of a multi-frame file the number of the frame.
        inversion_ms: inversion time.
        echo_ms: echo time.
        placed: whether the position is the frame's own and not that of the whole file.
    """

    path: Path
    index: int
    uid: str
    position_mm: Numbers | None
    orientation: Numbers | None
    location_mm: float | None
    pixel_mm: Numbers | None
    thickness_mm: float | None
    between_mm: float | None
    size: tuple[int, int]
    slope: float
    intercept: float
    component: str
    trigger_ms: float | None
    temporal: float | None
    acquired: str
    instance: int
    inversion_ms: float | None
    echo_ms: float | None
    placed: bool

    @property
    def time(self) -> tuple[float, float, int]:
        """What sorts the phases of a slice."""
        return (self.trigger_ms or 0.0, self.temporal or 0.0, self.instance)


@dataclass(frozen=True)
class Header:
    """A file: its frames, and what tells its series and study.

    Attributes:
        series: series instance UID.
        study: checksum of the study instance UID.
        patient: checksum of the patient's number and name; "" where there is neither.
        number: series number; 0 where there is none.
        description: of the series, or the protocol's name, without words of the patient's name.
        technique: codes of the pulse sequence: scanning sequence and variant ("GR", "IR", "SE",
            "SS" ...), and "time" where frames of one file follow one another in time.
        frames: in the file's order.
    """

    series: str
    study: str
    patient: str
    number: int
    description: str
    technique: frozenset[str]
    frames: tuple[Frame, ...]


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM files do."""
    try:
        with path.open("rb") as stream:
            head = stream.read(MAGIC_AT + len(MAGIC))
    except OSError:
        return False
    bare = path.suffix.lower() == SUFFIX and head.startswith(BARE_START)
    return head[MAGIC_AT:] == MAGIC or bare


def read_header(path: Path) -> Header | None:
    """Read what a search needs; None for what is not an MR image, or cannot be read.

    Raises:
        InputError: pydicom is not installed.
    """
    if not is_dicom(path):
        return None
    with quiet_pydicom() as pydicom:
        try:
            found = pydicom.dcmread(
                path, stop_before_pixels=True, force=True, specific_tags=KEYWORDS
            )
            return header_of(path, found)
        # A file may be damaged in any way; what cannot be understood is not an image to choose.
        except Exception:
            return None


def read_identity(path: Path) -> tuple[str, ...]:
    """A patient's number and name in a DICOM file, those that it states.

    For the table of pseudonyms alone, which lies outside of the results: nothing else may keep
    them.

    Raises:
        InputError: pydicom is not installed.
    """
    with quiet_pydicom() as pydicom:
        found = pydicom.dcmread(path, force=True, specific_tags=["PatientID", "PatientName"])
        return tuple(text for name in ("PatientID", "PatientName") if (text := _text(found, name)))


@contextmanager
def quiet_pydicom() -> Iterator[Any]:
    """Give pydicom, without its words about values that the standard does not allow.

    Raises:
        InputError: pydicom is not installed.
    """
    try:
        import pydicom
        from pydicom import config
    except ImportError:
        raise InputError(
            "expected pydicom to read DICOM, found it missing; run: pip install pydicom"
        ) from None
    before = config.settings.reading_validation_mode
    config.settings.reading_validation_mode = config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield pydicom
    finally:
        config.settings.reading_validation_mode = before


def header_of(path: Path, found: Dataset) -> Header | None:
    """What a file's data set says of its frames; None for what is not an MR image."""
    if found.get("Modality", "MR") not in ("MR", None, "") or not found.get("SeriesInstanceUID"):
        return None
    if not found.get("Rows") or not found.get("Columns"):
        return None
    count = max(int(found.get("NumberOfFrames") or 1), 1)
    shared = _first(found, "SharedFunctionalGroupsSequence")
    groups = list(found.get("PerFrameFunctionalGroupsSequence") or [])
    if len(groups) != count:  # GE's files hold an empty one
        groups = [None] * count
    codes = [code for name in TECHNIQUE for code in _values(found, name)]
    timed = any(found.get(name) for name in FRAME_TIMES)
    if count > 1 and (timed or _number(found, "CardiacNumberOfImages") == count):
        codes.append("time")
    return Header(
        str(found.SeriesInstanceUID),
        _checksum(str(found.get("StudyInstanceUID", ""))),
        _checksum(_text(found, "PatientID") + _text(found, "PatientName")),
        int(_number(found, "SeriesNumber") or 0),
        _description(found),
        frozenset(map(str, codes)),
        tuple(_frame(path, found, shared, group, k) for k, group in enumerate(groups)),
    )


def _frame(path: Path, found: Dataset, shared: Any, group: Any, index: int) -> Frame:
    """A frame's attributes: its own, else those shared by all frames, else those of the file."""

    def one(sequence: str, name: str) -> Any:
        for functional in (group, shared):
            item = _first(functional, sequence)
            if item is not None and item.get(name) not in (None, ""):
                return item.get(name)
        return found.get(name)

    def number(sequence: str, name: str) -> float | None:
        return _as_number(one(sequence, name))

    trigger_ms = number("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime")
    temporal = number("FrameContentSequence", "TemporalPositionIndex")
    echo_ms = number("MREchoSequence", "EffectiveEchoTime")
    frame_type, component = (
        one("MRImageFrameTypeSequence", name) for name in ("FrameType", "ComplexImageComponent")
    )
    several = int(found.get("NumberOfFrames") or 1) > 1
    return Frame(
        path=path,
        index=index,
        uid=str(found.get("SOPInstanceUID", path)),
        position_mm=_as_numbers(one("PlanePositionSequence", "ImagePositionPatient"), 3),
        orientation=_as_numbers(one("PlaneOrientationSequence", "ImageOrientationPatient"), 6),
        location_mm=_number(found, "SliceLocation"),
        pixel_mm=_positive(_as_numbers(one("PixelMeasuresSequence", "PixelSpacing"), 2)),
        thickness_mm=_above_zero(number("PixelMeasuresSequence", "SliceThickness")),
        between_mm=_above_zero(number("PixelMeasuresSequence", "SpacingBetweenSlices")),
        size=(int(found.Rows), int(found.Columns)),
        slope=number("PixelValueTransformationSequence", "RescaleSlope") or 1.0,
        intercept=number("PixelValueTransformationSequence", "RescaleIntercept") or 0.0,
        component=_component(frame_type or found.get("ImageType"), component),
        trigger_ms=_number(found, "TriggerTime") if trigger_ms is None else trigger_ms,
        temporal=temporal or _number(found, "TemporalPositionIdentifier"),
        acquired=_acquired(found, one("FrameContentSequence", "FrameAcquisitionDateTime")),
        instance=index + 1 if several else int(_number(found, "InstanceNumber") or 0),
        inversion_ms=_inversion_ms(found, group, shared),
        echo_ms=echo_ms or _number(found, "EchoTime"),
        placed=not several or _first(group, "PlanePositionSequence") is not None,
    )


def _acquired(found: Dataset, of_frame: Any) -> str:
    """When a frame was taken, in the finest statement that there is."""
    later = (found.get(name) for name in ("AcquisitionDateTime", "AcquisitionTime", "ContentTime"))
    return str(of_frame or next((value for value in later if value), ""))


def _inversion_ms(found: Dataset, group: Any, shared: Any) -> float | None:
    for functional in (group, shared):
        modifier = _first(functional, "MRModifierSequence")
        if modifier is not None and modifier.get("InversionTimes") not in (None, ""):
            return float(np.ravel(modifier.InversionTimes)[0])
    return _number(found, "InversionTime")


def _component(image_type: Any, component: Any) -> str:
    """Magnitude, real, phase or imaginary, from Complex Image Component or Image Type."""
    stated = str(component or "").upper()
    if stated in ("MAGNITUDE", "REAL", "PHASE", "IMAGINARY"):
        return stated[0]
    words = {str(word).upper() for word in list(image_type or [])[2:]}
    return next((name for name, known in COMPONENT_WORDS.items() if words & known), "")


def _description(found: Dataset) -> str:
    """Series description, or the protocol's name, without words of the patient's name or number."""
    names = f"{_text(found, 'PatientName')} {_text(found, 'PatientID')}"
    words = re.split(r"[\s^=,_-]+", names)
    text = _text(found, "SeriesDescription") or _text(found, "ProtocolName")
    for word in sorted({word for word in words if len(word) > 2}, key=len, reverse=True):
        text = re.sub(re.escape(word), "", text, flags=re.IGNORECASE)
    return " ".join(text.split())


def _text(found: Dataset, name: str) -> str:
    """A tag's text. Bytes that are UTF-8 are taken as that, whatever character set is stated."""
    from pydicom.tag import Tag

    # A copy: what is read through the data set is decoded there, and no longer bytes.
    value = getattr(found.get_item(Tag(name)), "value", None)
    try:
        text = value.decode("utf-8") if isinstance(value, bytes) else str(value or "")
    except UnicodeDecodeError:
        text = str(found.get(name) or "")
    return "".join(c if c.isprintable() else " " for c in text).strip()


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8] if text else ""


def _first(dataset: Any, sequence: str) -> Any:
    items = None if dataset is None else dataset.get(sequence)
    return items[0] if items else None


def _values(found: Dataset, name: str) -> Sequence[Any]:
    value = found.get(name)
    if value is None or value == "":
        return ()
    return [value] if isinstance(value, str) else list(value)


def _number(found: Dataset, name: str) -> float | None:
    return _as_number(found.get(name))


def _as_number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def _as_numbers(value: Any, count: int) -> Numbers | None:
    try:
        numbers = tuple(float(part) for part in value)
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else None


def _above_zero(value: float | None) -> float | None:
    """A length; some scanners write a negative distance where slices are counted backwards."""
    return abs(value) if value else None


def _positive(values: Numbers | None) -> Numbers | None:
    return values if values is not None and min(values) > 0 else None

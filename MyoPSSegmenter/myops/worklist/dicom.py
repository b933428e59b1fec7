"""DICOM folders: which series are there.

Only what is needed to recognize and sort images is read. A patient's name, number and birth date
are never kept, and words of the name are taken out of descriptions.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from ..io import quiet_simpleitk

TAGS = {
    "image_type": "0008|0008",
    "modality": "0008|0060",
    "description": "0008|103e",
    "protocol": "0018|1030",
    "study": "0020|000d",
    "series": "0020|000e",
    "series_number": "0020|0011",
    "instance": "0020|0013",
    "trigger_ms": "0018|1060",
    "temporal": "0020|0100",
    "frames": "0028|0008",
    "rows": "0028|0010",
    "columns": "0028|0011",
    "patient_name": "0010|0010",
    "patient_id": "0010|0020",
}
# Slices closer than this lie at one place.
SAME_PLACE_MM = 0.05
# Direction cosines closer than this are one orientation (1 degree).
SAME_AXIS = 0.02
# "DICM" follows 128 free bytes.
MAGIC, MAGIC_AT = b"DICM", 128


@dataclass(frozen=True)
class Slice:
    """One DICOM file.

    Attributes:
        path: of the file.
        place_mm: of the slice along its normal.
        time: what sorts the phases of a slice: trigger time, temporal position, instance number.
        frames: pictures in the file.
        component: "M" for magnitude, "P" for phase, "" where the header does not tell.
        grid: what slices of one volume share: orientation, rows and columns.
    """

    path: Path
    place_mm: float
    time: tuple[float, float, float]
    frames: int
    component: str
    grid: tuple[float, ...]


@dataclass(frozen=True)
class DicomSeries:
    """A series: one volume, or a cine.

    Attributes:
        uid: series instance UID; that of the first where each slice has a series of its own.
        study: checksum of the study instance UID: it tells studies apart and names nobody.
        number: series number; 0 where there is none.
        description: series description without words of the patient's name.
        slices: its files.
    """

    uid: str
    study: str
    number: int
    description: str
    slices: tuple[Slice, ...]

    @property
    def name(self) -> str:
        """For a list: number and description."""
        return f"series {self.number}: {self.description or 'no description'}"

    @property
    def files(self) -> tuple[Path, ...]:
        """All its files."""
        return tuple(found.path for found in self.slices)

    @property
    def component(self) -> str:
        """What `read_series` takes: magnitude over phase, where the headers tell."""
        found = {part.component for part in self.slices}
        return next(c for c in ("M", "", "P") if c in found)

    @property
    def stack(self) -> tuple[tuple[Slice, ...], ...]:
        """The slices of the taken component by place, each with its phases in order of time."""
        taken = [part for part in self.slices if part.component == self.component]
        ordered = sorted(taken, key=lambda part: (part.place_mm, part.time))
        places: list[list[Slice]] = []
        for part in ordered:
            if places and part.place_mm - places[-1][0].place_mm < SAME_PLACE_MM:
                places[-1].append(part)
            else:
                places.append([part])
        return tuple(tuple(sorted(place, key=lambda part: part.time)) for place in places)

    @property
    def holds_volume(self) -> bool:
        """Whether it is one file whose frames are the slices of a volume."""
        return len(self.slices) == 1 and self.slices[0].frames > 1 and not self._is_cine

    @property
    def depth(self) -> int:
        """How many slices its volume has."""
        return self.slices[0].frames if self.holds_volume else len(self.stack)

    @property
    def phases(self) -> int:
        """Volumes over time; 1 for a still stack."""
        if self.holds_volume:
            return 1
        return max(sum(part.frames for part in place) for place in self.stack)

    @property
    def _is_cine(self) -> bool:
        return "cine" in self.description.lower()


def find_series(files: Iterable[Path]) -> tuple[DicomSeries, ...]:
    """The MR series among files, by study and series number.

    Files that are no DICOM, cannot be read, or hold no MR image are left out. Series of a single
    slice each that continue one another are joined to one, as scanners write breath-holds.
    """
    with quiet_simpleitk():
        headers = [header for path in sorted(files) if (header := _header(path)) is not None]
    headers.sort(key=lambda header: header["series"])
    found = [
        series
        for _, group in groupby(headers, lambda header: header["series"])
        for series in _series(list(group))
    ]
    found.sort(key=lambda series: (series.study, series.number, series.uid))
    return _joined(found)


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM files do."""
    try:
        with path.open("rb") as stream:
            stream.seek(MAGIC_AT)
            return stream.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _header(path: Path) -> dict[str, str] | None:
    """The tags of an MR image; None for anything else."""
    import SimpleITK as sitk

    if not is_dicom(path):
        return None
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return None
    there = set(reader.GetMetaDataKeys())
    values = {n: _text(reader.GetMetaData(tag)) if tag in there else "" for n, tag in TAGS.items()}
    if values["modality"] not in ("", "MR") or not values["series"]:
        return None
    values["path"] = str(path)
    # Files of many frames hold these elsewhere than others: GDCM knows where.
    values["position"] = _joined_numbers(reader.GetOrigin()[:3])
    values["orientation"] = _joined_numbers(reader.GetDirection())
    return values


def _joined_numbers(numbers: Iterable[float]) -> str:
    return "\\".join(map(repr, numbers))


def _text(value: str) -> str:
    """Text of a tag; bytes that are no UTF-8 are Latin-1, and padding goes."""
    raw = value.encode("utf-8", "surrogateescape")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return "".join(c if c.isprintable() else " " for c in text).strip()


def _series(headers: Sequence[dict[str, str]]) -> list[DicomSeries]:
    """A series, or several where one UID holds stacks of several views."""
    first = headers[0]
    views: list[list[Slice]] = []
    for part in (_slice(header) for header in headers):
        same = [view for view in views if np.allclose(view[0].grid, part.grid, atol=SAME_AXIS)]
        if same:
            same[0].append(part)
        else:
            views.append([part])
    study = hashlib.sha256(first["study"].encode("utf-8")).hexdigest()[:8]
    number = int(_number(first["series_number"]))
    description = _description(first)
    return [DicomSeries(first["series"], study, number, description, tuple(view)) for view in views]


def _description(header: dict[str, str]) -> str:
    """Series description, or the protocol's name, without words of the patient's name or number."""
    words = re.split(r"[\s^=,_-]+", f"{header['patient_name']} {header['patient_id']}")
    text = header["description"] or header["protocol"]
    for word in sorted({word for word in words if len(word) > 2}, key=len, reverse=True):
        text = re.sub(re.escape(word), "", text, flags=re.IGNORECASE)
    return " ".join(text.split())


def _slice(header: dict[str, str]) -> Slice:
    # Row by row: the columns of the matrix are the directions of rows, columns and slices.
    axes = np.reshape(_numbers(header["orientation"], np.eye(3).ravel()), (3, 3)).T
    position = _numbers(header["position"], np.zeros(3))
    times = (_number(header[name]) for name in ("trigger_ms", "temporal", "instance"))
    trigger, temporal, instance = times
    size = (_number(header["rows"]), _number(header["columns"]))
    return Slice(
        Path(header["path"]),
        float(np.dot(position, axes[2])),
        (trigger, temporal, instance),
        max(int(_number(header["frames"])), 1),
        _component(header["image_type"]),
        (*(round(float(axis), 2) for axis in axes[:2].ravel()), *size),
    )


def _component(image_type: str) -> str:
    """Magnitude or phase, from the values of Image Type after ORIGINAL and PRIMARY."""
    words = image_type.upper().split("\\")[2:]
    if {"P", "PHASE"} & set(words):
        return "P"
    return "M" if {"M", "MAGNITUDE", "M_IR", "MAG"} & set(words) else ""


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if np.isfinite(value) else 0.0


def _numbers(text: str, otherwise: np.ndarray) -> np.ndarray:
    found = np.array([_number(part) for part in text.split("\\")])
    return found if found.shape == otherwise.shape else otherwise


def _joined(series: Sequence[DicomSeries]) -> tuple[DicomSeries, ...]:
    """Join series of one slice each with the same description, component and grid."""
    together: dict[object, DicomSeries] = {}
    for one in series:
        key: object = (one.uid, len(together))
        if len(one.stack) == 1 and not one.holds_volume:
            named = re.sub(r"[\s_-]*\d+$", "", one.description.lower())
            key = (one.study, named, one.component, one.slices[0].grid)
        if key not in together:
            together[key] = one
        elif _is_beside(together[key], one):
            together[key] = replace(together[key], slices=together[key].slices + one.slices)
        else:  # the same slice again
            together[one.uid, len(together)] = one
    return tuple(together.values())


def _is_beside(stack: DicomSeries, one: DicomSeries) -> bool:
    place = one.slices[0].place_mm
    return all(abs(part.place_mm - place) >= SAME_PLACE_MM for part in stack.slices)

"""NRRD and MetaImage: what their text headers state about the spacing, held against ITK's reading.

ITK reads the voxels of both. It takes no notice of units, and answers a missing spacing with 1 mm;
both are said in the header's text. (pynrrd reads such text too, but drops every letter that is not
ASCII, so that it takes micrometers written "µm" for meters.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from myops.errors import InputError
from myops.io.checks import check_spacing, truncated
from myops.io.geometry_notes import GeometryNotes, add_notes, differ, listed, volumes_differ

if TYPE_CHECKING:
    import SimpleITK as sitk

NRRD_SUFFIXES, METAIMAGE_SUFFIXES = (".nrrd", ".nhdr"), (".mha", ".mhd")
# The header ends at an empty line (NRRD) or at this field (MetaImage).
METAIMAGE_DATA = "ElementDataFile"
# No header is longer: what follows would be voxels.
MAX_HEADER_LINES = 10_000
UNIT_MM = {
    "mm": 1.0,
    "millimeter": 1.0,
    "millimetre": 1.0,
    "cm": 10.0,
    "centimeter": 10.0,
    "centimetre": 10.0,
    "m": 1000.0,
    "meter": 1000.0,
    "metre": 1000.0,
    "um": 0.001,
    "micron": 0.001,
    "micrometer": 0.001,
    "micrometre": 0.001,
    "nm": 1e-6,
    "nanometer": 1e-6,
    "nanometre": 1e-6,
    "in": 25.4,
    "inch": 25.4,
}
# What programs write where they know no unit: millimeters, as everywhere in the field.
NO_UNIT = frozenset({"", "?", "none", "unknown", "???"})


def check_length(path: Path, data_bytes: int) -> None:
    """Refuse a MetaImage that is shorter than its header promises; NRRD's reader checks by itself.

    Args:
        path: a file whose header SimpleITK could read.
        data_bytes: voxels times bytes per voxel, uncompressed.

    Raises:
        InputError: a truncated file, or a spacing that is not above 0.
    """
    if not path.name.lower().endswith(METAIMAGE_SUFFIXES):
        return
    fields, header_bytes = metaimage_fields(path)
    # The reader would take the absolute value of a negative spacing.
    check_spacing(tuple(_numbers(fields.get("ElementSpacing", ""))), path.name)
    place = fields.get(METAIMAGE_DATA, "")
    compressed = fields.get("CompressedData", "False").lower() == "true"
    needed = int(fields.get("CompressedDataSize", 0)) if compressed else data_bytes
    if place == "LOCAL":
        found = path.stat().st_size - header_bytes
    else:
        data = path.parent / place
        # A list or pattern of slice files is left to the reader.
        found = data.stat().st_size if data.is_file() else needed
    if found < needed:
        raise truncated(path.name)


def apply_statements(image: sitk.Image, path: Path) -> None:
    """Correct ITK's reading of a 3D image by what the header states, and note what is doubtful.

    Args:
        image: as ITK read it, changed in place.
        path: its file; formats without such a header are left as they are.

    Raises:
        InputError: a unit that is not a unit of length.
    """
    name = path.name.lower()
    if name.endswith(NRRD_SUFFIXES):
        _apply_nrrd(image, nrrd_fields(path), path.name)
    elif name.endswith(METAIMAGE_SUFFIXES):
        _apply_metaimage(image, metaimage_fields(path)[0], path.name)


def nrrd_fields(path: Path) -> dict[str, str]:
    """The fields of a NRRD header by their names in small letters."""
    fields = {}
    with path.open("rb") as stream:
        for _, line in zip(range(MAX_HEADER_LINES), stream):
            text = _text(line).strip("\r\n")
            if not text.strip():
                break
            key, colon, value = text.partition(":")
            if colon and not text.startswith("#") and not value.startswith("="):
                fields[" ".join(key.lower().split())] = value.strip()
    return fields


def metaimage_fields(path: Path) -> tuple[dict[str, str], int]:
    """The fields of a MetaImage header, and its length in bytes."""
    fields: dict[str, str] = {}
    with path.open("rb") as stream:
        for _, line in zip(range(MAX_HEADER_LINES), iter(stream.readline, b"")):
            key, _, value = _text(line).partition("=")
            fields[key.strip()] = value.strip()
            if key.strip() == METAIMAGE_DATA:
                break
        return fields, stream.tell()


def _apply_nrrd(image: sitk.Image, fields: Mapping[str, str], name: str) -> None:
    """Units of the space scale directions and origin; units of the axes scale spacings."""
    directions = _vectors(fields.get("space directions", ""))
    spacings = _numbers(fields.get("spacings", ""))
    if directions:
        # They belong to the axes of the space, so each scales a component of every vector.
        units = _units(fields.get("space units", ""), name)
        _scale_space(image, units, name)
        stated = [float(np.linalg.norm(np.array(v) * units)) for v in directions if len(v) == 3]
    else:
        units = _units(fields.get("units", ""), name)
        image.SetSpacing((np.array(image.GetSpacing()) * units).tolist())
        stated = [value * unit for value, unit in zip(spacings, units)]
    _note_missing(image, stated)
    if directions and any(np.isfinite(spacings)) and len(spacings) >= 3:
        _note_conflict(image, "space directions", stated, "spacings", spacings[:3])


def _scale_space(image: sitk.Image, units: np.ndarray, name: str) -> None:
    """Scale the axes of the patient's space, in which ITK gives directions and origin."""
    if np.all(units == 1.0):
        return
    columns = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    columns = units[:, None] * columns
    spacing = np.linalg.norm(columns, axis=0)
    check_spacing(tuple(spacing), name)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((columns / spacing).ravel().tolist())
    image.SetOrigin((np.array(image.GetOrigin()) * units).tolist())


def _apply_metaimage(image: sitk.Image, fields: Mapping[str, str], name: str) -> None:
    stated = _numbers(fields.get("ElementSpacing", ""))
    sizes = _numbers(fields.get("ElementSize", ""))
    warnings: tuple[str, ...] = ()
    if not stated and len(sizes) >= 3:
        warnings = (
            "the header holds no ElementSpacing; ElementSize, the size of a voxel, is used in its "
            "place: gaps between slices are not counted",
        )
        stated = sizes
    factor = float(_units(fields.get("DistanceUnits", ""), name)[0])
    if factor != 1.0:
        image.SetSpacing((np.array(image.GetSpacing()) * factor).tolist())
        image.SetOrigin((np.array(image.GetOrigin()) * factor).tolist())
    _note_missing(image, [value * factor for value in stated])
    add_notes(image, GeometryNotes(warnings=warnings))


def _note_missing(image: sitk.Image, stated_mm: list[float]) -> None:
    """Note axes whose spacing nobody stated, and a reading that is not what was stated."""
    finite = [value for value in stated_mm[:3] if np.isfinite(value) and value > 0]
    if len(finite) < 3:
        what = "spacing" if not finite else "spacing on every axis"
        reason = f"the header holds no {what} ({listed(image.GetSpacing())} is a default)"
        add_notes(image, GeometryNotes(reason))
    else:
        _note_conflict(image, "the header", finite, "the reader", list(image.GetSpacing()))


def _note_conflict(
    image: sitk.Image, one: str, first: list[float], other: str, second: list[float]
) -> None:
    if not differ(first, second):
        return
    words = f"{one} says {listed(first)}, {other} {listed(second)}"
    if volumes_differ(first, second):
        add_notes(image, GeometryNotes(conflict=words))
    else:
        add_notes(image, GeometryNotes(warnings=(f"two spacings in one header: {words}",)))


def _units(text: str, name: str) -> np.ndarray:
    """Millimeters of the unit of each of three axes; an axis without a unit is in millimeters.

    Raises:
        InputError: a text that is not a unit of length.
    """
    words = (re.findall(r'"([^"]*)"', text) or text.split())[:3]
    found = [_unit_mm(word, name) for word in words]
    return np.array((found + found[-1:] * 3)[:3] if found else [1.0] * 3)


def _unit_mm(word: str, name: str) -> float:
    plain = word.strip().lower().replace("µ", "u").replace("μ", "u")
    if plain in NO_UNIT:
        return 1.0
    if plain not in UNIT_MM and plain.endswith("s"):
        plain = plain[:-1]
    if plain not in UNIT_MM:
        raise InputError(
            f"{name}: expected a unit of length such as mm, found {word!r}; write the spacing in "
            "mm and correct the unit"
        )
    return UNIT_MM[plain]


def _vectors(text: str) -> list[list[float]]:
    return [_numbers(part.replace(",", " ")) for part in re.findall(r"\(([^)]*)\)", text)]


def _numbers(text: str) -> list[float]:
    """The numbers of a field; what is none counts as NaN, so that it is seen as missing."""
    return [_number(word) for word in text.split()]


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return float("nan")


def _text(line: bytes | Iterable[int]) -> str:
    raw = bytes(line)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")

"""Damage that ITK's readers hide: missing voxels read as noise, impossible spacing read as 1 mm."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from .errors import InputError

# Longest header needed here: NIfTI-2 has 540 bytes, NIfTI-1 348.
NIFTI_HEADER_BYTES = 540


def check_integrity(path: Path, data_bytes: int) -> None:
    """Refuse a NIfTI or MetaImage file that is shorter than its header promises.

    NRRD is left to its reader, which checks by itself.

    Args:
        path: a file whose header SimpleITK could read.
        data_bytes: voxels times bytes per voxel, uncompressed.

    Raises:
        InputError: truncated or damaged file, or a spacing that is not above 0.
    """
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        _check_nifti(path, data_bytes)
    elif name.endswith((".mha", ".mhd")):
        _check_metaimage(path, data_bytes)


def check_spacing(spacing_mm: tuple[float, ...], name: str) -> None:
    """Refuse a spacing (x, y, z) in mm with zero, negative or non-finite numbers."""
    if not all(math.isfinite(value) and value > 0 for value in spacing_mm):
        found = " x ".join(f"{value:g}" for value in spacing_mm)
        raise InputError(
            f"{name}: expected voxel spacing above 0 mm on every axis, found {found}; "
            "repair the header"
        )


def truncated(name: str) -> InputError:
    """The error for a file that ends too early or is damaged inside."""
    return InputError(
        f"{name}: expected a complete image, found a truncated or damaged file; "
        "copy or export it again"
    )


def _check_nifti(path: Path, data_bytes: int) -> None:
    try:
        with _opened(path) as stream:
            header = stream.read(NIFTI_HEADER_BYTES)
            spacing_mm, offset = _nifti_fields(header)
            check_spacing(spacing_mm, path.name)
            found = len(header)
            # To the end, so that the checksum of a compressed file is verified too.
            while chunk := stream.read(1 << 20):
                found += len(chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile, struct.error) as error:
        raise truncated(path.name) from error
    if found < offset + data_bytes:
        raise truncated(path.name)


def _opened(path: Path) -> gzip.GzipFile | BinaryIO:
    """Open a file, decompressing it if it is compressed, whatever its name says."""
    with path.open("rb") as raw:
        compressed = raw.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if compressed else path.open("rb")


def _nifti_fields(header: bytes) -> tuple[tuple[float, ...], int]:
    """Spacing (x, y, z) in mm and offset of the voxels in bytes, from NIfTI-1 or NIfTI-2."""
    order = "<" if struct.unpack_from("<i", header)[0] in (348, 540) else ">"
    if struct.unpack_from(order + "i", header)[0] == 540:
        spacing_mm = struct.unpack_from(order + "3d", header, 112)
        return spacing_mm, struct.unpack_from(order + "q", header, 168)[0]
    spacing_mm = struct.unpack_from(order + "3f", header, 80)
    return spacing_mm, int(struct.unpack_from(order + "f", header, 108)[0])


def _check_metaimage(path: Path, data_bytes: int) -> None:
    """MetaImage stores its voxels behind the text header or in the file that it names last."""
    fields: dict[str, str] = {}
    with path.open("rb") as stream:
        for line in stream:
            key, _, value = line.decode("latin-1").partition("=")
            fields[key.strip()] = value.strip()
            if key.strip() == "ElementDataFile":
                break
        header_bytes = stream.tell()
    # The reader would take the absolute value of a negative spacing.
    spacing_mm = (float(value) for value in fields.get("ElementSpacing", "").split())
    check_spacing(tuple(spacing_mm), path.name)
    place = fields.get("ElementDataFile", "")
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

"""A made-up heart whose mass is known by counting, and files of it written byte by byte.

The ring of `labels()` has 2228 voxels of wall; at 1.5 x 1.5 x 10 mm each holds 22.5 mm3, so the
wall weighs 2228 x 0.0225 mL x 1.05 g/mL = 52.6365 g.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

WALL_G = 52.6365
WALL = (200, 2221)
# RAS: 1.5 x 1.5 x 10 mm, rows to the right, columns to the front, slices to the head.
AFFINE = np.array([[-1.5, 0, 0, 70], [0, -1.5, 0, 60], [0, 0, 10, -40], [0, 0, 0, 1.0]])
SIZE, SLICES = 96, 9


def labels() -> np.ndarray:
    """MyoPS labels (z, y, x), uint16: a tapering ring with a scar, and a right ventricle."""
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    radius, angle = np.hypot(y, x), np.degrees(np.arctan2(-y, x)) % 360
    found = np.zeros((SLICES, SIZE, SIZE), np.uint16)
    for k in range(1, SLICES - 1):
        scale, plane = 1 - 0.05 * k, found[k]
        plane[(np.hypot(y, x + 20) < 14 * scale) & (radius >= 16 * scale)] = 600
        plane[(radius >= 10 * scale) & (radius < 16 * scale)] = 200
        plane[radius < 10 * scale] = 500
        inner = (radius >= 10 * scale) & (radius < 14 * scale)
        plane[inner & (angle > 255) & (angle < 345)] = 2221
    return found


def lge() -> np.ndarray:
    """An LGE (z, y, x), float32: bright scar and blood, dark muscle, noise."""
    drawn = labels()
    values = {200: 60.0, 500: 300.0, 600: 290.0, 2221: 420.0}
    image = np.full(drawn.shape, 120.0)
    for label, value in values.items():
        image[drawn == label] = value
    noise = np.random.default_rng(3).normal(0, 12, image.shape)
    return np.abs(image + noise).astype(np.float32)


def wall_g(drawn: np.ndarray, voxel_mm3: float) -> float:
    """Mass of the wall by counting."""
    return float(np.isin(drawn, WALL).sum()) * voxel_mm3 / 1000 * 1.05


def nifti(
    path: Path,
    array: np.ndarray,
    affine: np.ndarray = AFFINE,
    edit: Callable[[Any], None] = lambda header: None,
    kind: Any = nibabel.Nifti1Image,
) -> Path:
    """Write (z, y, x) as NIfTI; `edit` may set any field of the header, written as it stands."""
    image = kind(np.ascontiguousarray(array.transpose(2, 1, 0)), affine)
    image.header.set_qform(affine, 1, strip_shears=True)
    image.header.set_sform(affine, 1)
    raw = bytearray(image.to_bytes())
    size = image.header.sizeof_hdr
    header = type(image.header)(bytes(raw[:size]), check=False)
    edit(header)
    raw[:size] = header.binaryblock
    path.write_bytes(raw)
    return path


def nrrd(path: Path, array: np.ndarray, fields: str) -> Path:
    """Write (z, y, x) as NRRD with these fields of the header."""
    kind = {"float32": "float", "uint16": "unsigned short"}[str(array.dtype)]
    sizes = " ".join(map(str, array.shape[::-1]))
    head = f"NRRD0005\ntype: {kind}\ndimension: 3\nsizes: {sizes}\n"
    head += f"{fields.strip()}\nendian: little\nencoding: raw\n\n"
    path.write_bytes(head.encode("utf-8") + array.tobytes())
    return path


def metaimage(path: Path, array: np.ndarray, fields: str) -> Path:
    """Write (z, y, x) as MetaImage with these fields of the header."""
    kind = {"float32": "MET_FLOAT", "uint16": "MET_USHORT"}[str(array.dtype)]
    sizes = " ".join(map(str, array.shape[::-1]))
    head = "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
    head += f"{fields.strip()}\nDimSize = {sizes}\nElementType = {kind}\nElementDataFile = LOCAL\n"
    path.write_bytes(head.encode("utf-8") + array.tobytes())
    return path

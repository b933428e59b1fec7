"""NIfTI-1 and NIfTI-2 by nibabel, with the header's statements held against one another.

A NIfTI file states its geometry up to three times: in the sform, in the qform, and in pixdim (whose
spacing the qform uses). With sform_code > 0 the sform places the voxels (NIfTI-1.1, method 3), else
the qform (method 2), else pixdim alone gives their size (method 1).
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from myops.errors import InputError
from myops.io.checks import (
    check_pixel_kind,
    check_right_angles,
    check_size,
    check_spacing,
    chosen_frame,
    sheared,
    truncated,
)
from myops.io.geometry_notes import (
    MARK,
    MARK_KEY,
    GeometryNotes,
    add_notes,
    differ,
    listed,
    volumes_differ,
)
from myops.io.nibabel_parts import nibabel_part

if TYPE_CHECKING:
    import SimpleITK as sitk

SUFFIXES = (".nii", ".nii.gz")
GZIP_MAGIC = b"\x1f\x8b"
# Where the two versions name themselves, and their headers' lengths, which are their first number.
NIFTI1_BYTES, NIFTI2_BYTES = 348, 540
# Of the unit codes in xyzt_units.
UNIT_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
# A sform of columns of this length states directions alone, as those of ACDC do.
UNIT_COLUMNS = 1e-4
# Two places that differ by less than this share of the smallest voxel side are one.
SAME_PLACE_SHARE = 0.05
# More bytes behind the voxels than this are not a header's extension but a bomb.
MAX_BYTES_BEHIND = 1 << 28
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Placement:
    """Where a header places voxels.

    Attributes:
        spacing_mm: float (3,), x, y, z.
        axes: float (3, 3); column k is the LPS direction of axis k.
        origin_mm: float (3,), LPS position of voxel (0, 0, 0).
        notes: what is doubtful about it.
    """

    spacing_mm: np.ndarray
    axes: np.ndarray
    origin_mm: np.ndarray
    notes: GeometryNotes = field(default_factory=GeometryNotes)


def is_nifti(path: Path) -> bool:
    """Whether a file begins as NIfTI files do, compressed or not; its name is not asked.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        with _opened(path) as stream:
            head = stream.read(NIFTI2_BYTES)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return path.name.lower().endswith(SUFFIXES)
    if len(head) < NIFTI1_BYTES:
        return False
    length = {struct.unpack_from(order + "i", head)[0] for order in "<>"}
    return bool(
        (NIFTI1_BYTES in length and head[344:347] == b"n+1")
        or (NIFTI2_BYTES in length and head[4:7] == b"n+2")
    )


def read_nifti(path: Path, frame: int | None = None) -> sitk.Image:
    """Read a volume, or one frame of a cine, with the scaling that the header states.

    Args:
        path: a NIfTI file, see `is_nifti`.
        frame: of a 4D file, counted from 0.

    Returns:
        A scalar 3D image in LPS with its `geometry_notes`; integers without scaling stay integers,
        NaN and infinities stay as they are.

    Raises:
        InputError: damaged, not 3D, not scalar, too large, no spacing, a sheared grid.
    """
    import SimpleITK as sitk

    try:
        with _opened(path) as stream:
            header = _header(stream)
            shape = _shape(header)
            check_size(shape, path.name)
            check_pixel_kind(*_kind(header), path.name)
            placement = place(header, path.name)
            chosen = chosen_frame(shape[3], frame, path.name) if len(shape) == 4 else 0
            voxels = _voxels(stream, header, chosen)
            _check_to_the_end(stream, header, path.name)
    except (EOFError, OSError, zlib.error, gzip.BadGzipFile, struct.error, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise truncated(path.name) from error
    found = sitk.GetImageFromArray(_storable(voxels).transpose(2, 1, 0))
    _set_placement(found, placement, path.name)
    words = bytes(header["descrip"]).split(b"\0")[0].decode("ascii", "ignore")
    if words.startswith(f"{MARK} "):
        found.SetMetaData(MARK_KEY, words)
    return found


def place(header: Any, name: str) -> Placement:
    """Decide where a nibabel header places the voxels; conflicts become notes.

    Raises:
        InputError: no statement of it can be used.
    """
    unit = UNIT_MM.get(int(header["xyzt_units"]) & 7, 1.0)
    pixdim_mm = np.array(header["pixdim"][1:4], np.float64) * unit
    sform, qform = _sform(header, unit), _qform(header, unit)
    if sform is None and qform is None:
        if int(header["sform_code"]) > 0:
            raise sheared(name, "sheared or empty sform matrix")
        check_spacing(tuple(pixdim_mm), name)
        # Method 1: no orientation is stated. Straight axes from 0, as ITK reads it.
        return Placement(pixdim_mm, np.eye(3), np.zeros(3))
    if sform is None:
        check_spacing(tuple(pixdim_mm), name)
        return _in_lps(cast(np.ndarray, qform), pixdim_mm, GeometryNotes())
    return _by_sform(sform, qform, pixdim_mm, name, header.get_data_shape()[:3])


def _by_sform(
    sform: np.ndarray,
    qform: np.ndarray | None,
    pixdim_mm: np.ndarray,
    name: str,
    size: tuple[int, ...],
) -> Placement:
    """The sform's placement, with what pixdim and qform say against it."""
    lengths = np.linalg.norm(sform[:3, :3], axis=0)
    check_spacing(tuple(lengths), name)
    check_spacing(tuple(pixdim_mm), name)
    check_right_angles(sform[:3, :3] / lengths, name, "sform matrix")
    conflict, warnings = "", []
    spacing_mm = lengths
    words = f"the sform says {listed(lengths)}, pixdim {listed(pixdim_mm)}"
    if not differ(lengths, pixdim_mm):
        spacing_mm = pixdim_mm  # one statement, and this one went through no matrix
    elif np.allclose(lengths, 1.0, atol=UNIT_COLUMNS):
        spacing_mm = pixdim_mm
        warnings.append(
            f"{words}: columns of length 1 state directions alone, so pixdim's spacing is used"
        )
    elif np.allclose(pixdim_mm, 1.0, atol=UNIT_COLUMNS):
        warnings.append(f"{words}, which is a default: the sform's spacing is used")
    elif volumes_differ(lengths, pixdim_mm):
        conflict = words
    else:
        warnings.append(f"two spacings in one header: {words}; the sform's is used")
    warnings += _place_conflict(sform, qform, size)
    notes = GeometryNotes(conflict=conflict, warnings=tuple(warnings))
    return _in_lps(sform, spacing_mm, notes)


def _place_conflict(
    sform: np.ndarray, qform: np.ndarray | None, size: tuple[int, ...]
) -> list[str]:
    """A sentence if sform and qform place the voxels at different places, beyond their spacing."""
    if qform is None:
        return []
    lengths = np.linalg.norm(sform[:3, :3], axis=0)
    other = qform.copy()
    other[:3, :3] *= lengths / np.linalg.norm(qform[:3, :3], axis=0)
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(size) - 1)
    ends = [corners @ matrix[:3, :3].T + matrix[:3, 3] for matrix in (sform, other)]
    apart_mm = float(np.linalg.norm(ends[0] - ends[1], axis=1).max())
    if apart_mm <= SAME_PLACE_SHARE * lengths.min():
        return []
    return [
        f"sform and qform place the image up to {apart_mm:.1f} mm apart; the sform is used, as in "
        "other programs: check that the sequences lie on each other"
    ]


def _sform(header: Any, unit: float) -> np.ndarray | None:
    """The sform in mm (4, 4), RAS; None where it is not set or empty."""
    if int(header["sform_code"]) <= 0:
        return None
    matrix = np.array(header.get_sform(), np.float64)
    matrix[:3] *= unit
    if not np.isfinite(matrix).all() or not np.linalg.norm(matrix[:3, :3], axis=0).all():
        return None
    return matrix


def _qform(header: Any, unit: float) -> np.ndarray | None:
    """The qform in mm (4, 4), RAS; None where it is not set, or no rotation."""
    if int(header["qform_code"]) <= 0:
        return None
    try:
        matrix = np.array(header.get_qform(), np.float64)
    except Exception:  # nibabel's HeaderDataError and numpy's: the quaternion is not a rotation
        return None
    matrix[:3] *= unit
    usable = np.isfinite(matrix).all() and np.linalg.norm(matrix[:3, :3], axis=0).all()
    return matrix if usable else None


def _in_lps(matrix: np.ndarray, spacing_mm: np.ndarray, notes: GeometryNotes) -> Placement:
    """Directions and origin of a RAS matrix, with the spacing that was decided.

    The file holds single precision: directions are cleaned to a true rotation, as ITK does, so that
    a grid that takes another way (through a scene, say) keeps its numbers to the last digit.
    """
    columns = RAS_TO_LPS @ matrix[:3, :3]
    u, _, vt = np.linalg.svd(columns / np.linalg.norm(columns, axis=0))
    # Adding 0 turns -0 into 0.
    return Placement(spacing_mm, u @ vt + 0.0, RAS_TO_LPS @ matrix[:3, 3] + 0.0, notes)


def _set_placement(image: sitk.Image, placement: Placement, name: str) -> None:
    check_spacing(tuple(placement.spacing_mm), name)
    if not np.isfinite(placement.origin_mm).all():
        raise InputError(
            f"{name}: expected a finite origin, found {placement.origin_mm.tolist()}; repair the "
            "header"
        )
    image.SetSpacing(placement.spacing_mm.tolist())
    image.SetOrigin(placement.origin_mm.tolist())
    image.SetDirection(placement.axes.ravel().tolist())
    add_notes(image, placement.notes)


def _header(stream: BinaryIO) -> Any:
    """Read the header by nibabel, in the stream's version of NIfTI.

    As it stands: what nibabel loads as an image it mends, a spacing of 0 or -1.5 among it.
    """
    head = stream.read(4)
    stream.seek(0)
    two = NIFTI2_BYTES in (struct.unpack("<i", head)[0], struct.unpack(">i", head)[0])
    kind = nibabel_part("nifti2").Nifti2Header if two else nibabel_part("nifti1").Nifti1Header
    header: Any = kind.from_fileobj(stream, check=False)
    if header["vox_offset"] < kind.single_vox_offset:
        header["vox_offset"] = kind.single_vox_offset
    return header


def _voxels(stream: BinaryIO, header: Any, frame: int) -> np.ndarray:
    """A frame (x, y, z), scaled as the header says."""
    behind = header.get_data_shape()[3:]
    chosen = tuple(frame if count > 1 else 0 for count in behind)
    proxy = nibabel_part("arrayproxy").ArrayProxy(stream, header, mmap=False)
    return np.asarray(proxy[(slice(None),) * 3 + chosen])


def _shape(header: Any) -> tuple[int, ...]:
    """Dimensions without those of length 1 behind the third."""
    shape = tuple(int(count) for count in header.get_data_shape())
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _kind(header: Any) -> tuple[bool, int]:
    """Whether voxels are complex, and how many values each has."""
    dtype = header.get_data_dtype()
    return dtype.kind == "c", len(dtype.names) if dtype.names else 1


def _storable(voxels: np.ndarray) -> np.ndarray:
    """Native byte order and a type that SimpleITK knows."""
    kind = voxels.dtype.newbyteorder("=")
    if kind.kind == "f" and kind.itemsize not in (4, 8):
        kind = np.dtype(np.float64 if kind.itemsize > 8 else np.float32)
    return np.ascontiguousarray(voxels.astype(kind, copy=False))


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """A file, decompressed if it is compressed, whatever its name says."""
    with path.open("rb") as raw:
        compressed = raw.read(2) == GZIP_MAGIC
        raw.seek(0)
        if not compressed:
            yield raw
            return
        with gzip.open(raw, "rb") as stream:
            yield cast(BinaryIO, stream)


def _check_to_the_end(stream: BinaryIO, header: Any, name: str) -> None:
    """Read what follows, so that missing frames and a wrong checksum of the compression are seen.

    Raises:
        InputError: the file ends before its voxels do, or goes on without an end in sight.
    """
    voxels = math.prod(int(count) for count in header.get_data_shape())
    needed = int(header.get_data_offset()) + voxels * header.get_data_dtype().itemsize
    found = stream.tell()
    while chunk := stream.read(1 << 20):
        found += len(chunk)
        if found > needed + MAX_BYTES_BEHIND:
            raise InputError(
                f"{name}: expected {needed} bytes as its header says, found far more; copy or "
                "export it again"
            )
    if found < needed:
        raise truncated(name)

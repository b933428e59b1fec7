"""Where a session started, as bytes: the cascade's labels, probabilities and uncertainty."""

from __future__ import annotations

import math
import weakref
import zipfile
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np

from myops.errors import InputError
from myops.geometry.grid import Geometry
from myops.io.checks import MAX_VOXELS
from myops.labels import to_known_labels
from myops.segmentation import Segmentation

# Room for the header of an array file.
HEADER_BYTES = 1024
LABELS, UNCERTAINTY, PROBABILITY = "labels", "uncertainty", "probability_"


class _Newest:
    """The last start that was packed: it stays the same from click to click."""

    def __init__(self) -> None:
        self._entry: tuple[weakref.ref[Segmentation], bytes] | None = None

    def get(self, segmentation: Segmentation) -> bytes | None:
        entry = self._entry
        return entry[1] if entry is not None and entry[0]() is segmentation else None

    def put(self, segmentation: Segmentation, packed: bytes) -> None:
        self._entry = (weakref.ref(segmentation), packed)


_newest = _Newest()


def pack_start(segmentation: Segmentation) -> bytes:
    """The arrays of a segmentation as a compressed .npz."""
    packed = _newest.get(segmentation)
    if packed is None:
        stream = BytesIO()
        arrays = {PROBABILITY + name: a for name, a in segmentation.probabilities.items()}
        arrays[UNCERTAINTY] = segmentation.uncertainty
        arrays = {name: array.astype(np.float32, copy=False) for name, array in arrays.items()}
        arrays[LABELS] = segmentation.labels.astype(np.uint16)
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
        packed = stream.getvalue()
        _newest.put(segmentation, packed)
    return packed


def start_values(segmentation: Segmentation) -> dict[str, Any]:
    """JSON values of everything but the arrays."""
    geometry = segmentation.geometry
    return {
        "size_xyz": list(geometry.size_xyz),
        "spacing_mm": list(geometry.spacing_mm),
        "origin_mm": list(geometry.origin_mm),
        "direction": list(geometry.direction),
        "assessed": sorted(segmentation.assessed),
        "model": dict(segmentation.model),
        "seconds": dict(segmentation.seconds),
        "warnings": list(segmentation.warnings),
        "machine": dict(segmentation.machine),
        "pack": dict(segmentation.pack),
    }


def unpack_start(values: Mapping[str, Any], packed: bytes) -> Segmentation:
    """The segmentation of `start_values` and `pack_start`.

    Raises:
        InputError: arrays of other sizes or kinds than the grid's.
        ValueError, KeyError, TypeError, zipfile.BadZipFile: damaged bytes.
    """
    geometry = Geometry(
        _numbers(values, "size_xyz", int, 3),
        _numbers(values, "spacing_mm", float, 3),
        _numbers(values, "origin_mm", float, 3),
        _numbers(values, "direction", float, 9),
    )
    if math.prod(geometry.size_xyz) > MAX_VOXELS or min(geometry.size_xyz) < 1:
        raise InputError(f"expected a grid of voxels, found {geometry.size_xyz}")
    arrays = _arrays(packed, geometry.array_shape)
    segmentation = Segmentation(
        labels=to_known_labels(arrays[LABELS]),
        geometry=geometry,
        probabilities={
            name.removeprefix(PROBABILITY): array
            for name, array in arrays.items()
            if name.startswith(PROBABILITY)
        },
        uncertainty=arrays[UNCERTAINTY],
        assessed=frozenset(str(name) for name in values["assessed"]),
        model={str(name): str(checksum) for name, checksum in values["model"].items()},
        seconds={str(name): float(seconds) for name, seconds in values["seconds"].items()},
        warnings=tuple(str(warning) for warning in values["warnings"]),
        # Earlier versions did not note these.
        machine=_machine(values.get("machine", {})),
        pack={str(name): str(text) for name, text in values.get("pack", {}).items()},
    )
    _newest.put(segmentation, packed)
    return segmentation


def _machine(values: Mapping[str, Any]) -> dict[str, str | int]:
    return {str(n): v if isinstance(v, int) else str(v) for n, v in values.items()}


def _numbers(values: Mapping[str, Any], name: str, kind: type, count: int) -> Any:
    """Such a number of values; JSON keeps a float exactly."""
    found = tuple(kind(value) for value in values[name])
    if len(found) != count or not np.isfinite(found).all():
        raise InputError(f"expected {count} numbers as {name}, found {values[name]}")
    return found


def _arrays(packed: bytes, shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    """All arrays; a header that claims another shape is refused before memory is taken for it."""
    arrays = {}
    with np.load(BytesIO(packed), allow_pickle=False) as archive:
        for name in archive.files:
            _check_size(archive, name, shape)
            arrays[name] = archive[name]
            expected = np.uint16 if name == LABELS else np.float32
            if arrays[name].shape != shape or arrays[name].dtype != expected:
                raise InputError(
                    f"expected {name} as {np.dtype(expected)} {shape} (z, y, x), found "
                    f"{arrays[name].dtype} {arrays[name].shape}"
                )
    return arrays


def _check_size(archive: Any, name: str, shape: tuple[int, int, int]) -> None:
    needed = math.prod(shape) * np.dtype(np.float32).itemsize + HEADER_BYTES
    found = archive.zip.getinfo(f"{name}.npy").file_size
    if found > needed:
        raise InputError(f"expected {name} in {needed} bytes at most, found {found}")

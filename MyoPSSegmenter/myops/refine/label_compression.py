"""Label maps in few bytes: compressed slices, the changes between two maps, and checksums."""

from __future__ import annotations

import base64
import binascii
import zlib

import numpy as np

from myops.errors import InputError

# A slice is mostly background: the fastest level already makes it 100 times smaller.
LEVEL = 1
LITTLE_ENDIAN_LABEL = np.dtype("<u2")
# One changed voxel: its flat index and its new label.
CHANGE = np.dtype([("index", "<u4"), ("label", "<u2")])


def pack(array: np.ndarray) -> bytes:
    """Compress a uint16 label array of any shape."""
    return zlib.compress(array.astype(LITTLE_ENDIAN_LABEL).tobytes(), LEVEL)


def unpack(packed: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """The uint16 label array that `pack` compressed."""
    values = np.frombuffer(zlib.decompress(packed), LITTLE_ENDIAN_LABEL)
    return values.astype(np.uint16).reshape(shape)


def encode_changes(before: np.ndarray, after: np.ndarray) -> str:
    """What must be written into `before` to get `after` (uint16, one shape), as base64 text."""
    places = np.flatnonzero(before != after)
    changes = np.empty(len(places), CHANGE)
    changes["index"], changes["label"] = places, after.ravel()[places]
    return base64.b64encode(zlib.compress(changes.tobytes())).decode("ascii")


def apply_changes(before: np.ndarray, encoded: str) -> np.ndarray:
    """The uint16 label map that `encode_changes` described; `before` stays as it is.

    Raises:
        InputError: damaged text, or a change outside the label map.
    """
    after = before.copy()
    try:
        stream = zlib.decompressobj()
        limit = before.size * CHANGE.itemsize + 1  # no map has more changes than voxels
        content = stream.decompress(base64.b64decode(encoded, validate=True), limit)
        changes = np.frombuffer(content, CHANGE)
        if not stream.eof:
            raise ValueError("incomplete or too long")
        after.ravel()[changes["index"]] = changes["label"]
    except (binascii.Error, zlib.error, ValueError, TypeError, IndexError) as error:
        raise InputError(
            f"expected the changed voxels of a label map of {before.shape}, found damaged data "
            f"({error}); use the session file as it was written"
        ) from None
    return after

"""SHA-256 of files and arrays: which image, which labels, which weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

BLOCK_BYTES = 1 << 24


def file_sha256(path: Path, read: Callable[[bytes], object] | None = None) -> str:
    """SHA-256 of a file of any size, hexadecimal.

    Args:
        path: the file.
        read: called with every block of bytes, for instance to copy it.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            if read is not None:
                read(block)
    return digest.hexdigest()


def files_sha256(paths: Iterable[Path]) -> str:
    """SHA-256 of several files, whatever their order and names, hexadecimal.

    Raises:
        OSError: a file cannot be read.
    """
    parts = sorted(file_sha256(path) for path in paths)
    return hashlib.sha256("".join(parts).encode("ascii")).hexdigest()


def array_sha256(array: np.ndarray) -> str:
    """SHA-256 of an array's values in C order, little-endian, in its own dtype."""
    import numpy as np

    ordered = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return hashlib.sha256(ordered.data).hexdigest()

"""SHA-256 of files: which image, which weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

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

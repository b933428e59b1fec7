"""Reading safetensors files: tensors by name and the texts in the header. Nothing is unpickled."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from myops.errors import InputError
from myops.io.readable import is_utf8

if TYPE_CHECKING:
    import torch


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a safetensors file as they are stored.

    Raises:
        InputError: missing or damaged file.
    """
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def read_metadata(path: Path) -> dict[str, str]:
    """Read the texts in a safetensors file's header.

    Raises:
        InputError: missing or damaged file.
    """
    with _opened(path) as file:
        return file.metadata() or {}


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise InputError(f"expected a file of weights, found no {path}; install it again")
    if not is_utf8(str(path)):
        raise InputError(
            f"{path}: expected weights in a place named in UTF-8, found other bytes; rename it"
        )
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise InputError(
            f"{path}: expected a safetensors file, found a damaged one ({error}); install it again"
        ) from error

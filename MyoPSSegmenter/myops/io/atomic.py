"""Writing files: whole or not at all."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from myops.errors import InputError
from myops.io.itk_files import save_image
from myops.io.readable import encoded

if TYPE_CHECKING:
    import SimpleITK as sitk


def write_atomic(path: str | Path, writer: Callable[[Path], object]) -> Path:
    """Let `writer` write a file beside `path`, then move it there in one step.

    Args:
        path: the final file; its folder is made when it is missing.
        writer: called with a temporary path of the same suffix.

    Returns:
        The final path. Nothing of it exists when the writer fails or is interrupted.

    Raises:
        InputError: the place cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{os.getpid()}-{threading.get_ident()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # SimpleITK hides the reason of a failed write, the operating system names it.
        temporary.touch()
        mode = temporary.stat().st_mode
        writer(temporary)
        temporary.chmod(mode)  # some writers replace the file by one only its owner may read
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"expected a place to write, found that {path} cannot be written ({reason}); "
            "choose another output folder or free its disk and permissions"
        ) from error
    finally:
        _remove_quietly(temporary)
    return path


def write_image(image: sitk.Image, path: str | Path) -> Path:
    """Write a SimpleITK image, compressed, in one step; raises InputError like `write_atomic`."""
    return write_atomic(path, lambda beside: save_image(image, beside))


def write_bytes(path: str | Path, content: bytes) -> Path:
    """Write bytes in one step; raises InputError like `write_atomic`."""
    return write_atomic(path, lambda beside: beside.write_bytes(content))


def json_text(values: Mapping[str, Any]) -> str:
    """Values as the text of a JSON file, the same for every file that the program writes.

    Raises:
        ValueError: a number that JSON does not know (NaN, infinity).
    """
    return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: str | Path, values: Mapping[str, Any]) -> Path:
    """Write JSON in UTF-8, in one step; raises InputError like `write_atomic`.

    Raises:
        ValueError: see `json_text`.
    """
    return write_bytes(path, encoded(json_text(values)))


def set_aside(path: str | Path) -> Path:
    """Rename a damaged file to `<name>.damaged`, so that it is kept and no longer in the way.

    Returns:
        Its new path; with a number where earlier ones are kept. The path itself if it could not be
        renamed.
    """
    path = Path(path)
    name, number = f"{path.name}.damaged", 1
    while path.with_name(name).exists():
        number += 1
        name = f"{path.name}.damaged{number}"
    try:
        return path.rename(path.with_name(name))
    except OSError:
        return path


def _remove_quietly(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        # The folder itself may be unwritable: then nothing was made in it.
        return

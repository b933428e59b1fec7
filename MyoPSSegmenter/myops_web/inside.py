"""Whether what is read or written lies where it may: links and names do not lead out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from myops.errors import InputError


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path, with all links followed, lies in a folder."""
    return path.resolve().is_relative_to(folder.resolve())


def check_inside(paths: Iterable[Path], folder: Path) -> None:
    """Refuse paths that lead out of a folder.

    Raises:
        InputError: one does; its own path is not named, since the reader shall not learn of it.
    """
    for path in paths:
        if not is_inside(path, folder):
            raise InputError(
                f"expected images and results inside the server's folder, found that {path.name} "
                "leads out of it; ask whoever started the server to put the files there"
            )


def source_paths(source: Any) -> list[Path]:
    """The files of an image or of a DICOM series."""
    return [source] if isinstance(source, Path) else [Path(file) for file in source.files]

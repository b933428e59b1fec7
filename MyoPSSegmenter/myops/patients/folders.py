"""Which folders hold images, and which files may be DICOM."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from myops.dicom.series_names import sequence_in
from myops.io.checks import SUFFIXES
from myops.io.file_names import LABEL_PARTS, stem
from myops.io.readable import readable
from myops.worklist.casefile import CASE_FILE

# site/patient/study/series/sequence
MAX_DEPTH = 5
# Label maps and results lie beside the images they were made from.
RESULT_PARTS = LABEL_PARTS | {"mvo", "probability", "uncertainty", "roi", "contours", "truth"}


@dataclass(frozen=True)
class ImageFolder:
    """A folder with image files, those of its sub-folders named after a sequence among them."""

    folder: Path
    files: tuple[Path, ...]


def image_folders(root: Path, progress: Callable[[str], None] | None = None) -> list[ImageFolder]:
    """All folders with image files, from the root down."""
    found: dict[Path, list[Path]] = {}
    for folder in walk(root):
        if progress is not None:
            progress(readable(folder.name))
        files = [path for path in _files(folder) if is_image_file(path)]
        # patient/LGE/image.nii.gz: the patient is the folder above.
        inner = folder != root and sequence_in(folder.name) is not None
        if files:
            found.setdefault(folder.parent if inner else folder, []).extend(files)
    return [ImageFolder(folder, tuple(files)) for folder, files in found.items()]


def other_files(root: Path, taken: Sequence[Path]) -> Iterator[Path]:
    """The files below a folder that are not image files, except those below the taken folders."""
    for folder in walk(root):
        if folder in taken or any(parent in taken for parent in folder.parents if parent != root):
            continue
        yield from (path for path in _files(folder) if not path.name.lower().endswith(SUFFIXES))


def walk(root: Path) -> Iterator[Path]:
    """A folder and those below it, without hidden ones and readings that this program wrote."""
    return _walk(root, MAX_DEPTH, set())


def _walk(folder: Path, depth: int, seen: set[Path]) -> Iterator[Path]:
    real = folder.resolve()  # links may lead in a circle, or to one place twice
    if real in seen:
        return
    seen.add(real)
    yield folder
    if depth == 0:
        return
    for below in sorted(_entries(folder), key=lambda path: natural(path.name)):
        if below.is_dir() and not below.name.startswith(".") and not (below / CASE_FILE).exists():
            yield from _walk(below, depth - 1, seen)


def is_image_file(path: Path) -> bool:
    """Whether a file may be an MR image, from its name: label maps and results are none."""
    if path.name.startswith(".") or not path.name.lower().endswith(SUFFIXES):
        return False
    return RESULT_PARTS.isdisjoint(re.split(r"[^a-z0-9]+", stem(path).lower()))


def natural(name: str) -> list[tuple[bool, int, str]]:
    """A key that sorts patient2 before patient10, whatever the case of letters."""
    parts: Iterable[str] = re.findall(r"[0-9]+|[^0-9]+", name.casefold())
    return [(part[0] not in "0123456789", *_value(part)) for part in parts]


def _value(part: str) -> tuple[int, str]:
    return (int(part), "") if part[0] in "0123456789" else (0, part)


def _files(folder: Path) -> list[Path]:
    paths = (path for path in _entries(folder) if path.is_file())
    return sorted(paths, key=lambda path: natural(path.name))


def _entries(folder: Path) -> list[Path]:
    """What a folder holds; nothing where it may not be read."""
    try:
        return list(folder.iterdir())
    except OSError:
        return []

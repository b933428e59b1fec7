"""Archives of patients, unpacked where nothing in them can reach another folder or fill the disk.

An archive that names a place outside its own folder, holds links or devices, or unpacks to more
than is planned for is refused as a whole: a part of it would be a patient with slices missing.
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from myops.errors import InputError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
# A patient's whole examination has 1 to 2 GB in some thousand files, and DICOM packs to a half.
MAX_BYTES = 20 * 2**30
MAX_FILES = 200_000
MAX_RATIO = 200
# Ratios say nothing about small files.
RATIO_FROM_BYTES = 50 * 2**20
CHUNK = 2**20
UNFINISHED = ".unpacking-"


def archives_in(folder: Path) -> list[Path]:
    """Archives that lie directly in a folder, by name."""
    return sorted(path for path in folder.iterdir() if is_archive(path))


def is_archive(path: Path) -> bool:
    """Whether a file is one, by its name."""
    return path.is_file() and path.name.lower().endswith(SUFFIXES)


def unpack(archive: Path, folder: Path, max_bytes: int = MAX_BYTES) -> Path:
    """Unpack an archive into a new folder; nothing is done where it exists already.

    Args:
        archive: .zip or .tar, compressed or not.
        folder: appears when everything is in it.
        max_bytes: more than this is refused, counted while it is unpacked.

    Raises:
        InputError: damaged, with a path that leads outside, a link or a device in it, encrypted,
            or too large.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=folder.parent))
    try:
        _unpack_into(stage, archive, min(max_bytes, _planned(archive)))
        stage.chmod(0o755)
        stage.rename(folder)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, RuntimeError, NotImplementedError) as e:
        raise InputError(
            f"{archive.name}: expected an archive that can be unpacked, found a damaged or "
            f"encrypted one ({e}); pack it again"
        ) from None
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return folder


def _planned(archive: Path) -> int:
    return max(MAX_RATIO * archive.stat().st_size, RATIO_FROM_BYTES)


def _unpack_into(stage: Path, archive: Path, max_bytes: int) -> None:
    """Write every member; what their headers say of their sizes is not believed."""
    written = 0
    for number, (name, source) in enumerate(_members(archive), start=1):
        if number > MAX_FILES:
            raise _too_large(archive, f"more than {MAX_FILES} files")
        target = stage.joinpath(*_safe_parts(name, archive))
        target.parent.mkdir(parents=True, exist_ok=True)
        with source, target.open("wb") as out:
            while chunk := source.read(CHUNK):
                written += len(chunk)
                if written > max_bytes:
                    raise _too_large(archive, f"more than {max_bytes / 2**20:.0f} MB")
                out.write(chunk)


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Name and content of each file, folders left out."""
    if archive.name.lower().endswith(".zip"):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                # The upper half holds the mode that Unix gave it; 0o12 is a symbolic link.
                if info.external_attr >> 28 == 0o12:
                    raise _unsafe(archive, f"a link ({info.filename})")
                if not info.is_dir():
                    yield info.filename, packed.open(info)
        return
    with tarfile.open(archive) as rolled:
        for member in rolled:
            if not (member.isfile() or member.isdir()):
                raise _unsafe(archive, f"a link or device ({member.name})")
            content = rolled.extractfile(member)
            if content is not None:
                yield member.name, content


def _safe_parts(name: str, archive: Path) -> tuple[str, ...]:
    """The parts of a member's path.

    Raises:
        InputError: it is absolute, names a drive, or climbs out of its folder.
    """
    windows = PureWindowsPath(name)
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if windows.drive or windows.root or name.startswith("/") or ".." in parts or not parts:
        raise _unsafe(archive, f"a path that leads outside ({name})")
    if "\0" in name:
        raise _unsafe(archive, "a name with a null character")
    return parts


def _unsafe(archive: Path, found: str) -> InputError:
    return InputError(
        f"{archive.name}: expected files inside the archive's own folder, found {found}; nothing "
        "of it was unpacked: ask where it comes from, and pack it again"
    )


def _too_large(archive: Path, found: str) -> InputError:
    return InputError(
        f"{archive.name}: expected the images of patients, found {found} unpacked; nothing of it "
        "was kept: unpack it yourself if that is right"
    )

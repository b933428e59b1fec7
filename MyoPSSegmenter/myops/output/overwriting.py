"""What is read is never written over: outputs that would replace their own inputs are refused."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from myops.errors import InputError

# The remedy of a command with an option --output.
OTHER_OUTPUT = "name another --output"


def refuse_overwriting(written: Iterable[Path], read: Iterable[Path], remedy: str) -> None:
    """Refuse to write a file that is read, by whatever name or link.

    Raises:
        InputError: naming the file.
    """
    inputs = [path for path in read if path.exists()]
    for target in written:
        if target.exists() and any(target.samefile(path) for path in inputs):
            raise InputError(
                f"expected an output that leaves its inputs as they are, found that {target}, "
                f"which is read, would be overwritten; {remedy}"
            )


def refuse_replacing(folder: Path, names: Iterable[str], mark: str, remedy: str) -> None:
    """Refuse to replace files that another program, or the user, has written into a folder.

    Args:
        folder: may be missing.
        names: of the files that would be replaced.
        mark: the file that tells that the others are this command's own.
        remedy: what to do, for the message.

    Raises:
        InputError: naming the first such file.
    """
    found = [name for name in names if (folder / name).exists()]
    if found and not (folder / mark).exists():
        raise InputError(
            f"expected no {found[0]} of another origin in {folder}, found one that would be "
            f"replaced; {remedy}"
        )


def refuse_foreign(folder: Path, own: Iterable[str], remedy: str) -> None:
    """Refuse a folder with files that this program has not written there.

    Args:
        folder: may be missing.
        own: patterns of the names that may be in it.
        remedy: what to do, for the message.

    Raises:
        InputError: naming the first file that belongs to somebody else.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"expected a folder, found a file at {folder}; {remedy}")
    entries = sorted(folder.iterdir()) if folder.exists() else []
    foreign = [entry.name for entry in entries if not any(entry.match(p) for p in own)]
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise InputError(
            f"expected {folder} to be empty or to hold what this command writes, found "
            f"{foreign[0]}{more}; {remedy}"
        )


def lies_in(path: Path, folder: Path) -> bool:
    """Whether a path is a folder or something in it, by whatever name or link."""
    resolved = path.resolve()
    return folder.exists() and any(
        place.exists() and place.samefile(folder) for place in (resolved, *resolved.parents)
    )

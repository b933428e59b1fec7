"""How much memory is left, so that what cannot fit is refused before the machine stalls."""

from __future__ import annotations

import re
from pathlib import Path

from myops.errors import InputError

MEMINFO = Path("/proc/meminfo")
# Limit and use of a container's memory: control groups of version 2.
CGROUP_LIMIT, CGROUP_USED = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory.current"),
)


def available_bytes() -> int | None:
    """Memory that a program can have without anything being swapped out; None if nobody says.

    Linux alone says it in a file: elsewhere nothing is refused.
    """
    found = [_machine_bytes(), _container_bytes()]
    return min((count for count in found if count is not None), default=None)


def check_memory(needed_bytes: float, what: str) -> None:
    """Refuse work that needs more memory than there is.

    Args:
        needed_bytes: at the peak, beyond what the process holds already.
        what: the work, such as "segment 50 million voxels".

    Raises:
        InputError: with both numbers.
    """
    available = available_bytes()
    if available is not None and available < needed_bytes:
        raise InputError(
            f"expected {needed_bytes / 1e9:.1f} GB of free memory to {what}, found "
            f"{available / 1e9:.1f} GB; crop the images around the heart, resample them, or close "
            "other programs"
        )


def _machine_bytes() -> int | None:
    text = _text(MEMINFO)
    found = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _container_bytes() -> int | None:
    limit, used = _text(CGROUP_LIMIT).strip(), _text(CGROUP_USED).strip()
    return int(limit) - int(used) if limit.isdecimal() and used.isdecimal() else None


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""

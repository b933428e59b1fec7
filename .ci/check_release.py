"""Check that all places name one version, and that the changelog has it: `make release`.

    python .ci/check_release.py

Exits with 0 and the version, or with 1 and one line for each place that differs.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
# The one place that the package, its wheel and the command line take their version from.
HOME = "MyoPSSegmenter/myops/__init__.py"
# File -> where its version stands.
PLACES = {
    HOME: r'^__version__ = "(.+)"$',
    "CITATION.cff": r"^version: (\S+)$",
    "CMakeLists.txt": r"^project\(MyoPSSegmenter VERSION (\S+)\)$",
    "CHANGELOG.md": r"^## (\d\S*) - \d{4}-\d{2}-\d{2}$",
}
DATES = {
    "CITATION.cff": r"^date-released: (\S+)$",
    "CHANGELOG.md": r"^## \d\S* - (\d{4}-\d{2}-\d{2})$",
}


def main() -> int:
    """Print what differs; the exit status says whether anything does."""
    found = problems(ROOT)
    print("\n".join(found) if found else f"version {first(ROOT / HOME, PLACES[HOME])} everywhere")
    return 1 if found else 0


def problems(root: Path) -> list[str]:
    """One line for each place whose version or date is not that of the others.

    Args:
        root: a checkout of the repository.
    """
    version = first(root / HOME, PLACES[HOME])
    found = [
        f"{name}: expected version {version}, found {there}"
        for name, pattern in PLACES.items()
        if (there := first(root / name, pattern)) != version
    ]
    dates = {name: first(root / name, pattern) for name, pattern in DATES.items()}
    if len(set(dates.values())) > 1:
        found.append(f"expected one date of the release, found {dates}")
    return found


def first(path: Path, pattern: str) -> str | None:
    """What the group of a pattern matches first in a file; None if it matches nothing."""
    match = re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)
    return match.group(1) if match else None


if __name__ == "__main__":
    sys.exit(main())

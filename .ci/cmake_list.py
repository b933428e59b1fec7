"""Rewrite the lists of files in MyoPSSegmenter/CMakeLists.txt from the disk: `make cmake-list`."""

from __future__ import annotations

import re
from pathlib import Path

MODULE = Path(__file__).parents[1] / "MyoPSSegmenter"
SLICER_LAYER = ("MyoPSSegmenter.py", "MyoPSSegmenterLib", "Resources")
# Name of a list -> where its files lie, and whether they are Python scripts.
LISTS = {
    "MODULE_PYTHON_SCRIPTS": (SLICER_LAYER, True),
    "MODULE_PYTHON_RESOURCES": (SLICER_LAYER, False),
    "MYOPS_SCRIPTS": (("myops",), True),
    "MYOPS_RESOURCES": (("myops",), False),
}


def files_of(parts: tuple[str, ...], scripts: bool) -> list[str]:
    """Names of files below parts of the module, without what tools leave behind."""
    found: list[Path] = []
    for place in (MODULE / part for part in parts):
        found += [place] if place.is_file() else [p for p in place.rglob("*") if p.is_file()]
    names = [path.relative_to(MODULE) for path in found if (path.suffix == ".py") == scripts]
    return sorted(n.as_posix() for n in names if not any(p[0] in "._" for p in n.parts[:-1]))


def main() -> None:
    """Replace what stands between the name of each list and its closing parenthesis."""
    path = MODULE / "CMakeLists.txt"
    text = path.read_text(encoding="utf-8")
    for name, (parts, scripts) in LISTS.items():
        lines = "".join(f"  {file}\n" for file in files_of(parts, scripts))
        text = re.sub(rf"(set\({name}\n)(?:  [^\s)]\S*\n)*", rf"\g<1>{lines}", text)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

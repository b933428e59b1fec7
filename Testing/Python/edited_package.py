"""The package with a table edited, as a developer would edit it, run in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent
SOURCE = TESTS.parents[1] / "MyoPSSegmenter"
# Rows are added at the end of these tables.
ENDS = {
    "sequences.py": ")\n\nSEQUENCES: Mapping",
    "structures.py": ")\n\nSTRUCTURES: Mapping",
    "labels.py": "}\nDEFAULT_CONVENTION",
}

T1_MAP = r"""    MriSequence(
        name="t1_map",
        title="T1 map",
        long_title="native T1 map",
        description="Native T1 map",
        article="a",
        suffixes=("T1map",),
        file_parts=("t1map", "molli"),
        series_words=r"t1[ _-]*map\w*|molli",
        word_rank=3,
        view="MyoPST1Map",
        view_color="#B07AA1",
    ),
"""
SITE = """    "site": Convention(
        "Our site", {10: "blood_pool", 20: "normal_myocardium", 30: "scar"}
    ),
"""
HEMORRHAGE = """    Structure(
        "hemorrhage",
        "Intramyocardial hemorrhage",
        "Hemorrhage",
        "#a05a2c",
        value=2223,
        part_of="scar",
        seen_on=("t2",),
        optional=True,
        note="in scar",
        category=ALTERED,
        region=MYOCARDIUM,
    ),
"""


def package_with(folder: Path, rows: Mapping[str, str]) -> Path:
    """Copy the package and add rows to its tables; nothing else differs.

    Args:
        folder: gets the copy.
        rows: file of a table in `myops` to a row as it would be typed.

    Returns:
        The folder to put on the path: it holds `myops` and `MyoPSSegmenterLib`.
    """
    target = folder / "MyoPSSegmenter"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(SOURCE, target, ignore=ignored, copy_function=_linked)
    for file, row in rows.items():
        text = (SOURCE / "myops" / file).read_text("utf-8")
        assert text.count(ENDS[file]) == 1
        (target / "myops" / file).unlink()
        edited = text.replace(ENDS[file], f"{row}{ENDS[file]}")
        (target / "myops" / file).write_text(edited, "utf-8")
    return target


def told_by(package: Path, script: Path, *more_paths: Path) -> dict[str, Any]:
    """Run a script with a package and return the JSON that it prints last."""
    hearts = TESTS.parent / "hearts"
    paths = [str(package), str(TESTS), str(hearts), *map(str, more_paths)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        encoding="utf-8",
        env=environment,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _linked(source: str, target: str) -> None:
    """Weights are large: linked where the system allows it, copied where it does not."""
    try:
        os.symlink(source, target)
    except OSError:
        shutil.copy2(source, target)

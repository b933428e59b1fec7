"""Notebooks without Jupyter: the code cells one after another, as Docs/decisions/17 says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def cells(path: Path) -> list[dict[str, Any]]:
    """All cells of a notebook, in order."""
    return json.loads(path.read_text("utf-8"))["cells"]


def code_cells(path: Path) -> list[str]:
    """The source of every code cell."""
    return ["".join(c["source"]) for c in cells(path) if c["cell_type"] == "code"]


def run_notebook(path: Path) -> dict[str, Any]:
    """Run a notebook's code in the present folder, and return the names that it has made."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, source in enumerate(code_cells(path), start=1):
        exec(compile(source, f"{path.name}, code cell {number}", "exec"), names)
    return names

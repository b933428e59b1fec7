"""What a fresh interpreter loads."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

MODULE = Path(__file__).parents[2] / "MyoPSSegmenter"


def run_python(code: str, environment: Mapping[str, str] | None = None) -> str:
    """Run code in a fresh interpreter that finds the library, and return what it prints.

    Args:
        code: Python.
        environment: variables that are set for it beside the present ones.
    """
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(MODULE)!r})\n{code}"]
    done = subprocess.run(
        command,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
        env=os.environ | dict(environment or {}),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def loaded_after(module: str) -> set[str]:
    """Top-level names of all modules that importing `module` loads."""
    code = f"import {module}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    return set(run_python(code).split())

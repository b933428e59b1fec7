"""What a fresh interpreter loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MODULE = Path(__file__).parents[2] / "MyoPSSegmenter"


def run_python(code: str) -> str:
    """Run code in a fresh interpreter that finds the library, and return what it prints."""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(MODULE)!r})\n{code}"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def loaded_after(module: str) -> set[str]:
    """Top-level names of all modules that importing `module` loads."""
    code = f"import {module}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    return set(run_python(code).split())

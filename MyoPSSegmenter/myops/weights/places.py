"""Where this computer keeps what a user has added or chosen."""

from __future__ import annotations

import os
import sys
from pathlib import Path

VARIABLE = "MYOPS_MODELS"


def models_folder() -> Path:
    """Where added models are kept: `MYOPS_MODELS`, else the system's place for a user's data."""
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE])
    home = Path.home()
    if sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        root = home / "Library" / "Application Support"
    else:
        root = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    return root / "myops" / "models"

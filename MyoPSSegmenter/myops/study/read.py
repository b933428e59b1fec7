"""A study from whatever holds its readings: a table, or a folder of saved sessions."""

from __future__ import annotations

from pathlib import Path

from .reading import Study
from .readings import read_table
from .sessions import read_sessions


def read_study(source: str | Path) -> Study:
    """Read a table of readings, or a folder of saved sessions.

    Raises:
        InputError: see `read_table` and `read_sessions`.
    """
    return read_sessions(source) if Path(source).is_dir() else read_table(source)

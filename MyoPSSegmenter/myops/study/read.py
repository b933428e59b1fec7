"""A study from whatever holds its readings: a table, or a folder of saved sessions."""

from __future__ import annotations

from pathlib import Path

from myops.study.reading import Study
from myops.study.readings import read_table
from myops.study.sessions import read_sessions


def read_study(source: str | Path) -> Study:
    """Read a table of readings, or a folder of saved sessions.

    Args:
        source: CSV with the columns case, reader, session, method and mass_g (in g) or mask (a
            label file), see `study.readings`; or a folder as the Slicer module's work list writes
            it.

    Raises:
        InputError: see `read_table` and `read_sessions`.

    Example:
        >>> study = myops.read_study("readings.csv")
        >>> agreement = myops.analyze_study(study).overall.groups[0]
        >>> agreement.kind, agreement.icc.value
        ('inter-observer', 0.97)
    """
    return read_sessions(source) if Path(source).is_dir() else read_table(source)

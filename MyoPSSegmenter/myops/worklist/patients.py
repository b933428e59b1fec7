"""Where DICOM folders were read before version 0.2.0; kept for scripts that import it from here."""

from __future__ import annotations

from myops.patients.find import read_sequence, recognize

__all__ = ["read_sequence", "recognize"]

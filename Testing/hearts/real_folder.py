"""Where the real hearts are, beside the project; tests that need them skip without."""

from __future__ import annotations

from pathlib import Path

REAL_HEARTS = Path(__file__).resolve().parents[3] / "shared" / "real"

"""Cases by image quality, and the order of names that carry numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from myops.study.reading import NOT_GRADED, Reading, in_order

# More different scores than this are a continuous score, divided at the median.
MOST_GRADES = 4


def quality_groups(readings: Sequence[Reading]) -> dict[str, frozenset[str]]:
    """Image quality in words -> the cases that have it; empty where all have the same.

    Up to four different values are grades; more different numbers are a score, divided at the
    median over the cases.
    """
    quality = dict.fromkeys(in_order(r.case for r in readings), "")
    spelled: dict[float, str] = {}
    for reading in readings:
        if reading.quality:
            score = _score(reading.quality)
            # "1" and "1.0" are one grade.
            own = reading.quality if score is None else spelled.setdefault(score, reading.quality)
            quality[reading.case] = own
    scores = {case: _score(value) for case, value in quality.items() if value}
    known = [score for score in scores.values() if score is not None]
    if len(set(known)) > MOST_GRADES and len(known) == len(scores):
        middle = float(np.median(known))
        words = (f"below {middle:g}", f"{middle:g} and above")
        quality |= {
            case: words[score >= middle] for case, score in scores.items() if score is not None
        }
    names = sorted(set(quality.values()) - {""}, key=natural)
    groups = {name: frozenset(c for c, q in quality.items() if q == name) for name in names}
    ungraded = frozenset(case for case, value in quality.items() if not value)
    if groups and ungraded:
        groups[NOT_GRADED] = ungraded
    return groups if len(groups) > 1 else {}


def natural(name: str) -> list[tuple[int, str]]:
    """Sort key that puts "session 2" before "session 10"; equal for equal names alone."""
    parts = [*re.split(r"(\d+)", name), name]
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _score(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None

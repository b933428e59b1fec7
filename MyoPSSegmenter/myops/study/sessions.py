"""The readings of a study, from a folder of saved sessions.

    FOLDER/<case>/<reader>/<session>/measurements.json     written by `myops segment | refine`
                                     session.json          the clicks and their time, optional
                                     case.json             the work list's own record, optional

Each session gives one reading for the interactive method (the corrected scar) and one for each
conventional method, which was measured inside the same corrected myocardium. The image quality of a
case is its scar-to-remote contrast to noise, the median over its sessions. The time of the
interactive method is what the work list's clock counted; without its record it is from the first to
the end of the last step, and "computing" is the machine's part of it. Conventional methods have no
time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

from ..errors import InputError
from ..quantify.human_heart import doubt, doubt_of_many, is_doubt
from ..worklist.casefile import CASE_FILE, CaseFile, read_case_file
from .analysis import INTERACTIVE
from .readings import Reading, Study, read_table

MEASUREMENTS = "measurements.json"
SESSION = "session.json"
TABLE = "study.csv"
# measurements.json is rounded.
SAME_MASS_G = 0.01
CONTRAST = "contrast_scar_remote"


def read_sessions(folder: str | Path) -> Study:
    """Read a folder of saved sessions.

    Raises:
        InputError: no session where it is expected, or a damaged file.
    """
    folder = Path(folder)
    found = sorted(folder.glob(f"*/*/*/{MEASUREMENTS}"))
    if not found and (folder / TABLE).is_file():
        return read_table(folder / TABLE)
    if not found:
        raise InputError(
            f"{folder}: expected case/reader/session/{MEASUREMENTS} below it, found none; "
            "sort the output folders of myops refine like that, or give a table"
        )
    measured = {path.parent: _json(path) for path in found}
    records = {
        path.parent: read_case_file(path, keep_aside=False)
        for path in sorted(folder.glob(f"*/*/*/{CASE_FILE}"))
    }
    readings: list[Reading] = []
    for _, places in groupby(measured, key=lambda place: place.relative_to(folder).parts[0]):
        case = {place: measured[place] for place in places}
        quality = _quality(list(case.values()))
        for place, values in case.items():
            readings += _readings(place, values, records.get(place), quality)
    hearts = {str(p.relative_to(folder)): _heart_doubt(v) for p, v in measured.items()}
    doubtful = doubt_of_many(hearts, len(hearts))
    warnings = (*_doubts(records, measured), *([doubtful] if doubtful else ()))
    return Study(tuple(readings), folder.name, warnings=warnings)


def _readings(
    place: Path, measured: Mapping[str, Any], record: CaseFile | None, quality: str
) -> list[Reading]:
    """The interactive reading of a session, then the conventional ones.

    Name and times are those of the work list's record where there is one.
    """
    case, reader, session = (
        place.parts[-3:] if record is None else (record.case, record.reader, record.session)
    )
    who = Reading(case, reader, session, "", None)
    counted = {} if record is None else record.seconds
    seconds, stages = (sum(counted.values()), counted) if counted else _times(place / SESSION)
    try:
        rules = {**(measured.get("fwhm") or {}), **(measured.get("conventional") or {})}
        masses = {INTERACTIVE: measured["tissues"]["scar"], **rules}
        readings = [
            replace(who, method=method, quality=quality, mass_g=_grams(mass), note=_missing(mass))
            for method, mass in masses.items()
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(
            f"{place / MEASUREMENTS}: expected the measurements of myops segment or refine, "
            f"found something else ({error!r})"
        ) from None
    return [replace(readings[0], seconds=seconds, stages=stages), *readings[1:]]


def _doubts(
    records: Mapping[Path, CaseFile], measured: Mapping[Path, Mapping[str, Any]]
) -> tuple[str, ...]:
    """Readings of the work list without measurements, or with those of an earlier mask."""
    missing, earlier = [], []
    for place, found in records.items():
        name = f"{found.case} ({found.reader}, session {found.session})"
        if place not in measured:
            missing.append(name)
        elif _differ(found, measured[place]):
            earlier.append(name)
    sentences = {
        "readings without measurements, left out: ": missing,
        "readings whose measurements are those of an earlier mask; open and save them again: ": (
            earlier
        ),
    }
    return tuple(words + ", ".join(names) for words, names in sentences.items() if names)


def _heart_doubt(measured: Mapping[str, Any]) -> str:
    """What the measurement said about a heart that no human has, or what its scar mass says."""
    told = (str(words) for words in measured.get("warnings") or () if is_doubt(str(words)))
    return next(told, "") or doubt({"scar_g": _grams(measured["tissues"]["scar"])})


def _differ(found: CaseFile, measured: Mapping[str, Any]) -> bool:
    """Whether the work list's scar mass, which follows every click, is another one."""
    noted = found.masses_g.get("scar")
    scar_g = measured["tissues"]["scar"]["mass_g"]
    return noted is not None and scar_g is not None and abs(noted - scar_g) > SAME_MASS_G


def _quality(measured: list[dict[str, Any]]) -> str:
    """Median contrast to noise of a case, as text; empty where no session has one."""
    found = [(values.get("image_quality") or {}).get(CONTRAST) for values in measured]
    known = [float(value) for value in found if value is not None]
    return f"{median(known):.1f}" if known else ""


def _grams(mass: Mapping[str, Any]) -> float | None:
    grams = mass["mass_g"]
    return None if grams is None else float(grams)


def _missing(mass: Mapping[str, Any]) -> str:
    return "" if mass["mass_g"] is not None else str(mass.get("invalid") or mass.get("reason"))


def _times(path: Path) -> tuple[float | None, dict[str, float]]:
    """Seconds of a session and of its stages; None without a file or without steps."""
    if not path.is_file():
        return None, {}
    try:
        found = _json(path)["steps"]
        if not any("time" in step for step in found):  # prompts that were written by hand
            return None, {}
        steps = [(step["time"], float(step["seconds"])) for step in found]
        moments = [(datetime.fromisoformat(at), seconds) for at, seconds in steps]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: expected steps with time and seconds, found {error}") from None
    if not moments:
        return None, {}
    # A step is stamped when it is done: the first one began its own seconds earlier.
    total = (moments[-1][0] - moments[0][0]).total_seconds() + moments[0][1]
    computing = sum(seconds for _, seconds in moments)
    return total, {"computing": computing, "reader": max(total - computing, 0.0)}


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected JSON, found damaged text ({error})") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(values).__name__}")
    return values

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

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

from myops.errors import InputError
from myops.io.json_fields import amount, text
from myops.io.text_files import read_json
from myops.quantify.human_heart import heart_warning, is_heart_warning, warning_of_many
from myops.study.reading import INTERACTIVE, Reading, Study
from myops.study.readings import read_table
from myops.worklist.casefile import CASE_FILE, CaseFile, read_case_file
from myops.worklist.moments import overlapping_step, reading_seconds

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
    times = {place: _counted(records.get(place)) or _times(place / SESSION) for place in measured}
    readings: list[Reading] = []
    for _, places in groupby(measured, key=lambda place: place.relative_to(folder).parts[0]):
        case = {place: measured[place] for place in places}
        quality = _quality(case)
        for place, values in case.items():
            readings += _readings(place, values, records.get(place), times[place], quality)
    hearts = {str(p.relative_to(folder)): _heart_warning(v) for p, v in measured.items()}
    doubtful = warning_of_many(hearts, len(hearts))
    told = (*_session_warnings(records, measured), *_time_warnings(times))
    warnings = (*told, *([doubtful] if doubtful else ()))
    return Study(tuple(readings), folder.name, warnings=warnings)


@dataclass(frozen=True)
class _Times:
    """Seconds of a session and of its stages; None where they are not known.

    Attributes:
        too_long: the step that took longer than the clock says; None if none did.
    """

    total: float | None = None
    stages: Mapping[str, float] = field(default_factory=dict)
    too_long: int | None = None


def _readings(
    place: Path,
    measured: Mapping[str, Any],
    record: CaseFile | None,
    times: _Times,
    quality: str,
) -> list[Reading]:
    """The interactive reading of a session, then the conventional ones.

    The names are those of the work list's record where there is one.
    """
    case, reader, session = (
        place.parts[-3:] if record is None else (record.case, record.reader, record.session)
    )
    who = Reading(case, reader, session, "", None)
    try:
        rules = {**(measured.get("fwhm") or {}), **(measured.get("conventional") or {})}
        masses = {INTERACTIVE: measured["tissues"]["scar"], **rules}
        readings = [
            replace(who, method=method, quality=quality, mass_g=_grams(mass), note=_missing(mass))
            for method, mass in masses.items()
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise _foreign(place, error) from None
    return [replace(readings[0], seconds=times.total, stages=times.stages), *readings[1:]]


def _session_warnings(
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


def _heart_warning(measured: Mapping[str, Any]) -> str:
    """What the measurement said about a heart that no human has, or what its scar mass says."""
    told = (str(words) for words in measured.get("warnings") or () if is_heart_warning(str(words)))
    return next(told, "") or heart_warning({"scar_g": _grams(measured["tissues"]["scar"])})


def _differ(found: CaseFile, measured: Mapping[str, Any]) -> bool:
    """Whether the work list's scar mass, which follows every click, is another one."""
    noted = found.masses_g.get("scar")
    scar_g = measured["tissues"]["scar"]["mass_g"]
    return noted is not None and scar_g is not None and abs(noted - scar_g) > SAME_MASS_G


def _quality(measured: Mapping[Path, Mapping[str, Any]]) -> str:
    """Median contrast to noise of a case, as text; empty where no session has one."""
    known = []
    for place, values in measured.items():
        try:
            found = (values.get("image_quality") or {}).get(CONTRAST)
            known += [] if found is None else [float(found)]
        except (TypeError, AttributeError, ValueError) as error:
            raise _foreign(place, error) from None
    return f"{median(known):.1f}" if known else ""


def _foreign(place: Path, error: Exception) -> InputError:
    return InputError(
        f"{place / MEASUREMENTS}: expected the measurements of myops segment or refine, "
        f"found something else ({error!r}); write them again"
    )


def _grams(mass: Mapping[str, Any]) -> float | None:
    grams = mass["mass_g"]
    return None if grams is None else amount(grams)


def _missing(mass: Mapping[str, Any]) -> str:
    return "" if mass["mass_g"] is not None else str(mass.get("invalid") or mass.get("reason"))


def _counted(record: CaseFile | None) -> _Times | None:
    """What the work list's clock counted; None where it did not run."""
    seconds = {} if record is None else record.seconds
    return _Times(sum(seconds.values()), seconds) if seconds else None


def _times(path: Path) -> _Times:
    """The times of a session's steps; none without a file or without steps."""
    if not path.is_file():
        return _Times()
    steps = _steps(path)
    if not any(step.get("time") is not None for step in steps):  # prompts written by hand
        return _Times()
    times, seconds = [], []
    for number, step in enumerate(steps, start=1):
        try:
            times.append(text(step["time"]))
            seconds.append(amount(step["seconds"]))
        except (KeyError, TypeError, ValueError) as error:
            raise _untold(path, f"step {number}: {error}") from None
    try:
        total = reading_seconds(times, seconds[0])
    except ValueError as error:
        raise _untold(path, str(error)) from None
    computing = sum(seconds)
    stages = {"computing": computing, "reader": max(total - computing, 0.0)}
    return _Times(total, stages, overlapping_step(times, seconds))


def _time_warnings(times: Mapping[Path, _Times]) -> tuple[str, ...]:
    names = [
        f"{'/'.join(place.parts[-3:])} (step {found.too_long})"
        for place, found in times.items()
        if found.too_long is not None
    ]
    if not names:
        return ()
    return (
        f"steps that took longer than the clock ran since the step before: {', '.join(names)}; the "
        "clock was set back, or another computer did them again: check the seconds",
    )


def _steps(path: Path) -> list[dict[str, Any]]:
    steps = _json(path).get("steps")
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise _untold(path, f"{type(steps).__name__} in their place")
    return steps


def _untold(path: Path, trouble: str) -> InputError:
    return InputError(
        f"{path}: expected steps with time and seconds, found {trouble}; correct them, or delete "
        "the times of all steps"
    )


def _json(path: Path) -> dict[str, Any]:
    values = read_json(path)
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(values).__name__}")
    return values

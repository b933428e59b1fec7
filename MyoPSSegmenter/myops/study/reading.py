"""A reading, and a study: all readings, whose names and values fit together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from myops.errors import InputError
from myops.io.readable import readable
from myops.study.spelling import check_spelling, same_name, same_session

# The method that the others stand beside; where no method has this name, the table's first one.
INTERACTIVE = "interactive"
NAMES = ("case", "reader", "session", "method")
# What the results call the time of a whole reading, all cases, and those without a grade.
TOTAL, ALL_CASES, NOT_GRADED = "total", "all", "not graded"
NOT_A_GRADE = frozenset({ALL_CASES, NOT_GRADED})


@dataclass(frozen=True)
class Reading:
    """One scar mass, read once.

    Attributes:
        case: name of the patient or phantom.
        reader: who read it.
        session: the reader's first, second ... reading.
        method: how the scar was measured.
        mass_g: scar mass in g; None when the reading is missing, `note` says why.
        seconds: time of the whole reading in s; None when it was not taken.
        stages: stage name to its time in s.
        quality: image quality grade or score of the case; empty when none was given.
        reference_g: true scar mass of the case in g; None when it is not known.
        note: why the mass is missing.
    """

    case: str
    reader: str
    session: str
    method: str
    mass_g: float | None
    seconds: float | None = None
    stages: Mapping[str, float] = field(default_factory=dict)
    quality: str = ""
    reference_g: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        for name in (*NAMES, "quality", "note"):
            object.__setattr__(self, name, readable(getattr(self, name)))
        object.__setattr__(self, "stages", {readable(k): v for k, v in self.stages.items()})

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes a reading one of its kind: case, reader, session, method."""
        return self.case, self.reader, self.session, self.method


@dataclass(frozen=True)
class Study:
    """All readings, each of its kind once.

    Attributes:
        readings: in the order of the source.
        source: name of the table or folder, without its path.
        simulated: how the readings were simulated; empty for readings of people.
        warnings: what was not used, in words.
    """

    readings: tuple[Reading, ...]
    source: str
    simulated: str = ""
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", readable(self.source))
        object.__setattr__(self, "warnings", tuple(map(readable, self.warnings)))
        if not self.readings:
            raise InputError(f"{self.source}: expected readings, found none")
        _check_once(self)
        _check_names(self)
        for name in ("quality", "reference_g"):
            _check_one_per_case(self, name)


def _check_once(study: Study) -> None:
    seen: set[tuple[str, ...]] = set()
    for reading in study.readings:
        if reading.key in seen:
            what = ", ".join(f"{n} {v}" for n, v in zip(NAMES, reading.key, strict=True))
            raise InputError(
                f"{study.source}: expected each reading once, found {what} twice; "
                "delete one, or give it another session"
            )
        seen.add(reading.key)


def _check_names(study: Study) -> None:
    """Two spellings of one name would be two readers, or hide each other in a table."""
    for what in ("case", "reader", "method"):
        check_spelling((getattr(r, what) for r in study.readings), what, study.source)
    sessions: dict[str, list[str]] = {}
    for reading in study.readings:
        sessions.setdefault(reading.reader, []).append(reading.session)
    for reader, names in sessions.items():
        check_spelling(names, f"session of reader {reader}", study.source, same_session)
    grades = in_order(r.quality for r in study.readings)
    check_spelling(grades, "quality", study.source)
    if taken := [grade for grade in grades if same_name(grade) in NOT_A_GRADE]:
        raise InputError(
            f"{study.source}: expected grades of image quality, found {taken[0]!r}, which the "
            "tables use for other cases; name it otherwise"
        )


def _check_one_per_case(study: Study, name: str) -> None:
    """Quality and reference belong to the case: its readings cannot disagree on them."""
    for case in in_order(reading.case for reading in study.readings):
        values = {getattr(r, name) for r in study.readings if r.case == case} - {None, ""}
        if len(values) > 1:
            raise InputError(
                f"{study.source}: expected one {name} for case {case}, "
                f"found {', '.join(sorted(map(str, values)))}; it belongs to the case"
            )


def in_order(names: Iterable[str]) -> list[str]:
    """Each name once, in the order of first appearance."""
    return list(dict.fromkeys(names))

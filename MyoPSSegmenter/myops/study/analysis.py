"""Study -> Results: who agrees with whom, how well, and how fast.

- inter-observer: the readers' first sessions against each other;
- intra-observer: the sessions of one reader against each other;
- reference: each reader's first session against the true mass, where it is known;
- method: the interactive method against each other one, both as the mean over the readings that a
  case has with both.

Each comparison uses complete cases only; the others are named in `left_out`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np

from myops.study.reading import INTERACTIVE, TOTAL, Reading, Study, in_order
from myops.study.results import (
    Analysis,
    GroupAgreement,
    MassByCase,
    MethodTest,
    PairAgreement,
    Results,
    Times,
)
from myops.study.spelling import same_name
from myops.study.statistics import (
    bland_altman,
    concordance,
    intraclass,
    paired_test,
    variation_percent,
)
from myops.study.subgroups import natural, quality_groups

REFERENCE = "reference"


def analyze(study: Study) -> Results:
    """Analyze a study, whole and by image quality.

    Args:
        study: from `read_study`.

    Returns:
        Agreement between readers, sessions and methods (CCC, ICC, Bland-Altman in g), paired tests
        and times in s; what too few cases leave undefined is None, with the reason.
    """
    methods = _methods(study.readings)
    by_quality = {
        name: _analyze([r for r in study.readings if r.case in cases], methods)
        for name, cases in quality_groups(study.readings).items()
    }
    return Results(study, methods, _analyze(study.readings, methods), by_quality)


def _methods(readings: Sequence[Reading]) -> tuple[str, ...]:
    """The interactive method first, then the others as they appear."""
    names = in_order(r.method for r in readings)
    return tuple(sorted(names, key=lambda name: name.lower() != INTERACTIVE))


def _analyze(readings: Sequence[Reading], methods: Sequence[str]) -> Analysis:
    groups: list[GroupAgreement] = []
    for method in methods:
        own = [r for r in readings if r.method == method]
        groups.append(_inter_observer(own, method))
        groups += _intra_observer(own, method)
        groups += _against_reference(own, method)
    tests: list[MethodTest] = []
    for other in methods[1:]:
        groups.append(_between_methods(readings, methods[0], other))
        tests += _tests(readings, methods[0], other)
    times = tuple(t for method in methods for t in _times(readings, method))
    cases = tuple(in_order(r.case for r in readings))
    return Analysis(cases, tuple(groups), tuple(tests), times)


def _inter_observer(own: Sequence[Reading], method: str) -> GroupAgreement:
    return _group("inter-observer", method, "", _first_sessions(own), _cases(own))


def _intra_observer(own: Sequence[Reading], method: str) -> list[GroupAgreement]:
    groups = []
    for reader in _readers(own):
        mine = [r for r in own if r.reader == reader]
        sessions = sorted({r.session for r in mine}, key=natural)
        columns = {
            f"session {name}" if name.isdecimal() else name: {
                r.case: r.mass_g for r in mine if r.session == name
            }
            for name in sessions
        }
        if len(columns) > 1:
            groups.append(_group("intra-observer", method, reader, columns, _cases(mine)))
    return groups


def _against_reference(own: Sequence[Reading], method: str) -> list[GroupAgreement]:
    reference: MassByCase = {r.case: r.reference_g for r in own if r.reference_g is not None}
    if not reference:
        return []
    groups = []
    for reader, column in _first_sessions(own).items():
        # A reader may be called "reference" too.
        name = REFERENCE if same_name(reader) != REFERENCE else f"{REFERENCE} (known mass)"
        columns = {reader: column, name: reference}
        groups.append(_group("reference", method, reader, columns, _cases(own)))
    return groups


def _between_methods(readings: Sequence[Reading], first: str, second: str) -> GroupAgreement:
    means = _common_means(readings, first, second, lambda r: r.mass_g)
    columns = {
        first: {case: pair[0] for case, pair in means.items()},
        second: {case: pair[1] for case, pair in means.items()},
    }
    both = [r for r in readings if r.method in (first, second)]
    return _group("method", first, "", columns, _cases(both))


def _group(
    kind: str, method: str, of: str, columns: Mapping[str, MassByCase], cases: Sequence[str]
) -> GroupAgreement:
    table = [[column.get(case) for column in columns.values()] for case in cases]
    readings = np.array(table, np.float64).reshape(len(cases), len(columns))
    return GroupAgreement(
        kind,
        method,
        of,
        tuple(columns),
        intraclass(readings),
        variation_percent(readings),
        _left_out(columns, cases),
        tuple(_pair(one, other, columns, cases) for one, other in combinations(columns, 2)),
    )


def _pair(
    first: str, second: str, columns: Mapping[str, MassByCase], cases: Sequence[str]
) -> PairAgreement:
    masses = {}
    for case in cases:
        one, other = columns[first].get(case), columns[second].get(case)
        if one is not None and other is not None:
            masses[case] = (one, other)
    x, y = [pair[0] for pair in masses.values()], [pair[1] for pair in masses.values()]
    both = {first: columns[first], second: columns[second]}
    return PairAgreement(
        first,
        second,
        concordance(x, y),
        bland_altman(x, y),
        variation_percent(np.column_stack([x, y])),
        masses,
        _left_out(both, cases),
    )


def _left_out(columns: Mapping[str, MassByCase], cases: Sequence[str]) -> tuple[str, ...]:
    words = []
    for case in cases:
        missing = [name for name, column in columns.items() if column.get(case) is None]
        if missing:
            words.append(f"{case} (no mass: {', '.join(missing)})")
    return tuple(words)


def _tests(readings: Sequence[Reading], first: str, second: str) -> list[MethodTest]:
    found = {
        ("mass", "g"): _common_means(readings, first, second, lambda r: r.mass_g),
        ("time", "s"): _common_means(readings, first, second, lambda r: r.seconds),
        ("spread between readers", "g"): _spreads(readings, first, second),
        ("absolute error", "g"): _common_means(readings, first, second, _absolute_error),
    }
    return [
        _test(quantity, unit, first, second, pairs)
        for (quantity, unit), pairs in found.items()
        if pairs
    ]


def _test(
    quantity: str, unit: str, first: str, second: str, pairs: Mapping[str, tuple[float, float]]
) -> MethodTest:
    x, y = np.array(list(pairs.values())).T
    return MethodTest(
        quantity, unit, first, second, float(x.mean()), float(y.mean()), paired_test(x, y)
    )


def _absolute_error(reading: Reading) -> float | None:
    if reading.mass_g is None or reading.reference_g is None:
        return None
    return abs(reading.mass_g - reading.reference_g)


def _common_means(
    readings: Sequence[Reading],
    first: str,
    second: str,
    value: Callable[[Reading], float | None],
) -> dict[str, tuple[float, float]]:
    """Case -> mean value of each method, over the readers and sessions that have it with both."""
    known: dict[str, dict[tuple[str, str, str], float]] = {first: {}, second: {}}
    for reading in readings:
        number = value(reading)
        if reading.method in known and number is not None:
            known[reading.method][reading.case, reading.reader, reading.session] = number
    common = [key for key in known[first] if key in known[second]]
    return {
        case: (
            float(np.mean([known[first][key] for key in common if key[0] == case])),
            float(np.mean([known[second][key] for key in common if key[0] == case])),
        )
        for case in in_order(key[0] for key in common)
    }


def _spreads(
    readings: Sequence[Reading], first: str, second: str
) -> dict[str, tuple[float, float]]:
    """Case -> standard deviation of each method's first sessions between the readers of both."""
    columns = [_first_sessions([r for r in readings if r.method == m]) for m in (first, second)]
    readers = [reader for reader in columns[0] if reader in columns[1]]
    found: dict[str, tuple[float, float]] = {}
    if len(readers) < 2:
        return found
    for case in _cases(readings):
        masses = [[column[reader].get(case) for reader in readers] for column in columns]
        spread = np.array(masses, np.float64).std(axis=1, ddof=1)
        if np.isfinite(spread).all():
            found[case] = (float(spread[0]), float(spread[1]))
    return found


def _times(readings: Sequence[Reading], method: str) -> list[Times]:
    own = [r for r in readings if r.method == method]
    stages = in_order(stage for r in own for stage in r.stages)
    rows = [_time(method, TOTAL, [r.seconds for r in own])]
    return rows + [_time(method, stage, [r.stages.get(stage) for r in own]) for stage in stages]


def _time(method: str, stage: str, seconds: Sequence[float | None]) -> Times:
    known = np.array([s for s in seconds if s is not None], np.float64)
    without = len(seconds) - known.size
    if not known.size:
        return Times(method, stage, 0, without, None, None, None)
    sd = float(known.std(ddof=1)) if known.size > 1 else None
    return Times(
        method, stage, known.size, without, float(known.mean()), sd, float(np.median(known))
    )


def _first_sessions(own: Iterable[Reading]) -> dict[str, MassByCase]:
    """Reader -> case -> mass of the reader's first session."""
    own = list(own)
    columns: dict[str, MassByCase] = {}
    for reader in _readers(own):
        mine = [r for r in own if r.reader == reader]
        first = min({r.session for r in mine}, key=natural)
        columns[reader] = {r.case: r.mass_g for r in mine if r.session == first}
    return columns


def _readers(own: Sequence[Reading]) -> list[str]:
    return sorted({r.reader for r in own}, key=natural)


def _cases(own: Sequence[Reading]) -> list[str]:
    return in_order(r.case for r in own)

"""Four patients, two readers, two sessions."""

from __future__ import annotations

from myops.study.reading import Reading

HEADER = "case,reader,session,method,mass_g,seconds\n"
# Case -> the masses of Ana and Ben in two sessions, in g.
MASSES = {
    "P1": ((10.0, 10.5), (11.0, 11.2)),
    "P2": ((20.0, 19.0), (21.5, 21.0)),
    "P3": ((5.0, 5.4), (5.5, 6.0)),
    "P4": ((31.0, 30.0), (33.0, 34.0)),
}


def readings() -> list[Reading]:
    return [
        Reading(case, reader, str(session), "interactive", mass)
        for case, readers in MASSES.items()
        for reader, sessions in zip(("Ana", "Ben"), readers, strict=True)
        for session, mass in enumerate(sessions, start=1)
    ]


def column(reader: int, session: int) -> list[float]:
    return [masses[reader][session] for masses in MASSES.values()]

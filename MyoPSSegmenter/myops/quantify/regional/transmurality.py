"""How deep scar reaches into the wall, on 96 radial chords per slice.

A chord runs along a ray from the LV center: its end is the epicardium, its start the endocardium,
that is, the nearest place toward the center that is not wall. Muscle further in (papillary muscles)
is not part of it. Rays without wall (outflow tract, partial ring) and rays without cavity (apex)
have no chord. Transmurality is the scar's share of the chord's length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from myops import labels as regions
from myops.quantify.regional.polar import sample

# About 100 (Bondarenko and others use 100): 96 puts whole chords into sectors of 60 and 90 degrees.
CHORDS = 96
CHORD_DEG = 360.0 / CHORDS
# The usual limit of viability: Kim et al., N Engl J Med 2000;343:1445.
HALF_WALL_PERCENT = 50.0
# A reader's classes: 0 no scar, 1 up to a quarter of the wall, ... 4 more than three quarters.
QUARTILES = ("0 %", "1 to 25 %", "26 to 50 %", "51 to 75 %", "76 to 100 %")
QUARTER_PERCENT = 25.0


@dataclass(frozen=True)
class Chords:
    """All chords of a stack; arrays (z, 96), NaN or False where there is no chord.

    Attributes:
        from_insertion_deg: float (96,), angle from the reference along the direction of counting.
        transmurality_percent: float, scar's share of the chord, 0..100.
        endocardium_mm: float, distance of the endocardium from the LV center.
        epicardium_mm: float, distance of the epicardium.
        scar_at_endocardium: bool, scar within one pixel of the endocardium.
    """

    from_insertion_deg: np.ndarray
    transmurality_percent: np.ndarray
    endocardium_mm: np.ndarray
    epicardium_mm: np.ndarray
    scar_at_endocardium: np.ndarray

    @property
    def assessed(self) -> np.ndarray:
        """Bool (z, 96): there is a chord."""
        return np.isfinite(self.endocardium_mm)


def find_chords(
    labels: np.ndarray,
    centers: np.ndarray,
    spacing_mm: tuple[float, float, float],
    reference_deg: float = 0.0,
    turn: int = 1,
) -> Chords:
    """Cut the wall along rays.

    Args:
        labels: uint16 (z, y, x), from `polar.clean_ventricle`.
        centers: float (z, 2), row and column of the LV center.
        spacing_mm: (x, y, z).
        reference_deg: where counting starts: the anterior insertion, when it is known.
        turn: +1 counts counterclockwise as displayed, -1 clockwise.
    """
    from_insertion = (np.arange(CHORDS) + 0.5) * CHORD_DEG
    angles = reference_deg + turn * from_insertion
    polar = sample(labels, centers, spacing_mm, angles)
    wall, scar = regions.myocardium(polar.labels), regions.scar(polar.labels)
    first, end = _outermost_run(wall)
    place = np.arange(wall.shape[2])
    on_chord = (place >= first[..., None]) & (place < end[..., None])
    there = (end > first) & (first > 0)
    scarred = (scar & on_chord).sum(axis=2)
    share = np.where(there, 100.0 * scarred / np.maximum(end - first, 1), np.nan)
    pixel_mm = float(np.sqrt(spacing_mm[0] * spacing_mm[1]))
    rim = on_chord & ((place - first[..., None]) * polar.step_mm < pixel_mm)
    return Chords(
        from_insertion_deg=from_insertion,
        transmurality_percent=share,
        endocardium_mm=np.where(there, first * polar.step_mm, np.nan),
        epicardium_mm=np.where(there, end * polar.step_mm, np.nan),
        scar_at_endocardium=there & (scar & rim).any(axis=2),
    )


def _outermost_run(wall: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and past-the-end sample (z, ray) of the last unbroken stretch of wall on a ray."""
    samples = wall.shape[2]
    end = np.where(wall.any(axis=2), samples - np.argmax(wall[..., ::-1], axis=2), 0)
    inner = ~wall & (np.arange(samples) < end[..., None])
    first = np.where(inner.any(axis=2), samples - np.argmax(inner[..., ::-1], axis=2), 0)
    return first, end


@dataclass(frozen=True)
class Transmurality:
    """Chords of one part of the wall, summed up; percent 0..100.

    Attributes:
        chords: number of chords; the other numbers are None where it is 0.
        mean_percent: mean over all chords, those without scar included.
        mean_where_scar_percent: mean over the chords with scar; None without scar.
        over_half_percent: share of the chords with a transmurality above 50 %.
        quartile: class of the mean over all chords, out of `QUARTILES`, 0..4.
        quartile_percent: share of the chords in each of the five classes; they add up to 100.
    """

    chords: int
    mean_percent: float | None
    mean_where_scar_percent: float | None
    over_half_percent: float | None
    quartile: int | None = None
    quartile_percent: tuple[float, ...] | None = None


def quartile_of(percent: np.ndarray | float) -> np.ndarray:
    """A reader's class of a transmurality in percent: 0 without scar, 25 % is 1, 26 % is 2."""
    return np.ceil(np.asarray(percent, float) / QUARTER_PERCENT).astype(np.uint8)


def summarize(percent: np.ndarray) -> Transmurality:
    """Sum up chords' transmurality; NaN means that there is no chord."""
    values = percent[np.isfinite(percent)]
    if not values.size:
        return Transmurality(0, None, None, None)
    scarred = values[values > 0]
    counts = np.bincount(quartile_of(values), minlength=len(QUARTILES))
    return Transmurality(
        chords=int(values.size),
        mean_percent=float(values.mean()),
        mean_where_scar_percent=float(scarred.mean()) if scarred.size else None,
        over_half_percent=float(100.0 * (values > HALF_WALL_PERCENT).mean()),
        quartile=int(quartile_of(values.mean())),
        quartile_percent=tuple(float(100.0 * n / values.size) for n in counts),
    )

"""The turn in the slice plane between two sequences, besides the shift that `registration` finds.

All turns up to 10 degrees around the heart are tried, each with small shifts beside the known one,
by the mutual information in the same disc. Images are not interpolated for it: the nearest pixel is
taken, which tells turns of a degree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from myops.case import Case
from myops.registration import (
    LEAST_COMMON_SHARE,
    STEP,
    Pair,
    center_px,
    make_pair,
    mutual_information,
)

LARGEST_DEG, STEP_DEG = 10.0, 2.0
# The known shift was found without the turn, and may be off by so much.
SHIFT_REACH_MM = 2.0
# Below this a turn moves nothing of the heart by a millimeter.
LEAST_DEG = 1.0


@dataclass(frozen=True)
class Turn:
    """A turn in the slice plane.

    Attributes:
        degrees: by which the sequence lies turned beside the reference, from x to y of the grid.
        pivot_mm: (x, y) from the middle of the grid's first voxel.
    """

    degrees: float = 0.0
    pivot_mm: tuple[float, float] = (0.0, 0.0)

    def __bool__(self) -> bool:
        """Whether anything is turned."""
        return self.degrees != 0

    def moved_plane(
        self, plane: np.ndarray, shift_mm: np.ndarray, pixel_mm: tuple[float, float], order: int
    ) -> np.ndarray:
        """A slice laid back: what lies at p comes from R (p + shift - pivot) + pivot.

        Args:
            plane: (y, x); nothing is known beside it, 0 where `order` is 0.
            shift_mm: (x, y).
            pixel_mm: size (y, x).
            order: 1 = linear, 0 = nearest.
        """
        from scipy.ndimage import affine_transform

        scale = np.array(pixel_mm)
        turn, pivot, shift = _matrix(self.degrees), np.array(self.pivot_mm)[::-1], shift_mm[::-1]
        matrix = turn * scale / scale[:, None]
        offset = (turn @ (shift - pivot) + pivot) / scale
        mode = "nearest" if order else "constant"
        return np.asarray(affine_transform(plane, matrix, offset, order=order, mode=mode))


def _matrix(degrees: float) -> np.ndarray:
    """The rotation (2, 2) of (y, x)."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[cosine, sine], [-sine, cosine]])


def find_turn(
    case: Case,
    sequence: str,
    center: tuple[float, float, float] | None,
    shift_mm: np.ndarray,
) -> Turn:
    """The turn of a sequence against the reference; none where none is clearly one.

    Args:
        case: the images.
        sequence: which one.
        center: LPS position of the heart in mm; the middle of the image if None.
        shift_mm: (x, y) of the stack, as it is known without a turn.

    Raises:
        InputError: see `make_pair`.
    """
    pair = make_pair(case, sequence, center, float(np.hypot(*shift_mm)) + 3 * SHIFT_REACH_MM)
    tried = np.arange(-LARGEST_DEG, LARGEST_DEG + 1, STEP_DEG)
    nearby = SHIFT_REACH_MM * np.array(list(np.ndindex(3, 3))) - SHIFT_REACH_MM
    coarse = _Disc(pair, STEP)
    found = np.array([[coarse.similarity(a, shift_mm[::-1] + s) for s in nearby] for a in tried])
    angle, place = np.unravel_index(np.argmax(found), found.shape)
    start = shift_mm[::-1] + nearby[place]
    fine = _Disc(pair, 1)
    around = tried[angle] + np.array([-1.0, 0.0, 1.0]) * STEP_DEG / 2
    degrees = _top(around, [fine.similarity(a, start) for a in around])
    if abs(degrees) < LEAST_DEG:
        return Turn()
    return Turn(degrees, _pivot(case, center))


def _pivot(case: Case, center: tuple[float, float, float] | None) -> tuple[float, float]:
    """The heart, or the middle of the image, in mm from the first voxel."""
    row, column = center_px(case, center)
    width_mm, height_mm, _ = case.geometry.spacing_mm
    return column * width_mm, row * height_mm


def _top(angles: np.ndarray, similarity: list[float]) -> float:
    """Where a parabola through three values has its top."""
    before, peak, after = similarity
    bend = before - 2 * peak + after
    step = float(angles[1] - angles[0])
    best = float(angles[int(np.argmax(similarity))])
    if bend >= 0 or best != angles[1]:
        return best
    return best + step * 0.5 * (before - after) / bend


class _Disc:
    """The voxels of a pair's disc, every few of them, to be looked up in the turned image."""

    def __init__(self, pair: Pair, step: int) -> None:
        z, y, x = np.nonzero(pair.disc[:, ::step, ::step])
        y, x = step * y, step * x
        self.pair, self.z, self.fixed = pair, z, pair.fixed[z, y, x]
        scale = np.array(pair.pixel_mm)
        self.away_mm = (np.stack((y, x), axis=1) - pair.center_px) * scale

    def similarity(self, degrees: float, shift_yx_mm: np.ndarray) -> float:
        """Mutual information with the disc turned and shifted; -inf where too little is seen."""
        scale = np.array(self.pair.pixel_mm)
        there = (self.away_mm @ _matrix(degrees).T + shift_yx_mm) / scale + self.pair.center_px
        y, x = np.rint(there).astype(int).T
        _, rows, columns = self.pair.moving.shape
        known = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
        place = np.ravel_multi_index((self.z[known], y[known], x[known]), self.pair.moving.shape)
        seen = self.pair.covered.take(place)
        if np.count_nonzero(seen) < LEAST_COMMON_SHARE * len(self.fixed):
            return -np.inf
        return mutual_information(self.fixed[known][seen], self.pair.moving.take(place[seen]))

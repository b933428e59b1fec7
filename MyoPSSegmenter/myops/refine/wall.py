"""The wall gives way to a scar: where a click finds scar beyond the wall, the wall moves there.

Scar is a part of the myocardium. Where the answer to a click reaches into the blood pool or out of
the epicardium, these voxels become myocardium, and the border behind follows. Along 31,104 rays of
labeled infarcts the expert's wall was misplaced there rather than too thin: with his scar in the
automatic blood pool his endocardium lay a median 2.7 mm further in, and his epicardium 2.0 mm; with
scar beyond the automatic epicardium his epicardium lay 4.0 mm further out, his endocardium 2.5 mm.

Both borders move along the rays from the ventricle's center, each ray by as much as the scar on it
asks for, fading to the sides. The scar itself always stays in the wall.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from myops import labels as regions
from myops.geometry.masks import bounding_box
from myops.labels import BACKGROUND, MYOPS
from myops.refine.rules import Rules, apply_mask

NORMAL, BLOOD, RIGHT = MYOPS["normal_myocardium"], MYOPS["blood_pool"], MYOPS["right_ventricle"]
SCAR = MYOPS["scar"]
# A wall that moves further is shown to the reader before it is taken.
ASKED_MM = 2.0
# Beyond this there is no wall: bright blood, fat, the other ventricle.
MOST_MM = 10.0
# So much of a border's way does the other border go.
FOLLOWS = 0.75
# How far to the sides of the scar the wall goes along: standard deviation.
FADES_MM = 4.0
# A wall that follows stays at least so thick.
LEAST_WALL_MM = 4.0
RAYS = 180


@dataclass(frozen=True)
class MovedWall:
    """A slice whose wall has moved.

    Attributes:
        labels: uint16 (y, x), MyoPS labels.
        mm: how far from the wall that was there its new scar reaches.
    """

    labels: np.ndarray
    mm: float


@dataclass(frozen=True)
class AnsweredSlice:
    """What an answer makes of a slice.

    Attributes:
        labels: uint16 (y, x), what is taken at once.
        offered: a wall that moves by more than `ASKED_MM`, for the reader to take; or None.
    """

    labels: np.ndarray
    offered: MovedWall | None = None


def answered_slice(
    plane: np.ndarray,
    mask: np.ndarray,
    structure: str,
    rules: Rules,
    probabilities: Mapping[str, np.ndarray] | None,
    pixel_mm: tuple[float, float],
) -> AnsweredSlice:
    """Put a refiner's answer into a slice, as far as the rules allow.

    Args:
        plane: uint16 (y, x), MyoPS labels.
        mask: bool (y, x), what the structure shall be.
        structure: one of `prompts.STRUCTURES`.
        rules: what may be touched; with `move_wall` a scar takes the wall along.
        probabilities: of the slice, as for `rules.apply_mask`.
        pixel_mm: size of a pixel (y, x).
    """
    labels = apply_mask(plane, mask, structure, rules, probabilities)
    if structure != "scar" or not rules.move_wall:
        return AnsweredSlice(labels)
    wall = _Wall(labels, mask, pixel_mm)
    far = wall.moved(MOST_MM)
    if far is None:
        return AnsweredSlice(labels)
    if far.mm <= ASKED_MM:
        return AnsweredSlice(far.labels)
    near = wall.moved(ASKED_MM)
    return AnsweredSlice(labels if near is None else near.labels, far)


def moved_wall(
    plane: np.ndarray, scar: np.ndarray, pixel_mm: tuple[float, float], most_mm: float = MOST_MM
) -> MovedWall | None:
    """Move the wall of a slice to scar that lies beyond it.

    Args:
        plane: uint16 (y, x), MyoPS labels.
        scar: bool (y, x), what shall be scar.
        pixel_mm: size of a pixel (y, x).
        most_mm: what lies further from the wall is left out.

    Returns:
        The slice with its wall moved; None where no scar lies beyond it, or there is no wall.
    """
    return _Wall(plane, scar, pixel_mm).moved(most_mm)


class _Wall:
    """A slice, and the scar that its wall shall hold; distances are measured once."""

    def __init__(self, plane: np.ndarray, scar: np.ndarray, pixel_mm: tuple[float, float]) -> None:
        self.plane, self.pixel_mm = plane, pixel_mm
        wall = regions.myocardium(plane)
        self.is_left = bool(wall.any() and (scar & ~wall).any())
        if not self.is_left:
            return
        self.around = bounding_box(wall | scar | regions.blood_pool(plane), 2)
        self.near = plane[self.around]
        self.away = _distance_mm(wall[self.around], pixel_mm) - np.mean(pixel_mm) / 2
        self.beyond = scar[self.around] & np.isin(self.near, (BLOOD, BACKGROUND, RIGHT))

    def moved(self, most_mm: float) -> MovedWall | None:
        """The slice with its wall moved to the scar that lies no further than this from it."""
        if not self.is_left:
            return None
        beyond = self.beyond & (self.away <= most_mm)
        if not beyond.any():
            return None
        changed = self.plane.copy()
        changed[self.around] = self._with_wall_at(beyond)
        return MovedWall(changed, float(self.away[beyond].max()))

    @cached_property
    def depths(self) -> tuple[np.ndarray, np.ndarray]:
        """How deep (mm) each pixel lies in the cavity and in the ventricle; negative outside."""
        cavity, ventricle = regions.blood_pool(self.near), regions.lv_region(self.near)
        return _depth_mm(cavity, self.pixel_mm), _depth_mm(ventricle, self.pixel_mm)

    @cached_property
    def rays(self) -> _Rays:
        """The directions around the ventricle's center."""
        return _Rays(regions.lv_region(self.near), self.pixel_mm)

    def _with_wall_at(self, beyond: np.ndarray) -> np.ndarray:
        """The labels of a slice whose wall takes in scar beyond it."""
        plane = self.near
        cavity, ventricle = regions.blood_pool(plane), regions.lv_region(plane)
        inward, outward = (self.rays.asked(beyond & s, self.away) for s in (cavity, ~cavity))
        scar = beyond | regions.scar(plane)
        endocardium, epicardium = self.depths[0] - inward, self.depths[1] + outward
        # The border behind goes a part of the way, and leaves a wall.
        inside = (epicardium - FOLLOWS * inward > 0) | (endocardium > -LEAST_WALL_MM) & ventricle
        follows = (endocardium + FOLLOWS * outward > 0) & (epicardium > LEAST_WALL_MM)
        blood = (endocardium > 0) | follows
        touched = (inward > 0) | (outward > 0)
        inside = np.where(touched, inside, ventricle) | scar
        blood = np.where(touched, blood, cavity) & inside & ~scar
        changed = plane.copy()
        changed[inside & ~blood & ~regions.myocardium(plane)] = NORMAL
        changed[blood] = BLOOD
        changed[ventricle & ~inside] = BACKGROUND
        changed[beyond] = SCAR
        return changed


def _distance_mm(mask: np.ndarray, pixel_mm: tuple[float, float]) -> np.ndarray:
    """Distance (mm, float (y, x)) of each pixel to a mask that is not empty."""
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=pixel_mm))


def _depth_mm(mask: np.ndarray, pixel_mm: tuple[float, float]) -> np.ndarray:
    """Distance (mm, float (y, x)) to a mask's border, above 0 inside; negative without a mask."""
    if not mask.any():
        return np.full(mask.shape, -np.inf)
    padded = np.pad(mask, 1)
    inside = ndimage.distance_transform_edt(padded, sampling=pixel_mm)[1:-1, 1:-1]
    outside = _distance_mm(mask, pixel_mm)
    half = float(np.mean(pixel_mm)) / 2
    return np.where(mask, inside - half, half - outside)


class _Rays:
    """The directions around the center of a ventricle, bool (y, x)."""

    def __init__(self, ventricle: np.ndarray, pixel_mm: tuple[float, float]) -> None:
        rows, columns = np.nonzero(ventricle)
        down = (np.arange(ventricle.shape[0]) - rows.mean()) * pixel_mm[0]
        right = (np.arange(ventricle.shape[1]) - columns.mean()) * pixel_mm[1]
        self._ray = np.arctan2(down[:, None], right[None]) / (2 * np.pi) * RAYS
        radius = np.hypot(down[:, None], right[None])[ventricle]
        self._step_mm = 2 * np.pi * float(radius.max()) / RAYS

    def asked(self, beyond: np.ndarray, away: np.ndarray) -> np.ndarray:
        """How far (mm, float (y, x)) a border has to go on the ray of each pixel."""
        if not beyond.any():
            return np.zeros(beyond.shape)
        most = np.zeros(RAYS)
        np.maximum.at(most, np.round(self._ray[beyond]).astype(int) % RAYS, away[beyond])
        width = FADES_MM / self._step_mm
        # Far out a pixel is wider than a ray: rays between two that ask go along with them.
        most = ndimage.grey_closing(most, size=2 * int(np.ceil(width)) + 1, mode="wrap")
        faded = np.maximum(most, ndimage.gaussian_filter1d(most, width, mode="wrap"))
        faded[faded < 0.1] = 0
        before = np.floor(self._ray).astype(int)
        part = self._ray - before
        return faded[before % RAYS] * (1 - part) + faded[(before + 1) % RAYS] * part

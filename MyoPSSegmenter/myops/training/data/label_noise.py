"""Deliberately wrong labels: what readers do to scar and edema, in three kinds and any strength.

Noise-robust training is tried on them, for here the truth is known. The outline of the wall is
never touched: what a label loses becomes the tissue beside it, what it gains was myocardium.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from myops.errors import InputError
from myops.geometry.masks import component_sizes, label_components
from myops.labels import MYOPS, edema, myocardium, normal_myocardium, scar

KINDS = ("border", "islands", "threshold", "mixed")
# What each level does is in Docs/explanation/robust.md, with the Dice between noisy and true scar.
LEVELS = {"none": 0.0, "low": 1.0, "medium": 2.0, "high": 3.0}
LARGEST_LEVEL = 4.0

# SD of the border's shift, per level.
BORDER_MM = 1.0
# A reader's hand strays over about this length before it comes back (SD of the smoothing).
STRAY_MM = 4.0
# Chance that an island is left out, per level; small ones are overlooked twice as often.
ISLAND_CHANCE = 0.12
SMALL_MM2 = 100.0
# The threshold is this many SD above normal myocardium, less half an SD per level.
THRESHOLD_SD, THRESHOLD_STEP = 3.0, 0.5
# Fewer voxels than this have no SD to speak of.
LEAST_VOXELS = 20


def noisy_labels(
    labels: np.ndarray,
    lge: np.ndarray | None,
    spacing_mm: tuple[float, float, float],
    kind: str,
    level: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Make a patient's labels wrong as a reader would.

    Args:
        labels: uint16 (z, y, x), MyoPS values; unchanged.
        lge: float32 (z, y, x) on the same grid, or None. Without it "threshold" changes nothing,
            and "mixed" never chooses it.
        spacing_mm: (x, y, z).
        kind: "border" (shifted with an SD of level * 1 mm), "islands" (left out with a chance of
            level * 0.12, below 100 mm² of twice that), "threshold" (myocardium above mean +
            (3 - level / 2) SD becomes scar) or "mixed" (one of the three, drawn for this patient).
        level: strength, 0 to 4; `LEVELS` names four of them. 0 changes nothing.
        rng: source of randomness.

    Returns:
        uint16 (z, y, x); the same voxels are myocardium as before.

    Raises:
        InputError: unknown kind, a level outside 0 to 4, or an LGE of another shape.
    """
    _check(labels, lge, kind, level)
    if not level:
        return labels.copy()
    if kind == "mixed":
        kind = str(rng.choice(KINDS[:3] if lge is not None else KINDS[:2]))
    if kind == "border":
        return jitter_borders(labels, spacing_mm, level * BORDER_MM, rng)
    if kind == "islands":
        return leave_out_islands(labels, spacing_mm, level * ISLAND_CHANCE, rng)
    if lge is None:
        return labels.copy()
    return threshold_scar(labels, lge, THRESHOLD_SD - level * THRESHOLD_STEP)


def jitter_borders(
    labels: np.ndarray,
    spacing_mm: tuple[float, float, float],
    sd_mm: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Shift edema's border to normal, then scar's to both, in-plane by smooth random fields.

    Every slice has its own fields, as it is drawn by itself. Borders to blood and to the outside
    are the wall's and stay.

    Args:
        labels: uint16 (z, y, x), MyoPS values.
        spacing_mm: (x, y, z).
        sd_mm: SD of the shift along the border.
        rng: source of randomness.
    """
    noisy, pixel_mm = labels.copy(), spacing_mm[1::-1]
    shifts_mm = [_smooth_fields(labels.shape, pixel_mm, sd_mm, rng) for _ in range(2)]
    for plane, edema_mm, scar_mm in zip(noisy, *shifts_mm):
        drawn, normal = edema(plane), normal_myocardium(plane)
        _draw_edema(plane, _shifted(drawn, normal, pixel_mm, edema_mm))
        drawn = scar(plane)
        _draw_scar(plane, _shifted(drawn, myocardium(plane) & ~drawn, pixel_mm, scar_mm), pixel_mm)
    return noisy


def leave_out_islands(
    labels: np.ndarray,
    spacing_mm: tuple[float, float, float],
    chance: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Forget whole islands of edema and of scar, slice by slice as a reader goes.

    Args:
        labels: uint16 (z, y, x), MyoPS values.
        spacing_mm: (x, y, z).
        chance: of an island; one below `SMALL_MM2` has twice this chance.
        rng: source of randomness.
    """
    noisy, pixel_mm = labels.copy(), spacing_mm[1::-1]
    for plane in noisy:
        _draw_edema(plane, _kept_islands(edema(plane), pixel_mm, chance, rng))
        _draw_scar(plane, _kept_islands(scar(plane), pixel_mm, chance, rng), pixel_mm)
    return noisy


def threshold_scar(labels: np.ndarray, lge: np.ndarray, n_sd: float) -> np.ndarray:
    """Add to the scar all myocardium above mean + n SD of the slice's normal myocardium.

    The threshold alone would lose half of a faint scar, and a higher n would be the worse noise;
    over-segmentation only adds. A patient without scar stays without: the reader has seen none. A
    slice with little normal myocardium stays as it is.

    Args:
        labels: uint16 (z, y, x), MyoPS values.
        lge: float32 (z, y, x), any unit.
        n_sd: how far above the mean, in SD (1/n).
    """
    noisy = labels.copy()
    if not scar(labels).any():
        return noisy
    for plane, image in zip(noisy, lge):
        normal = image[normal_myocardium(plane)].astype(np.float64)
        if len(normal) >= LEAST_VOXELS:
            bright = image > normal.mean() + n_sd * normal.std()
            plane[bright & myocardium(plane) & ~scar(plane)] = MYOPS["scar"]
    return noisy


def _check(labels: np.ndarray, lge: np.ndarray | None, kind: str, level: float) -> None:
    if kind not in KINDS:
        raise InputError(f"unknown label noise {kind!r}: expected one of {', '.join(KINDS)}")
    if not 0 <= level <= LARGEST_LEVEL:
        raise InputError(f"expected a noise level from 0 to {LARGEST_LEVEL:g}, found {level}")
    if lge is not None and lge.shape != labels.shape:
        raise InputError(f"expected an LGE of the labels' shape {labels.shape}, found {lge.shape}")


def _smooth_fields(
    shape: tuple[int, ...],
    pixel_mm: tuple[float, ...],
    sd_mm: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Random fields (z, y, x) of SD `sd_mm`, smooth within each slice; pixel_mm is (y, x)."""
    smoothing = (0.0, STRAY_MM / pixel_mm[0], STRAY_MM / pixel_mm[1])
    fields = ndimage.gaussian_filter(rng.standard_normal(shape), smoothing, mode="wrap")
    # Smoothing lowers the SD of white noise by what the kernel's squares add up to, on average.
    lowered = np.prod([1 / (2 * np.sqrt(np.pi) * sigma) for sigma in smoothing[1:]]) ** 0.5
    return fields * (sd_mm / lowered)


def _shifted(
    drawn: np.ndarray, others: np.ndarray, pixel_mm: tuple[float, ...], shift_mm: np.ndarray
) -> np.ndarray:
    """Mask (y, x) whose border to `others` has moved outwards by `shift_mm` (y, x)."""
    if not drawn.any() or not others.any():
        return drawn
    inside_mm = ndimage.distance_transform_edt(~others, sampling=pixel_mm)
    outside_mm = ndimage.distance_transform_edt(~drawn, sampling=pixel_mm)
    # The border runs half a pixel before the first voxel of the other tissue.
    half_mm = np.sqrt(np.prod(pixel_mm)) / 2
    depth_mm = np.where(drawn, inside_mm - half_mm, half_mm - outside_mm)
    return (drawn | others) & (depth_mm + shift_mm > 0)


def _kept_islands(
    drawn: np.ndarray, pixel_mm: tuple[float, ...], chance: float, rng: np.random.Generator
) -> np.ndarray:
    """The mask (y, x) without the islands that are forgotten; pixels that touch are connected."""
    islands, count = label_components(drawn, "corners")
    area_mm2 = component_sizes(islands, count)[1:] * np.prod(pixel_mm)
    forgotten = rng.random(count) < chance * np.where(area_mm2 < SMALL_MM2, 2, 1)
    return drawn & ~np.isin(islands, 1 + np.flatnonzero(forgotten))


def _draw_edema(plane: np.ndarray, mask: np.ndarray) -> None:
    """Make edema of a slice what is in the mask (bool, edema or normal myocardium), in place."""
    plane[edema(plane) & ~mask] = MYOPS["normal_myocardium"]
    plane[mask] = MYOPS["edema"]


def _draw_scar(plane: np.ndarray, mask: np.ndarray, pixel_mm: tuple[float, ...]) -> None:
    """Make scar of a slice what is in the mask (bool, myocardium), in place.

    What was scar becomes what lies nearest, edema or normal myocardium. MVO stays MVO.
    """
    drawn = scar(plane)
    lost, around = drawn & ~mask, myocardium(plane) & ~drawn
    if not around.any():
        plane[lost] = MYOPS["normal_myocardium"]
    elif lost.any():
        nearest = ndimage.distance_transform_edt(
            ~around, sampling=pixel_mm, return_distances=False, return_indices=True
        )
        plane[lost] = plane[tuple(nearest[:, lost])]
    plane[mask & around] = MYOPS["scar"]

"""Wider variety for training: what pictures of real hearts showed and the standard phantom lacks.

`PhantomConfig(wide=True)` draws the standard patient first and changes it here, with random numbers
of its own. Without it nothing changes, so the held-out patients stay the same to the last bit.
What is changed and why: Docs/explanation/real-hearts.md.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from myops.phantom.contrast import BLOOD
from myops.phantom.heart import Heart
from myops.phantom.infarct import Infarct
from myops.phantom.random_fields import smooth_field
from myops.phantom.tissue import LV_BLOOD, RV_BLOOD, SCAR, SCAR_CHRONIC


def widen_heart(rng: np.random.Generator, heart: Heart) -> Heart:
    """Very small and large hearts, large right ventricles, thin scars, a smooth endocardium.

    Experts draw the endocardium smooth and count trabeculae and papillary muscles as blood pool.
    So the wall's rough edge becomes a spongy layer inside the cavity: muscle to look at, blood
    pool in the truth.
    """
    size = rng.choice([1.0, rng.uniform(0.72, 0.95), rng.uniform(1.05, 1.25)], p=[0.6, 0.2, 0.2])
    heart = replace(
        heart,
        radius_mm=heart.radius_mm * size,
        length_mm=heart.length_mm * size,
        trabecula_mm=0.3 * heart.trabecula_mm,
        fraying_mm=0.5 * heart.fraying_mm,
        trabecula_layer_mm=rng.choice([0.0, rng.uniform(1.0, 6.0)], p=[0.3, 0.7]),
        papillary=[
            (angle, min(share + rng.uniform(0, 0.2), 0.95), mm * rng.uniform(0.8, 1.5), top, end)
            for angle, share, mm, top, end in heart.papillary
        ],
        infarcts=[_widen_infarct(rng, infarct) for infarct in heart.infarcts],
        thinning=_widen_thinning(rng, heart),
    )
    return _enlarge_right_ventricle(rng, heart) if rng.random() < 0.45 else heart


def _widen_infarct(rng: np.random.Generator, infarct: Infarct) -> Infarct:
    """Most infarcts of patients who are imaged: wide, in one piece, two thirds of the wall deep."""
    kind = rng.random()
    if kind < 0.15:  # a ring along the endocardium of the apex
        return replace(
            infarct,
            transmurality=rng.uniform(0.35, 0.9),
            half_width=np.deg2rad(rng.uniform(110, 200)),
            level=rng.uniform(0.6, 1.0),
            half_length=rng.uniform(0.3, 0.8),
            edge=rng.uniform(0.05, 0.3),
            patchiness=rng.choice([0.0, rng.uniform(0.05, 0.25)]),
        )
    if kind < 0.65:
        return replace(
            infarct,
            transmurality=rng.uniform(0.35, 1.0),
            half_width=np.deg2rad(rng.uniform(30, 115)),
            half_length=rng.uniform(0.4, 1.0),
            edge=rng.uniform(0.05, 0.25),
            patchiness=rng.choice([0.0, rng.uniform(0.05, 0.25)]),
        )
    if kind < 0.78:  # thin and wide along the endocardium
        width = np.deg2rad(rng.uniform(40, 150))
        return replace(infarct, transmurality=rng.uniform(0.25, 0.55), half_width=width)
    if kind < 0.88:  # through the whole wall and around the apex
        return replace(
            infarct,
            transmurality=rng.uniform(0.8, 1.6),
            half_width=np.deg2rad(rng.uniform(50, 170)),
            level=rng.uniform(0.5, 0.95),
            half_length=rng.uniform(0.4, 1.0),
        )
    return infarct


def _widen_thinning(rng: np.random.Generator, heart: Heart) -> float:
    """Fresh infarcts swell the wall (below 0), old ones thin it, many do neither.

    In EMIDEC the wall with scar is 0.9 to 1.5 times as thick as the wall without, median 1.2; in
    the standard phantom 0.7 to 1.05 (Docs/explanation/real-hearts.md). Where scar is as bright as
    blood, the thickness of the wall is all that tells them apart.
    """
    if any(infarct.acute for infarct in heart.infarcts) or rng.random() < 0.5:
        return -float(rng.choice([0.0, rng.uniform(0.0, 0.7)], p=[0.2, 0.8]))
    return min(heart.thinning * rng.uniform(0.3, 1.5), 0.8)


def _enlarge_right_ventricle(rng: np.random.Generator, heart: Heart) -> Heart:
    """A dilated or thick-walled right ventricle, larger than the left and beyond its apex."""
    return replace(
        heart,
        rv_across=rng.uniform(1.05, 1.8),
        rv_reach=rng.uniform(1.2, 2.3),
        rv_offset=rng.uniform(0.35, 0.9),
        rv_apex=rng.uniform(0.85, 1.25),
        rv_wall_mm=rng.uniform(1.5, 7.0),
        septum_flattening=rng.uniform(0.0, 0.35),
    )


def widen_contrast(rng: np.random.Generator, sequence: str, table: np.ndarray) -> np.ndarray:
    """Scar as bright as blood in LGE; dull blood; blood of the two ventricles unlike.

    Args:
        rng: source of randomness.
        sequence: "bssfp", "lge" or "t2".
        table: float (slices, tissue) signal; not changed.
    """
    table = table.copy()
    if sequence == "lge" and rng.random() < 0.45:
        same = table[:, LV_BLOOD] * rng.uniform(0.88, 1.15)
        table[:, [SCAR, SCAR_CHRONIC]] = same[:, None]
    if rng.random() < 0.4:  # inflow and contrast agent brighten one ventricle's blood
        table[:, RV_BLOOD] *= rng.uniform(0.6, 1.25)
    if sequence != "lge" and rng.random() < 0.2:
        table[:, list(BLOOD)] *= rng.uniform(0.75, 1.1)
    return table


def grade_scar(
    rng: np.random.Generator, scar_share: np.ndarray, spacing_zyx: tuple[float, float, float]
) -> np.ndarray:
    """How much of the contrast of scar against muscle is missing, float32 0..0.85 (z, y, x).

    Surviving muscle lies between the scar, so that its brightness varies and its border is graded;
    experts draw around all of it.

    Args:
        rng: source of randomness.
        scar_share: float32 (z, y, x), share of scar in each voxel.
        spacing_zyx: voxel spacing in mm.
    """
    strength, depth = rng.uniform(0.0, 0.35), rng.uniform(0.0, 0.35)
    field = smooth_field(rng, scar_share.shape, spacing_zyx, rng.uniform(3, 10))
    missing: np.ndarray = np.clip(depth + strength * field, 0, 0.85) * scar_share
    return missing.astype(np.float32)


def uneven_muscle(
    rng: np.random.Generator, muscle_share: np.ndarray, spacing_zyx: tuple[float, float, float]
) -> np.ndarray:
    """How much of the contrast of scar the healthy muscle shows, float32 0..0.45 (z, y, x).

    In LGE of real healthy hearts the muscle is not one gray: it is nulled at one place and less at
    another (inversion pulse, receive coils, moving blood), so that the wall has brighter patches
    and one wall is brighter than the other. Nothing of this is scar.

    Args:
        rng: source of randomness.
        muscle_share: float32 (z, y, x), share of healthy muscle in each voxel.
        spacing_zyx: voxel spacing in mm.
    """
    if rng.random() < 0.4:
        return np.zeros_like(muscle_share)
    field = smooth_field(rng, muscle_share.shape, spacing_zyx, rng.uniform(8, 35))
    patches = rng.uniform(0.0, 0.2) * np.clip(field, 0, None)
    rows, columns = muscle_share.shape[1:]
    angle = rng.uniform(0, 2 * np.pi)
    across = np.linspace(-1, 1, rows)[:, None] * np.sin(angle)
    across = across + np.linspace(-1, 1, columns)[None, :] * np.cos(angle)
    slope = rng.uniform(0.0, 0.2) * np.clip(across + 1, 0, 2)
    bright: np.ndarray = np.clip(patches + slope, 0, 0.45) * muscle_share
    return bright.astype(np.float32)


def surface_coil(
    rng: np.random.Generator, shape: tuple[int, int, int], pixel_mm: float
) -> np.ndarray:
    """Gain of a coil on the chest that no correction has evened out, float32 (1, y, x).

    Half of the images; it falls off exponentially from one side to the other, by a factor e in 80
    to 400 mm, and is 1 in the middle of the image.

    Args:
        rng: source of randomness.
        shape: samples (z, y, x).
        pixel_mm: in-plane pixel size.
    """
    strength = rng.choice([0.0, pixel_mm / rng.uniform(80, 400)])
    angle = rng.uniform(0, 2 * np.pi)
    down = (np.arange(shape[1]) - (shape[1] - 1) / 2)[:, None] * np.sin(angle)
    right = (np.arange(shape[2]) - (shape[2] - 1) / 2)[None, :] * np.cos(angle)
    gain: np.ndarray = np.exp(-strength * (down + right)).astype(np.float32)[None]
    return gain


def motion_blur(rng: np.random.Generator, image: np.ndarray, pixel_mm: float) -> np.ndarray:
    """Half of the images blurred in-plane, SD up to 2 mm: the heart moves while it is imaged.

    Args:
        rng: source of randomness.
        image: float32 (z, y, x).
        pixel_mm: in-plane pixel size.
    """
    from scipy import ndimage

    sd_px = rng.choice([0.0, rng.uniform(0.4, 2.0) / pixel_mm])
    if not sd_px:
        return image
    blurred: np.ndarray = ndimage.gaussian_filter(image, (0, sd_px, sd_px), mode="nearest")
    return blurred


def slice_gains(rng: np.random.Generator, slices: int) -> np.ndarray:
    """Gain of each slice, float32 (z, 1, 1): stored slice by slice, or a step within the stack."""
    gains = np.ones(slices)
    kind = rng.random()
    if kind < 0.2:
        gains = np.exp(rng.normal(0, rng.uniform(0.05, 0.35), slices))
    elif kind < 0.4:
        gains[int(rng.integers(0, slices)) :] = rng.uniform(0.45, 2.2)
    return gains.astype(np.float32)[:, None, None]

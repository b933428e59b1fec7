"""The heart by analytic shapes: left ventricle, papillary muscles, right ventricle, fat, atrium.

Frame: millimeters in the short-axis plane around the left ventricle's axis, `level` along it
(0 at the base, 1 at the apex, negative above the valve). Angles are measured in that plane.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from myops.phantom.infarct import Infarct, injure, injury_extent, sample_infarct
from myops.phantom.random_fields import angular_wave, harmonics, wrap_angle
from myops.phantom.tissue import (
    ATRIUM,
    FAT,
    FLUID,
    LV_BLOOD,
    MUSCLE,
    MYOCARDIUM,
    PAPILLARY,
    PERICARDIUM,
    RV_BLOOD,
    RV_WALL,
    VESSEL,
)

Waves = list[tuple[int, float, float, float]]


@dataclass(frozen=True)
class Heart:
    """Shape of one heart; lengths in mm, angles in radians."""

    length_mm: float
    radius_mm: float
    taper: float
    epicardium_waves: Waves
    septum_angle: float
    septum_flattening: float
    wall_mm: float
    wall_waves: Waves
    apex_thinning: float
    trabecula_mm: float
    trabecula_waves: Waves
    fraying_mm: float
    drift_mm: tuple[float, float]
    base_tilt: float
    base_tilt_angle: float
    papillary: list[tuple[float, float, float, float, float]]
    rv_across: float
    rv_reach: float
    rv_offset: float
    rv_apex: float
    rv_wall_mm: float
    rv_trabecula_mm: float
    rv_waves: Waves
    fat_mm: float
    fat_waves: Waves
    effusion_mm: float
    pericardium_mm: float
    infarcts: list[Infarct]
    thinning: float
    trabecula_layer_mm: float = 0.0  # spongy muscle inside the cavity, blood pool in the truth


def sample_heart(rng: np.random.Generator, injury: str) -> Heart:
    """Draw a heart; `injury` is "none", "acute" or "chronic"."""
    septum_angle = np.pi + rng.normal(0, 0.35)
    radius = rng.uniform(27, 45)
    contracted = rng.random() < 0.25  # end-systolic frames, and hypertrophy, look alike
    wall = rng.uniform(11, 18) if contracted else rng.uniform(6.0, 12.5)
    count = 0 if injury == "none" else 1 + (rng.random() < 0.15)
    infarcts = [sample_infarct(rng, septum_angle, injury == "acute") for _ in range(count)]
    papillary = [
        (
            septum_angle + np.deg2rad(turn + rng.normal(0, 18)),
            rng.uniform(0.5, 0.85),
            rng.uniform(2.5, 6.5),
            rng.uniform(0.2, 0.4),
            rng.uniform(0.6, 0.95),
        )
        for turn in (120, 235, rng.uniform(0, 360))[: rng.integers(1, 4)]
    ]
    return Heart(
        length_mm=radius * rng.uniform(1.9, 2.9),
        radius_mm=radius,
        taper=rng.uniform(1.7, 3.2),
        epicardium_waves=harmonics(rng, range(2, 6), rng.uniform(0.0, 0.08)),
        septum_angle=septum_angle,
        septum_flattening=rng.uniform(-0.03, 0.16),
        wall_mm=min(wall, 0.62 * radius),
        wall_waves=harmonics(rng, range(1, 5), rng.uniform(0.03, 0.25)),
        apex_thinning=rng.uniform(0.0, 0.45),
        trabecula_mm=rng.uniform(0.0, 1.6),
        trabecula_waves=harmonics(rng, range(6, 13), 0.6),
        fraying_mm=rng.uniform(0.0, 1.3),
        drift_mm=(rng.normal(0, 4), rng.normal(0, 4)),
        base_tilt=rng.uniform(0, 0.12),
        base_tilt_angle=septum_angle + rng.normal(0, 0.7),
        papillary=papillary,
        rv_across=rng.uniform(0.8, 1.25),
        rv_reach=rng.uniform(0.8, 1.55),
        rv_offset=rng.uniform(0.2, 0.65),
        rv_apex=rng.uniform(0.65, 1.0),
        rv_wall_mm=rng.uniform(1.2, 4.0),
        rv_trabecula_mm=rng.uniform(0, 9),
        rv_waves=harmonics(rng, range(2, 7), rng.uniform(0.02, 0.14)),
        fat_mm=rng.uniform(0, 7),
        fat_waves=harmonics(rng, range(1, 7), 0.8),
        effusion_mm=rng.uniform(3, 10) if rng.random() < 0.12 else 0.0,
        pericardium_mm=rng.choice([0.0, rng.uniform(0.4, 1.6)]),
        infarcts=infarcts,
        thinning=rng.uniform(0.0, 0.6) if injury == "chronic" else 0.0,
    )


def _profile(heart: Heart, level: np.ndarray) -> np.ndarray:
    """Radius along the long axis as a share of the largest one: a blunt, slightly closing cone."""
    inside = np.clip(level, 0, 1)
    body = np.sqrt(np.clip(1 - inside ** np.float32(heart.taper), 0, 1))
    return body * (1 - np.float32(0.12) * np.clip(0.35 - level, 0, 0.6))


def epicardial_radius(heart: Heart, angle: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Distance in mm from the axis to the epicardium."""
    turn = wrap_angle(angle - np.float32(heart.septum_angle))
    flat = 1 - np.float32(heart.septum_flattening) * np.exp(-((turn / 0.75) ** 2))
    shape = flat + angular_wave(heart.epicardium_waves, angle, level)
    return np.float32(heart.radius_mm) * _profile(heart, level) * shape


def wall_thickness(heart: Heart, angle: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Wall thickness in mm, thinner toward the apex and where an old scar has shrunk."""
    wall = np.float32(heart.wall_mm) * (1 + angular_wave(heart.wall_waves, angle, level))
    wall = wall * (1 - np.float32(heart.apex_thinning) * np.clip(level, 0, 1) ** 2)
    for infarct in heart.infarcts:
        if heart.thinning != 0:  # below 0: a fresh infarct is swollen
            extent, _ = injury_extent(infarct, angle, level, 0.1)
            wall = wall * (1 - np.float32(heart.thinning * min(infarct.transmurality, 1)) * extent)
    return np.maximum(wall, 2.5)


def _right_ventricle(
    heart: Heart, x: np.ndarray, y: np.ndarray, level: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Distance-like function of the RV cavity (mm, negative inside) and its size (mm)."""
    size = heart.radius_mm * np.sqrt(np.clip(1 - np.clip(level / heart.rv_apex, 0, 1) ** 2.5, 0, 1))
    size = size.astype(np.float32)
    along = x * np.cos(heart.septum_angle) + y * np.sin(heart.septum_angle)
    across = -x * np.sin(heart.septum_angle) + y * np.cos(heart.septum_angle)
    safe = np.maximum(size, 1.0)
    u = (along - heart.rv_offset * heart.radius_mm) / (heart.rv_reach * safe)
    v = across / (heart.rv_across * safe)
    wave = 1 + angular_wave(heart.rv_waves, np.arctan2(v, u), level)
    return (np.sqrt(u * u + v * v) / wave - 1) * safe * min(heart.rv_reach, heart.rv_across), size


def draw_heart(
    tissue: np.ndarray,
    heart: Heart,
    x_mm: np.ndarray,
    y_mm: np.ndarray,
    level: np.ndarray,
    patches: np.ndarray,
) -> np.ndarray:
    """Write the heart into `tissue` (in place).

    Args:
        tissue: uint8 array of tissue numbers, any shape.
        heart: the shape.
        x_mm: float32 array of the same shape, the samples' places in the plane.
        y_mm: the same.
        level: float32 array of the same shape, the samples' places along the axis.
        patches: float32 array of the same shape, smooth noise of unit variance.

    Returns:
        bool array: True inside the LV epicardial region (the truth of the cascade's first stage).
    """
    x = x_mm - np.float32(heart.drift_mm[0]) * (level - 0.4)
    y = y_mm - np.float32(heart.drift_mm[1]) * (level - 0.4)
    distance, angle = np.hypot(x, y), np.arctan2(y, x)
    epicardium = epicardial_radius(heart, angle, level)
    wall = wall_thickness(heart, angle, level)
    roughness = heart.trabecula_mm * angular_wave(heart.trabecula_waves, angle, 6 * level)
    endocardium = np.maximum(epicardium - wall - roughness + heart.fraying_mm * patches, 0)
    base = np.float32(heart.base_tilt) * np.cos(angle - np.float32(heart.base_tilt_angle))

    rv_distance, rv_size = _right_ventricle(heart, x, y, level)
    rv_there = (rv_size > 4) & (level > -0.25)
    lv_there = (level > -0.3) & (level < 1)
    fat = heart.fat_mm * np.clip(0.5 + angular_wave(heart.fat_waves, angle, level), 0, 2)
    surface = np.where(lv_there, distance - epicardium, 99.0)
    surface = np.minimum(surface, np.where(rv_there, rv_distance - heart.rv_wall_mm, 99.0))
    fat = fat * (1 + 0.35 * patches)
    tissue[surface < fat + heart.effusion_mm + heart.pericardium_mm] = PERICARDIUM
    tissue[surface < fat + heart.effusion_mm] = FLUID if heart.effusion_mm else FAT
    tissue[surface < fat] = FAT
    # Coronary vessels and strands of tissue run through the epicardial fat.
    tissue[(surface < fat) & (surface > 0.5) & (patches > 1.3)] = VESSEL
    tissue[(surface < fat) & (surface > 0.5) & (patches < -1.2)] = MUSCLE

    tissue[rv_there & (rv_distance < heart.rv_wall_mm)] = RV_WALL
    tissue[rv_there & (rv_distance < 0)] = RV_BLOOD
    spongy = (rv_distance > -heart.rv_trabecula_mm) & (rv_distance < 0) & (patches > 0.5)
    tissue[rv_there & spongy] = RV_WALL
    within = distance < epicardium
    tissue[(level > -0.3) & (level <= base) & within] = RV_WALL
    tissue[(level > -0.3) & (level <= base) & (distance < epicardium - 2.5)] = ATRIUM
    ring = within & (level > base) & (level < 1)
    tissue[ring] = MYOCARDIUM
    cavity = ring & (distance < endocardium)
    tissue[cavity] = LV_BLOOD
    if heart.trabecula_layer_mm:
        spongy = cavity & (distance > endocardium - heart.trabecula_layer_mm) & (patches > 0.2)
        tissue[spongy] = PAPILLARY
    _draw_papillary(tissue, heart, x, y, level, cavity)
    depth = (distance - endocardium) / np.maximum(epicardium - endocardium, 0.5)
    muscle = ring & ~cavity
    selected = tissue[muscle]
    for infarct in heart.infarcts:
        injure(selected, infarct, angle[muscle], level[muscle], depth[muscle], patches[muscle])
    tissue[muscle] = selected
    return ring


def _draw_papillary(
    tissue: np.ndarray,
    heart: Heart,
    x: np.ndarray,
    y: np.ndarray,
    level: np.ndarray,
    cavity: np.ndarray,
) -> None:
    """Papillary muscles: columns in the cavity between two levels (in place)."""
    for angle, share, radius_mm, top, bottom in heart.papillary:
        reach = share * (heart.radius_mm - heart.wall_mm) * _profile(heart, level)
        near = np.hypot(x - reach * np.cos(angle), y - reach * np.sin(angle)) < radius_mm
        tissue[cavity & near & (level > top) & (level < bottom)] = PAPILLARY

"""What surrounds the heart: chest wall, lung, diaphragm and the organs below it, vessels, spine.

Frame: mm around the heart, +x toward the patient's left lung, +y toward the diaphragm, the
anterior chest wall on the side of -x. A share of the patients gets random smooth label fields
instead, so that no network can rely on this drawing.
"""

from __future__ import annotations

import numpy as np

from myops.phantom.random_fields import smooth_field
from myops.phantom.tissue import (
    AIR,
    BONE,
    FAT,
    FLUID,
    LIVER,
    LUNG,
    MUSCLE,
    RANDOM_TISSUES,
    SPLEEN,
    STOMACH,
    VESSEL,
)


def draw_thorax(
    rng: np.random.Generator,
    x_mm: np.ndarray,
    y_mm: np.ndarray,
    z_mm: np.ndarray,
    spacing_mm: tuple[float, float, float],
) -> np.ndarray:
    """Tissue numbers uint8 (z, y, x) of everything but the heart.

    Args:
        rng: source of randomness.
        x_mm: float32 (z, y, x) places in the plane.
        y_mm: the same.
        z_mm: float32 (z,) slice places, growing toward the apex and the diaphragm.
        spacing_mm: sample distances (z, y, x).
    """
    shape = x_mm.shape
    warp = rng.uniform(3, 9)
    x = x_mm + warp * smooth_field(rng, shape, spacing_mm, 70)
    y = y_mm + warp * smooth_field(rng, shape, spacing_mm, 70)
    z = z_mm[:, None, None]
    cavity_wave = smooth_field(rng, shape, spacing_mm, 45)
    tissue = np.full(shape, LUNG, np.uint8)
    _draw_lung_vessels(rng, tissue, x_mm, y_mm, z)
    _draw_mediastinum(rng, tissue, x, y, cavity_wave)
    _draw_abdomen(rng, tissue, x, y, z, cavity_wave)
    kind = rng.random()
    if kind < 0.35:
        _draw_random_regions(rng, tissue, spacing_mm, everywhere=kind < 0.12)
    _draw_chest_wall(rng, tissue, x, y)
    return tissue


def _disc(x: np.ndarray, y: np.ndarray, cx: float, cy: float, rx: float, ry: float) -> np.ndarray:
    return ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1


def _draw_lung_vessels(
    rng: np.random.Generator, tissue: np.ndarray, x: np.ndarray, y: np.ndarray, z: np.ndarray
) -> None:
    """Pulmonary vessels: small bright discs that wander from slice to slice."""
    for _ in range(rng.integers(8, 40)):
        cx, cy = rng.uniform(-90, 130), rng.uniform(-130, 60)
        middle, reach = rng.uniform(-40, 110), rng.uniform(8, 40)
        radius = rng.uniform(1.2, 4.5)
        drift = rng.normal(0, 0.5, 2)
        for k in np.flatnonzero(np.abs(z[:, 0, 0] - middle) < reach):
            px, py = cx + drift[0] * z[k, 0, 0], cy + drift[1] * z[k, 0, 0]
            tissue[k][_disc(x[k], y[k], px, py, radius, radius * rng.uniform(0.7, 1.6))] = VESSEL


def _draw_mediastinum(
    rng: np.random.Generator, tissue: np.ndarray, x: np.ndarray, y: np.ndarray, wave: np.ndarray
) -> None:
    """Fat around the heart, the descending aorta, esophagus and spine."""
    fat_x, fat_y = rng.uniform(-70, -5), rng.uniform(-10, 40)
    reach = rng.uniform(25, 75)
    tissue[_disc(x + 8 * wave, y, fat_x, fat_y, reach * rng.uniform(0.7, 1.4), reach)] = FAT
    spine_x, spine_y = rng.uniform(85, 130), rng.uniform(20, 80)
    tissue[_disc(x, y, spine_x, spine_y, 32, 40)] = MUSCLE
    tissue[_disc(x, y, spine_x, spine_y, 17, 22)] = BONE
    tissue[_disc(x, y, spine_x + 14, spine_y + 10, 6, 6)] = FLUID
    aorta = rng.uniform(9, 15)
    cx, cy = spine_x - rng.uniform(25, 40), spine_y - rng.uniform(0, 30)
    tissue[_disc(x, y, cx, cy, aorta + 1.5, aorta + 1.5)] = MUSCLE
    tissue[_disc(x, y, cx, cy, aorta, aorta)] = VESSEL


def _draw_abdomen(
    rng: np.random.Generator,
    tissue: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    z: np.ndarray,
    wave: np.ndarray,
) -> None:
    """Diaphragm, liver, stomach with gas, spleen, abdominal fat."""
    height = rng.uniform(32, 70) - z * rng.uniform(0.05, 0.5)
    dome = height + ((x - rng.uniform(-40, 40)) / rng.uniform(16, 28)) ** 2 * 0.6 + 6 * wave
    below = y > dome
    tissue[(y > dome - rng.uniform(2, 5)) & ~below] = MUSCLE
    tissue[below] = FAT if rng.random() < 0.6 else MUSCLE
    edge = rng.uniform(-30, 70)
    tissue[below & (x + 12 * wave < edge) & (y > dome + rng.uniform(1, 6))] = LIVER
    cx, cy = edge + rng.uniform(15, 50), rng.uniform(70, 110)
    stomach = below & _disc(x, y, cx, cy, rng.uniform(20, 45), rng.uniform(18, 40))
    tissue[stomach] = STOMACH
    tissue[stomach & (y < cy - rng.uniform(-10, 10))] = rng.choice([AIR, STOMACH, LUNG])
    cx, cy = rng.uniform(70, 115), rng.uniform(60, 110)
    tissue[below & _disc(x, y, cx, cy, rng.uniform(15, 30), rng.uniform(20, 40))] = SPLEEN
    for _ in range(rng.integers(0, 14)):
        cx, cy, radius = rng.uniform(-90, 60), rng.uniform(60, 150), rng.uniform(2, 6)
        tissue[(tissue == LIVER) & _disc(x, y, cx, cy, radius, radius * 1.3)] = VESSEL


def _draw_random_regions(
    rng: np.random.Generator,
    tissue: np.ndarray,
    spacing_mm: tuple[float, float, float],
    everywhere: bool,
) -> None:
    """Random smooth label fields: the largest of several smooth noises names the tissue."""
    count = int(rng.integers(3, len(RANDOM_TISSUES) + 1))
    cell = rng.uniform(18, 70)
    fields = np.stack([smooth_field(rng, tissue.shape, spacing_mm, cell) for _ in range(count)])
    regions = np.asarray(RANDOM_TISSUES, np.uint8)[fields.argmax(0)]
    where = np.ones(tissue.shape, bool) if everywhere else np.isin(tissue, (LUNG, FAT, MUSCLE))
    tissue[where] = regions[where]


def _draw_chest_wall(
    rng: np.random.Generator, tissue: np.ndarray, x: np.ndarray, y: np.ndarray
) -> None:
    """Body outline, subcutaneous fat, muscle and ribs; outside is air."""
    half_x, half_y = rng.uniform(110, 190), rng.uniform(125, 210)
    cx = half_x - rng.uniform(60, 105)
    cy = rng.uniform(-25, 35)
    power = rng.uniform(2.0, 3.2)
    radius = (np.abs((x - cx) / half_x) ** power + np.abs((y - cy) / half_y) ** power) ** (
        1 / power
    )
    inward = (1 - radius) * min(half_x, half_y)
    angle = np.arctan2(y - cy, x - cx)
    fat = rng.uniform(4, 26) * (1 + 0.4 * np.cos(angle - rng.uniform(0, 6.28)))
    muscle = rng.uniform(8, 22) * (1 + 0.3 * np.cos(2 * angle - rng.uniform(0, 6.28)))
    tissue[inward < fat + muscle] = MUSCLE
    ribs = np.cos(angle * rng.integers(9, 17) + rng.uniform(0, 6.28)) > rng.uniform(0.1, 0.6)
    middle = np.abs(inward - fat - muscle * 0.65) < np.minimum(muscle * 0.3, 5)
    tissue[ribs & middle] = BONE
    tissue[inward < fat] = FAT
    tissue[inward < 0] = AIR

"""Where the injury is: scar, microvascular obstruction and edema on the wall's own coordinates.

A place in the left ventricular wall has an angle, a level (0 base, 1 apex) and a depth
(0 endocardium, 1 epicardium). An ischemic scar grows from the endocardium as a wavefront.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from myops.phantom.random_fields import angular_wave, harmonics, wrap_angle
from myops.phantom.tissue import EDEMA, MVO, MYOCARDIUM, SCAR, SCAR_CHRONIC

# Center of each coronary territory, degrees from the middle of the septum toward the anterior wall.
TERRITORIES_DEG = {"LAD": 35.0, "LCX": 165.0, "RCA": 285.0}


@dataclass(frozen=True)
class Infarct:
    """One injured region; angles in radians in the heart's frame, levels and depths in 0..1."""

    territory: str
    acute: bool
    pattern: str  # "ischemic", "midwall" or "epicardial"
    angle: float
    half_width: float
    level: float
    half_length: float
    transmurality: float
    edge: float
    waves: list[tuple[int, float, float, float]]
    patchiness: float
    mvo_share: float
    edema_margin: float
    edema_depth: float


def sample_infarct(rng: np.random.Generator, septum_angle: float, acute: bool) -> Infarct:
    """Draw one scar: territory, width, length, transmurality, border, MVO and edema."""
    territory = str(rng.choice(list(TERRITORIES_DEG)))
    center = TERRITORIES_DEG[territory] + rng.normal(0, 22)
    level = rng.uniform(0.45, 0.95) if territory == "LAD" else rng.uniform(0.1, 0.7)
    half_width = np.deg2rad(rng.uniform(18, 110))
    transmurality = rng.uniform(0.4, 1.5)
    large = half_width > np.deg2rad(28) and transmurality > 0.55
    pattern = rng.choice(["ischemic", "midwall", "epicardial"], p=[0.92, 0.05, 0.03])
    return Infarct(
        territory=territory,
        acute=acute,
        pattern="ischemic" if acute else str(pattern),
        angle=septum_angle + np.deg2rad(center),
        half_width=half_width,
        level=level,
        half_length=rng.uniform(0.25, 0.9),
        transmurality=transmurality,
        edge=rng.uniform(0.08, 0.4),
        waves=harmonics(rng, range(3, 9), rng.uniform(0.05, 0.3)),
        patchiness=rng.choice([0.0, rng.uniform(0.1, 0.6)]),
        mvo_share=rng.uniform(0.35, 0.75) if acute and large and rng.random() < 0.5 else 0.0,
        edema_margin=np.deg2rad(rng.uniform(6, 35)) if acute else 0.0,
        edema_depth=rng.uniform(0.85, 1.3) if acute else 0.0,
    )


def _plateau(distance: np.ndarray, edge: float) -> np.ndarray:
    """1 in the middle, falling smoothly to 0 at distance 1; `edge` is the width of the fall."""
    ramp = np.clip((1 - distance) / np.float32(edge), 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def injury_extent(
    infarct: Infarct, angle: np.ndarray, level: np.ndarray, margin: float
) -> tuple[np.ndarray, np.ndarray]:
    """Normalized extent in 0..1 over the wall, and the distance from the center (1 = border)."""
    turn = wrap_angle(angle - np.float32(infarct.angle))
    along = (level - np.float32(infarct.level)) / np.float32(infarct.half_length + margin / 3)
    across = turn / np.float32(infarct.half_width + margin)
    distance = np.sqrt(across**2 + along**2) * (1 + angular_wave(infarct.waves, angle, 4 * level))
    return _plateau(distance, infarct.edge), distance


def injure(
    tissue: np.ndarray,
    infarct: Infarct,
    angle: np.ndarray,
    level: np.ndarray,
    depth: np.ndarray,
    patches: np.ndarray,
) -> None:
    """Write edema, scar and MVO into `tissue` where it is myocardium (in place).

    Args:
        tissue: uint8 (n,) tissue numbers of the wall's samples.
        infarct: the injury.
        angle: float32 (n,), wall coordinate in radians.
        level: float32 (n,), 0 at the base, 1 at the apex.
        depth: float32 (n,), 0 at the endocardium, 1 at the epicardium.
        patches: float32 (n,) smooth noise of unit variance that frays the borders.
    """
    wall = tissue == MYOCARDIUM
    if infarct.edema_depth > 0:
        extent, _ = injury_extent(infarct, angle, level, infarct.edema_margin)
        tissue[wall & (extent > 0) & (depth < infarct.edema_depth * extent**0.3)] = EDEMA
    extent, distance = injury_extent(infarct, angle, level, 0.0)
    reach = infarct.transmurality * extent * (1 + infarct.patchiness * patches)
    if infarct.pattern == "ischemic":
        scar = depth < reach
    else:
        middle = 0.5 if infarct.pattern == "midwall" else 0.85
        scar = np.abs(depth - middle) < 0.25 * reach
    scar &= extent > 0.02
    injured = np.isin(tissue, (MYOCARDIUM, EDEMA)) & scar
    tissue[injured] = SCAR if infarct.acute else SCAR_CHRONIC
    if infarct.mvo_share > 0:
        core = (depth < infarct.mvo_share * reach) & (depth > 0.06) & (distance < infarct.mvo_share)
        tissue[injured & core] = MVO

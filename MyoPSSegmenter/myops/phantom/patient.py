"""One synthetic patient: anatomy, injury, contrast and scanner put together.

The order is that of nature and scanner: shapes -> tissues -> signal -> texture -> bias -> slice
averaging -> shift, point spread and noise -> stored numbers. The same seed and configuration give
the same patient to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from myops.labels import MYOPS
from myops.phantom import acquisition
from myops.phantom.contrast import PHYSICAL, random_contrast
from myops.phantom.domain_randomization import (
    grade_scar,
    motion_blur,
    slice_gains,
    surface_coil,
    uneven_muscle,
    widen_contrast,
    widen_heart,
)
from myops.phantom.heart import Heart, draw_heart, sample_heart
from myops.phantom.random_fields import smooth_field
from myops.phantom.thorax import draw_thorax
from myops.phantom.tissue import (
    EDEMA,
    LV_BLOOD,
    MVO,
    MYOCARDIUM,
    PAPILLARY,
    RV_BLOOD,
    SCAR,
    SCAR_CHRONIC,
    sample_tissues,
)
from myops.sequences import GRID_SEQUENCES

HEART = [MYOCARDIUM, LV_BLOOD, SCAR, EDEMA]
# Where a slice is sampled: through its thickness (share) and inside the pixel (pixels y, x).
SUBSAMPLES = (
    (-0.375, -0.125, -0.375),
    (-0.125, 0.375, -0.125),
    (0.125, -0.375, 0.125),
    (0.375, 0.125, 0.375),
)


@dataclass(frozen=True)
class PhantomConfig:
    """What kind of patients are drawn.

    Attributes:
        view: "full" (whole field of view, about 256 x 256), "heart" (a window around the heart at
            full resolution) or "finder" (whole field of view at 2.5 mm).
        dropout: leave out sequences as real data sets do (never both LGE and bSSFP).
        normal_share, acute_share: shares of hearts without scar and with a fresh infarct; the
            rest is chronic.
        random_contrast_share: share of patients with random instead of physical contrasts.
        artifacts: shifts, padding, ghosts; off gives clean images.
        wide: share of patients with more variety than the held-out ones, for training
            (phantom/domain_randomization.py).
        upright: septum left and inferior wall below, as a reader expects; otherwise turned by any
            angle and mirrored, so that no network relies on the orientation.
    """

    view: str = "full"
    dropout: bool = True
    normal_share: float = 0.25
    acute_share: float = 0.45
    random_contrast_share: float = 0.25
    artifacts: bool = True
    upright: bool = False
    wide: float = 0.0


# A patient to try the program with: a fresh infarct, all sequences with the contrasts of a clinical
# scan, the heart as a reader expects it.
SAMPLE = PhantomConfig(
    dropout=False, normal_share=0.0, acute_share=1.0, random_contrast_share=0.0, upright=True
)


@dataclass(frozen=True)
class PhantomPatient:
    """Images and truth of one synthetic patient, all on one grid, arrays (z, y, x).

    Attributes:
        images: float32 per present sequence.
        labels: uint16, MyoPS values; scar includes MVO.
        mvo: bool, microvascular obstruction inside the scar.
        spacing_mm: (x, y, z), z from slice center to slice center.
        acute: scar is fresh, hence edematous.
        seed: the seed that made it.
        description: what was drawn, for the ground truth file.
    """

    images: dict[str, np.ndarray]
    labels: np.ndarray
    mvo: np.ndarray
    spacing_mm: tuple[float, float, float]
    acute: bool
    seed: int
    description: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class _Stack:
    """The short-axis stack's sampling: pixel and slice sizes, and where its slices are."""

    shape: tuple[int, int, int]
    pixel_mm: float
    thickness_mm: float
    step_mm: float
    level_z_mm: np.ndarray
    center_px: tuple[float, float]
    turn: float
    mirror: int
    slice_shift_mm: np.ndarray

    @property
    def spacing_zyx(self) -> tuple[float, float, float]:
        return self.step_mm, self.pixel_mm, self.pixel_mm

    def places(
        self, rows: slice, columns: slice, dy: float = 0.0, dx: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Heart-frame x and y in mm (z, y, x) of the pixels in a window, moved by a subpixel."""
        i = np.arange(self.shape[1], dtype=np.float32)[rows] + np.float32(dy - self.center_px[0])
        j = np.arange(self.shape[2], dtype=np.float32)[columns] + np.float32(dx - self.center_px[1])
        v = i[None, :, None] * np.float32(self.pixel_mm) - self.slice_shift_mm[:, 0, None, None]
        u = j[None, None, :] * np.float32(self.pixel_mm) - self.slice_shift_mm[:, 1, None, None]
        cos, sin = np.float32(np.cos(self.turn)), np.float32(np.sin(self.turn))
        return (cos * u + sin * v) * np.float32(self.mirror), cos * v - sin * u


@dataclass(frozen=True)
class _Shading:
    """Tissues of an LGE image that come nearer to the signal of another one.

    Attributes:
        tissues: which; the contrast is that of the first one.
        toward: the other one.
        amount: how much of the contrast (z, y, x), from random numbers, the tissues' share of each
            voxel, and the spacing in mm.
    """

    tissues: tuple[int, ...]
    toward: int
    amount: Callable[[np.random.Generator, np.ndarray, tuple[float, float, float]], np.ndarray]


# Scar in which muscle has survived; healthy muscle that is brighter here than there.
SHADINGS = (
    _Shading((SCAR, SCAR_CHRONIC), MYOCARDIUM, grade_scar),
    _Shading((MYOCARDIUM, PAPILLARY), SCAR, uneven_muscle),
)


def generate_patient(seed: int, config: PhantomConfig = PhantomConfig()) -> PhantomPatient:
    """Make one synthetic patient.

    Args:
        seed: non-negative integer; the same seed gives the same patient.
        config: what kind of patients are drawn.

    Raises:
        ValueError: if `config.view` is unknown.
    """
    rng = np.random.default_rng([seed, 20])
    injury = _draw_injury(rng, config)
    heart = sample_heart(rng, injury)
    wider = np.random.default_rng([seed, 22])
    variety = wider if wider.random() < config.wide else None
    if variety is not None:
        heart = widen_heart(variety, heart)
    stack = _sample_stack(rng, heart, config)
    tissue = draw_thorax(
        rng, *stack.places(slice(None), slice(None)), stack.level_z_mm, stack.spacing_zyx
    )
    window = _heart_window(stack, heart)
    fine, region = _draw_fine_heart(rng, heart, stack, tissue, window)
    labels, mvo = _truth(fine, region, stack.shape, window)
    sequences = _draw_sequences(rng, config)
    images = _images(rng, variety, config, sequences, stack, tissue, fine, window)
    return PhantomPatient(
        images=images,
        labels=labels,
        mvo=mvo,
        spacing_mm=(stack.pixel_mm, stack.pixel_mm, stack.step_mm),
        acute=injury == "acute",
        seed=seed,
        description={
            "injury": injury,
            "slice_thickness_mm": stack.thickness_mm,
            "view": config.view,
            "infarcts": [
                {
                    "territory": i.territory,
                    "transmurality": i.transmurality,
                    "half_width_rad": i.half_width,
                    "pattern": i.pattern,
                    "mvo": i.mvo_share > 0,
                }
                for i in heart.infarcts
            ],
            "apex_first": bool(stack.level_z_mm[0] > stack.level_z_mm[-1]),
            "septum_angle_rad": heart.septum_angle,
            "sequences": list(sequences),
        },
    )


def _draw_injury(rng: np.random.Generator, config: PhantomConfig) -> str:
    pick = rng.random()
    if pick < config.normal_share:
        return "none"
    return "acute" if pick < config.normal_share + config.acute_share else "chronic"


def _draw_sequences(rng: np.random.Generator, config: PhantomConfig) -> tuple[str, ...]:
    """All three sequences, or one of the incomplete sets met in practice."""
    pick = rng.random()
    if not config.dropout or pick < 0.5:
        return tuple(PHYSICAL)
    if pick < 0.7:
        return ("lge",)
    return ("bssfp",) if pick < 0.82 else ("bssfp", "lge") if pick < 0.92 else ("lge", "t2")


def _sample_stack(rng: np.random.Generator, heart: Heart, config: PhantomConfig) -> _Stack:
    thickness = rng.uniform(5, 10)
    step = thickness + rng.choice([0.0, rng.uniform(0, 5)])
    start = rng.uniform(-0.12, 0.18) * heart.length_mm
    end = rng.uniform(0.82, 1.1) * heart.length_mm
    count = int(np.clip(round((end - start) / step) + 1, 4, 20))
    level_z = (start + step * np.arange(count)).astype(np.float32)
    if rng.random() < 0.5:
        level_z = level_z[::-1].copy()
    pixel = rng.uniform(1.0, 1.8)
    if config.view == "full":
        size = (int(rng.integers(200, 289)), int(rng.integers(200, 289)))
        pixel = max(pixel, 270 / max(size))
        reach = 0.16
    elif config.view == "heart":
        size = (round(210 / pixel), round(210 / pixel))
        reach = 0.06
    elif config.view == "finder":
        size, pixel, reach = (128, 128), 2.5, 0.13
    else:
        raise ValueError(f"Expected view 'full', 'heart' or 'finder', found '{config.view}'.")
    center = (
        (size[0] - 1) * (0.5 + reach * rng.uniform(-1, 1)),
        (size[1] - 1) * (0.5 + reach * rng.uniform(-1, 1)),
    )
    turn = rng.uniform(0, 2 * np.pi) if rng.random() < 0.6 else rng.normal(0, 0.3)
    mirror = rng.choice([-1, 1])
    if config.upright:
        turn, mirror = 0.0, 1
    jitter = rng.choice([0.3, 1.0, 2.2]) if config.artifacts else 0.0
    return _Stack(
        shape=(count, *size),
        pixel_mm=float(pixel),
        thickness_mm=float(thickness),
        step_mm=float(step),
        level_z_mm=level_z,
        center_px=center,
        turn=float(turn),
        mirror=int(mirror),
        slice_shift_mm=(jitter * rng.standard_normal((count, 2))).astype(np.float32),
    )


def _heart_window(stack: _Stack, heart: Heart) -> tuple[slice, slice]:
    """Rows and columns that hold the heart; only there is the finer sampling needed."""
    reach = heart.radius_mm * (1.15 + heart.rv_offset + heart.rv_reach * 1.2) + 12
    half = reach / stack.pixel_mm
    rows, columns = (
        slice(max(0, int(c - half)), min(n, int(c + half) + 2))
        for c, n in zip(stack.center_px, stack.shape[1:])
    )
    return rows, columns


def _draw_fine_heart(
    rng: np.random.Generator,
    heart: Heart,
    stack: _Stack,
    tissue: np.ndarray,
    window: tuple[slice, slice],
) -> tuple[np.ndarray, np.ndarray]:
    """Tissue numbers and LV region of the window, (subsample, z, y, x)."""
    background = tissue[:, window[0], window[1]]
    fine = np.repeat(background[None], len(SUBSAMPLES), 0)
    region = np.zeros(fine.shape, bool)
    patches = smooth_field(rng, background.shape, stack.spacing_zyx, rng.uniform(5, 12))
    for n, (dz, dy, dx) in enumerate(SUBSAMPLES):
        x, y = stack.places(*window, dy, dx)
        z = stack.level_z_mm + np.float32(dz * stack.thickness_mm)
        level = np.broadcast_to((z / np.float32(heart.length_mm))[:, None, None], x.shape)
        region[n] = draw_heart(fine[n], heart, x, y, level, patches)
    return fine, region


def _truth(
    fine: np.ndarray, region: np.ndarray, shape: tuple[int, int, int], window: tuple[slice, slice]
) -> tuple[np.ndarray, np.ndarray]:
    """MyoPS labels and MVO mask from what fills most of each voxel."""
    kinds = (
        ("normal_myocardium", (MYOCARDIUM,)),
        ("blood_pool", (LV_BLOOD, PAPILLARY)),
        ("edema", (EDEMA,)),
        ("scar", (SCAR, SCAR_CHRONIC, MVO)),
    )
    counts = np.stack([np.isin(fine, tissues).sum(0) for _, tissues in kinds])
    values = np.array([MYOPS[name] for name, _ in kinds], np.uint16)
    inside = region.sum(0) * 2 >= len(SUBSAMPLES)
    rv = ~inside & ((fine == RV_BLOOD).sum(0) * 2 >= len(SUBSAMPLES))
    part = np.where(inside, values[counts.argmax(0)], np.uint16(0))
    part[rv] = MYOPS["right_ventricle"]
    labels = np.zeros(shape, np.uint16)
    labels[:, window[0], window[1]] = part
    mvo = np.zeros(shape, bool)
    mvo[:, window[0], window[1]] = ((fine == MVO).sum(0) * 2 >= len(SUBSAMPLES)) & (
        part == MYOPS["scar"]
    )
    return labels, mvo


def _images(
    rng: np.random.Generator,
    variety: np.random.Generator | None,
    config: PhantomConfig,
    sequences: tuple[str, ...],
    stack: _Stack,
    tissue: np.ndarray,
    fine: np.ndarray,
    window: tuple[slice, slice],
) -> dict[str, np.ndarray]:
    """Every present sequence as stored; the first of LGE, bSSFP is the frame of the truth."""
    reference = next(name for name in GRID_SEQUENCES if name in sequences)
    tissues = sample_tissues(rng)
    random_values = rng.random() < config.random_contrast_share
    noise = rng.uniform(0.008, 0.07)
    padded = config.artifacts and config.view != "heart" and rng.random() < 0.2
    images = {}
    for sequence in sequences:
        table, signed = (
            random_contrast(rng, sequence, stack.shape[0])
            if random_values
            else PHYSICAL[sequence](rng, tissues, stack.shape[0])
        )
        if variety is not None:
            table = widen_contrast(variety, sequence, table)
        table = (table / np.abs(table[:, HEART]).max()).astype(np.float32)
        image = _signal(table, tissue, fine, window)
        if variety is not None and sequence == "lge":
            for kind in SHADINGS:
                _shade(variety, image, table, fine, window, stack, kind)
        image *= _texture(rng, stack, window)
        image *= acquisition.bias_field(rng, stack.shape, stack.spacing_zyx, rng.uniform(0, 0.45))
        if variety is not None:
            image *= slice_gains(variety, stack.shape[0])
            image *= surface_coil(variety, stack.shape, stack.pixel_mm)
            image = motion_blur(variety, image, stack.pixel_mm)
            noise *= variety.uniform(0.7, 1.6)
        image = acquisition.image_through_scanner(
            rng,
            image,
            _shifts_px(rng, config, stack, sequence == reference),
            noise * rng.uniform(0.7, 1.4) * _noise_unit(sequence, table),
            rng.uniform(0.35, 0.95),
            signed,
        )
        if config.artifacts and rng.random() < 0.15:
            image = acquisition.add_ghost(rng, image, rng.uniform(0.02, 0.1))
        image = acquisition.store(rng, image, signed)
        images[sequence] = acquisition.pad_borders(rng, image) if padded else image
    return images


def _noise_unit(sequence: str, table: np.ndarray) -> float:
    """What the noise is measured by: the brightest tissue of the heart, which is 1 in `table`.

    A protocol whose muscle drowned in noise would not be used: in bSSFP and T2 the muscle counts
    three times, so that very bright blood brings no noise along. In LGE the muscle is nulled.
    """
    if sequence == "lge":
        return 1.0
    return min(1.0, 3 * float(np.abs(table[:, MYOCARDIUM]).mean()))


def _signal(
    table: np.ndarray, tissue: np.ndarray, fine: np.ndarray, window: tuple[slice, slice]
) -> np.ndarray:
    """Signal (z, y, x) of the tissues, averaged over the subsamples inside the heart's window."""
    image = np.empty(tissue.shape, np.float32)
    for k in range(tissue.shape[0]):
        image[k] = table[k][tissue[k]]
        image[k, window[0], window[1]] = table[k][fine[:, k]].mean(0)
    return image


def _shade(
    variety: np.random.Generator,
    image: np.ndarray,
    table: np.ndarray,
    fine: np.ndarray,
    window: tuple[slice, slice],
    stack: _Stack,
    kind: _Shading,
) -> None:
    """Bring a part of the tissues of an LGE image nearer to another tissue (in place)."""
    share = np.isin(fine, kind.tissues).mean(0, dtype=np.float32)
    if not share.any():
        return
    amount = kind.amount(variety, share, stack.spacing_zyx)
    contrast = (table[:, kind.toward] - table[:, kind.tissues[0]])[:, None, None]
    image[:, window[0], window[1]] += amount * contrast


def _texture(rng: np.random.Generator, stack: _Stack, window: tuple[slice, slice]) -> np.ndarray:
    """Multiplicative texture: fine everywhere, coarse and strong outside the heart."""
    fine = rng.uniform(0.01, 0.07) * smooth_field(
        rng, stack.shape, stack.spacing_zyx, rng.uniform(3, 9)
    )
    coarse = rng.uniform(0.05, 0.3) * smooth_field(
        rng, stack.shape, stack.spacing_zyx, rng.uniform(8, 25)
    )
    organs = rng.uniform(0.02, 0.25) * smooth_field(
        rng, stack.shape, stack.spacing_zyx, rng.uniform(2.5, 6)
    )
    coarse += organs
    coarse[:, window[0], window[1]] *= 0.2
    return np.clip(1 + fine + coarse, 0.15, 2.5)


def _shifts_px(
    rng: np.random.Generator, config: PhantomConfig, stack: _Stack, is_reference: bool
) -> np.ndarray:
    """Shift (z, 2) in pixels of a sequence against the truth: 0 for the reference, else 0-5 mm."""
    count = stack.shape[0]
    if is_reference or not config.artifacts:
        return np.zeros((count, 2))
    whole = rng.normal(0, 1.3, 2)
    return np.clip(whole + rng.normal(0, 0.7, (count, 2)), -5, 5) / stack.pixel_mm

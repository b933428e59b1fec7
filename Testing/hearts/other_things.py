"""Images of other things than hearts, for the warnings of `myops.quantify.plausibility`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from myops.phantom.contrast import PHYSICAL
from myops.phantom.random_fields import smooth_field
from myops.phantom.thorax import draw_thorax
from myops.phantom.tissue import sample_tissues

PLACES = (10, 200, 200)


def noise(rng):
    return rng.normal(100, 20, PLACES)


def clouds(rng):
    return 100 + 30 * smooth_field(rng, PLACES, (8, 1.4, 1.4), rng.uniform(8, 40))


def bottle(rng):
    _, y, x = np.mgrid[: PLACES[0], : PLACES[1], : PLACES[2]]
    inside = np.hypot(y - rng.uniform(90, 110), x - 100) < rng.uniform(25, 70)
    return np.where(inside, 200, 5) * (1 + 0.1 * smooth_field(rng, PLACES, (8, 1.4, 1.4), 80))


def tube_in_bottle(rng):
    _, y, x = np.mgrid[: PLACES[0], : PLACES[1], : PLACES[2]]
    radius = np.hypot(y - rng.uniform(90, 110), x - 100)
    return np.where(radius < 70, np.where(radius < 60, 200.0, 90.0), 5.0)


def abdomen(rng):
    z, y, x = (a.astype(np.float32) for a in np.mgrid[: PLACES[0], : PLACES[1], : PLACES[2]])
    below = np.linspace(60, 150, len(z)).astype(np.float32)  # mm below the heart's base
    tissue = draw_thorax(rng, 1.6 * x - 100, 1.6 * y - 250, below, (8, 1.6, 1.6))
    table, _ = PHYSICAL["lge"](rng, sample_tissues(rng), len(z))
    image = np.stack([row[plane] for row, plane in zip(table, tissue, strict=True)])
    return 200 * image / np.abs(image).max()


def head(rng):
    """Skull, brain and ventricles as ellipses (after Shepp and Logan, IEEE TNS 1974)."""
    image = np.zeros(PLACES)
    y, x = np.mgrid[: PLACES[1], : PLACES[2]] - 100.0
    for k in range(PLACES[0]):
        size = np.sqrt(1 - ((k - 4.5) / 6) ** 2)
        for value, (cx, ry, rx) in (
            (180, (0, 75, 58)), (60, (0, 69, 53)), (110, (0, 64, 48)),
            (20, (-12, 22, 8)), (20, (12, 22, 8)),
        ):  # fmt: skip
            image[k][(y / (ry * size)) ** 2 + ((x - cx) / (rx * size)) ** 2 < 1] = value
    return image * (1 + 0.08 * smooth_field(rng, PLACES, (8, 1.4, 1.4), 6))


THINGS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "noise": noise,
    "clouds": clouds,
    "bottle": bottle,
    "tube in a bottle": tube_in_bottle,
    "abdomen": abdomen,
    "head": head,
}
SPACING_MM = (1.4, 1.4, 8.0)
# Real brains that nibabel carries as examples (MIT license).
BRAINS = ("example4d.nii.gz", "anatomical.nii")


def draw(name: str, seed: int) -> np.ndarray:
    """A thing of `THINGS` with a little noise, float (z, y, x) of SPACING_MM."""
    rng = np.random.default_rng(seed)
    return THINGS[name](rng) + rng.normal(0, 4, PLACES)


def brain(name: str) -> tuple[np.ndarray, tuple[float, ...]] | None:
    """A real brain of `BRAINS`, float32 (z, y, x), and its spacing; None without nibabel."""
    found = importlib.util.find_spec("nibabel")
    if found is None or found.origin is None:
        return None
    image = sitk.ReadImage(str(Path(found.origin).parent / "tests" / "data" / name))
    if image.GetDimension() == 4:
        image = image[..., 0]
    return sitk.GetArrayFromImage(image).astype(np.float32), image.GetSpacing()

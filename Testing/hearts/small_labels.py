"""Small labeled hearts as files: noise for images, and a wall around blood for labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk


def write_stack(array: np.ndarray, path: Path) -> None:
    """Write voxels of 1.4 x 1.4 x 10 mm."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.4, 1.4, 10.0))
    image.SetOrigin((5.0, -20.0, 40.0))
    sitk.WriteImage(image, str(path))


def noise(shape: tuple[int, ...] = (3, 16, 16), seed: int = 0) -> np.ndarray:
    """An image without a heart, float32 (z, y, x)."""
    return np.random.default_rng(seed).normal(200, 40, shape).astype(np.float32)


def heart(scar: int = 0, edema: int = 0, wall: int = 200, blood: int = 500) -> np.ndarray:
    """16 pixels of wall around 9 of blood in the middle one of three slices.

    A pixel of the wall is scar and one edema, where those have a value.
    """
    labels = np.zeros((3, 16, 16), np.uint16)
    labels[1, 4:9, 4:9] = wall
    labels[1, 5:8, 5:8] = blood
    labels[1, 4, 4], labels[1, 4, 5] = scar or wall, edema or wall
    return labels

"""Small images with known content, shared by the tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from oblique import OBLIQUE
from real_folder import REAL_HEARTS

# Whatever pack this computer uses: tests know the free one.
os.environ["MYOPS_MODEL"] = "synthetic"


@pytest.fixture
def texture() -> Callable[..., np.ndarray]:
    """Give float32 noise (z, y, x), reproducible by seed: every voxel differs from the others."""

    def make(shape: tuple[int, ...] = (6, 24, 20), seed: int = 0) -> np.ndarray:
        values = np.random.default_rng(seed).normal(300.0, 80.0, shape)
        return values.astype(np.float32)

    return make


@pytest.fixture
def make_image() -> Callable[..., sitk.Image]:
    """Give a function from an array to an image with geometry."""

    def make(
        array: np.ndarray,
        spacing: tuple[float, float, float] = (1.5, 1.5, 10.0),
        origin: tuple[float, float, float] = (-12.0, 7.5, 40.0),
        direction: tuple[float, ...] | None = None,
    ) -> sitk.Image:
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(spacing)
        image.SetOrigin(origin)
        if direction is not None:
            image.SetDirection(direction)
        return image

    return make


@pytest.fixture
def patient_folder(
    tmp_path: Path, texture: Callable[..., np.ndarray], make_image: Callable[..., sitk.Image]
) -> Path:
    """Write three sequences on one oblique grid, named as in MyoPS, and their label file."""
    folder = tmp_path / "patient"
    folder.mkdir()
    for seed, name in enumerate(("C0", "DE", "T2")):
        image = make_image(texture(seed=seed), direction=OBLIQUE)
        sitk.WriteImage(image, str(folder / f"myops_007_{name}.nii.gz"))
    labels = np.zeros((6, 24, 20), np.uint16)
    labels[2:4, 8:16, 8:16] = 200
    labels[2:4, 10:14, 10:14] = 500
    truth = make_image(labels, direction=OBLIQUE)
    sitk.WriteImage(truth, str(folder / "myops_007_gd.nii.gz"))
    return folder


@pytest.fixture
def real_hearts() -> Path:
    """Give the folder of real hearts, or skip."""
    if not REAL_HEARTS.is_dir():
        pytest.skip("the real hearts are not on this machine")
    return REAL_HEARTS

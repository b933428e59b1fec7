"""MR artifacts for training images, by TorchIO: on whole patients, in the worker process.

A short-axis stack is acquired slice by slice, each in a breath-hold of its own. So what happens
during an acquisition (motion, ghosts, spikes) meets single slices and only their two axes; what
belongs to coil, protocol or storing (bias field, sharpness, noise, gray levels) meets the stack.
Labels are never touched: nothing here moves the heart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import torch

from myops.errors import InputError

# From array (channel, i, j, k) to array.
Transform = Callable[[np.ndarray], Any]

# How often a sequence has each group of artifacts.
ACQUISITION_CHANCE = 0.35  # motion, ghosts or spikes
SHARPNESS_CHANCE = 0.3  # blur or fewer lines along one axis
BIAS_CHANCE = 0.5
NOISE_CHANCE = 0.4
GAMMA_CHANCE = 0.5
# Share of the slices of such a stack that have it: a patient who fails one breath-hold fails more.
SLICE_CHANCE = 0.5


def add_artifacts(
    images: Mapping[str, np.ndarray], rng: np.random.Generator, strength: float = 1.0
) -> dict[str, np.ndarray]:
    """Give every sequence artifacts of its own.

    Args:
        images: float32 (z, y, x) per sequence, finite, any unit, signed or not; unchanged.
        rng: source of all randomness.
        strength: 0 = none, 1 = the sizes below, above 1 more than a reader would accept. It scales
            the sizes of the artifacts, not how often they occur.

    Returns:
        float32 arrays of the same shapes, finite; those without a negative value stay so.

    Raises:
        InputError: TorchIO is not installed, or a negative strength.
    """
    if strength < 0:
        raise InputError(f"expected a strength of 0 or above, found {strength}")
    if strength == 0:
        return {name: image.copy() for name, image in images.items()}
    tio = _torchio()
    # TorchIO draws from torch's generator even where nothing is random; the training's own numbers
    # must not depend on it.
    with torch.random.fork_rng(devices=[]):
        return {name: _with_artifacts(tio, image, rng, strength) for name, image in images.items()}


def _torchio() -> ModuleType:
    """TorchIO, imported late: it takes seconds, and only this augmentation needs it."""
    try:
        import torchio
    except ImportError:
        raise InputError(
            "artifacts need TorchIO, which is not installed: pip install 'myops-segmenter[train]'"
        ) from None
    return torchio


def _with_artifacts(
    tio: ModuleType, image: np.ndarray, rng: np.random.Generator, strength: float
) -> np.ndarray:
    """One sequence's artifacts, in the order of nature: coil, acquisition, storing."""
    top = float(np.percentile(np.abs(image), 99.8)) or 1.0
    stack = (image / top).astype(np.float32)
    if rng.random() < BIAS_CHANCE:
        stack = _apply(_bias_field(tio, rng, strength), stack)
    if rng.random() < ACQUISITION_CHANCE:
        artifact = (_motion, _ghosts, _spikes)[rng.integers(3)]
        for k in np.flatnonzero(rng.random(len(stack)) < SLICE_CHANCE):
            stack[k] = _in_plane(artifact(tio, rng, strength), stack[k], rng)
    if rng.random() < SHARPNESS_CHANCE:
        stack = _apply((_blur, _fewer_lines)[rng.integers(2)](tio, rng, strength), stack)
    if rng.random() < NOISE_CHANCE:
        stack = _apply(_noise(tio, rng, strength), stack)
    if image.min() >= 0:  # a magnitude image stays one
        stack = np.abs(stack)
    if rng.random() < GAMMA_CHANCE:
        stack = _apply(tio.Gamma(float(np.exp(rng.uniform(-0.35, 0.35) * strength))), stack)
    return (stack * top).astype(np.float32)


def _apply(transform: Transform, stack: np.ndarray) -> np.ndarray:
    """A TorchIO transform on a stack (z, y, x): it wants a channel in front."""
    return np.asarray(transform(stack[None])[0], np.float32)


def _in_plane(transform: Transform, plane: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same on one slice (y, x), whose phase-encoding axis is either of the two."""
    swapped = rng.random() < 0.5
    laid = np.ascontiguousarray(plane.T if swapped else plane)
    changed = _apply(transform, laid[None])[0]
    return changed.T if swapped else changed


def _bias_field(tio: ModuleType, rng: np.random.Generator, strength: float) -> Transform:
    """Coil sensitivity: the exponential of a polynomial of third order over the volume."""
    terms = 20  # of a polynomial of third order in three variables
    return tio.BiasField(list(rng.uniform(-0.25, 0.25, terms) * strength), 3)


def _motion(tio: ModuleType, rng: np.random.Generator, strength: float) -> Transform:
    """Heart or diaphragm move once or twice during the lines of k-space, by up to 4 pixels and 4°.

    `tio.RandomMotion` splits k-space along the last axis, which a two-dimensional image does not
    have there: it would move the image instead of degrading it. So a slice is laid in the last two
    axes (see `_in_plane`), and the motion kept to these. The middle sixth of the lines, which says
    where the heart is, is measured before it moves: the label stays true.
    """
    count = int(rng.integers(1, 3))
    degrees, shifts = np.zeros((count, 3)), np.zeros((count, 3))
    degrees[:, 0] = rng.uniform(-4, 4, count) * strength
    shifts[:, 1:] = rng.uniform(-4, 4, (count, 2)) * strength
    times = 0.5 + rng.choice((-1, 1), count) * rng.uniform(1 / 12, 0.4, count)
    return tio.Motion(degrees, shifts, np.sort(times), "linear")


def _ghosts(tio: ModuleType, rng: np.random.Generator, strength: float) -> Transform:
    """Copies displaced along the phase-encoding axis, from periodic motion (flow, beats)."""
    intensity = min(float(rng.uniform(0.2, 0.7)) * strength, 1.0)
    return tio.Ghosting(int(rng.integers(2, 7)), 2, intensity, None)


def _spikes(tio: ModuleType, rng: np.random.Generator, strength: float) -> Transform:
    """Stripes from one or two wrong samples of k-space, up to half of its largest."""
    places = rng.random((int(rng.integers(1, 3)), 3))
    return tio.Spike(places, float(rng.uniform(0.1, 0.5)) * strength)


def _blur(tio: ModuleType, rng: np.random.Generator, strength: float) -> Transform:
    """In-plane Gaussian with an SD of up to 1 pixel."""
    sd_px = float(rng.uniform(0.3, 1.0)) * strength
    return tio.Blur((0.0, sd_px, sd_px))


def _fewer_lines(tio: ModuleType, rng: np.random.Generator, strength: float) -> Transform:
    """Coarser sampling along one in-plane axis, up to half as fine."""
    coarser = 1 + float(rng.uniform(0.2, 1.0)) * strength
    return tio.RandomAnisotropy(int(rng.integers(1, 3)), (coarser, coarser))


def _noise(tio: ModuleType, rng: np.random.Generator, strength: float) -> Transform:
    """White Gaussian noise with an SD of up to 6 % of the brightest tissue."""
    sd = float(rng.uniform(0.01, 0.06)) * strength
    return tio.Noise(0.0, sd, int(rng.integers(2**31)))

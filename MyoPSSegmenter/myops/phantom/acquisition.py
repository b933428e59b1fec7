"""The scanner's part: bias field, shift, point spread, noise, ghosts, padding, stored numbers."""

from __future__ import annotations

import numpy as np
from scipy import fft

from myops.phantom.random_fields import smooth_field


def bias_field(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    strength: float,
) -> np.ndarray:
    """Multiplicative coil sensitivity, float32 (z, y, x), mean about 1, smooth over 120 mm."""
    return np.exp(np.float32(strength) * smooth_field(rng, shape, spacing_mm, 120))


def _window(count: int, kept: float, softness: float) -> np.ndarray:
    """k-space window along one axis: the kept share of frequencies with a cosine edge."""
    frequency = np.abs(fft.fftfreq(count)) * 2
    edge = np.clip((kept - frequency) / max(softness * kept, 1e-3), 0, 1)
    return np.sin(edge * np.pi / 2).astype(np.float32)


def image_through_scanner(
    rng: np.random.Generator,
    signal: np.ndarray,
    shift_px: np.ndarray,
    noise: float,
    resolution: float,
    signed: bool,
) -> np.ndarray:
    """Shift, blur and add noise in k-space, as a scanner does.

    Complex Gaussian noise and the truncated k-space give Rician magnitude images (Gaussian when
    signed, as PSIR) with noise as smooth as the point spread function, and Gibbs ringing.

    Args:
        rng: source of randomness.
        signal: float32 (z, y, x), signed.
        shift_px: float (z, 2) shift of each slice in pixels (y, x).
        noise: standard deviation of each noise channel, in units of the signal.
        resolution: share of k-space that was measured along each axis, 0..1.
        signed: return the real part (PSIR) instead of the magnitude.

    Returns:
        float32 (z, y, x).
    """
    rows, columns = signal.shape[1:]
    softness = rng.uniform(0.05, 0.6)
    window = np.outer(
        _window(rows, resolution * rng.uniform(0.8, 1.0), softness),
        _window(columns, resolution, softness),
    )
    fy, fx = fft.fftfreq(rows)[:, None], fft.fftfreq(columns)[None, :]
    measured = np.empty(signal.shape, np.complex64)
    measured.real = signal + noise * rng.standard_normal(signal.shape, np.float32)
    measured.imag = noise * rng.standard_normal(signal.shape, np.float32)
    spectrum = fft.fft2(measured, overwrite_x=True)
    for k, (dy, dx) in enumerate(shift_px):
        phase = np.exp(-2j * np.pi * (fy * dy + fx * dx)).astype(np.complex64)
        spectrum[k] *= window * phase
    image = fft.ifft2(spectrum, overwrite_x=True)
    return np.ascontiguousarray(image.real) if signed else np.abs(image)


def add_ghost(rng: np.random.Generator, image: np.ndarray, strength: float) -> np.ndarray:
    """Ghosting: a faint copy displaced by a part of the field of view along one axis."""
    axis = int(rng.integers(1, 3))
    step = image.shape[axis] // int(rng.integers(2, 5))
    return image + np.float32(strength) * np.roll(image, step, axis=axis)


def store(rng: np.random.Generator, image: np.ndarray, signed: bool) -> np.ndarray:
    """Bring an image to the numbers that files hold: offsets, 12 or 8 bits, changed histograms.

    A third of the images passes through a monotonic curve and 8 bits as published data sets do.
    """
    top = np.percentile(image, 99.8) or 1.0
    scaled = image / top
    if signed and rng.random() < 0.7:
        scaled = scaled - min(float(scaled.min()), 0.0)  # vendors store PSIR with an offset
        signed = False
    if rng.random() < 0.33:
        low, high = np.percentile(scaled, (rng.uniform(0, 1.5), rng.uniform(98.5, 100)))
        curved = np.clip((scaled - low) / max(high - low, 1e-6), 0, 1) ** rng.uniform(0.6, 1.5)
        return np.round(curved * 255).astype(np.float32)
    return np.round(scaled * rng.uniform(300, 3500)).astype(np.float32)


def pad_borders(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Zero borders that move from slice to slice, as in registered or cropped data (in place)."""
    rows, columns = image.shape[1:]
    width = rng.uniform(0.02, 0.2, 4) * (rng.random(4) < 0.5)
    for plane in image:
        jitter = np.clip(width + rng.normal(0, 0.01, 4), 0, 0.3) * (width > 0)
        plane[: int(jitter[0] * rows)] = 0
        plane[rows - int(jitter[1] * rows) :] = 0
        plane[:, : int(jitter[2] * columns)] = 0
        plane[:, columns - int(jitter[3] * columns) :] = 0
    return image

"""Smooth random fields: the one building block for irregular walls, textures and bias."""

from __future__ import annotations

import numpy as np


def bspline_matrix(count: int, knots: int) -> np.ndarray:
    """Cubic B-spline basis (count, knots): `knots` control values over `count` samples."""
    position = np.linspace(1.0, knots - 2.0, count) if count > 1 else np.array([(knots - 1) / 2])
    distance = np.abs(position[:, None] - np.arange(knots)[None, :])
    inner = 2 / 3 - distance**2 + distance**3 / 2
    outer = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, inner, outer).astype(np.float32)


def smooth_field(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    cell_mm: float,
) -> np.ndarray:
    """Random field (z, y, x) of about zero mean and unit variance, smooth over `cell_mm`.

    Args:
        rng: source of randomness.
        shape: samples (z, y, x).
        spacing_mm: distance of the samples (z, y, x) in mm.
        cell_mm: distance of the random control points in mm.

    Returns:
        float32 array of `shape`.
    """
    knots = [max(4, round((n - 1) * d / cell_mm) + 4) for n, d in zip(shape, spacing_mm)]
    control = rng.standard_normal(knots).astype(np.float32)
    across_z, across_y, across_x = (bspline_matrix(n, k) for n, k in zip(shape, knots))
    field = np.tensordot(across_z, control, axes=(1, 0))
    field = np.matmul(across_y, field)
    field = np.matmul(field, across_x.T)
    # A cubic B-spline of white noise has variance (sum of squared weights) ** dimension.
    return field * np.float32(1 / 0.479**1.5)


def wrap_angle(angle: np.ndarray) -> np.ndarray:
    """Angles in radians brought into -pi..pi."""
    return np.mod(angle + np.float32(np.pi), np.float32(2 * np.pi)) - np.float32(np.pi)


def harmonics(
    rng: np.random.Generator, orders: range, amplitude: float
) -> list[tuple[int, float, float, float]]:
    """Random angular harmonics (order, amplitude, phase, twist along the long axis)."""
    return [
        (
            k,
            amplitude * rng.uniform(0.2, 1.0) * orders.start / k,
            rng.uniform(0, 2 * np.pi),
            rng.uniform(-1.5, 1.5),
        )
        for k in orders
    ]


def angular_wave(
    waves: list[tuple[int, float, float, float]], angle: np.ndarray, depth: np.ndarray
) -> np.ndarray:
    """Sum of amplitude * cos(order * angle + phase + twist * depth), float32."""
    total = np.zeros(np.broadcast(angle, depth).shape, np.float32)
    for order, amplitude, phase, twist in waves:
        total += np.float32(amplitude) * np.cos(
            np.float32(order) * angle + np.float32(twist) * depth + np.float32(phase)
        )
    return total

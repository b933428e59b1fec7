"""Contrast of two colors, for tests of what stands on what."""

from __future__ import annotations


def contrast(ink: str, background: str) -> float:
    """Contrast of two colors #rrggbb as WCAG 2.1 defines it, 1 to 21."""
    low, high = sorted((_luminance(ink), _luminance(background)))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: str) -> float:
    shares = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.03928 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

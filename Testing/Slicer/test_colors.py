"""Outlines on the images differ for every reader: color blindness simulated, differences measured.

Simulation: Machado, Oliveira, Fernandes 2009 (IEEE TVCG 15:1291), severity 1.0, on linear RGB.
Difference: CIEDE2000 (Sharma, Wu, Dalal 2005). 1 is about what an eye just notices side by side.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from myops.report.colors import COLORS
from myops.structures import rgb_of
from MyoPSSegmenterLib.Scene.LabelNode import PROPOSAL_COLOR
from MyoPSSegmenterLib.Steps.QuantifyLogic import METHOD_COLORS

LEAST_DIFFERENCE = 10.0
VISION = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
# What can be drawn on one image; the wall and its healthy part are one color by intention.
DRAWN = ("myocardium", "blood_pool", "right_ventricle", "scar", "edema", "mvo", "remote")
OUTLINES = {
    **{name: rgb_of(COLORS[name]) for name in DRAWN},
    "proposal": PROPOSAL_COLOR,
    **{f"method {i + 1}": rgb_of(color) for i, color in enumerate(METHOD_COLORS)},
}
SRGB_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
WHITE_D65 = np.array([0.95047, 1.0, 1.08883])


def lab(color: tuple[float, float, float], vision: str) -> np.ndarray:
    """CIELAB of an sRGB color as somebody with this vision sees it."""
    srgb = np.asarray(color)
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    xyz = SRGB_TO_XYZ @ np.clip(VISION[vision] @ linear, 0, 1) / WHITE_D65
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def difference(first: np.ndarray, second: np.ndarray) -> float:
    """CIEDE2000 of two CIELAB colors; names as in the paper's equations."""
    c = np.hypot(first[1:2], first[2:3])[0], np.hypot(second[1:2], second[2:3])[0]
    mean7 = np.mean(c) ** 7
    g = 0.5 * (1 - np.sqrt(mean7 / (mean7 + 25.0**7)))
    a = (1 + g) * first[1], (1 + g) * second[1]
    c1, c2 = np.hypot(a[0], first[2]), np.hypot(a[1], second[2])
    h1 = np.degrees(np.arctan2(first[2], a[0])) % 360
    h2 = np.degrees(np.arctan2(second[2], a[1])) % 360
    turn = 0.0 if c1 * c2 == 0 else (h2 - h1 + 180) % 360 - 180
    d_h = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    mean_h = h1 + h2 if c1 * c2 == 0 else (h1 + turn / 2) % 360
    mean_l, mean_c = (first[0] + second[0]) / 2, (c1 + c2) / 2
    waves = ((0.17, 1, -30), (-0.24, 2, 0), (-0.32, 3, 6), (0.20, 4, -63))
    t = 1 - sum(w * np.cos(np.radians(n * mean_h + p)) for w, n, p in waves)
    s_l = 1 + 0.015 * (mean_l - 50) ** 2 / np.sqrt(20 + (mean_l - 50) ** 2)
    s_c, s_h = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    bend = 60 * np.exp(-(((mean_h - 275) / 25) ** 2))
    r_t = -2 * np.sqrt(mean_c**7 / (mean_c**7 + 25.0**7)) * np.sin(np.radians(bend))
    parts = (second[0] - first[0]) / s_l, (c2 - c1) / s_c, d_h / s_h
    return float(np.sqrt(sum(p**2 for p in parts) + r_t * parts[1] * parts[2]))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [  # pairs 1, 7, 13 and 25 of the table in Sharma, Wu, Dalal 2005
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
        ((50.0, -0.0010, 2.4900), (50.0, 0.0011, -2.4900), 4.7461),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ],
)
def test_the_difference_is_that_of_the_published_table(first, second, expected) -> None:
    assert difference(np.array(first), np.array(second)) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("vision", VISION)
def test_outlines_on_the_images_are_told_apart_with_any_color_vision(vision: str) -> None:
    seen = {name: lab(color, vision) for name, color in OUTLINES.items()}
    alike = {
        f"{one} and {other}": round(difference(seen[one], seen[other]), 1)
        for one, other in combinations(seen, 2)
        if difference(seen[one], seen[other]) < LEAST_DIFFERENCE
    }
    assert alike == {}


def test_earlier_colors_would_not_pass() -> None:
    """Edema's yellow beside the green of a method: 1.6 to somebody without red cones."""
    pair = (lab(rgb_of(color), "protanopia") for color in ("#f0e442", "#a3e635"))
    assert difference(*pair) < 2


def test_outlines_stand_out_from_black_lungs_and_dark_wall() -> None:
    """WCAG 2.1 asks 3 : 1 of a line; nulled myocardium and air are nearly black on LGE."""
    for name, color in OUTLINES.items():
        srgb = np.asarray(color)
        linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
        assert (SRGB_TO_XYZ[1] @ linear + 0.05) / 0.05 >= 3.0, name

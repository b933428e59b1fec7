"""Draw the extension's icon, a short-axis slice of the heart, as SVG and as a 128 x 128 PNG.

Usage: python Resources/draw_icon.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.patches import Circle, FancyBboxPatch, Wedge

BACKGROUND = "#14202e"
RIGHT_VENTRICLE = "#5b8fd9"
MYOCARDIUM = "#b8c4d0"
BLOOD_POOL = "#8c2f39"
EDEMA = "#f2c14e"
SCAR = "#e4572e"


def draw() -> plt.Figure:
    """Draw right ventricle, myocardium, edema around a subendocardial scar, and blood pool."""
    figure = plt.figure(figsize=(1.28, 1.28), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 128), ylim=(0, 128), aspect="equal")
    axes.axis("off")
    corner = FancyBboxPatch((16, 16), 96, 96, boxstyle="round,pad=16", color=BACKGROUND, lw=0)
    for patch in (
        corner,
        Circle((46, 64), 34, color=RIGHT_VENTRICLE, lw=0),
        Circle((72, 64), 46, color=BACKGROUND, lw=0),
        Wedge((72, 64), 42, 0, 360, width=18, color=MYOCARDIUM, lw=0),
        Wedge((72, 64), 42, -70, 40, width=18, color=EDEMA, lw=0),
        Wedge((72, 64), 35, -55, 25, width=11, color=SCAR, lw=0),
        Circle((72, 64), 24, color=BLOOD_POOL, lw=0),
    ):
        axes.add_patch(patch)
    return figure


def main() -> None:
    """Write both files beside this script; a fixed hash salt and no date make them reproducible."""
    matplotlib.rcParams["svg.hashsalt"] = "myops"
    figure = draw()
    target = Path(__file__).with_name("MyoPSSegmenter")
    figure.savefig(target.with_suffix(".png"), transparent=True)
    figure.savefig(target.with_suffix(".svg"), transparent=True, metadata={"Date": None})


if __name__ == "__main__":
    main()

"""The hand-made hearts of the tests, one picture each, for Docs/reference/test-hearts.md.

python Testing/Scripts/draw/hearts.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "Testing" / "hearts"), str(ROOT / "MyoPSSegmenter")]

import odd_heart  # noqa: E402
import other_things  # noqa: E402
from analytic_heart import AnalyticHeart  # noqa: E402
from circle_heart import circle_labels, circle_lge  # noqa: E402
from ring_heart import RingHeart, Sector  # noqa: E402

from myops.labels import MYOPS  # noqa: E402
from myops.structures import STRUCTURES  # noqa: E402

PICTURE = ROOT / "Resources" / "Screenshots" / "test_hearts.png"
SHOWN = ("blood_pool", "normal_myocardium", "edema", "scar", "right_ventricle")


def in_color(labels: np.ndarray) -> np.ndarray:
    """A slice of labels, uint16 (y, x), in the colors of the table: float (y, x, 3)."""
    from matplotlib.colors import to_rgb

    picture = np.zeros((*labels.shape, 3))
    for name in SHOWN:
        picture[labels == MYOPS[name]] = to_rgb(STRUCTURES[name].color)
    return picture


def panels() -> list[tuple[str, np.ndarray]]:
    """Title and picture of every heart."""
    circle, odd = circle_labels(), odd_heart.labels()
    ring = RingHeart().labels(Sector((200.0, 260.0), (0.0, 0.5)))
    body = AnalyticHeart("cylinder").sampled((1.5, 1.5, 10.0), np.random.default_rng(0))[0]
    return [
        ("circle_heart: labels", in_color(circle[len(circle) // 2])),
        ("circle_heart: LGE", circle_lge(circle)[len(circle) // 2]),
        ("ring_heart with a sector", in_color(ring[len(ring) // 2])),
        ("analytic_heart: cylinder", in_color(np.asarray(body)[len(body) // 2])),
        ("odd_heart: labels", in_color(odd[4])),
        ("odd_heart: LGE", odd_heart.lge()[4]),
        ("other_things: head", _middle(other_things.draw("head", 0))),
        ("other_things: bottle", _middle(other_things.draw("bottle", 0))),
    ]


def _middle(stack: np.ndarray) -> np.ndarray:
    return stack[len(stack) // 2]


def main() -> None:
    """Draw them in two rows."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6.4), layout="constrained")
    for axis, (title, picture) in zip(figure.subplots(2, 4).flat, panels(), strict=True):
        axis.imshow(picture, cmap="gray", interpolation="nearest")
        axis.set_title(title, fontsize=10)
        axis.set_axis_off()
    figure.savefig(PICTURE, dpi=100)
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main()

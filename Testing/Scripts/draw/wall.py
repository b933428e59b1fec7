"""Draw how the wall gives way to a scar: a synthetic patient before a click, after it, and after.

    python Testing/Scripts/draw/wall.py                  into Resources/Screenshots/refiner_wall.png
    python Testing/Scripts/draw/wall.py --seed 950044 --out /tmp

In every slice a reader who knew the truth clicks where scar is missing deepest beyond the wall. Of
these clicks the one is drawn whose offered wall is right by the most pixels.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).parents[2]
sys.path[:0] = [str(HERE.parent / "MyoPSSegmenter"), str(Path(__file__).parent)]

import numpy as np  # noqa: E402 - the paths come first
from hero import BACKGROUND, DPI, INK, PANEL_INCHES, Story, mark, outline, show  # noqa: E402
from scipy import ndimage  # noqa: E402

import myops  # noqa: E402
from myops import labels as regions  # noqa: E402
from myops.report.lettering import plain_figure  # noqa: E402

SEED = 950_046
TITLE_INCHES = 0.5


def main() -> None:
    """Find the click and draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=SEED, help="of the synthetic patient")
    parser.add_argument(
        "--out", type=Path, default=HERE.parent / "Resources" / "Screenshots", help="folder"
    )
    options = parser.parse_args()
    story, states, mm = run(options.seed)
    path = options.out / "refiner_wall.png"
    path.write_bytes(picture(story, states, mm))
    print(f"slice {story.index + 1}, wall moved by {mm:.1f} mm: {path}")


def run(seed: int) -> tuple[Story, list[np.ndarray], float]:
    """The patient and the click; labels before it, after it and with the wall; how far it moves."""
    with tempfile.TemporaryDirectory() as name:
        folder = myops.write_phantom(name, seed)
        case = myops.load_case(folder)
        truth = myops.read_label_map(next(folder.glob("*_gd.nii.gz")), case).labels
    start = myops.segment(case, myops.load_models("cpu"))
    session = myops.Session(myops.Refiner.load("cpu"), case, start)
    best: tuple[int, Story, list[np.ndarray], float] | None = None
    for index in range(len(truth)):
        beyond = regions.scar(truth[index]) & ~regions.myocardium(start.labels[index])
        if not beyond.any():
            continue
        deepest = ndimage.distance_transform_edt(beyond).argmax()
        row, column = (int(place) for place in np.unravel_index(deepest, beyond.shape))
        session.click("scar", index, row, column)
        offer, clicked = session.wall_offer, session.labels
        session.undo()
        if offer is None:
            continue
        states = [start.labels, clicked, offer.labels]
        wrong = [
            np.count_nonzero(regions.scar(s[index]) != regions.scar(truth[index])) for s in states
        ]
        numbers = myops.measure(case, start)
        story = Story(
            case, truth, *states[:2], index, ((row, column, True),), numbers, numbers, 0.0
        )
        if best is None or wrong[0] - wrong[2] > best[0]:
            best = (wrong[0] - wrong[2], story, states, offer.mm)
    if best is None:
        raise SystemExit(f"expected a click that offers a wall in patient {seed}, found none")
    return best[1:]


def picture(story: Story, states: list[np.ndarray], mm: float) -> bytes:
    """Three panels, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    height = PANEL_INCHES + TITLE_INCHES
    figure = plain_figure(figsize=(3 * PANEL_INCHES, height), dpi=DPI, facecolor=BACKGROUND)
    FigureCanvasAgg(figure)
    titles = ("Automatic", "A click: up to 2 mm at once", f"Accepted: up to {mm:.0f} mm")
    for column, (title, labels) in enumerate(zip(titles, states, strict=True)):
        axes = figure.add_axes((column / 3 + 0.004, 0, 1 / 3 - 0.008, PANEL_INCHES / height))
        show(axes, story)
        outline(axes, story, labels)
        axes.set_title(title, color=INK, size=15, pad=8)
        if column:
            mark(axes, replace(story, corrected=labels))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


if __name__ == "__main__":
    main()

"""Draw README's picture: the LGE of a synthetic patient, its automatic contours, and three clicks.

    python Testing/Scripts/draw/hero.py                  into Resources/Screenshots/hero.png
    python Testing/Scripts/draw/hero.py --seed 950044 --out /tmp

Everything is from one run: contours, grams, clicks. The clicks go where a reader who knew the truth
would click: into the middle of the largest error of the slice that is most wrong. The patient is
chosen so that there is something to correct; Docs/results.md says how good the result is on many.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).parents[2]
sys.path[:0] = [str(HERE.parent / "MyoPSSegmenter"), str(Path(__file__).parent)]

import numpy as np  # noqa: E402 - the paths come first
from slicer_guide import largestError  # noqa: E402

import myops  # noqa: E402
from myops import labels as regions  # noqa: E402
from myops.quantify.mass import MYOCARDIAL_DENSITY_G_PER_ML  # noqa: E402
from myops.report.colors import COLORS  # noqa: E402
from myops.report.lettering import plain_figure  # noqa: E402
from myops.report.panels import heart_crop, window  # noqa: E402

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCREENSHOTS = HERE.parent / "Resources" / "Screenshots"
SEED = 950_038
CLICKS = 3
DPI = 100
PANEL_INCHES, TITLE_INCHES, CARD_INCHES, GAP = 4.2, 0.5, 1.15, 0.004
BACKGROUND, CARD, INK, FAINT = "#0c0f14", "#1b212b", "#f2f4f7", "#a8b0bd"
PLUS, MINUS, TRUTH = "#1fa34a", "#d62839", "#ffffff"
FWHM = "fwhm_half_of_maximum_volume"


@dataclass(frozen=True)
class Story:
    """What is drawn.

    Attributes:
        case: the patient.
        truth, start, corrected: labels (z, y, x).
        index: the slice.
        clicks: row, column, and whether scar was missing there.
        before, after: the numbers of `start` and `corrected`.
        truth_g: mass of the true scar.
    """

    case: myops.Case
    truth: np.ndarray
    start: np.ndarray
    corrected: np.ndarray
    index: int
    clicks: tuple[tuple[int, int, bool], ...]
    before: myops.Measurements
    after: myops.Measurements
    truth_g: float


def main() -> None:
    """Run the program on the patient and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=SEED, help="of the synthetic patient")
    parser.add_argument("--out", type=Path, default=SCREENSHOTS, help="folder for the picture")
    options = parser.parse_args()
    story = run(options.seed)
    path = options.out / "hero.png"
    path.write_bytes(picture(story))
    for title, numbers in (("automatic", story.before), ("after the clicks", story.after)):
        print(f"{title}: {'; '.join(grams(numbers))}")
    print(f"truth: {story.truth_g:.1f} g; {path}, {path.stat().st_size // 1000} kB")


def run(seed: int) -> Story:
    """Segment a synthetic patient and click three times."""
    with tempfile.TemporaryDirectory() as name:
        folder = myops.write_phantom(name, seed)
        case = myops.load_case(folder)
        truth = myops.read_label_map(next(folder.glob("*_gd.nii.gz")), case)
    start = myops.segment(case, myops.load_models("cpu"))
    session = myops.Session(myops.Refiner.load("cpu"), case, start)
    wrong = regions.scar(start.labels) != regions.scar(truth.labels)
    index = int(wrong.sum(axis=(1, 2)).argmax())
    clicks = []
    for _ in range(CLICKS):
        found = largestError(session.labels[index], truth.labels[index], least_depth=1.0)
        if found is None:
            break
        (row, column), positive = found
        session.click("scar", index, row, column, positive)
        clicks.append((row, column, positive))
    corrected = session.segmentation()
    return Story(
        case,
        truth.labels,
        start.labels,
        corrected.labels,
        index,
        tuple(clicks),
        myops.measure(case, start),
        myops.measure(case, corrected),
        myops.measure(case, truth).tissues["scar"].mass_g or 0.0,
    )


def grams(numbers: myops.Measurements) -> list[str]:
    """The card's lines: scar in g and as a share, and FWHM."""
    scar, fwhm = numbers.tissues["scar"], numbers.fwhm[FWHM].mass
    lines = [f"Scar {scar.mass_g:.1f} g, {scar.percent_of_lv_mass:.1f} % of LV"]
    return [*lines, f"FWHM {fwhm.mass_g:.1f} g" if fwhm.mass_g is not None else "FWHM not valid"]


def picture(story: Story) -> bytes:
    """Three panels with their titles, and a card below each, as PNG."""
    import io

    from matplotlib.backends.backend_agg import FigureCanvasAgg

    height = PANEL_INCHES + TITLE_INCHES + CARD_INCHES
    figure = plain_figure(figsize=(3 * PANEL_INCHES, height), dpi=DPI, facecolor=BACKGROUND)
    FigureCanvasAgg(figure)
    panels = []
    for column in range(3):
        left, wide = column / 3 + GAP, 1 / 3 - 2 * GAP
        panels.append(figure.add_axes((left, CARD_INCHES / height, wide, PANEL_INCHES / height)))
        card = figure.add_axes((left, 0.012, wide, CARD_INCHES / height - 0.024), facecolor=CARD)
        card.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1))
        for side in card.spines.values():
            side.set_visible(False)
        write_card(card, cards(story)[column])
    titles = (f"LGE, slice {story.index + 1}", "Automatic", f"After {len(story.clicks)} clicks")
    for axes, title in zip(panels, titles):
        show(axes, story)
        axes.set_title(title, color=INK, size=15, pad=8)
    for axes, labels in zip(panels[1:], (story.start, story.corrected)):
        outline(axes, story, labels)
    mark(panels[2], story)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def cards(story: Story) -> list[tuple[str, str, str]]:
    """A headline, a line and a faint line for each panel."""
    (scar, fwhm), (corrected, _) = grams(story.before), grams(story.after)
    true, before, after = (in_slice(story, n) for n in (story.truth, story.start, story.corrected))
    return [
        (f"True scar {story.truth_g:.1f} g", f"{true:.1f} g in this slice", "Synthetic patient"),
        (
            scar,
            f"{before:.1f} g in this slice; {fwhm}",
            "Orange: scar. Green: wall. Dots: true scar",
        ),
        (corrected, f"{after:.1f} g in this slice; {fwhm}", "Clicks in this slice alone"),
    ]


def in_slice(story: Story, labels: np.ndarray) -> float:
    """Mass of the scar in the slice that is shown, in g."""
    voxels = np.count_nonzero(regions.scar(labels[story.index]))
    return float(voxels * story.case.geometry.voxel_volume_ml * MYOCARDIAL_DENSITY_G_PER_ML)


def write_card(axes: Axes, lines: tuple[str, str, str]) -> None:
    """Three lines of text, the first one large."""
    for text, y, size, color in zip(
        lines, (0.74, 0.42, 0.15), (17, 13, 11), (INK, INK, FAINT), strict=True
    ):
        weight = "bold" if size == 17 else "normal"
        axes.text(0.04, y, text, color=color, size=size, weight=weight, va="center")


def show(axes: Axes, story: Story) -> None:
    """The LGE around the heart of the slice, in mm, row 0 on top."""
    rows, columns = around(story)
    x_mm, y_mm, _ = story.case.geometry.spacing_mm
    image = story.case.images["lge"][story.index, rows, columns]
    heart = story.truth[story.index, rows, columns] > 0
    extent = (
        (columns.start - 0.5) * x_mm,
        (columns.stop - 0.5) * x_mm,
        (rows.stop - 0.5) * y_mm,
        (rows.start - 0.5) * y_mm,
    )
    gray = window(image[None], heart)[0]
    axes.imshow(gray, cmap="gray", vmin=0, vmax=1, extent=extent, interpolation="bicubic")
    axes.set(xticks=[], yticks=[], facecolor=BACKGROUND)


def around(story: Story) -> tuple[slice, slice]:
    """Rows and columns of the picture."""
    x_mm, y_mm, _ = story.case.geometry.spacing_mm
    heart = regions.lv_region(story.truth[story.index]) | regions.lv_region(
        story.start[story.index]
    )
    return heart_crop(heart[None], (x_mm, y_mm))


def outline(axes: Axes, story: Story, labels: np.ndarray) -> None:
    """Wall, scar, and the true scar."""
    x_mm, y_mm, _ = story.case.geometry.spacing_mm
    plane = labels[story.index]
    x, y = np.arange(plane.shape[1]) * x_mm, np.arange(plane.shape[0]) * y_mm
    limits = axes.get_xlim(), axes.get_ylim()
    for mask, color, style, width in (
        (regions.myocardium(plane), COLORS["myocardium"], "solid", 1.4),
        (regions.scar(plane), COLORS["scar"], "solid", 2.4),
        (regions.scar(story.truth[story.index]), TRUTH, "dotted", 1.6),
    ):
        if mask.any():
            axes.contour(
                x, y, mask, levels=[0.5], colors=[color], linestyles=style, linewidths=width
            )
    # A contour widens the axes to the whole slice.
    axes.set(xlim=limits[0], ylim=limits[1])


def mark(axes: Axes, story: Story) -> None:
    """The clicks as + and − in a disc."""
    x_mm, y_mm, _ = story.case.geometry.spacing_mm
    for row, column, positive in story.clicks:
        place = (column * x_mm, row * y_mm)
        color, sign = (PLUS, "+") if positive else (MINUS, "_")
        axes.plot(*place, "o", color=color, markersize=14, markeredgecolor="white", zorder=5)
        axes.plot(*place, sign, color="white", markersize=8, markeredgewidth=2.2, zorder=6)


if __name__ == "__main__":
    main()

"""Draw the pictures of Docs/reference/quantification.md, from a synthetic patient only.

    python Testing/Scripts/draw/quantification.py [Resources/Screenshots]

The patient has an acute infarct with a dark core (MVO). The rules get the true myocardium.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from scipy.ndimage import binary_dilation, binary_erosion, distance_transform_edt

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "MyoPSSegmenter"))

from myops import labels as regions
from myops.case import Case, load_case_folder
from myops.evaluation.metrics import compare_masks
from myops.geometry.canonical import to_canonical
from myops.labels import MVO, MYOPS
from myops.phantom.files import write_patient
from myops.phantom.patient import PhantomConfig, generate_patient
from myops.quantify.papillary import papillary_muscles
from myops.quantify.regional.analysis import Regional, regional
from myops.quantify.regional.polar import clean_ventricle, lv_centers
from myops.quantify.regional.segments import SEGMENT_NAMES
from myops.quantify.regional.transmurality import Chords, find_chords
from myops.quantify.thresholds.base import ThresholdResult
from myops.quantify.thresholds.methods import (
    ConventionalSettings,
    conventional_methods,
    remote_region,
    rule_title,
)
from myops.report.bullseye import bullseye
from myops.report.canvas import INK, SOFT_INK, new_chart, png
from myops.report.colors import COLORS
from myops.report.slice_plot import slice_plot
from myops.study.statistics import bland_altman, concordance

SEED = 910_005
BOTH = frozenset({"scar", "edema"})
MARGIN_MM = 8.0
CORE, GREY_ZONE, FILLED = "#ff6a1f", "#f0e442", "#56b4e9"
# White lines and areas have a gray key on white paper.
MVO_KEY = "#c4cad3"


@dataclass(frozen=True)
class Shown:
    """The patient, the slice that is drawn, and the part of it around the heart."""

    case: Case
    labels: np.ndarray
    slice_index: int
    box: tuple[slice, slice]

    @property
    def spacing(self) -> tuple[float, float, float]:
        return self.case.geometry.spacing_mm

    def cut(self, stack: np.ndarray, index: int | None = None) -> np.ndarray:
        """The part of a stack (z, y, x) that is drawn."""
        return stack[self.slice_index if index is None else index][self.box]


def main() -> None:
    """Draw all pictures into the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("Resources/Screenshots"))
    folder = parser.parse_args().folder
    shown = patient()
    for name, draw in PICTURES.items():
        path = folder / f"quantification_{name}.png"
        path.write_bytes(draw(shown))
        print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


def patient() -> Shown:
    """Make the patient; the slice with the most MVO is drawn."""
    found = generate_patient(SEED, PhantomConfig(dropout=False, upright=True))
    with tempfile.TemporaryDirectory() as folder:
        write_patient(found, Path(folder))
        case = load_case_folder(folder)
    labels = found.labels.copy()
    labels[found.mvo & (labels == MYOPS["scar"])] = MVO
    labels = to_canonical(labels, case.original)
    index = int(np.argmax(regions.mvo(labels).sum(axis=(1, 2))))
    rows, columns = np.nonzero(regions.lv_region(labels).any(axis=0))
    margin = round(MARGIN_MM / case.geometry.spacing_mm[0])
    box = tuple(slice(int(p.min()) - margin, int(p.max()) + margin + 1) for p in (rows, columns))
    return Shown(case, labels, index, (box[0], box[1]))


def draw_tissues(shown: Shown) -> bytes:
    """LGE, label map, papillary voxels, and the slices as they are counted."""
    figure = new_chart(11.0, 3.7)
    axes = figure.subplots(1, 4)
    cut = shown.cut(shown.labels)
    gray(axes[0], shown, "LGE")
    gray(axes[1], shown, "Label map")
    tissues = {
        "normal myocardium": (regions.normal_myocardium(cut), COLORS["myocardium"]),
        "edema": (regions.edema(cut), COLORS["edema"]),
        "scar": (regions.scar(cut), COLORS["scar"]),
        "MVO, part of scar": (regions.mvo(cut), COLORS["mvo"]),
        "blood pool": (regions.blood_pool(cut), COLORS["blood_pool"]),
    }
    for mask, color in tissues.values():
        tint(axes[1], mask, color, 0.85)
    named = {name: color for name, (_, color) in tissues.items()}
    legend(axes[1], named | {"MVO, part of scar": MVO_KEY})
    bssfp = {"bssfp": shown.case.images["bssfp"]}
    gray(axes[2], shown, "Papillary muscles, on request (bSSFP)", "bssfp")
    tint(axes[2], shown.cut(papillary_muscles(bssfp, shown.labels)), FILLED, 0.6)
    legend(axes[2], {"blood pool as dark as muscle": FILLED})
    draw_stack(axes[3])
    return finished(figure)


def draw_stack(axes: Axes) -> None:
    """Slices with gaps from the side: each counts for the whole distance between centers."""
    axes.set_title("Volume: center to center", fontsize=8, color=INK)
    for number in range(4):
        top = 10 * number
        axes.add_patch(Rectangle((0, top), 30, 10, facecolor="#dbe3ee", edgecolor=SOFT_INK, ls=":"))
        axes.add_patch(Rectangle((0, top + 1), 30, 8, facecolor="#8fa6c4", edgecolor=INK))
        axes.plot([0, 30], [top + 5, top + 5], color=INK, linewidth=0.8)
    axes.annotate(
        "", (34, 5), (34, 15), arrowprops={"arrowstyle": "<->", "color": INK}, annotation_clip=False
    )
    axes.text(36, 10, "10 mm,\ncounted", fontsize=8, va="center", color=INK)
    axes.annotate("", (34, 21), (34, 29), arrowprops={"arrowstyle": "<->", "color": SOFT_INK})
    axes.text(36, 25, "8 mm thick,\nnot used", fontsize=8, va="center", color=SOFT_INK)
    axes.set(xlim=(-2, 58), ylim=(42, -2), aspect="equal")
    axes.set_axis_off()


def draw_methods(shown: Shown) -> bytes:
    """Every rule's mask (volume variant) on one slice, beside the truth."""
    lge = shown.case.images["lge"]
    results = conventional_methods(lge, shown.labels, shown.spacing)
    volume = [found for found in results.values() if found.scope == "volume"]
    figure = new_chart(11.0, 7.9)
    grid = figure.subplots(3, 5).ravel()
    gray(grid[0], shown, "LGE")
    gray(grid[1], shown, f"Truth\n{grams(shown, regions.scar(shown.labels)):.1f} g")
    tint(grid[1], shown.cut(regions.scar(shown.labels)), COLORS["scar"], 0.6)
    outline(grid[1], shown.cut(regions.mvo(shown.labels)), COLORS["mvo"])
    for axes, result in zip(grid[2:], volume, strict=True):
        draw_method(axes, shown, result)
    named = {
        "scar, or its core": CORE,
        "grey zone": GREY_ZONE,
        "filled dark core": FILLED,
        "wall": COLORS["myocardium"],
        "MVO in the truth": MVO_KEY,
    }
    handles = [Line2D([], [], color=color, linewidth=5) for color in named.values()]
    figure.legend(handles, list(named), loc="lower center", ncols=5, fontsize=8, frameon=False)
    figure.subplots_adjust(0.01, 0.05, 0.99, 0.95, 0.03, 0.16)
    return png(figure)


def draw_method(axes: Axes, shown: Shown, result: ThresholdResult) -> None:
    title = rule_title(result).removesuffix(" (volume)")
    if result.mask is None:
        gray(axes, shown, f"{title}\ninvalid")
        return
    gray(axes, shown, f"{title}\n{grams(shown, result.mask):.1f} g")
    core = result.mask if result.core is None else result.core
    tint(axes, shown.cut(core), CORE, 0.6)
    if result.grey_zone is not None:
        tint(axes, shown.cut(result.grey_zone), GREY_ZONE, 0.6)
    if result.filled is not None:
        tint(axes, shown.cut(result.filled), FILLED, 0.8)
    outline(axes, shown.cut(regions.myocardium(shown.labels)), COLORS["myocardium"])


def draw_remote(shown: Shown) -> bytes:
    """Remote region, filled dark core, and where image quality is measured."""
    lge = shown.case.images["lge"]
    remote = remote_region(lge, shown.labels, shown.spacing)
    settings = ConventionalSettings(methods=("fwhm_remote_referenced",))
    result = conventional_methods(lge, shown.labels, shown.spacing, settings)
    filled = result["fwhm_remote_referenced_volume"]
    figure = new_chart(11.0, 3.7)
    axes = figure.subplots(1, 3)
    gray(axes[0], shown, "Remote region: darkest 60° sector")
    wall = regions.myocardium(shown.labels)
    outline(axes[0], shown.cut(wall), COLORS["myocardium"])
    tint(axes[0], shown.cut(regions.scar_or_edema(shown.labels)), COLORS["scar"], 0.4)
    tint(axes[0], shown.cut(remote.mask), COLORS["remote"], 0.8)
    legend(axes[0], {"remote": COLORS["remote"], "scar, edema": COLORS["scar"]})
    gray(axes[1], shown, "Dark core filled in and given apart")
    tint(axes[1], shown.cut(filled.mask & ~filled.filled), CORE, 0.6)
    tint(axes[1], shown.cut(filled.filled), FILLED, 0.8)
    legend(axes[1], {"above the threshold": CORE, "filled in": FILLED})
    gray(axes[2], shown, "Image quality")
    blood = binary_erosion(shown.cut(regions.blood_pool(shown.labels)), np.ones((3, 3)))
    outline(axes[2], blood, COLORS["blood_pool"])
    outline(axes[2], endocardium_zone(shown), COLORS["edema"])
    legend(axes[2], {"noise: inner blood": COLORS["blood_pool"], "edge width": COLORS["edema"]})
    return finished(figure)


def endocardium_zone(shown: Shown) -> np.ndarray:
    """Within 5 mm of the endocardium, where healthy wall and blood meet."""
    cut = shown.cut(shown.labels)
    blood, wall = regions.blood_pool(cut), regions.normal_myocardium(cut)
    near_mm = 5.0 / shown.spacing[0]
    inside, outside = distance_transform_edt(blood), distance_transform_edt(~blood)
    healthy = binary_dilation(wall, iterations=round(near_mm))
    return healthy & ((blood & (inside <= near_mm)) | (wall & (outside <= near_mm)))


def draw_segments(shown: Shown) -> bytes:
    """A basal, a mid and an apical slice by segment, and the bull's-eye."""
    found = regions_of(shown)
    figure = new_chart(11.0, 3.4)
    axes = figure.subplots(1, 4, width_ratios=(1, 1, 1, 1.25))
    for axis, level in zip(axes, ("basal", "mid", "apical")):
        indices = [k for k, one in enumerate(found.slices) if one.level == level]
        draw_segment_slice(axis, shown, found, indices[len(indices) // 2], level)
    axes[3].imshow(imread(io.BytesIO(bullseye(found, "scar"))))
    axes[3].set_axis_off()
    return finished(figure)


def draw_segment_slice(axes: Axes, shown: Shown, found: Regional, index: int, level: str) -> None:
    gray(axes, shown, f"{level}, slice {index + 1}", index=index)
    numbers = shown.cut(found.segment_labels, index)
    for number in SEGMENT_NAMES:
        mask = numbers == number
        if not mask.any():
            continue
        tint(axes, mask, f"C{number % 6}", 0.55)
        row, column = (places.mean() for places in np.nonzero(mask))
        axes.text(
            column,
            row,
            str(number),
            fontsize=8,
            color="white",
            ha="center",
            va="center",
            weight="bold",
        )
    ventricle = clean_ventricle(shown.labels)
    row, column = lv_centers(ventricle, shown.spacing)[index]
    turn = np.radians(found.orientation.anterior_deg)
    reach = 0.48 * numbers.shape[0]
    column, row = column - shown.box[1].start, row - shown.box[0].start
    axes.plot(
        [column, column + reach * np.cos(turn)],
        [row, row - reach * np.sin(turn)],
        "w--",
        linewidth=1,
    )


def draw_transmurality(shown: Shown) -> bytes:
    """Chords colored by transmurality, infarcted endocardium, and the plot by slice."""
    found = regions_of(shown)
    ventricle = clean_ventricle(shown.labels)
    centers = lv_centers(ventricle, shown.spacing)
    chords = find_chords(ventricle, centers, shown.spacing)
    figure = new_chart(11.0, 3.7)
    axes = figure.subplots(1, 3, width_ratios=(1, 1, 1.6))
    gray(axes[0], shown, "96 chords, colored by scar's share")
    gray(axes[1], shown, "Endocardium under scar")
    outline(axes[0], shown.cut(regions.scar(shown.labels)), COLORS["scar"])
    tint(axes[1], shown.cut(regions.scar(shown.labels)), COLORS["scar"], 0.35)
    draw_chords(axes[0], axes[1], shown, chords, centers[shown.slice_index])
    axes[2].imshow(imread(io.BytesIO(slice_plot(found))))
    axes[2].set_axis_off()
    return finished(figure)


def draw_chords(
    depth: Axes, surface: Axes, shown: Shown, chords: Chords, center: np.ndarray
) -> None:
    """Each chord from endocardium to epicardium, and each piece of endocardium."""
    from matplotlib import colormaps

    z = shown.slice_index
    row, column = center[0] - shown.box[0].start, center[1] - shown.box[1].start
    wall = shown.cut(regions.myocardium(shown.labels))
    for ray in np.flatnonzero(chords.assessed[z]):
        turn = np.radians(chords.from_insertion_deg[ray])
        step = np.array([np.cos(turn), -np.sin(turn)])
        first = chords.endocardium_mm[z, ray] / shown.spacing[0]
        last = last_wall(wall, row, column, step, first)
        places = np.array([column, row])[:, None] + step[:, None] * [first, last]
        color = colormaps["viridis"](chords.transmurality_percent[z, ray] / 100)
        depth.plot(*places, color=color, linewidth=1.6)
        scarred = chords.scar_at_endocardium[z, ray]
        surface.plot(*places[:, 0], "o", color=CORE if scarred else "white", markersize=2.5)
    legend(depth, {"0 %": colormaps["viridis"](0.0), "100 %": colormaps["viridis"](1.0)})
    legend(surface, {"under scar": CORE, "endocardium": MVO_KEY})


def last_wall(wall: np.ndarray, row: float, column: float, step: np.ndarray, first: float) -> float:
    """Distance in pixels where a ray leaves the wall for good."""
    away = np.arange(first, max(wall.shape) / 2, 0.2)
    rows = np.clip(np.round(row + step[1] * away), 0, wall.shape[0] - 1).astype(int)
    columns = np.clip(np.round(column + step[0] * away), 0, wall.shape[1] - 1).astype(int)
    return float(away[np.flatnonzero(wall[rows, columns])[-1]])


def draw_comparison(shown: Shown) -> bytes:
    """Two masks of one slice: overlap, and their surface distances."""
    lge = shown.case.images["lge"]
    settings = ConventionalSettings(methods=("otsu",))
    result = conventional_methods(lge, shown.labels, shown.spacing, settings)["otsu_volume"]
    ours, truth = shown.cut(result.mask), shown.cut(regions.scar(shown.labels))
    found = compare_masks(ours[None], truth[None], shown.spacing)
    figure = new_chart(7.4, 3.7)
    axes = figure.subplots(1, 2)
    gray(axes[0], shown, f"Dice {found.dice:.2f}")
    parts = {
        "both": (ours & truth, COLORS["myocardium"]),
        "first only": (ours & ~truth, COLORS["scar"]),
        "second only": (truth & ~ours, FILLED),
    }
    for mask, color in parts.values():
        tint(axes[0], mask, color, 0.7)
    legend(axes[0], {name: color for name, (_, color) in parts.items()})
    gray(axes[1], shown, f"HD {found.hd_mm:.1f} mm, HD95 {found.hd95_mm:.1f} mm")
    surfaces = [mask & ~binary_erosion(mask) for mask in (ours, truth)]
    for surface, color in zip(surfaces, (COLORS["scar"], FILLED)):
        tint(axes[1], surface, color, 0.9)
    (ends, first) = farthest(*surfaces, shown.spacing)
    axes[1].plot([ends[1], first[1]], [ends[0], first[0]], color="white", linewidth=1.8)
    legend(axes[1], {"surface of the first": COLORS["scar"], "of the second": FILLED})
    return finished(figure)


def draw_agreement(shown: Shown) -> bytes:
    """Made-up readings of two readers: against each other, and Bland and Altman's way."""
    rng = np.random.default_rng(4)
    first = rng.uniform(5, 40, 20)
    second = 1.05 * first + 1.0 + rng.normal(0, 2.0, 20)
    ccc, difference = concordance(first, second), bland_altman(first, second)
    figure = new_chart(7.4, 3.6)
    plane, apart = figure.subplots(1, 2)
    plane.plot([0, 45], [0, 45], color=SOFT_INK, linewidth=1)
    plane.plot(first, second, "o", color=FILLED, markersize=4)
    plane.set_title(f"CCC {ccc.value:.2f} ({ccc.low:.2f} to {ccc.high:.2f})", fontsize=8)
    plane.set(xlabel="first reader, g", ylabel="second reader, g", xlim=(0, 45), ylim=(0, 45))
    apart.plot((first + second) / 2, first - second, "o", color=FILLED, markersize=4)
    for estimate in (difference.bias, difference.lower, difference.upper):
        style = "-" if estimate is difference.bias else "--"
        apart.axhline(estimate.value, color=SOFT_INK, linestyle=style, linewidth=1)
        apart.axhspan(estimate.low, estimate.high, color=FILLED, alpha=0.15)
    apart.set_title(
        f"bias {difference.bias.value:+.1f} g, limits {difference.lower.value:+.1f} "
        f"to {difference.upper.value:+.1f} g",
        fontsize=8,
    )
    apart.set(xlabel="mean of the two, g", ylabel="first - second, g")
    return finished(figure)


def farthest(
    first: np.ndarray, second: np.ndarray, spacing_mm: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """The place of the Hausdorff distance and its nearest neighbor on the other surface."""
    best, places = -1.0, (np.zeros(2), np.zeros(2))
    for one, other in ((first, second), (second, first)):
        away, nearest = distance_transform_edt(~other, spacing_mm[1::-1], return_indices=True)
        here = np.unravel_index(np.argmax(np.where(one, away, -1)), one.shape)
        if away[here] > best:
            best, places = float(away[here]), (np.array(here), nearest[:, here[0], here[1]])
    return places


def regions_of(shown: Shown) -> Regional:
    found = regional(shown.labels, shown.case.geometry, BOTH)
    if not found.segments:
        raise SystemExit(found.segments_reason)
    return found


def grams(shown: Shown, mask: np.ndarray) -> float:
    """Mass of a mask in the whole stack."""
    return float(mask.sum() * shown.case.geometry.voxel_volume_ml * 1.05)


def gray(
    axes: Axes, shown: Shown, title: str, sequence: str = "lge", index: int | None = None
) -> None:
    image = shown.cut(shown.case.images[sequence], index)
    low, high = np.percentile(image, (1, 99.5))
    axes.imshow(image, cmap="gray", vmin=low, vmax=high, aspect=shown.spacing[1] / shown.spacing[0])
    axes.set_title(title, fontsize=8, color=INK)
    axes.set_axis_off()


def tint(axes: Axes, mask: np.ndarray, color: str, strength: float) -> None:
    layer = np.zeros((*mask.shape, 4))
    layer[mask] = (*to_rgb(color), strength)
    axes.imshow(layer, interpolation="nearest")


def outline(axes: Axes, mask: np.ndarray, color: str) -> None:
    if mask.any():
        axes.contour(mask, levels=[0.5], colors=[color], linewidths=1.0)


def legend(axes: Axes, named: dict[str, object]) -> None:
    handles = [Line2D([], [], color=color, linewidth=5) for color in named.values()]
    axes.legend(
        handles,
        list(named),
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        fontsize=7,
        frameon=False,
        ncols=2,
    )


def finished(figure: Figure) -> bytes:
    figure.set_layout_engine("constrained")
    return png(figure)


PICTURES: dict[str, Callable[[Shown], bytes]] = {
    "tissues": draw_tissues,
    "methods": draw_methods,
    "remote": draw_remote,
    "segments": draw_segments,
    "transmurality": draw_transmurality,
    "comparison": draw_comparison,
    "agreement": draw_agreement,
}


if __name__ == "__main__":
    main()

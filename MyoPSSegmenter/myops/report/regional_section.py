"""The report's section on where the disease is: bull's-eyes, slices, surface and salvage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from myops.io.number_text import DASH, number
from myops.quantify.regional.transmurality import QUARTILES
from myops.report.bullseye import QUANTITIES, bullseye
from myops.report.document import Block, Picture, Pictures, Section, Table, Text
from myops.report.pixel_ruler import ruler_picture
from myops.report.slice_plot import slice_plot

if TYPE_CHECKING:
    from myops.case import Case
    from myops.quantify.measurements import Measurements
    from myops.quantify.regional.analysis import Regional, Segment
    from myops.quantify.t2_ratio import T2Ratio
    from myops.segmentation import Segmentation

OPTIONS = {
    "anterior_insertion": "--insertion SLICE,ROW,COLUMN",
    "inferior_insertion": "--inferior-insertion SLICE,ROW,COLUMN",
    "apex": "--apex first or --apex last",
}


def regional_section(
    case: Case, segmentation: Segmentation, measurements: Measurements
) -> Section | None:
    """Segments with their bull's-eyes, or what to click to get them."""
    regional = measurements.regional
    if regional is None or not measurements.tissues["lv_myocardium"].voxels:
        return None
    blocks = (
        _segments(regional, segmentation.assessed, measurements.t2_ratio)
        if regional.segments
        else _question(case, segmentation, regional)
    )
    plot = Picture(slice_plot(regional), "Scar, edema and transmurality by slice")
    blocks += [Pictures((plot,), "Slices from base to apex.", share=0.68), *_extent(regional)]
    return Section("Where it is", tuple(blocks))


def _segments(regional: Regional, assessed: frozenset[str], t2: T2Ratio | None) -> list[Block]:
    assert regional.orientation is not None
    pictures = tuple(
        Picture(bullseye(regional, name), one.title)
        for name, one in QUANTITIES.items()
        if one.needs in assessed
    )
    source = regional.orientation.source
    words = f"17 segments (AHA). Where they begin: {source}."
    blocks: list[Block] = [Text(words)]
    if pictures:
        blocks.insert(0, Pictures(pictures, share=len(pictures) / 3))
    return [*blocks, _segment_table(regional.segments, t2)]


def _segment_table(segments: tuple[Segment, ...], t2: T2Ratio | None) -> Table:
    headers = ["Segment", "Name", "Mass (g)", "Scar (%)", "Edema (%)", "Transmurality (%)", "Class"]
    rows = [_segment_row(one) for one in segments]
    if t2 is not None:
        headers.append("T2 to remote")
        rows = [(*row, number(t2.segments.get(one.number), 2)) for row, one in zip(rows, segments)]
    if any(one.note for one in segments):
        headers.append("Note")
        rows = [(*row, one.note) for row, one in zip(rows, segments)]
    left = {0, 1} | {k for k, name in enumerate(headers) if name in ("Class", "Note")}
    return Table(tuple(headers), tuple(rows), frozenset(left))


def _segment_row(segment: Segment) -> tuple[str, ...]:
    wall = segment.wall
    depth = None if wall.transmurality is None else wall.transmurality.mean_percent
    cells = (wall.mass_g, wall.scar_percent, wall.edema_percent, depth)
    digits = (1, 0, 0, 0)
    numbers = (number(value, count) for value, count in zip(cells, digits))
    quartile = None if wall.transmurality is None else wall.transmurality.quartile
    extent = DASH if quartile is None else QUARTILES[quartile]
    return (str(segment.number), segment.name, *numbers, extent)


def _question(case: Case, segmentation: Segmentation, regional: Regional) -> list[Block]:
    reason = regional.segments_reason or ""
    words = f"{reason[:1].upper()}{reason[1:]}."
    if regional.ask is None:
        return [Text(words)]
    how = f"On the command line: {OPTIONS[regional.ask]}."
    if regional.ask == "apex":
        return [Text(f"{words} {how}", "warning")]
    index, png = ruler_picture(case, segmentation.labels)
    how += (
        " The anterior insertion is where the right ventricle's anterior wall meets the left "
        "ventricle; read its row and column off the rulers."
    )
    caption = f"Slice {index + 1} with rulers in pixels."
    picture = Pictures((Picture(png, caption),), caption, share=0.5)
    return [Text(f"{words} {how}", "warning"), picture]


def _extent(regional: Regional) -> list[Block]:
    """Endocardial surface and salvage, the latter with its warning."""
    surface, spared = regional.surface, regional.salvage
    rows = [
        ("Infarct's endocardial surface", number(surface.infarct_cm2), "cm²", surface.reason or ""),
        ("Its share of the endocardium", number(surface.infarct_percent), "%", ""),
        ("Area at risk (scar + edema)", number(spared.area_at_risk_percent), "% of LV", ""),
        ("Salvage index", number(spared.index, 2), "0 to 1", spared.reason or ""),
    ]
    depth = regional.whole.transmurality
    if depth is not None:
        over = number(depth.over_half_percent)
        rows.insert(0, ("Wall with scar deeper than half of it", over, "% of chords", ""))
    table = Table(("Extent", "Value", "Unit", "Note"), tuple(rows), frozenset({0, 2, 3}))
    if spared.index is None:
        return [table]
    return [table, Text(f"Salvage index: {spared.warning}", "warning")]

"""Bull's-eye of the 17 segments as a chart node: base outside, apex in the middle, anterior on top.

A chart of Slicer has lines, bars and points, but no areas and no text at a place. So every segment
is a line that runs back and forth over its area, wider than the distance of its turns, and the
numbers in the segments are points along the strokes of their digits. The colors, their scale and
the places are those of the report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import slicer

from myops.io import number_text
from myops.quantify.regional.segments import SEGMENT_NAMES
from myops.report.bullseye import (
    NOT_ASSESSED_COLOR,
    QUANTITIES,
    Quantity,
    ink_on,
    segment_place,
    segment_value,
)
from myops.report.canvas import INK, PAPER, SOFT_INK
from MyoPSSegmenterLib.Scene.StrokeFont import strokePoints
from MyoPSSegmenterLib.Scene.TableNodes import (
    PLOT_ATTRIBUTE,
    SERIES_ATTRIBUTE,
    fillTable,
    findNode,
    nodeFor,
    tableNode,
)

if TYPE_CHECKING:
    from myops.quantify.regional.analysis import Regional

KIND = "bullseye"
# The picture's half width: the outer ring has the radius 1.
REACH = 1.15
# Turns of a segment's line; with LINE_WIDTH pixels they touch in views up to 1000 pixels high.
TURN = 0.01
LINE_WIDTH = 7
# The line stays this far inside the segment, so that its width does not cover the neighbors.
INSET = 0.014
ARC_DEG = 3.0
VALUE_HEIGHT, NUMBER_HEIGHT = 0.085, 0.05
# What titles and ticks take of either side of a view.
MARGIN_PIXELS = 52
TEXT_STEP = 0.004
TEXT_SIZE = 3
# Where unused points hide: under the outer border, which is drawn last.
HIDDEN = (0.0, 1.0)


def bullsEyePlot(
    scene: slicer.vtkMRMLScene, regional: Regional | None, quantity: Quantity = "scar"
) -> slicer.vtkMRMLPlotChartNode:
    """Show the segments' numbers in the bull's-eye chart, which is made when it is not there.

    Args:
        scene: holds the chart, its series and their tables.
        regional: numbers of the segments; None shows all as not assessed.
        quantity: "scar", "edema" or "transmurality", in percent.

    Returns:
        The chart. Its axes have equal ranges: a square view shows circles.
    """
    chart = nodeFor(scene, "vtkMRMLPlotChartNode", PLOT_ATTRIBUTE, KIND, "Bull's-eye")
    # Views redraw once, at the end.
    wasModified = chart.StartModify()
    if chart.GetNumberOfPlotSeriesNodes() != len(SEGMENT_NAMES) + 3:
        _buildChart(scene, chart)
    values: dict[int, float | None] = dict.fromkeys(SEGMENT_NAMES)
    if regional is not None:
        values |= {one.number: segment_value(one, quantity) for one in regional.segments}
    _color(chart, values, quantity)
    _write(scene, values, quantity)
    chart.SetTitle(_title(regional, quantity))
    chart.EndModify(wasModified)
    return chart


def findChart(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLPlotChartNode | None:
    """The chart, if the scene holds it."""
    return findNode(scene, "vtkMRMLPlotChartNode", PLOT_ATTRIBUTE, KIND)


def fitToView(chart: slicer.vtkMRMLPlotChartNode, widthPixels: int, heightPixels: int) -> None:
    """Widen the range of the longer side, so that circles are round in a view of this size."""
    width, height = (max(pixels - MARGIN_PIXELS, 1) for pixels in (widthPixels, heightPixels))
    shorter = min(width, height)
    horizontal, vertical = REACH * width / shorter, REACH * height / shorter
    wasModified = chart.StartModify()
    chart.SetXAxisRange(-horizontal, horizontal)
    chart.SetYAxisRange(-vertical, vertical)
    chart.EndModify(wasModified)


def segmentColor(value: float | None, quantity: Quantity) -> tuple[float, float, float]:
    """Red, green and blue, each 0..1, of a percentage on the report's scale."""
    if value is None:
        return _rgb(NOT_ASSESSED_COLOR)
    ramp = np.array([_rgb(color) for color in QUANTITIES[quantity].ramp])
    places = np.linspace(0.0, 100.0, len(ramp))
    red, green, blue = (float(np.interp(value, places, channel)) for channel in ramp.T)
    return red, green, blue


def segmentLine(number: int) -> np.ndarray:
    """The line that fills a segment: float (n, 2), x to the right and y up."""
    inner, outer, first, last = segment_place(number)
    inset = 0.0 if inner == 0 else INSET
    radii = np.linspace(inner + inset, outer - INSET, int((outer - inner) / TURN) + 1)
    arcs = []
    for turn, radius in enumerate(radii):
        # The same distance to the neighbors at every radius.
        margin = 0.0 if number == 17 else np.degrees(INSET / radius)
        count = max(int((last - first) / ARC_DEG), 2)
        angles = np.radians(np.linspace(first + margin, last - margin, count))
        angles = angles[::-1] if turn % 2 else angles
        arcs.append(radius * np.stack([np.cos(angles), np.sin(angles)], axis=1))
    # Back along the ends of the arcs, which would be ragged otherwise.
    starts = [arc[-1 if turn % 2 else 0] for turn, arc in enumerate(arcs)]
    stops = [arc[0 if turn % 2 else -1] for turn, arc in enumerate(arcs)]
    ends = (stops[::-1], starts) if len(arcs) % 2 else (starts[::-1], stops)
    return np.concatenate([*arcs, *ends])


def borderLine() -> np.ndarray:
    """All borders in one stroke that goes along the rays there and back: float (n, 2)."""
    basal, mid, apical, apex = 1.0, 0.75, 0.5, 0.25
    line = []
    for degrees in range(0, 360, 60):
        line += [_ray(degrees, basal, apical, basal), _arc(basal, degrees, degrees + 60)]
    line += [_ray(0, basal, mid), _arc(mid, 0, 360), _ray(0, mid, apical), _arc(apical, 0, 45)]
    line += [_ray(45, apical, apex), _arc(apex, 45, 405), _ray(45, apex, apical)]
    for degrees in (135, 225, 315):
        line += [_arc(apical, degrees - 90, degrees), _ray(degrees, apical, apex, apical)]
    line.append(_arc(apical, 315, 360))
    return np.concatenate(line)


def _arc(radius: float, first: float, last: float) -> np.ndarray:
    count = max(int(abs(last - first) / ARC_DEG), 1) + 1
    angles = np.radians(np.linspace(first, last, count))
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _ray(degrees: float, *radii: float) -> np.ndarray:
    angle = np.radians(degrees)
    return np.array(radii)[:, None] * (np.cos(angle), np.sin(angle))


def _buildChart(scene: slicer.vtkMRMLScene, chart: slicer.vtkMRMLPlotChartNode) -> None:
    """Everything that no number changes: lines, ranges and words."""
    chart.RemoveAllPlotSeriesNodeIDs()
    lines = {str(number): segmentLine(number) for number in SEGMENT_NAMES}
    lines["borders"] = borderLine()
    _writeLines(_shapes(scene), lines)
    _writeLines(_digits(scene), {"light": np.array([HIDDEN]), "dark": np.array([HIDDEN])})
    for name in (*(str(number) for number in SEGMENT_NAMES), "light", "dark", "borders"):
        series = _series(scene, name)
        table = _digits(scene) if name in ("light", "dark") else _shapes(scene)
        _style(series, name, table)
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetLegendVisibility(False)
    chart.SetGridVisibility(False)
    chart.SetXAxisRangeAuto(False)
    chart.SetYAxisRangeAuto(False)
    chart.SetXAxisRange(-REACH, REACH)
    chart.SetYAxisRange(-REACH, REACH)
    chart.SetTitleFontSize(13)
    chart.SetAxisTitleFontSize(13)
    # Ticks mean nothing here, and a chart cannot hide them.
    chart.SetAxisLabelFontSize(1)
    chart.SetXAxisTitle("Inferior")
    chart.SetYAxisTitle("Septal")


def _shapes(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLTableNode:
    return tableNode(scene, "bullseye shapes", "Bull's-eye shapes", hidden=True)


def _digits(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLTableNode:
    return tableNode(scene, "bullseye digits", "Bull's-eye digits", hidden=True)


def _series(scene: slicer.vtkMRMLScene, name: str) -> slicer.vtkMRMLPlotSeriesNode:
    series = nodeFor(
        scene, "vtkMRMLPlotSeriesNode", SERIES_ATTRIBUTE, f"{KIND} {name}", f"Bull's-eye {name}"
    )
    series.SetHideFromEditors(True)
    return series


def _style(series: slicer.vtkMRMLPlotSeriesNode, name: str, table: slicer.vtkMRMLTableNode) -> None:
    isText = name in ("light", "dark")
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetXColumnName(f"x {name}")
    series.SetYColumnName(f"y {name}")
    series.SetPlotType(series.PlotTypeScatter)
    series.SetMarkerStyle(series.MarkerStyleCircle if isText else series.MarkerStyleNone)
    series.SetMarkerSize(TEXT_SIZE)
    series.SetLineStyle(series.LineStyleNone if isText else series.LineStyleSolid)
    series.SetLineWidth(1 if name == "borders" or isText else LINE_WIDTH)
    ink = {"light": PAPER, "dark": INK, "borders": SOFT_INK}.get(name, NOT_ASSESSED_COLOR)
    series.SetColor(*_rgb(ink))


def _writeLines(node: slicer.vtkMRMLTableNode, lines: dict[str, np.ndarray]) -> None:
    """Lines as pairs of columns; shorter ones stay at their last point."""
    longest = max(len(line) for line in lines.values())
    columns: dict[str, np.ndarray] = {}
    for name, line in lines.items():
        padded = np.pad(line, ((0, longest - len(line)), (0, 0)), mode="edge")
        columns[f"x {name}"], columns[f"y {name}"] = padded.T
    fillTable(node, columns)


def _color(
    chart: slicer.vtkMRMLPlotChartNode, values: dict[int, float | None], quantity: Quantity
) -> None:
    """Color and name of every segment's line; views show the name beside the pointer."""
    for place, (number, value) in enumerate(values.items()):
        series = chart.GetNthPlotSeriesNode(place)
        series.SetColor(*segmentColor(value, quantity))
        words = "not assessed" if value is None else f"{value:.0f} %"
        series.SetName(f"{number} {SEGMENT_NAMES[number]}: {words}")


def _write(scene: slicer.vtkMRMLScene, values: dict[int, float | None], quantity: Quantity) -> None:
    """The segments' percentages above their numbers, in the ink that stands out."""
    inks: dict[str, list[np.ndarray]] = {name: [np.array([HIDDEN])] for name in ("light", "dark")}
    for number, value in values.items():
        x, y = _middle(number)
        ink = "light" if ink_on(quantity, value) == PAPER else "dark"
        text = number_text.number(value, 0)
        inks[ink].append(strokePoints(text, (x, y + 0.035), VALUE_HEIGHT, TEXT_STEP))
        inks[ink].append(strokePoints(str(number), (x, y - 0.065), NUMBER_HEIGHT, TEXT_STEP))
    _writeLines(_digits(scene), {name: np.concatenate(parts) for name, parts in inks.items()})


def _middle(number: int) -> tuple[float, float]:
    inner, outer, first, last = segment_place(number)
    angle, radius = np.radians((first + last) / 2), 0.0 if inner == 0 else (inner + outer) / 2
    return float(radius * np.cos(angle)), float(radius * np.sin(angle))


def _title(regional: Regional | None, quantity: Quantity) -> str:
    if regional is None:
        return "Bull's-eye: not measured yet"
    if not regional.segments:
        return "No segments: the table of segments says why"
    return f"{QUANTITIES[quantity].short} (top: anterior)"


def _rgb(color: str) -> tuple[float, float, float]:
    red, green, blue = (int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return red, green, blue

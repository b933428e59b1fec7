"""Scar, edema and conventional scar by slice, as a chart node over the slices' table."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

from myops.structures import ASSESSABLE, STRUCTURES
from MyoPSSegmenterLib.Scene.MeasurementTables import (
    SLICE_METHODS,
    SLICE_TISSUES,
    slicesTable,
    sliceUnit,
)
from MyoPSSegmenterLib.Scene.TableNodes import PLOT_ATTRIBUTE, SERIES_ATTRIBUTE, findNode, nodeFor

if TYPE_CHECKING:
    import slicer

    from myops.quantify.measurements import Measurements

KIND = "slices"
BARS = {name: STRUCTURES[name].on_paper for name in ASSESSABLE}
# Dark enough for the light ground of a chart; in the order of the methods, then from the first on.
LINE_COLORS = ("#8a2fb0", "#2f4ba8", "#a8572f", "#2f7d4b")
LINES = dict(zip(SLICE_METHODS, cycle(LINE_COLORS), strict=False))


def slicePlot(
    scene: slicer.vtkMRMLScene, measurements: Measurements
) -> slicer.vtkMRMLPlotChartNode:
    """Draw the slices' table: bars of scar and edema, a line for each FWHM rule.

    What has no column in the table (not assessed, or invalid) is not drawn. Call
    `MeasurementNodes.updateSlicesTable` before.

    Args:
        scene: holds the chart, its series and the table.
        measurements: as in the table.
    """
    chart = nodeFor(scene, "vtkMRMLPlotChartNode", PLOT_ATTRIBUTE, KIND, "Scar by slice")
    unit = sliceUnit(measurements)
    wasModified = chart.StartModify()
    shown = [
        _series(scene, name, f"{title} ({unit})", title)
        for name, title in {**SLICE_TISSUES, **SLICE_METHODS}.items()
        if name in BARS or name in LINES
    ]
    present = [series.GetID() for series in shown if series is not None]
    if [chart.GetNthPlotSeriesNodeID(i) for i in range(len(present))] != present or (
        chart.GetNumberOfPlotSeriesNodes() != len(present)
    ):
        chart.RemoveAllPlotSeriesNodeIDs()
        for identifier in present:
            chart.AddAndObservePlotSeriesNodeID(identifier)
    chart.SetTitle("Scar and edema by slice")
    chart.SetTitleFontSize(14)
    chart.SetAxisTitleFontSize(13)
    chart.SetLegendVisibility(True)
    chart.SetXAxisTitle(_sliceTitle(measurements))
    chart.SetYAxisTitle("Mass (g)" if unit == "g" else unit)
    chart.EndModify(wasModified)
    return chart


def emptySlicePlot(scene: slicer.vtkMRMLScene) -> None:
    """Draw nothing, if the scene holds the chart."""
    chart = findNode(scene, "vtkMRMLPlotChartNode", PLOT_ATTRIBUTE, KIND)
    if chart is not None:
        chart.RemoveAllPlotSeriesNodeIDs()


def _series(
    scene: slicer.vtkMRMLScene, name: str, column: str, title: str
) -> slicer.vtkMRMLPlotSeriesNode | None:
    """The series of a column; None when the table does not have it."""
    table = slicesTable(scene)
    if table.GetTable() is None or table.GetTable().GetColumnByName(column) is None:
        return None
    series = nodeFor(scene, "vtkMRMLPlotSeriesNode", SERIES_ATTRIBUTE, f"{KIND} {name}", title)
    series.SetHideFromEditors(True)
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetXColumnName("Slice")
    series.SetYColumnName(column)
    # A line needs two points, or the view complains.
    isBar = name in BARS or table.GetNumberOfRows() < 2
    series.SetPlotType(series.PlotTypeScatterBar if isBar else series.PlotTypeScatter)
    series.SetLineStyle(series.LineStyleSolid)
    series.SetLineWidth(2)
    series.SetMarkerStyle(series.MarkerStyleCircle)
    series.SetMarkerSize(8)
    color = BARS.get(name) or LINES[name]
    series.SetColor(*(int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)))
    return series


def _sliceTitle(measurements: Measurements) -> str:
    """Slices with the end at which they begin, where it is known."""
    regional = measurements.regional
    levels = [one.level for one in regional.slices if one.level] if regional is not None else []
    if not levels:
        return "Slice"
    return "Slice, base to apex" if levels[0] == "basal" else "Slice, apex to base"

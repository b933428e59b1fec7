"""Draw a plot chart node to an image, as the plot view of desktop Slicer does with the same nodes.

The desktop's view is a Qt widget that slicer-core does not have. It fills a `vtkChartXY` from the
nodes; the same is done here, from its documented behavior: scatter series are lines with markers,
bars are bars, ranges and words come from the chart node.
"""

from __future__ import annotations

import os

import numpy as np
import vtk
from vtk.util.numpy_support import vtk_to_numpy

GROUND = (255, 253, 246, 255)


def chart_picture(chart_node, width: int = 600, height: int = 600) -> np.ndarray:
    """The chart as uint8 (height, width, 3), first row on top."""
    window, renderer, actor = _window(), vtk.vtkRenderer(), vtk.vtkContextActor()
    window.SetOffScreenRendering(True)
    window.SetMultiSamples(0)
    window.SetSize(width, height)
    window.AddRenderer(renderer)
    renderer.SetBackground(1, 1, 1)
    renderer.AddActor(actor)
    actor.GetScene().SetRenderer(renderer)
    chart = vtk.vtkChartXY()
    actor.GetScene().AddItem(chart)
    ground = vtk.vtkColor4ub()
    ground.Set(*GROUND)
    chart.GetBackgroundBrush().SetColor(ground)
    for index in range(chart_node.GetNumberOfPlotSeriesNodes()):
        chart.AddPlot(_plot(chart_node.GetNthPlotSeriesNode(index)))
    _dress(chart, chart_node)
    window.Render()
    return _pixels(window)


def write_png(picture: np.ndarray, path) -> None:
    """Write a picture."""
    import SimpleITK as sitk

    sitk.WriteImage(sitk.GetImageFromArray(picture, isVector=True), str(path))


def _window():
    """EGL where there is no display: the usual window would warn about the missing one."""
    if "DISPLAY" not in os.environ and hasattr(vtk, "vtkEGLRenderWindow"):
        return vtk.vtkEGLRenderWindow()
    return vtk.vtkRenderWindow()


def _plot(series):
    scatter = series.GetPlotType() in (series.PlotTypeScatter, series.PlotTypeScatterBar)
    assert scatter, "only scatter series are drawn here"
    isBar = series.GetPlotType() == series.PlotTypeScatterBar
    plot = vtk.vtkPlotBar() if isBar else vtk.vtkPlotLine()
    plot.SetInputData(
        series.GetTableNode().GetTable(), series.GetXColumnName(), series.GetYColumnName()
    )
    plot.SetWidth(series.GetLineWidth())
    plot.SetColorF(*series.GetColor())
    plot.GetPen().SetOpacityF(series.GetOpacity())
    solid = series.GetLineStyle() == series.LineStyleSolid
    plot.GetPen().SetLineType(vtk.vtkPen.SOLID_LINE if solid else vtk.vtkPen.NO_PEN)
    if not isBar:
        plot.SetMarkerSize(series.GetMarkerSize())
        circle = series.GetMarkerStyle() == series.MarkerStyleCircle
        plot.SetMarkerStyle(vtk.vtkPlotPoints.CIRCLE if circle else vtk.vtkPlotPoints.NONE)
    plot.SetLabel(series.GetName())
    return plot


def _dress(chart, node) -> None:
    chart.SetTitle(node.GetTitle() or "")
    chart.GetTitleProperties().SetFontSize(node.GetTitleFontSize())
    chart.SetShowLegend(node.GetLegendVisibility())
    for place, title, auto, limits in (
        (vtk.vtkAxis.BOTTOM, node.GetXAxisTitle(), node.GetXAxisRangeAuto(), node.GetXAxisRange()),
        (vtk.vtkAxis.LEFT, node.GetYAxisTitle(), node.GetYAxisRangeAuto(), node.GetYAxisRange()),
    ):
        axis = chart.GetAxis(place)
        axis.SetTitle(title or "")
        axis.SetBehavior(vtk.vtkAxis.AUTO if auto else vtk.vtkAxis.FIXED)
        if not auto:
            axis.SetUnscaledRange(*limits)
        axis.SetGridVisible(bool(node.GetGridVisibility()))
        axis.GetTitleProperties().SetFontSize(node.GetAxisTitleFontSize())
        axis.GetLabelProperties().SetFontSize(node.GetAxisLabelFontSize())


def _pixels(window) -> np.ndarray:
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    grab.Update()
    image = grab.GetOutput()
    width, height, _ = image.GetDimensions()
    flat = vtk_to_numpy(image.GetPointData().GetScalars())
    return flat.reshape(height, width, -1)[::-1, :, :3].copy()

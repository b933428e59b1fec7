"""Tables and plots of the numbers, as nodes in a real scene."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import slicer
import vtk
from chart_picture import chart_picture
from infarct_patient import true_segmentation, write_infarct_patient
from table_columns import tableColumns

from myops.case import load_case_folder
from myops.quantify.mass import tissue_masses
from myops.quantify.measure import Measurements, measure
from myops.quantify.thresholds.methods import ConventionalSettings, rule_title
from myops.report.bullseye import segment_place, segment_value
from MyoPSSegmenterLib.Scene import MeasurementTables as nodes
from MyoPSSegmenterLib.Scene.BullsEye import (
    borderLine,
    bullsEyePlot,
    fitToView,
    segmentColor,
    segmentLine,
)
from MyoPSSegmenterLib.Scene.SlicePlot import emptySlicePlot, slicePlot
from MyoPSSegmenterLib.Scene.StrokeFont import strokePoints
from MyoPSSegmenterLib.Scene.TableNodes import emptyTable, fillTable, tableNode


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Measurements:
    folder = write_infarct_patient(tmp_path_factory.mktemp("infarct"))
    case = load_case_folder(folder)
    return measure(case, true_segmentation(case, folder), ConventionalSettings())


def modifications(node) -> list[int]:
    """Count the Modified events of a node in a list that grows."""
    seen: list[int] = []
    node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: seen.append(1))
    return seen


def test_a_table_is_filled_in_place_and_says_nothing_when_nothing_changes(scene):
    node = tableNode(scene, "test", "Test")
    assert fillTable(node, {"Name": ["a", "b"], "Value": [1.0, 2.0]})
    held, seen = node.GetTable(), modifications(node)
    assert not fillTable(node, {"Name": ["a", "b"], "Value": [1.0, 2.0]})
    assert not seen
    assert fillTable(node, {"Name": ["a", "c"], "Value": [1.0, 2.5]})
    assert len(seen) == 1
    assert node.GetTable() is held
    assert tableColumns(node) == {"Name": ["a", "c"], "Value": [1.0, 2.5]}


def test_a_table_of_other_rows_is_made_anew(scene):
    node = tableNode(scene, "test", "Test")
    fillTable(node, {"Name": ["a", "b"], "Value": [1.0, 2.0]})
    fillTable(node, {"Name": ["a"], "Value": [3.0]})
    assert tableColumns(node) == {"Name": ["a"], "Value": [3.0]}
    fillTable(node, {"Other": ["a"]})
    assert tableColumns(node) == {"Other": ["a"]}


def test_an_emptied_table_keeps_its_columns_for_the_plots_that_read_them(scene):
    node = tableNode(scene, "test", "Test")
    fillTable(node, {"Name": ["a"], "Value": [1.0]})
    emptyTable(node)
    assert tableColumns(node) == {"Name": [], "Value": []}
    assert isinstance(node.GetTable().GetColumnByName("Value"), vtk.vtkDoubleArray)


def test_a_renamed_table_is_found_again(scene):
    nodes.massTable(scene).SetName("My masses")
    assert nodes.massTable(scene).GetName() == "My masses"
    assert scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 1


def test_the_tables_that_a_scene_file_brings_back_are_filled_not_doubled(scene, tmp_path, measured):
    nodes.updateMassTable(scene, measured.tissues)
    nodes.updateMethodsTable(scene, measured)
    nodes.updateSegmentsTable(scene, measured)
    nodes.updateSlicesTable(scene, measured)
    slicePlot(scene, measured)
    bullsEyePlot(scene, measured.regional)
    before = tableColumns(nodes.massTable(scene))
    kinds = ("vtkMRMLTableNode", "vtkMRMLPlotSeriesNode", "vtkMRMLPlotChartNode")
    counts = [scene.GetNumberOfNodesByClass(kind) for kind in kinds]
    path = str(tmp_path / "scene.mrb")
    assert scene.WriteToMRB(path, None)
    scene.Clear(0)
    assert [scene.GetNumberOfNodesByClass(kind) for kind in kinds] == [0, 0, 0]
    assert scene.ReadFromMRB(path, True, None)
    assert tableColumns(nodes.massTable(scene)) == before
    nodes.updateMassTable(scene, measured.tissues)
    nodes.updateSlicesTable(scene, measured)
    slicePlot(scene, measured)
    chart = bullsEyePlot(scene, measured.regional)
    assert [scene.GetNumberOfNodesByClass(kind) for kind in kinds] == counts
    assert chart.GetNumberOfPlotSeriesNodes() == 20


def test_the_mass_table_shows_grams_and_percent_of_lv_mass(scene):
    # 100 voxels of 0.1 mL are 10 mL and 10.5 g; 20 of them scar, 5 of these MVO, 10 edema.
    labels = np.zeros((1, 10, 30), np.uint16)
    labels[0, :, :10] = 200
    labels[0, :2, :10] = 2221
    labels[0, 0, :5] = 2222
    labels[0, 2, :10] = 1220
    labels[0, :, 20:] = 500
    nodes.updateMassTable(scene, tissue_masses(labels, frozenset({"scar", "edema"}), 0.1))
    table = tableColumns(nodes.massTable(scene))
    rows = dict(zip(table["Tissue"], zip(*list(table.values())[1:])))
    assert rows["LV myocardium"] == ("10.5", "100.0", "10.0", "")
    assert rows["Scar"] == ("2.1", "20.0", "2.0", "")
    assert rows["Microvascular obstruction (in scar)"] == ("0.5", "5.0", "0.5", "")
    assert rows["Edema (outside scar)"] == ("1.1", "10.0", "1.0", "")
    assert rows["Scar + edema"] == ("3.2", "30.0", "3.0", "")
    assert rows["LV blood pool"] == ("–", "–", "10.0", "a cavity: volume only")


def test_what_was_not_assessed_is_a_dash_with_its_reason(scene):
    labels = np.full((1, 4, 4), 200, np.uint16)
    nodes.updateMassTable(scene, tissue_masses(labels, frozenset({"scar"}), 0.1))
    table = tableColumns(nodes.massTable(scene))
    row = table["Tissue"].index("Edema (outside scar)")
    assert table["Mass (g)"][row] == "–"
    assert "no T2 image" in table["Note"][row]


def test_the_methods_table_has_a_row_for_every_rule_in_their_order(scene, measured):
    nodes.updateMethodsTable(scene, measured)
    node = nodes.methodsTable(scene)
    assert node.GetNumberOfRows() == len(measured.methods) == 26
    table = tableColumns(node)
    for row, scar in enumerate(measured.methods.values()):
        assert table["Method"][row] == rule_title(scar.result)
        if scar.mass.mass_g is not None:
            assert table["Mass (g)"][row] == f"{scar.mass.mass_g:.1f}"
        if scar.dice_with_scar is not None:
            assert table["Dice with mask"][row] == f"{scar.dice_with_scar:.2f}"
    half = measured.methods["fwhm_half_of_maximum_volume"].result
    assert table["Peak"][0] == f"{half.peak:.4g}"
    assert table["Threshold"][0] == f"{half.peak / 2:.4g}"
    sd5 = list(measured.methods).index("sd5_volume")
    assert table["Remote, mean ± SD"][sd5] == (
        f"{measured.remote.mean:.4g} ± {measured.remote.sd:.4g}"
    )


def test_the_segments_table_has_the_17_segments_or_says_why_not(scene, measured):
    nodes.updateSegmentsTable(scene, measured)
    table = tableColumns(nodes.segmentsTable(scene))
    assert table["Segment"] == [str(number) for number in range(1, 18)]
    for text, segment in zip(table["Scar (%)"], measured.regional.segments):
        share = segment.wall.scar_percent
        assert text == ("–" if share is None else f"{share:.1f}")
    without = replace(measured.regional, segments=(), segments_reason="no RV; click the insertion")
    nodes.updateSegmentsTable(scene, replace(measured, regional=without))
    table = tableColumns(nodes.segmentsTable(scene))
    assert table["Segment"] == ["–"]
    assert table["Note"] == ["no RV; click the insertion"]


def test_the_slices_table_holds_numbers_that_add_up_to_the_masses(scene, measured):
    nodes.updateSlicesTable(scene, measured)
    table = tableColumns(nodes.slicesTable(scene))
    assert table["Slice"] == [float(one.number) for one in measured.slices]
    assert sum(table["Scar (g)"]) == pytest.approx(measured.tissues["scar"].mass_g)
    assert sum(table["Edema (g)"]) == pytest.approx(measured.tissues["edema"].mass_g)
    half = measured.methods["fwhm_half_of_maximum_volume"]
    assert sum(table["FWHM, half of maximum (g)"]) == pytest.approx(half.mass.mass_g)


def test_without_spacing_the_slices_are_in_percent_of_the_wall(scene, measured):
    nodes.updateSlicesTable(scene, replace(measured, spacing_known=False))
    table = tableColumns(nodes.slicesTable(scene))
    first = measured.slices[0].tissues["scar"].percent_of_lv_mass
    assert table["Scar (% of the wall)"][0] == pytest.approx(first or 0.0)
    chart = slicePlot(scene, replace(measured, spacing_known=False))
    assert chart.GetYAxisTitle() == "% of the wall"
    assert chart.GetNumberOfPlotSeriesNodes() == 4


def test_what_was_not_assessed_is_not_plotted_and_comes_back(scene, measured):
    def without_edema(one):
        absent = replace(one.tissues["edema"], voxels=None, mass_g=None)
        return replace(one, tissues={**one.tissues, "edema": absent})

    lge_alone = replace(measured, slices=tuple(without_edema(one) for one in measured.slices))
    titles = []
    for numbers in (measured, lge_alone, measured):
        nodes.updateSlicesTable(scene, numbers)
        chart = slicePlot(scene, numbers)
        count = chart.GetNumberOfPlotSeriesNodes()
        titles.append([chart.GetNthPlotSeriesNode(index).GetName() for index in range(count)])
    fwhm = ["FWHM, half of maximum", "FWHM, remote-referenced"]
    assert titles == [["Scar", "Edema", *fwhm], ["Scar", *fwhm], ["Scar", "Edema", *fwhm]]
    assert scene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode") == 1
    assert scene.GetNumberOfNodesByClass("vtkMRMLPlotSeriesNode") == 4


def test_the_slice_plot_shows_bars_in_the_colors_of_the_report(scene, measured):
    nodes.updateSlicesTable(scene, measured)
    chart = slicePlot(scene, measured)
    assert chart.GetXAxisTitle() in ("Slice, base to apex", "Slice, apex to base")
    picture = chart_picture(chart, 800, 450)
    for color in ((255, 106, 31), (224, 200, 28)):
        assert (np.abs(picture.astype(int) - color).max(axis=-1) <= 3).sum() > 500


def test_an_emptied_slice_plot_draws_nothing(scene, measured):
    nodes.updateSlicesTable(scene, measured)
    chart = slicePlot(scene, measured)
    emptySlicePlot(scene)
    nodes.emptyTables(scene)
    picture = chart_picture(chart, 400, 300)
    assert not (np.abs(picture.astype(int) - (255, 106, 31)).max(axis=-1) <= 3).any()


def test_a_single_slice_is_plotted_without_a_complaint(scene, measured):
    one = replace(measured, slices=measured.slices[:1])
    one = replace(one, regional=replace(measured.regional, slices=measured.regional.slices[:1]))
    nodes.updateSlicesTable(scene, one)
    picture = chart_picture(slicePlot(scene, one), 400, 300)
    assert (np.abs(picture.astype(int) - (255, 106, 31)).max(axis=-1) <= 3).sum() > 200


@pytest.mark.slow
@pytest.mark.parametrize("quantity", ["scar", "edema", "transmurality"])
def test_every_segment_of_the_bulls_eye_has_the_color_of_its_number(scene, measured, quantity):
    chart = bullsEyePlot(scene, measured.regional, quantity)
    assert isinstance(chart, slicer.vtkMRMLPlotChartNode)
    size = 800
    fitToView(chart, size, size)
    picture = chart_picture(chart, size, size)
    for segment in measured.regional.segments:
        expected = 255 * np.array(segmentColor(segment_value(segment, quantity), quantity))
        found = picture[place_in(picture, segment.number)].astype(float)
        assert np.abs(found - expected).max() <= 3, (segment.number, found, expected)


def place_in(picture: np.ndarray, number: int) -> tuple[int, int]:
    """Row and column of a place in a segment, beside its digits."""
    inner, outer, first, last = segment_place(number)
    angle = np.radians(first + 0.12 * (last - first))
    radius = 0.5 * (inner + outer) if inner else 0.8 * outer
    left, right, top, bottom = rim(picture)
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    row = (top + bottom) / 2 - y * (bottom - top) / 2
    return round(row), round((left + right) / 2 + x * (right - left) / 2)


def rim(picture: np.ndarray) -> tuple[int, int, int, int]:
    """First and last column and row of what is drawn inside the axes."""
    size = picture.shape[0]
    inside = picture[40 : size - 60, 60 : picture.shape[1] - 20].astype(int)
    drawn = np.abs(inside - (255, 253, 246)).max(axis=-1) > 10
    columns, rows = np.flatnonzero(drawn.any(axis=0)), np.flatnonzero(drawn.any(axis=1))
    return columns[0] + 60, columns[-1] + 60, rows[0] + 40, rows[-1] + 40


def test_the_bulls_eye_has_no_ticks_to_be_read(scene):
    chart = bullsEyePlot(scene, None, "scar")
    assert chart.GetAxisLabelFontSize() == 1  # a chart cannot hide them
    assert (chart.GetXAxisTitle(), chart.GetYAxisTitle()) == ("Inferior", "Septal")
    assert not chart.GetGridVisibility()


@pytest.mark.parametrize("size", [(500, 500), (900, 500), (450, 700)])
def test_the_bulls_eye_is_round_in_a_view_of_any_shape(scene, measured, size):
    chart = bullsEyePlot(scene, measured.regional)
    fitToView(chart, *size)
    left, right, top, bottom = rim(chart_picture(chart, *size))
    assert (right - left) / (bottom - top) == pytest.approx(1.0, abs=0.03)


def test_the_bulls_eye_is_colored_anew_without_new_nodes(scene, measured):
    chart = bullsEyePlot(scene, measured.regional)
    count, seen = scene.GetNumberOfNodes(), modifications(chart)
    worst = max(measured.regional.segments, key=lambda one: one.wall.scar_percent or 0)
    name = chart.GetNthPlotSeriesNode(worst.number - 1).GetName()
    assert name == f"{worst.number} {worst.name}: {worst.wall.scar_percent:.0f} %"
    bullsEyePlot(scene, None)
    assert scene.GetNumberOfNodes() == count
    assert len(seen) == 1
    assert chart.GetNthPlotSeriesNode(worst.number - 1).GetName().endswith("not assessed")
    assert chart.GetTitle() == "Bull's-eye: not measured yet"


def test_without_segments_the_bulls_eye_points_to_the_reason(scene, measured):
    without = replace(measured.regional, segments=(), segments_reason="no RV")
    chart = bullsEyePlot(scene, without)
    assert chart.GetTitle() == "No segments: the table of segments says why"


@pytest.mark.parametrize("number", range(1, 18))
def test_the_line_of_a_segment_stays_inside_it(number):
    inner, outer, first, last = segment_place(number)
    x, y = segmentLine(number).T
    radius, angle = np.hypot(x, y), np.degrees(np.arctan2(y, x)) % 360
    assert radius.min() >= inner
    assert radius.max() <= outer
    if number != 17:
        assert ((angle - first) % 360).max() < last - first
    # Turns are so near to each other that a line of the chart's width leaves nothing open.
    inside = np.linspace(inner + 0.02, outer - 0.02, 40)[:, None]
    middle = np.radians((first + last) / 2)
    points = inside * (np.cos(middle), np.sin(middle))
    nearest = np.hypot(*(points[:, None] - np.stack([x, y], 1)[None]).T).min(axis=0)
    assert nearest.max() < 0.05


def test_the_borders_are_those_of_the_segments():
    x, y = borderLine().T
    radius, angle = np.hypot(x, y), np.degrees(np.arctan2(y, x)) % 360
    on_ring = np.isclose(radius[:, None], (0.25, 0.5, 0.75, 1.0)).any(axis=1)
    assert on_ring.all()
    # Steps from ring to ring are rays, there and back, between segments of the rings they cross.
    across = np.abs(np.diff(radius)) > 0.1
    for place in np.flatnonzero(across):
        inner = min(radius[place], radius[place + 1])
        rays = (45, 135, 225, 315) if inner < 0.4 else range(0, 360, 60)
        assert np.isclose(np.round(angle[place], 6) % 360, rays).any()


def test_digits_stay_in_their_cell():
    points = strokePoints("107", (2.0, 3.0), 0.5, 0.01)
    assert points[:, 1].min() == pytest.approx(2.75)
    assert points[:, 1].max() == pytest.approx(3.25)
    assert abs(points[:, 0] - 2.0).max() <= 0.5 * (3 * 0.6 + 2 * 0.25) / 2 + 1e-9
    with pytest.raises(KeyError):
        strokePoints("a", (0, 0), 1, 0.1)

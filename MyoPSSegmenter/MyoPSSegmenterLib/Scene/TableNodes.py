"""Find-or-make nodes of the measurements, and fill their tables in place.

A node is known by an attribute, not by its name: the user may rename it, and a scene that was saved
and opened again brings its nodes back to be filled, not to be doubled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

TABLE_ATTRIBUTE = "MyoPS.table"
PLOT_ATTRIBUTE = "MyoPS.plot"
SERIES_ATTRIBUTE = "MyoPS.series"
# Columns of text, or of numbers for plots.
Values = Sequence[str] | Sequence[float] | np.ndarray
Columns = Mapping[str, Values]


def findNode(
    scene: slicer.vtkMRMLScene, className: str, attribute: str, value: str
) -> slicer.vtkMRMLNode | None:
    """The node of a class that carries an attribute's value, or None."""
    for index in range(scene.GetNumberOfNodesByClass(className)):
        node = scene.GetNthNodeByClass(index, className)
        if node.GetAttribute(attribute) == value:
            return node
    return None


def nodeFor(
    scene: slicer.vtkMRMLScene, className: str, attribute: str, value: str, name: str
) -> slicer.vtkMRMLNode:
    """The same, made when it is not there."""
    node = findNode(scene, className, attribute, value)
    if node is None:
        node = scene.AddNewNodeByClass(className, name)
        node.SetAttribute(attribute, value)
    return node


def tableNode(
    scene: slicer.vtkMRMLScene, kind: str, name: str, hidden: bool = False
) -> slicer.vtkMRMLTableNode:
    """The table of a kind, such as "mass"; read-only in the user's views.

    Args:
        scene: to look in and add to.
        kind: value of the attribute `MyoPS.table`.
        name: shown to the user when the node is made.
        hidden: not offered in node selectors: a table that only feeds a plot.
    """
    node = findNode(scene, "vtkMRMLTableNode", TABLE_ATTRIBUTE, kind)
    if node is None:
        node = nodeFor(scene, "vtkMRMLTableNode", TABLE_ATTRIBUTE, kind, name)
        node.SetUseColumnTitleAsColumnHeader(True)
        node.SetLocked(True)
        node.SetHideFromEditors(hidden)
    return node


def fillTable(node: slicer.vtkMRMLTableNode, columns: Columns) -> bool:
    """Put columns into a table; views see one change, and none when nothing differs.

    A table of the same columns is written in place, so that a view keeps its scroll position and
    selection.

    Args:
        node: the table.
        columns: name to texts or to numbers, all of one length. A column of texts stays texts also
            when it is empty.

    Returns:
        Whether anything changed.
    """
    table = node.GetTable()
    if _sameStructure(table, columns):
        changed = [_writeValues(table.GetColumnByName(n), v) for n, v in columns.items()]
        if any(changed):
            table.Modified()  # the node passes it on
        return any(changed)
    fresh = vtk.vtkTable()
    for name, values in columns.items():
        array = vtk.vtkStringArray() if _isText(values) else vtk.vtkDoubleArray()
        array.SetName(name)
        _writeValues(array, values)
        fresh.AddColumn(array)
    node.SetAndObserveTable(fresh)
    return True


def emptyTable(node: slicer.vtkMRMLTableNode) -> None:
    """Take all rows out; the columns keep their names and kinds, for plots hold on to them."""
    table = node.GetTable()
    if table is None or not table.GetNumberOfRows():
        return
    for place in range(table.GetNumberOfColumns()):
        table.GetColumn(place).SetNumberOfValues(0)
        table.GetColumn(place).Modified()
    table.Modified()


def _isText(values: Values) -> bool:
    return len(values) == 0 or isinstance(values[0], str)


def _sameStructure(table: vtk.vtkTable | None, columns: Columns) -> bool:
    if table is None or table.GetNumberOfColumns() != len(columns):
        return False
    for place, (name, values) in enumerate(columns.items()):
        array = table.GetColumn(place)
        if array.GetName() != name or array.GetNumberOfValues() != len(values):
            return False
        if isinstance(array, vtk.vtkStringArray) != _isText(values):
            return False
    return True


def _writeValues(array: vtk.vtkAbstractArray, values: Values) -> bool:
    """Write values where they differ; whether any did."""
    resized = array.GetNumberOfValues() != len(values)
    if resized:
        array.SetNumberOfValues(len(values))
    write: Callable[..., bool] = _writeTexts if _isText(values) else _writeNumbers
    changed = write(array, values)
    if changed:
        array.Modified()
    return changed or resized


def _writeTexts(array: vtk.vtkStringArray, values: Sequence[str]) -> bool:
    changed = [place for place, text in enumerate(values) if array.GetValue(place) != text]
    for place in changed:
        array.SetValue(place, values[place])
    return bool(changed)


def _writeNumbers(array: vtk.vtkDoubleArray, values: Sequence[float]) -> bool:
    held = vtk_to_numpy(array)
    if np.array_equal(held, values):
        return False
    held[:] = values
    return True

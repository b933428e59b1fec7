"""Reading a table node back, for tests."""

from __future__ import annotations

import slicer


def tableColumns(node: slicer.vtkMRMLTableNode) -> dict[str, list[str] | list[float]]:
    """The values of a table, column by column."""
    table = node.GetTable()
    columns: dict[str, list[str] | list[float]] = {}
    for place in range(table.GetNumberOfColumns()):
        array = table.GetColumn(place)
        columns[array.GetName()] = [array.GetValue(i) for i in range(array.GetNumberOfValues())]
    return columns

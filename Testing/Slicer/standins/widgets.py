"""CTK and qMRML widgets as far as the panel uses them; properties and signals as documented."""

from __future__ import annotations

from itertools import count
from typing import Any

import vtk
from chart_picture import chart_picture
from PySide6.QtCore import Property, QAbstractTableModel, QRect, Qt, Signal
from PySide6.QtGui import QColor, QImage, QPainter, QPalette
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QGroupBox,
    QHBoxLayout,
    QLineEdit,
    QSlider,
    QTableView,
    QToolButton,
    QWidget,
)

from .pythonqt import pythonic

MODIFIED = vtk.vtkCommand.ModifiedEvent
RGB = QImage.Format.Format_RGB888
# Nodes that stand-ins observe, with the tags: not those of the code under test.
OBSERVED: dict[int, tuple[Any, int]] = {}
NUMBERS = count()


def observe(node: Any, event: int, function: Any) -> int:
    tag = node.AddObserver(event, function)
    OBSERVED[next(NUMBERS)] = (node, tag)
    return tag


def unobserve(node: Any, tag: int) -> None:
    node.RemoveObserver(tag)
    for key in [k for k, entry in OBSERVED.items() if entry[0] is node and entry[1] == tag]:
        del OBSERVED[key]


def forgetObservers() -> None:
    """Take back every observer of a stand-in, so that only those of the code under test count."""
    for node, tag in OBSERVED.values():
        node.RemoveObserver(tag)
    OBSERVED.clear()


class ctkCollapsibleButton(pythonic(QWidget)):  # noqa: N801
    """A titled section that opens and closes."""

    HEADER = 30
    contentsCollapsed = Signal(bool)
    toggled = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text, self._collapsed = "", False
        self.setContentsMargins(0, self.HEADER, 0, 0)

    def _getText(self) -> str:
        return self._text

    def setText(self, text: str) -> None:
        self._text = text
        self.update()

    def _getCollapsed(self) -> bool:
        return self._collapsed

    def setCollapsed(self, collapsed: bool) -> None:
        changed, self._collapsed = collapsed != self._collapsed, collapsed
        self.setMaximumHeight(self.HEADER if collapsed else 16777215)
        if changed:
            self.contentsCollapsed.emit(collapsed)
        self.update()

    text = Property(str, _getText, setText)
    collapsed = Property(bool, _getCollapsed, setCollapsed)

    def mousePressEvent(self, event: Any) -> None:
        if event.position().y() <= self.HEADER:
            self.setCollapsed(not self._collapsed)

    def paintEvent(self, event: Any) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        palette = self.palette
        bar = QRect(0, 0, self.rect.width(), self.HEADER - 2)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(palette.color(QPalette.ColorRole.Button).darker(104))
        painter.drawRoundedRect(bar, 4, 4)
        enabled = QPalette.ColorGroup.Active if self.isEnabled() else QPalette.ColorGroup.Disabled
        painter.setPen(palette.color(enabled, QPalette.ColorRole.ButtonText))
        font = painter.font()
        font.setBold(True)
        painter.setFont(font)
        arrow = "▸" if self._collapsed else "▾"
        painter.drawText(
            bar.adjusted(8, 0, -8, 0), int(Qt.AlignmentFlag.AlignVCenter), f"{arrow}  {self._text}"
        )
        painter.end()


class ctkCollapsibleGroupBox(pythonic(QGroupBox)):  # noqa: N801
    """A group box that closes to its title."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._collapsed = False
        self.setCheckable(True)
        self.toggled.connect(lambda shown: self.setCollapsed(not shown))

    def _getCollapsed(self) -> bool:
        return self._collapsed

    def setCollapsed(self, collapsed: bool) -> None:
        self._collapsed = collapsed
        self.setChecked(not collapsed)
        self.setMaximumHeight(24 if collapsed else 16777215)
        for child in self.children():
            if isinstance(child, QWidget):
                child.setVisible(not collapsed)

    collapsed = Property(bool, _getCollapsed, setCollapsed)


def _ofBox(name: str, kind: type) -> Property:
    """A property of a slider's number box, as one of the slider."""

    def get(self: Any) -> Any:
        return getattr(self._box, name)()

    def put(self: Any, value: Any) -> None:
        getattr(self._box, f"set{name[0].upper()}{name[1:]}")(value)

    return Property(kind, get, put)


class ctkSliderWidget(pythonic(QWidget)):  # noqa: N801
    """A slider with a box for its number."""

    valueChanged = Signal(float)
    SIGNALS = ("valueChanged(double)",)
    STEPS = 1000

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._slider, self._box = QSlider(Qt.Orientation.Horizontal), QDoubleSpinBox()
        self._slider.setRange(0, self.STEPS)
        self._box.setRange(0, 99)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._slider, 1)
        row.addWidget(self._box)
        self._tracking = True
        self._box.valueChanged.connect(self._boxChanged)
        self._slider.sliderMoved.connect(self._moved)
        self._slider.sliderReleased.connect(self._released)

    def _boxChanged(self, value: float) -> None:
        low, high = self._box.minimum(), self._box.maximum()
        self._slider.setValue(round(self.STEPS * (value - low) / ((high - low) or 1)))
        self.valueChanged.emit(value)

    def _moved(self, position: int) -> None:
        if self._tracking:
            self._setFromSlider(position)

    def _released(self) -> None:
        self._setFromSlider(self._slider.value())

    def _setFromSlider(self, position: int) -> None:
        low, high = self._box.minimum(), self._box.maximum()
        self._box.setValue(low + (high - low) * position / self.STEPS)

    value = _ofBox("value", float)
    minimum = _ofBox("minimum", float)
    maximum = _ofBox("maximum", float)
    singleStep = _ofBox("singleStep", float)
    decimals = _ofBox("decimals", int)

    def setValue(self, value: float) -> None:
        self._box.setValue(value)

    def _getTracking(self) -> bool:
        return self._tracking

    def _setTracking(self, tracking: bool) -> None:
        self._tracking = tracking

    tracking = Property(bool, _getTracking, _setTracking)


class ctkPathLineEdit(pythonic(QWidget)):  # noqa: N801
    """A line for a path, with a button to browse."""

    Files, Dirs, Readable, Writable, NoDot, NoDotDot = 2, 1, 0x10, 0x20, 0x2000, 0x4000
    currentPathChanged = Signal(str)
    SIGNALS = ("currentPathChanged(QString)",)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._line, self._browse = QLineEdit(), QToolButton()
        self._browse.setText("…")
        self._line.setPlaceholderText("choose a folder")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._line, 1)
        row.addWidget(self._browse)
        self._line.textChanged.connect(self.currentPathChanged)
        self.filters = 0
        self.history: list[str] = []

    def _getPath(self) -> str:
        return self._line.text()

    def setCurrentPath(self, path: str) -> None:
        self._line.setText(path)

    currentPath = Property(str, _getPath, setCurrentPath)

    def addCurrentPathToHistory(self) -> None:
        self.history.append(self.currentPath)


class qMRMLNodeComboBox(pythonic(QWidget)):  # noqa: N801
    """Chooses a node of the scene."""

    currentNodeChanged = Signal(object)
    SIGNALS = ("currentNodeChanged(vtkMRMLNode*)",)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._tags: list[int] = []
        self._nodes: list[Any] = []
        self._box = QComboBox()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._box)
        self._types: list[str] = []
        self.noneEnabled, self.noneDisplay = True, "None"
        self._box.currentIndexChanged.connect(
            lambda _: self.currentNodeChanged.emit(self.currentNode())
        )

    def _getTypes(self) -> list[str]:
        return self._types

    def _setTypes(self, types: list[str]) -> None:
        self._types = list(types)
        self._fill()

    nodeTypes = Property("QStringList", _getTypes, _setTypes)

    def setMRMLScene(self, scene: Any) -> None:
        for tag in self._tags:
            unobserve(self._scene, tag)
        self._scene, self._tags = scene, []
        if scene is not None:
            events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent)
            self._tags = [observe(scene, event, lambda *_: self._fill()) for event in events]
        self._fill()

    def mrmlScene(self) -> Any:
        return self._scene

    def currentNode(self) -> Any:
        index = self._box.currentIndex() - 1
        return self._nodes[index] if 0 <= index < len(self._nodes) else None

    def setCurrentNode(self, node: Any) -> None:
        self._fill()
        self._box.setCurrentIndex(self._nodes.index(node) + 1 if node in self._nodes else 0)

    def _fill(self) -> None:
        was = self.currentNode()
        self._nodes = []
        if self._scene is not None:
            for kind in self._types:
                for index in range(self._scene.GetNumberOfNodesByClass(kind)):
                    self._nodes.append(self._scene.GetNthNodeByClass(index, kind))
        self._box.blockSignals(True)
        self._box.clear()
        none = self.property("noneDisplay") or "None"
        self._box.addItems([none, *(node.GetName() for node in self._nodes)])
        self._box.setCurrentIndex(self._nodes.index(was) + 1 if was in self._nodes else 0)
        self._box.blockSignals(False)
        if was is not None and was not in self._nodes:
            self.currentNodeChanged.emit(None)


class _TableModel(QAbstractTableModel):
    def __init__(self, table: Any, parent: Any) -> None:
        super().__init__(parent)
        self._table = table

    def rowCount(self, parent: Any = None) -> int:
        return self._table.GetNumberOfRows()

    def columnCount(self, parent: Any = None) -> int:
        return self._table.GetNumberOfColumns()

    def data(self, index: Any, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.DisplayRole:
            return self._table.GetValue(index.row(), index.column()).ToString()
        return None

    def headerData(self, section: int, orientation: Any, role: int = 0) -> Any:
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return self._table.GetColumnName(section)
        return None


class qMRMLTableView(pythonic(QTableView)):  # noqa: N801
    """Shows a table node: numbers its rows, and fits its columns once, when it gets the table."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._node: Any = None
        self._tag = 0

    def setMRMLScene(self, scene: Any) -> None:
        pass

    def mrmlTableNode(self) -> Any:
        return self._node

    def setMRMLTableNode(self, node: Any) -> None:
        if self._node is not None:
            unobserve(self._node, self._tag)
        self._node = node
        if node is not None:
            self._tag = observe(node, MODIFIED, self._fill)
        self._fill()
        self.resizeColumnsToContents()

    def _fill(self, *_: Any) -> None:
        table = None if self._node is None else self._node.GetTable()
        header = self.horizontalHeader()
        widths = [header.sectionSize(column) for column in range(header.count())]
        self.setModel(None if table is None else _TableModel(table, self))
        for column, width in enumerate(widths[: header.count()]):
            header.resizeSection(column, width)


class qMRMLPlotView(pythonic(QWidget)):  # noqa: N801
    """Shows the chart of a plot view node: drawn by VTK, as the real one is."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._node: Any = None

    def setMRMLScene(self, scene: Any) -> None:
        pass

    def mrmlPlotViewNode(self) -> Any:
        return self._node

    def setMRMLPlotViewNode(self, node: Any) -> None:
        self._node = node
        self.update()

    def paintEvent(self, event: Any) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect, QColor("white"))
        chart = None
        if self._node is not None and self._node.GetScene() is not None:
            chart = self._node.GetPlotChartNode()
        if chart is not None:
            size = self.rect.size()
            pixels = chart_picture(chart, size.width(), size.height())
            image = QImage(pixels.tobytes(), size.width(), size.height(), 3 * size.width(), RGB)
            painter.drawImage(0, 0, image)
        painter.end()


class qMRMLWidget(pythonic(QWidget)):  # noqa: N801
    """A widget that knows a scene; Slicer's base makes one where a module has no parent."""

    def setMRMLScene(self, scene: Any) -> None:
        pass


def _unused(name: str) -> type:
    """A widget that the panel does not have: Slicer's own files only ask whether one is it."""
    return type(name, (QWidget,), {})


qMRMLSliderWidget, qMRMLSpinBox, qMRMLRangeWidget = map(
    _unused, ("qMRMLSliderWidget", "qMRMLSpinBox", "qMRMLRangeWidget")
)
UNUSED_CTK = {
    name: _unused(name)
    for name in (
        "ctkCheckBox",
        "ctkCheckablePushButton",
        "ctkColorPickerButton",
        "ctkComboBox",
        "ctkDirectoryButton",
        "ctkDoubleRangeSlider",
        "ctkDoubleSlider",
        "ctkDoubleSpinBox",
        "ctkRangeWidget",
    )
}

"""`slicer.parameterNodeWrapper` as far as the panel uses it: typed values tied to widgets.

Values of the types bool, int, float and str are texts in the node; nodes are references. A widget
with the dynamic property SlicerParameterName shows its parameter and changes it.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from types import ModuleType
from typing import Any

import vtk
from PySide6 import QtWidgets

from . import widgets

PLAIN = (bool, int, float, str)


class WithinRange:
    """Validator: a number between two limits; a slider takes its limits from it."""

    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum

    def __call__(self, value: float) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is not within {self.minimum} and {self.maximum}")


class Connection:
    """How a widget shows a value: (read, write, signal)."""

    def __init__(self, widget: Any) -> None:
        self.widget = widget
        if isinstance(widget, widgets.qMRMLNodeComboBox):
            self.read, self.write = widget.currentNode, widget.setCurrentNode
            self.signal = "currentNodeChanged(vtkMRMLNode*)"
        elif isinstance(widget, QtWidgets.QCheckBox):
            self.read, self.write = lambda: widget.checked, widget.setChecked
            self.signal = "toggled(bool)"
        elif isinstance(widget, QtWidgets.QLineEdit):
            self.read, self.write = lambda: widget.text, widget.setText
            self.signal = "textChanged(QString)"
        elif isinstance(widget, (widgets.ctkSliderWidget, QtWidgets.QDoubleSpinBox)):
            self.read, self.write = lambda: widget.value, widget.setValue
            self.signal = "valueChanged(double)"
        else:
            raise TypeError(f"no parameter can be tied to a {type(widget).__name__}")


def parameterNodeWrapper(cls: type) -> type:
    """Class decorator: annotated attributes become values of a vtkMRMLScriptedModuleNode."""
    hints = typing.get_type_hints(cls, include_extras=True)
    members: dict[str, Any] = {"HINTS": hints, "DEFAULTS": {}}
    for name, hint in hints.items():
        members["DEFAULTS"][name] = getattr(cls, name, None)
        members[name] = _parameter(name, hint)
    return type(cls.__name__, (_Wrapper, cls), members)


def _bare(hint: Any) -> Any:
    return typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint


def _parameter(name: str, hint: Any) -> property:
    kind = _bare(hint)
    if kind in PLAIN:
        return property(lambda self: self._value(name, kind), _setter(name, hint))
    return property(
        lambda self: self.parameterNode.GetNodeReference(name),
        lambda self, node: self.parameterNode.SetNodeReferenceID(
            name, node.GetID() if node is not None else None
        ),
    )


def _setter(name: str, hint: Any) -> Callable[[Any, Any], None]:
    kind = _bare(hint)

    def put(self: Any, value: Any) -> None:
        if not isinstance(value, kind) and not (kind is float and isinstance(value, int)):
            raise TypeError(f"{name}: expected {kind.__name__}, found {value!r}")
        for check in getattr(hint, "__metadata__", ()):
            check(value)
        self.parameterNode.SetParameter(name, str(value))

    return put


class _Wrapper:
    def __init__(self, node: Any) -> None:
        self.parameterNode = node
        self._ties: dict[int, list[tuple[Connection, Callable[..., None]]]] = {}
        self._tags: dict[int, int] = {}

    def _value(self, name: str, kind: type) -> Any:
        text = self.parameterNode.GetParameter(name)
        if not text:
            default = self.DEFAULTS[name]  # type: ignore[attr-defined]
            return kind() if default is None else default
        return text == "True" if kind is bool else kind(text)

    def AddObserver(self, event: int, function: Callable, priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, function, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def connectGui(self, ui: Any) -> int:
        ties = []
        for widget in vars(ui).values():
            name = widget.property("SlicerParameterName")
            if not name:
                continue
            if name not in self.HINTS:  # type: ignore[attr-defined]
                raise ValueError(f"{widget.name} is tied to {name!r}, which is no parameter")
            ties.append(self._tie(name, Connection(widget)))
        tag = len(self._ties) + 1
        self._ties[tag] = ties
        show = lambda *_: self._show(tag)  # noqa: E731
        self._tags[tag] = widgets.observe(self.parameterNode, vtk.vtkCommand.ModifiedEvent, show)
        self._show(tag)
        return tag

    def _tie(self, name: str, connection: Connection) -> tuple[Connection, Callable[..., None]]:
        for check in getattr(self.HINTS[name], "__metadata__", ()):  # type: ignore[attr-defined]
            connection.widget.setProperty("minimum", check.minimum)
            connection.widget.setProperty("maximum", check.maximum)

        def changed() -> None:
            if getattr(self, name) != connection.read():
                setattr(self, name, connection.read())

        connection.widget.connect(connection.signal, changed)
        return connection, changed

    def _show(self, tag: int) -> None:
        for connection, _ in self._ties.get(tag, ()):
            name = connection.widget.property("SlicerParameterName")
            if connection.read() != getattr(self, name):
                connection.write(getattr(self, name))

    def disconnectGui(self, tag: int) -> None:
        widgets.unobserve(self.parameterNode, self._tags.pop(tag))
        for connection, changed in self._ties.pop(tag):
            connection.widget.disconnect(connection.signal, changed)


def module() -> ModuleType:
    """The module `slicer.parameterNodeWrapper`."""
    made = ModuleType("slicer.parameterNodeWrapper")
    made.parameterNodeWrapper = parameterNodeWrapper  # type: ignore[attr-defined]
    made.WithinRange = WithinRange  # type: ignore[attr-defined]
    return made

"""Qt as PythonQt shows it, over PySide6: properties are attributes, signals are connected by name.

PythonQt gives `widget.text` for a Qt property where PySide6 gives `widget.text()`, and connects
with `widget.connect('clicked(bool)', function)`. Generated subclasses turn one into the other.
"""

from __future__ import annotations

import ctypes
import inspect
import sys
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

# PySide gives references to True and False back that it never took. Before Python 3.12 they run out
# after some ten thousand calls, and the interpreter dies at its end.
if sys.version_info < (3, 12):
    for constant in (True, False):
        ctypes.c_ssize_t.from_address(id(constant)).value += 1 << 30
# Qt calls these methods itself: they stay methods.
VIRTUAL = {"sizeHint", "minimumSizeHint"}
VIRTUAL_TEXT = (QtWidgets.QProgressBar,)


def accepted(function: Callable[..., object], count: int) -> int:
    """How many of a signal's arguments PythonQt hands to a Python function.

    As many as a function or method has arguments, those with defaults included; all of them to
    anything else that can be called.
    """
    target = function.__func__ if inspect.ismethod(function) else function
    if not inspect.isfunction(target) or target.__code__.co_flags & inspect.CO_VARARGS:
        return count
    return min(count, target.__code__.co_argcount - inspect.ismethod(function))


class Connections:
    """`connect` and `disconnect` by signature, for a Qt object; knows what is connected."""

    def __getattribute__(self, name: str) -> Any:
        # PySide6 answers with its own function on instances, whatever their class defines.
        if name in ("connect", "disconnect"):
            return getattr(Connections, name).__get__(self)
        return super().__getattribute__(name)

    def connect(self, signature: str, function: Callable[..., object]) -> bool:
        """Connect a signal.

        Raises:
            ValueError: the class has no signal of this signature (PythonQt prints an error).
        """
        self._checkSignal(signature)
        signal = getattr(self, signature.split("(")[0])
        count = signature.count(",") + 1 if not signature.endswith("()") else 0

        def receiver(*values: object) -> None:
            function(*values[: accepted(function, count)])

        kind = signature[signature.index("(") + 1 : -1]
        overloads = {"int": int, "QString": str, "bool": bool, "double": float}
        try:
            chosen = signal[overloads[kind]] if kind in overloads else signal
        except (KeyError, IndexError, TypeError):
            chosen = signal
        chosen.connect(receiver)
        self.connected.append((signature, function, chosen, receiver))
        return True

    def disconnect(self, signature: str, function: Callable[..., object]) -> bool:
        for entry in self.connected:
            if entry[:2] == (signature, function):
                entry[2].disconnect(entry[3])
                self.connected.remove(entry)
                return True
        return False

    @property
    def connected(self) -> list[tuple]:
        """Signature, function, signal and receiver of every connection."""
        if "_connected" not in self.__dict__:
            self.__dict__["_connected"] = []
        return self.__dict__["_connected"]

    def _checkSignal(self, signature: str) -> None:
        known = getattr(type(self), "SIGNALS", ())
        normalized = bytes(QtCore.QMetaObject.normalizedSignature(signature).data()).decode()
        if signature not in known and self.metaObject().indexOfSignal(normalized) < 0:
            raise ValueError(f"{type(self).__name__} has no signal {signature}")


def _attribute(name: str) -> property:
    def get(self: QtCore.QObject) -> Any:
        return self.property(name)

    def put(self: QtCore.QObject, value: Any) -> None:
        self.setProperty(name, value)

    return property(get, put)


@cache
def pythonic(cls: type) -> type:
    """A subclass of a Qt class that looks as it does in PythonQt."""
    meta = cls.staticMetaObject
    names = {meta.property(index).name() for index in range(meta.propertyCount())} - VIRTUAL
    if issubclass(cls, VIRTUAL_TEXT):
        names -= {"text"}
    members: dict[str, Any] = {name: _attribute(name) for name in sorted(names)}
    members["name"] = _attribute("objectName")
    return type(cls.__name__, (Connections, cls), members)


class UiLoader(QtUiTools.QUiLoader):
    """Loads `.ui` files with PythonQt-like widgets and the stand-ins for CTK and qMRML."""

    def createWidget(self, className: str, parent: object = None, name: str = "") -> object:
        from . import widgets

        qt = getattr(QtWidgets, className, None)
        cls = getattr(widgets, className) if qt is None else pythonic(qt)
        widget = cls(parent)
        widget.setObjectName(name)
        return widget


class QtModule(ModuleType):
    """The module `qt`: every class of QtCore, QtGui and QtWidgets."""

    def __getattr__(self, name: str) -> Any:
        if name == "QUiLoader":
            return UiLoader
        for module in (QtWidgets, QtGui, QtCore):
            if hasattr(module, name):
                found = getattr(module, name)
                isObject = isinstance(found, type) and issubclass(found, QtCore.QObject)
                return pythonic(found) if isObject else found
        raise AttributeError(f"module 'qt' has no attribute {name!r}")


class CtkModule(ModuleType):
    """The module `ctk`."""

    def __getattr__(self, name: str) -> Any:
        from . import widgets

        if name.startswith("ctk") and hasattr(widgets, name):
            return getattr(widgets, name)
        if name in widgets.UNUSED_CTK:
            return widgets.UNUSED_CTK[name]
        raise AttributeError(f"module 'ctk' has no attribute {name!r}")

"""A desktop Slicer of stand-ins around a real scene, for tests of the panel and its pictures.

    with desktop(scene) as windows:
        panel = openPanel()
        ...
        closePanel(panel)

Where SLICER_SOURCE names a checkout of Slicer, its own base files take the place of the stand-ins
for them, see `real_base`.

`renderPanel(path)` draws the whole panel to a PNG.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from . import parameters, real_base, scripted, widgets
from .pythonqt import CtkModule, QtModule, pythonic

MODULE_FOLDER = Path(__file__).parents[3] / "MyoPSSegmenter"
PANEL_WIDTH = 480
# Functions of `slicer.util` that need a screen: methods of `Windows`.
WINDOWS = (
    "errorDisplay",
    "confirmYesNoDisplay",
    "showStatusMessage",
    "selectModule",
    "mainWindow",
)
# Widgets of `slicer` that the panel or Slicer's own files name.
QMRML = (
    "qMRMLNodeComboBox",
    "qMRMLWidget",
    "qMRMLSliderWidget",
    "qMRMLSpinBox",
    "qMRMLRangeWidget",
)
FAKED = ("app", "modules", "mrmlScene", *QMRML)


class Application:
    """`slicer.app`: what it was asked for."""

    def __init__(self) -> None:
        self.cursors: list[Any] = []
        self.temporaryPath = ""
        self.layouts = Layouts()

    def processEvents(self, *_: Any) -> None:
        QtWidgets.QApplication.processEvents()

    def testingEnabled(self) -> bool:
        return False

    def moduleManager(self) -> Any:
        return SimpleNamespace(connect=lambda *_: True, disconnect=lambda *_: True)

    def coreIOManager(self) -> Any:
        return FileManager()

    def translate(self, context: str, text: str) -> str:
        return TRANSLATIONS.get((context, text), text)

    def setOverrideCursor(self, cursor: Any) -> None:
        self.cursors.append(cursor)

    def restoreOverrideCursor(self) -> None:
        self.cursors.pop()

    def layoutManager(self) -> Any:
        return self.layouts

    def connect(self, *_: Any) -> None:
        """`startupCompleted()` never comes: a test calls what it would call."""


# (context, text) to its translation: what a language pack would bring.
TRANSLATIONS: dict[tuple[str, str], str] = {}


class FileManager:
    """`slicer.app.coreIOManager()`: reads volumes."""

    def fileType(self, fileName: str) -> str:
        return "VolumeFile"

    def loadNodes(self, fileType: str, properties: Any, loaded: Any) -> bool:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", properties["name"])
        storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
        storage.SetFileName(properties["fileName"])
        node.SetAndObserveStorageNodeID(storage.GetID())
        if not storage.ReadData(node):
            return False
        node.CreateDefaultDisplayNodes()
        loaded.AddItem(node)
        return True


class Layouts:
    """`slicer.app.layoutManager()`: the slice widgets that it was asked for, by layout name."""

    def __init__(self) -> None:
        self.annotations: dict[str, Any] = {}

    def sliceWidget(self, name: str) -> Any:
        annotation = self.annotations.setdefault(name, vtk.vtkCornerAnnotation())
        view = SimpleNamespace(cornerAnnotation=lambda: annotation, scheduleRender=lambda: None)
        return SimpleNamespace(sliceView=lambda: view)


class Windows:
    """What the user would see beside the panel: pop-ups, status messages, chosen modules."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.questions: list[str] = []
        self.answer = True
        self.status: list[str] = []
        self.modules: list[str] = []
        # Holds the panel in the desktop; here only where a test puts it in.
        self.main = pythonic(QtWidgets.QMainWindow)()

    def mainWindow(self) -> Any:
        return self.main

    def errorDisplay(self, text: str, **_: Any) -> None:
        self.errors.append(text)

    def confirmYesNoDisplay(self, text: str, **_: Any) -> bool:
        self.questions.append(text)
        return self.answer

    def showStatusMessage(self, text: str, duration: int = 0) -> None:
        self.status.append(text)

    def selectModule(self, name: str) -> None:
        self.modules.append(name)


def application() -> QtWidgets.QApplication:
    """The one Qt application of this process."""
    return QtWidgets.QApplication.instance() or QtWidgets.QApplication(["panel"])


def _i18n() -> ModuleType:
    made = ModuleType("slicer.i18n")
    made.tr = lambda text: text  # type: ignore[attr-defined]
    made.translate = lambda context, text: text  # type: ignore[attr-defined]
    return made


def _standIns() -> dict[str, ModuleType]:
    """Stand-ins for Slicer's own base files."""
    return {
        "slicer.ScriptedLoadableModule": scripted.module(),
        "slicer.parameterNodeWrapper": parameters.module(),
        "slicer.i18n": _i18n(),
    }


@contextlib.contextmanager
def desktop(scene: Any) -> Iterator[Windows]:
    """Make this process look like desktop Slicer with a scene; undone at the end."""
    application()
    windows = Windows()
    source = real_base.checkout()
    modules = {"qt": QtModule("qt"), "ctk": CtkModule("ctk")}
    modules |= {} if source is not None else _standIns()
    replaced = {*modules, *real_base.names()}
    was = {name: sys.modules.get(name) for name in replaced}
    sys.modules.update(modules)
    described = SimpleNamespace(path=str(MODULE_FOLDER / "MyoPSSegmenter.py"))
    slicer.app, slicer.mrmlScene = Application(), scene
    slicer.modules = SimpleNamespace(myopssegmenter=described)
    for name in QMRML:
        setattr(slicer, name, getattr(widgets, name))
    for name, module in modules.items():
        if name.startswith("slicer."):
            setattr(slicer, name.removeprefix("slicer."), module)
    if source is not None:
        real_base.load(source)
    utilities = {name: (getattr(slicer.util, name, None), slicer.util) for name in WINDOWS}
    for name in WINDOWS:
        setattr(slicer.util, name, getattr(windows, name))
    try:
        yield windows
    finally:
        for name, (original, module) in utilities.items():
            setattr(module, name, original)
        _putBack(was)
        windows.main.deleteLater()
        _forgetModule()
        widgets.forgetObservers()


def _putBack(was: dict[str, ModuleType | None]) -> None:
    """Take everything that only the desktop has out of the process."""
    for name in FAKED:
        if hasattr(slicer, name):
            delattr(slicer, name)
    for name in [n for n in list(sys.modules) if n.startswith("slicer.parameterNodeWrapper.")]:
        del sys.modules[name]
    for name, module in was.items():
        inSlicer = name.removeprefix("slicer.") if name.startswith("slicer.") else None
        if module is None:
            sys.modules.pop(name, None)
            if inSlicer is not None and hasattr(slicer, inSlicer):
                delattr(slicer, inSlicer)
        else:
            sys.modules[name] = module
            if inSlicer is not None:
                setattr(slicer, inSlicer, module)


def _forgetModule() -> None:
    """The next desktop imports the module file and the panels anew: they hold names of this one."""
    # A copy: the background may be importing.
    for name in [n for n in list(sys.modules) if n == "MyoPSSegmenter" or ".Panels" in n]:
        del sys.modules[name]


def openPanel(enter: bool = True) -> Any:
    """Make the module's widget as Slicer does, and go to it."""
    if str(MODULE_FOLDER) not in sys.path:
        sys.path.insert(0, str(MODULE_FOLDER))
    module = importlib.import_module("MyoPSSegmenter")
    widget = module.MyoPSSegmenterWidget(emptyParent())
    widget.setup()
    if enter:
        widget.enter()
    return widget


def emptyParent() -> Any:
    """The widget that Slicer makes for a module's panel."""
    parent = pythonic(QtWidgets.QWidget)()
    QtWidgets.QVBoxLayout(parent)
    return parent


def closePanel(widget: Any) -> None:
    """Leave the module and end it, as Slicer does when it closes."""
    widget.exit()
    widget.cleanup()
    widget.parent.deleteLater()
    QtWidgets.QApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)


def grab(widget: Any, width: int = PANEL_WIDTH) -> QtGui.QPixmap:
    """A picture of a whole widget, as tall as it wants to be."""
    widget.setFixedWidth(width)
    widget.ensurePolished()
    for _ in range(3):  # word-wrapped labels settle
        widget.layout().activate()
        height = widget.layout().totalHeightForWidth(width)
        height = height if height > 0 else widget.sizeHint().height()
        QtWidgets.QWidget.setFixedHeight(widget, height)
        QtWidgets.QWidget.show(widget)
        QtWidgets.QApplication.processEvents()
    return QtWidgets.QWidget.grab(widget)


def renderPanel(
    path: str | Path, panel: Any = None, section: str | None = None, width: int = PANEL_WIDTH
) -> Path:
    """Draw the panel to a PNG.

    Args:
        path: file to write.
        panel: the module's widget, see `openPanel`; a new one over `slicer.mrmlScene` without it.
        section: name of a section in the `.ui`, such as "correctSection", to draw alone.
        width: width in pixels, as the user drags the module panel.
    """
    made = openPanel() if panel is None else panel
    whole = made.parent
    picture = grab(whole, width)
    if section is not None:
        part = whole.findChild(QtWidgets.QWidget, section)
        corner = part.mapTo(whole, QtCore.QPoint(0, 0))
        ratio = picture.devicePixelRatio()
        area = QtCore.QRect(corner, QtWidgets.QWidget.size(part))
        picture = picture.copy(QtCore.QRect(area.topLeft() * ratio, area.size() * ratio))
    picture.save(str(path))
    if panel is None:
        closePanel(made)
    return Path(path)

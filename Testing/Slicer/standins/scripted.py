"""The base classes of scripted modules, as Slicer's developer guide describes them."""

from __future__ import annotations

import unittest
from pathlib import Path
from types import ModuleType
from typing import Any

import slicer
from PySide6.QtWidgets import QVBoxLayout, QWidget

from .pythonqt import pythonic


class ScriptedLoadableModule:
    """The descriptor: what Slicer shows of a module before it is opened."""

    def __init__(self, parent: Any) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title, parent.categories, parent.dependencies = self.moduleName, [], []
        parent.contributors, parent.helpText, parent.acknowledgementText = [], "", ""

    def getDefaultModuleDocumentationLink(self) -> str:
        return ""


class ScriptedLoadableModuleWidget:
    """The panel: `setup` fills it, `enter` and `exit` tell whether it is shown."""

    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Widget")
        if parent is None:
            parent = pythonic(QWidget)()
            QVBoxLayout(parent)
        self.parent = parent
        self.layout = parent.layout()
        self.developerMode = False

    def resourcePath(self, filename: str) -> str:
        return str(Path(slicer.modules.myopssegmenter.path).parent / "Resources" / filename)

    def setup(self) -> None:
        """Slicer adds its reload buttons here in developer mode."""

    def cleanup(self) -> None:
        """Called when Slicer closes or the module is reloaded."""

    def enter(self) -> None:
        """Called when the user goes to the module."""

    def exit(self) -> None:
        """Called when the user leaves the module."""

    def onReload(self) -> None:
        """The button Reload of the developer mode."""
        slicer.util.reloadScriptedModule(self.moduleName)


class ScriptedLoadableModuleLogic:
    """The logic: has a parameter node, one per module and scene."""

    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self) -> Any:
        scene = slicer.mrmlScene
        for index in range(scene.GetNumberOfNodesByClass("vtkMRMLScriptedModuleNode")):
            node = scene.GetNthNodeByClass(index, "vtkMRMLScriptedModuleNode")
            if node.GetAttribute("ModuleName") == self.moduleName:
                return node
        node = scene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.SetSingletonTag(self.moduleName)
        node.SetModuleName(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.UnRegister(None)
        node.SetName(self.moduleName)
        return scene.AddNode(node)


class ScriptedLoadableModuleTest(unittest.TestCase):
    """The module's self-test."""

    def delayDisplay(self, message: str, msec: int = 0) -> None:
        """In desktop Slicer: shows a message for a moment."""

    def runTest(self) -> None:
        """Overridden by the module."""


def module() -> ModuleType:
    """The module `slicer.ScriptedLoadableModule`."""
    made = ModuleType("slicer.ScriptedLoadableModule")
    classes = (
        ScriptedLoadableModule,
        ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest,
    )
    for one in classes:
        setattr(made, one.__name__, one)
    made.__all__ = [one.__name__ for one in classes]  # type: ignore[attr-defined]
    return made

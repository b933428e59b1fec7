"""Real slice views without a screen: Slicer's own display managers, and a mouse that is simulated.

    views = OffscreenViews(sceneWithLogics)      # before `showSequences`, as at Slicer's start
    showSequences(scene, volumes, node, case)
    view = views.view("MyoPSLge")
    view.click(ras)
    view.save(path)

What is real: slice logic, volume layers, segmentation and markups display managers, the interactor
style that hands mouse events to them, the layout logic that makes a layout's view nodes. What
stands in: the actor that puts the slice's image into the window (desktop Slicer takes one of CTK)
and the linking of views (its logic is not in slicer-core). VTK renders by EGL where there is no X
server.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
    # Else VTK tries X first, and complains.
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

MANAGERS = (
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
)
# Names under which display managers ask the application for the logics of modules.
MODULE_LOGICS = {
    "vtkSlicerMarkupsLogic": "Markups",
    "vtkSlicerSegmentationsModuleLogic": "Segmentations",
}
SIZE = (512, 512)
# A drag is a row of small steps, as a hand makes it.
DRAG_STEPS = 8


class OffscreenViews:
    """All slice views of a scene, made when the scene gets their slice nodes.

    Attributes:
        scene: of the views.
        layoutLogic: turns layout descriptions into view nodes.
    """

    def __init__(self, sceneWithLogics: Any, size: tuple[int, int] = SIZE) -> None:
        """Prepare a scene, see `made_scene.Scene`, for views.

        Args:
            sceneWithLogics: with `scene`, `applicationLogic` and `logics`.
            size: of every view, (width, height) in pixels.
        """
        self.scene = sceneWithLogics.scene
        self._application = sceneWithLogics.applicationLogic
        self._size = size
        self._views: dict[str, SliceView] = {}
        self._logics: dict[str, Any] = {}
        self._sliceLogics = vtk.vtkCollection()
        self._application.SetSliceLogics(self._sliceLogics)
        for logic in sceneWithLogics.logics:
            if logic.GetClassName() in MODULE_LOGICS:
                self._application.SetModuleLogic(MODULE_LOGICS[logic.GetClassName()], logic)
        self._addCrosshair()
        self.layoutLogic = slicer.vtkMRMLLayoutLogic()
        self.layoutLogic.SetMRMLScene(self.scene)
        self._factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        self._factory.SetMRMLApplicationLogic(self._application)
        for name in MANAGERS:
            if not self._factory.IsDisplayableManagerRegistered(name):
                self._factory.RegisterDisplayableManager(name)

    def view(self, name: str) -> SliceView:
        """The view of a slice node by its layout name; the node is made if there is none."""
        if sliceNodeNamed(self.scene, name) is None:
            self.scene.AddNode(_newSliceNode(name))
        # The line where two views meet needs the logic of both: all logics come before any view.
        for node in sliceNodes(self.scene):
            self._addLogic(node)
        if name not in self._views:
            self._views[name] = SliceView(self._logics[name], self._factory, self._size)
        return self._views[name]

    def shown(self) -> list[SliceView]:
        """The views of the present layout, from left to right."""
        nodes = self.layoutLogic.GetViewNodes()
        found = [nodes.GetItemAsObject(i) for i in range(nodes.GetNumberOfItems())]
        return [self.view(n.GetLayoutName()) for n in found if n.IsA("vtkMRMLSliceNode")]

    def close(self) -> None:
        """Take the windows away."""
        for view in self._views.values():
            view.close()
        self._views.clear()
        self._sliceLogics.RemoveAllItems()
        self._application.SetSliceLogics(None)
        self.layoutLogic.SetMRMLScene(None)

    def _addLogic(self, node: Any) -> None:
        name = node.GetLayoutName()
        if name in self._logics:
            return
        logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(self._application)
        logic.SetMRMLScene(self.scene)
        logic.SetSliceNode(node)
        self._logics[name] = logic
        self._sliceLogics.AddItem(logic)

    def _addCrosshair(self) -> None:
        """Desktop Slicer's start adds the node that knows where the mouse is."""
        if self.scene.GetFirstNodeByClass("vtkMRMLCrosshairNode") is None:
            node = slicer.vtkMRMLCrosshairNode()
            node.SetSingletonTag("default")
            node.SetCrosshairName("default")
            self.scene.AddNode(node)


class SliceView:
    """One slice view in a window of its own.

    Attributes:
        node: its vtkMRMLSliceNode.
        logic: its vtkMRMLSliceLogic.
    """

    def __init__(self, logic: Any, factory: Any, size: tuple[int, int]) -> None:
        """Make the window of a slice logic; see `OffscreenViews.view`."""
        self.logic, self.node = logic, logic.GetSliceNode()
        self._renderer = vtk.vtkRenderer()
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(True)
        self._window.SetMultiSamples(0)
        self._window.SetSize(*size)
        self._window.AddRenderer(self._renderer)
        self._addImage()
        # The display managers look for the window's interactor when they get the node.
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        self._interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self._group = factory.InstantiateDisplayableManagers(self._renderer)
        self._group.SetMRMLDisplayableNode(self.node)
        self._connectMouse()
        # The size as when a widget gets its place on the screen: the zoom is kept.
        self.logic.ResizeSliceNode(*size)

    # Pictures

    def render(self) -> np.ndarray:
        """Draw the view; uint8 (height, width, 3), first row on top."""
        self._window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self._window)
        grab.ReadFrontBufferOff()
        grab.ShouldRerenderOff()
        grab.Update()
        image = grab.GetOutput()
        width, height, _ = image.GetDimensions()
        pixels = vtk_to_numpy(image.GetPointData().GetScalars())
        return pixels.reshape(height, width, -1)[::-1, :, :3].copy()

    def save(self, path: str | Path) -> Path:
        """Write the view as a PNG."""
        from PIL import Image

        Image.fromarray(self.render()).save(path)
        return Path(path)

    # Places

    def pixelOf(self, ras: Sequence[float]) -> tuple[float, float]:
        """Window coordinates (x to the right, y up) of a place in the world."""
        matrix = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.node.GetXYToRAS(), matrix)
        x, y, _, _ = matrix.MultiplyPoint((*map(float, ras), 1.0))
        return x, y

    def rasOf(self, x: float, y: float) -> np.ndarray:
        """Place (3,) in the world of a pixel of the window."""
        return np.array(self.node.GetXYToRAS().MultiplyPoint((x, y, 0.0, 1.0))[:3])

    @property
    def mmPerPixel(self) -> float:
        """Size of a pixel of the window."""
        return float(np.linalg.norm(self.rasOf(1, 0) - self.rasOf(0, 0)))

    # Mouse and keys

    def moveTo(self, ras: Sequence[float]) -> None:
        """Move the mouse to a place."""
        self._event("MouseMoveEvent", ras)

    def click(self, ras: Sequence[float]) -> np.ndarray:
        """Click with the left button; the place (3,) in the world of the pixel that was hit."""
        self._event("EnterEvent", ras)
        self._event("MouseMoveEvent", ras)
        self._event("LeftButtonPressEvent", ras)
        self._event("LeftButtonReleaseEvent", ras)
        return self.rasOf(*self._pixel(ras))

    def drag(self, start: Sequence[float], end: Sequence[float]) -> Iterator[np.ndarray]:
        """Drag from one place to another; yields after each step, before the button is let go."""
        first, last = np.asarray(start, float), np.asarray(end, float)
        self._event("EnterEvent", first)
        self._event("MouseMoveEvent", first)
        self._event("LeftButtonPressEvent", first)
        for step in range(1, DRAG_STEPS + 1):
            place = first + (last - first) * step / DRAG_STEPS
            self._event("MouseMoveEvent", place)
            yield place
        self._event("LeftButtonReleaseEvent", last)

    def leave(self) -> None:
        """Move the mouse out of the view."""
        self._interactor.InvokeEvent("LeaveEvent")

    def scroll(self, steps: int) -> None:
        """Turn the wheel, forward if positive."""
        name = "MouseWheelForwardEvent" if steps > 0 else "MouseWheelBackwardEvent"
        for _ in range(abs(steps)):
            self._interactor.InvokeEvent(name)

    def close(self) -> None:
        """Take the window away."""
        self._style.SetInteractor(None)
        self._group.SetMRMLDisplayableNode(None)
        self.logic.RemoveAllObservers()
        self._window.Finalize()

    def _addImage(self) -> None:
        """The blended volume layers, behind everything else."""
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        actor = vtk.vtkActor2D()
        actor.SetMapper(mapper)
        actor.GetProperty().SetDisplayLocationToBackground()
        self._renderer.AddViewProp(actor)

        def follow(*_: Any) -> None:
            connection = self.logic.GetImageDataConnection()
            actor.SetVisibility(connection is not None)
            mapper.SetInputConnection(connection)

        self.logic.AddObserver("ModifiedEvent", follow)
        follow()

    def _connectMouse(self) -> None:
        self._style = slicer.vtkMRMLSliceViewInteractorStyle()
        self._style.SetSliceLogic(self.logic)
        self._style.SetDisplayableManagers(self._group)
        self._style.SetInteractor(self._interactor)
        self._interactor.Initialize()

    def _pixel(self, ras: Sequence[float]) -> tuple[int, int]:
        x, y = self.pixelOf(ras)
        return round(x), round(y)

    def _event(self, name: str, ras: Sequence[float]) -> None:
        self._interactor.SetEventInformation(*self._pixel(ras), 0, 0, chr(0), 0, None)
        self._interactor.InvokeEvent(name)


def sliceNodes(scene: Any) -> list[Any]:
    """All slice nodes of a scene."""
    nodes = scene.GetNodesByClass("vtkMRMLSliceNode")
    nodes.UnRegister(None)
    return [nodes.GetItemAsObject(index) for index in range(nodes.GetNumberOfItems())]


def sliceNodeNamed(scene: Any, name: str) -> Any:
    """The slice node with a layout name; None if there is none."""
    return next((node for node in sliceNodes(scene) if node.GetLayoutName() == name), None)


def _newSliceNode(name: str) -> Any:
    node = slicer.vtkMRMLSliceNode()
    node.SetSingletonTag(name)
    node.SetLayoutName(name)
    node.SetName(name)
    return node

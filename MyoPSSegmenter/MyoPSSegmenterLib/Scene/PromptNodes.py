"""Prompts as markups nodes: green and red points, and a box drawn by two clicks.

Control points carry no view orientation: Slicer places them in slice views with an identity matrix.
A point clicked in a slice view lies in that view's plane, so the view is found by its plane.

The box is a line node, its diagonal: two clicks in any slice view complete it, in whatever
orientation the slices have. A region-of-interest node asks for a third extent and is aligned to the
world's axes, and a closed curve does not end after two points. When the diagonal is complete it is
taken away, and what the prompt became is drawn as a closed curve with four corners (`showBox`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from uuid import uuid4

import numpy as np
import slicer
import vtk

from MyoPSSegmenterLib.Scene.Observations import Observations
from MyoPSSegmenterLib.Scene.PlaceMode import PlaceMode, activePlaceKept

Ras = tuple[float, float, float]

# Tells our nodes from other markups, also in a scene that was loaded.
ROLE = "MyoPS.prompts"
POSITIVE, NEGATIVE, BOX, OUTLINE = "positive", "negative", "box", "outline"
# The outline is only shown: no tool adds to it.
PLACED = (POSITIVE, NEGATIVE, BOX)
CLASSES = {
    POSITIVE: "vtkMRMLMarkupsFiducialNode",
    NEGATIVE: "vtkMRMLMarkupsFiducialNode",
    BOX: "vtkMRMLMarkupsLineNode",
    OUTLINE: "vtkMRMLMarkupsClosedCurveNode",
}
TITLES = {
    POSITIVE: "Add (+)",
    NEGATIVE: "Remove (−)",
    BOX: "Box",
    OUTLINE: "Box of the structure",
}
COLORS = {
    POSITIVE: (0.2, 0.95, 0.3),
    NEGATIVE: (1.0, 0.2, 0.2),
    BOX: (1.0, 0.85, 0.2),
    OUTLINE: (1.0, 0.85, 0.2),
}
# A plus and a square: the two are told apart without color too.
GLYPHS = {POSITIVE: "ThickCross2D", NEGATIVE: "Square2D", OUTLINE: "Vertex2D"}
# Percent of the view's size, so that both look equally heavy.
GLYPH_SCALES = {POSITIVE: 4.0, NEGATIVE: 2.0, OUTLINE: 0.1}
OUTLINE_WIDTH_MM = 1.0
# Nearer than this, two places are one: dragging moves by pixels, rounding by far less.
SAME_PLACE_MM = 1e-4
# A click lies in the plane of its view up to rounding.
IN_PLANE_MM = 1e-2


class PromptNodes:
    """The prompts that are shown, and what the mouse does with them.

    Points that the user is still placing are not prompts yet. A point that is dragged counts as
    moved when it is let go. A node that is deleted as a whole reports nothing; it is made anew when
    it is next needed. The nodes stay in the scene and are saved with it.
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        onAdded: Callable[..., object],
        onMoved: Callable[..., object],
        onRemoved: Callable[..., object],
        onBox: Callable[..., object] | None = None,
    ) -> None:
        """Take over the prompt nodes of a scene, if it has some, without calling back.

        Args:
            scene: where the nodes are.
            onAdded: (kind, clickId, ras, normal) of a new point; `normal` is the RAS unit normal
                (3,) of the slice view it was clicked in, None if it lies in no slice view.
            onMoved: (kind, clickId, ras) when a point has a new place.
            onRemoved: (kind, clickId, ras) when a point was deleted; its last place.
            onBox: (ras0, ras1, normal) of two opposite corners.
        """
        self._scene = scene
        self._onAdded, self._onMoved, self._onRemoved = onAdded, onMoved, onRemoved
        self._onBox = onBox
        self._nodes: dict[str, slicer.vtkMRMLMarkupsNode] = {}
        # Kind to control point ID to what is known of that point.
        self._known: dict[str, dict[str, tuple[str, np.ndarray]]] = {POSITIVE: {}, NEGATIVE: {}}
        self._dragged: set[str] = set()
        self._isQuiet = False
        self._observations = Observations()
        self._mouse = PlaceMode(scene, self._observations)
        self._observations.add(scene, scene.EndCloseEvent, self._forgetRemoved)
        self._observations.add(scene, scene.NodeRemovedEvent, self._forgetRemoved)
        self._observations.add(scene, scene.EndImportEvent, self._adoptAll)
        self._adoptAll()

    @property
    def positiveNode(self) -> slicer.vtkMRMLMarkupsFiducialNode:
        """Green points: these places belong to the structure."""
        return self._node(POSITIVE)

    @property
    def negativeNode(self) -> slicer.vtkMRMLMarkupsFiducialNode:
        """Red points: these places do not."""
        return self._node(NEGATIVE)

    @property
    def boxNode(self) -> slicer.vtkMRMLMarkupsLineNode:
        """The diagonal of the box that is being drawn; empty at all other times."""
        return self._node(BOX)

    @property
    def placing(self) -> str | None:
        """What the next click in a view places: "positive", "negative", "box" or None."""
        placed = self._mouse.placed
        found = [kind for kind in PLACED if kind in self._nodes]
        return next((kind for kind in found if self._nodes[kind].GetID() == placed), None)

    def startPlacing(self, kind: str) -> None:
        """Let clicks in the views place points, or boxes, one after another until stopped.

        Args:
            kind: "positive", "negative" or "box".

        Raises:
            ValueError: another kind.
        """
        if kind not in PLACED:
            raise ValueError(f"expected positive, negative or box, found {kind!r}")
        node = self._node(kind)
        if kind == BOX:
            self._clearBox()
        # Slicer still asks for the second corner after it was placed: the line goes afterwards.
        # A line is full after two points. Not persistent, or Slicer would go on with a line of its
        # own; ours is emptied in time to be drawn again.
        self._mouse.take(node, persistent=kind != BOX, changed=self._placingChanged)

    def stopPlacing(self) -> None:
        """Let the mouse do what it does in Slicer, unless another tool is placing something."""
        if self.placing is not None:
            self._mouse.end()
        self._giveBack()
        self._clearBox()

    def show(self, prompts: Sequence[tuple[str, bool, Sequence[float]]]) -> None:
        """Show these prompts and no others, without calling back.

        Points that are right already stay as they are, so that nothing under the mouse jumps.

        Args:
            prompts: ID, whether positive, RAS position in mm of each.
        """
        with self._quiet():
            for kind in (POSITIVE, NEGATIVE):
                wanted = {
                    clickId: np.array(ras, np.float64)
                    for clickId, positive, ras in prompts
                    if positive == (kind == POSITIVE)
                }
                if wanted or kind in self._nodes:
                    self._showPoints(kind, wanted)

    def showBox(self, corners: Sequence[Sequence[float]] | None) -> None:
        """Draw the outline of a box prompt, or take it away.

        Args:
            corners: four RAS positions in mm, in order around the box; None for no box.
        """
        if corners is None and OUTLINE not in self._nodes:
            return
        node = self._node(OUTLINE)
        node.RemoveAllControlPoints()
        for corner in corners or ():
            node.AddControlPointWorld(vtk.vtkVector3d(*map(float, corner)))
        node.SetLocked(True)

    def remove(self, clickId: str) -> None:
        """Take one prompt away, without calling back; unknown IDs are ignored."""
        with self._quiet():
            for kind, known in self._known.items():
                for pointId, (name, _) in list(known.items()):
                    if name == clickId:
                        node = self._nodes[kind]
                        node.RemoveNthControlPoint(node.GetNthControlPointIndexByID(pointId))

    def cleanup(self) -> None:
        """Stop placing and watching; the nodes stay in the scene."""
        self.stopPlacing()
        self._observations.removeAll()
        self._nodes.clear()
        for known in self._known.values():
            known.clear()

    # Nodes

    def _node(self, kind: str) -> slicer.vtkMRMLMarkupsNode:
        if kind not in self._nodes:
            with activePlaceKept(self._scene):
                node = self._scene.AddNewNodeByClass(CLASSES[kind], TITLES[kind])
            node.SetAttribute(ROLE, kind)
            node.CreateDefaultDisplayNodes()
            self._watch(kind, node)
        return self._nodes[kind]

    def _adoptAll(self) -> None:
        """Take over the nodes of a loaded scene; the first of a kind counts."""
        for kind, className in CLASSES.items():
            found = self._scene.GetNodesByClass(className)
            found.UnRegister(None)
            for index in range(found.GetNumberOfItems()):
                node = found.GetItemAsObject(index)
                if kind not in self._nodes and node.GetAttribute(ROLE) == kind:
                    self._watch(kind, node)

    def _watch(self, kind: str, node: slicer.vtkMRMLMarkupsNode) -> None:
        self._nodes[kind] = node
        _style(kind, node)
        if kind in self._known:
            self._known[kind] = self._points(kind)
            for event in (
                node.PointAddedEvent,
                node.PointRemovedEvent,
                node.PointModifiedEvent,
                node.PointPositionDefinedEvent,
                node.PointPositionUndefinedEvent,
            ):
                self._observations.add(node, event, lambda: self._compare(kind))
            self._observations.add(
                node, node.PointStartInteractionEvent, lambda: self._dragged.add(kind)
            )
            self._observations.add(node, node.PointEndInteractionEvent, lambda: self._drop(kind))
        elif kind == BOX:
            self._observations.add(node, node.PointPositionDefinedEvent, self._boxDrawn)

    def _forgetRemoved(self) -> None:
        for kind, node in list(self._nodes.items()):
            if not self._scene.IsNodePresent(node):
                self._observations.removeAll(node)
                del self._nodes[kind]
                self._dragged.discard(kind)
                if kind in self._known:
                    self._known[kind] = {}
        self._mouse.endIfDeleted()

    # Points

    def _points(self, kind: str) -> dict[str, tuple[str, np.ndarray]]:
        """The placed points of a node as they are now; new ones get a name."""
        node, found = self._nodes[kind], {}
        for index in range(node.GetNumberOfControlPoints()):
            if node.GetNthControlPointPositionStatus(index) != node.PositionDefined:
                continue
            # The name is the point's description, which is saved with the node.
            name = node.GetNthControlPointDescription(index)
            if not name:
                name = f"{kind}-{uuid4().hex[:12]}"
                with self._quiet(follow=False):
                    node.SetNthControlPointDescription(index, name)
            found[node.GetNthControlPointID(index)] = (name, _placeOf(node, index))
        return found

    def _compare(self, kind: str) -> None:
        """Report what the user did since the last look."""
        if self._isQuiet:
            return
        before, now = self._known[kind], self._points(kind)
        if kind in self._dragged:
            now = {
                point: (name, before.get(point, (name, p))[1]) for point, (name, p) in now.items()
            }
        self._known[kind] = now
        for point, (name, place) in before.items():
            if point not in now:
                self._onRemoved(kind, name, _ras(place))
        for point, (name, place) in now.items():
            if point not in before:
                self._onAdded(kind, name, _ras(place), viewNormal(self._scene, place))
            elif np.linalg.norm(place - before[point][1]) > SAME_PLACE_MM:
                self._onMoved(kind, name, _ras(place))

    def _drop(self, kind: str) -> None:
        self._dragged.discard(kind)
        self._compare(kind)

    def _showPoints(self, kind: str, wanted: dict[str, np.ndarray]) -> None:
        node = self._node(kind)
        for point, (name, place) in self._points(kind).items():
            index = node.GetNthControlPointIndexByID(point)
            target = wanted.pop(name, None)
            if target is None:
                node.RemoveNthControlPoint(index)
            elif np.linalg.norm(place - target) > SAME_PLACE_MM:
                node.SetNthControlPointPositionWorld(index, *target)
        for name, target in wanted.items():
            index = node.AddControlPointWorld(vtk.vtkVector3d(*target))
            node.SetNthControlPointDescription(index, name)

    def _boxDrawn(self) -> None:
        node = self._nodes[BOX]
        if self._isQuiet or node.GetNumberOfDefinedControlPoints() < 2:
            return
        first, second = (_placeOf(node, index) for index in range(2))
        if self._onBox is not None:
            self._onBox(_ras(first), _ras(second), viewNormal(self._scene, second))

    def _placingChanged(self) -> None:
        if self.placing != BOX:
            self._clearBox()
        if self._mouse.placed is None:  # Escape, or a box that is complete
            self._giveBack()

    def _giveBack(self) -> None:
        """Else points that are placed elsewhere in Slicer would go on being prompts."""
        self._mouse.giveBack({node.GetID() for node in self._nodes.values()})

    def _clearBox(self) -> None:
        if BOX in self._nodes:
            with self._quiet():
                self._nodes[BOX].RemoveAllControlPoints()

    @contextmanager
    def _quiet(self, follow: bool = True) -> Iterator[None]:
        """What this class does to the points is nothing that the user did."""
        outer, self._isQuiet = self._isQuiet, True
        try:
            yield
        finally:
            self._isQuiet = outer
            if follow and not outer:
                for kind in set(self._known) & set(self._nodes):
                    self._known[kind] = self._points(kind)


def viewNormal(scene: slicer.vtkMRMLScene, ras: Sequence[float] | np.ndarray) -> np.ndarray | None:
    """The RAS unit normal (3,) of the slice view in whose plane a place lies; None if in none.

    Where planes of several views meet in that place, the view under the mouse counts.
    """
    found = {}
    nodes = scene.GetNodesByClass("vtkMRMLSliceNode")
    nodes.UnRegister(None)
    for index in range(nodes.GetNumberOfItems()):
        node = nodes.GetItemAsObject(index)
        matrix = node.GetSliceToRAS()
        normal = np.array([matrix.GetElement(row, 2) for row in range(3)])
        origin = np.array([matrix.GetElement(row, 3) for row in range(3)])
        if abs(normal @ (np.asarray(ras) - origin)) <= IN_PLANE_MM:
            found[node.GetID()] = normal
    crosshair = scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    under = crosshair.GetCursorPositionXYZ([0.0, 0.0, 0.0]) if crosshair is not None else None
    if under is not None and under.GetID() in found:
        return found[under.GetID()]
    return next(iter(found.values()), None)


def _style(kind: str, node: slicer.vtkMRMLMarkupsNode) -> None:
    display = node.GetDisplayNode()
    if display is None:
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
    display.SetSelectedColor(*COLORS[kind])
    display.SetColor(*COLORS[kind])
    display.SetPointLabelsVisibility(False)
    display.SetPropertiesLabelVisibility(False)
    display.SetSliceProjection(False)
    display.SetSnapMode(display.SnapModeUnconstrained)
    if kind in GLYPHS:
        display.SetGlyphTypeFromString(GLYPHS[kind])
        display.SetGlyphScale(GLYPH_SCALES[kind])
    if kind == OUTLINE:
        node.SetCurveTypeToLinear()
        # Else the width follows the size of the points, which are hidden.
        display.SetCurveLineSizeMode(display.UseLineDiameter)
        display.SetLineDiameter(OUTLINE_WIDTH_MM)


def _placeOf(node: slicer.vtkMRMLMarkupsNode, index: int) -> np.ndarray:
    place = [0.0, 0.0, 0.0]
    node.GetNthControlPointPositionWorld(index, place)
    return np.array(place)


def _ras(place: np.ndarray) -> Ras:
    return float(place[0]), float(place[1]), float(place[2])

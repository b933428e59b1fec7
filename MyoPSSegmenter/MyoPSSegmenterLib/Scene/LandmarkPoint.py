"""A point that the reader clicks to say where something of the heart lies."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import slicer

from MyoPSSegmenterLib.Scene.Observations import Observations
from MyoPSSegmenterLib.Scene.PlaceMode import PlaceMode
from MyoPSSegmenterLib.Scene.RemoteHandle import addPoint


class LandmarkPoint:
    """The point's node; one click places it, and it can be dragged afterwards.

    Attributes:
        node: the markups node; None without one.
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        onPlaced: Callable[[Sequence[float]], object],
        onEnded: Callable[[], object],
        named: tuple[str, str],
    ) -> None:
        """Begin without a point.

        Args:
            scene: gets the node.
            onPlaced: called with RAS mm when the point was clicked or dragged to another place.
            onEnded: called when the mouse places nothing any more.
            named: its role in the scene and its title.
        """
        self._role, self._title = named
        self._scene, self._onPlaced, self._onEnded = scene, onPlaced, onEnded
        self._observations = Observations()
        self._mouse = PlaceMode(scene, self._observations)
        self.node: slicer.vtkMRMLMarkupsFiducialNode | None = None

    @property
    def isPlacing(self) -> bool:
        """Whether the next click in a view places it."""
        node = self.node
        if node is None or node.GetScene() is None:  # the user may have deleted it
            return False
        return bool(self._mouse.placed == node.GetID())

    def start(self) -> None:
        """Let the next click in a view place it; an earlier point goes."""
        self.hide()
        node = addPoint(self._scene, self._title, self._role, "right_ventricle")
        node.SetControlPointLabelFormat(self._title)
        for event in (node.PointPositionDefinedEvent, node.PointEndInteractionEvent):
            self._observations.add(node, event, self._placed)
        self.node = node
        self._mouse.take(node, persistent=False, changed=self._changed)

    def stop(self) -> None:
        """Give the mouse back; a point that was placed stays."""
        if self.node is None:
            return
        if self.isPlacing:
            self._mouse.end()
        self._mouse.endIfDeleted()
        self._mouse.giveBack({self.node.GetID()})

    def hide(self) -> None:
        """Take the node out of the scene."""
        self.stop()
        node, self.node = self.node, None
        self._observations.removeAll()
        if node is not None and node.GetScene() is not None:
            node.GetScene().RemoveNode(node)

    def _changed(self) -> None:
        if self.node is not None and self._mouse.placed is None:
            self._mouse.giveBack({self.node.GetID()})
            self._onEnded()

    def _placed(self) -> None:
        if self.node is not None and self.node.GetNumberOfDefinedControlPoints():
            ras = [0.0, 0.0, 0.0]
            self.node.GetNthControlPointPositionWorld(0, ras)
            self._onPlaced(ras)

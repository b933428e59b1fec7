"""A point that the reader drags around the heart to choose the remote sector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer

from myops import labels as regions
from myops.report.colors import rgb
from MyoPSSegmenterLib.Scene.Observations import Observations
from MyoPSSegmenterLib.Scene.PlaceMode import activePlaceKept
from MyoPSSegmenterLib.Scene.SceneBridge import voxelFromWorld, worldFromVoxel

if TYPE_CHECKING:
    from myops.case import Case
    from myops.quantify.thresholds.remote import RemoteRegion

MARKUPS = "vtkMRMLMarkupsFiducialNode"
ROLE_ATTRIBUTE, ROLE = "MyoPS.role", "remote"
# Where nothing of the remote region lies in a slice: this share of the LV's radius.
WALL_SHARE = 0.85


class RemoteHandle:
    """The point's node, and what happens when the reader lets it go.

    Attributes:
        node: the markups node; None while the handle is hidden.
    """

    def __init__(
        self, scene: slicer.vtkMRMLScene, onMoved: Callable[[Sequence[float]], object]
    ) -> None:
        """Begin hidden.

        Args:
            scene: gets the node.
            onMoved: called with RAS mm when a drag ends, or when a script moved the point.
        """
        self._scene = scene
        self._onMoved = onMoved
        self._observations = Observations()
        self._dragged = self._placing = False
        self.node: slicer.vtkMRMLMarkupsFiducialNode | None = None

    @property
    def isDragged(self) -> bool:
        """Whether the reader holds it right now."""
        return self._dragged

    def show(self, ras: Sequence[float]) -> None:
        """Show the point, or bring it, to a place."""
        if self.node is None or self.node.GetScene() is None:
            self._make()
        node: Any = self.node
        self._placing = True
        try:
            if node.GetNumberOfControlPoints() == 0:
                node.AddControlPoint(*ras)
                node.SetNthControlPointLabel(0, "Remote")
            else:
                node.SetNthControlPointPosition(0, *ras)
        finally:
            self._placing = False

    def hide(self) -> None:
        """Take the node out of the scene."""
        node, self.node, self._dragged = self.node, None, False
        if node is None:
            return
        self._observations.removeAll()
        if node.GetScene() is not None:
            node.GetScene().RemoveNode(node)

    def _make(self) -> None:
        self.hide()
        # One that came back with a saved scene is replaced: nothing observes it.
        for index in reversed(range(self._scene.GetNumberOfNodesByClass(MARKUPS))):
            found = self._scene.GetNthNodeByClass(index, MARKUPS)
            if found.GetAttribute(ROLE_ATTRIBUTE) == ROLE:
                self._scene.RemoveNode(found)
        node = addPoint(self._scene, "Remote region", ROLE, "remote")
        self._observations.add(node, node.PointStartInteractionEvent, self._onStart)
        self._observations.add(node, node.PointEndInteractionEvent, self._onEnd)
        self._observations.add(node, node.PointModifiedEvent, self._onModified)
        self.node = node

    def _onStart(self) -> None:
        self._dragged = True

    def _onEnd(self) -> None:
        self._dragged = False
        self._tell()

    def _onModified(self) -> None:
        if not self._dragged and not self._placing:
            self._tell()

    def _tell(self) -> None:
        if self.node is not None and self.node.GetNumberOfControlPoints():
            ras = [0.0, 0.0, 0.0]
            self.node.GetNthControlPointPosition(0, ras)
            self._onMoved(ras)


def addPoint(
    scene: slicer.vtkMRMLScene, title: str, role: str, color: str
) -> slicer.vtkMRMLMarkupsFiducialNode:
    """A node for one point that is not there yet; the mouse adds to what it added to before.

    Args:
        scene: gets the node.
        title: its name.
        role: tells it from other markups, also in a scene that was loaded.
        color: one of `report.colors.COLORS`.
    """
    with activePlaceKept(scene):
        node = scene.AddNewNodeByClass(MARKUPS, title)
    node.SetAttribute(ROLE_ATTRIBUTE, role)
    node.SetMaximumNumberOfControlPoints(1)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    if display is not None:
        display.SetColor(*rgb(color))
        display.SetSelectedColor(*rgb(color))
    return node


def sectorAngle(case: Case, labels: np.ndarray, ras: Sequence[float]) -> float | None:
    """Angle of a place around the LV's center in its slice, or in the nearest slice with LV.

    Args:
        case: the labels' case.
        labels: uint16 (z, y, x), MyoPS values.
        ras: the place in mm.

    Returns:
        Degrees 0..360 counterclockwise as displayed, 0 = image right, as `Sector` has it; None
        without any LV.
    """
    depth, row, column = voxelFromWorld(case, ras)
    index = nearestLvSlice(labels, depth)
    if index is None:
        return None
    centerRow, centerColumn = _center(labels[index])
    xMm, yMm, _ = case.geometry.spacing_mm
    right, up = (column - centerColumn) * xMm, (centerRow - row) * yMm
    return float(np.degrees(np.arctan2(up, right)) % 360.0)


def handlePlace(
    case: Case, labels: np.ndarray, remote: RemoteRegion, depth: float
) -> tuple[float, float, float] | None:
    """RAS of the middle of a remote region in the slice nearest to `depth`; None without LV."""
    index = nearestLvSlice(labels, depth)
    if index is None:
        return None
    plane = labels[index]
    row, column = _center(plane)
    xMm, yMm, _ = case.geometry.spacing_mm
    rows, columns = np.nonzero(remote.mask[index])
    if rows.size:
        radius = float(np.hypot((columns - column) * xMm, (rows - row) * yMm).mean())
    else:
        area = np.count_nonzero(regions.lv_region(plane)) * xMm * yMm
        radius = WALL_SHARE * float(np.sqrt(area / np.pi))
    angle = np.radians(remote.center_angle_deg)
    place = (row - radius * np.sin(angle) / yMm, column + radius * np.cos(angle) / xMm)
    return worldFromVoxel(case, index, *place)


def nearestLvSlice(labels: np.ndarray, depth: float) -> int | None:
    """Index of the slice with LV that is nearest to a continuous index; None without any."""
    held = np.flatnonzero(regions.lv_region(labels).any(axis=(1, 2)))
    return int(held[np.abs(held - depth).argmin()]) if held.size else None


def _center(plane: np.ndarray) -> tuple[float, float]:
    """Row and column of the middle of the LV, as the remote sector turns about it."""
    rows, columns = np.nonzero(regions.lv_region(plane))
    return float(rows.mean()), float(columns.mean())

"""What Slicer's mouse places: taken in hand for a while, and given back as it was found.

Slicer's Markups logic makes every new markups node the one that the mouse adds to, whoever made it,
and goes on adding to it in whatever module the user is. So nodes are made under `activePlaceKept`,
and a tool that is laid down leaves the list that was active before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import slicer

from MyoPSSegmenterLib.Scene.Observations import Observations

# What tells our markups from others, also in a scene that was loaded.
OWN_ATTRIBUTES = ("MyoPS.prompts", "MyoPS.role")
# Class name and node ID of what the mouse adds to.
Active = tuple[str | None, str | None]


class PlaceMode:
    """Slicer's Place mode as one tool uses it."""

    def __init__(self, scene: slicer.vtkMRMLScene, observations: Observations) -> None:
        """Begin with nothing in hand.

        Args:
            scene: whose selection and interaction nodes are used; they are made where missing.
            observations: of the owner, which ends them.
        """
        self._scene, self._observations = scene, observations
        self._before: Active | None = None
        self._taken: slicer.vtkMRMLMarkupsNode | None = None

    @property
    def placed(self) -> str | None:
        """ID of the node that the next click in a view adds to; None if clicks place nothing."""
        interaction = self._interaction
        if interaction.GetCurrentInteractionMode() != interaction.Place:
            return None
        found = _selection(self._scene).GetActivePlaceNodeID()
        return None if found is None else str(found)

    def take(
        self, node: slicer.vtkMRMLMarkupsNode, persistent: bool, changed: Callable[[], object]
    ) -> None:
        """Let clicks in the views add to a node.

        Args:
            node: of the scene.
            persistent: go on after a point, instead of one time only.
            changed: called when the mouse's mode changes.
        """
        if self._before is None:
            self._before = self._foreign(_active(self._scene))
        self._taken = node
        _activate(self._scene, (node.GetClassName(), node.GetID()))
        interaction = self._interaction
        self._observations.removeAll(interaction)
        self._observations.add(interaction, interaction.InteractionModeChangedEvent, changed)
        interaction.SetPlaceModePersistence(int(persistent))
        interaction.SetCurrentInteractionMode(interaction.Place)

    def end(self) -> None:
        """Let the mouse do what it does in Slicer."""
        interaction = self._interaction
        interaction.SetPlaceModePersistence(0)
        interaction.SetCurrentInteractionMode(interaction.ViewTransform)

    def giveBack(self, own: set[str]) -> None:
        """Make active again what was so before `take`, unless another tool has chosen since.

        Args:
            own: IDs of the nodes that were placed here.
        """
        before, self._before = self._before, None
        isDeleted, self._taken = self._isDeleted, None
        active = _active(self._scene)[1]
        isNothing = active is None or self._scene.GetNodeByID(active) is None
        if before is not None and isDeleted and isNothing:
            self.end()  # else clicks would make lists of Slicer's own
        if before is not None and (active in own or (isDeleted and isNothing)):
            isThere = before[1] is not None and self._scene.GetNodeByID(before[1]) is not None
            _activate(self._scene, before if isThere else (before[0], None))

    def _foreign(self, active: Active) -> Active:
        """What was active, unless it is another list of ours."""
        node = None if active[1] is None else self._scene.GetNodeByID(active[1])
        isOurs = node is not None and any(node.GetAttribute(name) for name in OWN_ATTRIBUTES)
        return (active[0], None) if isOurs else active

    def endIfDeleted(self) -> None:
        """The user may have deleted the node that the mouse adds to."""
        if self._isDeleted:
            self.giveBack(set())

    @property
    def _isDeleted(self) -> bool:
        return self._taken is not None and self._taken.GetScene() is None

    @property
    def _interaction(self) -> slicer.vtkMRMLInteractionNode:
        return _singleton(self._scene, "vtkMRMLInteractionNode")


@contextmanager
def activePlaceKept(scene: slicer.vtkMRMLScene) -> Iterator[None]:
    """Whatever markups are made meanwhile, the mouse adds to what it added to before."""
    before = _active(scene)
    try:
        yield
    finally:
        if _active(scene) != before:
            _activate(scene, before)


def _active(scene: slicer.vtkMRMLScene) -> Active:
    selection = _selection(scene)
    return selection.GetActivePlaceNodeClassName(), selection.GetActivePlaceNodeID()


def _activate(scene: slicer.vtkMRMLScene, active: Active) -> None:
    selection = _selection(scene)
    selection.SetReferenceActivePlaceNodeClassName(active[0])
    selection.SetActivePlaceNodeID(active[1])


def _selection(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLSelectionNode:
    return _singleton(scene, "vtkMRMLSelectionNode")


def _singleton(scene: slicer.vtkMRMLScene, className: str) -> slicer.vtkMRMLNode:
    """The one selection or interaction node; every application logic makes them."""
    node = scene.GetSingletonNode("Singleton", className)
    if node is None:
        node = scene.CreateNodeByClass(className)
        node.UnRegister(None)
        node.SetSingletonTag("Singleton")
        node = scene.AddNode(node)
    return node

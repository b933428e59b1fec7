"""A real MRML scene as desktop Slicer makes it at its start, for tests and scripts."""

from __future__ import annotations

from typing import Any

from myops_web.scene import Scene as Scene

# Attributes of the module's own markups.
OWN_ATTRIBUTES = ("MyoPS.prompts", "MyoPS.role")


def ourActiveList(scene: Any) -> str | None:
    """Name of the markups node of the module that Slicer's mouse adds to; None if it is another's.

    Without a tool in hand it must be None: points that are placed in another module would go there.
    """
    selection = scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    found = None if selection is None else selection.GetActivePlaceNodeID()
    node = None if found is None else scene.GetNodeByID(found)
    if node is None or not any(node.GetAttribute(name) for name in OWN_ATTRIBUTES):
        return None
    return str(node.GetName())

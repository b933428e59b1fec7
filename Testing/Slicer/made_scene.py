"""A real MRML scene as desktop Slicer makes it at its start, for tests and scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# Attributes of the module's own markups.
OWN_ATTRIBUTES = ("MyoPS.prompts", "MyoPS.role")
# The logics of desktop Slicer that the module relies on, in an order in which none misses another.
LOGICS = (
    "vtkSlicerVolumesLogic",
    "vtkSlicerTransformLogic",
    "vtkSlicerSubjectHierarchyModuleLogic",
    "vtkSlicerSegmentationsModuleLogic",
    "vtkSlicerMarkupsLogic",
    "vtkSlicerTablesLogic",
    "vtkSlicerPlotsLogic",
)


class Scene:
    """A scene with the singletons and logics that desktop Slicer gives it at start."""

    def __init__(self, cacheFolder: Path) -> None:
        """Make them.

        Args:
            cacheFolder: where the scene unpacks .mrb files.
        """
        import slicer

        self.scene = slicer.vtkMRMLScene()
        # Makes the selection and interaction nodes.
        self.applicationLogic = slicer.vtkMRMLApplicationLogic()
        self.applicationLogic.SetMRMLScene(self.scene)
        self.colorLogic = slicer.vtkMRMLColorLogic()
        self.colorLogic.SetMRMLScene(self.scene)
        self.logics = [getattr(slicer, name)() for name in LOGICS]
        for logic in self.logics:
            logic.SetMRMLApplicationLogic(self.applicationLogic)
            logic.SetMRMLScene(self.scene)
        self.remoteLogic = slicer.vtkMRMLRemoteIOLogic()
        self.remoteLogic.GetCacheManager().SetRemoteCacheDirectory(str(cacheFolder))
        self.remoteLogic.SetMRMLApplicationLogic(self.applicationLogic)
        self.remoteLogic.SetMRMLScene(self.scene)
        self.remoteLogic.AddDataIOToScene()

    def close(self) -> None:
        """Close the scene, as desktop Slicer does at its end."""
        self.scene.Clear(1)


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

"""A MRML scene with the logics that desktop Slicer gives it at its start, without the desktop."""

from __future__ import annotations

from pathlib import Path

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
    """A scene with the singletons and logics of desktop Slicer."""

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

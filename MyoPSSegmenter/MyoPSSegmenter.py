"""MyoPS Segmenter: myocardial scar and edema from bSSFP, LGE and T2 cardiac MR, in grams.

The module file only names things and passes calls on: the panel is in MyoPSSegmenterLib/Panels, the
logic in MyoPSSegmenterLib, the library in myops. Nothing outside Slicer is imported here.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

USER_GUIDE = "https://github.com/MyoPSSegmenter/MyoPSSegmenter/blob/main/Docs/how-to/user-guide.md"
# vtkCommand::ModifiedEvent; the name spares the import of vtk.
MODIFIED = "ModifiedEvent"
# Packages whose modules a reload has to read again.
OWN_PACKAGES = ("MyoPSSegmenterLib", "myops")


class MyoPSSegmenter(ScriptedLoadableModule):
    """What Slicer shows of the module."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("MyoPS Segmenter")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Cardiac")]
        parent.dependencies = []
        parent.contributors = ["The MyoPS Segmenter contributors"]
        parent.helpText = _(
            "Finds myocardial scar and edema in bSSFP, LGE and T2 cardiac MR, corrects them with a "
            "few clicks, and measures them in grams. For research use only; not a medical device. "
            '<a href="{guide}">User guide</a>'
        ).format(guide=USER_GUIDE)
        parent.acknowledgementText = _(
            "The networks follow published work, which the user guide cites. Apache License 2.0."
        )
        slicer.app.connect("startupCompleted()", registerLayouts)
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerLayouts() -> None:
    """Make our layouts known before a scene that was saved with one is opened."""
    from MyoPSSegmenterLib.Scene.Layouts import registerLayout

    registerLayout(slicer.mrmlScene)


def registerSampleData() -> None:
    """Offer the sample patient in Slicer's Sample Data module."""
    import SampleData

    from MyoPSSegmenterLib.SampleData import registerSampleData as register

    icon = Path(__file__).parent / "Resources" / "Icons" / "MyoPSSegmenter.png"
    register(SampleData.SampleDataLogic, slicer.mrmlScene, icon, loaded=chooseVolumes)


def chooseVolumes(volumes: Mapping[str, Any]) -> None:
    """Take volumes, by sequence, as the patient, if the panel was opened before."""
    widget = getattr(slicer.modules, "MyoPSSegmenterWidget", None)
    if widget is not None and widget.logic is not None:
        widget.logic.myops.patient.adopt(volumes)


@parameterNodeWrapper
class MyoPSSegmenterParameterNode:
    """What the user chose; saved with the scene. Folders are not: they belong to a computer.

    Attributes:
        lgeVolume, bssfpVolume, t2Volume: the patient's sequences.
        device, model: where and with what step 2 computes.
        keepScarInside, allowBloodPool, moveWall: rules of step 3.
        stepMm: how far Expand and Shrink move an edge.
        overlayOpacity: of the colors on the images.
        fillColors: whether structures are filled, not outlined alone.
        reader: initials.
        exportSegmentation, exportNifti, exportCsv, exportJson: files of step 6.
        exportHtml, exportPdf: reports of step 6.
        exportDicom, exportIdentity: DICOM files of step 6, and whether they name the patient.
    """

    lgeVolume: slicer.vtkMRMLScalarVolumeNode
    bssfpVolume: slicer.vtkMRMLScalarVolumeNode
    t2Volume: slicer.vtkMRMLScalarVolumeNode
    device: str = "auto"
    model: str = "default"
    keepScarInside: bool = True
    allowBloodPool: bool = False
    moveWall: bool = True
    stepMm: Annotated[float, WithinRange(0.5, 5.0)] = 1.0
    overlayOpacity: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
    fillColors: bool = False
    reader: str = ""
    exportSegmentation: bool = True
    exportNifti: bool = True
    exportCsv: bool = True
    exportJson: bool = True
    exportHtml: bool = True
    exportPdf: bool = True
    exportDicom: bool = False
    exportIdentity: bool = False


class MyoPSSegmenterWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panel; what it does is in `MyoPSSegmenterLib.Panels.Workflow`."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        # Any: made in `setup`, and None again after `cleanup`.
        self.logic: Any = None
        self.workflow: Any = None
        self._parameterNode: Any = None
        self._connection: Any = None
        self._entered = False

    def setup(self) -> None:
        """Load the panel; torch need not be there."""
        ScriptedLoadableModuleWidget.setup(self)
        from MyoPSSegmenterLib.Panels.Workflow import Workflow

        registerLayouts()
        self.logic = MyoPSSegmenterLogic()
        self.workflow = Workflow(self.logic.myops, self.resourcePath)
        self.layout.addWidget(self.workflow.root)
        self.ui = self.workflow.ui
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        if getattr(self.parent, "isEntered", False):  # reloaded while the user is here
            self.enter()

    def cleanup(self) -> None:
        """End everything: timer, thread, observers, keys."""
        self.setParameterNode(None)
        self.removeObservers()
        if self.workflow is not None:
            self.workflow.cleanup()
            self.logic.close()
            self.workflow = None

    def enter(self) -> None:
        """The user came to the module."""
        self._entered = True
        self.initializeParameterNode()
        self.workflow.enter()

    def exit(self) -> None:
        """The user left the module: its keys and tools are gone, its background work goes on."""
        self._entered = False
        if self.workflow is not None:
            self.workflow.exit()
        self.setParameterNode(None)

    def onSceneStartClose(self, caller: Any, event: Any) -> None:
        """The parameter node goes with the scene."""
        self.setParameterNode(None)

    def onSceneEndClose(self, caller: Any, event: Any) -> None:
        """Begin anew if the panel is open."""
        if self._entered:
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        """Take the scene's parameter node, or a new one."""
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameterNode: Any) -> None:
        """Tie the widgets to a parameter node; None unties them."""
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._connection)
            self.removeObserver(self._parameterNode, MODIFIED, self.onParametersModified)
        self._parameterNode = parameterNode
        if parameterNode is not None:
            self._connection = parameterNode.connectGui(self.ui)
            self.addObserver(parameterNode, MODIFIED, self.onParametersModified)
        if self.workflow is not None:
            self.workflow.setParameters(parameterNode)

    def onParametersModified(self, caller: Any = None, event: Any = None) -> None:
        """The user chose something."""
        self.workflow.parametersChanged()

    def onReload(self) -> None:
        """Developer mode: read our own packages again too, not only this file."""
        for name in list(sys.modules):
            if name.split(".")[0] in OWN_PACKAGES:
                del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)


class MyoPSSegmenterLogic(ScriptedLoadableModuleLogic):
    """The module's logic for scripts: `myops` does everything, see `MyoPSSegmenterLib.ModuleLogic`.

    Attributes:
        myops: the `MyoPSLogic` of Slicer's scene.
    """

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        from MyoPSSegmenterLib.ModuleLogic import MyoPSLogic

        self.myops = MyoPSLogic(slicer.mrmlScene)
        self._parameters: tuple[Any, Any] = (None, None)

    def getParameterNode(self) -> Any:
        """The parameter node with typed values: the same as long as its node is the same.

        Each one that is made observes the node for ever.
        """
        node = super().getParameterNode()
        if self._parameters[0] is not node:
            made: Any = MyoPSSegmenterParameterNode  # the decorator gives it a constructor
            self._parameters = (node, made(node))
        return self._parameters[1]

    def close(self) -> None:
        """End the background work and take back all observers."""
        self.myops.close()


class MyoPSSegmenterTest(ScriptedLoadableModuleTest):
    """The self-test: the sample patient from loading to a mass in grams."""

    def setUp(self) -> None:
        """Begin with an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        """Run the whole test."""
        self.setUp()
        self.test_the_panel_opens_and_closes()
        self.setUp()
        self.test_sample_patient_is_segmented_and_measured()

    def test_the_panel_opens_and_closes(self) -> None:
        """The module's own widget is made, entered and left."""
        from MyoPSSegmenterLib.Panels.Waiting import STEPS

        widget = slicer.util.getModuleWidget("MyoPSSegmenter")
        wasEntered = widget._entered
        widget.enter()
        self.assertEqual(set(widget.workflow.panels), set(STEPS))
        self.assertIsNotNone(widget.workflow.panels["patient"].parameters)
        widget.exit()
        self.assertIsNone(widget.workflow.panels["patient"].parameters)
        if wasEntered:
            widget.enter()

    def test_sample_patient_is_segmented_and_measured(self) -> None:
        """Load, segment, measure; says that it was skipped where torch is missing."""
        from MyoPSSegmenterLib.SelfTest import segmentSamplePatient

        self.delayDisplay(_("Segmenting the sample patient"))
        logic = MyoPSSegmenterLogic()
        try:
            masses = segmentSamplePatient(logic.myops, slicer.app.temporaryPath)
        finally:
            logic.close()
        if masses is None:
            self.skipTest("PyTorch is not installed: the sample patient was loaded, not segmented")
            return
        self.assertGreater(masses["lv_myocardium"].mass_g, 20.0)
        self.delayDisplay(_("Test passed"))

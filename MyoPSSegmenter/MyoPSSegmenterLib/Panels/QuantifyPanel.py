"""Step 4: masses, conventional methods, remote region, bull's-eye and the plot by slice."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from slicer.i18n import tr as _

from myops.report.bullseye import QUANTITIES
from MyoPSSegmenterLib.Panels.Panel import Panel, fillChoices, offer
from MyoPSSegmenterLib.Panels.PanelLogic import PanelLogic
from MyoPSSegmenterLib.Scene.BullsEye import bullsEyePlot, fitToView
from MyoPSSegmenterLib.Scene.MeasurementTables import massTable, methodsTable
from MyoPSSegmenterLib.Scene.SlicePlot import slicePlot

NONE = ""
ROW_HEIGHT = 24
OF_MOVED_REMOTE = ("remoteAutomaticButton", "remoteWidthSpinBox")
# Button to the landmark that the next click places.
LANDMARK_BUTTONS = {
    "insertionButton": "anterior",
    "inferiorButton": "inferior",
    "apexButton": "apex",
    "muscleButton": "muscle",
}
VIEWS = {"bullsEyeView": "MyoPSBullsEye", "slicePlotView": "MyoPSSlicePlot"}


class QuantifyPanel(Panel):
    """Tables and plots are nodes that the logic keeps up to date; here they are shown."""

    def __init__(self, logic: PanelLogic, ui: Any, root: Any) -> None:
        super().__init__(logic, ui, root)
        self._views: dict[str, Any] = {}
        waiting = (*OF_MOVED_REMOTE, *LANDMARK_BUTTONS, "landmarksAutomaticButton")
        self._tips = {name: getattr(ui, name).toolTip for name in waiting}
        self.connect(ui.methodSelector, "currentIndexChanged(int)", self.showMethod)
        self.connect(ui.remoteButton, "clicked()", self.showRemote)
        self.connect(ui.remoteWidthSpinBox, "valueChanged(int)", self.setRemoteWidth)
        self.connect(ui.remoteAutomaticButton, "clicked()", self.logic.quantify.clearRemote)
        for button in LANDMARK_BUTTONS:
            self.connect(getattr(ui, button), "clicked()", partial(self.placeLandmark, button))
        self.connect(ui.landmarksAutomaticButton, "clicked()", logic.quantify.clearLandmarks)
        self.connect(ui.bullsEyeSelector, "currentIndexChanged(int)", self.setBullsEye)
        self.connect(ui.plotTabs, "currentChanged(int)", self._fit)
        self._size: tuple[int, int] | None = None
        for table in (ui.massTable, ui.methodsTable):
            # Slicer numbers the rows, which means nothing here and takes the room of a row.
            table.verticalHeader().hide()
            table.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        quantities = [(name, _(one.short)) for name, one in QUANTITIES.items()]
        fillChoices(ui.bullsEyeSelector, quantities, logic.quantify.bullsEyeQuantity)
        self.listen("prompts", self._showLandmarks)
        for topic in ("numbers", "measurements", "labels", "clear"):
            self.listen(topic, self.update)

    def showNodes(self) -> None:
        """Tie tables and plots to the scene's nodes; again after the scene was closed."""
        scene, measurements = self.logic.scene, self.logic.quantify.measurements
        for view, node in (("massTable", massTable(scene)), ("methodsTable", methodsTable(scene))):
            widget = getattr(self.ui, view)
            if widget.mrmlTableNode() is not node:
                # Without a scene the view keeps nothing of its own in it.
                widget.setMRMLTableNode(node)
        if measurements is not None and not self._views:
            quantity = self.logic.quantify.bullsEyeQuantity
            self._showChart("bullsEyeView", bullsEyePlot(scene, measurements.regional, quantity))
            self._showChart("slicePlotView", slicePlot(scene, measurements))
            self._fit()

    def update(self, **_values: object) -> None:
        """Show the logic's state; harmless at any time."""
        quantify = self.logic.quantify
        if self.logic.correction.labels is None:
            self._views = {}
            self.ui.staleLabel.text = ""
            return
        if not self._views:
            self.showNodes()
        if quantify.problem:
            self.ui.staleLabel.text = quantify.problem
        elif quantify.stale:
            self.ui.staleLabel.text = _("Methods, segments and plots are being updated…")
        else:
            self.ui.staleLabel.text = "\n".join(quantify.qualityWarnings)
        self.ui.staleLabel.visible = bool(self.ui.staleLabel.text)
        self._offerMethods()
        automatic = _("The remote region is automatic: show it, and drag its point.")
        for name in OF_MOVED_REMOTE:
            reason = automatic if quantify.sector is None else None
            offer(getattr(self.ui, name), reason, self._tips[name])
        self._showLandmarks()
        for table in (self.ui.massTable, self.ui.methodsTable):
            # The view does so once, when it gets its table: that is empty then.
            table.resizeColumnsToContents()
        self._fit()

    def followSize(self) -> None:
        """Keep the bull's-eye round when the panel is made wider; called by the panel's timer."""
        size = (self.ui.bullsEyeView.width, self.ui.bullsEyeView.height)
        if size != self._size:
            self._size = size
            self._fit()

    def showMethod(self) -> None:
        """Show the chosen method's mask, and only that one."""
        chosen = self.ui.methodSelector.currentData or NONE
        for name in self.logic.quantify.shownMethods - {chosen}:
            self.logic.quantify.showMethod(name, False)
        if chosen:
            self.logic.quantify.showMethod(chosen, True)

    def showRemote(self) -> None:
        """Show the remote region and the point that moves it, or hide them."""
        # With a tool in hand the point could not be dragged.
        self.logic.correction.stopPlacing()
        self.logic.quantify.showRemote(self.ui.remoteButton.checked)

    def placeLandmark(self, button: str) -> None:
        """Let the next click in an image say where the landmark of a button lies; or not, again."""
        wanted = getattr(self.ui, button).checked  # what stops the other tool shows it anew
        self.logic.correction.stopPlacing()
        self.logic.quantify.placeLandmark(LANDMARK_BUTTONS[button] if wanted else None)

    def _showLandmarks(self, **_values: object) -> None:
        quantify, case = self.logic.quantify, self.logic.correction.case
        known, placing = quantify.landmarks, quantify.placingLandmark
        for button, which in LANDMARK_BUTTONS.items():
            getattr(self.ui, button).checked = placing == which
        found = _("The landmarks are found automatically: click one in an image to choose it.")
        first = _("Click the RV insertion first: the septum begins there.")
        noT2 = _("Waits for a T2 image: signals are compared there.")
        anterior = known is not None and known.anterior_insertion is not None
        hasT2 = case is not None and "t2" in case.images
        for name, reason in {
            "inferiorButton": None if anterior else first,
            "muscleButton": None if hasT2 else noT2,
            "landmarksAutomaticButton": found if known is None else None,
        }.items():
            offer(getattr(self.ui, name), reason, self._tips[name])

    def setRemoteWidth(self, width: int) -> None:
        """Widen or narrow a remote region that was moved by hand."""
        sector = self.logic.quantify.sector
        if sector is not None:
            self.logic.quantify.setRemoteSector(sector.center_angle_deg, width)

    def setBullsEye(self) -> None:
        """Show another quantity in the bull's-eye."""
        self.logic.quantify.setBullsEye(self.ui.bullsEyeSelector.currentData)

    def _offerMethods(self) -> None:
        methods = [(NONE, _("no method")), *self.logic.quantify.methods().items()]
        box = self.ui.methodSelector
        present = [(box.itemData(index), box.itemText(index)) for index in range(box.count)]
        if present != methods:
            shown = next(iter(self.logic.quantify.shownMethods), NONE)
            fillChoices(box, methods, shown)

    def _showChart(self, view: str, chart: Any) -> None:
        """Show a chart in a view of the panel."""
        scene, widget = self.logic.scene, getattr(self.ui, view)
        owner = singleton(scene, "vtkMRMLScriptedModuleNode", "MyoPSPlotViews")

        def prepare(node: Any) -> None:
            node.SetLayoutName(VIEWS[view])
            # A view that has an owner when it is added is not the layout's: Slicer makes no second
            # widget for it.
            node.SetAndObserveParentLayoutNodeID(owner.GetID())
            # What other modules show in "the" plot view does not come here.
            node.SetDoPropagatePlotChartSelection(False)

        node = singleton(scene, "vtkMRMLPlotViewNode", VIEWS[view], prepare)
        node.SetPlotChartNodeID(chart.GetID())
        widget.setMRMLScene(scene)
        widget.setMRMLPlotViewNode(node)
        self._views[view] = chart

    def _fit(self) -> None:
        """Keep the bull's-eye round in a view that is wider than tall."""
        chart, view = self._views.get("bullsEyeView"), self.ui.bullsEyeView
        if chart is not None and chart.GetScene() is not None:
            fitToView(chart, view.width, view.height)


def singleton(
    scene: Any, className: str, tag: str, prepare: Callable[[Any], object] = lambda _node: None
) -> Any:
    """The one node of a tag, which is not saved; made, and prepared, when it is not there."""
    node = scene.GetSingletonNode(tag, className)
    if node is None:
        made = scene.CreateNodeByClass(className)
        made.UnRegister(None)
        made.SetSingletonTag(tag)
        made.SetName(tag)
        made.SetSaveWithScene(False)
        made.SetHideFromEditors(True)
        prepare(made)
        node = scene.AddNode(made)
    return node

"""Step 2: the automatic segmentation, its progress, and how to stop it."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from MyoPSSegmenterLib.Panels.Panel import Panel, fillChoices
from MyoPSSegmenterLib.Panels.PanelLogic import PanelLogic
from MyoPSSegmenterLib.Steps.AutomaticLogic import NODE_ATTRIBUTE

STEPS = 1000


class AutomaticPanel(Panel):
    """Device, model, Run that becomes Cancel, and progress with the remaining time."""

    def __init__(self, logic: PanelLogic, ui: Any, root: Any) -> None:
        super().__init__(logic, ui, root)
        self._devices: list[tuple[str, str]] = []
        self.connect(ui.runButton, "clicked()", self.runOrCancel)
        self.connect(ui.deviceSelector, "currentIndexChanged(int)", self._deviceChosen)
        self.connect(ui.modelSelector, "currentIndexChanged(int)", self._modelChosen)
        self.connect(ui.resumeButton, "clicked()", self.resume)
        self.listen("work", self._showProgress)
        for topic in ("automatic", "patient", "clear"):
            self.listen(topic, self.update)

    def update(self, **_values: object) -> None:
        """Show the logic's state; harmless at any time."""
        devices = self.logic.automatic.devices()
        if devices != self._devices:
            self._devices = devices
            chosen = self.parameters.device if self.parameters is not None else "auto"
            fillChoices(self.ui.deviceSelector, devices, chosen)
        if self.ui.modelSelector.count == 0:
            chosen = self.parameters.model if self.parameters is not None else "default"
            fillChoices(self.ui.modelSelector, self.logic.automatic.models(), chosen)
        self.ui.resumeButton.visible = self._savedNode() is not None
        self._showProgress()

    def resume(self) -> None:
        """Go on with a segmentation that came with a saved scene."""
        node = self._savedNode()
        if node is not None:
            device, model = self._chosen("device", "auto"), self._chosen("model", "default")
            self.logic.automatic.resume(node, device, model)

    def runOrCancel(self) -> None:
        """Start, or give up what runs."""
        automatic = self.logic.automatic
        if automatic.isRunning:
            automatic.cancel()
        elif self._mayRun():
            automatic.run(self._chosen("device", "auto"), self._chosen("model", "default"))
        self.update()

    def _savedNode(self) -> Any:
        """The newest segmentation of this module that nobody corrects now; None without one."""
        logic = self.logic
        if logic.correction.session is not None or logic.automatic.isRunning:
            return None
        nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode", logic.scene)
        saved = [node for node in nodes if node.GetAttribute(NODE_ATTRIBUTE)]
        return saved[-1] if saved else None

    def _mayRun(self) -> bool:
        question = self.logic.automatic.needsQuestion()
        return question is None or slicer.util.confirmYesNoDisplay(question)

    def _chosen(self, kind: str, default: str) -> str:
        return getattr(self.ui, f"{kind}Selector").currentData or default

    def _deviceChosen(self) -> None:
        if self.parameters is not None:
            self.parameters.device = self._chosen("device", "auto")

    def _modelChosen(self) -> None:
        if self.parameters is not None:
            self.parameters.model = self._chosen("model", "default")

    def _showProgress(self) -> None:
        running = self.logic.automatic.isRunning
        task: Any = self.logic.automatic.task
        self.ui.runButton.text = _("Cancel") if running else _("Run")
        self.ui.deviceSelector.enabled = self.ui.modelSelector.enabled = not running
        self.ui.progressBar.visible = self.ui.progressLabel.visible = running
        if running:
            # The bar moves to and fro while nothing can be said yet.
            self.ui.progressBar.maximum = STEPS if task.fraction > 0 else 0
            self.ui.progressBar.value = round(STEPS * task.fraction)
            self.ui.progressLabel.text = progressText(task)


def progressText(task: Any) -> str:
    """What a task does and how long it will take: "Finding the heart · about 8 s left"."""
    stage = stageNames().get(task.stage, task.stage)
    parts = [stage[:1].upper() + stage[1:]] if stage else [task.title]
    seconds = task.remainingSeconds
    if seconds is not None:
        parts.append(_("about {time} left").format(time=duration(seconds)))
    return " · ".join(parts)


def stageNames() -> dict[str, str]:
    """What a reader sees instead of the names of the networks."""
    return {
        "heart finder": _("finding the heart"),
        "ASSN": _("finding the heart muscle"),
        "PRSN": _("finding edema and scar"),
        "labels": _("putting it together"),
        "done": _("showing the result"),
        "encoding": _("preparing the images for clicks"),
    }


def duration(seconds: float) -> str:
    """A time for people: "8 s", "3 min 20 s", "1 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"

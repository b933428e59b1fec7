"""The whole panel: six steps from top to bottom, status line, keys, and the timer behind it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from MyoPSSegmenterLib.Panels.AutomaticPanel import AutomaticPanel, progressText
from MyoPSSegmenterLib.Panels.CorrectionPanel import CorrectionPanel
from MyoPSSegmenterLib.Panels.ExportPanel import ExportPanel
from MyoPSSegmenterLib.Panels.InstallPanel import InstallPanel
from MyoPSSegmenterLib.Panels.Panel import Panel, styleOn
from MyoPSSegmenterLib.Panels.PanelLogic import PanelLogic
from MyoPSSegmenterLib.Panels.PatientPanel import PatientPanel
from MyoPSSegmenterLib.Panels.QuantifyPanel import QuantifyPanel
from MyoPSSegmenterLib.Panels.Shortcuts import Shortcuts, listed
from MyoPSSegmenterLib.Panels.SliceNumbers import SliceNumbers
from MyoPSSegmenterLib.Panels.StudyPanel import StudyPanel
from MyoPSSegmenterLib.Panels.Waiting import STEPS, waitsFor
from MyoPSSegmenterLib.Scene.Views import currentSlice

logger = logging.getLogger(__name__)
POLL_MS = 30
# While work runs the main thread hands the interpreter over for so long, and so often: Slicer keeps
# it while its event loop waits, so that the rest of the time is lost to the work.
BUSY_POLL_MS, GIVE_MS = 10, 8
LOOK_S = 0.03
CLOCK_S = 1.0
STATUS_MS = 5000
STEP_PANELS: dict[str, tuple[str, type[Panel]]] = {
    "patient": ("Patient.ui", PatientPanel),
    "automatic": ("Automatic.ui", AutomaticPanel),
    "correct": ("Correction.ui", CorrectionPanel),
    "quantify": ("Quantify.ui", QuantifyPanel),
    "study": ("Study.ui", StudyPanel),
    "export": ("Export.ui", ExportPanel),
}
OPENED_BY_HAND = ("export",)
DONE_BEFORE = {"correct": ("patient", "automatic")}
MOODS = {"info": "plain", "warning": "attention", "error": "wrong"}


class Workflow:
    """All steps over one logic.

    Attributes:
        root: the widget to put into the module's panel.
        ui: every named widget of every step.
        panels: step name to its panel, see `STEP_PANELS`.
    """

    _listeners: list[Callable[[], object]]

    def __init__(self, logic: PanelLogic, resourcePath: Callable[[str], str]) -> None:
        """Load the `.ui` files and tie them to the logic.

        Args:
            logic: of the scene.
            resourcePath: full path of a file in the module's Resources.
        """
        self.logic = logic
        self.root = slicer.util.loadUI(resourcePath("UI/MyoPSSegmenter.ui"))
        self.ui = slicer.util.childWidgetVariables(self.root)
        self.root.setFocusPolicy(qt.Qt.StrongFocus)
        self._titles = {name: self._section(name).text for name in STEPS}
        self._ready: dict[str, bool] = {}
        # Any: each step's panel has methods of its own.
        self.panels: dict[str, Any] = {}
        for name, (file, panel) in STEP_PANELS.items():
            self._addStep(name, resourcePath(f"UI/{file}"), panel)
        self.install = InstallPanel(logic, self.ui, self.root, self._lookAgain)
        correction = self.panels["correct"]
        self.shortcuts = Shortcuts(correction, self.root, self.ui.correctSection)
        self.ui.shortcutsLabel.text = listed(correction)
        self._listen()
        self._startTimer()
        self.update()

    def enter(self) -> None:
        """The user came: keys work, what changed meanwhile is shown."""
        self.shortcuts.install()
        self.logic.patient.adopt()
        self.update()

    def exit(self) -> None:
        """The user left: no keys, no tool in hand. Background work goes on."""
        self.shortcuts.remove()
        self.panels["correct"].stopTool()
        self.logic.quantify.placeLandmark(None)

    def setParameters(self, parameters: Any) -> None:
        """Take the parameter node into use; None while there is none."""
        for panel in self.panels.values():
            panel.parameters = parameters
        if parameters is not None:
            self._fillParameters()
            self.parametersChanged()

    def parametersChanged(self) -> None:
        """The user chose something."""
        for panel in self.panels.values():
            if panel.parameters is not None:
                panel.parametersChanged()

    def update(self, **_values: object) -> None:
        """Show the state of everything."""
        self.install.update()
        for panel in self.panels.values():
            panel.update()
        self._offerSteps()

    def cleanup(self) -> None:
        """End: timer, keys, connections and listeners are gone."""
        self._timer.stop()
        self._numbers.follow(self.logic.scene, None)
        self._timer.disconnect("timeout()", self._tick)
        self.shortcuts.remove()
        for panel in (*self.panels.values(), self.install):
            panel.cleanup()
        for disconnect in self._listeners:
            disconnect()
        self._listeners = []

    def _section(self, name: str) -> Any:
        return getattr(self.ui, f"{name}Section")

    def _addStep(self, name: str, file: str, panel: type[Panel]) -> None:
        root = slicer.util.loadUI(file)
        self._section(name).layout().addWidget(root)
        ui = slicer.util.childWidgetVariables(root)
        vars(self.ui).update(vars(ui))
        self.panels[name] = panel(self.logic, ui, root)

    def _listen(self) -> None:
        events = self.logic.events
        steps = ("patient", "automatic", "labels", "study", "clear")
        self._listeners = [events.connect(topic, self._offerSteps) for topic in steps]
        self._listeners += [
            events.connect("message", self._showMessage),
            events.connect("proposal", self.shortcuts.follow),
            events.connect("work", self._showWork),
        ]

    def _startTimer(self) -> None:
        self._ticked = self._looked = 0.0
        self._numbers = SliceNumbers()
        self._cursor: tuple[int, int] | None = None
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self._tick)
        self._timer.start()

    def _tick(self) -> None:
        """Take over what the background found; once a second, look at the clock."""
        try:
            self.logic.poll(giveMs=GIVE_MS)
            self._lookAtViews()
        except Exception as error:  # a window with every tick would bury the user
            logger.exception("The background work failed")
            self._showMessage(_("Something failed: {error}").format(error=error), "error")
        self._keepPace()
        now = time.monotonic()
        if now - self._ticked < CLOCK_S:
            return
        self._ticked = now
        place = qt.QCursor.pos()
        if (place.x(), place.y()) != self._cursor:  # whoever moves the mouse is at work
            self._cursor = (place.x(), place.y())
            self.logic.study.activity()
        self.panels["study"].showTime()

    def _lookAtViews(self) -> None:
        """Follow what the views show; not with every tick while these are many."""
        now = time.monotonic()
        if self.logic.work.isBusy and now - self._looked < LOOK_S:
            return
        self._looked = now
        self._followSlice()
        case = self.logic.correction.case or self.logic.patient.case
        self._numbers.follow(self.logic.scene, case)
        self.panels["patient"].settle()
        self.panels["quantify"].followSize()

    def _keepPace(self) -> None:
        """Tick faster while there is work for the other thread."""
        wanted = BUSY_POLL_MS if self.logic.work.isBusy else POLL_MS
        if self._timer.interval != wanted:
            self._timer.setInterval(wanted)

    def _followSlice(self) -> None:
        """Tell the logic which slice the views show: it is prepared for clicks first."""
        correction = self.logic.correction
        if correction.case is not None:
            index = currentSlice(self.logic.scene, correction.case)
            if index is not None and index != correction.currentSlice:
                correction.setCurrentSlice(index)

    def _lookAgain(self) -> None:
        """Packages were installed: begin what waited for them."""
        parameters = self.panels["automatic"].parameters
        if parameters is not None:
            self.logic.correction.setRefiner(parameters.device, parameters.model)
        self.update()

    def _fillParameters(self) -> None:
        """A new scene's parameters begin with what the logic has, if it has a patient."""
        if self.logic.patient.volumes:
            self.panels["patient"].fillSelectors()

    def _offerSteps(self, **_values: object) -> None:
        """Enable the steps that can go on, and open what comes next."""
        self._placeCaseList()
        waiting = waitsFor(self.logic)
        for name, reason in waiting.items():
            section, ready = self._section(name), reason is None
            section.enabled = ready
            section.toolTip = "" if reason is None else reason[1]
            title = self._titles[name]
            section.text = title if reason is None else f"{title} – {reason[0]}"
            if not ready:
                section.collapsed = True
            elif self._ready.get(name) is False:
                self._openStep(name)
            self._ready[name] = ready

    def _placeCaseList(self) -> None:
        """Where a study is open the reader begins with the case list: it stands first then."""
        before = self.ui.patientSection if self.logic.study.entries else self.ui.exportSection
        layout, list_ = self.root.layout(), self.ui.studySection
        if layout.indexOf(list_) != layout.indexOf(before) - 1:
            layout.removeWidget(list_)
            layout.insertWidget(layout.indexOf(before), list_)

    def _openStep(self, name: str) -> None:
        """A step became ready: open it, and close those before that are done."""
        self._section(name).collapsed = name in OPENED_BY_HAND
        for done in DONE_BEFORE.get(name, ()):
            self._section(done).collapsed = True

    def _showMessage(self, text: str, level: str = "info") -> None:
        # Also beside the tools: the top of the panel is out of sight while they are used. What is
        # said about a click is the hint there already.
        beside = "" if text == self.logic.correction.status else text
        for label, shown in (
            (self.ui.statusLabel, text),
            (self.ui.correctStatusLabel, beside),
            (self.ui.quantifyStatusLabel, text),
        ):
            label.text = shown
            label.setStyleSheet(styleOn(self.root, MOODS[level]))
        self.ui.correctStatusLabel.visible = bool(beside)
        slicer.util.showStatusMessage(text, STATUS_MS)

    def _showWork(self, **_values: object) -> None:
        """Long work that no step shows itself goes to Slicer's status bar."""
        task = self.logic.work.running
        if task is not None and task is not self.logic.automatic.task:
            slicer.util.showStatusMessage(f"{task.title} · {progressText(task)}", STATUS_MS)

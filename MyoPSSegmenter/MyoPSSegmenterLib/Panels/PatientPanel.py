"""Step 1: the patient's volumes, where they come from, and whether they fit together."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from myops.sequences import ASKED_SEQUENCES, SEQUENCE_TITLES, SEQUENCES
from MyoPSSegmenterLib.Panels.Panel import Panel, fillChoices, offer, styleOn
from MyoPSSegmenterLib.Panels.PanelLogic import PanelLogic

PERCENT = 100
SHIFT_CONTROLS = ("shiftSelector", "shiftRightSpinBox", "shiftDownSpinBox")


class PatientPanel(Panel):
    """Selectors, folder, sample patient, swapping, and checks with their remedies."""

    def __init__(self, logic: PanelLogic, ui: Any, root: Any) -> None:
        super().__init__(logic, ui, root)
        self._rows: list[Any] = []
        self._rowButtons: list[Any] = []
        self._shown: Any = None
        # The selectors are being set from the logic, not by the user.
        self._filling = False
        self._laidOut: dict[str, str] = {}
        self._fit: Any = None
        self._loading: Any = None
        self._loadText = ui.loadFolderButton.text
        self._zoomed: Any = None
        # Selectors of sequences that Patient.ui and the parameter node do not know.
        self._added = [name for name in ASKED_SEQUENCES if not hasattr(ui, f"{name}Selector")]
        for name in self._added:
            self._addSelector(name)
        for name in ASKED_SEQUENCES:
            self._selector(name).setMRMLScene(logic.scene)
        self.connect(ui.loadFolderButton, "clicked()", self.chooseFolder)
        self.connect(ui.sampleButton, "clicked()", self.loadSample)
        self.connect(ui.layoutButton, "clicked()", self.showSideBySide)
        self._nameTip = ui.caseNameEdit.toolTip
        self.connect(ui.caseNameEdit, "editingFinished()", self.rename)
        self._shiftTips = {name: getattr(ui, name).toolTip for name in SHIFT_CONTROLS}
        self.connect(ui.shiftSelector, "currentIndexChanged(int)", self._showShift)
        self.connect(ui.shiftRightSpinBox, "valueChanged(double)", self.shift)
        self.connect(ui.shiftDownSpinBox, "valueChanged(double)", self.shift)
        self._menu = self._swapMenu()
        self.listen("work", self._showLoading)
        self.listen("patient", self._patientChanged)
        self.listen("clear", self._patientChanged)
        self.listen("checks", self._showChecks)
        for topic in ("automatic", "study"):
            self.listen(topic, self._showHeart)

    def update(self) -> None:
        """Show the logic's state; harmless at any time."""
        volumes = self.logic.patient.volumes
        reason = None if len(volumes) > 1 else _("Waits for two sequences: choose them above.")
        offer(self.ui.swapButton, reason, self.ui.swapButton.whatsThis)
        reason = None if volumes else _("Waits for a patient: load a folder, or choose volumes.")
        offer(self.ui.layoutButton, reason, self.ui.layoutButton.whatsThis)
        reason = None if volumes else _("Waits for a patient: load a folder, or choose volumes.")
        offer(self.ui.caseNameEdit, reason, self._nameTip)
        self.ui.caseNameEdit.text = self.logic.patient.caseName if volumes else ""
        self._offerShift()
        self._showChecks()
        self._showLoading()

    def rename(self) -> None:
        """Call the patient something else in what is written from now on."""
        self.logic.patient.rename(self.ui.caseNameEdit.text)

    def shift(self) -> None:
        """Move the chosen sequence to where the two numbers say."""
        sequence = self.ui.shiftSelector.currentData
        if sequence:
            self.logic.patient.shift(
                sequence, self.ui.shiftRightSpinBox.value, self.ui.shiftDownSpinBox.value
            )

    def _offerShift(self) -> None:
        """Offer the sequences beside the reference, and show how the chosen one was moved."""
        case, box = self.logic.patient.case, self.ui.shiftSelector
        others = [] if case is None else [one for one in case.sequences if one != case.reference]
        choices = [(name, SEQUENCE_TITLES[name]) for name in others]
        if choices != [(box.itemData(at), box.itemText(at)) for at in range(box.count)]:
            fillChoices(box, choices, box.currentData or "t2")
        waits = _("Waits for two sequences: the one that gives the grid stays where it is.")
        for name in SHIFT_CONTROLS:
            offer(getattr(self.ui, name), None if others else waits, self._shiftTips[name])
        self._showShift()

    def _showShift(self) -> None:
        shift = self.logic.patient.shiftOf(self.ui.shiftSelector.currentData or "")
        for box, value in (
            (self.ui.shiftRightSpinBox, shift.rightMm),
            (self.ui.shiftDownSpinBox, shift.downMm),
        ):
            was = box.blockSignals(True)
            box.setValue(value)
            box.blockSignals(was)

    def parametersChanged(self) -> None:
        """The user chose a volume: a volume chosen twice changes places with the other one."""
        if self._filling or self.parameters is None:
            return
        chosen = {name: self._chosen(name) for name in ASKED_SEQUENCES}
        had = {name: self.logic.patient.volumes.get(name) for name in ASKED_SEQUENCES}
        if chosen == had:
            return
        for name in ASKED_SEQUENCES:
            for other in ASKED_SEQUENCES:
                same = chosen[name] is not None and chosen[name] is chosen[other]
                if same and name != other and chosen[name] is not had[name]:
                    chosen[other] = had[name]
        self.logic.patient.setVolumes(**chosen)

    def chooseFolder(self) -> None:
        """Ask for a patient's folder and load it; while one is loaded, give that up."""
        if self._isLoading:
            self.logic.work.cancel(self._loading)
            self.say(_("Loading was canceled; nothing was changed."))
            self._showLoading()
            return
        title = _("Choose the folder of one patient")
        folder = qt.QFileDialog.getExistingDirectory(self.root, title)
        if folder:
            self.loadFolder(folder)

    def loadFolder(self, folder: str) -> None:
        """Load a patient's folder; it is shown when the logic tells of it."""
        self._load(folder)

    def loadSample(self) -> None:
        """Make the sample patient, or take the one made before, and show it."""
        from MyoPSSegmenterLib.SampleData import cacheFolder, makeSamplePatient, sampleFolder

        self.say(_("Preparing the sample patient…"))
        folder = sampleFolder(cacheFolder(self.logic.scene))
        self._load(str(folder), lambda: makeSamplePatient(folder))

    @property
    def _isLoading(self) -> bool:
        return self._loading is not None and not self._loading.isOver

    def _load(self, folder: str, prepare: Any = lambda: None) -> None:
        if not self._isLoading:
            self._loading = self.logic.patient.beginFolder(folder, prepare)
            self._showLoading()

    def _showLoading(self, **_values: object) -> None:
        """Progress, and a button that cancels, while images are read."""
        loading = self._isLoading
        self.ui.loadFolderButton.text = _("Cancel") if loading else self._loadText
        self.ui.sampleButton.enabled = not loading
        self.ui.loadProgress.visible = loading
        if loading and self._loading.fraction > 0:
            self.ui.loadProgress.maximum = PERCENT
            self.ui.loadProgress.value = round(PERCENT * self._loading.fraction)
        elif loading:  # moves to and fro
            self.ui.loadProgress.maximum = 0

    def showSideBySide(self) -> None:
        """Lay the sequences out side by side, linked, with the segmentation on top."""
        from MyoPSSegmenterLib.Scene.Views import showSequences

        patient = self.logic.patient
        if patient.volumes:
            node = self.logic.correction.node
            self._fit = showSequences(self.logic.scene, patient.volumes, node, patient.case)

    def settle(self) -> None:
        """Fit the images into views that have just got their size; called by the panel's timer."""
        if self._fit is not None:
            self._fit.settle()

    def _selector(self, name: str) -> Any:
        return getattr(self.ui, f"{name}Selector")

    def _chosen(self, name: str) -> Any:
        """The volume that the user chose as a sequence; None for none."""
        if name in self._added:
            return self._selector(name).currentNode()
        return getattr(self.parameters, f"{name}Volume")

    def _addSelector(self, name: str) -> None:
        """Make a selector below those of Patient.ui."""
        selector = slicer.qMRMLNodeComboBox()
        selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        selector.noneEnabled, selector.noneDisplay = True, _("not available")
        selector.addEnabled = selector.removeEnabled = selector.renameEnabled = False
        selector.toolTip = SEQUENCES[name].description
        row = qt.QWidget()
        layout = qt.QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(qt.QLabel(SEQUENCE_TITLES[name]))
        layout.addWidget(selector, 1)
        steps = self.ui.findingsBox.parentWidget().layout()
        steps.insertWidget(steps.indexOf(self.ui.findingsBox), row)
        setattr(self.ui, f"{name}Selector", selector)
        self.connect(selector, "currentNodeChanged(vtkMRMLNode*)", self.parametersChanged)

    def _swapMenu(self) -> Any:
        menu = qt.QMenu(self.ui.swapButton)
        self._actions = []
        for first, second in combinations(ASKED_SEQUENCES, 2):
            title = _("{a} and {b}").format(a=SEQUENCE_TITLES[first], b=SEQUENCE_TITLES[second])
            action = qt.QAction(title, menu)
            menu.addAction(action)
            self.connect(action, "triggered()", self._swapper(first, second))
            self._actions.append(action)
        self.ui.swapButton.setMenu(menu)
        for button in (self.ui.swapButton, self.ui.layoutButton):
            button.whatsThis = button.toolTip
        return menu

    def _swapper(self, first: str, second: str) -> Any:
        return lambda: self.logic.patient.swap(first, second)

    def _patientChanged(self, **_values: object) -> None:
        """The logic has other volumes: show them in the selectors and, if new, in the views."""
        self.fillSelectors()
        volumes = self.logic.patient.volumes
        shown = {name: node.GetID() for name, node in volumes.items()}
        if shown != self._laidOut:
            self._laidOut = shown
            self._showNew()
        if self.logic.correction.session is None:
            self._zoomed = None
        self.update()

    def _showNew(self) -> None:
        """Other volumes: say which, and show them, unless a saved scene brought its views along."""
        from MyoPSSegmenterLib.Scene.Views import isShown

        patient = self.logic.patient
        if not patient.volumes:
            self._fit = None
            return
        present = (name for name in ASKED_SEQUENCES if name in patient.volumes)
        names = ", ".join(SEQUENCE_TITLES[name] for name in present)
        said = _("{patient}: {names} loaded.") if patient.files else _("{patient}: {names} chosen.")
        self.say(said.format(patient=patient.caseName, names=names))
        if not isShown(self.logic.scene, patient.volumes):
            self.showSideBySide()

    def _showHeart(self, **_values: object) -> None:
        """A new segmentation: zoom in on it, once."""
        correction = self.logic.correction
        if correction.session is not self._zoomed:
            self._zoomed = correction.session
            if correction.session is not None:
                self.showSideBySide()

    def fillSelectors(self) -> None:
        """Show the logic's volumes in the selectors."""
        if self.parameters is None:
            return
        self._filling = True
        try:
            for name in ASKED_SEQUENCES:
                node = self.logic.patient.volumes.get(name)
                if self._chosen(name) is node:
                    continue
                if name in self._added:
                    self._selector(name).setCurrentNode(node)
                else:
                    setattr(self.parameters, f"{name}Volume", node)
        finally:
            self._filling = False

    def _showChecks(self, **_values: object) -> None:
        """One row per check, with a button where the module can help or take its help back."""
        patient = self.logic.patient
        checks, problem = patient.imageChecks(), patient.problem
        several, comparing = len(patient.volumes) > 1, patient.isComparing
        state = (checks, problem, several, comparing)
        if state == self._shown:
            return
        self._shown = state
        self._clearRows()
        if problem:
            self._addRow(problem, "attention")
        for check in checks:
            self._addCheck(check)
        if comparing and several:
            self._addRow(_("The sequences are being compared…"), "plain")
        elif not checks and not problem and several:
            self._addRow(_("The sequences are aligned."), "good")

    def _addCheck(self, check: Any) -> None:
        mood = "attention" if check.isWarning else "plain"
        if check.resolvable:
            title = _("Align") if check.kind == "misalignment" else _("Resample")
            self._addRow(check.text, mood, title, lambda: self.logic.patient.resolve(check))
        elif check.undoable:
            self._addRow(check.text, mood, _("Undo"), lambda: self.logic.patient.revert(check))
        else:
            self._addRow(check.text, mood)

    def _addRow(self, text: str, mood: str, title: str = "", action: Any = None) -> None:
        row = qt.QWidget()
        layout = qt.QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        label = qt.QLabel(text)
        label.setWordWrap(True)
        label.setStyleSheet(styleOn(self.root, mood))
        layout.addWidget(label, 1)
        if action is not None:
            button = qt.QPushButton(title)
            button.setMinimumSize(90, 34)
            self.connect(button, "clicked()", action)
            layout.addWidget(button)
            self._rowButtons.append(button)
        self.ui.findingsBox.layout().addWidget(row)
        self._rows.append(row)

    def _clearRows(self) -> None:
        self._ties = [tie for tie in self._ties if tie[0] not in self._rowButtons]
        for row in self._rows:
            row.hide()
            row.setParent(None)
            row.deleteLater()
        self._rows, self._rowButtons = [], []

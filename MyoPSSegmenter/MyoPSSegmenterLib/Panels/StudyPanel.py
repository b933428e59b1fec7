"""Step 5: a folder of patients as a work list, who reads, and how long it takes."""

from __future__ import annotations

from typing import Any

import ctk
import qt
from slicer.i18n import tr as _

from MyoPSSegmenterLib.Panels.AutomaticPanel import duration
from MyoPSSegmenterLib.Panels.Panel import Panel, inkOn, offer
from MyoPSSegmenterLib.Panels.PanelLogic import PanelLogic

STATUS = {
    "new": ("○", "idle"),
    "automatic": ("◔", "begun"),
    "corrected": ("◑", "attention"),
    "approved": ("●", "good"),
}


class StudyPanel(Panel):
    """Case list with status, previous and next, approval, time spent and where it is saved."""

    def __init__(self, logic: PanelLogic, ui: Any, root: Any) -> None:
        super().__init__(logic, ui, root)
        self._shown: list[tuple[str, str]] = []
        self._marked: int | None = None
        self._tips = {
            name: getattr(ui, name).toolTip
            for name in ("openStudyButton", "previousButton", "nextButton", "approveButton")
        }
        ui.studyFolderEdit.filters = ctk.ctkPathLineEdit.Dirs
        self._prepareTable()
        self.connect(ui.readerEdit, "textChanged(QString)", self.update)
        self.connect(ui.readingSpinBox, "valueChanged(int)", self.update)
        self.connect(ui.studyFolderEdit, "currentPathChanged(QString)", self.update)
        self.connect(ui.openStudyButton, "clicked()", self.openStudy)
        self.connect(ui.caseTable, "cellDoubleClicked(int,int)", self.openCase, busy=True)
        self.connect(ui.previousButton, "clicked()", self.logic.study.previous, busy=True)
        self.connect(ui.nextButton, "clicked()", self.logic.study.next, busy=True)
        self.connect(ui.approveButton, "clicked()", self.logic.study.approve)
        for topic in ("study", "automatic", "clear"):
            self.listen(topic, self.update)

    def update(self, **_values: object) -> None:
        """Show the logic's state; harmless at any time."""
        study = self.logic.study
        self._fillTable()
        self._offerOpening()
        last = len(study.entries) - 1
        none = _("Waits for a case list: open a folder of patients.") if last < 0 else None
        first = none or (_("This is the first patient.") if study.index in (None, 0) else None)
        end = none or (_("This is the last patient.") if study.index == last else None)
        self._offer("previousButton", first)
        self._offer("nextButton", end)
        self._offer("approveButton", none or self._notYet())
        self.showTime()

    def openStudy(self) -> None:
        """Open the chosen folder as a work list."""
        folder = self.ui.studyFolderEdit
        session = str(self.ui.readingSpinBox.value)
        self.logic.study.openFolder(folder.currentPath, self._reader, session)
        folder.addCurrentPathToHistory()

    def openCase(self, row: int, column: int = 0) -> None:
        """Save the open patient and open another one."""
        self.logic.study.open(row)

    def showTime(self) -> None:
        """Time and clicks of the open case; called once a second."""
        study = self.logic.study
        if study.clock is None or study.index is None:
            self.ui.timingLabel.text = self.ui.savedLabel.text = ""
            return
        spent = duration(sum(study.clock.seconds.values()))
        clicks = len(self.logic.correction.clickTimings)
        self.ui.timingLabel.text = _("Time on this patient: {time} · {clicks} clicks").format(
            time=spent, clicks=clicks
        )
        # A case that was worked on before is saved already when it is opened again.
        isSaved = study.lastSaved or study.status not in (None, "new")
        saved = _("Saved") if isSaved else _("Saved after the first change")
        where = study.csvPath
        self.ui.savedLabel.text = f"{saved}: {where}" if where is not None else saved

    @property
    def _reader(self) -> str:
        return str(self.ui.readerEdit.text).strip()

    def _offer(self, name: str, reason: str | None) -> None:
        offer(getattr(self.ui, name), reason, self._tips[name])

    def _offerOpening(self) -> None:
        reason = None
        if not self._reader:
            reason = _("Waits for the reader’s initials.")
        elif not self.ui.studyFolderEdit.currentPath:
            reason = _("Waits for a folder of patients.")
        self._offer("openStudyButton", reason)

    def _notYet(self) -> str | None:
        study = self.logic.study
        if study.index is None:
            return _("Waits for a patient: double-click one in the list.")
        if self.logic.correction.labels is None:
            return _("Waits for a segmentation of this patient: press Run in step 2.")
        return None

    def _prepareTable(self) -> None:
        table = self.ui.caseTable
        table.setHorizontalHeaderLabels([_("Patient"), _("Status")])
        table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(30)

    def _fillTable(self) -> None:
        """Show names and status; rows that did not change stay as they are."""
        entries, table = list(self.logic.study.entries), self.ui.caseTable
        if entries != self._shown:
            self._shown = entries
            table.setRowCount(len(entries))
            for row, (name, status) in enumerate(entries):
                sign, mood = STATUS[status]
                table.setItem(row, 0, qt.QTableWidgetItem(name))
                item = qt.QTableWidgetItem(f"{sign}  {status}")
                item.setForeground(qt.QBrush(qt.QColor(inkOn(table, mood))))
                table.setItem(row, 1, item)
        # Only when another case was opened: a row that the user marks meanwhile stays marked.
        if self.logic.study.index != self._marked:
            self._marked = self.logic.study.index
            if self._marked is not None:
                table.selectRow(self._marked)

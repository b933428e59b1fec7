"""Step 6: files for other programs, for a table and for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ctk
import qt
from slicer.i18n import tr as _

from MyoPSSegmenterLib.Panels.Panel import Panel, offer
from MyoPSSegmenterLib.Panels.PanelLogic import PanelLogic
from MyoPSSegmenterLib.Steps.ExportLogic import availableFormats

FORMATS = {
    "segmentationCheckBox": "seg.nrrd",
    "niftiCheckBox": "nifti",
    "csvCheckBox": "csv",
    "jsonCheckBox": "json",
    "htmlCheckBox": "html",
    "pdfCheckBox": "pdf",
    "dicomCheckBox": "dicom",
}


class ExportPanel(Panel):
    """Which files, where to, and what was written."""

    def __init__(self, logic: PanelLogic, ui: Any, root: Any) -> None:
        super().__init__(logic, ui, root)
        self._tips = {
            name: getattr(ui, name).toolTip
            for name in (*FORMATS, "identityCheckBox", "exportButton", "openFolderButton")
        }
        self._written: Path | None = None
        self._task: Any = None
        self._folder: Path | None = None
        ui.exportFolderEdit.filters = ctk.ctkPathLineEdit.Dirs
        self.connect(ui.exportButton, "clicked()", self.export)
        self.connect(ui.openFolderButton, "clicked()", self.openFolder)
        self.connect(ui.exportFolderEdit, "currentPathChanged(QString)", self.update)
        for name in FORMATS:
            self.connect(getattr(ui, name), "toggled(bool)", self.update)
        self.listen("work", self._showTask)
        self.listen("patient", self.update)

    def update(self, **_values: object) -> None:
        """Show the logic's state; harmless at any time."""
        lacking = availableFormats()
        lacking["dicom"] = lacking["dicom"] or self._notFromDicom()
        for name, form in FORMATS.items():
            offer(getattr(self.ui, name), lacking[form], self._tips[name])
        unused = None if "dicom" in self.formats else _("Waits for a tick at DICOM files.")
        offer(self.ui.identityCheckBox, unused, self._tips["identityCheckBox"])
        waiting = None
        if self._task is not None:
            waiting = _("Waits until the files are written.")
        elif not self.formats:
            waiting = _("Waits for a choice: tick at least one kind of file.")
        elif not self.ui.exportFolderEdit.currentPath:
            waiting = _("Waits for a folder to write into.")
        offer(self.ui.exportButton, waiting, self._tips["exportButton"])
        unwritten = None if self._written is not None else _("Nothing was exported yet.")
        offer(self.ui.openFolderButton, unwritten, self._tips["openFolderButton"])

    @property
    def formats(self) -> tuple[str, ...]:
        """The ticked kinds of files that can be written here."""
        # Not `enabled`: a box is disabled too while its whole step waits.
        lacking = availableFormats()
        lacking["dicom"] = lacking["dicom"] or self._notFromDicom()
        ticked = [form for name, form in FORMATS.items() if getattr(self.ui, name).checked]
        return tuple(form for form in ticked if lacking[form] is None)

    def _notFromDicom(self) -> str | None:
        """Why no DICOM can be written of this patient; None if it can."""
        case = self.logic.patient.case
        if case is None or case.reference in case.source_frames:
            return None
        return _("Needs images that were loaded from a folder of DICOM files in step 1.")

    def export(self) -> None:
        """Write the files in the background."""
        edit = self.ui.exportFolderEdit
        folder = Path(edit.currentPath) / (self.logic.patient.caseName or "case")
        edit.addCurrentPathToHistory()
        identity = self.ui.identityCheckBox.checked
        self._task = self.logic.export(folder, self.formats, self._done, keepIdentity=identity)
        self._folder = folder
        self.ui.exportLabel.text = _("Writing…")
        self.update()

    def _done(self, files: dict[str, Path]) -> None:
        names = "\n".join(sorted(files))
        self.ui.exportLabel.text = _("Written:\n{names}").format(names=names)
        self._written = self._folder
        self.update()

    def _showTask(self, **_values: object) -> None:
        """A failed or canceled export leaves no "Writing…" behind; the message says why."""
        if self._task is not None and self._task.isOver:
            if self._task.state != "done":
                self.ui.exportLabel.text = _("Nothing was written.")
            self._task = None
            self.update()

    def openFolder(self) -> None:
        """Show the written files in the system's file browser."""
        if self._written is not None:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self._written)))

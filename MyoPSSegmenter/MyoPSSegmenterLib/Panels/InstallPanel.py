"""The note on top while packages are missing: what, what for, and a button that installs them."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from MyoPSSegmenterLib.Panels.Panel import Panel
from MyoPSSegmenterLib.Panels.PanelLogic import PanelLogic
from MyoPSSegmenterLib.Runtime import Dependencies

STEPS = 1000


class InstallPanel(Panel):
    """Hidden when nothing is missing."""

    def __init__(self, logic: PanelLogic, ui: Any, root: Any, installed: Any) -> None:
        """Begin.

        Args:
            logic: see `Panel`.
            ui: the widgets of the note.
            root: the whole panel.
            installed: called after packages came, so that other steps look again.
        """
        super().__init__(logic, ui, root)
        self._installed = installed
        self.connect(ui.installButton, "clicked()", self.install)

    def update(self) -> None:
        """Show the logic's state; harmless at any time."""
        needed = Dependencies.missing("automatic") + Dependencies.missing("files")
        self.ui.installFrame.visible = bool(needed)
        if needed:
            self.ui.installLabel.text = _(
                "Not installed yet: {names}. Everything else already works. Installing needs the "
                "internet and up to 3 GB of disk space."
            ).format(names=Dependencies.inWords(needed))

    def install(self) -> None:
        """Install what is missing, and say in plain words when it did not work."""
        self.ui.installButton.enabled = False
        self.ui.installProgress.visible = True
        try:
            Dependencies.install(self._progress)
            self.say(_("Everything is installed."))
        finally:
            self.ui.installButton.enabled = True
            self.ui.installProgress.visible = False
            self.update()
            self._installed()

    def _progress(self, fraction: float, stage: str) -> None:
        self.ui.installProgress.maximum = STEPS
        self.ui.installProgress.value = round(STEPS * fraction)
        self.say(_("Installing {stage}…").format(stage=stage))
        slicer.app.processEvents()

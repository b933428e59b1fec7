"""Keys that work anywhere in Slicer's window while the module is open, and only then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from myops.structures import STRUCTURES
from MyoPSSegmenterLib.Panels.CorrectionPanel import BUTTONS, CorrectionPanel

# Only while there is a proposal: else it belongs to whatever field the user types in.
ACCEPT = "Return"


def shortcuts(panel: CorrectionPanel) -> list[tuple[str, str, Callable[[], object]]]:
    """Key, what it does, and the function, in the order in which they are listed."""
    structures = [
        (str(index + 1), _(STRUCTURES[structure].short), _chooser(panel, structure))
        for index, structure in enumerate(BUTTONS)
    ]
    carry = panel.logic.correction.proposePropagation
    return [
        *structures,
        ("A", _("Add"), lambda: panel.useTool("positive")),
        ("R", _("Remove"), lambda: panel.useTool("negative")),
        ("B", _("Box"), lambda: panel.useTool("box")),
        ("Z", _("Undo"), panel.undo),
        ("Y", _("Redo"), panel.redo),
        ("Ctrl+Z", _("Undo, as everywhere in Slicer"), panel.undo),
        ("Ctrl+Y", _("Redo, as everywhere in Slicer"), panel.redo),
        ("C", _("Carry to neighboring slices"), carry),
        (ACCEPT, _("Accept the proposal"), panel.acceptProposal),
        ("Esc", _("Refuse the proposal, or lay the tool down"), panel.refuseProposal),
        ("N", _("Next slice to check"), panel.lookNext),
        ("H", _("Hide or show the colors"), panel.toggleOverlay),
    ]


class Shortcuts:
    """The keys of the panel: made on `install`, gone after `remove`.

    Attributes:
        installed: the shortcuts that are active.
    """

    def __init__(self, panel: CorrectionPanel, whole: Any, step: Any) -> None:
        """Begin without keys.

        Args:
            panel: what they act on.
            whole: the module's whole widget; has the keys where Slicer has no main window.
            step: the section of step 3; keys do nothing while it is disabled.
        """
        self._panel, self._whole, self._step = panel, whole, step
        self.installed: list[tuple[Any, Callable[[], None]]] = []
        self._accept: Any = None

    def install(self) -> None:
        """Make the keys; once."""
        if self.installed:
            return
        # As the Segment Editor does: a click in a view takes the focus out of the panel, and the
        # keys shall go on working. Fields of text keep the letters that are typed into them.
        window = slicer.util.mainWindow() or self._whole
        for key, _what, action in shortcuts(self._panel):
            shortcut = qt.QShortcut(window)
            shortcut.setKey(qt.QKeySequence(key))
            receiver = self._receiver(action)
            shortcut.connect("activated()", receiver)
            self.installed.append((shortcut, receiver))
            if key == ACCEPT:
                self._accept = shortcut
        self.follow()

    def follow(self, **_values: object) -> None:
        """There is a proposal to accept, or none any more."""
        if self._accept is not None:
            self._accept.enabled = self._panel.logic.correction.proposal is not None

    def remove(self) -> None:
        """Take the keys away."""
        for shortcut, receiver in self.installed:
            shortcut.disconnect("activated()", receiver)
            shortcut.enabled = False
            shortcut.setParent(None)
            shortcut.deleteLater()
        self.installed, self._accept = [], None

    def _receiver(self, action: Callable[[], object]) -> Callable[[], None]:
        guarded = self._panel._guarded(action)
        return lambda: guarded() if self._step.enabled else None


def listed(panel: CorrectionPanel) -> str:
    """The keys as a small table (HTML) for the panel."""
    rows = "".join(
        f"<tr><td><b>{key}</b>&nbsp;&nbsp;</td><td>{what}</td></tr>"
        for key, what, _action in shortcuts(panel)
    )
    return f"<table>{rows}</table>"


def _chooser(panel: CorrectionPanel, structure: str) -> Callable[[], None]:
    return lambda: panel.chooseStructure(structure)

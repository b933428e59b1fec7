"""Keys that work while the panel has the focus, and only then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from myops.structures import STRUCTURES
from MyoPSSegmenterLib.Panels.CorrectionPanel import BUTTONS, CorrectionPanel


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
        ("C", _("Carry to neighboring slices"), carry),
        ("Return", _("Accept the proposal"), panel.acceptProposal),
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
            whole: the module's whole widget; keys work while it, or a part of it, has the focus.
            step: the section of step 3; keys do nothing while it is disabled.
        """
        self._panel, self._whole, self._step = panel, whole, step
        self.installed: list[tuple[Any, Callable[[], None]]] = []

    def install(self) -> None:
        """Make the keys; once."""
        if self.installed:
            return
        for key, _what, action in shortcuts(self._panel):
            shortcut = qt.QShortcut(self._whole)
            shortcut.setKey(qt.QKeySequence(key))
            # The panel's own scope: a key pressed in a view or in another module is not ours.
            shortcut.setContext(qt.Qt.WidgetWithChildrenShortcut)
            receiver = self._receiver(action)
            shortcut.connect("activated()", receiver)
            self.installed.append((shortcut, receiver))

    def remove(self) -> None:
        """Take the keys away."""
        for shortcut, receiver in self.installed:
            shortcut.disconnect("activated()", receiver)
            shortcut.enabled = False
            shortcut.setParent(None)
            shortcut.deleteLater()
        self.installed = []

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

"""What every step shares: connections that end with it, and actions that explain errors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from myops.errors import InputError

if TYPE_CHECKING:
    from MyoPSSegmenterLib.Panels.PanelLogic import PanelLogic


# Ink of sentences on Slicer's light and its dark theme: contrast of at least 4.5 to 1 (WCAG 2.1).
INK = {
    "plain": ("", ""),
    "good": ("#1b6e20", "#81c784"),
    "attention": ("#8a5000", "#ffb74d"),
    "wrong": ("#b71c1c", "#ff8a80"),
    "begun": ("#01579b", "#81d4fa"),
    "idle": ("#5f5f5f", "#b0b0b0"),
}
MIDDLE_LIGHTNESS = 128


class Panel:
    """One step: its widgets, its logic, and what ties them.

    Attributes:
        logic: the module's logic.
        ui: the step's widgets by name.
        root: the widget that holds them all.
        parameters: the module's parameter node (wrapped); None outside of `enter` and `exit`.
    """

    def __init__(self, logic: PanelLogic, ui: Any, root: Any) -> None:
        self.logic, self.ui, self.root = logic, ui, root
        self.parameters: Any = None
        self._ties: list[tuple[Any, str, Callable[..., None]]] = []
        self._listeners: list[Callable[[], None]] = []

    def connect(
        self, widget: Any, signal: str, action: Callable[..., object], busy: bool = False
    ) -> None:
        """Call a function when the user does something.

        A wrong input becomes a message, anything unexpected an error window; both leave the panel
        usable.

        Args:
            widget: of this step.
            signal: in the form of Qt, such as "clicked()".
            action: takes as many of the signal's values as it has arguments.
            busy: it can take longer than 0.3 s: the cursor says so.
        """
        given = 0 if signal.endswith("()") else signal.count(",") + 1
        receiver = _receiver(self._guarded(action, busy), min(given, _taken(action)))
        widget.connect(signal, receiver)
        self._ties.append((widget, signal, receiver))

    def listen(self, topic: str, callback: Callable[..., object]) -> None:
        """Call a function when the logic tells something; see `Events`."""
        self._listeners.append(self.logic.events.connect(topic, callback))

    def say(self, text: str, level: str = "info") -> None:
        """Show the user a sentence."""
        self.logic.events.emit("message", text=text, level=level)

    def update(self) -> None:
        """Show the logic's state."""

    def parametersChanged(self) -> None:
        """Hand what the user chose to the logic; `parameters` is there."""

    def cleanup(self) -> None:
        """End: nothing of this step is called any more."""
        for widget, signal, receiver in self._ties:
            widget.disconnect(signal, receiver)
        for disconnect in self._listeners:
            disconnect()
        self._ties, self._listeners, self.parameters = [], [], None

    def _guarded(self, action: Callable[..., object], busy: bool = False) -> Callable[..., None]:
        def run(*values: object) -> None:
            self.logic.study.activity()
            words = _("This did not work.")
            with slicer.util.tryWithErrorDisplay(words, waitCursor=busy):
                try:
                    action(*values)
                except InputError as error:
                    self.say(str(error), "error")

        return run


def _taken(action: Callable[..., object]) -> int:
    """How many values a function takes by position."""
    byPosition = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(one.kind in byPosition for one in inspect.signature(action).parameters.values())


def _receiver(run: Callable[..., None], count: int) -> Callable[..., None]:
    """A function of exactly `count` arguments: PythonQt hands over as many as it takes."""
    if count == 0:
        return lambda: run()
    if count == 1:
        return lambda value: run(value)
    return lambda first, second: run(first, second)


def inkOn(widget: Any, mood: str) -> str:
    """Color of a sentence that can be read on a widget's background: "#rrggbb", "" for the usual.

    Args:
        widget: whose theme counts.
        mood: one of `INK`.
    """
    window = widget.palette.color(qt.QPalette.Window)
    return INK[mood][window.lightness() < MIDDLE_LIGHTNESS]


def styleOn(widget: Any, mood: str) -> str:
    """Style sheet of a sentence; see `inkOn`."""
    ink = inkOn(widget, mood)
    return f"color: {ink};" if ink else ""


def offer(widget: Any, reason: str | None, tip: str) -> None:
    """Enable a widget, or disable it and say in its tooltip what it waits for.

    Args:
        widget: any widget.
        reason: why it cannot be used now, one sentence; None if it can.
        tip: its tooltip while it can be used.
    """
    widget.enabled = reason is None
    widget.toolTip = tip if reason is None else reason


def fillChoices(box: Any, choices: Sequence[tuple[str, str]], chosen: str) -> None:
    """Put (id, title) pairs into a combo box, silently; an unknown choice is the first."""
    was = box.blockSignals(True)
    box.clear()
    for identifier, title in choices:
        box.addItem(title, identifier)
    box.setCurrentIndex(max(0, box.findData(chosen)))
    box.blockSignals(was)

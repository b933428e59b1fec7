"""What the next prompt means: the structure, the sign, and the tool in the reader's hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from myops.errors import InputError
from myops.refine.prompts import STRUCTURES
from MyoPSSegmenterLib.Runtime.Translation import tr as _

if TYPE_CHECKING:
    from MyoPSSegmenterLib.Scene.PromptNodes import PromptNodes


class PromptChoice:
    """Chosen by the reader; structure and sign are kept from case to case.

    Attributes:
        structure: what the next prompt is about, one of `myops.refine.prompts.STRUCTURES`.
        positive: whether the next click adds.
        currentSlice: z index on the case's grid that the reader looks at.
        nodes: the markups of the open case; None without one.
    """

    def __init__(self, told: Callable[[], object], redraw: Callable[[], object]) -> None:
        """Begin with a click that adds scar.

        Args:
            told: called when the choice changed.
            redraw: called when other prompts are to be shown.
        """
        self._tellPrompts, self._redraw = told, redraw
        self.structure, self.positive, self.currentSlice = "scar", True, 0
        self.nodes: PromptNodes | None = None
        self._toldPlacing: str | None = None

    @property
    def placing(self) -> str | None:
        """What the next click in a view places: "positive", "negative", "box" or None."""
        return None if self.nodes is None else self.nodes.placing

    def setStructure(self, name: str) -> None:
        """Choose what is corrected; the next click adds, whatever the one before did.

        Raises:
            InputError: unknown structure.
        """
        if name not in STRUCTURES:
            raise InputError(
                _("expected a structure among {known}, found {name!r}").format(
                    known=", ".join(STRUCTURES), name=name
                )
            )
        self.structure = name
        self._redraw()
        self.setPositive(True)

    def setPositive(self, positive: bool) -> None:
        """Choose whether the next click adds to the structure or removes from it."""
        self.positive = bool(positive)
        if self.placing in ("positive", "negative"):
            self.startPlacing("positive" if self.positive else "negative")
        else:
            self._tell()

    def startPlacing(self, kind: str) -> None:
        """Let the mouse place prompts: "positive" or "negative" clicks in a row, or one "box"."""
        if self.nodes is None:
            return
        self.nodes.startPlacing(kind)
        if kind != "box":
            self.positive = kind == "positive"
        self._tell()

    def stopPlacing(self) -> None:
        """Give the mouse back."""
        if self.nodes is not None:
            self.nodes.stopPlacing()
        self._tell()

    def boxDrawn(self) -> None:
        """A box was drawn: the mouse is free again, since one box is all that counts."""
        if self.placing == "box":
            self.stopPlacing()

    def tellIfEnded(self) -> None:
        """Tell that Escape, or another tool of Slicer, ended the placing; called by every poll."""
        if self.placing != self._toldPlacing:
            self._tell()

    def _tell(self) -> None:
        self._toldPlacing = self.placing
        self._tellPrompts()

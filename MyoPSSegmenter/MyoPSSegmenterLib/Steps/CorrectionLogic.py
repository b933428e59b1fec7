"""Corrections: prompts change the segmentation at once, and can be moved, deleted and undone.

The session of the library decides what a step does. `SessionEditor` keeps the segmentation node
equal to it, `Prompting` the markups; `PromptQueue` lets steps wait for the network. This is the
door to them for the panels, for scripts and for a browser. A script and a browser have no mouse in
a view: they use `addClick`, `addBox`, `moveClick` and `deleteClick`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import slicer

from myops.refine.missing_refiner import NoRefiner
from myops.refine.rules import Rules
from myops.refine.session import Session
from myops.refine.state_file import restore
from MyoPSSegmenterLib.Runtime.Translation import tr as _
from MyoPSSegmenterLib.Scene.LabelNode import LabelNode
from MyoPSSegmenterLib.Scene.Observations import Observations
from MyoPSSegmenterLib.Scene.OverlayNodes import removeAbandoned
from MyoPSSegmenterLib.Steps.CorrectionState import CorrectionState
from MyoPSSegmenterLib.Steps.Prompting import Prompting

if TYPE_CHECKING:
    from myops.case import Case
    from myops.refine.guidance import Suggestion
    from myops.refine.state_file import SavedState
    from myops.segmentation import Segmentation
    from MyoPSSegmenterLib.Runtime.BackgroundWork import BackgroundWork, Task
    from MyoPSSegmenterLib.Runtime.Events import Events

DEFAULT_OPACITY = 1.0


class CorrectionLogic(CorrectionState):
    """The case that is being corrected: what can be done with it."""

    def __init__(self, scene: Any, events: Events, work: BackgroundWork) -> None:
        super().__init__(events, work)
        self._scene, self._events = scene, events
        self._model = ("auto", "default")
        self._opacity, self._filled = DEFAULT_OPACITY, False
        self._stopPolling = work.whenPolled(self._polled)
        self._observations = Observations()
        self._observations.add(scene, scene.NodeRemovedEvent, self._nodeRemoved)
        self._observations.add(scene, scene.EndCloseEvent, self.clear)

    # Beginning and ending

    def start(
        self,
        case: Case,
        segmentation: Segmentation | None,
        node: slicer.vtkMRMLSegmentationNode,
        saved: SavedState | None = None,
        byHand: bool = False,
    ) -> None:
        """Begin, or go on with a saved session; the slices are encoded in the background.

        The node shows the label map when this returns. Where something is refused, the case that
        was corrected before stays.

        Args:
            case: the images.
            segmentation: where corrections start; not used with `saved`, which holds its own.
            node: a segmentation node, which gets the label map.
            saved: a session to go on with.
            byHand: the segmentation holds manual work already, that another run would not give.

        Raises:
            InputError: they do not belong together.
        """
        if saved is not None:
            session = restore(saved, case, NoRefiner())
        elif segmentation is not None:
            session = Session(NoRefiner(), case, segmentation, self.rules)
        else:
            raise ValueError("expected a segmentation or a saved session, found neither")
        shown = LabelNode(node, case, session.labels)
        self._end()
        self._editor.open(session, case, shown, byHand)
        self._choice.currentSlice = len(session.labels) // 2
        shown.setOpacity(self._opacity)
        shown.setFilled(self._filled)
        self._prompting = Prompting(self._scene, case, self._editor, self._queue, self._choice)
        self._choice.nodes = self._prompting.nodes
        self._redraw()
        self._encode(case, session)
        self._editor.tell("labels", "prompts", "history", "proposal")

    def clear(self) -> None:
        """Forget the case; its segmentation stays in the scene."""
        wasOpen = self.session is not None
        self._end()
        if wasOpen:
            self._editor.tell("labels", "prompts", "history", "proposal")

    def close(self) -> None:
        """End: no observer and no callback is left; the scene stays as it is."""
        self._end(empty=False)
        self._observations.removeAll()
        self._stopPolling()

    def setRefiner(self, device: str = "auto", model: str = "default") -> None:
        """Choose the network that answers prompts and where it runs; see `load_refiner`.

        Called again with the same, it tries again what was missing.
        """
        if (device, model) != self._model or self.refinerState == "missing":
            self._model = (device, model)
            if self.session is not None and self.case is not None:
                self._encode(self.case, self.session)
                self._editor.tell("prompts")

    @property
    def refinerModel(self) -> str:
        """Name of the network that answers prompts."""
        return self._model[1]

    # What the next prompt means

    def setStructure(self, name: str) -> None:
        """Choose what is corrected; see `PromptChoice.setStructure`."""
        self._editor.status = ""
        self._choice.setStructure(name)

    def setPositive(self, positive: bool) -> None:
        """Choose whether the next click adds to the structure or removes from it."""
        self._choice.setPositive(positive)

    def startPlacing(self, kind: str) -> None:
        """Let the mouse place prompts: "positive" or "negative" clicks in a row, or one "box"."""
        self._editor.status = ""  # what was said about the tool before
        self._choice.startPlacing(kind)

    def stopPlacing(self) -> None:
        """Give the mouse back."""
        self._choice.stopPlacing()

    def setCurrentSlice(self, index: int) -> None:
        """Say which slice the reader looks at: it is encoded first, and carried from."""
        if self.session is not None and 0 <= int(index) < len(self.session.labels):
            self._choice.currentSlice = int(index)
            self._loader.look(self.currentSlice)
            if self._prompting is not None:
                self._prompting.showBox()

    def setRules(self, keepInside: bool, allowBloodPool: bool, moveWall: bool = True) -> None:
        """Choose what the next corrections may touch; see `myops.refine.rules.Rules`."""
        self._editor.setRules(Rules(bool(allowBloodPool), bool(keepInside), bool(moveWall)))

    def setOpacity(self, value: float) -> None:
        """Set how opaque the segmentation is on the images, 0..1."""
        self._opacity = min(max(float(value), 0.0), 1.0)
        if self._editor.shown is not None:
            self._editor.shown.setOpacity(self._opacity)

    def setFilled(self, filled: bool) -> None:
        """Fill the structures on the images, or show their outlines alone, as at first."""
        self._filled = bool(filled)
        if self._editor.shown is not None:
            self._editor.shown.setFilled(self._filled)

    # Prompts

    def addClick(
        self,
        ras: Sequence[float],
        positive: bool | None = None,
        viewNormal: Sequence[float] | None = None,
    ) -> str:
        """Refine the structure by a click.

        Args:
            ras: where, in the world.
            positive: whether the place belongs to the structure; the chosen sign if None.
            viewNormal: RAS normal of the slice view it was made in; not checked if None.

        Returns:
            "done", "queued" (its slice is not encoded yet), or "ignored: " and why.
        """
        if self._prompting is None:
            return self._editor.withoutCase()
        sign = self.positive if positive is None else bool(positive)
        return self._prompting.click(ras, sign, viewNormal)

    def addBox(self, ras0: Sequence[float], ras1: Sequence[float]) -> str:
        """Refine the structure by a box, given by two opposite corners; returns as `addClick`."""
        if self._prompting is None:
            return self._editor.withoutCase()
        return self._prompting.box(ras0, ras1)

    def moveClick(self, clickId: str, ras: Sequence[float]) -> str:
        """Drag a click; it and the later ones of its slice act anew. Returns as `addClick`."""
        if self._prompting is None:
            return self._editor.withoutCase()
        return self._prompting.move(clickId, ras)

    def deleteClick(self, clickId: str) -> str:
        """Take a click away, and what it did; returns as `addClick`."""
        if self._prompting is None:
            return self._editor.withoutCase()
        return self._prompting.delete(clickId)

    # Edits of a whole structure; all return as `addClick`

    def thresholdQuestion(self) -> str | None:
        """What to ask before `threshold`; None where it replaces no manual work."""
        session = self._editor.session
        if session is None:
            return None
        self.adoptIfEdited()
        return self._edits.thresholdQuestion(session, self._editor.startedByHand)

    def threshold(self, value: float, allSlices: bool = True) -> str:
        """Make the structure what is at least this probable to the networks."""
        return self._edits.threshold(value, allSlices)

    def expand(self, mm: float = 1.0, allSlices: bool = True) -> str:
        """Let the structure grow within the slices, as far as the rules allow."""
        return self._edits.grow(abs(mm), allSlices)

    def shrink(self, mm: float = 1.0, allSlices: bool = True) -> str:
        """Take a rim of the structure away."""
        return self._edits.grow(-abs(mm), allSlices)

    def smooth(self, mm: float = 1.0, allSlices: bool = True) -> str:
        """Smooth the structure's border within the slices."""
        return self._edits.smooth(mm, allSlices)

    def undo(self) -> str:
        """Take the last step back, in all slices; a waiting prompt first."""
        return self._queue.undo()

    def redo(self) -> str:
        """Bring the last undone step back."""
        return self._queue.redo()

    def adoptNodeEdits(self) -> bool:
        """Take over what another tool did to the node; see `SessionEditor.adoptNodeEdits`."""
        return self._editor.adoptNodeEdits()

    def adoptIfEdited(self) -> None:
        """What another tool painted comes before the next step, never under it."""
        self._editor.adoptIfEdited()

    # Propagation and guidance

    def proposePropagation(self) -> Task | None:
        """Propose the current slice's correction for its neighbors; found in the background."""
        self.adoptIfEdited()
        if self.session is None:
            self._editor.withoutCase()
            return None
        if self.refinerState != "ready":
            self._editor.ignored(self.refinerProblem or _("corrections are still being prepared"))
            return None
        self._walls.drop()
        return self._propagation.propose(self.structure, self.currentSlice)

    def acceptProposal(self) -> str:
        """Take the proposed label map over, as one step; returns as `addClick`."""
        if self._walls.offer is not None:
            return self._walls.accept()
        return self._propagation.accept()

    def refuseProposal(self) -> None:
        """Leave everything as it is."""
        self._walls.drop()
        self._propagation.drop()

    def lookHereNext(self) -> Suggestion | None:
        """Name the place where a click is expected to change the scar mass most.

        Asked again without a change in between, it names the next one.
        """
        return self._guidance.next()

    # What time brings

    def _polled(self) -> None:
        """Edits that came to rest, prompts that can be answered now, a tool that was laid down."""
        self._editor.adoptWhenAtRest()
        self._queue.answerReady()
        self._choice.tellIfEnded()

    def _nodeRemoved(self) -> None:
        if self.node is None or self._scene.IsNodePresent(self.node):
            return
        isClosing = self._scene.IsClosing()
        self.clear()
        if not isClosing:
            removeAbandoned(self._scene)
        if not isClosing:
            self._events.message(_("The segmentation that was corrected was deleted."), "warning")

    def _encode(self, case: Case, session: Session) -> None:
        self._loader.begin(case, session.start, self._model, self._prepared, self._unprepared)
        self._loader.look(self.currentSlice)

    def _prepared(self, refiner: Any) -> None:
        if self.session is not None:
            self.session.refiner = refiner
        self._editor.tell("prompts")

    def _unprepared(self, reason: str) -> None:
        """Prompts that wait for a network that will not come are given back."""
        self._queue.giveBack()
        self._events.message(reason, "warning")
        self._editor.tell("prompts", "history")

    def _end(self, empty: bool = True) -> None:
        """Stop everything that belongs to the case, and forget it."""
        self._walls.drop()
        self._propagation.drop()
        self._loader.end()
        self._queue.clear()
        self._editor.close()
        if self._prompting is not None:
            self._prompting.close(empty)
        self._prompting = self._choice.nodes = None
        self._choice.currentSlice = 0
        self._guidance.forget()

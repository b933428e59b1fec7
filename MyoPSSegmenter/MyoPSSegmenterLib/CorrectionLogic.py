"""Corrections: prompts change the segmentation at once, and can be moved, deleted and undone.

The session of the library decides what a step does. This class keeps the segmentation node and the
markups equal to it, and the session equal to what the Segment Editor does to the node.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer

from myops.errors import InputError
from myops.refine.no_refiner import NoRefiner
from myops.refine.prompts import STRUCTURES
from myops.refine.rules import Rules
from myops.refine.saved import restore
from myops.refine.session import Session
from myops.structures import STRUCTURES as TABLE
from myops.structures import missing_image

from .BackgroundWork import inWords
from .Carrying import Carrying
from .Encoding import Encoding
from .LabelNode import LabelNode
from .Observations import Observations
from .Prompting import DONE, Prompting, Waiting
from .SceneBridge import worldFromVoxel
from .StructureEdits import ThresholdEdits, grownEdit, smoothedEdit

if TYPE_CHECKING:
    from myops.case import Case
    from myops.refine.carry import Proposal
    from myops.refine.guidance import Suggestion
    from myops.refine.saved import SavedState
    from myops.segmentation import Segmentation
    from myops.worklist.timing import ClickRecord

    from .BackgroundWork import BackgroundWork, Task
    from .Events import Events
    from .PromptNodes import PromptNodes

DEFAULT_OPACITY = 1.0
logger = logging.getLogger(__name__)


class CorrectionLogic:
    """The case that is being corrected.

    Attributes:
        session: the session of this case; None before `start`.
        case: its images; None before `start`.
        structure: what the next prompt is about, one of `myops.refine.prompts.STRUCTURES`.
        positive: whether the next click adds.
        currentSlice: z index on the case's grid that the reader looks at.
        suggestion: the place that `lookHereNext` named last.
        lastTiming: "decode", "write", "measure" and "total" in ms of the last prompt.
        clickTimings: one `ClickRecord` for each prompt since `start`.
        status: the last sentence about a prompt, for a status line; empty when all went well.
    """

    def __init__(self, scene: Any, events: Events, work: BackgroundWork) -> None:
        self._scene, self._events = scene, events
        self._encoding = Encoding(events, work)
        self._carrying = Carrying(work, self)
        self._thresholds = ThresholdEdits()
        self._model = ("auto", "default")
        self._rules = Rules()
        self._opacity = DEFAULT_OPACITY
        self.structure, self.positive = STRUCTURES[0], True
        self._prompting: Prompting | None = None
        self._shown: LabelNode | None = None
        self._toldPlacing: str | None = None
        self._reset()
        self._stopPolling = work.whenPolled(self._polled)
        self._observations = Observations()
        self._observations.add(scene, scene.NodeRemovedEvent, self._nodeRemoved)
        self._observations.add(scene, scene.EndCloseEvent, self.clear)

    # What is there

    @property
    def node(self) -> slicer.vtkMRMLSegmentationNode | None:
        """The segmentation node that shows the labels; None before `start`."""
        return None if self._shown is None else self._shown.node

    @property
    def prompts(self) -> PromptNodes | None:
        """The markups; None before `start`."""
        return None if self._prompting is None else self._prompting.nodes

    @property
    def placing(self) -> str | None:
        """What the next click in a view places: "positive", "negative", "box" or None."""
        return None if self._prompting is None else self._prompting.nodes.placing

    @property
    def labels(self) -> np.ndarray | None:
        """The present label map, uint16 (z, y, x), read-only; None before `start`."""
        return None if self.session is None else self.session.labels

    @property
    def rules(self) -> Rules:
        """What a correction may touch."""
        return self._rules

    @property
    def proposal(self) -> Proposal | None:
        """What carrying would change; None if nothing is proposed."""
        return self._carrying.proposal

    @property
    def hasManualWork(self) -> bool:
        """Whether the reader changed something that another run would not give back."""
        if self.session is None:
            return False
        self.adoptIfEdited()
        changed = not np.array_equal(self.session.labels, self.session.start.labels)
        return changed or bool(self.session.corrections) or self._startedByHand

    @property
    def encodedSlices(self) -> frozenset[int]:
        """Slices in which a click is answered at once."""
        return self._encoding.encoded

    @property
    def pendingClicks(self) -> int:
        """Prompts and steps that wait for a slice to be encoded."""
        return 0 if self._prompting is None else self._prompting.count

    @property
    def refinerState(self) -> str:
        """One of "none" (no case), "loading", "ready" and "missing" (see `refinerProblem`)."""
        return self._encoding.state

    @property
    def refinerProblem(self) -> str:
        """Why clicks cannot be answered, as sentences; empty if they can."""
        return self._encoding.problem

    @property
    def refinerModel(self) -> str:
        """Name of the network that answers prompts."""
        return self._model[1]

    @property
    def undoName(self) -> str | None:
        """What `undo` would take back; None if nothing."""
        if self.pendingClicks:
            return "waiting click"
        return None if self.session is None else self.session.history.undo_name

    @property
    def redoName(self) -> str | None:
        """What `redo` would bring back; None if nothing."""
        return None if self.session is None else self.session.history.redo_name

    @property
    def suggestionRas(self) -> tuple[float, float, float] | None:
        """Where the suggestion is in the world, for the views to jump to."""
        if self.suggestion is None or self.case is None:
            return None
        found = self.suggestion
        return worldFromVoxel(self.case, found.slice_index, found.row, found.column)

    def segmentation(self) -> Segmentation | None:
        """The start with the present labels, for measuring and export; None before `start`."""
        return None if self.session is None else self.session.segmentation()

    def structures(self) -> list[tuple[str, str, str | None]]:
        """Id, title, and why it cannot be corrected here (None if it can) of each structure."""
        return [(name, TABLE[name].title, self._whyNot(name)) for name in STRUCTURES]

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
        if saved is None:
            session = Session(NoRefiner(), case, segmentation, self._rules)
        else:
            session = restore(saved, case, NoRefiner())
        shown = LabelNode(node, case, session.labels)
        self._end()
        self._reset()
        self.session, self.case, self._shown = session, case, shown
        self._startedByHand, self._rules = byHand, session.rules
        self.currentSlice = len(session.labels) // 2
        shown.setOpacity(self._opacity)
        self._prompting = Prompting(self._scene, self, case)
        self._prompting.show()
        self._encode()
        self._tell("labels", "prompts", "history", "proposal")

    def setRefiner(self, device: str = "auto", model: str = "default") -> None:
        """Choose the network that answers prompts and where it runs; see `load_refiner`.

        Called again with the same, it tries again what was missing.
        """
        if (device, model) != self._model or self.refinerState == "missing":
            self._model = (device, model)
            if self.session is not None:
                self._encode()
                self._tell("prompts")

    def clear(self) -> None:
        """Forget the case; its segmentation stays in the scene."""
        wasOpen = self.session is not None
        self._end()
        self._reset()
        if wasOpen:
            self._tell("labels", "prompts", "history", "proposal")

    def close(self) -> None:
        """End: no observer and no callback is left; the scene stays as it is."""
        self._end(empty=False)
        self._reset()
        self._observations.removeAll()
        self._stopPolling()

    # What the next prompt means

    def setStructure(self, name: str) -> None:
        """Choose what is corrected; the next click adds, whatever the one before did.

        Raises:
            InputError: unknown structure.
        """
        if name not in STRUCTURES:
            raise InputError(f"expected a structure among {', '.join(STRUCTURES)}, found {name!r}")
        self.structure = name
        if self._prompting is not None:
            self._prompting.show()
        self.setPositive(True)

    def setPositive(self, positive: bool) -> None:
        """Choose whether the next click adds to the structure or removes from it."""
        self.positive = bool(positive)
        if self.placing in ("positive", "negative"):
            self.startPlacing("positive" if self.positive else "negative")
        else:
            self._tell("prompts")

    def startPlacing(self, kind: str) -> None:
        """Let the mouse place prompts: clicks one after another, or one box.

        Args:
            kind: "positive", "negative" or "box".
        """
        if self.prompts is None:
            return
        self.prompts.startPlacing(kind)
        if kind != "box":
            self.positive = kind == "positive"
        self._tell("prompts")

    def stopPlacing(self) -> None:
        """Give the mouse back."""
        if self.prompts is not None:
            self.prompts.stopPlacing()
        self._tell("prompts")

    def boxDrawn(self) -> None:
        """A box was drawn: the mouse is free again, since one box is all that counts."""
        if self.placing == "box":
            self.stopPlacing()

    def setCurrentSlice(self, index: int) -> None:
        """Say which slice the reader looks at: it is encoded first, and carried from."""
        if self.session is not None and 0 <= int(index) < len(self.session.labels):
            self.currentSlice = int(index)
            self._encoding.look(self.currentSlice)
            self._prompting.showBox()

    def setRules(self, keepInside: bool, allowBloodPool: bool) -> None:
        """Choose what the next corrections may touch; see `myops.refine.rules.Rules`."""
        self._rules = Rules(allow_blood_pool=bool(allowBloodPool), keep_inside=bool(keepInside))
        if self.session is not None and self.session.rules != self._rules:
            self.session.rules = self._rules
            self._tell("prompts", "history")

    def setOpacity(self, value: float) -> None:
        """Set how opaque the segmentation is on the images, 0..1."""
        self._opacity = min(max(float(value), 0.0), 1.0)
        if self._shown is not None:
            self._shown.setOpacity(self._opacity)

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
            return self._withoutCase()
        sign = self.positive if positive is None else bool(positive)
        return self._prompting.click(ras, sign, viewNormal)

    def addBox(self, ras0: Sequence[float], ras1: Sequence[float]) -> str:
        """Refine the structure by a box, given by two opposite corners; returns as `addClick`."""
        return self._withoutCase() if self._prompting is None else self._prompting.box(ras0, ras1)

    def moveClick(self, clickId: str, ras: Sequence[float]) -> str:
        """Drag a click; it and the later ones of its slice act anew. Returns as `addClick`."""
        return (
            self._withoutCase() if self._prompting is None else self._prompting.move(clickId, ras)
        )

    def deleteClick(self, clickId: str) -> str:
        """Take a click away, and what it did; returns as `addClick`."""
        return self._withoutCase() if self._prompting is None else self._prompting.delete(clickId)

    # Edits of a whole structure; all return as `addClick`

    def threshold(self, value: float, allSlices: bool = True) -> str:
        """Make the structure what is at least this probable to the networks."""
        slices = self._slices(allSlices)
        return self._step(self._thresholds.edit(self.structure, value, slices))

    def expand(self, mm: float = 1.0, allSlices: bool = True) -> str:
        """Let the structure grow within the slices, as far as the rules allow."""
        return self._step(grownEdit(self.structure, abs(mm), self._slices(allSlices)))

    def shrink(self, mm: float = 1.0, allSlices: bool = True) -> str:
        """Take a rim of the structure away."""
        return self._step(grownEdit(self.structure, -abs(mm), self._slices(allSlices)))

    def smooth(self, mm: float = 1.0, allSlices: bool = True) -> str:
        """Smooth the structure's border within the slices."""
        return self._step(smoothedEdit(self.structure, mm, self._slices(allSlices)))

    def undo(self) -> str:
        """Take the last step back, in all slices; a waiting prompt first."""
        self.adoptIfEdited()
        if self.pendingClicks:
            self._prompting.takeBackWaiting()
            self._tell("history")
            return DONE
        if self.undoName is None:
            return self.ignored("there is nothing to undo")
        return self._step(lambda session: session.undo())

    def redo(self) -> str:
        """Bring the last undone step back."""
        self.adoptIfEdited()
        if self.redoName is None:
            return self.ignored("there is nothing to redo")
        return self._step(lambda session: session.redo())

    # Carrying and guidance

    def proposeCarry(self) -> Task | None:
        """Propose the current slice's correction for its neighbors; found in the background."""
        self.adoptIfEdited()
        if self.session is None:
            self._withoutCase()
            return None
        if self.refinerState != "ready":
            self.ignored(self.refinerProblem or "corrections are still being prepared")
            return None
        return self._carrying.propose(self.session, self.structure, self.currentSlice)

    def showProposal(self, mask: np.ndarray | None) -> None:
        """Show the mask of a proposal, bool (z, y, x), or take it away; for `Carrying`."""
        if self._shown is not None:
            if mask is None:
                self._shown.hideProposal()
            else:
                self._shown.showProposal(mask, f"Proposal: {TABLE[self.proposal.structure].title}")
        self._tell("proposal")

    def acceptProposal(self) -> str:
        """Take the proposed label map over, as one step; returns as `addClick`."""
        proposal = self.proposal
        if proposal is None:
            return self.ignored("there is no proposal")
        name = f"carry {proposal.structure} from slice {proposal.slice_index + 1}"
        return self._step(lambda session: session.accept_labels(proposal.labels, name))

    def refuseProposal(self) -> None:
        """Leave everything as it is."""
        self._carrying.drop()

    def lookHereNext(self) -> Suggestion | None:
        """Name the place where a click is expected to change the scar mass most.

        Asked again without a change in between, it names the next one.
        """
        from myops.refine.guidance import look_here_next

        self.adoptIfEdited()
        if self.session is None:
            return None
        prompts = [found.prompts for found in self.session.corrections.values()]
        found = look_here_next(
            self.session.start, self.session.labels, prompts, self.case.spacing_known
        ).suggestions
        self.suggestion = found[self._suggested % len(found)] if found else None
        self._suggested += 1
        if not found:
            self.say("No doubtful place was found.")
        self._tell("prompts")
        return self.suggestion

    # Edits of other tools

    def adoptNodeEdits(self) -> bool:
        """Take over what another tool, such as the Segment Editor, did to the node.

        Returns:
            Whether it differs from the session.
        """
        if self.session is None or self._shown is None:
            return False
        labels = self._shown.read(self.session.labels)
        if np.array_equal(labels, self.session.labels):
            return False
        self.session.accept_labels(labels, "edit in the Segment Editor")
        self._follow()
        return True

    def adoptIfEdited(self) -> None:
        """What another tool painted comes before the next step, never under it."""
        if self._shown is not None and self._shown.isEdited:
            self.adoptNodeEdits()

    # For `Prompting` and `Carrying`

    def change(
        self,
        act: Callable[[Session], object],
        record: ClickRecord | None = None,
        name: Callable[[], None] | None = None,
    ) -> str:
        """Let the session do something; then everything that shows it follows.

        Args:
            act: what to do; where it is refused nothing changes.
            record: gets the times, for a prompt.
            name: called after the change, before the clicks are shown.

        Returns:
            "done", or "ignored: " and why.
        """
        session = self.session
        if session is None:
            return self._withoutCase()
        began = time.perf_counter()
        self.adoptIfEdited()
        before, times = session.labels, [time.perf_counter()]
        try:
            act(session)
        except Exception as error:  # a network can fail in many ways; the session is as it was
            if not isinstance(error, InputError):
                logger.error("A correction failed", exc_info=error)
            self._prompting.show()
            return self.ignored(inWords(error))
        times.append(time.perf_counter())
        if name is not None:
            name()
        self._follow(before, times)
        self.status = ""
        if record is not None:
            self._time(record, began, times)
        return DONE

    def encodeNext(self, index: int) -> None:
        """A prompt waits for this slice: it is encoded before all others."""
        self._encoding.look(index, first=True)
        self._tell("history")

    def guarded(self, function: Callable[[], str]) -> str:
        """Nothing is raised into VTK or a timer: what went wrong is said and logged."""
        try:
            return function()
        except Exception as error:
            logger.error("A correction failed", exc_info=error)
            return self.ignored(inWords(error))

    def ignored(self, reason: str) -> str:
        """Say why nothing was done."""
        self.say(reason[:1].upper() + reason[1:] + ("" if reason.endswith(".") else "."))
        return f"ignored: {reason}"

    def say(self, text: str) -> None:
        """Show a sentence in the status line."""
        self.status = text
        self._events.message(text)

    # Step by step

    def _step(self, act: Callable[[Session], object]) -> str:
        """A step that needs no network: in its turn after the prompts that wait."""
        if self._prompting is None:
            return self._withoutCase()
        return self._prompting.inTurn(Waiting(lambda: self.change(act)))

    def _follow(self, before: np.ndarray | None = None, times: list[float] | None = None) -> None:
        """Show the session's labels and prompts, and tell all who follow them.

        Args:
            before: the labels that the node shows; None where it shows the session's already.
            times: gets the moments after writing and after measuring.
        """
        moments = [] if times is None else times
        if before is not None:
            self._shown.write(self.session.labels, before)
        moments.append(time.perf_counter())
        self._tell("labels")
        moments.append(time.perf_counter())
        self.suggestion, self._suggested = None, 0
        self._carrying.drop()
        self._prompting.show()
        self._tell("prompts", "history")

    def _time(self, record: ClickRecord, began: float, times: list[float]) -> None:
        spent = [1000 * (end - start) for start, end in pairwise(times)]
        record.decode_ms, record.write_ms, record.measure_ms = spent
        record.total_ms = 1000 * (time.perf_counter() - began)
        self.clickTimings.append(record)
        names = ("decode", "write", "measure", "total")
        self.lastTiming = dict(zip(names, (*spent, record.total_ms), strict=True))

    def _polled(self) -> None:
        """What time brings: edits that came to rest, prompts that can be answered now."""
        if self._shown is not None and self._shown.isAtRest:
            self.guarded(lambda: str(self.adoptNodeEdits()))
        if self._prompting is not None:
            self._prompting.answerReady()
        if self.placing != self._toldPlacing:  # ended by Escape, or by another tool of Slicer
            self._tell("prompts")

    def _nodeRemoved(self) -> None:
        if self.node is None or self._scene.IsNodePresent(self.node):
            return
        isClosing = self._scene.IsClosing()
        self.clear()
        if not isClosing:
            self._events.message("The segmentation that was corrected was deleted.", "warning")

    def _encode(self) -> None:
        self._encoding.begin(
            self.case, self.session.start, self._model, self._prepared, self._unprepared
        )
        self._encoding.look(self.currentSlice)

    def _prepared(self, refiner: Any) -> None:
        if self.session is not None:
            self.session.refiner = refiner
        self._tell("prompts")

    def _unprepared(self, reason: str) -> None:
        """Prompts that wait for a network that will not come are given back."""
        if self._prompting is not None:
            self._prompting.giveBack()
        self._events.message(reason, "warning")
        self._tell("prompts", "history")

    def _whyNot(self, structure: str) -> str | None:
        if self.session is None:
            return None
        missing = missing_image(structure, self.session.start.assessed)
        return f"{TABLE[structure].title} cannot be seen without {missing}." if missing else None

    def _slices(self, allSlices: bool) -> list[int] | None:
        return None if allSlices else [self.currentSlice]

    def _withoutCase(self) -> str:
        return self.ignored("there is no segmentation yet")

    def _tell(self, *topics: str) -> None:
        if "prompts" in topics:
            self._toldPlacing = self.placing
        for topic in topics:
            values = {"labels": self.labels} if topic == "labels" else {}
            self._events.emit(topic, **values)

    def _end(self, empty: bool = True) -> None:
        """Stop everything that belongs to the case."""
        self._carrying.drop()
        self._encoding.end()
        if self._shown is not None:
            self._shown.close()
        if self._prompting is not None:
            self._prompting.close(empty)

    def _reset(self) -> None:
        self.session: Session | None = None
        self.case: Case | None = None
        self._shown, self._prompting = None, None
        self.suggestion: Suggestion | None = None
        self._suggested = 0
        self.currentSlice = 0
        self.clickTimings: list[ClickRecord] = []
        self.lastTiming: dict[str, float] = {}
        self.status = ""
        self._startedByHand = False

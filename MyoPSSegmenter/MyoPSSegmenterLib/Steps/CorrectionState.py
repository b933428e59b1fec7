"""What can be asked of a correction, by panels and by the steps that measure, save and export."""

from __future__ import annotations

from typing import TYPE_CHECKING

import slicer

from MyoPSSegmenterLib.Steps.LookHereNext import LookHereNext
from MyoPSSegmenterLib.Steps.PromptChoice import PromptChoice
from MyoPSSegmenterLib.Steps.PromptQueue import PromptQueue
from MyoPSSegmenterLib.Steps.RefinerLoader import RefinerLoader
from MyoPSSegmenterLib.Steps.SessionEditor import SessionEditor
from MyoPSSegmenterLib.Steps.SlicePropagation import SlicePropagation
from MyoPSSegmenterLib.Steps.StructureEdits import StructureEdits, structures
from MyoPSSegmenterLib.Steps.WallOffers import WallOffers

if TYPE_CHECKING:
    import numpy as np

    from myops.case import Case
    from myops.refine.guidance import Suggestion
    from myops.refine.propagate import Proposal
    from myops.refine.rules import Rules
    from myops.refine.session import Session, WallOffer
    from myops.segmentation import Segmentation
    from myops.worklist.timing import ClickRecord
    from MyoPSSegmenterLib.Runtime.BackgroundWork import BackgroundWork
    from MyoPSSegmenterLib.Runtime.Events import Events
    from MyoPSSegmenterLib.Scene.PromptNodes import PromptNodes
    from MyoPSSegmenterLib.Steps.Prompting import Prompting


class CorrectionState:
    """The parts of a correction, and how it stands; `CorrectionLogic` is what can be done."""

    def __init__(self, events: Events, work: BackgroundWork) -> None:
        """Make the parts; none knows the class that holds them all.

        Args:
            events: hear of every change.
            work: loads and encodes in the background.
        """
        self._editor = SessionEditor(events, self._changed)
        self._loader = RefinerLoader(events, work)
        self._choice = PromptChoice(lambda: self._editor.tell("prompts"), self._redraw)
        self._queue = PromptQueue(self._editor, self._loader, self._redraw)
        self._edits = StructureEdits(self._queue, self._choice)
        self._propagation = SlicePropagation(work, self._editor, self._queue)
        self._walls = WallOffers(self._editor, self._queue)
        self._guidance = LookHereNext(self._editor)
        self._prompting: Prompting | None = None

    # The case

    @property
    def session(self) -> Session | None:
        """The session of this case; None before `start`."""
        return self._editor.session

    @property
    def case(self) -> Case | None:
        """The images; None before `start`."""
        return self._editor.case

    @property
    def node(self) -> slicer.vtkMRMLSegmentationNode | None:
        """The segmentation node that shows the labels; None before `start`."""
        return None if self._editor.shown is None else self._editor.shown.node

    @property
    def labels(self) -> np.ndarray | None:
        """The present label map, uint16 (z, y, x), read-only; None before `start`."""
        return self._editor.labels

    def segmentation(self) -> Segmentation | None:
        """The start with the present labels, for measuring and export; None before `start`."""
        return None if self.session is None else self.session.segmentation()

    @property
    def hasManualWork(self) -> bool:
        """Whether the reader changed something that another run would not give back."""
        return self._editor.hasManualWork

    @property
    def status(self) -> str:
        """The last sentence about a prompt, for a status line; empty when all went well."""
        return self._editor.status

    # What the next prompt means

    @property
    def structure(self) -> str:
        """What the next prompt is about, one of `myops.refine.prompts.STRUCTURES`."""
        return self._choice.structure

    @property
    def positive(self) -> bool:
        """Whether the next click adds."""
        return self._choice.positive

    @property
    def currentSlice(self) -> int:
        """The z index on the case's grid that the reader looks at."""
        return self._choice.currentSlice

    @property
    def placing(self) -> str | None:
        """What the next click in a view places: "positive", "negative", "box" or None."""
        return self._choice.placing

    @property
    def rules(self) -> Rules:
        """What a correction may touch."""
        return self._editor.rules

    def structures(self) -> list[tuple[str, str, str | None]]:
        """Id, title, and why it cannot be corrected here (None if it can) of each structure."""
        return structures(self.session)

    # Prompts

    @property
    def prompts(self) -> PromptNodes | None:
        """The markups; None before `start`."""
        return None if self._prompting is None else self._prompting.nodes

    @property
    def pendingClicks(self) -> int:
        """Prompts and steps that wait for a slice to be encoded."""
        return self._queue.count

    @property
    def undoName(self) -> str | None:
        """What `undo` would take back; None if nothing."""
        return self._queue.undoName

    @property
    def redoName(self) -> str | None:
        """What `redo` would bring back; None if nothing."""
        return self._queue.redoName

    @property
    def proposal(self) -> Proposal | WallOffer | None:
        """What propagation or a wall that gives way would change; None if nothing is proposed."""
        return self._propagation.proposal or self._walls.offer

    @property
    def suggestion(self) -> Suggestion | None:
        """The place that `lookHereNext` named last."""
        return self._guidance.suggestion

    @property
    def clickTimings(self) -> list[ClickRecord]:
        """One record for each prompt since `start`."""
        return self._editor.clickTimings

    @property
    def lastTiming(self) -> dict[str, float]:
        """The "decode", "write", "measure" and "total" in ms of the last prompt."""
        return self._editor.lastTiming

    # The network that answers prompts

    @property
    def encodedSlices(self) -> frozenset[int]:
        """Slices in which a click is answered at once."""
        return self._loader.encoded

    @property
    def refinerState(self) -> str:
        """One of "none" (no case), "loading", "ready" and "missing" (see `refinerProblem`)."""
        return self._loader.state

    @property
    def refinerProblem(self) -> str:
        """Why clicks cannot be answered, as sentences; empty if they can."""
        return self._loader.problem

    def _redraw(self) -> None:
        if self._prompting is not None:
            self._prompting.show()

    def _changed(self) -> None:
        """The labels are others: what was said and proposed about the earlier ones is void."""
        self._guidance.forget()
        self._propagation.drop()
        self._walls.drop()
        self._walls.show()
        self._redraw()

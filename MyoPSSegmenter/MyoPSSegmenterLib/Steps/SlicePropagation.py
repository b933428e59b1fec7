"""Propagation of a correction to the slices beside: found in the background, shown, and decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from myops.refine.rules import REGIONS
from myops.structures import STRUCTURES
from MyoPSSegmenterLib.Runtime.Translation import tr as _
from MyoPSSegmenterLib.Steps.PromptQueue import PromptQueue, QueuedStep

if TYPE_CHECKING:
    from myops.refine.propagate import Proposal
    from MyoPSSegmenterLib.Runtime.BackgroundWork import BackgroundWork, Task
    from MyoPSSegmenterLib.Steps.SessionEditor import SessionEditor


class SlicePropagation:
    """A proposal for the neighbors of a corrected slice; any other change makes it void.

    Attributes:
        proposal: what would change; None if nothing is proposed.
    """

    def __init__(self, work: BackgroundWork, editor: SessionEditor, queue: PromptQueue) -> None:
        self._work, self._editor, self._queue = work, editor, queue
        self._task: Task | None = None
        self.proposal: Proposal | None = None

    def propose(self, structure: str, index: int) -> Task:
        """Look for the neighbors' masks from a corrected slice of the open case.

        Args:
            structure: what is carried; the session has a refiner that is ready.
            index: the corrected slice.
        """
        self.drop()
        session = self._editor.session
        assert session is not None
        refiner: Any = session.refiner  # that of the networks, once it is ready
        start, labels, rules = session.start, session.labels, session.rules
        settled = frozenset(session.corrections) - {index}

        def find(progress: Any, cancelled: Any) -> Proposal:
            from myops.refine.propagate import propagate_correction

            progress(0.0, _("carrying"))
            return propagate_correction(refiner, start, labels, structure, index, rules, settled)

        def show(proposal: Proposal) -> None:
            self._task = None
            if self._editor.session is session and session.labels is labels:
                self._show(proposal)

        self._task = self._work.submit(
            _("Carrying to neighboring slices"), find, show, replaces="carry", first=True
        )
        return self._task

    def accept(self) -> str:
        """Take the proposed label map over, as one step."""
        proposal = self.proposal
        if proposal is None:
            return self._editor.ignored(_("there is no proposal"))
        name = f"carry {proposal.structure} from slice {proposal.slice_index + 1}"
        return self._queue.inTurn(
            QueuedStep(lambda session: session.accept_labels(proposal.labels, name))
        )

    def drop(self) -> None:
        """There is no proposal any more, and none is being looked for."""
        if self._task is not None:
            self._work.cancel(self._task)
            self._task = None
        if self.proposal is not None:
            self.proposal = None
            if self._editor.shown is not None:
                self._editor.shown.hideProposal()
            self._editor.tell("proposal")

    def _show(self, proposal: Proposal) -> None:
        if not proposal.slices:
            lower, higher = proposal.stopped
            self._editor.say(
                _(
                    "There is nothing to carry (slice before: {lower}; slice after: {higher})."
                ).format(lower=lower, higher=higher)
            )
            return
        self.proposal = proposal
        mask = REGIONS[proposal.structure](proposal.labels)
        mask[proposal.slice_index] = False
        # What was said before, perhaps that there is nothing to carry, is no longer so.
        self._editor.say("")
        if self._editor.shown is not None:
            self._editor.shown.showProposal(
                mask, _("Proposal: {title}").format(title=STRUCTURES[proposal.structure].title)
            )
        self._editor.tell("proposal")

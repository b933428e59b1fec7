"""Carrying a correction to the neighboring slices: found in the background, shown, and decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from myops.refine.rules import REGIONS

if TYPE_CHECKING:
    from myops.refine.carry import Proposal
    from myops.refine.session import Session

    from .BackgroundWork import BackgroundWork, Task
    from .CorrectionLogic import CorrectionLogic


class Carrying:
    """The proposal of a `CorrectionLogic`; any other change makes it void.

    Attributes:
        proposal: what would change; None if nothing is proposed.
    """

    def __init__(self, work: BackgroundWork, correction: CorrectionLogic) -> None:
        self._work, self._correction = work, correction
        self._task: Task | None = None
        self.proposal: Proposal | None = None

    def propose(self, session: Session, structure: str, index: int) -> Task:
        """Look for the neighbors' masks from a corrected slice.

        Args:
            session: with a refiner that is ready.
            structure: what is carried.
            index: the corrected slice.
        """
        self.drop()
        refiner, start, labels, rules = (
            session.refiner,
            session.start,
            session.labels,
            session.rules,
        )
        settled = frozenset(session.corrections) - {index}

        def find(progress: Any, cancelled: Any) -> Proposal:
            from myops.refine.carry import carry

            progress(0.0, "carrying")
            return carry(refiner, start, labels, structure, index, rules, settled)

        def show(proposal: Proposal) -> None:
            self._task = None
            if self._correction.session is session and session.labels is labels:
                self._show(proposal)

        self._task = self._work.submit(
            "Carrying to neighboring slices", find, show, replaces="carry", first=True
        )
        return self._task

    def drop(self) -> None:
        """There is no proposal any more, and none is being looked for."""
        if self._task is not None:
            self._work.cancel(self._task)
            self._task = None
        if self.proposal is not None:
            self.proposal = None
            self._correction.showProposal(None)

    def _show(self, proposal: Proposal) -> None:
        if not proposal.slices:
            lower, higher = proposal.stopped
            self._correction.say(
                f"There is nothing to carry (lower slices: {lower}; higher slices: {higher})."
            )
            return
        self.proposal = proposal
        mask = REGIONS[proposal.structure](proposal.labels)
        mask[proposal.slice_index] = False
        # What was said before, perhaps that there is nothing to carry, is no longer so.
        self._correction.status = ""
        self._correction.showProposal(mask)

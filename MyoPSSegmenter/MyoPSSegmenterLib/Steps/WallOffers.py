"""A wall that the last click would move further than a reader leaves to a program: shown first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from myops.labels import myocardium
from MyoPSSegmenterLib.Runtime.Translation import tr as _
from MyoPSSegmenterLib.Steps.PromptQueue import PromptQueue, QueuedStep

if TYPE_CHECKING:
    from myops.refine.session import WallOffer
    from MyoPSSegmenterLib.Steps.SessionEditor import SessionEditor


class WallOffers:
    """What the session offers after its last step; any other step makes it void.

    Attributes:
        offer: what is shown; None if nothing is, or it was refused.
    """

    def __init__(self, editor: SessionEditor, queue: PromptQueue) -> None:
        self._editor, self._queue = editor, queue
        self.offer: WallOffer | None = None

    def show(self) -> None:
        """Show what the last step offers; called after every change."""
        session = self._editor.session
        self.offer = None if session is None else session.wall_offer
        if self.offer is None or self._editor.shown is None:
            return
        mask = np.zeros(self.offer.labels.shape, bool)
        index = self.offer.slice_index
        mask[index] = myocardium(self.offer.labels[index])
        self._editor.shown.showProposal(mask, _("Proposal: wall"))
        self._editor.tell("proposal")

    def accept(self) -> str:
        """Take the wall, as one step; returns as `CorrectionLogic.addClick`."""
        return self._queue.inTurn(QueuedStep(lambda session: session.take_wall()))

    def drop(self) -> None:
        """Leave the wall where it is."""
        if self.offer is not None:
            self.offer = None
            if self._editor.shown is not None:
                self._editor.shown.hideProposal()
            self._editor.tell("proposal")

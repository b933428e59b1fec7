"""The segmentation node that is corrected: written by us, and edited by other tools of Slicer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer

from myops.structures import rgb_of
from MyoPSSegmenterLib.Scene.Observations import Observations
from MyoPSSegmenterLib.Scene.OverlayNodes import hideBeside, overlayOf, removeBeside, showBeside
from MyoPSSegmenterLib.Scene.SegmentationNodes import (
    publishLabels,
    readLabels,
    setFilled,
    setOpacity,
)

if TYPE_CHECKING:
    from myops.case import Case

PROPOSAL_ID = "proposal"
# No structure, method or tool has it with any color vision; white is microvascular obstruction.
PROPOSAL_COLOR = rgb_of("#77ffbb")
# A brush stroke of the Segment Editor ends in several events: taken over when it is quiet.
EDIT_QUIET_S = 0.2


class LabelNode:
    """A segmentation node that shows a label map.

    Attributes:
        node, case: what is shown, and on which grid.
        isEdited: whether another tool changed the node since it was last written or read.
    """

    def __init__(self, node: Any, case: Case, labels: np.ndarray) -> None:
        """Show a label map in a node, and watch what others do to it.

        Args:
            node: a segmentation node.
            case: gives the grid.
            labels: uint16 (z, y, x).

        Raises:
            InputError: the node is under a transform that bends space.
        """
        self.node, self.case = node, case
        self.isEdited = False
        self._editedAt = 0.0
        self._isWriting = False
        self._observations = Observations()
        publishLabels(node, case, labels)
        segmentation = slicer.vtkSegmentation
        for event in (
            segmentation.SourceRepresentationModified,
            segmentation.SegmentAdded,
            segmentation.SegmentRemoved,
        ):
            self._observations.add(node, event, self._edited)

    @property
    def isAtRest(self) -> bool:
        """Whether an edit of another tool is complete and can be taken over."""
        return self.isEdited and time.monotonic() - self._editedAt > EDIT_QUIET_S

    def write(self, labels: np.ndarray, previous: np.ndarray) -> None:
        """Show another label map; `previous` is the one that is shown."""
        with self._writing():
            publishLabels(self.node, self.case, labels, previous)

    def read(self, previous: np.ndarray) -> np.ndarray:
        """The label map after edits of other tools, uint16 (z, y, x); `previous` was written.

        Raises:
            InputError: the node is under a transform that bends space.
        """
        self.isEdited = False
        return readLabels(self.node, self.case, previous)

    def showProposal(self, mask: np.ndarray, title: str) -> None:
        """Show a mask, bool (z, y, x), beside the labels."""
        showBeside(self.node, self.case, mask, PROPOSAL_ID, title, PROPOSAL_COLOR)

    def hideProposal(self) -> None:
        """Take the mask of `showProposal` away."""
        hideBeside(self.node, PROPOSAL_ID)

    def setOpacity(self, value: float) -> None:
        """Fade the segmentation, 0..1."""
        overlay = overlayOf(self.node)
        with self._writing():
            for node in (self.node, *([] if overlay is None else [overlay])):
                setOpacity(node, value)

    def setFilled(self, filled: bool) -> None:
        """Fill the structures, or show outlines alone."""
        with self._writing():
            setFilled(self.node, filled)

    def close(self) -> None:
        """Stop watching; the node stays as it is, the masks beside it go."""
        self._observations.removeAll()
        removeBeside(self.node)

    def _edited(self) -> None:
        if not self._isWriting:
            self.isEdited, self._editedAt = True, time.monotonic()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """What is written here is not an edit of another tool."""
        outer, self._isWriting = self._isWriting, True
        try:
            yield
        finally:
            self._isWriting = outer

"""Undo and redo of the whole segmentation, in little memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from myops.errors import InputError
from myops.refine.label_compression import pack, unpack

Companion = TypeVar("Companion")

# A step costs the compressed slices that it changed, about 1 kB each at 256x256.
STEPS = 500


@dataclass(frozen=True)
class Snapshot(Generic[Companion]):
    """The segmentation after a step.

    Attributes:
        name: of the step that led here.
        slices: the label map, one compressed slice each; unchanged ones are shared with the
            snapshot before.
        companion: what belongs to this state beside the labels, such as the open prompts.
    """

    name: str
    slices: tuple[bytes, ...]
    companion: Companion


class History(Generic[Companion]):
    """A line of snapshots with a present one; a new step drops the steps that were undone."""

    def __init__(self, labels: np.ndarray, companion: Companion, limit: int = STEPS) -> None:
        """Begin with a state that cannot be undone.

        Args:
            labels: uint16 (z, y, x).
            companion: kept with it; must not be changed afterwards.
            limit: how many steps can be undone; the oldest are forgotten.
        """
        self._limit = limit
        self._labels = labels.copy()
        self._snapshots = [Snapshot("start", tuple(pack(plane) for plane in labels), companion)]
        self._present = 0

    @classmethod
    def resumed(
        cls,
        snapshots: Sequence[Snapshot[Companion]],
        position: int,
        plane_shape: tuple[int, int],
        limit: int = STEPS,
    ) -> History[Companion]:
        """Go on with a history that was saved: see `snapshots` and `position`.

        Args:
            snapshots: the oldest first; each with a packed slice of `plane_shape` per slice.
            position: index of the present one.
            plane_shape: (y, x) of a slice.
            limit: as in the constructor.

        Raises:
            InputError: no snapshot at that position.
        """
        if not 0 <= position < len(snapshots):
            raise InputError(
                f"expected the number of a snapshot below {len(snapshots)}, found {position}"
            )
        history = cls.__new__(cls)
        history._limit, history._snapshots = limit, list(snapshots)
        history._labels = np.empty((0, *plane_shape), np.uint16)
        history._go_to(position)
        return history

    @property
    def snapshots(self) -> tuple[Snapshot[Companion], ...]:
        """All states kept, the oldest first; those after `position` were undone."""
        return tuple(self._snapshots)

    @property
    def position(self) -> int:
        """Index of the present state among `snapshots`."""
        return self._present

    @property
    def present(self) -> tuple[np.ndarray, Companion]:
        """A copy of the present label map, and what belongs to it."""
        return self._labels.copy(), self._snapshots[self._present].companion

    @property
    def undo_name(self) -> str | None:
        """Name of the step that `undo` takes back; None when there is none."""
        return self._snapshots[self._present].name if self._present else None

    @property
    def redo_name(self) -> str | None:
        """Name of the step that `redo` brings back; None when there is none."""
        following = self._snapshots[self._present + 1 :]
        return following[0].name if following else None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the steps that can be undone, the oldest first."""
        return tuple(snapshot.name for snapshot in self._snapshots[1 : self._present + 1])

    @property
    def packed_bytes(self) -> int:
        """Memory of all label maps together, shared slices counted once."""
        slices = {id(p): len(p) for snapshot in self._snapshots for p in snapshot.slices}
        return sum(slices.values())

    def record(self, name: str, labels: np.ndarray, companion: Companion) -> None:
        """Add a step after the present one.

        Args:
            name: what the reader did, for a menu.
            labels: uint16 (z, y, x), the whole label map after it.
            companion: as in the constructor.
        """
        slices = tuple(
            old if np.array_equal(plane, before) else pack(plane)
            for old, plane, before in zip(
                self._snapshots[self._present].slices, labels, self._labels, strict=True
            )
        )
        kept = self._snapshots[: self._present + 1]
        self._snapshots = [*kept, Snapshot(name, slices, companion)][-(self._limit + 1) :]
        self._present = len(self._snapshots) - 1
        self._labels = labels.copy()

    def undo(self) -> tuple[np.ndarray, Companion]:
        """Go one step back: the whole label map as it was, and what belonged to it.

        Raises:
            InputError: there is no step to undo.
        """
        if self.undo_name is None:
            raise InputError("expected a step to undo, found none: this is the first state kept")
        return self._go_to(self._present - 1)

    def redo(self) -> tuple[np.ndarray, Companion]:
        """Go one step forward again.

        Raises:
            InputError: there is no step to redo.
        """
        if self.redo_name is None:
            raise InputError("expected a step to redo, found none: this is the newest state")
        return self._go_to(self._present + 1)

    def _go_to(self, index: int) -> tuple[np.ndarray, Companion]:
        snapshot = self._snapshots[index]
        shape = self._labels.shape[1:]
        self._labels = np.stack([unpack(packed, shape) for packed in snapshot.slices])
        self._present = index
        return self._labels.copy(), snapshot.companion

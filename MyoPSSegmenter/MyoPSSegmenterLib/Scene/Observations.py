"""VTK observers that end together: none is left on a node when a logic is closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Observations:
    """Observers of one owner."""

    def __init__(self) -> None:
        self._tags: list[tuple[Any, int]] = []

    def add(self, observed: Any, event: int | str, callback: Callable[..., object]) -> None:
        """Call back when an object invokes an event.

        Args:
            observed: a vtkObject.
            event: of VTK or MRML.
            callback: called without arguments.
        """
        # The wrapper has defaults, since some events pass call data that must be named to arrive.
        self._tags.append((observed, observed.AddObserver(event, lambda *_: callback())))

    def removeAll(self, observed: Any = None) -> None:
        """End all observers, or those of one object."""
        ended = [pair for pair in self._tags if observed is None or pair[0] is observed]
        self._tags = [pair for pair in self._tags if pair not in ended]
        for found, tag in ended:
            found.RemoveObserver(tag)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._tags)

"""Names of the open clicks, so that a point that is dragged is known again."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from myops.refine.correction import Correction
    from myops.refine.prompts import Point


class ClickIds:
    """Which click of which slice a name means; names go with their clicks."""

    def __init__(self) -> None:
        self._names: dict[int, list[str]] = {}
        self._numbers = count(1)

    def new(self) -> str:
        """A name that was not used yet."""
        return f"click-{next(self._numbers)}"

    def place(self, clickId: str) -> tuple[int, int] | None:
        """Slice of a click, and its index among the slice's open clicks; None if it is gone."""
        for index, names in self._names.items():
            if clickId in names:
                return index, names.index(clickId)
        return None

    def add(self, sliceIndex: int, clickId: str, count: int) -> None:
        """Name the newest of `count` open clicks of a slice."""
        names = self._names.get(sliceIndex, [])
        # A prompt for another structure has closed the clicks that were open.
        self._names[sliceIndex] = [*(names if len(names) == count - 1 else []), clickId]

    def remove(self, sliceIndex: int, index: int) -> None:
        """Forget a click that was deleted; the later ones move up."""
        del self._names[sliceIndex][index]

    def follow(
        self, corrections: Mapping[int, Correction], structure: str
    ) -> list[tuple[str, int, Point]]:
        """Name all open clicks, and forget those that are gone.

        Returns:
            Name, slice and point of the clicks on one structure.
        """
        self._names = {
            index: self._fitting(index, len(correction.points))
            for index, correction in corrections.items()
        }
        return [
            (name, index, point)
            for index, correction in sorted(corrections.items())
            if correction.structure == structure
            for name, point in zip(self._names[index], correction.points, strict=True)
        ]

    def clear(self) -> None:
        """Forget all clicks; numbers are not used again."""
        self._names = {}

    def _fitting(self, index: int, count: int) -> list[str]:
        names = self._names.get(index, [])[:count]
        return [*names, *(self.new() for _ in range(count - len(names)))]

"""The prompts for one structure in one slice, and the way back to before each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from myops.refine.prompts import Box, Point, Prompts


@dataclass(frozen=True)
class Stroke:
    """One prompt of a correction, and the slice before it (labels, compressed)."""

    prompt: Point | Box
    before: bytes


@dataclass(frozen=True)
class Correction:
    """The prompts for one structure in one slice, as they were given."""

    structure: str
    slice_index: int
    strokes: tuple[Stroke, ...] = ()

    @property
    def points(self) -> tuple[Point, ...]:
        """The clicks; `Session.move_click` and `delete_click` count them from 0."""
        return tuple(s.prompt for s in self.strokes if isinstance(s.prompt, Point))

    @property
    def prompts(self) -> Prompts:
        """All clicks, and the newest box."""
        return self.prompts_with(())

    def prompts_with(self, added: Sequence[Point | Box]) -> Prompts:
        """The prompts as they will be after some more."""
        given = [*(stroke.prompt for stroke in self.strokes), *added]
        points = tuple(prompt for prompt in given if isinstance(prompt, Point))
        boxes = [prompt for prompt in given if isinstance(prompt, Box)]
        newest = bool(given) and isinstance(given[-1], Box)
        box = boxes[-1] if boxes else None
        return Prompts(self.structure, self.slice_index, points, box, newest)

"""A refiner whose answer can be worked out by hand: discs of 3 pixels around the clicks."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from myops.refine.rules import REGIONS

RADIUS = 3
# Pixels whose center is at most 3 pixels from a pixel center: 7 + 2 * 5 + 2 * 5 + 2 * 1.
DISC_PIXELS = 29


@dataclass(frozen=True)
class DiscPrediction:
    structure: str
    slice_index: int
    probability: np.ndarray
    mask: np.ndarray
    confidence: float


def disc(shape: tuple[int, int], row: float, column: float) -> np.ndarray:
    rows, columns = np.indices(shape)
    return (rows - row) ** 2 + (columns - column) ** 2 <= RADIUS**2


class DiscRefiner:
    """Adds a disc at every positive click, removes one at every negative click, fills the box."""

    def __init__(self, checksum: str = "d" * 64) -> None:
        self.model = SimpleNamespace(name="discs", checksum=checksum)
        self.case = None
        self.calls = 0
        self.failure: Exception | None = None

    def set_case(self, case, segmentation) -> None:
        self.case = case

    def predict(self, prompts, labels):
        self.calls += 1
        if self.failure is not None:
            raise self.failure
        mask = REGIONS[prompts.structure](labels[prompts.slice_index]).copy()
        if prompts.box is not None:
            rows, columns = np.indices(mask.shape)
            box = prompts.box
            mask |= (
                (rows >= box.row_0)
                & (rows <= box.row_1)
                & (columns >= box.column_0)
                & (columns <= box.column_1)
            )
        for point in prompts.points:
            found = disc(mask.shape, point.row, point.column)
            mask = mask | found if point.positive else mask & ~found
        return DiscPrediction(
            prompts.structure, prompts.slice_index, mask.astype(np.float32), mask, 0.75
        )

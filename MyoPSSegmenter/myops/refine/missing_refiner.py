"""In the place of a refiner where PyTorch is missing: everything but clicks and boxes works."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from myops.errors import InputError
from myops.progress import Progress

if TYPE_CHECKING:
    import numpy as np

    from myops.case import Case
    from myops.refine.connected import Taking
    from myops.refine.prompts import Prompts
    from myops.segmentation import Segmentation


@dataclass(frozen=True)
class NoModel:
    """There are no weights: a record of the session names none."""

    name: str = "none"
    checksum: None = None


class NoRefiner:
    """Satisfies a `Session`, so that a mask can be painted, edited, undone and saved."""

    model = NoModel()

    def __init__(self) -> None:
        self._slices: frozenset[int] = frozenset()

    @property
    def encoded(self) -> frozenset[int]:
        """All slices: a click need not wait to learn that it cannot be answered."""
        return self._slices

    def set_case(self, case: Case, segmentation: Segmentation) -> None:
        """Take any case."""
        self._slices = frozenset(range(case.geometry.array_shape[0]))

    def encode(
        self,
        slices: Iterable[int] | None = None,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        """Do nothing: there is nothing to encode with."""

    def predict(
        self, prompts: Prompts, labels: np.ndarray, taking: Taking = "connected"
    ) -> NoReturn:
        """Refuse.

        Raises:
            InputError: always.
        """
        raise InputError(
            "expected PyTorch (torch) to answer clicks and boxes, found none; press Install, or "
            "pip install torch. Painting, thresholds and undo work without it"
        )

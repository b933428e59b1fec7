"""What a measurement needs, taken on the main thread and handed to the background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from myops.case import Case
    from myops.quantify.measurements import Measurements
    from myops.quantify.regional.orientation import Landmarks
    from myops.quantify.thresholds.methods import ConventionalSettings
    from myops.quantify.thresholds.remote import Sector
    from myops.segmentation import Segmentation


@dataclass(frozen=True)
class MeasurementRequest:
    """All that a measurement needs, at one moment; nothing of it changes afterwards.

    Attributes:
        case, segmentation: images and labels on one grid.
        settings: conventional rules.
        sector: the reader's remote sector; None finds one.
        landmarks: the reader's anterior insertion and apex; None finds them.
    """

    case: Case
    segmentation: Segmentation
    settings: ConventionalSettings
    sector: Sector | None = None
    landmarks: Landmarks | None = None

    def measure(self) -> Measurements:
        """Every number; runs in any thread.

        Raises:
            InputError: see `myops.quantify.measure.measure`.
        """
        from myops.quantify.measure import measure
        from myops.slice_registration import compared

        return measure(
            compared(self.case),
            self.segmentation,
            self.settings,
            self.sector,
            landmarks=self.landmarks,
        )

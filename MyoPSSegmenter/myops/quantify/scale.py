"""From counts of voxels to masses: one case's voxel, and what it can give no number for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from myops import labels as regions
from myops.coverage import Hidden, reasons_by_slice, reasons_of_heart
from myops.quantify.mass import TissueMass, spacing_refusal, tissue_mass, tissue_masses

if TYPE_CHECKING:
    from myops.case import Case


@dataclass(frozen=True)
class Scale:
    """What turns counts of voxels into masses, or says why there are none.

    Attributes:
        voxel_ml: volume of a voxel; None with `no_spacing` when the spacing is unknown.
        no_spacing: why it is unknown.
        assessed: "scar", "edema", "mvo": what can be assessed at all.
        lacking: tissues without a total, since it would lack slices, with the reason.
        of_slices: the same for every slice.
    """

    voxel_ml: float | None
    no_spacing: str
    assessed: frozenset[str]
    lacking: Mapping[str, str]
    of_slices: Sequence[Mapping[str, str]]

    @classmethod
    def of(cls, case: Case, labels: np.ndarray, assessed: frozenset[str], hidden: Hidden) -> Scale:
        """The scale of a case and its label map (z, y, x)."""
        wall = regions.myocardium(labels)
        known = assessed | ({"mvo"} if regions.mvo(labels).any() else set())
        return cls(
            case.geometry.voxel_volume_ml if case.spacing_known else None,
            spacing_refusal(case),
            known,
            reasons_of_heart(hidden, wall),
            reasons_by_slice(hidden, wall),
        )

    def mass(self, voxels: int | None, lv_voxels: int, reason: str | None = None) -> TissueMass:
        """As `mass.tissue_mass`."""
        return tissue_mass(voxels, lv_voxels, self.voxel_ml, reason, self.no_spacing)

    def tissues(self, labels: np.ndarray, index: int | None = None) -> dict[str, TissueMass]:
        """All tissues of a label map, or of its slice `index`."""
        part = labels if index is None else labels[index]
        lacking = self.lacking if index is None else self.of_slices[index]
        return tissue_masses(part, self.assessed, self.voxel_ml, lacking, self.no_spacing)

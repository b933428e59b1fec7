"""Segmentation -> Measurements: every number of the report, with its rule and its doubts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import labels as regions
from .fwhm import FwhmResult, Scope, half_of_maximum, remote_referenced
from .mass import (
    MYOCARDIAL_DENSITY_G_PER_ML,
    UNKNOWN_SPACING,
    TissueMass,
    dice,
    tissue_mass,
    tissue_masses,
)
from .remote import RemoteRegion, find_remote

if TYPE_CHECKING:
    from ..case import Case
    from ..segmentation import Segmentation

RULE_WORDS = {"half_of_maximum": "half of maximum", "remote_referenced": "remote-referenced"}
NO_LGE = "not assessed: there is no LGE image"

CONVENTIONS: Mapping[str, str] = {
    "lv_mass": "normal myocardium + edema + scar, in the phase that was imaged",
    "scar": "muscle labeled as scar, from LGE; fresh necrosis and dark cores inside the scar "
    "(microvascular obstruction) are part of it",
    "edema": "swollen muscle outside the scar, from T2; scar + edema is the union of both",
    "papillary_muscles": "as labeled: MyoPS labels count them as blood pool, so not in LV mass",
    "volume": "voxel count × spacing; slices are counted center to center, gaps included",
    "density": f"{MYOCARDIAL_DENSITY_G_PER_ML} g/mL (SCMR, J Cardiovasc Magn Reson 2020;22:19)",
    "fwhm_peak": "the maximum LGE signal inside the automatic myocardium; one voxel can set it",
    "fwhm_mask": "myocardium above the threshold; dark cores are not filled in",
    "fwhm_per_slice": "each slice that holds automatic scar has its own peak; others are skipped",
    "angles": "counterclockwise around the LV center as displayed, 0 = image right",
}


@dataclass(frozen=True)
class ThresholdedScar:
    """Scar by one conventional rule, beside the automatic scar.

    Attributes:
        result: threshold, peak, rule and mask.
        mass: its volume, mass and share of LV mass; no numbers when the rule is invalid.
        dice_with_scar: Dice against the automatic scar, 0..1; None with `dice_reason`.
    """

    result: FwhmResult
    mass: TissueMass
    dice_with_scar: float | None
    dice_reason: str | None


@dataclass(frozen=True)
class SliceMeasurement:
    """Masses of one slice.

    Attributes:
        number: 1-based position along the canonical stack.
        tissues: as `Measurements.tissues`, shares relative to this slice's myocardium.
        fwhm: mass of each conventional rule in this slice, by name.
    """

    number: int
    tissues: Mapping[str, TissueMass]
    fwhm: Mapping[str, TissueMass]


@dataclass(frozen=True)
class Measurements:
    """Every number of one case. Missing numbers are None, with the reason beside them.

    Attributes:
        case_name: name of the case.
        spacing_mm: (x, y, z) the volumes were computed with.
        spacing_known: False when the header holds none; volumes and masses are then refused.
        tissues: "lv_myocardium", "scar", "edema", "scar_or_edema", "blood_pool".
        slices: the same for every slice.
        remote: remote myocardium; None with `remote_reason`.
        fwhm: conventional results by name, such as "fwhm_half_of_maximum_volume"; empty with
            `fwhm_reason` when there is no LGE image.
        mean_uncertainty: mean voxel uncertainty inside the myocardium, 0..1; None without one.
        warnings: doubts about the case, the segmentation and the numbers.
    """

    case_name: str
    spacing_mm: tuple[float, float, float]
    spacing_known: bool
    tissues: Mapping[str, TissueMass]
    slices: tuple[SliceMeasurement, ...]
    remote: RemoteRegion | None
    remote_reason: str | None
    fwhm: Mapping[str, ThresholdedScar]
    fwhm_reason: str | None
    mean_uncertainty: float | None
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dict for JSON, without arrays; see `tables.plain`."""
        from .tables import plain

        return plain(self)

    def to_rows(self) -> list[dict[str, Any]]:
        """One row per number for CSV; see `tables.rows`."""
        from .tables import rows

        return rows(self)


def measure(case: Case, segmentation: Segmentation) -> Measurements:
    """Measure tissue masses and the conventional scar sizes of a segmented case.

    Args:
        case: the images, raw intensities on the canonical grid.
        segmentation: MyoPS labels on the same grid.

    Raises:
        ValueError: the label map is not on the case's grid.
    """
    labels = segmentation.labels
    if labels.shape != case.geometry.array_shape:
        raise ValueError(f"expected labels of {case.geometry.array_shape}, found {labels.shape}")
    voxel_ml = case.geometry.voxel_volume_ml if case.spacing_known else None
    remote, remote_reason = _remote(case, labels)
    results = _fwhm_results(case, labels, remote)
    wall = regions.myocardium(labels)
    return Measurements(
        case_name=case.name,
        spacing_mm=case.geometry.spacing_mm,
        spacing_known=case.spacing_known,
        tissues=tissue_masses(labels, segmentation.assessed, voxel_ml),
        slices=_slices(labels, segmentation.assessed, results, voxel_ml),
        remote=remote,
        remote_reason=remote_reason,
        fwhm={name: _thresholded(r, labels, voxel_ml) for name, r in results.items()},
        fwhm_reason=None if results else NO_LGE,
        mean_uncertainty=float(segmentation.uncertainty[wall].mean()) if wall.any() else None,
        warnings=_warnings(case, segmentation, results),
    )


def _remote(case: Case, labels: np.ndarray) -> tuple[RemoteRegion | None, str | None]:
    if "lge" not in case.images:
        return None, NO_LGE
    wall = regions.myocardium(labels)
    found = find_remote(
        case.images["lge"],
        regions.lv_region(labels),
        wall,
        regions.scar_or_edema(labels),
        case.geometry.spacing_mm,
    )
    if found is None:
        return None, "no 60 degree sector has enough myocardium free of scar and edema"
    return found, None


def _fwhm_results(
    case: Case, labels: np.ndarray, remote: RemoteRegion | None
) -> dict[str, FwhmResult]:
    """Both rules, each for the volume and per slice; nothing without an LGE image."""
    lge = case.images.get("lge")
    if lge is None:
        return {}
    wall, scar = regions.myocardium(labels), regions.scar(labels)
    scopes: tuple[Scope, ...] = ("volume", "slice")
    return {
        f"fwhm_{rule.__name__}_{scope}": rule(lge, wall, scar, remote, scope)
        for rule in (half_of_maximum, remote_referenced)
        for scope in scopes
    }


def _thresholded(result: FwhmResult, labels: np.ndarray, voxel_ml: float | None) -> ThresholdedScar:
    lv_voxels = int(regions.myocardium(labels).sum())
    if result.mask is None:
        mass = tissue_mass(None, lv_voxels, voxel_ml, result.invalid)
        return ThresholdedScar(result, mass, None, result.invalid)
    mass = tissue_mass(int(result.mask.sum()), lv_voxels, voxel_ml)
    overlap = dice(result.mask, regions.scar(labels))
    empty = "both the rule and the automatic scar are empty" if overlap is None else None
    return ThresholdedScar(result, mass, overlap, empty)


def _slices(
    labels: np.ndarray,
    assessed: frozenset[str],
    results: Mapping[str, FwhmResult],
    voxel_ml: float | None,
) -> tuple[SliceMeasurement, ...]:
    rows = []
    for index, plane in enumerate(labels):
        lv_voxels = int(regions.myocardium(plane).sum())
        by_rule = {
            name: tissue_mass(int(r.mask[index].sum()), lv_voxels, voxel_ml)
            if r.mask is not None
            else tissue_mass(None, lv_voxels, voxel_ml, r.invalid)
            for name, r in results.items()
        }
        tissues = tissue_masses(plane, assessed, voxel_ml)
        rows.append(SliceMeasurement(index + 1, tissues, by_rule))
    return tuple(rows)


def _warnings(
    case: Case, segmentation: Segmentation, results: Mapping[str, FwhmResult]
) -> tuple[str, ...]:
    """Warnings of every stage, each once, in the order of the stages."""
    found = [*case.warnings, *segmentation.warnings]
    if not case.spacing_known:
        found.append(f"Volumes and masses are {UNKNOWN_SPACING}.")
    labels = segmentation.labels
    if results and regions.myocardium(labels).any() and not regions.scar(labels).any():
        found.append(
            "No scar was found. FWHM assumes that there is scar: without one, "
            "what it marks is the brightest healthy myocardium."
        )
    rules_by_doubt: dict[str, dict[str, None]] = {}
    for result in results.values():
        doubts = (result.invalid,) if result.invalid else result.warnings
        for doubt in doubts:
            rules_by_doubt.setdefault(doubt, {})[RULE_WORDS[result.rule]] = None
    found += [f"FWHM, {' and '.join(rules)}: {doubt}." for doubt, rules in rules_by_doubt.items()]
    return tuple(dict.fromkeys(found))


def rule_title(result: FwhmResult) -> str:
    """Words for a rule: "FWHM, half of maximum (volume)"."""
    scope = "per slice" if result.scope == "slice" else "volume"
    return f"FWHM, {RULE_WORDS[result.rule]} ({scope})"

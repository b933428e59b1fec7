"""Segmentation -> Measurements: every number of the report, with its rule and its warnings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from myops import labels as regions
from myops.case import images_sha256
from myops.coverage import hidden_slices, hidden_tissues
from myops.io.checksum import array_sha256
from myops.quantify.enhanced import enhanced
from myops.quantify.human_heart import warning_of_labels
from myops.quantify.layered import RULE, layered
from myops.quantify.mass import TissueMass, dice, known_spacing_mm
from myops.quantify.measurements import Measurements, SliceMeasurement, ThresholdedScar
from myops.quantify.papillary import COUNTED_NOTE, with_papillary_muscles
from myops.quantify.quality.image_quality import ImageQuality, image_quality
from myops.quantify.regional.analysis import Regional, regional
from myops.quantify.scale import Scale
from myops.quantify.slice_position import slice_positions_mm
from myops.quantify.t2_ratio import t2_ratio
from myops.quantify.thresholds.base import ThresholdResult
from myops.quantify.thresholds.methods import (
    RULES,
    ConventionalSettings,
    conventional_methods,
    remote_region,
    report_rules,
    volume_rule,
)
from myops.quantify.thresholds.remote import RemoteRegion, Sector
from myops.structures import ASSESSABLE, STRUCTURES

if TYPE_CHECKING:
    from myops.case import Case
    from myops.quantify.regional.orientation import Landmarks
    from myops.segmentation import Segmentation

NO_THRESHOLD = "not assessed: nothing to set this rule's threshold by in this slice"
NO_LGE = STRUCTURES["scar"].not_assessed


def measure(
    case: Case,
    segmentation: Segmentation,
    settings: ConventionalSettings | None = None,
    remote_override: np.ndarray | Sector | None = None,
    hyperenhanced: np.ndarray | None = None,
    papillary_in_lv_mass: bool = False,
    landmarks: Landmarks | None = None,
) -> Measurements:
    """Measure tissue masses and the conventional scar sizes of a case with a label map.

    Args:
        case: the images, raw intensities on the canonical grid.
        segmentation: MyoPS labels on the same grid.
        settings: conventional rules; those of the report if not given.
        remote_override: remote region as bool (z, y, x) or a sector; automatic if None.
        hyperenhanced: bool (z, y, x), drawn region of the Amado rule; automatic if None.
        papillary_in_lv_mass: count papillary muscles in the blood pool as LV mass, see
            `papillary`; else as labeled. Conventional rules measure the labeled wall either way.
        landmarks: what the reader says about the heart's orientation, for the segments.

    Raises:
        ValueError: the label map is not on the case's grid.
        InputError: see `conventional_methods`, `papillary_muscles` and `check_landmarks`.

    Example:
        >>> numbers = myops.measure(case, segmentation)
        >>> scar = numbers.tissues["scar"]
        >>> print(scar.mass_g, scar.percent_of_lv_mass, scar.reason)
        16.1 12.6 None
    """
    labels = segmentation.labels
    if labels.shape != case.geometry.array_shape:
        raise ValueError(f"expected labels of {case.geometry.array_shape}, found {labels.shape}")
    weighed = with_papillary_muscles(case.images, labels) if papillary_in_lv_mass else labels
    hidden = hidden_tissues(case)
    scale = Scale.of(case, weighed, segmentation.assessed, hidden)
    wall = regions.myocardium(labels)
    on_lge = _without(labels, hidden_slices(hidden, "scar", wall))
    settings = settings or ConventionalSettings(tuple(rule.name for rule in report_rules()))
    results = _conventional(case, on_lge, settings, remote_override, hyperenhanced)
    scars = {name: _thresholded(r, on_lge, weighed, scale) for name, r in results.items()}
    remote, remote_reason = _remote(case, on_lge, remote_override)
    uncertain = wall.any() and bool(segmentation.probabilities)
    note = COUNTED_NOTE if papillary_in_lv_mass else ""
    as_labeled = Scale.of(case, labels, segmentation.assessed, hidden)
    where = regional(
        labels,
        case.geometry,
        segmentation.assessed,
        case.spacing_known,
        landmarks,
        hidden,
        scale.no_spacing,
    )
    return Measurements(
        case_name=case.name,
        spacing_mm=case.geometry.spacing_mm,
        spacing_known=case.spacing_known,
        tissues=scale.tissues(weighed),
        slices=_slices(weighed, results, scale, slice_positions_mm(case)),
        remote=remote,
        remote_reason=remote_reason,
        fwhm=_of_report(scars, results, True),
        fwhm_reason=None if "lge" in case.images else NO_LGE,
        mean_uncertainty=float(segmentation.uncertainty[wall].mean()) if uncertain else None,
        warnings=(
            *_warnings(case, segmentation, weighed, results, scale),
            *(remote.doubts if remote is not None else ()),
            *((note,) if note else ()),
        ),
        conventional=_of_report(scars, results, False),
        quality=_quality(case, on_lge, remote),
        regional=replace(where, note=note),
        images_sha256=images_sha256(case),
        labels_sha256=array_sha256(labels),
        papillary_in_lv_mass=papillary_in_lv_mass,
        registrations=case.registrations,
        layers=layered(labels, _layer_labels(where), _zones(case, on_lge), as_labeled),
        t2_ratio=t2_ratio(
            case,
            labels,
            remote,
            where.segment_labels,
            None if landmarks is None else landmarks.skeletal_muscle,
        ),
        enhanced=enhanced(case, labels, as_labeled),
    )


def _layer_labels(where: Regional) -> np.ndarray:
    assert where.layer_labels is not None  # `regional` always makes them
    return where.layer_labels


def _zones(case: Case, labels: np.ndarray) -> ThresholdResult | str:
    """Core and grey zone for the layers, or why there are none."""
    if "lge" not in case.images:
        return NO_LGE
    return volume_rule(RULE, case.images["lge"], labels, known_spacing_mm(case))


def _without(labels: np.ndarray, slices: np.ndarray) -> np.ndarray:
    """Labels without those of some slices, bool (z,)."""
    if not slices.any():
        return labels
    return np.where(slices[:, None, None], labels.dtype.type(0), labels)


def _remote(
    case: Case, labels: np.ndarray, override: np.ndarray | Sector | None
) -> tuple[RemoteRegion | None, str | None]:
    if "lge" not in case.images:
        return None, NO_LGE
    found = remote_region(case.images["lge"], labels, case.geometry.spacing_mm, override)
    if found is None:
        return None, "no 60 degree sector has enough myocardium free of scar and edema"
    return found, None


def _conventional(
    case: Case,
    labels: np.ndarray,
    settings: ConventionalSettings,
    remote_override: np.ndarray | Sector | None,
    hyperenhanced: np.ndarray | None,
) -> dict[str, ThresholdResult]:
    """Every rule that was asked for; nothing without an LGE image."""
    lge = case.images.get("lge")
    if lge is None:
        return {}
    return conventional_methods(
        lge, labels, known_spacing_mm(case), settings, remote_override, hyperenhanced
    )


def _quality(case: Case, labels: np.ndarray, remote: RemoteRegion | None) -> ImageQuality | None:
    lge = case.images.get("lge")
    if lge is None:
        return None
    return image_quality(lge, labels, known_spacing_mm(case), remote)


def _of_report(
    parts: Mapping[str, Any], results: Mapping[str, ThresholdResult], wanted: bool
) -> dict[str, Any]:
    """The entries of the report's rules, or those of all others."""
    return {n: part for n, part in parts.items() if RULES[results[n].rule].in_report == wanted}


def _thresholded(
    result: ThresholdResult, labels: np.ndarray, weighed: np.ndarray, scale: Scale
) -> ThresholdedScar:
    lv_voxels = int(regions.myocardium(weighed).sum())

    def mass(mask: np.ndarray | None) -> TissueMass | None:
        return None if mask is None else scale.mass(int(mask.sum()), lv_voxels)

    missing = result.invalid if result.mask is None else scale.lacking.get("scar")
    if result.mask is None or missing:
        return ThresholdedScar(result, scale.mass(None, lv_voxels, missing), None, missing)
    overlap = dice(result.mask, regions.scar(labels))
    empty = "both the rule and the labeled scar are empty" if overlap is None else None
    return ThresholdedScar(
        result=result,
        mass=scale.mass(int(result.mask.sum()), lv_voxels),
        dice_with_scar=overlap,
        dice_reason=empty,
        filled=mass(result.filled),
        core=mass(result.core),
        grey_zone=mass(result.grey_zone),
    )


def _slices(
    labels: np.ndarray,
    results: Mapping[str, ThresholdResult],
    scale: Scale,
    positions_mm: tuple[float, ...] | None,
) -> tuple[SliceMeasurement, ...]:
    voxels = {
        name: None if r.mask is None else r.mask.sum(axis=(1, 2)) for name, r in results.items()
    }
    rows = []
    for index in range(len(labels)):
        tissues = scale.tissues(labels, index)
        lv_voxels = tissues["lv_myocardium"].voxels or 0
        by_rule = {}
        for name, found in voxels.items():
            reason = results[name].invalid or scale.of_slices[index].get("scar")
            reason = reason or _why_skipped(results[name], labels[index], index)
            count = None if found is None or reason else int(found[index])
            by_rule[name] = scale.mass(count, lv_voxels, reason)
        of_report, others = (_of_report(by_rule, results, shown) for shown in (True, False))
        at = None if positions_mm is None else positions_mm[index]
        rows.append(SliceMeasurement(index + 1, tissues, of_report, others, at))
    return tuple(rows)


def _why_skipped(result: ThresholdResult, plane: np.ndarray, index: int) -> str | None:
    """Why a rule with a threshold for each slice says nothing about one that holds scar."""
    if result.scope == "volume" or result.thresholds[index] is not None:
        return None
    return NO_THRESHOLD if regions.scar(plane).any() else None


def _warnings(
    case: Case,
    segmentation: Segmentation,
    weighed: np.ndarray,
    results: Mapping[str, ThresholdResult],
    scale: Scale,
) -> tuple[str, ...]:
    """Warnings of every stage, each once, in the order of the stages."""
    found = [*case.warnings, *segmentation.warnings]
    if not case.spacing_known and not any(case.spacing_reason in text for text in found):
        found.append(f"Volumes and masses are {scale.no_spacing}.")
    labels = segmentation.labels
    found += skipped_slices(regions.lv_region(labels))
    found += filter(None, [warning_of_labels(weighed, known_spacing_mm(case))])
    found += [
        f"{STRUCTURES[name].title}: {scale.lacking[name].partition(': ')[2]}."
        for name in ASSESSABLE
        if name in scale.lacking and name in segmentation.assessed
    ]
    if results and regions.myocardium(labels).any() and not regions.scar(labels).any():
        found.append(
            "No scar was found. FWHM assumes that there is scar: without one, "
            "what it marks is the brightest healthy myocardium."
        )
    rules_by_warning: dict[str, dict[str, None]] = {}
    for result in results.values():
        warnings = (result.invalid,) if result.invalid else result.warnings
        for warning in warnings:
            rules_by_warning.setdefault(warning, {})[RULES[result.rule].title] = None
    found += [f"{'; '.join(rules)}: {warning}." for warning, rules in rules_by_warning.items()]
    return tuple(dict.fromkeys(found))


def skipped_slices(lv_region: np.ndarray) -> list[str]:
    """A warning where slices without LV lie between slices with LV.

    A stack that lost a slice, or a slice that was never contoured, looks like this, and its tissue
    is in no volume.

    Args:
        lv_region: bool (z, y, x), everything inside the epicardium.
    """
    held = np.flatnonzero(lv_region.any(axis=(1, 2)))
    if held.size == 0:
        return []
    missing = sorted(set(range(held[0], held[-1])) - set(held.tolist()))
    if not missing:
        return []
    numbers = ", ".join(str(index + 1) for index in missing)
    return [
        f"Slice {numbers}: no LV although slices on both sides hold some. What is missing there is "
        "in no volume or mass."
    ]

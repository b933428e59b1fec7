"""Measurements as plain data: nested for JSON, one row per number for CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .mass import MYOCARDIAL_DENSITY_G_PER_ML, TissueMass

if TYPE_CHECKING:
    from .measure import Measurements, SliceMeasurement, ThresholdedScar
    from .remote import RemoteRegion

MASS_UNITS = {"volume_ml": "mL", "mass_g": "g", "percent_of_lv_mass": "%"}
COLUMNS = ("case", "slice", "structure", "quantity", "value", "unit", "note")


def plain(measurements: Measurements) -> dict[str, Any]:
    """Nested dict of numbers, strings and None; arrays are left out."""
    from .measure import CONVENTIONS

    return {
        "case": measurements.case_name,
        "spacing_mm_xyz": list(measurements.spacing_mm),
        "spacing_known": measurements.spacing_known,
        "density_g_per_ml": MYOCARDIAL_DENSITY_G_PER_ML,
        "conventions": dict(CONVENTIONS),
        "tissues": {name: dict(vars(m)) for name, m in measurements.tissues.items()},
        "remote": _remote(measurements.remote, measurements.remote_reason),
        "fwhm": {name: _rule(scar) for name, scar in measurements.fwhm.items()},
        "fwhm_reason": measurements.fwhm_reason,
        "mean_uncertainty_in_myocardium": measurements.mean_uncertainty,
        "slices": [_slice(one) for one in measurements.slices],
        "warnings": list(measurements.warnings),
    }


def rows(measurements: Measurements) -> list[dict[str, Any]]:
    """One row per number; value None where there is none, with the reason in "note"."""
    found: list[dict[str, Any]] = []

    def add(part: str, structure: str, quantity: str, value: Any, unit: str, note: Any) -> None:
        row = (measurements.case_name, part, structure, quantity, value, unit, note or "")
        found.append(dict(zip(COLUMNS, row, strict=True)))

    def add_mass(part: str, structure: str, mass: TissueMass) -> None:
        for quantity, unit in MASS_UNITS.items():
            value = getattr(mass, quantity)
            add(part, structure, quantity, value, unit, mass.reason if value is None else "")

    for name, mass in measurements.tissues.items():
        add_mass("all", name, mass)
    for name, scar in measurements.fwhm.items():
        add_mass("all", name, scar.mass)
        low_high = scar.result.threshold_range or (None, None)
        add("all", name, "threshold_lowest", low_high[0], "LGE signal", scar.result.invalid)
        add("all", name, "threshold_highest", low_high[1], "LGE signal", scar.result.invalid)
        add("all", name, "peak", scar.result.peak, "LGE signal", scar.result.invalid)
        add("all", name, "dice_with_automatic_scar", scar.dice_with_scar, "", scar.dice_reason)
    for quantity in ("mean", "sd", "center_angle_deg", "voxels"):
        value = getattr(measurements.remote, quantity, None)
        unit = {"center_angle_deg": "degrees", "voxels": "voxels"}.get(quantity, "LGE signal")
        add("all", "remote", quantity, value, unit, measurements.remote_reason)
    for one in measurements.slices:
        for name, mass in {**one.tissues, **one.fwhm}.items():
            add_mass(str(one.number), name, mass)
    return found


def _remote(remote: RemoteRegion | None, reason: str | None) -> dict[str, Any]:
    if remote is None:
        return {"reason": reason}
    kept = {key: value for key, value in vars(remote).items() if key != "mask"}
    return {**kept, "clock_hour": remote.clock_hour, "reason": None}


def _rule(scar: ThresholdedScar) -> dict[str, Any]:
    result = scar.result
    return {
        "rule": result.rule,
        "scope": result.scope,
        "peak": result.peak,
        "threshold_range": list(result.threshold_range) if result.threshold_range else None,
        "thresholds_by_slice": list(result.thresholds),
        "peaks_by_slice": list(result.peaks),
        **vars(scar.mass),
        "dice_with_automatic_scar": scar.dice_with_scar,
        "dice_reason": scar.dice_reason,
        "invalid": result.invalid,
        "warnings": list(result.warnings),
    }


def _slice(one: SliceMeasurement) -> dict[str, Any]:
    return {
        "number": one.number,
        "tissues": {name: dict(vars(mass)) for name, mass in one.tissues.items()},
        "fwhm": {name: dict(vars(mass)) for name, mass in one.fwhm.items()},
    }

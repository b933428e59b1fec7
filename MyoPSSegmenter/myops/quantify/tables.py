"""Measurements as plain data: nested for JSON, one row per number for CSV, and their files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from myops.io.atomic import json_text
from myops.io.csv_files import csv_text as table_text
from myops.io.text_files import write_text
from myops.quantify.mass import MYOCARDIAL_DENSITY_G_PER_ML, TissueMass
from myops.quantify.measurements import COLUMNS, CONVENTIONS
from myops.quantify.papillary import COUNTED_NOTE
from myops.quantify.quality.image_quality import QUALITY_UNITS
from myops.quantify.reader_tables import reader_rows
from myops.quantify.regional import tables
from myops.quantify.thresholds.base import NO_SLICE_ASSESSABLE
from myops.quantify.thresholds.methods import rule_title

if TYPE_CHECKING:
    from myops.quantify.measurements import Measurements, SliceMeasurement, ThresholdedScar
    from myops.quantify.thresholds.remote import RemoteRegion

MASS_UNITS = {"volume_ml": "mL", "mass_g": "g", "percent_of_lv_mass": "%"}
REGISTRATION_UNITS = {
    "mean_shift_mm": "mm",
    "largest_shift_mm": "mm",
    "turn_deg": "degrees",
    "mutual_information_before": "nats",
    "mutual_information_after": "nats",
}
PARTS = ("filled", "core", "grey_zone")


def write_tables(folder: str | Path, measurements: Measurements) -> tuple[Path, ...]:
    """Write `quantification.json`, `.csv` and `regional.csv`, each complete or not at all.

    Raises:
        InputError: the folder cannot be written, or holds results of other images.
    """
    from myops import __version__
    from myops.output.earlier_results import QUANTIFICATION_FILE, check_same_images

    check_same_images(folder, measurements.images_sha256)

    document = {
        "software": f"myops {__version__}",
        "notice": "Research use only. Not a medical device.",
        **plain(measurements),
    }
    files = {
        QUANTIFICATION_FILE: json_text(document),
        "quantification.csv": csv_text(rows(measurements)),
    }
    regional = measurements.regional
    if regional is not None:
        files["regional.csv"] = csv_text(regional_rows(measurements))
    written = []
    for name, content in files.items():
        written.append(write_text(Path(folder) / name, content))
    if regional is None:  # those of an earlier label map are not this one's
        (Path(folder) / "regional.csv").unlink(missing_ok=True)
    return tuple(written)


def csv_text(values: list[dict[str, Any]]) -> str:
    """Rows of `COLUMNS` as the text of a CSV file."""
    return table_text(COLUMNS, values)


def plain(measurements: Measurements) -> dict[str, Any]:
    """Nested dict of numbers, strings and None; arrays are left out."""
    return {
        "case": measurements.case_name,
        "spacing_mm_xyz": list(measurements.spacing_mm),
        "spacing_known": measurements.spacing_known,
        "density_g_per_ml": MYOCARDIAL_DENSITY_G_PER_ML,
        "conventions": dict(CONVENTIONS),
        "images_sha256": dict(measurements.images_sha256),
        "labels_sha256": measurements.labels_sha256,
        # Only where it was asked for: other files stay as they are.
        **({"registration": found} if (found := _registrations(measurements)) else {}),
        "papillary_muscles_in_lv_mass": measurements.papillary_in_lv_mass,
        "tissues": {name: dict(vars(m)) for name, m in measurements.tissues.items()},
        "remote": _remote(measurements.remote, measurements.remote_reason),
        "fwhm": {name: _rule(scar) for name, scar in measurements.fwhm.items()},
        "fwhm_reason": measurements.fwhm_reason,
        "conventional": {name: _rule(scar) for name, scar in measurements.conventional.items()},
        "image_quality": asdict(measurements.quality) if measurements.quality else None,
        "regional": _regional(measurements),
        "layers": asdict(measurements.layers) if measurements.layers else None,
        "t2_ratio": asdict(measurements.t2_ratio) if measurements.t2_ratio else None,
        "enhanced": [asdict(one) for one in measurements.enhanced],
        "mean_uncertainty_in_myocardium": measurements.mean_uncertainty,
        "slices": [_slice(one) for one in measurements.slices],
        "warnings": list(measurements.warnings),
    }


def rows(measurements: Measurements) -> list[dict[str, Any]]:
    """One row per number; value None where there is none, with the reason in "note"."""
    found: list[dict[str, Any]] = []
    positions = slice_positions(measurements)

    def add(part: str, structure: str, quantity: str, value: Any, unit: str, note: Any) -> None:
        words, at = note or "", positions.get(part)
        row = (measurements.case_name, part, structure, quantity, value, unit, words, at)
        found.append(dict(zip(COLUMNS, row, strict=True)))

    def add_mass(part: str, structure: str, mass: TissueMass) -> None:
        for quantity, unit in MASS_UNITS.items():
            value = getattr(mass, quantity)
            note = COUNTED_NOTE if measurements.papillary_in_lv_mass and unit != "mL" else ""
            add(part, structure, quantity, value, unit, mass.reason if value is None else note)

    for name, mass in measurements.tissues.items():
        add_mass("all", name, mass)
    for name, scar in measurements.methods.items():
        add_mass("all", name, scar.mass)
        for part in PARTS:
            if (mass := getattr(scar, part)) is not None:
                add_mass("all", f"{name}_{part}", mass)
        low_high = scar.result.threshold_range
        missing = "" if low_high else scar.result.invalid or NO_SLICE_ASSESSABLE
        low, high = low_high or (None, None)
        for quantity, value in (
            ("threshold_lowest", low),
            ("threshold_highest", high),
            ("peak", scar.result.peak),
        ):
            add("all", name, quantity, value, "LGE signal", missing)
        add("all", name, "dice_with_automatic_scar", scar.dice_with_scar, "", scar.dice_reason)
    for quantity in ("mean", "sd", "center_angle_deg", "voxels"):
        value = getattr(measurements.remote, quantity, None)
        unit = {"center_angle_deg": "degrees", "voxels": "voxels"}.get(quantity, "LGE signal")
        add("all", "remote", quantity, value, unit, measurements.remote_reason)
    if measurements.quality is not None:
        for quantity, unit in QUALITY_UNITS.items():
            value = getattr(measurements.quality, quantity)
            note = "" if value is not None else measurements.quality.reasons.get(quantity)
            add("all", "image_quality", quantity, value, unit, note)
    for registration in measurements.registrations:
        name, numbers = f"registration_{registration.sequence}", registration.to_dict()
        for quantity, unit in REGISTRATION_UNITS.items():
            add("all", name, quantity, numbers.get(quantity), unit, registration.note)
    for row in reader_rows(measurements):
        add("all", *row)
    for one in measurements.slices:
        for name, mass in {**one.tissues, **one.fwhm, **one.conventional}.items():
            add_mass(str(one.number), name, mass)
    return found


def _registrations(measurements: Measurements) -> dict[str, Any]:
    return {one.sequence: one.to_dict() for one in measurements.registrations}


def slice_positions(measurements: Measurements) -> dict[str, float]:
    """Slice number, as in tables, to its position in mm; empty where it is not known."""
    slices = measurements.slices
    return {str(one.number): one.position_mm for one in slices if one.position_mm is not None}


def regional_rows(measurements: Measurements) -> list[dict[str, Any]]:
    """Rows of the regional analysis, with the position of slices; none without an analysis."""
    if measurements.regional is None:
        return []
    positions = slice_positions(measurements)
    found = tables.rows(measurements.regional, measurements.case_name)
    return [{**row, "slice_position_mm": positions.get(row["slice"])} for row in found]


def _regional(measurements: Measurements) -> dict[str, Any] | None:
    if measurements.regional is None:
        return None
    found = tables.plain(measurements.regional)
    positions = slice_positions(measurements)
    for one in found["slices"]:
        one["position_mm"] = positions.get(str(one["number"]))
    return found


def _remote(remote: RemoteRegion | None, reason: str | None) -> dict[str, Any]:
    if remote is None:
        return {"reason": reason}
    kept = {key: value for key, value in vars(remote).items() if key != "mask"}
    return {**kept, "clock_hour": remote.clock_hour, "reason": None}


def _rule(scar: ThresholdedScar) -> dict[str, Any]:
    result = scar.result
    core_range = result.core_threshold_range
    return {
        "rule": result.rule,
        "title": rule_title(result),
        "scope": result.scope,
        "peak": result.peak,
        "threshold_range": list(result.threshold_range) if result.threshold_range else None,
        "thresholds_by_slice": list(result.thresholds),
        "peaks_by_slice": list(result.peaks),
        "core_threshold_range": list(core_range) if core_range else None,
        "remote": None if result.remote is None else _remote(result.remote, None),
        **vars(scar.mass),
        **{part: _part(getattr(scar, part)) for part in PARTS},
        "removed_island_voxels": result.removed_voxels,
        "dice_with_automatic_scar": scar.dice_with_scar,
        "dice_reason": scar.dice_reason,
        "invalid": result.invalid,
        "warnings": list(result.warnings),
    }


def _part(mass: TissueMass | None) -> dict[str, Any] | None:
    return None if mass is None else dict(vars(mass))


def _slice(one: SliceMeasurement) -> dict[str, Any]:
    return {
        "number": one.number,
        "position_mm": one.position_mm,
        "tissues": {name: dict(vars(mass)) for name, mass in one.tissues.items()},
        "fwhm": {name: dict(vars(mass)) for name, mass in one.fwhm.items()},
        "conventional": {name: dict(vars(mass)) for name, mass in one.conventional.items()},
    }

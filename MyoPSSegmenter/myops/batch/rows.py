"""One row per patient for statistics: what `measurements.json` of its results says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from myops.errors import InputError
from myops.io.csv_files import csv_text
from myops.io.text_files import read_json

MASSES = {"volume_ml": "ml", "mass_g": "g", "percent_of_lv_mass": "percent_of_lv"}
TEXTS = ("patient", "status", "problem")
MOTION = ("mean_shift_mm", "largest_shift_mm", "turn_deg")
# Joins sentences in a cell.
BETWEEN = " | "


def row_of_results(folder: Path) -> dict[str, Any]:
    """The numbers of one patient's results.

    Returns:
        Column to number, text or None. `<structure>_ml`, `_g` and `_percent_of_lv` for every
        structure and conventional rule, image quality, warnings, and how it was made.

    Raises:
        InputError: no results, or damaged ones.
    """
    path = folder / "measurements.json"
    try:
        found = read_json(path)
        return {**_geometry(found), **_masses(found), **_quality(found), **_making(found)}
    except (OSError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: expected the numbers that myops wrote, found {type(error).__name__} "
            f"({error}); delete the folder and segment again"
        ) from None


def columns_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Every column of some row, in the order in which they come."""
    names = dict.fromkeys(TEXTS)
    for row in rows:
        names |= dict.fromkeys(row)
    return list(names)


def as_csv(rows: list[dict[str, Any]]) -> str:
    """The table as CSV text."""
    return csv_text(columns_of(rows), rows)


def as_parquet(rows: list[dict[str, Any]], path: Path) -> None:
    """Write the table as Parquet: numbers as float64, whole numbers as int64, the rest as text.

    Raises:
        ImportError: pyarrow is not installed.
    """
    import pyarrow
    from pyarrow import parquet

    columns = {}
    for name in columns_of(rows):
        values = [row.get(name) for row in rows]
        columns[name] = pyarrow.array(values, _parquet_type(pyarrow, name, values))
    parquet.write_table(pyarrow.table(columns), path)


def _parquet_type(pyarrow: Any, name: str, values: list[Any]) -> Any:
    """A column of empty cells has a type too, so that tables of two cohorts can be joined."""
    held = [value for value in values if value is not None]
    if name in TEXTS or any(isinstance(value, str) for value in held):
        return pyarrow.string()
    if held and all(isinstance(value, int) for value in held):
        return pyarrow.int64()
    return pyarrow.float64()


def _geometry(found: Mapping[str, Any]) -> dict[str, Any]:
    x, y, z = found["spacing_mm_xyz"]
    regional = found["regional"] or {}
    warnings = dict.fromkeys([*found["warnings"], *regional.get("warnings", ())])
    return {
        "warnings": len(warnings),
        "warning_texts": BETWEEN.join(warnings),
        "sequences": " ".join(found["images_sha256"]),
        "slices": len(found["slices"]),
        "spacing_known": str(bool(found["spacing_known"])).lower(),
        "spacing_x_mm": x,
        "spacing_y_mm": y,
        "spacing_z_mm": z,
    }


def _masses(found: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    reasons = []
    groups = (found["tissues"], found["fwhm"], found["conventional"])
    for name, mass in (pair for group in groups for pair in group.items()):
        row |= {f"{name}_{short}": mass[key] for key, short in MASSES.items()}
        if mass["reason"]:
            reasons.append(f"{name}: {mass['reason']}")
    return {**row, "without_a_number": BETWEEN.join(reasons)}


def _quality(found: Mapping[str, Any]) -> dict[str, Any]:
    quality = found["image_quality"] or {}
    row = {name: value for name, value in quality.items() if name != "reasons"}
    for sequence, one in found.get("registration", {}).items():
        row |= {f"{sequence}_{name}": one.get(name) for name in MOTION}
    return {**row, "mean_uncertainty": found["mean_uncertainty_in_myocardium"]}


def _making(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "seconds": round(sum(found["seconds"].values()), 3),
        "weights": found.get("weights", {}).get("name", ""),
        "software": found["software"],
        **{f"{name}_sha256": text for name, text in found["images_sha256"].items()},
        "labels_sha256": found["labels_sha256"],
    }

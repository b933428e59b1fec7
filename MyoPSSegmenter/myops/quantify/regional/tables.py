"""Regional analysis as plain data: nested for JSON, one row per number for CSV."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from myops.quantify.measurements import COLUMNS
from myops.quantify.regional.transmurality import CHORDS, QUARTILES

if TYPE_CHECKING:
    from myops.quantify.regional.analysis import Regional, Wall

WALL_UNITS = {
    "mass_g": "g",
    "scar_g": "g",
    "edema_g": "g",
    "scar_percent": "%",
    "edema_percent": "%",
    "scar_or_edema_percent": "%",
}
TRANSMURALITY_UNITS = {
    "mean_percent": "%",
    "mean_where_scar_percent": "%",
    "over_half_percent": "%",
    "chords": "chords",
    "quartile": "0 to 4",
}
CONVENTIONS = {
    "segments": "17 segments of Cerqueira et al., Circulation 2002;105:539, from the anterior RV "
    "insertion; levels are thirds of the cavity's length; apex = beyond the end of the cavity",
    "segment_percent": "volume share of the segment's wall; edema without the scar inside it",
    "transmurality": f"scar's share of the wall along {CHORDS} rays per slice from the LV center; "
    "mean over all chords, over those with scar, and share of chords above 50 %",
    "quartiles": f"classes {', '.join(QUARTILES)} of the wall, 0 to 4; a segment's is that of the "
    "mean over all of its chords",
    "endocardial_surface": "endocardial length under scar × distance between slice centers",
    "salvage": "(area at risk − infarct) / area at risk; area at risk = scar or edema",
}


def plain(regional: Regional) -> dict[str, Any]:
    """Nested dict of numbers, strings and None; the segment map is left out."""
    orientation = regional.orientation
    return {
        "conventions": dict(CONVENTIONS),
        "orientation": None if orientation is None else asdict(orientation),
        "segments_reason": regional.segments_reason,
        "ask": regional.ask,
        "segments": [asdict(segment) for segment in regional.segments],
        "whole": asdict(regional.whole),
        "slices": [asdict(one) for one in regional.slices],
        "endocardial_surface": asdict(regional.surface),
        "salvage": asdict(regional.salvage),
        "warnings": list(regional.warnings),
        "note": regional.note,
    }


def rows(regional: Regional, case_name: str) -> list[dict[str, Any]]:
    """One row per number; value None where there is none, with the reason in "note"."""
    found: list[dict[str, Any]] = []

    def add(part: str, structure: str, quantity: str, value: Any, unit: str, note: Any) -> None:
        words = note or (regional.note if unit in ("g", "%") else "")
        row = (case_name, part, structure, quantity, value, unit, words, None)
        found.append(dict(zip(COLUMNS, row, strict=True)))

    def add_wall(part: str, structure: str, wall: Wall, reason: str | None) -> None:
        for quantity, unit in WALL_UNITS.items():
            value = getattr(wall, quantity)
            note = reason or (missing_reason(wall, quantity) if value is None else "")
            add(part, structure, quantity, value, unit, note)
        for quantity, unit in TRANSMURALITY_UNITS.items():
            value = getattr(wall.transmurality, quantity, None)
            note = reason or (wall.reasons.get("scar") if value is None else "")
            add(part, structure, f"transmurality_{quantity}", value, unit, note)
        shares = getattr(wall.transmurality, "quartile_percent", None) or (None,) * len(QUARTILES)
        for quartile, share in enumerate(shares):
            note = reason or (wall.reasons.get("scar") if share is None else "")
            add(part, structure, f"chords_in_quartile_{quartile}_percent", share, "%", note)

    add_wall("all", "wall", regional.whole, None)
    for segment in regional.segments:
        name = f"segment_{segment.number:02d}_{segment.name.replace(' ', '_')}"
        add_wall("all", name, segment.wall, segment.reason)
    if regional.orientation is not None:
        width, source = regional.orientation.septum_deg, regional.orientation.source
        add("all", "segments", "septum_deg", width, "degrees", source)
    if regional.segments_reason:
        add("all", "segments", "count", None, "", regional.segments_reason)
    surface, spared = regional.surface, regional.salvage
    for quantity, unit in (("infarct_cm2", "cm2"), ("total_cm2", "cm2"), ("infarct_percent", "%")):
        add("all", "endocardium", quantity, getattr(surface, quantity), unit, surface.reason)
    add("all", "salvage", "index", spared.index, "", spared.reason or spared.warning)
    for quantity in ("area_at_risk_percent", "infarct_percent"):
        add("all", "salvage", quantity, getattr(spared, quantity), "%", spared.reason)
    for one in regional.slices:
        part = str(one.number)
        add_wall(part, "wall", one.wall, None)
        unknown = one.wall.reasons.get("mass")
        note = one.wall.reasons.get("scar") or unknown
        add(part, "endocardium", "infarct_mm", one.infarct_endocardium_mm, "mm", note)
        add(part, "endocardium", "total_mm", one.endocardium_mm, "mm", unknown)
    return found


def missing_reason(wall: Wall, quantity: str) -> str | None:
    """Why a number of `WALL_UNITS` is missing, such as "edema_g"."""
    tissue = quantity.removesuffix("_percent").removesuffix("_g")
    return wall.reasons.get(tissue) or wall.reasons.get("mass")

"""The report: one HTML file that needs nothing else, for reading on screen and for printing."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..quantify.conventional import RULE_TITLES, rule_title
from ..quantify.mass import TissueMass
from ..quantify.measure import CONVENTIONS, ThresholdedScar
from .colors import COLORS, NAMES, SEQUENCE_NAMES
from .figures import legend_names, shown_slices, strip
from .mosaic import LINES
from .tiles import COLUMN_NAMES, TileStack
from .words import (
    DASH,
    NOT_ASSESSED,
    geometry_words,
    number,
    remote_words,
    slice_caption,
    slice_order,
    summary_sentence,
    threshold_words,
)

if TYPE_CHECKING:
    from ..case import Case
    from ..quantify.measure import Measurements
    from ..segmentation import Segmentation

TISSUE_TITLES = {
    "lv_myocardium": "LV myocardium",
    "scar": "Scar",
    "mvo": "Microvascular obstruction (in scar)",
    "edema": "Edema (outside scar)",
    "scar_or_edema": "Scar + edema",
    "blood_pool": "LV blood pool",
}


def render_report(
    case: Case,
    segmentation: Segmentation,
    measurements: Measurements,
    tiles: TileStack,
    created: datetime | None = None,
) -> str:
    """Write the report of one case as a self-contained HTML page.

    Nothing of the patient but the case's name goes in: no paths, no header fields.

    Args:
        case: the images.
        segmentation: model checksums and timing come from here.
        measurements: every number shown.
        tiles: the pictures' source.
        created: time shown in the header, now if None.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("myops.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    when = created or datetime.now().astimezone()
    return environment.get_template("template.html.j2").render(
        case_name=case.name,
        created=f"{when:%Y-%m-%d %H:%M %Z}".strip(),
        version=__version__,
        sequences=_sequences(case),
        summary=summary_sentence(measurements),
        cards=_cards(measurements),
        warnings=measurements.warnings,
        tissues=_tissue_rows(measurements),
        rules=_rule_rows(measurements),
        fwhm_reason=measurements.fwhm_reason,
        remote=remote_words(measurements),
        thresholds=threshold_words(measurements),
        key_slice=_key_slice(measurements, tiles),
        slice_rules=_slice_rules(measurements),
        slice_rows=_slice_rows(measurements),
        slice_order=slice_order(case),
        column_count=len(tiles.columns),
        strips=_strips(measurements, tiles),
        shown=(len(shown_slices(tiles.slices)), tiles.slices),
        legend=_legend(tiles),
        mean_uncertainty=number(measurements.mean_uncertainty, 2),
        models=dict(segmentation.model),
        seconds=_timing(segmentation),
        geometry=geometry_words(case, measurements),
        conventions={_title(key): text for key, text in CONVENTIONS.items()},
        colors=COLORS,
    )


def _title(key: str) -> str:
    """Turn a key such as "lv_mass" into "LV mass"."""
    first, *others = key.split("_")
    first = first.upper() if first in ("lv", "fwhm") else first.capitalize()
    return " ".join((first, *others))


def _sequences(case: Case) -> list[dict[str, Any]]:
    return [
        {"name": name, "present": key in case.images, "reference": key == case.reference}
        for key, name in SEQUENCE_NAMES.items()
    ]


def _cards(measurements: Measurements) -> list[dict[str, str]]:
    cards = []
    for name in ("lv_myocardium", "scar", "edema", "scar_or_edema"):
        mass = measurements.tissues[name]
        card = {"title": TISSUE_TITLES[name], "class": name, "value": NOT_ASSESSED, "unit": ""}
        if mass.voxels is None:
            card |= {"class": "absent", "detail": (mass.reason or "").partition(": ")[2]}
        elif not measurements.tissues["lv_myocardium"].voxels:
            card |= {"class": "absent", "value": DASH, "detail": "no myocardium was found"}
        elif mass.mass_g is None:
            card |= {"value": number(mass.percent_of_lv_mass), "unit": "% of LV"}
            card["detail"] = "mass refused: spacing unknown"
        else:
            card |= {"value": number(mass.mass_g), "unit": "g"}
            share = number(mass.percent_of_lv_mass)
            volume = f"{mass.volume_ml:.1f} mL"
            card["detail"] = volume if name == "lv_myocardium" else f"{share} % of LV mass"
        cards.append(card)
    return cards


def _mass_cells(mass: TissueMass) -> dict[str, str]:
    missing = NOT_ASSESSED if mass.voxels is None else DASH
    return {
        "volume": number(mass.volume_ml, missing=missing),
        "mass": number(mass.mass_g, missing=missing),
        "percent": number(mass.percent_of_lv_mass, missing=missing),
        "note": mass.reason or "",
    }


def _tissue_rows(measurements: Measurements) -> list[dict[str, str]]:
    return [
        {"title": TISSUE_TITLES[name], **_mass_cells(mass)}
        for name, mass in measurements.tissues.items()
    ]


def _rule_rows(measurements: Measurements) -> list[dict[str, str]]:
    """The automatic scar first, then each conventional rule beside it."""
    automatic = measurements.tissues["scar"]
    rows = []
    for scar in measurements.fwhm.values():
        invalid = scar.result.invalid is not None
        difference = (
            None
            if scar.mass.mass_g is None or automatic.mass_g is None
            else scar.mass.mass_g - automatic.mass_g
        )
        rows.append(
            {
                "title": rule_title(scar.result),
                **_mass_cells(scar.mass),
                "peak": number(scar.result.peak, 0),
                "threshold": _threshold(scar),
                "dice": number(scar.dice_with_scar, 2),
                "difference": DASH
                if difference is None
                else f"{difference:+.1f}".replace("-", "−"),
            }
            | ({"volume": DASH, "mass": "invalid", "percent": DASH} if invalid else {})
        )
    return rows


def _threshold(scar: ThresholdedScar) -> str:
    if scar.result.threshold_range is None:
        return DASH
    low, high = scar.result.threshold_range
    return number(low, 0) if low == high else f"{number(low, 0)} to {number(high, 0)}"


def _key_slice(measurements: Measurements, tiles: TileStack) -> dict[str, Any]:
    """The slice with the most scar, else the most edema, else the most myocardium."""

    def amount(index: int) -> tuple[int, ...]:
        tissues = measurements.slices[index].tissues
        return tuple(tissues[name].voxels or 0 for name in ("scar", "edema", "lv_myocardium"))

    index = max(range(tiles.slices), key=amount)
    scar, edema, _ = amount(index)
    why = "most scar" if scar else "most edema" if edema else "most myocardium"
    return {
        "number": index + 1,
        "why": why,
        "picture": _embedded(strip(tiles, index, tile_px=300)),
        "columns": ", ".join(COLUMN_NAMES[name] for name in tiles.columns),
    }


def _slice_rules(measurements: Measurements) -> list[dict[str, str]]:
    """The conventional rules shown slice by slice: valid ones with one threshold for the volume."""
    return [
        {"key": name, "title": RULE_TITLES[scar.result.rule]}
        for name, scar in measurements.fwhm.items()
        if scar.result.scope == "volume" and scar.result.invalid is None
    ]


def _slice_rows(measurements: Measurements) -> list[dict[str, Any]]:
    """Slices that hold LV; the others have nothing to say."""
    rows = []
    for one in measurements.slices:
        if not one.tissues["lv_myocardium"].voxels:
            continue
        cells = {name: _mass_cells(mass) for name, mass in one.tissues.items()}
        rules = {name: _mass_cells(mass) for name, mass in one.fwhm.items()}
        rows.append({"number": one.number, **cells, "fwhm": rules})
    return rows


def _strips(measurements: Measurements, tiles: TileStack) -> list[dict[str, Any]]:
    strips = []
    for index in shown_slices(tiles.slices):
        tissues = measurements.slices[index].tissues
        strips.append(
            {
                "number": index + 1,
                "picture": _embedded(strip(tiles, index)),
                "caption": slice_caption(tissues),
            }
        )
    return strips


def _legend(tiles: TileStack) -> list[dict[str, str]]:
    lines = [
        {"words": words, "color": COLORS[name], "style": LINES[name][1]}
        for name, words in legend_names(tiles).items()
    ]
    fills = [
        {"words": NAMES[name], "color": COLORS[name], "style": "fill"}
        for name in ("blood_pool", "right_ventricle")
    ]
    return lines + fills


def _timing(segmentation: Segmentation) -> list[tuple[str, str]]:
    return [(stage, f"{seconds:.2f} s") for stage, seconds in segmentation.seconds.items()]


def _embedded(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")

"""The report's section on what a reader is asked for beside masses: layers, T2, both LV masses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from myops.io.number_text import number
from myops.quantify.enhanced import BASES
from myops.quantify.thresholds.methods import RULES
from myops.report.document import Block, Section, Table, Text

if TYPE_CHECKING:
    from myops.quantify.enhanced import Enhanced
    from myops.quantify.measurements import Measurements
    from myops.quantify.regional.layers import Layer, Layers
    from myops.quantify.t2_ratio import T2Ratio

TITLE = "Layers, T2 ratio and enhanced share"
LAYER_TISSUES = {"scar": "Scar", "core": "Core", "grey_zone": "Grey zone", "edema": "Edema"}
T2_ROWS = {
    "edema_to_remote": "Edema to remote myocardium",
    "edema_to_muscle": "Edema to skeletal muscle",
    "myocardium_to_muscle": "LV myocardium to skeletal muscle",
}
# Below this share of the wall a layer's numbers speak of all of it.
WORTH_SAYING_PERCENT = 1.0


def reader_section(measurements: Measurements) -> Section | None:
    """The section; None without myocardium."""
    if not measurements.tissues["lv_myocardium"].voxels:
        return None
    blocks: list[Block] = []
    if measurements.layers is not None:
        blocks += _layers(measurements.layers)
    if measurements.t2_ratio is not None:
        blocks.append(_t2(measurements.t2_ratio))
    if measurements.enhanced:
        blocks.append(_enhanced(measurements.enhanced))
    return Section(TITLE, tuple(blocks)) if blocks else None


def _layers(layers: Layers) -> list[Block]:
    shares = [f"{title} (% of layer)" for title in LAYER_TISSUES.values()]
    headers = ("Layer of the wall", "Mass (g)", *shares, "Scar (g)", "Note")
    rows = tuple(_layer_row(one) for one in layers.layers)
    words = f"Layers are thirds of the wall along the rays of transmurality. {_zones(layers)}"
    outside = layers.outside_percent
    if outside is not None and outside >= WORTH_SAYING_PERCENT:
        words += (
            f" {number(outside)} % of the wall is in no layer: no ray runs through it from cavity "
            "to epicardium (apical cap, open ring)."
        )
    table = Table(headers, rows, frozenset({0, len(headers) - 1}))
    doubts = [Text(f"Core and grey zone: {doubt}", "warning") for doubt in layers.doubts]
    return [table, *doubts, Text(words, "small")]


def _zones(layers: Layers) -> str:
    return f"Core and grey zone: {RULES[layers.rule].formula} in the myocardium."


def _layer_row(layer: Layer) -> tuple[str, ...]:
    tissues = layer.tissues
    shares = (number(tissues[name].percent_of_lv_mass) for name in LAYER_TISSUES)
    missing = {one.reason for one in tissues.values() if one.voxels is None and one.reason}
    name = f"{layer.name[0].upper()}{layer.name[1:]}"
    grams = number(layer.wall.mass_g), number(tissues["scar"].mass_g)
    return (name, grams[0], *shares, grams[1], "; ".join(sorted(missing)))


def _t2(t2: T2Ratio) -> Table:
    rows = tuple(
        (title, number(getattr(t2, name), 2), t2.reasons.get(name, ""))
        for name, title in T2_ROWS.items()
    )
    return Table(("T2 signal", "Ratio", "Note"), rows, frozenset({0, 2}))


def _enhanced(both: tuple[Enhanced, ...]) -> Table:
    headers = ("LV mass", "Mass (g)", "Scar (%)", "Scar without MVO (%)", "Note")
    rows = tuple(
        (
            BASES[one.base],
            number(one.lv_mass_g),
            number(one.scar_percent),
            number(one.scar_without_mvo_percent),
            one.reason or "",
        )
        for one in both
    )
    return Table(headers, rows, frozenset({0, 4}))

"""Layers, T2 ratios and enhanced shares as rows of a table: one per number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from myops.quantify.papillary import COUNTED_NOTE
from myops.quantify.regional.segments import SEGMENT_NAMES

if TYPE_CHECKING:
    from myops.quantify.enhanced import Enhanced
    from myops.quantify.measurements import Measurements
    from myops.quantify.regional.layers import Layers
    from myops.quantify.t2_ratio import T2Ratio

# Structure, quantity, value, unit, note.
Row = tuple[str, str, Any, str, str]
SIGNALS = ("remote_mean", "edema_mean", "myocardium_mean", "muscle_mean")
RATIOS = ("edema_to_remote", "edema_to_muscle", "myocardium_to_muscle")
SHARES = ("scar_percent", "scar_without_mvo_percent")


def reader_rows(measurements: Measurements) -> Iterator[Row]:
    """Rows of what a reader is asked for beside masses."""
    if measurements.layers is not None:
        note = COUNTED_NOTE if measurements.papillary_in_lv_mass else ""
        yield from _layer_rows(measurements.layers, note)
    if measurements.t2_ratio is not None:
        yield from _t2_rows(measurements.t2_ratio)
    for one in measurements.enhanced:
        yield from _enhanced_rows(one)


def _layer_rows(layers: Layers, note: str) -> Iterator[Row]:
    if layers.reason is not None:
        yield "layers", "count", None, "", layers.reason
    for one in layers.layers:
        name = f"layer_{one.name.replace(' ', '_')}"
        yield name, "mass_g", one.wall.mass_g, "g", _why(one.wall.mass_g, one.wall.reason, note)
        for tissue, mass in one.tissues.items():
            share = mass.percent_of_lv_mass
            yield name, f"{tissue}_g", mass.mass_g, "g", _why(mass.mass_g, mass.reason, note)
            yield name, f"{tissue}_percent", share, "%", _why(share, mass.reason, note)


def _t2_rows(t2: T2Ratio) -> Iterator[Row]:
    for names, unit in ((SIGNALS, "T2 signal"), (RATIOS, "ratio")):
        for name in names:
            yield "t2", name, getattr(t2, name), unit, t2.reasons.get(name, "")
    for number, ratio in t2.segments.items():
        name = f"segment_{number:02d}_{SEGMENT_NAMES[number].replace(' ', '_')}"
        why = t2.reasons.get("remote_mean") or "T2 does not show this segment"
        yield name, "t2_to_remote", ratio, "ratio", _why(ratio, why)


def _enhanced_rows(one: Enhanced) -> Iterator[Row]:
    name = f"lv_mass_{one.base}"
    yield name, "mass_g", one.lv_mass_g, "g", _why(one.lv_mass_g, one.reason)
    for quantity in SHARES:
        value = getattr(one, quantity)
        yield name, quantity, value, "%", _why(value, one.reason)


def _why(value: object, reason: str | None, note: str = "") -> str:
    """Why there is no value; the note where there is one."""
    return reason or "" if value is None else note

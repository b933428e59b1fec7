"""Measurements as lines for a terminal: `myops segment` and `myops quantify`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from myops.io.number_text import number_range, plain_significant
from myops.quantify.quality.image_quality import QUALITY_UNITS
from myops.quantify.thresholds.base import NO_SLICE_ASSESSABLE
from myops.quantify.thresholds.methods import rule_title
from myops.structures import MEASURED

if TYPE_CHECKING:
    from myops.quantify.mass import TissueMass
    from myops.quantify.measurements import Measurements, ThresholdedScar
    from myops.quantify.quality.image_quality import ImageQuality

TITLE_WIDTH = 48
QUALITY_TITLES = {
    "noise": "noise in blood",
    "contrast_scar_remote": "contrast to noise, scar - remote",
    "contrast_scar_blood": "contrast to noise, scar - blood",
    "edge_width_mm": "width of the endocardial edge",
    "ghosting_percent": "ghosts against the heart",
}


def as_text(measurements: Measurements) -> str:
    """Masses, every conventional rule with its numbers, the remote region and image quality."""
    lines = [
        _line(MEASURED[name].amount_title, amount(mass))
        for name, mass in measurements.tissues.items()
    ]
    for scar in measurements.methods.values():
        lines.append(_line(rule_title(scar.result), amount(scar.mass)))
        lines += [f"  {words}" for words in _rule_lines(scar)]
    if measurements.fwhm_reason:
        lines.append(f"Conventional methods: {measurements.fwhm_reason}")
    lines.append(_remote_line(measurements))
    if measurements.quality is not None:
        lines += _quality_lines(measurements.quality)
    return "\n".join(lines)


def amount(tissue: TissueMass) -> str:
    """A tissue's mass (blood: volume) and share of LV mass in words, or why there is none."""
    if tissue.voxels is None:
        return str(tissue.reason)
    share = "" if tissue.percent_of_lv_mass is None else f"{tissue.percent_of_lv_mass:6.1f} % of LV"
    if tissue.volume_ml is None:
        return f"{share}; mass {tissue.reason}"
    mass = " " * 10 if tissue.mass_g is None else f"{tissue.mass_g:8.1f} g"
    return f"{mass}{tissue.volume_ml:8.1f} mL {share}".rstrip()


def _line(title: str, words: str) -> str:
    return f"{title:<{TITLE_WIDTH}}{words}"


def _rule_lines(scar: ThresholdedScar) -> list[str]:
    """Threshold, peak, remote region and parts of a valid rule."""
    result = scar.result
    if result.threshold_range is None or result.peak is None:
        return [] if result.invalid else [NO_SLICE_ASSESSABLE]
    threshold = number_range(result.threshold_range, plain_significant)
    words = [f"threshold {threshold}", f"peak {plain_significant(result.peak)}"]
    if result.core_threshold_range is not None:
        words.append(f"core from {number_range(result.core_threshold_range, plain_significant)}")
    if result.remote is not None:
        words.append(f"remote {result.remote.mean:.4g} ± {result.remote.sd:.4g}")
    if scar.dice_with_scar is not None:
        words.append(f"Dice with the labeled scar {scar.dice_with_scar:.2f}")
    lines = [", ".join(words)]
    parts = {"core": scar.core, "grey zone": scar.grey_zone}
    if scar.filled is not None and scar.filled.voxels:
        parts["filled dark core"] = scar.filled
    lines += [f"{name}: {amount(part).strip()}" for name, part in parts.items() if part]
    if result.removed_voxels:
        lines.append(f"{result.removed_voxels} voxels of small islands taken out")
    return lines


def _remote_line(measurements: Measurements) -> str:
    remote = measurements.remote
    if remote is None:
        return _line("remote region", str(measurements.remote_reason))
    place = f"{remote.width_deg:g}° sector at {remote.clock_hour} o'clock, "
    place = "" if remote.given and remote.width_deg == 360 else place
    return _line(
        "remote region",
        f"{place}{remote.note}: mean {remote.mean:.4g}, SD {remote.sd:.4g}, {remote.voxels} voxels",
    )


def _quality_lines(quality: ImageQuality) -> list[str]:
    lines = []
    for name, title in QUALITY_TITLES.items():
        value, unit = getattr(quality, name), QUALITY_UNITS[name]
        words = quality.reasons[name] if value is None else f"{value:8.2f} {unit}"
        lines.append(_line(title, words))
    return lines

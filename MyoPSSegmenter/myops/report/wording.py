"""The report's sentences: results, rules and geometry in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from myops.io.number_text import number
from myops.quantify.mass import TissueMass
from myops.quantify.thresholds.methods import RULES, rule_title
from myops.sequences import SEQUENCE_TITLES
from myops.structures import ASSESSABLE, STRUCTURES
from myops.weights.packs import instead_words

if TYPE_CHECKING:
    from myops.case import Case
    from myops.quantify.measurements import Measurements
    from myops.report.review import Review

NOT_ASSESSED = "not assessed"


def status_sentence(review: Review | None) -> str:
    """Who is responsible for the outlines."""
    if review is None:
        return (
            "Automatic result, not reviewed by a reader: check the outlines on every slice before "
            "using a number."
        )
    count = len(review.marks)
    return (
        f"Corrected by a reader ({count} click{'' if count == 1 else 's'} in force at the end). "
        "Slices without a click are as the networks left them: check the outlines on every slice "
        "before using a number."
    )


def reading_words(review: Review) -> str:
    """How the correction went, and how long it took."""
    began = (
        "The session began with the automatic result."
        if review.from_automatic
        else "The session began with labels that had been changed before; what changed them is "
        "not listed here."
    )
    steps = f"{len(review.steps)} step{'' if len(review.steps) == 1 else 's'}"
    computing = f"the computer answered in {review.computing_seconds:.1f} s"
    if review.reading_seconds is None:
        # A clock that was changed in between does not tell it.
        known = "is not known" if review.timed and review.steps else "was not recorded"
        return f"{began} {steps}; {computing}; the reading time {known}."
    return (
        f"{began} {steps}; {review.reading_seconds:.0f} s from the first step to the last, of "
        f"which {computing}."
    )


def summary_sentence(measurements: Measurements) -> str:
    """The result in words, as the first thing to read."""
    tissues = measurements.tissues
    if not tissues["lv_myocardium"].voxels:
        return "No left ventricular myocardium was found."
    muscle = tissues["lv_myocardium"].mass_g
    parts = [
        "LV mass cannot be given without the voxel spacing"
        if muscle is None
        else f"LV mass {muscle:.1f} g"
    ]
    for name in ASSESSABLE:
        mass, title = tissues[name], STRUCTURES[name].in_sentence
        if mass.voxels is None:
            somewhere = any(one.tissues[name].voxels is not None for one in measurements.slices)
            parts.append(f"{title} {NOT_ASSESSED}{' in every slice' if somewhere else ''}")
        elif mass.voxels == 0:
            parts.append(f"no {title} found")
        else:
            grams = "" if mass.mass_g is None else f"{mass.mass_g:.1f} g, "
            parts.append(f"{title} {grams}{number(mass.percent_of_lv_mass)}\u00a0% of LV mass")
    return "; ".join(parts) + "."


def remote_words(measurements: Measurements) -> str:
    """Where the remote region is and its statistics, or why there is none."""
    remote = measurements.remote
    if remote is None:
        return f"Remote region: {measurements.remote_reason}."
    statistics = f"mean {number(remote.mean)}, SD {number(remote.sd)}, {remote.voxels} voxels"
    if remote.given:
        return f"Remote myocardium was given by the reader ({remote.note}): {statistics}."
    return (
        f"Remote myocardium is the {remote.width_deg:.0f}° sector at {remote.clock_hour} o'clock "
        f"on the pictures (center {remote.center_angle_deg:.0f}°), the sector of lowest mean "
        f"signal away from scar and edema ({remote.note}): "
        f"{statistics}."
    )


def threshold_words(measurements: Measurements) -> list[str]:
    """Each valid rule for the volume, with the numbers that make its threshold."""
    words = []
    for scar in measurements.fwhm.values():
        formula = RULES[scar.result.rule].with_numbers(scar.result, number)
        if formula is not None:
            words.append(f"{rule_title(scar.result)}: {formula}")
    return words


def slice_order(case: Case) -> str:
    """How the report's slice numbers relate to the file's."""
    end = "last" if case.original.flipped_xyz[2] else "first"
    axis = "ijk"[case.original.order_xyz[2]]
    file = SEQUENCE_TITLES[case.reference]
    return f"Slice 1 here is the {end} slice along axis {axis} of the {file} file."


def slice_caption(tissues: Mapping[str, TissueMass]) -> list[str]:
    """A slice's masses, one short line each."""
    muscle = tissues["lv_myocardium"]
    if not muscle.voxels:
        return ["no LV"]
    lines = [] if muscle.mass_g is None else [f"LV {muscle.mass_g:.1f} g"]
    for name in ASSESSABLE:
        mass, title = tissues[name], STRUCTURES[name].in_sentence
        if mass.voxels is None:
            lines.append(f"{title} {NOT_ASSESSED}")
        elif mass.voxels == 0:
            lines.append(f"no {title}")
        else:
            grams = "" if mass.mass_g is None else f"{mass.mass_g:.1f} g, "
            lines.append(f"{title} {grams}{number(mass.percent_of_lv_mass, 0)}\u00a0%")
    return lines


def weights_words(pack: Mapping[str, str]) -> str:
    """Which weights a result was made with, and on what terms."""
    named = f" Attribution: {pack['attribution'].rstrip('.')}." if pack.get("attribution") else ""
    instead = f" {words}" if (words := instead_words(pack)) else ""
    return (
        f"Weights: {pack['name']} ({pack['license']}), learned from {pack['learned_from']}. "
        f"{pack['terms']}{named}{instead}"
    )


def reached_words(case: Case, pack: Mapping[str, str]) -> str:
    """What the weights reach on patients with these sequences, and on what data; "" if unknown."""
    if not pack.get("reached"):
        return ""
    named = " + ".join(SEQUENCE_TITLES[name] for name in case.sequences)
    alone = " alone" if len(case.sequences) == 1 else ""
    return f"Accuracy without a reader on {named}{alone} ({pack['name']}): {pack['reached']}."


def clicks_words(answered: Mapping[str, str], segmented: Mapping[str, str]) -> str:
    """Whose weights answered the clicks; "" where they are those that segmented, or unknown."""
    if not answered or answered.get("name") == segmented.get("name"):
        return ""
    return f"Other weights answered the clicks. {weights_words(answered)}"


def machine_words(machine: Mapping[str, str | int]) -> str:
    """What the networks ran on: rounding differs between precisions, and with it single voxels."""
    found = ", ".join(f"{name} {value}" for name, value in machine.items())
    return f"The networks ran with {found}. In another precision single voxels may differ."


def geometry_words(case: Case, measurements: Measurements) -> str:
    """Size and spacing of the grid."""
    x, y, z = case.geometry.size_xyz
    x_mm, y_mm, z_mm = measurements.spacing_mm
    spacing = f"{x_mm:.2f} × {y_mm:.2f} × {z_mm:.2f} mm"
    if not measurements.spacing_known:
        spacing += " (unknown: the header holds none)"
    return f"{x} × {y} voxels, {z} slices; {spacing}, slices center to center"

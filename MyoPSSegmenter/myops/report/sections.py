"""The report's sections of numbers: tables whose cells are ready to be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from myops.case import images_sha256
from myops.coverage import NOTHING_HIDDEN, Hidden, reasons_of_heart
from myops.io.number_text import DASH, number, number_range, signed
from myops.labels import myocardium
from myops.quantify.mass import TissueMass, tissue_masses
from myops.quantify.measurements import CONVENTIONS, ThresholdedScar
from myops.quantify.quality.image_quality import QUALITY_UNITS
from myops.quantify.text import QUALITY_TITLES
from myops.quantify.thresholds.methods import rule_title
from myops.report.document import Block, Card, Section, Table, Text
from myops.report.wording import (
    NOT_ASSESSED,
    clicks_words,
    geometry_words,
    machine_words,
    reading_words,
    remote_words,
    threshold_words,
    weights_words,
)
from myops.sequences import SEQUENCE_TITLES
from myops.structures import ASSESSABLE, MEASURED, STRUCTURES
from myops.worklist.moments import moment

if TYPE_CHECKING:
    from myops.case import Case
    from myops.quantify.measurements import Measurements
    from myops.refine.session import Step
    from myops.report.review import Review
    from myops.segmentation import Segmentation

MASS_HEADERS = ("Volume (mL)", "Mass (g)", "% of LV mass")


def cards(measurements: Measurements) -> tuple[Card, ...]:
    """The numbers on top of the first page."""
    lv = measurements.tissues["lv_myocardium"]
    # What lies in the wall and is always told apart.
    shown = (key for key, r in MEASURED.items() if r.within("myocardium") and not r.optional)
    return tuple(_card(key, measurements.tissues[key], lv) for key in shown)


def _card(name: str, mass: TissueMass, lv: TissueMass) -> Card:
    title = MEASURED[name].amount_title
    if mass.voxels is None:
        why = (mass.reason or "").partition(": ")[2].partition(" (")[0]
        return Card(title, NOT_ASSESSED, "", why, None)
    if not lv.voxels:
        return Card(title, DASH, "", "no myocardium was found", None)
    share = number(mass.percent_of_lv_mass)
    if mass.mass_g is None:
        return Card(title, share, "% of LV", "mass refused: spacing unknown", name)
    detail = f"{mass.volume_ml:.1f} mL" if name == "lv_myocardium" else f"{share} % of LV mass"
    return Card(title, number(mass.mass_g), "g", detail, name)


def masses(
    measurements: Measurements,
    review: Review | None,
    hidden: Hidden = NOTHING_HIDDEN,
    reached: str = "",
) -> Section:
    """Masses of all tissues; those of the automatic result beside corrected ones.

    Args:
        measurements: every number.
        review: what a reader changed, and the automatic labels.
        hidden: where the images show nothing, from `coverage.hidden_tissues`.
        reached: what these weights reach on these sequences, from `reached_words`.
    """
    automatic = {} if review is None else _automatic_masses(measurements, review, hidden)
    headers = ("Tissue", *MASS_HEADERS, *(("Automatic (g)", "Change (g)") if automatic else ()))
    rows = []
    for name, mass in measurements.tissues.items():
        row = [MEASURED[name].amount_title, *_mass_cells(mass)]
        if automatic:
            before = automatic[name]
            row += [_grams(before), _difference(mass, before)]
        rows.append((*row, mass.reason or ""))
    table = Table((*headers, "Note"), tuple(rows), frozenset({0, len(headers)}))
    blocks = (table, Text(reached, "small")) if reached else (table,)
    return Section("Tissue masses", blocks)


def _automatic_masses(
    measurements: Measurements, review: Review, hidden: Hidden
) -> dict[str, TissueMass]:
    assessed = frozenset(
        name for name in ASSESSABLE if measurements.tissues[name].voxels is not None
    )
    # The automatic wall may reach further than the corrected one, to where an image shows nothing.
    lacking = reasons_of_heart(hidden, myocardium(review.automatic))
    return tissue_masses(review.automatic, assessed, _voxel_ml(measurements), lacking)


def _voxel_ml(measurements: Measurements) -> float | None:
    x_mm, y_mm, z_mm = measurements.spacing_mm
    return x_mm * y_mm * z_mm / 1000 if measurements.spacing_known else None


def _mass_cells(mass: TissueMass) -> tuple[str, str, str]:
    missing = NOT_ASSESSED if mass.voxels is None else DASH
    values = (mass.volume_ml, mass.mass_g, mass.percent_of_lv_mass)
    volume, grams, share = (number(value, missing=missing) for value in values)
    return volume, grams, share


def _grams(mass: TissueMass) -> str:
    return _mass_cells(mass)[1]


def _difference(mass: TissueMass, other: TissueMass) -> str:
    if mass.mass_g is None or other.mass_g is None:
        return DASH
    return signed(mass.mass_g - other.mass_g)


def conventional_section(
    measurements: Measurements, review: Review | None, hidden: Hidden = NOTHING_HIDDEN
) -> Section:
    """The scar found beside that of the conventional rules, with what their thresholds rest on.

    Args: as `masses`.
    """
    title = "Scar beside the conventional rules"
    if measurements.fwhm_reason:
        reason = measurements.fwhm_reason
        return Section(title, (Text(f"{reason[0].upper()}{reason[1:]}."),))
    found = measurements.tissues["scar"]
    kind = "Automatic" if review is None else "Corrected"
    first = (f"{kind} scar", DASH, DASH, *_mass_cells(found), DASH, DASH, "")
    rows: list[tuple[str, ...]] = [first]
    if review is not None:
        rows.append(_automatic_row(measurements, review, hidden))
    rows += [_rule_row(scar, found) for scar in measurements.methods.values()]
    headers = ("Method", "Peak", "Threshold", *MASS_HEADERS, "Difference (g)", "Dice", "Validity")
    table = Table(headers, tuple(rows), frozenset({0, 8}), frozenset({0}))
    blocks: list[Block] = [table]
    blocks.append(
        Text(
            f"Difference and Dice are against the {kind.lower()} scar. Peak and threshold are in "
            "the units of the LGE image. “FWHM” is the name of several rules that disagree; half "
            "of maximum needs a magnitude image that starts at zero. Why a rule is doubtful or "
            "invalid stands among the warnings.",
            "small",
        )
    )
    blocks.append(Text(remote_words(measurements)))
    if thresholds := threshold_words(measurements):
        blocks.append(Text(f"Thresholds: {'; '.join(thresholds)}."))
    return Section(title, tuple(blocks))


def _automatic_row(measurements: Measurements, review: Review, hidden: Hidden) -> tuple[str, ...]:
    before = _automatic_masses(measurements, review, hidden)["scar"]
    change = _difference(before, measurements.tissues["scar"])
    return ("Automatic scar", DASH, DASH, *_mass_cells(before), change, number(review.dice, 2), "")


def _rule_row(scar: ThresholdedScar, found: TissueMass) -> tuple[str, ...]:
    result = scar.result
    invalid = result.invalid is not None
    valid = "invalid" if invalid else "doubtful" if result.warnings else "valid"
    return (
        rule_title(result),
        number(result.peak, 0),
        _threshold(scar),
        *((DASH, DASH, DASH) if invalid else _mass_cells(scar.mass)),
        _difference(scar.mass, found),
        number(scar.dice_with_scar, 2),
        valid,
    )


def _threshold(scar: ThresholdedScar) -> str:
    return number_range(scar.result.threshold_range, lambda level: number(level, 0))


def quality_section(measurements: Measurements) -> Section | None:
    """Image quality of the LGE."""
    quality = measurements.quality
    if quality is None:
        return None
    rows = []
    for name, title in QUALITY_TITLES.items():
        value = getattr(quality, name)
        note = quality.reasons.get(name, "") if value is None else ""
        title = f"{title[0].upper()}{title[1:]}"
        rows.append((title, number(value, 1), QUALITY_UNITS[name], note))
    note = "Measured on the LGE inside the contours above; a wrong contour worsens them."
    table = Table(("Measure", "Value", "Unit", "Note"), tuple(rows), frozenset({0, 2, 3}))
    return Section("Image quality", (table, Text(note, "small")))


def slices(measurements: Measurements, order: str) -> Section:
    """Masses of every slice that holds LV; the others have nothing to say."""
    rules = [
        (name, rule_title(scar.result).removesuffix(" (volume)"))
        for name, scar in measurements.fwhm.items()
        if scar.result.scope == "volume" and scar.result.invalid is None
    ]
    titles = [STRUCTURES[name].title for name in ASSESSABLE]
    shares = (f"{title} {unit}" for title in titles for unit in ("(g)", "(% of slice)"))
    headers = (
        "Slice",
        "Position (mm)",
        "LV mass (g)",
        *shares,
        *(f"{title} (g)" for _, title in rules),
    )
    rows = []
    for one in measurements.slices:
        if one.tissues["lv_myocardium"].voxels:
            cells = [number(one.position_mm), _grams(one.tissues["lv_myocardium"])]
            for name in ASSESSABLE:
                cells += _mass_cells(one.tissues[name])[1:]
            cells += [_grams(one.fwhm[name]) for name, _ in rules]
            rows.append((str(one.number), *cells))
    note = Text(
        f"{order} Slices without left ventricle are left out of this table. Positions lie along "
        "the normal of the stack in patient coordinates.",
        "small",
    )
    return Section("Slice by slice", (Table(headers, tuple(rows)), note))


def prompts(review: Review | None) -> Section | None:
    """What the reader did, step by step."""
    if review is None:
        return None
    headers = (
        *("Step", "Action", "Structure", "Slice", "Prompt", "Row, column"),
        *("At (s)", "Computed in (s)", "Changed voxels"),
    )
    begin = None if review.reading_seconds is None else review.steps[0].time
    rows = tuple(
        _step_row(number, step, begin) for number, step in enumerate(review.steps, start=1)
    )
    words = Text(reading_words(review))
    note = Text(
        "Slices are numbered as in the pictures; rows and columns count pixels from 0. + says that "
        "a place belongs to the structure, − that it does not.",
        "small",
    )
    if not rows:
        return Section("Prompts used", (words,))
    return Section("Prompts used", (words, Table(headers, rows, frozenset({0, 1, 2, 4})), note))


def _step_row(place: int, step: Step, begin: str | None) -> tuple[str, ...]:
    arguments = step.arguments
    at = DASH
    if begin is not None:
        elapsed = moment(step.time) - moment(begin)
        at = number(elapsed.total_seconds())
    index = arguments.get("slice_index")
    return (
        str(place),
        "edit" if step.action == "accept" else step.action,
        str(arguments.get("structure") or arguments.get("name") or DASH).replace("_", " "),
        DASH if index is None else str(index + 1),
        *_prompt_cells(arguments),
        at,
        number(step.seconds, 2),
        str(step.changed_voxels),
    )


def _prompt_cells(arguments: object) -> tuple[str, str]:
    """Sign and place of a prompt."""
    assert isinstance(arguments, dict)
    if points := arguments.get("points"):
        row, column, positive = points[-1]
        return "+" if positive else "−", f"{row:.1f}, {column:.1f}"
    if box := arguments.get("box"):
        return "box", "{:.1f}, {:.1f} to {:.1f}, {:.1f}".format(*box)
    if "row" in arguments:
        return (
            f"click {arguments['index'] + 1}",
            f"{arguments['row']:.1f}, {arguments['column']:.1f}",
        )
    return (f"click {arguments['index'] + 1}" if "index" in arguments else DASH), DASH


def definitions() -> Section:
    """What each number means."""
    words = {_title(key): text for key, text in CONVENTIONS.items()} | {
        "% of LV mass": "share of LV mass; it needs no voxel spacing",
        "Not assessed": "the sequence that shows it is absent, or does not reach this part of the "
        "heart; it never means zero. A total is given only where no slice with LV lacks it",
        "Dice": "overlap of two regions, 0 (none) to 1 (identical)",
    }
    rows = tuple((key, text) for key, text in words.items())
    table = Table(("Word", "Meaning"), rows, frozenset({0, 1}))
    return Section("What each number means", (table,))


def _title(key: str) -> str:
    """Turn a key such as "lv_mass" into "LV mass"."""
    first, *others = key.split("_")
    first = first.upper() if first in ("lv", "fwhm") else first.capitalize()
    return " ".join((first, *others))


def how_made(
    case: Case, segmentation: Segmentation, measurements: Measurements, review: Review | None
) -> Section:
    """Grid, weights, timing, and checksums that say which images the report belongs to."""
    weights = [(name, checksum) for name, checksum in segmentation.model.items()]
    if review is not None:
        weights.append((f"refiner “{review.refiner}”", review.refiner_sha256))
    times = [(stage, f"{seconds:.2f}") for stage, seconds in segmentation.seconds.items()]
    if review is not None:
        times.append(("answering prompts", f"{review.computing_seconds:.2f}"))
        times.append(("reading, first to last prompt", number(review.reading_seconds)))
    images = [(SEQUENCE_TITLES[name], sha) for name, sha in images_sha256(case).items()]
    both = frozenset({0, 1})
    blocks: list[Block] = [Text(f"Grid: {geometry_words(case, measurements)}.")]
    if segmentation.machine:
        blocks.append(Text(machine_words(segmentation.machine)))
    if segmentation.pack:
        blocks.append(Text(weights_words(segmentation.pack)))
    if review is not None and (clicks := clicks_words(review.refiner_terms, segmentation.pack)):
        blocks.append(Text(clicks))
    if weights:
        blocks.append(Table(("Network", "SHA-256 of its weights"), tuple(weights), both))
    if times:
        blocks.append(Table(("Stage", "Time (s)"), tuple(times)))
    blocks.append(Table(("Image", "SHA-256 of its voxels on this grid"), tuple(images), both))
    return Section("How it was made", tuple(blocks))

"""Which segments a DICOM segmentation holds: structures as measured, and scar by each rule.

A segment is what a number of the report is measured on, so segments lie in each other: scar is part
of the myocardium, and microvascular obstruction part of scar.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from myops import __version__
from myops.io.number_text import number
from myops.quantify.thresholds.methods import RULES, rule_title
from myops.structures import MEASURED, NO_CODE, STRUCTURES, Code, Structure

if TYPE_CHECKING:
    from myops.quantify.mass import TissueMass
    from myops.quantify.measurements import Measurements, ThresholdedScar
    from myops.segmentation import Segmentation

PROGRAM = "MyoPS Segmenter"
# What no public terminology names for certain gets a code of our own.
OWN_SCHEME = "99MYOPS"
AUTOMATIC, SEMIAUTOMATIC = "AUTOMATIC", "SEMIAUTOMATIC"
# Of a checksum in the parameters of an algorithm: as many digits as tell weights apart.
CHECKSUM_DIGITS = 16
RULE_COLOR = "#b07aa1"


@dataclass(frozen=True)
class Algorithm:
    """What made a segment.

    Attributes:
        name: up to 64 letters.
        version: of the program.
        parameters: name to value, both short.
        kind: "AUTOMATIC", or "SEMIAUTOMATIC" where a reader corrected it.
        learned: whether networks made it; else a formula.
    """

    name: str
    version: str
    parameters: Mapping[str, str]
    kind: str
    learned: bool


@dataclass(frozen=True)
class DicomSegment:
    """One segment and its numbers.

    Attributes:
        name: of the structure or the rule, as in `measurements.json`.
        title: for people.
        mask: bool (z, y, x) on the case's grid.
        category, kind, region: what it is and where, coded; `NO_CODE` for no region.
        color: as "#rrggbb".
        algorithm: what made it.
        mass: its volume, mass and share of LV mass.
        method: code of the way of measuring.
        threshold, peak: of a conventional rule, in units of the LGE signal; None for others.
    """

    name: str
    title: str
    mask: np.ndarray
    category: Code
    kind: Code
    region: Code
    color: str
    algorithm: Algorithm
    mass: TissueMass | None
    method: Code
    threshold: float | None = None
    peak: float | None = None


def find_segments(
    segmentation: Segmentation, measurements: Measurements, corrected: bool
) -> tuple[DicomSegment, ...]:
    """The segments of a case; what was not assessed has none.

    Of the conventional rules those of the report with one threshold for the volume are taken.

    Args:
        segmentation: labels on the case's grid.
        measurements: of these labels.
        corrected: whether a reader changed them.
    """
    algorithm = _cascade(segmentation, corrected)
    found = [*_structures(segmentation, measurements, algorithm)]
    found += [
        _by_rule(name, scar, algorithm.kind)
        for name, scar in measurements.fwhm.items()
        if scar.result.mask is not None and scar.result.scope == "volume"
    ]
    return tuple(found)


def _structures(
    segmentation: Segmentation, measurements: Measurements, algorithm: Algorithm
) -> Iterator[DicomSegment]:
    keys = {row.name: key for key, row in MEASURED.items()}
    for row in STRUCTURES.values():
        mass = measurements.tissues.get(keys.get(row.name, ""))
        mask = row.mask(segmentation.labels)
        if _is_segment(row, mass, mask):
            yield DicomSegment(
                name=keys.get(row.name, row.name),
                title=row.title,
                mask=mask,
                category=row.category,
                kind=_code(row),
                region=row.region,
                color=row.color,
                algorithm=algorithm,
                mass=mass,
                method=Code(OWN_SCHEME, "labeled", _method_words(algorithm)),
            )


def _is_segment(row: Structure, mass: TissueMass | None, mask: np.ndarray) -> bool:
    """Whether a structure gets a segment: what is measured and assessed, and the RV where found."""
    if row.is_union:
        return False
    if mass is None:
        return row.part_of is None and row.value is not None and bool(mask.any())
    return mass.voxels is not None and (bool(mask.any()) or not row.optional)


def _code(row: Structure) -> Code:
    return row.kind if row.kind != NO_CODE else Code(OWN_SCHEME, row.name, row.title)


def _method_words(algorithm: Algorithm) -> str:
    by = "Outlined by neural networks"
    return by if algorithm.kind == AUTOMATIC else f"{by}, corrected by a reader"


def _cascade(segmentation: Segmentation, corrected: bool) -> Algorithm:
    pack = segmentation.pack
    parameters = {"weights": pack["name"]} if "name" in pack else {}
    parameters |= {
        f"{name}_sha256": checksum[:CHECKSUM_DIGITS]
        for name, checksum in segmentation.model.items()
    }
    name = f"{PROGRAM}, weights {pack['name']}" if "name" in pack else PROGRAM
    kind = SEMIAUTOMATIC if corrected else AUTOMATIC
    return Algorithm(name[:64], __version__, parameters, kind, learned=True)


def _by_rule(name: str, scar: ThresholdedScar, kind: str) -> DicomSegment:
    result, rule = scar.result, RULES[scar.result.rule]
    assert result.mask is not None
    limits = result.threshold_range
    formula = rule.with_numbers(result, number) or rule.formula
    infarct = STRUCTURES["scar"]
    return DicomSegment(
        name=name,
        title=f"Scar by {rule_title(result)}"[:64],
        mask=result.mask,
        category=infarct.category,
        kind=infarct.kind,
        region=infarct.region,
        color=RULE_COLOR,
        algorithm=Algorithm(
            rule_title(result)[:64], __version__, {"formula": formula}, kind, learned=False
        ),
        mass=scar.mass,
        method=Code(OWN_SCHEME, rule.name, rule.title),
        threshold=limits[0] if limits and limits[0] == limits[1] else None,
        peak=result.peak,
    )

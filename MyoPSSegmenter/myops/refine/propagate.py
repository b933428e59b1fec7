"""Propagate a correction to the neighboring slices: a proposal, until the reader accepts it.

What the reader changed in a slice, and not the mask as a whole, goes to the next one at its place
in the wall: what he added, and what he removed. The largest connected part of it that the next
slice does not show yet is asked for there as the reader would ask for it: one click at its
innermost pixel, + or -, at that slice's own mask. So the answer comes from its own image. Only the
two slices beside are proposed: further away, proposals made real hearts worse (measured, like all
of this, in Docs/explanation/refiner.md). A slice that was accepted can be carried on from.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from myops.errors import InputError
from myops.geometry.masks import label_components
from myops.refine.prompts import STRUCTURES, Point, Prompts
from myops.refine.rules import REGIONS, Rules
from myops.refine.wall import answered_slice
from myops.refine.wall_coordinates import innermost, locate, propagate_mask
from myops.structures import DISEASE

if TYPE_CHECKING:
    from myops.refine.refiner import Prediction, Refiner
    from myops.segmentation import Segmentation

# Smaller parts of a correction are not asked for in another slice.
LEAST_ADDED_MM2, LEAST_REMOVED_MM2 = 60.0, 30.0
# A + is right in the next slice more often than not, whatever the refiner thinks of its answer. A -
# is not: it is proposed only where the refiner expects at least this overlap with the right mask.
LEAST_CONFIDENCE = 0.6


@dataclass(frozen=True)
class CarriedSlice:
    """A slice that a proposal changes.

    Attributes:
        slice_index: z index on the Case's grid.
        confidence: the refiner's predicted overlap with the right mask, 0..1.
        changed_pixels: pixels whose label would change.
    """

    slice_index: int
    confidence: float
    changed_pixels: int


@dataclass(frozen=True)
class Proposal:
    """What propagating a correction would change; nothing is changed until it is accepted.

    Attributes:
        structure: one of `STRUCTURES`.
        slice_index: the corrected slice it started from.
        labels: uint16 (z, y, x), the label map if the proposal is accepted.
        slices: the changed slices in the order of their index.
        stopped: why nothing is proposed for the slice below and the slice above; "" where something
            is.
    """

    structure: str
    slice_index: int
    labels: np.ndarray
    slices: tuple[CarriedSlice, ...]
    stopped: tuple[str, str]


@dataclass(frozen=True)
class _Asked:
    """A part of a correction that another slice does not show yet.

    Attributes:
        mask: bool (y, x), where it would lie there.
        positive: whether it was added, and not removed.
        area_mm2: of the mask.
    """

    mask: np.ndarray
    positive: bool
    area_mm2: float

    @property
    def is_large(self) -> bool:
        return self.area_mm2 >= (LEAST_ADDED_MM2 if self.positive else LEAST_REMOVED_MM2)


@dataclass(frozen=True)
class _Carrier:
    """What every step outward shares."""

    refiner: Refiner
    segmentation: Segmentation
    structure: str
    rules: Rules
    least_confidence: float
    settled: frozenset[int]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        return self.segmentation.geometry.spacing_mm

    @property
    def pixel_mm(self) -> tuple[float, float]:
        return self.spacing_mm[1], self.spacing_mm[0]


def propagate_correction(
    refiner: Refiner,
    segmentation: Segmentation,
    labels: np.ndarray,
    structure: str,
    slice_index: int,
    rules: Rules = Rules(),  # noqa: B008 - frozen
    settled: Collection[int] = (),
    least_confidence: float = LEAST_CONFIDENCE,
) -> Proposal:
    """Propose the neighbors' masks from a corrected slice.

    Args:
        refiner: with the case set.
        segmentation: the automatic result, where the corrections started.
        labels: uint16 (z, y, x), the present label map; not changed.
        structure: what was corrected.
        slice_index: the corrected slice.
        rules: which structure may take voxels from which.
        settled: slices that stay as they are, such as those with clicks of their own.
        least_confidence: a removal of which the refiner is less sure than this is not proposed.

    Raises:
        InputError: unknown structure, the slice is outside the stack, or the structure in it is as
            the automatic result has it: there is no correction to carry.
    """
    _check(labels, segmentation.labels, structure, slice_index)
    carrier = _Carrier(
        refiner, segmentation, structure, rules, least_confidence, frozenset(settled)
    )
    proposed = labels.copy()
    below, above = (_beside(carrier, proposed, slice_index, step) for step in (-1, 1))
    slices = tuple(one for one in (below, above) if isinstance(one, CarriedSlice))
    stopped = (_reason(below), _reason(above))
    return Proposal(structure, slice_index, proposed, slices, stopped)


def _reason(side: CarriedSlice | str) -> str:
    return side if isinstance(side, str) else ""


def _check(labels: np.ndarray, automatic: np.ndarray, structure: str, slice_index: int) -> None:
    if structure not in STRUCTURES:
        raise InputError(f"expected a structure among {', '.join(STRUCTURES)}, found {structure!r}")
    if not 0 <= slice_index < len(labels):
        raise InputError(f"expected a slice from 0 to {len(labels) - 1}, found {slice_index}")
    region = REGIONS[structure]
    if np.array_equal(region(labels[slice_index]), region(automatic[slice_index])):
        raise InputError(
            f"expected a correction of {structure} in slice {slice_index} to carry to its "
            "neighbors, found it as the automatic result has it: correct this slice first"
        )


def _beside(carrier: _Carrier, labels: np.ndarray, source: int, step: int) -> CarriedSlice | str:
    """Propose the slice on one side, into `labels`; or say why there is nothing to propose."""
    target = source + step
    if not 0 <= target < len(labels):
        return "the stack ends"
    if target in carrier.settled:
        return "it is settled already"
    carried = _carried(carrier, labels, source, target)
    if carried is None:
        return "it shows no myocardium"
    return _taken(carrier, labels, target, carried)


def _carried(
    carrier: _Carrier, labels: np.ndarray, source: int, target: int
) -> list[_Asked] | None:
    """What of a slice's correction the target does not show yet, the largest part first.

    None where one of them has no wall to place it by.
    """
    # What is corrected in the wall is placed by the present wall. A corrected wall or cavity is
    # placed by the automatic one: its difference from that one is what goes on.
    frame = labels if carrier.structure in DISEASE else carrier.segmentation.labels
    here, there = (locate(frame[index], carrier.spacing_mm) for index in (source, target))
    if here is None or there is None:
        return None
    region = REGIONS[carrier.structure]
    mask, before = region(labels[source]), region(carrier.segmentation.labels[source])
    present = region(labels[target])
    added = propagate_mask(mask & ~before, here, there) & ~present
    removed = propagate_mask(before & ~mask, here, there) & present
    parts = [*_parts(carrier, added, True), *_parts(carrier, removed, False)]
    return sorted(parts, key=lambda one: one.area_mm2, reverse=True)


def _parts(carrier: _Carrier, mask: np.ndarray, positive: bool) -> list[_Asked]:
    numbered, count = label_components(mask, "corners")
    pixel_mm2 = float(np.prod(carrier.pixel_mm))
    areas = np.bincount(numbered.ravel(), minlength=count + 1)[1:] * pixel_mm2
    parts = (
        _Asked(numbered == number, positive, float(area)) for number, area in enumerate(areas, 1)
    )
    return [part for part in parts if part.is_large]


def _taken(
    carrier: _Carrier, labels: np.ndarray, target: int, carried: list[_Asked]
) -> CarriedSlice | str:
    """Ask for the largest part that may be asked for, and write the answer into `labels`.

    Returns:
        What changed; or why nothing did.
    """
    why = "it shows nothing that the correction would change"
    for part in carried:
        point = Point(*innermost(part.mask, carrier.spacing_mm), part.positive)
        prompts = Prompts(carrier.structure, target, (point,))
        prediction = carrier.refiner.predict(prompts, labels)
        if not part.positive and prediction.confidence < carrier.least_confidence:
            why = f"the answer is not sure enough (confidence {prediction.confidence:.2f})"
            continue
        taken = _applied(carrier, labels, prediction)
        changed = int(np.count_nonzero(taken != labels[target]))
        if changed:
            labels[target] = taken
            return CarriedSlice(target, prediction.confidence, changed)
    return why


def _applied(carrier: _Carrier, labels: np.ndarray, prediction: Prediction) -> np.ndarray:
    """The slice with the refiner's mask, as after a click of the reader."""
    index = prediction.slice_index
    chances = {name: chance[index] for name, chance in carrier.segmentation.probabilities.items()}
    return answered_slice(
        labels[index],
        prediction.mask,
        carrier.structure,
        carrier.rules,
        chances,
        carrier.pixel_mm,
    ).labels

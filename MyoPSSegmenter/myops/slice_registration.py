"""Sequences laid on the reference before they are segmented: stack, turn, then each slice.

`registration` finds the shift of a whole stack. Slices are taken in breath-holds of their own, so
each may lie elsewhere again: what is left of a slice's shift is sought within 5 mm of the stack's,
by the mutual information of that slice alone. A slice is moved by itself only where that is clearly
better, and a sequence only where mutual information over all slices is; else it stays as it was.

Then the same is tried with the stack turned back (`turn_registration`), and kept where that is
clearly better again. Motion along the stack is not sought: slices lie 6 to 12 mm apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from myops.case import Case
from myops.errors import InputError
from myops.registration import (
    LEAST_GAIN,
    LEAST_GAIN_SHARE,
    Pair,
    find_alignment,
    make_pair,
    peak_of,
    similarity_at,
    similarity_map,
)
from myops.turn_registration import Turn, find_turn

NO_TURN = Turn()
NO_TURNS: Mapping[str, Turn] = MappingProxyType({})
# What is left of a slice's shift when the stack's is known; breath-holds differ by less.
SLICE_REACH_MM = 5.0
# LPS position in mm.
Place = tuple[float, float, float]
_TO_BE_LOOKED_AT = ": look whether it lies better"


@dataclass(frozen=True)
class Registration:
    """What was done to lay a sequence on the reference.

    Attributes:
        sequence: which.
        shifts_mm: (x, y) of each slice in mm along the image's rows and columns, by which it lay
            beside the reference and was moved back; zeros where it was left.
        similarity_before: mutual information (nats) with the reference around the heart; None where
            that was not computed, see `compared`.
        similarity_after: the same for what is used; never smaller, unless a reader moved it.
        note: the outcome in words.
        turn: by which the stack lay turned besides, and was turned back.
        by_hand: a reader moved it.
    """

    sequence: str
    shifts_mm: tuple[tuple[float, float], ...]
    similarity_before: float | None
    similarity_after: float | None
    note: str
    turn: Turn = NO_TURN
    by_hand: bool = False

    @property
    def lengths_mm(self) -> np.ndarray:
        """How far each slice was moved, float (z,)."""
        return np.hypot(*np.array(self.shifts_mm).T)

    @property
    def moved(self) -> bool:
        """Whether anything was."""
        return bool(self.lengths_mm.any() or self.turn)

    def to_dict(self) -> dict[str, float | bool | str]:
        """JSON values; what is not known is left out."""
        similarities = {
            "mutual_information_before": self.similarity_before,
            "mutual_information_after": self.similarity_after,
        }
        return {
            "moved": self.moved,
            "mean_shift_mm": round(float(self.lengths_mm.mean()), 3),
            "largest_shift_mm": round(float(self.lengths_mm.max()), 3),
            "turn_deg": round(self.turn.degrees, 2),
            **{name: round(one, 4) for name, one in similarities.items() if one is not None},
            "note": self.note,
            **({"by": "hand"} if self.by_hand else {}),
        }


def register_case(case: Case, center: Place | None = None) -> Case:
    """Lay every other sequence on the reference.

    Args:
        case: the images.
        center: LPS position of the heart in mm; the middle of the image if None.

    Returns:
        The case with moved images and their fields of view, what was done in `registrations`, and a
        warning for each sequence that was moved or could not be compared. A case without a
        known spacing stays as it is, with a warning: a shift has a length.
    """
    others = [name for name in case.sequences if name != case.reference]
    if others and not case.spacing_known:
        words = "sequences were not laid on each other: the spacing is unknown"
        return replace(case, warnings=(*case.warnings, words))
    for name in others:
        case = _registered(case, name, center)
    return case


def with_shifts(
    case: Case,
    shifts_mm: Mapping[str, np.ndarray],
    turns: Mapping[str, Turn] = NO_TURNS,
) -> Case:
    """The case with sequences moved as an earlier registration has found; nothing is sought.

    What was moved is noted and warned about as before, without mutual information.

    Args:
        case: the images as their headers place them.
        shifts_mm: sequence to float (z, 2).
        turns: sequence to its turn; those that were not turned may be missing.
    """
    for name, shifts in shifts_mm.items():
        if name in case.images and len(shifts) == case.geometry.array_shape[0]:
            case = _moved_again(case, name, shifts, turns.get(name, NO_TURN))
    return case


def _moved_again(case: Case, sequence: str, shifts_mm: np.ndarray, turn: Turn) -> Case:
    done = Registration(sequence, _pairs(shifts_mm), None, None, "", turn)
    if not done.moved:
        return case
    done = replace(done, note=_moved_words(done, case.reference) + _TO_BE_LOOKED_AT)
    return replace(
        moved_case(case, sequence, shifts_mm, turn),
        registrations=(*case.registrations, done),
        warnings=(*case.warnings, done.note),
    )


def _pairs(shifts_mm: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Shifts (z, 2) as `Registration` has them."""
    return tuple((float(x), float(y)) for x, y in shifts_mm)


def moved_case(case: Case, sequence: str, shifts_mm: np.ndarray, turn: Turn = NO_TURN) -> Case:
    """The case with the slices of a sequence moved back by the motion that they had.

    Args:
        case: the images.
        sequence: which one to move.
        shifts_mm: float (z, 2), along x and y; what comes in from outside is not covered.
        turn: of the whole stack; the shifts are those that it has left.
    """
    width_mm, height_mm, _ = case.geometry.spacing_mm
    image, covered = case.images[sequence].copy(), case.covered_by(sequence).copy()
    for k, shift_mm in enumerate(shifts_mm):
        if turn or any(shift_mm):
            image[k], covered[k] = _laid_back(
                image[k], covered[k], shift_mm, (height_mm, width_mm), turn
            )
    image[~covered] = case.images[sequence].min()
    return replace(
        case,
        images={**case.images, sequence: image},
        covered={**case.covered, sequence: covered},
    )


def _laid_back(
    plane: np.ndarray,
    covered: np.ndarray,
    shift_mm: np.ndarray,
    pixel_mm: tuple[float, float],
    turn: Turn,
) -> tuple[np.ndarray, np.ndarray]:
    """A slice and its field of view without the motion."""
    from scipy.ndimage import shift

    seen = covered.astype(np.uint8)
    if turn:
        moved = turn.moved_plane(plane, shift_mm, pixel_mm, order=1)
        return moved, turn.moved_plane(seen, shift_mm, pixel_mm, order=0) > 0
    back = -shift_mm[::-1] / pixel_mm
    return shift(plane, back, order=1, mode="nearest"), shift(seen, back, order=0, cval=0) > 0


def moved_before(
    case: Case, sequence: str, by_mm: tuple[float, float], by_hand: bool
) -> Registration:
    """What was done to a sequence that was moved as a whole before the case was made of it.

    Args:
        case: with the moved image.
        sequence: which.
        by_mm: (x, y) along the image's rows and columns, as it was moved.
        by_hand: a reader did it.

    Returns:
        That, not compared yet.
    """
    beside = (-by_mm[0], -by_mm[1])
    length, whose = float(np.hypot(*beside)), " by hand" if by_hand else ""
    note = (
        f"{sequence}: moved onto {case.reference}{whose} by {length:.1f} mm in the slice plane"
        f"{_TO_BE_LOOKED_AT}"
    )
    shifts = (beside,) * case.geometry.array_shape[0]
    return Registration(sequence, shifts, None, None, note, by_hand=by_hand)


def compared(case: Case) -> Case:
    """The case with mutual information before and after for each registration that lacks it.

    Takes some 80 ms for each; `moved_before` leaves it out.
    """
    return replace(case, registrations=tuple(_compared(case, one) for one in case.registrations))


def _compared(case: Case, one: Registration) -> Registration:
    if one.similarity_after is not None or one.turn:
        return one
    before = moved_case(case, one.sequence, -np.array(one.shifts_mm))
    try:
        return replace(
            one,
            similarity_before=similarity_at(before, one.sequence),
            similarity_after=similarity_at(case, one.sequence),
        )
    except InputError:  # they share too little around the heart to tell
        return one


def find_shifts(case: Case, sequence: str, center: Place | None = None) -> tuple[np.ndarray, str]:
    """The shift of each slice of a sequence against the reference.

    Returns:
        Float (z, 2) in mm along x and y, and why the stack as a whole was not moved; "" if it was.

    Raises:
        InputError: see `find_alignment`.
    """
    found = find_alignment(case, sequence, center)
    translation = np.array(found.translation_mm)
    stack_xy_mm = np.array([-translation @ axis for axis in case.geometry.axes[:2]])
    shifts = np.tile(stack_xy_mm, (case.geometry.array_shape[0], 1))
    reach_mm = float(np.hypot(*stack_xy_mm)) + SLICE_REACH_MM
    pair = make_pair(case, sequence, center, reach_mm)
    for k in range(len(shifts)):
        shifts[k] += _left_over(pair.slice(k), stack_xy_mm)
    return shifts, "" if found.worthwhile else found.note


def _left_over(pair: Pair, stack_xy_mm: np.ndarray) -> np.ndarray:
    """What a slice's shift differs by from the stack's (x, y), in mm; zeros if not clearly."""
    height_mm, width_mm = pair.pixel_mm
    start = np.round(stack_xy_mm[::-1] / (height_mm, width_mm)).astype(int)
    similarity = similarity_map(pair, start, SLICE_REACH_MM)
    here = float(similarity[tuple(count // 2 for count in similarity.shape)])
    after, shift_yx_mm, inside = peak_of(similarity, pair.pixel_mm)
    if not inside or after - here < LEAST_GAIN_SHARE * here:
        return np.zeros(2)
    place_yx_mm = start * pair.pixel_mm + np.array(shift_yx_mm)
    return place_yx_mm[::-1] - stack_xy_mm


def _registered(case: Case, sequence: str, center: Place | None) -> Case:
    """The case with one sequence laid on the reference, if that is clearly better."""
    try:
        shifts, refused = find_shifts(case, sequence, center)
        before = similarity_at(case, sequence, center)
    except InputError as error:
        return replace(case, warnings=(*case.warnings, f"{sequence}: not moved: {error}"))
    turned = _turned(case, sequence, center, shifts)
    tried = [(NO_TURN, shifts), *turned] if shifts.any() else turned
    best, chosen = before, (case, NO_TURN, shifts)
    for turn, own in tried:
        moved = moved_case(case, sequence, own, turn)
        try:
            after = similarity_at(moved, sequence, center)
        except InputError:  # moved there, they share too little around the heart
            continue
        if after - best >= max(LEAST_GAIN_SHARE * best, LEAST_GAIN):
            best, chosen = after, (moved, turn, own)
    moved, turn, shifts = chosen
    if moved is case:
        note = refused or f"{sequence}: no clearly better place than the present one was found"
        left = Registration(sequence, _pairs(np.zeros_like(shifts)), before, before, note)
        return replace(case, registrations=(*case.registrations, left))
    done = Registration(sequence, _pairs(shifts), before, best, "", turn)
    done = replace(done, note=_words(done, before, best, case.reference))
    return replace(
        moved,
        registrations=(*case.registrations, done),
        warnings=(*case.warnings, done.note),
    )


def _turned(
    case: Case, sequence: str, center: Place | None, shifts: np.ndarray
) -> list[tuple[Turn, np.ndarray]]:
    """A turn and the shifts that it leaves, to be tried besides; none where none can be told."""
    try:
        turn = find_turn(case, sequence, center, np.median(shifts, axis=0))
        if not turn:
            return []
        turned = moved_case(case, sequence, np.zeros_like(shifts), turn)
        return [(turn, find_shifts(turned, sequence, center)[0])]
    except InputError:  # turned, they share too little: the shift alone is tried
        return []


def _words(done: Registration, before: float, after: float, reference: str) -> str:
    compared = f" (mutual information {before:.2f} before, {after:.2f} after)"
    return _moved_words(done, reference) + compared + _TO_BE_LOOKED_AT


def _moved_words(done: Registration, reference: str) -> str:
    turned = f", turned by {done.turn.degrees:.1f} degrees" if done.turn else ""
    return (
        f"{done.sequence}: moved onto {reference} by {done.lengths_mm.mean():.1f} mm on average, "
        f"{done.lengths_mm.max():.1f} mm at most{turned}"
    )

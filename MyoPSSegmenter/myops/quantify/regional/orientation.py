"""Which end of the stack is the apex, and where the anterior wall is. Found, told or asked for.

The grid's directions count only where they are those of a short-axis stack: many files hold none
(EMIDEC, ACDC) or lost them. Then:

- apex: toward the left, the front and the feet. Without directions: the end that tapers.
- anterior insertion: seen from the apex, the septum runs counterclockwise from the anterior to the
  inferior insertion. So the RV's two ends, the apex and the handedness of the grid tell them apart
  in any rotation and whatever the order of rows, columns and slices. The septum must also lie
  toward the patient's right, as in a chest; otherwise the directions are not believed and a click
  is asked for, as most mirrored images need. An image mirrored top to bottom passes unnoticed.
- with a click: the anterior insertion is where the reader says, and the septum lies where the
  second click, the RV or, last, the directions have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from myops import labels as regions
from myops.errors import InputError
from myops.geometry.grid import Geometry
from myops.quantify.regional.insertion import SPREAD_DEG, Septum, wrap_deg
from myops.quantify.regional.polar import angle_deg

# LPS direction from base to apex of a usual heart, and how far a stack's may be from it.
TYPICAL_AXIS = np.array([0.65, -0.65, -0.39])
AXIS_TOLERANCE_DEG = 45.0
# LPS direction of the septum seen from the LV, and how far a heart's may be from it in its slice.
SEPTUM_SIDE = np.array([-1.0, -0.5, 0.0])
SEPTUM_TOLERANCE_DEG = 60.0
# The tapering end is smaller by this share of the larger one, or the shape says nothing.
TAPER_SHARE = 0.15
# A click nearer to the LV center than this share of its radius gives no direction.
LEAST_CLICK_SHARE = 0.5

# Two of six sectors: Cerqueira et al., Circulation 2002;105:539. Labels of real hearts show 92 to
# 140 degrees (31 of 32 of ACDC).
USUAL_SEPTUM_DEG = 120.0
# An error of 30 degrees at one end gives half of a segment to its neighbor, one of 60 a whole one.
DOUBTFUL_SEPTUM_DEG = 30.0
UNUSABLE_SEPTUM_DEG = 60.0

Ask = Literal["anterior_insertion", "inferior_insertion", "apex"]


@dataclass(frozen=True)
class Landmark:
    """A place in a slice of the Case's grid: z index, and pixels from the first pixel's center."""

    slice_index: int
    row: float
    column: float


@dataclass(frozen=True)
class Landmarks:
    """What a reader says about the heart; what is None is found, or asked for.

    Attributes:
        anterior_insertion: where the RV's anterior wall meets the LV.
        inferior_insertion: the other end of the septum; only together with the anterior one.
        apex: which slice of the Case's stack is the apical one.
        skeletal_muscle: a place in skeletal muscle, for the ratio of T2 signals.
    """

    anterior_insertion: Landmark | None = None
    inferior_insertion: Landmark | None = None
    apex: Literal["first", "last"] | None = None
    skeletal_muscle: Landmark | None = None


@dataclass(frozen=True)
class Orientation:
    """How the segments are laid over the heart.

    Attributes:
        anterior_deg: anterior insertion around the LV center, counterclockwise as displayed,
            0 = image right.
        septum_turn: +1 when the septum follows it counterclockwise as displayed, else -1.
        septum_deg: angle between both insertions across the septum; None if only one is known.
        source: where it comes from, in words.
        warnings: in words.
    """

    anterior_deg: float
    septum_turn: int
    septum_deg: float | None
    source: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """What has to be told before there are segments, and why."""

    ask: Ask
    reason: str


def is_short_axis(geometry: Geometry) -> bool:
    """Whether a canonical grid's slices are stacked along a plausible LV axis."""
    cosine = abs(float(geometry.axes[2] @ TYPICAL_AXIS)) / float(np.linalg.norm(TYPICAL_AXIS))
    return cosine >= float(np.cos(np.radians(AXIS_TOLERANCE_DEG)))


def check_landmarks(landmarks: Landmarks, labels: np.ndarray) -> None:
    """Refuse clicks that no insertion can be at.

    Raises:
        InputError: a click outside the image or in a slice without LV, or an inferior insertion
            without an anterior one.
    """
    if landmarks.inferior_insertion and not landmarks.anterior_insertion:
        raise InputError(
            "expected the anterior insertion with the inferior one, found the inferior one alone: "
            "give the anterior insertion too"
        )
    for click in (landmarks.anterior_insertion, landmarks.inferior_insertion):
        if click is None:
            continue
        place = (click.slice_index, click.row, click.column)
        if not all(-0.5 <= p <= n - 0.5 for p, n in zip(place, labels.shape)):
            raise InputError(
                f"expected an insertion point in an image of {labels.shape} (slice, row, column), "
                f"found {place}: click inside the image"
            )
        if not regions.lv_region(labels[click.slice_index]).any():
            raise InputError(
                f"expected an insertion point in a slice with left ventricle, found slice "
                f"{click.slice_index + 1} without: click in a basal or mid slice"
            )


def find_apex(labels: np.ndarray, geometry: Geometry, told: str | None) -> bool | Question:
    """Whether the last slice is the apical one, or the question about it."""
    if told is not None:
        return told == "last"
    by_shape = _tapers_to_last(labels)
    if not is_short_axis(geometry):
        if by_shape is None:
            return Question("apex", "neither the header nor the heart's shape tells the apex")
        return by_shape
    by_header = float(geometry.axes[2] @ TYPICAL_AXIS) > 0
    if by_shape is not None and by_shape != by_header:
        return Question("apex", "the heart tapers toward the end that the header calls the base")
    return by_header


def find_orientation(
    septum: Septum | None,
    geometry: Geometry,
    apex_last: bool,
    landmarks: Landmarks,
    labels: np.ndarray,
    centers: np.ndarray,
) -> Orientation | Question:
    """Where the anterior insertion is and which way the septum follows, or what to ask.

    Args:
        septum: the RV's insertions, None without a usable RV.
        geometry: the canonical grid.
        apex_last: from `find_apex`.
        landmarks: checked by `check_landmarks`.
        labels: uint16 (z, y, x), MyoPS values.
        centers: float (z, 2), row and column of the LV center.

    Raises:
        InputError: a click too near to the LV center to give a direction.
    """
    turn = _septum_turn(geometry, apex_last) if is_short_axis(geometry) else None
    if landmarks.anterior_insertion is None:
        return _automatic(septum, geometry, turn)
    spacing = geometry.spacing_mm
    anterior = _click_deg(landmarks.anterior_insertion, labels, centers, spacing)
    inferior = None
    if landmarks.inferior_insertion is not None:
        inferior = _click_deg(landmarks.inferior_insertion, labels, centers, spacing)
    return _told(anterior, inferior, septum, turn)


def _automatic(
    septum: Septum | None, geometry: Geometry, turn: int | None
) -> Orientation | Question:
    if septum is None:
        return Question(
            "anterior_insertion",
            "the label map has no right ventricle that shows where the septum ends",
        )
    if _septum_error(septum.width_deg) > UNUSABLE_SEPTUM_DEG:
        return Question(
            "anterior_insertion",
            f"the right ventricle lies on {septum.width_deg:.0f} degrees of the LV where a septum "
            f"spans about {USUAL_SEPTUM_DEG:.0f}, so its ends are not the insertions",
        )
    if turn is None:
        return Question(
            "anterior_insertion",
            "the header holds no short-axis directions, so nothing tells the anterior from the "
            "inferior insertion",
        )
    if not _lies_as_in_a_chest(septum.middle_deg, geometry):
        return Question(
            "anterior_insertion",
            "the septum does not lie where the header's directions have it; the image may be "
            "mirrored or turned against its header",
        )
    source = (
        f"RV insertions found in {septum.slices} slices, {septum.width_deg:.0f} degrees of septum "
        "between them, told apart by the header's directions"
    )
    anterior = septum.start_deg if turn > 0 else septum.end_deg
    return Orientation(anterior, turn, septum.width_deg, source, _septum_warnings(septum))


def _told(
    anterior: float, inferior: float | None, septum: Septum | None, turn: int | None
) -> Orientation | Question:
    """The anterior insertion by click; the septum's side by second click, RV or directions."""
    warnings: tuple[str, ...] = ()
    if inferior is not None:
        toward, words = inferior, "both insertions clicked"
        apart = abs(float(wrap_deg(inferior - anterior)))
        warnings = _width_warning(apart, "the clicked insertions are", "check both clicks")
    elif septum is not None:
        toward, words = septum.middle_deg, "anterior insertion clicked, septum found from the RV"
        # The click tells where the segments begin; the RV only on which side the septum lies.
        warnings = _spread_warning(septum)
    elif turn is not None:
        words = "anterior insertion clicked, septum by the header's directions"
        return Orientation(anterior, turn, None, words)
    else:
        return Question(
            "inferior_insertion",
            "there is neither a right ventricle nor a header with short-axis directions, so "
            "nothing tells on which side of the anterior insertion the septum lies",
        )
    found = 1 if wrap_deg(toward - anterior) > 0 else -1
    if turn is not None and found != turn:
        warnings += (
            "seen by the header's directions, the septum runs the wrong way round: the image is "
            "mirrored against its header, or the insertion was clicked at the wrong end",
        )
    end = inferior if inferior is not None else _other_end(septum, found)
    return Orientation(anterior, found, found * (end - anterior) % 360.0, words, warnings)


def _other_end(septum: Septum | None, turn: int) -> float:
    assert septum is not None
    return septum.end_deg if turn > 0 else septum.start_deg


def _septum_error(width_deg: float) -> float:
    return abs(width_deg - USUAL_SEPTUM_DEG)


def _width_warning(width_deg: float, what: str, remedy: str) -> tuple[str, ...]:
    """A warning about two insertions that are too near to each other or too far apart."""
    if _septum_error(width_deg) <= DOUBTFUL_SEPTUM_DEG:
        return ()
    return (
        f"{what} {width_deg:.0f} degrees apart across the septum, where about "
        f"{USUAL_SEPTUM_DEG:.0f} are usual: scar may be counted in the neighboring segments; "
        f"{remedy}",
    )


def _septum_warnings(septum: Septum) -> tuple[str, ...]:
    wide = _width_warning(
        septum.width_deg,
        "the ends of the right ventricle's contact are",
        "check the right ventricle's label or click the insertion",
    )
    return wide + _spread_warning(septum)


def _spread_warning(septum: Septum) -> tuple[str, ...]:
    if septum.spread_deg <= SPREAD_DEG:
        return ()
    return (
        f"the RV insertions differ by {septum.spread_deg:.0f} degrees (SD) between slices: check "
        "the right ventricle or click the insertion",
    )


def _septum_turn(geometry: Geometry, apex_last: bool) -> int:
    """+1 when the display shows the heart from the apex: the septum then runs counterclockwise."""
    right, down, forward = geometry.axes
    into_screen = np.cross(right, down)
    to_apex = forward if apex_last else -forward
    return 1 if float(into_screen @ to_apex) < 0 else -1


def _lies_as_in_a_chest(middle_deg: float, geometry: Geometry) -> bool:
    """Whether the middle of the septum faces the patient's right, as far as the slice allows."""
    right, down, _ = geometry.axes
    expected = np.degrees(np.arctan2(-down @ SEPTUM_SIDE, right @ SEPTUM_SIDE))
    return bool(abs(wrap_deg(middle_deg - expected)) <= SEPTUM_TOLERANCE_DEG)


def _click_deg(
    click: Landmark, labels: np.ndarray, centers: np.ndarray, spacing_mm: tuple[float, float, float]
) -> float:
    center = centers[click.slice_index]
    away = np.hypot(
        (click.row - center[0]) * spacing_mm[1], (click.column - center[1]) * spacing_mm[0]
    )
    region = regions.lv_region(labels[click.slice_index])
    radius = np.sqrt(region.sum() * spacing_mm[0] * spacing_mm[1] / np.pi)
    if away < LEAST_CLICK_SHARE * radius:
        raise InputError(
            f"expected an insertion point at the LV's outer border, about {radius:.0f} mm from its "
            f"center, found one at {away:.0f} mm: click where the RV wall meets the LV"
        )
    return angle_deg(click.row, click.column, center, spacing_mm)


def _tapers_to_last(labels: np.ndarray) -> bool | None:
    """Whether the LV is smaller at the last slices; None when both ends are about alike."""
    area = regions.lv_region(labels).sum(axis=(1, 2)).astype(float)
    area = area[area > 0]
    if area.size < 2:
        return None
    third = max(1, area.size // 3)
    first, last = area[:third].mean(), area[-third:].mean()
    if abs(first - last) < TAPER_SHARE * max(first, last):
        return None
    return bool(last < first)

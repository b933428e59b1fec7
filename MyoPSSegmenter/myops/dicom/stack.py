"""Frames of one orientation as a stack: in the order of their places, phases in the order of time.

The positions of the frames decide, never their order in the file, the instance numbers or the slice
thickness. What the positions do not allow to join is said: `problem` where nothing honest can be
made of it, notes where numbers can still be computed or are withheld.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from myops.dicom.headers import Frame
from myops.io.geometry_notes import EVEN_SHARE, UNEVEN, GeometryNotes

# Frames closer than this along the normal show one slice.
SAME_PLACE_MM = 0.05
# Unit vectors whose difference is below this are parallel: scanners write six digits or more.
SAME_ANGLE_DEGREES = 0.1
# Slices that lie further aside than this share of a pixel are moved in their plane.
ASIDE_PIXELS = 0.5
# Phases of a heartbeat are further apart than repeated pictures of one phase.
PHASE_GAP_MS = 5.0
# So many inversion or echo times at one place are a series for a map, not a picture for the eye.
MAP_TIMES = 3


@dataclass(frozen=True)
class Stack:
    """Frames by place and time.

    Attributes:
        places: slices along the normal, each with its phases in order of time.
        problem: why they make no volume; "" if they do.
        notes: warnings about the geometry.
        times: "inversion" or "echo" where each slice was taken at several of these times.
    """

    places: tuple[tuple[Frame, ...], ...]
    problem: str = ""
    notes: GeometryNotes = field(default_factory=GeometryNotes)
    times: str = ""

    @property
    def phases(self) -> int:
        """Volumes over time; 1 for a still stack."""
        return max((len(place) for place in self.places), default=0)

    @property
    def distance_mm(self) -> float | None:
        """Distance between slice centers, of a single slice its thickness; None if not stated."""
        first = self.places[0][0]
        if len(self.places) == 1:
            return first.thickness_mm or first.between_mm
        heights = [_height(place[0]) for place in self.places]
        if None in heights:
            return first.between_mm
        return float(np.diff(np.array(heights, float)).mean())


def make_stack(frames: Sequence[Frame]) -> Stack:
    """Sort frames of about one orientation, of one component and of one pixel grid."""
    places = _by_place(frames)
    times = _map_times(places)
    if times:
        return Stack(places, times=times)
    places, problem, warnings = _by_time(places)
    stack = Stack(places, problem)
    found = (*warnings, _uneven(stack), _not_parallel(places), _aside(places))
    notes = GeometryNotes(_missing(stack), warnings=tuple(text for text in found if text))
    return replace(stack, notes=notes)


def normal_of(frame: Frame) -> np.ndarray | None:
    """Unit vector (3,) through the slice; None where no orientation is stated."""
    if frame.orientation is None:
        return None
    normal = np.cross(frame.orientation[:3], frame.orientation[3:])
    length = np.linalg.norm(normal)
    return normal / length if length > 0 else None


def _height(frame: Frame, normal: np.ndarray | None = None) -> float | None:
    """Where a frame lies along the normal, in mm; None where nothing states it."""
    axis = normal_of(frame) if normal is None else normal
    if axis is None or frame.position_mm is None:
        return frame.location_mm
    return float(np.dot(frame.position_mm, axis))


def _by_place(frames: Sequence[Frame]) -> tuple[tuple[Frame, ...], ...]:
    """Frames grouped by slice; without any position each file, in order, is a slice."""
    normals = [axis for axis in map(normal_of, frames) if axis is not None]
    normal = np.mean(normals, axis=0) if normals else None
    heights = [_height(frame, normal) for frame in frames]
    if any(height is None for height in heights):
        files = {frame.path: [f for f in frames if f.path == frame.path] for frame in frames}
        ordered = sorted(files.values(), key=lambda file: (file[0].instance, file[0].path))
        return tuple(tuple(file) for file in ordered)
    order = sorted(range(len(frames)), key=lambda k: (heights[k], frames[k].time))
    places: list[list[int]] = []
    for k in order:
        if places and heights[k] - heights[places[-1][0]] < SAME_PLACE_MM:  # type: ignore[operator]
            places[-1].append(k)
        else:
            places.append([k])
    return tuple(tuple(sorted((frames[k] for k in p), key=lambda f: f.time)) for p in places)


def _by_time(
    places: Sequence[Sequence[Frame]],
) -> tuple[tuple[tuple[Frame, ...], ...], str, list[str]]:
    """Tell phases of a heartbeat from slices that were taken again."""
    usual = _usual_count(places)
    kept, again, short = [], [], []
    for number, place in enumerate(places, start=1):
        groups = _takes(place, usual)
        kept.append(tuple(groups[-1]))
        if len(groups) > 1:
            again.append(str(number))
        if len(groups[-1]) < usual:
            short.append(str(number))
    warnings = []
    if again:
        every = "every slice" if len(again) == len(places) > 1 else f"slice {', '.join(again)}"
        warnings.append(f"{every} is there more than once (taken again): the latest is used")
    if short:
        warnings.append(
            f"slice {', '.join(short)} has fewer phases than the {usual} of the others: the "
            "nearest one is used there"
        )
    untold = [place for place in kept if len(place) > 1 and not _are_phases(place)]
    problem = ""
    if untold:
        problem = (
            f"each slice is there {len(untold[0])} times and neither a time nor a kind of image "
            "tells the pictures apart"
        )
    return tuple(kept), problem, warnings


def _usual_count(places: Sequence[Sequence[Frame]]) -> int:
    """How many frames belong to a slice: 1 for a still stack, the phases of a cine."""
    counts = Counter(len(place) for place in places)
    usual = counts.most_common(1)[0][0]
    if usual > 1 and not any(_are_phases(place) for place in places if len(place) == usual):
        takes = {len({frame.acquired for frame in place}) for place in places}
        return 1 if takes == {usual} else usual
    return usual


def _takes(place: Sequence[Frame], usual: int) -> list[list[Frame]]:
    """The frames of a slice in the takes in which they were acquired, the latest last."""
    if len(place) <= usual or len(place) % usual:
        return [list(place)]
    ordered = sorted(place, key=lambda frame: (frame.acquired, frame.instance, frame.uid))
    groups = [ordered[k : k + usual] for k in range(0, len(ordered), usual)]
    return [sorted(group, key=lambda frame: frame.time) for group in groups]


def _are_phases(place: Sequence[Frame]) -> bool:
    """Whether times tell the frames of a slice apart."""
    counted = {frame.temporal for frame in place}
    if len(counted) == len(place) and None not in counted:
        return True
    triggers = sorted(frame.trigger_ms for frame in place if frame.trigger_ms is not None)
    if len(triggers) == len(place) and len(place) > 1:
        return bool(np.diff(triggers).min() >= PHASE_GAP_MS)
    # A movie: one file whose frames follow one another without a time of their own.
    return len({frame.path for frame in place}) == 1 and not any(f.placed for f in place)


def _map_times(places: Sequence[Sequence[Frame]]) -> str:
    """Whether the slices were taken at several inversion or echo times, as for a T1 or T2 map."""
    for name, value in (("inversion", "inversion_ms"), ("echo", "echo_ms")):
        counts = [len({getattr(f, value) for f in p} - {None, 0.0}) for p in places]
        if np.median(counts) >= MAP_TIMES:
            return name
    return ""


def _missing(stack: Stack) -> str:
    """Which statement is missing without which no volume can be computed."""
    first = stack.places[0][0]
    missing = []
    if first.pixel_mm is None:
        missing.append("pixel spacing")
    if stack.distance_mm is None:
        single = len(stack.places) == 1
        missing.append("slice thickness" if single else "distance between slices")
    return f"the headers hold no {' and no '.join(missing)}" if missing else ""


def _uneven(stack: Stack) -> str:
    """Why the slices are not an even stack; "" if they are."""
    heights = [_height(place[0]) for place in stack.places]
    if len(heights) < 3 or None in heights:
        return ""
    steps = np.diff(np.array(heights, float))
    mean = float(steps.mean())
    if np.abs(steps - mean).max() <= EVEN_SHARE * mean:
        return ""
    usual = float(np.median(steps))
    wide = [f"{k + 1} and {k + 2}" for k in np.flatnonzero(steps > 1.5 * usual)]
    where = f"; more between slices {', '.join(wide)}" if wide else ""
    return f"{UNEVEN} ({steps.min():.2f} to {steps.max():.2f} mm between them{where})"


def _not_parallel(places: Sequence[Sequence[Frame]]) -> str:
    """A sentence if slices are at an angle; "" if not."""
    normals = [axis for axis in (normal_of(place[0]) for place in places) if axis is not None]
    degrees = max((_angle(normals[0], axis) for axis in normals), default=0.0)
    if degrees <= SAME_ANGLE_DEGREES:
        return ""
    return (
        f"the slices are not parallel: they are up to {degrees:.1f} degrees apart, so that volumes "
        "away from the middle of the image are too large or too small"
    )


def _aside(places: Sequence[Sequence[Frame]]) -> str:
    """A sentence if slices lie beside one another: a tilted or re-centered stack; "" if not."""
    firsts = [place[0] for place in places]
    normal, pixel = normal_of(firsts[0]), firsts[0].pixel_mm
    positions = [frame.position_mm for frame in firsts if frame.position_mm is not None]
    if normal is None or pixel is None or len(positions) < len(firsts):
        return ""
    offsets = np.array(positions) - positions[0]
    aside = np.linalg.norm(offsets - np.outer(offsets @ normal, normal), axis=1)
    if aside.max() <= ASIDE_PIXELS * min(pixel):
        return ""
    return (
        f"the slices are shifted in their plane by up to {aside.max():.1f} mm (a tilted or "
        "re-centered stack): volumes count with the distance between the planes, and the slices "
        "are stacked straight, so other sequences may lie beside them"
    )


def _angle(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(np.dot(one, two), -1.0, 1.0))))

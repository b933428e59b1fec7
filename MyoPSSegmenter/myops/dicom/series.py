"""DICOM folders: which series are there, and what is a stack of slices in each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path

import numpy as np

from myops.dicom.headers import Frame, Header, read_header
from myops.dicom.stack import SAME_PLACE_MM, Stack, make_stack, normal_of

# Slices at a smaller angle may belong to one stack; views of the heart differ by more.
ONE_VIEW_DEGREES = 3.0
# A piece of a stack in another orientation or on another pixel grid begins within so many gaps.
CONTINUES_GAPS = 1.6
CONTINUES_DEGREES = 20.0
# What is preferred where a series holds several kinds of image; magnitude first.
COMPONENTS = ("M", "", "R", "P", "I")


@dataclass(frozen=True)
class DicomSeries:
    """A series: one volume, or a cine.

    Attributes:
        uid: series instance UID; that of the first where each slice has a series of its own.
        study: checksum of the study instance UID: it tells studies apart and names nobody.
        number: series number; 0 where there is none.
        description: series description without words of the patient's name.
        frames: its pictures, of all components.
        patient: checksum that tells patients apart and names nobody; "" where nothing is stated.
        technique: codes of the pulse sequence, see `headers.Header`.
        beside: what else its series UID holds and is not part of this stack, a sentence each.
        torn: why the stack is not whole: slices that continue it cannot be joined; "" if it is.
    """

    uid: str
    study: str
    number: int
    description: str
    frames: tuple[Frame, ...]
    patient: str = ""
    technique: frozenset[str] = frozenset()
    beside: tuple[str, ...] = ()
    torn: str = ""

    @property
    def name(self) -> str:
        """For a list: number and description."""
        return f"series {self.number}: {self.description or 'no description'}"

    @property
    def files(self) -> tuple[Path, ...]:
        """All its files."""
        return tuple(dict.fromkeys(frame.path for frame in self.frames))

    @property
    def component(self) -> str:
        """What `read_series` takes: magnitude over phase, where the headers tell."""
        found = {frame.component for frame in self.frames}
        return next(component for component in COMPONENTS if component in found)

    @cached_property
    def sorted_frames(self) -> Stack:
        """The frames of the taken component by place and time."""
        taken = [frame for frame in self.frames if frame.component == self.component]
        return make_stack(taken)

    @property
    def stack(self) -> tuple[tuple[Frame, ...], ...]:
        """The slices of the taken component by place, each with its phases in order of time."""
        return self.sorted_frames.places

    @property
    def problem(self) -> str:
        """Why no volume can be made of it; "" if one can."""
        if self.sorted_frames.times:
            return (
                f"its slices were taken at several {self.sorted_frames.times} times, as for a map"
            )
        return self.torn or self.sorted_frames.problem or self._untold_movie()

    @property
    def depth(self) -> int:
        """How many slices its volume has."""
        return len(self.stack)

    @property
    def phases(self) -> int:
        """Volumes over time; 1 for a still stack."""
        return self.sorted_frames.phases

    def _untold_movie(self) -> str:
        """One file of several frames that have neither places nor times of their own."""
        (place, *more) = self.stack
        told = more or len(place) == 1 or place[0].placed or "time" in self.technique
        if told or "cine" in self.description.lower():
            return ""
        return (
            f"one file of {len(place)} frames states neither the place nor the time of each: they "
            "may be slices or phases"
        )


def find_series(files: Iterable[Path]) -> tuple[DicomSeries, ...]:
    """The MR series among files, by study and series number.

    Files that are not DICOM, cannot be read, or hold no MR image are left out, and copies of one
    instance count once. Series of a single slice each that continue one another are joined to one,
    as scanners write breath-holds.

    Raises:
        InputError: pydicom is not installed.
    """
    instances: dict[str, Header] = {}
    for path in sorted(files):
        header = read_header(path)
        if header is not None:
            instances.setdefault(header.frames[0].uid, header)
    headers = list(instances.values())
    headers.sort(key=lambda header: (header.study, header.series))
    found = [
        series
        for _, group in groupby(headers, lambda header: (header.study, header.series))
        for series in _series(list(group))
    ]
    found.sort(key=lambda series: (series.study, series.number, series.uid))
    return _joined(found)


def _series(headers: Sequence[Header]) -> list[DicomSeries]:
    """A series, or several where one UID holds stacks of several views or pixel grids."""
    first = headers[0]
    whole = DicomSeries(
        first.series,
        first.study,
        first.number,
        first.description,
        tuple(frame for header in headers for frame in header.frames),
        first.patient,
        frozenset().union(*(header.technique for header in headers)),
    )
    parts = [replace(whole, frames=tuple(group)) for group in _views(whole.frames)]
    return [_beside(part, [other for other in parts if other is not part]) for part in parts]


def _views(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Frames by orientation and pixel grid."""
    grids: dict[object, list[Frame]] = {}
    for frame in frames:
        pixel = frame.pixel_mm and tuple(float(f"{side:.4g}") for side in frame.pixel_mm)
        grids.setdefault((frame.size, pixel), []).append(frame)
    return [view for grid in grids.values() for view in _by_orientation(grid)]


def _by_orientation(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Frames linked by orientations that are close: a fan of small steps is one view."""
    exact: dict[object, list[Frame]] = {}
    for frame in frames:
        key = frame.orientation and tuple(round(value, 4) for value in frame.orientation)
        exact.setdefault(key, []).append(frame)
    views: list[list[Frame]] = []
    for group in exact.values():
        linked = [view for view in views if any(_is_one_view(f, group[0]) for f in view)]
        views = [view for view in views if view not in linked]
        views.append([*(frame for view in linked for frame in view), *group])
    return views


def _is_one_view(one: Frame, two: Frame, degrees: float = ONE_VIEW_DEGREES) -> bool:
    if one.orientation is None or two.orientation is None:
        return one.orientation is two.orientation
    cosine = np.cos(np.radians(degrees))
    along = np.dot(one.orientation[:3], two.orientation[:3])
    first, second = normal_of(one), normal_of(two)
    if first is None or second is None:
        return False
    return bool(min(along, np.dot(first, second)) >= cosine)


def _beside(part: DicomSeries, others: Sequence[DicomSeries]) -> DicomSeries:
    """Say what else a series UID holds, and whether it is a piece of this stack."""
    notes, torn = [], ""
    for other in others:
        words = _difference(part, other)
        slices = f"{other.depth} slice{'s' * (other.depth > 1)}"
        notes.append(f"the same series also holds {slices} {words}, which are no part of it")
        if _continues(part, other):
            torn = torn or (
                f"{slices} that continue the stack have been taken {words}, so that they cannot be "
                "joined to one volume"
            )
    return replace(part, beside=tuple(notes), torn=torn)


def _difference(part: DicomSeries, other: DicomSeries) -> str:
    mine, theirs = part.frames[0], other.frames[0]
    if mine.pixel_mm != theirs.pixel_mm and theirs.pixel_mm is not None:
        return f"with pixels of another size ({theirs.pixel_mm[0]:g} x {theirs.pixel_mm[1]:g} mm)"
    if mine.size != theirs.size:
        return f"of {theirs.size[0]} x {theirs.size[1]} pixels"
    return "in another orientation"


def _continues(part: DicomSeries, other: DicomSeries) -> bool:
    """Whether the other's slices lie between or directly beyond this stack's, almost parallel."""
    mine, theirs = part.stack[0][0], other.stack[0][0]
    if part.component != other.component or not _is_one_view(mine, theirs, CONTINUES_DEGREES):
        return False
    normal = normal_of(mine)
    positions = [place[0].position_mm for place in (*part.stack, *other.stack)]
    if normal is None or None in positions:
        return False
    heights = (np.array(positions, float) @ normal).tolist()
    own, foreign = sorted(heights[: part.depth]), sorted(heights[part.depth :])
    gaps = [*np.diff(own)] or [*np.diff(foreign)]
    if not gaps:
        return False
    reach = CONTINUES_GAPS * float(np.median(gaps))
    inside = own[0] - SAME_PLACE_MM <= foreign[0] and foreign[-1] <= own[-1] + SAME_PLACE_MM
    if inside and part.depth > 1:  # the same slices in another format are not a missing piece
        nearest = [min(abs(place - height) for height in own) for place in foreign]
        return bool(max(nearest) > SAME_PLACE_MM and part.depth >= other.depth)
    below, above = own[0] - foreign[-1], foreign[0] - own[-1]
    return SAME_PLACE_MM < max(below, above) <= reach


def _joined(series: Sequence[DicomSeries]) -> tuple[DicomSeries, ...]:
    """Join series of one slice each with the same description, component and grid."""
    together: dict[object, DicomSeries] = {}
    for one in series:
        key: object = (one.uid, len(together))
        if len(one.stack) == 1 and not one.beside:
            named = re.sub(r"[\s_-]*\d+$", "", one.description.lower())
            frame = one.frames[0]
            key = (one.study, named, one.component, frame.size, frame.pixel_mm, one.phases)
        if key not in together:
            together[key] = one
        elif _fits(together[key], one):
            together[key] = replace(together[key], frames=together[key].frames + one.frames)
        else:  # the same slice again, or another view
            together[one.uid, len(together)] = one
    return tuple(together.values())


def _fits(stack: DicomSeries, one: DicomSeries) -> bool:
    """Whether a slice lies at a new place of a stack, in its orientation."""
    frame = one.frames[0]
    if not _is_one_view(stack.frames[0], frame):
        return False
    normal = normal_of(frame)
    if normal is None or frame.position_mm is None:
        return False
    return all(
        other.position_mm is not None
        and abs(float(np.dot(np.subtract(other.position_mm, frame.position_mm), normal)))
        >= SAME_PLACE_MM
        for other in stack.frames
    )

"""Landmarks that the reader clicks: ends of the septum, apex, skeletal muscle; one at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import slicer

from myops import labels as regions
from myops.errors import InputError
from MyoPSSegmenterLib.Runtime.Translation import tr as _
from MyoPSSegmenterLib.Scene.LandmarkPoint import LandmarkPoint
from MyoPSSegmenterLib.Scene.SceneBridge import voxelFromWorld

if TYPE_CHECKING:
    from myops.case import Case
    from myops.quantify.regional.orientation import Landmarks
    from MyoPSSegmenterLib.Panels.PanelLogic import CorrectedCase

# Landmark to the role of its node in the scene, its title, and its field of `Landmarks`.
LANDMARKS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "anterior": ("insertion", "RV insertion", "anterior_insertion"),
        "inferior": ("inferior insertion", "Inferior RV insertion", "inferior_insertion"),
        "apex": ("apex", "Apex", "apex"),
        "muscle": ("skeletal muscle", "Skeletal muscle", "skeletal_muscle"),
    }
)


class ClickedLandmarks:
    """A point for each of `LANDMARKS`, and what a click on it means.

    Attributes:
        points: by landmark.
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        correction: CorrectedCase,
        current: Callable[[], Landmarks | None],
        changed: Callable[[Landmarks], object],
        tell: Callable[[str], object],
        ended: Callable[[], object],
    ) -> None:
        """Begin without points.

        Args:
            scene: gets the points' nodes.
            correction: the case that they lie in.
            current: gives the landmarks that are known.
            changed: gets them with a new one.
            tell: gets a sentence for the user when a click says nothing.
            ended: called when the mouse places nothing any more.
        """
        self._correction, self._current, self._changed = correction, current, changed
        self._tell = tell
        self.points = {
            name: LandmarkPoint(scene, partial(self.put, name), ended, (role, title))
            for name, (role, title, _field) in LANDMARKS.items()
        }

    @property
    def placing(self) -> str | None:
        """The landmark that the next click in a view places; None if it places none."""
        return next((name for name, point in self.points.items() if point.isPlacing), None)

    def place(self, which: str | None) -> None:
        """Let the next click in a view place a landmark, or give the mouse back.

        Args:
            which: one of `LANDMARKS`; None for none. The inferior insertion counts only together
                with an anterior one.
        """
        for name, point in self.points.items():
            if name != which:
                point.stop()
        if which is None:
            return
        if self._correction.session is None or (which == "inferior" and not self._hasAnterior):
            self.points[which].stop()
        else:
            self.points[which].start()

    def hide(self) -> None:
        """Take the points out of the scene."""
        for point in self.points.values():
            point.hide()

    @property
    def _hasAnterior(self) -> bool:
        known = self._current()
        return known is not None and known.anterior_insertion is not None

    def put(self, which: str, ras: Sequence[float]) -> None:
        """A landmark lies here; an inferior insertion counts only beside an anterior one.

        Args:
            which: one of `LANDMARKS`.
            ras: mm.
        """
        from myops.quantify.regional.orientation import Landmark, Landmarks

        session = self._correction.session
        if session is None or (which == "inferior" and not self._hasAnterior):
            return
        depth, row, column = voxelFromWorld(session.case, ras)
        before = self._current() or Landmarks()
        if which != "apex":
            place = Landmark(round(depth), row, column)
            told: dict[str, Any] = {LANDMARKS[which][2]: place}
            self._changed(replace(before, **told))
            return
        try:
            self._changed(replace(before, apex=apicalEnd(session.case, session.labels, depth)))
        except InputError as error:  # the point stays, to be dragged on
            self._tell(str(error))


def apicalEnd(case: Case, labels: np.ndarray, depth: float) -> Literal["first", "last"]:
    """Which end of the stack is the apical one, from a click in it: "first" or "last".

    Args:
        case: the images.
        labels: uint16 (z, y, x), MyoPS values.
        depth: slice of the click, from 0.

    Raises:
        InputError: the click lies in the middle of the left ventricle.
    """
    held = np.flatnonzero(regions.lv_region(labels).any(axis=(1, 2)))
    low, high = (held[0], held[-1]) if held.size else (0, case.geometry.array_shape[0] - 1)
    middle, slice_ = (low + high) / 2, round(depth)
    if slice_ == middle:
        raise InputError(
            _(
                "expected a click in an apical slice, found slice {number}, the middle of the left "
                "ventricle: click in a slice nearer to the apex"
            ).format(number=slice_ + 1)
        )
    return "first" if slice_ < middle else "last"

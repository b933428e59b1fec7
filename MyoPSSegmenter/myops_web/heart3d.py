"""The 3D view of the open case: computed while a page shows it, and when the reader pauses."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from myops.structures import STRUCTURES
from myops_web.surfaces import LPS_TO_RAS, Surface, surface_of

if TYPE_CHECKING:
    from myops.case import Case
    from myops.geometry.grid import Geometry
    from MyoPSSegmenterLib.ModuleLogic import MyoPSLogic

# From the inside to the outside, and how much of what lies behind each is hidden.
SHOWN = {"scar": 1.0, "blood_pool": 0.3, "myocardium": 0.28}
# So long after the last change: clicks in a row are drawn once, and none waits for it.
PAUSE_S = 0.4
# Points are sent as 16-bit steps of this size from the middle of the heart: room for 65 cm.
STEP_MM = 0.01


@dataclass(frozen=True)
class Drawn:
    """The surfaces of a label map.

    Attributes:
        case: that they belong to.
        masks, surfaces: by structure; None for the surface of an empty mask.
        center: RAS, mm; the same for all edits of a case, so that they do not move the heart.
    """

    case: Case
    masks: Mapping[str, np.ndarray]
    surfaces: Mapping[str, Surface | None]
    center: np.ndarray


class Heart3D:
    """Follows the labels while somebody looks."""

    def __init__(self, logic: MyoPSLogic) -> None:
        self._logic = logic
        self._watched = False
        self._seen: Any = None  # the labels that are drawn, or that wait to be
        self._due: float | None = None
        self._drawn: Drawn | None = None
        self._told: Drawn | None = None

    def watch(self, watched: bool) -> None:
        """Somebody looks, or nobody does any more; who begins to look knows nothing."""
        self._watched = watched
        self._seen = self._due = self._drawn = self._told = None

    @property
    def wait_s(self) -> float | None:
        """Seconds until `follow` has something to do; None for ever."""
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    def follow(self) -> None:
        """Begin to draw where the labels have changed and the reader pauses."""
        labels, case = self._logic.correction.labels, self._logic.correction.case
        if self._watched and labels is not self._seen:
            self._seen, self._due = labels, time.monotonic() + PAUSE_S
            if self._drawn is not None and self._drawn.case is not case:
                self._drawn = None  # nobody may take it for the heart of the next patient
        if self._due is not None and time.monotonic() >= self._due:
            self._due = None
            self._draw()

    def news(self) -> list[dict[str, Any]]:
        """The surfaces that the page does not show yet; null for one that is no more."""
        now, before = self._drawn, self._told
        if not self._watched or now is before:
            return []
        self._told = now
        if now is None:
            return [{"surfaces": {}, "all": True}]
        changed = [
            name
            for name, surface in now.surfaces.items()
            if before is None or before.case is not now.case or surface is not before.surfaces[name]
        ]
        told = {name: _packed(name, now.surfaces[name], now.center) for name in changed}
        return [{"surfaces": told, "all": before is None or before.case is not now.case}]

    def _draw(self) -> None:
        case, labels = self._logic.correction.case, self._seen
        if case is None or labels is None:
            self._drawn = None
            return
        self._logic.work.submit(
            "Drawing in 3D",
            partial(_drawing, case, labels, self._drawn),
            done=partial(self._show, labels),
            replaces="heart 3d",
        )

    def _show(self, labels: np.ndarray, drawn: Drawn) -> None:
        if labels is self._seen:
            self._drawn = drawn


def _drawing(case: Case, labels: np.ndarray, before: Drawn | None, *_: Any) -> Drawn:
    """Draw what has changed; what has not is the same object as before."""
    masks = {name: STRUCTURES[name].mask(labels) for name in SHOWN}
    known = before if before is not None and before.case is case else None
    surfaces = {
        name: known.surfaces[name]
        if known is not None and np.array_equal(mask, known.masks[name])
        else surface_of(mask, case.geometry)
        for name, mask in masks.items()
    }
    if known is not None:
        return Drawn(case, masks, surfaces, known.center)
    ventricle = STRUCTURES["lv_region"].mask(labels)
    return Drawn(case, masks, surfaces, _middle(ventricle, case.geometry))


def _middle(mask: np.ndarray, geometry: Geometry) -> np.ndarray:
    """RAS, mm, of the middle of what a mask holds; of the grid where it is empty."""
    zyx = np.argwhere(mask).mean(0) if mask.any() else (np.array(mask.shape) - 1) / 2
    return geometry.position_mm(zyx[::-1]) * LPS_TO_RAS


def _packed(name: str, surface: Surface | None, center: np.ndarray) -> dict[str, Any] | None:
    """A surface for the page: 16-bit points around the center, 32-bit triangles, both in base64."""
    if surface is None:
        return None
    steps = np.clip(np.round((surface.points - center) / STEP_MM), -32768, 32767)
    return {
        "points": base64.b64encode(steps.astype("<i2").tobytes()).decode("ascii"),
        "triangles": base64.b64encode(surface.triangles.astype("<u4").tobytes()).decode("ascii"),
        "step_mm": STEP_MM,
        "color": STRUCTURES[name].color,
        "opacity": SHOWN[name],
    }

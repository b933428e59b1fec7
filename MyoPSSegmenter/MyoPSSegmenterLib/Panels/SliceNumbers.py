"""Which slice each view shows: number and position, at the upper edge of the image."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _

from MyoPSSegmenterLib.Scene.Layouts import VIEWS
from MyoPSSegmenterLib.Scene.Views import sliceShownIn

# Slicer's own annotations stand in the corners; nothing else stands here.
PLACE = vtk.vtkCornerAnnotation.UpperEdge


class SliceNumbers:
    """Keeps the numbers as what is shown; called by the panel's timer."""

    def __init__(self) -> None:
        self._shown: dict[str, str] = {}

    def follow(self, scene: Any, case: Any) -> None:
        """Write the slice of each of our views into it; nothing without a case."""
        for name in VIEWS.values():
            text = "" if case is None else self._text(scene, case, name)
            if self._shown.get(name, "") != text:
                self._shown[name] = text
                self._write(name, text)

    def _text(self, scene: Any, case: Any, name: str) -> str:
        found = sliceShownIn(scene, case, name)
        if found is None:
            return ""
        index, offset_mm = found
        text = _("Slice {number} of {count} · {position} mm")
        count = case.geometry.array_shape[0]
        return text.format(number=index + 1, count=count, position=f"{offset_mm:.1f}")

    def _write(self, name: str, text: str) -> None:
        layouts = slicer.app.layoutManager()
        widget = layouts.sliceWidget(name) if layouts is not None else None
        if widget is not None:
            view = widget.sliceView()
            view.cornerAnnotation().SetText(PLACE, text)
            view.scheduleRender()

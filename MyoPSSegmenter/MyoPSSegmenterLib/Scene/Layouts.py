"""Layouts of slice views: one for each set of sequences, which Slicer knows from its start on.

A scene remembers the number of its layout alone. Where nobody has told Slicer what the number
means, a scene that is opened shows no view at all. Text only: neither numpy nor an image library is
imported, since this happens at every start of Slicer.
"""

from __future__ import annotations

from collections.abc import Iterable

import slicer

from myops.sequences import SEQUENCE_TITLES, SEQUENCES

# Name of each sequence's view; in this order from left to right.
VIEWS = {name: row.view for name, row in SEQUENCES.items()}
# Layouts of Slicer have numbers below 1000, those of other modules are up to 1000 more or less: one
# number per set of sequences, this one plus a bit for each of them.
LAYOUT_ID = 52030


def registerLayout(scene: slicer.vtkMRMLScene) -> None:
    """Make the layouts known: one for each set of sequences. Harmless when called again.

    A scene that was opened before is shown as it was saved.
    """
    layouts = layoutNode(scene)
    names = list(VIEWS)
    for bits in range(1, 2 ** len(names)):
        shown = [name for index, name in enumerate(names) if bits >> index & 1]
        if not layouts.IsLayoutDescription(layoutId(shown)):
            layouts.AddLayoutDescription(layoutId(shown), _description(shown))
    present = layouts.GetViewArrangement()
    if layouts.IsLayoutDescription(present) and not layouts.GetCurrentLayoutDescription():
        layouts.SetViewArrangement(present)


def layoutId(shown: Iterable[str]) -> int:
    """Number of the layout of these sequences."""
    return LAYOUT_ID + sum(1 << list(VIEWS).index(name) for name in shown)


def layoutNode(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLLayoutNode:
    """The scene's layout node; made where no layout manager has made it."""
    node = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    if node is None:
        node = scene.AddNewNodeByClass("vtkMRMLLayoutNode")
    return node


def _description(shown: Iterable[str]) -> str:
    """The layout as Slicer's layout manager reads it: views from left to right."""
    items = "".join(
        f'<item><view class="vtkMRMLSliceNode" singletontag="{VIEWS[name]}">'
        f'<property name="orientation" action="default">Axial</property>'
        f'<property name="viewlabel" action="default">{SEQUENCE_TITLES[name]}</property>'
        f'<property name="viewcolor" action="default">{SEQUENCES[name].view_color}</property>'
        "</view></item>"
        for name in shown
    )
    return f'<layout type="horizontal">{items}</layout>'

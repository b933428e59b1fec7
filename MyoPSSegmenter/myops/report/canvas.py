"""Canvases for diagrams and pictures, and the only way to PNG; without pyplot's global state."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from myops.report.lettering import plain_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAPER = "#ffffff"
INK = "#1a2230"
SOFT_INK = "#5b6677"
RULE = "#d9dfe8"
# Of diagrams; pictures of slices have `figures.DPI`, as their sizes are laid out in pixels.
DPI = 130


def new_chart(
    width_inch: float,
    height_inch: float,
    dpi: int = DPI,
    color: str = PAPER,
    layout: str | None = None,
) -> Figure:
    """An empty figure that can be written as PNG; white unless another color is given."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = plain_figure(
        figsize=(width_inch, height_inch), dpi=dpi, facecolor=color, layout=layout
    )
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure) -> bytes:
    """The figure as PNG without date or software name: the same numbers give the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=figure.dpi, metadata={"Software": None})
    return buffer.getvalue()

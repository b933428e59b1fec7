"""White canvases for diagrams, as PNG; made without pyplot, which holds global state."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from .lettering import plain_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAPER = "#ffffff"
INK = "#1a2230"
SOFT_INK = "#5b6677"
RULE = "#d9dfe8"
DPI = 130


def new_chart(width_inch: float, height_inch: float) -> Figure:
    """An empty white figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = plain_figure(figsize=(width_inch, height_inch), dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure) -> bytes:
    """The figure as PNG without date or software name: the same numbers give the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()

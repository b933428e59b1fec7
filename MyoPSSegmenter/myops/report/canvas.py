"""Canvases for diagrams, without pyplot's global state; pictures of slices are `raster.py`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from myops.report.lettering import plain_figure
from myops.report.raster import encoded_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAPER = "#ffffff"
INK = "#1a2230"
SOFT_INK = "#5b6677"
RULE = "#d9dfe8"
# Of diagrams; pictures of slices have `raster.DPI`, as their sizes are laid out in pixels.
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
    """The figure as PNG on its own color; see `raster.encoded_png`."""
    figure.canvas.draw()
    return encoded_png(np.asarray(figure.canvas.buffer_rgba())[..., :3])  # type: ignore[attr-defined]

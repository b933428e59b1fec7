"""The colors and names of contours and legends: those of the structures, and a few more.

FWHM is violet, which neither scar nor a bright image hides. Outlines that are drawn on the images
differ by at least 10 (CIEDE2000) for people with protanopia, deuteranopia or tritanopia too:
Testing/Slicer/test_colors.py.
"""

from __future__ import annotations

from myops.structures import MEASURED, STRUCTURES, rgb_of

# Outlines that are not structures: name -> title, color.
_OTHERS = {
    "edema_automatic": ("Edema, automatic", "#b8ad1e"),
    "fwhm": ("FWHM", "#dd99ff"),
    "remote": ("Remote region", "#ccddff"),
}
COLORS: dict[str, str] = {
    **{name: row.color for name, row in STRUCTURES.items()},
    **{name: color for name, (_, color) in _OTHERS.items()},
}
NAMES: dict[str, str] = {
    **{name: row.title for name, row in STRUCTURES.items()},
    **{name: title for name, (title, _) in _OTHERS.items()},
}
# Cards of numbers stand on white paper.
CARD_COLORS: dict[str, str] = {key: row.on_paper for key, row in MEASURED.items()}


def rgb(name: str) -> tuple[float, float, float]:
    """Red, green and blue of a named color, each 0..1."""
    return rgb_of(COLORS[name])

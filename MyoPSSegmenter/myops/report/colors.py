"""The colors of every contour, segment and legend, named once.

The palette of Okabe and Ito (jfly.uni-koeln.de/color), brightened where thin lines lie on dark
images: it stays readable with any color vision. FWHM is violet, which
neither scar nor a bright image hides.
"""

from __future__ import annotations

COLORS: dict[str, str] = {
    "lv_region": "#56b4e9",
    "myocardium": "#27c499",
    "blood_pool": "#cc79a7",
    "right_ventricle": "#4f83d6",
    "edema": "#f0e442",
    "edema_automatic": "#b8ad1e",
    "scar": "#ff6a1f",
    "mvo": "#ffffff",
    "fwhm": "#e27bff",
    "remote": "#b9c7ff",
}

NAMES: dict[str, str] = {
    "lv_region": "LV epicardial region",
    "myocardium": "Myocardium",
    "blood_pool": "LV blood pool",
    "right_ventricle": "Right ventricle",
    "edema": "Edema",
    "edema_automatic": "Edema, automatic",
    "scar": "Scar",
    "mvo": "Microvascular obstruction",
    "fwhm": "FWHM",
    "remote": "Remote region",
}

SEQUENCE_NAMES: dict[str, str] = {"bssfp": "bSSFP", "lge": "LGE", "t2": "T2"}


def rgb(name: str) -> tuple[float, float, float]:
    """Red, green and blue of a named color, each 0..1."""
    digits = COLORS[name].lstrip("#")
    red, green, blue = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return red, green, blue

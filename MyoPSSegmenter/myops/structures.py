"""The structures of the heart: one row each, and the only place of what is said about them.

Everything else derives from this table: label values, masks, titles, colors, terminology, which
image shows a structure and what is said where it is missing. To add a structure, add a row.

Structures lie in each other: each row names the one that it is a part of, and a voxel labeled as a
part counts for all that it lies in. Microvascular obstruction is scar, scar is myocardium, and
myocardium lies inside the epicardium.

The module stands on the ground floor: of this package it imports `sequences` only, and no array
library; `Structure.mask` works with whatever array it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, NamedTuple

from myops.sequences import SEQUENCES

if TYPE_CHECKING:
    import numpy as np


class Code(NamedTuple):
    """A coded concept, as DICOM writes it: scheme, value and meaning; all empty for none."""

    scheme: str = ""
    value: str = ""
    meaning: str = ""


# SNOMED CT, as in the DICOM terminology files of 3D Slicer.
ANATOMY = Code("SCT", "123037004", "Anatomical Structure")
ALTERED = Code("SCT", "49755003", "Morphologically Altered Structure")
MYOCARDIUM = Code("SCT", "74281007", "Myocardium")
LEFT_VENTRICLE = Code("SCT", "87878005", "Left ventricle of heart")
RIGHT_VENTRICLE = Code("SCT", "53085002", "Right ventricle of heart")
EDEMA = Code("SCT", "79654002", "Edema")
INFARCT = Code("SCT", "55641003", "Infarct")
NO_CODE = Code()


@dataclass(frozen=True)
class Structure:
    """One structure.

    Attributes:
        name: in code and files.
        title: in words, beginning with a capital letter.
        short: where room is short: buttons, columns.
        color: of contours and segments on dark images.
        value: its own label in a MyoPS label map; None where only its parts have labels.
        part_of: the structure that it lies in; None where nothing here holds it.
        seen_on: the sequences without which nobody can assess it; empty where any image shows it.
        optional: most label maps do not tell it from what it is a part of: it is compared, given
            a segment and named in legends only where it occurs.
        note: what a table of amounts adds to its title.
        paper_color: of bars and cards on white paper; the color where that is dark enough.
        measured: its amount is given in every table.
        compared: two label maps are compared by it.
        category, kind, region: coded meaning for DICOM and Slicer.
    """

    name: str
    title: str
    short: str
    color: str
    value: int | None = None
    part_of: str | None = None
    seen_on: tuple[str, ...] = ()
    optional: bool = False
    note: str = ""
    paper_color: str = ""
    measured: bool = True
    compared: bool = True
    category: Code = ANATOMY
    kind: Code = NO_CODE
    region: Code = NO_CODE

    @property
    def amount_title(self) -> str:
        """What a table of amounts calls it."""
        return f"{self.title} ({self.note})" if self.note else self.title

    @property
    def in_sentence(self) -> str:
        """The title inside a sentence: "scar", but "LV myocardium"."""
        acronym = self.title[:2].isupper()
        return self.title if acronym else f"{self.title[0].lower()}{self.title[1:]}"

    @property
    def on_paper(self) -> str:
        """Its color on white paper."""
        return self.paper_color or self.color

    @property
    def parts(self) -> tuple[str, ...]:
        """The structures that are directly part of it, in the order of the table."""
        return tuple(row.name for row in STRUCTURES.values() if row.part_of == self.name)

    @property
    def values(self) -> tuple[int, ...]:
        """Every label that counts as this structure: its own, and those of all its parts."""
        return _VALUES[self.name]

    @property
    def new_label(self) -> int:
        """The label of a voxel that is newly drawn: its own, else that of its first part."""
        return self.values[0]

    @property
    def is_union(self) -> bool:
        """Whether it is nothing but diseases taken together, such as scar + edema."""
        return self.value is None and bool(self.seen_on)

    @property
    def assessed_as(self) -> frozenset[str]:
        """What must be assessed for it to be known: itself, or all parts of a mere union."""
        return frozenset(self.parts if self.is_union else (self.name,))

    @property
    def assessed_with(self) -> str | None:
        """Which of `ASSESSABLE` must be assessed for it to be seen; None if any image shows it."""
        if self.optional and self.part_of is not None:
            return STRUCTURES[self.part_of].assessed_with
        return self.name if self.seen_on else None

    @property
    def not_assessed(self) -> str:
        """Why there is no number of it where it cannot be assessed; empty if it always can."""
        if self.optional and self.part_of is not None:
            whole = STRUCTURES[self.part_of].in_sentence
            return f"not assessed: the label map marks no {self.in_sentence} apart from {whole}"
        if len(self.seen_on) > 1:
            return f"not assessed: the union needs both {self.an_image}"
        if not self.seen_on:
            return ""
        drawn = "" if self.name in NETWORK_TISSUES else ", or nobody has drawn it"
        return f"not assessed: there is no {self.images} image{drawn}"

    @property
    def images(self) -> str:
        """The titles of the sequences that show it: "LGE", or "LGE and T2"."""
        return " and ".join(SEQUENCES[name].title for name in self.seen_on)

    @property
    def an_image(self) -> str:
        """The images that show it: "an LGE image", or "an LGE and a T2 image"."""
        named = (f"{SEQUENCES[name].article} {SEQUENCES[name].title}" for name in self.seen_on)
        return f"{' and '.join(named)} image"

    def within(self, name: str) -> bool:
        """Whether it is that structure, or lies in it."""
        if self.name == name:
            return True
        return self.part_of is not None and STRUCTURES[self.part_of].within(name)

    def mask(self, labels: np.ndarray) -> np.ndarray:
        """Where a MyoPS label map of any shape holds it: bool, its parts included."""
        found: np.ndarray = reduce(or_, (labels == value for value in self.values))
        return found


# In the order of tables of amounts. The palette is that of Okabe and Ito
# (jfly.uni-koeln.de/color), brightened where thin lines lie on dark images: it stays readable with
# any color vision. Label values are those of MyoPS 2020 / CARE 2024, in which edema and scar are
# disjoint; microvascular obstruction (no-reflow) has none there, so 2222 is our own.
_ROWS = (
    Structure(
        "lv_region",
        "LV epicardial region",
        "LV",
        "#56b4e9",
        measured=False,
    ),
    Structure(
        "myocardium",
        "LV myocardium",
        "Myocardium",
        "#27c499",
        part_of="lv_region",
        paper_color="#1f4e79",
        kind=MYOCARDIUM,
    ),
    Structure(
        "normal_myocardium",
        "Normal myocardium",
        "Normal",
        "#27c499",
        value=200,
        part_of="myocardium",
        measured=False,
        compared=False,
        kind=MYOCARDIUM,
    ),
    Structure(
        "scar",
        "Scar",
        "Scar",
        "#ff6a1f",
        value=2221,
        part_of="scar_or_edema",
        seen_on=("lge",),
        category=ALTERED,
        kind=INFARCT,
        region=MYOCARDIUM,
    ),
    Structure(
        "mvo",
        "Microvascular obstruction",
        "MVO",
        "#ffffff",
        value=2222,
        part_of="scar",
        seen_on=("lge",),
        optional=True,
        note="in scar",
        category=ALTERED,
        # No code that is certain for it.
        kind=NO_CODE,
        region=MYOCARDIUM,
    ),
    Structure(
        "edema",
        "Edema",
        "Edema",
        "#f0e442",
        value=1220,
        part_of="scar_or_edema",
        seen_on=("t2",),
        note="outside scar",
        paper_color="#e0c81c",
        category=ALTERED,
        kind=EDEMA,
        region=MYOCARDIUM,
    ),
    Structure(
        "scar_or_edema",
        "Scar + edema",
        "Scar + edema",
        "#e39b1b",
        part_of="myocardium",
        seen_on=("lge", "t2"),
        category=ALTERED,
        region=MYOCARDIUM,
    ),
    Structure(
        "blood_pool",
        "LV blood pool",
        "Blood pool",
        "#cc79a7",
        value=500,
        part_of="lv_region",
        kind=LEFT_VENTRICLE,
    ),
    Structure(
        "right_ventricle",
        "Right ventricle",
        "RV",
        "#4f83d6",
        value=600,
        measured=False,
        compared=False,
        kind=RIGHT_VENTRICLE,
    ),
)

STRUCTURES: Mapping[str, Structure] = {row.name: row for row in _ROWS}


def _values(row: Structure) -> tuple[int, ...]:
    own = () if row.value is None else (row.value,)
    return (*own, *(value for part in row.parts for value in _values(STRUCTURES[part])))


_VALUES = {row.name: _values(row) for row in _ROWS}
# The structures with a label of their own, by its value: name -> label.
LABEL_VALUES: Mapping[str, int] = {
    row.name: row.value
    for row in sorted(_ROWS, key=lambda row: row.value or 0)
    if row.value is not None
}
# What the images alone let one assess: "scar", "edema".
ASSESSABLE = tuple(row.name for row in _ROWS if len(row.seen_on) == 1 and not row.optional)
# Everything that one sequence shows: the disease, with the parts that are rarely marked.
DISEASE = tuple(row.name for row in _ROWS if len(row.seen_on) == 1)
# A structure that one sequence shows -> that sequence.
SHOWN_BY: Mapping[str, str] = {name: STRUCTURES[name].seen_on[0] for name in DISEASE}
# What is measured, by its key in results. LV mass is that of the myocardium.
MEASURED: Mapping[str, Structure] = {
    "lv_myocardium" if row.name == "myocardium" else row.name: row for row in _ROWS if row.measured
}
# What two label maps are compared by: anatomy, disease, and what only some label maps hold.
COMPARED = tuple(
    row.name
    for row in sorted(_ROWS, key=lambda row: (bool(row.seen_on), row.optional))
    if row.compared
)
# The tissues that the shipped networks tell apart inside the LV, in the order of their channels;
# scar includes what is marked in it.
NETWORK_TISSUES = ("blood_pool", "normal_myocardium", "edema", "scar")
# What a reader can correct by clicks, in the order of the refiner's mask tokens. The shipped
# refiner was trained for these; another structure can be drawn by hand, and is measured.
CORRECTED = ("scar", "edema", "myocardium", "blood_pool", "mvo")


def rgb_of(color: str) -> tuple[float, float, float]:
    """Red, green and blue of a color such as "#ff6a1f", each 0..1."""
    digits = color.lstrip("#")
    red, green, blue = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return red, green, blue


def assessed_by(sequences: tuple[str, ...]) -> frozenset[str]:
    """Which of `ASSESSABLE` the present sequences let one assess."""
    return frozenset(name for name in ASSESSABLE if SHOWN_BY[name] in sequences)


def missing_image(name: str, assessed: frozenset[str]) -> str:
    """The image without which a structure cannot be seen: "an LGE image"; "" if it can.

    Args:
        name: of the structure.
        assessed: which of `ASSESSABLE` were assessed.
    """
    needed = STRUCTURES[name].assessed_with
    return "" if needed is None or needed in assessed else STRUCTURES[name].an_image

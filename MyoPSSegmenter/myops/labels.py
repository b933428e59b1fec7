"""Label maps: how files number the structures, and the regions of the left ventricle in them.

What a structure is, and its value, stands in `structures`; what other data sets call it stands in
`CONVENTIONS` here. To add a convention, add a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from myops.errors import InputError
from myops.structures import LABEL_VALUES, STRUCTURES

if TYPE_CHECKING:
    import numpy as np

BACKGROUND = 0
# Structure -> value. What the others call MVO, MyoPS 2020 does not tell from scar.
MYOPS: Mapping[str, int] = {
    name: value for name, value in LABEL_VALUES.items() if not STRUCTURES[name].optional
}
# Microvascular obstruction (no-reflow) counts as scar everywhere.
MVO = LABEL_VALUES["mvo"]
# Resampled or scribbled label files carry noise such as 199.98; anything further is another label.
ROUNDING_TOLERANCE = 0.25


@dataclass(frozen=True)
class Convention:
    """How the label files of a data set number the structures.

    Attributes:
        title: of the data set, for messages.
        structures: value in the file -> name out of `STRUCTURES`; 0 is always background.
        aliases: other values that mean the same as one of `structures`.
    """

    title: str
    structures: Mapping[int, str]
    aliases: Mapping[int, int] = field(default_factory=dict)

    @property
    def in_words(self) -> str:
        """How it numbers the structures: "1 right ventricle, 2 normal myocardium"."""
        return ", ".join(
            f"{value} {STRUCTURES[name].in_sentence}" for value, name in self.structures.items()
        )

    @property
    def values(self) -> dict[int, int]:
        """Value in the file -> MyoPS value, the background and the aliases included."""
        found = {value: LABEL_VALUES[name] for value, name in self.structures.items()}
        found |= {alias: found[value] for alias, value in self.aliases.items()}
        return {BACKGROUND: BACKGROUND, **found}

    def to_myops(self, array: np.ndarray) -> np.ndarray:
        """Turn labels of this convention (any shape and dtype) into MyoPS labels, uint16.

        Float noise is rounded.

        Raises:
            InputError: a value that is not a label of it; the message lists every such value.
        """
        return _mapped(array, self.values, self.title)


# By the name that the user gives.
CONVENTIONS: Mapping[str, Convention] = {
    "myops": Convention(
        "MyoPS",
        {value: name for name, value in LABEL_VALUES.items()},
        # Some exporters write 1221 for edema.
        {1221: LABEL_VALUES["edema"]},
    ),
    # Lalande et al. 2020; 4 is no-reflow, which is infarct too.
    "emidec": Convention(
        "EMIDEC",
        {1: "blood_pool", 2: "normal_myocardium", 3: "scar", 4: "mvo"},
    ),
    # Bernard et al. 2018.
    "acdc": Convention(
        "ACDC",
        {1: "right_ventricle", 2: "normal_myocardium", 3: "blood_pool"},
    ),
    # Campello et al. 2021.
    "mnms": Convention(
        "M&Ms",
        {1: "blood_pool", 2: "normal_myocardium", 3: "right_ventricle"},
    ),
}
DEFAULT_CONVENTION = "myops"


def check_convention(name: str) -> None:
    """Refuse a name that is not among `CONVENTIONS`.

    Raises:
        InputError: with the list of the names.
    """
    if name not in CONVENTIONS:
        raise InputError(
            f"expected a convention out of {', '.join(CONVENTIONS)}, found {name!r}; "
            "correct the name"
        )


def to_known_labels(array: np.ndarray) -> np.ndarray:
    """Round a label map of any shape to the MyoPS values, uint16; 1221 means edema.

    Raises:
        InputError: a value that is not a MyoPS label; the message lists every such value.
    """
    return CONVENTIONS[DEFAULT_CONVENTION].to_myops(array)


def normal_myocardium(labels: np.ndarray) -> np.ndarray:
    """Bool array, True where the myocardium is neither scar nor edema."""
    return STRUCTURES["normal_myocardium"].mask(labels)


def blood_pool(labels: np.ndarray) -> np.ndarray:
    """Bool array, True in the cavity of the left ventricle."""
    return STRUCTURES["blood_pool"].mask(labels)


def right_ventricle(labels: np.ndarray) -> np.ndarray:
    """Bool array, True in the cavity of the right ventricle."""
    return STRUCTURES["right_ventricle"].mask(labels)


def edema(labels: np.ndarray) -> np.ndarray:
    """Bool array, True where the label is edema (without the scar inside it)."""
    return STRUCTURES["edema"].mask(labels)


def scar(labels: np.ndarray) -> np.ndarray:
    """Bool array, True where the label is scar, with the MVO inside it."""
    return STRUCTURES["scar"].mask(labels)


def mvo(labels: np.ndarray) -> np.ndarray:
    """Bool array, True where the label is microvascular obstruction, a part of the scar."""
    return STRUCTURES["mvo"].mask(labels)


def scar_or_edema(labels: np.ndarray) -> np.ndarray:
    """Bool array, union of scar and edema: the published "scar + edema" region."""
    return STRUCTURES["scar_or_edema"].mask(labels)


def myocardium(labels: np.ndarray) -> np.ndarray:
    """Bool array, the whole wall of the left ventricle: normal, edema or scar."""
    return STRUCTURES["myocardium"].mask(labels)


def lv_region(labels: np.ndarray) -> np.ndarray:
    """Bool array, everything inside the epicardium: wall and blood pool."""
    return STRUCTURES["lv_region"].mask(labels)


def _mapped(array: np.ndarray, mapping: dict[int, int], convention: str) -> np.ndarray:
    """Replace every value by its entry in `mapping`, or refuse the ones that have none."""
    import numpy as np

    found, places = np.unique(array, return_inverse=True)
    rounded = np.round(np.nan_to_num(found.astype(np.float64), nan=-1.0, posinf=-1.0))
    known = np.isin(rounded, list(mapping)) & (np.abs(found - rounded) <= ROUNDING_TOLERANCE)
    if not known.all():
        unknown = ", ".join(f"{value:g}" for value in found[~known][:8])
        more = ", …" if np.count_nonzero(~known) > 8 else ""
        expected = ", ".join(str(value) for value in sorted(mapping))
        raise InputError(
            f"expected {convention} labels ({expected}), found {unknown}{more}: "
            "give a label map in this convention or convert its values first"
        )
    targets = np.array([mapping[int(value)] for value in rounded], np.uint16)
    return targets[places.reshape(np.shape(array))]

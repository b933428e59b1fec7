"""Label values of MyoPS 2020, and the regions of the left ventricle made from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from .errors import InputError

# MyoPS 2020 / CARE 2024; edema and scar are disjoint labels.
MYOPS: dict[str, int] = {
    "normal_myocardium": 200,
    "blood_pool": 500,
    "right_ventricle": 600,
    "edema": 1220,
    "scar": 2221,
}
# Microvascular obstruction (no-reflow) inside a scar: our own label, MyoPS 2020 has none. It counts
# as scar everywhere.
MVO = 2222
# Some exporters write 1221 for edema.
ALIASES: dict[int, int] = {1221: 1220}
# Resampled or scribbled label files carry noise such as 199.98; anything further is another label.
ROUNDING_TOLERANCE = 0.25

_NORMAL, _BLOOD, _RIGHT, _EDEMA, _SCAR = MYOPS.values()
# EMIDEC (Lalande et al. 2020): 1 cavity, 2 normal myocardium, 3 infarct, 4 no-reflow, also infarct.
_EMIDEC = {0: 0, 1: _BLOOD, 2: _NORMAL, 3: _SCAR, 4: MVO}
# ACDC (Bernard et al. 2018): 1 right ventricle, 2 myocardium, 3 left ventricular cavity.
_ACDC = {0: 0, 1: _RIGHT, 2: _NORMAL, 3: _BLOOD}
# M&Ms (Campello et al. 2021): 1 left ventricular cavity, 2 myocardium, 3 right ventricle.
_MNMS = {0: 0, 1: _BLOOD, 2: _NORMAL, 3: _RIGHT}


def to_known_labels(array: np.ndarray) -> np.ndarray:
    """Round a label map to the MyoPS values.

    Args:
        array: label map of any shape and numeric dtype; float noise is rounded, 1221 means edema.

    Returns:
        uint16 array of the same shape, values 0, 200, 500, 600, 1220, 2221 and 2222 (MVO) only.

    Raises:
        InputError: a value is no MyoPS label; the message lists every such value.
    """
    same = {value: value for value in (0, *MYOPS.values(), MVO)}
    return _mapped(array, same | ALIASES, "MyoPS")


def from_emidec(array: np.ndarray) -> np.ndarray:
    """Turn EMIDEC labels 0-4 (any shape) into MyoPS labels, uint16; no-reflow becomes MVO.

    Raises:
        InputError: a value is no EMIDEC label.
    """
    return _mapped(array, _EMIDEC, "EMIDEC")


def from_acdc(array: np.ndarray) -> np.ndarray:
    """Turn ACDC labels 0-3 (any shape) into MyoPS labels, uint16; all myocardium is normal.

    Raises:
        InputError: a value is no ACDC label.
    """
    return _mapped(array, _ACDC, "ACDC")


def from_mnms(array: np.ndarray) -> np.ndarray:
    """Turn M&Ms labels 0-3 (any shape) into MyoPS labels, uint16; all myocardium is normal.

    Raises:
        InputError: a value is no M&Ms label.
    """
    return _mapped(array, _MNMS, "M&Ms")


# How label files number the structures -> the function that makes MyoPS labels of them.
CONVENTIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "myops": to_known_labels,
    "emidec": from_emidec,
    "acdc": from_acdc,
    "mnms": from_mnms,
}


def normal_myocardium(labels: np.ndarray) -> np.ndarray:
    """Bool array, True where the myocardium is neither scar nor edema."""
    return labels == _NORMAL


def blood_pool(labels: np.ndarray) -> np.ndarray:
    """Bool array, True in the cavity of the left ventricle."""
    return labels == _BLOOD


def right_ventricle(labels: np.ndarray) -> np.ndarray:
    """Bool array, True in the cavity of the right ventricle."""
    return labels == _RIGHT


def edema(labels: np.ndarray) -> np.ndarray:
    """Bool array, True where the label is edema (without the scar inside it)."""
    return labels == _EDEMA


def scar(labels: np.ndarray) -> np.ndarray:
    """Bool array, True where the label is scar, with the MVO inside it."""
    return (labels == _SCAR) | (labels == MVO)


def mvo(labels: np.ndarray) -> np.ndarray:
    """Bool array, True where the label is microvascular obstruction, a part of the scar."""
    return labels == MVO


def scar_or_edema(labels: np.ndarray) -> np.ndarray:
    """Bool array, union of scar and edema: the published "scar + edema" region."""
    return scar(labels) | edema(labels)


def myocardium(labels: np.ndarray) -> np.ndarray:
    """Bool array, the whole wall of the left ventricle: normal, edema or scar."""
    return normal_myocardium(labels) | scar_or_edema(labels)


def lv_region(labels: np.ndarray) -> np.ndarray:
    """Bool array, everything inside the epicardium: wall and blood pool."""
    return myocardium(labels) | blood_pool(labels)


def _mapped(array: np.ndarray, mapping: dict[int, int], convention: str) -> np.ndarray:
    """Replace every value by its entry in `mapping`, or refuse the ones that have none."""
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

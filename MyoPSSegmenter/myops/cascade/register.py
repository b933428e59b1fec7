"""Lay the sequences of a case on each other around the heart that the heart finder sees."""

from __future__ import annotations

import numpy as np

from myops.cascade.segment import locate_heart
from myops.case import Case
from myops.errors import InputError
from myops.patients.provenance import Inputs
from myops.slice_registration import register_case
from myops.weights.files import Models


def register_as_asked(case: Case, inputs: Inputs, models: Models) -> tuple[Case, Inputs]:
    """The case laid on its reference where that was asked for, and the inputs that note how.

    Args:
        case: the images as their headers place them.
        inputs: which ones, and `Inputs.register`.
        models: see `register`.
    """
    if inputs.register == "off":
        return case, inputs
    case = register(case, models)
    return case, inputs.with_registrations(case)


def register(case: Case, models: Models) -> Case:
    """Lay every other sequence on the reference; see `slice_registration.register_case`.

    The images are compared around the heart, which need not lie in the middle of them; the heart
    finder tells where it is, whatever shift there is between the sequences.

    Args:
        case: the images as their headers place them.
        models: the networks; only the heart finder runs.
    """
    if len(case.images) < 2:
        return case
    try:
        row, column = locate_heart(case, models).center_yx
    except InputError:  # no heart is seen: segmentation will say so
        return register_case(case)
    middle = (case.geometry.array_shape[0] - 1) / 2
    x, y, z = case.geometry.position_mm(np.array([column, row, middle]))
    return register_case(case, (float(x), float(y), float(z)))

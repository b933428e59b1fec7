"""What labels do not tell does not train: weights of pixels and classes in the PRSN's losses.

A data set may draw the ventricle on an LGE and no scar (MS-CMRSeg): its "normal" muscle may be
scar. Of such a slice the class scar has no loss at all, normal muscle none where it was drawn, and
what is no muscle counts as ever. The same holds for edema where a T2 shows it. A slice whose
sequence is missing needs none of this: there `prsn.main_target` asks for nothing that is not shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from myops.sequences import channel
from myops.structures import NETWORK_TISSUES, SHOWN_BY

# Columns of a batch's "untold".
DISEASES = ("scar", "edema")
SHOWN_IN = tuple(channel(SHOWN_BY[name]) for name in DISEASES)
# Classes of the main branch after "other", as in `prsn`.
NORMAL, EDEMA, SCAR = range(1, len(NETWORK_TISSUES))


def untold_rows(patient: object, count: int) -> np.ndarray:
    """float32 (count, 2): 1 where the patient's labels do not tell scar or edema; phantoms do."""
    untold: frozenset[str] = getattr(patient, "untold", frozenset())
    row = np.array([name in untold for name in DISEASES], np.float32)
    return np.repeat(row[None], count, axis=0)


@dataclass(frozen=True)
class Told:
    """Float weights of 0 and 1.

    Attributes:
        main: (B, 3, H, W) of the classes normal, edema and scar.
        lge: (B, 2, H, W) of normal and scar, as the LGE branch tells them.
        t2: (B, 2, H, W) of normal and edema, as the T2 branch does.
        pixels: (B, 1, H, W), where the class is known.
    """

    main: Tensor
    lge: Tensor
    t2: Tensor
    pixels: Tensor


def told(labels: Tensor, present: Tensor, untold: Tensor) -> Told:
    """Where a loss may count.

    Args:
        labels: long (B, 1, H, W), classes of the main branch.
        present: float (B, 3), bssfp, lge, t2.
        untold: float (B, 2), of `untold_rows`.
    """
    hidden = (untold * present[:, SHOWN_IN]).bool()[:, :, None, None]
    scar, edema = hidden[:, :1], hidden[:, 1:]
    # Drawn edema may be scar as well, drawn scar is never taken for edema.
    edema_or_scar = scar & (labels == EDEMA)
    may_be_scar = edema_or_scar | (scar & (labels == NORMAL))
    may_be_edema = edema & (labels == NORMAL)
    unsure = may_be_scar | may_be_edema
    no_scar, no_edema = scar.expand_as(unsure), edema.expand_as(unsure)
    return Told(
        main=_counts(unsure, no_edema | edema_or_scar, no_scar),
        lge=_counts(may_be_scar, no_scar),
        t2=_counts(may_be_edema, no_edema),
        pixels=_counts(unsure),
    )


def _counts(*left_out: Tensor) -> Tensor:
    return (~torch.cat(left_out, dim=1)).float()

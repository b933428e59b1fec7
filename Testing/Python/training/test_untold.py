"""What labels do not tell trains nothing: losses against numbers computed by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from myops.structures import NETWORK_TISSUES
from myops.training.config import PrsnConfig
from myops.training.stages import untold
from myops.training.stages.prsn import EDEMA, NORMAL, OTHER, SCAR, prsn_loss
from myops.training.stages.untold import told, untold_rows

SCAR_UNTOLD, EDEMA_UNTOLD, ALL_TOLD = (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)
EVERYTHING, WITHOUT_LGE, WITHOUT_T2 = (1.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0)
LABELS = torch.tensor([[[[OTHER, NORMAL, EDEMA, SCAR]]]])


def rows(weights: torch.Tensor) -> list[list[int]]:
    """One list for each class."""
    return weights[0, :, 0].int().tolist()


def test_the_classes_are_those_of_the_network() -> None:
    assert (untold.NORMAL, untold.EDEMA, untold.SCAR) == (NORMAL, EDEMA, SCAR)
    assert [NETWORK_TISSUES[k] for k in (EDEMA, SCAR)] == ["edema", "scar"]


def test_where_scar_is_not_told_drawn_muscle_and_edema_may_be_scar() -> None:
    found = told(LABELS, torch.tensor([EVERYTHING]), torch.tensor([SCAR_UNTOLD]))
    # Other, normal, edema, scar as drawn; weights of the classes normal, edema, scar.
    assert rows(found.main) == [[1, 0, 0, 1], [1, 1, 0, 1], [0, 0, 0, 0]]
    assert rows(found.lge) == [[1, 0, 0, 1], [0, 0, 0, 0]]
    assert rows(found.t2) == [[1, 1, 1, 1], [1, 1, 1, 1]]
    assert rows(found.pixels) == [[1, 0, 0, 1]]


def test_where_edema_is_not_told_drawn_muscle_may_be_edema_and_scar_is_scar() -> None:
    found = told(LABELS, torch.tensor([EVERYTHING]), torch.tensor([EDEMA_UNTOLD]))
    assert rows(found.main) == [[1, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]]
    assert rows(found.lge) == [[1, 1, 1, 1], [1, 1, 1, 1]]
    assert rows(found.t2) == [[1, 0, 1, 1], [0, 0, 0, 0]]
    assert rows(found.pixels) == [[1, 0, 1, 1]]


@pytest.mark.parametrize(
    ("present", "unknown"),
    [(EVERYTHING, ALL_TOLD), (WITHOUT_LGE, SCAR_UNTOLD), (WITHOUT_T2, EDEMA_UNTOLD)],
)
def test_what_is_told_or_not_shown_counts_everywhere(
    present: tuple[float, ...], unknown: tuple[float, ...]
) -> None:
    found = told(LABELS, torch.tensor([present]), torch.tensor([unknown]))
    assert all(one.all() for one in (found.main, found.lge, found.t2, found.pixels))


# Probabilities of other, normal, edema, scar in three pixels of two slices.
FIRST = [[0.7, 0.1, 0.1, 0.1], [0.2, 0.2, 0.1, 0.5], [0.1, 0.1, 0.1, 0.7]]
SECOND = [[0.6, 0.2, 0.1, 0.1], [0.1, 0.7, 0.1, 0.1], [0.1, 0.3, 0.1, 0.5]]


def batch() -> dict[str, torch.Tensor]:
    """A slice whose labels tell no scar, and one whose labels do."""
    return {
        "labels": torch.tensor([[[[OTHER, NORMAL, NORMAL]]], [[[OTHER, NORMAL, SCAR]]]]),
        "present": torch.tensor([EVERYTHING, EVERYTHING]),
        "acute": torch.zeros(2),
        "region": torch.ones(2, 1, 1, 3),
        "untold": torch.tensor([SCAR_UNTOLD, ALL_TOLD]),
    }


def logits() -> dict[str, torch.Tensor]:
    main = torch.tensor([FIRST, SECOND]).log().permute(0, 2, 1)[:, :, None]
    branches = {"bssfp": 1, "lge": 3, "t2": 3}
    return {"main": main, **{key: torch.zeros(2, n, 1, 3) for key, n in branches.items()}}


def test_the_loss_of_a_batch_with_an_untold_slice_by_hand() -> None:
    _, parts = prsn_loss(logits(), batch(), PrsnConfig(cross_entropy_weight=1.0))
    # Normal: the blood pixel of the first slice and all of the second; one true pixel.
    normal = 1 - (2 * 0.7 + 1) / ((0.1 + 0.2 + 0.7 + 0.3) + 1 + 1)
    # Scar: the second slice alone; one true pixel. Edema has none, so no term.
    scar = 1 - (2 * 0.5 + 1) / ((0.1 + 0.1 + 0.5) + 1 + 1)
    assert parts["main"].item() == pytest.approx((normal + scar) / 2)
    # The true class's probability in the four pixels whose class is known.
    entropy = -np.log([0.7, 0.6, 0.7, 0.5]).mean()
    assert parts["entropy"].item() == pytest.approx(entropy, rel=1e-5)
    # A third everywhere: normal counts in 1 + 3 pixels, scar in 3.
    branch = [1 - (2 / 3 + 1) / (n / 3 + 1 + 1) for n in (4, 3)]
    assert parts["lge"].item() == pytest.approx(np.mean(branch), rel=1e-5)


def test_nothing_is_learned_where_the_class_is_not_known() -> None:
    given = {name: one.requires_grad_() for name, one in logits().items()}
    total, _ = prsn_loss(given, batch(), PrsnConfig(cross_entropy_weight=1.0))
    total.backward()
    for branch in ("main", "lge"):
        gradient = given[branch].grad
        assert gradient is not None
        learned = gradient.abs().sum(1)[:, 0] > 0
        assert learned.tolist() == [[True, False, False], [True, True, True]], branch
    # The wall is told by every label: bSSFP learns it from both slices.
    gradient = given["bssfp"].grad
    assert gradient is not None and bool((gradient != 0).all())


def test_the_rows_of_a_patient_say_what_the_labels_do_not_tell() -> None:
    assert untold_rows(SimpleNamespace(untold=frozenset({"scar"})), 2).tolist() == [[1, 0], [1, 0]]
    assert untold_rows(SimpleNamespace(), 1).tolist() == [[0, 0]]  # a phantom

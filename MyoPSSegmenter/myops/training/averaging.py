"""Means of weights: of several trainings, or of a trained network and the one it began from."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from myops.training.checkpoint import load_weights
from myops.weights.averaging import mean_weights
from myops.weights.files import (
    install_weights,
    load_network,
    load_tensors,
    metadata_of,
    read_manifest,
)


def averaged(networks: Sequence[nn.Module]) -> nn.Module:
    """The first of several networks, with the mean of the weights of all (in place).

    The mean of trainings that began from the same network is often better than each of them
    (Wortsman et al., Model soups, ICML 2022, arXiv 2203.05482).

    Raises:
        ValueError: they are not of one shape.
    """
    first, *others = (network.state_dict() for network in networks)
    shapes = [{name: value.shape for name, value in one.items()} for one in (first, *others)]
    if any(one != shapes[0] for one in shapes):
        raise ValueError("expected networks of one shape")
    # Counters are those of the last one that `mean_weights` is given.
    networks[0].load_state_dict(mean_weights([*others, first], [1.0] * len(networks)))
    return networks[0]


def install_halfway(name: str, root: Path, folder: Path) -> None:
    """Replace a network in a folder by the mean of it and of the one that it was trained on from.

    The mean forgets less of what the first one knew than the second, and keeps much of what that
    one learned (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022, arXiv
    2109.01903, at a half). Outputs that the first one does not have, such as that for
    microvascular obstruction, stay as they were learned.

    Args:
        name: the network's in both manifests.
        root: the folder of weights that was started from.
        folder: weights that were trained on; changed.

    Raises:
        InputError: missing or damaged files.
    """
    started, entry = read_manifest(root)[name], read_manifest(folder)[name]
    start = root / started["file"]
    trained = load_network(name, folder / entry["file"], entry)
    before = copy.deepcopy(trained)
    load_weights(start, before)
    known = load_tensors(start)
    kept = {key: value for key, value in before.state_dict().items() if key in known}
    trained.load_state_dict(mean_weights([kept, trained.state_dict()], [1.0, 1.0]))
    halfway = {"halfway_from": started["sha256"], "metrics": {}}
    install_weights(name, trained, folder, metadata_of(entry) | halfway)

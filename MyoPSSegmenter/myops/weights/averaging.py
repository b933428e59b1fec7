"""One network from several that started from the same weights: the mean of their parameters.

Trained on from one start, networks lie close enough for the mean of their weights to be a network
as well, often a better one than each (Wortsman et al., "Model soups", ICML 2022, arXiv:2203.05482).
It costs no time when it is run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from myops.errors import InputError
from myops.weights.files import (
    MANIFEST,
    install_weights,
    load_network,
    metadata_of,
    read_manifest,
)


def average_network(name: str, parts: Sequence[tuple[Path, float]], output: Path) -> dict[str, Any]:
    """Write the weighted mean of a network of several folders of weights into another one.

    Args:
        name: of the network, such as "prsn".
        parts: folders with a manifest, each with its share (above 0; their sum is made 1). The last
            one says how the network is built: what only some of them have, such as an output for
            MVO, is the mean of those.
        output: a folder of weights, which gets the network and its manifest entry.

    Returns:
        The manifest entry: the last folder's, with what all of them have learned from.

    Raises:
        InputError: fewer than two folders, a share that is not above 0, a folder without this
            network, or networks of different shapes.
    """
    shares = [share for _, share in parts]
    if len(parts) < 2 or not all(0 < share < math.inf for share in shares):
        raise InputError(f"expected two or more weights with shares above 0, found {shares}")
    entries = [_entry(name, folder) for folder, _ in parts]
    networks = [load_network(name, folder / f"{name}.safetensors") for folder, _ in parts]
    states = [network.state_dict() for network in networks]
    networks[-1].load_state_dict(mean_weights(states, shares))
    total = sum(shares)
    made_of = {
        "data": "; ".join(dict.fromkeys(str(entry.get("data", "")) for entry in entries)),
        "learned": sorted({sum_ for entry in entries for sum_ in entry.get("learned", [])}),
        "mean_of": [
            {"sha256": entry["sha256"], "share": round(share / total, 4)}
            for entry, share in zip(entries, shares, strict=True)
        ],
    }
    return install_weights(name, networks[-1], output, metadata_of(entries[-1]) | made_of)


def mean_weights(
    states: Sequence[Mapping[str, Tensor]], shares: Sequence[float]
) -> dict[str, Tensor]:
    """Weighted mean of networks' parameters by name, for a network like the last one.

    Args:
        states: state dictionaries. What only some of them have is the mean of those.
        shares: one for each, above 0.

    Raises:
        InputError: tensors of different shapes under one name.
    """
    return {key: _mean(key, states, shares) for key in states[-1]}


def _entry(name: str, folder: Path) -> Mapping[str, Any]:
    manifest = read_manifest(folder)
    if name not in manifest:
        raise InputError(f"{folder / MANIFEST}: expected the network {name}, found none")
    return manifest[name]


def _mean(key: str, states: Sequence[Mapping[str, Tensor]], shares: Sequence[float]) -> Tensor:
    """Weighted mean of a tensor over the networks that have it; counters are the last one's."""
    last = states[-1][key]
    if not last.is_floating_point():
        return last
    there = [(state[key], w) for state, w in zip(states, shares, strict=True) if key in state]
    if any(tensor.shape != last.shape for tensor, _ in there):
        raise InputError(f"expected networks of one shape, found different ones at {key}")
    total = sum(share for _, share in there)
    return sum((tensor * (share / total) for tensor, share in there), last.new_zeros(()))

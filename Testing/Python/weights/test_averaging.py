"""The mean of networks that started from the same weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from myops.errors import InputError
from myops.networks.build import build_prsn
from myops.weights.averaging import average_network
from myops.weights.files import install_weights, load_network, read_manifest

WIDTHS = (4, 8)


def weights(folder: Path, value: float, learned: tuple[str, ...] = (), mvo: int = 0) -> Path:
    """A small PRSN all of whose parameters have one value."""
    network = build_prsn(widths=WIDTHS, margin=2, mvo=mvo)
    for parameter in network.parameters():
        parameter.data.fill_(value)
    config = {"widths": WIDTHS, "margin": 2, "mvo": mvo, "size": 80}
    entry = {"config": config, "data": f"of {folder.name}", "learned": sorted(learned)}
    install_weights("prsn", network, folder, entry)
    return folder


def value(folder: Path, name: str = "main.head.weight") -> float:
    found = dict(load_network("prsn", folder / "prsn.safetensors").named_parameters())[name]
    assert np.ptp(found.detach().numpy()) == 0
    return float(found.detach().flatten()[0])


def test_every_parameter_is_the_weighted_mean(tmp_path) -> None:
    parts = [(weights(tmp_path / "a", 1.0), 3.0), (weights(tmp_path / "b", 3.0), 1.0)]
    average_network("prsn", parts, tmp_path / "mean")
    assert value(tmp_path / "mean") == 1.5  # (3 * 1 + 1 * 3) / 4


def test_what_all_have_learned_from_is_what_the_mean_has_learned_from(tmp_path) -> None:
    parts = [
        (weights(tmp_path / "a", 1.0, ("x", "y")), 1.0),
        (weights(tmp_path / "b", 3.0, ("y", "z")), 1.0),
    ]
    average_network("prsn", parts, tmp_path / "mean")
    entry = read_manifest(tmp_path / "mean")["prsn"]
    assert entry["learned"] == ["x", "y", "z"]
    assert entry["data"] == "of a; of b"
    assert [part["share"] for part in entry["mean_of"]] == [0.5, 0.5]


def test_an_output_that_only_some_have_is_the_mean_of_those(tmp_path) -> None:
    parts = [
        (weights(tmp_path / "without", 1.0), 1.0),
        (weights(tmp_path / "with", 3.0, mvo=1), 1.0),
        (weights(tmp_path / "also", 5.0, mvo=1), 1.0),
    ]
    average_network("prsn", parts, tmp_path / "mean")
    assert value(tmp_path / "mean", "main.mvo.weight") == 4.0
    assert value(tmp_path / "mean") == 3.0


def test_what_cannot_be_averaged_is_refused(tmp_path) -> None:
    one = weights(tmp_path / "one", 1.0)
    with pytest.raises(InputError, match="expected two or more weights with shares above 0"):
        average_network("prsn", [(one, 1.0)], tmp_path / "mean")
    with pytest.raises(InputError, match="with shares above 0, found"):
        average_network("prsn", [(one, 1.0), (one, 0.0)], tmp_path / "mean")
    with pytest.raises(InputError, match="expected the network assn, found none"):
        average_network("assn", [(one, 1.0), (one, 1.0)], tmp_path / "mean")
    other = tmp_path / "other"
    install_weights("prsn", build_prsn(widths=(4, 16), margin=2), other, {})
    with pytest.raises(InputError, match="expected networks of one shape"):
        average_network("prsn", [(other, 1.0), (one, 1.0)], tmp_path / "mean")

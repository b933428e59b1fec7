"""Weights on disk: what is written comes back, and whatever is wrong is one clear line."""

import hashlib
import json
import os
from pathlib import Path

import pytest
import torch

from myops.errors import InputError
from myops.networks.build import build_assn, build_dae, build_heartfinder, build_prsn
from myops.weights.files import (
    SHIPPED_FOLDER,
    install_weights,
    load_models,
    load_network,
    read_manifest,
    save_weights,
)

TINY = {
    "heartfinder": build_heartfinder, "assn": build_assn, "dae": build_dae, "prsn": build_prsn,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    for name, build in TINY.items():
        install_weights(name, build((4, 8)), tmp_path, {"seeds": [7], "commit": "abc"})
    return tmp_path


def forge_checksum(folder, name):
    """Make the manifest agree with the file as it is now, as an attacker would."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    for entry in manifest["networks"]:
        if entry["name"] == name:
            data = (folder / entry["file"]).read_bytes()
            entry["sha256"] = hashlib.sha256(data).hexdigest()
    path.write_text(json.dumps(manifest), encoding="utf-8")


def test_weights_come_back_as_they_were_rounded_to_half_precision(tmp_path):
    torch.manual_seed(0)
    network = build_prsn((4, 8))
    network.main.levels[0][0][1].running_var.fill_(1e6)  # would be infinite in half precision
    save_weights(network, tmp_path / "prsn.safetensors", {"network": "prsn"})
    loaded = load_network("prsn", tmp_path / "prsn.safetensors").state_dict()
    for name, value in network.state_dict().items():
        expected = value.half().float() if value.ndim > 1 else value
        assert torch.equal(loaded[name], expected), name
        assert loaded[name].dtype == value.dtype


def test_loaded_models_are_ready_to_run_and_name_their_checksums(folder):
    models = load_models("cpu", folder=folder)
    for name in TINY:
        module = getattr(models, name)
        assert not module.training
        assert module.widths == (4, 8)
        data = (folder / f"{name}.safetensors").read_bytes()
        assert models.checksums[name] == hashlib.sha256(data).hexdigest()
    assert load_models("cpu", name=str(folder)).checksums == models.checksums


def test_the_size_of_the_squares_comes_from_the_training_config(folder):
    assert load_models("cpu", folder=folder).sizes["prsn"] == 80
    install_weights("prsn", build_prsn((4, 8)), folder, {"config": {"size": 96}})
    assert load_models("cpu", folder=folder).sizes["prsn"] == 96


def test_the_manifest_tells_where_the_weights_come_from(folder):
    entry = read_manifest(folder)["assn"]
    assert (entry["seeds"], entry["commit"], entry["file"]) == ([7], "abc", "assn.safetensors")
    install_weights("assn", build_assn((4, 8)), folder, {"seeds": [8]})
    assert read_manifest(folder)["assn"]["seeds"] == [8]
    assert list(read_manifest(folder)) == ["heartfinder", "assn", "dae", "prsn"]


def test_segmentation_needs_no_dae_but_the_other_three(folder):
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    without = [entry for entry in manifest["networks"] if entry["name"] != "dae"]
    (folder / "manifest.json").write_text(json.dumps({"networks": without}), encoding="utf-8")
    assert load_models("cpu", folder=folder).dae is None
    (folder / "manifest.json").write_text(json.dumps({"networks": without[1:]}), encoding="utf-8")
    with pytest.raises(InputError, match="expected weights of heartfinder, found none"):
        load_models("cpu", folder=folder)


def test_an_unknown_model_is_refused(folder):
    with pytest.raises(InputError, match="'best'.*expected default, .*synthetic.* or a folder"):
        load_models("cpu", name="best", folder=folder)


def test_an_unknown_device_is_refused(folder):
    with pytest.raises(InputError, match="device 'tpu' is not available"):
        load_models("tpu", folder=folder)


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"found no manifest\.json"):
        load_models("cpu", folder=tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"networks": 3}', '{"networks": [{}]}'])
def test_a_damaged_manifest_is_refused(folder, text):
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="expected a manifest of weights, found a damaged file"):
        load_models("cpu", folder=folder)


def test_a_missing_file_is_refused(folder):
    (folder / "prsn.safetensors").unlink()
    with pytest.raises(InputError, match="expected the weights of prsn, found no file"):
        load_models("cpu", folder=folder)


def test_one_changed_byte_is_noticed(folder):
    path = folder / "assn.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="weights are damaged: install them again"):
        load_models("cpu", folder=folder)


@pytest.mark.parametrize("keep", [0, 4, 100, -10])
def test_a_truncated_file_is_refused_even_when_its_checksum_agrees(folder, keep):
    path = folder / "assn.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    forge_checksum(folder, "assn")
    with pytest.raises(InputError, match="expected a safetensors file, found a damaged one"):
        load_models("cpu", folder=folder)


def test_weights_of_another_architecture_are_refused(folder):
    network = build_prsn((4, 8))
    network.main.head = torch.nn.Conv2d(4, 9, 1)
    save_weights(network, folder / "prsn.safetensors", {"network": "prsn"})
    forge_checksum(folder, "prsn")
    with pytest.raises(InputError, match="expected the architecture of this version's prsn"):
        load_models("cpu", folder=folder)


def test_weights_of_another_network_are_refused(folder):
    save_weights(build_dae((4, 8)), folder / "prsn.safetensors", {"network": "dae"})
    forge_checksum(folder, "prsn")
    with pytest.raises(InputError, match="expected weights of prsn, found those of dae"):
        load_models("cpu", folder=folder)


class Trap:
    """Unpickling this makes a file: proof that somebody unpickled it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickle_in_place_of_weights_is_never_opened(folder, tmp_path):
    torch.save(Trap(tmp_path / "trapped"), folder / "prsn.safetensors")
    forge_checksum(folder, "prsn")
    with pytest.raises(InputError, match="expected a safetensors file"):
        load_models("cpu", folder=folder)
    assert not (tmp_path / "trapped").exists()


def test_an_interrupted_save_leaves_the_old_weights(folder, monkeypatch):
    before = (folder / "assn.safetensors").read_bytes()

    def interrupted(tensors, path, metadata):
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("safetensors.torch.save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        install_weights("assn", build_assn((4, 8)), folder, {})
    assert (folder / "assn.safetensors").read_bytes() == before
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        ["manifest.json", *(f"{name}.safetensors" for name in TINY)]
    )


@pytest.mark.skipif(
    not (SHIPPED_FOLDER / "manifest.json").is_file(), reason="no weights in this tree yet"
)
def test_the_shipped_weights_load_and_stay_below_20_mb():
    models = load_models("cpu")
    assert set(models.checksums) == set(TINY)
    files = [SHIPPED_FOLDER / entry["file"] for entry in read_manifest(SHIPPED_FOLDER).values()]
    assert sum(path.stat().st_size for path in files) < 20e6
    assert (SHIPPED_FOLDER / "MODEL_CARD.md").is_file()


def test_weights_files_can_be_read_by_everybody_whom_the_umask_lets(tmp_path):
    from myops.networks.build import build_dae
    from myops.weights.files import save_weights

    (tmp_path / "plain").touch()
    save_weights(build_dae((4, 4)), tmp_path / "dae.safetensors", {"network": "dae"})
    assert (tmp_path / "dae.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode

"""Trained weights: safetensors files in a folder with a manifest. Nothing is ever unpickled."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from myops.errors import InputError
from myops.io.atomic import write_atomic, write_json
from myops.io.checksum import file_sha256
from myops.io.tensors import load_tensors, read_metadata
from myops.networks.build import build_assn, build_dae, build_heartfinder, build_prsn
from myops.networks.clickhead import build_clickhead
from myops.networks.device import resolve_device
from myops.networks.dssnet import build_dssnet
from myops.networks.folding import fold_normalization
from myops.weights.learned import learned_in
from myops.weights.packs import (
    FREE_PACK,
    MANIFEST,
    MANIFEST_VERSION,
    PACKS_FOLDER,
    Pack,
    damaged_manifest,
    default_pack,
    manifest_content,
    read_pack,
    shipped_packs,
)

# The free pack: trainings start from it unless they are told otherwise.
SHIPPED_FOLDER = PACKS_FOLDER / FREE_PACK


def _build_refiner(**numbers: Any) -> nn.Module:
    """The refiner; imported here, since it needs a package that segmentation does not need."""
    from myops.networks.refiner import build_refiner

    return build_refiner(**numbers)


# A second PRSN for patients without LGE, where a pack's first one has learned from LGE alone.
WITHOUT_LGE = "prsn_cine"
BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "heartfinder": build_heartfinder,
    "assn": build_assn,
    "dae": build_dae,
    "prsn": build_prsn,
    WITHOUT_LGE: build_prsn,
    "dssnet": build_dssnet,
    "refiner": _build_refiner,
    "clickhead": build_clickhead,
}
CASCADE = ("heartfinder", "assn", "dae", "prsn", WITHOUT_LGE)
# Pixels per side where a manifest's config does not say: the paper's 128; the PRSN's squares are
# tighter around the region, see Docs/explanation/cascade-choices.md.
DEFAULT_SIZES = {
    "heartfinder": 128,
    "assn": 128,
    "dae": 128,
    "prsn": 80,
    WITHOUT_LGE: 80,
    "dssnet": 128,
    "refiner": 80,
    "clickhead": 80,
}
# Numbers beside the widths that a network is built with: the refiner's prompt encoder is made for
# one size; ASSN and PRSN see so many slices at once, PRSN so many pixels beyond the region, and it
# may tell MVO; the refiner may see what a flood from the click reaches; the DSS-Net-style network's
# parts can be off; the click head reads so many planes.
ARCHITECTURE_KEYS = (
    "size",
    "planes",
    "margin",
    "mvo",
    "floods",
    "features",
    "mdfm",
    "sfam",
    "prior",
)
# Training needs the DAE, segmentation does not.
OPTIONAL = {"dae", WITHOUT_LGE}


@dataclass(frozen=True)
class Models:
    """The networks of the cascade, ready to run (evaluation mode, on the device).

    Attributes:
        heartfinder, assn, prsn: the networks that `cascade.segment` runs.
        dae: the shape model of ASSN's training; None if its weights are not in the folder.
        prsn_cine: the PRSN for patients without LGE; None where `prsn` is for all.
        device: where they are.
        checksums: network name to the SHA-256 of its weights file.
        sizes: network name to the pixels per side of the squares it was trained on.
        learned: checksums of the images that they have learned from (`myops.weights.learned`).
        pack: the shipped pack that they are of; None for a folder without stated terms.
        decision: fields of `CascadeConfig` that these weights were measured with.
        asked: the pack that was asked for, where these networks are used in its place.
    """

    heartfinder: nn.Module
    assn: nn.Module
    prsn: nn.Module
    dae: nn.Module | None
    device: torch.device
    checksums: Mapping[str, str]
    sizes: Mapping[str, int] = field(default_factory=lambda: DEFAULT_SIZES)
    learned: frozenset[str] = frozenset()
    pack: Pack | None = None
    decision: Mapping[str, float] = field(default_factory=dict)
    prsn_cine: nn.Module | None = None
    asked: Pack | None = None


def load_models(
    device: str | torch.device = "auto",
    name: str = "default",
    folder: Path | None = None,
    sequences: Collection[str] | None = None,
) -> Models:
    """Load the networks of the cascade, ready to run; nothing is downloaded.

    Their normalization is folded into their convolutions: to train on, use `load_network`.

    Args:
        device: "auto", "cpu", "cuda", "cuda:N", "mps", or a torch device.
        name: "default" for the pack in use (`weights.packs.default_pack`), the name of a shipped
            pack, or the path of a folder with a manifest.
        folder: where "default" is; the pack in use if None.
        sequences: those of the only patient that the networks are for: a pack that leaves such
            patients to another one is not loaded before it.

    Raises:
        InputError: unknown model or device; missing or damaged weights; weights of another
            architecture.

    Example:
        >>> models = myops.load_models("cpu")
    """
    target = resolve_device(str(device))
    root = model_folder(name, folder)
    pack = pack_of(root)
    if sequences is not None and pack is not None and not pack.suits(sequences):
        return replace(load_models(target, pack.otherwise), asked=pack)
    manifest = read_manifest(root)
    networks: dict[str, nn.Module | None] = {}
    for network in CASCADE:
        if network in manifest:
            module = load_network(network, root / manifest[network]["file"], manifest[network])
            module = fold_normalization(module.eval())
            module.to(target, memory_format=torch.channels_last)  # type: ignore[call-overload]
            networks[network] = module
        elif network in OPTIONAL:
            networks[network] = None
        else:
            raise InputError(f"{root / MANIFEST}: expected weights of {network}, found none")
    found = {network: manifest[network] for network in CASCADE if network in manifest}
    checksums = {network: str(entry["sha256"]) for network, entry in found.items()}
    sizes = {network: _size(network, entry) for network, entry in found.items()}
    return Models(
        **networks,  # type: ignore[arg-type]
        device=target,
        checksums=checksums,
        sizes=sizes,
        learned=learned_from(found),
        pack=pack,
        decision=decision_of(root),
    )


def suited_models(models: Models, sequences: Collection[str]) -> Models:
    """The networks for a patient with these sequences: the given ones, or another pack's.

    A pack that has learned from patients with one sequence knows less about those with three than
    the pack that it was trained on from; its manifest says which patients it is for. A PRSN that
    has learned from LGE alone does not know cine; the pack has a second one for it.

    Raises:
        InputError: the other pack cannot be loaded.
    """
    if models.pack is not None and not models.pack.suits(sequences):
        other = _load_other(str(models.device), models.pack.otherwise)
        return replace(suited_models(other, sequences), asked=models.pack)
    return models if models.prsn_cine is None else _with_one_prsn(models, "lge" in sequences)


def _with_one_prsn(models: Models, has_lge: bool) -> Models:
    """The same networks with the PRSN for patients with, or without, LGE as the only one."""
    used, other = ("prsn", WITHOUT_LGE) if has_lge else (WITHOUT_LGE, "prsn")

    def chosen(values: Mapping[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in values.items() if name not in (used, other)}
        return kept | {"prsn": values[used]}

    return replace(
        models,
        prsn=getattr(models, used),
        prsn_cine=None,
        checksums=chosen(models.checksums),
        sizes=chosen(models.sizes),
    )


# Patient after patient asks; one at a time, since memory on a GPU is scarce.
@functools.lru_cache(maxsize=1)
def _load_other(device: str, name: str) -> Models:
    return load_models(device, name)


# What a manifest may set of the decision from probabilities to labels.
DECISION = (
    "scar_odds",
    "edema_odds",
    "smallest_scar_ml",
    "least_scar_ml",
    "smallest_mvo_ml",
    "prsn_border",
)


def decision_of(folder: Path) -> dict[str, float]:
    """The constants of the decision that a manifest states for its weights.

    Raises:
        InputError: a constant that is not known, or is not a number from 0 on.
    """
    found = manifest_content(folder).get("decision", {})
    usable = isinstance(found, dict) and all(
        name in DECISION and isinstance(value, int | float) and 0 <= value < math.inf
        for name, value in found.items()
    )
    if not usable:
        raise InputError(
            f"{folder / MANIFEST}: expected numbers for some of {', '.join(DECISION)} under "
            f"decision, found {found!r}; install the weights again"
        )
    return {name: float(value) for name, value in found.items()}


def write_decision(folder: Path, **constants: float) -> None:
    """Set constants of the decision in a folder's manifest; the others stay.

    Args:
        folder: of weights.
        constants: names of `DECISION` to their values.

    Raises:
        InputError: as `decision_of`.
    """
    decision = decision_of(folder) | constants
    write_json(folder / MANIFEST, manifest_content(folder) | {"decision": decision})


def pack_of(folder: Path) -> Pack | None:
    """The terms of a folder's weights; None where its manifest states none.

    Raises:
        InputError: see `weights.packs.read_pack`.
    """
    return read_pack(folder) if "pack" in manifest_content(folder) else None


def learned_from(manifest: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """Checksums of the images that any of a folder's networks have learned from."""
    return frozenset().union(*map(learned_in, manifest.values()))


def _size(network: str, entry: Mapping[str, Any]) -> int:
    return int(entry.get("config", {}).get("size", DEFAULT_SIZES[network]))


def read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """Read which networks a folder holds: name to file, sha256, config, commit, seeds, metrics.

    Raises:
        InputError: no manifest, or one that cannot be read.
    """
    try:
        networks = manifest_content(folder)["networks"]
        return {entry["name"]: entry for entry in networks if entry["file"] and entry["sha256"]}
    except (KeyError, TypeError):
        raise damaged_manifest(folder) from None


def load_network(name: str, path: Path, entry: Mapping[str, Any] | None = None) -> nn.Module:
    """Build a network and load its weights as float32; on the CPU.

    Args:
        name: one of `BUILDERS`.
        path: safetensors file that `save_weights` wrote.
        entry: the network's entry in the manifest; its checksum is not compared if None.

    Raises:
        InputError: missing or damaged file, or weights of another network or architecture.
    """
    if not path.is_file():
        raise InputError(f"expected the weights of {name}, found no file {path}; install again")
    expected = entry["sha256"] if entry else None
    found = file_sha256(path)
    if expected is not None and found != expected:
        raise InputError(
            f"{path}: expected SHA-256 {expected[:12]}..., found {found[:12]}...; the weights are "
            "damaged: install them again"
        )
    tensors, metadata = load_tensors(path), read_metadata(path)
    if metadata.get("network") != name:
        found_network = metadata.get("network", "no name")
        raise InputError(f"{path}: expected weights of {name}, found those of {found_network}")
    return _filled(name, path, tensors, metadata)


def _filled(
    name: str, path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]
) -> nn.Module:
    try:
        numbers = {key: int(metadata[key]) for key in ARCHITECTURE_KEYS if key in metadata}
        module = BUILDERS[name](widths=tuple(json.loads(metadata["widths"])), **numbers)
        module.load_state_dict(tensors, strict=True)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path}: expected the architecture of this version's {name}, found another; "
            "use the weights that belong to this version"
        ) from error
    return module


def save_weights(module: nn.Module, path: Path, metadata: Mapping[str, Any]) -> str:
    """Write a network's weights, convolution kernels as float16, all else as it is.

    Args:
        module: one of the networks.
        path: the safetensors file to write; complete or not there at all.
        metadata: "network" (its name) and whatever tells where the weights come from; values that
            are not text are stored as JSON. The widths are added.

    Returns:
        The file's SHA-256.

    Raises:
        InputError: the path cannot be written to.
    """
    from safetensors.torch import save_file

    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    texts["widths"] = json.dumps(list(module.widths))  # type: ignore[arg-type]
    texts |= {key: str(getattr(module, key)) for key in ARCHITECTURE_KEYS if hasattr(module, key)}
    # Kernels keep enough digits in half precision; running variances would not.
    tensors = {
        key: (value.half() if value.ndim > 1 else value).detach().cpu().contiguous()
        for key, value in module.state_dict().items()
    }
    write_atomic(path, lambda beside: save_file(tensors, beside, metadata=texts))
    return file_sha256(path)


def install_weights(
    name: str, module: nn.Module, folder: Path, metadata: Mapping[str, Any]
) -> dict[str, Any]:
    """Write `<name>.safetensors` and its entry in the folder's manifest, replacing older ones.

    Args:
        name: one of `BUILDERS`.
        module: the trained network.
        folder: a folder of weights; made if it is not there.
        metadata: config, commit, seeds, metrics: JSON values, stored in the file and manifest.

    Returns:
        The manifest entry.

    Raises:
        InputError: a file of this name that is not the manifest's, or a folder that cannot be
            written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = f"{name}.safetensors"
    entries = read_manifest(folder) if (folder / MANIFEST).is_file() else {}
    if (folder / file).exists() and name not in entries:
        raise InputError(
            f"expected no {file} in {folder} but the manifest's, found one that it does not name; "
            "move that file away, or name another folder"
        )
    checksum = save_weights(module, folder / file, {"network": name, **metadata})
    entry = {"name": name, "file": file, "sha256": checksum, **metadata}
    ordered = [(entries | {name: entry})[key] for key in BUILDERS if key in entries | {name: entry}]
    content = manifest_content(folder) if (folder / MANIFEST).is_file() else {}
    content |= {"version": MANIFEST_VERSION, "networks": ordered}
    write_json(folder / MANIFEST, content)
    return entry


def metadata_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What `install_weights` was given beside the network, from the manifest entry it made."""
    return {key: entry[key] for key in entry if key not in ("name", "file", "sha256")}


def model_folder(name: str, folder: Path | None) -> Path:
    """The folder of a model's weights.

    Raises:
        InputError: neither "default", nor a shipped pack, nor a folder.
    """
    if name == "default":
        return folder or default_pack().folder
    packs = shipped_packs()
    if name in packs:
        return packs[name].folder
    if Path(name).is_dir():
        return Path(name)
    raise InputError(
        f"unknown model {name!r}: expected default, {', '.join(packs)}, or a folder that holds a "
        f"{MANIFEST}"
    )

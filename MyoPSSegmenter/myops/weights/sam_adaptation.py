"""A SAM on disk as this program uses it: a published checkpoint, or one with our training on top.

An adaptation is a safetensors file of what was trained (LoRA or adapters, mask decoder, structure
embedding); its header names the base checkpoint by SHA-256, so that it never runs on another one.
After full training nothing of the base is left, and the file holds everything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from myops.errors import InputError
from myops.io.atomic import write_atomic
from myops.io.checksum import file_sha256
from myops.io.tensors import load_tensors, read_metadata
from myops.networks.lora import Adaptation, adapt, merge
from myops.networks.sam import ARCHITECTURES, SQUARE_SIZE, SamRefiner, build_sam
from myops.weights.sam_checkpoint import read_sam_checkpoint

FORMAT = "myops SAM adaptation 1"


def load_sam_refiner(path: Path, architecture: str, base: Path | None = None) -> SamRefiner:
    """Load a refiner, in evaluation mode, on the CPU; LoRA is merged into the weights.

    Args:
        path: a SAM checkpoint, or an adaptation that `save_adaptation` wrote.
        architecture: expected: "vit_b", "vit_l" or "vit_h".
        base: for an adaptation other than "full": the checkpoint it was trained on.

    Raises:
        InputError: a file that cannot be used, or of another architecture; an adaptation without
            its base, or with another base.
    """
    metadata = read_adaptation(path)
    if metadata is None:
        return _published(path, architecture).eval()
    _expect_architecture(path, metadata["architecture"], architecture)
    if metadata["how"] == "full":
        model = _random(architecture)
        _fill(model, load_tensors(path), set(model.state_dict()), path)
    else:
        model = _published(_checked_base(path, base, metadata), architecture)
        adapt(model, metadata["how"], int(metadata["rank"]), float(metadata["alpha"]))
        _fill(model, load_tensors(path), trained_names(model), path)
        merge(model)
    model.size = int(metadata["size"])
    return model.requires_grad_(False).eval()


def read_adaptation(path: Path) -> dict[str, str] | None:
    """An adaptation's header: format, architecture, how, rank, alpha, size, base_sha256, ...

    Returns:
        None where the file is something else.

    Raises:
        InputError: a damaged safetensors file.
    """
    if path.suffix != ".safetensors" or not path.is_file():
        return None
    metadata = read_metadata(path)
    if metadata.get("format") != FORMAT:
        return None
    missing = {"architecture", "how", "rank", "alpha", "size", "base_sha256"} - set(metadata)
    if missing or metadata["architecture"] not in ARCHITECTURES:
        raise InputError(f"{path}: expected a whole header, found none of {sorted(missing)}")
    return metadata


def save_adaptation(
    model: SamRefiner,
    path: Path,
    adaptation: Adaptation,
    base: tuple[str, str],
    metadata: Mapping[str, Any] | None = None,
) -> str:
    """Write what training changed: complete or not at all.

    Args:
        model: as `adapt` made it and training left it; not merged.
        path: the `.safetensors` file to write.
        adaptation: what `adapt` returned.
        base: architecture and SHA-256 of the checkpoint that the training started from.
        metadata: config, commit, seeds, metrics: stored beside, as JSON where it is not text.

    Returns:
        The file's SHA-256.

    Raises:
        InputError: nothing was trained, or the path cannot be written.
    """
    from safetensors.torch import save_file

    names = set(model.state_dict()) if adaptation.how == "full" else trained_names(model)
    if not names:
        raise InputError("expected a trained network, found one in which everything is frozen")
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in (metadata or {}).items()}
    texts |= {
        "format": FORMAT,
        "architecture": base[0],
        "base_sha256": base[1],
        "how": adaptation.how,
        "rank": str(adaptation.rank),
        "alpha": str(adaptation.alpha),
        "size": str(model.size),
    }
    state = model.state_dict()
    tensors = {name: state[name].detach().cpu().contiguous() for name in sorted(names)}
    write_atomic(path, lambda beside: save_file(tensors, beside, metadata=texts))
    return file_sha256(path)


def trained_names(model: SamRefiner) -> set[str]:
    """Names of the tensors that training changes."""
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def start_sam_refiner(path: Path, size: int = SQUARE_SIZE) -> tuple[SamRefiner, str]:
    """A published checkpoint as the start of a training, and its architecture.

    Args:
        path: the checkpoint.
        size: pixels per side of the squares that training will give.

    Raises:
        InputError: a file that cannot be used.
    """
    checkpoint = read_sam_checkpoint(path)
    model = _filled(checkpoint.architecture, checkpoint.tensors)
    model.size = size
    return model, checkpoint.architecture


def _published(path: Path, architecture: str) -> SamRefiner:
    checkpoint = read_sam_checkpoint(path)
    _expect_architecture(path, checkpoint.architecture, architecture)
    return _filled(architecture, checkpoint.tensors).requires_grad_(False)


def _filled(architecture: str, tensors: Mapping[str, Tensor]) -> SamRefiner:
    model = _random(architecture)
    model.sam.load_state_dict(tensors, strict=True, assign=True)
    return model


def _random(architecture: str) -> SamRefiner:
    """SAM without memory for its weights, which are assigned later."""
    with torch.device("meta"):
        sam = build_sam(ARCHITECTURES[architecture])
    return SamRefiner(sam)


def _fill(model: SamRefiner, tensors: Mapping[str, Tensor], names: set[str], path: Path) -> None:
    """Assign an adaptation's tensors; exactly these names and their shapes."""
    different = names.symmetric_difference(tensors)
    try:
        if different:
            raise RuntimeError(", ".join(sorted(different)[:3]))
        model.load_state_dict(dict(tensors), strict=False, assign=True)
    except RuntimeError as error:
        raise InputError(
            f"{path}: expected the tensors that its header promises, found others ({error})"
        ) from error


def _checked_base(path: Path, base: Path | None, metadata: Mapping[str, str]) -> Path:
    wanted = metadata["base_sha256"]
    if base is None:
        raise InputError(
            f"{path}: expected its base checkpoint (SHA-256 {wanted[:12]}...), found none: add it "
            "with myops models add"
        )
    found = file_sha256(base)
    if found != wanted:
        raise InputError(
            f"{path}: expected its base checkpoint, SHA-256 {wanted[:12]}..., found {base} with "
            f"{found[:12]}...: use the checkpoint it was trained on"
        )
    return base


def _expect_architecture(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise InputError(f"{path}: expected SAM {expected}, found {found}")

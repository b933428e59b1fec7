"""Reading SAM and MedSAM checkpoints as they are published, bare or wrapped in a training state.

A `.pth` file is a pickle, and unpickling can run code: only tensors and plain containers are read
(torch's weights_only), anything else is refused with its name. `.safetensors` files hold tensors
alone.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from myops.errors import InputError
from myops.io.tensors import load_tensors
from myops.networks.sam import ARCHITECTURES, expected_shapes

# Where training programs keep the network's weights, the most usual first.
WRAPPERS = ("model", "state_dict", "model_state_dict", "model_state", "net", "network", "sam")
# What torch's own wrappers put between the parts of a name.
WRAPPED_NAMES = {"_orig_mod", "module", "_forward_module"}
FIRST_LAYER = "image_encoder.patch_embed.proj.weight"
# Constants that some releases store and that no network of the package expects.
CONSTANTS = {"pixel_mean", "pixel_std"}
# Relatives of SAM that this program cannot run, by a piece of their tensors' names.
RELATIVES = {
    "image_encoder.trunk.": "SAM 2",
    "vision_encoder.": "the transformers library's own format",
    "image_encoder.layers.": "MobileSAM or LiteMedSAM",
}
LISTED = 3


@dataclass(frozen=True)
class SamCheckpoint:
    """A complete, checked set of SAM's weights.

    Attributes:
        architecture: "vit_b", "vit_l" or "vit_h".
        tensors: float32, named as in segment_anything; may be mapped from the file.
        parameters: count of numbers.
        unwrapped: what was around the weights: keys and prefixes, outermost first.
    """

    architecture: str
    tensors: Mapping[str, Tensor]
    parameters: int
    unwrapped: tuple[str, ...]


def read_sam_checkpoint(path: Path) -> SamCheckpoint:
    """Read and check a checkpoint; nothing in it is executed.

    Args:
        path: a `.pth`/`.pt` file of torch or a `.safetensors` file.

    Raises:
        InputError: no such file; a folder; a text; truncated; Python objects inside; no SAM;
            another architecture; missing, unexpected or mis-shaped tensors; numbers that are not
            finite.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise InputError(f"{path}: expected the file of a SAM checkpoint, found {found}")
    _refuse_text(path)
    content = load_tensors(path) if path.suffix == ".safetensors" else _load(path)
    weights, unwrapped = _unwrap(content, path)
    tensors, prefix = _strip(weights, path)
    architecture = _detect(tensors, path)
    _compare(tensors, architecture, path)
    _check_finite(tensors, path)
    whole = {name: tensor.detach().float() for name, tensor in tensors.items()}
    count = sum(tensor.numel() for tensor in whole.values())
    return SamCheckpoint(architecture, whole, count, (*unwrapped, *prefix))


def _refuse_text(path: Path) -> None:
    """A web page or a Git LFS pointer in place of the weights is the usual failed download."""
    with path.open("rb") as file:
        start = file.read(200)
    if start and all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start):
        words = start[:40].decode("ascii")
        raise InputError(
            f"{path}: expected a SAM checkpoint, found a text that begins with {words!r}: "
            "download the weights themselves"
        )


def _load(path: Path) -> Any:
    complete = zipfile.is_zipfile(path)
    with path.open("rb") as file:
        started = file.read(2) == b"PK"
    if started and not complete:
        raise InputError(f"{path}: expected a whole checkpoint, found a truncated one: copy again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old formats warn about themselves
            # Mapped, not read: of a training state only the weights are ever touched.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=complete)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, reason: str) -> InputError:
    """The error for a file that torch refuses; names the Python objects where those are why."""
    objects = dict.fromkeys(re.findall(r"GLOBAL ([\w.]+)", reason))
    if not objects:
        first = reason.splitlines()[0] if reason else "unknown reason"
        return InputError(
            f"{path}: expected a SAM checkpoint, found a damaged or foreign file ({first}): copy "
            "or download it again"
        )
    names = ", ".join(objects)
    return InputError(
        f"{path}: expected weights alone, found Python objects ({names}), which only unpickling "
        "could read, and unpickling can run code. Ask the author for the weights alone. If you "
        "know these types to be harmless, save the weights alone once: with torch.serialization."
        f"safe_globals([{names}]): content = torch.load({path.name!r}, weights_only=True); "
        "torch.save(content['model'], 'weights.pth')"
    )


def _unwrap(content: Any, path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Go into training states until a flat mapping of tensors is found."""
    keys: list[str] = []
    while isinstance(content, Mapping):
        inside = next((k for k in WRAPPERS if isinstance(content.get(k), Mapping)), None)
        if inside is None:
            tensors = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
            if tensors:
                return tensors, tuple(keys)
            break
        keys.append(inside)
        content = content[inside]
    found = f"keys {_some(list(content))}" if isinstance(content, Mapping) else f"{type(content)}"
    raise InputError(
        f"{path}: expected weights by name, bare or under one of {', '.join(WRAPPERS)}; "
        f"found {found}"
    )


def _strip(weights: Mapping[str, Tensor], path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Names as segment_anything gives them, and the prefix that was before them."""
    plain = {_plain_name(name): tensor for name, tensor in weights.items()}
    prefixes = [name.removesuffix(FIRST_LAYER) for name in plain if name.endswith(FIRST_LAYER)]
    if len(prefixes) != 1:
        raise _no_single_sam(list(plain), prefixes, path)
    prefix = prefixes[0]
    if any(not name.startswith(prefix) for name in plain):
        strangers = [name for name in plain if not name.startswith(prefix)]
        raise InputError(
            f"{path}: expected SAM's tensors alone under {prefix!r}, found also {_some(strangers)}"
        )
    names = {n.removeprefix(prefix): t for n, t in plain.items()}
    stripped = {n: t for n, t in names.items() if n not in CONSTANTS}
    original = next(name for name in weights if _plain_name(name) == prefix + FIRST_LAYER)
    # A part of its own may be wrapped: then the pieces stand behind the part's name.
    tail = FIRST_LAYER if original.endswith(FIRST_LAYER) else FIRST_LAYER.partition(".")[2]
    around = original.removesuffix(tail)
    return stripped, (around,) if around else ()


def _plain_name(name: str) -> str:
    """A tensor's name without the pieces that compiling and parallel training put into it."""
    return ".".join(piece for piece in name.split(".") if piece not in WRAPPED_NAMES)


def _no_single_sam(names: Sequence[str], prefixes: Sequence[str], path: Path) -> InputError:
    if prefixes:
        return InputError(
            f"{path}: expected one SAM, found {len(prefixes)} under {_some(list(prefixes))}: "
            "save the one to use alone"
        )
    known = [title for piece, title in RELATIVES.items() if any(piece in n for n in names)]
    found = known[0] if known else f"tensors {_some(names)}"
    return InputError(
        f"{path}: expected a SAM of segment_anything (ViT-B, ViT-L or ViT-H), found {found}: "
        "myops models list names the files to get"
    )


def _detect(tensors: Mapping[str, Tensor], path: Path) -> str:
    """The architecture whose image encoder has this width and depth."""
    width = tensors[FIRST_LAYER].shape[0]
    depth = len({n.split(".")[2] for n in tensors if n.startswith("image_encoder.blocks.")})
    for name, numbers in ARCHITECTURES.items():
        if (numbers.width, numbers.depth) == (width, depth):
            return name
    known = ", ".join(f"{k} ({a.width} x {a.depth})" for k, a in ARCHITECTURES.items())
    raise InputError(
        f"{path}: expected an image encoder of channels x blocks {known}; found {width} x {depth}"
    )


def _compare(tensors: Mapping[str, Tensor], architecture: str, path: Path) -> None:
    """Refuse weights that do not fill the architecture exactly."""
    shapes = expected_shapes(ARCHITECTURES[architecture])
    wrong = {
        "missing": [name for name in shapes if name not in tensors],
        "unexpected": [name for name in tensors if name not in shapes],
        "of another shape or type": [
            f"{name} {tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')} for {shape}"
            for name, tensor in tensors.items()
            if (shape := shapes.get(name)) is not None
            and (tuple(tensor.shape) != shape or not tensor.is_floating_point())
        ],
    }
    said = "; ".join(f"{len(n)} {kind}: {_some(n)}" for kind, n in wrong.items() if n)
    if said:
        raise InputError(
            f"{path}: expected the {len(shapes)} tensors of SAM {architecture}, found {said}; use "
            "a checkpoint in segment_anything's own format"
        )


def _check_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    bad = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if bad:
        raise InputError(
            f"{path}: expected finite weights, found NaN or infinity in {_some(bad)}: the training "
            "failed or the file is damaged"
        )


def _some(names: Sequence[object]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(str(name) for name in names[:LISTED]) + more

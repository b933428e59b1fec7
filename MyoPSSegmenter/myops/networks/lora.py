"""Adapting SAM to the heart with few new weights: LoRA and adapters on the image encoder.

LoRA (Hu et al. 2021, arXiv 2106.09685, eq. 3): W x + (alpha / rank) B A x with B = 0 at the start.
Adapter (Chen et al. 2022, arXiv 2205.13535): a bottleneck beside each block's MLP, its second
layer 0 at the start. Both leave the network's answers unchanged until they are trained, and keep
the names of SAM's own tensors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from myops.errors import InputError
from myops.networks.sam import SamRefiner

METHODS = ("none", "lora", "adapter", "full")


class LoraLinear(nn.Linear):
    """A linear layer with a trainable low-rank addition to its frozen weight."""

    def __init__(self, layer: nn.Linear, rank: int, alpha: float) -> None:
        """Take over a layer's weight and bias.

        Args:
            layer: the layer to add to; its tensors are shared, not copied.
            rank: of the addition.
            alpha: the addition counts alpha / rank.
        """
        super().__init__(layer.in_features, layer.out_features, device="meta")
        self.weight, self.bias = layer.weight, layer.bias
        self.scale = alpha / rank
        self.lora_down = nn.Parameter(layer.weight.new_empty(rank, layer.in_features))
        self.lora_up = nn.Parameter(layer.weight.new_zeros(layer.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_down, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """W x + b + (alpha / rank) B A x."""
        added = functional.linear(functional.linear(x, self.lora_down), self.lora_up)
        return super().forward(x) + self.scale * added

    def merged(self) -> nn.Linear:
        """A plain layer with the addition in its weight: the same output, no extra work."""
        plain = nn.Linear(self.in_features, self.out_features, device="meta")
        weight = self.weight.detach() + self.scale * (self.lora_up @ self.lora_down).detach()
        plain.weight, plain.bias = nn.Parameter(weight, requires_grad=False), self.bias
        return plain


class AdaptedMlp(nn.Module):
    """A block's MLP with a trainable bottleneck beside it."""

    def __init__(self, mlp: Any, rank: int) -> None:
        """Take over the MLP's layers; they are shared, not copied.

        Args:
            mlp: segment_anything's MLPBlock.
            rank: channels of the bottleneck.
        """
        super().__init__()
        self.lin1, self.act, self.lin2 = mlp.lin1, mlp.act, mlp.lin2
        weight: Tensor = mlp.lin1.weight
        width, place = weight.shape[1], weight.device
        self.adapter_down = nn.Linear(width, rank, device=place)
        self.adapter_up = nn.Linear(rank, width, device=place)
        nn.init.zeros_(self.adapter_up.weight)
        nn.init.zeros_(self.adapter_up.bias)

    def forward(self, x: Tensor) -> Tensor:
        """MLP(x) + up(relu(down(x)))."""
        beside = self.adapter_up(torch.relu(self.adapter_down(x)))
        plain: Tensor = self.lin2(self.act(self.lin1(x)))
        return plain + beside


@dataclass(frozen=True)
class Adaptation:
    """What `adapt` made trainable.

    Attributes:
        how: "none", "lora", "adapter" or "full".
        rank: of LoRA or the adapters; 0 where there are none.
        alpha: LoRA's scale times rank; 0 where there is no LoRA.
        trained, frozen: part of the network to count of its numbers.
    """

    how: str
    rank: int
    alpha: float
    trained: dict[str, int]
    frozen: dict[str, int]

    def __str__(self) -> str:
        """One line for a person."""
        said = [f"{self.how}: trained {_counted(self.trained)}", f"frozen {_counted(self.frozen)}"]
        return "; ".join(said)


def adapt(model: SamRefiner, how: str, rank: int = 4, alpha: float | None = None) -> Adaptation:
    """Decide what training may change, and add LoRA or adapters to the image encoder.

    "none" freezes everything. "lora" and "adapter" freeze SAM's image and prompt encoder and train
    the additions, the mask decoder and the structure embedding. "full" trains everything.

    Args:
        model: a SAM that has not been adapted yet; changed in place.
        how: one of `METHODS`.
        rank: of LoRA or of the adapters' bottleneck.
        alpha: of LoRA; the rank if None, so that the addition counts once.

    Returns:
        What is trained and what is frozen.

    Raises:
        InputError: unknown method, a rank below 1 or above the layers' width, or a network that is
            adapted already.
    """
    _check(model, how, rank)
    scale = float(rank if alpha is None else alpha)
    model.requires_grad_(how == "full")
    if how in ("lora", "adapter"):
        model.sam.mask_decoder.requires_grad_(True)
        model.structures.requires_grad_(True)
        for block in model.sam.image_encoder.blocks:
            _add(block, how, rank, scale)
    added = how in ("lora", "adapter")
    trained, frozen = count_parts(model)
    return Adaptation(how, rank * added, scale * (how == "lora"), trained, frozen)


def _check(model: SamRefiner, how: str, rank: int) -> None:
    if how not in METHODS:
        raise InputError(f"expected an adaptation among {', '.join(METHODS)}, found {how!r}")
    width = model.sam.image_encoder.blocks[0].attn.proj.in_features
    if how in ("lora", "adapter") and not 1 <= rank <= width:
        raise InputError(f"expected a rank from 1 to {width}, found {rank}")
    if any(isinstance(module, LoraLinear | AdaptedMlp) for module in model.modules()):
        raise InputError("expected a network without LoRA or adapters, found one that has them")


def _add(block: Any, how: str, rank: int, alpha: float) -> None:
    """LoRA on the attention of one block of the image encoder, or an adapter beside its MLP."""
    if how == "adapter":
        block.mlp = AdaptedMlp(block.mlp, rank)
        return
    attention = block.attn
    attention.qkv = LoraLinear(attention.qkv, rank, alpha)
    attention.proj = LoraLinear(attention.proj, rank, alpha)


def merge(model: SamRefiner) -> None:
    """Put every LoRA addition into the weights, in place; the answers stay the same."""
    for block in model.sam.image_encoder.blocks:
        for name in ("qkv", "proj"):
            layer = getattr(block.attn, name)
            if isinstance(layer, LoraLinear):
                setattr(block.attn, name, layer.merged())


def count_parts(model: SamRefiner) -> tuple[dict[str, int], dict[str, int]]:
    """How many numbers of each part training changes, and how many it leaves alone."""
    counts: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for part, parameter in _parts(model):
        chosen = counts[0 if parameter.requires_grad else 1]
        chosen[part] = chosen.get(part, 0) + parameter.numel()
    return counts


def _parts(model: SamRefiner) -> Iterator[tuple[str, nn.Parameter]]:
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            yield "LoRA", parameter
        elif "adapter_" in name:
            yield "adapters", parameter
        else:
            part = name.removeprefix("sam.").split(".")[0]
            yield part.replace("_", " "), parameter


def _counted(parts: dict[str, int]) -> str:
    return ", ".join(f"{part} ({count:,})" for part, count in parts.items()) or "nothing"

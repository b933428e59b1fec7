"""The refiner: SAM's prompt encoder and mask decoder on a small convolutional encoder.

    encode   once per slice: sequences and the cascade's probabilities -> features of three sizes
    decode   once per click: features, clicks, box and the present mask -> the corrected mask

SAM (Kirillov et al. 2023, arXiv 2304.02643) decodes 4x coarser than its image and knows no
structures. Here its two-way transformer reads the prompts and answers with one mask token per
structure; a small U-Net head at full resolution then combines that answer with the encoder's
finest features, the clicks drawn as small blobs (Sofiiuk et al. 2021, arXiv 2102.06583) and the
present label map, and predicts the change of the present mask.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from myops.networks.blocks import Decoder, Encoder, double_conv, group_norm
from myops.networks.segment_anything_parts import modeling
from myops.sequences import NETWORK_SEQUENCES
from myops.structures import CORRECTED

SEQUENCES = len(NETWORK_SEQUENCES)
# Probabilities the encoder sees, and the present label map's planes the head sees: blood pool,
# normal myocardium, edema, scar.
TISSUES = 4
STRUCTURES = len(CORRECTED)
# The present mask as logits: sure enough to stay where no prompt speaks, not too sure to change.
MASK_LOGIT = 3.0
# Standard deviations of a click's blobs in pixels: its place, its neighborhood.
CLICK_SIGMAS = (1.5, 5.0)
# Before it has learned anything, the newest click paints a disc: where this logit times a blob
# outweighs the present mask's. A click then always has some effect at its place. Errors along a
# border are thin, and a reader aims at their middle: the disc reaches to the border, within limits.
STROKE_LOGIT = 2 * MASK_LOGIT
STROKE_PIXELS = (1.0, 4.0)
EMBEDDING_STRIDE = 4
# A flood from the newest click: pixels of half the resolution that it can reach, enough for a long
# crescent, and the difference of signals (in robust SDs of the slice) that halves its plane.
FLOOD_STEPS = 40
FLOOD_HALF = 0.5
FLOOD_PLANES = SEQUENCES + 1


@dataclass(frozen=True)
class Features:
    """What `encode` finds in B slices.

    Attributes:
        images: the sequences themselves, (B, 3, S, S).
        full: (B, C, S, S).
        half: (B, C, S/2, S/2).
        embedding: SAM's image embedding, (B, C, S/4, S/4).
    """

    images: Tensor
    full: Tensor
    half: Tensor
    embedding: Tensor

    def __getitem__(self, rows: slice | Tensor) -> Features:
        """The features of some of the slices."""
        return Features(self.images[rows], self.full[rows], self.half[rows], self.embedding[rows])


@dataclass(frozen=True)
class PromptBatch:
    """The prompts of B slices, one structure each.

    Attributes:
        structure: long (B,), index into `STRUCTURES`.
        points: float (B, N, 2), x and y in pixels of the square (0 = center of the first pixel), in
            the order they were given, the newest last.
        signs: long (B, N): 1 positive, 0 negative, -1 no point (padding, in front).
        mask: float (B, 1, S, S) in 0..1, the structure's present mask.
        tissues: float (B, 4, S, S) in 0..1, the present label map: blood pool, normal myocardium,
            edema, scar.
        boxes: float (B, 4), x0, y0, x1, y1 in pixels of the square; None without boxes.
    """

    structure: Tensor
    points: Tensor
    signs: Tensor
    mask: Tensor
    tissues: Tensor
    boxes: Tensor | None = None

    def to(self, device: torch.device) -> PromptBatch:
        """The same prompts on a device."""
        return PromptBatch(
            self.structure.to(device),
            self.points.to(device),
            self.signs.to(device),
            self.mask.to(device),
            self.tissues.to(device),
            None if self.boxes is None else self.boxes.to(device),
        )


# Logits of a structure (B, 1, S, S), and the predicted IoU of its mask (B,).
Answer = tuple[Tensor, Tensor]
# Takes the last logits (None at the start) and gives the next prompts, None to end.
Ask = Callable[[Tensor | None], PromptBatch | None]


def dialogue(decode: Callable[[PromptBatch], Answer], ask: Ask) -> list[Answer]:
    """Answer prompts as long as there are some, each after the answer before it.

    Args:
        decode: answers prompts.
        ask: gives them.
    """
    answers: list[Answer] = []
    prompts = ask(None)
    while prompts is not None:
        answers.append(decode(prompts))
        prompts = ask(answers[-1][0].detach())
    return answers


class RefinerNetwork(nn.Module):
    """The embedded refiner: small enough for a click in milliseconds on a processor."""

    def __init__(
        self, widths: Sequence[int], size: int, embedding: int = 128, floods: int = 0
    ) -> None:
        """Build it with random weights.

        Args:
            widths: channels at full size, 1/2, 1/4 and 1/8.
            size: pixels per side of the squares, a multiple of 8.
            embedding: channels of SAM's image embedding, tokens and transformer.
            floods: 1 = the head also sees `flood_planes`.
        """
        super().__init__()
        sam = modeling()
        self.widths, self.size, self.floods = tuple(widths), size, floods
        # Group normalization: with batch normalization the answer to a click depended on which
        # structures and clicks were trained in the same batch.
        self.encoder = Encoder(2 * SEQUENCES + TISSUES, widths, group_norm)
        self.decoder = Decoder(widths, group_norm)
        self.neck = nn.Conv2d(widths[2], embedding, 1)
        grid = size // EMBEDDING_STRIDE
        self.prompts = sam.PromptEncoder(embedding, (grid, grid), (size, size), mask_in_chans=16)
        transformer = sam.TwoWayTransformer(
            depth=2, embedding_dim=embedding, num_heads=4, mlp_dim=2 * embedding
        )
        # One multimask output per structure; SAM's own first token stays unused.
        self.masks = sam.MaskDecoder(
            transformer_dim=embedding,
            transformer=transformer,
            num_multimask_outputs=STRUCTURES,
            iou_head_hidden_dim=embedding,
        )
        # There is always a mask prompt, the present mask.
        self.prompts.no_mask_embed.requires_grad_(False)
        self.structures = nn.Embedding(STRUCTURES, embedding)
        self.head = PromptHead(widths, embedding, floods)

    def forward(
        self,
        images: Tensor,
        present: Tensor,
        probabilities: Tensor,
        ask: Ask,
    ) -> list[Answer]:
        """A whole dialogue, for training: encode once, decode as long as there are prompts.

        Args:
            images: see `encode`.
            present: see `encode`.
            probabilities: see `encode`.
            ask: takes the last logits (None at the start) and gives the next prompts, None to end.

        Returns:
            Logits and predicted IoU after each prompt.
        """
        features = self.encode(images, present, probabilities)
        return dialogue(partial(self.decode, features), ask)

    def encode(self, images: Tensor, present: Tensor, probabilities: Tensor) -> Features:
        """Features of B slices; they do not depend on any prompt.

        Args:
            images: float (B, 3, S, S), bssfp, lge, t2 in -4..4; 0 for an absent sequence.
            present: float (B, 3), 1 for a sequence the slice has, else 0.
            probabilities: float (B, 4, S, S), the cascade's joint probabilities of blood pool,
                normal myocardium, edema and scar; all 0 where there was no cascade.
        """
        planes = present[:, :, None, None].expand(-1, -1, *images.shape[2:]).to(images.dtype)
        encoded = self.encoder(torch.cat((images, planes, probabilities), dim=1))
        quarter, half, full = self.decoder(encoded)
        return Features(images, full, half, self.neck(quarter))

    def decode(self, features: Features, prompts: PromptBatch) -> tuple[Tensor, Tensor]:
        """Logits of the structure (B, 1, S, S) and the predicted IoU of its mask (B,)."""
        answer, upscaled, quality = self._sam(features.embedding, prompts)
        logits = (2 * prompts.mask - 1) * MASK_LOGIT
        change = self.head(features, (answer, upscaled), prompts)
        return logits + change.float(), quality.float()

    def _sam(self, embedding: Tensor, prompts: PromptBatch) -> tuple[Tensor, Tensor, Tensor]:
        """SAM's decoder for a batch of different images, the structure's mask token chosen.

        Returns:
            SAM's logits (B, 1, S, S), its upscaled embedding (B, C, S, S), the IoU (B,).
        """
        tokens, dense = self._tokens(prompts)
        place = self.prompts.get_dense_pe().expand(len(embedding), -1, -1, -1)
        count = self.masks.num_mask_tokens
        known = torch.cat((self.masks.iou_token.weight, self.masks.mask_tokens.weight))
        tokens = torch.cat((known.expand(len(embedding), -1, -1), tokens), dim=1)
        answered, image = self.masks.transformer(embedding + dense, place, tokens)
        image = image.transpose(1, 2).reshape(embedding.shape)
        upscaled = self.masks.output_upscaling(image)
        rows = torch.arange(len(embedding), device=embedding.device)
        chosen = 1 + prompts.structure  # token 0 is SAM's single-mask token
        hyper = torch.stack(
            [
                mlp(answered[:, 1 + k])
                for k, mlp in enumerate(self.masks.output_hypernetworks_mlps[:count])
            ],
            dim=1,
        )[rows, chosen]
        answer = (hyper[:, :, None, None] * upscaled).sum(dim=1, keepdim=True)
        quality = self.masks.iou_prediction_head(answered[:, 0])[rows, chosen]
        return answer, upscaled, quality

    def _tokens(self, prompts: PromptBatch) -> tuple[Tensor, Tensor]:
        """SAM's sparse tokens (the structure first) and its dense mask embedding."""
        mask = (2 * prompts.mask - 1) * MASK_LOGIT
        sparse, dense = self.prompts((prompts.points, prompts.signs), prompts.boxes, mask)
        structure = self.structures(prompts.structure)[:, None]
        return torch.cat((structure, sparse), dim=1), dense


class PromptHead(nn.Module):
    """A small U-Net at full resolution: what the prompts change in the present mask."""

    def __init__(self, widths: Sequence[int], embedding: int, floods: int) -> None:
        super().__init__()
        self.floods = floods
        full, half, quarter = widths[:3]
        planes = 2 * len(CLICK_SIGMAS) + 2 + 1 + 1 + TISSUES + STRUCTURES + 3 * SEQUENCES + 1
        planes += FLOOD_PLANES * floods  # the last ones: see `checkpoint.add_planes`
        self.fine = double_conv(full + embedding // 8 + 1 + planes, full, group_norm)
        self.middle = double_conv(full + half, half, group_norm)
        self.coarse = double_conv(half + embedding, quarter, group_norm)
        self.up = Decoder((full, half, quarter), group_norm)
        self.change = nn.Conv2d(full, 1, 1)
        self.stroke = nn.Parameter(torch.tensor([STROKE_LOGIT, -STROKE_LOGIT]))

    def forward(
        self, features: Features, answer: tuple[Tensor, Tensor], prompts: PromptBatch
    ) -> Tensor:
        """The change of the present mask's logits, (B, 1, S, S)."""
        plus, minus = strokes(prompts)
        contrast = contrast_planes(features.images, prompts)
        said = [prompt_planes(prompts), contrast, plus - minus]
        if self.floods:
            said.append(flood_planes(features.images, prompts))
        planes = torch.cat(said, dim=1).to(features.full.dtype)
        sam = [part.to(features.full.dtype) for part in answer]
        fine = self.fine(torch.cat((features.full, *sam, planes), dim=1))
        middle = self.middle(torch.cat((functional.max_pool2d(fine, 2), features.half), dim=1))
        below = torch.cat((functional.max_pool2d(middle, 2), features.embedding), dim=1)
        change: Tensor = self.change(self.up([fine, middle, self.coarse(below)])[-1])
        return change + self.stroke[0] * plus + self.stroke[1] * minus


def prompt_planes(prompts: PromptBatch) -> Tensor:
    """Everything that was said, drawn at full resolution: float (B, 17, S, S).

    Positive and negative clicks as blobs of two sizes, the newest click alone (positive and
    negative), the box, the present mask, the present tissues, and the structure (one plane each).
    """
    size = prompts.mask.shape[-1]
    clicks = [_blobs(prompts, sign, sigma, size) for sigma in CLICK_SIGMAS for sign in (1, 0)]
    clicks += [_blobs(newest(prompts), sign, CLICK_SIGMAS[-1], size) for sign in (1, 0)]
    structure = functional.one_hot(prompts.structure, STRUCTURES).to(prompts.mask)
    structure = structure[:, :, None, None].expand(-1, -1, size, size)
    box = _box_plane(prompts, size)
    return torch.cat((*clicks, box, prompts.mask, prompts.tissues, structure), dim=1)


def contrast_planes(images: Tensor, prompts: PromptBatch) -> Tensor:
    """How every pixel differs from what the reader pointed at: float (B, 9, S, S).

    Each sequence minus its value at the newest click, minus its mean in the present mask, and minus
    its mean in the wall outside the mask; 0 where there is no such place. A convolution cannot
    bring a distant click's signal to a pixel; region growing lives on nothing else.

    Args:
        images: float (B, 3, S, S), 0 for an absent sequence.
        prompts: of the same slices.
    """
    size = images.shape[-1]
    click = _blobs(newest(prompts), 1, 1.0, size) + _blobs(newest(prompts), 0, 1.0, size)
    wall = (prompts.tissues[:, 1:].sum(dim=1, keepdim=True) - prompts.mask).clamp(0, 1)
    present = (images != 0).any(dim=(2, 3), keepdim=True)
    return torch.cat(
        [(images - _mean(images, where)) * present * _any(where) for where in
         (click, prompts.mask, wall)], dim=1
    )  # fmt: skip


def flood_planes(images: Tensor, prompts: PromptBatch) -> Tensor:
    """What a flood from the newest click reaches: float (B, 4, S, S) in 0..1.

    One plane per sequence: 1 at the click, 1/2 where every path from it meets a signal that differs
    from the click's by `FLOOD_HALF`, lower behind higher steps; 0 for an absent sequence. The
    fourth plane is 1 in the island that was clicked into: the connected part of the present mask,
    or of the wall that is not in it. A convolution does not know what is connected with what.

    Args:
        images: float (B, 3, S, S), 0 for an absent sequence.
        prompts: of the same slices.
    """
    size, shown = images.shape[-1], newest(prompts)
    if shown.points.shape[1] == 0:
        return images.new_zeros((len(images), FLOOD_PLANES, size, size))
    clicked = ((shown.signs[:, 0] >= 0).to(images))[:, None, None, None]
    column, row = (shown.points[:, 0].float() / 2).round().long().clamp(0, size // 2 - 1).unbind(1)
    rows = torch.arange(len(images), device=images.device)
    seed = images.new_zeros((len(images), 1, size // 2, size // 2))
    seed[rows, 0, row, column] = 1

    small = functional.avg_pool2d(images, 2)
    # Over 3x3 pixels: a single noisy one must not decide where the flood goes.
    calm = functional.avg_pool2d(small, 3, 1, 1, count_include_pad=False)
    signal = calm[rows, :, row, column][:, :, None, None]
    mask = functional.avg_pool2d(prompts.mask, 2)
    wall = functional.avg_pool2d(prompts.tissues[:, 1:].sum(dim=1, keepdim=True), 2)
    positive = (shown.signs[:, 0] == 1)[:, None, None, None]
    land = torch.where(positive, (wall > 0.5) & (mask < 0.5), mask >= 0.5)
    steps = torch.cat(((calm - signal).abs(), 10.0 * (~land).to(images)), dim=1)
    alike = FLOOD_HALF / (FLOOD_HALF + _flood(steps, seed))
    present = (images != 0).any(dim=3, keepdim=True).any(dim=2, keepdim=True).to(images)
    planes = alike * torch.cat((present, torch.ones_like(present[:, :1])), dim=1) * clicked
    raised: Tensor = functional.interpolate(planes, scale_factor=2, mode="nearest")
    return raised


def _flood(steps: Tensor, seed: Tensor) -> Tensor:
    """The smallest possible highest step on a path from the seed: (B, C, H, W).

    Args:
        steps: float (B, C, H, W), what it costs to be at a pixel, at least 0.
        seed: float (B, 1, H, W), 1 where every path begins.
    """
    highest = 10.0
    level = torch.where(seed > 0, torch.zeros_like(steps), highest)
    steps = torch.where(seed > 0, torch.zeros_like(steps), steps.clamp(max=highest))
    for _ in range(FLOOD_STEPS):
        level = torch.maximum(steps, -functional.max_pool2d(-level, 3, 1, 1))
    return level


def _mean(images: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of every image (B, C, 1, 1); 0 without weight."""
    total = (images * weight).sum((2, 3), keepdim=True)
    return total / weight.sum((2, 3), keepdim=True).clamp(min=1e-6)


def _any(weight: Tensor) -> Tensor:
    return (weight.sum((2, 3), keepdim=True) > 0.5).to(weight.dtype)


def strokes(prompts: PromptBatch) -> tuple[Tensor, Tensor]:
    """The newest click as a blob that is half as high at the present mask's border.

    Returns:
        A positive and a negative click's blob, (B, 1, S, S) each, 0 where there is none.
    """
    sigma = _reach(prompts).clamp(*STROKE_PIXELS) / math.sqrt(2 * math.log(2))
    size = prompts.mask.shape[-1]
    plus, minus = (_blobs(newest(prompts), sign, sigma, size) for sign in (1, 0))
    return plus, minus


def _reach(prompts: PromptBatch) -> Tensor:
    """Pixels from the newest click to the nearest pixel that is already as it says: (B,)."""
    if prompts.points.shape[1] == 0:
        return torch.zeros(len(prompts.points), device=prompts.points.device)
    axis = torch.arange(prompts.mask.shape[-1], device=prompts.points.device, dtype=torch.float32)
    x, y = prompts.points[:, -1, 0, None], prompts.points[:, -1, 1, None]
    squared = ((axis - y) ** 2)[:, :, None] + ((axis - x) ** 2)[:, None, :]
    inside = prompts.mask[:, 0] > 0.5
    fulfilled = torch.where(prompts.signs[:, -1, None, None] == 1, inside, ~inside)
    return squared.masked_fill(~fulfilled, torch.inf).amin(dim=(1, 2)).sqrt()


def newest(prompts: PromptBatch) -> PromptBatch:
    """The prompts with the newest click alone."""
    return replace(prompts, points=prompts.points[:, -1:], signs=prompts.signs[:, -1:])


def _blobs(prompts: PromptBatch, sign: int, sigma: float | Tensor, size: int) -> Tensor:
    """The clicks of one sign as Gaussian blobs of height 1, the highest wins: (B, 1, S, S).

    `sigma` in pixels is one for all, or one per slice (B,).
    """
    if prompts.points.shape[1] == 0:
        return torch.zeros_like(prompts.mask)
    axis = torch.arange(size, device=prompts.points.device, dtype=torch.float32)
    x, y = prompts.points[..., 0, None], prompts.points[..., 1, None]
    width = sigma[:, None, None] if isinstance(sigma, Tensor) else sigma
    column = torch.exp(-((axis - x) ** 2) / (2 * width**2))
    row = torch.exp(-((axis - y) ** 2) / (2 * width**2))
    row = row * (prompts.signs == sign)[..., None]
    blobs = row[..., :, None] * column[..., None, :]
    return blobs.amax(dim=1, keepdim=True)


def _box_plane(prompts: PromptBatch, size: int) -> Tensor:
    """1 inside the box, 0 outside; 0 everywhere without a box: (B, 1, S, S)."""
    if prompts.boxes is None:
        return torch.zeros_like(prompts.mask)
    axis = torch.arange(size, device=prompts.boxes.device, dtype=torch.float32)
    x0, y0, x1, y1 = prompts.boxes[:, :, None].unbind(dim=1)
    row = ((axis >= y0) & (axis <= y1)).float()
    column = ((axis >= x0) & (axis <= x1)).float()
    return (row[:, :, None] * column[:, None, :])[:, None]


def build_refiner(
    widths: Sequence[int] = (24, 48, 96, 128), size: int = 80, embedding: int = 128, floods: int = 0
) -> RefinerNetwork:
    """The embedded refiner: 80x80 pixels, about 2 million parameters."""
    return RefinerNetwork(widths, size, embedding, floods)

"""SAM and MedSAM as refiners: the real networks, fed with the three sequences and the present mask.

SAM (Kirillov et al. 2023, arXiv 2304.02643) sees a color image of 1024x1024 pixels and knows no
structures. Here the LGE, T2 and bSSFP squares are its red, green and blue; the present mask is its
mask prompt. `SamRefiner` has the two methods of `networks.refiner.RefinerNetwork`, so whatever runs
the embedded refiner runs SAM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from myops.networks.refiner import STRUCTURES, Answer, Ask, PromptBatch, dialogue
from myops.networks.segment_anything_parts import modeling

# SAM's red, green, blue as indices into bssfp, lge, t2.
COLORS = (1, 2, 0)
# Normalized intensities run from -4 to 4 (myops.cascade.normalization); an absent sequence is 0.
INTENSITY_LIMIT = 4.0
# A mask of ones and zeros as logits: the order of SAM's own logits inside and outside an object.
MASK_CONFIDENCE = 0.999
# Pixels per side of the square around the heart: the embedded refiner's, so that both see the same.
SQUARE_SIZE = 80


@dataclass(frozen=True)
class Architecture:
    """The numbers in which SAM's networks differ.

    Attributes:
        width: channels of the image encoder.
        depth: transformer blocks of the image encoder.
        heads: attention heads per block.
        global_attention: blocks that see the whole image; the others see windows.
        image_size: pixels per side of the image.
        prompt_channels: channels of prompts and image embedding.
    """

    width: int
    depth: int
    heads: int
    global_attention: tuple[int, ...]
    image_size: int = 1024
    prompt_channels: int = 256


ARCHITECTURES = {
    "vit_b": Architecture(768, 12, 12, (2, 5, 8, 11)),
    "vit_l": Architecture(1024, 24, 16, (5, 11, 17, 23)),
    "vit_h": Architecture(1280, 32, 16, (7, 15, 23, 31)),
}


def build_sam(architecture: Architecture) -> Any:
    """The network `Sam` with random weights, as segment_anything's own builder makes it."""
    sam = modeling()
    channels, grid = architecture.prompt_channels, architecture.image_size // 16
    encoder = sam.ImageEncoderViT(
        img_size=architecture.image_size,
        patch_size=16,
        embed_dim=architecture.width,
        depth=architecture.depth,
        num_heads=architecture.heads,
        mlp_ratio=4,
        out_chans=channels,
        qkv_bias=True,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=14,
        global_attn_indexes=architecture.global_attention,
    )
    size = (architecture.image_size, architecture.image_size)
    prompts = sam.PromptEncoder(channels, (grid, grid), size, mask_in_chans=16)
    transformer = sam.TwoWayTransformer(depth=2, embedding_dim=channels, num_heads=8, mlp_dim=2048)
    masks = sam.MaskDecoder(transformer_dim=channels, transformer=transformer)
    return sam.Sam(encoder, prompts, masks)


@dataclass(frozen=True)
class SamFeatures:
    """SAM's image embedding of B slices, float (B, C, H, W)."""

    embedding: Tensor

    def __getitem__(self, rows: slice | Tensor) -> SamFeatures:
        """The features of some of the slices."""
        return SamFeatures(self.embedding[rows])


class SamRefiner(nn.Module):
    """A `Sam` that reads squares of the heart and answers for one structure.

    SAM itself has no idea of structures: it answers with its single mask. Training may teach it
    one embedding per structure, which is added to its prompt tokens; it starts at zero, so that
    before training this is exactly SAM.
    """

    sam: Any  # segment_anything tells no types

    def __init__(self, sam: Any, size: int = SQUARE_SIZE) -> None:
        """Wrap a network.

        Args:
            sam: what `build_sam` makes.
            size: pixels per side of the squares that it is given.
        """
        super().__init__()
        self.sam = sam
        self.size = size
        self.structures = nn.Embedding(STRUCTURES, sam.prompt_encoder.embed_dim)
        nn.init.zeros_(self.structures.weight)

    @property
    def image_size(self) -> int:
        """Pixels per side of SAM's own image."""
        return int(self.sam.image_encoder.img_size)

    def forward(
        self,
        images: Tensor,
        present: Tensor,
        probabilities: Tensor,
        ask: Ask,
    ) -> list[Answer]:
        """A whole dialogue, for training: see `RefinerNetwork.forward`."""
        features = self.encode(images, present, probabilities)
        return dialogue(partial(self.decode, features), ask)

    def encode(self, images: Tensor, present: Tensor, probabilities: Tensor) -> SamFeatures:
        """Features of B slices; they do not depend on any prompt.

        Args:
            images: float (B, 3, S, S), bssfp, lge, t2 in -4..4; 0 for an absent sequence.
            present: float (B, 3), 1 for a sequence the slice has, else 0.
            probabilities: not used, SAM has no place for them; here so that every refiner is called
                alike.
        """
        colors = self.colors(images, present)
        return SamFeatures(self.sam.image_encoder(self.sam.preprocess(colors)))

    def colors(self, images: Tensor, present: Tensor) -> Tensor:
        """SAM's image, float (B, 3, 1024, 1024) in 0..255, of what `encode` is given."""
        shown = (images * present[:, :, None, None])[:, list(COLORS)]
        scaled = (shown / INTENSITY_LIMIT).clamp(-1, 1) * 127.5 + 127.5
        return functional.interpolate(
            scaled.float(), (self.image_size, self.image_size), mode="bilinear", align_corners=False
        )

    def decode(self, features: SamFeatures, prompts: PromptBatch) -> tuple[Tensor, Tensor]:
        """Logits of the structure (B, 1, S, S) and the predicted IoU of its mask (B,).

        SAM's decoder takes one image with many prompts; here every row is an image of its own.
        """
        answers = [
            self._decode_one(features[row : row + 1], _row(prompts, row))
            for row in range(len(prompts.structure))
        ]
        logits, quality = (torch.cat(parts) for parts in zip(*answers, strict=True))
        return logits.float(), quality[:, 0].float()

    def _decode_one(self, features: SamFeatures, prompts: PromptBatch) -> tuple[Tensor, Tensor]:
        boxes = _drawn(prompts)
        sparse, dense = self.sam.prompt_encoder(
            points=self._points(prompts, boxes),
            boxes=None if boxes is None else self._scaled(boxes, prompts.mask),
            masks=self._mask(prompts.mask),
        )
        low, quality = self.sam.mask_decoder(
            image_embeddings=features.embedding,
            image_pe=self.sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse + self.structures(prompts.structure)[:, None],
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        size = tuple(prompts.mask.shape[-2:])
        return self.sam.postprocess_masks(low, (self.image_size,) * 2, size), quality

    def _points(self, prompts: PromptBatch, boxes: Tensor | None) -> tuple[Tensor, Tensor] | None:
        """Clicks in SAM's image; the padding is left out, since SAM would read it as a token."""
        real = prompts.signs[0] >= 0
        if not bool(real.any()) and boxes is not None:
            return None
        return self._scaled(prompts.points[:, real], prompts.mask), prompts.signs[:, real]

    def _scaled(self, places: Tensor, mask: Tensor) -> Tensor:
        """Places in pixels of the square (0 = center of the first) to pixels of SAM's image."""
        return (places + 0.5) * (self.image_size / mask.shape[-1]) - 0.5

    def _mask(self, mask: Tensor) -> Tensor | None:
        """The present mask as SAM's logits; None where it is empty, as SAM was trained."""
        if not bool((mask > 0.5).any()):
            return None
        shape = self.sam.prompt_encoder.mask_input_size
        scaled = functional.interpolate(mask.float(), shape, mode="bilinear", align_corners=False)
        return torch.logit(scaled, eps=1 - MASK_CONFIDENCE)


def _row(prompts: PromptBatch, row: int) -> PromptBatch:
    """The prompts of one slice, as a batch of one."""
    one = slice(row, row + 1)
    return PromptBatch(
        structure=prompts.structure[one],
        points=prompts.points[one],
        signs=prompts.signs[one],
        mask=prompts.mask[one],
        tissues=prompts.tissues[one],
        boxes=None if prompts.boxes is None else prompts.boxes[one],
    )


def _drawn(prompts: PromptBatch) -> Tensor | None:
    """The box; None where it is the whole square, which stands for no box in a mixed batch."""
    if prompts.boxes is None:
        return None
    last = prompts.mask.shape[-1] - 1
    whole = bool((prompts.boxes[:, :2] <= 0).all() and (prompts.boxes[:, 2:] >= last).all())
    return None if whole else prompts.boxes


def expected_shapes(architecture: Architecture) -> dict[str, Sequence[int]]:
    """Name and shape of every tensor in a published checkpoint, without making the network."""
    with torch.device("meta"):
        return {k: tuple(v.shape) for k, v in build_sam(architecture).state_dict().items()}

"""ASSN, the anatomical structure segmentation network of the cascade paper."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from myops.models.blocks import Decoder, Encoder, gate


class ASSN(nn.Module):
    """Three encoders, one per sequence, and one shared decoder: the LV epicardial region f(I).

    Left open by the paper: how the encoders meet. Here the three feature maps of a level are
    concatenated and mixed by a 1x1 convolution, which gives the shared decoder its skips.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.encoders = nn.ModuleList(Encoder(1, widths) for _ in range(3))
        self.mix = nn.ModuleList(
            nn.Sequential(nn.Conv2d(3 * width, width, 1), nn.ReLU(inplace=True)) for width in widths
        )
        self.decoder = Decoder(widths)
        self.head = nn.Conv2d(widths[0], 1, 1)

    def forward(self, images: Tensor, present: Tensor) -> Tensor:
        """Return logits (B, 1, H, W) of the LV epicardial region.

        Args:
            images: float (B, 3, H, W), channels bssfp, lge, t2, normalized over the crop.
            present: float (B, 3), 1 for a sequence the patient has, else 0.
        """
        sequences = [
            gate(encoder(images[:, k : k + 1]), present[:, k])
            for k, encoder in enumerate(self.encoders)
        ]
        shared = [
            mix(torch.cat(level, dim=1))
            for mix, level in zip(self.mix, zip(*sequences, strict=True), strict=True)
        ]
        return self.head(self.decoder(shared)[-1]).float()

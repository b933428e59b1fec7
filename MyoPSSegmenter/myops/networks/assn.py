"""ASSN, the anatomical structure segmentation network of the cascade paper."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from myops.networks.blocks import Decoder, Encoder, run_where_present


class ASSN(nn.Module):
    """Three encoders, one per sequence, and one shared decoder: the LV epicardial region f(I).

    Left open by the paper: how the encoders meet. Here the three feature maps of a level are
    concatenated and mixed by a 1x1 convolution, which gives the shared decoder its skips. With
    `planes` = 3 an encoder also sees the slices on either side (2.5D), with 1 the paper's one.
    """

    def __init__(self, widths: Sequence[int], planes: int = 1) -> None:
        super().__init__()
        self.widths, self.planes = tuple(widths), planes
        self.encoders = nn.ModuleList(Encoder(planes, widths) for _ in range(3))
        self.mix = nn.ModuleList(
            nn.Sequential(nn.Conv2d(3 * width, width, 1), nn.ReLU(inplace=True)) for width in widths
        )
        self.decoder = Decoder(widths)
        self.head = nn.Conv2d(widths[0], 1, 1)

    def forward(self, images: Tensor, present: Tensor) -> Tensor:
        """Return logits (B, 1, H, W) of the LV epicardial region.

        Args:
            images: float (B, 3 * planes, H, W), normalized over the crop; the planes of bssfp,
                then those of lge, then those of t2, each from the slice before to the one after.
            present: float (B, 3), 1 for a sequence the patient has, else 0.
        """
        sequences = [
            run_where_present(encoder, shown, present[:, k])
            for k, (encoder, shown) in enumerate(
                zip(self.encoders, images.split(self.planes, dim=1), strict=True)
            )
        ]
        shared = [
            mix(torch.cat(level, dim=1))
            for mix, level in zip(self.mix, zip(*sequences, strict=True), strict=True)
        ]
        return self.head(self.decoder(shared)[-1]).float()

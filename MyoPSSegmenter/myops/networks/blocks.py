"""Convolution blocks shared by the networks: double convolution, encoder, decoder."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

# Makes the normalization of so many channels.
Norm = Callable[[int], nn.Module]


class GroupNorm(nn.GroupNorm):
    """Group normalization of channels-last feature maps.

    torch's own is 14 times slower in that layout (24 channels of 80x80, bfloat16, forward and
    backward, one core) than in the plain one, which is worth two copies.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Normalize (B, C, H, W); the result is channels-last."""
        normalized = super().forward(features.contiguous())
        return normalized.contiguous(memory_format=torch.channels_last)


def group_norm(channels: int) -> GroupNorm:
    """Group normalization, up to 8 groups: a slice's features do not depend on its batch."""
    return GroupNorm(math.gcd(8, channels), channels)


def conv_norm_relu(
    channels_in: int, channels_out: int, stride: int = 1, norm: Norm = nn.BatchNorm2d
) -> nn.Sequential:
    """3x3 convolution, normalization (of the batch by default), ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False),
        norm(channels_out),
        nn.ReLU(inplace=True),
    )


def double_conv(channels_in: int, channels_out: int, norm: Norm = nn.BatchNorm2d) -> nn.Sequential:
    """Two 3x3 convolutions, the step of a U-Net."""
    return nn.Sequential(
        conv_norm_relu(channels_in, channels_out, norm=norm),
        conv_norm_relu(channels_out, channels_out, norm=norm),
    )


class Encoder(nn.Module):
    """Contracting path: a double convolution per level, 2x2 max pooling between levels."""

    def __init__(
        self, channels_in: int, widths: Sequence[int], norm: Norm = nn.BatchNorm2d
    ) -> None:
        super().__init__()
        inputs = (channels_in, *widths[:-1])
        self.levels = nn.ModuleList(
            double_conv(before, after, norm) for before, after in zip(inputs, widths, strict=True)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return one feature map per level, finest first.

        Args:
            images: (B, channels_in, H, W), H and W multiples of 2 ** (levels - 1).
        """
        features = [self.levels[0](images)]
        for level in self.levels[1:]:
            features.append(level(functional.max_pool2d(features[-1], 2)))
        return features


class DecoderLevel(nn.Module):
    """Bilinear upsampling by 2, skip connection, double convolution."""

    def __init__(self, channels_below: int, channels: int, norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels_below, channels, 1)
        self.fuse = double_conv(2 * channels, channels, norm)

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        """Return (B, channels, H, W) from below (B, channels_below, H/2, W/2) and its skip."""
        # Reducing before upsampling gives the same result as after it (both are linear and
        # commute) at a quarter of the cost.
        raised = functional.interpolate(
            self.reduce(below), scale_factor=2, mode="bilinear", align_corners=False
        )
        return self.fuse(torch.cat((skip, raised), dim=1))


class Decoder(nn.Module):
    """Expanding path of a U-Net over the encoder's feature maps."""

    def __init__(self, widths: Sequence[int], norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__()
        pairs = list(zip(widths[1:], widths[:-1], strict=True))
        self.levels = nn.ModuleList(
            DecoderLevel(below, width, norm) for below, width in reversed(pairs)
        )

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Return the decoder's feature maps, coarsest first; the last has the input's size.

        Args:
            features: encoder feature maps, finest first, one per width.
        """
        outputs = []
        below = features[-1]
        for level, skip in zip(self.levels, reversed(features[:-1]), strict=True):
            below = level(below, skip)
            outputs.append(below)
        return outputs


def run_where_present(
    part: Callable[[Tensor], Sequence[Tensor]], images: Tensor, present: Tensor
) -> list[Tensor]:
    """Run a sequence's part of a network where the sequence is present; zeros elsewhere.

    Absent images cost nothing and do not enter the batch's statistics.

    Args:
        part: images (B, C, H, W) to feature maps.
        images: of one sequence, (B, C, H, W).
        present: float (B,), 1 where the patient has this sequence, else 0.
    """
    rows = torch.nonzero(present > 0)[:, 0]
    if len(rows) == len(images):
        return list(part(images))
    # A batch without the sequence runs one image for the shapes; nothing of it is kept.
    shown = rows if len(rows) else rows.new_zeros(1)
    kept = (present[shown] > 0)[:, None, None, None]
    return [_spread(f * kept, shown, len(images)) for f in part(images[shown])]


def _spread(features: Tensor, rows: Tensor, count: int) -> Tensor:
    """Rows of a feature map at their places among `count`, zeros elsewhere."""
    whole = features.new_zeros((count, *features.shape[1:]))
    whole = whole.contiguous(memory_format=torch.channels_last)
    return whole.index_copy(0, rows, features)

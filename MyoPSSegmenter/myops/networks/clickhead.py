"""The click head: a small network for every pixel on planes that say what a click means.

The planes (`refine.click_planes`) hold what is known about a pixel relative to the click and to
the mask, smoothed where its neighbors matter. So a few thousand weights are enough, and a pixel is
judged by itself: only those that a click can mean are computed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

# Planes of its input: as many as `refine.click_planes` makes.
FEATURES = 53
# Logit where no pixel is computed: the structure is not there.
NOWHERE = -12.0
# Most pixels of a wall are healthy: what an untrained head begins with.
FIRST_LOGIT = -2.0


class ClickHead(nn.Module):
    """P(structure) of every pixel, as logits."""

    def __init__(self, widths: Sequence[int], size: int, features: int = FEATURES) -> None:
        """Build it with random weights.

        Args:
            widths: channels of its hidden layers.
            size: pixels per side of the squares that its planes are made in.
            features: planes of its input.
        """
        super().__init__()
        self.widths, self.size, self.features = tuple(widths), size, features
        layers: list[nn.Module] = []
        for before, after in zip((features, *widths), widths, strict=False):
            layers += [nn.Linear(before, after), nn.ReLU()]
        last = nn.Linear(widths[-1], 1)
        nn.init.constant_(last.bias, FIRST_LOGIT)
        self.layers = nn.Sequential(*layers, last)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (n,) of pixels (n, features), still planes first."""
        found: Tensor = self.layers(pixels)[:, 0]
        return found


def pixels_of(planes: Tensor, domain: Tensor) -> Tensor:
    """The pixels (n, features) of a domain, bool (B, S, S), in planes (B, features, S, S)."""
    return planes.permute(0, 2, 3, 1)[domain]


def on_square(logits: Tensor, domain: Tensor) -> Tensor:
    """Logits (n,) of a domain's pixels at their places (B, S, S); elsewhere `NOWHERE`."""
    whole = torch.full(domain.shape, NOWHERE, dtype=logits.dtype, device=logits.device)
    return whole.masked_scatter(domain, logits)


def build_clickhead(
    widths: Sequence[int] = (96, 64), size: int = 80, features: int = FEATURES
) -> ClickHead:
    """The click head: about 11,000 weights."""
    return ClickHead(widths, size, features)

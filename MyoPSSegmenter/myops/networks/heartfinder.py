"""Heart finder: a small U-Net on the full field of view that tells where the heart is."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from myops.networks.blocks import Decoder, Encoder


class HeartFinder(nn.Module):
    """Coarse LV epicardial region and right ventricle, so that no user has to crop.

    The cascade paper starts from images that were cropped around the heart by hand; this network
    replaces that hand. Absent sequences are zero images.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.encoder = Encoder(3, widths)
        self.decoder = Decoder(widths)
        self.head = nn.Conv2d(widths[0], 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, 2, H, W): LV epicardial region, right ventricle.

        Args:
            images: float (B, 3, H, W), channels bssfp, lge, t2, normalized over the volume.
        """
        return self.head(self.decoder(self.encoder(images))[-1]).float()

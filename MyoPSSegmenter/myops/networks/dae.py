"""DAE, the denoising autoencoder that knows plausible shapes of the LV region."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from myops.networks.blocks import conv_norm_relu


class DAE(nn.Module):
    """Encoder E to a small code and decoder D back: D(E(mask)), trained on corrupted masks.

    Left open by the paper: the size of the code. Here each encoder step halves the resolution, so
    that four of them lead from 128x128 to an 8x8 code; the last width is the code's depth.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = tuple(widths)
        inputs = (1, *widths[:-1])
        self.encoder = nn.Sequential(
            *(conv_norm_relu(a, b, stride=2) for a, b in zip(inputs, widths, strict=True))
        )
        outputs = (*reversed(widths[:-1]), widths[0])
        self.decoder = nn.Sequential(
            *(
                nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), conv_norm_relu(a, b))
                for a, b in zip(reversed(widths), outputs, strict=True)
            ),
            nn.Conv2d(widths[0], 1, 1),
        )

    def forward(self, mask: Tensor) -> Tensor:
        """Return the reconstruction D(E(mask)), float (B, 1, H, W) in 0..1.

        Args:
            mask: float (B, 1, H, W) in 0..1, H and W multiples of 2 ** len(widths).
        """
        return self.decoder(self.encoder(mask)).float().sigmoid()

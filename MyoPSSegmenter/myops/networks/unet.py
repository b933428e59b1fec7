"""A plain U-Net, the baseline of the papers' tables."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from myops.networks.blocks import Decoder, Encoder


class UNet(nn.Module):
    """A U-Net (Ronneberger et al. 2015) whose input channels are the sequences it may see.

    Several sequences are fused where they enter ("input fusion"): there is one encoder.
    """

    def __init__(self, widths: Sequence[int], sequences: Sequence[int], classes: int) -> None:
        """Build it with random weights.

        Args:
            widths: channels at every level, finest first.
            sequences: which of bssfp (0), lge (1), t2 (2) it sees.
            classes: of the softmax; the first is what is left.
        """
        super().__init__()
        self.widths, self.sequences = tuple(widths), tuple(sequences)
        self.encoder = Encoder(len(sequences), widths)
        self.decoder = Decoder(widths)
        self.head = nn.Conv2d(widths[0], classes, 1)

    def forward(self, images: Tensor, present: Tensor) -> Tensor:
        """Return logits (B, classes, H, W).

        Args:
            images: float (B, 3, H, W), bssfp, lge, t2; 0 for an absent sequence.
            present: float (B, 3), which sequences there are, as for the other networks; not needed,
                a plain U-Net sees an absent sequence as zeros.
        """
        shown = images[:, list(self.sequences)]
        logits: Tensor = self.head(self.decoder(self.encoder(shown))[-1]).float()
        return logits


def build_unet(
    sequences: Sequence[int], classes: int, widths: Sequence[int] = (16, 32, 64, 96, 128)
) -> UNet:
    """U-Net of the ASSN's five levels, so that a row differs by its idea and not by its size."""
    return UNet(widths, sequences, classes)

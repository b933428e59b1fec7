"""A DSS-Net-style network: a coarse stage finds the heart's anatomy, a fine stage scar and edema.

Only the abstract of DSS-Net is public to us (doi 10.3390/jimaging12060269). It names the two
stages, the Modality Dynamic Fusion Module (MDFM) and the Stage Feature Aggregation Module (SFAM);
what is inside them is our own design, see Docs/explanation/dssnet.md.

    images -> coarse: background, blood pool, wall ---- prior ----> fine: other, normal, edema, scar
                 `-- features of every level -- SFAM --------------^
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from myops.networks.blocks import Decoder, Encoder, run_where_present
from myops.sequences import NETWORK_SEQUENCES

SEQUENCES = len(NETWORK_SEQUENCES)
# Classes of the two stages in the order of their channels.
BACKGROUND, BLOOD_POOL, WALL = range(3)
OTHER, NORMAL, EDEMA, SCAR = range(4)
# The prior reaches so many pixels beyond the coarse LV: about 5 mm in squares of 128 pixels, more
# than the coarse stage's usual error at the epicardium.
REACH_PX = 4
# The prior never rules tissue out, or in, for good: its logarithm must stay finite.
PRIOR_LIMITS = (1e-3, 1 - 1e-3)


class MeanFusion(nn.Module):
    """Mean over the sequences that are there; what the MDFM is compared with."""

    def weights(self, features: Sequence[Tensor], present: Tensor) -> list[Tensor]:
        """Return three times (B, 1, 1, 1): 1 / count for a present sequence, 0 for an absent."""
        share = present / present.sum(dim=1, keepdim=True).clamp(min=1)
        return list(share[:, :, None, None].split(1, dim=1))

    def forward(self, features: Sequence[Tensor], present: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Fuse the features of one level.

        Args:
            features: of bssfp, lge and t2, each float (B, C, H, W), zeros where absent (see
                `run_where_present`).
            present: float (B, 3), 1 for a sequence the patient has, else 0.

        Returns:
            The weighted sum (B, C, H, W), and the weights of each sequence, in 0..1 and
            broadcastable to it.
        """
        weights = self.weights(features, present)
        first, second, third = (w.to(f.dtype) * f for w, f in zip(weights, features, strict=True))
        return first + second + third, weights


class MDFM(MeanFusion):
    """Modality Dynamic Fusion Module: the features themselves decide how much a sequence counts.

    Two softmaxes over the sequences: one per pixel (which sequence shows something here), one per
    channel (which one is worth listening to in this slice). A weight is the mean of both: where
    each is 1 in sum and 0 for an absent sequence, so is their mean, and no tensor of all sequences,
    channels and pixels has to be normalized. The scores start at zero, so that an untrained MDFM
    is the mean over the sequences.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.local = nn.Conv2d(SEQUENCES * channels, SEQUENCES, 1)
        self.squeeze = nn.Linear(SEQUENCES * channels + SEQUENCES, channels)
        self.excite = nn.Linear(channels, SEQUENCES * channels)
        for layer in (self.local, self.excite):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def weights(self, features: Sequence[Tensor], present: Tensor) -> list[Tensor]:
        """Return weights in 0..1, three times (B, C, H, W): sum 1, exactly 0 for the absent."""
        pooled = [functional.adaptive_avg_pool2d(f, 1)[:, :, 0, 0] for f in features]
        known = torch.cat((*pooled, present.to(pooled[0].dtype)), dim=1)
        channel = self.excite(torch.relu(self.squeeze(known))).unflatten(1, (SEQUENCES, -1))
        local = self.local(torch.cat(tuple(features), dim=1))
        per_channel = softmax_of_present(channel[..., None], present)
        per_pixel = softmax_of_present(local, present)
        weights = (
            (per_pixel[:, k : k + 1] + per_channel[:, k, :, :, None]) / 2 for k in range(SEQUENCES)
        )
        # The features' layout: without it every product, and all that follows, is copied.
        return [w.contiguous(memory_format=torch.channels_last) for w in weights]


def softmax_of_present(scores: Tensor, present: Tensor) -> Tensor:
    """Softmax over the sequences (axis 1 of (B, 3, X, Y)); an absent one gets exactly 0."""
    # The lowest number and not -inf: exp gives 0 all the same, and no NaN where nothing is present.
    lowest = torch.finfo(scores.dtype).min
    return torch.softmax(scores.masked_fill((present == 0)[:, :, None, None], lowest), dim=1)


class SFAM(nn.Module):
    """Stage Feature Aggregation Module: a learned gate lets the coarse stage's features in.

    Z = relu(F_fine + sigmoid(W_gate [F_fine, F_coarse]) (x) W_carry F_coarse), with a gate per
    pixel and channel and 1x1 convolutions.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Conv2d(2 * channels, channels, 1)
        self.carry = nn.Conv2d(channels, channels, 1)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Return the fine stage's features with the coarse ones, all float (B, C, H, W)."""
        gate = torch.sigmoid(self.gate(torch.cat((fine, coarse), dim=1)))
        return torch.relu(fine + gate * self.carry(coarse))


class SegmentationStage(nn.Module):
    """One stage: an encoder per sequence, fused at every level, and one decoder."""

    def __init__(
        self, widths: Sequence[int], planes: int, classes: int, mdfm: bool, sfam: bool = False
    ) -> None:
        """Build it with random weights.

        Args:
            widths: channels of the levels, finest first.
            planes: that every encoder sees.
            classes: of the softmax.
            mdfm: fuse by the MDFM, else by the mean.
            sfam: take in another stage's features.
        """
        super().__init__()
        self.encoders = nn.ModuleList(Encoder(planes, widths) for _ in range(SEQUENCES))
        self.fusions = nn.ModuleList(MDFM(width) if mdfm else MeanFusion() for width in widths)
        self.aggregations = nn.ModuleList(SFAM(width) for width in widths) if sfam else None
        self.decoder = Decoder(widths)
        self.head = nn.Conv2d(widths[0], classes, 1)

    def forward(
        self, shown: Sequence[Tensor], present: Tensor, carried: Sequence[Tensor] = ()
    ) -> tuple[Tensor, list[Tensor], list[list[Tensor]]]:
        """Run the stage.

        Args:
            shown: what the encoders of bssfp, lge and t2 see, each float (B, planes, H, W).
            present: float (B, 3), 1 for a sequence the patient has, else 0.
            carried: the other stage's features, one map per level, finest first.

        Returns:
            Logits float32 (B, classes, H, W); the features that the next stage may take in, one
            map per level, finest first; the three sequences' weights at every level.
        """
        encoded = [
            run_where_present(encoder, planes, present[:, k])
            for k, (encoder, planes) in enumerate(zip(self.encoders, shown, strict=True))
        ]
        levels = zip(self.fusions, zip(*encoded, strict=True), strict=True)
        fused, weights = map(list, zip(*(fuse(f, present) for fuse, f in levels), strict=True))
        if self.aggregations is not None:
            pairs = zip(self.aggregations, fused, carried, strict=True)
            fused = [aggregate(fine, coarse) for aggregate, fine, coarse in pairs]
        decoded = self.decoder(fused)
        features = [*reversed(decoded), fused[-1]]
        return self.head(decoded[-1]).float(), features, weights


class Dssnet(nn.Module):
    """Coarse and fine stage on the same square around the heart.

    Every part can be switched off, so that its worth can be measured.
    """

    def __init__(
        self, widths: Sequence[int], mdfm: bool = True, sfam: bool = True, prior: bool = True
    ) -> None:
        """Build it with random weights.

        Args:
            widths: channels of the levels of both stages, finest first.
            mdfm: weigh the sequences by content, else their mean.
            sfam: the fine stage takes in the coarse stage's features.
            prior: the fine stage sees the images near the coarse LV alone, beside the prior, and
                answers "other" elsewhere; else it sees the whole images.
        """
        super().__init__()
        self.widths = tuple(widths)
        # Whole numbers, as a file of weights stores them (myops.weights.files.ARCHITECTURE_KEYS).
        self.mdfm, self.sfam, self.prior = int(mdfm), int(sfam), int(prior)
        self.coarse = SegmentationStage(widths, 1, 3, mdfm)
        self.fine = SegmentationStage(widths, 2 if prior else 1, 4, mdfm, sfam)

    def forward(self, images: Tensor, present: Tensor) -> dict[str, Tensor]:
        """Return the logits of both stages.

        Args:
            images: float (B, 3, S, S), bssfp, lge, t2, normalized over the square to -4..4; S a
                multiple of 2 ** (levels - 1). What an absent sequence holds is never looked at.
            present: float (B, 3), 1 for a sequence the patient has, else 0.

        Returns:
            "coarse" float32 (B, 3, S, S): background, LV blood pool, myocardial wall;
            "fine" float32 (B, 4, S, S): other, normal myocardium, edema, scar. Both softmax.
        """
        return self._run(images, present)[0]

    def modality_weights(self, images: Tensor, present: Tensor) -> dict[str, list[Tensor]]:
        """How much each sequence counts, to look at: mean over the channels, sum 1.

        Args:
            images: see `forward`.
            present: see `forward`.

        Returns:
            "coarse" and "fine", one float tensor (B, 3, H, W) in 0..1 per level, finest first
            (H = W = 1 for the mean).
        """
        found = self._run(images, present)[1]
        return {
            name: [
                torch.cat([w.mean(dim=1, keepdim=True) for w in level], dim=1) for level in levels
            ]
            for name, levels in found.items()
        }

    def _run(
        self, images: Tensor, present: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, list[list[Tensor]]]]:
        shown = images.masked_fill((present == 0)[:, :, None, None], 0).split(1, dim=1)
        coarse, features, coarse_weights = self.coarse(shown, present)
        prior = lv_prior(coarse) if self.prior else None
        if prior is not None:
            shown = tuple(torch.cat((image * prior, prior), dim=1) for image in shown)
        carried = features if self.sfam else ()
        fine, _, fine_weights = self.fine(shown, present, carried)
        if prior is not None:
            fine = constrain(fine, prior)
        weights = {"coarse": coarse_weights, "fine": fine_weights}
        return {"coarse": coarse, "fine": fine}, weights


def lv_prior(coarse: Tensor) -> Tensor:
    """Where the left ventricle is, by the coarse stage, and a little beyond.

    No gradient: the coarse stage shall learn anatomy from its own loss, and not move the wall to
    where the fine stage would like to see less.

    Args:
        coarse: logits float (B, 3, H, W).

    Returns:
        float (B, 1, H, W) in 0..1.
    """
    inside = torch.softmax(coarse.detach(), dim=1)[:, BLOOD_POOL:].sum(dim=1, keepdim=True)
    return dilate(inside)


def dilate(region: Tensor) -> Tensor:
    """A region (B, 1, H, W) in 0..1 grown by `REACH_PX` in its plane, with a soft border."""
    grown = functional.max_pool2d(region, 2 * REACH_PX + 1, stride=1, padding=REACH_PX)
    return functional.avg_pool2d(grown, 3, stride=1, padding=1, count_include_pad=False)


def constrain(fine: Tensor, prior: Tensor) -> Tensor:
    """P(tissue) = P(near the LV) * P(tissue | near the LV); what is left goes to "other".

    The images alone cannot hold the fine stage back: a bias, or the coarse stage's features, could
    still speak of scar far outside. With the product no tissue's probability exceeds the prior.

    Args:
        fine: logits float (B, 4, H, W).
        prior: float (B, 1, H, W) in 0..1.

    Returns:
        Log-probabilities float (B, 4, H, W); as logits they are their own softmax.
    """
    near = prior.clamp(*PRIOR_LIMITS)
    given_near = functional.log_softmax(fine, dim=1)
    other, tissues = given_near[:, :NORMAL], given_near[:, NORMAL:]
    turned_down = torch.log1p(-near) + torch.logsumexp(tissues, dim=1, keepdim=True)
    return torch.cat((torch.logaddexp(other, turned_down), tissues + torch.log(near)), dim=1)


def build_dssnet(
    widths: Sequence[int] = (16, 32, 64, 96),
    mdfm: bool = True,
    sfam: bool = True,
    prior: bool = True,
) -> Dssnet:
    """DSS-Net-style network: 4 levels in both stages, 128x128 pixels down to 16x16."""
    return Dssnet(widths, mdfm, sfam, prior)

"""PRSN, the pathological region segmentation network of the cascade paper."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from myops.networks.blocks import Decoder, Encoder, double_conv, run_where_present


class CAFB(nn.Module):
    """Channel-attention fusion block.

    Z_concat = [F_bSSFP, F_LGE, F_T2, F_main]
    Z_CA = sigmoid(W2 relu(W1 avgpool(Z_concat)))
    Z = relu(W3 (Z_CA (x) Z_concat))

    Left open by the paper: the bottleneck of W1 (here a quarter of the channels) and the kernels
    (here 1x1 everywhere).
    """

    def __init__(self, channels_concat: int, channels_out: int) -> None:
        super().__init__()
        self.w1 = nn.Conv2d(channels_concat, channels_concat // 4, 1)
        self.w2 = nn.Conv2d(channels_concat // 4, channels_concat, 1)
        self.w3 = nn.Conv2d(channels_concat, channels_out, 1)

    def forward(self, features: Sequence[Tensor], present: Tensor) -> Tensor:
        """Fuse the four branches; the features of an absent sequence count as zeros.

        Args:
            features: F_bSSFP, F_LGE, F_T2, F_main, each (B, C, H, W).
            present: float (B, 3), 1 for a sequence the patient has, else 0.

        Returns:
            Z (B, channels_out, H, W).
        """
        z_concat = torch.cat(tuple(features), dim=1)
        # Presence scales whole channels, so it commutes with the average and with W3: applied to
        # the small pooled tensors it equals silencing the full feature maps, without the cost.
        everything = torch.cat((present, torch.ones_like(present[:, :1])), dim=1)
        silence = everything.repeat_interleave(features[0].shape[1], dim=1)[:, :, None, None]
        pooled = functional.adaptive_avg_pool2d(z_concat, 1) * silence
        z_ca = torch.sigmoid(self.w2(torch.relu(self.w1(pooled)))) * silence
        return torch.relu(self.w3(z_ca.to(z_concat.dtype) * z_concat))


class MFB(nn.Module):
    """Fusion by summation, product and maximization: what the paper's MFB-PRSN has for a CAFB.

    Z = relu(W [sum, product, max]) over F_bSSFP, F_LGE, F_T2 and F_main. Left open by the paper:
    the mixing, here a 1x1 convolution, and the product of many features, here of their values
    squashed by tanh so that it neither vanishes nor explodes.
    """

    def __init__(self, channels: int, channels_out: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3 * channels, channels_out, 1)

    def forward(self, features: Sequence[Tensor], present: Tensor) -> Tensor:
        """Fuse the four branches; see `CAFB.forward`. An absent sequence is neutral everywhere."""
        everything = torch.cat((present, torch.ones_like(present[:, :1])), dim=1)
        shown = everything.to(features[0].dtype)[:, :, None, None, None]
        stacked = torch.stack(tuple(features), dim=1)
        total = (stacked * shown).sum(dim=1)
        product = (torch.tanh(stacked) * shown + (1 - shown)).prod(dim=1)
        # Features come out of a ReLU: the zeros of an absent sequence are never above the others.
        largest = (stacked * shown).amax(dim=1)
        return torch.relu(self.mix(torch.cat((total, product, largest), dim=1)))


FUSIONS = ("cafb", "mfb")


class Branch(nn.Module):
    """U-Net of one sequence: B_bSSFP, B_LGE or B_T2."""

    def __init__(self, widths: Sequence[int], classes: int, planes: int) -> None:
        super().__init__()
        self.encoder = Encoder(planes, widths)
        self.decoder = Decoder(widths)
        self.head = nn.Conv2d(widths[0], classes, 1)

    def forward(self, candidate: Tensor, present: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the branch's logits and its encoder features, finest first; zeros if absent.

        Args:
            candidate: float (B, planes, H, W).
            present: float (B,), 1 where the patient has this sequence, else 0.
        """
        logits, *encoded = run_where_present(self._run, candidate, present)
        return logits, encoded

    def encode(self, candidate: Tensor, present: Tensor) -> list[Tensor]:
        """Return the encoder features alone, as in `forward`."""
        return run_where_present(self.encoder, candidate, present)

    def _run(self, candidate: Tensor) -> list[Tensor]:
        encoded = self.encoder(candidate)
        return [self.head(self.decoder(encoded)[-1]).float(), *encoded]


class MainBranch(nn.Module):
    """B_main: a U-Net whose encoder fuses the three branches by a CAFB at every level."""

    def __init__(
        self,
        widths: Sequence[int],
        planes: int,
        classes: int,
        fusion: str = "cafb",
        mvo: bool = False,
    ) -> None:
        super().__init__()
        inputs = (3 * planes, *widths[:-1])
        self.levels = nn.ModuleList(double_conv(a, b) for a, b in zip(inputs, widths, strict=True))
        self.fusions = nn.ModuleList(
            CAFB(4 * width, width) if fusion == "cafb" else MFB(width, width) for width in widths
        )
        self.decoder = Decoder(widths)
        self.head = nn.Conv2d(widths[0], classes, 1)
        if mvo:
            self.mvo = nn.Conv2d(widths[0], 1, 1)

    def forward(
        self, candidates: Tensor, branches: Sequence[Sequence[Tensor]], present: Tensor
    ) -> dict[str, Tensor]:
        """Return "main" and, where the network tells it, "mvo"; see `PRSN.forward`."""
        fused: list[Tensor] = []
        for level, fuse, features in zip(
            self.levels, self.fusions, zip(*branches, strict=True), strict=True
        ):
            below = functional.max_pool2d(fused[-1], 2) if fused else candidates
            fused.append(fuse((*features, level(below)), present))
        decoded = self.decoder(fused)[-1]
        logits = {"main": self.head(decoded).float()}
        if hasattr(self, "mvo"):
            logits["mvo"] = self.mvo(decoded).float()
        return logits


class PRSN(nn.Module):
    """Four branches over the candidate images C_k = I_k (x) f(I).

    With `planes` = 3 every branch also sees the slices on either side (2.5D), with 1 the paper's
    one slice. With a `margin` it looks that many pixels beyond f(I) and has a fifth class,
    "outside": it sees what the wall borders on, and must find the wall itself. `fusion` "mfb" has
    the paper's rival in the CAFBs' place. With `mvo` it also tells microvascular obstruction from
    the rest of the scar.
    """

    def __init__(
        self,
        widths: Sequence[int],
        planes: int = 1,
        margin: int = 0,
        fusion: str = "cafb",
        mvo: int = 0,
    ) -> None:
        super().__init__()
        self.widths, self.planes, self.margin, self.mvo = tuple(widths), planes, margin, mvo
        self.bssfp = Branch(widths, 1, planes)
        self.lge = Branch(widths, 3, planes)
        self.t2 = Branch(widths, 3, planes)
        self.main = MainBranch(widths, planes, 5 if margin else 4, fusion, mvo > 0)

    def forward(self, candidates: Tensor, present: Tensor) -> dict[str, Tensor]:
        """Return the logits of every branch.

        Args:
            candidates: float (B, 3 * planes, H, W), 0 outside the LV region; the planes of bssfp,
                then those of lge, then those of t2, each from the slice before to the one after.
            present: float (B, 3), 1 for a sequence the patient has, else 0.

        Returns:
            "main" (B, 4 or 5, H, W): blood pool or other, normal myocardium, edema, scar, and with
            a margin outside (softmax);
            "bssfp" (B, 1, H, W): myocardium (sigmoid);
            "mvo" (B, 1, H, W), where the network tells it: microvascular obstruction given that a
            pixel is scar (sigmoid), see Docs/explanation/cascade-choices.md;
            "lge" (B, 3, H, W): other, normal myocardium, scar (softmax);
            "t2" (B, 3, H, W): other, normal myocardium, edema (softmax).
        """
        shown = candidates.split(self.planes, dim=1)
        bssfp, features_bssfp = self.bssfp(shown[0], present[:, 0])
        lge, features_lge = self.lge(shown[1], present[:, 1])
        t2, features_t2 = self.t2(shown[2], present[:, 2])
        main = self.main(candidates, (features_bssfp, features_lge, features_t2), present)
        return {**main, "bssfp": bssfp, "lge": lge, "t2": t2}

    def main_logits(self, candidates: Tensor, present: Tensor) -> dict[str, Tensor]:
        """Return "main" and "mvo" as `forward` does, at half its cost.

        The branches' decoders and heads, which training needs, do not feed the main branch.
        """
        shown = candidates.split(self.planes, dim=1)
        branches = (self.bssfp, self.lge, self.t2)
        features = [
            branch.encode(images, present[:, k])
            for k, (branch, images) in enumerate(zip(branches, shown, strict=True))
        ]
        return self.main(candidates, features, present)

"""Networks ready to run: batch normalization folded into the convolution before it.

At inference the normalization is one factor and one summand per channel, which the convolution's
kernel and bias can carry. Every feature map is written once less. A folded network cannot be
trained on.
"""

from __future__ import annotations

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_normalization(network: nn.Module) -> nn.Module:
    """Fold each batch normalization that follows a convolution in a `Sequential` into it.

    Args:
        network: in evaluation mode; changed in place.

    Returns:
        The same network. Its outputs differ by rounding alone.
    """
    for part in list(network.modules()):
        if not isinstance(part, nn.Sequential):
            continue
        for index in range(len(part) - 1):
            convolution, norm = part[index], part[index + 1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                part[index] = fuse_conv_bn_eval(convolution, norm)
                part[index + 1] = nn.Identity()
    return network

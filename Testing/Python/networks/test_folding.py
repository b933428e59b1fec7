"""Batch normalization folded into the convolution before it."""

import torch
from torch import nn

from myops.networks.build import build_assn, build_heartfinder, build_prsn
from myops.networks.folding import fold_normalization


def trained(network):
    """A network whose normalization has statistics and factors that are not 0 and 1."""
    generator = torch.Generator().manual_seed(5)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            for values, low in ((part.running_mean, -1), (part.running_var, 0.5)):
                values.copy_(low + 2 * torch.rand(values.shape, generator=generator))
            with torch.no_grad():
                part.weight.uniform_(0.5, 2.0, generator=generator)
                part.bias.uniform_(-1.0, 1.0, generator=generator)
    return network.eval()


def test_a_folded_convolution_has_the_kernel_and_bias_of_the_formula():
    convolution, norm = nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1, eps=0.0)
    with torch.no_grad():
        convolution.weight.fill_(3.0)
        norm.weight.fill_(4.0)
        norm.bias.fill_(1.0)
    norm.running_mean.fill_(2.0)
    norm.running_var.fill_(16.0)
    folded = fold_normalization(nn.Sequential(convolution, norm).eval())
    # (3 x - 2) / 4 * 4 + 1 = 3 x - 1
    assert (folded[0].weight.item(), folded[0].bias.item()) == (3.0, -1.0)
    assert isinstance(folded[1], nn.Identity)


def test_folded_networks_say_the_same_and_have_no_normalization_left():
    present = torch.ones(2, 3)
    for build, arguments in ((build_heartfinder, ()), (build_assn, (present,)),
                             (build_prsn, (present,))):  # fmt: skip
        torch.manual_seed(6)
        network = trained(build((4, 8)))
        images = torch.randn(2, 3, 32, 32)
        with torch.no_grad():
            before = network(images, *arguments)
            after = fold_normalization(network)(images, *arguments)
        assert not any(isinstance(part, nn.BatchNorm2d) for part in network.modules())
        torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)

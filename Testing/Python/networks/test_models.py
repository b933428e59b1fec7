"""The networks: equations by hand, absent sequences, and that every part takes part."""

import numpy as np
import pytest
import torch

from myops.networks.blocks import DecoderLevel, run_where_present
from myops.networks.build import build_assn, build_dae, build_heartfinder, build_prsn
from myops.networks.device import available_devices, resolve_device
from myops.networks.prsn import CAFB
from myops.training.checkpoint import load_weights
from myops.weights.files import save_weights

ALL = torch.ones(2, 3)


def images(size=32, batch=2, seed=0):
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(seed))


def by_hand(block, z_concat):
    """The paper's equation in NumPy, for one image (C, H, W)."""
    w1, w2, w3 = (w.weight.detach().numpy()[:, :, 0, 0] for w in (block.w1, block.w2, block.w3))
    b1, b2, b3 = (w.bias.detach().numpy() for w in (block.w1, block.w2, block.w3))
    pooled = z_concat.mean(axis=(1, 2))
    attention = 1 / (1 + np.exp(-(w2 @ np.maximum(w1 @ pooled + b1, 0) + b2)))
    z = np.einsum("oc,chw->ohw", w3, attention[:, None, None] * z_concat) + b3[:, None, None]
    return np.maximum(z, 0)


def test_cafb_is_the_papers_equation():
    torch.manual_seed(1)
    block = CAFB(8, 3)
    features = [torch.randn(1, 2, 4, 5) for _ in range(4)]
    with torch.no_grad():
        z = block(features, torch.ones(1, 3))[0].numpy()
    expected = by_hand(block, torch.cat(features, dim=1)[0].numpy())
    np.testing.assert_allclose(z, expected, atol=1e-6)


def test_cafb_counts_the_features_of_an_absent_sequence_as_zeros():
    torch.manual_seed(1)
    block = CAFB(8, 3)
    features = [torch.randn(1, 2, 4, 5) for _ in range(4)]
    with torch.no_grad():
        z = block(features, torch.tensor([[1.0, 0.0, 1.0]]))[0].numpy()
    features[1] = torch.zeros(1, 2, 4, 5)
    np.testing.assert_allclose(z, by_hand(block, torch.cat(features, 1)[0].numpy()), atol=1e-6)


@pytest.mark.parametrize("absent", [0, 1, 2])
def test_what_an_absent_sequence_shows_changes_nothing(absent):
    present = ALL.clone()
    present[:, absent] = 0
    other = images()
    other[:, absent] += 5 * images(seed=9)[:, absent]
    torch.manual_seed(2)
    assn, prsn = build_assn((4, 8)).eval(), build_prsn((4, 8)).eval()
    with torch.no_grad():
        torch.testing.assert_close(assn(images(), present), assn(other, present))
        assert not torch.equal(assn(images(), ALL), assn(other, ALL))
        # B_main also sees the candidates themselves, which are zero for an absent sequence.
        branches = [
            tuple(network(shown[:, k : k + 1], present[:, k])[1] for shown in (images(), other))
            for k, network in enumerate((prsn.bssfp, prsn.lge, prsn.t2))
        ]
        first, second = (
            prsn.main(images(), [pair[i] for pair in branches], present) for i in (0, 1)
        )
        torch.testing.assert_close(first, second)


def test_a_part_runs_on_the_images_that_have_the_sequence_alone():
    seen = []

    def part(shown):
        seen.append(len(shown))
        return [2 * shown, shown.sum(dim=(2, 3), keepdim=True)]

    shown = images()[:, :1]
    doubled, sums = run_where_present(part, shown, torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(doubled[1], 2 * shown[1])
    torch.testing.assert_close(sums[1, 0, 0, 0], shown[1].sum())
    assert not doubled[0].any() and not sums[0].any()
    nothing = run_where_present(part, shown, torch.zeros(2))
    assert [tuple(f.shape) for f in nothing] == [(2, 1, 32, 32), (2, 1, 1, 1)]
    assert not any(f.any() for f in nothing)
    assert seen == [1, 1]  # one image tells the shapes of a batch without the sequence


def test_absent_images_do_not_enter_the_statistics_of_the_batch():
    torch.manual_seed(6)
    network = build_assn((4, 8)).train()
    present = torch.tensor([[1.0, 1, 1], [0, 1, 1]])
    network(images(), present)
    mean = network.encoders[0].levels[0][0][1].running_mean.clone()
    alone = build_assn((4, 8)).train()
    alone.load_state_dict(network.state_dict())
    alone.encoders[0].levels[0][0][1].running_mean.zero_()
    alone(images()[:1], torch.ones(1, 3))
    torch.testing.assert_close(mean, alone.encoders[0].levels[0][0][1].running_mean)


@pytest.mark.parametrize(("build", "size"), [(build_assn, 32), (build_prsn, 32)])
def test_a_network_of_three_planes_starts_as_the_network_of_one_and_then_sees_neighbors(
    build, size, tmp_path
):
    torch.manual_seed(7)
    one, three = build((4, 8)).eval(), build((4, 8), planes=3).eval()
    save_weights(one, tmp_path / "one.safetensors", {"network": "any"})
    load_weights(tmp_path / "one.safetensors", three)
    stack = torch.randn(2, 9, size, size)
    with torch.no_grad():
        expected, found = one(stack[:, 1::3], ALL), three(stack, ALL)
        for before, after in zip(as_list(expected), as_list(found), strict=True):
            torch.testing.assert_close(before, after, atol=2e-3, rtol=2e-3)  # stored as float16
        fresh = build((4, 8), planes=3).eval()
        other = stack.clone()
        other[:, 3] += 1  # the LGE of the slice before
        same = [torch.equal(a, b) for a, b in zip(as_list(fresh(stack, ALL)),
                as_list(fresh(other, ALL)), strict=True)]  # fmt: skip
    assert not all(same)


def as_list(output):
    return list(output.values()) if isinstance(output, dict) else [output]


def test_every_branch_of_the_prsn_sees_its_own_sequence_alone():
    torch.manual_seed(3)
    network = build_prsn((4, 8)).eval()
    with torch.no_grad():
        before = network(images(), ALL)
        changed = images()
        changed[:, 1] += 1
        after = network(changed, ALL)
    assert {name: logits.shape[1] for name, logits in before.items()} == {
        "main": 4, "bssfp": 1, "lge": 3, "t2": 3,
    }  # fmt: skip
    assert torch.equal(before["bssfp"], after["bssfp"]) and torch.equal(before["t2"], after["t2"])
    assert not torch.equal(before["lge"], after["lge"])
    assert not torch.equal(before["main"], after["main"])


def test_the_loss_reaches_every_weight():
    torch.manual_seed(4)
    for network, arguments in (
        (build_heartfinder((4, 8, 8)), (images(),)),
        (build_assn((4, 8, 8)), (images(), ALL)),
        (build_dae((4, 8)), (images()[:, :1].sigmoid(),)),
        (build_prsn((4, 8, 8)), (images(), ALL)),
    ):
        output = network(*arguments)
        outputs = output.values() if isinstance(output, dict) else [output]
        sum(logits.square().mean() for logits in outputs).backward()
        idle = [name for name, p in network.named_parameters() if p.grad is None]
        assert idle == []


def test_the_dae_squeezes_a_mask_through_a_code_of_8x8x32():
    network = build_dae().eval()
    mask = torch.zeros(1, 1, 128, 128)
    mask[:, :, 30:90, 30:90] = 1
    with torch.no_grad():
        assert network.encoder(mask).shape == (1, 32, 8, 8)
        reconstruction = network(mask)
    assert reconstruction.shape == mask.shape
    assert reconstruction.min() >= 0 and reconstruction.max() <= 1


def test_reducing_channels_before_upsampling_gives_what_it_gives_after():
    level = DecoderLevel(6, 3)
    below = torch.randn(1, 6, 5, 7)
    double = {"scale_factor": 2, "mode": "bilinear", "align_corners": False}
    with torch.no_grad():
        before = torch.nn.functional.interpolate(level.reduce(below), **double)
        after = level.reduce(torch.nn.functional.interpolate(below, **double))
    torch.testing.assert_close(before, after)


def test_all_weights_together_stay_below_20_mb_in_half_precision():
    networks = (build_heartfinder(), build_assn(), build_dae(), build_prsn())
    count = sum(p.numel() for network in networks for p in network.parameters())
    assert 2 * count < 20e6


@pytest.mark.slow
def test_a_network_learns_to_outline_a_disc():
    torch.manual_seed(5)
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    centers = torch.randint(10, 22, (16, 2)).float()
    disc = torch.stack([(y - cy) ** 2 + (x - cx) ** 2 < 36 for cy, cx in centers])[:, None]
    noisy = disc.float() + 0.5 * torch.randn(16, 3, 32, 32)
    network = build_assn((8, 16, 16))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(25):
        optimizer.zero_grad()
        logits = network(noisy, torch.ones(16, 3))
        torch.nn.functional.binary_cross_entropy_with_logits(logits, disc.float()).backward()
        optimizer.step()
    found = logits > 0
    assert 2 * (found & disc).sum() / (found.sum() + disc.sum()) > 0.95


def test_an_unavailable_device_is_refused_with_the_list_of_those_there_are():
    with pytest.raises(ValueError, match="expected auto or one of cpu"):
        resolve_device("cuda:99")
    with pytest.raises(ValueError, match="'gpu' is not available"):
        resolve_device("gpu")
    assert resolve_device("cpu").type == "cpu"
    assert str(resolve_device("auto")) in available_devices()


def test_a_prsn_with_a_margin_starts_as_the_one_without(tmp_path):
    torch.manual_seed(1)
    plain, beyond = build_prsn((4, 8)).eval(), build_prsn((4, 8), margin=3).eval()
    save_weights(plain, tmp_path / "prsn.safetensors", {"network": "prsn"})
    load_weights(tmp_path / "prsn.safetensors", beyond)
    with torch.no_grad():
        before, after = (n(images(), ALL)["main"].softmax(dim=1) for n in (plain, beyond))
    stored_as_float16 = {"atol": 2e-3, "rtol": 2e-3}
    torch.testing.assert_close(after[:, 1:4], before[:, 1:], **stored_as_float16)
    torch.testing.assert_close(after[:, 0], after[:, 4])
    torch.testing.assert_close(after[:, 0] + after[:, 4], before[:, 0], **stored_as_float16)


def test_the_main_branch_alone_says_what_the_whole_prsn_says():
    torch.manual_seed(4)
    network = build_prsn((4, 8), planes=3, margin=2, mvo=1).eval()
    stack = torch.randn(2, 9, 32, 32)
    present = torch.tensor([[1.0, 1, 1], [0, 1, 0]])
    with torch.no_grad():
        whole, alone = network(stack, present), network.main_logits(stack, present)
    assert set(alone) == {"main", "mvo"}
    assert all(torch.equal(alone[name], whole[name]) for name in alone)

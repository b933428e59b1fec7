"""LoRA and adapters: no change before training, few numbers trained, merged and stored exactly."""

from __future__ import annotations

import pytest
import torch
from tiny_sam import TINY, clicks, save_tiny, squares, tiny_refiner

from myops.errors import InputError
from myops.io.checksum import file_sha256
from myops.networks.lora import AdaptedMlp, LoraLinear, adapt, count_parts, merge
from myops.networks.sam import ARCHITECTURES
from myops.weights.learned import learned_in
from myops.weights.sam_adaptation import (
    load_sam_refiner,
    read_adaptation,
    save_adaptation,
    start_sam_refiner,
)


@pytest.fixture(autouse=True)
def tiny_is_known(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)


def answer(refiner):
    with torch.no_grad():
        return torch.cat(
            [x.flatten() for x in refiner.decode(refiner.encode(*squares()), clicks())]
        )


def train_a_step(refiner):
    """One step of gradient descent on everything that may change."""
    chosen = [p for p in refiner.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(chosen, lr=0.05)
    logits, quality = refiner.decode(refiner.encode(*squares()), clicks())
    (logits.square().mean() + quality.square().mean()).backward()
    optimizer.step()
    refiner.zero_grad()


def test_lora_adds_alpha_over_rank_times_b_a_x():
    layer = torch.nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        layer.bias.copy_(torch.tensor([0.5, -0.5]))
        lora = LoraLinear(layer, rank=1, alpha=3.0)
        lora.lora_down.copy_(torch.tensor([[1.0, -1.0]]))
        lora.lora_up.copy_(torch.tensor([[2.0], [0.0]]))
        x = torch.tensor([[5.0, 1.0]])
        # W x + b = [7.5, 18.5]; B A x = [2 * 4, 0]; times alpha / rank = 3.
        assert lora(x).tolist() == [[7.5 + 24.0, 18.5]]
        assert lora.merged()(x).tolist() == [[31.5, 18.5]]
        assert lora.merged().weight.tolist() == [[7.0, -4.0], [3.0, 4.0]]


def test_an_adapter_adds_its_bottleneck_beside_the_mlp():
    block = tiny_refiner().sam.image_encoder.blocks[0]
    plain = block.mlp
    adapted = AdaptedMlp(plain, rank=1)
    x = torch.ones(1, 32)
    with torch.no_grad():
        adapted.adapter_down.weight.fill_(0.25)
        adapted.adapter_down.bias.fill_(-3.0)
        adapted.adapter_up.weight.fill_(2.0)
        # 32 * 0.25 - 3 = 5, times 2.
        torch.testing.assert_close(adapted(x), plain(x) + 10.0)


@pytest.mark.parametrize("how", ["none", "lora", "adapter", "full"])
def test_adapting_changes_no_answer_before_training(how):
    refiner = tiny_refiner()
    before = answer(refiner)
    adapt(refiner, how, rank=3)
    assert torch.equal(answer(refiner), before)


def test_what_is_trained_and_what_is_frozen_is_counted():
    refiner = tiny_refiner()
    whole, frozen_before = count_parts(refiner)
    assert frozen_before == {}
    found = adapt(refiner, "lora", rank=4)
    # Two blocks: qkv 4 * 32 + 96 * 4, proj 4 * 32 + 32 * 4.
    assert found.trained["LoRA"] == 2 * (4 * 32 + 96 * 4 + 4 * 32 + 32 * 4)
    assert found.trained["mask decoder"] == whole["mask decoder"]
    assert found.trained["structures"] == 5 * 32
    assert found.frozen == {name: whole[name] for name in ("image encoder", "prompt encoder")}
    assert "LoRA (1,536)" in str(found).partition("; frozen ")[0]

    found = adapt(tiny_refiner(), "adapter", rank=4)
    # Two blocks: down 32 * 4 + 4, up 4 * 32 + 32.
    assert found.trained["adapters"] == 2 * (32 * 4 + 4 + 4 * 32 + 32)

    assert adapt(tiny_refiner(), "full").frozen == {}
    nothing = adapt(tiny_refiner(), "none")
    assert nothing.trained == {} and nothing.frozen == whole
    assert str(nothing).startswith("none: trained nothing; frozen ")


@pytest.mark.parametrize("how", ["lora", "adapter", "full"])
def test_a_step_changes_what_is_trained_and_nothing_else(how):
    refiner = tiny_refiner()
    adapt(refiner, how, rank=2)
    before = {name: value.clone() for name, value in refiner.named_parameters()}
    train_a_step(refiner)
    changed = {n for n, v in refiner.named_parameters() if not torch.equal(v, before[n])}
    trained = {n for n, v in refiner.named_parameters() if v.requires_grad}
    assert changed <= trained
    assert "structures.weight" in changed
    grown = {
        "lora": "attn.qkv.lora_up",
        "adapter": "mlp.adapter_up.weight",
        "full": "attn.qkv.bias",
    }
    for block in range(2):
        assert f"sam.image_encoder.blocks.{block}.{grown[how]}" in changed


def test_merged_lora_answers_as_unmerged_and_leaves_plain_layers():
    refiner = tiny_refiner()
    adapt(refiner, "lora", rank=2, alpha=8.0)
    before = answer(refiner)
    train_a_step(refiner)
    trained = answer(refiner)
    assert not torch.allclose(trained, before)
    merge(refiner)
    torch.testing.assert_close(answer(refiner), trained, atol=1e-4, rtol=1e-4)
    assert not any(isinstance(module, LoraLinear) for module in refiner.modules())


@pytest.mark.parametrize("rank", [0, 33])
def test_a_rank_beyond_the_layers_is_refused(rank):
    with pytest.raises(InputError, match=f"expected a rank from 1 to 32, found {rank}"):
        adapt(tiny_refiner(), "lora", rank)


def test_an_unknown_method_and_a_second_adaptation_are_refused():
    refiner = tiny_refiner()
    with pytest.raises(InputError, match="among none, lora, adapter, full, found 'prefix'"):
        adapt(refiner, "prefix")
    adapt(refiner, "adapter")
    with pytest.raises(InputError, match="expected a network without LoRA or adapters"):
        adapt(refiner, "lora")


@pytest.fixture
def trained(tmp_path):
    """Give a function that trains one step on a stored base and saves the adaptation."""

    def make(how):
        base = save_tiny(tmp_path / "base.pth")
        refiner, architecture = start_sam_refiner(base, size=24)
        adaptation = adapt(refiner, how, rank=2)
        train_a_step(refiner)
        path = tmp_path / "ours.safetensors"
        origin = (architecture, file_sha256(base))
        save_adaptation(refiner.eval(), path, adaptation, origin, {"seeds": [1]})
        return refiner, path, base

    return make


@pytest.mark.parametrize("how", ["lora", "adapter", "full"])
def test_a_stored_adaptation_on_its_base_answers_as_after_training(trained, how):
    refiner, path, base = trained(how)
    loaded = load_sam_refiner(path, "tiny", None if how == "full" else base)
    torch.testing.assert_close(answer(loaded), answer(refiner), atol=1e-4, rtol=1e-4)
    assert loaded.size == 24 and not loaded.training
    header = read_adaptation(path)
    assert (header["how"], header["rank"], header["seeds"]) == (
        how, "0" if how == "full" else "2", "[1]",
    )  # fmt: skip


def test_a_lora_file_holds_only_what_was_trained(trained):
    _, path, base = trained("lora")
    assert path.stat().st_size < base.stat().st_size
    from myops.weights.files import load_tensors

    names = set(load_tensors(path))
    assert not any("image_encoder" in n and "lora_" not in n for n in names)
    assert "structures.weight" in names


def test_an_adaptation_without_its_base_or_on_another_one_is_refused(trained, tmp_path):
    _, path, _ = trained("lora")
    with pytest.raises(InputError, match="expected its base checkpoint .* found none"):
        load_sam_refiner(path, "tiny")
    other = save_tiny(tmp_path / "other.pth", seed=1)
    with pytest.raises(InputError, match=r"found .*other\.pth with"):
        load_sam_refiner(path, "tiny", other)


def test_an_adaptation_whose_tensors_are_not_those_of_its_header_is_refused(trained):
    from safetensors.torch import save_file

    from myops.weights.files import load_tensors

    _, path, base = trained("adapter")
    header, tensors = read_adaptation(path), load_tensors(path)
    save_file({k: v for k, v in tensors.items() if "adapter_up" not in k}, path, metadata=header)
    with pytest.raises(InputError, match="expected the tensors that its header promises"):
        load_sam_refiner(path, "tiny", base)
    wrong = {k: v[:1] if k == "structures.weight" else v for k, v in tensors.items()}
    save_file(wrong, path, metadata=header)
    with pytest.raises(InputError, match="expected the tensors that its header promises"):
        load_sam_refiner(path, "tiny", base)


def test_nothing_trained_is_nothing_to_save(tmp_path):
    refiner = tiny_refiner()
    adaptation = adapt(refiner, "none")
    with pytest.raises(InputError, match="everything is frozen"):
        save_adaptation(refiner, tmp_path / "a.safetensors", adaptation, ("tiny", "0"))


@pytest.fixture
def batch():
    """Two slices as the training's pool gives them: a ring of muscle with scar, found and true."""
    truth = torch.zeros(2, 1, 32, 32, dtype=torch.uint8)
    truth[:, :, 8:24, 8:24] = 2  # normal myocardium
    truth[:, :, 12:20, 12:20] = 1  # blood
    truth[:, :, 8:12, 10:20] = 4  # scar
    automatic = truth.clone()
    automatic[:, :, 8:12, 14:20] = 2
    images, present, probabilities = squares(size=32)
    return {
        "images": images,
        "present": present,
        "probabilities": probabilities,
        "truth": truth,
        "automatic": automatic,
    }


def test_the_training_stage_adapts_a_sam_and_exports_what_it_learned(tmp_path, batch):
    import copy
    import json
    from dataclasses import asdict

    from myops.training.checkpoint import CHECKPOINT_NAME
    from myops.training.config import make_config
    from myops.training.stages.refiner import build, make_loss
    from myops.training.stages.sam import export_sam
    from myops.weights.store import inspect_model

    base = save_tiny(tmp_path / "base.pth")
    settings = {"backbone": "tiny", "checkpoint": str(base), "rank": "2", "size": "32"}
    config = make_config("refiner", settings)
    network = build(config).to(memory_format=torch.channels_last)
    before = copy.deepcopy(network.state_dict())
    loss, parts = make_loss(config, torch.device("cpu"))(network, batch)
    assert set(parts) == {"dice", "entropy", "kl", "iou"}
    loss.backward()
    torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.01).step()
    frozen = [n for n in before if "image_encoder" in n and "lora_" not in n]
    assert all(torch.equal(before[n], network.state_dict()[n]) for n in frozen)

    content = {
        "stage": "refiner",
        "config": json.dumps(asdict(config)),
        "commit": "abc",
        "progress": json.dumps({"step": 1, "next_patient": 3, "elapsed_s": 9, "metrics": {}}),
        "model": network.state_dict(),
        "average": {},
        "learned": json.dumps(["an image"]),
    }
    torch.save(content, tmp_path / CHECKPOINT_NAME)
    for read in (base, tmp_path / CHECKPOINT_NAME):
        with pytest.raises(InputError, match="which is read, would be overwritten"):
            export_sam(tmp_path / CHECKPOINT_NAME, read)
    export_sam(tmp_path / CHECKPOINT_NAME, tmp_path / "scar.safetensors")
    found = inspect_model(tmp_path / "scar.safetensors")
    assert (found.architecture, found.how) == ("tiny", "lora")
    assert found.base_sha256 == file_sha256(base)
    assert str(tmp_path) not in str(read_adaptation(found.path))
    assert learned_in(read_adaptation(found.path)) == {"an image"}
    loaded = load_sam_refiner(found.path, "tiny", base)
    torch.testing.assert_close(answer(loaded), answer(network.eval()), atol=1e-4, rtol=1e-4)
    assert loaded.size == 32


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backbone": "vit_x"}, "backbone among embedded, vit_b, .* found 'vit_x'"),
        ({"backbone": "vit_b"}, r"checkpoint=FILE_OR_NAME .* get sam_vit_b_01ec64\.pth .*; or get"),
        ({"backbone": "vit_b", "checkpoint": "base.pth"}, "expected SAM vit_b, found tiny"),
        ({"backbone": "tiny", "checkpoint": "base.pth", "adapt": "none"}, "nothing to train"),
    ],
)
def test_a_sam_that_cannot_be_trained_is_refused(tmp_path, monkeypatch, settings, message):
    from myops.training.config import make_config
    from myops.training.stages.refiner import build

    monkeypatch.chdir(tmp_path)
    save_tiny(tmp_path / "base.pth")
    with pytest.raises(InputError, match=message):
        build(make_config("refiner", settings))

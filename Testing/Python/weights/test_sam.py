"""SAM as a refiner: exactly the real network; checkpoints in every wrapping; bad files refused."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from circle_heart import CENTER, circle_case, circle_labels, circle_segmentation
from safetensors.torch import save_file
from tiny_sam import SIZE, TINY, clicks, save_tiny, squares, tiny_refiner, tiny_sam

from myops.errors import InputError
from myops.io.checksum import file_sha256
from myops.networks.sam import ARCHITECTURES, SamRefiner, build_sam, expected_shapes
from myops.refine.prompts import Point, Prompts
from myops.refine.refiner import Refiner, RefinerModel
from myops.weights.sam_adaptation import load_sam_refiner
from myops.weights.sam_checkpoint import read_sam_checkpoint


@pytest.fixture(autouse=True)
def tiny_is_known(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)


@pytest.fixture
def published_builders(monkeypatch):
    """Give segment_anything.build_sam without its front door, which needs torchvision."""
    found = importlib.util.find_spec("segment_anything")
    package = ModuleType("segment_anything")
    package.__spec__, package.__path__ = found, list(found.submodule_search_locations)
    before = {n: m for n, m in sys.modules.items() if n.startswith("segment_anything.")}
    monkeypatch.setitem(sys.modules, "segment_anything", package)
    yield importlib.import_module("segment_anything.build_sam")
    for name in [n for n in sys.modules if n.startswith("segment_anything.") and n not in before]:
        del sys.modules[name]


def real_answer(sam, images, prompts, row, **more):
    """What the package's own forward says to one slice: its color image made by hand."""
    colors = torch.stack([images[row, k] for k in (1, 2, 0)]) * 127.5 / 4 + 127.5
    side = sam.image_encoder.img_size
    colors = torch.nn.functional.interpolate(colors[None], (side, side), mode="bilinear")[0]
    size = images.shape[-1]
    scale = side / size
    record = {
        "image": colors,
        "original_size": (size, size),
        "point_coords": (prompts.points[row : row + 1] + 0.5) * scale - 0.5,
        "point_labels": prompts.signs[row : row + 1],
    } | more
    return sam([record], multimask_output=False)[0]


def mask_prompt(sam, mask):
    """The present mask as logits of 0.001 and 0.999 on SAM's mask grid."""
    size = sam.prompt_encoder.mask_input_size
    scaled = torch.nn.functional.interpolate(mask, size, mode="bilinear").clamp(0.001, 0.999)
    return torch.log(scaled / (1 - scaled))


def assert_same(answer, logits, quality, sam):
    size = tuple(logits.shape[-2:])
    side = sam.image_encoder.img_size
    expected = sam.postprocess_masks(answer["low_res_logits"], (side, side), size)[0, 0]
    torch.testing.assert_close(logits[0], expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(quality, answer["iou_predictions"][0, 0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h"])
def test_the_networks_are_those_of_the_packages_own_builders(name, published_builders):
    with torch.device("meta"):
        theirs = published_builders.sam_model_registry[name]()
        ours = build_sam(ARCHITECTURES[name])
    assert expected_shapes(ARCHITECTURES[name]) == {
        key: tuple(value.shape) for key, value in theirs.state_dict().items()
    }
    for one, other in zip(ours.image_encoder.blocks, theirs.image_encoder.blocks, strict=True):
        assert one.window_size == other.window_size
        assert one.attn.num_heads == other.attn.num_heads
        assert one.norm1.eps == other.norm1.eps
    assert torch.equal(ours.pixel_mean, theirs.pixel_mean)


@torch.no_grad()
def test_unadapted_it_is_exactly_sam():
    refiner = tiny_refiner()
    images, present, probabilities = squares()
    prompts = clicks()
    logits, quality = refiner.decode(refiner.encode(images, present, probabilities), prompts)
    assert logits.shape == (2, 1, SIZE, SIZE) and quality.shape == (2,)
    for row in range(2):
        masks = mask_prompt(refiner.sam, prompts.mask[row : row + 1])
        answer = real_answer(refiner.sam, images, prompts, row, mask_inputs=masks)
        assert_same(answer, logits[row], quality[row], refiner.sam)
        assert torch.equal(logits[row, 0] > 0, answer["masks"][0, 0])
    assert not torch.allclose(logits[0], logits[1])


@torch.no_grad()
def test_an_empty_mask_is_sams_no_mask_and_a_box_its_box():
    refiner = tiny_refiner()
    images, *rest = squares(1)
    box = torch.tensor([[2.0, 3.0, 9.0, 11.0]])
    prompts = dataclasses.replace(clicks(1, mask=False), boxes=box)
    logits, quality = refiner.decode(refiner.encode(images, *rest), prompts)
    # 16 pixels to 64: pixel centers at 0.5 go to 2.0, that is pixel 1.5.
    scaled = torch.tensor([[9.5, 13.5, 37.5, 45.5]])
    answer = real_answer(refiner.sam, images, prompts, 0, boxes=scaled)
    assert_same(answer, logits[0], quality[0], refiner.sam)


@torch.no_grad()
def test_a_box_around_the_whole_square_and_padded_clicks_say_nothing():
    refiner = tiny_refiner()
    features = refiner.encode(*squares())
    prompts = clicks()
    padded = dataclasses.replace(
        prompts,
        points=torch.cat((torch.zeros(2, 3, 2), prompts.points), dim=1),
        signs=torch.cat((torch.full((2, 3), -1), prompts.signs), dim=1),
        boxes=torch.tensor([[0.0, 0.0, SIZE - 1.0, SIZE - 1.0]]).repeat(2, 1),
    )
    for plain, with_padding in zip(
        refiner.decode(features, prompts), refiner.decode(features, padded)
    ):
        assert torch.equal(plain, with_padding)


@torch.no_grad()
def test_without_any_click_the_answer_is_finite():
    refiner = tiny_refiner()
    prompts = clicks(1)
    prompts = dataclasses.replace(
        prompts, points=torch.zeros(1, 0, 2), signs=torch.zeros(1, 0).long()
    )
    logits, _ = refiner.decode(refiner.encode(*squares(1)), prompts)
    assert bool(torch.isfinite(logits).all())


def test_an_absent_sequence_is_mean_gray_and_values_beyond_the_limits_are_cut():
    refiner = tiny_refiner()
    images = torch.stack([torch.full((SIZE, SIZE), v) for v in (9.0, -4.0, 2.0)])[None]
    colors = refiner.colors(images, torch.tensor([[1.0, 1.0, 0.0]]))
    assert colors.shape == (1, 3, 64, 64)
    # Red is LGE at -4, green is the absent T2, blue is bSSFP at 9.
    assert colors[0, :, 30, 30].tolist() == [0.0, 127.5, 255.0]


@torch.no_grad()
def test_a_structure_embedding_changes_the_answer_for_its_structure_alone():
    refiner = tiny_refiner()
    features = refiner.encode(*squares())
    before, _ = refiner.decode(features, clicks())
    refiner.structures.weight[1] = 1.0
    after, _ = refiner.decode(features, clicks())
    assert torch.equal(before[0], after[0])
    assert not torch.allclose(before[1], after[1])


@torch.no_grad()
def test_a_dialogue_encodes_once_and_answers_until_there_are_no_prompts():
    refiner = tiny_refiner()
    seen = []

    def ask(logits):
        seen.append(logits)
        return clicks() if len(seen) < 3 else None

    answers = refiner(*squares(), ask)
    assert len(answers) == 2 and seen[0] is None
    assert torch.equal(seen[2], answers[1][0])
    assert torch.equal(answers[0][0], refiner.decode(refiner.encode(*squares()), clicks())[0])


def test_at_a_case_sam_takes_the_place_of_the_embedded_refiner():
    network = tiny_refiner()
    refiner = Refiner(RefinerModel(network, torch.device("cpu"), SIZE, "tiny", "0" * 64))
    labels = circle_labels()
    case = circle_case(labels, ("lge",))
    refiner.set_case(case, circle_segmentation(case, labels))
    clicked = (Point(CENTER, CENTER), Point(CENTER + 9, CENTER, positive=False))
    click = Prompts("scar", 2, clicked)
    found = refiner.predict(click, labels)
    assert refiner.encoded == {2}
    assert found.mask[CENTER, CENTER] and not found.mask[CENTER + 9, CENTER]
    assert 0 <= found.confidence <= 1
    assert np.array_equal(refiner.predict(click, labels).probability, found.probability)


WRAPPINGS = {
    "bare": (lambda w: w, ()),
    "model": (lambda w: {"model": w, "optimizer": {"lr": 0.1}, "epoch": 3}, ("model",)),
    "nested": (lambda w: {"state_dict": {"net": w}}, ("state_dict", "net")),
    "prefix": (lambda w: {f"module.sam.{k}": v for k, v in w.items()}, ("module.sam.",)),
    "both": (
        lambda w: {
            "model_state_dict": {f"model._orig_mod.{k}": v for k, v in w.items()},
            "best": torch.tensor(0.5),
        },
        ("model_state_dict", "model._orig_mod."),
    ),
    "one part parallel": (
        lambda w: {k.replace("image_encoder.", "image_encoder.module."): v for k, v in w.items()},
        ("image_encoder.module.",),
    ),
    "constants": (lambda w: w | {"pixel_mean": torch.zeros(3, 1, 1)}, ()),
    "half": (lambda w: {k: v.half() for k, v in w.items()}, ()),
}


@pytest.mark.parametrize("name", WRAPPINGS)
def test_a_checkpoint_is_read_bare_and_out_of_every_wrapping(name, tmp_path):
    weights = tiny_sam().state_dict()
    wrap, unwrapped = WRAPPINGS[name]
    torch.save(wrap(weights), tmp_path / "sam.pth")
    found = read_sam_checkpoint(tmp_path / "sam.pth")
    assert found.architecture == "tiny"
    assert found.unwrapped == unwrapped
    assert found.parameters == sum(value.numel() for value in weights.values())
    assert set(found.tensors) == set(weights)
    for key, value in weights.items():
        expected = value.half().float() if name == "half" else value
        assert torch.equal(found.tensors[key], expected)


def test_safetensors_and_torchs_old_format_are_read_too(tmp_path):
    weights = tiny_sam().state_dict()
    save_file(weights, tmp_path / "sam.safetensors")
    torch.save(weights, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for file in ("sam.safetensors", "old.pth"):
        found = read_sam_checkpoint(tmp_path / file).tensors
        assert all(torch.equal(found[key], value) for key, value in weights.items())


def test_the_checksum_of_a_streamed_file_is_that_of_its_bytes(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_sha256(tmp_path / "abc") == expected


def test_a_missing_file_a_folder_and_a_text_are_refused(tmp_path):
    with pytest.raises(InputError, match="found no such file"):
        read_sam_checkpoint(tmp_path / "sam.pth")
    with pytest.raises(InputError, match="found a folder"):
        read_sam_checkpoint(tmp_path)
    (tmp_path / "sam.pth").write_text("<!DOCTYPE html><html>Not found</html>", encoding="utf-8")
    with pytest.raises(InputError, match="found a text that begins with '<!DOCTYPE"):
        read_sam_checkpoint(tmp_path / "sam.pth")


@pytest.mark.parametrize("keep", [0, 3, 1000, -100])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_truncated_file_is_refused(tmp_path, keep, suffix):
    path = tmp_path / f"sam{suffix}"
    if suffix == ".pth":
        save_tiny(path)
    else:
        save_file(tiny_sam().state_dict(), path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="truncated|damaged"):
        read_sam_checkpoint(path)


class Trap:
    """Unpickling this makes a folder: proof that somebody unpickled it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    ("stowaway", "named"),
    [
        (argparse.Namespace(lr=0.1), r"argparse\.Namespace"),
        (np.float64(0.5), r"numpy\.[\w.]*scalar"),
        (Path("runs"), r"pathlib"),
    ],
)
def test_python_objects_beside_the_weights_are_named_and_not_unpickled(tmp_path, stowaway, named):
    path = tmp_path / "sam.pth"
    torch.save({"model": tiny_sam().state_dict(), "args": stowaway}, path)
    with pytest.raises(InputError, match=rf"found Python objects \({named}.*safe_globals"):
        read_sam_checkpoint(path)


def test_a_trap_in_a_checkpoint_is_not_sprung(tmp_path):
    path = tmp_path / "sam.pth"
    torch.save({"model": tiny_sam().state_dict(), "args": Trap(tmp_path / "sprung")}, path)
    with pytest.raises(InputError, match=r"Python objects \(\w+\.mkdir\)"):
        read_sam_checkpoint(path)
    assert not (tmp_path / "sprung").exists()


FIRST = "image_encoder.patch_embed.proj.weight"
SPOILED = {
    "missing": (lambda w: {k: v for k, v in w.items() if "iou" not in k}, "7 missing: mask_de"),
    "unexpected": (lambda w: w | {"image_encoder.a": torch.ones(1)}, "1 unexpected: image_enc"),
    "shape": (
        lambda w: w | {"mask_decoder.iou_token.weight": torch.ones(1, 8)},
        r"1 of another shape or type: mask_decoder.iou_token.weight \(1, 8\) float32 for \(1, 32\)",
    ),
    "type": (lambda w: w | {FIRST: w[FIRST].to(torch.int8)}, "int8"),
    "width": (lambda w: w | {FIRST: torch.ones(192, 3, 16, 16)}, "found 192 x 2"),
    "not finite": (lambda w: w | {FIRST: w[FIRST] * torch.nan}, "found NaN or infinity in image"),
    "two": (lambda w: w | {f"teacher.{FIRST}": w[FIRST]}, "expected one SAM, found 2"),
    "sam 2": (lambda _: {"image_encoder.trunk.a": torch.ones(1)}, "found SAM 2"),
    "mobile": (lambda _: {"image_encoder.layers.0.a": torch.ones(1)}, "found MobileSAM"),
    "another network": (lambda _: {"conv.weight": torch.ones(1)}, "found tensors conv.weight"),
    "no tensors": (lambda _: {"epoch": 3}, "found keys epoch"),
    "a list": (lambda w: list(w.values()), "found <class 'list'>"),
    "beside": (
        lambda w: {f"sam.{k}": v for k, v in w.items()} | {"head.weight": torch.ones(1)},
        "found also head.weight",
    ),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_checkpoint_of_another_kind_is_refused_with_what_was_found(tmp_path, name):
    spoil, message = SPOILED[name]
    torch.save(spoil(tiny_sam().state_dict()), tmp_path / "sam.pth")
    with pytest.raises(InputError, match=message):
        read_sam_checkpoint(tmp_path / "sam.pth")


def test_another_architecture_than_the_expected_one_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected SAM vit_b, found tiny"):
        load_sam_refiner(save_tiny(tmp_path / "sam.pth"), "vit_b")


# A tiny network in the same format is compared with every change.
@pytest.mark.scheduled
@torch.no_grad()
def test_a_vit_b_file_in_the_published_format_answers_as_the_package_does(
    tmp_path, published_builders, monkeypatch
):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    path = tmp_path / "sam_vit_b_01ec64.pth"
    theirs = published_builders.build_sam_vit_b().eval()
    torch.save(theirs.state_dict(), path)
    refiner = load_sam_refiner(path, "vit_b")
    path.unlink()
    images, present, probabilities = squares(1, size=80)
    prompts = clicks(1, size=80)
    features = refiner.encode(images, present, probabilities)
    assert isinstance(refiner, SamRefiner) and features.embedding.shape == (1, 256, 64, 64)
    logits, quality = refiner.decode(features, prompts)

    def encoded_already(colors):  # one encoding takes 10 s; tiny networks compare the encoders
        ours = refiner.sam.preprocess(refiner.colors(images, present))
        torch.testing.assert_close(colors, ours, atol=1e-4, rtol=1e-4)
        return features.embedding

    monkeypatch.setattr(theirs.image_encoder, "forward", encoded_already)
    masks = mask_prompt(theirs, prompts.mask)
    answer = real_answer(theirs, images, prompts, 0, mask_inputs=masks)
    assert_same(answer, logits[0], quality[0], theirs)

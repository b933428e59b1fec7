"""The refiner's network: SAM's real decoder inside, prompts drawn where they were given."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from myops.networks.refiner import (
    MASK_LOGIT,
    PromptBatch,
    RefinerNetwork,
    build_refiner,
    contrast_planes,
    flood_planes,
    prompt_planes,
)
from myops.networks.segment_anything_parts import modeling
from myops.training.checkpoint import load_weights
from myops.weights.files import save_weights

SIZE = 32


@pytest.fixture(scope="module")
def network() -> RefinerNetwork:
    torch.manual_seed(3)
    return build_refiner(widths=(4, 8, 12, 16), size=SIZE, embedding=16).eval()


def prompts(count: int = 1, boxes: bool = False) -> PromptBatch:
    """One positive and one negative click per slice, on random masks."""
    random = torch.Generator().manual_seed(4)
    return PromptBatch(
        structure=torch.arange(count) % 5,
        points=torch.rand(count, 2, 2, generator=random) * SIZE,
        signs=torch.tensor([[1, 0]] * count),
        mask=(torch.rand(count, 1, SIZE, SIZE, generator=random) > 0.5).float(),
        tissues=torch.rand(count, 4, SIZE, SIZE, generator=random),
        boxes=torch.tensor([[3.0, 4.0, 20.0, 25.0]] * count) if boxes else None,
    )


def encode(network: RefinerNetwork, count: int = 1):
    random = torch.Generator().manual_seed(5)
    images = torch.randn(count, 3, SIZE, SIZE, generator=random)
    probabilities = torch.rand(count, 4, SIZE, SIZE, generator=random)
    with torch.no_grad():
        return network.encode(images, torch.ones(count, 3), probabilities)


def row(batch: PromptBatch, k: int) -> PromptBatch:
    one = slice(k, k + 1)
    return PromptBatch(
        batch.structure[one], batch.points[one], batch.signs[one], batch.mask[one],
        batch.tissues[one], None if batch.boxes is None else batch.boxes[one],
    )  # fmt: skip


def test_the_default_is_small_enough_for_the_repository():
    assert sum(p.numel() for p in build_refiner().parameters()) < 2.5e6


@pytest.fixture
def silent() -> RefinerNetwork:
    """A network whose U-Net head says nothing."""
    found = build_refiner(widths=(4, 8, 12, 16), size=SIZE, embedding=16).eval()
    torch.nn.init.zeros_(found.head.change.weight)
    torch.nn.init.zeros_(found.head.change.bias)
    return found


def test_a_head_that_changes_nothing_returns_the_present_mask(silent):
    batch = prompts()
    torch.nn.init.zeros_(silent.head.stroke)
    with torch.no_grad():
        logits, _ = silent.decode(encode(silent), batch)
    assert torch.equal(logits, torch.where(batch.mask > 0.5, MASK_LOGIT, -MASK_LOGIT))


@pytest.mark.parametrize("sign", [1, 0])
@pytest.mark.parametrize(("border", "radius"), [(18, 2), (20, 4), (26, 4), (17, 1)])
def test_before_training_a_click_paints_a_disc_as_far_as_the_mask_s_border(
    silent, sign, border, radius
):
    batch = prompts()
    done = torch.full_like(batch.mask, 1.0 - sign)
    done[..., border:] = float(sign)  # from this column on the mask is as the click wants it
    clicks = PromptBatch(
        batch.structure,
        torch.tensor([[[5.0, 5.0], [16.0, 12.0]]]),
        torch.tensor([[1, sign]]),
        done,
        batch.tissues,
    )
    with torch.no_grad():
        logits, _ = silent.decode(encode(silent), clicks)
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    distance = ((rows - 12) ** 2 + (columns - 16) ** 2).float().sqrt()
    painted = ((logits[0, 0] > 0) == bool(sign)) & (columns < border)
    # The blob is half as high at the border, where it just outweighs the mask's logit.
    on_edge = (distance - radius).abs() < 1e-3
    assert torch.equal(painted[~on_edge], ((distance < radius) & (columns < border))[~on_edge])


@pytest.mark.parametrize("boxes", [False, True])
def test_a_batch_gives_what_its_slices_give_alone(network, boxes):
    batch, features = prompts(3, boxes), encode(network, 3)
    with torch.no_grad():
        together, quality = network.decode(features, batch)
        for k in range(3):
            alone, own = network.decode(features[k : k + 1], row(batch, k))
            torch.testing.assert_close(together[k : k + 1], alone, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(quality[k : k + 1], own, atol=1e-4, rtol=1e-4)


def test_the_mask_token_s_answer_is_that_of_sam_s_own_decoder(network):
    # segment_anything's MaskDecoder.forward, one image: the reference for our batched version.
    batch, features = prompts(), encode(network)
    with torch.no_grad():
        tokens, dense = network._tokens(batch)
        masks, quality = network.masks.predict_masks(
            features.embedding, network.prompts.get_dense_pe(), tokens, dense
        )
        answer, _, own = network._sam(features.embedding, batch)
    chosen = 1 + int(batch.structure[0])
    torch.testing.assert_close(answer[:, 0], masks[:, chosen], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(own, quality[:, chosen], atol=1e-5, rtol=1e-4)


def test_the_parts_are_those_of_the_segment_anything_package(network):
    assert isinstance(network.masks, modeling().MaskDecoder)
    assert isinstance(network.prompts, modeling().PromptEncoder)


def test_another_structure_gives_another_answer(network):
    batch, features = prompts(), encode(network)
    other = PromptBatch(
        torch.tensor([3]), batch.points, batch.signs, batch.mask, batch.tissues, None
    )
    with torch.no_grad():
        first, second = (network.decode(features, p)[0] for p in (batch, other))
    assert not torch.allclose(first, second)


def test_a_click_is_drawn_where_it_was_given_and_padding_is_not():
    batch = prompts()
    clicks = PromptBatch(
        batch.structure,
        torch.tensor([[[0.0, 0.0], [20.0, 10.0]]]),  # x, y; the first is padding
        torch.tensor([[-1, 1]]),
        batch.mask,
        batch.tissues,
    )
    planes = prompt_planes(clicks)
    positive, negative = planes[0, 0], planes[0, 1]
    assert positive.argmax() == 10 * SIZE + 20
    assert positive[10, 20] == 1
    # Standard deviation 1.5 pixels: three pixels away the blob has exp(-2).
    assert positive[10, 23] == pytest.approx(math.exp(-2))
    assert positive[0, 0] < 1e-6
    assert negative.max() == 0


def test_the_newest_click_has_planes_of_its_own():
    planes = prompt_planes(prompts())  # positive, then negative
    newest_positive, newest_negative = planes[0, 4], planes[0, 5]
    assert newest_positive.max() == 0
    assert newest_negative.max() > 0.5


def test_contrast_planes_compare_every_pixel_with_what_was_pointed_at():
    images = torch.zeros(1, 3, SIZE, SIZE)
    images[0, 1] = torch.arange(SIZE, dtype=torch.float32)[None].expand(SIZE, -1) + 1  # column + 1
    mask = torch.zeros(1, 1, SIZE, SIZE)
    mask[..., 10:12] = 1  # values 11 and 12
    tissues = torch.zeros(1, 4, SIZE, SIZE)
    tissues[:, 1, :, 10:14] = 1  # the wall has two columns more: 13 and 14
    said = PromptBatch(
        torch.tensor([0]), torch.tensor([[[20.0, 15.0]]]), torch.tensor([[1]]), mask, tissues
    )
    planes = contrast_planes(images, said)
    lge = planes[0, [1, 4, 7], 5, 20]
    assert lge.tolist() == pytest.approx([0.0, 21 - 11.5, 21 - 13.5], abs=1e-3)
    assert planes[0, [0, 2, 3, 5]].abs().max() == 0  # absent sequences
    nothing = PromptBatch(
        torch.tensor([0]), torch.zeros(1, 1, 2), torch.tensor([[-1]]), 0 * mask, 0 * tissues
    )
    assert contrast_planes(images, nothing).abs().max() == 0


def two_islands() -> torch.Tensor:
    """Two bright squares of 8 pixels, 8 pixels apart: (1, 1, SIZE, SIZE)."""
    islands = torch.zeros(1, 1, SIZE, SIZE)
    islands[..., 12:20, 4:12] = 1
    islands[..., 12:20, 20:28] = 1
    return islands


@pytest.mark.parametrize("sign", [1, 0])
def test_a_flood_reaches_what_is_alike_and_connected(sign):
    islands = two_islands()
    images = torch.zeros(1, 3, SIZE, SIZE)
    images[:, 1:2] = 2.0 * islands - 1.0
    tissues = torch.zeros(1, 4, SIZE, SIZE)
    tissues[:, 1:2] = islands  # the wall is in two pieces
    click = torch.tensor([[[8.0, 16.0]]])  # into the left one
    mask = islands if sign == 0 else 0 * islands
    said = PromptBatch(torch.tensor([0]), click, torch.tensor([[sign]]), mask, tissues)
    planes = flood_planes(images, said)
    left, right, between = (planes[0, :, 16, x] for x in (8, 24, 16))
    # LGE: alike on the left; the right is as bright, but the way there leads over a step of 2.
    assert left[1] == pytest.approx(1.0)
    assert right[1] == between[1] == pytest.approx(0.5 / (0.5 + 2.0))
    assert planes[0, [0, 2]].abs().max() == 0  # absent sequences
    # The island that was clicked into, and it alone.
    assert left[3] == pytest.approx(1.0)
    assert right[3] < 0.1 and between[3] < 0.1
    # It goes with the image: turned by a quarter, the flood is turned.
    turned = PromptBatch(
        said.structure, click.flip(2), said.signs, mask.transpose(2, 3), tissues.transpose(2, 3)
    )
    again = flood_planes(images.transpose(2, 3), turned)
    torch.testing.assert_close(again, planes.transpose(2, 3))


def test_without_a_click_nothing_is_flooded():
    nothing = replace(prompts(), signs=torch.full((1, 2), -1))
    assert flood_planes(torch.ones(1, 3, SIZE, SIZE), nothing).abs().max() == 0


def test_a_refiner_with_floods_starts_as_the_one_without(network, tmp_path):
    save_weights(network, tmp_path / "r.safetensors", {"network": "refiner"})
    plain, flooding = (
        build_refiner((4, 8, 12, 16), SIZE, 16, floods=floods).eval() for floods in (0, 1)
    )
    for refiner in (plain, flooding):
        load_weights(tmp_path / "r.safetensors", refiner)
    with torch.no_grad():
        before = plain.decode(encode(plain), prompts())
        torch.testing.assert_close(flooding.decode(encode(flooding), prompts()), before)
        # A trained weight of a flood's plane changes the answer.
        flooding.head.fine[0][0].weight[:, -1] = 1.0
        assert not torch.allclose(flooding.decode(encode(flooding), prompts())[0], before[0])


def test_a_box_is_drawn_between_its_corners():
    box = prompt_planes(prompts(boxes=True))[0, 6]
    assert box[4, 3] == 1
    assert box[25, 20] == 1
    assert box.sum() == (20 - 3 + 1) * (25 - 4 + 1)


def test_a_dialogue_ends_when_there_are_no_prompts_left(network):
    batch = prompts()
    asked: list[bool] = []

    def ask(logits):
        asked.append(logits is None)
        return batch if len(asked) <= 2 else None

    with torch.no_grad():
        answers = network(torch.zeros(1, 3, SIZE, SIZE), torch.ones(1, 3),
                          torch.zeros(1, 4, SIZE, SIZE), ask)  # fmt: skip
    assert len(answers) == 2
    assert asked == [True, False, False]

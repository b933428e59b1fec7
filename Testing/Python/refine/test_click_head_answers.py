"""The click head at a case: what is refused, what is defined, and that no mask is ever lost.

Answers of the shipped head are checked for what must hold for any weights, never for figures.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from circle_heart import (
    CENTER,
    circle_case,
    circle_labels,
    circle_lge,
    circle_segmentation,
    sitk_image,
)
from disc_refiner import DiscRefiner

from myops.case import case_from_images
from myops.errors import InputError
from myops.geometry.masks import label_components
from myops.networks.clickhead import build_clickhead
from myops.refine.prompts import Box, Point, Prompts
from myops.refine.record import from_record, to_record
from myops.refine.refiner import Refiner, RefinerModel, load_refiner
from myops.refine.replay import replay
from myops.refine.rules import REGIONS
from myops.refine.session import Session
from myops.refine.state_file import read_state, restore, save_state
from myops.structures import CORRECTED
from myops.weights.files import install_weights
from myops.weights.packs import shipped_packs

# In the lower wall, which is healthy, and in the scar at 120 degrees.
REMOTE, IN_SCAR = (CENTER + 16, CENTER), (CENTER - 14, CENTER - 8)


@pytest.fixture(scope="module")
def model() -> RefinerModel:
    return load_refiner("cpu")


@pytest.fixture
def at(model):
    """A refiner at the circle heart, with some of its sequences and some labels."""

    def make(labels=None, sequences=("lge",), changed=None):
        labels = circle_labels() if labels is None else labels
        case = circle_case(labels, sequences, changed=changed)
        refiner = Refiner(model)
        refiner.set_case(case, circle_segmentation(case, labels))
        return refiner

    return make


def click(structure: str, index: int, place, positive: bool = True) -> Prompts:
    return Prompts(structure, index, (Point(float(place[0]), float(place[1]), positive),))


def assert_defined(answer, prompts: Prompts) -> None:
    assert np.isfinite(answer.probability).all()
    assert answer.probability.min() >= 0 and answer.probability.max() <= 1
    assert 0 <= answer.confidence <= 1
    for point in prompts.points:
        assert answer.mask[int(point.row), int(point.column)] == point.positive


@pytest.mark.parametrize("pack", list(shipped_packs()))
def test_every_pack_answers_clicks_with_a_click_head_of_its_own(pack):
    found = load_refiner("cpu", pack)
    assert type(found.network).__name__ == "ClickHead"
    assert (found.terms["name"], found.terms["license"]) == (pack, shipped_packs()[pack].license)
    assert not (shipped_packs()[pack].folder / "refiner.safetensors").exists()


@pytest.mark.parametrize("structure", list(CORRECTED))
@pytest.mark.parametrize("sequences", [("bssfp",), ("lge",), ("bssfp", "lge", "t2")])
def test_whatever_sequences_there_are_an_answer_is_defined(at, structure, sequences):
    labels = circle_labels()
    prompts = click(structure, 2, REMOTE)
    assert_defined(at(labels, sequences).predict(prompts, labels), prompts)


def test_without_prompts_or_with_a_box_alone_an_answer_is_defined(at):
    labels, refiner = circle_labels(), at()
    for box in (None, Box(60.0, 40.0, 68.0, 56.0)):
        prompts = Prompts("scar", 2, box=box)
        answer = refiner.predict(prompts, labels)
        assert_defined(answer, prompts)
        assert answer.mask.shape == labels[2].shape


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ((Point(64.0, 48.0), Point(64.3, 47.8, False)), "one answer per voxel, found \\+ and -"),
        ((Point(64.0, 200.0),), "a place inside the slice of 96 rows"),
        ((Point(float("inf"), 48.0),), "a place inside the slice"),
        ((Point(2.0, 2.0),), "within the square of .* around the left ventricle"),
    ],
)
def test_clicks_that_cannot_be_meant_are_refused(at, points, expected):
    with pytest.raises(InputError, match=expected):
        at().predict(Prompts("scar", 2, points), circle_labels())


def test_thousands_of_clicks_give_a_defined_result(at):
    places = np.random.default_rng(0).integers(CENTER - 18, CENTER + 18, (2000, 2)).tolist()
    signs = {tuple(place): (sum(place) % 3) > 0 for place in places}
    prompts = Prompts("scar", 2, tuple(Point(float(r), float(c), s) for (r, c), s in signs.items()))
    assert len(prompts.points) > 900
    assert_defined(at().predict(prompts, circle_labels()), prompts)


@pytest.mark.parametrize("fill", [600, 200, 2221, 0])
def test_a_mask_that_is_empty_or_everything_is_answered(at, fill):
    """The start shows a heart; what the reader has made of the labels may be anything."""
    refiner, labels = at(), np.full_like(circle_labels(), fill)
    for structure in CORRECTED:
        prompts = click(structure, 2, REMOTE)
        assert_defined(refiner.predict(prompts, labels), prompts)


def test_a_single_slice_is_answered(at):
    labels = circle_labels(3)[1:2]
    prompts = click("scar", 0, REMOTE)
    assert_defined(at(labels).predict(prompts, labels), prompts)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -1e30])
def test_voxels_that_are_no_signal_spoil_no_answer(at, broken):
    labels = circle_labels()
    lge = circle_lge(labels)
    lge[2, REMOTE[0] - 3 : REMOTE[0] + 3, REMOTE[1] - 3 : REMOTE[1] + 3] = broken
    refiner = at(labels, changed={"lge": lge})
    for place in (REMOTE, IN_SCAR):
        prompts = click("scar", 2, place, place == REMOTE)
        assert_defined(refiner.predict(prompts, labels), prompts)


def test_on_an_oblique_stack_of_narrow_pixels_a_click_changes_what_hangs_together_with_it(model):
    labels = circle_labels()
    image = sitk_image(circle_lge(labels))
    turned = np.deg2rad(30)
    image.SetSpacing((0.9, 1.8, 12.0))
    image.SetDirection(
        (np.cos(turned), 0, np.sin(turned), 0, 1, 0, -np.sin(turned), 0, np.cos(turned))
    )
    case = case_from_images({"lge": image}, "oblique")
    refiner = Refiner(model)
    refiner.set_case(case, circle_segmentation(case, labels))
    prompts = click("scar", 2, REMOTE)
    answer = refiner.predict(prompts, labels)
    assert_defined(answer, prompts)
    changed = answer.mask != REGIONS["scar"](labels[2])
    assert changed[REMOTE] and label_components(changed, "corners")[1] == 1


def test_edema_without_t2_and_scar_without_lge_are_refused_and_nothing_changes(model):
    labels = circle_labels()
    for sequences, structure, image in ((("lge",), "edema", "T2"), (("bssfp",), "scar", "LGE")):
        case = circle_case(labels, sequences)
        session = Session(Refiner(model), case, circle_segmentation(case, labels))
        with pytest.raises(InputError, match=f"{structure}: expected .*{image}.* to see it"):
            session.click(structure, 2, *REMOTE)
        assert np.array_equal(session.labels, labels) and not session.steps


def test_weights_of_the_other_refiner_under_the_head_s_name_are_refused(tmp_path):
    install_weights("prsn", load_prsn(), tmp_path, {})
    content = json.loads((tmp_path / "manifest.json").read_text("utf-8"))
    content["networks"][0]["name"] = "clickhead"
    (tmp_path / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match="expected weights of clickhead, found those of prsn"):
        load_refiner("cpu", str(tmp_path))


def load_prsn() -> torch.nn.Module:
    from myops.networks.build import build_prsn

    return build_prsn(widths=(4, 4))


def test_a_head_that_has_gone_mad_leaves_the_labels():
    head = build_clickhead()
    with torch.no_grad():
        for values in head.parameters():
            values.fill_(float("nan"))
    labels = circle_labels()
    case = circle_case(labels, ("lge",))
    broken = Refiner(RefinerModel(head, torch.device("cpu"), 80, "mad", "0" * 64))
    session = Session(broken, case, circle_segmentation(case, labels))
    with pytest.raises(RuntimeError, match="expected finite probabilities of scar"):
        session.click("scar", 2, *REMOTE)
    assert np.array_equal(session.labels, labels)


# What was done with the refiner that was shipped before


@pytest.fixture
def earlier(tmp_path):
    """A session of version 0.2, which took whole answers, corrected by another refiner; saved."""
    labels = circle_labels()
    case = circle_case(labels, ("lge",))
    start = circle_segmentation(case, labels)
    session = Session(DiscOfBefore(), case, start, taking="whole")
    session.click("scar", 2, *REMOTE)
    session.click("scar", 3, *IN_SCAR, positive=False)
    return session, case, start, save_state(tmp_path / "state.npz", session)


class DiscOfBefore(DiscRefiner):
    def predict(self, prompts, labels, taking="whole"):
        return super().predict(prompts, labels)


def test_a_saved_session_of_another_refiner_opens_with_its_masks_and_is_corrected_further(
    earlier, model
):
    session, case, _, path = earlier
    again = restore(read_state(path), case, Refiner(model))
    assert np.array_equal(again.labels, session.labels)
    assert again.steps == session.steps
    before = again.labels
    again.click("scar", 1, *REMOTE)
    elsewhere = np.arange(len(before)) != 1
    assert np.array_equal(again.labels[elsewhere], before[elsewhere])
    again.undo()
    assert np.array_equal(again.labels, session.labels)
    for _ in range(2):
        again.undo()
    assert np.array_equal(again.labels, session.start.labels)


def test_of_a_click_head_no_more_than_the_connected_change_is_taken_in_a_session_of_before(
    earlier, model
):
    """Its whole answer is no change of the mask: the reader's work elsewhere would be replaced."""
    _, case, start, _ = earlier
    masks = []
    for taking in ("whole", "connected"):
        session = Session(Refiner(model), case, start, taking=taking)
        session.click("scar", 2, *REMOTE)
        masks.append(session.labels)
    assert np.array_equal(*masks)


def test_a_replay_of_a_session_of_another_refiner_is_reported_in_one_line(earlier, model):
    session, case, start, _ = earlier
    record = from_record(json.loads(json.dumps(to_record(session))))
    again = replay(record, case, start, Refiner(model))
    said = [line for line in again.differences if "refiner's weights" in line]
    expected = f"not the recorded ones (dddddddddddd..., found {model.checksum[:12]}...)"
    assert len(said) == 1 and expected in said[0] and "\n" not in said[0]
    one = replay(replace(record, refiner_sha256=model.checksum), case, start, Refiner(model))
    assert not any("refiner's weights" in line for line in one.differences)


@pytest.mark.parametrize("pack", sorted(shipped_packs()))
def test_no_shipped_click_head_needs_segment_anything(pack, monkeypatch):
    def refuse():
        raise AssertionError("expected a click head that needs torch alone")

    monkeypatch.setattr("myops.networks.refiner.modeling", refuse)
    monkeypatch.setattr("myops.networks.sam.modeling", refuse)
    refiner = Refiner(load_refiner("cpu", pack))
    case = circle_case(circle_labels(), ("lge",))
    refiner.set_case(case, circle_segmentation(case, circle_labels()))
    refiner.encode([2])
    answer = refiner.predict(Prompts("scar", 2, (Point(*REMOTE),)), circle_labels())
    assert answer.mask[REMOTE]


def test_a_refiner_on_sam_says_that_it_needs_segment_anything(monkeypatch):
    from myops.networks import segment_anything_parts

    segment_anything_parts.modeling.cache_clear()
    monkeypatch.setattr(segment_anything_parts.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip_install.*choose a shipped pack"):
        segment_anything_parts.modeling()

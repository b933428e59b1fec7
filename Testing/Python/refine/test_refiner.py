"""The refiner at a case: geometry, laziness, and answers that never lose the present mask."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from circle_heart import CENTER, circle_case, circle_labels, circle_segmentation

from myops.errors import Cancelled, InputError
from myops.networks.refiner import build_refiner
from myops.refine.prompts import Box, Point, Prompts
from myops.refine.refiner import Refiner, RefinerModel, outward
from myops.refine.rules import REGIONS

SIZE = 80


class Painter(torch.nn.Module):
    """Instead of a network: adds a disc around the newest click, or changes nothing."""

    def __init__(self, radius: float = 0.0, quality: float = 0.7) -> None:
        super().__init__()
        self.radius, self.quality, self.encodings, self.seen = radius, quality, 0, []

    def encode(self, images, present, probabilities):
        self.encodings += 1
        self.seen.append((images, present, probabilities))
        return images

    def decode(self, features, prompts):
        logits = (2 * prompts.mask - 1) * 3
        if self.radius and prompts.points.shape[1]:
            axis = torch.arange(SIZE, dtype=torch.float32)
            x, y = prompts.points[0, -1]
            disc = (axis[None] - x) ** 2 + (axis[:, None] - y) ** 2 <= self.radius**2
            logits[0, 0][disc] = 5.0 if prompts.signs[0, -1] == 1 else -5.0
        return logits, torch.tensor([self.quality])


def refiner(network: torch.nn.Module | None = None) -> Refiner:
    model = RefinerModel(network or Painter(), torch.device("cpu"), SIZE, "painter", "0" * 64)
    return Refiner(model)


def heart(labels: np.ndarray):
    """The circle heart, LGE alone, and its segmentation."""
    case = circle_case(labels, ("lge",))
    return case, circle_segmentation(case, labels)


@pytest.fixture
def ready():
    """A refiner at the circle heart with a painter, its case and labels."""

    def make(network: torch.nn.Module | None = None):
        labels = circle_labels()
        found = refiner(network)
        found.set_case(*heart(labels))
        return found, labels

    return make


def test_a_network_that_changes_nothing_changes_no_voxel(ready):
    found, labels = ready()
    before = labels.copy()
    for structure in ("scar", "edema", "myocardium", "blood_pool", "mvo"):
        mask = found.predict(Prompts(structure, 2), labels).mask
        assert np.array_equal(mask, REGIONS[structure](labels[2]))
    assert np.array_equal(labels, before)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_a_ragged_mask_survives_a_network_that_changes_nothing(ready, seed, share):
    """What a threshold leaves, with single voxels and holes, on pixels not the square's."""
    found, labels = ready()
    wall = np.isin(labels, (200, 1220, 2221))
    ragged = wall & (np.random.default_rng(seed).random(labels.shape) < share)
    labels[wall] = 200
    labels[ragged] = 2221
    answer = found.predict(Prompts("scar", 2), labels)
    assert np.array_equal(answer.mask, ragged[2])
    before = labels.copy()
    for structure in ("myocardium", "blood_pool", "edema"):
        mask = found.predict(Prompts(structure, 2), labels).mask
        assert np.array_equal(mask, REGIONS[structure](labels[2])), structure
    assert np.array_equal(labels, before)


def test_a_ragged_mask_changes_near_the_click_alone(ready):
    found, labels = ready(Painter(radius=4))
    wall = np.isin(labels, (200, 1220, 2221))
    ragged = wall & (np.random.default_rng(0).random(labels.shape) < 0.5)
    labels[wall] = 200
    labels[ragged] = 2221
    place = Point(CENTER + 16.0, CENTER + 0.0)
    mask = found.predict(Prompts("scar", 2, (place,)), labels).mask
    away = np.hypot(*(np.indices(mask.shape) - np.array([CENTER + 16, CENTER])[:, None, None]))
    assert mask[away < 2].all()
    assert np.array_equal(mask[away > 8], ragged[2][away > 8])


def test_a_click_lands_where_it_was_given(ready):
    found, labels = ready(Painter(radius=6))
    row, column = CENTER + 5.0, CENTER - 16.0
    mask = found.predict(Prompts("scar", 2, (Point(row, column),)), labels).mask
    added = mask & ~REGIONS["scar"](labels[2])
    rows, columns = np.nonzero(added)
    assert abs(rows.mean() - row) < 0.5
    assert abs(columns.mean() - column) < 0.5
    # A disc of 6 pixels of the square, of side 1.35 x the LV's extent over 80 pixels.
    pixel_mm = 1.35 * 39 * 1.5 / SIZE
    assert np.count_nonzero(added) * 1.5**2 == pytest.approx(np.pi * (6 * pixel_mm) ** 2, rel=0.1)


def test_only_what_the_network_changes_is_changed(ready):
    found, labels = ready(Painter(radius=4))
    place = Point(CENTER + 16.0, CENTER + 0.0)
    mask = found.predict(Prompts("scar", 2, (place,)), labels).mask
    far = np.hypot(*(np.indices(mask.shape) - np.array([CENTER + 16, CENTER])[:, None, None])) > 8
    assert np.array_equal(mask[far], REGIONS["scar"](labels[2])[far])


def test_a_click_s_own_voxel_is_honored_even_if_the_network_disagrees(ready):
    found, labels = ready()
    assert not REGIONS["scar"](labels[2])[CENTER + 16, CENTER]
    clicks = (Point(CENTER + 16.2, CENTER - 0.4), Point(CENTER - 16.0, CENTER + 0.0, False))
    mask = found.predict(Prompts("scar", 2, clicks), labels).mask
    assert mask[CENTER + 16, CENTER]
    assert not mask[CENTER - 16, CENTER]


def test_the_same_question_gets_the_same_answer():
    torch.manual_seed(1)
    labels = circle_labels()
    found = refiner(build_refiner().eval())
    found.set_case(*heart(labels))
    question = Prompts("scar", 2, (Point(CENTER + 16.0, CENTER), Point(CENTER, CENTER - 22, False)))
    first, second = (found.predict(question, labels) for _ in range(2))
    assert np.array_equal(first.probability, second.probability)
    assert first.confidence == second.confidence


def test_thousands_of_clicks_give_a_defined_result(ready):
    found, labels = ready(Painter(radius=2))
    random = np.random.default_rng(0)
    places = {tuple(p) for p in random.integers(CENTER - 18, CENTER + 18, (3000, 2)).tolist()}
    clicks = tuple(Point(float(r), float(c), True) for r, c in sorted(places))
    mask = found.predict(Prompts("scar", 2, clicks), labels).mask
    assert all(mask[r, c] for r, c in places)


def test_a_box_alone_is_a_prompt(ready):
    found, labels = ready(build_refiner().eval())
    drawn = Box(CENTER + 10, CENTER - 10, CENTER - 10, CENTER + 10)
    answer = found.predict(Prompts("blood_pool", 2, box=drawn), labels)
    assert answer.mask.shape == labels[2].shape
    assert np.isfinite(answer.probability).all()


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [
        (Prompts("scar", 9), "slice from 0 to 4, found 9"),
        (Prompts("liver", 2), "expected a structure among scar"),
        (Prompts("scar", 2, (Point(float("nan"), 3.0),)), "inside the slice"),
        (Prompts("scar", 2, (Point(3.0, 200.0),)), "inside the slice"),
        (Prompts("scar", 2, (Point(1.0, 1.0),)), "square of 79 mm around the left ventricle"),
        (Prompts("scar", 2, (Point(48.0, 48.0), Point(48.3, 48.0, False))), "found \\+ and -"),
    ],
)
def test_prompts_that_cannot_be_used_are_refused(ready, prompts, expected):
    found, labels = ready()
    with pytest.raises(InputError, match=expected):
        found.predict(prompts, labels)


def test_labels_on_another_grid_are_refused(ready):
    found, labels = ready()
    with pytest.raises(InputError, match="expected labels of shape"):
        found.predict(Prompts("scar", 2), labels[:3])


def test_predicting_before_there_is_a_case_is_an_error_of_order():
    with pytest.raises(RuntimeError, match="set_case first"):
        refiner().predict(Prompts("scar", 0), circle_labels())


def test_slices_are_encoded_once_and_only_when_needed(ready):
    painter = Painter()
    found, labels = ready(painter)
    assert (painter.encodings, found.encoded) == (0, frozenset())
    found.predict(Prompts("scar", 2), labels)
    found.predict(Prompts("scar", 2), labels)
    assert (painter.encodings, found.encoded) == (1, {2})
    steps: list[float] = []
    found.encode(outward(2, 5), progress=lambda fraction, _: steps.append(fraction))
    assert painter.encodings == 5
    assert steps == [0, 0.25, 0.5, 0.75, 1]


def test_encoding_can_be_cancelled_and_keeps_what_is_done(ready):
    found, _ = ready()
    with pytest.raises(Cancelled):
        found.encode(cancelled=lambda: len(found.encoded) == 2)
    assert found.encoded == {0, 1}


def test_an_encoding_of_the_last_case_does_not_reach_the_next(ready):
    found, labels = ready()

    def change_case() -> bool:
        if len(found.encoded) == 1:
            found.set_case(*heart(labels))
        return False

    found.encode([0, 1], cancelled=change_case)
    assert found.encoded == frozenset()


def test_the_current_slice_comes_first():
    assert outward(2, 5) == [2, 1, 3, 0, 4]


def test_an_absent_sequence_is_masked(ready):
    painter = Painter()
    found, labels = ready(painter)
    found.predict(Prompts("scar", 2), labels)
    images, present, _ = painter.seen[0]
    assert present.tolist() == [[0, 1, 0]]
    assert images[0, 0].abs().max() == 0
    assert images[0, 1].abs().max() > 0


def test_confidence_is_a_share(ready):
    found, labels = ready(Painter(quality=1.3))
    assert found.predict(Prompts("scar", 2), labels).confidence == 1


class TwoDiscs(Painter):
    """Adds a disc at the newest click and one at a place nobody clicked."""

    def decode(self, features, prompts):
        logits, quality = super().decode(features, prompts)
        logits[0, 0, 4:10, 36:44] = 5.0
        return logits, quality


def test_what_a_network_changes_far_from_the_click_is_not_taken(ready):
    found, labels = ready(TwoDiscs(radius=4))
    question = Prompts("scar", 2, (Point(CENTER + 16.0, CENTER + 0.0),))
    far = np.hypot(*(np.indices(labels[2].shape) - np.array([CENTER + 16, CENTER])[:, None, None]))
    away = far > 8
    mask = found.predict(question, labels).mask
    assert mask[CENTER + 16, CENTER]
    assert np.array_equal(mask[away], REGIONS["scar"](labels[2])[away])
    whole = found.predict(question, labels, "whole").mask
    assert np.count_nonzero(whole[away] != REGIONS["scar"](labels[2])[away]) > 10

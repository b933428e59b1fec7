"""Simulated readers: their habits move borders, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from circle_heart import circle_labels, circle_lge, circle_segmentation, sitk_image

from myops.case import Case
from myops.datasets import LabeledCase
from myops.errors import InputError
from myops.refine.prompts import Prompts
from myops.refine.rules import REGIONS
from myops.segmentation import Segmentation
from myops.study.reading import Reading, Study
from myops.study.simulate import Habit, SimulationConfig, draw, moved, simulate_study

EXACT = Habit("exact", 0.0, 0.0, 0.0, 50, 0.1)
# Voxel of the circle heart: 1.5 x 1.5 x 10 mm at 1.05 g/mL.
VOXEL_G = 0.0225 * 1.05


@dataclass(frozen=True)
class Answer:
    mask: np.ndarray


class OneVoxel:
    """A corrector that changes the clicked voxel alone."""

    def __init__(self) -> None:
        self.clicks = 0

    def set_case(self, case: Case, segmentation: Segmentation) -> None:
        pass

    def encode(self, slices: Iterable[int] | None = None) -> None:
        pass

    def predict(self, prompts: Prompts, labels: np.ndarray) -> Answer:
        self.clicks += 1
        mask = REGIONS[prompts.structure](labels[prompts.slice_index]).copy()
        for point in prompts.points:
            mask[round(point.row), round(point.column)] = point.positive
        return Answer(mask)


def stripe(*filled: int) -> np.ndarray:
    mask = np.zeros((7, 12), bool)
    mask[:, list(filled)] = True
    return mask


@pytest.mark.parametrize(
    ("outward_mm", "filled"),
    [
        (0.0, (4, 5, 6, 7)),
        (1.0, (3, 4, 5, 6, 7, 8)),
        (1.4, (3, 4, 5, 6, 7, 8)),
        (1.6, (2, 3, 4, 5, 6, 7, 8, 9)),
        (-1.0, (5, 6)),
        (-3.0, ()),
    ],
)
def test_a_border_moves_by_whole_pixels_nearest_to_the_distance(outward_mm, filled) -> None:
    found = moved(stripe(4, 5, 6, 7), outward_mm, (1.0, 1.0))
    np.testing.assert_array_equal(found, stripe(*filled))


def test_an_empty_mask_stays_empty() -> None:
    assert not moved(stripe(), 5.0, (1.0, 1.0)).any()


def test_a_reader_without_habits_draws_the_truth() -> None:
    truth = circle_labels()
    drawn = draw(truth, EXACT, (1.5, 1.5), np.random.default_rng(0))
    expected = np.where(truth == 1220, 200, np.where(truth == 600, 0, truth))
    np.testing.assert_array_equal(drawn, expected)


def test_an_outward_reader_draws_more_wall_and_more_scar_than_an_inward_one() -> None:
    truth = circle_labels()

    def voxels(bias_mm: float, label: int) -> int:
        habit = replace(EXACT, bias_mm=bias_mm)
        drawn = draw(truth, habit, (1.5, 1.5), np.random.default_rng(0))
        return int((drawn == label).sum())

    assert voxels(3.0, 2221) > voxels(0.0, 2221) > voxels(-3.0, 2221) > 0
    assert voxels(3.0, 500) < voxels(0.0, 500) < voxels(-3.0, 500)


@pytest.fixture
def simulate(monkeypatch) -> Callable[..., Study]:
    """Circle hearts, the second one without scar; the cascade finds no scar in any."""
    truth = circle_labels()

    def phantom_case(seed: int) -> LabeledCase:
        labels = np.where(truth == 2221, 200, truth) if seed == 1 else truth
        images = {"lge": sitk_image(circle_lge(truth))}
        slices = np.ones(len(labels), bool)
        return LabeledCase("phantom", f"heart {seed}", images, labels, slices, frozenset({"scar"}))

    def segment(case: Case) -> Segmentation:
        return circle_segmentation(case, np.where(truth == 2221, 200, truth))

    def run(habits: tuple[Habit, ...], patients: int = 1, seed: int = 0) -> Study:
        monkeypatch.setattr("myops.study.simulate.HABITS", habits)
        config = SimulationConfig(patients, len(habits), 2, first_seed=0, seed=seed)
        return simulate_study(config, segment, OneVoxel(), "one voxel")

    monkeypatch.setattr("myops.study.simulate.phantom_case", phantom_case)
    return run


def interactive(study: Study) -> list[Reading]:
    return [reading for reading in study.readings if reading.method == "interactive"]


def test_a_reader_clicks_until_the_clicks_are_used_up(simulate) -> None:
    first, second = interactive(simulate((replace(EXACT, clicks=3),)))
    # One voxel per click, 3 clicks in each of the 3 slices with scar.
    assert first.mass_g == second.mass_g == pytest.approx(9 * VOXEL_G)
    assert (first.case, first.reader, first.session) == ("heart 0", "exact", "1")
    true_voxels = int((circle_labels() == 2221).sum())
    assert first.reference_g == pytest.approx(true_voxels * VOXEL_G)
    # Assumed: 4 s for each of 5 slices, 3 s for each of 9 clicks.
    assert first.stages["looking and clicking (assumed)"] == 4 * 5 + 3 * 9
    assert first.seconds == pytest.approx(sum(first.stages.values()))


def test_a_reader_leaves_small_errors_alone(simulate) -> None:
    # The whole scar of a slice is one error of well below 10 000 mm2.
    (first, _) = interactive(simulate((replace(EXACT, enough_mm2=10_000.0),)))
    assert first.mass_g == 0.0


def test_conventional_methods_are_read_beside_and_have_no_time(simulate) -> None:
    study = simulate((EXACT,))
    (half, _) = (r for r in study.readings if r.method == "fwhm_half_of_maximum_volume")
    # Scar 900, remote about 100: half of the maximum finds the true scar exactly.
    assert half.mass_g == pytest.approx(half.reference_g)
    assert half.seconds is None


@pytest.mark.slow
def test_patients_without_scar_are_skipped(simulate) -> None:
    study = simulate((EXACT,), patients=2)
    assert {reading.case for reading in study.readings} == {"heart 0", "heart 2"}


@pytest.mark.slow
def test_the_same_seed_gives_the_same_masses_and_another_one_does_not(simulate) -> None:
    habits = (replace(EXACT, jitter_mm=1.0, aim_mm=2.0), Habit("other", 0.5, 1.0, 1.0, 4, 5.0))

    def masses(seed: int) -> list[float | None]:
        return [reading.mass_g for reading in simulate(habits, seed=seed).readings]

    assert masses(0) == masses(0)
    assert masses(0) != masses(1)


def test_the_study_says_what_was_simulated(simulate) -> None:
    words = simulate((EXACT,)).simulated
    assert "Programmed readers clicked on 1 synthetic hearts" in words
    assert "answered by one voxel" in words and "says nothing about that of people" in words


def test_more_readers_than_habits_are_refused() -> None:
    with pytest.raises(InputError, match="expected at most 4 simulated readers, found 5"):
        simulate_study(SimulationConfig(readers=5), lambda case: None, OneVoxel(), "")

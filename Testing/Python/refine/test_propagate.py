"""Propagation to the neighbors: places in the wall, and a refiner that is foreseeable."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from circle_heart import circle_case, circle_segmentation
from scipy.ndimage import binary_erosion

from myops.errors import InputError
from myops.refine.connected import connected_change
from myops.refine.propagate import LEAST_CONFIDENCE, propagate_correction
from myops.refine.rules import REGIONS, Rules
from myops.refine.wall_coordinates import Ventricle, innermost, locate, propagate_mask

SIZE = 96
SPACING_MM = (1.5, 1.5, 10.0)
NORMAL, BLOOD, SCAR, MVO = 200, 500, 2221, 2222


def ring(
    center: tuple[float, float] = (48.0, 48.0), inner: float = 13.0, outer: float = 20.0
) -> np.ndarray:
    """MyoPS labels (y, x) of one slice: a wall between two circles, in pixels."""
    radius, _ = polar(center)
    plane = np.zeros((SIZE, SIZE), np.uint16)
    plane[radius < outer] = NORMAL
    plane[radius < inner] = BLOOD
    return plane


def polar(center: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.indices((SIZE, SIZE), dtype=float)
    down, right = rows - center[0], columns - center[1]
    return np.hypot(down, right), np.degrees(np.arctan2(-down, right)) % 360


def with_scar(
    plane: np.ndarray, center: tuple[float, float], first: float, last: float, value: int = SCAR
) -> np.ndarray:
    _, angle = polar(center)
    scarred = plane.copy()
    scarred[(plane == NORMAL) & (angle >= first) & (angle < last)] = value
    return scarred


def located(plane: np.ndarray) -> Ventricle:
    ventricle = locate(plane, SPACING_MM)
    assert ventricle is not None
    return ventricle


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


class KnowingRefiner:
    """Knows what is right, and answers a click with the connected error that it lies in."""

    def __init__(self, truth: np.ndarray, confidence: dict[int, float] | None = None) -> None:
        self.truth, self.confidence = truth, confidence or {}
        self.asked: list[tuple[int, float, float, bool]] = []

    def predict(self, prompts, labels):
        (point,), index = prompts.points, prompts.slice_index
        self.asked.append((index, point.row, point.column, point.positive))
        present = REGIONS[prompts.structure](labels[index])
        right = REGIONS[prompts.structure](self.truth[index])
        place = (int(point.row), int(point.column))
        changed = connected_change((present != right) & (right == point.positive), place)
        mask = np.where(changed, point.positive, present)
        return SimpleNamespace(
            structure=prompts.structure,
            slice_index=index,
            probability=mask.astype(np.float32),
            mask=mask,
            confidence=self.confidence.get(index, 0.9),
        )


def walls() -> np.ndarray:
    """A heart that moves and tapers, five slices without scar."""
    return np.stack([ring((48 + z, 48 - z), 14 - 2 * z, 21 - 2 * z) for z in range(5)])


def scarred(first: float, last: float) -> np.ndarray:
    """The same with scar between two angles in all slices."""
    return np.stack(
        [with_scar(plane, (48 + z, 48 - z), first, last) for z, plane in enumerate(walls())]
    )


def corrected_in_2(automatic: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The automatic labels, slice 2 as it should be."""
    labels = automatic.copy()
    labels[2] = truth[2]
    return labels


def carried(
    automatic: np.ndarray,
    truth: np.ndarray,
    refiner: KnowingRefiner | None = None,
    structure: str = "scar",
    labels: np.ndarray | None = None,
    **options,
):
    segmentation = circle_segmentation(circle_case(automatic), automatic)
    present = corrected_in_2(automatic, truth) if labels is None else labels
    return propagate_correction(
        refiner or KnowingRefiner(truth), segmentation, present, structure, 2, **options
    )


def test_depth_runs_from_the_endocardium_to_the_epicardium() -> None:
    ventricle = located(ring())
    # On the row of the center the wall is columns 61-67: 1 to 7 pixels from the cavity, 7 to 1
    # from the outside.
    np.testing.assert_allclose(ventricle.depth[48, 61:68], np.arange(1, 8) / 8)
    assert ventricle.depth[48, 68] > 1
    assert ventricle.depth[48, 48] == -1
    cavity, wall, rim = ventricle.parts
    assert np.count_nonzero(cavity) == np.count_nonzero(ring() == BLOOD)
    assert np.count_nonzero(wall) == np.count_nonzero(ring() == NORMAL)
    assert not (rim & (cavity | wall)).any()


def test_depth_is_measured_in_mm_when_pixels_are_not_square() -> None:
    wide = np.zeros((60, 60), np.uint16)
    wide[10:50, 10:50] = NORMAL
    wide[20:40, 20:40] = BLOOD
    ventricle = locate(wide, (1.0, 2.0, 10.0))
    assert ventricle is not None
    # Left wall: 10 pixels of 1 mm; top wall: 10 pixels of 2 mm. Both 10/11 deep at the outside.
    assert ventricle.depth[30, 10] == pytest.approx(10 / 11)
    assert ventricle.depth[10, 30] == pytest.approx(10 / 11)
    assert ventricle.depth[30, 15] == pytest.approx(5 / 11)


def test_a_slice_without_myocardium_has_no_places() -> None:
    assert locate(np.zeros((SIZE, SIZE), np.uint16), SPACING_MM) is None


def test_a_mask_carried_to_its_own_slice_is_itself() -> None:
    plane = with_scar(ring(), (48, 48), 40, 130)
    ventricle = located(plane)
    np.testing.assert_array_equal(
        propagate_mask(plane == SCAR, ventricle, ventricle), plane == SCAR
    )


def test_a_carried_mask_keeps_its_angles_in_a_smaller_moved_ring() -> None:
    source = with_scar(ring(), (48, 48), 90, 150)
    target = ring((53, 41), 8, 13)
    found = propagate_mask(source == SCAR, located(source), located(target))
    expected = with_scar(target, (53, 41), 90, 150) == SCAR
    assert dice(found, expected) > 0.95
    assert not (found & (target != NORMAL)).any()


def test_a_subendocardial_mask_stays_subendocardial() -> None:
    source, target = ring(), ring((40, 55), 16, 26)
    here, there = located(source), located(target)
    inner_half = (source == NORMAL) & (here.depth < 0.5)
    found = propagate_mask(inner_half, here, there)
    # Walls of 7 and 10 pixels: their middle falls on a pixel in one and between two in the other.
    assert dice(found, (target == NORMAL) & (there.depth < 0.5)) > 0.92


def test_angles_meet_at_the_full_circle() -> None:
    source = ring()
    _, angle = polar((48, 48))
    across_zero = (source == NORMAL) & ((angle >= 340) | (angle < 20))
    target = ring((46, 50), 10, 16)
    _, there = polar((46, 50))
    expected = (target == NORMAL) & ((there >= 340) | (there < 20))
    assert dice(propagate_mask(across_zero, located(source), located(target)), expected) > 0.93


def test_a_mask_reaches_the_apex_where_no_cavity_is_left() -> None:
    source = with_scar(ring(), (48, 48), 180, 270)
    apex = ring((50, 50), 0, 9)
    found = propagate_mask(source == SCAR, located(source), located(apex))
    expected = with_scar(apex, (50, 50), 180, 270) == SCAR
    assert dice(found, expected) > 0.85


def test_the_innermost_pixel_of_a_block_is_its_middle() -> None:
    block = np.zeros((20, 30), bool)
    block[3:10, 5:10] = True
    assert innermost(block, SPACING_MM) in {(row, 7) for row in (5, 6, 7)}


def test_a_block_at_the_image_border_has_its_innermost_pixel_inside() -> None:
    block = np.zeros((20, 30), bool)
    block[:3, :9] = True
    assert innermost(block, SPACING_MM)[0] == 1


def beside(automatic: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The automatic labels, slices 1 to 3 as they should be."""
    labels = automatic.copy()
    labels[1:4] = truth[1:4]
    return labels


def test_scar_that_was_added_is_asked_for_in_both_slices_beside_at_its_angle() -> None:
    truth, refiner = scarred(90, 170), KnowingRefiner(scarred(90, 170))
    proposal = carried(walls(), truth, refiner)
    np.testing.assert_array_equal(proposal.labels, beside(walls(), truth))
    assert [one.slice_index for one in proposal.slices] == [1, 3]
    assert proposal.stopped == ("", "")
    assert [index for index, *_ in refiner.asked] == [1, 3]
    for index, row, column, positive in refiner.asked:
        assert positive
        # The erosion of a mask holds what is not at its border.
        assert binary_erosion(truth[index] == SCAR)[int(row), int(column)]


def test_scar_that_was_removed_is_removed_where_the_refiner_is_sure() -> None:
    refiner = KnowingRefiner(walls(), {3: LEAST_CONFIDENCE - 0.01})
    proposal = carried(scarred(200, 300), walls(), refiner)
    assert [one.slice_index for one in proposal.slices] == [1]
    assert not any(positive for *_, positive in refiner.asked)
    np.testing.assert_array_equal(proposal.labels[1:3], walls()[1:3])
    np.testing.assert_array_equal(proposal.labels[3:], scarred(200, 300)[3:])
    assert proposal.stopped == ("", "the answer is not sure enough (confidence 0.59)")
    assert [one.confidence for one in proposal.slices] == [0.9]


def test_scar_that_was_added_is_proposed_even_where_the_refiner_is_not_sure() -> None:
    refiner = KnowingRefiner(scarred(90, 170), {3: 0.1})
    proposal = carried(walls(), refiner.truth, refiner)
    np.testing.assert_array_equal(proposal.labels, beside(walls(), refiner.truth))
    assert proposal.slices[1].confidence == 0.1


def test_the_answer_is_the_neighbor_s_own_and_not_the_mask_of_the_corrected_slice() -> None:
    truth = scarred(90, 170)
    truth[3] = with_scar(walls()[3], (51, 45), 80, 220)
    proposal = carried(walls(), truth)
    np.testing.assert_array_equal(proposal.labels, beside(walls(), truth))


def test_the_largest_part_of_a_correction_is_asked_for() -> None:
    # The cascade marked 200-300 degrees in all slices; the reader moved it to 90-150 in slice 2.
    automatic, truth = scarred(200, 300), scarred(90, 150)
    refiner = KnowingRefiner(truth)
    proposal = carried(automatic, truth, refiner)
    assert refiner.asked[0][0] == 1 and not refiner.asked[0][3]
    assert not (proposal.labels[1] == SCAR).any()


def test_where_the_largest_part_is_refused_the_next_one_is_asked_for() -> None:
    truth = scarred(90, 150)
    refiner = KnowingRefiner(truth, dict.fromkeys(range(5), 0.2))
    proposal = carried(scarred(200, 300), truth, refiner)
    assert [positive for index, *_, positive in refiner.asked if index == 1] == [False, True]
    both = (proposal.labels[1] == SCAR) == ((truth[1] == SCAR) | (scarred(200, 300)[1] == SCAR))
    assert both.all()


def test_a_proposal_changes_nothing_itself() -> None:
    labels = corrected_in_2(walls(), scarred(90, 170))
    before = labels.copy()
    labels.setflags(write=False)
    proposal = carried(walls(), scarred(90, 170), labels=labels)
    np.testing.assert_array_equal(labels, before)
    np.testing.assert_array_equal(proposal.labels[2], before[2])


def test_changed_pixels_are_counted_slice_by_slice() -> None:
    proposal = carried(walls(), scarred(90, 170))
    counted = [np.count_nonzero(proposal.labels[z] != walls()[z]) for z in (1, 3)]
    assert [one.changed_pixels for one in proposal.slices] == counted
    assert min(counted) > 0


def test_a_neighbor_that_shows_it_already_is_not_asked() -> None:
    labels = corrected_in_2(walls(), scarred(90, 170))
    labels[3] = with_scar(labels[3], (51, 45), 85, 175)
    refiner = KnowingRefiner(scarred(90, 170))
    proposal = carried(walls(), refiner.truth, refiner, labels=labels)
    assert [one.slice_index for one in proposal.slices] == [1]
    assert [index for index, *_ in refiner.asked] == [1]
    assert proposal.stopped[1] == "it shows nothing that the correction would change"


@pytest.mark.parametrize(("last", "slices"), [(100, []), (170, [1, 3])])
def test_a_small_correction_stays_in_its_slice(last, slices) -> None:
    # A wall of 7 pixels at a radius of 15.5, 1.5 mm each: 10 degrees are 43 mm2.
    proposal = carried(walls(), scarred(90, last))
    assert [one.slice_index for one in proposal.slices] == slices


def test_areas_are_measured_in_mm_when_pixels_are_not_square() -> None:
    automatic, truth = walls(), scarred(90, 100)
    segmentation = circle_segmentation(circle_case(automatic), automatic)
    wide = replace(segmentation.geometry, spacing_mm=(3.0, 1.5, 10.0))
    proposal = propagate_correction(
        KnowingRefiner(truth),
        replace(segmentation, geometry=wide),
        corrected_in_2(automatic, truth),
        "scar",
        2,
    )
    assert proposal.slices


def test_settled_slices_are_not_overwritten() -> None:
    proposal = carried(walls(), scarred(90, 170), settled=[1])
    assert [one.slice_index for one in proposal.slices] == [3]
    np.testing.assert_array_equal(proposal.labels[:2], walls()[:2])
    assert proposal.stopped[0] == "it is settled already"


def test_an_accepted_proposal_can_be_carried_on_from_and_the_stack_ends() -> None:
    truth = scarred(90, 170)
    segmentation = circle_segmentation(circle_case(walls()), walls())
    labels = carried(walls(), truth).labels
    for index, slices, stopped in ((1, [0], 0), (3, [4], 1)):
        proposal = propagate_correction(
            KnowingRefiner(truth), segmentation, labels, "scar", index, settled=[2]
        )
        assert [one.slice_index for one in proposal.slices] == slices
        assert proposal.stopped[stopped] == ""
        labels = proposal.labels
    np.testing.assert_array_equal(labels, truth)
    last = propagate_correction(KnowingRefiner(truth), segmentation, labels, "scar", 4)
    assert last.stopped[1] == "the stack ends"


def test_a_neighbor_without_myocardium_is_left_alone() -> None:
    automatic, truth = walls(), scarred(90, 170)
    automatic[3:] = truth[3:] = 0
    proposal = carried(automatic, truth)
    assert [one.slice_index for one in proposal.slices] == [1]
    assert proposal.stopped[1] == "it shows no myocardium"


def test_the_rules_hold_in_the_neighbors() -> None:
    automatic = walls()
    automatic[3] = with_scar(automatic[3], (51, 45), 100, 120, MVO)
    proposal = carried(automatic, scarred(90, 170), rules=Rules())
    assert np.count_nonzero(proposal.labels[3] == MVO) == np.count_nonzero(automatic[3] == MVO)
    np.testing.assert_array_equal(proposal.labels == BLOOD, automatic == BLOOD)


def test_a_wider_wall_goes_on_as_its_difference_from_the_automatic_one() -> None:
    automatic = np.stack([ring((48 + z, 48), 13, 20) for z in range(5)])
    truth = np.stack([ring((48 + z, 48), 13, 24) for z in range(5)])
    proposal = carried(automatic, truth, structure="myocardium")
    np.testing.assert_array_equal(proposal.labels, beside(automatic, truth))


@pytest.mark.parametrize("automatic", [walls(), scarred(90, 170)])
def test_a_slice_that_was_not_corrected_has_nothing_to_carry(automatic) -> None:
    with pytest.raises(InputError, match="expected a correction of scar in slice 2.*as the auto"):
        carried(automatic, automatic)


@pytest.mark.parametrize("index", [-1, 5])
def test_a_slice_outside_the_stack_is_refused(index: int) -> None:
    segmentation = circle_segmentation(circle_case(walls()), walls())
    with pytest.raises(InputError, match=f"slice from 0 to 4, found {index}"):
        propagate_correction(KnowingRefiner(walls()), segmentation, walls(), "scar", index)


def test_an_unknown_structure_is_refused() -> None:
    with pytest.raises(InputError, match="found 'fat'"):
        carried(walls(), scarred(90, 170), structure="fat")

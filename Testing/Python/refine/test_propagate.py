"""Propagation to the neighbors: places in the wall, and a refiner that is foreseeable."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from circle_heart import circle_case, circle_segmentation
from scipy.ndimage import binary_erosion

from myops.errors import InputError
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


class FaithfulRefiner:
    """Answers with the mask it is given; its confidence is told slice by slice."""

    def __init__(self, confidence: dict[int, float] | None = None) -> None:
        self.confidence = confidence or {}
        self.asked: list[tuple[int, list[tuple[float, float, bool]]]] = []
        self.starts: dict[int, np.ndarray] = {}

    def predict(self, prompts, labels):
        index = prompts.slice_index
        self.asked.append((index, [(p.row, p.column, p.positive) for p in prompts.points]))
        mask = REGIONS[prompts.structure](labels[index])
        self.starts[index] = mask
        return SimpleNamespace(
            structure=prompts.structure,
            slice_index=index,
            probability=mask.astype(np.float32),
            mask=mask,
            confidence=self.confidence.get(index, 0.9),
        )


def five_slices() -> np.ndarray:
    """A heart that moves and tapers; scar at 90-150 degrees in slice 2 alone."""
    stack = np.stack([ring((48 + z, 48 - z), 14 - 2 * z, 21 - 2 * z) for z in range(5)])
    stack[2] = with_scar(stack[2], (50, 46), 90, 150)
    return stack


def carried(labels: np.ndarray, refiner: FaithfulRefiner, structure: str = "scar", **options):
    case = circle_case(labels)
    return propagate_correction(
        refiner, circle_segmentation(case, labels), labels, structure, 2, **options
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


def test_the_scar_goes_to_all_slices_at_its_angle() -> None:
    labels = five_slices()
    proposal = carried(labels, FaithfulRefiner())
    for z in (0, 1, 3, 4):
        plane = labels[z]
        expected = with_scar(plane, (48 + z, 48 - z), 90, 150) == SCAR
        assert dice(proposal.labels[z] == SCAR, expected) > 0.9
        assert not ((proposal.labels[z] == SCAR) & (plane != NORMAL)).any()
    assert [one.slice_index for one in proposal.slices] == [0, 1, 3, 4]
    assert proposal.stopped == ("end of the stack", "end of the stack")


def test_a_proposal_changes_nothing_itself() -> None:
    labels = five_slices()
    before = labels.copy()
    labels.setflags(write=False)
    proposal = carried(labels, FaithfulRefiner())
    np.testing.assert_array_equal(labels, before)
    np.testing.assert_array_equal(proposal.labels[2], before[2])


def test_changed_pixels_are_counted_slice_by_slice() -> None:
    labels = five_slices()
    proposal = carried(labels, FaithfulRefiner())
    counted = [np.count_nonzero(proposal.labels[z] != labels[z]) for z in (0, 1, 3, 4)]
    assert [one.changed_pixels for one in proposal.slices] == counted
    assert min(counted) > 0


def test_the_neighbor_is_prompted_with_the_mask_and_one_positive_point_inside_it() -> None:
    refiner = FaithfulRefiner()
    carried(five_slices(), refiner)
    assert [index for index, _ in refiner.asked] == [1, 0, 3, 4]
    for index, points in refiner.asked:
        ((row, column, positive),) = points
        assert positive
        # The erosion of a mask holds what is not at its border.
        assert binary_erosion(refiner.starts[index])[int(row), int(column)]


def test_a_neighbor_that_agrees_starts_from_its_own_mask() -> None:
    labels = five_slices()
    labels[3] = with_scar(labels[3], (51, 45), 95, 160)
    refiner = FaithfulRefiner()
    proposal = carried(labels, refiner)
    np.testing.assert_array_equal(refiner.starts[3], labels[3] == SCAR)
    np.testing.assert_array_equal(proposal.labels[3], labels[3])
    assert [one.slice_index for one in proposal.slices] == [0, 1, 4]


def test_what_was_removed_is_removed_from_neighbors_that_disagree() -> None:
    # The cascade marked 200-300 degrees in all slices; the reader moved it to 90-150 in slice 2.
    automatic = np.stack(
        [with_scar(plane, (48 + z, 48 - z), 200, 300) for z, plane in enumerate(five_slices())]
    )
    automatic[2] = with_scar(ring((50, 46), 10, 17), (50, 46), 200, 300)
    corrected = automatic.copy()
    corrected[2] = with_scar(ring((50, 46), 10, 17), (50, 46), 90, 150)
    segmentation = circle_segmentation(circle_case(automatic), automatic)
    proposal = propagate_correction(FaithfulRefiner(), segmentation, corrected, "scar", 2)
    for z in (1, 3):
        plane = ring((48 + z, 48 - z), 14 - 2 * z, 21 - 2 * z)
        expected = with_scar(plane, (48 + z, 48 - z), 90, 150) == SCAR
        assert dice(proposal.labels[z] == SCAR, expected) > 0.9


def test_carrying_ends_where_confidence_drops_and_leaves_the_rest() -> None:
    labels = five_slices()
    proposal = carried(labels, FaithfulRefiner({3: LEAST_CONFIDENCE - 0.01}))
    assert [one.slice_index for one in proposal.slices] == [0, 1]
    np.testing.assert_array_equal(proposal.labels[3:], labels[3:])
    assert proposal.stopped == ("end of the stack", "confidence 0.59 in slice 3")
    assert [one.confidence for one in proposal.slices] == [0.9, 0.9]


def test_settled_slices_are_not_overwritten_nor_jumped_over() -> None:
    labels = five_slices()
    proposal = carried(labels, FaithfulRefiner(), settled=[1])
    assert [one.slice_index for one in proposal.slices] == [3, 4]
    np.testing.assert_array_equal(proposal.labels[:2], labels[:2])
    assert proposal.stopped[0] == "slice 1 is settled already"


def test_carrying_ends_where_the_myocardium_ends() -> None:
    labels = five_slices()
    labels[3:] = 0
    proposal = carried(labels, FaithfulRefiner())
    assert [one.slice_index for one in proposal.slices] == [0, 1]
    assert proposal.stopped[1] == "nothing is left of the mask in slice 3"


def test_the_rules_hold_in_the_neighbors() -> None:
    labels = five_slices()
    labels[3] = with_scar(labels[3], (51, 45), 100, 120, MVO)
    proposal = carried(labels, FaithfulRefiner(), rules=Rules())
    assert np.count_nonzero(proposal.labels[3] == MVO) == np.count_nonzero(labels[3] == MVO)
    np.testing.assert_array_equal(proposal.labels == BLOOD, labels == BLOOD)


def test_a_wider_wall_goes_on_as_its_difference_from_the_automatic_one() -> None:
    automatic = np.stack([ring((48 + z, 48), 13, 20) for z in range(3)])
    corrected = automatic.copy()
    corrected[1] = ring((49, 48), 13, 24)
    case = circle_case(automatic)
    segmentation = circle_segmentation(case, automatic)
    proposal = propagate_correction(FaithfulRefiner(), segmentation, corrected, "myocardium", 1)
    for z in (0, 2):
        wall = np.isin(proposal.labels[z], (NORMAL,))
        assert dice(wall, ring((48 + z, 48), 13, 24) == NORMAL) > 0.97


def test_a_slice_without_the_structure_has_nothing_to_carry() -> None:
    labels = five_slices()
    with pytest.raises(InputError, match="expected scar in slice 0.*found none"):
        propagate_correction(
            FaithfulRefiner(), circle_segmentation(circle_case(labels), labels), labels, "scar", 0
        )


@pytest.mark.parametrize("index", [-1, 5])
def test_a_slice_outside_the_stack_is_refused(index: int) -> None:
    labels = five_slices()
    with pytest.raises(InputError, match=f"slice from 0 to 4, found {index}"):
        propagate_correction(
            FaithfulRefiner(),
            circle_segmentation(circle_case(labels), labels),
            labels,
            "scar",
            index,
        )


def test_an_unknown_structure_is_refused() -> None:
    with pytest.raises(InputError, match="found 'fat'"):
        carried(five_slices(), FaithfulRefiner(), "fat")

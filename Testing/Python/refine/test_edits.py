"""Threshold, growth and smoothing of a whole structure, on slices whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from myops import labels as regions
from myops.errors import InputError
from myops.geometry.grid import Geometry
from myops.labels import MVO, MYOPS
from myops.refine.edits import at_threshold, grown, smoothed
from myops.refine.rules import REGIONS, Rules
from myops.segmentation import Segmentation

NORMAL, BLOOD, EDEMA, SCAR = (
    MYOPS[name] for name in ("normal_myocardium", "blood_pool", "edema", "scar")
)
SPACING = (1.0, 1.0, 8.0)
RULES = Rules()
SHAPE = (2, 61, 61)


def distance() -> np.ndarray:
    rows, columns = np.indices(SHAPE[1:])
    return np.hypot(rows - 30, columns - 30)


def angle() -> np.ndarray:
    """Degrees (y, x), 0 to the right, up to 180 both ways."""
    rows, columns = np.indices(SHAPE[1:])
    return np.abs(np.degrees(np.arctan2(rows - 30, columns - 30)))


def ring(scar: bool = True, edema: bool = False) -> np.ndarray:
    """Blood within 10 mm, wall to 20 mm; to the right inner scar to 15 mm with edema around it."""
    plane = np.zeros(SHAPE[1:], np.uint16)
    plane[distance() <= 20] = NORMAL
    plane[distance() <= 10] = BLOOD
    wall = plane == NORMAL
    if edema:
        plane[wall & (angle() < 60)] = EDEMA
    if scar:
        plane[wall & (angle() < 40) & (distance() <= 15)] = SCAR
    return np.stack([plane] * SHAPE[0])


def count(labels: np.ndarray, structure: str) -> int:
    return int(np.count_nonzero(REGIONS[structure](labels)))


def given(labels: np.ndarray, **tissue: np.ndarray) -> Segmentation:
    """A result with these probabilities given the inside, which itself has a soft border."""
    inside = np.clip((22 - distance()) / 4, 0, 1).astype(np.float32)
    names = ("blood_pool", "normal_myocardium", "edema", "scar")
    joint = {name: np.zeros(SHAPE, np.float32) for name in names}
    for name, values in tissue.items():
        joint[name] = np.broadcast_to(inside * values, SHAPE).astype(np.float32)
    probabilities = {"lv_region": np.broadcast_to(inside, SHAPE).astype(np.float32), **joint}
    zero = np.zeros(SHAPE, np.float32)
    geometry = Geometry((61, 61, 2), SPACING)
    return Segmentation(labels, geometry, probabilities, zero, frozenset({"scar", "edema"}), {}, {})


def ramp() -> Segmentation:
    """Chance of scar falls from 1 to the right (0 degrees) to 0 on the left (180 degrees)."""
    chance = (1 - angle() / 180) * (distance() > 10)
    blood = (distance() <= 10).astype(float)
    return given(ring(scar=False), scar=chance, normal_myocardium=1 - chance - blood,
                 blood_pool=blood)  # fmt: skip


@pytest.mark.parametrize(("threshold", "half_angle"), [(0.9, 18), (0.5, 90), (0.25, 135)])
def test_a_threshold_on_a_ramp_gives_the_sector_computed_by_hand(
    threshold: float, half_angle: float
) -> None:
    start = ramp()
    labels = at_threshold(start, start.labels, "scar", threshold, RULES)
    # Up to the very border, where the joint probability is low because the outside is likely.
    wall = (distance() <= 20) & (distance() > 10)
    expected = wall & (angle() <= half_angle)
    assert (regions.scar(labels[0]) == expected).all()
    assert (regions.myocardium(labels) == regions.myocardium(start.labels)).all()


def test_half_gives_scar_where_the_most_probable_tissue_has_more_than_half() -> None:
    scar = np.where(angle() < 30, 0.6, np.where(angle() < 60, 0.4, 0.1)) * (distance() > 10)
    edema = np.where(angle() < 60, 0.3, 0.2) * (distance() > 10)
    start = given(ring(scar=False), scar=scar, edema=edema,
                  normal_myocardium=(1 - scar - edema) * (distance() > 10))  # fmt: skip
    labels = at_threshold(start, start.labels, "scar", 0.5, RULES)
    assert (regions.scar(labels[0]) == ((angle() < 30) & regions.myocardium(labels[0]))).all()


def test_only_the_chosen_slices_change() -> None:
    start = ramp()
    labels = at_threshold(start, start.labels, "scar", 0.5, RULES, [1])
    assert (labels[0] == start.labels[0]).all()
    assert count(labels[1], "scar") > 0


def test_a_threshold_keeps_scar_in_the_wall_unless_the_rules_allow_more() -> None:
    start = given(ring(scar=False), scar=np.ones(SHAPE[1:]))
    inside = at_threshold(start, start.labels, "scar", 0.4, RULES)
    assert not (regions.scar(inside) & ~regions.myocardium(start.labels)).any()
    outside = at_threshold(start, start.labels, "scar", 0.4, Rules(keep_inside=False))
    joint = np.clip((22 - distance()) / 4, 0, 1) >= 0.4
    gained = regions.scar(outside[0]) & ~regions.myocardium(start.labels[0])
    assert (gained == (joint & (start.labels[0] == 0))).all()
    assert gained.any()


def test_mvo_stays_when_the_threshold_of_its_scar_changes() -> None:
    start = ramp()
    labels = start.labels.copy()
    labels[0, 30, 12:14] = MVO  # on the left, where the chance of scar is 0
    kept = at_threshold(start, labels, "scar", 0.9, RULES)
    assert (kept[0, 30, 12:14] == MVO).all()


def test_more_edema_takes_normal_wall_and_leaves_the_scar() -> None:
    start = given(ring(), edema=np.full(SHAPE[1:], 0.6), scar=np.full(SHAPE[1:], 0.4))
    labels = at_threshold(start, start.labels, "edema", 0.5, RULES)
    assert count(labels, "scar") == count(start.labels, "scar")
    assert not regions.normal_myocardium(labels).any()


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_the_threshold_of_the_wall_moves_its_outside_and_stays_in_one_piece(
    threshold: float,
) -> None:
    wall = (distance() > 10).astype(float)
    start = given(ring(scar=False), normal_myocardium=wall, blood_pool=1 - wall)
    far = start.probabilities["normal_myocardium"].copy()
    far[:, 2:5, 2:5] = 0.95  # something bright beside the heart
    start = Segmentation(
        start.labels, start.geometry, {**start.probabilities, "normal_myocardium": far},
        start.uncertainty, start.assessed, {}, {},
    )  # fmt: skip
    labels = at_threshold(start, start.labels, "myocardium", threshold, RULES)
    expected = (distance() > 10) & (np.clip((22 - distance()) / 4, 0, 1) >= threshold)
    assert (regions.myocardium(labels[0]) == expected).all()
    assert (regions.blood_pool(labels) == regions.blood_pool(start.labels)).all()


@pytest.mark.parametrize(
    ("structure", "expected"), [("mvo", "networks know"), ("scar", "run the automatic")]
)
def test_a_threshold_needs_probabilities(structure: str, expected: str) -> None:
    start = ramp()
    bare = Segmentation(start.labels, start.geometry, {}, start.uncertainty, start.assessed, {}, {})
    with pytest.raises(InputError, match=expected):
        at_threshold(bare, bare.labels, structure, 0.5, RULES)


def test_a_threshold_of_what_was_not_imaged_is_refused() -> None:
    start = ramp()
    lge_only = Segmentation(
        start.labels, start.geometry, start.probabilities, start.uncertainty,
        frozenset({"scar"}), {}, {},
    )  # fmt: skip
    with pytest.raises(InputError, match="T2 images"):
        at_threshold(lge_only, lge_only.labels, "edema", 0.5, RULES)


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.1, float("nan")])
def test_a_threshold_outside_its_range_is_refused(threshold: float) -> None:
    with pytest.raises(InputError, match="threshold"):
        at_threshold(ramp(), ramp().labels, "scar", threshold, RULES)


@pytest.mark.parametrize("mm", [1.0, 2.0, -1.0, -3.0])
def test_the_blood_pool_grows_and_shrinks_by_the_length_asked_for(mm: float) -> None:
    labels = ring(scar=False)
    changed = grown(labels, "blood_pool", mm, SPACING, RULES)
    radius = np.sqrt(np.count_nonzero(changed[0] == BLOOD) / np.pi)
    start = np.sqrt(np.count_nonzero(labels[0] == BLOOD) / np.pi)
    assert radius - start == pytest.approx(mm, abs=0.5)
    assert (regions.lv_region(changed) == regions.lv_region(labels)).all()


@pytest.mark.parametrize("pixel", [0.7, 1.4, 2.5])
def test_a_millimeter_moves_the_border_by_about_a_millimeter_or_one_pixel(pixel: float) -> None:
    labels = np.zeros((1, 40, 40), np.uint16)
    labels[:, :, :20] = NORMAL  # a straight border
    changed = grown(labels, "myocardium", 1.0, (pixel, pixel, 8.0), RULES)
    moved = np.count_nonzero(changed[0, 0]) - 20
    assert moved == max(1, round(1.0 / pixel))


def test_growing_and_shrinking_take_each_other_back_on_a_smooth_border() -> None:
    labels = ring(scar=False)
    larger = grown(labels, "blood_pool", 2.0, SPACING, RULES)
    back = grown(larger, "blood_pool", -2.0, SPACING, RULES)
    assert np.count_nonzero(back != labels) < 0.02 * np.count_nonzero(labels == BLOOD)


def test_scar_grows_into_the_wall_only() -> None:
    labels = ring()
    changed = grown(labels, "scar", 2.0, SPACING, RULES)
    assert count(changed, "scar") > count(labels, "scar")
    assert (regions.myocardium(changed) == regions.myocardium(labels)).all()
    assert (regions.blood_pool(changed) == regions.blood_pool(labels)).all()


def test_a_subendocardial_scar_that_shrinks_still_touches_the_blood() -> None:
    labels = ring()
    changed = grown(labels, "scar", -1.0, SPACING, RULES)
    row = changed[0, 30]
    assert 0 < count(changed, "scar") < count(labels, "scar")
    assert row[40] == BLOOD and row[41] == SCAR  # the innermost pixel of the wall
    assert row[43] == SCAR and row[45] == NORMAL  # the outermost one was at 45


def test_edema_grows_and_shrinks_away_from_the_scar() -> None:
    labels = ring(edema=True)
    for mm in (2.0, -2.0):
        changed = grown(labels, "edema", mm, SPACING, RULES)
        assert (regions.scar(changed) == regions.scar(labels)).all()
        assert (count(changed, "edema") > count(labels, "edema")) == (mm > 0)
    assert (changed[0, 30, 46:50] == EDEMA).all()  # nothing is lost beside the scar


def test_what_a_shrunk_scar_leaves_is_what_was_most_probable() -> None:
    labels = ring()
    start = given(labels, edema=np.full(SHAPE[1:], 0.9), normal_myocardium=np.zeros(SHAPE[1:]))
    changed = grown(labels, "scar", -1.0, SPACING, RULES, None, start.probabilities)
    lost = regions.scar(labels) & ~regions.scar(changed)
    assert lost.any() and (changed[lost] == EDEMA).all()


def test_the_myocardium_grows_on_both_sides() -> None:
    labels = ring(scar=False)
    changed = grown(labels, "myocardium", 1.0, SPACING, RULES)
    outer = np.sqrt(np.count_nonzero(regions.lv_region(changed[0])) / np.pi)
    inner = np.sqrt(np.count_nonzero(regions.blood_pool(changed[0])) / np.pi)
    assert (inner, outer) == (pytest.approx(9.0, abs=0.5), pytest.approx(21.0, abs=0.5))


@pytest.mark.parametrize("mm", [1.0, -1.0])
@pytest.mark.parametrize("structure", ["scar", "edema", "mvo", "myocardium", "blood_pool"])
def test_a_structure_that_is_not_there_stays_absent(structure: str, mm: float) -> None:
    empty = np.zeros(SHAPE, np.uint16)
    assert not grown(empty, structure, mm, SPACING, RULES).any()
    assert not smoothed(empty, structure, abs(mm), SPACING, RULES).any()


def test_mvo_shrinks_to_scar_and_grows_inside_it() -> None:
    labels = ring()
    labels[0, 28:33, 42:45] = MVO
    larger = grown(labels, "mvo", 1.0, SPACING, RULES)
    assert count(larger, "mvo") > 15
    assert (regions.scar(larger) == regions.scar(labels)).all()
    smaller = grown(labels, "mvo", -1.0, SPACING, RULES)
    assert (regions.scar(smaller) == regions.scar(labels)).all()
    assert count(smaller, "mvo") == 3


def test_smoothing_drops_a_spike_and_a_crumb_and_keeps_the_area() -> None:
    labels = ring(scar=False)
    spike = labels.copy()
    spike[:, 30, 40:46] = BLOOD  # one pixel wide, 6 mm into the wall
    spike[:, 13, 30] = BLOOD  # a crumb
    changed = smoothed(spike, "blood_pool", 1.5, SPACING, RULES)
    assert count(changed, "blood_pool") == pytest.approx(count(labels, "blood_pool"), rel=0.04)
    assert (changed[:, 30, 43:46] == NORMAL).all()
    assert (changed[:, 13, 30] == NORMAL).all()


def test_smoothing_keeps_a_subendocardial_scar_at_the_endocardium() -> None:
    labels = ring()
    changed = smoothed(labels, "scar", 1.5, SPACING, RULES)
    assert count(changed, "scar") == pytest.approx(count(labels, "scar"), rel=0.1)
    assert changed[0, 30, 41] == SCAR


def test_smoothing_keeps_the_thickness_of_a_thin_wall() -> None:
    labels = np.zeros(SHAPE, np.uint16)
    labels[:, distance() <= 18] = NORMAL
    labels[:, distance() <= 15] = BLOOD
    changed = smoothed(labels, "myocardium", 2.0, SPACING, RULES)
    assert count(changed, "myocardium") == pytest.approx(count(labels, "myocardium"), rel=0.1)
    assert (regions.myocardium(changed)[0, 30] > 0).sum() == 6


def test_smoothing_over_0_mm_and_growing_by_0_mm_change_nothing() -> None:
    labels = ring(edema=True)
    for structure in ("scar", "edema", "myocardium", "blood_pool"):
        assert (smoothed(labels, structure, 0.0, SPACING, RULES) == labels).all()
        assert (grown(labels, structure, 0.0, SPACING, RULES) == labels).all()


def test_the_given_labels_are_left_as_they_are() -> None:
    labels = ring()
    labels.flags.writeable = False
    result = grown(labels, "scar", 1.0, SPACING, RULES)
    assert result.dtype == np.uint16 and result.flags.writeable
    assert (labels == ring()).all()


@pytest.mark.parametrize(
    ("structure", "mm", "slices", "expected"),
    [
        ("heart", 1.0, None, "one of scar"),
        ("scar", float("nan"), None, "a length in mm"),
        ("scar", 1.0, [2], "slices 0 to 1"),
        ("scar", 1.0, [-1], "slices 0 to 1"),
    ],
)
def test_bad_input_is_refused(
    structure: str, mm: float, slices: list[int] | None, expected: str
) -> None:
    for edit in (grown, smoothed):
        with pytest.raises(InputError, match=expected):
            edit(ring(), structure, mm, SPACING, RULES, slices)
    with pytest.raises(InputError, match="0 mm or more"):
        smoothed(ring(), "scar", -1.0, SPACING, RULES)

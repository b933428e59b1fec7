"""Rules: which structure takes from which, worked out voxel by voxel."""

from __future__ import annotations

import numpy as np
import pytest
from circle_heart import circle_labels

from myops.labels import MVO
from myops.refine.prompts import STRUCTURES
from myops.refine.rules import REGIONS, Rules, apply_mask

OUT, NORMAL, BLOOD, RIGHT, EDEMA, SCAR = 0, 200, 500, 600, 1220, 2221
ALL = np.array([[OUT, NORMAL, BLOOD, RIGHT, EDEMA, SCAR, MVO]], np.uint16)
FREE = Rules(allow_blood_pool=True, keep_inside=False)


def masked(structure, rules=Rules()):  # noqa: B008 - frozen
    """What each label becomes when a structure's mask covers everything."""
    return apply_mask(ALL, np.ones(ALL.shape, bool), structure, rules).ravel().tolist()


def chances(shape, **by_name):
    """Probabilities of every name `Segmentation` has: constants, 0 where none is given."""
    names = ("lv_region", "blood_pool", "normal_myocardium", "edema", "scar", "right_ventricle")
    return {name: np.full(shape, by_name.get(name, 0.0), np.float32) for name in names}


@pytest.mark.parametrize(
    ("structure", "expected"),
    [
        ("scar", [OUT, SCAR, BLOOD, RIGHT, SCAR, SCAR, MVO]),
        ("edema", [OUT, EDEMA, BLOOD, RIGHT, EDEMA, EDEMA, MVO]),
        ("mvo", [OUT, NORMAL, BLOOD, RIGHT, EDEMA, MVO, MVO]),
        ("myocardium", [NORMAL, NORMAL, NORMAL, NORMAL, EDEMA, SCAR, MVO]),
        ("blood_pool", [BLOOD, BLOOD, BLOOD, RIGHT, BLOOD, BLOOD, MVO]),
    ],
)
def test_a_structure_takes_only_from_those_in_its_row_of_the_table(structure, expected):
    assert masked(structure) == expected


@pytest.mark.parametrize(
    ("structure", "expected"),
    [
        ("scar", [OUT, SCAR, SCAR, RIGHT, SCAR, SCAR, MVO]),
        ("edema", [OUT, EDEMA, EDEMA, RIGHT, EDEMA, EDEMA, MVO]),
        ("mvo", [OUT, NORMAL, BLOOD, RIGHT, EDEMA, MVO, MVO]),
    ],
)
def test_the_blood_pool_is_taken_only_when_allowed(structure, expected):
    assert masked(structure, Rules(allow_blood_pool=True)) == expected


@pytest.mark.parametrize(
    ("structure", "expected"),
    [
        ("scar", [SCAR, SCAR, BLOOD, RIGHT, SCAR, SCAR, MVO]),
        ("edema", [EDEMA, EDEMA, BLOOD, RIGHT, EDEMA, EDEMA, MVO]),
        ("mvo", [OUT, MVO, BLOOD, RIGHT, MVO, MVO, MVO]),
    ],
)
def test_outside_the_myocardium_is_taken_only_when_not_kept_inside(structure, expected):
    assert masked(structure, Rules(keep_inside=False)) == expected


@pytest.mark.parametrize("rules", [Rules(), FREE])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_the_present_structure_as_its_own_mask_changes_nothing(structure, rules):
    labels = circle_labels()
    changed = apply_mask(labels, REGIONS[structure](labels), structure, rules)
    np.testing.assert_array_equal(changed, labels)
    assert changed.dtype == np.uint16 and changed is not labels


def test_removed_scar_and_its_mvo_become_normal_without_probabilities():
    labels = np.array([[SCAR, MVO, SCAR, EDEMA]], np.uint16)
    mask = np.array([[True, False, False, False]])
    assert apply_mask(labels, mask, "scar", Rules()).tolist() == [[SCAR, NORMAL, NORMAL, EDEMA]]


@pytest.mark.parametrize(
    ("edema", "normal", "expected"), [(0.3, 0.2, EDEMA), (0.2, 0.3, NORMAL), (0.2, 0.2, NORMAL)]
)
def test_removed_scar_becomes_what_the_cascade_found_more_probable(edema, normal, expected):
    labels = np.array([[SCAR]], np.uint16)
    given = chances((1, 1), edema=edema, normal_myocardium=normal, blood_pool=0.9, lv_region=0.1)
    assert apply_mask(labels, labels == 0, "scar", Rules(), given).tolist() == [[expected]]


def test_removed_scar_may_become_what_it_may_take_from():
    labels = np.array([[SCAR]], np.uint16)
    blood = chances((1, 1), edema=0.2, normal_myocardium=0.1, blood_pool=0.6, lv_region=0.9)
    outside = chances((1, 1), edema=0.1, normal_myocardium=0.1, blood_pool=0.1, lv_region=0.3)
    nothing = labels == 0
    assert apply_mask(labels, nothing, "scar", FREE, blood).tolist() == [[BLOOD]]
    assert apply_mask(labels, nothing, "scar", FREE, outside).tolist() == [[OUT]]


@pytest.mark.parametrize(
    ("structure", "label", "expected"),
    [("edema", EDEMA, NORMAL), ("mvo", MVO, SCAR), ("blood_pool", BLOOD, NORMAL)],
)
def test_removed_edema_mvo_and_blood_become_their_surroundings(structure, label, expected):
    labels = np.array([[label]], np.uint16)
    given = chances((1, 1), scar=1.0, lv_region=1.0)
    changed = apply_mask(labels, labels == 0, structure, Rules(), given)
    assert changed.tolist() == [[expected]]


def test_removed_wall_goes_to_the_side_it_touches_more():
    # One row from outside through the wall to the blood: a part at each side is given up.
    labels = np.array([[OUT, NORMAL, SCAR, NORMAL, NORMAL, MVO, BLOOD]], np.uint16)
    mask = np.array([[False, False, False, True, True, False, False]])
    changed = apply_mask(labels, mask, "myocardium", Rules())
    assert changed.tolist() == [[OUT, OUT, OUT, NORMAL, NORMAL, BLOOD, BLOOD]]


def test_wall_given_up_between_blood_and_outside_alike_becomes_outside():
    labels = np.array([[OUT, NORMAL, BLOOD]], np.uint16)
    changed = apply_mask(labels, np.zeros((1, 3), bool), "myocardium", Rules())
    assert changed.tolist() == [[OUT, OUT, BLOOD]]


def test_the_right_ventricle_counts_as_outside_of_a_wall_given_up():
    labels = np.array([[RIGHT, NORMAL, NORMAL], [RIGHT, NORMAL, BLOOD]], np.uint16)
    mask = np.zeros((2, 3), bool)
    # The part of three voxels has two right ventricular neighbors and one of blood.
    changed = apply_mask(labels, mask, "myocardium", Rules())
    assert changed.tolist() == [[RIGHT, OUT, OUT], [RIGHT, OUT, BLOOD]]


def test_wall_given_up_is_handled_in_each_slice_by_itself():
    labels = np.array([[[BLOOD, NORMAL]], [[OUT, NORMAL]]], np.uint16)
    changed = apply_mask(labels, np.zeros((2, 1, 2), bool), "myocardium", Rules())
    assert changed.tolist() == [[[BLOOD, BLOOD]], [[OUT, OUT]]]


def test_a_stack_gives_the_same_as_its_slices_one_by_one():
    labels = circle_labels()
    rng = np.random.default_rng(3)
    mask = REGIONS["myocardium"](labels) & (rng.random(labels.shape) < 0.6)
    together = apply_mask(labels, mask, "myocardium", Rules())
    single = [apply_mask(*pair, "myocardium", Rules()) for pair in zip(labels, mask, strict=True)]
    np.testing.assert_array_equal(together, np.stack(single))


def test_the_labels_given_are_left_as_they_were():
    labels = circle_labels()
    before = labels.copy()
    apply_mask(labels, np.zeros(labels.shape, bool), "myocardium", Rules())
    np.testing.assert_array_equal(labels, before)


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(5, 96, 96\), found \(96, 96\)"):
        apply_mask(circle_labels(), np.zeros((96, 96), bool), "scar", Rules())
